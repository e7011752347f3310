/* grammar/mask.c - which tokens may come: the vocabulary walked from a state, slices taken whole, masks remembered by
 * state. */
#include "grammar/grammar_int.h"

enum { MAX_LIST = 768 }; /* a mask with fewer tokens is kept as a list */

bool wick_g_step(wick_grammar *g, const wick_gstate *s, uint8_t byte, char *text, uint32_t at, wick_gstate *out)
{
    if (g->machine == MACHINE_CALLS) return wick_calls_step(&g->calls, &s->calls, byte, text, &out->calls);
    if (g->machine == MACHINE_JSON) return wick_js_step(&g->js, &s->js, byte, text, at, &out->js);
    if (g->machine == MACHINE_CFG) {
        out->id = wick_cfg_step(&g->cfg, s->id, byte);
        return out->id != 0;
    }
    out->id = wick_dfa_step(&g->re, s->id, byte);
    return out->id != WICK_DFA_DEAD;
}

bool wick_g_step_control(wick_grammar *g, const wick_gstate *s, wick_str token, char *text, wick_gstate *out)
{
    return g->machine == MACHINE_CALLS && wick_calls_step_control(&g->calls, &s->calls, token, text, &out->calls);
}

bool wick_g_may_end(wick_grammar *g, const wick_gstate *s)
{
    if (g->machine == MACHINE_JSON) return wick_js_may_end(&g->js, &s->js);
    if (g->machine == MACHINE_CALLS) return wick_calls_may_end(&g->calls, &s->calls);
    return g->machine == MACHINE_CFG ? wick_cfg_accepts(&g->cfg, s->id) : wick_dfa_accepts(&g->re, s->id);
}

bool wick_g_end_closes(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text)
{
    wick_gstate next;
    for (size_t i = 0; g->machine == MACHINE_CALLS && i < v->n_ends; i++) {
        const wick_str end = wick_gvocab_bytes(v, v->ends[i]);
        if (end.n && wick_g_step_control(g, s, end, text, &next) && wick_g_may_end(g, &next)) return true;
    }
    return false;
}

static void set_token(const int32_t *same, int32_t id, uint64_t *bits)
{
    for (; id >= 0; id = same[id]) bits[id / 64] |= (uint64_t)1 << (id % 64);
}

/* A trie that is walked: its chains of equal tokens, and the numbers of free characters before it that may be (by bit;
 * head NULL: any). */
typedef struct way {
    const int32_t *same;
    const uint8_t *head;
    uint64_t heads;
} way;

static void set_way(const way *w, int32_t id, uint64_t *bits)
{
    if (!w->head) {
        set_token(w->same, id, bits);
        return;
    }
    for (; id >= 0; id = w->same[id])
        if (w->heads >> w->head[id] & 1) bits[id / 64] |= (uint64_t)1 << (id % 64);
}

/* Whether the JSON automaton has the bytes as they come: all of JSON, arguments that are written as JSON. */
static bool reads_json(const wick_grammar *g, const wick_gstate *s)
{
    if (g->machine != MACHINE_CALLS) return g->machine == MACHINE_JSON;
    return g->calls.style == CALLS_JSON && s->calls.at.phase == CALLS_INSIDE;
}

/* Inside a string nothing but the automaton moves; that is most of a walk. */
static inline bool plain_string(const wick_js *s, uint8_t byte)
{
    return (s->mode == JS_STRING || s->mode == JS_KEY) && !s->esc && byte >= 0x20 && byte != '"' && byte != '\\';
}

static void walk_way(wick_grammar *g, const way *w, const wick_gnode *node, uint32_t from, uint32_t end,
                     uint32_t base_depth, const wick_gstate *s, char *text, uint32_t at, uint64_t *bits)
{
    wick_gstate stack[WICK_GVOCAB_MAX_TOKEN + 1];
    const bool calls = g->machine == MACHINE_CALLS;
    stack[0] = *s;
    for (uint32_t i = from; i < end;) {
        const wick_gnode *x = &node[i];
        uint32_t d = x->depth - base_depth;
        const wick_gstate *was = &stack[d - 1];
        wick_gstate *now = &stack[d];
        bool ok;
        if (!calls) text[at + d - 1] = (char)x->byte;
        if (reads_json(g, was) && plain_string(&was->js, x->byte)) {
            uint32_t lex = wick_dfa_step(&g->re, was->js.lex, x->byte);
            ok = lex != WICK_DFA_DEAD;
            if (ok && calls) {
                text[was->calls.at.n_js] = (char)x->byte;
                now->calls = was->calls;
                now->calls.at.n_js++;
            } else if (ok) {
                now->js = was->js;
            }
            if (ok) now->js.lex = lex;
        } else {
            ok = wick_g_step(g, was, x->byte, text, at + d - 1, now);
        }
        if (!ok) {
            i = x->skip;
            continue;
        }
        if (x->token >= 0) set_way(w, x->token, bits);
        i++;
    }
}

static void walk(wick_grammar *g, const int32_t *same, const wick_gnode *node, uint32_t from, uint32_t end,
                 uint32_t base_depth, const wick_gstate *s, char *text, uint32_t at, uint64_t *bits)
{
    const way w = {.same = same};
    walk_way(g, &w, node, from, end, base_depth, s, text, at, bits);
}

static bool same_js(const wick_js *a, const wick_js *b)
{
    return a->frame == b->frame && a->lex == b->lex && a->aux == b->aux && a->esc == b->esc && a->ws == b->ws &&
           a->mode == b->mode;
}

/* Inside of a string value where free characters are only counted: which they are does not matter, so tokens go by how
 * many they begin with. What follows the string is the same after each number that may be the last. False: they matter,
 * and nothing was done. */
static bool compute_counted(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text, uint32_t at,
                            uint64_t *bits)
{
    uint32_t lex[WICK_GVOCAB_HEAD + 1], n = 0;
    uint64_t quoted = 0;
    wick_js ended[WICK_GVOCAB_HEAD + 1];
    for (uint32_t x = s->js.lex; x != WICK_DFA_DEAD && n <= WICK_GVOCAB_HEAD;) {
        lex[n++] = x;
        x = wick_dfa_next_char(&g->re, x);
        if (x == WICK_DFA_SEVERAL) return false;
    }
    memcpy(bits, v->counted.bits + (size_t)(n - 1) * v->n_words, v->n_words * sizeof *bits);
    for (uint32_t k = 0; k < n; k++) {
        wick_gstate from = *s, to;
        const wick_gtrie *t = &v->counted.tails[k];
        from.js.lex = lex[k];
        walk(g, v->counted.same, t->node, 0, t->n, 0, &from, text, at, bits);
        text[at] = '"';
        if (!wick_js_step(&g->js, &from.js, '"', text, at, &to.js)) continue;
        ended[k] = to.js;
        quoted |= (uint64_t)1 << k;
    }
    for (uint32_t k = 0; k < n; k++) { /* numbers after which the same follows are walked at once */
        wick_gstate from = *s;
        way w = {.same = v->counted.same, .head = v->counted.head};
        if (!(quoted >> k & 1)) continue;
        for (uint32_t i = k; i < n; i++)
            if ((quoted >> i & 1) && same_js(&ended[i], &ended[k])) w.heads |= (uint64_t)1 << i;
        quoted &= ~w.heads;
        from.js.lex = lex[k];
        walk_way(g, &w, v->counted.quotes.node, 0, v->counted.quotes.n, 0, &from, text, at, bits);
    }
    if (n > WICK_GVOCAB_HEAD)
        walk(g, v->counted.same, v->counted.longer.node, 0, v->counted.longer.n, 0, s, text, at, bits);
    return true;
}

static void compute(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text, uint32_t at,
                    uint64_t *bits)
{
    const wick_gtrie *t = &v->all;
    const bool calls = g->machine == MACHINE_CALLS, json = reads_json(g, s);
    const bool string = json && (s->js.mode == JS_STRING || s->js.mode == JS_KEY) && !s->js.esc;
    const bool raw = calls && (s->calls.at.phase == CALLS_AROUND || s->calls.at.phase == CALLS_RAW);
    memset(bits, 0, v->n_words * sizeof *bits);
    if (string || raw || g->machine == MACHINE_RE || g->machine == MACHINE_CFG) {
        uint32_t most = v->slice[WICK_GVOCAB_SLICES - 1].chars, lex = string ? s->js.lex
                                                                      : raw  ? s->calls.at.lex
                                                                             : s->id;
        bool rules = g->machine == MACHINE_CFG;
        if (rules ? wick_cfg_loops(&g->cfg, lex) : wick_dfa_loops(&g->re, lex)) {
            memcpy(bits, v->loop.bits, v->n_words * sizeof *bits);
            walk(g, v->loop.same, v->loop.tails.node, 0, v->loop.tails.n, 0, s, text, at, bits);
            return;
        }
        const bool value = g->machine == MACHINE_JSON && s->js.mode == JS_STRING && wick_js_repeats(&g->js, &s->js);
        if (value && compute_counted(g, v, s, text, at, bits)) return;
        uint32_t run = rules ? wick_cfg_free_run(&g->cfg, lex, most) : wick_dfa_free_run(&g->re, lex, most);
        for (int k = WICK_GVOCAB_SLICES - 1; k >= 0; k--) {
            if (run < v->slice[k].chars) continue;
            memcpy(bits, v->slice[k].bits, v->n_words * sizeof *bits);
            t = &v->slice[k].rest;
            break;
        }
    }
    walk(g, v->same, t->node, 0, t->n, 0, s, text, at, bits);
}

/* Marks that are tokens of their own. */
static void add_control(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text, uint64_t *bits)
{
    wick_gstate next;
    for (uint32_t i = 0; i < v->n_control; i++) {
        const int32_t id = v->control[i];
        if (wick_g_step_control(g, s, wick_gvocab_bytes(v, id), text, &next)) set_token(v->same, id, bits);
    }
}

/* The first token of a text may begin with a space that decoding takes away: those tokens count without it. */
static void compute_first(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text, uint32_t at,
                          uint64_t *bits)
{
    const wick_gnode *node = v->all.node;
    for (uint32_t i = 0; i < v->all.n; i = node[i].skip) {
        if (node[i].byte != ' ') continue;
        for (uint32_t k = i; k < node[i].skip; k++) /* with the space they are another text */
            for (int32_t id = node[k].token; id >= 0; id = v->same[id]) bits[id / 64] &= ~((uint64_t)1 << (id % 64));
        walk(g, v->same, node, i + 1, node[i].skip, 1, s, text, at, bits);
    }
}

/* ---- masks by state ---- */
static uint32_t slot_of(const wick_calls_state *key)
{
    const wick_js *k = &key->js;
    uint64_t h = ((uint64_t)k->frame << 32 | k->lex) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 29 ^ ((uint64_t)k->aux << 32 | k->esc)) * 0xD6E8FEB86659FD93u;
    h = (h ^ h >> 31 ^ ((uint64_t)k->ws << 8 | k->mode)) * 0xA0761D6478BD642Fu;
    h = (h ^ h >> 30 ^ ((uint64_t)key->at.lex << 32 | key->at.clean)) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 29 ^ ((uint64_t)key->at.tool << 16 | (uint32_t)key->at.depth << 8 | key->at.phase)) *
        0xD6E8FEB86659FD93u;
    return (uint32_t)(h >> 40) & (WICK_GCACHE_SLOTS - 1);
}

_Static_assert(sizeof(wick_calls_at) == 24, "compared as bytes: without padding");
static bool same_key(const wick_calls_state *x, const wick_calls_state *y)
{
    const wick_js *a = &x->js, *b = &y->js;
    return memcmp(&x->at, &y->at, sizeof x->at) == 0 && same_js(a, b);
}

static void let_go(wick_gcache_entry *e)
{
    wick_free(e->bits);
    wick_free(e->list);
    memset(e, 0, sizeof *e);
}

void wick_g_forget(wick_grammar *g)
{
    for (uint32_t i = 0; g->cache && i < WICK_GCACHE_SLOTS; i++) let_go(&g->cache[i]);
}

static bool recall(const wick_gcache_entry *e, const wick_calls_state *key, uint32_t n_words, uint64_t *bits)
{
    if (!(e->bits || e->list) || !same_key(&e->key, key)) return false;
    if (e->bits) {
        memcpy(bits, e->bits, n_words * sizeof *bits);
        return true;
    }
    memset(bits, 0, n_words * sizeof *bits);
    for (uint32_t i = 0; i < e->n; i++) bits[e->list[i] / 64] |= (uint64_t)1 << (e->list[i] % 64);
    return true;
}

/* Remembering may fail for lack of memory; then the mask is made again next time. */
static void remember(wick_gcache_entry *e, const wick_calls_state *key, uint32_t n_words, const uint64_t *bits)
{
    uint32_t n = 0;
    let_go(e);
    for (uint32_t i = 0; i < n_words && n <= MAX_LIST; i++)
        for (uint64_t w = bits[i]; w && n <= MAX_LIST; w &= w - 1) n++;
    if (n <= MAX_LIST) {
        e->list = wick_alloc((n + 1u) * sizeof *e->list);
        for (uint32_t i = 0; e->list && i < n_words; i++)
            for (uint64_t w = bits[i]; w; w &= w - 1) e->list[e->n++] = i * 64 + (uint32_t)__builtin_ctzll(w);
    } else {
        e->bits = wick_alloc(n_words * sizeof *bits);
        if (e->bits) memcpy(e->bits, bits, n_words * sizeof *bits);
    }
    e->key = *key;
}

wick_status wick_g_mask(wick_grammar *g, wick_gvocab *v, const wick_gstate *s, char *text, uint32_t at, bool first,
                        uint64_t *bits, wick_err *err)
{
    wick_calls_state key;
    memset(&key, 0, sizeof key);
    bool repeats = true;
    wick_re_allow(&g->re, g->o.mask_ms);
    if (g->vocab != v) {
        wick_g_forget(g);
        wick_gvocab_free(g->vocab);
        g->vocab = wick_gvocab_ref(v);
    }
    if (g->machine == MACHINE_CALLS) {
        key = s->calls;
        key.at.n_js = 0;
        repeats = wick_calls_repeats(&g->calls, &s->calls);
    } else if (g->machine == MACHINE_JSON) {
        key.js = s->js;
        repeats = wick_js_repeats(&g->js, &s->js);
    } else {
        key.js.lex = s->id;
    }
    key.js.mark = 0;
    wick_gcache_entry *e = g->cache && repeats && !(first && v->first_space) ? &g->cache[slot_of(&key)] : NULL;
    bool known = e && recall(e, &key, v->n_words, bits);
    if (!known) {
        g->misses++;
        compute(g, v, s, text, at, bits);
        if (g->machine == MACHINE_CALLS) add_control(g, v, s, text, bits);
        if (first && v->first_space) compute_first(g, v, s, text, at, bits);
        if (!wick_re_ok(&g->re)) return wick_re_failed(&g->re, err);
        if (e) remember(e, &key, v->n_words, bits);
    } else {
        g->hits++;
    }
    if (wick_g_may_end(g, s) || wick_g_end_closes(g, v, s, text))
        for (size_t i = 0; i < v->n_ends; i++) bits[v->ends[i] / 64] |= (uint64_t)1 << (v->ends[i] % 64);
    return WICK_OK;
}
