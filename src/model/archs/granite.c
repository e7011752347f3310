/* model/archs/granite.c - granite: llama with four multipliers; granitemoe: the same with experts; granitemoehybrid
 * (Granite 4): most layers are mamba2, attention knows no positions, an expert is always on, or there is one MLP. */
#include <string.h>
#include "format/gguf.h"
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

static const wick_role_name hybrid_names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.router.layer", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.output_linear",
     NULL},
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.block_sparse_moe.input_linear", NULL},
    {WICK_ROLE_SHARED_GATE_UP, "@layers.%.shared_mlp.input_linear", NULL},
    {WICK_ROLE_SHARED_DOWN, "@layers.%.shared_mlp.output_linear", NULL},
    {WICK_ROLE_GATE_UP, "@layers.%.shared_mlp.input_linear", NULL},
    {WICK_ROLE_DOWN, "@layers.%.mlp.down_proj|@layers.%.shared_mlp.output_linear", NULL},
    {0}};

/* layer_types; GGUF: layers with key-value heads attend. */
static wick_status hybrid_layers(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    const json_t *types = wick_config_get(c, "layer_types");
    const wick_gguf_value *kv = wick_config_gguf_list(c, "attention.head_count_kv");
    if (!c->from_gguf && json_array_size(types) != c->n_layer)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: layer_types: expected a list for %u layers", c->where,
                         c->n_layer);
    WICK_TRY(wick_config_mixers(c, WICK_MIX_ATTN, &mix, err));
    for (uint32_t i = 0; i < c->n_layer; i++) {
        const char *t = json_string_value(json_array_get(types, i));
        if (kv ? wick_gguf_elem_i64(kv, i) == 0 : t && strcmp(t, "mamba") == 0) mix[i] = WICK_MIX_MAMBA2;
    }
    return WICK_OK;
}

static wick_status configure_hybrid(wick_config *c, wick_err *err)
{
    bool rope = true;
    WICK_TRY(configure(c, err));
    if (!c->n_layer) return WICK_OK;
    const char *positions = json_string_value(wick_config_get(c, "position_embedding_type"));
    if (positions) rope = strcmp(positions, "nope") != 0;
    WICK_TRY(wick_config_bool(c, NULL, "rope.scaling.finetuned", &rope, err));
    if (!rope) {
        uint8_t *off = wick_arena_array(&c->arena, c->n_layer, 1);
        if (!off) return wick_err_oom(err, "the configuration", c->n_layer, 0);
        memset(off, 1, c->n_layer);
        c->layer_no_rope = off;
    }
    WICK_TRY(wick_config_u32(c, "shared_intermediate_size", NULL, 1, WICK_MAX_DIM, &c->n_ff_shared, err));
    WICK_TRY(wick_config_u32(c, "mamba_d_conv", "ssm.conv_kernel", 1, 256, &c->conv_kernel, err));
    WICK_TRY(wick_config_u32(c, "mamba_d_state", "ssm.state_size", 1, 1 << 14, &c->ssm_state, err));
    WICK_TRY(wick_config_u32(c, "mamba_n_heads", "ssm.time_step_rank", 1, 1 << 14, &c->ssm_heads, err));
    WICK_TRY(wick_config_u32(c, "mamba_d_head", NULL, 1, 1 << 14, &c->ssm_head_dim, err));
    WICK_TRY(wick_config_u32(c, "mamba_n_groups", "ssm.group_count", 1, 1 << 14, &c->ssm_groups, err));
    WICK_TRY(wick_config_u32(c, NULL, "ssm.inner_size", 1, WICK_MAX_DIM, &c->ssm_inner, err));
    if (c->from_gguf && c->ssm_heads) c->ssm_head_dim = c->ssm_inner / c->ssm_heads;
    c->ssm_inner = c->ssm_heads * c->ssm_head_dim;
    if (!c->from_gguf) {
        c->ssm_dt_min = 0.001f;
        c->ssm_dt_max = 100;
    }
    WICK_TRY(wick_config_step_limit(c, err));
    return hybrid_layers(c, err);
}

const wick_arch wick_arch_granitemoehybrid = {
    .name = "granitemoehybrid",
    .hf = {"granitemoehybrid"},
    .gguf = {"granitehybrid"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .no_rope_scaling = true,
    .gguf_permuted = true,
    .routing = WICK_ROUTE_TOPK_SOFTMAX,
    .names = hybrid_names,
    .configure = configure_hybrid,
};
