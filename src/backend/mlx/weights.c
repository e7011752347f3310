/* backend/mlx/weights.c - which matrices and vectors each op of the plan has, and where they go in its node. */
#include "backend/mlx/load.h"

#include "base/log.h"

#define MATRIX(slot, weight) WICK_TRY(wick_mlx_load_matrix(ld, weight, 1, &n->w[slot], err))
#define STACK(slot, weight, count) WICK_TRY(wick_mlx_load_matrix(ld, weight, count, &n->w[slot], err))
#define VECTOR(slot, x, ...)                                                                                           \
    WICK_TRY(wick_mlx_load_vector(ld, x, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), \
                                  ld->m->act, &n->v[slot], err))

/* MLX takes the wavelengths' inverse of what the plan has; mscale as a vector over the head where only a part turns. */
static wick_status load_rope(wick_loader *ld, wick_mlx_node *n, const wick_rope *r, uint32_t dim, wick_err *err)
{
    if (!r) return WICK_OK;
    wick_status st = WICK_OK;
    int half = (int)(r->n_dims / 2), whole = (int)dim;
    float *x = wick_alloc((size_t)(dim > r->n_dims ? dim : r->n_dims) * sizeof *x);
    if (!x) return wick_err_oom(err, "rope", dim * sizeof *x, 0);
    for (int i = 0; i < half; i++) x[i] = 1.0F / r->inv_freq[i];
    st = wick_mlx_load_vector(ld, x, &half, 1, MLX_FLOAT32, &n->v[V_FREQS], err);
    if (st == WICK_OK && r->mscale != 1.0F) {
        for (uint32_t i = 0; i < dim; i++) x[i] = i >= r->first_dim && i < r->first_dim + r->n_dims ? r->mscale : 1.0F;
        st = wick_mlx_load_vector(ld, x, &whole, 1, ld->m->act, &n->v[V_MSCALE], err);
    }
    wick_free(x);
    return st;
}

/* The vectors at `at` and behind it as one, at the first place. */
static wick_status join_vectors(wick_loader *ld, wick_mlx_node *n, int at, size_t count, wick_err *err)
{
    wick_graph *g = &ld->m->g;
    mlx_array all = wick_array_hold(wick_mx_concat(g, n->v + at, count, 0));
    wick_graph_reset(g);
    for (size_t i = 0; i < count; i++) wick_array_drop(&n->v[at + (int)i]);
    n->v[at] = all;
    return all.ctx ? WICK_OK : wick_mlx_fail(err, "loading a vector");
}

static wick_status load_attn(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_attn *o = &n->op->u.attn;
    int d = (int)o->head_dim, nq = (int)o->n_head, nk = (int)o->n_kv_head, gated = o->out_gate ? 2 : 1;
    bool all = o->bq && o->bk && o->bv, none = !o->bq && !o->bk && !o->bv;
    if (all || none)
        WICK_TRY(wick_mlx_load_fused(ld, (const wick_weight *const[]){o->wq, o->wk, o->wv}, 3, &n->w[W_QKV], err));
    if (!n->w[W_QKV]) {
        MATRIX(W_Q, o->wq);
        MATRIX(W_K, o->wk);
        MATRIX(W_V, o->wv);
    }
    MATRIX(W_O, o->wo);
    VECTOR(V_Q, o->bq, nq * d * gated);
    VECTOR(V_K, o->bk, nk * d);
    VECTOR(V_V, o->bv, nk * (int)o->v_head_dim);
    if (n->w[W_QKV] && all) WICK_TRY(join_vectors(ld, n, V_Q, 3, err));
    VECTOR(V_O, o->bo, (int)ld->m->plan->n_embd);
    if (o->qk_norm_whole_row) {
        VECTOR(V_QN, o->q_norm, nq * d);
        VECTOR(V_KN, o->k_norm, nk * d);
    } else if (o->qk_norm_per_head_w) {
        VECTOR(V_QN, o->q_norm, nq, d);
        VECTOR(V_KN, o->k_norm, nk, d);
    } else {
        VECTOR(V_QN, o->q_norm, d);
        VECTOR(V_KN, o->k_norm, d);
    }
    VECTOR(V_SINKS, o->sinks, nq);
    return load_rope(ld, n, o->rope, o->head_dim, err);
}

static wick_status load_mla(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_mla *o = &n->op->u.mla;
    wick_status st = WICK_OK;
    wick_weight *heads = wick_alloc_zero(o->n_head, 2 * sizeof *heads);
    if (!heads) return wick_err_oom(err, "the heads", o->n_head * sizeof *heads, 0);
    for (uint32_t h = 0; h < o->n_head; h++) {
        heads[h] = *o->k_b[h];
        heads[o->n_head + h] = *o->v_b[h];
    }
    st = wick_mlx_load_matrix(ld, heads, o->n_head, &n->w[W_KB], err);
    if (st == WICK_OK) st = wick_mlx_load_matrix(ld, heads + o->n_head, o->n_head, &n->w[W_VB], err);
    wick_free(heads);
    WICK_TRY(st);
    MATRIX(W_QA, o->q_a);
    MATRIX(W_Q, o->q_b);
    MATRIX(W_KVA, o->kv_a);
    MATRIX(W_O, o->wo);
    VECTOR(V_Q, o->q_a_bias, (int)o->q_rank);
    VECTOR(V_K, o->kv_a_bias, (int)(o->kv_rank + o->rope_dim));
    VECTOR(V_O, o->bo, (int)ld->m->plan->n_embd);
    VECTOR(V_QN, o->q_a_norm, (int)o->q_rank);
    VECTOR(V_KN, o->kv_a_norm, (int)o->kv_rank);
    return load_rope(ld, n, o->rope, o->rope_dim, err);
}

static wick_status load_mlp(wick_loader *ld, wick_mlx_node *n, const wick_op_mlp *o, int w_at, int v_at, wick_err *err)
{
    bool both = o->b_gate && o->b_up, none = !o->b_gate && !o->b_up;
    /* gate and up as one matrix are known by their place: the gate's, with nothing at up's */
    if (both || none)
        WICK_TRY(wick_mlx_load_fused(ld, (const wick_weight *const[]){o->gate, o->up}, 2, &n->w[w_at], err));
    bool fused = n->w[w_at] != NULL;
    if (!fused) {
        MATRIX(w_at, o->gate);
        MATRIX(w_at + 1, o->up);
    }
    MATRIX(w_at + 2, o->down);
    VECTOR(v_at, o->b_gate, (int)o->n_ff);
    VECTOR(v_at + 1, o->b_up, (int)o->n_ff);
    if (fused && both) WICK_TRY(join_vectors(ld, n, v_at, 2, err));
    VECTOR(v_at + 2, o->b_down, (int)ld->m->plan->n_embd);
    return WICK_OK;
}

static wick_status load_moe(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_moe *o = &n->op->u.moe;
    int e = (int)o->n_expert, ff = (int)o->n_ff, embd = (int)ld->m->plan->n_embd;
    STACK(W_GATE, o->gate, o->n_expert);
    STACK(W_UP, o->up, o->n_expert);
    STACK(W_DOWN, o->down, o->n_expert);
    MATRIX(W_ROUTER, o->router);
    MATRIX(W_SHARED, o->shared_gate);
    VECTOR(V_GATE, o->b_gate, e, ff);
    VECTOR(V_UP, o->b_up, e, ff);
    VECTOR(V_DOWN, o->b_down, e, embd);
    const int experts[1] = {e}; /* routing is done in float32 */
    WICK_TRY(wick_mlx_load_vector(ld, o->router_bias, experts, 1, MLX_FLOAT32, &n->v[V_ROUTER], err));
    WICK_TRY(wick_mlx_load_vector(ld, o->correction, experts, 1, MLX_FLOAT32, &n->v[V_CORRECTION], err));
    WICK_TRY(wick_mlx_load_vector(ld, o->out_scale, experts, 1, MLX_FLOAT32, &n->v[V_OUT_SCALE], err));
    return o->shared ? load_mlp(ld, n, o->shared, W_S_GATE, V_S_GATE, err) : WICK_OK;
}

/* Convolution kernels are turned to [kernel][channels]: one vector for each step back in time. */
static wick_status load_conv_w(wick_loader *ld, wick_mlx_node *n, const float *w, const float *bias, uint32_t channels,
                               uint32_t kernel, wick_err *err)
{
    const int dims[2] = {(int)kernel, (int)channels};
    float *x = wick_alloc((size_t)kernel * channels * sizeof *x);
    if (!x) return wick_err_oom(err, "a convolution", (uint64_t)kernel * channels * sizeof *x, 0);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t k = 0; k < kernel; k++) x[(size_t)k * channels + c] = w[(size_t)c * kernel + k];
    wick_status st = wick_mlx_load_vector(ld, x, dims, 2, ld->m->act, &n->v[V_CONV], err);
    wick_free(x);
    WICK_TRY(st);
    VECTOR(V_CONV_B, bias, dims[1]);
    return WICK_OK;
}

/* What a state is computed from stays float32. */
#define FLOATS(slot, x, ...)                                                                                           \
    WICK_TRY(wick_mlx_load_vector(ld, x, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), \
                                  MLX_FLOAT32, &n->v[slot], err))

static wick_status load_mamba(wick_loader *ld, wick_mlx_node *n, bool first, wick_err *err)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    int d = (int)o->d_inner, s = (int)o->d_state, h = (int)o->n_head, conv = d + 2 * (int)o->n_group * s;
    MATRIX(W_IN, o->in);
    MATRIX(W_OUT, o->out);
    VECTOR(V_B_OUT, o->b_out, (int)ld->m->plan->n_embd);
    if (first) {
        MATRIX(W_X, o->x);
        MATRIX(W_DT, o->dt);
        VECTOR(V_B_IN, o->b_in, 2 * d);
        VECTOR(V_B_DT, o->b_dt, d);
        FLOATS(V_A, o->a, d, s);
        FLOATS(V_D, o->d, d);
        VECTOR(V_DT_NORM, o->dt_norm, (int)o->dt_rank);
        VECTOR(V_B_NORM, o->b_norm, s);
        VECTOR(V_C_NORM, o->c_norm, s);
        return load_conv_w(ld, n, o->conv_w, o->conv_b, o->d_inner, o->kernel, err);
    }
    VECTOR(V_B_IN, o->b_in, d + conv + h);
    VECTOR(V_IN_MUL, o->in_mul, d + conv + h);
    FLOATS(V_B_DT, o->b_dt, h);
    FLOATS(V_A, o->a, h);
    FLOATS(V_D, o->d, h, 1);
    if (o->norm_group) VECTOR(V_NORM, o->norm, d / (int)o->norm_group, (int)o->norm_group);
    return load_conv_w(ld, n, o->conv_w, o->conv_b, (uint32_t)conv, o->kernel, err);
}

static wick_status load_delta(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_delta *o = &n->op->u.delta;
    MATRIX(W_IN, o->in_qkv);
    MATRIX(W_Z, o->in_z);
    MATRIX(W_X, o->in_b);
    MATRIX(W_DT, o->in_a);
    MATRIX(W_OUT, o->out);
    FLOATS(V_A, o->decay, (int)o->n_v_head);
    FLOATS(V_B_DT, o->dt_bias, (int)o->n_v_head);
    VECTOR(V_NORM, o->norm, (int)o->v_dim);
    return load_conv_w(ld, n, o->conv_w, NULL, 2 * o->n_k_head * o->k_dim + o->n_v_head * o->v_dim, o->kernel, err);
}

static wick_status load_conv(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_conv *o = &n->op->u.conv;
    MATRIX(W_IN, o->in);
    MATRIX(W_OUT, o->out);
    VECTOR(V_B_IN, o->b_in, 3 * (int)o->n_channels);
    VECTOR(V_B_OUT, o->b_out, (int)ld->m->plan->n_embd);
    return load_conv_w(ld, n, o->conv_w, o->conv_b, o->n_channels, o->kernel, err);
}

static wick_status load_node(wick_loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op *op = n->op;
    int embd = (int)ld->m->plan->n_embd;
    switch (op->kind) {
    case WICK_OP_EMBED:
        MATRIX(W_MAIN, op->u.embed.w);
        MATRIX(W_POS, op->u.embed.w_pos);
        MATRIX(W_TYPE, op->u.embed.w_type);
        break;
    case WICK_OP_NORM:
        VECTOR(V_W, op->u.norm.w, embd);
        VECTOR(V_B, op->u.norm.b, embd);
        break;
    case WICK_OP_ATTN: return load_attn(ld, n, err);
    case WICK_OP_MLA: return load_mla(ld, n, err);
    case WICK_OP_MLP: return load_mlp(ld, n, &op->u.mlp, W_GATE, V_GATE, err);
    case WICK_OP_MOE: return load_moe(ld, n, err);
    case WICK_OP_HEAD:
        MATRIX(W_MAIN, op->u.head.w);
        VECTOR(V_B, op->u.head.b, (int)ld->m->plan->n_vocab);
        break;
    case WICK_OP_PLE:
        MATRIX(W_PLE_TABLE, op->u.ple.embed);
        MATRIX(W_PLE_PROJ, op->u.ple.proj);
        MATRIX(W_PLE_GATE, op->u.ple.gate);
        MATRIX(W_PLE_OUT, op->u.ple.out);
        VECTOR(V_W, op->u.ple.norm, (int)op->u.ple.dim);
        break;
    case WICK_OP_CONV: return load_conv(ld, n, err);
    case WICK_OP_MAMBA1: return load_mamba(ld, n, true, err);
    case WICK_OP_MAMBA2: return load_mamba(ld, n, false, err);
    case WICK_OP_DELTA: return load_delta(ld, n, err);
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_N_OPS: break;
    }
    return WICK_OK;
}

wick_status wick_mlx_load_weights(wick_backend_model *m, wick_progress progress, wick_err *err)
{
    wick_loader ld = {.m = m, .progress = progress, .total = m->plan->weight_bytes};
    m->node = wick_alloc_zero(m->plan->n_ops, sizeof *m->node);
    if (!m->node) return wick_err_oom(err, "the program", m->plan->n_ops * sizeof *m->node, 0);
    for (uint32_t i = 0; i < m->plan->n_ops; i++) {
        m->node[i].op = &m->plan->op[i];
        m->n_nodes++;
        WICK_TRY(load_node(&ld, &m->node[i], err));
    }
    if (ld.n_expanded)
        wick_log(WICK_LOG_WARN, "mlx: %u matrices (%s%s) are expanded to %u-bit floats: MLX has no such encoding",
                 ld.n_expanded, ld.expanded, ld.n_expanded > 1 ? ", ..." : "",
                 (unsigned)wick_mlx_dtype_bytes(m->act) * 8);
    return WICK_OK;
}

void wick_mlx_unload_weights(wick_backend_model *m)
{
    for (uint32_t i = 0; i < m->n_nodes; i++)
        for (int k = 0; k < WICK_NODE_V; k++) wick_array_drop(&m->node[i].v[k]);
    for (uint32_t i = 0; i < m->n_lins; i++) {
        wick_mlx_lin *l = m->lin[i];
        wick_array_drop(&l->wt);
        wick_array_drop(&l->w);
        wick_array_drop(&l->scales);
        wick_array_drop(&l->biases);
        wick_free(l);
    }
    wick_free(m->lin);
    wick_free(m->node);
    m->lin = NULL;
    m->node = NULL;
    m->n_lins = m->n_nodes = 0;
}
