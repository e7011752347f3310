/* backend/cpu/weights.h - the packed matrices of a plan. One weight that several ops name (tied embeddings) is packed
 * once. */
#pragma once
#include "backend/cpu/linear.h"
#include "backend/cpu/pool.h"
#include "backend/pack_cache.h"
#include "base/map.h"

typedef struct wick_mat {
    struct {
        const uint8_t *data, *scales;
        uint32_t n_out, n_in;
    } key; /* what tells two weights apart; no padding on the ABIs that we know, and zeroed */
    const wick_weight *w;
    wick_lin *lin;
    uint64_t at, bytes;          /* in the packed memory; bytes 0: used as it lies in the file */
    uint32_t first_chunk;        /* of the packing work */
    bool drop_data, drop_scales; /* pages that may go once they are packed; scales and biases together */
} wick_mat;

typedef struct wick_mats {
    wick_mat *mat;
    uint32_t n, n_chunks;
    wick_map map;
    const uint8_t *packed; /* own, or the mapped file of the cache */
    uint64_t packed_bytes;
    uint8_t *own;
    wick_pack pack;
    wick_pack_item *item; /* the table of that file */
    wick_pack_writer *writer;
} wick_mats;

/* Maps the packed form from o->cache_dir, or packs, and then writes it there in the background. */
wick_status wick_mats_load(wick_mats *m, const wick_plan *plan, const wick_lin_isa *isa, wick_pool *pool,
                           const wick_backend_opts *o, wick_progress progress, wick_err *err) WICK_MUST_CHECK;
const wick_lin *wick_mats_find(const wick_mats *m, const wick_weight *w); /* NULL for NULL */
void wick_mats_release(wick_mats *m);
