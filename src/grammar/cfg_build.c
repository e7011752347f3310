/* grammar/cfg_build.c - from trees to productions: what is regular becomes one terminal, repeats become left
 * recursion. */
#include "grammar/cfg_int.h"

enum { MAX_NEST = 1000, MAX_COPIES = 2000, MAX_CODE = 2000000 };

typedef struct lowering {
    wick_cfg *c;
    wick_re_pool *re;
    wick_ex_rule *rules;
    uint32_t n_rules, depth;
    const char *what;
    wick_err *err;
} lowering;

wick_ex *wick_ex_new(wick_arena *a, wick_ex_kind kind, uint32_t x, uint32_t y, wick_ex *child)
{
    wick_ex *e = wick_arena_alloc(a, sizeof *e);
    if (e) *e = (wick_ex){.kind = kind, .a = x, .b = y, .child = child};
    return e;
}

static wick_status too_deep(lowering *l)
{
    return WICK_FAIL(l->err, WICK_E_LIMIT, l->what, "%s: rules are nested too deeply", l->what);
}

/* ---- what is regular ---- */
static bool regular_rule(lowering *l, uint32_t r);

static bool regular(lowering *l, const wick_ex *e)
{
    bool yes = true;
    if (++l->depth > MAX_NEST) {
        wick_re_fail(l->re, "nesting");
        return false;
    }
    if (e->kind == EX_RULE) yes = regular_rule(l, e->a);
    for (const wick_ex *x = e->kind >= EX_CAT ? e->child : NULL; x && yes; x = x->next) yes = regular(l, x);
    l->depth--;
    return yes;
}

/* A rule that does not come back to itself, and whose rules do not. */
static bool regular_rule(lowering *l, uint32_t r)
{
    wick_ex_rule *x = &l->rules[r];
    if (x->known) return x->regular;
    if (x->visiting) {
        x->known = true; /* recursion: decided, and so is everything on the way */
        x->regular = false;
        return false;
    }
    x->visiting = true;
    bool yes = x->body && regular(l, x->body);
    x->visiting = false;
    if (!x->known) {
        x->known = true;
        x->regular = yes;
    }
    return x->regular;
}

static wick_re to_re(lowering *l, const wick_ex *e)
{
    wick_re r = WICK_RE_NONE;
    if (!wick_re_ok(l->re)) return r;
    switch (e->kind) {
    case EX_RE: return e->a;
    case EX_RULE: {
        wick_ex_rule *x = &l->rules[e->a];
        if (x->symbol != UINT32_MAX) {
            x->re = to_re(l, x->body);
            x->symbol = UINT32_MAX; /* regular rules need no symbol: the mark says that re is there */
        }
        return x->re;
    }
    case EX_CAT:
        r = WICK_RE_EPS;
        for (const wick_ex *x = e->child; x; x = x->next) r = wick_re_cat(l->re, r, to_re(l, x));
        return r;
    case EX_ALT:
        for (const wick_ex *x = e->child; x; x = x->next) r = wick_re_or2(l->re, r, to_re(l, x));
        return r;
    case EX_REP: return wick_re_rep(l->re, to_re(l, e->child), e->a, e->b);
    case EX_LAZY: { /* no proper beginning of a match is one */
        wick_re some = wick_re_cat(l->re, wick_re_bytes(l->re, 0, 255), WICK_RE_ALL);
        r = to_re(l, e->child);
        return wick_re_and2(l->re, r, wick_re_not(l->re, wick_re_cat(l->re, r, some)));
    }
    }
    return r;
}

/* ---- productions ---- */
static uint32_t new_symbol(wick_cfg *c)
{
    if (!wick_re_room(c->re, (void **)&c->first, &c->cap_symbols, (uint64_t)c->n_symbols + 1, sizeof *c->first) ||
        !wick_re_room(c->re, (void **)&c->nullable, &c->cap_nullable, (uint64_t)c->n_symbols + 1, 1))
        return 0;
    c->first[c->n_symbols] = 0;
    c->nullable[c->n_symbols] = false;
    return c->n_symbols++;
}

static uint32_t terminal(wick_cfg *c, wick_re r)
{
    for (uint32_t i = 0; i < c->n_terminals; i++)
        if (c->terminal[i] == r) return i | CFG_TERMINAL;
    if (!wick_re_room(c->re, (void **)&c->terminal, &c->cap_terminals, (uint64_t)c->n_terminals + 1,
                      sizeof *c->terminal))
        return CFG_TERMINAL;
    c->terminal[c->n_terminals] = r;
    return c->n_terminals++ | CFG_TERMINAL;
}

static void production(wick_cfg *c, uint32_t symbol, const uint32_t *v, uint32_t n)
{
    if (c->n_code + n > MAX_CODE) wick_re_fail(c->re, "productions");
    if (!wick_re_room(c->re, (void **)&c->code, &c->cap_code, (uint64_t)c->n_code + n + 1, sizeof *c->code) ||
        !wick_re_room(c->re, (void **)&c->prod, &c->cap_prods, (uint64_t)c->n_prods + 1, sizeof *c->prod) ||
        !wick_re_room(c->re, (void **)&c->prod_next, &c->cap_prod_next, (uint64_t)c->n_prods + 1, sizeof *c->prod_next))
        return;
    c->prod[c->n_prods] = c->n_code;
    c->prod_next[c->n_prods] = c->first[symbol];
    c->first[symbol] = ++c->n_prods;
    if (n) memcpy(c->code + c->n_code, v, n * sizeof *v);
    c->n_code += n;
    c->code[c->n_code++] = CFG_END | symbol;
}

static wick_status lower(lowering *l, const wick_ex *e, uint32_t *out);

static wick_status lower_rule(lowering *l, uint32_t r, uint32_t *out)
{
    wick_ex_rule *x = &l->rules[r];
    uint32_t inner;
    if (!x->symbol) {
        x->symbol = new_symbol(l->c) + 1;
        WICK_TRY(lower(l, x->body, &inner));
        production(l->c, x->symbol - 1, &inner, 1);
    }
    *out = x->symbol - 1;
    return WICK_OK;
}

/* A sequence; neighbours that are regular become one terminal. */
static wick_status lower_cat(lowering *l, const wick_ex *e, uint32_t *out)
{
    uint32_t *v = NULL, n = 0, cap = 0;
    wick_re run = WICK_RE_EPS;
    wick_status st = WICK_OK;
    for (const wick_ex *x = e->child; st == WICK_OK; x = x->next) {
        if (x && regular(l, x)) {
            run = wick_re_cat(l->re, run, to_re(l, x));
            continue;
        }
        if (!wick_re_room(l->re, (void **)&v, &cap, (uint64_t)n + 2, sizeof *v)) break;
        if (run != WICK_RE_EPS) v[n++] = terminal(l->c, run);
        run = WICK_RE_EPS;
        if (!x) break;
        st = lower(l, x, &v[n]);
        n++;
    }
    uint32_t s = new_symbol(l->c);
    if (wick_re_ok(l->re) && st == WICK_OK) production(l->c, s, v, n);
    l->re->bytes -= (uint64_t)cap * sizeof *v;
    wick_free(v);
    *out = s;
    return st;
}

static wick_status lower_alt(lowering *l, const wick_ex *e, uint32_t *out)
{
    uint32_t s = new_symbol(l->c), v;
    wick_re plain = WICK_RE_NONE;
    for (const wick_ex *x = e->child; x; x = x->next) {
        if (regular(l, x)) {
            plain = wick_re_or2(l->re, plain, to_re(l, x));
            continue;
        }
        WICK_TRY(lower(l, x, &v));
        production(l->c, s, &v, 1);
    }
    v = terminal(l->c, plain);
    if (plain != WICK_RE_NONE) production(l->c, s, &v, 1);
    *out = s;
    return WICK_OK;
}

/* x{2,4} is x x o, o: empty | x | x x as o2: empty | o1 x; x{2,} is x x s with s: empty | s x. */
static wick_status lower_rep(lowering *l, const wick_ex *e, uint32_t *out)
{
    uint32_t x, s = new_symbol(l->c), prev = 0;
    if (e->a > MAX_COPIES || (e->b != WICK_RE_INF && e->b > MAX_COPIES))
        return WICK_FAIL(l->err, WICK_E_LIMIT, l->what, "%s: more than %d repeats of a recursive rule", l->what,
                         MAX_COPIES);
    WICK_TRY(lower(l, e->child, &x));
    uint32_t *v = wick_alloc((e->a + 2u) * sizeof *v);
    if (!v) return wick_err_oom(l->err, "the grammar", 0, 0);
    for (uint32_t i = 0; i < e->a; i++) v[i] = x;
    uint32_t tail = new_symbol(l->c);
    production(l->c, tail, NULL, 0);
    if (e->b == WICK_RE_INF) {
        production(l->c, tail, (uint32_t[]){tail, x}, 2);
    } else {
        for (uint32_t i = e->a; i < e->b; i++) { /* each may have one more than the one before */
            prev = tail;
            tail = new_symbol(l->c);
            production(l->c, tail, NULL, 0);
            production(l->c, tail, (uint32_t[]){prev, x}, 2);
        }
    }
    v[e->a] = tail;
    production(l->c, s, v, e->a + 1);
    wick_free(v);
    *out = s;
    return WICK_OK;
}

static wick_status lower(lowering *l, const wick_ex *e, uint32_t *out)
{
    wick_status st = WICK_OK;
    *out = 0;
    if (!wick_re_ok(l->re)) return wick_re_failed(l->re, l->err);
    if (regular(l, e)) {
        *out = terminal(l->c, to_re(l, e));
        return WICK_OK;
    }
    if (e->kind == EX_LAZY)
        return WICK_FAIL(l->err, WICK_E_BAD_PARAMETER, l->what, "%s: a lazy rule that is recursive is not supported",
                         l->what);
    if (++l->depth > MAX_NEST) return too_deep(l);
    if (e->kind == EX_RULE)
        st = lower_rule(l, e->a, out);
    else if (e->kind == EX_CAT)
        st = lower_cat(l, e, out);
    else if (e->kind == EX_ALT)
        st = lower_alt(l, e, out);
    else
        st = lower_rep(l, e, out);
    l->depth--;
    return st;
}

/* Symbols that may be empty, by going round until nothing changes. */
static void find_nullable(wick_cfg *c)
{
    for (bool again = true; again && !wick_re_late(c->re);) {
        again = false;
        for (uint32_t i = 0; i < c->n_prods; i++) {
            uint32_t at = c->prod[i];
            for (; !(c->code[at] & CFG_END); at++) {
                uint32_t s = c->code[at];
                bool empty =
                    s & CFG_TERMINAL ? wick_re_nullable(c->re, c->terminal[s & ~CFG_TERMINAL]) : c->nullable[s];
                if (!empty) break;
            }
            if (!(c->code[at] & CFG_END) || c->nullable[c->code[at] & ~CFG_END]) continue;
            c->nullable[c->code[at] & ~CFG_END] = again = true;
        }
    }
}

static bool can_be_text(wick_cfg *c, const bool *good, uint32_t code)
{
    return code & CFG_TERMINAL ? !wick_re_is_empty(c->re, c->terminal[code & ~CFG_TERMINAL]) : good[code];
}

/* Symbols from which some text can be made; productions that use others are taken out, so nothing is begun that cannot
 * be ended. */
static bool drop_unproductive(wick_cfg *c)
{
    bool *good = wick_alloc_zero(c->n_symbols + 1u, sizeof *good);
    if (!good) {
        wick_re_fail(c->re, "memory");
        return false;
    }
    for (bool again = true; again;) {
        again = false;
        for (uint32_t i = 0; i < c->n_prods && !wick_re_late(c->re); i++) {
            uint32_t at = c->prod[i];
            for (; !(c->code[at] & CFG_END); at++) {
                if (!can_be_text(c, good, c->code[at])) break;
            }
            if (!(c->code[at] & CFG_END) || good[c->code[at] & ~CFG_END]) continue;
            good[c->code[at] & ~CFG_END] = again = true;
        }
    }
    for (uint32_t s = 0; s < c->n_symbols; s++) {
        uint32_t *link = &c->first[s];
        while (*link) {
            uint32_t at = c->prod[*link - 1];
            while (!(c->code[at] & CFG_END) && can_be_text(c, good, c->code[at])) at++;
            if (c->code[at] & CFG_END)
                link = &c->prod_next[*link - 1];
            else
                *link = c->prod_next[*link - 1];
        }
    }
    bool some = good[0];
    wick_free(good);
    return some;
}

wick_status wick_cfg_init(wick_cfg *c, wick_re_pool *re, wick_ex_rule *rules, uint32_t n, uint32_t start,
                          const char *what, uint32_t *start_set, wick_err *err)
{
    lowering l = {.c = c, .re = re, .rules = rules, .n_rules = n, .what = what, .err = err};
    uint32_t v;
    memset(c, 0, sizeof *c);
    c->re = re;
    wick_ex top = {.kind = EX_RULE, .a = start};
    new_symbol(c); /* the text */
    if (!wick_re_room(re, (void **)&c->set, &c->cap_sets, 1, sizeof *c->set)) return wick_re_failed(re, err);
    c->set[0] = (wick_cfg_set){0};
    c->n_sets = 1;
    for (uint32_t i = 0; i < n; i++) regular_rule(&l, i);
    WICK_TRY(lower(&l, &top, &v));
    production(c, 0, &v, 1);
    if (!wick_re_ok(re)) return wick_re_failed(re, err);
    bool some = drop_unproductive(c);
    find_nullable(c);
    c->start_lex = wick_alloc_zero(c->n_terminals + 1u, sizeof *c->start_lex);
    if (!c->start_lex) return wick_err_oom(err, "the grammar", 0, 0);
    for (uint32_t i = 0; i < c->n_terminals; i++) c->start_lex[i] = wick_dfa_start(re, &c->terminal[i], 1);
    *start_set = wick_re_ok(re) && some ? wick_cfg_begin(c) : 0;
    if (!wick_re_ok(re)) return wick_re_failed(re, err);
    if (!*start_set) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "%s: no text fulfils it", what);
    return WICK_OK;
}
