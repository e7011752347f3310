/* model/archs/mamba.c - mamba (falcon_mamba norms what it selects by), mamba2, and falcon_h1, which runs attention and
 * mamba2 side by side in each layer. */
#include <string.h>
#include "base/json.h"
#include "model/arch.h"

static const wick_role_name names[] = {{WICK_ROLE_EMBED, "@embeddings|@embedding", NULL},
                                       {WICK_ROLE_OUT_NORM, "@norm_f", NULL},
                                       {WICK_ROLE_ATTN_NORM, "@layers.%.norm", NULL},
                                       {0}};

static wick_status sizes(wick_config *c, wick_err *err)
{
    WICK_TRY(wick_config_u32(c, "conv_kernel|d_conv|mamba_d_conv", "ssm.conv_kernel", 1, 256, &c->conv_kernel, err));
    return wick_config_u32(c, "ssm_state_size|state_size|d_state|mamba_d_state", "ssm.state_size", 1, 1 << 14,
                           &c->ssm_state, err);
}

static wick_status configure_mamba(wick_config *c, wick_err *err)
{
    if (!c->n_layer) return WICK_OK;
    WICK_TRY(sizes(c, err));
    if (!c->from_gguf) c->norm_eps = 1e-5f; /* the reference does not ask the file */
    c->ssm_inner = c->n_ff;
    WICK_TRY(wick_config_u32(c, NULL, "ssm.inner_size", 1, WICK_MAX_DIM, &c->ssm_inner, err));
    const char *rank = json_string_value(wick_config_get(c, "time_step_rank"));
    if (rank && strcmp(rank, "auto") == 0)
        c->ssm_dt_rank = (c->n_embd + 15) / 16;
    else
        WICK_TRY(wick_config_u32(c, "time_step_rank", "ssm.time_step_rank", 1, WICK_MAX_DIM, &c->ssm_dt_rank, err));
    c->ssm_norm_eps = 1e-6f;
    c->ssm_inner_norms = strcmp(c->model_type, "falcon_mamba") == 0;
    WICK_TRY(wick_config_bool(c, "use_bcdt_rms", NULL, &c->ssm_inner_norms, err));
    WICK_TRY(wick_config_bool(c, NULL, "ssm.dt_b_c_rms", &c->ssm_inner_norms, err));
    WICK_TRY(wick_config_f32(c, "mixer_rms_eps", NULL, 0, 1, &c->ssm_norm_eps, err));
    return wick_config_mixers(c, WICK_MIX_MAMBA1, NULL, err);
}

const wick_arch wick_arch_mamba = {
    .name = "mamba",
    .hf = {"mamba", "falcon_mamba"},
    .gguf = {"mamba"},
    .block = wick_block_mixer,
    .norm = WICK_NORM_RMS,
    .no_rope = true,
    .roots = "backbone.|model.|",
    .names = names,
    .configure = configure_mamba,
};

static wick_status configure_mamba2(wick_config *c, wick_err *err)
{
    if (!c->n_layer) return WICK_OK;
    WICK_TRY(sizes(c, err));
    WICK_TRY(wick_config_u32(c, "num_heads", "ssm.time_step_rank", 1, 1 << 14, &c->ssm_heads, err));
    WICK_TRY(wick_config_u32(c, "n_groups", "ssm.group_count", 1, 1 << 14, &c->ssm_groups, err));
    c->ssm_head_dim = c->head_dim;
    if (c->from_gguf && c->ssm_heads) {
        WICK_TRY(wick_config_u32(c, NULL, "ssm.inner_size", 1, WICK_MAX_DIM, &c->ssm_inner, err));
        c->ssm_head_dim = c->ssm_inner / c->ssm_heads;
    }
    c->ssm_inner = c->ssm_heads * c->ssm_head_dim;
    if (!c->from_gguf) c->block_norm_eps = 1e-5f; /* only the last norm is the file's in the reference */
    WICK_TRY(wick_config_step_limit(c, err));
    return wick_config_mixers(c, WICK_MIX_MAMBA2, NULL, err);
}

const wick_arch wick_arch_mamba2 = {
    .name = "mamba2",
    .hf = {"mamba2"},
    .gguf = {"mamba2"},
    .block = wick_block_mixer,
    .norm = WICK_NORM_RMS,
    .no_rope = true,
    .roots = "backbone.|model.|",
    .names = names,
    .configure = configure_mamba2,
};

static const wick_block_step two_mixers[] = {{WICK_STEP_NORM, WICK_R_A, WICK_R_X, WICK_ROLE_ATTN_NORM},
                                             {WICK_STEP_MAMBA2, WICK_R_H, WICK_R_A, 0},
                                             {WICK_STEP_ATTN, WICK_R_A, WICK_R_A, 0},
                                             {WICK_STEP_ADD, WICK_R_X, WICK_R_H, 0},
                                             {WICK_STEP_ADD, WICK_R_X, WICK_R_A, 0},
                                             {WICK_STEP_NORM, WICK_R_H, WICK_R_X, WICK_ROLE_MLP_NORM},
                                             {WICK_STEP_FFN, WICK_R_H, WICK_R_H, 0},
                                             {WICK_STEP_ADD, WICK_R_X, WICK_R_H, 0},
                                             {WICK_STEP_END, WICK_R_X, WICK_R_X, 0}};

static const wick_role_name h1_names[] = {{WICK_ROLE_OUT_NORM, "@final_layernorm", NULL},
                                          {WICK_ROLE_MLP_NORM, "@layers.%.pre_ff_layernorm", NULL},
                                          {WICK_ROLE_GATE, "@layers.%.feed_forward.gate_proj", NULL},
                                          {WICK_ROLE_UP, "@layers.%.feed_forward.up_proj", NULL},
                                          {WICK_ROLE_DOWN, "@layers.%.feed_forward.down_proj", NULL},
                                          {0}};

/* mlp_multipliers and ssm_multipliers: lists of n numbers. */
static wick_status multipliers(const wick_config *c, const char *key, size_t n, float *out, wick_err *err)
{
    const json_t *v = wick_config_get(c, key);
    if (!v) return WICK_OK;
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_array_get(v, i);
        double x = json_number_value(e);
        if (json_array_size(v) != n || !json_is_number(e) || !(x > -1e9 && x < 1e9))
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: %s: expected %zu numbers", c->where, key, n);
        out[i] = (float)x;
    }
    return WICK_OK;
}

/* The factors that MLX's conversion puts into the weights, for files that it has not seen. The factor of the keys alone
 * is left out there, and so here. With tied heads the embedding's factor has to be taken out of the logits again. */
static wick_status raw_factors(wick_config *c, wick_err *err)
{
    float head = 0.0390625f, embed = 5.656854249492381f, in = 1, out = 0.9375f, ssm_in = 1.25f,
          ssm_out = 0.23570226039551587f, mlp[2] = {0.8838834764831844f, 0.5859375f},
          part[5] = {0.3535533905932738f, 0.25f, 0.3535533905932738f, 0.5f, 0.3535533905932738f};
    WICK_TRY(wick_config_f32(c, "lm_head_multiplier", NULL, 1e-9, 1e9, &head, err));
    WICK_TRY(wick_config_f32(c, "embedding_multiplier", NULL, 1e-9, 1e9, &embed, err));
    WICK_TRY(wick_config_f32(c, "attention_in_multiplier", NULL, 1e-9, 1e9, &in, err));
    WICK_TRY(wick_config_f32(c, "attention_out_multiplier", NULL, 1e-9, 1e9, &out, err));
    WICK_TRY(wick_config_f32(c, "ssm_in_multiplier", NULL, 1e-9, 1e9, &ssm_in, err));
    WICK_TRY(wick_config_f32(c, "ssm_out_multiplier", NULL, 1e-9, 1e9, &ssm_out, err));
    WICK_TRY(multipliers(c, "mlp_multipliers", 2, mlp, err));
    WICK_TRY(multipliers(c, "ssm_multipliers", 5, part, err));
    uint64_t bc = (uint64_t)c->ssm_groups * c->ssm_state, rows = 2ull * c->ssm_inner + 2 * bc + c->ssm_heads, at = 0;
    float *role = wick_arena_array(&c->arena, WICK_N_ROLES, sizeof *role),
          *row = wick_arena_array(&c->arena, rows, sizeof *row);
    if (!role || !row) return wick_err_oom(err, "the configuration", rows * sizeof *row, 0);
    role[WICK_ROLE_Q] = role[WICK_ROLE_K] = in;
    role[WICK_ROLE_O] = out;
    role[WICK_ROLE_SSM_OUT] = ssm_out;
    role[WICK_ROLE_GATE] = mlp[0];
    role[WICK_ROLE_DOWN] = mlp[1];
    const uint64_t width[5] = {c->ssm_inner, c->ssm_inner, bc, bc, c->ssm_heads};
    for (uint32_t p = 0; p < 5; p++)
        for (uint64_t i = 0; i < width[p]; i++) row[at++] = part[p] * ssm_in;
    c->raw_role_mul = role;
    c->raw_in_mul = row;
    c->raw_embed_scale = embed;
    c->raw_logit_scale = head;
    if (c->tie != 0) c->logit_scale = head / embed;
    return WICK_OK;
}

static wick_status configure_falcon_h1(wick_config *c, wick_err *err)
{
    if (!c->n_layer) return WICK_OK;
    if (!c->from_gguf) {
        c->conv_kernel = 4;
        c->ssm_state = 128;
        c->ssm_heads = 24;
        c->ssm_head_dim = 64;
        c->ssm_inner = 1536;
        c->ssm_groups = 1;
    }
    WICK_TRY(sizes(c, err));
    WICK_TRY(wick_config_u32(c, "mamba_n_heads", "ssm.time_step_rank", 1, 1 << 14, &c->ssm_heads, err));
    WICK_TRY(wick_config_u32(c, "mamba_d_head", NULL, 1, 1 << 14, &c->ssm_head_dim, err));
    WICK_TRY(wick_config_u32(c, "mamba_d_ssm", "ssm.inner_size", 1, WICK_MAX_DIM, &c->ssm_inner, err));
    WICK_TRY(wick_config_u32(c, "mamba_n_groups", "ssm.group_count", 1, 1 << 14, &c->ssm_groups, err));
    WICK_TRY(wick_config_bool(c, "mamba_norm_before_gate", NULL, &c->ssm_norm_before_gate, err));
    if (!c->from_gguf) return raw_factors(c, err);
    if (c->ssm_heads) c->ssm_head_dim = c->ssm_inner / c->ssm_heads;
    return WICK_OK;
}

static const wick_default falcon_h1_defaults[] = {{offsetof(wick_config, n_kv_head), 2}, {0, 0}};

const wick_arch wick_arch_falcon_h1 = {
    .name = "falcon_h1",
    .hf = {"falcon_h1"},
    .gguf = {"falcon-h1"},
    .block = two_mixers,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .rope_theta = 1e11f,
    .names = h1_names,
    .configure = configure_falcon_h1,
    .defaults = falcon_h1_defaults,
};
