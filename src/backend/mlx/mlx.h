/* backend/mlx/mlx.h - what the parts of the MLX backend share: the context, a loaded model, its weights and its KV.
 *
 * A step is a graph of MLX arrays built op by op from the plan and evaluated at once. Rows of several sequences are
 * laid side by side in two dimensions [n_tokens][width], so every linear layer is one product; only attention sees
 * sequences.
 *
 * KV lives in bundles. A bundle holds, per cache, one array of K and one of V, [rows][kv_head][capacity][dim]; a row is
 * a sequence. Sequences that decode together share a bundle, so their attention is one call; a sequence with a prompt
 * has one of its own. Arrays are immutable values for MLX, which updates in place when nobody else refers to them:
 * forks share for nothing and copy on the first write.
 *
 * Invariants:
 * 1. All calls into MLX come from the thread that opened the context (its streams belong to that thread).
 * 2. Graphs are built first, then bundles take the new arrays, then the graph is reset, then it is evaluated: so a step
 *    that cannot be built leaves every sequence as it was, and buffers are updated in place.
 * 3. Numbers that meet activations have the activations' type.
 */
#pragma once
#include "backend/backend.h"
#include "backend/mlx/graph.h"
#include "base/alloc.h"

#define WICK_KV_STEP 256 /* capacity grows by this: what MLX's decode kernels want, and what mlx-lm does */

struct wick_backend_ctx {
    wick_backend_opts opts;
    mlx_device device;
    mlx_stream stream;
    bool gpu, compile, lazy; /* lazy: one evaluation a step instead of one an op */
    char device_name[96];
    uint64_t memory_bytes;
};

/* One matrix, or n_mat of one shape: what a product needs. */
typedef struct wick_mlx_lin {
    const uint8_t *key_data, *key_scales; /* the first matrix's, to find it again (tied weights) */
    uint32_t n_mat, n_out, n_in;
    bool quantized;
    int group, bits;
    const char *mode;            /* of MLX: "affine", "mxfp4", "nvfp4", "mxfp8" */
    mlx_array w, scales, biases; /* packed; dense: w is [n_out][n_in] */
    mlx_array wt;                /* dense: its transpose, a view */
    float global_scale;
    uint64_t bytes;
} wick_mlx_lin;

/* Places of matrices (W_) and vectors (V_) in a node, by op. */
enum { WICK_NODE_W = 8, WICK_NODE_V = 12 };
enum { W_MAIN, W_POS, W_TYPE };                                                /* EMBED, HEAD */
enum { W_Q, W_K, W_V, W_O, W_QKV };                                            /* ATTN; W_QKV: the first three as one */
enum { W_QA = 4, W_KVA, W_KB, W_VB };                                          /* MLA: also W_Q, W_O */
enum { W_GATE, W_UP, W_DOWN, W_ROUTER, W_S_GATE, W_S_UP, W_S_DOWN, W_SHARED }; /* MLP, MOE; W_GATE alone: both */
enum { W_IN, W_X, W_DT, W_OUT, W_Z };                                          /* CONV, MAMBA, DELTA */
enum { W_PLE_TABLE, W_PLE_PROJ, W_PLE_GATE, W_PLE_OUT };                       /* PLE; V_W: the norm */
enum { V_W, V_B };                                                             /* NORM, HEAD */
enum { V_Q, V_K, V_V, V_O, V_QN, V_KN, V_SINKS, V_FREQS, V_MSCALE };           /* ATTN, MLA */
enum { V_GATE, V_UP, V_DOWN, V_ROUTER, V_CORRECTION, V_S_GATE, V_S_UP, V_S_DOWN, V_OUT_SCALE }; /* MLP, MOE */
enum { V_CONV, V_CONV_B, V_B_IN, V_B_DT, V_B_OUT, V_A, V_D, V_NORM, V_DT_NORM, V_B_NORM, V_C_NORM, V_IN_MUL };

typedef struct wick_mlx_node {
    const wick_op *op;
    const wick_mlx_lin *w[WICK_NODE_W];
    mlx_array v[WICK_NODE_V];
} wick_mlx_node;

typedef struct wick_bundle {
    mlx_array *kv;   /* [wick_mlx_kv_slots()]: see kv.h; empty until first written */
    mlx_array *next; /* the same, of the step that is being built */
    uint32_t n_rows, n_live, capacity;
    uint32_t next_capacity;
    bool own; /* its arrays were written by a step, and nothing else refers to them */
    uint64_t bytes;
} wick_bundle;

struct wick_seq {
    wick_backend_model *m;
    wick_bundle *bundle; /* NULL: nothing was written yet */
    uint32_t row, len;
    uint32_t mark;             /* number of the step that named it */
    uint32_t pick_no, pick_at; /* the step that picked a token for it, and which of that step's picks it is */
    bool lost;                 /* a step failed after its buffers were given away */
};

/* Rows of the step that attend together: the rows of one bundle, one token each, or one sequence with n tokens. */
typedef struct wick_group {
    wick_bundle *bundle;
    uint32_t first, n_tokens; /* in the step's order */
    uint32_t n_seqs, len;     /* len: of the longest, before this step */
    bool even;                /* all of the same length */
    uint32_t first_row;       /* of row_of */
} wick_group;

typedef struct wick_mask {
    uint32_t group, window, n_query; /* n_query 0: bool; else added to scores, for so many queries of a row */
    mlx_array a;
} wick_mask;

/* Where the rows of a group that is not even write: the index that was used last. */
typedef struct wick_spot {
    const wick_group *gr;
    int heads, dim;
    mlx_array at;
} wick_spot;

/* A step under construction. */
typedef struct wick_mlx_step {
    uint32_t n, n_rows, n_groups;
    uint32_t n_out, n_picks;  /* tokens with an output; the last n_picks of them are picks */
    int32_t *token, *pos;     /* [max_tokens] in the step's order; token -1 - i: pick i of the step before */
    int32_t *type;            /* [max_tokens] 1: in the second text of a pair */
    const wick_row **row;     /* [n_rows] in the step's order; the batch's, so only while it is submitted */
    wick_seq **seq;           /* the same rows' sequences */
    wick_group *group;        /* [n_groups] */
    int32_t *out_at;          /* [n_out]: index of a token in the step's order. Vectors in the order of the batch, then
                               * the picks in the step's */
    uint32_t *rank, *pick_of; /* [n_rows] of the batch: picks before a row; [n_picks]: its place in the batch's order */
    uint32_t n_unknown;       /* tokens that are picks */
    bool hidden, compact;
    mlx_array positions, ids; /* [n] of the tokens that are computed */
    mlx_array reg[WICK_N_REGS];
    wick_mask *mask;
    uint32_t n_masks, mask_cap;
    wick_spot spot;
} wick_mlx_step;

/* What a step gives, as arrays. */
typedef struct wick_mlx_out {
    mlx_array vec;         /* [n_vec][width] float32 */
    mlx_array id, logprob; /* [n_picks] uint32, float32 */
} wick_mlx_out;

/* A step under way. */
typedef struct wick_mlx_flight {
    wick_mlx_out out;
    wick_seq **seq;    /* [n_rows]; NULL: freed meanwhile */
    uint32_t *pick_of; /* [n_picks] */
    uint32_t n_rows, n_vec, n_picks, width;
    double started_ms;
} wick_mlx_flight;

/* Products of 4-bit weights with few rows by kernels of our own. */
typedef enum wick_mlx_own { WICK_MLX_NONE, WICK_MLX_FLOATS, WICK_MLX_TILES, WICK_MLX_N_OWN } wick_mlx_own;
enum { WICK_MLX_OWN_ROWS = 32 };

struct wick_backend_model {
    wick_backend_ctx *ctx;
    const wick_plan *plan;
    uint32_t max_tokens, n_nodes, last_cache_op;
    uint32_t expand_rows, pad_rows; /* see linear.c; 0: never */
    mlx_dtype act;                  /* type of activations, and of KV where it is not quantized */
    int kv_bits;                    /* 8, 4; 0: not quantized */
    wick_graph g;
    wick_mlx_lin **lin; /* [n_lins] */
    uint32_t n_lins, lin_cap;
    wick_mlx_node *node; /* [n_nodes] */
    wick_mlx_step step;
    uint64_t kv_bytes, weight_bytes, bytes_per_token, state_bytes, kv_limit_bytes;
    uint64_t room_bytes; /* memory that is left; 0: what the system says */
    uint32_t most_heads; /* query heads of a layer */
    uint32_t step_no;
    wick_mlx_flight flight[2]; /* the older one first */
    uint32_t n_flights;
    mlx_array picked;           /* ids of the last step that picked, in its order; empty: none */
    uint32_t pick_no, picked_n; /* number of that step, and of its picks */
    mlx_array result;           /* vectors that the last wait gave */
    wick_pick *pick;            /* [max_tokens] and its picks */
    mlx_closure fused_act[8];   /* compiled activations, by wick_act */
    bool compiled;
    mlx_fast_cuda_kernel kernel[WICK_MLX_N_OWN]; /* see qmv.c */
    wick_mlx_own own[1 + WICK_MLX_OWN_ROWS / 8]; /* which one for one row, up to 8, up to 16, ... */
    struct wick_mlx_decode *decode;              /* see fused.c; NULL: none */
    uint64_t n_steps, n_tokens;
    double step_ms, landed_ms;
    double build_ms, encode_ms; /* host time of building graphs, and of MLX starting them */
    char label[160];
};

/* check.c: can this backend run the plan; names what is missing */
wick_status wick_mlx_check(const wick_plan *plan, wick_err *err) WICK_MUST_CHECK;
bool wick_mlx_has_blocks(const wick_plan *plan); /* GGUF block types, whose scales are float16 */

mlx_dtype wick_mlx_dtype_of(wick_dtype t); /* arrays.c: of a plain float type */

/* weights.c */
wick_status wick_mlx_load_weights(wick_backend_model *m, wick_progress progress, wick_err *err) WICK_MUST_CHECK;
void wick_mlx_unload_weights(wick_backend_model *m);

/* linear.c: sets expand_rows and pad_rows, from which on other products are faster, for this device. */
void wick_mlx_tune(wick_backend_model *m);
/* y[n][n_out] = x[n][n_in] w^T (+ bias), whatever the encoding; experts: one matrix per row of idx. */
mlx_array wick_mlx_linear(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n, mlx_array bias);
mlx_array wick_mlx_gather_linear(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, mlx_array idx, bool sorted);
mlx_array wick_mlx_rows(wick_backend_model *m, const wick_mlx_lin *l, mlx_array ids, uint32_t n);
mlx_array wick_mlx_activation(wick_backend_model *m, wick_act act, float alpha, float limit, mlx_array gate,
                              mlx_array up); /* gate empty: act(up) */

/* product.c: MLX's product of n rows of x with the quantized l, [n][n_out]. */
mlx_array wick_mlx_product(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n);
/* Codes with their scales and biases as values of the type of activations. */
mlx_array wick_mlx_expanded(wick_backend_model *m, const wick_mlx_lin *l, mlx_array w, mlx_array scales,
                            mlx_array biases);
static inline mlx_optional_int wick_mlx_some(int v)
{
    return (mlx_optional_int){v, true};
}
void wick_mlx_put_float(mlx_dtype t, float v, void *dst, size_t i); /* arrays.c: dst[i] = v as type t */

/* qmv.c: kernels of our own for products. They are compiled and tried once, when the weights are loaded. */
void wick_mlx_own_open(wick_backend_model *m);
void wick_mlx_own_close(wick_backend_model *m);
/* Which of our kernels, if any, multiplies n rows by l; WICK_MLX_NONE: MLX's product is to be used. */
wick_mlx_own wick_mlx_own_kernel(const wick_backend_model *m, const wick_mlx_lin *l, uint32_t n);
/* Multiplies the n rows of x by l with the kernel that wick_mlx_own_kernel named. */
mlx_array wick_mlx_own_product(wick_backend_model *m, wick_mlx_own own, const wick_mlx_lin *l, mlx_array x, uint32_t n);

/* fused.c: one kernel for a step of one token of one sequence. */
typedef struct wick_mlx_decode wick_mlx_decode;
/* Compiles the kernel and compares its results with the ops'; to be called after wick_mlx_step_init. Where it cannot be
 * used, m->decode stays NULL. */
void wick_mlx_decode_open(wick_backend_model *m);
void wick_mlx_decode_close(wick_backend_model *m);
/* Can the step that is being built run in the kernel? */
bool wick_mlx_decode_fits(const wick_backend_model *m);
/* How many nodes of the plan, from the first, the kernel runs. */
uint32_t wick_mlx_decode_nodes(const wick_backend_model *m);
/* Runs them from the embedding x [1][n_embd]. If they are all of the plan, *out gets the logits and the picked token
 * and the result is empty; else the result is the residual behind them. */
mlx_array wick_mlx_decode_run(wick_backend_model *m, mlx_array x, wick_mlx_out *out);

/* kv.c, kv_slots.c, kv_io.c */
void wick_mlx_kv_count(wick_backend_model *m);           /* sets bytes_per_token and state_bytes */
uint32_t wick_mlx_kv_slots(const wick_backend_model *m); /* arrays of a bundle */
wick_status wick_mlx_seq_new(wick_backend_model *m, wick_seq **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_mlx_seq_fork(wick_backend_model *m, const wick_seq *s, uint32_t n, wick_seq **out,
                              wick_err *err) WICK_MUST_CHECK;
void wick_mlx_seq_free(wick_seq *s);
/* The bundle that holds exactly these sequences in this order, with room for n more tokens each; made where it is not
 * there. */
wick_status wick_mlx_bundle_for(wick_backend_model *m, wick_seq *const *seq, uint32_t n_seqs, uint32_t n_more,
                                wick_bundle **out, wick_err *err) WICK_MUST_CHECK;
/* Writes k, v [rows][kv_head][n][dim] at the positions of the group's tokens; gives back K and V up to there. */
void wick_mlx_kv_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array k, mlx_array v);
/* Positions [from, to) of K (part 0) or V (1) of the bundle, in the type of activations: what this step wrote, or what
 * was there. */
mlx_array wick_mlx_kv_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, uint32_t from,
                           uint32_t to);
/* Quantized KV: shall the group's queries multiply with the codes; and x [rows][kv_head][n][dim] K^T, or with
 * `transpose` false x [rows][kv_head][n][to - from] V. */
bool wick_mlx_kv_multiplies(const wick_backend_model *m, const wick_group *gr, uint32_t cache);
mlx_array wick_mlx_kv_product(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, uint32_t from,
                              uint32_t to, mlx_array x, uint32_t n, bool transpose);
/* How long the bundle's arrays are in this step. */
uint32_t wick_mlx_kv_capacity(const wick_bundle *b);
/* Floats [from, to) of the group's states, [n_seqs][to - from] float32; and all of them anew. */
mlx_array wick_mlx_state_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t from, uint32_t to);
void wick_mlx_state_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array state);
wick_status wick_mlx_seq_truncate(wick_backend_model *m, wick_seq *s, uint32_t n, wick_err *err) WICK_MUST_CHECK;
/* MLX's CPU device attends with all scores of a layer in memory, and its allocator ends the process when there is none
 * left: so what they take is looked at before. */
wick_status wick_mlx_check_scores(const wick_backend_model *m, wick_err *err) WICK_MUST_CHECK;
void wick_mlx_bundle_commit(wick_backend_model *m, wick_bundle *b); /* takes what the step wrote */
void wick_mlx_bundle_cancel(wick_backend_model *m, wick_bundle *b); /* forgets it */
wick_status wick_mlx_seq_export(wick_backend_model *m, const wick_seq *s, uint32_t from, uint32_t to, void *buf,
                                uint64_t *n_bytes, wick_err *err) WICK_MUST_CHECK;
wick_status wick_mlx_seq_import(wick_backend_model *m, wick_seq *s, uint32_t from, uint32_t to, const void *buf,
                                uint64_t n_bytes, wick_err *err) WICK_MUST_CHECK;

/* step.c */
wick_status wick_mlx_step_init(wick_backend_model *m, wick_err *err) WICK_MUST_CHECK;
void wick_mlx_step_release(wick_backend_model *m);
wick_status wick_mlx_step_submit(wick_backend_model *m, const wick_batch *b, wick_err *err) WICK_MUST_CHECK;
wick_status wick_mlx_step_wait(wick_backend_model *m, wick_step_out *out, wick_err *err) WICK_MUST_CHECK;

/* The ops: each reads s->reg[op->src] and leaves its result in s->reg[op->dst]; a failure is the graph's. */
mlx_array wick_mlx_attn(wick_backend_model *m, const wick_mlx_node *n, mlx_array x); /* attn.c */
mlx_array wick_mlx_mla(wick_backend_model *m, const wick_mlx_node *n, mlx_array x);  /* attn.c */
mlx_array wick_mlx_mlp(wick_backend_model *m, const wick_mlx_node *n, mlx_array x);  /* mlp.c */
mlx_array wick_mlx_conv(wick_backend_model *m, const wick_mlx_node *n, mlx_array x); /* state.c */
mlx_array wick_mlx_mamba1(wick_backend_model *m, const wick_mlx_node *n, mlx_array x);
mlx_array wick_mlx_mamba2(wick_backend_model *m, const wick_mlx_node *n, mlx_array x);
mlx_array wick_mlx_delta(wick_backend_model *m, const wick_mlx_node *n, mlx_array x);
mlx_array wick_mlx_ple(wick_backend_model *m, const wick_mlx_node *n, mlx_array x); /* ple.c */
mlx_array wick_mlx_moe(wick_backend_model *m, const wick_mlx_node *n, mlx_array x); /* mlp.c */
/* score.c: attention spelled out, for capped scores and for products with quantized KV. */
typedef struct wick_mlx_scores {
    uint32_t cache, n_head, n_kv_head, head_dim, v_dim; /* v_dim: of the result */
    float scale, softcap;
    uint32_t from, to; /* positions */
    const char *mode;  /* of wick_mlx_mask */
    mlx_array mask, sinks;
} wick_mlx_scores;
/* q [rows][n_head][n][head_dim] -> [rows][n_head][n][v_dim] */
mlx_array wick_mlx_score(wick_backend_model *m, const wick_group *gr, const wick_mlx_scores *o, mlx_array q);
/* mask.c: positions of the group's queries and keys compared, [n_seqs or 1][1][n][to - from] bool. */
#define WICK_MLX_BOTH (1U << 30)    /* what lies ahead is seen too */
#define WICK_MLX_CHUNKED (1U << 31) /* with a window: it is a chunk (wick_op_attn) */
mlx_array wick_mlx_build_mask(wick_backend_model *m, const wick_group *gr, uint32_t window, uint32_t from, uint32_t to);
/* attn.c: what a group attends to. `mode` is "" (everything), "causal", or "array" with *mask. */
mlx_array wick_mlx_mask(wick_backend_model *m, uint32_t group, uint32_t window, uint32_t *from, const char **mode);
mlx_array wick_mlx_rope(wick_backend_model *m, const wick_rope *r, mlx_array freqs, mlx_array mscale, mlx_array x,
                        uint32_t n, uint32_t n_head, uint32_t dim);

extern const wick_backend wick_backend_mlx;
