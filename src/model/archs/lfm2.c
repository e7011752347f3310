/* model/archs/lfm2.c - lfm2: short convolutions, attention in some layers; lfm2_moe: with experts after the first
 * layers, chosen by a sigmoid and a bias. */
#include <string.h>
#include "format/gguf.h"
#include "model/arch.h"

static const wick_role_name names[] = {
    {WICK_ROLE_EMBED_NORM, "", ""}, /* the last norm has this name in GGUF */
    {WICK_ROLE_OUT_NORM, "@embedding_norm", "token_embd_norm|output_norm"},
    {WICK_ROLE_ATTN_NORM, "@layers.%.operator_norm", NULL},
    {WICK_ROLE_MLP_NORM, "@layers.%.ffn_norm", NULL},
    {WICK_ROLE_O, "@layers.%.self_attn.out_proj", NULL},
    {WICK_ROLE_GATE, "@layers.%.feed_forward.w1|@layers.%.feed_forward.gate_proj", NULL},
    {WICK_ROLE_DOWN, "@layers.%.feed_forward.w2|@layers.%.feed_forward.down_proj", NULL},
    {WICK_ROLE_UP, "@layers.%.feed_forward.w3|@layers.%.feed_forward.up_proj", NULL},
    {WICK_ROLE_ROUTER, "@layers.%.feed_forward.gate", NULL},
    {WICK_ROLE_CORRECTION, "@layers.%.feed_forward.expert_bias", NULL},
    {WICK_ROLE_EXP_GATE,
     "@layers.%.feed_forward.switch_mlp.gate_proj|@layers.%.feed_forward.experts.#.w1|@layers.%.feed_forward.experts.#."
     "gate_proj",
     NULL},
    {WICK_ROLE_EXP_DOWN,
     "@layers.%.feed_forward.switch_mlp.down_proj|@layers.%.feed_forward.experts.#.w2|@layers.%.feed_forward.experts.#."
     "down_proj",
     NULL},
    {WICK_ROLE_EXP_UP,
     "@layers.%.feed_forward.switch_mlp.up_proj|@layers.%.feed_forward.experts.#.w3|@layers.%.feed_forward.experts.#."
     "up_proj",
     NULL},
    {0}};

/* full_attn_idxs, else layer_types; GGUF: layers with key-value heads. */
static wick_status mark_attention(wick_config *c, uint8_t *mix, wick_err *err)
{
    const json_t *idx = wick_config_get(c, "full_attn_idxs"), *types = wick_config_get(c, "layer_types");
    if (c->from_gguf) {
        const wick_gguf_value *v = wick_config_gguf_list(c, "attention.head_count_kv");
        for (uint32_t i = 0; i < c->n_layer && v; i++)
            mix[i] = wick_gguf_elem_i64(v, i) ? WICK_MIX_ATTN : WICK_MIX_CONV;
        return WICK_OK;
    }
    const json_t *list = idx ? idx : types;
    if (!json_is_array(list) || json_array_size(list) > c->n_layer)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where,
                         "%s: full_attn_idxs or layer_types: expected a list for %u layers", c->where, c->n_layer);
    for (uint32_t i = 0; i < json_array_size(list); i++) {
        const json_t *e = json_array_get(list, i);
        const char *kind = json_string_value(e);
        if (idx && (!json_is_integer(e) || json_integer_value(e) < 0 || json_integer_value(e) >= c->n_layer))
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: full_attn_idxs[%u]: expected a layer's number",
                             c->where, i);
        if (idx)
            mix[json_integer_value(e)] = WICK_MIX_ATTN;
        else if (kind && strcmp(kind, "full_attention") == 0)
            mix[i] = WICK_MIX_ATTN;
    }
    return WICK_OK;
}

/* Older files give the width before two thirds of it are taken and rounded up. */
static wick_status feed_forward(wick_config *c, wick_err *err)
{
    uint32_t multiple = 1;
    float factor = 1;
    bool adjust = false;
    WICK_TRY(wick_config_u32(c, "block_ff_dim", NULL, 1, WICK_MAX_DIM, &c->n_ff, err));
    WICK_TRY(wick_config_u32(c, "block_multiple_of", NULL, 1, WICK_MAX_DIM, &multiple, err));
    WICK_TRY(wick_config_f32(c, "block_ffn_dim_multiplier", NULL, 1e-3, 1e3, &factor, err));
    WICK_TRY(wick_config_bool(c, "block_auto_adjust_ff_dim", NULL, &adjust, err));
    if (!adjust || c->arch->routing == WICK_ROUTE_SIGMOID_TOPK || c->from_gguf) return WICK_OK;
    uint32_t two_thirds = 2 * c->n_ff / 3; /* rounded down, as the reference does */
    uint64_t n = (uint64_t)((double)factor * two_thirds);
    n = (n + multiple - 1) / multiple * multiple;
    if (n < 1 || n > WICK_MAX_DIM)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: block_ff_dim: adjusted out of range", c->where);
    c->n_ff = (uint32_t)n;
    return WICK_OK;
}

static wick_status configure(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    if (!c->n_layer) return WICK_OK;
    WICK_TRY(wick_config_u32(c, "conv_L_cache", "shortconv.l_cache", 1, 256, &c->conv_kernel, err));
    WICK_TRY(feed_forward(c, err));
    if (c->from_gguf) c->norm_topk = true; /* not written by the converter */
    WICK_TRY(wick_config_mixers(c, WICK_MIX_CONV, &mix, err));
    return mark_attention(c, mix, err);
}

const wick_arch wick_arch_lfm2 = {
    .name = "lfm2",
    .hf = {"lfm2"},
    .gguf = {"lfm2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .head = WICK_HEAD_TIED,
    .qk = WICK_QK_HEAD,
    .rope_theta = 1000000,
    .names = names,
    .configure = configure,
};

const wick_arch wick_arch_lfm2_moe = {
    .name = "lfm2_moe",
    .hf = {"lfm2_moe"},
    .gguf = {"lfm2moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .head = WICK_HEAD_TIED,
    .qk = WICK_QK_HEAD,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .norm_floor = 1e-6f,
    .rope_theta = 1000000,
    .names = names,
    .configure = configure,
};
