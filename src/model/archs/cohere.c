/* model/archs/cohere.c - command-r: parallel branches, LayerNorm, interleaved rope, scaled logits. cohere2 slides in
 * three of four layers, and only those know positions. */
#include "model/arch.h"

static wick_status configure(wick_config *c, wick_err *err)
{
    c->logit_scale = 0.0625f;
    return wick_config_f32(c, "logit_scale", "logit_scale", -1e6, 1e6, &c->logit_scale, err);
}

const wick_arch wick_arch_cohere = {
    .name = "cohere",
    .hf = {"cohere"},
    .gguf = {"command-r"},
    .block = wick_block_parallel,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_TIED,
    .qk = WICK_QK_LAYER_PER_HEAD_IF,
    .rope_theta = 8000000,
    .configure = configure,
};

static const wick_default cohere2_defaults[] = {{offsetof(wick_config, window), 4096}, {0, 0}};

const wick_arch wick_arch_cohere2 = {
    .name = "cohere2",
    .hf = {"cohere2"},
    .gguf = {"cohere2"},
    .block = wick_block_parallel,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_TIED,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .rope_local_only = true,
    .rope_theta = 50000,
    .configure = configure,
    .defaults = cohere2_defaults,
};
