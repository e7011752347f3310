/* template/jinja_filter.c - filters on text and single values, and the table of all filters.
 *
 * "soft_str" in jinja2's words is wick_jv_tostr that keeps markup: filters that go through it answer with markup for
 * markup. from_json is no filter of jinja2; some published templates expect it from the host.
 */
#include "template/jinja_impl.h"

#include "base/json.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FILTER(name) static jv name(jrt *rt, jv v, const jv *a)

static jv soft(jrt *rt, jv v)
{
    return v.t == JV_STR ? v : jv_of_str(wick_jv_tostr(rt, v));
}

static jv plain(jv v)
{
    v.markup = false;
    return v;
}

static jv method(jrt *rt, jv self, const char *name, const jv *a, uint32_t n)
{
    jmethods m;
    jargs args = {.pos = a, .n = n};
    while (args.n && !jv_given(a[args.n - 1])) args.n--;
    (void)wick_jv_find_methods(name, strlen(name), &m);
    return wick_jv_call_def(rt, wick_jv_method(self, &m), self, &args, "method");
}

static jv with_default(jv v, jv def)
{
    return jv_given(v) ? v : def;
}

FILTER(f_default)
{
    jv def = with_default(a[0], wick_jv_cstr(rt, ""));
    return v.t == JV_UNDEF || (jv_given(a[1]) && wick_jv_truth(a[1]) && !wick_jv_truth(v)) ? def : v;
}

FILTER(f_length)
{
    int64_t n = v.t == JV_NS ? -1 : wick_jv_len(v);
    (void)a;
    if (v.t == JV_LOOP) {
        jv_str s = {"length", 6, 6, NULL};
        return wick_jinja_loop_attr(rt, v.u.lp, &s);
    }
    return n >= 0 ? jv_int(n) : wick_jv_raise(rt, "object of type '%s' has no length", wick_jv_type_name(v));
}

FILTER(f_tojson)
{
    return wick_jv_tojson(rt, v, a);
}

/* Strings of the result must outlive the parsed document, so they are copied by way of the render's memory. */
static jv copy_strings(jrt *rt, jv v)
{
    if (rt->failed) return v;
    if (v.t == JV_STR) return wick_jv_str(rt, v.u.s->p, v.u.s->n);
    if (v.t == JV_LIST)
        for (size_t i = 0; i < v.u.l->n; i++) v.u.l->v[i] = copy_strings(rt, v.u.l->v[i]);
    if (v.t != JV_DICT) return v;
    for (uint32_t i = 0; i < v.u.d->n; i++) {
        v.u.d->e[i].k = copy_strings(rt, v.u.d->e[i].k);
        v.u.d->e[i].v = copy_strings(rt, v.u.d->e[i].v);
    }
    return v;
}

FILTER(f_from_json)
{
    wick_err err;
    json_t *j = NULL;
    (void)a;
    if (v.t != JV_STR) return wick_jv_raise(rt, "from_json needs a string, not %s", wick_jv_type_name(v));
    if (!wick_jv_step(rt, v.u.s->n)) return v;
    if (wick_json_parse(v.u.s->p, v.u.s->n, "from_json", &j, &err) != WICK_OK)
        return wick_jv_raise(rt, "%s", err.message);
    jv r = copy_strings(rt, wick_jv_from_json(rt, j, 0));
    json_decref(j);
    return r;
}

FILTER(f_string)
{
    (void)a;
    return soft(rt, v);
}
FILTER(f_safe)
{
    (void)a;
    v = soft(rt, v);
    if (jv_is_str(v)) v.markup = true;
    return v;
}
FILTER(f_escape)
{
    (void)a;
    return wick_jv_escape(rt, v);
}
FILTER(f_forceescape)
{
    (void)a;
    return wick_jv_escape(rt, plain(v));
}
FILTER(f_upper)
{
    (void)a;
    return method(rt, soft(rt, v), "upper", NULL, 0);
}
FILTER(f_lower)
{
    (void)a;
    return method(rt, soft(rt, v), "lower", NULL, 0);
}
FILTER(f_capitalize)
{
    (void)a;
    return method(rt, soft(rt, v), "capitalize", NULL, 0);
}
FILTER(f_trim)
{
    return method(rt, soft(rt, v), "strip", a, 1);
}
FILTER(f_center)
{
    jv width = with_default(a[0], jv_int(80));
    return method(rt, soft(rt, v), "center", &width, 1);
}

FILTER(f_replace)
{
    jv args[3] = {jv_of_str(wick_jv_tostr(rt, a[0])), jv_of_str(wick_jv_tostr(rt, a[1])), a[2]};
    if (jv_given(a[2]) && a[2].t == JV_NONE) args[2] = jv_int(-1);
    return rt->failed ? v : method(rt, plain(soft(rt, v)), "replace", args, 3);
}

/* Words begin after blanks and any of - ( { [ < */
FILTER(f_title)
{
    (void)a;
    const jv_str *s = wick_jv_tostr(rt, v);
    size_t mark = rt->w.n, from = 0;
    for (size_t i = 0; i <= s->n && wick_jv_step(rt, 1);) {
        uint32_t cp = ' ';
        unsigned k = i < s->n ? wick_utf8_next(s->p + i, s->n - i, &cp) : 1;
        bool sep = wick_text_is_space(cp) || cp == '-' || cp == '(' || cp == '{' || cp == '[' || cp == '<';
        if (sep && i > from) {
            jv word = wick_jv_substr(rt, s, from, i - from);
            if (!jv_is_str(word)) return word;
            size_t one = wick_jv_byte_at(word.u.s, 1);
            jv head = wick_text_case(rt, wick_jv_substr(rt, word.u.s, 0, one).u.s, CASE_UPPER);
            if (rt->failed) return head;
            jv tail = wick_text_case(rt, wick_jv_substr(rt, word.u.s, one, word.u.s->n - one).u.s, CASE_LOWER);
            if (rt->failed) return tail;
            wick_buf_add(&rt->w, head.u.s->p, head.u.s->n);
            wick_buf_add(&rt->w, tail.u.s->p, tail.u.s->n);
        }
        if (sep && i < s->n) wick_buf_add(&rt->w, s->p + i, k);
        i += k;
        if (sep) from = i;
    }
    return wick_jv_take(rt, mark);
}

static jv lines_of(jrt *rt, jv s)
{
    return method(rt, plain(s), "splitlines", NULL, 0);
}

FILTER(f_indent)
{
    jv width = with_default(a[0], jv_int(4)), indent = width;
    bool first = jv_given(a[1]) && wick_jv_truth(a[1]), blank = jv_given(a[2]) && wick_jv_truth(a[2]);
    if (width.t != JV_STR) indent = wick_jv_binary(rt, OP_MUL, wick_jv_cstr(rt, " "), width);
    jv s = wick_jv_binary(rt, OP_ADD, v, wick_jv_cstr(rt, "\n")); /* as jinja2: then the last line is seen */
    if (rt->failed || s.t != JV_STR) return s;
    jv lines = lines_of(rt, s);
    size_t mark = rt->w.n;
    for (size_t i = 0; !rt->failed && i < lines.u.l->n; i++) {
        const jv_str *line = lines.u.l->v[i].u.s;
        if (i) wick_buf_putc(&rt->w, '\n');
        if (i == 0 ? first : blank || line->n) wick_buf_add(&rt->w, indent.u.s->p, indent.u.s->n);
        wick_buf_add(&rt->w, line->p, line->n);
    }
    return wick_jv_take(rt, mark);
}

FILTER(f_truncate)
{
    int64_t length = 255, leeway = 5;
    jv end = with_default(a[2], wick_jv_cstr(rt, "..."));
    if (jv_given(a[0]) && !wick_jv_as_int(a[0], &length))
        return wick_jv_raise(rt, "truncate: length must be an integer");
    if (jv_given(a[3]) && a[3].t != JV_NONE && !wick_jv_as_int(a[3], &leeway))
        return wick_jv_raise(rt, "truncate: leeway must be an integer");
    if (end.t != JV_STR || length < (int64_t)end.u.s->n_cp || leeway < 0)
        return wick_jv_raise(rt, "truncate: length must be at least that of the end");
    int64_t n = wick_jv_len(v);
    if (n < 0) return wick_jv_raise(rt, "object of type '%s' has no length", wick_jv_type_name(v));
    if (n <= length + leeway || rt->failed) return v;
    jv cut = wick_jv_slice(rt, v, jv_none(), jv_int(length - (int64_t)end.u.s->n_cp), jv_none());
    if (!(jv_given(a[1]) && wick_jv_truth(a[1])) && cut.t == JV_STR) {
        size_t k = cut.u.s->n;
        while (k && cut.u.s->p[k - 1] != ' ') k--;
        if (k) cut = wick_jv_substr(rt, cut.u.s, 0, k - 1);
    }
    return wick_jv_binary(rt, OP_ADD, cut, end);
}

FILTER(f_wordcount)
{
    (void)a;
    const jv_str *s = wick_jv_tostr(rt, v);
    int64_t n = 0;
    bool in = false;
    for (size_t i = 0; i < s->n && wick_jv_step(rt, 1);) {
        uint32_t cp;
        i += wick_utf8_next(s->p + i, s->n - i, &cp);
        n += wick_text_is_word(cp) && !in;
        in = wick_text_is_word(cp);
    }
    return jv_int(n);
}

/* One paragraph, greedily; blanks at the ends of lines go. */
static void wrap_line(jrt *rt, const jv_str *s, size_t width, bool break_long, const jv_str *nl, bool *any)
{
    size_t i = 0, used = 0, blank_from = 0, blank_n = 0;
    while (i < s->n && wick_jv_step(rt, 1)) {
        size_t from = i;
        bool blank = s->p[i] == ' ' || s->p[i] == '\t';
        while (i < s->n && (s->p[i] == ' ' || s->p[i] == '\t') == blank) {
            bool hyphen = !blank && s->p[i] == '-' && i > from && i + 1 < s->n && ((s->p[i + 1] | 0x20) >= 'a') &&
                          ((s->p[i + 1] | 0x20) <= 'z');
            i++;
            if (hyphen) break;
        }
        if (blank) {
            blank_from = from;
            blank_n = i - from;
            continue;
        }
        size_t len = wick_jv_count_cp(s->p + from, i - from);
        bool lead = used == 0 && !*any;
        if (used + blank_n + len > width && !(used == 0 && blank_n == 0 && !break_long)) {
            if (used && !(break_long && len > width && used + blank_n < width)) {
                used = 0;
                blank_n = 0;
                wick_buf_add(&rt->w, nl->p, nl->n);
            }
        }
        if (blank_n && (used || lead)) {
            wick_buf_add(&rt->w, s->p + blank_from, blank_n);
            used += blank_n;
        }
        blank_n = 0;
        while (break_long && used + len > width) {
            size_t room = width > used ? width - used : 1;
            jv_str rest = {s->p + from, i - from, len, NULL};
            size_t cut = wick_jv_byte_at(&rest, room);
            wick_buf_add(&rt->w, rest.p, cut);
            wick_buf_add(&rt->w, nl->p, nl->n);
            from += cut;
            len -= room < len ? room : len;
            used = 0;
            if (!len) break;
        }
        wick_buf_add(&rt->w, s->p + from, i - from);
        used += len;
        *any = true;
    }
}

FILTER(f_wordwrap)
{
    int64_t width = 79;
    jv nl = jv_given(a[2]) && a[2].t == JV_STR ? a[2] : wick_jv_cstr(rt, "\n");
    bool break_long = !jv_given(a[1]) || wick_jv_truth(a[1]);
    if (jv_given(a[0]) && !wick_jv_as_int(a[0], &width)) return wick_jv_raise(rt, "wordwrap: width must be an integer");
    if (v.t != JV_STR || width <= 0) return wick_jv_raise(rt, "wordwrap: needs a string and a positive width");
    jv lines = lines_of(rt, v);
    size_t mark = rt->w.n;
    for (size_t i = 0; !rt->failed && i < lines.u.l->n; i++) {
        bool any = false;
        if (i) wick_buf_add(&rt->w, nl.u.s->p, nl.u.s->n);
        wrap_line(rt, lines.u.l->v[i].u.s, (size_t)width, break_long, nl.u.s, &any);
    }
    return wick_jv_take(rt, mark);
}

FILTER(f_striptags)
{
    (void)a;
    const jv_str *s = wick_jv_tostr(rt, v);
    size_t mark = rt->w.n;
    bool tag = false, space = false;
    for (size_t i = 0; i < s->n && wick_jv_step(rt, 1);) {
        uint32_t cp;
        unsigned k = wick_utf8_next(s->p + i, s->n - i, &cp);
        if (cp == '<' && memchr(s->p + i, '>', s->n - i)) tag = true;
        if (!tag && wick_text_is_space(cp))
            space = true;
        else if (!tag) {
            if (space && rt->w.n > mark) wick_buf_putc(&rt->w, ' ');
            space = false;
            wick_buf_add(&rt->w, s->p + i, k);
        }
        if (cp == '>') tag = false;
        i += k;
    }
    return wick_jv_take(rt, mark);
}

/* --- numbers ------------------------------------------------------------------------------------------------------ */
/* Python's int(text, base) and float(text): blanks around, single underscores between digits. */
static bool clean_number(const jv_str *s, char *dst, size_t cap)
{
    size_t i = 0, n = s->n, k = 0;
    while (i < n && (unsigned char)s->p[i] <= ' ') i++;
    while (n > i && (unsigned char)s->p[n - 1] <= ' ') n--;
    if (n == i) return false;
    for (; i < n; i++) {
        if (s->p[i] == '_') {
            if (k == 0 || i + 1 >= n || s->p[i - 1] == '_') return false;
            continue;
        }
        if (k + 1 >= cap || (unsigned char)s->p[i] <= ' ') return false;
        dst[k++] = s->p[i];
    }
    dst[k] = 0;
    return true;
}

static bool parse_int(const jv_str *s, int64_t base, int64_t *out)
{
    char text[128], *p = text, *end;
    if (!clean_number(s, text, sizeof(text))) return false;
    bool neg = *p == '-';
    p += *p == '-' || *p == '+';
    char kind = (char)(p[0] == '0' ? p[1] | 0x20 : 0);
    if (((base == 16 || base == 0) && kind == 'x') || ((base == 8 || base == 0) && kind == 'o') ||
        ((base == 2 || base == 0) && kind == 'b')) {
        base = kind == 'x' ? 16 : kind == 'o' ? 8 : 2;
        p += 2;
    } else if (base == 0) {
        base = 10;
    }
    if (!((*p >= '0' && *p <= '9') || ((*p | 0x20) >= 'a' && (*p | 0x20) <= 'z'))) return false;
    char *start = p - neg;
    if (neg) *start = '-';
    errno = 0;
    *out = strtoll(start, &end, (int)base);
    return !*end && !errno;
}

static bool parse_float(const jv_str *s, double *out)
{
    char text[128], *end;
    if (!clean_number(s, text, sizeof(text))) return false;
    const char *p = text + (*text == '-' || *text == '+');
    if (p[0] == '0' && (p[1] | 0x20) == 'x') return false;
    if (strchr(p, '(')) return false;
    *out = strtod(text, &end);
    return !*end;
}

FILTER(f_int)
{
    int64_t i, base = 10;
    double f;
    jv def = with_default(a[0], jv_int(0));
    if (v.t == JV_UNDEF) return wick_jv_undef_error(rt, v);
    if (jv_given(a[1]) && !wick_jv_as_int(a[1], &base)) return wick_jv_raise(rt, "int: base must be an integer");
    if (wick_jv_as_int(v, &i)) return jv_int(i);
    if (v.t == JV_STR && base >= 0 && base <= 36 && base != 1 && parse_int(v.u.s, base, &i)) return jv_int(i);
    if (v.t == JV_FLOAT)
        f = v.u.f;
    else if (v.t != JV_STR || !parse_float(v.u.s, &f))
        return def;
    if (v.t == JV_FLOAT && isinf(f)) return def;
    if (isnan(f) || isinf(f)) return def;
    if (fabs(f) >= 9.2e18) return wick_jv_raise(rt, "an integer does not fit 64 bits");
    return jv_int((int64_t)f);
}

FILTER(f_float)
{
    double f;
    if (v.t == JV_UNDEF) return wick_jv_undef_error(rt, v);
    if (wick_jv_as_double(v, &f) || (v.t == JV_STR && parse_float(v.u.s, &f))) return jv_float(f);
    return with_default(a[0], jv_float(0));
}

FILTER(f_abs)
{
    int64_t i;
    (void)a;
    if (v.t == JV_FLOAT) return jv_float(fabs(v.u.f));
    if (!wick_jv_as_int(v, &i)) return wick_jv_raise(rt, "bad operand type for abs(): '%s'", wick_jv_type_name(v));
    return i < 0 ? wick_jv_binary(rt, OP_SUB, jv_int(0), jv_int(i)) : jv_int(i);
}

/* round half to even of the exact binary value, as Python does: by its decimal digits */
static double round_to(double f, int64_t digits)
{
    char text[400];
    if (!isfinite(f) || digits > 300) return f;
    if (digits < -308) return copysign(0.0, f);
    if (digits >= 0) {
        (void)snprintf(text, sizeof(text), "%.*f", digits > 60 ? 60 : (int)digits, f);
        return strtod(text, NULL);
    }
    double p = pow(10, (double)-digits);
    return nearbyint(f / p) * p;
}

static jv round_int(jrt *rt, int64_t i, int64_t digits)
{
    if (digits >= 0) return jv_int(i);
    if (digits < -18) return jv_int(0);
    int64_t p = 1;
    for (int64_t k = digits; k < 0; k++) p *= 10;
    int64_t q = i / p, r = i % p, twice = (r < 0 ? -r : r);
    if (twice > p - twice || (twice == p - twice && (q & 1))) q += i < 0 ? -1 : 1;
    return wick_jv_binary(rt, OP_MUL, jv_int(q), jv_int(p));
}

FILTER(f_round)
{
    int64_t digits = 0, i;
    double f;
    const char *how = "common";
    if (jv_given(a[0]) && !wick_jv_as_int(a[0], &digits))
        return wick_jv_raise(rt, "round: precision must be an integer");
    if (jv_given(a[1])) how = a[1].t == JV_STR && a[1].u.s->n < 8 ? wick_jv_tostr(rt, a[1])->p : "";
    size_t n = jv_given(a[1]) && a[1].t == JV_STR ? a[1].u.s->n : 6;
    if (!wick_jv_as_double(v, &f)) return wick_jv_raise(rt, "round: '%s' is no number", wick_jv_type_name(v));
    if (n == 6 && memcmp(how, "common", 6) == 0)
        return wick_jv_as_int(v, &i) ? round_int(rt, i, digits) : jv_float(round_to(f, digits));
    bool up = n == 4 && memcmp(how, "ceil", 4) == 0;
    if (!up && !(n == 5 && memcmp(how, "floor", 5) == 0))
        return wick_jv_raise(rt, "round: method must be common, ceil or floor");
    double p = pow(10, (double)digits), scaled = f * p;
    if (!isfinite(scaled)) return wick_jv_raise(rt, "round: cannot convert to an integer");
    return jv_float((up ? ceil(scaled) : floor(scaled)) / p);
}

FILTER(f_filesizeformat)
{
    static const char letters[] = "kMGTPEZY";
    double bytes = 0, base = jv_given(a[0]) && wick_jv_truth(a[0]) ? 1024 : 1000;
    char text[64];
    if (!wick_jv_as_double(v, &bytes) && !(v.t == JV_STR && parse_float(v.u.s, &bytes)))
        return wick_jv_raise(rt, "filesizeformat: needs a number");
    if (bytes == 1) return wick_jv_cstr(rt, "1 Byte");
    if (bytes < base) {
        (void)snprintf(text, sizeof(text), "%.0f Bytes", trunc(bytes));
        return wick_jv_str(rt, text, strlen(text));
    }
    int i = 0;
    double unit = base * base;
    for (; i < 7 && bytes >= unit; i++) unit *= base;
    char letter = base == 1024 && i == 0 ? 'K' : letters[i];
    (void)snprintf(text, sizeof(text), "%.1f %c%sB", base * bytes / unit, letter, base == 1024 ? "i" : "");
    return wick_jv_str(rt, text, strlen(text));
}

/* --- others ------------------------------------------------------------------------------------------------------- */
static void put_quoted(jrt *rt, jv v, bool query)
{
    const jv_str *s = wick_jv_tostr(rt, v);
    for (size_t i = 0; i < s->n && wick_jv_step(rt, 1); i++) {
        unsigned char c = (unsigned char)s->p[i];
        bool keep = c < 0x80 && (wick_text_is_alpha(c) || wick_text_is_digit(c) || strchr("_.-~", c)) && c;
        if (keep || (c == '/' && !query))
            wick_buf_putc(&rt->w, (char)c);
        else if (c == ' ' && query)
            wick_buf_putc(&rt->w, '+');
        else
            wick_buf_printf(&rt->w, "%%%02X", c);
    }
}

FILTER(f_urlencode)
{
    (void)a;
    size_t mark = rt->w.n;
    jv_it it;
    jv item;
    if (v.t == JV_STR || (wick_jv_len(v) < 0 && v.t != JV_ITER)) {
        put_quoted(rt, v, false);
        return wick_jv_take(rt, mark);
    }
    if (v.t == JV_DICT) v = method(rt, v, "items", NULL, 0);
    if (!wick_jv_iter_start(rt, v, &it)) return v;
    for (bool first = true; wick_jv_iter_next(rt, &it, &item); first = false) {
        jv pair = wick_jv_to_list(rt, item);
        if (rt->failed || pair.u.l->n != 2) return wick_jv_raise(rt, "urlencode: needs pairs");
        size_t at = rt->w.n;
        if (!first) wick_buf_putc(&rt->w, '&');
        put_quoted(rt, pair.u.l->v[0], true);
        wick_buf_putc(&rt->w, '=');
        put_quoted(rt, pair.u.l->v[1], true);
        (void)at;
    }
    return wick_jv_take(rt, mark);
}

FILTER(f_xmlattr)
{
    size_t mark = rt->w.n;
    if (v.t != JV_DICT) return wick_jv_raise(rt, "xmlattr: needs a mapping");
    bool space = !jv_given(a[0]) || wick_jv_truth(a[0]), first = true;
    for (uint32_t i = 0; i < v.u.d->n && !rt->failed; i++) {
        jv k = v.u.d->e[i].k, x = v.u.d->e[i].v;
        if (x.t == JV_NONE || x.t == JV_UNDEF) continue;
        if (k.t != JV_STR) return wick_jv_raise(rt, "xmlattr: names must be strings");
        for (size_t j = 0; j < k.u.s->n; j++)
            if (strchr(" \t\n\r\f\v/>=", k.u.s->p[j])) return wick_jv_raise(rt, "xmlattr: invalid character in a name");
        jv name = wick_jv_escape(rt, k), value = wick_jv_escape(rt, x);
        if (rt->failed) return v;
        if (!first || space) wick_buf_putc(&rt->w, ' ');
        first = false;
        wick_jv_write(rt, name);
        wick_buf_puts(&rt->w, "=\"");
        wick_jv_write(rt, value);
        wick_buf_putc(&rt->w, '"');
    }
    return wick_jv_take(rt, mark);
}

FILTER(f_attr)
{
    jmethods m;
    if (a[0].t != JV_STR) return wick_jv_raise(rt, "attr: the name must be a string");
    if (v.t == JV_UNDEF) return wick_jv_undef_error(rt, v);
    bool has = wick_jv_find_methods(a[0].u.s->p, a[0].u.s->n, &m);
    if (v.t == JV_DICT && !(has && m.dict)) return wick_jv_undef(rt, "attr", "dict", false);
    return wick_jv_attr(rt, v, a[0].u.s, has ? &m : NULL);
}

FILTER(f_pprint)
{
    (void)a;
    size_t mark = rt->w.n;
    wick_jv_write_repr(rt, v);
    return wick_jv_take(rt, mark);
}

static jv f_format(jrt *rt, jv v, const jargs *a)
{
    const jv_str *s = wick_jv_tostr(rt, v);
    if (a->n && a->n_kw) return wick_jv_raise(rt, "format: positional and keyword arguments cannot be mixed");
    jv args = a->n_kw ? wick_jv_dict(rt, a->n_kw) : wick_jv_list(rt, JV_TUPLE, a->n);
    for (uint32_t i = 0; !rt->failed && i < a->n; i++) args.u.l->v[i] = a->pos[i];
    for (uint32_t i = 0; !rt->failed && i < a->n_kw; i++)
        (void)wick_jv_dict_put(rt, args.u.d, jv_of_str(a->kw_name[i]), a->kw[i]);
    return rt->failed ? args : wick_jv_percent(rt, s, args);
}

static const jv_def filters[] = {
    {"abs", f_abs, 0, {0}, NULL},
    {"attr", f_attr, 1, {"name"}, NULL},
    {"capitalize", f_capitalize, 0, {0}, NULL},
    {"center", f_center, 0, {"width"}, NULL},
    {"count", f_length, 0, {0}, NULL},
    {"d", f_default, 0, {"default_value", "boolean"}, NULL},
    {"default", f_default, 0, {"default_value", "boolean"}, NULL},
    {"e", f_escape, 0, {0}, NULL},
    {"escape", f_escape, 0, {0}, NULL},
    {"filesizeformat", f_filesizeformat, 0, {"binary"}, NULL},
    {"float", f_float, 0, {"default"}, NULL},
    {"forceescape", f_forceescape, 0, {0}, NULL},
    {"format", NULL, 0, {0}, f_format},
    {"from_json", f_from_json, 0, {0}, NULL},
    {"indent", f_indent, 0, {"width", "first", "blank"}, NULL},
    {"int", f_int, 0, {"default", "base"}, NULL},
    {"length", f_length, 0, {0}, NULL},
    {"lower", f_lower, 0, {0}, NULL},
    {"pprint", f_pprint, 0, {0}, NULL},
    {"replace", f_replace, 2, {"old", "new", "count"}, NULL},
    {"round", f_round, 0, {"precision", "method"}, NULL},
    {"safe", f_safe, 0, {0}, NULL},
    {"string", f_string, 0, {0}, NULL},
    {"striptags", f_striptags, 0, {0}, NULL},
    {"title", f_title, 0, {0}, NULL},
    {"tojson", f_tojson, 0, {"ensure_ascii", "indent", "separators", "sort_keys"}, NULL},
    {"trim", f_trim, 0, {"chars"}, NULL},
    {"truncate", f_truncate, 0, {"length", "killwords", "end", "leeway"}, NULL},
    {"upper", f_upper, 0, {0}, NULL},
    {"urlencode", f_urlencode, 0, {0}, NULL},
    {"wordcount", f_wordcount, 0, {0}, NULL},
    {"wordwrap", f_wordwrap, 0, {"width", "break_long_words", "wrapstring", "break_on_hyphens"}, NULL},
    {"xmlattr", f_xmlattr, 0, {"autospace"}, NULL},
    {0},
};

const jv_def *wick_jinja_find_filter(const char *p, size_t n)
{
    const jv_def *const tables[] = {filters, wick_jinja_filters_seq};
    for (size_t k = 0; k < 2; k++)
        for (const jv_def *d = tables[k]; d->name; d++)
            if (strlen(d->name) == n && memcmp(d->name, p, n) == 0) return d;
    return NULL;
}
