/* grammar/js_solve.c - formulas of objects and arrays while they are read: what the next value must fulfil, what is
 * left after it, whether anything can fulfil the rest.
 *
 * The first two are exact, and they alone decide what is accepted in the end. The last looks ahead so that no text is
 * begun that cannot be finished; it says "possible" where it does not know.
 */
#include "grammar/js.h"

enum { MAX_NEST = 2000, MAX_PAIRS = 40, MAX_BRANCH_NEST = 3, MAX_BUDGET = 48 };
enum { MEMO_SAT = 32, MEMO_SAT_FRAME };

static bool deeper(wick_f_pool *p)
{
    if (++p->depth > MAX_NEST) wick_re_fail(p->re, "nesting");
    return wick_f_ok(p);
}

static bool key_in(const wick_js_at *at, uint32_t keys)
{
    if (at->key != JS_NO_KEY) return wick_f_keys_have(at->p, keys, at->key);
    const wick_formula_keys *k = &at->p->keys[keys];
    if (k->kind == KEYS_ONE) return false;
    uint32_t n = k->kind == KEYS_RE ? 1 : k->n_re;
    const wick_re *re = k->kind == KEYS_RE ? &k->a : at->p->lists + k->b;
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t j = 0; j < at->n_patterns; j++)
            if (at->pattern[j] == re[i] && at->matched >> j & 1) return k->kind == KEYS_RE;
    return k->kind == KEYS_OTHERS;
}

/* ---- what the next value must fulfil ---- */
static wick_f viable(const wick_js_at *at, wick_f f, bool negated);

static wick_f viable_atom(const wick_js_at *at, wick_f_node x, bool negated)
{
    wick_f_pool *p = at->p;
    switch ((wick_f_kind)x.kind) {
    case F_EACH:
        if (!key_in(at, x.a)) return WICK_F_TRUE;
        if (!negated) return x.b;
        return p->keys[x.a].kind == KEYS_ONE ? wick_f_not(p, x.b) : WICK_F_TRUE;
    case F_REQ: return negated && at->key == x.a ? WICK_F_FALSE : WICK_F_TRUE;
    case F_ITEMS:
        if (x.lo > 0) return WICK_F_TRUE;
        if (!negated) return x.b;
        return x.hi == 1 ? wick_f_not(p, x.b) : WICK_F_TRUE;
    case F_HAS: return negated && x.a == 1 ? wick_f_not(p, x.b) : WICK_F_TRUE;
    case F_MINP:
    case F_MINI: return negated && x.a == 1 ? WICK_F_FALSE : WICK_F_TRUE;
    default: return WICK_F_TRUE;
    }
}

/* Counts that leave no room: a maximum of properties beside required keys, of items beside items to be contained. */
static wick_f viable_counts(const wick_js_at *at, wick_f_node list)
{
    wick_f_pool *p = at->p;
    uint32_t most = UINT32_MAX, required = 0;
    wick_f r = WICK_F_TRUE;
    for (uint32_t i = 0; i < list.b; i++) {
        wick_f_node x = p->node[p->lists[list.a + i]];
        if (x.kind == F_REQ && x.a != at->key) required++;
        if (x.kind != F_NOT) continue;
        wick_f_node y = p->node[x.a];
        if ((y.kind == F_MINP || y.kind == F_MINI) && y.a - 1 < most) most = y.a - 1; /* may still come */
    }
    if (most == UINT32_MAX) return r;
    if (most == 0 || required > most - 1) return WICK_F_FALSE;
    for (uint32_t i = 0; i < list.b; i++) {
        wick_f_node x = p->node[p->lists[list.a + i]];
        if (x.kind != F_HAS) continue;
        if (x.a > most) return WICK_F_FALSE;
        if (x.a == most) r = wick_f_and2(p, r, x.b);
    }
    return r;
}

static wick_f viable_list(const wick_js_at *at, wick_f_node x, bool negated)
{
    wick_f_pool *p = at->p;
    bool and = (x.kind == F_AND) != negated;
    wick_f r = and&&!negated ? viable_counts(at, x) : and? WICK_F_TRUE : WICK_F_FALSE;
    wick_f small[32], *v = small;
    uint32_t n = 0, cap = 0;
    if (x.b > 32) {
        v = NULL;
        if (!wick_re_room(p->re, (void **)&v, &cap, x.b, sizeof *v)) return WICK_F_FALSE;
    }
    wick_f neutral = and? WICK_F_TRUE : WICK_F_FALSE;
    for (uint32_t i = 0; i < x.b && wick_f_ok(p); i++) {
        wick_f y = viable(at, p->lists[x.a + i], negated);
        if (y == (and? WICK_F_FALSE : WICK_F_TRUE)) {
            r = y;
            n = 0;
            break;
        }
        if (y != neutral) v[n++] = y;
    }
    if (n) {
        wick_f y = wick_f_list(p, and? F_AND : F_OR, v, n);
        r = and? wick_f_and2(p, r, y) : wick_f_or2(p, r, y);
    }
    if (v != small) {
        p->re->bytes -= (uint64_t)cap * sizeof *v;
        wick_free(v);
    }
    return r;
}

/* Exactly one: some i with none of the others. Not: none, or two. */
static wick_f viable_one(const wick_js_at *at, wick_f_node x, bool negated)
{
    wick_f_pool *p = at->p;
    wick_f none = WICK_F_TRUE, one = WICK_F_FALSE, two = WICK_F_FALSE;
    for (uint32_t i = 0; i < x.b && wick_f_ok(p); i++) {
        wick_f yes = viable(at, p->lists[x.a + i], false), no = viable(at, p->lists[x.a + i], true);
        two = wick_f_or2(p, two, wick_f_and2(p, one, yes));
        one = wick_f_or2(p, wick_f_and2(p, one, no), wick_f_and2(p, none, yes));
        none = wick_f_and2(p, none, no);
    }
    return negated ? wick_f_or2(p, none, two) : one;
}

static wick_f viable(const wick_js_at *at, wick_f f, bool negated)
{
    wick_f_pool *p = at->p;
    wick_f_node x = p->node[f];
    wick_f r = WICK_F_FALSE;
    if (f <= WICK_F_TRUE) return (f == WICK_F_TRUE) != negated ? WICK_F_TRUE : WICK_F_FALSE;
    if (x.kind == F_NOT) return viable(at, x.a, !negated);
    if (x.kind > F_ONE) return viable_atom(at, x, negated);
    if (deeper(p)) r = x.kind == F_ONE ? viable_one(at, x, negated) : viable_list(at, x, negated);
    p->depth--;
    return r;
}

wick_f wick_js_viable(const wick_js_at *at, wick_f f)
{
    return viable(at, f, false);
}

int wick_js_implied(const wick_f_pool *p, wick_f v, wick_f f)
{
    wick_f_node x = p->node[v];
    uint32_t n = x.kind == F_AND ? x.b : 1;
    if (f <= WICK_F_TRUE) return f == WICK_F_TRUE;
    for (uint32_t i = 0; i < n; i++) {
        wick_f y = x.kind == F_AND ? p->lists[x.a + i] : v;
        if (y == f) return 1;
        if (p->node[y].kind == F_NOT && p->node[y].a == f) return 0;
    }
    return -1;
}

/* ---- what is left after it ---- */
static bool truth_of(const wick_js_at *at, wick_f f)
{
    for (uint32_t i = 0; i < at->n_outs; i++)
        if (at->outs[i] == f) return at->truth[i];
    return f != WICK_F_FALSE;
}

static wick_f rewrite_atom(const wick_js_at *at, wick_f f, wick_f_node x)
{
    wick_f_pool *p = at->p;
    switch ((wick_f_kind)x.kind) {
    case F_EACH:
        if (!key_in(at, x.a)) return f;
        if (!truth_of(at, x.b)) return WICK_F_FALSE;
        return p->keys[x.a].kind == KEYS_ONE ? WICK_F_TRUE : f; /* a key comes once */
    case F_REQ: return at->key == x.a ? WICK_F_TRUE : f;
    case F_MINP:
    case F_MINI: return wick_f_count(p, (wick_f_kind)x.kind, x.a - 1, 0);
    case F_ITEMS:
        if (x.lo == 0 && !truth_of(at, x.b)) return WICK_F_FALSE;
        return wick_f_items(p, x.lo ? x.lo - 1 : 0, x.hi == UINT32_MAX ? x.hi : x.hi - 1, x.b);
    case F_HAS: return truth_of(at, x.b) ? wick_f_count(p, F_HAS, x.a - 1, x.b) : f;
    case F_UNIQUE: return at->repeated ? WICK_F_FALSE : f;
    default: return f;
    }
}

wick_f wick_js_rewrite(const wick_js_at *at, wick_f f)
{
    wick_f_pool *p = at->p;
    wick_f_node x = p->node[f];
    wick_f small[64], *v = small, r = WICK_F_FALSE;
    uint32_t cap = 0;
    if (f <= WICK_F_TRUE) return f;
    if (x.kind > F_ONE) return rewrite_atom(at, f, x);
    if (deeper(p)) {
        if (x.kind == F_NOT) {
            r = wick_f_not(p, wick_js_rewrite(at, x.a));
        } else {
            if (x.b > 64) {
                v = NULL;
                if (!wick_re_room(p->re, (void **)&v, &cap, x.b, sizeof *v)) x.b = 0;
            }
            bool same = true;
            for (uint32_t i = 0; i < x.b; i++) {
                v[i] = wick_js_rewrite(at, p->lists[x.a + i]);
                same &= v[i] == p->lists[x.a + i];
            }
            r = same ? f : wick_f_list(p, (wick_f_kind)x.kind, v, x.b);
            if (cap) {
                p->re->bytes -= (uint64_t)cap * sizeof *v;
                wick_free(v);
            }
        }
    }
    p->depth--;
    return r;
}

bool wick_js_closes(const wick_f_pool *p, wick_f f)
{
    const wick_f_node *x = &p->node[f];
    uint32_t yes = 0;
    switch ((wick_f_kind)x->kind) {
    case F_NOT: return !wick_js_closes(p, x->a);
    case F_AND:
    case F_OR:
    case F_ONE:
        for (uint32_t i = 0; i < x->b; i++) yes += wick_js_closes(p, p->lists[x->a + i]);
        return x->kind == F_AND ? yes == x->b : x->kind == F_OR ? yes > 0 : yes == 1;
    case F_FALSE:
    case F_REQ:
    case F_MINP:
    case F_MINI:
    case F_HAS: return false;
    default: return true;
    }
}

static void add_relevant(wick_f s, wick_f *v, uint32_t *n, uint32_t max)
{
    for (uint32_t i = 0; i < *n && i < max; i++)
        if (v[i] == s) return;
    if (*n < max) v[*n] = s;
    ++*n;
}

void wick_js_relevant(const wick_js_at *at, wick_f f, wick_f *v, uint32_t *n, uint32_t max)
{
    const wick_f_pool *p = at->p;
    wick_f_node x = p->node[f];
    if (x.kind == F_NOT) {
        wick_js_relevant(at, x.a, v, n, max);
    } else if (x.kind == F_AND || x.kind == F_OR || x.kind == F_ONE) {
        for (uint32_t i = 0; i < x.b; i++) wick_js_relevant(at, p->lists[x.a + i], v, n, max);
    } else if ((x.kind == F_EACH && key_in(at, x.a)) || (x.kind == F_ITEMS && x.lo == 0) || x.kind == F_HAS) {
        add_relevant(x.b, v, n, max);
    }
}

/* ---- whether anything can fulfil the rest ---- */
static bool sat_conjunct(wick_f_pool *p, wick_f whole, wick_f part)
{
    wick_f_node x = p->node[part];
    wick_js_at at = {.p = p};
    if (x.kind == F_REQ) {
        at.key = x.a;
    } else if (x.kind == F_NOT && p->node[x.a].kind == F_EACH && p->keys[p->node[x.a].a].kind == KEYS_ONE) {
        at.key = p->keys[p->node[x.a].a].a;
    } else {
        return true;
    }
    return wick_js_sat(p, wick_js_viable(&at, whole));
}

/* Items that must come fulfil something each. */
static bool sat_items(wick_f_pool *p, wick_f f)
{
    enum { MAX_ITEMS = 16, MAX_WATCHED = 16 };
    for (int i = 0; i < MAX_ITEMS && f != WICK_F_FALSE && !wick_js_closes(p, f); i++) {
        wick_f watched[MAX_WATCHED];
        bool truth[MAX_WATCHED];
        uint32_t n = 0;
        wick_js_at at = {.p = p, .key = JS_ITEM};
        wick_f v = wick_js_viable(&at, f);
        if (!wick_js_sat(p, v)) return false;
        wick_js_relevant(&at, f, watched, &n, MAX_WATCHED);
        if (n > MAX_WATCHED) return true;
        for (uint32_t k = 0; k < n; k++) {
            int known = wick_js_implied(p, v, watched[k]);
            if (known < 0) return true;
            truth[k] = known == 1;
        }
        at.outs = watched;
        at.truth = truth;
        at.n_outs = n;
        wick_f g = wick_js_rewrite(&at, f);
        if (g == f) break;
        f = g;
    }
    return f != WICK_F_FALSE;
}

static bool counts_meet(const wick_f_pool *p, const wick_f *v, uint32_t n)
{
    uint32_t least = 0, most = UINT32_MAX, required = 0;
    for (uint32_t i = 0; i < n; i++) {
        const wick_f_node *x = &p->node[v[i]];
        if (x->kind == F_REQ) required++;
        if ((x->kind == F_MINP || x->kind == F_MINI || x->kind == F_HAS) && x->a > least) least = x->a;
        if (x->kind != F_NOT) continue;
        x = &p->node[x->a];
        if ((x->kind == F_MINP || x->kind == F_MINI) && x->a - 1 < most) most = x->a - 1;
    }
    return least <= most && required <= most;
}

static bool sat_frame(wick_f_pool *p, wick_f f, bool array, int nest);

/* The whole with one list (an OR or ONE among its conjuncts) replaced by its i-th alternative. */
static wick_f choose(wick_f_pool *p, wick_f whole, wick_f list, uint32_t i)
{
    wick_f_node w = p->node[whole], l = p->node[list];
    wick_f r = p->lists[l.a + i];
    if (l.kind == F_ONE)
        for (uint32_t k = 0; k < l.b; k++)
            if (k != i) r = wick_f_and2(p, r, wick_f_not(p, p->lists[l.a + k]));
    if (whole != list)
        for (uint32_t k = 0; k < w.b; k++)
            if (p->lists[w.a + k] != list) r = wick_f_and2(p, r, p->lists[w.a + k]);
    return wick_f_nnf(p, r);
}

static bool sat_alternatives(wick_f_pool *p, wick_f whole, wick_f list, bool array, int nest)
{
    uint32_t n = p->node[list].b;
    if (nest >= MAX_BRANCH_NEST || (p->node[list].kind == F_ONE && n > MAX_PAIRS)) return true;
    for (uint32_t i = 0; i < n && wick_f_ok(p); i++)
        if (sat_frame(p, choose(p, whole, list, i), array, nest + 1)) return true;
    return false;
}

static bool sat_frame(wick_f_pool *p, wick_f f, bool array, int nest)
{
    wick_f_node x = p->node[f];
    if (f <= WICK_F_TRUE) return f == WICK_F_TRUE;
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_SAT_FRAME, f, (uint32_t)nest, 0);
    if (old) return *old;
    if (p->budget == 0) return true; /* not known, and not remembered */
    p->budget--;
    bool yes = true;
    if (deeper(p)) {
        bool and = x.kind == F_AND;
        uint32_t n = and? x.b : 1;
        if (and) yes = counts_meet(p, p->lists + x.a, x.b);
        for (uint32_t i = 0; i < n && yes; i++) yes = sat_conjunct(p, f, and? p->lists[x.a + i] : f);
        if (array && yes) yes = sat_items(p, f);
        for (uint32_t i = 0; i < n && yes; i++) {
            wick_f g = and? p->lists[x.a + i] : f;
            if (p->node[g].kind == F_OR || p->node[g].kind == F_ONE) yes = sat_alternatives(p, f, g, array, nest);
        }
    }
    p->depth--;
    if (!yes || p->budget) wick_f_table_put(p->re, &p->memo, MEMO_SAT_FRAME, f, (uint32_t)nest, 0, yes);
    return yes;
}

/* As sat_frame, from outside: with a budget of its own, because alternatives of alternatives multiply. */
static bool sat_within(wick_f_pool *p, wick_f f, bool array, int nest)
{
    uint32_t left = p->budget;
    p->budget = MAX_BUDGET;
    bool yes = sat_frame(p, f, array, nest);
    p->budget = left;
    return yes;
}

bool wick_js_sat_frame(wick_f_pool *p, wick_f f, bool array)
{
    return sat_within(p, f, array, 0);
}

wick_f wick_js_prune(wick_f_pool *p, wick_f f, bool array)
{
    wick_f_node x = p->node[f];
    uint32_t n = x.kind == F_AND ? x.b : 1;
    wick_f r = x.kind == F_AND || x.kind == F_OR ? WICK_F_TRUE : f;
    if (r == f) return f;
    for (uint32_t i = 0; i < n && wick_f_ok(p); i++) {
        wick_f g = x.kind == F_AND ? p->lists[x.a + i] : f;
        wick_f_node l = p->node[g];
        if (l.kind == F_OR && l.b <= 256) {
            wick_f keep = WICK_F_FALSE;
            for (uint32_t k = 0; k < l.b; k++)
                if (sat_within(p, choose(p, f, g, k), array, 1)) keep = wick_f_or2(p, keep, p->lists[l.a + k]);
            g = keep;
        }
        r = wick_f_and2(p, r, g);
    }
    return r;
}

bool wick_js_sat(wick_f_pool *p, wick_f f)
{
    enum { ASKED = 2 };
    if (f <= WICK_F_TRUE) return f == WICK_F_TRUE;
    const uint32_t *old = wick_f_table_get(&p->memo, MEMO_SAT, f, 0, 0);
    if (old) return *old != 0; /* asked already: a value inside itself; possible, for all that is known */
    wick_f_table_put(p->re, &p->memo, MEMO_SAT, f, 0, 0, ASKED);
    bool yes = false;
    if (deeper(p)) {
        for (uint32_t t = WICK_T_NULL; t <= WICK_T_OBJECT && !yes && wick_f_ok(p); t <<= 1) {
            wick_f g = wick_f_restrict(p, f, t);
            if (g == WICK_F_FALSE) continue;
            if (t == WICK_T_STRING || t == WICK_T_NUMBER)
                yes = !wick_re_is_empty(p->re, wick_f_language(p, f, t));
            else if (t >= WICK_T_ARRAY)
                yes = wick_js_sat_frame(p, wick_f_nnf(p, g), t == WICK_T_ARRAY);
            else
                yes = g == WICK_F_TRUE || wick_js_closes(p, g);
        }
    }
    p->depth--;
    wick_f_table_put(p->re, &p->memo, MEMO_SAT, f, 0, 0, yes);
    return yes;
}
