/* backend/cpu/linear.h - the linear layer: packed weights and the products with them.
 *
 * y[m][n] = sum_k W[n][k] x[m][k] for any encoding, any number of rows m, in one of three precisions. Row m's
 * result depends on x[m] and W only, bit for bit: not on the other rows, their number, the thread count or the chunk.
 *
 * Work is cut along n into tiles of WICK_LIN_TILE output rows; a caller's threads each take ranges of tiles, so the
 * backend can fuse several products and their epilogues between two barriers.
 */
#pragma once
#include "backend/backend.h"
#include "quant/weight.h"

#define WICK_LIN_TILE 16

typedef struct wick_lin wick_lin; /* one packed matrix */

typedef struct wick_lin_isa {
    const char
        *name; /* "portable", "avx2", "avx2-vnni", "avx512", "avx512-vnni", "neon", "neon-dotprod", "neon-i8mm" */
    const struct wick_lin_kernels *kernels; /* private */
} wick_lin_isa;

/* The best instruction set for this processor, or the one named (NULL: best). WICK_E_BAD_PARAMETER lists those that
 * exist. */
wick_status wick_lin_isa_pick(const wick_lin_isa **out, const char *name, wick_err *err) WICK_MUST_CHECK;

/* Packing: first ask the size, then pack into memory of that size, aligned to 64 (it may be a mapped cache file later).
 * pack_tiles packs tiles [t0, t1) so that threads can share the work. PLAIN matrices may keep pointing at the file
 * (size 0) where the kernels can use it as it is. */
uint64_t wick_lin_packed_bytes(const wick_lin_isa *isa, const wick_weight *w, wick_precision p);
wick_status wick_lin_new(wick_lin **out, const wick_lin_isa *isa, const wick_weight *w, wick_precision p, void *packed,
                         wick_err *err) WICK_MUST_CHECK;
void wick_lin_pack_tiles(wick_lin *l, uint32_t t0, uint32_t t1);
void wick_lin_free(wick_lin *l);
uint32_t wick_lin_n_tiles(const wick_lin *l); /* ceil(n_out / WICK_LIN_TILE) */
uint32_t wick_lin_n_out(const wick_lin *l);
uint32_t wick_lin_n_in(const wick_lin *l);

/* Activations in the form that the kernels want (floats, int8 groups with scale and scaled sum, hi + lo). One prepared
 * block of rows serves all products over the same input whose weights have the same `act_key` (isa, precision,
 * group). */
uint32_t wick_lin_act_key(const wick_lin *l);
uint64_t wick_lin_act_bytes(const wick_lin *l, uint32_t n_rows); /* aligned to 64 */
void wick_lin_act_prepare(const wick_lin *l, const float *x, uint64_t x_stride, uint32_t m0, uint32_t m1,
                          uint32_t n_rows, void *act); /* rows m0..m1 of n_rows */

/* y[m * y_stride + n] = product for all n_rows rows and the outputs of tiles [t0, t1); `scratch` is per thread, aligned
 * to 64. */
uint64_t wick_lin_scratch_bytes(const wick_lin *l, uint32_t n_rows);
void wick_lin_mul(const wick_lin *l, const void *act, uint32_t n_rows, float *y, uint64_t y_stride, uint32_t t0,
                  uint32_t t1, void *scratch);
/* One row of W in float32, from the packed form or the file (embeddings). */
void wick_lin_row(const wick_lin *l, uint32_t r, float *out);
