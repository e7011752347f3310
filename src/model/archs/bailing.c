/* model/archs/bailing.c - bailing_moe (Ling, Ring): fused q, k, v, experts chosen by softmax or by sigmoid in groups,
 * one always on. GGUF has the second version under a name of its own, in which q and k are not reordered. */
#include <string.h>
#include "model/arch.h"

static const wick_role_name names[] = {{WICK_ROLE_EMBED, "@word_embeddings", NULL},
                                       {WICK_ROLE_QKV, "@layers.%.attention.query_key_value", NULL},
                                       {WICK_ROLE_O, "@layers.%.attention.dense", NULL},
                                       {WICK_ROLE_Q_NORM, "@layers.%.attention.query_layernorm", NULL},
                                       {WICK_ROLE_K_NORM, "@layers.%.attention.key_layernorm", NULL},
                                       {WICK_ROLE_ROUTER, "@layers.%.mlp.gate.gate_proj|@layers.%.mlp.gate", NULL},
                                       {WICK_ROLE_CORRECTION, "@layers.%.mlp.gate.expert_bias", NULL},
                                       {0}};

static wick_status configure(wick_config *c, wick_err *err)
{
    uint32_t gating = 0, ahead = 0, shared = c->n_ff_expert;
    const char *score = json_string_value(wick_config_get(c, "score_function"));
    WICK_TRY(wick_config_u32(c, NULL, "expert_gating_func", 0, 8, &gating, err));
    c->softmax_scores = c->from_gguf ? gating != 2 : !score || strcmp(score, "sigmoid") != 0;
    c->group_by_top2 = true;
    if (!c->topk_group) c->topk_group = c->n_group;
    WICK_TRY(wick_config_bool(c, "norm_head", NULL, &c->norm_head, err)); /* done already in GGUF */
    WICK_TRY(wick_config_u32(c, "rotary_dim", NULL, 2, 1 << 14, &c->rope_dims, err));
    WICK_TRY(wick_config_u32(c, NULL, "nextn_predict_layers", 0, WICK_MAX_LAYERS, &ahead, err));
    c->n_layer = ahead < c->n_layer ? c->n_layer - ahead : 0; /* layers that predict further ahead are not run */
    WICK_TRY(wick_config_u32(c, "moe_shared_expert_intermediate_size", NULL, 1, WICK_MAX_DIM, &shared, err));
    if (!c->from_gguf && (uint64_t)shared * c->n_expert_shared <= WICK_MAX_DIM)
        c->n_ff_shared = shared * c->n_expert_shared;
    if (c->from_gguf) c->rope_interleaved = strcmp(c->model_type, "bailingmoe") == 0;
    return WICK_OK;
}

const wick_arch wick_arch_bailing_moe = {
    .name = "bailing_moe",
    .hf = {"bailing_moe", "bailing_moe_v2"},
    .gguf = {"bailingmoe", "bailingmoe2"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .gguf_permuted = true,
    .qk = WICK_QK_HEAD_IF,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .names = names,
    .configure = configure,
};
