/* model/archs/helium.c - helium: llama with interleaved rope. */
#include "model/arch.h"

const wick_arch wick_arch_helium = {
    .name = "helium",
    .hf = {"helium"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .norm_eps = 1e-8f,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .rope_theta = 100000,
};
