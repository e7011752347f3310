/* backend/mlx/graph.h - building MLX graphs from C without a check after every call.
 *
 * Every array that a function here returns belongs to the graph and is freed by wick_graph_reset; what must stay is
 * copied with wick_array_hold. The first call that fails makes the graph fail: later calls do nothing and return the
 * empty array, so a caller checks g->failed once, at its end. Handles are references: MLX reuses a buffer in place only
 * where one reference is left, so the graph is reset before it is evaluated.
 *
 * An evaluation that fails in the middle (memory) leaves MLX's threads at work on what came before, and they do not
 * hold the arrays that they write: the stream is waited for before any of them is dropped.
 */
#pragma once
#include "backend/mlx/api.h"

#define WICK_MAX_DIMS 5

typedef struct wick_graph {
    mlx_stream stream;
    mlx_array *temp; /* [n] of cap */
    uint32_t n, cap;
    uint64_t n_ops; /* made so far, loading included */
    bool failed;
} wick_graph;

/* One more reference, for the caller to free; empty if a is, or on failure. */
mlx_array wick_array_hold(mlx_array a);
void wick_array_drop(mlx_array *a); /* frees and empties */

mlx_array wick_graph_keep(wick_graph *g, int rc,
                          mlx_array a); /* takes a; fails the graph if rc is not 0 or a is empty */
void wick_graph_reset(wick_graph *g);
void wick_graph_release(wick_graph *g);

#define WICK_UNARY(name)                                               \
    static inline mlx_array wick_mx_##name(wick_graph *g, mlx_array a) \
    {                                                                  \
        mlx_array r = {0};                                             \
        if (g->failed) return r;                                       \
        int rc = wick_mlx.name(&r, a, g->stream);                      \
        return wick_graph_keep(g, rc, r);                              \
    }
#define WICK_BINARY(name)                                                           \
    static inline mlx_array wick_mx_##name(wick_graph *g, mlx_array a, mlx_array b) \
    {                                                                               \
        mlx_array r = {0};                                                          \
        if (g->failed) return r;                                                    \
        int rc = wick_mlx.name(&r, a, b, g->stream);                                \
        return wick_graph_keep(g, rc, r);                                           \
    }
WICK_UNARY(sigmoid)
WICK_UNARY(tanh)
WICK_UNARY(erf)
WICK_UNARY(exp)
WICK_UNARY(square)
WICK_BINARY(add)
WICK_BINARY(subtract)
WICK_BINARY(multiply)
WICK_BINARY(divide)
WICK_BINARY(maximum)
WICK_BINARY(minimum)
WICK_BINARY(less)
WICK_BINARY(less_equal)
WICK_BINARY(logical_and)
WICK_BINARY(logaddexp)
WICK_BINARY(floor_divide)
WICK_BINARY(matmul)
#undef WICK_UNARY
#undef WICK_BINARY

/* Shapes are given as the list of their sizes: MX_DIMS(1, n, 64). */
#define MX_DIMS(...) (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int)

mlx_array wick_mx_data(wick_graph *g, const void *data, const int *dims, size_t n, mlx_dtype t); /* copies */
/* A number in type t (F32, F16 or BF16): a scalar of another type would widen the result. */
mlx_array wick_mx_scalar(wick_graph *g, float v, mlx_dtype t);
mlx_array wick_mx_astype(wick_graph *g, mlx_array a, mlx_dtype t);
mlx_array wick_mx_where(wick_graph *g, mlx_array c, mlx_array x, mlx_array y);
mlx_array wick_mx_reshape(wick_graph *g, mlx_array a, const int *dims, size_t n);
mlx_array wick_mx_transpose(wick_graph *g, mlx_array a, const int *axes, size_t n);
mlx_array wick_mx_broadcast(wick_graph *g, mlx_array a, const int *dims, size_t n);
mlx_array wick_mx_contiguous(wick_graph *g, mlx_array a);
/* a[..., from:to, ...] along one axis of an array of the given sizes */
mlx_array wick_mx_cut(wick_graph *g, mlx_array a, const int *dims, size_t n, int axis, int from, int to);
/* The box [start, stop) of a, and a with that box replaced */
mlx_array wick_mx_slice(wick_graph *g, mlx_array a, const int *start, const int *stop, size_t n);
mlx_array wick_mx_slice_update(wick_graph *g, mlx_array a, mlx_array update, const int *start, const int *stop,
                               size_t n);
mlx_array wick_mx_concat(wick_graph *g, const mlx_array *a, size_t n, int axis);
/* x [..][n] to codes, scales and biases (affine) */
void wick_mx_quantize(wick_graph *g, mlx_array x, int group, int bits, mlx_array out[3]);
mlx_array wick_mx_zeros(wick_graph *g, const int *dims, size_t n, mlx_dtype t);
mlx_array wick_mx_arange(wick_graph *g, int from, int to);
mlx_array wick_mx_take(wick_graph *g, mlx_array a, mlx_array idx, int axis);
mlx_array wick_mx_take_along(wick_graph *g, mlx_array a, mlx_array idx, int axis);
mlx_array wick_mx_put_along(wick_graph *g, mlx_array a, mlx_array idx, mlx_array v, int axis);
mlx_array wick_mx_argpartition(wick_graph *g, mlx_array a, int kth, int axis);
mlx_array wick_mx_argsort(wick_graph *g, mlx_array a, int axis);
mlx_array wick_mx_topk(wick_graph *g, mlx_array a, int k, int axis);
mlx_array wick_mx_max(wick_graph *g, mlx_array a, int axis, bool keep);
mlx_array wick_mx_sum(wick_graph *g, mlx_array a, int axis, bool keep);
mlx_array wick_mx_argmax(wick_graph *g, mlx_array a, int axis);
mlx_array wick_mx_logsumexp(wick_graph *g, mlx_array a, int axis);
mlx_array wick_mx_softmax(wick_graph *g, mlx_array a, int axis);
mlx_array wick_mx_addmm(wick_graph *g, mlx_array c, mlx_array a, mlx_array b);
mlx_array wick_mx_rms_norm(wick_graph *g, mlx_array x, mlx_array w, float eps);
mlx_array wick_mx_layer_norm(wick_graph *g, mlx_array x, mlx_array w, mlx_array b, float eps);
mlx_array wick_mx_rope(wick_graph *g, mlx_array x, int dims, bool interleaved, int offset, mlx_array freqs);
mlx_array wick_mx_rope_at(wick_graph *g, mlx_array x, int dims, bool interleaved, mlx_array offsets, mlx_array freqs);
mlx_array wick_mx_attention(wick_graph *g, mlx_array q, mlx_array k, mlx_array v, float scale, const char *mode,
                            mlx_array mask, mlx_array sinks);
