/* model/archs/llama4.c - llama 4 (text): three of four layers attend within chunks and turn, the others see everything
 * and sharpen their queries with the position; one expert of many, whose input is scaled, beside one that is always
 * on. */
#include "model/arch.h"

static const wick_role_name names[] = {
    {WICK_ROLE_GATE, "@layers.%.feed_forward.gate_proj", NULL},
    {WICK_ROLE_UP, "@layers.%.feed_forward.up_proj", NULL},
    {WICK_ROLE_DOWN, "@layers.%.feed_forward.down_proj", NULL},
    {WICK_ROLE_ROUTER, "@layers.%.feed_forward.router", NULL},
    {WICK_ROLE_EXP_GATE, "@layers.%.feed_forward.experts.gate_proj|@layers.%.feed_forward.experts.#.gate_proj", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.feed_forward.experts.up_proj|@layers.%.feed_forward.experts.#.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.feed_forward.experts.down_proj|@layers.%.feed_forward.experts.#.down_proj", NULL},
    {WICK_ROLE_EXP_GATE_UP, "@layers.%.feed_forward.experts.gate_up_proj", NULL},
    {WICK_ROLE_SHARED_GATE, "@layers.%.feed_forward.shared_expert.gate_proj", NULL},
    {WICK_ROLE_SHARED_UP, "@layers.%.feed_forward.shared_expert.up_proj", NULL},
    {WICK_ROLE_SHARED_DOWN, "@layers.%.feed_forward.shared_expert.down_proj", NULL},
    {0}};

/* GGUF says nothing of chunks, norms and temperatures; the larger model is without the norms. */
static wick_status configure(wick_config *c, wick_err *err)
{
    bool tuned = true;
    const json_t *tuning = wick_config_get(c, "attn_temperature_tuning"); /* a bool or a number */
    c->window = 8192;
    c->temp_len = 8192;
    c->temp_beta = 0.1f;
    c->temp_add = 1;
    c->temp_global = c->chunked = true;
    if (!c->n_expert)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where, "%s: llama4 models without experts cannot be run",
                         c->where);
    if (c->from_gguf) c->qk_norm = c->n_expert != 128;
    if (!c->from_gguf && !c->n_ff_expert) c->n_ff_expert = c->n_ff;
    c->n_ff_shared = c->n_ff_expert;
    WICK_TRY(wick_config_u32(c, "intermediate_size_mlp", NULL, 1, WICK_MAX_DIM, &c->n_ff, err));
    WICK_TRY(wick_config_u32(c, "attention_chunk_size", NULL, 1, 1 << 30, &c->window, err));
    WICK_TRY(wick_config_u32(c, "floor_scale", NULL, 1, 1 << 30, &c->temp_len, err));
    WICK_TRY(wick_config_f32(c, "attn_scale", NULL, 0, 1e3, &c->temp_beta, err));
    if (tuning) tuned = json_is_true(tuning) || json_integer_value(tuning) != 0;
    if (!tuned) c->temp_beta = 0;
    if (!c->n_layer) return WICK_OK;
    uint8_t *off = wick_arena_array(&c->arena, c->n_layer, 1), *slide = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!off || !slide) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    for (uint32_t i = 0; i < c->n_layer; i++) slide[i] = !(off[i] = (i + 1) % 4 == 0);
    c->layer_no_rope = off;
    c->layer_window = slide;
    return WICK_OK;
}

const wick_arch wick_arch_llama4 = {
    .name = "llama4",
    .hf = {"llama4", "llama4_text"},
    .gguf = {"llama4"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .qk = WICK_QK_UNIT_IF,
    .qk_after_rope = true,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .scale_input = true,
    .experts_turned = true,
    .names = names,
    .configure = configure,
};
