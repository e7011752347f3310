/* model/archs/stablelm.c - stablelm and stable-code: LayerNorm, partial rotary; the 12B model is parallel and norms
 * q and k with weights of their own for each head. */
#include "model/arch.h"

static const wick_role_name names[] = {{WICK_ROLE_Q_NORM, "@layers.%.self_attn.q_layernorm.norms.#", NULL},
                                       {WICK_ROLE_K_NORM, "@layers.%.self_attn.k_layernorm.norms.#", NULL},
                                       {0}};

static wick_status configure(wick_config *c, wick_err *err)
{
    bool parallel = false;
    WICK_TRY(wick_config_bool(c, "use_parallel_residual", "use_parallel_residual", &parallel, err));
    if (parallel) c->block = wick_block_parallel;
    return WICK_OK;
}

const wick_arch wick_arch_stablelm = {
    .name = "stablelm",
    .hf = {"stablelm", "stablelm_epoch"},
    .gguf = {"stablelm"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .head = WICK_HEAD_OWN,
    .qk = WICK_QK_LAYER_PER_HEAD_IF,
    .rope_partial = 0.25f,
    .names = names,
    .configure = configure,
};
