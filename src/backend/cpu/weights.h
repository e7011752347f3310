/* backend/cpu/weights.h - the packed matrices of a plan. One weight that several ops name (tied embeddings) is packed once. */
#pragma once
#include "backend/cpu/linear.h"
#include "backend/cpu/pool.h"
#include "base/map.h"

typedef struct wick_mat {
    struct {
        const uint8_t *data, *scales;
        uint32_t n_out, n_in;
    } key; /* what tells two weights apart; no padding on the ABIs that we know, and zeroed */
    const wick_weight *w;
    wick_lin *lin;
    uint64_t at, bytes;   /* in the packed memory; bytes 0: used as it lies in the file */
    uint32_t first_chunk; /* of the packing work */
} wick_mat;

typedef struct wick_mats {
    wick_mat *mat;
    uint32_t n, n_chunks;
    wick_map map;
    uint8_t *packed;
    uint64_t packed_bytes;
} wick_mats;

/* Calls fn for every matrix that an op multiplies by (not the embedding, whose rows are read from the file). */
typedef wick_status (*wick_mat_fn)(void *ctx, const wick_weight *w, wick_err *err);
wick_status wick_op_matrices(const wick_op *op, wick_mat_fn fn, void *ctx, wick_err *err) WICK_MUST_CHECK;

wick_status wick_mats_load(wick_mats *m, const wick_plan *plan, const wick_lin_isa *isa, wick_precision precision,
                           wick_pool *pool, uint64_t limit_bytes, wick_progress progress,
                           wick_err *err) WICK_MUST_CHECK;
const wick_lin *wick_mats_find(const wick_mats *m, const wick_weight *w); /* NULL for NULL */
void wick_mats_release(wick_mats *m);
