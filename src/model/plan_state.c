/* model/plan_state.c - mixers that keep a state instead of keys and values: short convolution, state space, gated
 * delta net. Convolution kernels are [channels][kernel][1] in MLX and [channels][1][kernel] in HF: the same bytes. */
#include <math.h>
#include "model/build.h"

static wick_status no_memory(wick_err *err)
{
    return wick_err_oom(err, "the plan", 0, 0);
}

static wick_status add_state(wick_plan_builder *b, uint64_t n_floats, uint32_t *cache, wick_err *err)
{
    wick_cache_spec spec = {.kind = WICK_CACHE_STATE, .n_state = n_floats};
    *cache = wick_build_cache(b, &spec);
    return *cache == UINT32_MAX ? no_memory(err) : WICK_OK;
}

static wick_status incomplete(wick_plan_builder *b, const char *keys, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, b->cfg->where,
                     "%s: the sizes of the state-keeping layers (%s) are incomplete", b->cfg->where, keys);
}

static wick_status read_conv(wick_plan_builder *b, wick_role role, uint32_t layer, uint64_t n, uint32_t kernel,
                             const float **w, const float **bias, wick_err *err)
{
    WICK_TRY(wick_ck_vector(&b->ck, role, layer, ".weight", n * kernel, 0, w, err));
    return bias ? wick_ck_vector(&b->ck, role, layer, ".bias", n, WICK_CK_OPTIONAL, bias, err) : WICK_OK;
}

static wick_status read_linear(wick_plan_builder *b, wick_role role, uint32_t layer, uint64_t n_out, uint64_t n_in,
                               const wick_weight **w, const float **bias, wick_err *err)
{
    WICK_TRY(wick_ck_matrix(&b->ck, role, layer, n_out, n_in, w, err));
    return bias ? wick_ck_vector(&b->ck, role, layer, ".bias", n_out, WICK_CK_OPTIONAL, bias, err) : WICK_OK;
}

static wick_status build_conv(wick_plan_builder *b, wick_op_conv *o, uint32_t layer, wick_err *err)
{
    uint32_t n = b->cfg->n_embd;
    o->kernel = b->cfg->conv_kernel;
    o->n_channels = n;
    if (!o->kernel) return incomplete(b, "conv_L_cache", err);
    WICK_TRY(add_state(b, (uint64_t)(o->kernel - 1) * n, &o->cache, err));
    WICK_TRY(read_linear(b, WICK_ROLE_CONV_IN, layer, 3ull * n, n, &o->in, &o->b_in, err));
    WICK_TRY(read_conv(b, WICK_ROLE_CONV_KERNEL, layer, n, o->kernel, &o->conv_w, &o->conv_b, err));
    return read_linear(b, WICK_ROLE_CONV_OUT, layer, n, n, &o->out, &o->b_out, err);
}

/* a = -exp(A_log), which GGUF's converter has done already. */
static wick_status read_decay(wick_plan_builder *b, wick_role role, uint32_t layer, uint64_t n, const float **out,
                              wick_err *err)
{
    const float *log_a;
    WICK_TRY(wick_ck_vector(&b->ck, role, layer, "", n, 0, &log_a, err));
    *out = log_a;
    if (b->cfg->from_gguf) return WICK_OK;
    float *a = wick_arena_array(&b->plan->arena, n, sizeof *a);
    if (!a) return no_memory(err);
    for (uint64_t i = 0; i < n; i++) a[i] = -expf(log_a[i]);
    *out = a;
    return WICK_OK;
}

const float *wick_build_ones(wick_plan_builder *b, uint32_t n)
{
    float *v = wick_arena_array(&b->plan->arena, n, sizeof *v);
    for (uint32_t i = 0; v && i < n; i++) v[i] = 1;
    return v;
}

static void common_sizes(const wick_config *c, wick_op_mamba *o)
{
    o->kernel = c->conv_kernel;
    o->d_inner = c->ssm_inner;
    o->d_state = c->ssm_state;
    o->norm_eps = c->norm_eps;
}

static wick_status build_mamba1(wick_plan_builder *b, wick_op_mamba *o, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    common_sizes(c, o);
    o->dt_rank = c->ssm_dt_rank;
    if (!o->kernel || !o->d_inner || !o->d_state || !o->dt_rank)
        return incomplete(b, "conv_kernel, intermediate_size, state_size, time_step_rank", err);
    uint64_t d = o->d_inner, n = o->d_state;
    WICK_TRY(add_state(b, (o->kernel - 1) * d + d * n, &o->cache, err));
    WICK_TRY(read_linear(b, WICK_ROLE_SSM_IN, layer, 2 * d, c->n_embd, &o->in, &o->b_in, err));
    WICK_TRY(read_conv(b, WICK_ROLE_SSM_CONV, layer, d, o->kernel, &o->conv_w, &o->conv_b, err));
    WICK_TRY(read_linear(b, WICK_ROLE_SSM_X, layer, o->dt_rank + 2 * n, d, &o->x, NULL, err));
    WICK_TRY(read_linear(b, WICK_ROLE_SSM_DT, layer, d, o->dt_rank, &o->dt, &o->b_dt, err));
    WICK_TRY(read_decay(b, WICK_ROLE_SSM_A, layer, d * n, &o->a, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_SSM_D, layer, "", d, 0, &o->d, err));
    if (c->ssm_inner_norms) {
        o->norm_eps = c->ssm_norm_eps;
        o->dt_norm = wick_build_ones(b, o->dt_rank);
        o->b_norm = wick_build_ones(b, o->d_state);
        o->c_norm = wick_build_ones(b, o->d_state);
        if (!o->dt_norm || !o->b_norm || !o->c_norm) return no_memory(err);
    }
    return read_linear(b, WICK_ROLE_SSM_OUT, layer, c->n_embd, d, &o->out, &o->b_out, err);
}

static wick_status build_mamba2(wick_plan_builder *b, wick_op_mamba *o, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    common_sizes(c, o);
    o->n_head = c->ssm_heads;
    o->head_dim = c->ssm_head_dim;
    o->n_group = c->ssm_groups;
    o->dt_min = c->ssm_dt_min;
    o->dt_max = c->ssm_dt_max;
    o->norm_before_gate = c->ssm_norm_before_gate;
    bool grouped = c->from_gguf || c->ssm_group_norm; /* as llama.cpp and mlx-lm do */
    o->norm_group = grouped && o->n_group ? o->d_inner / o->n_group : o->d_inner;
    if (b->ck.raw) o->in_mul = c->raw_in_mul;
    if (!o->kernel || !o->d_state || !o->n_head || !o->head_dim || !o->n_group || o->n_head % o->n_group ||
        (uint64_t)o->n_head * o->head_dim != o->d_inner)
        return incomplete(b, "conv_kernel, state_size, num_heads, head_dim, n_groups", err);
    uint64_t d = o->d_inner, conv = d + 2ull * o->n_group * o->d_state;
    WICK_TRY(add_state(b, (o->kernel - 1) * conv + d * o->d_state, &o->cache, err));
    WICK_TRY(read_linear(b, WICK_ROLE_SSM_IN, layer, d + conv + o->n_head, c->n_embd, &o->in, &o->b_in, err));
    WICK_TRY(read_conv(b, WICK_ROLE_SSM_CONV, layer, conv, o->kernel, &o->conv_w, &o->conv_b, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_SSM_DT_BIAS, layer, "", o->n_head, 0, &o->b_dt, err));
    WICK_TRY(read_decay(b, WICK_ROLE_SSM_A, layer, o->n_head, &o->a, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_SSM_D, layer, "", o->n_head, 0, &o->d, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_SSM_NORM, layer, ".weight", d, WICK_CK_OPTIONAL, &o->norm, err));
    return read_linear(b, WICK_ROLE_SSM_OUT, layer, c->n_embd, d, &o->out, &o->b_out, err);
}

/* Together and by key head (qwen3_next of HF and MLX), or one by one. */
static wick_status read_delta_in(wick_plan_builder *b, wick_op_delta *o, uint32_t layer, uint64_t keys, uint64_t values,
                                 wick_err *err)
{
    uint32_t d = b->cfg->n_embd, n = o->n_v_head;
    if (wick_ck_has(&b->ck, WICK_ROLE_DELTA_QKVZ, layer)) {
        WICK_TRY(read_linear(b, WICK_ROLE_DELTA_QKVZ, layer, 2 * keys + 2 * values, d, &o->in_qkv, NULL, err));
    } else {
        WICK_TRY(read_linear(b, WICK_ROLE_DELTA_QKV, layer, 2 * keys + values, d, &o->in_qkv, NULL, err));
        WICK_TRY(read_linear(b, WICK_ROLE_DELTA_Z, layer, values, d, &o->in_z, NULL, err));
    }
    if (wick_ck_has(&b->ck, WICK_ROLE_DELTA_BA, layer))
        return read_linear(b, WICK_ROLE_DELTA_BA, layer, 2ull * n, d, &o->in_b, NULL, err);
    WICK_TRY(read_linear(b, WICK_ROLE_DELTA_B, layer, n, d, &o->in_b, NULL, err));
    return read_linear(b, WICK_ROLE_DELTA_ALPHA, layer, n, d, &o->in_a, NULL, err);
}

static wick_status build_delta(wick_plan_builder *b, wick_op_delta *o, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    *o = (wick_op_delta){.kernel = c->conv_kernel,
                         .n_k_head = c->lin_k_heads,
                         .n_v_head = c->lin_v_heads,
                         .k_dim = c->lin_k_dim,
                         .v_dim = c->lin_v_dim,
                         .tiled = c->from_gguf && c->arch->delta_tiled,
                         .norm_eps = c->norm_eps};
    if (!o->kernel || !o->n_k_head || !o->n_v_head || !o->k_dim || !o->v_dim || o->n_v_head % o->n_k_head)
        return incomplete(b,
                          "linear_conv_kernel_dim, linear_num_key_heads, linear_num_value_heads, linear_key_head_dim, "
                          "linear_value_head_dim",
                          err);
    uint64_t keys = (uint64_t)o->n_k_head * o->k_dim, values = (uint64_t)o->n_v_head * o->v_dim,
             conv = 2 * keys + values;
    WICK_TRY(add_state(b, (o->kernel - 1) * conv + values * o->k_dim, &o->cache, err));
    WICK_TRY(read_delta_in(b, o, layer, keys, values, err));
    WICK_TRY(read_conv(b, WICK_ROLE_DELTA_CONV, layer, conv, o->kernel, &o->conv_w, NULL, err));
    WICK_TRY(read_decay(b, WICK_ROLE_DELTA_A, layer, o->n_v_head, &o->decay, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_DELTA_DT_BIAS, layer, "", o->n_v_head, 0, &o->dt_bias, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_DELTA_NORM, layer, ".weight", o->v_dim, 0, &o->norm, err));
    return read_linear(b, WICK_ROLE_DELTA_OUT, layer, c->n_embd, values, &o->out, NULL, err);
}

wick_status wick_build_state_mixer(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_mixer kind,
                                   wick_err *err)
{
    static const wick_op_kind op_of[] = {[WICK_MIX_CONV] = WICK_OP_CONV,
                                         [WICK_MIX_MAMBA1] = WICK_OP_MAMBA1,
                                         [WICK_MIX_MAMBA2] = WICK_OP_MAMBA2,
                                         [WICK_MIX_DELTA] = WICK_OP_DELTA};
    wick_op *op = wick_build_op(b, op_of[kind], s->dst, s->src, (int32_t)layer);
    if (!op) return no_memory(err);
    switch (kind) {
    case WICK_MIX_CONV: return build_conv(b, &op->u.conv, layer, err);
    case WICK_MIX_MAMBA1: return build_mamba1(b, &op->u.mamba, layer, err);
    case WICK_MIX_MAMBA2: return build_mamba2(b, &op->u.mamba, layer, err);
    case WICK_MIX_DELTA: return build_delta(b, &op->u.delta, layer, err);
    case WICK_MIX_ATTN:
    case WICK_MIX_MLA:
    case WICK_MIX_FFN: break;
    }
    return WICK_FAIL(err, WICK_E_INTERNAL, b->ck.where, "%s: layer %u: mixer %d keeps no state", b->ck.where, layer,
                     (int)kind);
}
