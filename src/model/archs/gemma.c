/* model/archs/gemma.c - gemma 1 to 3 (text): norms around each branch since 2, scaled embeddings, tied heads. */
#include <math.h>
#include <string.h>
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
    .no_rope_scaling = true,
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
    .no_rope_scaling = true,
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
    if (c->from_gguf && strcmp(c->model_type, "gemma-embedding") == 0) c->both = true;
    if (c->both) c->window = c->window / 2 + 1; /* it counts both sides */
    if (c->rope_local_theta == 0) c->rope_local_theta = 10000;
    c->embed_scale = wick_bf16_to_f32(wick_f32_to_bf16(sqrtf((float)c->n_embd))); /* rounded so in the reference */
    return query_scale(c, 256, 62, err);
}

const wick_arch wick_arch_gemma3 = {
    .name = "gemma3",
    .hf = {"gemma3_text", "gemma3"},
    .gguf = {"gemma3", "gemma-embedding"},
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
