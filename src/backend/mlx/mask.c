/* backend/mlx/mask.c - which keys a token may see: for attention fused (attn.c) and spelled out (score.c). */
#include "backend/mlx/mlx.h"

mlx_array wick_mlx_build_mask(wick_backend_model *m, const wick_group *gr, uint32_t window, uint32_t from, uint32_t to)
{
    wick_graph *g = &m->g;
    int n = (int)gr->n_tokens, b = gr->n_seqs > 1 ? n : 1, q = gr->n_seqs > 1 ? 1 : n;
    mlx_array pos = wick_mx_cut(g, m->step.positions, MX_DIMS((int)m->step.n), 0, (int)gr->first, (int)gr->first + n);
    pos = wick_mx_reshape(g, pos, MX_DIMS(b, 1, q, 1));
    mlx_array key = wick_mx_reshape(g, wick_mx_arange(g, (int)from, (int)to), MX_DIMS(1, 1, 1, (int)(to - from)));
    mlx_array mask = wick_mx_less_equal(g, key, pos);
    if (!window) return mask;
    const int32_t width = (int32_t)(window & ~(WICK_MLX_CHUNKED | WICK_MLX_BOTH));
    mlx_array w = wick_mx_data(g, (const int32_t[]){width}, MX_DIMS(1), MLX_INT32);
    if (window & WICK_MLX_BOTH) mask = wick_mx_less(g, wick_mx_subtract(g, key, w), pos);
    if (window & WICK_MLX_CHUNKED) {
        mlx_array start = wick_mx_multiply(g, wick_mx_floor_divide(g, pos, w), w);
        return wick_mx_logical_and(g, mask, wick_mx_less_equal(g, start, key));
    }
    return wick_mx_logical_and(g, mask, wick_mx_less(g, wick_mx_subtract(g, pos, w), key));
}
