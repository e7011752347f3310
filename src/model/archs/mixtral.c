/* model/archs/mixtral.c - mixtral: llama with experts, weighted by a softmax over the chosen (GGUF calls it llama);
 * minimax: many small experts chosen by a sigmoid and a correction, q and k normed over the whole row, partial rope. */
#include "model/arch.h"

static const wick_role_name names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.gate", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj|@layers.%.block_sparse_moe.experts.#.w1",
     NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.experts.#.w2",
     NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj|@layers.%.block_sparse_moe.experts.#.w3", NULL},
    {0}};

static const wick_default mixtral_defaults[] = {
    {offsetof(wick_config, n_expert), 8}, {offsetof(wick_config, n_expert_used), 2}, {0, 0}};

const wick_arch wick_arch_mixtral = {
    .name = "mixtral",
    .hf = {"mixtral"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .routing = WICK_ROUTE_TOPK_SOFTMAX,
    .rope_theta = 1000000,
    .names = names,
    .defaults = mixtral_defaults,
};

static const wick_role_name minimax_names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.gate", NULL},
    {WICK_ROLE_CORRECTION, "@layers.%.block_sparse_moe.e_score_correction_bias", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj|@layers.%.block_sparse_moe.experts.#.w1",
     NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.experts.#.w2",
     NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj|@layers.%.block_sparse_moe.experts.#.w3", NULL},
    {0}};

static wick_status configure_minimax(wick_config *c, wick_err *err)
{
    c->norm_topk = true;
    if (!wick_config_get(c, "use_qk_norm")) c->qk_norm = true;
    return wick_config_u32(c, "rotary_dim", NULL, 2, 1 << 14, &c->rope_dims, err);
}

const wick_arch wick_arch_minimax = {
    .name = "minimax",
    .hf = {"minimax", "minimax_m2"},
    .gguf = {"minimax-m2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW_IF,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .norm_floor = 1e-20f,
    .names = minimax_names,
    .configure = configure_minimax,
};
