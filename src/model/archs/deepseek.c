/* model/archs/deepseek.c - deepseek 2 and 3: latent attention, experts in groups, shared experts, the first layers
 * dense. Version 2 routes by softmax, version 3 by sigmoid with a correction; GGUF calls both deepseek2. */
#include <string.h>
#include "base/json.h"
#include "model/arch.h"

/* GGUF tells the sizes of the heads before compression apart from those of what is cached. */
static wick_status gguf_dims(wick_config *c, wick_err *err)
{
    uint32_t key = c->head_dim, value = c->v_head_dim;
    float log_mul = 0;
    WICK_TRY(wick_config_u32(c, NULL, "attention.key_length_mla", 1, 1 << 14, &key, err));
    WICK_TRY(wick_config_u32(c, NULL, "attention.value_length_mla", 1, 1 << 14, &value, err));
    WICK_TRY(wick_config_f32(c, NULL, "rope.scaling.yarn_log_multiplier", 0, 100, &log_mul, err));
    c->mla_rope_dim = c->rope_dims;
    c->nope_dim = key > c->rope_dims ? key - c->rope_dims : 0;
    c->v_head_dim = value;
    c->rope.mscale = c->rope.mscale_all_dim = log_mul * 10; /* stored as 0.1 * mscale_all_dim */
    return WICK_OK;
}

static wick_status configure(wick_config *c, wick_err *err)
{
    const char *method = NULL;
    uint32_t gating = 0;
    if (!c->n_layer) return WICK_OK;
    if (c->from_gguf) WICK_TRY(gguf_dims(c, err));
    if (!c->kv_rank || !c->nope_dim || !c->mla_rope_dim || !c->v_head_dim)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where,
                         "%s: the sizes of latent attention (kv_lora_rank, qk_nope_head_dim, qk_rope_head_dim, "
                         "v_head_dim) are incomplete",
                         c->where);
    c->head_dim = c->nope_dim + c->mla_rope_dim;
    c->n_kv_head = c->n_head;
    bool v3 = c->arch->routing == WICK_ROUTE_SIGMOID_TOPK;
    if (c->from_gguf) {
        WICK_TRY(wick_config_u32(c, NULL, "expert_gating_func", 0, 8, &gating, err));
        v3 = gating == 2;
        c->softmax_scores = !v3;
    } else {
        WICK_TRY(wick_json_str(c->json, "topk_method", &method, c->where, err));
        if (!v3 && (!method || strcmp(method, "group_limited_greedy") != 0)) c->n_group = 0;
    }
    c->group_by_top2 = v3;
    if (!v3) c->norm_topk = false;
    return wick_config_mixers(c, WICK_MIX_MLA, NULL, err);
}

static const wick_default deepseek_v3_defaults[] = {
    {offsetof(wick_config, kv_rank), 512},     {offsetof(wick_config, q_rank), 1536},
    {offsetof(wick_config, mla_rope_dim), 64}, {offsetof(wick_config, v_head_dim), 128},
    {offsetof(wick_config, nope_dim), 128},    {offsetof(wick_config, norm_topk), 1},
    {offsetof(wick_config, n_expert_used), 1}, {0, 0}};

const wick_arch wick_arch_deepseek_v3 = {
    .name = "deepseek_v3",
    .hf = {"deepseek_v3", "kimi_k2", "kimi_k25", "kimi_vl", "joyai_llm_flash"},
    .gguf = {"deepseek2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_OWN,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .configure = configure,
    .defaults = deepseek_v3_defaults,
};

/* GLM 4.7 Flash: the same with other epsilons. */
static const wick_default glm4_moe_lite_defaults[] = {{offsetof(wick_config, kv_rank), 512},
                                                      {offsetof(wick_config, q_rank), 768},
                                                      {offsetof(wick_config, mla_rope_dim), 64},
                                                      {offsetof(wick_config, v_head_dim), 256},
                                                      {offsetof(wick_config, nope_dim), 192},
                                                      {offsetof(wick_config, norm_topk), 1},
                                                      {offsetof(wick_config, n_expert_used), 4},
                                                      {offsetof(wick_config, expert_scale), 1.8},
                                                      {0, 0}};

const wick_arch wick_arch_glm4_moe_lite = {
    .name = "glm4_moe_lite",
    .hf = {"glm4_moe_lite"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_OWN,
    .mla_file_eps = true,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .rope_theta = 1000000,
    .configure = configure,
    .defaults = glm4_moe_lite_defaults,
};

static const wick_default deepseek_v2_defaults[] = {
    {offsetof(wick_config, kv_rank), 512},     {offsetof(wick_config, q_rank), 1536},
    {offsetof(wick_config, mla_rope_dim), 64}, {offsetof(wick_config, v_head_dim), 128},
    {offsetof(wick_config, nope_dim), 128},    {0, 0}};

const wick_arch wick_arch_deepseek_v2 = {
    .name = "deepseek_v2",
    .hf = {"deepseek_v2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .norm_eps = 1e-6f,
    .act = WICK_ACT_SILU,
    .rope_interleaved = true,
    .head = WICK_HEAD_OWN,
    .routing = WICK_ROUTE_SOFTMAX_TOPK,
    .configure = configure,
    .defaults = deepseek_v2_defaults,
};
