/* template/jinja_call.c - binding arguments, calling what can be called, and the global functions. */
#include "template/jinja_impl.h"

static bool name_is(const jv_str *s, const char *what)
{
    return s->n == strlen(what) && memcmp(s->p, what, s->n) == 0;
}

static bool bind(jrt *rt, const jv_def *d, const jargs *a, const char *what, jv out[JV_PARAM_MAX])
{
    uint32_t n = 0;
    while (n < JV_PARAM_MAX && d->params[n]) n++;
    for (uint32_t i = 0; i < JV_PARAM_MAX; i++) out[i] = jv_make(JV_MISSING);
    if (a->n > n) return wick_jv_raise(rt, "%s %s takes at most %u arguments, got %u", what, d->name, n, a->n), false;
    for (uint32_t i = 0; i < a->n; i++) out[i] = a->pos[i];
    for (uint32_t k = 0; k < a->n_kw; k++) {
        uint32_t i = 0;
        while (i < n && !(d->params[i][0] && name_is(a->kw_name[k], d->params[i]))) i++;
        if (i == n || jv_given(out[i]))
            return wick_jv_raise(rt, "%s %s: unexpected keyword argument '%.*s'", what, d->name,
                                 (int)(a->kw_name[k]->n < 60 ? a->kw_name[k]->n : 60), a->kw_name[k]->p),
                   false;
        out[i] = a->kw[k];
    }
    for (uint32_t i = 0; i < d->n_required; i++)
        if (!jv_given(out[i]))
            return wick_jv_raise(rt, "%s %s: missing argument '%s'", what, d->name, d->params[i]), false;
    return true;
}

jv wick_jv_call_def(jrt *rt, const jv_def *d, jv self, const jargs *a, const char *what)
{
    jv bound[JV_PARAM_MAX];
    if (!wick_jv_step(rt, 1)) return jv_make(JV_UNDEF);
    if (!wick_jv_enter(rt)) return jv_make(JV_UNDEF);
    jv r = jv_make(JV_UNDEF);
    if (d->raw)
        r = d->raw(rt, self, a);
    else if (bind(rt, d, a, what, bound))
        r = d->fn(rt, self, bound);
    rt->depth--;
    if (self.t == JV_STR && self.markup && r.t == JV_STR && what[0] == 'm') r.markup = true;
    return r;
}

jv wick_jv_call(jrt *rt, jv fn, const jargs *a)
{
    if (rt->failed) return jv_make(JV_UNDEF);
    switch (fn.t) {
    case JV_UNDEF: return wick_jv_undef_error(rt, fn);
    case JV_MACRO: return wick_jinja_call_macro(rt, fn.u.m, a);
    case JV_FUNC: return wick_jv_call_def(rt, fn.u.fn, jv_none(), a, "function");
    case JV_METHOD: return wick_jv_call_def(rt, fn.u.bm->def, fn.u.bm->self, a, "method");
    case JV_LOOP:
        if (a->n != 1 || a->n_kw) return wick_jv_raise(rt, "loop() takes one argument");
        return wick_jinja_loop_again(rt, fn.u.lp, a->pos[0]);
    case JV_JOINER:
        if (a->n || a->n_kw) return wick_jv_raise(rt, "a joiner takes no arguments");
        if (fn.u.cy->pos++) return fn.u.cy->v[0];
        return wick_jv_cstr(rt, "");
    default: return wick_jv_raise(rt, "'%s' object is not callable", wick_jv_type_name(fn));
    }
}

/* --- globals ------------------------------------------------------------------------------------------------------ */
static jv g_raise(jrt *rt, jv self, const jv *a)
{
    (void)self;
    const jv_str *s = wick_jv_tostr(rt, a[0]);
    return wick_jv_raise(rt, "%.*s", (int)(s->n < 380 ? s->n : 380), s->p);
}

static jv g_range(jrt *rt, jv self, const jv *a)
{
    int64_t v[3] = {0, 0, 1};
    (void)self;
    for (int i = 0; i < 3; i++)
        if (jv_given(a[i]) && !wick_jv_as_int(a[i], &v[i]))
            return a[i].t == JV_UNDEF ? wick_jv_undef_error(rt, a[i])
                                      : wick_jv_raise(rt, "range() needs integers, got %s", wick_jv_type_name(a[i]));
    if (!jv_given(a[1])) {
        v[1] = v[0];
        v[0] = 0;
    }
    if (v[2] == 0) return wick_jv_raise(rt, "range() step must not be zero");
    return wick_jv_range(rt, v[0], v[1], v[2]);
}

/* dict(mapping or pairs, **kw) */
static jv build_dict(jrt *rt, const jargs *a, const char *what)
{
    jv d = wick_jv_dict(rt, a->n_kw), v;
    jv_it it;
    if (a->n > 1) return wick_jv_raise(rt, "%s takes at most one positional argument", what);
    if (!rt->failed && a->n && (a->pos[0].t == JV_DICT)) {
        for (uint32_t i = 0; i < a->pos[0].u.d->n && !rt->failed; i++)
            (void)wick_jv_dict_put(rt, d.u.d, a->pos[0].u.d->e[i].k, a->pos[0].u.d->e[i].v);
    } else if (!rt->failed && a->n) {
        if (!wick_jv_iter_start(rt, a->pos[0], &it)) return d;
        while (wick_jv_iter_next(rt, &it, &v)) {
            jv pair = wick_jv_to_list(rt, v);
            if (rt->failed) return d;
            if (pair.u.l->n != 2) return wick_jv_raise(rt, "%s needs pairs", what);
            (void)wick_jv_dict_put(rt, d.u.d, pair.u.l->v[0], pair.u.l->v[1]);
        }
    }
    for (uint32_t i = 0; i < a->n_kw && !rt->failed; i++)
        (void)wick_jv_dict_put(rt, d.u.d, jv_of_str(a->kw_name[i]), a->kw[i]);
    return d;
}

static jv g_dict(jrt *rt, jv self, const jargs *a)
{
    (void)self;
    return build_dict(rt, a, "dict()");
}

static jv g_namespace(jrt *rt, jv self, const jargs *a)
{
    (void)self;
    jv d = build_dict(rt, a, "namespace()");
    if (rt->failed) return d;
    for (uint32_t i = 0; i < d.u.d->n; i++) {
        jv k = d.u.d->e[i].k;
        if (k.t == JV_STR && k.u.s->n && k.u.s->p[0] == '_')
            return wick_jv_raise(rt, "a namespace cannot hold names that start with an underscore");
    }
    d.t = JV_NS;
    return d;
}

static jv new_cycler(jrt *rt, jv_type t, const jv *v, size_t n)
{
    jv r = jv_make(t);
    r.u.cy = wick_jv_alloc(rt, sizeof(*r.u.cy));
    jv *copy = wick_jv_array(rt, n, sizeof(*copy));
    if (!r.u.cy || !copy) return jv_make(JV_UNDEF);
    memcpy(copy, v, n * sizeof(*v));
    *r.u.cy = (jv_cycler){copy, n, 0};
    return r;
}

static jv g_cycler(jrt *rt, jv self, const jargs *a)
{
    (void)self;
    if (a->n_kw || !a->n) return wick_jv_raise(rt, "cycler() needs at least one item");
    return new_cycler(rt, JV_CYCLER, a->pos, a->n);
}

static jv g_joiner(jrt *rt, jv self, const jv *a)
{
    (void)self;
    jv sep = jv_given(a[0]) ? a[0] : wick_jv_cstr(rt, ", ");
    return new_cycler(rt, JV_JOINER, &sep, 1);
}

static jv g_strftime(jrt *rt, jv self, const jv *a)
{
    (void)self;
    if (a[0].t != JV_STR) return wick_jv_raise(rt, "strftime_now() needs a format string");
    return wick_jv_strftime(rt, a[0].u.s);
}

static const jv_def globals[] = {
    {.name = "range", .fn = g_range, .n_required = 1, .params = {"", "", ""}},
    {.name = "dict", .raw = g_dict},
    {.name = "namespace", .raw = g_namespace},
    {.name = "cycler", .raw = g_cycler},
    {.name = "joiner", .fn = g_joiner, .params = {"sep"}},
    {.name = "raise_exception", .fn = g_raise, .n_required = 1, .params = {"message"}},
    {.name = "strftime_now", .fn = g_strftime, .n_required = 1, .params = {"format"}},
};

jv wick_jinja_global(const char *p, size_t n)
{
    for (size_t i = 0; i < sizeof(globals) / sizeof(*globals); i++) {
        if (strlen(globals[i].name) != n || memcmp(globals[i].name, p, n) != 0) continue;
        jv v = jv_make(JV_FUNC);
        v.u.fn = &globals[i];
        return v;
    }
    return jv_make(JV_MISSING);
}
