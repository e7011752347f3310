/* text/scored_bpe.c - BPE where any two neighbours whose concatenation is a piece may merge, best score first:
 * sentencepiece's BPE, llama.cpp's "llama" vocabularies, and tiktoken (score = -rank, symbols are bytes).
 *
 * Neighbours lie side by side in the word, so a pair is looked up in place. User-defined symbols are found first and
 * never merge. Unused pieces take part, and are taken apart again at the end.
 */
#include <math.h>
#include <string.h>
#include "text/tok.h"

/* Smaller is better: descending score, then the leftmost. */
static uint64_t order_of(float score, uint32_t left)
{
    uint32_t bits;
    float s = -score;
    memcpy(&bits, &s, sizeof bits);
    bits = bits >> 31 ? ~bits : bits | 0x80000000u; /* floats in the order of unsigned numbers */
    return (uint64_t)bits << 32 | left;
}

static bool can_merge(wick_token_type type)
{
    return type == WICK_TOKEN_NORMAL || type == WICK_TOKEN_USER || type == WICK_TOKEN_UNUSED;
}

static void offer(wick_enc *e, const char *p, int32_t left)
{
    const wick_sym *a = &e->sym[left], *b = a->next >= 0 ? &e->sym[a->next] : NULL;
    if (!b || a->frozen || b->frozen) return;
    uint32_t len = a->len + b->len;
    if (len > WICK_TOK_MAX_PIECE) return;
    int32_t id = wick_vocab_find(&e->t->vocab, p + a->off, len);
    if (id < 0 || !can_merge(e->t->vocab.type[id])) return;
    wick_heap_push(
        e, (wick_heap_item){order_of((float)e->t->vocab.score[id], (uint32_t)left), (uint32_t)left, len, (uint32_t)id});
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
                               .id = -1};
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
    for (size_t i = 0; i + 1 < n; i++) offer(e, p, (int32_t)i);
    while (e->heap_n) {
        wick_heap_item top = wick_heap_pop(e);
        wick_sym *a = &e->sym[top.left];
        if (!a->len || a->next < 0 || a->len + e->sym[a->next].len != top.len) continue;
        wick_sym *b = &e->sym[a->next];
        a->len = top.len;
        a->id = (int32_t)top.id;
        b->len = 0;
        a->next = b->next;
        if (a->next >= 0) e->sym[a->next].prev = (int32_t)top.left;
        if (a->prev >= 0) offer(e, p, a->prev);
        offer(e, p, (int32_t)top.left);
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

/* An unused piece comes apart into the two that made it: the merges of the piece alone are run again, up to the last. */
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
        wick_sym *a = &sub.sym[top.left];
        if (!a->len || a->next < 0 || a->len + sub.sym[a->next].len != top.len) continue;
        if (top.len == n) { /* the merge that made the whole piece */
            cut = a->len;
            break;
        }
        wick_sym *b = &sub.sym[a->next];
        a->len = top.len;
        b->len = 0;
        a->next = b->next;
        if (a->next >= 0) sub.sym[a->next].prev = (int32_t)top.left;
        if (a->prev >= 0) offer(&sub, p, a->prev);
        offer(&sub, p, (int32_t)top.left);
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
    if (n > INT32_MAX / 4) return WICK_FAIL(err, WICK_E_LIMIT, "text", "a word of %zu bytes is too long", n);
    if (!symbols(e, p, n, &n_sym) || !merge(e, p, n_sym)) return wick_enc_oom(err);
    for (int32_t i = n_sym ? 0 : -1; i >= 0; i = e->sym[i].next)
        if (!put_piece(e, p + e->sym[i].off, e->sym[i].len, &after_unk, 0)) return wick_enc_oom(err);
    return WICK_OK;
}
