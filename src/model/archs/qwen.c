/* model/archs/qwen.c - qwen, the first one (GPT-2's names, q, k and v in one matrix), qwen2 (biases on q, k, v) and
 * qwen3 (q and k normed per head instead), both also as the text part of models that see: with text alone, the rope of
 * three positions is the usual one. mellum is qwen3_moe with windows. */
#include "model/arch.h"

/* intermediate_size counts gate and up together; heads are as wide as their share of the row. */
static wick_status configure_qwen(wick_config *c, wick_err *err)
{
    WICK_TRY(wick_config_u32(c, "kv_channels", NULL, 1, 1 << 14, &c->head_dim, err));
    c->n_ff /= 2;
    return WICK_OK;
}

static const wick_role_name qwen_names[] = {{WICK_ROLE_EMBED, "@wte", NULL},
                                            {WICK_ROLE_OUT_NORM, "@ln_f", NULL},
                                            {WICK_ROLE_HEAD, "lm_head", NULL},
                                            {WICK_ROLE_ATTN_NORM, "@h.%.ln_1", NULL},
                                            {WICK_ROLE_MLP_NORM, "@h.%.ln_2", NULL},
                                            {WICK_ROLE_QKV, "@h.%.attn.c_attn", NULL},
                                            {WICK_ROLE_O, "@h.%.attn.c_proj", NULL},
                                            {WICK_ROLE_GATE, "@h.%.mlp.w2", NULL},
                                            {WICK_ROLE_UP, "@h.%.mlp.w1", NULL},
                                            {WICK_ROLE_DOWN, "@h.%.mlp.c_proj", NULL},
                                            {0}};

const wick_arch wick_arch_qwen = {
    .name = "qwen",
    .hf = {"qwen"},
    .gguf = {"qwen"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
    .head = WICK_HEAD_OWN,
    .roots = "transformer.|model.|",
    .names = qwen_names,
    .configure = configure_qwen,
};

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

/* qwen3_moe with windows, whose layers turn at a base of their own. */
const wick_arch wick_arch_mellum = {
    .name = "mellum",
    .hf = {"mellum"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .plain_local_rope = true,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .rope_theta = 1000000,
};
