/* grammar/cfg.c - the Earley automaton: sets of items, made when they are first reached. */
#include "grammar/cfg_int.h"
#include <stdlib.h>

enum { MAX_SETS = 1000000, MAX_ITEMS = 20000 };
#define SELF UINT32_MAX /* began in this very set */

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t item_hash(const wick_cfg_item *x)
{
    return mix(mix(x->at, (uint64_t)x->origin << 32 | x->lex), 11);
}

static bool grow(wick_cfg *c, wick_re_hash *h)
{
    uint32_t n = h->mask ? (h->mask + 1) * 2 : 256;
    uint32_t *slot = wick_alloc_zero(n, sizeof *slot);
    if (!slot) {
        wick_re_fail(c->re, "memory");
        return false;
    }
    c->re->bytes += (uint64_t)(n - (h->mask ? h->mask + 1 : 0)) * sizeof *slot;
    wick_free(h->slot);
    h->slot = slot;
    h->mask = n - 1;
    h->n = 0;
    return true;
}

static void insert_seen(wick_cfg *c, uint32_t i)
{
    uint32_t at = (uint32_t)item_hash(&c->work[i]) & c->seen.mask;
    while (c->seen.slot[at]) at = (at + 1) & c->seen.mask;
    c->seen.slot[at] = i + 1;
    c->seen.n++;
}

/* Adds an item to the set that is being made, once. */
static void add(wick_cfg *c, uint32_t place, uint32_t origin, uint32_t lex)
{
    wick_cfg_item x = {place, origin, lex};
    if (!wick_re_ok(c->re)) return;
    if (c->seen.n * 2u >= c->seen.mask) {
        if (!grow(c, &c->seen)) return;
        for (uint32_t i = 0; i < c->n_work; i++) insert_seen(c, i);
    }
    uint32_t at = (uint32_t)item_hash(&x) & c->seen.mask;
    for (; c->seen.slot[at]; at = (at + 1) & c->seen.mask)
        if (memcmp(&c->work[c->seen.slot[at] - 1], &x, sizeof x) == 0) return;
    if (c->n_work >= MAX_ITEMS) wick_re_fail(c->re, "items of one place in the grammar");
    if (!wick_re_room(c->re, (void **)&c->work, &c->cap_work, (uint64_t)c->n_work + 1, sizeof x)) return;
    c->work[c->n_work] = x;
    c->seen.slot[at] = ++c->n_work;
    c->seen.n++;
}

static void predict(wick_cfg *c, uint32_t symbol)
{
    for (uint32_t i = c->first[symbol]; i; i = c->prod_next[i - 1]) add(c, c->prod[i - 1], SELF, 0);
}

/* Everything that an item brings with it. True: the item itself is kept. */
static bool expand(wick_cfg *c, wick_cfg_item x, bool *accepts)
{
    uint32_t code = c->code[x.at];
    if (code & CFG_TERMINAL) {
        uint32_t t = code & ~CFG_TERMINAL;
        if (x.lex) return true;
        if (c->re->node[c->terminal[t]].nullable) add(c, x.at + 1, x.origin, 0);
        if (c->start_lex[t] && c->terminal[t] != WICK_RE_EPS) add(c, x.at, x.origin, c->start_lex[t]);
        return false;
    }
    if (!(code & CFG_END)) {
        predict(c, code);
        if (c->nullable[code]) add(c, x.at + 1, x.origin, 0);
        return true;
    }
    uint32_t symbol = code & ~CFG_END;
    if (symbol == 0) *accepts = true;   /* the text's own production */
    if (x.origin == SELF) return false; /* empty: whoever waits for it went on by itself */
    wick_cfg_set from = c->set[x.origin];
    for (uint32_t i = 0; i < from.n; i++) {
        wick_cfg_item w = c->item[from.items + i];
        if (w.lex == 0 && c->code[w.at] == symbol) add(c, w.at + 1, w.origin == SELF ? x.origin : w.origin, 0);
    }
    return false;
}

static int by_item(const void *a, const void *b)
{
    return memcmp(a, b, sizeof(wick_cfg_item));
}

static uint64_t set_hash(const wick_cfg_item *v, uint32_t n, bool accepts)
{
    uint64_t h = accepts;
    for (uint32_t i = 0; i < n; i++) h = mix(h, item_hash(&v[i]));
    return h;
}

static uint32_t intern(wick_cfg *c, bool accepts)
{
    wick_cfg_item *v = c->work;
    uint32_t n = c->n_work;
    if (n == 0 && !accepts) return 0;
    if (n) qsort(v, n, sizeof *v, by_item);
    if (c->hash.n * 2u >= c->hash.mask) {
        if (!grow(c, &c->hash)) return 0;
        for (uint32_t s = 1; s < c->n_sets; s++) {
            uint32_t at = (uint32_t)set_hash(c->item + c->set[s].items, c->set[s].n, c->set[s].accepts) & c->hash.mask;
            while (c->hash.slot[at]) at = (at + 1) & c->hash.mask;
            c->hash.slot[at] = s;
            c->hash.n++;
        }
    }
    uint32_t at = (uint32_t)set_hash(v, n, accepts) & c->hash.mask;
    for (; c->hash.slot[at]; at = (at + 1) & c->hash.mask) {
        const wick_cfg_set *s = &c->set[c->hash.slot[at]];
        if (s->n == n && s->accepts == accepts && (n == 0 || memcmp(c->item + s->items, v, n * sizeof *v) == 0))
            return c->hash.slot[at];
    }
    if (c->n_sets >= MAX_SETS) wick_re_fail(c->re, "states");
    if (!wick_re_room(c->re, (void **)&c->item, &c->cap_items, (uint64_t)c->n_items + n, sizeof *v) ||
        !wick_re_room(c->re, (void **)&c->set, &c->cap_sets, (uint64_t)c->n_sets + 1, sizeof *c->set) ||
        wick_re_late(c->re))
        return 0;
    if (n) memcpy(c->item + c->n_items, v, n * sizeof *v);
    c->set[c->n_sets] = (wick_cfg_set){c->n_items, n, accepts};
    c->n_items += n;
    c->hash.slot[at] = c->n_sets;
    c->hash.n++;
    return c->n_sets++;
}

static void begin_set(wick_cfg *c)
{
    c->n_work = 0;
    c->seen.n = 0;
    if (c->seen.slot) memset(c->seen.slot, 0, (c->seen.mask + 1) * sizeof *c->seen.slot);
}

/* Closes the set over what was added and interns what has to be kept. */
static uint32_t end_set(wick_cfg *c)
{
    bool accepts = false;
    uint32_t kept = 0;
    wick_cfg_item *keep = NULL;
    uint32_t cap = 0;
    for (uint32_t i = 0; i < c->n_work && wick_re_ok(c->re); i++) {
        wick_cfg_item x = c->work[i];
        if (!expand(c, x, &accepts)) continue;
        if (!wick_re_room(c->re, (void **)&keep, &cap, (uint64_t)kept + 1, sizeof *keep)) break;
        keep[kept++] = x;
        wick_re_late(c->re);
    }
    uint32_t id = 0;
    if (wick_re_ok(c->re)) {
        if (kept) memcpy(c->work, keep, kept * sizeof *keep);
        c->n_work = kept;
        id = intern(c, accepts);
    }
    c->re->bytes -= (uint64_t)cap * sizeof *keep;
    wick_free(keep);
    return id;
}

uint32_t wick_cfg_begin(wick_cfg *c)
{
    begin_set(c);
    predict(c, 0);
    return end_set(c);
}

uint32_t wick_cfg_step(wick_cfg *c, uint32_t set, uint8_t byte)
{
    const uint32_t *old = wick_f_table_get(&c->step, set, byte, 0, 0);
    if (old) return *old;
    if (!wick_re_ok(c->re)) return 0;
    wick_cfg_set from = c->set[set];
    begin_set(c);
    for (uint32_t i = 0; i < from.n; i++) {
        wick_cfg_item x = c->item[from.items + i];
        if (!x.lex) continue;
        uint32_t lex = wick_dfa_step(c->re, x.lex, byte), origin = x.origin == SELF ? set : x.origin;
        if (lex == WICK_DFA_DEAD) continue;
        if (wick_dfa_part(c->re, lex, 0) != WICK_RE_EPS) add(c, x.at, origin, lex);
        if (wick_dfa_accepts(c->re, lex)) add(c, x.at + 1, origin, 0);
    }
    uint32_t id = c->n_work ? end_set(c) : 0;
    if (!wick_re_ok(c->re)) return 0;
    wick_f_table_put(c->re, &c->step, set, byte, 0, 0, id);
    return id;
}

uint32_t wick_cfg_free_run(wick_cfg *c, uint32_t set, uint32_t most)
{
    uint32_t best = 0;
    for (uint32_t i = 0; i < c->set[set].n && best < most; i++) {
        const wick_cfg_item *x = &c->item[c->set[set].items + i];
        if (!x->lex) continue;
        uint32_t run = wick_dfa_free_run(c->re, x->lex, most);
        if (run > best) best = run;
    }
    return best;
}

/* Only terminals that go round and cannot end: then a step adds nothing and drops nothing. */
bool wick_cfg_loops(wick_cfg *c, uint32_t set)
{
    wick_cfg_set s = c->set[set];
    for (uint32_t i = 0; i < s.n; i++) {
        wick_cfg_item x = c->item[s.items + i];
        if (!x.lex || x.origin == SELF || wick_dfa_accepts(c->re, x.lex) || !wick_dfa_loops(c->re, x.lex)) return false;
    }
    return s.n > 0 && !s.accepts;
}

void wick_cfg_release(wick_cfg *c)
{
    wick_free(c->code);
    wick_free(c->first);
    wick_free(c->prod);
    wick_free(c->prod_next);
    wick_free(c->nullable);
    wick_free(c->terminal);
    wick_free(c->start_lex);
    wick_free(c->set);
    wick_free(c->item);
    wick_free(c->hash.slot);
    wick_free(c->work);
    wick_free(c->seen.slot);
    wick_f_table_release(&c->step);
    memset(c, 0, sizeof *c);
}
