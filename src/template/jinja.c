/* template/jinja.c - the public face: compile once, render under limits. */
#include "template/jinja_impl.h"

enum {
    TEMPLATE_MAX_BYTES = 4 << 20, /* the largest published ones have about 100 KiB */
    DEFAULT_STEPS = 20 * 1000 * 1000,
    DEFAULT_HEAP = 48 << 20, /* with the output's 16 MiB: 64 MiB for a render */
    DEFAULT_OUT = 16 << 20,
    DEFAULT_CALLS = 100
};

wick_status wick_jinja_compile(wick_jinja **out, const char *src, size_t n, const char *where, wick_err *err)
{
    wick_status st = WICK_OK;
    where = where ? where : "template";
    if (n > TEMPLATE_MAX_BYTES)
        return WICK_FAIL(err, WICK_E_TEMPLATE, where, "%s: a template of %zu bytes is too large, at most %d are read",
                         where, n, TEMPLATE_MAX_BYTES);
    jlex lex = {.where = where};
    wick_jinja *t = wick_alloc_zero(1, sizeof(*t));
    if (!t) return wick_err_oom(err, "template", sizeof(*t), 0);
    wick_arena_init(&t->arena, 0);
    wick_map_init(&t->names);
    t->where = wick_strdup(where);
    if (!t->where) {
        st = wick_err_oom(err, "template", strlen(where), 0);
        goto done;
    }
    wick_arena tokens;
    wick_arena_init(&tokens, 0);
    lex.arena = &tokens;
    st = wick_jinja_lex(&lex, src, n, err);
    if (st == WICK_OK) st = wick_jinja_parse(t, &lex, err);
    wick_arena_release(&tokens);
done:
    wick_free(lex.tok);
    if (st == WICK_OK)
        *out = t;
    else
        wick_jinja_free(t);
    return st;
}

void wick_jinja_free(wick_jinja *t)
{
    if (!t) return;
    wick_map_release(&t->names);
    wick_arena_release(&t->arena);
    wick_free(t->where);
    wick_free(t);
}

/* Variables of the render by name, else the globals. */
static void load_names(jrt *rt, const json_t *vars)
{
    const wick_jinja *t = rt->tpl;
    rt->top = wick_jv_array(rt, t->n_name, sizeof(*rt->top));
    for (uint32_t i = 0; i < t->n_name && !rt->failed; i++) {
        const json_t *j = vars ? json_object_getn(vars, t->name[i]->p, t->name[i]->n) : NULL;
        rt->top[i] = j ? wick_jv_from_json(rt, j, 0) : wick_jinja_global(t->name[i]->p, t->name[i]->n);
    }
}

wick_status wick_jinja_render(const wick_jinja *t, const json_t *vars, const wick_jinja_limits *limits, wick_buf *out,
                              wick_err *err)
{
    static const wick_jinja_limits none;
    const wick_jinja_limits *l = limits ? limits : &none;
    if (vars && !json_is_object(vars))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "vars", "%s: the variables must be an object", t->where);
    jrt rt = {.tpl = t, .err = err, .now_unix_s = l->now_unix_s};
    rt.steps = l->max_steps ? l->max_steps : DEFAULT_STEPS;
    rt.max_heap = l->max_heap_bytes ? l->max_heap_bytes : DEFAULT_HEAP;
    rt.max_calls = l->max_depth ? l->max_depth : DEFAULT_CALLS;
    rt.frame = &rt.top_frame;
    wick_arena_init(&rt.arena, 0);
    wick_buf_init(&rt.w, l->max_out_bytes ? (size_t)l->max_out_bytes : DEFAULT_OUT);
    load_names(&rt, vars);
    if (!rt.failed) (void)wick_jinja_exec(&rt, t->body);
    if (!rt.failed && rt.w.failed) (void)wick_jv_raise(&rt, "the output is larger than %zu bytes", rt.w.max_bytes);
    wick_status st = rt.failed ? rt.status : WICK_OK;
    if (st == WICK_OK) {
        wick_buf_add(out, rt.w.data ? rt.w.data : "", rt.w.n);
        if (out->failed) st = wick_err_oom(err, "prompt", rt.w.n, out->max_bytes);
    }
    wick_buf_release(&rt.w);
    wick_arena_release(&rt.arena);
    return st;
}
