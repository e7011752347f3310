/* text/scored_bpe.c - BPE where any two neighbours whose concatenation is a piece may merge, best score first:
 * sentencepiece's BPE, llama.cpp's "llama" vocabularies, and tiktoken (score = -rank, symbols are bytes).
 *
 * Neighbours lie side by side in the word, so a pair is looked up in place. User-defined symbols are found first and
 * never merge. Unused pieces take part, and are taken apart again at the end. Short words are scanned for their best
 * pair, long ones keep a heap.
 */
#include <string.h>
#include "text/tok.h"

enum { SCAN_MAX = 24 }; /* symbols */

/* Smaller is better: descending score as an unsigned number. */
static uint32_t order_of(float score)
{
    uint32_t bits;
    float s = -score;
    memcpy(&bits, &s, sizeof bits);
    return bits >> 31 ? ~bits : bits | 0x80000000u;
}

static bool can_merge(wick_token_type type)
{
    return type == WICK_TOKEN_NORMAL || type == WICK_TOKEN_USER || type == WICK_TOKEN_UNUSED;
}

static wick_join join_hashed(const wick_vocab *v, const char *p, size_t n, uint32_t hash)
{
    uint32_t id = n <= WICK_TOK_MAX_PIECE ? wick_map_get_hashed(&v->map, (wick_str){p, n}, hash) : WICK_MAP_NONE;
    if (id == WICK_MAP_NONE || !can_merge(v->type[id])) return (wick_join){UINT32_MAX, 0};
    uint32_t order = order_of((float)v->score[id]);
    return (wick_join){order < UINT32_MAX ? order : UINT32_MAX - 1, id};
}

static wick_join join_of(const wick_vocab *v, const char *p, size_t n)
{
    return join_hashed(v, p, n, wick_map_hash((wick_str){p, n}));
}

/* The text of symbol `left` and the one behind it; n 0: they cannot merge. */
static wick_str pair_at(const wick_enc *e, const char *p, int32_t left)
{
    const wick_sym *a = &e->sym[left], *b = a->next >= 0 ? &e->sym[a->next] : NULL;
    if (!b || a->frozen || b->frozen) return (wick_str){p, 0};
    return (wick_str){p + a->off, a->len + b->len};
}

static void offer(wick_enc *e, const char *p, int32_t left)
{
    wick_str s = pair_at(e, p, left);
    wick_join k = s.n ? join_of(&e->t->vocab, s.p, s.n) : (wick_join){UINT32_MAX, 0};
    if (k.rank != UINT32_MAX)
        wick_heap_push(e, (wick_heap_item){(uint64_t)k.rank << 32 | (uint32_t)left, (uint32_t)s.n, k.id});
}

/* The pairs on both sides of a symbol that has just grown; their places in the table are asked for together. */
static void offer_both(wick_enc *e, const char *p, uint32_t at)
{
    const wick_vocab *v = &e->t->vocab;
    const int32_t left[2] = {e->sym[at].prev, (int32_t)at};
    wick_str s[2];
    uint32_t hash[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        s[i] = left[i] >= 0 ? pair_at(e, p, left[i]) : (wick_str){p, 0};
        if (!s[i].n) continue;
        hash[i] = wick_map_hash(s[i]);
        wick_map_will_need(&v->map, hash[i]);
    }
    for (int i = 0; i < 2; i++) {
        if (!s[i].n) continue;
        wick_join k = join_hashed(v, s[i].p, s[i].n, hash[i]);
        if (k.rank != UINT32_MAX)
            wick_heap_push(e, (wick_heap_item){(uint64_t)k.rank << 32 | (uint32_t)left[i], (uint32_t)s[i].n, k.id});
    }
}

static bool symbols(wick_enc *e, const char *p, size_t n, size_t *n_sym)
{
    const wick_tok_model *m = &e->t->model;
    size_t k = 0;
    for (size_t i = 0; i < n; k++) {
        int32_t unused;
        uint32_t c;
        size_t user = m->has_user ? wick_trie_longest(&m->user, p + i, n - i, &unused) : 0;
        size_t len = user ? user : m->raw_bytes ? 1 : wick_utf8_next(p + i, n - i, &c);
        if (!wick_enc_room((void **)&e->sym, &e->sym_cap, k + 1, sizeof *e->sym)) return false;
        e->sym[k] = (wick_sym){.off = (uint32_t)i,
                               .len = (uint32_t)len,
                               .prev = (int32_t)k - 1,
                               .next = (int32_t)k + 1,
                               .frozen = user != 0,
                               .id = m->raw_bytes ? m->bytes[(uint8_t)p[i]] : -1};
        i += len;
    }
    if (k) e->sym[k - 1].next = -1;
    *n_sym = k;
    return true;
}

static bool merge(wick_enc *e, const char *p, size_t n)
{
    if (!wick_enc_room((void **)&e->heap, &e->heap_cap, 3 * n, sizeof *e->heap)) return false;
    e->heap_n = 0;
    if (e->t->model.byte_pairs) {
        for (size_t i = 0; i + 1 < n; i++) {
            wick_join k = e->t->model.byte_pairs[(uint8_t)p[i] << 8 | (uint8_t)p[i + 1]];
            if (k.rank != UINT32_MAX) wick_heap_push(e, (wick_heap_item){(uint64_t)k.rank << 32 | i, 2, k.id});
        }
    } else {
        for (size_t i = 0; i + 1 < n; i++) offer(e, p, (int32_t)i);
    }
    while (e->heap_n) {
        wick_heap_item top = wick_heap_pop(e);
        wick_sym *a = &e->sym[wick_heap_left(&top)];
        if (!a->len || a->next < 0 || a->len + e->sym[a->next].len != top.len) continue;
        wick_sym *b = &e->sym[a->next];
        a->len = top.len;
        a->id = (int32_t)top.id;
        b->len = 0;
        a->next = b->next;
        if (a->next >= 0) e->sym[a->next].prev = (int32_t)wick_heap_left(&top);
        offer_both(e, p, wick_heap_left(&top));
    }
    return true;
}

static bool put_unknown(wick_enc *e, const char *p, size_t n, bool *after_unk)
{
    const wick_tok_model *m = &e->t->model;
    if (m->byte_fallback || m->raw_bytes) {
        bool all = true;
        for (size_t i = 0; i < n; i++) all &= m->bytes[(uint8_t)p[i]] >= 0;
        if (all) {
            *after_unk = false;
            for (size_t i = 0; i < n; i++)
                if (!wick_enc_id(e, m->bytes[(uint8_t)p[i]])) return false;
            return true;
        }
    }
    if (m->unk < 0 || (*after_unk && m->fuse_unk)) return true; /* sentencepiece joins a run of unknown pieces */
    *after_unk = true;
    return wick_enc_id(e, m->unk);
}

static bool put_piece(wick_enc *e, const char *p, size_t n, bool *after_unk, int depth);

/* An unused piece comes apart into the two that made it: the merges of the piece alone are run again, up to the
 * last. */
static bool put_split(wick_enc *e, const char *p, size_t n, bool *after_unk, int depth)
{
    const wick_vocab *v = &e->t->vocab;
    wick_enc sub = {.t = e->t};
    size_t n_sym = 0, cut = 0;
    bool ok = symbols(&sub, p, n, &n_sym) &&
              wick_enc_room((void **)&sub.heap, &sub.heap_cap, 3 * n_sym + 3, sizeof *sub.heap);
    for (size_t i = 0; ok && i + 1 < n_sym; i++) offer(&sub, p, (int32_t)i);
    while (ok && sub.heap_n) {
        wick_heap_item top = wick_heap_pop(&sub);
        wick_sym *a = &sub.sym[wick_heap_left(&top)];
        if (!a->len || a->next < 0 || a->len + sub.sym[a->next].len != top.len) continue;
        if (top.len == n) { /* the merge that made the whole piece */
            cut = a->len;
            break;
        }
        wick_sym *b = &sub.sym[a->next];
        a->len = top.len;
        b->len = 0;
        a->next = b->next;
        if (a->next >= 0) sub.sym[a->next].prev = (int32_t)wick_heap_left(&top);
        offer_both(&sub, p, wick_heap_left(&top));
    }
    wick_free(sub.sym);
    wick_free(sub.heap);
    if (!ok) return false;
    if (!cut || depth > 32) {
        int32_t id = wick_vocab_find(v, p, n);
        *after_unk = false;
        return id >= 0 ? wick_enc_id(e, id) : put_unknown(e, p, n, after_unk);
    }
    return put_piece(e, p, cut, after_unk, depth + 1) && put_piece(e, p + cut, n - cut, after_unk, depth + 1);
}

static bool put_piece(wick_enc *e, const char *p, size_t n, bool *after_unk, int depth)
{
    const wick_vocab *v = &e->t->vocab;
    int32_t id = wick_vocab_find(v, p, n);
    if (id < 0 || v->type[id] == WICK_TOKEN_UNKNOWN) return put_unknown(e, p, n, after_unk);
    if (v->type[id] == WICK_TOKEN_UNUSED) return put_split(e, p, n, after_unk, depth);
    *after_unk = false;
    return wick_enc_id(e, id);
}

/* A symbol at the end of merging; id -1 where it never merged. */
static bool put_symbol(wick_enc *e, int32_t id, const char *p, size_t n, bool *after_unk)
{
    if (id < 0 || e->t->vocab.type[id] == WICK_TOKEN_UNUSED) return put_piece(e, p, n, after_unk, 0);
    *after_unk = false;
    return wick_enc_id(e, id);
}

/* ---- short words ---- */

typedef struct scan {
    uint16_t at[SCAN_MAX + 1]; /* where symbol i begins; at[n] is the end */
    int32_t id[SCAN_MAX];      /* -1: not looked up */
    bool frozen[SCAN_MAX];
    wick_join join[SCAN_MAX]; /* of symbols i and i + 1 */
    size_t n;
} scan;

static wick_join scan_join(const wick_vocab *v, const scan *s, const char *p, size_t i)
{
    if (s->frozen[i] || s->frozen[i + 1]) return (wick_join){UINT32_MAX, 0};
    return join_of(v, p + s->at[i], s->at[i + 2] - s->at[i]);
}

static bool scan_init(const wick_tok_model *m, const wick_vocab *v, scan *s, const char *p, size_t n)
{
    s->n = 0;
    for (size_t i = 0; i < n; s->n++) {
        int32_t unused;
        uint32_t c;
        if (s->n == SCAN_MAX) return false;
        size_t user = m->has_user ? wick_trie_longest(&m->user, p + i, n - i, &unused) : 0;
        s->at[s->n] = (uint16_t)i;
        s->id[s->n] = m->raw_bytes ? m->bytes[(uint8_t)p[i]] : -1;
        s->frozen[s->n] = user != 0;
        i += user ? user : m->raw_bytes ? 1 : wick_utf8_next(p + i, n - i, &c);
    }
    s->at[s->n] = (uint16_t)n;
    for (size_t i = 0; i + 1 < s->n; i++)
        s->join[i] = m->byte_pairs ? m->byte_pairs[(uint8_t)p[i] << 8 | (uint8_t)p[i + 1]] : scan_join(v, s, p, i);
    return true;
}

static void scan_merge(const wick_vocab *v, scan *s, const char *p)
{
    while (s->n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < s->n; i++)
            if (s->join[i].rank < s->join[best].rank) best = i;
        if (s->join[best].rank == UINT32_MAX) break;
        s->id[best] = (int32_t)s->join[best].id;
        s->n--;
        for (size_t i = best + 1; i < s->n; i++) {
            s->at[i] = s->at[i + 1];
            s->id[i] = s->id[i + 1];
            s->frozen[i] = s->frozen[i + 1];
            if (i + 1 < s->n) s->join[i] = s->join[i + 1];
        }
        s->at[s->n] = s->at[s->n + 1];
        if (best > 0) s->join[best - 1] = scan_join(v, s, p, best - 1);
        if (best + 1 < s->n) s->join[best] = scan_join(v, s, p, best);
    }
}

static bool short_word(wick_enc *e, const scan *s, const char *p)
{
    bool after_unk = false;
    for (size_t i = 0; i < s->n; i++) {
        if (!put_symbol(e, s->id[i], p + s->at[i], s->at[i + 1] - s->at[i], &after_unk)) return false;
    }
    return true;
}

bool wick_scored_bpe_tables(wick_tokenizer *t)
{
    wick_tok_model *m = &t->model;
    m->byte_pairs = wick_realloc_array(NULL, 256 * 256, sizeof *m->byte_pairs);
    if (!m->byte_pairs) return false;
    for (uint32_t i = 0; i < 256 * 256; i++) m->byte_pairs[i] = (wick_join){UINT32_MAX, 0};
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        wick_str s = t->vocab.piece[id];
        if (s.p && s.n == 2) m->byte_pairs[(uint8_t)s.p[0] << 8 | (uint8_t)s.p[1]] = join_of(&t->vocab, s.p, 2);
    }
    return true;
}

wick_status wick_scored_bpe_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    const wick_tok_model *m = &e->t->model;
    size_t n_sym;
    bool after_unk = false;
    if (m->whole_first && n < WICK_TOK_MAX_PIECE) {
        int32_t id = wick_vocab_find(&e->t->vocab, p, n);
        if (id >= 0 && e->t->vocab.type[id] == WICK_TOKEN_NORMAL)
            return wick_enc_id(e, id) ? WICK_OK : wick_enc_oom(err);
    }
    scan s;
    if (n <= 4 * SCAN_MAX && scan_init(m, &e->t->vocab, &s, p, n)) {
        scan_merge(&e->t->vocab, &s, p);
        return short_word(e, &s, p) ? WICK_OK : wick_enc_oom(err);
    }
    if (n > INT32_MAX / 4) return WICK_FAIL(err, WICK_E_LIMIT, "text", "a word of %zu bytes is too long", n);
    if (!symbols(e, p, n, &n_sym) || !merge(e, p, n_sym)) return wick_enc_oom(err);
    for (int32_t i = n_sym ? 0 : -1; i >= 0; i = e->sym[i].next)
        if (!put_symbol(e, e->sym[i].id, p + e->sym[i].off, e->sym[i].len, &after_unk)) return wick_enc_oom(err);
    return WICK_OK;
}
