/* backend/mlx/mlp.c - MLP, and MOE: routing in float32, experts by gathered products. */
#include <math.h>

#include "backend/mlx/mlx.h"

static mlx_array run_mlp(wick_backend_model *m, const wick_op_mlp *o, const wick_mlx_lin *const *w, const mlx_array *v,
                         mlx_array x, uint32_t n)
{
    mlx_array gate = {0}, up;
    if (w[0]) gate = wick_mlx_linear(m, w[0], x, n, v[0]);
    if (w[1]) {
        up = wick_mlx_linear(m, w[1], x, n, v[1]);
    } else { /* both in one product */
        int ff = (int)o->n_ff;
        up = wick_mx_cut(&m->g, gate, MX_DIMS((int)n, 2 * ff), 1, ff, 2 * ff);
        gate = wick_mx_cut(&m->g, gate, MX_DIMS((int)n, 2 * ff), 1, 0, ff);
    }
    mlx_array y = wick_mlx_activation(m, o->act, o->act_alpha, o->act_limit, gate, up);
    return wick_mlx_linear(m, w[2], y, n, v[2]);
}

mlx_array wick_mlx_mlp(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    return run_mlp(m, &n->op->u.mlp, n->w + W_GATE, n->v + V_GATE, x, m->step.n);
}

enum {
    SORT_ROWS = 64 /* from this many (row, expert) pairs on they are sorted by expert, as mlx-lm does */
};

/* Scores of the experts that no chosen group holds become 0, as the reference models have it. scores [n][n_expert] ->
 * the same shape */
static mlx_array limit_groups(wick_backend_model *m, const wick_op_moe *o, mlx_array scores)
{
    wick_graph *g = &m->g;
    int n = (int)m->step.n, ng = (int)o->n_group, per = (int)(o->n_expert / o->n_group), drop = ng - (int)o->topk_group;
    if (drop <= 0) return scores;
    mlx_array by_group = wick_mx_reshape(g, scores, MX_DIMS(n, ng, per)), best;
    if (o->group_by_top2 && per > 1)
        best = wick_mx_sum(g, wick_mx_topk(g, by_group, 2, -1), -1, true);
    else
        best = wick_mx_max(g, by_group, -1, true);
    mlx_array out = wick_mx_argpartition(g, best, drop - 1, 1); /* [n][ng][1], the worst first */
    out = wick_mx_cut(g, out, MX_DIMS(n, ng, 1), 1, 0, drop);
    mlx_array low = wick_mx_broadcast(g, wick_mx_scalar(g, 0.0F, MLX_FLOAT32), MX_DIMS(n, drop, per));
    by_group = wick_mx_put_along(g, by_group, wick_mx_broadcast(g, out, MX_DIMS(n, drop, per)), low, 1);
    return wick_mx_reshape(g, by_group, MX_DIMS(n, (int)o->n_expert));
}

/* The rule of WICK_ROUTE_SPARSEMIXER; logits [n][n_expert] float32. */
static void sparsemixer(wick_backend_model *m, const wick_op_moe *o, mlx_array logits, mlx_array *idx,
                        mlx_array *weight)
{
    wick_graph *g = &m->g;
    int n = (int)m->step.n;
    mlx_array none = wick_mx_scalar(g, -INFINITY, MLX_FLOAT32), left = logits, chosen[64], share[64];
    mlx_array minus = wick_mx_scalar(g, -1.0F, MLX_FLOAT32), limit = wick_mx_scalar(g, 2.0F * o->jitter, MLX_FLOAT32);
    mlx_array size = wick_mx_maximum(g, logits, wick_mx_multiply(g, logits, minus));
    for (uint32_t k = 0; k < o->top_k; k++) {
        mlx_array top = wick_mx_max(g, left, -1, true);
        mlx_array far = wick_mx_divide(g, wick_mx_subtract(g, top, logits), wick_mx_maximum(g, size, top));
        mlx_array band = wick_mx_where(g, wick_mx_less(g, limit, far), none, left);
        chosen[k] = wick_mx_reshape(g, wick_mx_argmax(g, left, -1), MX_DIMS(n, 1));
        share[k] = wick_mx_take_along(g, wick_mx_softmax(g, band, -1), chosen[k], -1);
        left = wick_mx_put_along(g, left, chosen[k], wick_mx_broadcast(g, none, MX_DIMS(n, 1)), -1);
    }
    *idx = wick_mx_concat(g, chosen, o->top_k, 1);
    *weight = wick_mx_astype(g, wick_mx_concat(g, share, o->top_k, 1), m->act);
}

/* The top_k experts of each row and their weights, [n][k] each. */
static void route(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x, mlx_array *idx, mlx_array *weight)
{
    const wick_op_moe *o = &nd->op->u.moe;
    wick_graph *g = &m->g;
    int n = (int)m->step.n, e = (int)o->n_expert, k = (int)o->top_k;
    mlx_array none = {0}, score, choice;
    mlx_array logits = wick_mx_astype(g, wick_mlx_linear(m, nd->w[W_ROUTER], x, m->step.n, none), MLX_FLOAT32);
    if (nd->v[V_ROUTER].ctx) logits = wick_mx_add(g, logits, nd->v[V_ROUTER]);
    if (o->routing == WICK_ROUTE_SPARSEMIXER) {
        sparsemixer(m, o, logits, idx, weight);
        return;
    }
    if (o->routing == WICK_ROUTE_SOFTMAX_TOPK)
        score = wick_mx_softmax(g, logits, -1);
    else if (o->routing == WICK_ROUTE_SIGMOID_TOPK)
        score = wick_mx_sigmoid(g, logits);
    else
        score = logits;
    choice = nd->v[V_CORRECTION].ctx ? wick_mx_add(g, score, nd->v[V_CORRECTION]) : score;
    if (o->n_group > 1) choice = limit_groups(m, o, choice);
    *idx = wick_mx_argpartition(g, choice, e - k, -1); /* the k best last */
    *idx = wick_mx_cut(g, *idx, MX_DIMS(n, e), 1, e - k, e);
    *weight = wick_mx_take_along(g, score, *idx, -1);
    if (o->routing == WICK_ROUTE_TOPK_SOFTMAX)
        *weight = wick_mx_softmax(g, *weight, -1);
    else if (o->normalize)
        *weight = wick_mx_divide(
            g, *weight,
            wick_mx_add(g, wick_mx_sum(g, *weight, -1, true), wick_mx_scalar(g, o->norm_floor, MLX_FLOAT32)));
    if (o->scale != 1.0F) *weight = wick_mx_multiply(g, *weight, wick_mx_scalar(g, o->scale, MLX_FLOAT32));
    if (nd->v[V_OUT_SCALE].ctx) *weight = wick_mx_multiply(g, *weight, wick_mx_take(g, nd->v[V_OUT_SCALE], *idx, 0));
    *weight = wick_mx_astype(g, *weight, m->act);
}

static mlx_array expert_bias(wick_backend_model *m, mlx_array y, mlx_array bias, mlx_array idx, const int *dims,
                             size_t n_dims)
{
    wick_graph *g = &m->g;
    if (!bias.ctx) return y;
    return wick_mx_add(g, y, wick_mx_reshape(g, wick_mx_take(g, bias, idx, 0), dims, n_dims));
}

/* x [rows..][1][n_embd], idx [rows..]: each row through its own expert. */
static mlx_array run_experts(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x, mlx_array idx, bool sorted,
                             const int *dims, size_t n_dims)
{
    const wick_op_moe *o = &nd->op->u.moe;
    int ff[4] = {dims[0], n_dims > 3 ? dims[1] : 1, 1, (int)o->n_ff};
    if (n_dims == 3) ff[1] = 1, ff[2] = (int)o->n_ff;
    mlx_array gate = {0}, up;
    if (nd->w[W_GATE]) {
        gate = wick_mlx_gather_linear(m, nd->w[W_GATE], x, idx, sorted);
        gate = expert_bias(m, gate, nd->v[V_GATE], idx, ff, n_dims);
    }
    up = expert_bias(m, wick_mlx_gather_linear(m, nd->w[W_UP], x, idx, sorted), nd->v[V_UP], idx, ff, n_dims);
    mlx_array y = wick_mlx_activation(m, o->act, o->act_alpha, o->act_limit, gate, up);
    y = wick_mlx_gather_linear(m, nd->w[W_DOWN], y, idx, sorted);
    return expert_bias(m, y, nd->v[V_DOWN], idx, dims, n_dims);
}

mlx_array wick_mlx_moe(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x)
{
    const wick_op_moe *o = &nd->op->u.moe;
    wick_graph *g = &m->g;
    int n = (int)m->step.n, k = (int)o->top_k, d = (int)m->plan->n_embd;
    mlx_array idx, weight, y, in;
    route(m, nd, o->router_apart ? m->step.reg[o->router_src] : x, &idx, &weight);
    mlx_array per_pair = wick_mx_reshape(g, weight, MX_DIMS(n, k, 1));
    if (n * k >= SORT_ROWS) {
        mlx_array flat = wick_mx_reshape(g, idx, MX_DIMS(n * k)), order = wick_mx_argsort(g, flat, 0);
        mlx_array back = wick_mx_argsort(g, order, 0);
        mlx_array top_k = wick_mx_data(g, (const int32_t[]){k}, MX_DIMS(1), MLX_INT32);
        mlx_array rows = wick_mx_floor_divide(g, wick_mx_astype(g, order, MLX_INT32), top_k);
        in = wick_mx_take(g, x, rows, 0);
        if (o->scale_input)
            in = wick_mx_multiply(g, in, wick_mx_take(g, wick_mx_reshape(g, weight, MX_DIMS(n * k, 1)), order, 0));
        in = wick_mx_reshape(g, in, MX_DIMS(n * k, 1, d));
        y = run_experts(m, nd, in, wick_mx_take(g, flat, order, 0), true, MX_DIMS(n * k, 1, d));
        y = wick_mx_take(g, wick_mx_reshape(g, y, MX_DIMS(n * k, d)), back, 0);
    } else {
        in = wick_mx_reshape(g, x, MX_DIMS(n, 1, 1, d));
        if (o->scale_input) in = wick_mx_multiply(g, in, wick_mx_reshape(g, weight, MX_DIMS(n, k, 1, 1)));
        y = run_experts(m, nd, in, idx, false, MX_DIMS(n, k, 1, d));
    }
    y = wick_mx_reshape(g, y, MX_DIMS(n, k, d));
    if (!o->scale_input) y = wick_mx_multiply(g, y, per_pair);
    y = wick_mx_sum(g, y, 1, false);
    if (!o->shared) return y;
    mlx_array s = run_mlp(m, o->shared, nd->w + W_S_GATE, nd->v + V_S_GATE, x, m->step.n), none = {0};
    if (nd->w[W_SHARED])
        s = wick_mx_multiply(g, s, wick_mx_sigmoid(g, wick_mlx_linear(m, nd->w[W_SHARED], x, m->step.n, none)));
    return wick_mx_add(g, y, s);
}
