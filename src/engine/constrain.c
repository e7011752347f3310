/* engine/constrain.c - see constrain.h. The shelf belongs to the engine and has a lock of its own; matchers hold
 * references to the grammar and the vocabulary, so the shelf may drop either at any time. */
#include "engine/constrain.h"
#include <string.h>
#include "base/alloc.h"
#include "engine/engine_int.h"

enum { SHELF = 16, MAX_AFTER = 64, MAX_WS = 64 /* a model at a loss would write white space for ever */ };

typedef struct kept {
    wick_grammar *g; /* NULL: nothing */
    uint64_t used;
} kept;

struct wick_grammar_shelf {
    wick_gvocab *vocab;
    kept kept[SHELF];
    uint64_t clock;
};

struct wick_engine_grammar {
    wick_constraint c;
    wick_grammar *g;
    wick_gvocab *v;
    const wick_engine *e;
    char after[MAX_AFTER];
};

/* ---- the shelf ---- */
void wick_grammar_shelf_free(struct wick_grammar_shelf *s)
{
    if (!s) return;
    for (int i = 0; i < SHELF; i++) wick_grammar_unref(s->kept[i].g);
    wick_gvocab_free(s->vocab);
    wick_free(s);
}

static wick_status vocabulary(wick_engine *e, wick_err *err)
{
    if (!e->tokenizer)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "response_format", "this model has no tokenizer to constrain");
    if (!e->shelf) e->shelf = wick_alloc_zero(1, sizeof *e->shelf);
    if (!e->shelf) return wick_err_oom(err, "grammars", 0, 0);
    if (e->shelf->vocab) return WICK_OK;
    return wick_gvocab_new(&e->shelf->vocab, e->tokenizer, e->parts.eos, e->parts.n_eos, err);
}

static wick_grammar *find(struct wick_grammar_shelf *s, wick_grammar_kind kind, const char *text, size_t n)
{
    for (int i = 0; i < SHELF; i++) {
        kept *k = &s->kept[i];
        if (!k->g || !wick_grammar_is(k->g, kind, text, n)) continue;
        if (wick_grammar_worn(k->g)) return NULL;
        k->used = ++s->clock;
        return wick_grammar_ref(k->g);
    }
    return NULL;
}

/* Puts g where the same text, nothing, or what was not used for longest is. */
static void keep(struct wick_grammar_shelf *s, wick_grammar *g)
{
    kept *at = &s->kept[0];
    const char *text;
    size_t n;
    const wick_grammar_kind kind = wick_grammar_source(g, &text, &n);
    for (int i = 0; i < SHELF; i++) {
        kept *k = &s->kept[i];
        if (k->g && wick_grammar_is(k->g, kind, text, n)) {
            at = k;
            break;
        }
        if (k->used < at->used) at = k;
    }
    wick_grammar_ref(g);
    wick_grammar_unref(at->g);
    *at = (kept){g, ++s->clock};
}

/* ---- one answer ---- */
typedef struct follower {
    wick_gmatcher *m;
    wick_gvocab *v;
    const wick_tokenizer *t;
    uint64_t *bits;
    char after[MAX_AFTER]; /* "": the constraint has begun */
    char *tail;            /* text before it has, by token, so that tokens can be taken back */
    size_t n_tail, cap_tail;
    uint32_t *mark; /* n_tail before each token that came before it began; UINT32_MAX: a token of the matcher */
    size_t n_mark, cap_mark;
    bool begun;
} follower;

static void follower_free(void *self)
{
    follower *f = self;
    wick_gmatcher_free(f->m);
    wick_gvocab_free(f->v);
    wick_free(f->bits);
    wick_free(f->tail);
    wick_free(f->mark);
    wick_free(f);
}

static wick_status follower_mask(void *self, uint32_t *bits, uint32_t n_vocab, bool *any, wick_err *err)
{
    follower *f = self;
    *any = !f->begun;
    if (!f->begun) return WICK_OK;
    WICK_TRY(wick_gmatcher_mask(f->m, f->bits, err));
    uint32_t n = wick_gvocab_size(f->v) < n_vocab ? wick_gvocab_size(f->v) : n_vocab;
    for (uint32_t i = 0; i < (n + 31) / 32; i++) bits[i] = (uint32_t)(f->bits[i / 2] >> (i % 2 * 32));
    if (n % 32) bits[n / 32] &= (1u << n % 32) - 1;
    return WICK_OK;
}

static wick_status push_mark(follower *f, uint32_t x, wick_err *err)
{
    if (f->n_mark == f->cap_mark) {
        size_t cap = f->cap_mark ? f->cap_mark * 2 : 64;
        uint32_t *m = wick_realloc_array(f->mark, cap, sizeof *m);
        if (!m) return wick_err_oom(err, "a constraint", 0, 0);
        f->mark = m;
        f->cap_mark = cap;
    }
    f->mark[f->n_mark++] = x;
    return WICK_OK;
}

/* A token of the free part: when the awaited text is complete, what follows it in the same token is the first
 * constrained text. */
static wick_status wait_for(follower *f, int32_t id, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    size_t n = strlen(f->after), from = f->n_tail > n ? f->n_tail - n : 0, ok = 0;
    wick_tokenizer_bytes(f->t, id, &b);
    if (f->n_tail + b.n > f->cap_tail) {
        size_t cap = (f->n_tail + b.n) * 2 + 256;
        char *t = wick_realloc(f->tail, cap);
        if (!t)
            b.failed = true;
        else
            f->tail = t, f->cap_tail = cap;
    }
    if (b.failed) st = wick_err_oom(err, "a constraint", 0, 0);
    if (st == WICK_OK) st = push_mark(f, (uint32_t)f->n_tail, err);
    if (st == WICK_OK) {
        if (b.n) memcpy(f->tail + f->n_tail, b.data, b.n);
        f->n_tail += b.n;
        for (size_t i = from; i + n <= f->n_tail && !f->begun; i++) {
            if (memcmp(f->tail + i, f->after, n) != 0) continue;
            size_t rest = i + n;
            f->begun = true;
            while (rest < f->n_tail && strchr(" \t\r\n", f->tail[rest])) rest++;
            st = wick_gmatcher_accept_bytes(f->m, f->tail + rest, f->n_tail - rest, &ok, err);
            if (st == WICK_OK && ok != f->n_tail - rest)
                st = WICK_FAIL(err, WICK_E_LIMIT, "response_format",
                               "the text behind the reasoning does not fulfil the grammar");
        }
    }
    wick_buf_release(&b);
    return st;
}

static wick_status follower_accept(void *self, int32_t id, wick_err *err)
{
    follower *f = self;
    bool ok = false;
    if (!f->begun) return wait_for(f, id, err);
    WICK_TRY(wick_gmatcher_accept(f->m, id, &ok, err));
    if (!ok) return WICK_FAIL(err, WICK_E_INTERNAL, "response_format", "token %d does not fulfil the grammar", id);
    return push_mark(f, UINT32_MAX, err);
}

static void follower_rollback(void *self, uint32_t n)
{
    follower *f = self;
    for (; n && f->n_mark; n--) {
        uint32_t m = f->mark[--f->n_mark];
        if (m == UINT32_MAX) {
            wick_gmatcher_rollback(f->m, 1);
            continue;
        }
        if (f->begun) wick_gmatcher_rollback(f->m, 1); /* the piece behind the awaited text */
        f->begun = false;
        f->n_tail = m;
    }
}

static bool follower_may_end(const void *self)
{
    const follower *f = self;
    return f->begun && wick_gmatcher_may_end(f->m);
}

static const wick_matcher_ops ops = {.mask = follower_mask,
                                     .accept = follower_accept,
                                     .rollback = follower_rollback,
                                     .may_end = follower_may_end,
                                     .free = follower_free};

static wick_status follower_new(const void *grammar, wick_matcher *out, wick_err *err)
{
    const wick_engine_grammar *g = grammar;
    follower *f = wick_alloc_zero(1, sizeof *f);
    wick_status st = f ? WICK_OK : wick_err_oom(err, "a constraint", 0, 0);
    if (st != WICK_OK) return st;
    f->v = wick_gvocab_ref(g->v);
    f->t = g->e->tokenizer;
    f->begun = !g->after[0];
    memcpy(f->after, g->after, sizeof f->after);
    f->bits = wick_alloc_zero((wick_gvocab_size(g->v) + 63) / 64 + 1, sizeof *f->bits);
    if (!f->bits) st = wick_err_oom(err, "a constraint", 0, 0);
    if (st == WICK_OK) st = wick_gmatcher_new(&f->m, g->g, g->v, err);
    if (st == WICK_OK)
        *out = (wick_matcher){&ops, f};
    else
        follower_free(f);
    return st;
}

wick_grammar_options wick_engine_grammar_options(void)
{
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    o.schema_order = true;
    o.max_ws = MAX_WS;
    return o;
}

/* made: the compiled grammar, or NULL. */
static wick_status constrain(wick_engine_grammar **out, wick_engine *e, wick_grammar *made, wick_grammar_kind kind,
                             const char *text, size_t n, const char *after, wick_err *err)
{
    wick_engine_grammar *g = wick_alloc_zero(1, sizeof *g);
    if (!g) return wick_err_oom(err, "a constraint", 0, 0);
    if (after && strlen(after) >= sizeof g->after) after = NULL;
    if (after) memcpy(g->after, after, strlen(after));
    g->e = e;
    wick_lock_take(&e->shelf_lock);
    wick_status st = vocabulary(e, err);
    if (st == WICK_OK) {
        g->v = wick_gvocab_ref(e->shelf->vocab);
        g->g = find(e->shelf, kind, text, n);
    }
    wick_lock_drop(&e->shelf_lock);
    if (st == WICK_OK && !g->g) { /* outside the lock: others need not wait for it */
        const wick_grammar_options o = wick_engine_grammar_options();
        if (made && !wick_grammar_worn(made))
            g->g = wick_grammar_ref(made);
        else
            st = wick_grammar_compile(&g->g, kind, text, n, &o, err);
        wick_lock_take(&e->shelf_lock);
        if (st == WICK_OK) keep(e->shelf, g->g);
        wick_lock_drop(&e->shelf_lock);
    }
    if (st != WICK_OK) {
        wick_engine_grammar_free(g);
        return st;
    }
    g->c = (wick_constraint){.grammar = g, .matcher_new = follower_new};
    *out = g;
    return WICK_OK;
}

wick_status wick_engine_grammar_new(wick_engine_grammar **out, wick_engine *e, wick_grammar_kind kind, const char *text,
                                    size_t n, const char *after, wick_err *err)
{
    return constrain(out, e, NULL, kind, text, n, after, err);
}

wick_status wick_engine_grammar_share(wick_engine_grammar **out, wick_engine *e, wick_grammar *g, const char *after,
                                      wick_err *err)
{
    const char *text;
    size_t n;
    const wick_grammar_kind kind = wick_grammar_source(g, &text, &n);
    return constrain(out, e, g, kind, text, n, after, err);
}

void wick_engine_grammar_free(wick_engine_grammar *g)
{
    if (!g) return;
    wick_grammar_unref(g->g);
    wick_gvocab_free(g->v);
    wick_free(g);
}

const wick_constraint *wick_engine_grammar_constraint(const wick_engine_grammar *g)
{
    return &g->c;
}
