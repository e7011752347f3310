/* model/archs/glm.c - glm, glm4 (norms around each branch, interleaved partial rope) and glm4_moe (GLM 4.5: sigmoid
 * routing with groups, an expert that is always on, the first layers dense); dots1, which routes in the same way. */
#include "model/arch.h"

static const wick_role_name glm4_names[] = {
    {WICK_ROLE_ATTN_POST_NORM, "@layers.%.post_self_attn_layernorm", NULL},
    {WICK_ROLE_MLP_NORM, "@layers.%.post_attention_layernorm", "blk.%.ffn_norm"},
    {WICK_ROLE_MLP_POST_NORM, "@layers.%.post_mlp_layernorm", NULL},
    {0}};

const wick_arch wick_arch_glm4 = {
    .name = "glm4",
    .hf = {"glm4"},
    .gguf = {"glm4"},
    .block = wick_block_sandwich,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_OWN,
    .rope_partial = 0.5f,
    .names = glm4_names,
};

/* The one before: llama with interleaved rope and fused gate and up. */
const wick_arch wick_arch_glm = {
    .name = "glm",
    .hf = {"glm"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
};

static wick_status configure_glm4_moe(wick_config *c, wick_err *err)
{
    (void)err;
    c->group_by_top2 = true;
    if (c->expert_scale == 0) c->expert_scale = 1;
    return WICK_OK;
}

const wick_arch wick_arch_glm4_moe = {
    .name = "glm4_moe",
    .hf = {"glm4_moe"},
    .gguf = {"glm4moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .head = WICK_HEAD_OWN,
    .qk = WICK_QK_HEAD_IF,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .rope_partial = 0.5f,
    .configure = configure_glm4_moe,
};

static const wick_role_name dots1_names[] = {
    {WICK_ROLE_EXP_GATE, "@layers.%.mlp.experts.gate_proj|@layers.%.mlp.experts.#.gate_proj", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.mlp.experts.up_proj|@layers.%.mlp.experts.#.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.mlp.experts.down_proj|@layers.%.mlp.experts.#.down_proj", NULL},
    {0}};

static wick_status configure_dots1(wick_config *c, wick_err *err)
{
    (void)err;
    c->group_by_top2 = true;
    return WICK_OK;
}

const wick_arch wick_arch_dots1 = {
    .name = "dots1",
    .hf = {"dots1"},
    .gguf = {"dots1"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .names = dots1_names,
    .configure = configure_dots1,
};
