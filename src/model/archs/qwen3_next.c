/* model/archs/qwen3_next.c - qwen3-next: gated delta nets, every fourth layer attention with a gate on its output;
 * experts as qwen2_moe has them. HF's norms store w of (1 + w); MLX's conversion added the 1. */
#include <string.h>
#include "model/arch.h"

static wick_status configure(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    uint32_t every = 4;
    if (!c->n_layer) return WICK_OK;
    WICK_TRY(wick_config_u32(c, "full_attention_interval", NULL, 1, WICK_MAX_LAYERS, &every, err));
    WICK_TRY(wick_config_u32(c, "linear_conv_kernel_dim", NULL, 1, 256, &c->conv_kernel, err));
    WICK_TRY(wick_config_u32(c, "linear_num_key_heads", NULL, 1, WICK_MAX_HEADS, &c->lin_k_heads, err));
    WICK_TRY(wick_config_u32(c, "linear_num_value_heads", NULL, 1, WICK_MAX_HEADS, &c->lin_v_heads, err));
    WICK_TRY(wick_config_u32(c, "linear_key_head_dim", NULL, 1, 1 << 12, &c->lin_k_dim, err));
    WICK_TRY(wick_config_u32(c, "linear_value_head_dim", NULL, 1, 1 << 12, &c->lin_v_dim, err));
    WICK_TRY(wick_config_mixers(c, WICK_MIX_DELTA, &mix, err));
    for (uint32_t i = every - 1; i < c->n_layer; i += every) mix[i] = WICK_MIX_ATTN;
    return WICK_OK;
}

const wick_arch wick_arch_qwen3_next = {
    .name = "qwen3_next",
    .hf = {"qwen3_next"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .torch_plus_one = true,
    .act = WICK_ACT_SILU,
    .attn_out_gate = true,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .rope_partial = 0.25f,
    .names = NULL,
    .configure = configure,
};
