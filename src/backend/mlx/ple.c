/* backend/mlx/ple.c - PLE: the layer's own input of each token, gated by the stream and projected back. */
#include "backend/mlx/mlx.h"

/* A token that the table has no row for takes the first. */
static mlx_array table_rows(wick_backend_model *m, const wick_op_ple *o)
{
    wick_graph *g = &m->g;
    mlx_array ids = wick_mx_astype(g, m->step.ids, MLX_INT32);
    if (o->embed->n_out >= m->plan->n_vocab) return ids;
    mlx_array end = wick_mx_data(g, (const int32_t[]){(int32_t)o->embed->n_out}, MX_DIMS(1), MLX_INT32);
    mlx_array first = wick_mx_data(g, (const int32_t[]){0}, MX_DIMS(1), MLX_INT32);
    return wick_mx_where(g, wick_mx_less(g, ids, end), ids, first);
}

mlx_array wick_mlx_ple(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    const wick_op_ple *o = &n->op->u.ple;
    wick_graph *g = &m->g;
    uint32_t rows = m->step.n;
    int at = (int)o->column, dim = (int)o->dim;
    mlx_array none = {0};
    mlx_array row = wick_mlx_rows(m, n->w[W_PLE_TABLE], table_rows(m, o), rows);
    row = wick_mx_cut(g, row, MX_DIMS((int)rows, (int)o->embed->n_in), 1, at, at + dim);
    row = wick_mx_multiply(g, row, wick_mx_scalar(g, o->embed_scale, m->act));
    mlx_array p = wick_mlx_linear(m, n->w[W_PLE_PROJ], m->step.reg[o->base], rows, none);
    p = wick_mx_multiply(g, p, wick_mx_scalar(g, o->proj_scale, m->act));
    p = wick_mx_add(g, wick_mx_rms_norm(g, p, n->v[V_W], o->norm_eps), row);
    p = wick_mx_multiply(g, p, wick_mx_scalar(g, o->scale, m->act));
    mlx_array gate = wick_mlx_linear(m, n->w[W_PLE_GATE], x, rows, none);
    return wick_mlx_linear(m, n->w[W_PLE_OUT], wick_mlx_activation(m, o->act, 0.0F, 0.0F, gate, p), rows, none);
}
