/* model/arch.h - an architecture as a table, and the registry of tables (one file each in archs/).
 *
 * A block is a list of steps over the plan's registers; the rest are options of shared ops. What a file's tensors
 * show (biases, fused matrices, a head of its own) is not in the table: the checkpoint looks. Where a table cannot
 * say it, `configure` fills in numbers after the common ones were read. docs/ADDING_A_MODEL.md walks through one. */
#pragma once
#include "model/config.h"
#include "model/pooler.h"

typedef enum wick_role {
#define ROLE(name, hf, gguf) WICK_ROLE_##name,
#include "model/roles.def"
#undef ROLE
    WICK_N_ROLES
} wick_role;

typedef enum wick_step_kind {
    WICK_STEP_END,
    WICK_STEP_NORM, /* dst = norm(src) with the weights of `role` */
    WICK_STEP_MIX,  /* dst = the layer's token mixer of src: attention, MLA, convolution, state space */
    WICK_STEP_ATTN,
    WICK_STEP_MAMBA2, /* one certain mixer, in blocks that have two */
    WICK_STEP_FFN,    /* dst = MLP or MoE of src */
    WICK_STEP_MLP,    /* the MLP of a layer that has experts too */
    WICK_STEP_PLE,    /* dst = the layer's own input, gated by src */
    WICK_STEP_ADD,    /* dst += src * residual_scale */
    WICK_STEP_COPY    /* dst = src */
} wick_step_kind;

typedef struct wick_block_step {
    wick_step_kind kind;
    wick_reg dst, src;
    wick_role role;
} wick_block_step;

/* x += mix(norm(x)); x += ffn(norm(x)) */
extern const wick_block_step wick_block_prenorm[];
/* x += norm(mix(norm(x))); x += norm(ffn(norm(x))) */
extern const wick_block_step wick_block_sandwich[];
/* x += norm(mix(x)); x += norm(ffn(x)) */
extern const wick_block_step wick_block_postnorm[];
/* x += mix(norm(x)) + ffn(norm(x)), one norm */
extern const wick_block_step wick_block_parallel[];
/* the same with a norm for each branch */
extern const wick_block_step wick_block_parallel2[];
/* x = norm(x + mix(x)); x = norm(x + ffn(x)) */
extern const wick_block_step wick_block_bert[];
/* x += mix(norm(x)) */
extern const wick_block_step wick_block_mixer[];

typedef enum wick_head_rule {
    WICK_HEAD_AUTO, /* tie_word_embeddings if said, else its own where the file has one */
    WICK_HEAD_TIED,
    WICK_HEAD_OWN,
    WICK_HEAD_FILE /* its own where the file has one, whatever the config says */
} wick_head_rule;

typedef enum wick_qk_rule {
    WICK_QK_NONE,
    WICK_QK_HEAD,             /* RMS norm per head, required */
    WICK_QK_ROW,              /* RMS norm over all heads together, required */
    WICK_QK_ROW_IF,           /* the same unless use_qk_norm is false */
    WICK_QK_UNIT_IF,          /* per head without a weight, where qk_norm says so, in layers that turn */
    WICK_QK_HEAD_IF,          /* per head where qk_norm says so */
    WICK_QK_LAYER_PER_HEAD_IF /* LayerNorm without bias, a weight per head, where qk_norm says so */
} wick_qk_rule;

typedef enum wick_window_rule {
    WICK_WINDOW_NONE,
    WICK_WINDOW_LAYER_TYPES, /* layer_types; without them every layer is global */
    WICK_WINDOW_PATTERN      /* layer_types, else every window_pattern-th layer is global, the others slide */
} wick_window_rule;

typedef struct wick_role_name {
    wick_role role;
    const char *hf, *gguf; /* NULL: as roles.def has it; "" : none */
} wick_role_name;

/* The value of a field of wick_config that config.json leaves out (a null is not left out). */
typedef struct wick_default {
    size_t offset; /* of the field, which config.c's table must have */
    double value;
} wick_default;

typedef struct wick_arch {
    const char *name;
    const char *hf[8], *gguf[4]; /* model_type and general.architecture values */
    const char *variant_of;      /* shown by inspect, or NULL */
    const wick_block_step *block;
    wick_norm_kind norm;
    /* HF's files store a norm weight w that stands for 1 + w; MLX's conversions have the 1 added already. The two are
     * told apart by the layout of the convolution's weight. */
    bool torch_plus_one;
    bool norm_plus_one; /* files of MLX and HF store w of (1 + w) */
    wick_act act;
    bool bare_norm;         /* norms have no weights */
    bool encoder;           /* attention goes both ways; no output matrix; norms that the file leaves out are none */
    wick_pool_act pool_act; /* between the two matrices of a classifier */
    bool alibi;             /* positions are slopes on the scores */
    bool up_first;          /* fused gate and up: up is the first half */
    bool plain_mlp;         /* no gate */
    bool ff_by_weights;     /* the width of the MLP is that of its tensors, whatever intermediate_size says */
    bool qkv_bias;          /* q, k, v biases are required */
    bool no_rope, rope_interleaved;
    bool gguf_permuted;       /* GGUF's converter reordered q and k for interleaved rope */
    bool conv1d;              /* HF stores matrices as [in][out] */
    bool qkv_per_head;        /* the fused q, k, v of HF and MLX are interleaved by head */
    bool qkv_per_group;       /* ... by key-value head: its queries, its key, its value (internlm2) */
    bool experts_turned;      /* stacked experts without ".weight" are [in][out] (transformers' own layout) */
    bool attn_out_gate;       /* q_proj gives a gate per head too (qwen3_next) */
    bool delta_tiled;         /* GGUF's converter reordered the value heads of delta nets: key head i % n_k_head */
    bool v_norm;              /* RMS norm of v per head, without a weight */
    bool qk_after_rope;       /* q and k are normed after they are turned */
    bool mla_file_eps;        /* the low-rank norms have the file's epsilon */
    bool plain_local_rope;    /* sliding layers turn without scaling, at rope_local_theta where given */
    bool gate_up_interleaved; /* EXP_GATE_UP alternates rows of gate and up */
    wick_head_rule head;
    wick_qk_rule qk;
    wick_window_rule windows;
    uint32_t window_pattern; /* default of sliding_window_pattern */
    wick_routing routing;
    bool scale_input;     /* an expert's weight multiplies its input */
    float norm_floor;     /* added to the sum of the chosen experts' scores */
    bool no_rope_scaling; /* what config.json says of rope scaling is not applied, in the reference neither */
    bool rope_local_only; /* in models with windows, only the sliding layers know positions */
    float rope_theta, rope_partial, norm_eps; /* defaults; 0: 10000, 1, 1e-5 */
    const char *roots; /* candidates for `@`, separated by '|'; NULL: the usual ones; an empty piece is allowed */
    const wick_default *defaults; /* of config.json, as the reference has them; ended by {0, 0}, or NULL */
    const char *const *idle;      /* known.c: parts of names of tensors that are left alone; ended by NULL, or NULL */
    const wick_role_name *names;  /* ended by {0} with hf and gguf NULL, or NULL */
    wick_status (*configure)(wick_config *c, wick_err *err); /* or NULL */
} wick_arch;

extern const wick_arch *const wick_archs[]; /* NULL-terminated, sorted as archs.def */

const wick_arch *wick_arch_find(const char *name, bool gguf); /* NULL if unknown */
/* WICK_E_UNSUPPORTED_FORMAT, with the known names nearest to `name`. */
wick_status wick_arch_unknown(const char *name, bool gguf, const char *where, wick_err *err);

/* names.c: the pattern of a role for an arch, NULL if it has none. */
const char *wick_role_pattern(const wick_arch *a, wick_role r, bool gguf);
/* Writes alternative `alt` of a pattern with root, layer and expert filled in. False: there is none, or it is too
 * long. */
bool wick_role_path(const char *pattern, uint32_t alt, const char *root, uint32_t layer, uint32_t expert, char *buf,
                    size_t cap);
const char *wick_role_label(wick_role r);
