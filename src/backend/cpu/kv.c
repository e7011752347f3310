/* backend/cpu/kv.c - blocks of KV: allocation, sharing, copy on write; sequences over them. See kv.h.
 *
 * Invariants:
 * 1. A block's count is the number of tables that name it; a block on a free list has count 0 and is in no table.
 * 2. Positions below `len` lie in blocks that exist, except those of a windowed cache below first * WICK_KV_BLOCK.
 * 3. Blocks beyond `len` may exist (reserved) and then belong to this sequence alone.
 */
#include "backend/cpu/kv.h"

#include <inttypes.h>
#include <string.h>

#include "base/sys.h"

struct wick_kv_block {
    uint32_t refs;
    uint32_t size; /* index into kv->size */
    wick_kv_block *next;
    _Alignas(64) uint8_t data[];
};

enum {
    CHECK_BYTES = 32 << 20, /* asks the system for its free memory once in so much growth */
    KEEP_FREE_BYTES = 64 << 20,
    RESERVE_BYTES = 256 << 20 /* most that a hint takes in advance */
};

static uint32_t size_index(wick_kv *kv, uint64_t bytes)
{
    uint32_t i = 0;
    while (i < kv->n_sizes && kv->size[i].bytes != bytes) i++;
    if (i == kv->n_sizes) kv->size[kv->n_sizes++].bytes = bytes;
    return i;
}

static wick_status cache_init(wick_kv *kv, wick_kv_cache *c, const wick_cache_spec *s, wick_dtype dtype, wick_err *err)
{
    c->kind = s->kind;
    c->window = s->window;
    if (s->kind == WICK_CACHE_STATE) {
        c->n_state = s->n_state;
        c->state_at = kv->n_state;
        if (!wick_add_ok(kv->n_state, s->n_state, &kv->n_state) || kv->n_state > SIZE_MAX / 8)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "state of %" PRIu64 " values is too large",
                             s->n_state);
        return WICK_OK;
    }
    if (s->n_kv_head == 0 || s->k_dim == 0 || s->k_dim > 65536 || s->v_dim > 65536 || s->n_kv_head > 65536)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "KV cache of %u heads, k %u, v %u: out of range",
                         s->n_kv_head, s->k_dim, s->v_dim);
    if (!wick_kv_layout_init(&c->layout, dtype, s->k_dim, s->v_dim))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "kv_dtype", "KV type %s: expected F32, F16, BF16, Q8_0 or Q4_0",
                         wick_dtype_name(dtype));
    c->n_head = s->n_kv_head;
    c->block_bytes = c->layout.head_bytes * c->n_head;
    c->index = kv->n_kv++;
    kv->bytes_per_block += c->block_bytes;
    size_index(kv, c->block_bytes);
    return WICK_OK;
}

wick_status wick_kv_init(wick_kv *kv, const wick_plan *plan, wick_dtype dtype, const wick_rowops *row,
                         uint64_t limit_bytes, wick_err *err)
{
    memset(kv, 0, sizeof *kv);
    kv->row = row;
    kv->limit_bytes = limit_bytes;
    kv->cache = wick_alloc_zero(plan->n_caches, sizeof *kv->cache);
    kv->size = wick_alloc_zero(plan->n_caches, sizeof *kv->size);
    if (!kv->cache || !kv->size) return wick_err_oom(err, "the table of caches", plan->n_caches * sizeof *kv->cache, 0);
    for (uint32_t i = 0; i < plan->n_caches; i++) {
        WICK_TRY(cache_init(kv, &kv->cache[i], &plan->cache[i], dtype, err));
        kv->n++;
    }
    return WICK_OK;
}

static void size_trim(wick_kv *kv, wick_kv_size *z, uint64_t keep_bytes)
{
    while (z->free && z->n_free * z->bytes > keep_bytes) {
        wick_kv_block *b = z->free;
        z->free = b->next;
        z->n_free--;
        kv->held_bytes -= z->bytes;
        wick_free(b);
    }
}

void wick_kv_release(wick_kv *kv)
{
    for (uint32_t i = 0; i < kv->n_sizes; i++) size_trim(kv, &kv->size[i], 0);
    wick_free(kv->size);
    wick_free(kv->cache);
    memset(kv, 0, sizeof *kv);
}

/* Asks for memory before the system has to kill somebody for it. */
static wick_status check_memory(wick_kv *kv, uint64_t bytes, wick_err *err)
{
    if (kv->limit_bytes && kv->held_bytes + bytes > kv->limit_bytes)
        return wick_err_oom(err, "KV cache", kv->held_bytes + bytes, kv->limit_bytes);
    if (kv->held_bytes + bytes < kv->checked_bytes) return WICK_OK;
    uint64_t have = wick_memory_available_bytes();
    if (have && have < bytes + CHECK_BYTES) return wick_err_oom(err, "KV cache", bytes + CHECK_BYTES, have);
    kv->checked_bytes = kv->held_bytes + bytes + CHECK_BYTES;
    return WICK_OK;
}

static wick_status block_add_free(wick_kv *kv, uint32_t size, wick_err *err)
{
    wick_kv_size *z = &kv->size[size];
    WICK_TRY(check_memory(kv, z->bytes, err));
    wick_kv_block *b = wick_alloc_aligned(64, sizeof *b + z->bytes);
    if (!b) return wick_err_oom(err, "KV cache", z->bytes, wick_memory_available_bytes());
    b->refs = 0;
    b->size = size;
    b->next = z->free;
    z->free = b;
    z->n_free++;
    kv->held_bytes += z->bytes;
    return WICK_OK;
}

static wick_status block_take(wick_kv *kv, const wick_kv_cache *c, const wick_kv_block *copy, wick_kv_block **out,
                              wick_err *err)
{
    uint32_t size = size_index(kv, c->block_bytes);
    wick_kv_size *z = &kv->size[size];
    if (!z->free) WICK_TRY(block_add_free(kv, size, err));
    wick_kv_block *b = z->free;
    z->free = b->next;
    z->n_free--;
    b->refs = 1;
    b->next = NULL;
    kv->used_bytes += z->bytes;
    if (copy)
        memcpy(b->data, copy->data, z->bytes);
    else
        memset(b->data, 0, z->bytes); /* V's padding must be zero; the rest is written before it is read */
    *out = b;
    return WICK_OK;
}

static void block_drop(wick_kv *kv, wick_kv_block **slot)
{
    wick_kv_block *b = *slot;
    *slot = NULL;
    if (!b || --b->refs) return;
    wick_kv_size *z = &kv->size[b->size];
    b->next = z->free;
    z->free = b;
    z->n_free++;
    kv->used_bytes -= z->bytes;
    size_trim(kv, z, KEEP_FREE_BYTES);
}

static uint32_t n_blocks(uint64_t positions)
{
    return (uint32_t)((positions + WICK_KV_BLOCK - 1) / WICK_KV_BLOCK);
}

/* Room in the tables for `want` blocks. */
static wick_status table_grow(wick_seq *s, uint32_t want, wick_err *err)
{
    const wick_kv *kv = s->kv;
    if (want <= s->cap) return WICK_OK;
    uint32_t cap = want < 8 ? 8 : want + want / 2;
    wick_kv_block **t = wick_alloc_zero((size_t)cap * kv->n_kv + 1, sizeof *t);
    if (!t) return wick_err_oom(err, "KV table", (uint64_t)cap * kv->n_kv * sizeof *t, 0);
    for (uint32_t i = 0; i < kv->n_kv; i++)
        if (s->cap) memcpy(t + (size_t)i * cap, s->table + (size_t)i * s->cap, s->cap * sizeof *t);
    wick_free(s->table);
    s->table = t;
    s->cap = cap;
    return WICK_OK;
}

static wick_status seq_alloc(wick_kv *kv, uint32_t blocks, wick_seq **out, wick_err *err)
{
    wick_seq *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "a sequence", sizeof *s, 0);
    s->kv = kv;
    kv->n_seqs++;
    s->first = wick_alloc_zero((size_t)kv->n_kv + 1, sizeof *s->first);
    s->state = wick_alloc_zero(kv->n_state + 1, sizeof *s->state);
    wick_status st = WICK_OK;
    if (!s->first || !s->state)
        st = wick_err_oom(err, "a sequence", kv->n_state * sizeof *s->state, 0);
    else
        st = table_grow(s, blocks, err);
    if (st != WICK_OK) {
        wick_seq_free(s);
        return st;
    }
    kv->used_bytes += kv->n_state * sizeof *s->state;
    *out = s;
    return WICK_OK;
}

wick_status wick_seq_new(wick_kv *kv, uint32_t n_ctx_hint, wick_seq **out, wick_err *err)
{
    uint64_t blocks = n_blocks(n_ctx_hint), most = kv->bytes_per_block ? RESERVE_BYTES / kv->bytes_per_block : 0;
    WICK_TRY(seq_alloc(kv, n_blocks(n_ctx_hint), out, err));
    /* Blocks in advance, untouched: decoding then allocates nothing. Best effort; a step asks again. */
    if (blocks > most) blocks = most;
    for (uint32_t i = 0; i < kv->n; i++) {
        if (kv->cache[i].kind != WICK_CACHE_KV) continue;
        uint32_t size = size_index(kv, kv->cache[i].block_bytes), want = 0;
        for (uint32_t j = 0; j < kv->n; j++)
            want += kv->cache[j].kind == WICK_CACHE_KV && kv->cache[j].block_bytes == kv->cache[i].block_bytes;
        while (kv->size[size].n_free < blocks * want && block_add_free(kv, size, NULL) == WICK_OK) {
        }
    }
    return WICK_OK;
}

static wick_status refuse_position(const wick_seq *s, uint32_t n, const char *what, wick_err *err)
{
    if (n > s->len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens", "cannot %s at %u: the sequence holds %u tokens", what,
                         n, s->len);
    if (s->kv->n_state && n != s->len && n != 0)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "n_tokens",
                         "cannot %s at %u of %u: a recurrent state goes back to 0 only", what, n, s->len);
    for (uint32_t i = 0; i < s->kv->n; i++) {
        const wick_kv_cache *c = &s->kv->cache[i];
        if (c->kind != WICK_CACHE_KV || n == 0) continue;
        uint32_t lowest = c->window && n > c->window ? n - c->window : 0;
        if ((uint64_t)s->first[c->index] * WICK_KV_BLOCK > lowest)
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "n_tokens",
                             "cannot %s at %u of %u: a window of %u has let go of position %u", what, n, s->len,
                             c->window, lowest);
    }
    return WICK_OK;
}

wick_status wick_seq_fork(const wick_seq *s, uint32_t n, wick_seq **out, wick_err *err)
{
    wick_seq *f = NULL;
    WICK_TRY(refuse_position(s, n, "fork", err));
    WICK_TRY(seq_alloc(s->kv, n_blocks(n) + 1, &f, err));
    for (uint32_t i = 0; i < s->kv->n_kv; i++) {
        for (uint32_t b = s->first[i]; b < n_blocks(n); b++) {
            wick_kv_block *k = s->table[(size_t)i * s->cap + b];
            f->table[(size_t)i * f->cap + b] = k;
            if (k) k->refs++;
        }
        f->first[i] = n ? s->first[i] : 0;
    }
    if (n) memcpy(f->state, s->state, s->kv->n_state * sizeof *f->state);
    f->len = n;
    *out = f;
    return WICK_OK;
}

wick_status wick_seq_truncate(wick_seq *s, uint32_t n, wick_err *err)
{
    WICK_TRY(refuse_position(s, n, "truncate", err));
    if (n == s->len) return WICK_OK;
    for (uint32_t i = 0; i < s->kv->n_kv; i++) {
        for (uint32_t b = n_blocks(n); b < s->cap; b++) block_drop(s->kv, &s->table[(size_t)i * s->cap + b]);
        if (n == 0) s->first[i] = 0;
    }
    if (n == 0) memset(s->state, 0, s->kv->n_state * sizeof *s->state);
    s->len = n;
    return WICK_OK;
}

void wick_seq_free(wick_seq *s)
{
    if (!s) return;
    wick_kv *kv = s->kv;
    for (size_t i = 0; s->table && i < (size_t)kv->n_kv * s->cap; i++) block_drop(kv, &s->table[i]);
    if (s->table) kv->used_bytes -= kv->n_state * sizeof *s->state;
    kv->n_seqs--;
    wick_free(s->table);
    wick_free(s->first);
    wick_free(s->state);
    wick_free(s);
}

wick_status wick_seq_reserve(wick_seq *s, uint32_t n, wick_err *err)
{
    wick_kv *kv = s->kv;
    if (n > INT32_MAX - s->len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens", "%u tokens and %u more: too many positions", s->len, n);
    uint32_t last = n_blocks((uint64_t)s->len + n);
    WICK_TRY(table_grow(s, last, err));
    for (uint32_t i = 0; i < kv->n; i++) {
        const wick_kv_cache *c = &kv->cache[i];
        if (c->kind != WICK_CACHE_KV) continue;
        for (uint32_t b = s->len / WICK_KV_BLOCK; b < last; b++) {
            wick_kv_block **slot = &s->table[(size_t)c->index * s->cap + b], *mine = NULL;
            if (*slot && (*slot)->refs == 1) continue;
            WICK_TRY(block_take(kv, c, *slot, &mine, err));
            block_drop(kv, slot);
            *slot = mine;
        }
    }
    return WICK_OK;
}

void wick_seq_advance(wick_seq *s, uint32_t n)
{
    wick_kv *kv = s->kv;
    s->len += n;
    for (uint32_t i = 0; i < kv->n; i++) {
        const wick_kv_cache *c = &kv->cache[i];
        uint64_t keep = (uint64_t)c->window + WICK_KV_SLACK;
        if (c->kind != WICK_CACHE_KV || c->window == 0 || s->len <= keep) continue;
        uint32_t gone = (uint32_t)((s->len - keep) / WICK_KV_BLOCK);
        for (uint32_t b = s->first[c->index]; b < gone; b++) block_drop(kv, &s->table[(size_t)c->index * s->cap + b]);
        if (gone > s->first[c->index]) s->first[c->index] = gone;
    }
}

void *wick_seq_head(const wick_seq *s, const wick_kv_cache *c, uint32_t pos, uint32_t head)
{
    wick_kv_block *b = s->table[(size_t)c->index * s->cap + pos / WICK_KV_BLOCK];
    return b->data + head * c->layout.head_bytes;
}

float *wick_seq_state(const wick_seq *s, const wick_kv_cache *c)
{
    return s->state + c->state_at;
}
