/* backend/cpu/kv.h - what sequences keep between steps: blocks of KV with reference counts, and recurrent states.
 *
 * A block holds WICK_KV_BLOCK positions of one cache (all its KV heads), so that a windowed layer can let go of blocks
 * that the others keep. Forks share blocks; who writes to a shared block gets a copy first (wick_seq_reserve). States
 * are copied by a fork, and cannot go back: such a sequence truncates to 0 or to its length only.
 *
 * A windowed cache keeps WICK_KV_SLACK positions more than its window, so that a sequence can be truncated, or forked,
 * that far back; further back is refused.
 */
#pragma once
#include "backend/cpu/rowops.h"
#include "model/plan.h"

enum { WICK_KV_SLACK = 1024 };

typedef struct wick_kv_block wick_kv_block;

typedef struct wick_kv_cache {
    wick_cache_kind kind;
    wick_kv_layout layout; /* of one KV head in a block */
    uint32_t n_head, window;
    uint64_t block_bytes;
    uint32_t index;             /* among the caches of its kind */
    uint64_t n_state, state_at; /* STATE: floats, and where in wick_seq.state */
} wick_kv_cache;

typedef struct wick_kv_size { /* the free blocks of one size */
    uint64_t bytes;
    wick_kv_block *free;
    uint64_t n_free;
} wick_kv_size;

typedef struct wick_kv {
    wick_kv_cache *cache; /* [n] as in the plan */
    wick_kv_size *size;   /* [n_sizes] */
    uint32_t n, n_kv, n_sizes;
    uint64_t n_state; /* floats per sequence */
    uint64_t used_bytes, held_bytes, limit_bytes, checked_bytes;
    uint64_t bytes_per_block; /* of all caches together */
    uint64_t n_seqs;
    const wick_rowops *row;
} wick_kv;

struct wick_seq {
    wick_kv *kv;
    uint32_t len, cap;     /* positions held; blocks that a table has room for */
    wick_kv_block **table; /* [n_kv][cap]; NULL: never had, or let go */
    uint32_t *first;       /* [n_kv]: first block that is still there */
    float *state;          /* [kv->n_state] */
    bool busy;             /* named by the batch that is being checked */
};

wick_status wick_kv_init(wick_kv *kv, const wick_plan *plan, wick_dtype dtype, const wick_rowops *row,
                         uint64_t limit_bytes, wick_err *err) WICK_MUST_CHECK;
void wick_kv_release(wick_kv *kv);

wick_status wick_seq_new(wick_kv *kv, uint32_t n_ctx_hint, wick_seq **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_seq_fork(const wick_seq *s, uint32_t n, wick_seq **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_seq_truncate(wick_seq *s, uint32_t n, wick_err *err) WICK_MUST_CHECK;
void wick_seq_free(wick_seq *s);
/* Room for n more positions in blocks that nobody else reads. Allocates nothing where the blocks are there. */
wick_status wick_seq_reserve(wick_seq *s, uint32_t n, wick_err *err) WICK_MUST_CHECK;
void wick_seq_advance(wick_seq *s, uint32_t n); /* the positions were written; lets go of what no query can reach */

/* The part of one KV head in the block that holds position `pos`. */
void *wick_seq_head(const wick_seq *s, const wick_kv_cache *c, uint32_t pos, uint32_t head);
float *wick_seq_state(const wick_seq *s, const wick_kv_cache *c);

wick_status wick_seq_export(const wick_seq *s, uint32_t from, uint32_t to, void *buf, uint64_t *n_bytes,
                            wick_err *err) WICK_MUST_CHECK;
wick_status wick_seq_import(wick_seq *s, uint32_t from, uint32_t to, const void *buf, uint64_t n_bytes,
                            wick_err *err) WICK_MUST_CHECK;
