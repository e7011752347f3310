/* text/bpe.c - byte-pair encoding with a merge table (tokenizer.json, GGUF "gpt2").
 *
 * The pair of lowest rank, leftmost first, is merged until none is left. Short words look for it by scanning; long
 * ones keep a heap of candidates over a doubly linked list, so a run of n characters costs O(n log n).
 */
#include <string.h>
#include "text/tok.h"

enum { SCAN_MAX = 24, CHARS = 0x10000 }; /* symbols; above this the heap wins (measured on English and on code) */

bool wick_merges_init(wick_tok_model *m, uint32_t n)
{
    uint32_t cap = 64;
    while (cap < n + (uint64_t)n / 2 && cap < 1u << 30) cap *= 2;
    m->merges = wick_realloc_array(NULL, cap, sizeof *m->merges);
    if (!m->merges) return false;
    for (uint32_t i = 0; i < cap; i++) m->merges[i].key = UINT64_MAX;
    m->merges_mask = cap - 1;
    return true;
}

static uint32_t slot_of(uint64_t key, uint32_t mask)
{
    key = (key ^ key >> 29) * 0x9E3779B97F4A7C15u;
    return (uint32_t)(key >> 32) & mask;
}

static uint64_t key_of(int32_t a, int32_t b)
{
    return (uint64_t)(uint32_t)a << 32 | (uint32_t)b;
}

void wick_merges_will_need(const wick_tok_model *m, int32_t a, int32_t b)
{
    __builtin_prefetch(&m->merges[slot_of(key_of(a, b), m->merges_mask)], 1);
}

void wick_merges_add(wick_tok_model *m, int32_t a, int32_t b, uint32_t rank, uint32_t id)
{
    uint64_t key = key_of(a, b);
    uint32_t s = slot_of(key, m->merges_mask);
    while (m->merges[s].key != UINT64_MAX && m->merges[s].key != key) s = (s + 1) & m->merges_mask;
    m->merges[s] = (wick_merge){key, rank, id};
}

const wick_merge *wick_merges_find(const wick_tok_model *m, int32_t a, int32_t b)
{
    uint64_t key = key_of(a, b);
    if (!m->merges) return NULL;
    for (uint32_t s = slot_of(key, m->merges_mask); m->merges[s].key != UINT64_MAX; s = (s + 1) & m->merges_mask)
        if (m->merges[s].key == key) return &m->merges[s];
    return NULL;
}

/* ---- the first symbols of a word ---- */

static bool add_sym(wick_enc *e, size_t *n, int32_t id)
{
    if (!wick_enc_room((void **)&e->sym, &e->sym_cap, *n + 1, sizeof *e->sym)) return false;
    wick_sym *s = &e->sym[*n];
    memset(s, 0, sizeof *s);
    s->id = id;
    s->len = 1;
    s->prev = (int32_t)*n - 1;
    s->next = (int32_t)*n + 1;
    ++*n;
    return true;
}

/* The id of one character with the prefix and suffix that its place in the word asks for. */
static int32_t char_id(wick_enc *e, const char *p, size_t k, uint32_t c, bool is_first, bool is_last, wick_str *written)
{
    const wick_tok_model *m = &e->t->model;
    *written = (wick_str){p, k};
    if (m->char_ids && c < CHARS) return m->char_ids[c];
    if ((m->prefix.n && !is_first) || (m->suffix.n && is_last)) {
        wick_buf *b = &e->scratch;
        wick_buf_reset(b);
        if (!is_first) wick_buf_add(b, m->prefix.p, m->prefix.n);
        wick_buf_add(b, p, k);
        if (is_last) wick_buf_add(b, m->suffix.p, m->suffix.n);
        *written = (wick_str){b->data ? b->data : "", b->failed ? 0 : b->n};
    }
    return wick_vocab_find_own(&e->t->vocab, written->p, written->n);
}

static bool byte_ids(const wick_tok_model *m, wick_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (m->bytes[(uint8_t)s.p[i]] < 0) return false;
    return true;
}

static bool symbols(wick_enc *e, const char *p, size_t n, size_t *n_sym)
{
    const wick_tok_model *m = &e->t->model;
    bool unk = false;
    *n_sym = 0;
    for (size_t i = 0; i < n;) {
        uint32_t c = 0;
        size_t k = m->byte_level ? 1 : wick_utf8_next(p + i, n - i, &c);
        wick_str s = {p + i, k};
        int32_t id = m->byte_level ? m->bytes[(uint8_t)p[i]] : char_id(e, p + i, k, c, i == 0, i + k == n, &s);
        i += k;
        if (id >= 0) {
            if (unk && !add_sym(e, n_sym, m->unk)) return false;
            unk = false;
            if (!add_sym(e, n_sym, id)) return false;
        } else if (m->byte_fallback && !m->byte_level && byte_ids(m, s)) {
            for (size_t j = 0; j < s.n; j++)
                if (!add_sym(e, n_sym, m->bytes[(uint8_t)s.p[j]])) return false;
        } else if (m->unk >= 0) {
            /* one character of the byte alphabet stands for one byte, so raw bytes fall out the same way */
            if (unk && !m->fuse_unk && !add_sym(e, n_sym, m->unk)) return false;
            unk = true;
        }
    }
    return !unk || add_sym(e, n_sym, m->unk);
}

/* ---- merging ---- */

static wick_join join_of(const wick_tok_model *m, int32_t a, int32_t b)
{
    const wick_merge *k = wick_merges_find(m, a, b);
    return k ? (wick_join){k->rank, k->id} : (wick_join){UINT32_MAX, 0};
}

/* join[i] is of symbols i and i + 1, both kept side by side. Returns how many symbols are left. */
static size_t merge_scan(const wick_tok_model *m, int32_t *id, wick_join *join, size_t n)
{
    while (n > 1) {
        size_t best = 0;
        for (size_t i = 1; i + 1 < n; i++)
            if (join[i].rank < join[best].rank) best = i;
        if (join[best].rank == UINT32_MAX) break;
        id[best] = (int32_t)join[best].id;
        n--;
        for (size_t i = best + 1; i < n; i++) {
            id[i] = id[i + 1];
            if (i + 1 < n) join[i] = join[i + 1];
        }
        if (best > 0) join[best - 1] = join_of(m, id[best - 1], id[best]);
        if (best + 1 < n) join[best] = join_of(m, id[best], id[best + 1]);
    }
    return n;
}

/* A pair is known by its place and by the symbols of the word that it covers: both sides only grow. */
static void offer(wick_enc *e, int32_t left, wick_join k)
{
    if (k.rank == UINT32_MAX) return;
    uint32_t len = e->sym[left].len + e->sym[e->sym[left].next].len;
    wick_heap_push(e, (wick_heap_item){(uint64_t)k.rank << 32 | (uint32_t)left, len, k.id});
}

/* p: the bytes of the word where each is a symbol, else NULL. */
static bool merge_heap(wick_enc *e, const char *p, size_t *n_sym)
{
    const wick_tok_model *m = &e->t->model;
    const uint8_t *u = (const uint8_t *)p;
    size_t n = *n_sym;
    wick_sym *s = e->sym;
    s[n - 1].next = -1;
    /* each merge adds at most two candidates */
    if (!wick_enc_room((void **)&e->heap, &e->heap_cap, 3 * n, sizeof *e->heap)) return false;
    e->heap_n = 0;
    for (size_t i = 0; i + 1 < n; i++)
        offer(e, (int32_t)i, p ? m->byte_pairs[u[i] << 8 | u[i + 1]] : join_of(m, s[i].id, s[i + 1].id));
    while (e->heap_n) {
        wick_heap_item top = wick_heap_pop(e);
        wick_sym *a = &s[wick_heap_left(&top)];
        if (!a->len || a->next < 0 || a->len + s[a->next].len != top.len) continue;
        wick_sym *b = &s[a->next];
        a->id = (int32_t)top.id;
        a->len = top.len;
        a->next = b->next;
        b->len = 0;
        if (a->next >= 0) {
            s[a->next].prev = (int32_t)wick_heap_left(&top);
            offer(e, (int32_t)wick_heap_left(&top), join_of(m, a->id, s[a->next].id));
        }
        if (a->prev >= 0) offer(e, a->prev, join_of(m, s[a->prev].id, a->id));
    }
    size_t k = 0;
    for (int32_t i = 0; i >= 0; i = s[i].next) s[k++].id = s[i].id;
    *n_sym = k;
    return true;
}

/* The id of a whole word, raw bytes or not; -1 if it is no piece. */
static int32_t whole(wick_enc *e, const char *p, size_t n)
{
    if (!e->t->model.byte_level) return wick_vocab_find_own(&e->t->vocab, p, n);
    wick_buf *b = &e->scratch;
    wick_buf_reset(b);
    wick_byte_level_encode(b, p, n);
    return b->failed ? -1 : wick_vocab_find_own(&e->t->vocab, b->data, b->n);
}

static bool put_ids(wick_enc *e, const int32_t *id, size_t n)
{
    if (!wick_enc_room((void **)&e->ids, &e->cap, e->n + n, sizeof *e->ids)) return false;
    memcpy(e->ids + e->n, id, n * sizeof *id);
    e->n += n;
    return true;
}

static bool short_word(wick_enc *e, size_t n)
{
    const wick_tok_model *m = &e->t->model;
    int32_t id[SCAN_MAX];
    wick_join join[SCAN_MAX];
    if (!n) return true;
    for (size_t i = 0; i < n; i++) id[i] = e->sym[i].id;
    for (size_t i = 0; i + 1 < n; i++) join[i] = join_of(m, id[i], id[i + 1]);
    return put_ids(e, id, merge_scan(m, id, join, n));
}

/* A word of a few bytes, each of which has a symbol of its own. */
static bool byte_word(wick_enc *e, const char *p, size_t n)
{
    const wick_tok_model *m = &e->t->model;
    const uint8_t *u = (const uint8_t *)p;
    int32_t id[SCAN_MAX];
    wick_join join[SCAN_MAX];
    for (size_t i = 0; i < n; i++) id[i] = m->bytes[u[i]];
    for (size_t i = 0; i + 1 < n; i++) join[i] = m->byte_pairs[u[i] << 8 | u[i + 1]];
    return put_ids(e, id, merge_scan(m, id, join, n));
}

wick_status wick_bpe_word(wick_enc *e, const char *p, size_t n, wick_err *err)
{
    const wick_tok_model *m = &e->t->model;
    size_t n_sym;
    if (m->whole_first && n < WICK_TOK_MAX_PIECE) {
        int32_t id = whole(e, p, n);
        if (id >= 0) return wick_enc_id(e, id) ? WICK_OK : wick_enc_oom(err);
    }
    if (m->byte_pairs && n && n <= SCAN_MAX) return byte_word(e, p, n) ? WICK_OK : wick_enc_oom(err);
    if (!symbols(e, p, n, &n_sym) || e->scratch.failed) return wick_enc_oom(err);
    if (n_sym > INT32_MAX / 4) return WICK_FAIL(err, WICK_E_LIMIT, "text", "a word of %zu bytes is too long", n);
    if (n_sym <= SCAN_MAX) return short_word(e, n_sym) ? WICK_OK : wick_enc_oom(err);
    if (!merge_heap(e, m->byte_pairs ? p : NULL, &n_sym)) return wick_enc_oom(err);
    for (size_t i = 0; i < n_sym; i++)
        if (!wick_enc_id(e, e->sym[i].id)) return wick_enc_oom(err);
    return WICK_OK;
}

/* ---- tables ---- */

static bool fill_byte_pairs(wick_tokenizer *t)
{
    wick_tok_model *m = &t->model;
    int16_t *byte = wick_alloc_zero(t->vocab.n, sizeof *byte); /* by id: the byte it stands for, and 1 */
    m->byte_pairs = wick_realloc_array(NULL, 256 * 256, sizeof *m->byte_pairs);
    if (byte && m->byte_pairs) {
        for (uint32_t i = 0; i < 256 * 256; i++) m->byte_pairs[i] = (wick_join){UINT32_MAX, 0};
        for (int b = 0; b < 256; b++) byte[m->bytes[b]] = (int16_t)(b + 1);
        for (uint32_t i = 0; m->merges && i <= m->merges_mask; i++) {
            const wick_merge *k = &m->merges[i];
            if (k->key == UINT64_MAX) continue;
            int a = byte[k->key >> 32], b = byte[(uint32_t)k->key];
            if (a && b) m->byte_pairs[(a - 1) << 8 | (b - 1)] = (wick_join){k->rank, k->id};
        }
    }
    wick_free(byte);
    return byte && m->byte_pairs;
}

static bool fill_char_ids(wick_tokenizer *t)
{
    int32_t *ids = wick_realloc_array(NULL, CHARS, sizeof *ids);
    if (!ids) return false;
    for (uint32_t c = 0; c < CHARS; c++) ids[c] = -1;
    for (uint32_t id = 0; id < t->vocab.n; id++) {
        wick_str s = t->vocab.piece[id];
        uint32_t c;
        if (s.p && s.n && s.n <= 3 && wick_utf8_next(s.p, s.n, &c) == s.n && c < CHARS)
            ids[c] = wick_vocab_find_own(&t->vocab, s.p, s.n);
    }
    t->model.char_ids = ids;
    return true;
}

bool wick_bpe_tables(wick_tokenizer *t)
{
    const wick_tok_model *m = &t->model;
    if (m->kind == MODEL_SCORED_BPE && m->raw_bytes) return wick_scored_bpe_tables(t);
    if (m->kind != MODEL_BPE) return true;
    if (!m->byte_level) return m->prefix.n || m->suffix.n || fill_char_ids(t);
    for (int b = 0; b < 256; b++)
        if (m->bytes[b] < 0) return true;
    return fill_byte_pairs(t);
}
