/* model/archs/nemotron.c - nemotron and minitron: LayerNorm that stores w of (1 + w), squared ReLU without a gate, half of
 * the dimensions turned. GGUF's converter has added the 1. */
#include "model/arch.h"

const wick_arch wick_arch_nemotron = {
    .name = "nemotron",
    .hf = {"nemotron"},
    .gguf = {"nemotron"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .norm_plus_one = true,
    .act = WICK_ACT_RELU2,
    .plain_mlp = true,
    .rope_partial = 0.5f,
};
