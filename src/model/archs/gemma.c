/* model/archs/gemma.c - gemma 1 to 4 (text): norms around each branch since 2, scaled embeddings, tied heads. Of gemma4 the
 * dense models; embeddings per layer (E2B, E4B) and experts (26B-A4B) are refused. */
#include <math.h>
#include "base/dtype.h"
#include "model/arch.h"

/* mlx-lm computes gemma's first version with the exact GELU. */
static wick_status configure_gemma(wick_config *c, wick_err *err)
{
    (void)err;
    c->embed_scale = sqrtf((float)c->n_embd);
    return WICK_OK;
}

const wick_arch wick_arch_gemma = {
    .name = "gemma",
    .hf = {"gemma"},
    .gguf = {"gemma"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_plus_one = true,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_GELU,
    .head = WICK_HEAD_TIED,
    .configure = configure_gemma,
};

static const wick_role_name sandwich_names[] = {
    {WICK_ROLE_MLP_NORM, "@layers.%.pre_feedforward_layernorm", "blk.%.ffn_norm"}, {0}};

/* query_pre_attn_scalar; GGUF does not say it: the largest model of the family (known by its layers) divides by the
 * width per head, the others by the head size. */
static wick_status query_scale(wick_config *c, float def, uint32_t largest_layers, wick_err *err)
{
    float scalar = def;
    if (c->from_gguf && c->n_head) {
        bool largest = c->n_layer == largest_layers;
        scalar = (float)(largest ? c->n_embd / c->n_head : c->head_dim ? c->head_dim : c->n_embd / c->n_head);
    }
    WICK_TRY(wick_config_f32(c, "query_pre_attn_scalar", NULL, 1e-6, 1e6, &scalar, err));
    c->attn_scale = scalar > 0 ? 1 / sqrtf(scalar) : 0;
    return WICK_OK;
}

static wick_status configure_gemma2(wick_config *c, wick_err *err)
{
    c->embed_scale = sqrtf((float)c->n_embd);
    c->attn_softcap = 50;
    if (c->final_softcap == 0) c->final_softcap = 30;
    WICK_TRY(wick_config_f32(c, "attn_logit_softcapping", "attn_logit_softcapping", 0, 1e6, &c->attn_softcap, err));
    return query_scale(c, 144, 46, err);
}

const wick_arch wick_arch_gemma2 = {
    .name = "gemma2",
    .hf = {"gemma2"},
    .gguf = {"gemma2"},
    .block = wick_block_sandwich,
    .norm = WICK_NORM_RMS,
    .norm_plus_one = true,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_GELU_TANH,
    .head = WICK_HEAD_TIED,
    .names = sandwich_names,
    .configure = configure_gemma2,
};

static void set_default(uint32_t *field, uint32_t value)
{
    if (*field == 0) *field = value;
}

/* The wrapper's vocabulary goes before that of its text_config. */
static void wrapper_vocab(wick_config *c, uint32_t def)
{
    const json_t *v = json_object_get(c->json, "vocab_size");
    bool usable = json_is_integer(v) && json_integer_value(v) > 0 && json_integer_value(v) <= WICK_MAX_VOCAB;
    c->n_vocab = usable ? (uint32_t)json_integer_value(v) : def;
}

/* The wrapper's text_config leaves out what the 1B model has, but for the heads, where it means 8 and 4. */
static wick_status configure_gemma3(wick_config *c, wick_err *err)
{
    bool wrapped = !c->from_gguf && c->text != c->json;
    if (!c->from_gguf) {
        set_default(&c->n_embd, 1152);
        set_default(&c->n_layer, 26);
        set_default(&c->n_ff, 6912);
        set_default(&c->n_head, wrapped ? 8 : 4);
        set_default(&c->n_kv_head, wrapped ? 4 : 1);
        set_default(&c->head_dim, 256);
        set_default(&c->window, 512);
        set_default(&c->n_ctx, 32768);
        if (wrapped) wrapper_vocab(c, 262208);
    }
    if (c->rope_local_theta == 0) c->rope_local_theta = 10000;
    c->embed_scale = wick_bf16_to_f32(wick_f32_to_bf16(sqrtf((float)c->n_embd))); /* rounded so in the reference */
    return query_scale(c, 256, 62, err);
}

const wick_arch wick_arch_gemma3 = {
    .name = "gemma3",
    .hf = {"gemma3_text", "gemma3"},
    .gguf = {"gemma3"},
    .block = wick_block_sandwich,
    .norm = WICK_NORM_RMS,
    .norm_plus_one = true,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_GELU_TANH,
    .head = WICK_HEAD_FILE,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 6,
    .plain_local_rope = true,
    .rope_theta = 1000000,
    .names = sandwich_names,
    .configure = configure_gemma3,
};

static wick_status gemma4_refuse(const wick_config *c, wick_err *err)
{
    uint32_t per_layer = 256;
    bool moe = false;
    const json_t *v = json_object_get(c->text, "hidden_size_per_layer_input");
    if (json_is_null(v)) per_layer = 0;
    WICK_TRY(wick_config_u32(c, "hidden_size_per_layer_input", NULL, 0, WICK_MAX_DIM, &per_layer, err));
    WICK_TRY(wick_config_bool(c, "enable_moe_block", NULL, &moe, err));
    if (per_layer || moe)
        return wick_err_format(err, c->where, "a dense gemma4 model",
                               moe ? "one with experts" : "one with embeddings per layer", NULL);
    return WICK_OK;
}

/* Layers that do not slide have heads of another size, turned in part, and may have no values but their keys. */
static wick_status configure_gemma4(wick_config *c, wick_err *err)
{
    WICK_TRY(gemma4_refuse(c, err));
    if (c->text != c->json) wrapper_vocab(c, 262144);
    set_default(&c->head_dim, 256);
    set_default(&c->window, 512);
    c->global_head_dim = 512;
    c->n_kv_shared = 20;
    c->shared_wide = true;
    WICK_TRY(wick_config_u32(c, "global_head_dim", NULL, 0, 1 << 14, &c->global_head_dim, err));
    WICK_TRY(wick_config_u32(c, "num_kv_shared_layers", NULL, 0, WICK_MAX_LAYERS, &c->n_kv_shared, err));
    WICK_TRY(wick_config_bool(c, "use_double_wide_mlp", NULL, &c->shared_wide, err));
    WICK_TRY(wick_config_bool(c, "attention_k_eq_v", NULL, &c->global_k_is_v, err));
    if (c->global_k_is_v)
        WICK_TRY(wick_config_u32(c, "num_global_key_value_heads", NULL, 1, WICK_MAX_HEADS, &c->global_kv_head, err));
    if ((c->n_layer && c->n_kv_shared >= c->n_layer) || c->n_ff > WICK_MAX_DIM / 2 ||
        (c->global_kv_head && (c->n_head < c->global_kv_head || c->n_head % c->global_kv_head)))
        return WICK_FAIL(
            err, WICK_E_BAD_FILE, c->where,
            "%s: num_kv_shared_layers, intermediate_size or num_global_key_value_heads do not fit the model", c->where);
    if (!wick_config_get(c, "rope_parameters")) {
        c->rope.kind = WICK_ROPE_PROPORTIONAL;
        c->rope.partial = 0.25;
    }
    if (c->final_softcap == 0 && !json_object_get(c->text, "final_logit_softcapping")) c->final_softcap = 30;
    if (c->rope_local_theta == 0) c->rope_local_theta = 10000;
    c->rope_partial = 1; /* the proportional kind has its own */
    c->attn_scale = 1;
    c->embed_scale = sqrtf((float)c->n_embd);
    return WICK_OK;
}

const wick_arch wick_arch_gemma4 = {
    .name = "gemma4",
    .hf = {"gemma4_text", "gemma4"},
    .block = wick_block_sandwich,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_GELU_TANH,
    .v_norm = true,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 5,
    .plain_local_rope = true,
    .rope_theta = 1000000,
    .names = sandwich_names,
    .configure = configure_gemma4,
};
