/* grammar/endless.c - what a value must have inside, followed until a value is found that may be finite: formulas are
 * taken for endless until shown otherwise, round after round, while a round shows something. */
#include "grammar/endless.h"

enum { MAX_FORMULAS = 4000, MAX_DEPTH = 400 };

typedef struct search {
    wick_f_pool *p;
    wick_f_table seen; /* formula, round -> 1 seen; formula, FINITE -> 1 */
    uint32_t round, n, depth;
    bool found; /* this round */
} search;
#define FINITE UINT32_MAX

static bool finite(search *s, wick_f f);

/* The values at key (KEYS), or at the first place (items), of a conjunction of `n` assertions. */
static bool finite_inside(search *s, const wick_f *v, uint32_t n, bool items, uint32_t key)
{
    wick_f inner = WICK_F_TRUE;
    for (uint32_t i = 0; i < n; i++) {
        const wick_f_node x = s->p->node[v[i]];
        const bool mine = items ? x.kind == F_ITEMS && x.lo == 0 : x.kind == F_EACH && wick_f_keys_have(s->p, x.a, key);
        if (mine) inner = wick_f_and2(s->p, inner, x.b);
    }
    return finite(s, inner);
}

/* f is restricted to objects, or to arrays. */
static bool finite_frame(search *s, wick_f f)
{
    const wick_f_node x = s->p->node[f];
    if (f == WICK_F_FALSE) return false;
    if (x.kind == F_OR || x.kind == F_ONE) {
        for (uint32_t i = 0; i < x.b; i++)
            if (finite_frame(s, s->p->lists[x.a + i])) return true;
        return false;
    }
    const uint32_t n = x.kind == F_AND ? x.b : 1;
    wick_f *v = wick_alloc(n * sizeof *v);
    bool yes = true;
    if (!v) {
        wick_re_fail(s->p->re, "memory");
        return true;
    }
    for (uint32_t i = 0; i < n; i++) v[i] = x.kind == F_AND ? s->p->lists[x.a + i] : f;
    for (uint32_t i = 0; i < n && yes; i++) {
        const wick_f_node y = s->p->node[v[i]];
        if (y.kind == F_REQ) yes = finite_inside(s, v, n, false, y.a);
        if (y.kind == F_MINI && y.a > 0) yes = finite_inside(s, v, n, true, 0);
        if (y.kind == F_OR || y.kind == F_ONE) yes = finite_frame(s, v[i]);
    }
    wick_free(v);
    return yes;
}

static bool finite(search *s, wick_f f)
{
    static const uint32_t scalars[] = {WICK_T_NULL, WICK_T_FALSE, WICK_T_TRUE, WICK_T_NUMBER, WICK_T_STRING};
    if (f == WICK_F_TRUE || wick_f_table_get(&s->seen, f, FINITE, 0, 0)) return true;
    if (f == WICK_F_FALSE || wick_f_table_get(&s->seen, f, s->round, 0, 0)) return false;
    if (++s->n > MAX_FORMULAS || s->depth > MAX_DEPTH || !wick_f_ok(s->p)) return true;
    wick_f_table_put(s->p->re, &s->seen, f, s->round, 0, 0, 1);
    bool yes = false;
    s->depth++;
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars && !yes; i++)
        yes = wick_f_restrict(s->p, f, scalars[i]) != WICK_F_FALSE;
    if (!yes) yes = finite_frame(s, wick_f_restrict(s->p, f, WICK_T_OBJECT));
    if (!yes) yes = finite_frame(s, wick_f_restrict(s->p, f, WICK_T_ARRAY));
    s->depth--;
    if (yes) {
        wick_f_table_put(s->p->re, &s->seen, f, FINITE, 0, 0, 1);
        s->found = true;
    }
    return yes;
}

bool wick_f_endless(wick_f_pool *p, wick_f f)
{
    search s = {.p = p};
    bool yes = false;
    do {
        s.found = false;
        s.round++;
        yes = finite(&s, f);
    } while (!yes && s.found && wick_f_ok(p));
    wick_f_table_release(&s.seen);
    return !yes && wick_f_ok(p);
}
