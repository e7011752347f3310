/* model/archs/nemotron.c - nemotron and minitron: LayerNorm that stores w of (1 + w), squared ReLU without a gate, half
 * of the dimensions turned (GGUF's converter has added the 1); nemotron_h: every layer is one thing, mamba2, attention
 * without positions, an MLP or experts. */
#include <string.h>
#include "format/gguf.h"
#include "model/arch.h"

const wick_arch wick_arch_nemotron = {
    .name = "nemotron",
    .hf = {"nemotron"},
    .gguf = {"nemotron"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_LAYER,
    .norm_plus_one = true,
    .act = WICK_ACT_RELU2,
    .plain_mlp = true,
    .rope_partial = 0.5f,
};

static const wick_role_name h_names[] = {
    {WICK_ROLE_EMBED, "@embeddings", NULL},
    {WICK_ROLE_OUT_NORM, "@norm_f", NULL},
    {WICK_ROLE_ATTN_NORM, "@layers.%.norm", NULL},
    {WICK_ROLE_Q, "@layers.%.mixer.q_proj", NULL},
    {WICK_ROLE_K, "@layers.%.mixer.k_proj", NULL},
    {WICK_ROLE_V, "@layers.%.mixer.v_proj", NULL},
    {WICK_ROLE_O, "@layers.%.mixer.o_proj", NULL},
    {WICK_ROLE_UP, "@layers.%.mixer.up_proj", NULL},
    {WICK_ROLE_DOWN, "@layers.%.mixer.down_proj", NULL},
    {WICK_ROLE_ROUTER, "@layers.%.mixer.gate", NULL},
    {WICK_ROLE_CORRECTION, "@layers.%.mixer.gate.e_score_correction_bias", NULL},
    {WICK_ROLE_EXP_UP, "@layers.%.mixer.switch_mlp.fc1|@layers.%.mixer.experts.#.up_proj", NULL},
    {WICK_ROLE_EXP_DOWN, "@layers.%.mixer.switch_mlp.fc2|@layers.%.mixer.experts.#.down_proj", NULL},
    {WICK_ROLE_SHARED_UP, "@layers.%.mixer.shared_experts.up_proj", NULL},
    {WICK_ROLE_SHARED_DOWN, "@layers.%.mixer.shared_experts.down_proj", NULL},
    {0}};

/* One of the pattern's letters, or a word of the lists that replaced it; false if it is neither. */
static bool mixer_of(const char *kind, uint8_t *out)
{
    static const struct {
        const char *name;
        wick_mixer mixer;
    } known[] = {{"M", WICK_MIX_MAMBA2}, {"mamba", WICK_MIX_MAMBA2},   {"linear_attention", WICK_MIX_MAMBA2},
                 {"*", WICK_MIX_ATTN},   {"attention", WICK_MIX_ATTN}, {"full_attention", WICK_MIX_ATTN},
                 {"-", WICK_MIX_FFN},    {"mlp", WICK_MIX_FFN},        {"E", WICK_MIX_FFN},
                 {"moe", WICK_MIX_FFN}};
    for (size_t i = 0; kind && i < sizeof known / sizeof *known; i++) {
        if (strcmp(kind, known[i].name) != 0) continue;
        *out = (uint8_t)known[i].mixer;
        return true;
    }
    return false;
}

/* hybrid_override_pattern is a word of letters or a list; newer files have layers_block_type or layer_types. */
static wick_status layers_from_json(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    const json_t *v = wick_config_get(c, "hybrid_override_pattern");
    if (!v) v = wick_config_get(c, "layers_block_type");
    if (!v) v = wick_config_get(c, "layer_types");
    size_t n = json_is_string(v) ? json_string_length(v) : json_array_size(v);
    if (n < 1 || n > WICK_MAX_LAYERS)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: hybrid_override_pattern: expected a letter per layer",
                         c->where);
    c->n_layer = (uint32_t)n;
    WICK_TRY(wick_config_mixers(c, WICK_MIX_FFN, &mix, err));
    for (size_t i = 0; i < n; i++) {
        char letter[2] = {json_is_string(v) ? json_string_value(v)[i] : 0, 0};
        const char *kind = json_is_string(v) ? letter : json_string_value(json_array_get(v, i));
        if (!mixer_of(kind, &mix[i]))
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: layer %zu: unknown kind \"%.40s\"", c->where, i,
                             kind ? kind : "(no string)");
    }
    return WICK_OK;
}

/* Layers with key-value heads attend, those with a feed-forward width are MLPs, the others mamba2. */
static wick_status layers_from_gguf(wick_config *c, wick_err *err)
{
    uint8_t *mix;
    const wick_gguf_value *kv = wick_config_gguf_list(c, "attention.head_count_kv"),
                          *ff = wick_config_gguf_list(c, "feed_forward_length");
    WICK_TRY(wick_config_mixers(c, WICK_MIX_MAMBA2, &mix, err));
    for (uint32_t i = 0; i < c->n_layer; i++) {
        if (kv && wick_gguf_elem_i64(kv, i) > 0)
            mix[i] = WICK_MIX_ATTN;
        else if (ff && wick_gguf_elem_i64(ff, i) > 0)
            mix[i] = WICK_MIX_FFN;
    }
    return WICK_OK;
}

static wick_status configure_h(wick_config *c, wick_err *err)
{
    uint32_t latent = 0;
    WICK_TRY(wick_config_u32(c, "moe_latent_size", "moe_latent_size", 0, WICK_MAX_DIM, &latent, err));
    if (latent)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where,
                         "%s: nemotron_h with experts in a latent space (moe_latent_size) cannot be run", c->where);
    WICK_TRY(c->from_gguf ? layers_from_gguf(c, err) : layers_from_json(c, err));
    WICK_TRY(wick_config_f32(c, "layer_norm_epsilon", NULL, 0, 1, &c->norm_eps, err));
    WICK_TRY(wick_config_u32(c, "conv_kernel", "ssm.conv_kernel", 1, 256, &c->conv_kernel, err));
    WICK_TRY(wick_config_u32(c, "ssm_state_size", "ssm.state_size", 1, 1 << 14, &c->ssm_state, err));
    WICK_TRY(wick_config_u32(c, "mamba_num_heads", "ssm.time_step_rank", 1, 1 << 14, &c->ssm_heads, err));
    WICK_TRY(wick_config_u32(c, "mamba_head_dim", NULL, 1, 1 << 14, &c->ssm_head_dim, err));
    WICK_TRY(wick_config_u32(c, "n_groups", "ssm.group_count", 1, 1 << 14, &c->ssm_groups, err));
    WICK_TRY(wick_config_u32(c, NULL, "ssm.inner_size", 1, WICK_MAX_DIM, &c->ssm_inner, err));
    if (c->from_gguf && c->ssm_heads) c->ssm_head_dim = c->ssm_inner / c->ssm_heads;
    c->ssm_inner = c->ssm_heads * c->ssm_head_dim;
    WICK_TRY(wick_config_u32(c, "moe_shared_expert_intermediate_size", NULL, 1, WICK_MAX_DIM, &c->n_ff_shared, err));
    if (!c->n_ff_shared && !c->from_gguf) c->n_ff_shared = c->n_ff;
    c->ssm_group_norm = true;
    c->group_by_top2 = true;
    return wick_config_step_limit(c, err);
}

const wick_arch wick_arch_nemotron_h = {
    .name = "nemotron_h",
    .hf = {"nemotron_h"},
    .gguf = {"nemotron_h", "nemotron_h_moe"},
    .block = wick_block_mixer,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_RELU2,
    .plain_mlp = true,
    .no_rope = true,
    .head = WICK_HEAD_OWN,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .roots = "backbone.|model.|",
    .names = h_names,
    .configure = configure_h,
};
