/* model/archs/qwen.c - qwen2 (biases on q, k, v) and qwen3 (q and k normed per head instead), both also as the text
 * part of models that see: with text alone, their rope of three positions is the usual one. */
#include "model/arch.h"

const wick_arch wick_arch_qwen2 = {
    .name = "qwen2",
    .hf = {"qwen2", "qwen2_vl", "qwen2_vl_text", "qwen2_5_vl", "qwen2_5_vl_text"},
    .gguf = {"qwen2", "qwen2vl"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
    .rope_theta = 1000000,
};

const wick_arch wick_arch_qwen3 = {
    .name = "qwen3",
    .hf = {"qwen3", "qwen3_vl", "qwen3_vl_text"},
    .gguf = {"qwen3", "qwen3vl"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .rope_theta = 1000000,
};

/* The weights of the chosen experts stay shares of all; an expert behind a gate of its own is always on. */
static wick_status configure_qwen2_moe(wick_config *c, wick_err *err)
{
    (void)err;
    c->norm_topk = false;
    return WICK_OK;
}

const wick_arch wick_arch_qwen2_moe = {
    .name = "qwen2_moe",
    .hf = {"qwen2_moe"},
    .gguf = {"qwen2moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
    .head = WICK_HEAD_OWN,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .rope_theta = 1000000,
    .configure = configure_qwen2_moe,
};

static wick_status configure_qwen3_moe(wick_config *c, wick_err *err)
{
    (void)err;
    if (c->from_gguf) c->norm_topk = true; /* not written by the converter */
    return WICK_OK;
}

static const wick_role_name qwen3_moe_names[] = {
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.mlp.experts.gate_up_proj", "blk.%.ffn_gate_up_exps"},
    {WICK_ROLE_EXP_DOWN,
     "@layers.%.mlp.switch_mlp.down_proj|@layers.%.mlp.experts.#.down_proj|@layers.%.mlp.experts.down_proj", NULL},
    {0}};

const wick_arch wick_arch_qwen3_moe = {
    .name = "qwen3_moe",
    .hf = {"qwen3_moe", "qwen3_vl_moe", "qwen3_vl_moe_text"},
    .gguf = {"qwen3moe", "qwen3vlmoe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .experts_turned = true,
    .rope_theta = 1000000,
    .names = qwen3_moe_names,
    .configure = configure_qwen3_moe,
};
