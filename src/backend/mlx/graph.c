/* backend/mlx/graph.c - the calls of graph.h that take more than arrays. */
#include "backend/mlx/graph.h"

#include <string.h>

#include "base/alloc.h"
#include "base/dtype.h"

static const mlx_array none;

mlx_array wick_array_hold(mlx_array a)
{
    mlx_array r = none;
    if (a.ctx && wick_mlx.array_set(&r, a)) return none;
    return r;
}

void wick_array_drop(mlx_array *a)
{
    if (a->ctx) wick_mlx.array_free(*a);
    *a = none;
}

mlx_array wick_graph_keep(wick_graph *g, int rc, mlx_array a)
{
    if (rc == 0 && a.ctx && g->n == g->cap) {
        uint32_t cap = g->cap ? g->cap * 2 : 256;
        mlx_array *t = wick_realloc_array(g->temp, cap, sizeof *t);
        if (t) {
            g->temp = t;
            g->cap = cap;
        }
    }
    if (rc || !a.ctx || g->n == g->cap) {
        g->failed = true;
        wick_array_drop(&a);
        return none;
    }
    g->n_ops++;
    g->temp[g->n++] = a;
    return a;
}

void wick_graph_reset(wick_graph *g)
{
    if (g->failed && g->stream.ctx) wick_mlx.synchronize(g->stream);
    for (uint32_t i = 0; i < g->n; i++) wick_mlx.array_free(g->temp[i]);
    g->n = 0;
    g->failed = false;
}

void wick_graph_release(wick_graph *g)
{
    wick_graph_reset(g);
    wick_free(g->temp);
    g->temp = NULL;
    g->cap = 0;
}

/* RUN(call): the result of wick_mlx.call, kept */
#define RUN(...)                          \
    do {                                  \
        mlx_array r = none;               \
        if (g->failed) return none;       \
        int rc = wick_mlx.__VA_ARGS__;    \
        return wick_graph_keep(g, rc, r); \
    } while (0)

mlx_array wick_mx_data(wick_graph *g, const void *data, const int *dims, size_t n, mlx_dtype t)
{
    return g->failed ? none : wick_graph_keep(g, 0, wick_mlx.array_new_data(data, dims, (int)n, t));
}

mlx_array wick_mx_scalar(wick_graph *g, float v, mlx_dtype t)
{
    uint16_t h = t == MLX_FLOAT16 ? wick_f32_to_f16(v) : wick_f32_to_bf16(v);
    const int dims[1] = {1};
    return wick_mx_data(g, t == MLX_FLOAT32 ? (const void *)&v : &h, dims, 0, t);
}

mlx_array wick_mx_astype(wick_graph *g, mlx_array a, mlx_dtype t)
{
    RUN(astype(&r, a, t, g->stream));
}

mlx_array wick_mx_where(wick_graph *g, mlx_array c, mlx_array x, mlx_array y)
{
    RUN(where(&r, c, x, y, g->stream));
}

mlx_array wick_mx_reshape(wick_graph *g, mlx_array a, const int *dims, size_t n)
{
    RUN(reshape(&r, a, dims, n, g->stream));
}

mlx_array wick_mx_transpose(wick_graph *g, mlx_array a, const int *axes, size_t n)
{
    RUN(transpose_axes(&r, a, axes, n, g->stream));
}

mlx_array wick_mx_broadcast(wick_graph *g, mlx_array a, const int *dims, size_t n)
{
    RUN(broadcast_to(&r, a, dims, n, g->stream));
}

mlx_array wick_mx_contiguous(wick_graph *g, mlx_array a)
{
    RUN(contiguous(&r, a, false, g->stream));
}

mlx_array wick_mx_cut(wick_graph *g, mlx_array a, const int *dims, size_t n, int axis, int from, int to)
{
    int start[WICK_MAX_DIMS] = {0}, stop[WICK_MAX_DIMS];
    if (from == 0 && to == dims[axis]) return a;
    memcpy(stop, dims, n * sizeof *stop);
    start[axis] = from;
    stop[axis] = to;
    return wick_mx_slice(g, a, start, stop, n);
}

static const int ones[WICK_MAX_DIMS] = {1, 1, 1, 1, 1};

mlx_array wick_mx_slice(wick_graph *g, mlx_array a, const int *start, const int *stop, size_t n)
{
    RUN(slice(&r, a, start, n, stop, n, ones, n, g->stream));
}

mlx_array wick_mx_slice_update(wick_graph *g, mlx_array a, mlx_array update, const int *start, const int *stop,
                               size_t n)
{
    RUN(slice_update(&r, a, update, start, n, stop, n, ones, n, g->stream));
}

mlx_array wick_mx_concat(wick_graph *g, const mlx_array *a, size_t n, int axis)
{
    mlx_array r = none;
    if (g->failed) return none;
    mlx_vector_array v = wick_mlx.vector_array_new_data(a, n);
    int rc = v.ctx ? wick_mlx.concatenate_axis(&r, v, axis, g->stream) : 1;
    if (v.ctx) wick_mlx.vector_array_free(v);
    return wick_graph_keep(g, rc, r);
}

void wick_mx_quantize(wick_graph *g, mlx_array x, int group, int bits, mlx_array out[3])
{
    mlx_vector_array v = {0};
    mlx_optional_int of_group = {group, true}, of_bits = {bits, true};
    if (g->failed) return;
    int rc = wick_mlx.quantize(&v, x, of_group, of_bits, "affine", none, g->stream);
    for (size_t i = 0; i < 3; i++) {
        out[i] = none;
        if (rc == 0) rc = wick_mlx.vector_array_get(&out[i], v, i);
        out[i] = wick_graph_keep(g, rc, out[i]);
    }
    if (v.ctx) wick_mlx.vector_array_free(v);
}

mlx_array wick_mx_zeros(wick_graph *g, const int *dims, size_t n, mlx_dtype t)
{
    RUN(zeros(&r, dims, n, t, g->stream));
}

mlx_array wick_mx_arange(wick_graph *g, int from, int to)
{
    RUN(arange(&r, from, to, 1, MLX_INT32, g->stream));
}

mlx_array wick_mx_take(wick_graph *g, mlx_array a, mlx_array idx, int axis)
{
    RUN(take_axis(&r, a, idx, axis, g->stream));
}

mlx_array wick_mx_take_along(wick_graph *g, mlx_array a, mlx_array idx, int axis)
{
    RUN(take_along_axis(&r, a, idx, axis, g->stream));
}

mlx_array wick_mx_put_along(wick_graph *g, mlx_array a, mlx_array idx, mlx_array v, int axis)
{
    RUN(put_along_axis(&r, a, idx, v, axis, g->stream));
}

mlx_array wick_mx_argpartition(wick_graph *g, mlx_array a, int kth, int axis)
{
    RUN(argpartition_axis(&r, a, kth, axis, g->stream));
}

mlx_array wick_mx_argsort(wick_graph *g, mlx_array a, int axis)
{
    RUN(argsort_axis(&r, a, axis, g->stream));
}

mlx_array wick_mx_topk(wick_graph *g, mlx_array a, int k, int axis)
{
    RUN(topk_axis(&r, a, k, axis, g->stream));
}

mlx_array wick_mx_max(wick_graph *g, mlx_array a, int axis, bool keep)
{
    RUN(max_axis(&r, a, axis, keep, g->stream));
}

mlx_array wick_mx_sum(wick_graph *g, mlx_array a, int axis, bool keep)
{
    RUN(sum_axis(&r, a, axis, keep, g->stream));
}

mlx_array wick_mx_argmax(wick_graph *g, mlx_array a, int axis)
{
    RUN(argmax_axis(&r, a, axis, false, g->stream));
}

mlx_array wick_mx_logsumexp(wick_graph *g, mlx_array a, int axis)
{
    RUN(logsumexp_axis(&r, a, axis, false, g->stream));
}

mlx_array wick_mx_softmax(wick_graph *g, mlx_array a, int axis)
{
    RUN(softmax_axis(&r, a, axis, true, g->stream));
}

mlx_array wick_mx_addmm(wick_graph *g, mlx_array c, mlx_array a, mlx_array b)
{
    RUN(addmm(&r, c, a, b, 1.0F, 1.0F, g->stream));
}

mlx_array wick_mx_rms_norm(wick_graph *g, mlx_array x, mlx_array w, float eps)
{
    RUN(fast_rms_norm(&r, x, w, eps, g->stream));
}

mlx_array wick_mx_layer_norm(wick_graph *g, mlx_array x, mlx_array w, mlx_array b, float eps)
{
    RUN(fast_layer_norm(&r, x, w, b, eps, g->stream));
}

mlx_array wick_mx_rope(wick_graph *g, mlx_array x, int dims, bool interleaved, int offset, mlx_array freqs)
{
    mlx_optional_float base = {0, false};
    RUN(fast_rope(&r, x, dims, interleaved, base, 1.0F, offset, freqs, g->stream));
}

mlx_array wick_mx_rope_at(wick_graph *g, mlx_array x, int dims, bool interleaved, mlx_array offsets, mlx_array freqs)
{
    mlx_optional_float base = {0, false};
    RUN(fast_rope_dynamic(&r, x, dims, interleaved, base, 1.0F, offsets, freqs, g->stream));
}

/* mlx-c 0.7 has one parameter more, force_fused, than those before it. Both types are named, and the one that the
 * header has is called. */
typedef int (*sdpa_old)(mlx_array *, const mlx_array, const mlx_array, const mlx_array, float, const char *,
                        const mlx_array, const mlx_array, const mlx_stream);
typedef int (*sdpa_new)(mlx_array *, const mlx_array, const mlx_array, const mlx_array, float, const char *,
                        const mlx_array, const mlx_array, bool, const mlx_stream);

mlx_array wick_mx_attention(wick_graph *g, mlx_array q, mlx_array k, mlx_array v, float scale, const char *mode,
                            mlx_array mask, mlx_array sinks)
{
    mlx_array r = none;
    if (g->failed) return none;
    void (*f)(void) = (void (*)(void))wick_mlx.fast_scaled_dot_product_attention;
    bool has_force = _Generic(wick_mlx.fast_scaled_dot_product_attention, sdpa_old : false, sdpa_new : true);
    int rc = has_force ? ((sdpa_new)f)(&r, q, k, v, scale, mode, mask, sinks, false, g->stream)
                       : ((sdpa_old)f)(&r, q, k, v, scale, mode, mask, sinks, g->stream);
    return wick_graph_keep(g, rc, r);
}
