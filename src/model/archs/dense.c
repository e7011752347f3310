/* model/archs/dense.c - families that are llama or qwen2 with other names, biases or factors: seed_oss, ernie4_5 (also
 * with experts), mimo, internlm2 and 3, apertus (an activation with numbers of its own), exaone (the first),
 * hunyuan_v1_dense, minicpm. */
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "model/arch.h"

const wick_arch wick_arch_seed_oss = {
    .name = "seed_oss",
    .hf = {"seed_oss"},
    .gguf = {"seed_oss"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
};

const wick_arch wick_arch_ernie4_5 = {
    .name = "ernie4_5",
    .hf = {"ernie4_5"},
    .gguf = {"ernie4_5"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .no_rope_scaling = true,
    .rope_interleaved = true,
};

/* The correction of choices is in the original files; MLX's conversion and reference leave it out. */
static const wick_role_name ernie4_5_moe_names[] = {
    {WICK_ROLE_CORRECTION, "@layers.%.mlp.moe_statics.e_score_correction_bias", NULL}, {0}};

static wick_status configure_ernie4_5_moe(wick_config *c, wick_err *err)
{
    const char *act = json_string_value(wick_config_get(c, "moe_gate_act"));
    c->softmax_scores = !act || strcmp(act, "sigmoid") != 0;
    c->norm_topk = true;
    (void)err;
    return WICK_OK;
}

static const wick_default ernie4_5_moe_defaults[] = {{offsetof(wick_config, n_expert_used), 1}, {0, 0}};

const wick_arch wick_arch_ernie4_5_moe = {
    .name = "ernie4_5_moe",
    .hf = {"ernie4_5_moe"},
    .gguf = {"ernie4_5-moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .no_rope_scaling = true,
    .rope_interleaved = true,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .norm_floor = 1e-12f,
    .names = ernie4_5_moe_names,
    .configure = configure_ernie4_5_moe,
    .defaults = ernie4_5_moe_defaults,
};

const wick_arch wick_arch_mimo = {
    .name = "mimo",
    .hf = {"mimo"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qkv_bias = true,
};

const wick_arch wick_arch_internlm3 = {
    .name = "internlm3",
    .hf = {"internlm3"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
};

/* q, k and v of a key-value head side by side; GGUF's converter takes them apart. */
static const wick_role_name internlm2_names[] = {{WICK_ROLE_EMBED, "@tok_embeddings", NULL},
                                                 {WICK_ROLE_HEAD, "output", NULL},
                                                 {WICK_ROLE_ATTN_NORM, "@layers.%.attention_norm", NULL},
                                                 {WICK_ROLE_MLP_NORM, "@layers.%.ffn_norm", NULL},
                                                 {WICK_ROLE_QKV, "@layers.%.attention.wqkv", NULL},
                                                 {WICK_ROLE_O, "@layers.%.attention.wo", NULL},
                                                 {WICK_ROLE_GATE, "@layers.%.feed_forward.w1", NULL},
                                                 {WICK_ROLE_DOWN, "@layers.%.feed_forward.w2", NULL},
                                                 {WICK_ROLE_UP, "@layers.%.feed_forward.w3", NULL},
                                                 {0}};

const wick_arch wick_arch_internlm2 = {
    .name = "internlm2",
    .hf = {"internlm2"},
    .gguf = {"internlm2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .qkv_per_group = true,
    .names = internlm2_names,
};

static const wick_role_name apertus_names[] = {{WICK_ROLE_ATTN_NORM, "@layers.%.attention_layernorm", NULL},
                                               {WICK_ROLE_MLP_NORM, "@layers.%.feedforward_layernorm", NULL},
                                               {0}};

const wick_arch wick_arch_apertus = {
    .name = "apertus",
    .hf = {"apertus"},
    .gguf = {"apertus"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_XIELU,
    .plain_mlp = true,
    .qk = WICK_QK_HEAD,
    .names = apertus_names,
};

static const wick_role_name exaone_names[] = {{WICK_ROLE_EMBED, "@wte", NULL},
                                              {WICK_ROLE_OUT_NORM, "@ln_f", NULL},
                                              {WICK_ROLE_ATTN_NORM, "@h.%.ln_1", NULL},
                                              {WICK_ROLE_MLP_NORM, "@h.%.ln_2", NULL},
                                              {WICK_ROLE_Q, "@h.%.attn.attention.q_proj", NULL},
                                              {WICK_ROLE_K, "@h.%.attn.attention.k_proj", NULL},
                                              {WICK_ROLE_V, "@h.%.attn.attention.v_proj", NULL},
                                              {WICK_ROLE_O, "@h.%.attn.attention.out_proj", NULL},
                                              {WICK_ROLE_GATE, "@h.%.mlp.c_fc_0", NULL},
                                              {WICK_ROLE_UP, "@h.%.mlp.c_fc_1", NULL},
                                              {WICK_ROLE_DOWN, "@h.%.mlp.c_proj", NULL},
                                              {0}};

const wick_arch wick_arch_exaone = {
    .name = "exaone",
    .hf = {"exaone"},
    .gguf = {"exaone"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .roots = "transformer.|model.|",
    .names = exaone_names,
};

static const wick_role_name hunyuan_names[] = {{WICK_ROLE_Q_NORM, "@layers.%.self_attn.query_layernorm", NULL},
                                               {WICK_ROLE_K_NORM, "@layers.%.self_attn.key_layernorm", NULL},
                                               {0}};

/* rope_scaling's alpha stretches the base; GGUF's base is stretched already. */
static wick_status configure_hunyuan(wick_config *c, wick_err *err)
{
    double alpha = 1;
    const json_t *s = wick_config_get(c, "rope_scaling");
    if (c->from_gguf) return WICK_OK;
    if (!wick_config_get(c, "use_qk_norm")) c->qk_norm = true;
    if (s) WICK_TRY(wick_json_f64(s, "alpha", 1e-3, 1e9, 1, &alpha, c->where, err));
    uint32_t dim = c->head_dim ? c->head_dim : c->n_head ? c->n_embd / c->n_head : 0;
    if (dim > 2) c->rope_theta = (float)(c->rope_theta * pow(alpha, dim / (dim - 2.0)));
    return WICK_OK;
}

const wick_arch wick_arch_hunyuan_v1_dense = {
    .name = "hunyuan_v1_dense",
    .hf = {"hunyuan_v1_dense"},
    .gguf = {"hunyuan-dense"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .no_rope_scaling = true,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD_IF,
    .qk_after_rope = true,
    .names = hunyuan_names,
    .configure = configure_hunyuan,
};

static wick_status configure_minicpm(wick_config *c, wick_err *err)
{
    float depth = 0;
    uint32_t base = 0;
    if (c->from_gguf) {
        WICK_TRY(wick_config_f32(c, NULL, "embedding_scale", 1e-6, 1e6, &c->embed_scale, err));
        WICK_TRY(wick_config_f32(c, NULL, "residual_scale", 1e-6, 1e6, &c->residual_scale, err));
        return wick_config_f32(c, NULL, "logit_scale", 1e-6, 1e6, &c->logit_scale, err);
    }
    WICK_TRY(wick_config_f32(c, "scale_emb", NULL, 1e-6, 1e6, &c->embed_scale, err));
    WICK_TRY(wick_config_f32(c, "scale_depth", NULL, 1e-6, 1e6, &depth, err));
    WICK_TRY(wick_config_u32(c, "dim_model_base", NULL, 1, WICK_MAX_DIM, &base, err));
    if (depth > 0 && c->n_layer) c->residual_scale = depth / sqrtf((float)c->n_layer);
    if (base && c->n_embd && c->tie != 1)
        c->logit_scale = (float)base / (float)c->n_embd; /* with a head of its own only */
    return WICK_OK;
}

const wick_arch wick_arch_minicpm = {
    .name = "minicpm",
    .hf = {"minicpm"},
    .gguf = {"minicpm"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .rope_theta = 1000000,
    .gguf_permuted = true,
    .configure = configure_minicpm,
};

/* The width of the MLP follows from that of the rows: two thirds of four times it, in steps of 256. */
static wick_status configure_lille(wick_config *c, wick_err *err)
{
    WICK_TRY(wick_config_u32(c, "block_size", NULL, 1, 1 << 30, &c->n_ctx, err));
    if (c->n_embd <= WICK_MAX_DIM / 8) c->n_ff = (8 * c->n_embd / 3 + 128) / 256 * 256;
    return WICK_OK;
}

static const wick_role_name lille_names[] = {{WICK_ROLE_EMBED, "@tok_embeddings", NULL},
                                             {WICK_ROLE_ATTN_NORM, "@layers.%.attention.norm", NULL},
                                             {WICK_ROLE_QKV, "@layers.%.attention.qkv_proj", NULL},
                                             {WICK_ROLE_O, "@layers.%.attention.out_proj", NULL},
                                             {WICK_ROLE_MLP_NORM, "@layers.%.feed_forward.norm", NULL},
                                             {WICK_ROLE_GATE, "@layers.%.feed_forward.gate_proj", NULL},
                                             {WICK_ROLE_UP, "@layers.%.feed_forward.up_proj", NULL},
                                             {WICK_ROLE_DOWN, "@layers.%.feed_forward.down_proj", NULL},
                                             {0}};

const wick_arch wick_arch_lille = {
    .name = "lille",
    .hf = {"lille-130m"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_TIED,
    .roots = "transformer.|model.|",
    .names = lille_names,
    .configure = configure_lille,
};
