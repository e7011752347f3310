/* grammar/num.c - comparing and dividing decimal numbers while they are read, and the languages made of that. */
#include "grammar/num.h"
#include <stdio.h>

/* State of a comparison: phase, relation so far, digits read of the part that is being read (saturating). */
enum { AT_START, AT_ZERO, AT_INT, AT_POINT, AT_FRAC };
enum { IS_LESS, IS_EQUAL, IS_MORE };

bool wick_decimal_parse(wick_decimal *d, const char *s, size_t n)
{
    memset(d, 0, sizeof *d);
    size_t i = 0;
    bool point = false, any = false;
    int32_t exp = 0, scale = 0; /* scale: digits after the point */
    if (i < n && s[i] == '-') d->negative = true, i++;
    for (; i < n && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.') {
            point = true;
            continue;
        }
        any = true;
        if (point) scale++;
        if (d->n == 0 && s[i] == '0') continue; /* leading zeros */
        if (d->n < sizeof d->digit) d->digit[d->n] = (char)(s[i] - '0');
        if (++d->n > 10000) return false;
    }
    if (i < n) {
        bool minus = false;
        if (++i < n && (s[i] == '+' || s[i] == '-')) minus = s[i++] == '-';
        for (; i < n; i++)
            if ((exp = exp * 10 + (s[i] - '0')) > 100000) return false;
        if (minus) exp = -exp;
    }
    d->point = (int32_t)d->n - scale + exp;
    while (d->n && d->n <= sizeof d->digit && d->digit[d->n - 1] == 0) d->n--;
    if (!d->n) {
        d->point = 0;
        d->negative = false;
    }
    return any && d->n <= 60 && d->point <= 400 && d->point >= -400;
}

static int cmp_abs(const wick_decimal *a, const wick_decimal *b)
{
    if (!a->n || !b->n) return a->n ? 1 : b->n ? -1 : 0;
    if (a->point != b->point) return a->point < b->point ? -1 : 1;
    for (uint32_t i = 0; i < a->n || i < b->n; i++) {
        int x = i < a->n ? a->digit[i] : 0, y = i < b->n ? b->digit[i] : 0;
        if (x != y) return x < y ? -1 : 1;
    }
    return 0;
}

int wick_decimal_cmp(const wick_decimal *a, const wick_decimal *b)
{
    if (a->negative != b->negative) return a->negative ? -1 : 1;
    return a->negative ? cmp_abs(b, a) : cmp_abs(a, b);
}

/* ---- comparisons ---- */
static int digit_at(const wick_decimal *d, int32_t place) /* place 0: the first one after 0. */
{
    return place >= 0 && place < (int32_t)d->n ? d->digit[place] : 0;
}

static uint32_t n_int(const wick_decimal *d)
{
    return d->point > 0 ? (uint32_t)d->point : 0;
}

static uint32_t n_frac(const wick_decimal *d)
{
    int32_t n = (int32_t)d->n - d->point;
    return n > 0 ? (uint32_t)n : 0;
}

static wick_re compare_state(wick_re_pool *p, uint32_t def, uint32_t phase, uint32_t rel, uint32_t pos)
{
    const wick_num_def *f = &p->nums[def];
    uint32_t ints = n_int(&f->d), fracs = n_frac(&f->d), end = rel;
    if (phase == AT_INT && pos > ints) pos = ints + 1, rel = end = IS_MORE;
    if (phase == AT_INT && pos < ints) end = IS_LESS;
    if (phase == AT_ZERO && ints > 0) rel = end = IS_LESS;
    if (phase >= AT_POINT && rel != IS_EQUAL) pos = 0;
    if (phase >= AT_POINT && pos > fracs) pos = fracs;
    if (end == IS_EQUAL && (phase < AT_POINT ? fracs > 0 : pos < fracs)) end = IS_LESS;
    bool holds = f->op == NUM_LT   ? end == IS_LESS
                 : f->op == NUM_LE ? end != IS_MORE
                 : f->op == NUM_GE ? end != IS_LESS
                                   : end == IS_MORE;
    if (phase >= AT_POINT && rel != IS_EQUAL && !holds) return WICK_RE_NONE;
    bool may_end = phase == AT_ZERO || phase == AT_INT || phase == AT_FRAC;
    return wick_re_num(p, def, phase | rel << 4 | pos << 8, 0, may_end && holds, false);
}

static wick_re compare_derive(wick_re_pool *p, const wick_re_node *x, uint8_t byte)
{
    const wick_num_def *f = &p->nums[x->a];
    uint32_t phase = x->b & 15, rel = x->b >> 4 & 15, pos = x->b >> 8;
    if (byte == '.') {
        if (f->whole || (phase != AT_ZERO && phase != AT_INT)) return WICK_RE_NONE;
        if (phase == AT_INT && pos < n_int(&f->d)) rel = IS_LESS;
        return compare_state(p, x->a, AT_POINT, rel, 0);
    }
    if (byte < '0' || byte > '9' || phase == AT_ZERO) return WICK_RE_NONE;
    int digit = byte - '0';
    if (phase == AT_START && digit == 0) return compare_state(p, x->a, AT_ZERO, IS_EQUAL, 0);
    bool frac = phase >= AT_POINT;
    int other = digit_at(&f->d, (int32_t)pos + (frac ? f->d.point : 0));
    if (rel == IS_EQUAL && digit != other) rel = digit < other ? IS_LESS : IS_MORE;
    return compare_state(p, x->a, frac ? AT_FRAC : AT_INT, rel, pos + 1);
}

static uint32_t add_def(wick_re_pool *p, const wick_num_def *d)
{
    for (uint32_t i = 0; i < p->n_nums; i++)
        if (memcmp(&p->nums[i], d, sizeof *d) == 0) return i;
    if (!wick_re_room(p, (void **)&p->nums, &p->cap_nums, (uint64_t)p->n_nums + 1, sizeof *p->nums)) return 0;
    p->nums[p->n_nums] = *d;
    return p->n_nums++;
}

/* Unsigned decimal texts without exponent that are op |d|. */
static wick_re compare(wick_re_pool *p, wick_num_op op, const wick_decimal *d, bool whole)
{
    wick_num_def f;
    memset(&f, 0, sizeof f);
    f.whole = whole;
    f.op = op;
    f.d = *d;
    f.d.negative = false;
    uint32_t def = add_def(p, &f);
    return p->why ? WICK_RE_NONE : wick_re_num(p, def, AT_START | IS_EQUAL << 4, 0, false, false);
}

/* ---- multiples ---- */
static uint64_t mul_mod(uint64_t a, uint64_t b, uint64_t m)
{
    __extension__ typedef unsigned __int128 u128;
    return (uint64_t)((u128)a * b % m);
}

static uint64_t pow10_u64(uint32_t n)
{
    uint64_t r = 1;
    while (n--) r *= 10;
    return r;
}

static wick_re multiple_state(wick_re_pool *p, uint32_t def, uint32_t phase, uint32_t pos, uint64_t rest)
{
    const wick_num_def *f = &p->nums[def];
    uint64_t ten = pow10_u64(f->scale - pos), end = mul_mod(rest, ten % f->mod, f->mod);
    bool may_end = phase == AT_ZERO || phase == AT_INT || phase == AT_FRAC;
    uint64_t missing = (f->mod - end) % f->mod; /* what the digits to come would have to add */
    bool plain = phase == AT_START || phase == AT_INT || missing < ten;
    if (!plain) return WICK_RE_NONE;
    return wick_re_num(p, def, phase | pos << 8, rest, may_end && end == 0, true);
}

static wick_re multiple_derive(wick_re_pool *p, const wick_re_node *x, uint8_t byte)
{
    const wick_num_def *f = &p->nums[x->a];
    uint32_t phase = x->b & 15, pos = x->b >> 8;
    uint64_t rest = (uint64_t)x->hi << 32 | x->lo;
    if (byte == '.') {
        if (phase != AT_ZERO && phase != AT_INT) return WICK_RE_NONE;
        return multiple_state(p, x->a, AT_POINT, 0, rest);
    }
    if (byte < '0' || byte > '9' || phase == AT_ZERO) return WICK_RE_NONE;
    uint64_t digit = byte - '0';
    if (phase == AT_START && digit == 0) return multiple_state(p, x->a, AT_ZERO, 0, 0);
    if (phase >= AT_POINT) {
        if (pos == f->scale) return digit ? WICK_RE_NONE : multiple_state(p, x->a, AT_FRAC, pos, rest);
        pos++;
    }
    rest = (mul_mod(rest, 10 % f->mod, f->mod) + digit % f->mod) % f->mod;
    return multiple_state(p, x->a, phase >= AT_POINT ? AT_FRAC : AT_INT, pos, rest);
}

wick_re wick_num_derive(wick_re_pool *p, const wick_re_node *x, uint8_t byte)
{
    return p->nums[x->a].multiple ? multiple_derive(p, x, byte) : compare_derive(p, x, byte);
}

/* ---- languages ---- */
static wick_re opt(wick_re_pool *p, wick_re r)
{
    return wick_re_rep(p, r, 0, 1);
}

static wick_re digits(wick_re_pool *p, uint32_t lo, uint32_t hi)
{
    return wick_re_rep(p, wick_re_bytes(p, '0', '9'), lo, hi);
}

static wick_re e_mark(wick_re_pool *p)
{
    return wick_re_or2(p, wick_re_byte(p, 'e'), wick_re_byte(p, 'E'));
}

/* Digits of an exponent up to 307: a double holds it. */
static wick_re e_digits(wick_re_pool *p)
{
    wick_re big = wick_re_cat(p, wick_re_bytes(p, '1', '2'), digits(p, 2, 2));
    wick_re last = wick_re_cat(p, wick_re_lit(p, "30", 2), wick_re_bytes(p, '0', '7'));
    return wick_re_or(p, (wick_re[]){digits(p, 1, 2), big, last}, 3);
}

static wick_re exponent(wick_re_pool *p)
{
    wick_re sign = wick_re_or2(p, wick_re_byte(p, '+'), wick_re_byte(p, '-'));
    return wick_re_cat(p, e_mark(p), wick_re_cat(p, opt(p, sign), e_digits(p)));
}

static wick_re fraction(wick_re_pool *p) /* .ddd */
{
    return wick_re_cat(p, wick_re_byte(p, '.'), digits(p, 1, WICK_RE_INF));
}

static wick_re zeros(wick_re_pool *p) /* .000 */
{
    return wick_re_cat(p, wick_re_byte(p, '.'), wick_re_rep(p, wick_re_byte(p, '0'), 1, WICK_RE_INF));
}

static wick_re zero(wick_re_pool *p)
{
    return wick_re_cat(p, wick_re_byte(p, '0'), wick_re_cat(p, opt(p, zeros(p)), opt(p, exponent(p))));
}

static wick_re natural(wick_re_pool *p) /* 1 and more, whole */
{
    return wick_re_cat(p, wick_re_bytes(p, '1', '9'), digits(p, 0, WICK_RE_INF));
}

static wick_re nonzero(wick_re_pool *p) /* unsigned */
{
    wick_re small = wick_re_cat(p, wick_re_rep(p, wick_re_byte(p, '0'), 0, WICK_RE_INF), natural(p));
    wick_re a = wick_re_cat(p, natural(p), opt(p, fraction(p)));
    wick_re b = wick_re_cat(p, wick_re_lit(p, "0.", 2), small);
    return wick_re_cat(p, wick_re_or2(p, a, b), opt(p, exponent(p)));
}

static wick_re minus(wick_re_pool *p, wick_re r)
{
    return wick_re_cat(p, wick_re_byte(p, '-'), r);
}

wick_re wick_num_any(wick_re_pool *p)
{
    wick_re whole = wick_re_or2(p, wick_re_byte(p, '0'), natural(p));
    wick_re r = wick_re_cat(p, whole, wick_re_cat(p, opt(p, fraction(p)), opt(p, exponent(p))));
    return wick_re_cat(p, opt(p, wick_re_byte(p, '-')), r);
}

wick_re wick_num_integer(wick_re_pool *p)
{
    wick_re whole = wick_re_or2(p, wick_re_byte(p, '0'), natural(p));
    wick_re up = wick_re_cat(p, e_mark(p), wick_re_cat(p, opt(p, wick_re_byte(p, '+')), e_digits(p)));
    wick_re r = wick_re_cat(p, whole, wick_re_cat(p, opt(p, zeros(p)), opt(p, up)));
    return wick_re_cat(p, opt(p, wick_re_byte(p, '-')), r);
}

/* Exponents (with their mark) below, at or above n: rel -1, 0, 1. */
static wick_re exponents(wick_re_pool *p, int rel, int32_t n)
{
    wick_decimal d;
    char text[16];
    int len = snprintf(text, sizeof text, "%d", n < 0 ? -n : n);
    bool ok = wick_decimal_parse(&d, text, (size_t)len);
    (void)ok; /* four digits at most */
    wick_re lead = wick_re_rep(p, wick_re_byte(p, '0'), 0, 1), known = e_digits(p);
    wick_re plus = opt(p, wick_re_byte(p, '+')), pos = WICK_RE_NONE, neg = WICK_RE_NONE;
    wick_re lt = compare(p, NUM_LT, &d, true), gt = compare(p, NUM_GT, &d, true);
    wick_re eq = wick_re_cat(p, lead, wick_re_lit(p, text, (size_t)len));
    lt = wick_re_and2(p, known, wick_re_cat(p, lead, lt));
    gt = wick_re_and2(p, known, wick_re_cat(p, lead, gt));
    if (rel == 0) {
        if (n >= 0) pos = eq;
        if (n <= 0) neg = eq;
    } else if (n >= 0) {
        pos = rel < 0 ? lt : gt;
        if (rel < 0) neg = n > 0 ? known : wick_re_and2(p, known, wick_re_cat(p, lead, natural(p)));
    } else {
        neg = rel < 0 ? gt : lt;
        if (rel > 0) pos = known;
    }
    return wick_re_cat(p, e_mark(p), wick_re_or2(p, wick_re_cat(p, plus, pos), minus(p, neg)));
}

/* Unsigned texts op |d|, d not zero: plain decimals, and d.ddde+dd where the mantissa is between 1 and 10. */
static wick_re unsigned_bound(wick_re_pool *p, wick_num_op op, const wick_decimal *d)
{
    bool less = op == NUM_LT || op == NUM_LE;
    wick_decimal m = *d;
    m.point = 1;
    wick_re one = wick_re_cat(p, wick_re_bytes(p, '1', '9'), opt(p, fraction(p)));
    wick_re same = wick_re_and2(p, one, compare(p, op, &m, false));
    wick_re sci = wick_re_or2(p, wick_re_cat(p, one, exponents(p, less ? -1 : 1, d->point - 1)),
                              wick_re_cat(p, same, exponents(p, 0, d->point - 1)));
    wick_re r = wick_re_or2(p, compare(p, op, d, false), sci);
    return less ? wick_re_or2(p, r, zero(p)) : r;
}

wick_re wick_num_bound(wick_re_pool *p, wick_num_op op, const wick_decimal *d)
{
    bool less = op == NUM_LT || op == NUM_LE, strict = op == NUM_LT || op == NUM_GT;
    wick_re any = wick_re_or2(p, zero(p), nonzero(p));
    if (d->n == 0) {
        wick_re z = strict ? WICK_RE_NONE : wick_re_or2(p, zero(p), minus(p, zero(p)));
        return wick_re_or2(p, z, less ? minus(p, nonzero(p)) : nonzero(p));
    }
    if (!d->negative) {
        wick_re r = unsigned_bound(p, op, d);
        return less ? wick_re_or2(p, r, minus(p, any)) : r;
    }
    static const wick_num_op mirrored[] = {[NUM_LT] = NUM_GT, [NUM_LE] = NUM_GE, [NUM_GE] = NUM_LE, [NUM_GT] = NUM_LT};
    wick_re r = minus(p, unsigned_bound(p, mirrored[op], d));
    return less ? r : wick_re_or2(p, r, any);
}

wick_re wick_num_equal(wick_re_pool *p, const wick_decimal *d)
{
    if (d->n == 0) return wick_re_cat(p, opt(p, wick_re_byte(p, '-')), zero(p));
    wick_re zs = wick_re_rep(p, wick_re_byte(p, '0'), 0, WICK_RE_INF), r = WICK_RE_EPS, m = WICK_RE_EPS;
    uint32_t ints = n_int(d), fracs = n_frac(d);
    if (fracs) {
        r = zs;
        for (uint32_t i = fracs; i-- > 0;)
            r = wick_re_cat(p, wick_re_byte(p, (uint8_t)('0' + digit_at(d, (int32_t)i + d->point))), r);
        r = wick_re_cat(p, wick_re_byte(p, '.'), r);
    } else {
        r = opt(p, zeros(p));
    }
    if (!ints) r = wick_re_cat(p, wick_re_byte(p, '0'), r);
    for (uint32_t i = ints; i-- > 0;) r = wick_re_cat(p, wick_re_byte(p, (uint8_t)('0' + digit_at(d, (int32_t)i))), r);
    if (d->n > 1) {
        m = zs;
        for (uint32_t i = d->n; i-- > 1;) m = wick_re_cat(p, wick_re_byte(p, (uint8_t)('0' + d->digit[i])), m);
        m = wick_re_cat(p, wick_re_byte(p, '.'), m);
    } else {
        m = opt(p, zeros(p));
    }
    m = wick_re_cat(p, wick_re_byte(p, (uint8_t)('0' + d->digit[0])), m);
    r = wick_re_or2(p, r, wick_re_cat(p, m, exponents(p, 0, d->point - 1)));
    return d->negative ? minus(p, r) : r;
}

wick_re wick_num_multiple(wick_re_pool *p, const wick_decimal *d)
{
    wick_num_def f;
    memset(&f, 0, sizeof f);
    f.multiple = true;
    int32_t scale = (int32_t)d->n - d->point;
    if (d->n == 0 || d->n > 17 || scale > 17 || (scale < 0 && d->point > 17)) return WICK_RE_NONE;
    for (uint32_t i = 0; i < d->n; i++) f.mod = f.mod * 10 + (uint64_t)d->digit[i];
    if (scale < 0) f.mod *= pow10_u64((uint32_t)-scale);
    f.scale = scale > 0 ? (uint32_t)scale : 0;
    uint32_t def = add_def(p, &f);
    if (p->why) return WICK_RE_NONE;
    wick_re r = multiple_state(p, def, AT_START, 0, 0);
    for (uint32_t up = 0; up <= 17;
         up++) { /* every integer times 10^up is one, where the divisor is of twos and fives */
        if (mul_mod(1, pow10_u64(up) % f.mod, f.mod) != 0) continue;
        wick_re whole = wick_re_cat(p, natural(p), opt(p, zeros(p)));
        r = wick_re_or2(p, r, wick_re_cat(p, whole, exponents(p, 1, up > f.scale ? (int32_t)(up - f.scale) - 1 : -1)));
        break;
    }
    return wick_re_or2(p, r, wick_re_cat(p, wick_re_byte(p, '-'), r));
}
