/* grammar/js_keys.c - which keys may come next in an object: one expression over their texts.
 *
 * Keys that the formula names are asked one by one; all others behave alike unless patterns tell them apart, and are
 * asked by the set of patterns that they match. Keys that came are excluded, so no key comes twice.
 */
#include "grammar/js.h"
#include <stdlib.h>

enum { MAX_EXCLUDED = 64 }; /* unnamed keys that are kept out by expression; beyond that the key's end decides */

typedef struct names {
    wick_js_pool *p;
    uint32_t *lit; /* strings, not sorted, may repeat */
    uint32_t n, cap;
    wick_re pattern[JS_MAX_PATTERNS];
    uint32_t n_patterns;
    bool many; /* more patterns than can be told apart */
} names;

static void add_literal(names *x, uint32_t s)
{
    if (wick_re_room(x->p->f->re, (void **)&x->lit, &x->cap, (uint64_t)x->n + 1, sizeof *x->lit)) x->lit[x->n++] = s;
}

static void add_pattern(names *x, wick_re r)
{
    for (uint32_t i = 0; i < x->n_patterns; i++)
        if (x->pattern[i] == r) return;
    if (x->n_patterns == JS_MAX_PATTERNS)
        x->many = true;
    else
        x->pattern[x->n_patterns++] = r;
}

static void gather(names *x, wick_f f)
{
    wick_f_pool *p = x->p->f;
    wick_f_node y = p->node[f];
    if (y.kind == F_NOT) gather(x, y.a);
    if (y.kind >= F_AND && y.kind <= F_ONE)
        for (uint32_t i = 0; i < y.b; i++) gather(x, p->lists[y.a + i]);
    if (y.kind == F_REQ) add_literal(x, y.a);
    if (y.kind != F_EACH) return;
    wick_formula_keys k = p->keys[y.a];
    if (k.kind == KEYS_ONE) add_literal(x, k.a);
    if (k.kind == KEYS_RE) add_pattern(x, k.a);
    if (k.kind != KEYS_OTHERS) return;
    for (uint32_t i = 0; i < k.n; i++) add_literal(x, p->lists[k.a + i]);
    for (uint32_t i = 0; i < k.n_re; i++) add_pattern(x, p->lists[k.b + i]);
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint32_t place(const wick_js_pool *p, uint32_t s)
{
    return s < p->n_order ? p->order[s] : UINT32_MAX;
}

/* The place up to which declared keys have come, and the first one that must still come. */
static void order_of(const wick_js_pool *p, const wick_js_frame *f, uint32_t *done, uint32_t *must)
{
    *done = 0;
    *must = UINT32_MAX;
    for (uint32_t l = f->seen; l; l = p->cons[l].next) {
        uint32_t at = place(p, p->cons[l].head);
        if (at >= *done) *done = at == UINT32_MAX ? at : at + 1;
    }
    wick_f_node x = p->f->node[f->need];
    uint32_t n = x.kind == F_AND ? x.b : 1;
    for (uint32_t i = 0; i < n; i++) {
        const wick_f_node *y = &p->f->node[x.kind == F_AND ? p->f->lists[x.a + i] : f->need];
        if (y->kind == F_REQ && place(p, y->a) < *must) *must = place(p, y->a);
    }
}

/* Order is asked for only where it leads nowhere that cannot be finished: no alternatives, no count of properties to
 * reach. */
static bool may_order(const wick_f_pool *p, const wick_js_frame *f)
{
    wick_f_node x = p->node[f->need];
    for (uint32_t i = 0; x.kind == F_AND && i < x.b; i++)
        if (p->node[p->lists[x.a + i]].kind == F_MINP) return false;
    return f->simple && x.kind != F_MINP;
}

static bool may_come(wick_js_pool *p, const wick_js_frame *f, uint32_t key)
{
    wick_js_at at = {.p = p->f, .key = key};
    return !wick_js_list_has(p, f->seen, key) && wick_js_sat(p->f, wick_js_viable(&at, f->need));
}

/* A conjunction that names many keys: each is asked with the assertions on it alone. Sets ok[i] of sorted lit[i]. */
static void ask_simple(wick_js_pool *p, const wick_js_frame *f, const names *x, bool *ok)
{
    wick_f_pool *q = p->f;
    wick_f_node y = q->node[f->need];
    uint32_t n = y.kind == F_AND ? y.b : 1;
    wick_f *v = wick_alloc_zero(x->n + 1u, sizeof *v);
    if (!v) {
        wick_re_fail(q->re, "memory");
        return;
    }
    for (uint32_t i = 0; i < x->n; i++) v[i] = WICK_F_TRUE;
    for (uint32_t i = 0; i < n; i++) {
        wick_f_node z = q->node[y.kind == F_AND ? q->lists[y.a + i] : f->need];
        if (z.kind != F_EACH) continue;
        wick_formula_keys k = q->keys[z.a];
        if (k.kind == KEYS_ONE) {
            uint32_t *at = bsearch(&k.a, x->lit, x->n, sizeof *x->lit, by_id);
            if (at) v[at - x->lit] = wick_f_and2(q, v[at - x->lit], z.b);
            continue;
        }
        if (k.kind == KEYS_OTHERS && k.n == x->n) continue; /* names them all */
        for (uint32_t j = 0; j < x->n; j++)
            if (wick_f_keys_have(q, z.a, x->lit[j])) v[j] = wick_f_and2(q, v[j], z.b);
    }
    for (uint32_t i = 0; i < x->n; i++) ok[i] = !wick_js_list_has(p, f->seen, x->lit[i]) && wick_js_sat(q, v[i]);
    wick_free(v);
}

/* Keys that no name is known of: by the patterns they match. *all: every one of them may come. */
static wick_re unnamed(wick_js_pool *p, const wick_js_frame *f, const names *x, bool *all)
{
    wick_re r = WICK_RE_NONE;
    *all = true;
    if (x->many) return WICK_RE_ALL;
    for (uint32_t m = 0; m < 1u << x->n_patterns && wick_f_ok(p->f); m++) {
        wick_js_at at = {.p = p->f, .key = JS_NO_KEY, .pattern = x->pattern, .n_patterns = x->n_patterns, .matched = m};
        if (!wick_js_sat(p->f, wick_js_viable(&at, f->need))) {
            *all = false;
            continue;
        }
        wick_re part = WICK_RE_ALL;
        for (uint32_t i = 0; i < x->n_patterns; i++)
            part = wick_re_and2(p->f->re, part, m >> i & 1 ? x->pattern[i] : wick_re_not(p->f->re, x->pattern[i]));
        r = wick_re_or2(p->f->re, r, part);
    }
    return *all ? WICK_RE_ALL : r;
}

static wick_re words_where(wick_js_pool *p, const names *x, const bool *ok, bool want, const wick_js_frame *f)
{
    uint32_t n = 0, extra = want ? 0 : f->n_seen;
    wick_str *w = wick_alloc((x->n + extra + 1u) * sizeof *w);
    if (!w) {
        wick_re_fail(p->f->re, "memory");
        return WICK_RE_NONE;
    }
    for (uint32_t i = 0; i < x->n; i++)
        if (ok[i] == want) w[n++] = p->f->str[x->lit[i]];
    if (extra && extra <= MAX_EXCLUDED)
        for (uint32_t l = f->seen; l; l = p->cons[l].next) w[n++] = p->f->str[p->cons[l].head];
    wick_re r = wick_re_words(p->f->re, w, n);
    wick_free(w);
    return r;
}

static wick_re make_keys(wick_js_pool *p, const wick_js_frame *f)
{
    wick_f_pool *q = p->f;
    names x = {.p = p};
    uint32_t n = 0, done, must;
    wick_re r = WICK_RE_NONE;
    bool all = false;
    gather(&x, f->need);
    if (x.n) qsort(x.lit, x.n, sizeof *x.lit, by_id);
    for (uint32_t i = 0; i < x.n; i++)
        if (!i || x.lit[i] != x.lit[n - 1]) x.lit[n++] = x.lit[i];
    x.n = n;
    bool *ok = wick_alloc_zero(n + 1u, sizeof *ok);
    if (!ok) wick_re_fail(q->re, "memory");
    if (!wick_f_ok(q)) goto done;
    if (f->simple)
        ask_simple(p, f, &x, ok);
    else
        for (uint32_t i = 0; i < n; i++) ok[i] = may_come(p, f, x.lit[i]);
    wick_re others = unnamed(p, f, &x, &all);
    if (p->opt.schema_order && may_order(p->f, f)) {
        order_of(p, f, &done, &must);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = place(p, x.lit[i]);
            if ((at < done && at != must) || at > must) ok[i] = false; /* what must come may come late */
        }
        if (must != UINT32_MAX) others = WICK_RE_NONE;
    }
    if (others != WICK_RE_NONE) {
        wick_re named = words_where(p, &x, ok, false, f);
        wick_re yes = all ? WICK_RE_NONE : words_where(p, &x, ok, true, f);
        if (!all) { /* names that may come need not match the patterns of the others */
            wick_re every = wick_re_or2(q->re, named, yes);
            others = wick_re_or2(q->re, wick_re_and2(q->re, others, wick_re_not(q->re, every)), yes);
            r = wick_re_and2(q->re, q->any_text, others);
        } else {
            r = wick_re_and2(q->re, q->any_text, wick_re_not(q->re, named));
        }
    } else {
        r = words_where(p, &x, ok, true, f);
    }
done:
    wick_free(ok);
    q->re->bytes -= (uint64_t)x.cap * sizeof *x.lit;
    wick_free(x.lit);
    return r;
}

/* Where keys do not disturb each other, the keys that may come are those from before without the last one. */
static bool from_before(wick_js_pool *p, const wick_js_frame *f, wick_re *r)
{
    if (!f->before || !f->simple || p->opt.schema_order) return false;
    const wick_js_frame *b = &p->frame[f->before];
    if (!b->has_keys || !b->simple || f->n_seen > MAX_EXCLUDED) return false;
    wick_str last = p->f->str[p->cons[f->seen].head];
    wick_re not = wick_re_not(p->f->re, wick_re_lit(p->f->re, last.p, last.n));
    *r = wick_re_and2(p->f->re, p->frame[f->before].key_re, not );
    return true;
}

uint32_t wick_js_key_start(wick_js_pool *p, uint32_t frame)
{
    wick_js_frame f = p->frame[frame];
    if (!f.has_keys) {
        if (!from_before(p, &f, &f.key_re)) f.key_re = make_keys(p, &f);
        if (!wick_f_ok(p->f)) return WICK_DFA_DEAD;
        p->frame[frame].key_re = f.key_re;
        p->frame[frame].has_keys = true;
    }
    return wick_dfa_start(p->f->re, &f.key_re, 1);
}
