/* model/archs/qwen3_next.c - qwen3-next and qwen3.5: gated delta nets, every fourth layer attention with a gate on its
 * output; experts as qwen2_moe has them, or a plain MLP. HF's norms store w of (1 + w); MLX's conversion added the
 * 1. */
#include <string.h>
#include "model/arch.h"

/* GGUF describes the delta nets by the keys of state spaces. */
static wick_status sizes(wick_config *c, wick_err *err)
{
    uint32_t values = 0;
    WICK_TRY(wick_config_u32(c, "linear_conv_kernel_dim", "ssm.conv_kernel", 1, 256, &c->conv_kernel, err));
    WICK_TRY(wick_config_u32(c, "linear_num_key_heads", "ssm.group_count", 1, WICK_MAX_HEADS, &c->lin_k_heads, err));
    WICK_TRY(
        wick_config_u32(c, "linear_num_value_heads", "ssm.time_step_rank", 1, WICK_MAX_HEADS, &c->lin_v_heads, err));
    WICK_TRY(wick_config_u32(c, "linear_key_head_dim", "ssm.state_size", 1, 1 << 12, &c->lin_k_dim, err));
    WICK_TRY(wick_config_u32(c, "linear_value_head_dim", NULL, 1, 1 << 12, &c->lin_v_dim, err));
    WICK_TRY(wick_config_u32(c, NULL, "ssm.inner_size", 1, WICK_MAX_DIM, &values, err));
    if (values && c->lin_v_heads) c->lin_v_dim = values / c->lin_v_heads;
    return WICK_OK;
}

static wick_status configure(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    uint32_t every = 4, ahead = 0;
    WICK_TRY(wick_config_u32(c, NULL, "nextn_predict_layers", 0, WICK_MAX_LAYERS, &ahead, err));
    c->n_layer = ahead < c->n_layer ? c->n_layer - ahead : 0; /* layers that predict further ahead are not run */
    if (!c->n_layer) return WICK_OK;
    if (c->from_gguf) c->norm_topk = true; /* not written by the converter */
    WICK_TRY(wick_config_u32(c, "full_attention_interval", "full_attention_interval", 1, WICK_MAX_LAYERS, &every, err));
    WICK_TRY(sizes(c, err));
    WICK_TRY(wick_config_mixers(c, WICK_MIX_DELTA, &mix, err));
    for (uint32_t i = every - 1; i < c->n_layer; i += every) mix[i] = WICK_MIX_ATTN;
    return WICK_OK;
}

const wick_arch wick_arch_qwen3_next = {
    .name = "qwen3_next",
    .hf = {"qwen3_next"},
    .gguf = {"qwen3next"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .torch_plus_one = true,
    .act = WICK_ACT_SILU,
    .attn_out_gate = true,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .rope_partial = 0.25f,
    .configure = configure,
};

static wick_status configure_qwen3_5(wick_config *c, wick_err *err)
{
    if (!wick_config_get(c, "norm_topk_prob")) c->norm_topk = true;
    return configure(c, err);
}

static const wick_role_name qwen3_5_names[] = {
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.mlp.experts.gate_up_proj", "blk.%.ffn_gate_up_exps"},
    {WICK_ROLE_EXP_DOWN,
     "@layers.%.mlp.switch_mlp.down_proj|@layers.%.mlp.experts.#.down_proj|@layers.%.mlp.experts.down_proj", NULL},
    {0}};

const wick_arch wick_arch_qwen3_5 = {
    .name = "qwen3_5",
    .hf = {"qwen3_5", "qwen3_5_text", "qwen3_5_moe", "qwen3_5_moe_text"},
    .gguf = {"qwen35", "qwen35moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .torch_plus_one = true,
    .act = WICK_ACT_SILU,
    .attn_out_gate = true,
    .delta_tiled = true,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .rope_theta = 100000,
    .rope_partial = 0.25f,
    .names = qwen3_5_names,
    .configure = configure_qwen3_5,
};
