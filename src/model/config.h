/* model/config.h - the numbers of a model, from config.json or from GGUF keys, checked against hard ranges.
 *
 * One table of fields (config.c) names the keys of both sources. Every number is finite and inside its range after
 * wick_config_from_json / wick_config_from_gguf; whether the tensors agree is for the checkpoint to say. */
#pragma once
#include <jansson.h>
#include "base/alloc.h"
#include "base/status.h"
#include "model/plan.h"

struct wick_gguf;
struct wick_tensor_dir;

#define WICK_MAX_LAYERS 1024
#define WICK_MAX_HEADS 1024
#define WICK_MAX_DIM (1 << 20)
#define WICK_MAX_VOCAB (1 << 24)
#define WICK_MAX_EXPERTS 4096

typedef enum wick_rope_kind {
    WICK_ROPE_DEFAULT, /* also dynamic NTK, which is the default up to the trained length, and mrope for text */
    WICK_ROPE_LINEAR,
    WICK_ROPE_LLAMA3,
    WICK_ROPE_YARN,
    WICK_ROPE_LONGROPE,
    WICK_ROPE_PROPORTIONAL
} wick_rope_kind;

/* rope_scaling / rope_parameters, as a file gives them. */
typedef struct wick_rope_params {
    wick_rope_kind kind;
    double factor, low_freq_factor, high_freq_factor, beta_fast, beta_slow, mscale, mscale_all_dim, attn_factor;
    double original_ctx;  /* 0: not said */
    double max_ctx;       /* max_position_embeddings; longrope's scale needs it */
    double partial;       /* proportional: share of the dimensions that turn */
    const float *factors; /* longrope's long_factor, or GGUF's rope_freqs: inv_freq is divided by them; [n_factors] */
    uint32_t n_factors;
    const float *short_factors; /* longrope's, for contexts up to the original one; [n_short], NULL: none */
    uint32_t n_short;
    double short_attn_factor; /* 0: as attn_factor */
} wick_rope_params;

/* What mixes tokens in a layer. */
typedef enum wick_mixer {
    WICK_MIX_ATTN,
    WICK_MIX_MLA,
    WICK_MIX_CONV,
    WICK_MIX_MAMBA1,
    WICK_MIX_MAMBA2,
    WICK_MIX_DELTA,
    WICK_MIX_FFN /* none: the layer is an MLP or experts alone (nemotron_h) */
} wick_mixer;

/* Fields that an architecture does not use stay zero. Extend freely: arch tables read them by name. */
typedef struct wick_config {
    const char *model_type; /* as the file says */
    const struct wick_arch *arch;
    bool from_gguf;
    uint32_t n_vocab, n_embd, n_layer, n_head, n_kv_head, head_dim, v_head_dim, n_ff, n_ctx;
    float norm_eps, block_norm_eps; /* of the norms inside the blocks; 0: the same */
    bool tie_embeddings, attn_bias, mlp_bias, qk_norm;
    wick_act act;
    float rope_theta, rope_local_theta, rope_partial;
    uint32_t window;
    uint32_t
        n_ahead; /* layers behind the last one that predict tokens further ahead: for drafts, never run as layers */
    const uint8_t *layer_window;  /* [n_layer] 1 = sliding, or NULL */
    json_t *json;                 /* config.json itself; NULL for GGUF; owned */
    const struct wick_gguf *gguf; /* or NULL; borrowed from the tensor directory */
    json_t *seen;                 /* keys of json that a reader looked at (known.c); owned */
    uint8_t *gguf_seen;           /* the same by index of gguf's keys */
    wick_arena arena;

    const char *where;                   /* the file, for messages */
    const json_t *text;                  /* text_config of a wrapper, else json */
    int8_t tie;                          /* tie_word_embeddings: 1, 0, -1 not said */
    const struct wick_block_step *block; /* NULL: the arch table's */
    wick_rope_params rope;
    bool rope_interleaved;
    bool both;                                      /* attention goes both ways */
    uint32_t pos_offset;                            /* rows of the position table before the first position's */
    bool no_windows;                                /* the file's way of saying that every layer is global */
    uint32_t rope_dims;                             /* GGUF's rope.dimension_count; 0: head_dim * rope_partial */
    const uint8_t *layer_no_rope;                   /* [n_layer] 1 = without positions, or NULL */
    const uint8_t *layer_mixer;                     /* [n_layer] of wick_mixer, or NULL: attention */
    float embed_scale, residual_scale, logit_scale; /* 0: 1 */
    float attn_scale;                               /* 0: head_dim^-0.5 */
    float attn_softcap, final_softcap, clip_qkv;
    /* Multipliers that MLX's converter folds into the weights and HF's checkpoints do not: of matrices by role (0:
     * none), of the rows of SSM_IN, of embedding and logits. */
    const float *raw_role_mul, *raw_in_mul; /* [WICK_N_ROLES], [rows of SSM_IN] */
    float raw_embed_scale, raw_logit_scale;
    float temp_beta; /* see wick_op_attn */
    uint32_t temp_len, temp_add;
    bool temp_global; /* only in layers that do not slide */
    bool chunked;     /* windows are chunks */
    uint32_t n_expert, n_expert_used, n_ff_expert, n_ff_shared, n_expert_shared, n_group, topk_group;
    float expert_scale; /* 0: 1 */
    bool norm_topk, group_by_top2, softmax_scores;
    bool norm_head; /* the columns of the output matrix are to be brought to length 1 (bailing_moe of HF) */
    float act_alpha, act_limit, route_jitter;
    uint32_t q_rank, kv_rank, nope_dim, mla_rope_dim; /* MLA */
    uint32_t conv_kernel, ssm_inner, ssm_state, ssm_heads, ssm_head_dim, ssm_groups, ssm_dt_rank;
    float ssm_dt_min, ssm_dt_max, ssm_norm_eps;
    bool ssm_inner_norms, ssm_norm_before_gate;
    bool ssm_group_norm;                      /* the gated norm runs over each group, not the whole row */
    uint32_t global_head_dim, global_kv_head; /* of layers that do not slide; 0: as the others */
    uint32_t n_kv_shared; /* so many last layers read the cache of the last one before of their kind */
    bool shared_wide;     /* those have an MLP of twice the width */
    bool global_k_is_v;   /* layers that do not slide have no v of their own */
    uint32_t ple_dim;     /* width of the inputs that layers have of their own; 0: none */
    bool router_apart;    /* the router reads register A */
    uint32_t lin_k_heads, lin_v_heads, lin_k_dim, lin_v_dim; /* gated delta net */
} wick_config;

/* Parses config.json, takes its text_config where it is a wrapper, finds the architecture, fills and checks.
 * `meta_only`: an unknown architecture is no error (arch stays NULL), for inspection. */
wick_status wick_config_from_json(wick_config *c, const char *path, bool meta_only, wick_err *err) WICK_MUST_CHECK;
/* The same from parsed JSON, which is taken (also on failure). `where` names it in messages. */
wick_status wick_config_from_value(wick_config *c, json_t *json, const char *where, bool meta_only,
                                   wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_from_gguf(wick_config *c, const struct wick_tensor_dir *dir, const char *where, bool meta_only,
                                  wick_err *err) WICK_MUST_CHECK;
void wick_config_release(wick_config *c); /* fine on a zeroed struct */

/* For arch tables: reads one value from whichever source there is. `keys`: JSON names separated by '|' (looked up in
 * text_config, then in the wrapper), `gguf`: the key without its "<arch>." or NULL. Absent or null leaves *out. */
wick_status wick_config_u32(const wick_config *c, const char *keys, const char *gguf, uint32_t lo, uint32_t hi,
                            uint32_t *out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_f32(const wick_config *c, const char *keys, const char *gguf, double lo, double hi, float *out,
                            wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_bool(const wick_config *c, const char *keys, const char *gguf, bool *out,
                             wick_err *err) WICK_MUST_CHECK;
/* The JSON value of a key, text_config first; NULL if absent, null, or the source is GGUF. */
const json_t *wick_config_get(const wick_config *c, const char *key);
/* [n_layer] of wick_mixer, all `kind`, into layer_mixer. */
wick_status wick_config_mixers(wick_config *c, wick_mixer kind, uint8_t **out, wick_err *err) WICK_MUST_CHECK;
/* time_step_limit: [lo, hi], where hi may be infinite ({"__float__": "Infinity"}), which is left as none. */
wick_status wick_config_step_limit(wick_config *c, wick_err *err) WICK_MUST_CHECK;
/* Numbers per layer of a GGUF key, or NULL where it has none: as a list of n_layer, to be read with
 * wick_gguf_elem_i64. */
const struct wick_gguf_value *wick_config_gguf_list(const wick_config *c, const char *key);
/* Full name of a GGUF key of this architecture, in a buffer of the caller; returns it. */
const char *wick_config_gguf_key(const wick_config *c, const char *key, char *buf, size_t cap);

/* config_gguf.c: the value readers behind the functions above. */
wick_status wick_config_gguf_u32(const wick_config *c, const char *key, uint32_t lo, uint32_t hi, uint32_t *out,
                                 wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_gguf_f32(const wick_config *c, const char *key, double lo, double hi, float *out,
                                 wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_gguf_bool(const wick_config *c, const char *key, bool *out, wick_err *err) WICK_MUST_CHECK;
/* config.c: the table of fields from whichever source, the arch's hook, the checks that hold for all. */
wick_status wick_config_fill(wick_config *c, wick_err *err) WICK_MUST_CHECK;
/* known.c: readers note what they look at, from wick_config_watch on. */
void wick_config_watch(wick_config *c);
bool wick_config_saw_json(const wick_config *c, const char *key);
void wick_config_saw_gguf(const wick_config *c, const struct wick_gguf_value *v);
/* config_rope.c */
wick_status wick_config_rope_json(wick_config *c, wick_err *err) WICK_MUST_CHECK;
wick_status wick_config_rope_gguf(wick_config *c, wick_err *err) WICK_MUST_CHECK;
/* config_layers.c: layer_window by the arch's rule */
wick_status wick_config_layers(wick_config *c, wick_err *err) WICK_MUST_CHECK;
