/* model/archs/mixtral.c - mixtral: llama with experts, weighted by a softmax over the chosen. GGUF calls it llama. */
#include "model/arch.h"

static const wick_role_name names[] = {
    {WICK_ROLE_ROUTER, "@layers.%.block_sparse_moe.gate", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.block_sparse_moe.switch_mlp.gate_proj|@layers.%.block_sparse_moe.experts.#.w1",
     NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.block_sparse_moe.switch_mlp.down_proj|@layers.%.block_sparse_moe.experts.#.w2",
     NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.block_sparse_moe.switch_mlp.up_proj|@layers.%.block_sparse_moe.experts.#.w3", NULL},
    {0}};

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
};
