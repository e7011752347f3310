/* template/jinja_eval.c - expressions of the tree to values. */
#include "template/jinja_impl.h"

static jv eval_name(jrt *rt, const jnode *n)
{
    for (const jframe *f = rt->frame; f->parent; f = f->parent)
        for (uint32_t i = 0; i < f->n; i++)
            if (f->var[i].id == n->id && jv_given(f->var[i].v)) return f->var[i].v;
    jv v = rt->top[n->id];
    return jv_given(v) ? v : wick_jv_undef(rt, rt->tpl->name[n->id]->p, NULL, false);
}

static jv eval_items(jrt *rt, const jnode *n, jv_type t)
{
    jv r = wick_jv_list(rt, t, n->n);
    for (uint32_t i = 0; !rt->failed && i < n->n; i++) r.u.l->v[i] = wick_jinja_eval(rt, n->item[i]);
    return r;
}

static jv eval_dict(jrt *rt, const jnode *n)
{
    jv r = wick_jv_dict(rt, n->n);
    for (uint32_t i = 0; !rt->failed && i < n->n; i++) {
        jv k = wick_jinja_eval(rt, n->item[i]), v = wick_jinja_eval(rt, n->item2[i]);
        if (!rt->failed) (void)wick_jv_dict_put(rt, r.u.d, k, v);
    }
    return r;
}

static bool compare(jrt *rt, jop op, jv a, jv b)
{
    static const char *const names[] = {[OP_LT] = "<", [OP_LE] = "<=", [OP_GT] = ">", [OP_GE] = ">="};
    if (rt->failed) return false;
    switch (op) {
    case OP_EQ: return wick_jv_equal(rt, a, b);
    case OP_NE: return !wick_jv_equal(rt, a, b);
    case OP_IN: return wick_jv_contains(rt, b, a);
    case OP_NOT_IN: return !wick_jv_contains(rt, b, a);
    default: break;
    }
    int c = wick_jv_compare(rt, a, b, names[op]);
    if (c == 2) return false;
    return op == OP_LT ? c < 0 : op == OP_LE ? c <= 0 : op == OP_GT ? c > 0 : c >= 0;
}

static jv eval_compare(jrt *rt, const jnode *n)
{
    jv a = wick_jinja_eval(rt, n->a);
    bool r = false;
    for (uint32_t i = 0; i < n->n; i++) {
        jv b = wick_jinja_eval(rt, n->item[i]);
        r = compare(rt, (jop)n->ops[i], a, b);
        if (!r || rt->failed) break;
        a = b;
    }
    return jv_bool(r);
}

static jv eval_concat(jrt *rt, const jnode *n)
{
    jv r = wick_jinja_eval(rt, n->item[0]);
    if (rt->failed) return r;
    const jv_str *s = wick_jv_tostr(rt, r);
    for (uint32_t i = 1; i < n->n && !rt->failed; i++) {
        jv v = wick_jinja_eval(rt, n->item[i]);
        if (rt->failed) break;
        r = wick_jv_concat(rt, s, wick_jv_tostr(rt, v));
        if (jv_is_str(r)) s = r.u.s;
    }
    return rt->failed ? jv_make(JV_UNDEF) : jv_of_str(s);
}

static jv eval_unary(jrt *rt, const jnode *n)
{
    jv v = wick_jinja_eval(rt, n->a);
    int64_t i;
    if (rt->failed) return v;
    if (wick_jv_as_int(v, &i)) return n->kind == N_POS ? jv_int(i) : wick_jv_binary(rt, OP_SUB, jv_int(0), v);
    if (v.t == JV_FLOAT) return n->kind == N_POS ? v : jv_float(-v.u.f);
    if (v.t == JV_UNDEF) return wick_jv_undef_error(rt, v);
    return wick_jv_raise(rt, "bad operand type for unary %c: '%s'", n->kind == N_POS ? '+' : '-', wick_jv_type_name(v));
}

/* --- calls -------------------------------------------------------------------------------------------------------- */
static bool add_dyn_args(jrt *rt, const jcall *c, jargs *a)
{
    jv l = wick_jv_to_list(rt, wick_jinja_eval(rt, c->dyn_args));
    if (rt->failed) return false;
    jv *pos = wick_jv_array(rt, a->n + l.u.l->n, sizeof(*pos));
    if (!pos) return false;
    if (a->n) memcpy(pos, a->pos, a->n * sizeof(*pos));
    if (l.u.l->n) memcpy(pos + a->n, l.u.l->v, l.u.l->n * sizeof(*pos));
    a->pos = pos;
    a->n += (uint32_t)l.u.l->n;
    return true;
}

static bool add_dyn_kwargs(jrt *rt, const jcall *c, jargs *a)
{
    jv d = wick_jinja_eval(rt, c->dyn_kwargs);
    if (rt->failed) return false;
    if (d.t != JV_DICT)
        return wick_jv_raise(rt, "argument after ** must be a mapping, got %s", wick_jv_type_name(d)), false;
    uint32_t n = a->n_kw + d.u.d->n;
    const jv_str **name = wick_jv_array(rt, n, sizeof(*name));
    jv *kw = wick_jv_array(rt, n, sizeof(*kw));
    if (!name || !kw) return false;
    for (uint32_t i = 0; i < a->n_kw; i++) {
        name[i] = a->kw_name[i];
        kw[i] = a->kw[i];
        if (wick_jv_dict_get_str(d.u.d, name[i]->p, name[i]->n))
            return wick_jv_raise(rt, "got multiple values for keyword argument '%s'", name[i]->p), false;
    }
    for (uint32_t i = 0; i < d.u.d->n; i++) {
        if (d.u.d->e[i].k.t != JV_STR) return wick_jv_raise(rt, "keywords must be strings"), false;
        name[a->n_kw + i] = d.u.d->e[i].k.u.s;
        kw[a->n_kw + i] = d.u.d->e[i].v;
    }
    a->kw_name = name;
    a->kw = kw;
    a->n_kw = n;
    return true;
}

/* Evaluates the arguments. store has room for 8 of them; more go to the arena. */
static bool eval_args(jrt *rt, const jcall *c, jargs *a, jv store[8])
{
    *a = (jargs){0};
    if (!c) return true;
    uint32_t n = c->n_arg + c->n_kw;
    jv *v = n <= 8 ? store : wick_jv_array(rt, n, sizeof(*v));
    if (!v) return false;
    for (uint32_t i = 0; i < n && !rt->failed; i++)
        v[i] = wick_jinja_eval(rt, i < c->n_arg ? c->arg[i] : c->kw[i - c->n_arg]);
    if (rt->failed) return false;
    *a = (jargs){
        .pos = v, .n = c->n_arg, .kw_name = (const jv_str *const *)c->kw_name, .kw = v + c->n_arg, .n_kw = c->n_kw};
    if (c->dyn_args && !add_dyn_args(rt, c, a)) return false;
    return !c->dyn_kwargs || add_dyn_kwargs(rt, c, a);
}

static jv eval_call(jrt *rt, const jnode *n)
{
    jv store[8], fn, self = {0};
    const jv_def *method = NULL;
    jargs a;
    if (n->a->kind == N_ATTR && n->a->methods) { /* obj.method(...): no bound method is made */
        self = wick_jinja_eval(rt, n->a->a);
        method = wick_jv_method(self, n->a->methods);
        fn = method ? jv_none() : wick_jv_attr(rt, self, n->a->str, n->a->methods);
    } else {
        fn = wick_jinja_eval(rt, n->a);
    }
    if (rt->failed || !eval_args(rt, n->call, &a, store)) return jv_make(JV_UNDEF);
    rt->line = n->line;
    return method ? wick_jv_call_def(rt, method, self, &a, "method") : wick_jv_call(rt, fn, &a);
}

static jv eval_filter(jrt *rt, const jnode *n)
{
    jv store[8];
    jargs a;
    jv v = n->a ? wick_jinja_eval(rt, n->a) : rt->captured;
    if (rt->failed) return v;
    rt->line = n->line;
    if (!n->def)
        return wick_jv_raise(rt, "there is no %s named '%s'", n->kind == N_TEST ? "test" : "filter", n->str->p);
    if (!eval_args(rt, n->call, &a, store)) return jv_make(JV_UNDEF);
    return wick_jv_call_def(rt, n->def, v, &a, n->kind == N_TEST ? "test" : "filter");
}

static jv eval_slice(jrt *rt, const jnode *n)
{
    jv obj = wick_jinja_eval(rt, n->a), part[3];
    for (int i = 0; i < 3; i++) part[i] = n->item[i] ? wick_jinja_eval(rt, n->item[i]) : jv_none();
    return wick_jv_slice(rt, obj, part[0], part[1], part[2]);
}

static jv eval_item(jrt *rt, const jnode *n)
{
    jv obj = wick_jinja_eval(rt, n->a), key = wick_jinja_eval(rt, n->b);
    return wick_jv_item(rt, obj, key);
}

static jv eval_binary(jrt *rt, const jnode *n)
{
    jv a = wick_jinja_eval(rt, n->a), b = wick_jinja_eval(rt, n->b);
    return wick_jv_binary(rt, (jop)n->op, a, b);
}

static jv eval_cond(jrt *rt, const jnode *n)
{
    if (wick_jv_truth(wick_jinja_eval(rt, n->a))) return wick_jinja_eval(rt, n->b);
    if (n->c) return wick_jinja_eval(rt, n->c);
    return jv_make(JV_UNDEF);
}

static jv eval_logic(jrt *rt, const jnode *n)
{
    jv a = wick_jinja_eval(rt, n->a);
    return wick_jv_truth(a) == (n->kind == N_OR) ? a : wick_jinja_eval(rt, n->b);
}

jv wick_jinja_eval(jrt *rt, const jnode *n)
{
    jv v = jv_make(JV_UNDEF);
    if (n->kind == N_CONST) return n->val;
    if (!wick_jv_step(rt, 1) || !wick_jv_enter(rt)) return v;
    switch (n->kind) {
    case N_NAME: v = eval_name(rt, n); break;
    case N_TUPLE: v = eval_items(rt, n, JV_TUPLE); break;
    case N_LIST: v = eval_items(rt, n, JV_LIST); break;
    case N_DICT: v = eval_dict(rt, n); break;
    case N_COND: v = eval_cond(rt, n); break;
    case N_OR:
    case N_AND: v = eval_logic(rt, n); break;
    case N_NOT: v = jv_bool(!wick_jv_truth(wick_jinja_eval(rt, n->a))); break;
    case N_COMPARE: v = eval_compare(rt, n); break;
    case N_CONCAT: v = eval_concat(rt, n); break;
    case N_BINARY: v = eval_binary(rt, n); break;
    case N_NEG:
    case N_POS: v = eval_unary(rt, n); break;
    case N_ATTR: v = wick_jv_attr(rt, wick_jinja_eval(rt, n->a), n->str, n->methods); break;
    case N_ITEM: v = eval_item(rt, n); break;
    case N_SLICE: v = eval_slice(rt, n); break;
    case N_FILTER:
    case N_TEST: v = eval_filter(rt, n); break;
    case N_CALL: v = eval_call(rt, n); break;
    default: v = wick_jv_raise(rt, "not an expression"); break;
    }
    rt->depth--;
    return v;
}
