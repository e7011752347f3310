/* backend/mlx/load.h - shared by the files that load weights: matrices (load.c), block types (gguf_affine.c), ops
 * (weights.c), arrays over memory (arrays.c). */
#pragma once
#include "backend/mlx/mlx.h"

typedef struct wick_loader {
    wick_backend_model *m;
    wick_progress progress;
    uint64_t done, total;
    uint32_t n_expanded;
    char expanded[64]; /* label of the first matrix that was */
} wick_loader;

size_t wick_mlx_dtype_bytes(mlx_dtype t);
/* arrays.c: an array over memory: the mapping's (owner NULL), or a buffer of ours that the array takes. */
mlx_array wick_mlx_wrap(const void *data, void *owner, const int *dims, int n, mlx_dtype t);
/* The same in the shape [n_out][cols], or [n_mat][n_out][cols]. */
mlx_array wick_mlx_shaped(const wick_mlx_lin *l, const void *data, void *owner, uint32_t cols, mlx_dtype t);

/* gguf_affine.c: how many bits the affine codes have that hold a block type exactly with scales of type t (0: none do);
 * and the repacking. */
int wick_mlx_exact_bits(wick_dtype block, mlx_dtype t);
bool wick_mlx_repack(wick_mlx_lin *l, const wick_weight *w, int bits, mlx_dtype t);

/* One matrix, or n_mat of one shape; *out is NULL where there is none. */
wick_status wick_mlx_load_matrix(wick_loader *ld, const wick_weight *w, uint32_t n_mat, const wick_mlx_lin **out,
                                 wick_err *err) WICK_MUST_CHECK;
/* The rows of n <= 3 matrices over the same input as one matrix; *out is NULL where they do not fit together. */
wick_status wick_mlx_load_fused(wick_loader *ld, const wick_weight *const *w, uint32_t n, const wick_mlx_lin **out,
                                wick_err *err) WICK_MUST_CHECK;
/* Floats of the shape dims in type t; stays empty where x is NULL. */
wick_status wick_mlx_load_vector(wick_loader *ld, const float *x, const int *dims, int n_dims, mlx_dtype t,
                                 mlx_array *out, wick_err *err) WICK_MUST_CHECK;
