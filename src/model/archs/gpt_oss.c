/* model/archs/gpt_oss.c - gpt-oss: attention sinks, every other layer slides, experts with biases and a clamped
 * activation. HF files keep gate and up in alternating rows of MXFP4 blocks, or columns of floats. */
#include "model/arch.h"

static const wick_role_name names[] = {{WICK_ROLE_ROUTER, "@layers.%.mlp.router", NULL},
                                       {WICK_ROLE_EXP_GATE, "@layers.%.mlp.experts.gate_proj", NULL},
                                       {WICK_ROLE_EXP_UP, "@layers.%.mlp.experts.up_proj", NULL},
                                       {WICK_ROLE_EXP_DOWN, "@layers.%.mlp.experts.down_proj", NULL},
                                       {WICK_ROLE_EXP_GATE_UP, "@layers.%.mlp.experts.gate_up_proj", NULL},
                                       {0}};

static wick_status configure(wick_config *c, wick_err *err)
{
    c->act_alpha = 1.702f;
    c->act_limit = 7;
    return wick_config_f32(c, "swiglu_limit", NULL, 1e-3, 1e6, &c->act_limit, err);
}

static const wick_default gpt_oss_defaults[] = {{offsetof(wick_config, n_expert), 128},
                                                {offsetof(wick_config, n_expert_used), 4},
                                                {offsetof(wick_config, window), 128},
                                                {0, 0}};

const wick_arch wick_arch_gpt_oss = {
    .name = "gpt_oss",
    .hf = {"gpt_oss"},
    .gguf = {"gpt-oss"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SWIGLU_OAI,
    .qkv_bias = true,
    .gate_up_interleaved = true,
    .experts_turned = true,
    .head = WICK_HEAD_OWN,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 2,
    .routing = WICK_ROUTE_TOPK_SOFTMAX,
    .rope_theta = 150000,
    .names = names,
    .configure = configure,
    .defaults = gpt_oss_defaults,
};
