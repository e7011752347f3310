/* grammar/pattern_parse.c - reads the text of a regular expression. Recursion is bounded; every refusal names its
 * place. */
#include "grammar/pattern_int.h"
#include <stdio.h>

typedef struct reader {
    wick_re_pool *p;
    wick_arena *a;
    const char *s, *where;
    size_t n, at;
    wick_pattern_kind kind;
    bool icase, dotall;
    uint32_t depth;
    wick_err *err;
} reader;

static wick_status parse_alt(reader *r, wick_pat **out);

static wick_status bad(const reader *r, const char *why)
{
    return wick_pattern_bad(r->where, r->s, r->n, r->at, why, r->err);
}

static bool more(const reader *r)
{
    return r->at < r->n;
}

static bool see(const reader *r, const char *lit)
{
    size_t n = strlen(lit);
    return r->n - r->at >= n && memcmp(r->s + r->at, lit, n) == 0;
}

static bool eat(reader *r, const char *lit)
{
    if (!see(r, lit)) return false;
    r->at += strlen(lit);
    return true;
}

static wick_pat *node(reader *r, pat_kind kind)
{
    wick_pat *t = wick_arena_alloc(r->a, sizeof *t);
    if (!t) {
        wick_re_fail(r->p, "memory");
        return NULL;
    }
    t->kind = kind;
    t->plain = kind != PAT_START && kind != PAT_END && kind != PAT_LOOK;
    return t;
}

/* Takes the set. */
static wick_status chars(reader *r, wick_cps *c, bool invert, wick_pat **out)
{
    if (r->icase) wick_cps_fold(c);
    if (invert)
        wick_cps_invert(c);
    else
        wick_cps_tidy(c);
    *out = node(r, PAT_CHARS);
    if (c->failed) wick_re_fail(r->p, "memory");
    if (*out && !r->p->why) (*out)->chars = wick_re_chars(r->p, c->v, c->n);
    wick_cps_release(c);
    return r->p->why ? wick_re_failed(r->p, r->err) : WICK_OK;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool hex_digits(reader *r, size_t n, uint32_t *out)
{
    if (r->n - r->at < n) return false;
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        int d = hex(r->s[r->at + i]);
        if (d < 0) return false;
        *out = *out << 4 | (uint32_t)d;
    }
    r->at += n;
    return true;
}

/* {10FFFF} */
static bool braced(reader *r, uint32_t *out)
{
    size_t from = r->at;
    if (!eat(r, "{")) return false;
    for (*out = 0; more(r) && hex(r->s[r->at]) >= 0 && *out <= 0x10FFFF; r->at++)
        *out = *out << 4 | (uint32_t)hex(r->s[r->at]);
    if (r->at > from + 1 && eat(r, "}") && *out <= 0x10FFFF) return true;
    r->at = from;
    return false;
}

/* \u, \x: after the letter. */
static wick_status code(reader *r, char letter, uint32_t *out)
{
    uint32_t low;
    if (braced(r, out)) return WICK_OK;
    if (!hex_digits(r, letter == 'x' ? 2 : 4, out)) return bad(r, "expected hexadecimal digits");
    size_t from = r->at;
    if (*out >= 0xD800 && *out < 0xDC00 && eat(r, "\\u")) {
        if (hex_digits(r, 4, &low) && low >= 0xDC00 && low < 0xE000)
            *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
        else
            r->at = from;
    }
    return WICK_OK;
}

static wick_status property(reader *r, bool negated, wick_cps *c)
{
    const char *name = r->s + r->at;
    size_t n = 1;
    if (!more(r)) return bad(r, "expected a category");
    if (*name == '{') {
        const char *end = memchr(name, '}', r->n - r->at);
        if (!end) return bad(r, "expected } after the category");
        n = (size_t)(end - name) - 1;
        r->at += n + 2;
        name++;
        if (n && *name == '^') negated = !negated, name++, n--;
    } else {
        r->at++;
    }
    if (!wick_cps_add_category(c, name, n, negated)) return bad(r, "this Unicode property is not supported");
    return WICK_OK;
}

/* After a backslash: adds to c, and says the one character in *cp (UINT32_MAX: a class). */
static wick_status escape(reader *r, bool in_class, wick_cps *c, uint32_t *cp)
{
    static const char from[] = "tnrfva0", to[] = "\t\n\r\f\v\a";
    if (!more(r)) return bad(r, "a backslash at the end");
    char e = r->s[r->at];
    *cp = UINT32_MAX;
    if (wick_cps_add_class(c, e, r->kind)) {
        r->at++;
        return WICK_OK;
    }
    const char *simple = strchr(from, e);
    if (e == 'p' || e == 'P') {
        r->at++;
        return property(r, e == 'P', c);
    }
    if (e == 'x' || e == 'u') {
        r->at++;
        WICK_TRY(code(r, e, cp));
    } else if (e == 'c' && r->n - r->at > 1) {
        *cp = (uint32_t)r->s[r->at + 1] & 31;
        r->at += 2;
    } else if (e == 'b' && in_class) {
        *cp = 8;
        r->at++;
    } else if (e == 'b' || e == 'B') {
        return bad(r, "word boundaries are not supported");
    } else if ((e >= '1' && e <= '9') || e == 'k') {
        return bad(r, "backreferences are not supported");
    } else if (e && simple) {
        *cp = e == '0' ? 0 : (uint32_t)to[simple - from];
        r->at++;
    } else if ((e | 0x20) >= 'a' && (e | 0x20) <= 'z') {
        return bad(r, "this escape is not supported");
    } else {
        r->at += wick_utf8_next(r->s + r->at, r->n - r->at, cp);
    }
    if (*cp == UINT32_MAX) return bad(r, "invalid UTF-8");
    wick_cps_add(c, *cp, *cp);
    return WICK_OK;
}

static bool posix_class(reader *r, wick_cps *c)
{
    static const struct {
        const char *name, *ranges;
    } known[] = {{"alnum", "09AZaz"},  {"alpha", "AZaz"},   {"digit", "09"},      {"lower", "az"},
                 {"upper", "AZ"},      {"space", "\t\r  "}, {"xdigit", "09AFaf"}, {"punct", "!/:@[`{~"},
                 {"word", "09AZ__az"}, {"blank", "\t\t  "}, {"print", " ~"},      {"graph", "!~"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char text[16];
        bool negated = see(r, "[:^");
        snprintf(text, sizeof text, "[:%s%s:]", negated ? "^" : "", known[i].name);
        if (!eat(r, text)) continue;
        wick_cps x = {0};
        for (const char *q = known[i].ranges; *q; q += 2) wick_cps_add(&x, (uint32_t)q[0], (uint32_t)q[1]);
        if (negated) wick_cps_invert(&x);
        for (uint32_t k = 0; k < x.n; k++) wick_cps_add(c, x.v[k].lo, x.v[k].hi);
        wick_cps_release(&x);
        return true;
    }
    return false;
}

static wick_status class_item(reader *r, wick_cps *c, uint32_t *cp)
{
    if (eat(r, "\\")) return escape(r, true, c, cp);
    r->at += wick_utf8_next(r->s + r->at, r->n - r->at, cp);
    if (*cp == UINT32_MAX) return bad(r, "invalid UTF-8");
    wick_cps_add(c, *cp, *cp);
    return WICK_OK;
}

static wick_status class_body(reader *r, wick_cps *c)
{
    bool first = true;
    for (;; first = false) {
        if (!more(r)) return bad(r, "expected ] after the class");
        if (r->s[r->at] == ']' && (!first || r->kind == WICK_PATTERN_ECMA)) break;
        if (r->kind == WICK_PATTERN_RE2 && see(r, "[:") && posix_class(r, c)) continue;
        uint32_t lo, hi;
        WICK_TRY(class_item(r, c, &lo));
        if (lo == UINT32_MAX || r->n - r->at < 2 || r->s[r->at] != '-' || r->s[r->at + 1] == ']') continue;
        r->at++;
        wick_cps scratch = {0};
        wick_status st = class_item(r, &scratch, &hi);
        wick_cps_release(&scratch);
        WICK_TRY(st);
        if (hi == UINT32_MAX || hi < lo) return bad(r, "a range that ends before it begins");
        wick_cps_add(c, lo, hi);
    }
    r->at++;
    return WICK_OK;
}

static wick_status parse_class(reader *r, wick_pat **out)
{
    wick_cps c = {0};
    bool invert = eat(r, "^");
    wick_status st = class_body(r, &c);
    if (st != WICK_OK) {
        wick_cps_release(&c);
        return st;
    }
    return chars(r, &c, invert, out);
}

/* (?ims-ims) and (?ims: ; true where the group goes on after a colon. */
static wick_status flags(reader *r, bool *group)
{
    bool on = true;
    for (; more(r); r->at++) {
        char f = r->s[r->at];
        if (f == '-')
            on = false;
        else if (f == 'i')
            r->icase = on;
        else if (f == 's')
            r->dotall = on;
        else if (f == ':' || f == ')')
            break;
        else
            return bad(r, "this flag is not supported");
    }
    if (!more(r)) return bad(r, "expected ) after the group");
    *group = r->s[r->at++] == ':';
    return WICK_OK;
}

static wick_status parse_group(reader *r, wick_pat **out)
{
    bool icase = r->icase, dotall = r->dotall, group = true;
    pat_kind kind = PAT_CAT;
    bool negated = false;
    if (eat(r, "?="))
        kind = PAT_LOOK;
    else if (eat(r, "?!"))
        kind = PAT_LOOK, negated = true;
    else if (see(r, "?<=") || see(r, "?<!"))
        return bad(r, "lookbehind is not supported");
    else if (eat(r, "?P<") || eat(r, "?<")) {
        while (more(r) && r->s[r->at] != '>') r->at++;
        if (!eat(r, ">")) return bad(r, "expected > after the group's name");
    } else if (see(r, "?>") || see(r, "?(") || see(r, "?P") || see(r, "?#")) {
        return bad(r, "this kind of group is not supported");
    } else if (eat(r, "?")) {
        WICK_TRY(flags(r, &group));
        if (!group) { /* until the end of the group around it */
            *out = node(r, PAT_EMPTY);
            return *out ? WICK_OK : wick_re_failed(r->p, r->err);
        }
    }
    wick_pat *inner = NULL;
    WICK_TRY(parse_alt(r, &inner));
    if (!eat(r, ")")) return bad(r, "expected )");
    r->icase = icase;
    r->dotall = dotall;
    *out = inner;
    if (kind != PAT_LOOK) return WICK_OK;
    *out = node(r, PAT_LOOK);
    if (!*out) return wick_re_failed(r->p, r->err);
    (*out)->child = inner;
    (*out)->negated = negated;
    return WICK_OK;
}

static wick_status parse_dot(reader *r, wick_pat **out)
{
    wick_cps c = {0};
    if (!r->dotall) {
        wick_cps_add(&c, '\n', '\n');
        if (r->kind == WICK_PATTERN_ECMA) {
            wick_cps_add(&c, '\r', '\r');
            wick_cps_add(&c, 0x2028, 0x2029);
        }
    }
    bool icase = r->icase;
    r->icase = false;
    wick_status st = chars(r, &c, true, out);
    r->icase = icase;
    return st;
}

static wick_status parse_atom(reader *r, wick_pat **out)
{
    wick_cps c = {0};
    uint32_t cp;
    pat_kind anchor = PAT_EMPTY;
    if (eat(r, "(")) return parse_group(r, out);
    if (eat(r, "[")) return parse_class(r, out);
    if (eat(r, ".")) return parse_dot(r, out);
    if (eat(r, "^") || eat(r, "\\A"))
        anchor = PAT_START;
    else if (eat(r, "$") || eat(r, "\\z") || eat(r, "\\Z"))
        anchor = PAT_END;
    if (anchor != PAT_EMPTY) {
        *out = node(r, anchor);
        return *out ? WICK_OK : wick_re_failed(r->p, r->err);
    }
    if (strchr("*+?", r->s[r->at]) && r->s[r->at]) return bad(r, "nothing to repeat");
    wick_status st = WICK_OK;
    if (eat(r, "\\")) {
        st = escape(r, false, &c, &cp);
    } else {
        r->at += wick_utf8_next(r->s + r->at, r->n - r->at, &cp);
        if (cp == UINT32_MAX)
            st = bad(r, "invalid UTF-8");
        else
            wick_cps_add(&c, cp, cp);
    }
    if (st != WICK_OK) {
        wick_cps_release(&c);
        return st;
    }
    return chars(r, &c, false, out);
}

/* {2}, {2,}, {2,5}, and {,5} of Python; anything else is text. */
static bool counts(reader *r, uint32_t *lo, uint32_t *hi)
{
    size_t from = r->at;
    uint64_t a = 0, b = 0;
    size_t i = from + 1, digits = i;
    for (; i < r->n && r->s[i] >= '0' && r->s[i] <= '9' && a <= UINT32_MAX; i++) a = a * 10 + (uint64_t)(r->s[i] - '0');
    if (i == digits) return false;
    b = a;
    if (i < r->n && r->s[i] == ',') {
        digits = ++i;
        for (b = 0; i < r->n && r->s[i] >= '0' && r->s[i] <= '9' && b <= UINT32_MAX; i++)
            b = b * 10 + (uint64_t)(r->s[i] - '0');
        if (i == digits) b = WICK_RE_INF;
    }
    if (i >= r->n || r->s[i] != '}') return false;
    r->at = i + 1;
    *lo = a > UINT32_MAX ? UINT32_MAX : (uint32_t)a;
    *hi = b > UINT32_MAX ? UINT32_MAX : (uint32_t)b;
    return true;
}

static wick_status parse_repeat(reader *r, wick_pat **out)
{
    WICK_TRY(parse_atom(r, out));
    for (int times = 0; more(r); times++) {
        uint32_t lo = 0, hi = WICK_RE_INF;
        if (r->s[r->at] == '{') {
            if (!counts(r, &lo, &hi)) return WICK_OK;
            if (lo > hi) return bad(r, "a repeat whose maximum is below its minimum");
            if (lo > WICK_PATTERN_MAX_REPEAT) return bad(r, "a repeat of more than 1,000,000,000");
        } else if (eat(r, "?")) {
            hi = 1;
        } else if (eat(r, "+")) {
            lo = 1;
        } else if (!eat(r, "*")) {
            return WICK_OK;
        }
        if (times) return bad(r, "a repeat of a repeat");
        if (!eat(r, "?") && see(r, "+")) return bad(r, "possessive repeats are not supported");
        wick_pat *t = node(r, PAT_REP);
        if (!t) return wick_re_failed(r->p, r->err);
        t->lo = lo;
        t->hi = hi;
        t->child = *out;
        t->plain = (*out)->plain;
        *out = t;
    }
    return WICK_OK;
}

static wick_status parse_cat(reader *r, wick_pat **out)
{
    wick_pat *t = node(r, PAT_CAT), **end;
    if (!t) return wick_re_failed(r->p, r->err);
    end = &t->child;
    while (more(r) && r->s[r->at] != '|' && r->s[r->at] != ')') {
        WICK_TRY(parse_repeat(r, end));
        t->plain &= (*end)->plain;
        while (*end) end = &(*end)->next;
    }
    *out = t;
    return WICK_OK;
}

static wick_status parse_alt(reader *r, wick_pat **out)
{
    wick_pat *t = node(r, PAT_ALT), **end;
    if (!t) return wick_re_failed(r->p, r->err);
    if (++r->depth > WICK_PATTERN_MAX_NEST) return bad(r, "nested too deeply");
    end = &t->child;
    do {
        WICK_TRY(parse_cat(r, end));
        t->plain &= (*end)->plain;
        end = &(*end)->next;
    } while (eat(r, "|"));
    r->depth--;
    *out = t->child->next ? t : t->child;
    return WICK_OK;
}

wick_status wick_pattern_parse(wick_re_pool *p, wick_arena *a, const char *s, size_t n, wick_pattern_kind kind,
                               unsigned fl, const char *where, wick_pat **out, wick_err *err)
{
    reader r = {.p = p,
                .a = a,
                .s = s,
                .n = n,
                .kind = kind,
                .where = where,
                .icase = fl & WICK_PATTERN_ICASE,
                .dotall = fl & WICK_PATTERN_DOTALL,
                .err = err};
    if (n > WICK_PATTERN_MAX_BYTES) return bad(&r, "longer than 1 MiB");
    WICK_TRY(parse_alt(&r, out));
    if (more(&r)) return bad(&r, "a ) without its (");
    return WICK_OK;
}
