/* template/jinja_tojson.c - the tojson filter: json.dumps(x, ensure_ascii=False, indent, separators, sort_keys). */
#include "template/jinja_impl.h"

#include <math.h>
#include <stdlib.h>

typedef struct dump {
    jrt *rt;
    wick_buf *b;
    bool ascii, sort, pretty;
    const jv_str *indent, *item_sep, *key_sep;
    unsigned level;
} dump;

static void put_value(dump *d, jv v);

static void put_string(dump *d, const jv_str *s)
{
    size_t from = 0;
    wick_buf_putc(d->b, '"');
    if (!wick_jv_step(d->rt, s->n / 32)) return;
    for (size_t i = 0; i < s->n;) {
        unsigned char c = (unsigned char)s->p[i];
        if (c >= 0x20 && c != '"' && c != '\\' && (!d->ascii || c < 0x7F)) {
            i++;
            continue;
        }
        wick_buf_add(d->b, s->p + from, i - from);
        uint32_t cp = c;
        i += c < 0x80 ? 1 : wick_utf8_next(s->p + i, s->n - i, &cp);
        from = i;
        static const char plain[] = "\"\\\n\r\t\f\b", letter[] = "\"\\nrtfb";
        const char *hit = c && c < 0x80 ? strchr(plain, c) : NULL;
        if (hit)
            wick_buf_add(d->b, (const char[]){'\\', letter[hit - plain]}, 2);
        else if (cp > 0xFFFF)
            wick_buf_printf(d->b, "\\u%04x\\u%04x", 0xD800 + ((cp - 0x10000) >> 10), 0xDC00 + ((cp - 0x10000) & 0x3FF));
        else
            wick_buf_printf(d->b, "\\u%04x", cp);
    }
    wick_buf_add(d->b, s->p + from, s->n - from);
    wick_buf_putc(d->b, '"');
}

static void put_float(dump *d, double f)
{
    char num[40];
    if (isnan(f))
        wick_buf_puts(d->b, "NaN");
    else if (isinf(f))
        wick_buf_puts(d->b, f < 0 ? "-Infinity" : "Infinity");
    else
        wick_buf_puts(d->b, wick_jv_float_repr(f, num));
}

static void put_newline(dump *d)
{
    if (!d->pretty) return;
    wick_buf_putc(d->b, '\n');
    for (unsigned i = 0; i < d->level && !d->b->failed; i++) wick_buf_add(d->b, d->indent->p, d->indent->n);
}

static void put_list(dump *d, const jv_list *l)
{
    if (!l->n) {
        wick_buf_puts(d->b, "[]");
        return;
    }
    wick_buf_putc(d->b, '[');
    d->level++;
    for (size_t i = 0; i < l->n && !d->rt->failed; i++) {
        if (i) wick_buf_add(d->b, d->item_sep->p, d->item_sep->n);
        put_newline(d);
        put_value(d, l->v[i]);
    }
    d->level--;
    put_newline(d);
    wick_buf_putc(d->b, ']');
}

static void put_key(dump *d, jv k)
{
    if (k.t == JV_STR) {
        put_string(d, k.u.s);
        return;
    }
    if (k.t != JV_INT && k.t != JV_FLOAT && k.t != JV_BOOL && k.t != JV_NONE) {
        (void)wick_jv_raise(d->rt, "tojson: keys must be strings or numbers, not %s", wick_jv_type_name(k));
        return;
    }
    wick_buf_putc(d->b, '"');
    put_value(d, k);
    wick_buf_putc(d->b, '"');
}

static void put_dict(dump *d, const jv_dict *o)
{
    if (!o->n) {
        wick_buf_puts(d->b, "{}");
        return;
    }
    uint32_t *order = NULL;
    if (d->sort) {
        order = wick_jv_array(d->rt, o->n, sizeof(*order));
        for (uint32_t i = 0; order && i < o->n && !d->rt->failed; i++) { /* insertion: objects are small */
            uint32_t j = i;
            while (j > 0 && wick_jv_step(d->rt, 1) &&
                   wick_jv_compare(d->rt, o->e[i].k, o->e[order[j - 1]].k, "<") == -1) {
                order[j] = order[j - 1];
                j--;
            }
            order[j] = i;
        }
        if (d->rt->failed) return;
    }
    wick_buf_putc(d->b, '{');
    d->level++;
    for (uint32_t i = 0; i < o->n && !d->rt->failed; i++) {
        const jv_entry *e = &o->e[order ? order[i] : i];
        if (i) wick_buf_add(d->b, d->item_sep->p, d->item_sep->n);
        put_newline(d);
        put_key(d, e->k);
        wick_buf_add(d->b, d->key_sep->p, d->key_sep->n);
        put_value(d, e->v);
    }
    d->level--;
    put_newline(d);
    wick_buf_putc(d->b, '}');
}

static void put_value(dump *d, jv v)
{
    if (!wick_jv_step(d->rt, 1)) return;
    switch (v.t) {
    case JV_NONE: wick_buf_puts(d->b, "null"); return;
    case JV_BOOL: wick_buf_puts(d->b, v.u.b ? "true" : "false"); return;
    case JV_INT: wick_buf_printf(d->b, "%lld", (long long)v.u.i); return;
    case JV_FLOAT: put_float(d, v.u.f); return;
    case JV_STR: put_string(d, v.u.s); return;
    case JV_LIST:
    case JV_TUPLE:
    case JV_DICT: break;
    default: (void)wick_jv_raise(d->rt, "tojson: a value of type %s is not JSON", wick_jv_type_name(v)); return;
    }
    if (d->level >= JV_NEST_MAX) {
        (void)wick_jv_raise(d->rt, "tojson: a value is nested deeper than %d", JV_NEST_MAX);
        return;
    }
    if (v.t == JV_DICT)
        put_dict(d, v.u.d);
    else
        put_list(d, v.u.l);
}

static bool set_indent(dump *d, jv v)
{
    int64_t n;
    if (v.t == JV_NONE) return true;
    d->pretty = true;
    if (v.t == JV_STR) {
        d->indent = v.u.s;
        return true;
    }
    if (!wick_jv_as_int(v, &n)) return wick_jv_raise(d->rt, "tojson: indent must be an integer or a string"), false;
    jv blank = wick_jv_cstr(d->rt, " ");
    jv s = wick_jv_binary(d->rt, OP_MUL, blank, jv_int(n));
    if (d->rt->failed) return false;
    d->indent = s.u.s;
    return true;
}

jv wick_jv_tojson(jrt *rt, jv v, const jv *opt)
{
    static const jv_str comma = {",", 1, 1, NULL}, comma_space = {", ", 2, 2, NULL}, colon = {": ", 2, 2, NULL};
    dump d = {.rt = rt, .b = &rt->w, .item_sep = &comma_space, .key_sep = &colon};
    d.ascii = jv_given(opt[0]) && wick_jv_truth(opt[0]);
    d.sort = jv_given(opt[3]) && wick_jv_truth(opt[3]);
    if (jv_given(opt[1]) && !set_indent(&d, opt[1])) return jv_make(JV_UNDEF);
    if (d.pretty) d.item_sep = &comma;
    if (jv_given(opt[2]) && opt[2].t != JV_NONE) {
        jv l = wick_jv_to_list(rt, opt[2]);
        if (rt->failed) return l;
        if (l.u.l->n != 2 || l.u.l->v[0].t != JV_STR || l.u.l->v[1].t != JV_STR)
            return wick_jv_raise(rt, "tojson: separators must be two strings");
        d.item_sep = l.u.l->v[0].u.s;
        d.key_sep = l.u.l->v[1].u.s;
    }
    size_t mark = rt->w.n;
    put_value(&d, v);
    return wick_jv_take(rt, mark);
}
