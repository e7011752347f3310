/* template/jinja_repr.c - str() and repr() of values, as Python prints them. */
#include "template/jinja_impl.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* The shortest digits that read back as f, in Python's layout: exponent form below 1e-4 and from 1e16 on. */
char *wick_jv_float_repr(double f, char dst[40])
{
    char digits[40];
    if (isnan(f) || isinf(f)) return strcpy(dst, isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
    int prec = 0;
    do (void)snprintf(digits, sizeof(digits), "%.*e", prec, f);
    while (strtod(digits, NULL) != f && ++prec < 17);
    char *e = strchr(digits, 'e');
    int exp = atoi(e + 1);
    if (exp < -4 || exp >= 16) {
        (void)snprintf(dst, 40, "%.*se%c%02d", (int)(e - digits), digits, exp < 0 ? '-' : '+', abs(exp));
    } else if (prec <= exp) {
        (void)snprintf(dst, 40, "%.1f", f);
    } else {
        (void)snprintf(dst, 40, "%.*f", prec - exp, f);
    }
    return dst;
}

static void write_str_repr(jrt *rt, const jv_str *s)
{
    wick_buf *b = &rt->w;
    bool single = s->n && memchr(s->p, '\'', s->n), dbl = s->n && memchr(s->p, '"', s->n);
    char quote = single && !dbl ? '"' : '\'';
    if (!wick_jv_step(rt, s->n / 8)) return;
    wick_buf_putc(b, quote);
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        unsigned k = wick_utf8_next(s->p + i, s->n - i, &cp);
        if (cp == (uint32_t)quote || cp == '\\')
            wick_buf_printf(b, "\\%c", (char)cp);
        else if (cp == '\n')
            wick_buf_puts(b, "\\n");
        else if (cp == '\r')
            wick_buf_puts(b, "\\r");
        else if (cp == '\t')
            wick_buf_puts(b, "\\t");
        else if (wick_text_is_printable(cp))
            wick_buf_add(b, s->p + i, k);
        else
            wick_buf_printf(b, cp <= 0xFF ? "\\x%02x" : cp <= 0xFFFF ? "\\u%04x" : "\\U%08x", cp);
        i += k;
    }
    wick_buf_putc(b, quote);
}

static void write_items(jrt *rt, const jv *v, size_t n)
{
    for (size_t i = 0; i < n && !rt->failed; i++) {
        if (i) wick_buf_puts(&rt->w, ", ");
        wick_jv_write_repr(rt, v[i]);
    }
}

static void write_dict(jrt *rt, const jv_dict *d)
{
    wick_buf_putc(&rt->w, '{');
    for (uint32_t i = 0; i < d->n && !rt->failed; i++) {
        if (i) wick_buf_puts(&rt->w, ", ");
        wick_jv_write_repr(rt, d->e[i].k);
        wick_buf_puts(&rt->w, ": ");
        wick_jv_write_repr(rt, d->e[i].v);
    }
    wick_buf_putc(&rt->w, '}');
}

static void write_view(jrt *rt, const jv_view *w)
{
    static const char *const name[] = {"dict_keys([", "dict_values([", "dict_items(["};
    jv v = jv_make(JV_VIEW);
    v.u.w = (jv_view *)(uintptr_t)w;
    jv l = wick_jv_to_list(rt, v);
    if (rt->failed) return;
    wick_buf_puts(&rt->w, name[w->kind]);
    write_items(rt, l.u.l->v, l.u.l->n);
    wick_buf_puts(&rt->w, "])");
}

static void write_object(jrt *rt, jv v)
{
    wick_buf *b = &rt->w;
    switch (v.t) {
    case JV_VIEW: write_view(rt, v.u.w); break;
    case JV_RANGE:
        wick_buf_printf(b, "range(%lld, %lld", (long long)v.u.r->start, (long long)v.u.r->stop);
        if (v.u.r->step != 1) wick_buf_printf(b, ", %lld", (long long)v.u.r->step);
        wick_buf_putc(b, ')');
        break;
    case JV_NS:
        wick_buf_puts(b, "<Namespace ");
        write_dict(rt, v.u.d);
        wick_buf_putc(b, '>');
        break;
    case JV_MACRO:
        if (v.u.m->node->kind == N_MACRO) {
            wick_buf_puts(b, "<Macro ");
            write_str_repr(rt, v.u.m->node->str);
            wick_buf_putc(b, '>');
        } else {
            wick_buf_puts(b, "<Macro anonymous>");
        }
        break;
    case JV_ITER: wick_buf_printf(b, "<generator object %s>", v.u.it->name); break;
    case JV_LOOP:
        wick_buf_printf(b, "<LoopContext %lld/", (long long)v.u.lp->index0 + 1);
        {
            jv_str name = {"length", 6, 6, NULL};
            wick_jv_write(rt, wick_jinja_loop_attr(rt, v.u.lp, &name));
        }
        wick_buf_putc(b, '>');
        break;
    default: wick_buf_printf(b, "<%s object>", wick_jv_type_name(v)); break;
    }
}

void wick_jv_write_repr(jrt *rt, jv v)
{
    wick_buf *b = &rt->w;
    char num[40];
    if (!wick_jv_step(rt, 1)) return;
    switch (v.t) {
    case JV_UNDEF: wick_buf_puts(b, "Undefined"); return;
    case JV_NONE: wick_buf_puts(b, "None"); return;
    case JV_BOOL: wick_buf_puts(b, v.u.b ? "True" : "False"); return;
    case JV_INT: wick_buf_printf(b, "%lld", (long long)v.u.i); return;
    case JV_FLOAT: wick_buf_puts(b, wick_jv_float_repr(v.u.f, num)); return;
    case JV_STR:
        if (v.markup) wick_buf_puts(b, "Markup(");
        write_str_repr(rt, v.u.s);
        if (v.markup) wick_buf_putc(b, ')');
        return;
    default: break;
    }
    if (!wick_jv_enter(rt)) return;
    /* Namespaces can hold themselves; everything else is finite but may be deep. */
    rt->depth += JV_EVAL_MAX / JV_NEST_MAX;
    if (v.t == JV_LIST) {
        wick_buf_putc(b, '[');
        write_items(rt, v.u.l->v, v.u.l->n);
        wick_buf_putc(b, ']');
    } else if (v.t == JV_TUPLE) {
        wick_buf_putc(b, '(');
        write_items(rt, v.u.l->v, v.u.l->n);
        wick_buf_puts(b, v.u.l->n == 1 ? ",)" : ")");
    } else if (v.t == JV_DICT) {
        write_dict(rt, v.u.d);
    } else {
        write_object(rt, v);
    }
    rt->depth -= 1 + JV_EVAL_MAX / JV_NEST_MAX;
}

void wick_jv_write(jrt *rt, jv v)
{
    if (rt->failed || v.t == JV_UNDEF) return;
    if (v.t == JV_STR)
        wick_buf_add(&rt->w, v.u.s->p, v.u.s->n);
    else
        wick_jv_write_repr(rt, v);
    if (rt->w.failed)
        (void)wick_jv_raise(rt, "the output is larger than %llu bytes", (unsigned long long)rt->w.max_bytes);
}

const jv_str *wick_jv_tostr(jrt *rt, jv v)
{
    static const jv_str empty = {"", 0, 0, NULL};
    if (v.t == JV_STR) return v.u.s;
    size_t mark = rt->w.n;
    wick_jv_write(rt, v);
    jv s = wick_jv_take(rt, mark);
    return jv_is_str(s) ? s.u.s : &empty;
}
