/* backend/mlx/product.c - MLX's own products with quantized matrices, in the form that is fastest for so many rows. */
#include "backend/mlx/mlx.h"

static mlx_array quantized(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x)
{
    wick_graph *g = &m->g;
    mlx_array r = {0};
    if (g->failed) return r;
    int rc = wick_mlx.quantized_matmul(&r, x, l->w, l->scales, l->biases, true, wick_mlx_some(l->group),
                                       wick_mlx_some(l->bits), l->mode, g->stream);
    return wick_graph_keep(g, rc, r);
}

mlx_array wick_mlx_expanded(wick_backend_model *m, const wick_mlx_lin *l, mlx_array w, mlx_array scales,
                            mlx_array biases)
{
    wick_graph *g = &m->g;
    mlx_array r = {0};
    if (g->failed) return r;
    int rc = wick_mlx.dequantize(&r, w, scales, biases, wick_mlx_some(l->group), wick_mlx_some(l->bits), l->mode,
                                 (mlx_array){0}, (mlx_optional_dtype){m->act, true}, g->stream);
    return wick_graph_keep(g, rc, r);
}

mlx_array wick_mlx_product(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n)
{
    wick_graph *g = &m->g;
    if (m->expand_rows && n >= m->expand_rows) {
        static const int swap2[] = {1, 0}, swap3[] = {0, 2, 1};
        mlx_array w = wick_mlx_expanded(m, l, l->w, l->scales, l->biases);
        w = wick_mx_transpose(g, w, l->n_mat > 1 ? swap3 : swap2, l->n_mat > 1 ? 3 : 2);
        return wick_mx_matmul(g, x, w);
    }
    if (l->n_mat == 1 && n > 1 && n < m->pad_rows) {
        int in = (int)l->n_in, rows = (int)m->pad_rows;
        mlx_array both[2] = {x, wick_mx_zeros(g, MX_DIMS(rows - (int)n, in), m->act)};
        mlx_array y = quantized(m, l, wick_mx_concat(g, both, 2, 0));
        return wick_mx_cut(g, y, MX_DIMS(rows, (int)l->n_out), 0, 0, (int)n);
    }
    return quantized(m, l, x);
}
