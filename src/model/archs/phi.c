/* model/archs/phi.c - phi 1 and 2 (parallel branches, LayerNorm, biases) and phi3 (fused projections, longrope). */
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
