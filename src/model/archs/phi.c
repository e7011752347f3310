/* model/archs/phi.c - phi 1 and 2 (parallel branches, LayerNorm, biases), phi3 (fused projections, longrope) and phimoe
 * (LayerNorm, biases, experts weighted one after another). */
#include "base/json.h"
#include "model/arch.h"

static const wick_role_name phi_names[] = {{WICK_ROLE_O, "@layers.%.self_attn.dense", NULL},
                                           {WICK_ROLE_UP, "@layers.%.mlp.fc1", NULL},
                                           {WICK_ROLE_DOWN, "@layers.%.mlp.fc2", NULL},
                                           {WICK_ROLE_OUT_NORM, "@final_layernorm", NULL},
                                           {0}};

const wick_arch wick_arch_phi = {
    .name = "phi",
    .hf = {"phi"},
    .gguf = {"phi2"},
    .block = wick_block_parallel,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_GELU_TANH,
    .plain_mlp = true,
    .qkv_bias = true,
    .head = WICK_HEAD_OWN,
    .rope_partial = 0.4f,
    .names = phi_names,
};

/* Other scalings than these two are left out by the reference. */
static wick_status configure_phi3(wick_config *c, wick_err *err)
{
    (void)err;
    if (c->rope.kind != WICK_ROPE_LONGROPE && c->rope.kind != WICK_ROPE_LINEAR) c->rope.kind = WICK_ROPE_DEFAULT;
    return WICK_OK;
}

const wick_arch wick_arch_phi3 = {
    .name = "phi3",
    .hf = {"phi3"},
    .gguf = {"phi3"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .configure = configure_phi3,
};

static const wick_role_name phimoe_names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.gate", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj|@layers.%.block_sparse_moe.experts.#.w1",
     NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.experts.#.w2",
     NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj|@layers.%.block_sparse_moe.experts.#.w3", NULL},
    {0}};

/* The width of the experts is intermediate_size; what rope is scaled by is said in full. */
static wick_status configure_phimoe(wick_config *c, wick_err *err)
{
    const json_t *s = wick_config_get(c, "rope_scaling");
    c->route_jitter = 0.01f;
    WICK_TRY(wick_config_f32(c, "router_jitter_noise", NULL, 0, 1, &c->route_jitter, err));
    if (!json_is_object(s)) return WICK_OK;
    WICK_TRY(wick_json_f64(s, "long_mscale", 0, 1e6, 0, &c->rope.attn_factor, c->where, err));
    return wick_json_f64(s, "short_mscale", 0, 1e6, 0, &c->rope.short_attn_factor, c->where, err);
}

static const wick_default phimoe_defaults[] = {
    {offsetof(wick_config, n_expert), 16}, {offsetof(wick_config, n_expert_used), 2}, {0, 0}};

const wick_arch wick_arch_phimoe = {
    .name = "phimoe",
    .hf = {"phimoe"},
    .gguf = {"phimoe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
    .head = WICK_HEAD_OWN,
    .routing = WICK_ROUTE_SPARSEMIXER,
    .names = phimoe_names,
    .configure = configure_phimoe,
    .defaults = phimoe_defaults,
};
