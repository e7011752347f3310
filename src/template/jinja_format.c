/* template/jinja_format.c - "..." % args, "...".format(args) and HTML escaping. */
#include "template/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIELD_MAX = 1 << 20 }; /* widest field, most digits: memory limits would stop a wider one anyway */

jv wick_jv_escape(jrt *rt, jv v)
{
    const jv_str *s = wick_jv_tostr(rt, v);
    if (v.t == JV_STR && v.markup) return v;
    size_t mark = rt->w.n;
    for (size_t i = 0; i < s->n && wick_jv_step(rt, (i & 63) == 0); i++) {
        switch (s->p[i]) {
        case '&': wick_buf_puts(&rt->w, "&amp;"); break;
        case '<': wick_buf_puts(&rt->w, "&lt;"); break;
        case '>': wick_buf_puts(&rt->w, "&gt;"); break;
        case '"': wick_buf_puts(&rt->w, "&#34;"); break;
        case '\'': wick_buf_puts(&rt->w, "&#39;"); break;
        default: wick_buf_putc(&rt->w, s->p[i]);
        }
    }
    jv r = wick_jv_take(rt, mark);
    if (jv_is_str(r)) r.markup = true;
    return r;
}

typedef struct spec {
    const char *fill;
    unsigned fill_n;
    char align, sign, type, group;
    bool alt, zero;
    int64_t width, prec; /* -1: not given */
} spec;

static void put_fill(jrt *rt, const spec *f, int64_t n)
{
    for (; n > 0 && wick_jv_step(rt, 1) && !rt->w.failed; n--) wick_buf_add(&rt->w, f->fill, f->fill_n);
}

/* text (a sign of head bytes first) in the field */
static void put_field(jrt *rt, const spec *f, const char *text, size_t n, size_t head, char def_align)
{
    int64_t pad = f->width - (int64_t)wick_jv_count_cp(text, n), left = 0;
    char align = f->align ? f->align : def_align;
    if (pad < 0) pad = 0;
    if (align == '>')
        left = pad;
    else if (align == '^')
        left = pad / 2;
    if (align == '=') {
        wick_buf_add(&rt->w, text, head);
        put_fill(rt, f, pad);
        wick_buf_add(&rt->w, text + head, n - head);
        return;
    }
    put_fill(rt, f, left);
    wick_buf_add(&rt->w, text, n);
    put_fill(rt, f, pad - left);
}

static void put_text(jrt *rt, const spec *f, const jv_str *s)
{
    size_t n = s->n;
    if (f->prec >= 0 && (uint64_t)f->prec < s->n_cp) n = wick_jv_byte_at(s, (size_t)f->prec);
    put_field(rt, f, s->p, n, 0, '<');
}

/* Digits of |i| in base, written backwards from end; returns the start. */
static char *int_digits(int64_t i, unsigned base, bool upper, char *end)
{
    uint64_t u = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    do *--end = (upper ? "0123456789ABCDEF" : "0123456789abcdef")[u % base];
    while (u /= base);
    return end;
}

static void put_number(jrt *rt, const spec *f, const char *digits, size_t n, bool neg, const char *prefix)
{
    wick_buf b;
    wick_buf_init(&b, FIELD_MAX + 512);
    if (neg)
        wick_buf_putc(&b, '-');
    else if (f->sign == '+' || f->sign == ' ')
        wick_buf_putc(&b, f->sign);
    wick_buf_puts(&b, prefix);
    size_t head = b.n, whole = 0;
    while (whole < n && digits[whole] != '.' && digits[whole] != 'e' && digits[whole] != 'E') whole++;
    for (size_t i = 0; i < n; i++) {
        if (f->group && i && i < whole && (whole - i) % 3 == 0) wick_buf_putc(&b, f->group);
        wick_buf_putc(&b, digits[i]);
    }
    if (b.failed)
        (void)wick_jv_raise(rt, "a formatted number is too long");
    else
        put_field(rt, f, wick_buf_str(&b), b.n, head, f->zero && !f->align ? '=' : '>');
    wick_buf_release(&b);
}

static void put_int(jrt *rt, const spec *f, int64_t i)
{
    char digits[80];
    unsigned base = 10;
    const char *prefix = "";
    switch (f->type) {
    case 'x':
        base = 16;
        prefix = "0x";
        break;
    case 'X':
        base = 16;
        prefix = "0X";
        break;
    case 'o':
        base = 8;
        prefix = "0o";
        break;
    case 'b':
        base = 2;
        prefix = "0b";
        break;
    default: break;
    }
    char *p = int_digits(i, base, f->type == 'X', digits + sizeof(digits));
    put_number(rt, f, p, (size_t)(digits + sizeof(digits) - p), i < 0, f->alt && base != 10 ? prefix : "");
}

static void put_double(jrt *rt, const spec *f, double x, bool percent)
{
    char fmt[16], *text;
    bool neg = signbit(x) && !isnan(x);
    int64_t prec = f->prec < 0 ? 6 : f->prec;
    if (prec > 1000) {
        (void)wick_jv_raise(rt, "the precision of a number is too large");
        return;
    }
    char type = percent ? 'f' : f->type;
    if (!isfinite(x)) {
        const char *word = isnan(x) ? "nan" : "inf";
        spec plain = *f;
        plain.zero = plain.zero && false;
        plain.group = 0;
        put_number(rt, &plain, word, 3, neg, "");
        return;
    }
    if (percent) x *= 100;
    (void)snprintf(fmt, sizeof(fmt), f->alt ? "%%#.*%c" : "%%.*%c", type);
    text = wick_jv_alloc(rt, 400 + (size_t)prec);
    if (!text) return;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int n = snprintf(text, 400 + (size_t)prec, fmt, (int)prec, fabs(x));
#pragma GCC diagnostic pop
    if (percent) text[n++] = '%';
    put_number(rt, f, text, (size_t)n, neg, "");
}

/* --- the % operator ----------------------------------------------------------------------------------------------- */
typedef struct percent {
    jrt *rt;
    jv args;
    size_t next; /* of a tuple */
    bool used_map;
} percent;

static jv next_arg(percent *p)
{
    if (p->args.t != JV_TUPLE && p->next == 0) {
        p->next = 1;
        return p->args;
    }
    if (p->args.t == JV_TUPLE && p->next < p->args.u.l->n) return p->args.u.l->v[p->next++];
    return wick_jv_raise(p->rt, "not enough arguments for format string");
}

static int64_t read_number(const jv_str *s, size_t *i)
{
    int64_t n = 0;
    for (; *i < s->n && s->p[*i] >= '0' && s->p[*i] <= '9'; (*i)++)
        if (n <= FIELD_MAX) n = n * 10 + (s->p[*i] - '0');
    return n;
}

static int64_t star_or_number(percent *p, const jv_str *s, size_t *i)
{
    int64_t n = 0;
    if (*i < s->n && s->p[*i] == '*') {
        (*i)++;
        if (!wick_jv_as_int(next_arg(p), &n)) (void)wick_jv_raise(p->rt, "* wants an integer");
        return n;
    }
    return read_number(s, i);
}

static bool read_key(percent *p, const jv_str *s, size_t *i, jv *v)
{
    size_t from = *i + 1, to = from;
    int depth = 1;
    while (to < s->n && !(s->p[to] == ')' && --depth == 0)) depth += s->p[to++] == '(';
    if (to >= s->n) return wick_jv_raise(p->rt, "incomplete format key"), false;
    if (p->args.t != JV_DICT) return wick_jv_raise(p->rt, "format requires a mapping"), false;
    const jv *hit = wick_jv_dict_get_str(p->args.u.d, s->p + from, to - from);
    if (!hit)
        return wick_jv_raise(p->rt, "the mapping has no key '%.*s'", (int)(to - from > 60 ? 60 : to - from),
                             s->p + from),
               false;
    *v = *hit;
    *i = to + 1;
    p->used_map = true;
    return true;
}

static void percent_value(percent *p, spec *f, jv v)
{
    jrt *rt = p->rt;
    int64_t i = 0;
    double x;
    size_t mark = rt->w.n;
    switch (f->type) {
    case 's':
    case 'r':
    case 'a':
        if (f->type != 's') {
            wick_jv_write_repr(rt, v);
            v = wick_jv_take(rt, mark);
        }
        if (!f->align) f->align = '>';
        put_text(rt, f, wick_jv_tostr(rt, v));
        return;
    case 'c':
        if (v.t == JV_INT && v.u.i >= 0 && v.u.i <= 0x10FFFF) {
            wick_buf_utf8(&rt->w, (uint32_t)v.u.i);
            v = wick_jv_take(rt, mark);
        }
        if (v.t != JV_STR || v.u.s->n_cp != 1) {
            (void)wick_jv_raise(rt, "%%c requires an integer or one character");
            return;
        }
        if (!f->align) f->align = '>';
        put_text(rt, f, v.u.s);
        return;
    case 'd':
    case 'i':
    case 'u':
        if (v.t == JV_FLOAT && fabs(v.u.f) < 9e18) v = jv_int((int64_t)v.u.f);
        /* fallthrough */
    case 'x':
    case 'X':
    case 'o':
        if (!wick_jv_as_int(v, &i)) {
            (void)wick_jv_raise(rt, "%%%c format: a number is required, not %s", f->type, wick_jv_type_name(v));
            return;
        }
        put_int(rt, f, i);
        return;
    case 'e':
    case 'E':
    case 'f':
    case 'F':
    case 'g':
    case 'G':
        if (!wick_jv_as_double(v, &x)) {
            (void)wick_jv_raise(rt, "must be a real number, not %s", wick_jv_type_name(v));
            return;
        }
        put_double(rt, f, x, false);
        return;
    default: (void)wick_jv_raise(rt, "unsupported format character '%c'", f->type);
    }
}

static void percent_one(percent *p, const jv_str *s, size_t *i)
{
    spec f = {.fill = " ", .fill_n = 1, .prec = -1};
    jv v = jv_make(JV_MISSING);
    if (*i < s->n && s->p[*i] == '(' && !read_key(p, s, i, &v)) return;
    bool left = false;
    for (; *i < s->n && strchr("#0- +", s->p[*i]) && s->p[*i]; (*i)++) {
        char c = s->p[*i];
        if (c == '#')
            f.alt = true;
        else if (c == '0')
            f.zero = true;
        else if (c == '-')
            left = true;
        else if (f.sign != '+')
            f.sign = c;
    }
    f.width = star_or_number(p, s, i);
    if (f.width < 0) {
        left = true;
        f.width = -f.width;
    }
    if (*i < s->n && s->p[*i] == '.') {
        (*i)++;
        f.prec = star_or_number(p, s, i);
        if (f.prec < 0) f.prec = 0;
    }
    while (*i < s->n && strchr("hlL", s->p[*i]) && s->p[*i]) (*i)++;
    if (*i >= s->n) {
        (void)wick_jv_raise(p->rt, "incomplete format");
        return;
    }
    f.type = s->p[(*i)++];
    if (f.type == '%') {
        wick_buf_putc(&p->rt->w, '%');
        return;
    }
    if (left)
        f.align = '<';
    else if (f.zero && strchr("diuxXoeEfFgG", f.type))
        f.fill = "0";
    if (left) f.zero = false;
    if (!jv_given(v)) v = next_arg(p);
    if (f.width > FIELD_MAX || f.prec > FIELD_MAX) (void)wick_jv_raise(p->rt, "a field is wider than %d", FIELD_MAX);
    if (!p->rt->failed) percent_value(p, &f, v);
}

jv wick_jv_percent(jrt *rt, const jv_str *fmt, jv args)
{
    percent p = {.rt = rt, .args = args};
    size_t mark = rt->w.n;
    for (size_t i = 0; i < fmt->n && wick_jv_step(rt, 1);) {
        if (fmt->p[i++] == '%')
            percent_one(&p, fmt, &i);
        else
            wick_buf_putc(&rt->w, fmt->p[i - 1]);
    }
    bool left = args.t == JV_TUPLE ? p.next < args.u.l->n
                                   : p.next == 0 && args.t != JV_DICT && args.t != JV_LIST && args.t != JV_UNDEF;
    if (left && !rt->failed) return wick_jv_raise(rt, "not all arguments converted during string formatting");
    return wick_jv_take(rt, mark);
}

/* --- str.format --------------------------------------------------------------------------------------------------- */
typedef struct formatter {
    jrt *rt;
    const jargs *a;
    uint32_t next;
    bool automatic, manual;
} formatter;

static void format_text(formatter *f, const char *p, size_t n, unsigned depth);

static bool all_digits(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] < '0' || p[i] > '9') return false;
    return n > 0 && n < 9;
}

static jv field_root(formatter *f, const char *p, size_t n)
{
    if (n == 0 || all_digits(p, n)) {
        uint32_t i = n ? (uint32_t)strtoul(p, NULL, 10) : f->next++;
        if (n)
            f->manual = true;
        else
            f->automatic = true;
        if (f->manual && f->automatic) return wick_jv_raise(f->rt, "cannot mix manual and automatic field numbering");
        return i < f->a->n ? f->a->pos[i] : wick_jv_raise(f->rt, "replacement index %u out of range", i);
    }
    for (uint32_t i = 0; i < f->a->n_kw; i++)
        if (f->a->kw_name[i]->n == n && memcmp(f->a->kw_name[i]->p, p, n) == 0) return f->a->kw[i];
    return wick_jv_raise(f->rt, "format: no argument '%.*s'", (int)(n < 60 ? n : 60), p);
}

static jv field_value(formatter *f, const char *p, size_t n)
{
    size_t i = 0;
    while (i < n && p[i] != '.' && p[i] != '[') i++;
    jv v = field_root(f, p, i);
    while (i < n && !f->rt->failed) {
        size_t from = ++i;
        if (p[from - 1] == '.') {
            while (i < n && p[i] != '.' && p[i] != '[') i++;
            jv name = wick_jv_str(f->rt, p + from, i - from);
            char *z = wick_jv_alloc(f->rt, i - from + 1);
            if (!z || !jv_is_str(name)) break;
            memcpy(z, p + from, i - from);
            jv_str s = {z, i - from, i - from, NULL};
            jmethods m;
            v = wick_jv_attr(f->rt, v, &s, wick_jv_find_methods(z, i - from, &m) ? &m : NULL);
            continue;
        }
        while (i < n && p[i] != ']') i++;
        if (i >= n) return wick_jv_raise(f->rt, "format: missing ']'");
        jv key = all_digits(p + from, i - from) ? jv_int(strtol(p + from, NULL, 10))
                                                : wick_jv_str(f->rt, p + from, i - from);
        v = wick_jv_item(f->rt, v, key);
        i++;
        if (i < n && p[i] != '.' && p[i] != '[') return wick_jv_raise(f->rt, "format: only '.' or '[' may follow ']'");
    }
    return v;
}

static bool parse_spec(jrt *rt, const jv_str *s, spec *f)
{
    size_t i = 0;
    uint32_t cp;
    *f = (spec){.fill = " ", .fill_n = 1, .prec = -1};
    if (s->n) {
        unsigned k = wick_utf8_next(s->p, s->n, &cp);
        if (k < s->n && strchr("<>=^", s->p[k]) && s->p[k]) {
            f->fill = s->p;
            f->fill_n = k;
            f->align = s->p[k];
            i = k + 1;
        } else if (strchr("<>=^", s->p[0]) && s->p[0]) {
            f->align = s->p[i++];
        }
    }
    if (i < s->n && strchr("+- ", s->p[i]) && s->p[i]) f->sign = s->p[i++];
    if (i < s->n && s->p[i] == '#') f->alt = s->p[i++] == '#';
    if (i < s->n && s->p[i] == '0') {
        f->zero = true;
        if (!f->align) f->fill = "0";
        i++;
    }
    f->width = read_number(s, &i);
    if (i < s->n && (s->p[i] == ',' || s->p[i] == '_')) f->group = s->p[i++];
    if (i < s->n && s->p[i] == '.') {
        size_t from = ++i;
        f->prec = read_number(s, &i);
        if (from == i) return wick_jv_raise(rt, "format specifier missing precision"), false;
    }
    if (i < s->n) f->type = s->p[i++];
    if (i < s->n || f->width > FIELD_MAX || f->prec > FIELD_MAX)
        return wick_jv_raise(rt, "invalid format specifier"), false;
    return true;
}

static void format_number(jrt *rt, spec *f, jv v)
{
    int64_t i = 0;
    double x = 0;
    char text[40];
    (void)wick_jv_as_double(v, &x);
    if (wick_jv_as_int(v, &i) && (!f->type || strchr("dxXobn", f->type))) {
        if (f->prec >= 0)
            (void)wick_jv_raise(rt, "precision not allowed in integer format specifier");
        else
            put_int(rt, f, i);
    } else if (v.t == JV_FLOAT && !f->type && f->prec < 0) {
        (void)wick_jv_float_repr(fabs(x), text);
        put_number(rt, f, text, strlen(text), signbit(x), "");
    } else if (f->type == '%' || (f->type && strchr("eEfFgG", f->type))) {
        put_double(rt, f, x, f->type == '%');
    } else {
        (void)wick_jv_raise(rt, "unknown format code '%c' for %s", f->type ? f->type : '?', wick_jv_type_name(v));
    }
}

static void format_value(jrt *rt, jv v, const jv_str *s)
{
    spec f;
    if (rt->failed) return;
    if (!s->n) {
        wick_jv_write(rt, v);
        return;
    }
    if (!parse_spec(rt, s, &f)) return;
    if (v.t == JV_INT || v.t == JV_FLOAT || v.t == JV_BOOL)
        format_number(rt, &f, v);
    else if (v.t != JV_STR)
        (void)wick_jv_raise(rt, "unsupported format string for %s", wick_jv_type_name(v));
    else if ((f.type && f.type != 's') || f.sign || f.alt || f.group || f.align == '=')
        (void)wick_jv_raise(rt, "invalid format specifier for a string");
    else
        put_text(rt, &f, v.u.s);
}

static void format_field(formatter *f, const char *p, size_t n, unsigned depth)
{
    size_t name = 0, i;
    int bracket = 0;
    char conv = 0;
    jrt *rt = f->rt;
    for (; name < n && (bracket || (p[name] != '!' && p[name] != ':')); name++)
        bracket = p[name] == '[' ? 1 : p[name] == ']' ? 0 : bracket;
    jv v = field_value(f, p, name);
    i = name;
    if (i < n && p[i] == '!') {
        conv = i + 1 < n ? p[i + 1] : 0;
        i += 2;
        if ((i < n && p[i] != ':') || !conv || !strchr("sra", conv)) {
            (void)wick_jv_raise(rt, "format: expected !s, !r or !a");
            return;
        }
    }
    if (rt->failed) return;
    size_t mark = rt->w.n;
    if (conv) {
        if (conv == 's')
            wick_jv_write(rt, v);
        else
            wick_jv_write_repr(rt, v);
        v = wick_jv_take(rt, mark);
    }
    if (i < n) format_text(f, p + i + 1, n - i - 1, depth + 1);
    jv s = wick_jv_take(rt, mark);
    if (jv_is_str(s)) format_value(rt, v, s.u.s);
}

static void format_text(formatter *f, const char *p, size_t n, unsigned depth)
{
    if (depth > 2) {
        (void)wick_jv_raise(f->rt, "format: fields are nested too deeply");
        return;
    }
    for (size_t i = 0; i < n && wick_jv_step(f->rt, 1); i++) {
        if ((p[i] != '{' && p[i] != '}') || (i + 1 < n && p[i + 1] == p[i] && depth == 0)) {
            wick_buf_putc(&f->rt->w, p[i]);
            i += p[i] == '{' || p[i] == '}';
            continue;
        }
        if (p[i] == '}') {
            (void)wick_jv_raise(f->rt, "format: single '}'");
            return;
        }
        size_t from = i + 1, to = from;
        int level = 1;
        while (to < n && level) {
            level += p[to] == '{' ? 1 : p[to] == '}' ? -1 : 0;
            to++;
        }
        if (level) {
            (void)wick_jv_raise(f->rt, "format: expected '}'");
            return;
        }
        format_field(f, p + from, to - 1 - from, depth);
        i = to - 1;
    }
}

jv wick_jv_str_format(jrt *rt, const jv_str *fmt, const jargs *a)
{
    formatter f = {.rt = rt, .a = a};
    size_t mark = rt->w.n;
    format_text(&f, fmt->p, fmt->n, 0);
    return wick_jv_take(rt, mark);
}
