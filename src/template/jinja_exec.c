/* template/jinja_exec.c - statements: output, scopes, loops, macros.
 *
 * Scopes are frames: for, with, macro, block, set-block, filter-block and generation open one, if does not. A name is
 * looked up through the frames of the place where the code stands (macros keep theirs), then in jrt.top, which holds
 * the variables of the render, the globals, and what is set at the top level. Loops reuse their frame for each
 * iteration unless a macro holds on to it.
 */
#include "template/jinja_impl.h"

jframe *wick_jinja_push_frame(jrt *rt, jframe *parent)
{
    jframe *f = wick_jv_alloc(rt, sizeof(*f));
    if (f) f->parent = parent;
    return f;
}

void wick_jinja_put(jrt *rt, uint32_t id, jv v)
{
    jframe *f = rt->frame;
    if (rt->failed) return;
    if (!f->parent) {
        rt->top[id] = v;
        return;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        if (f->var[i].id != id) continue;
        f->var[i].v = v;
        return;
    }
    if (f->n == f->cap) {
        uint32_t cap = f->cap ? f->cap * 2 : 4;
        struct jvar *var = wick_jv_array(rt, cap, sizeof(*var));
        if (!var) return;
        if (f->n) memcpy(var, f->var, f->n * sizeof(*var));
        f->var = var;
        f->cap = cap;
    }
    f->var[f->n++] = (struct jvar){id, v};
}

static jv *find_name(jrt *rt, uint32_t id)
{
    for (jframe *f = rt->frame; f->parent; f = f->parent)
        for (uint32_t i = 0; i < f->n; i++)
            if (f->var[i].id == id) return &f->var[i].v;
    return &rt->top[id];
}

static void assign_attr(jrt *rt, const jnode *target, jv v)
{
    jv *ns = find_name(rt, target->id);
    if (ns->t != JV_NS) {
        (void)wick_jv_raise(rt, "cannot assign an attribute of '%s': it is no namespace", rt->tpl->name[target->id]->p);
    } else if (target->str->n && target->str->p[0] == '_') {
        (void)wick_jv_raise(rt, "a namespace cannot hold '%s': names must not start with an underscore",
                            target->str->p);
    } else {
        (void)wick_jv_dict_put(rt, ns->u.d, jv_of_str(target->str), v);
    }
}

void wick_jinja_assign(jrt *rt, const jnode *target, jv v)
{
    if (rt->failed) return;
    if (target->kind == N_NAME) {
        wick_jinja_put(rt, target->id, v);
    } else if (target->kind == N_NSREF) {
        assign_attr(rt, target, v);
    } else {
        jv l = jv_is_seq(v) ? v : wick_jv_to_list(rt, v);
        if (rt->failed) return;
        if (l.u.l->n != target->n) {
            (void)wick_jv_raise(rt, "expected %u values to unpack, got %zu", target->n, l.u.l->n);
            return;
        }
        for (uint32_t i = 0; i < target->n; i++) wick_jinja_assign(rt, target->item[i], l.u.l->v[i]);
    }
}

static jflow exec_in(jrt *rt, const jnode *body, jframe *f)
{
    jframe *saved = rt->frame;
    if (!f || rt->failed) return FLOW_NEXT;
    rt->frame = f;
    jflow flow = wick_jinja_exec(rt, body);
    rt->frame = saved;
    return flow;
}

/* --- loops -------------------------------------------------------------------------------------------------------- */
/* The next item that the loop's condition keeps; *out is left alone where there is none. */
static bool loop_raw_next(jrt *rt, jv_loop *lp, jv *out)
{
    jv v;
    if (lp->rest_pos < lp->n_rest) {
        *out = lp->rest[lp->rest_pos++];
        return true;
    }
    while (wick_jv_iter_next(rt, &lp->it, &v)) {
        if (!lp->node->c) {
            *out = v;
            return true;
        }
        jframe *saved = rt->frame, *f = wick_jinja_push_frame(rt, lp->outer);
        if (!f) return false;
        rt->frame = f;
        wick_jinja_assign(rt, lp->node->a, v);
        bool keep = wick_jv_truth(wick_jinja_eval(rt, lp->node->c));
        rt->frame = saved;
        if (keep && !rt->failed) {
            *out = v;
            return true;
        }
    }
    return false;
}

static bool loop_peek(jrt *rt, jv_loop *lp)
{
    return jv_given(lp->after) || loop_raw_next(rt, lp, &lp->after);
}

static int64_t loop_length(jrt *rt, jv_loop *lp)
{
    if (lp->length >= 0) return lp->length;
    if (!lp->node->c && wick_jv_len(lp->it.src) >= 0) return lp->length = wick_jv_len(lp->it.src);
    size_t cap = 16, n = 0;
    jv *rest = wick_jv_array(rt, cap, sizeof(*rest)), v;
    while (rest && loop_raw_next(rt, lp, &v)) {
        if (n == cap) {
            jv *grown = wick_jv_array(rt, cap * 2, sizeof(*rest));
            if (!grown) break;
            memcpy(grown, rest, n * sizeof(*rest));
            rest = grown;
            cap *= 2;
        }
        rest[n++] = v;
    }
    lp->rest = rest;
    lp->n_rest = n;
    lp->rest_pos = 0;
    return lp->length = (int64_t)n + lp->index0 + 1 + jv_given(lp->after);
}

static jv loop_cycle(jrt *rt, jv self, const jargs *a)
{
    if (a->n_kw) return wick_jv_raise(rt, "cycle() takes no keyword arguments");
    if (!a->n) return wick_jv_raise(rt, "no items for cycling given");
    return a->pos[self.u.lp->index0 % a->n];
}

static jv loop_changed(jrt *rt, jv self, const jargs *a)
{
    if (a->n_kw) return wick_jv_raise(rt, "changed() takes no keyword arguments");
    jv now = wick_jv_list(rt, JV_TUPLE, a->n);
    if (rt->failed) return now;
    if (a->n) memcpy(now.u.l->v, a->pos, a->n * sizeof(jv));
    if (jv_given(self.u.lp->changed) && wick_jv_equal(rt, self.u.lp->changed, now)) return jv_bool(false);
    self.u.lp->changed = now;
    return jv_bool(true);
}

static jv loop_method(jrt *rt, jv_loop *lp, const jv_def *d)
{
    jv v = jv_make(JV_METHOD), self = jv_make(JV_LOOP);
    self.u.lp = lp;
    v.u.bm = wick_jv_alloc(rt, sizeof(*v.u.bm));
    if (!v.u.bm) return jv_make(JV_UNDEF);
    *v.u.bm = (jv_bound){self, d};
    return v;
}

jv wick_jinja_loop_attr(jrt *rt, jv_loop *lp, const jv_str *name)
{
    static const jv_def cycle = {.name = "cycle", .raw = loop_cycle},
                        changed = {.name = "changed", .raw = loop_changed};
    static const char *const names[] = {"index", "index0", "first",    "last",     "length", "revindex", "revindex0",
                                        "depth", "depth0", "previtem", "nextitem", "cycle",  "changed"};
    size_t i = 0, n = sizeof(names) / sizeof(*names);
    while (i < n && !(strlen(names[i]) == name->n && memcmp(names[i], name->p, name->n) == 0)) i++;
    switch (i) {
    case 0: return jv_int(lp->index0 + 1);
    case 1: return jv_int(lp->index0);
    case 2: return jv_bool(lp->index0 == 0);
    case 3: return jv_bool(!loop_peek(rt, lp));
    case 4: return jv_int(loop_length(rt, lp));
    case 5: return jv_int(loop_length(rt, lp) - lp->index0);
    case 6: return jv_int(loop_length(rt, lp) - lp->index0 - 1);
    case 7: return jv_int(lp->depth0 + 1);
    case 8: return jv_int(lp->depth0);
    case 9: return lp->index0 == 0 ? jv_make(JV_UNDEF) : lp->prev;
    case 10: return loop_peek(rt, lp) ? lp->after : jv_make(JV_UNDEF);
    case 11: return loop_method(rt, lp, &cycle);
    case 12: return loop_method(rt, lp, &changed);
    default: return jv_make(JV_MISSING);
    }
}

static bool loop_next(jrt *rt, jv_loop *lp)
{
    jv v = lp->after;
    if (jv_given(v))
        lp->after = jv_make(JV_MISSING);
    else if (!loop_raw_next(rt, lp, &v))
        return false;
    lp->index0++;
    lp->prev = lp->cur;
    lp->cur = v;
    return !rt->failed;
}

static void run_loop(jrt *rt, const jnode *n, jframe *outer, jv iterable, uint32_t depth0)
{
    jv_loop *lp = wick_jv_alloc(rt, sizeof(*lp));
    jv loop = jv_make(JV_LOOP);
    bool none = true; /* no iteration reached its end: what jinja2 asks for else */
    jframe *f = NULL;
    if (!lp || !wick_jv_iter_start(rt, iterable, &lp->it)) return;
    lp->node = n;
    lp->outer = outer;
    lp->index0 = lp->length = -1;
    lp->depth0 = depth0;
    lp->cur = lp->prev = jv_make(JV_UNDEF);
    lp->after = lp->changed = jv_make(JV_MISSING);
    loop.u.lp = lp;
    while (loop_next(rt, lp)) {
        if (!f || f->captured) f = wick_jinja_push_frame(rt, outer);
        if (!f) return;
        f->n = 0;
        jframe *saved = rt->frame;
        rt->frame = f;
        wick_jinja_put(rt, rt->tpl->id_loop, loop);
        wick_jinja_assign(rt, n->a, lp->cur);
        jflow flow = wick_jinja_exec(rt, n->body);
        rt->frame = saved;
        if (flow == FLOW_BREAK) break;
        if (flow == FLOW_NEXT) none = false;
    }
    if (none && n->alt && !rt->failed) (void)exec_in(rt, n->alt, wick_jinja_push_frame(rt, outer));
}

jv wick_jinja_loop_again(jrt *rt, jv_loop *lp, jv iterable)
{
    if (!lp->node->flag) return wick_jv_raise(rt, "the loop must have the 'recursive' marker to be called");
    if (rt->calls >= rt->max_calls) return wick_jv_raise(rt, "calls are nested deeper than %u", rt->max_calls);
    size_t mark = rt->w.n;
    jframe *saved = rt->frame;
    rt->calls++;
    rt->frame = lp->outer;
    run_loop(rt, lp->node, lp->outer, iterable, lp->depth0 + 1);
    rt->frame = saved;
    rt->calls--;
    return wick_jv_take(rt, mark);
}

/* --- macros ------------------------------------------------------------------------------------------------------- */
/* Takes the keyword `name` out of the unused ones; JV_MISSING if it was not given. */
static jv take_kw(const jargs *a, bool *used, const jv_str *name)
{
    for (uint32_t i = 0; i < a->n_kw; i++) {
        if (used[i] || a->kw_name[i]->n != name->n || memcmp(a->kw_name[i]->p, name->p, name->n) != 0) continue;
        used[i] = true;
        return a->kw[i];
    }
    return jv_make(JV_MISSING);
}

static jv extra_kwargs(jrt *rt, const jargs *a, const bool *used)
{
    jv d = wick_jv_dict(rt, a->n_kw);
    for (uint32_t i = 0; !rt->failed && i < a->n_kw; i++)
        if (!used[i]) (void)wick_jv_dict_put(rt, d.u.d, jv_of_str(a->kw_name[i]), a->kw[i]);
    return d;
}

/* Binds the arguments in the macro's frame, which is rt->frame. */
static bool bind_macro(jrt *rt, const jnode *n, const jargs *a)
{
    const wick_jinja *t = rt->tpl;
    bool *used = wick_jv_alloc(rt, a->n_kw), has_caller = false;
    if (!used) return false;
    for (uint32_t i = 0; i < n->n; i++) {
        jv v = i < a->n ? a->pos[i] : take_kw(a, used, t->name[n->item[i]->id]);
        has_caller = has_caller || n->item[i]->id == t->id_caller;
        wick_jinja_put(rt, n->item[i]->id, jv_given(v) ? v : jv_make(JV_MISSING));
    }
    if (n->uses_caller && !has_caller) {
        jv c = take_kw(a, used, t->name[t->id_caller]);
        wick_jinja_put(rt, t->id_caller, jv_given(c) ? c : wick_jv_undef(rt, "caller", NULL, false));
    }
    if (n->uses_kwargs)
        wick_jinja_put(rt, t->id_kwargs, extra_kwargs(rt, a, used));
    else
        for (uint32_t i = 0; i < a->n_kw; i++)
            if (!used[i])
                return wick_jv_raise(rt, "macro '%s' takes no keyword argument '%.*s'", n->str ? n->str->p : "caller",
                                     (int)a->kw_name[i]->n, a->kw_name[i]->p),
                       false;
    uint32_t extra = a->n > n->n ? a->n - n->n : 0;
    if (n->uses_varargs) {
        jv l = wick_jv_list(rt, JV_TUPLE, extra);
        if (!rt->failed && extra) memcpy(l.u.l->v, a->pos + n->n, extra * sizeof(jv));
        wick_jinja_put(rt, t->id_varargs, l);
    } else if (extra) {
        return wick_jv_raise(rt, "macro '%s' takes not more than %u arguments", n->str ? n->str->p : "caller", n->n),
               false;
    }
    for (uint32_t i = 0; i < n->n && !rt->failed; i++) { /* defaults see the parameters before them */
        jv *slot = find_name(rt, n->item[i]->id);
        if (jv_given(*slot)) continue;
        *slot = wick_jv_undef(rt, t->name[n->item[i]->id]->p, NULL, false);
        if (i < n->n - n->n2) continue;
        jv v = wick_jinja_eval(rt, n->item2[i - (n->n - n->n2)]);
        wick_jinja_put(rt, n->item[i]->id, v);
    }
    return !rt->failed;
}

jv wick_jinja_call_macro(jrt *rt, jv_macro *m, const jargs *a)
{
    if (rt->calls >= rt->max_calls) return wick_jv_raise(rt, "calls are nested deeper than %u", rt->max_calls);
    jframe *saved = rt->frame, *f = wick_jinja_push_frame(rt, m->frame);
    size_t mark = rt->w.n;
    uint32_t line = rt->line;
    if (!f || !wick_jv_enter(rt)) return jv_make(JV_UNDEF);
    rt->calls++;
    rt->frame = f;
    if (bind_macro(rt, m->node, a)) (void)wick_jinja_exec(rt, m->node->body);
    rt->frame = saved;
    rt->calls--;
    rt->depth--;
    if (!rt->failed) rt->line = line;
    return wick_jv_take(rt, mark);
}

static jv make_macro(jrt *rt, const jnode *n)
{
    jv v = jv_make(JV_MACRO);
    v.u.m = wick_jv_alloc(rt, sizeof(*v.u.m));
    if (!v.u.m) return jv_make(JV_UNDEF);
    *v.u.m = (jv_macro){n, rt->frame};
    for (jframe *f = rt->frame; f->parent && !f->captured; f = f->parent) f->captured = true;
    return v;
}

static void exec_call_block(jrt *rt, const jnode *n)
{
    const jnode *c = n->b;
    /* the call with one keyword more: caller */
    jcall call = c->call ? *c->call : (jcall){0};
    jnode caller = {.kind = N_CONST, .line = n->line, .val = make_macro(rt, n)}, with = *c;
    jnode **kw = wick_jv_array(rt, call.n_kw + 1u, sizeof(*kw));
    const jv_str **name = wick_jv_array(rt, call.n_kw + 1u, sizeof(*name));
    if (!kw || !name) return;
    for (uint32_t i = 0; i < call.n_kw; i++) {
        kw[i] = call.kw[i];
        name[i] = call.kw_name[i];
    }
    kw[call.n_kw] = &caller;
    name[call.n_kw++] = rt->tpl->name[rt->tpl->id_caller];
    call.kw = kw;
    call.kw_name = name;
    with.call = &call;
    wick_jv_write(rt, wick_jinja_eval(rt, &with));
}

/* --- statements --------------------------------------------------------------------------------------------------- */
/* The output of body as text in *out (not when a break passes through). */
static jflow capture(jrt *rt, const jnode *body, jframe *f, jv *out)
{
    size_t mark = rt->w.n;
    jflow flow = exec_in(rt, body, f);
    *out = wick_jv_take(rt, mark);
    return flow;
}

static jflow exec_captured(jrt *rt, const jnode *n)
{
    jv text, saved = rt->captured;
    jframe *inner = wick_jinja_push_frame(rt, rt->frame), *outer = rt->frame;
    jflow flow = capture(rt, n->body, inner, &text);
    if (rt->failed || flow != FLOW_NEXT) return flow;
    rt->captured = text;
    rt->frame = inner;
    jv v = n->b ? wick_jinja_eval(rt, n->b) : text;
    rt->frame = outer;
    rt->captured = saved;
    if (n->kind == N_SET_BLOCK)
        wick_jinja_assign(rt, n->a, v);
    else
        wick_jv_write(rt, v);
    return FLOW_NEXT;
}

static jflow exec_with(jrt *rt, const jnode *n)
{
    jframe *f = wick_jinja_push_frame(rt, rt->frame), *saved = rt->frame;
    for (uint32_t i = 0; i < n->n && !rt->failed; i++) {
        jv v = wick_jinja_eval(rt, n->item2[i]);
        if (rt->failed) break;
        rt->frame = f;
        wick_jinja_assign(rt, n->item[i], v);
        rt->frame = saved;
    }
    return exec_in(rt, n->body, f);
}

static void exec_set(jrt *rt, const jnode *n)
{
    /* the namespace is looked at before the value is made, as jinja2 does */
    if (n->a->kind == N_NSREF && find_name(rt, n->a->id)->t != JV_NS) assign_attr(rt, n->a, jv_none());
    wick_jinja_assign(rt, n->a, wick_jinja_eval(rt, n->b));
}

static jflow exec_one(jrt *rt, const jnode *n)
{
    switch (n->kind) {
    case N_DATA: wick_jv_write(rt, jv_of_str(n->str)); break;
    case N_PRINT: wick_jv_write(rt, wick_jinja_eval(rt, n->a)); break;
    case N_IF: return wick_jinja_exec(rt, wick_jv_truth(wick_jinja_eval(rt, n->a)) ? n->body : n->alt);
    case N_FOR: run_loop(rt, n, rt->frame, wick_jinja_eval(rt, n->b), 0); break;
    case N_SET: exec_set(rt, n); break;
    case N_SET_BLOCK:
    case N_FILTER_BLOCK: return exec_captured(rt, n);
    case N_MACRO: wick_jinja_put(rt, n->id, make_macro(rt, n)); break;
    case N_CALL_BLOCK: exec_call_block(rt, n); break;
    case N_WITH: return exec_with(rt, n);
    case N_SCOPE: (void)exec_in(rt, n->body, wick_jinja_push_frame(rt, rt->frame)); break;
    case N_BLOCK: (void)exec_in(rt, n->body, wick_jinja_push_frame(rt, n->flag ? rt->frame : &rt->top_frame)); break;
    case N_BREAK: return FLOW_BREAK;
    case N_CONTINUE: return FLOW_CONTINUE;
    default: (void)wick_jv_raise(rt, "%s", n->str ? n->str->p : "not a statement"); break;
    }
    return FLOW_NEXT;
}

jflow wick_jinja_exec(jrt *rt, const jnode *n)
{
    jflow flow = FLOW_NEXT;
    if (!n || !wick_jv_enter(rt)) return flow;
    for (; n && flow == FLOW_NEXT && wick_jv_step(rt, 1); n = n->next) {
        rt->line = n->line;
        flow = exec_one(rt, n);
    }
    rt->depth--;
    return flow;
}
