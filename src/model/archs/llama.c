/* model/archs/llama.c - llama 1 to 3, mistral, and what shares their form under another name; smollm3 (some layers
 * without positions) and ministral3 (attention sharpened with the position). */
#include "model/arch.h"
#include "base/json.h"

/* Meta's own names, which the first MLX NPZ models kept; their q and k are for interleaved rope. */
static const wick_role_name names[] = {
    {WICK_ROLE_EMBED, "@embed_tokens|tok_embeddings", NULL},
    {WICK_ROLE_OUT_NORM, "@norm|norm", NULL},
    {WICK_ROLE_HEAD, "lm_head|language_model.lm_head|output", NULL},
    {WICK_ROLE_ATTN_NORM, "@layers.%.input_layernorm|layers.%.attention_norm", NULL},
    {WICK_ROLE_MLP_NORM, "@layers.%.post_attention_layernorm|layers.%.ffn_norm", NULL},
    {WICK_ROLE_Q, "@layers.%.self_attn.q_proj|layers.%.attention.wq", NULL},
    {WICK_ROLE_K, "@layers.%.self_attn.k_proj|layers.%.attention.wk", NULL},
    {WICK_ROLE_V, "@layers.%.self_attn.v_proj|layers.%.attention.wv", NULL},
    {WICK_ROLE_O, "@layers.%.self_attn.o_proj|layers.%.attention.wo", NULL},
    {WICK_ROLE_GATE, "@layers.%.mlp.gate_proj|layers.%.feed_forward.w1", NULL},
    {WICK_ROLE_DOWN, "@layers.%.mlp.down_proj|layers.%.feed_forward.w2", NULL},
    {WICK_ROLE_UP, "@layers.%.mlp.up_proj|layers.%.feed_forward.w3", NULL},
    {0}};

static wick_status configure(wick_config *c, wick_err *err)
{
    (void)err;
    bool meta = !c->from_gguf && json_object_get(c->json, "dim") && !json_object_get(c->json, "hidden_size");
    if (meta && !json_object_get(c->json, "rope_traditional")) c->rope_interleaved = true;
    return WICK_OK;
}

const wick_arch wick_arch_llama = {
    .name = "llama",
    .hf = {"llama", "mistral", "mistral3", "iquestcoder", "xverse", "telechat3"},
    .gguf = {"llama"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .routing = WICK_ROUTE_TOPK_SOFTMAX, /* GGUF gives mixtral this name too */
    .windows = WICK_WINDOW_LAYER_TYPES,
    .names = names,
    .configure = configure,
};

/* no_rope_layers: 1 where the layer does turn; without it every no_rope_layer_interval-th does not. */
static wick_status configure_smollm3(wick_config *c, wick_err *err)
{
    uint32_t every = 4;
    if (!c->n_layer) return WICK_OK; /* the common check reports it */
    WICK_TRY(wick_config_u32(c, "no_rope_layer_interval", NULL, 1, WICK_MAX_LAYERS, &every, err));
    uint8_t *off = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!off) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    const json_t *list = wick_config_get(c, "no_rope_layers");
    if (list && (!json_is_array(list) || json_array_size(list) != c->n_layer))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: no_rope_layers: expected a list of %u", c->where,
                         c->n_layer);
    for (uint32_t i = 0; i < c->n_layer; i++) {
        const json_t *e = json_array_get(list, i);
        if (list && !json_is_integer(e) && !json_is_boolean(e))
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: no_rope_layers[%u]: expected 0 or 1", c->where, i);
        off[i] = list ? !(json_is_true(e) || json_integer_value(e)) : (i + 1) % every == 0;
    }
    c->layer_no_rope = off;
    return WICK_OK;
}

const wick_arch wick_arch_smollm3 = {
    .name = "smollm3",
    .hf = {"smollm3"},
    .gguf = {"smollm3"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .configure = configure_smollm3,
};

static wick_status configure_ministral3(wick_config *c, wick_err *err)
{
    double beta = 0;
    if (c->from_gguf) {
        float all_dim = 0;
        WICK_TRY(wick_config_f32(c, NULL, "rope.scaling.yarn_log_multiplier", 0, 100, &all_dim, err));
        c->rope.mscale_all_dim = all_dim;
        WICK_TRY(wick_config_f32(c, NULL, "attention.temperature_scale", 0, 1e3, &c->temp_beta, err));
    } else {
        const json_t *rope = wick_config_get(c, "rope_parameters");
        if (rope) WICK_TRY(wick_json_f64(rope, "llama_4_scaling_beta", 0, 1e3, 0, &beta, c->where, err));
        c->temp_beta = (float)beta;
    }
    c->temp_len = (uint32_t)c->rope.original_ctx;
    if (c->temp_len == 0) c->temp_beta = 0;
    return WICK_OK;
}

const wick_arch wick_arch_ministral3 = {
    .name = "ministral3",
    .hf = {"ministral3"},
    .gguf = {"mistral3"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .configure = configure_ministral3,
};
