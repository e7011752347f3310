/* model/config.h - the numbers of a model, from config.json or from GGUF keys, checked against hard ranges. */
#pragma once
#include <jansson.h>
#include "base/alloc.h"
#include "base/status.h"
#include "model/plan.h"

struct wick_gguf;

#define WICK_MAX_LAYERS 1024

/* Fields that an architecture does not use stay zero. Extend freely: arch tables read them by name. */
typedef struct wick_config {
    const char *model_type;   /* as the file says */
    const struct wick_arch *arch;
    bool from_gguf;
    uint32_t n_vocab, n_embd, n_layer, n_head, n_kv_head, head_dim, v_head_dim, n_ff, n_ctx;
    float norm_eps;
    bool tie_embeddings, attn_bias, mlp_bias, qk_norm;
    wick_act act;
    float rope_theta, rope_local_theta, rope_partial;
    uint32_t window;
    const uint8_t *layer_window;  /* [n_layer] 1 = sliding, or NULL */
    json_t *json;                 /* config.json itself; NULL for GGUF; owned */
    const struct wick_gguf *gguf; /* or NULL; borrowed from the tensor directory */
    wick_arena arena;
} wick_config;
