/* backend/mlx/score.c - attention spelled out, softmax(q K^T) V, for what MLX's fused attention has no form of: capped
 * scores (gemma2, grok), and products with the codes of quantized KV. Heads of one KV head are rows of one product. */
#include "backend/mlx/mlx.h"

/* K or V of the group from the cache; where there is no V (latent attention), the first v_dim values of K are V. */
static mlx_array product(wick_backend_model *m, const wick_group *gr, const wick_mlx_scores *o, mlx_array x, uint32_t n,
                         bool scores)
{
    wick_graph *g = &m->g;
    uint32_t part = !scores && m->plan->cache[o->cache].v_dim, dim = scores || part ? o->v_dim : o->head_dim;
    int rows = (int)gr->n_seqs, heads = (int)o->n_kv_head;
    static const int turn[] = {0, 1, 3, 2};
    mlx_array y;
    if (wick_mlx_kv_multiplies(m, gr, o->cache)) {
        y = wick_mlx_kv_product(m, gr, o->cache, part, o->from, o->to, x, n, scores);
    } else {
        mlx_array w = wick_mlx_kv_read(m, gr, o->cache, part, o->from, o->to);
        y = wick_mx_matmul(g, x, scores ? wick_mx_transpose(g, w, turn, 4) : w);
    }
    return scores ? y : wick_mx_cut(g, y, MX_DIMS(rows, heads, (int)n, (int)dim), 3, 0, (int)o->v_dim);
}

/* softmax over the keys and, if there are sinks, one more score per head that takes its share and is left out */
static mlx_array weigh(wick_backend_model *m, const wick_mlx_scores *o, mlx_array score, int rows, int n, int keys)
{
    wick_graph *g = &m->g;
    int h = (int)o->n_head;
    if (!o->sinks.ctx) return wick_mx_softmax(g, score, -1);
    mlx_array sink = wick_mx_reshape(g, o->sinks, MX_DIMS(1, h, 1, 1));
    mlx_array both[2] = {score, wick_mx_broadcast(g, sink, MX_DIMS(rows, h, n, 1))};
    mlx_array p = wick_mx_softmax(g, wick_mx_concat(g, both, 2, 3), -1);
    return wick_mx_cut(g, p, MX_DIMS(rows, h, n, keys + 1), 3, 0, keys);
}

mlx_array wick_mlx_score(wick_backend_model *m, const wick_group *gr, const wick_mlx_scores *o, mlx_array q)
{
    wick_graph *g = &m->g;
    int rows = (int)gr->n_seqs, n = rows > 1 ? 1 : (int)gr->n_tokens, kv = (int)o->n_kv_head, h = (int)o->n_head;
    int keys = (int)(o->to - o->from), per = h / kv * n;
    mlx_array mask = o->mask;
    q = wick_mx_multiply(g, q, wick_mx_scalar(g, o->softcap != 0.0F ? o->scale / o->softcap : o->scale, m->act));
    q = wick_mx_reshape(g, q, MX_DIMS(rows, kv, per, (int)o->head_dim));
    mlx_array score = wick_mx_reshape(g, product(m, gr, o, q, (uint32_t)per, true), MX_DIMS(rows, h, n, keys));
    if (o->softcap != 0.0F) score = wick_mx_multiply(g, wick_mx_tanh(g, score), wick_mx_scalar(g, o->softcap, m->act));
    if (o->mode[0] == 'c') mask = wick_mlx_build_mask(m, gr, 0, o->from, o->to);
    if (mask.ctx)
        score = wick_mx_where(g, mask, score, wick_mx_scalar(g, m->act == MLX_FLOAT16 ? -6e4F : -1e30F, m->act));
    mlx_array p = wick_mx_reshape(g, weigh(m, o, score, rows, n, keys), MX_DIMS(rows, kv, per, keys));
    return wick_mx_reshape(g, product(m, gr, o, p, (uint32_t)per, false), MX_DIMS(rows, h, n, (int)o->v_dim));
}
