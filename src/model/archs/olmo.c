/* model/archs/olmo.c - olmo2 (norms after the branches, q and k normed over the whole row), olmo3 (three of four layers
 * slide, and turn without yarn), olmoe (experts, norms before). */
#include "model/arch.h"

/* GGUF has olmo3 under olmo2's name: with windows. */
static wick_status configure_olmo2(wick_config *c, wick_err *err)
{
    (void)err;
    c->no_windows = !c->from_gguf || !c->window;
    return WICK_OK;
}

const wick_arch wick_arch_olmo2 = {
    .name = "olmo2",
    .hf = {"olmo2"},
    .gguf = {"olmo2"},
    .block = wick_block_postnorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .plain_local_rope = true,
    .configure = configure_olmo2,
};

const wick_arch wick_arch_olmo3 = {
    .name = "olmo3",
    .hf = {"olmo3"},
    .block = wick_block_postnorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .plain_local_rope = true,
};

const wick_arch wick_arch_olmoe = {
    .name = "olmoe",
    .hf = {"olmoe"},
    .gguf = {"olmoe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_ROW,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
};
