/* model/archs/granite.c - granite: llama with four multipliers; granitemoe: the same with experts. */
#include "model/arch.h"

static wick_status configure(wick_config *c, wick_err *err)
{
    float logits = 1;
    WICK_TRY(wick_config_f32(c, "logits_scaling", "logit_scale", 1e-6, 1e6, &logits, err));
    WICK_TRY(wick_config_f32(c, "attention_multiplier", "attention.scale", 1e-6, 1e6, &c->attn_scale, err));
    WICK_TRY(wick_config_f32(c, "embedding_multiplier", "embedding_scale", 1e-6, 1e6, &c->embed_scale, err));
    WICK_TRY(wick_config_f32(c, "residual_multiplier", "residual_scale", 1e-6, 1e6, &c->residual_scale, err));
    c->logit_scale = 1 / logits;
    return WICK_OK;
}

const wick_arch wick_arch_granite = {
    .name = "granite",
    .hf = {"granite"},
    .gguf = {"granite"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .configure = configure,
};

static const wick_role_name moe_names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.router.layer", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.output_linear",
     NULL},
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.block_sparse_moe.input_linear", NULL},
    {0}};

const wick_arch wick_arch_granitemoe = {
    .name = "granitemoe",
    .hf = {"granitemoe"},
    .gguf = {"granitemoe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .routing = WICK_ROUTE_TOPK_SOFTMAX,
    .names = moe_names,
    .configure = configure,
};
