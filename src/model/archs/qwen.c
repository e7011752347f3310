/* model/archs/qwen.c - qwen2 (biases on q, k, v) and qwen3 (q and k normed per head instead). */
#include "model/arch.h"

const wick_arch wick_arch_qwen2 = {
    .name = "qwen2",
    .hf = {"qwen2"},
    .gguf = {"qwen2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
    .rope_theta = 1000000,
};

const wick_arch wick_arch_qwen3 = {
    .name = "qwen3",
    .hf = {"qwen3"},
    .gguf = {"qwen3"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .rope_theta = 1000000,
};
