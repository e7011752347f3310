/* model/plan.h - a model as a flat list of ops with its weights: all that a backend needs to run it.
 *
 * A backend gets the whole plan at load and may fuse, repack or compile it. The plan and what it points to (weights
 * over the mapped files, float vectors in the plan's arena) live until the backend has unloaded. Nothing here
 * depends on a sequence: lengths, positions and caches belong to the step.
 *
 * Registers: n rows (tokens of any mix of sequences) x n_embd. X is the residual stream by custom, H the branch,
 * A and S are for parallel blocks and saved copies. An op may name the same register as src and dst.
 * Vectors (norm weights, biases) are float32, made at load; matrices are wick_weight views.
 */
#pragma once
#include "base/alloc.h"
#include "base/file.h"
#include "quant/weight.h"

typedef enum wick_reg { WICK_R_X, WICK_R_H, WICK_R_A, WICK_R_S, WICK_N_REGS } wick_reg;

typedef enum wick_op_kind {
#define OP(name, member, meaning) WICK_OP_##name,
#include "model/ops.def"
#undef OP
    WICK_N_OPS
} wick_op_kind;

typedef enum wick_norm_kind {
    WICK_NORM_RMS,  /* x / sqrt(mean(x^2) + eps) * w; the "1 + w" of gemma is already in w */
    WICK_NORM_LAYER /* (x - mean) / sqrt(var + eps) * w + b; w or b may be NULL */
} wick_norm_kind;

typedef enum wick_act {
    WICK_ACT_SILU,
    WICK_ACT_GELU /* erf */,
    WICK_ACT_GELU_TANH,
    WICK_ACT_RELU,
    WICK_ACT_RELU2 /* relu squared */,
    WICK_ACT_SWIGLU_OAI /* gpt-oss: g = min(g, limit), u = clamp(u, -limit, limit): g * sigmoid(alpha g) * (u + 1) */,
    WICK_ACT_XIELU /* x > 0: alpha x^2 + x / 2, else (e^x - 1 - x) limit + x / 2 (apertus); no gate */,
    WICK_ACT_IDENTITY
} wick_act;

/* Rotary position embedding, all scaling kinds resolved: angle(pos, i) = pos * inv_freq[i], i < n_dims / 2.
 * half-split (interleaved = false) pairs i with i + n_dims/2, interleaved pairs 2i with 2i+1; dimensions from n_dims on
 * pass through. cos and sin are multiplied by `mscale` (yarn, longrope). `first_dim`: where the rotated part starts. */
typedef struct wick_rope {
    uint32_t n_dims, first_dim;
    bool interleaved;
    const float *inv_freq; /* [n_dims / 2] */
    float mscale;
} wick_rope;

/* LongRoPE: other frequencies for contexts up to the one before the model was extended. The plan is built with the long
 * ones; wick_plan_set_context exchanges them. */
typedef struct wick_rope_short {
    wick_rope *rope;       /* of the ops; NULL: the model has no such pair */
    wick_rope of[2];       /* long, short */
    uint32_t original_ctx; /* the last context of the short ones */
} wick_rope_short;

typedef struct wick_op_embed {
    const wick_weight *w;     /* [n_vocab][n_embd] */
    const wick_weight *w_pos; /* [n_positions][n_embd] or NULL (gpt2): row pos + pos_offset */
    uint32_t pos_offset;
    const wick_weight *w_type; /* [n_types][n_embd] or NULL (bert): row 1 from the row's second text on, else row 0 */
    float scale;
} wick_op_embed;

typedef struct wick_op_norm {
    wick_norm_kind kind;
    const float *w, *b; /* [n_embd], may be NULL */
    float eps;
} wick_op_norm;

/* q = wq src + bq as [n_head][head_dim] (twice that, q then gate per head, if out_gate); k, v likewise over
 * n_kv_head; q/k norm; rope; k and v appended to `cache`; scores = q.k * scale (softcap, window, sinks); softmax over
 * the positions 0..pos of the own sequence (pos - window < p <= pos); wo over the concatenated heads + bo.
 * `both`: instead over all positions of the sequence, which is in one row from its beginning to its end (|pos - p| <
 * window). */
typedef struct wick_op_attn {
    uint32_t cache; /* index into plan->cache */
    bool kv_shared; /* reads a cache that an earlier op of this step wrote; wk, wv are NULL */
    uint32_t n_head, n_kv_head, head_dim, v_head_dim;
    const wick_weight *wq, *wk, *wv, *wo;
    const float *bq, *bk, *bv, *bo; /* NULL or float32 */
    const float *q_norm, *k_norm;   /* NULL: none */
    bool qk_norm_whole_row;         /* norm over [n_head*head_dim] instead of per head */
    bool qk_norm_after_rope;        /* default is before */
    bool qk_norm_per_head_w;        /* weights are [n_head][head_dim] / [n_kv_head][head_dim] (cohere, stablelm) */
    wick_norm_kind qk_norm_kind;
    bool v_norm; /* RMS norm of v per head without a weight (gemma4) */
    float qk_norm_eps;
    const wick_rope *rope; /* NULL: none */
    float scale, softcap;  /* softcap 0: none */
    float clip_qkv;        /* 0: none; else q, k, v clamped to +-clip after their projection */
    uint32_t window;       /* 0: none; else the last `window` positions, own one included */
    bool both;             /* what comes behind a token is seen too: encoders */
    const float *alibi;    /* [n_head] or NULL: scores -= alibi[head] * |pos - p| */
    bool chunked;          /* else those from the last multiple of `window` on (llama4) */
    const float *sinks;    /* [n_head] or NULL: an extra logit in the softmax's sum */
    bool out_gate;         /* attention output * sigmoid(gate) before wo (qwen3_next) */
    float temp_beta; /* 0: none; else q *= 1 + beta * ln(1 + floor((pos + temp_add) / temp_len)) (ministral3, llama4) */
    uint32_t temp_len, temp_add;
} wick_op_attn;

/* DeepSeek's latent attention. cache rows: [kv_rank] normed latent, then [rope_dim] rotated key part (one "head"). */
typedef struct wick_op_mla {
    uint32_t cache;
    uint32_t n_head, nope_dim, rope_dim, v_dim, q_rank /* 0: direct */, kv_rank;
    const wick_weight *q_a, *q_b /* or the direct projection */, *kv_a;
    const float *q_a_norm, *kv_a_norm, *q_a_bias, *kv_a_bias;
    const wick_weight *const *k_b; /* [n_head] of [kv_rank][nope_dim]: q_nope -> latent space */
    const wick_weight *const *v_b; /* [n_head] of [v_dim][kv_rank]: latent -> value */
    const wick_weight *wo;
    const float *bo;
    const wick_rope *rope;
    float norm_eps, scale;
} wick_op_mla;

typedef struct wick_op_mlp {
    const wick_weight *gate, *up, *down; /* gate NULL: down(act(up src)) */
    const float *b_gate, *b_up, *b_down;
    uint32_t n_ff;
    wick_act act;
    float act_alpha, act_limit; /* XIELU; SWIGLU_OAI; act_limit 0: none */
} wick_op_mlp;

typedef enum wick_routing {
    WICK_ROUTE_SOFTMAX_TOPK, /* softmax over all, take top k (normalise: divide by their sum) */
    WICK_ROUTE_TOPK_SOFTMAX, /* top k logits, softmax over those */
    WICK_ROUTE_SIGMOID_TOPK, /* sigmoid, choose by score + correction, weights are the scores */
    /* phimoe: one expert after another is the largest logit left; its weight is its share of a softmax over the logits
     * left that are near it: (largest - logit) / max(|logit|, largest) <= 2 * jitter */
    WICK_ROUTE_SPARSEMIXER
} wick_routing;

typedef struct wick_op_moe {
    const wick_weight *router; /* [n_expert][n_embd] */
    const float *router_bias;  /* added to the logits, or NULL */
    const float *correction;   /* added for choosing only, or NULL */
    uint32_t n_expert, top_k, n_ff;
    wick_routing routing;
    bool normalize;                      /* weights are divided by their sum (not after TOPK_SOFTMAX, SPARSEMIXER) */
    float jitter;                        /* SPARSEMIXER */
    float norm_floor;                    /* added to that sum */
    uint32_t n_group, topk_group;        /* 0 or 1: no groups */
    bool group_by_top2;                  /* a group's score: sum of its two best (deepseek_v3) instead of its best */
    float scale;                         /* routed_scaling_factor; 1 */
    bool scale_input;                    /* weight multiplies the expert's input instead of its output (llama4) */
    const wick_weight *gate, *up, *down; /* [n_expert] views each; gate NULL as in MLP */
    const float *b_gate, *b_up, *b_down; /* [n_expert][n_ff], [n_expert][n_ff], [n_expert][n_embd], or NULL */
    wick_act act;
    float act_alpha, act_limit;
    const float *out_scale; /* [n_expert], multiplies an expert's weight at last, or NULL */
    bool router_apart;      /* the router reads register router_src, not the op's source; no shared expert then */
    wick_reg router_src;
    const wick_op_mlp *shared;      /* always-on expert, or NULL */
    const wick_weight *shared_gate; /* [1][n_embd]: shared output * sigmoid(.), or NULL */
} wick_op_moe;

/* Short convolution (lfm2). B, C, x = the three parts of in(src) + b_in; u = B * x; conv(u)[c] at position t is
 * conv_b[c] + sum over j of conv_w[c][j] * u[t - kernel + 1 + j][c], with zeros before the first position;
 * dst = out(C * conv(u)) + b_out. State: the last kernel - 1 rows of u, (kernel - 1) * n_channels floats. */
typedef struct wick_op_conv {
    uint32_t cache, kernel, n_channels;
    const wick_weight *in, *out; /* [3*n_channels][n_embd] (B, C, x), [n_embd][n_channels] */
    const float *b_in, *b_out;
    const float *conv_w, *conv_b; /* [n_channels][kernel], [n_channels] */
} wick_op_conv;

/* Selective state space; conv as above over the channels named, any vector may be NULL unless said.
 * MAMBA1: x, z = in(src) + b_in, [d_inner] each; x = silu(conv(x)); dt, B, C = x(x), [dt_rank], [d_state], [d_state],
 *   each RMS-normed with dt_norm, b_norm, c_norm where they are there; dt = softplus(dt(dt) + b_dt), [d_inner];
 *   h[c][n] = exp(dt[c] * a[c][n]) * h[c][n] + dt[c] * x[c] * B[n]; y[c] = sum over n of h[c][n] * C[n] + d[c] * x[c];
 *   dst = out(y * silu(z)) + b_out. a [d_inner][d_state] (negative), d [d_inner].
 *   State: (kernel - 1) * d_inner of the convolution's inputs, then h.
 * MAMBA2: z [d_inner], xBC [d_inner + 2 * n_group * d_state], dt [n_head] = in(src) * in_mul + b_in; x, B, C =
 *   silu(conv(xBC)), B and C as [n_group][d_state]; dt = clamp(softplus(dt + b_dt), dt_min, dt_max) (dt_max 0: no upper
 *   bound); for head i of group g = i / (n_head / n_group): h[i][p][n] = exp(dt[i] * a[i]) * h[i][p][n] + dt[i] *
 *   x[i][p] * B[g][n]; y[i][p] = sum over n of h[i][p][n] * C[g][n] + d[i] * x[i][p]. Then with norm (weights
 *   [d_inner], RMS over groups of norm_group): rms(y * silu(z)) * norm, or rms(y) * norm * silu(z) if norm_before_gate;
 *   without: y * silu(z). dst = out(.) + b_out. a, d [n_head]; d_inner = n_head * head_dim.
 *   State: (kernel - 1) * (d_inner + 2 * n_group * d_state), then h. */
typedef struct wick_op_mamba {
    uint32_t cache, kernel, d_inner, d_state, n_head, head_dim, n_group, dt_rank;
    const wick_weight *in, *x, *dt, *out;
    const float *b_in, *b_dt, *b_out, *conv_w, *conv_b, *a, *d, *norm, *dt_norm, *b_norm, *c_norm;
    float norm_eps, dt_min, dt_max;
    bool norm_before_gate;
    uint32_t norm_group; /* width that the gated norm runs over */
    const float *in_mul; /* per-channel multiplier of the input projection, or NULL (falcon_h1) */
} wick_op_mamba;

/* Gated delta net (qwen3_next, qwen3_5). r = n_v_head / n_k_head. in_qkv gives q, k, v of all heads side by side
 * (n_k_head * k_dim, the same, n_v_head * v_dim) and in_z z [n_v_head][v_dim]; without in_z, in_qkv has all four,
 * grouped by key head: q [k_dim], k [k_dim], v [r][v_dim], z [r][v_dim]. in_b and in_a give b and a, [n_v_head];
 * without in_a, in_b has both, by key head: b [r], a [r]. q, k, v go through the convolution (no bias) and silu. q = q
 * / sqrt(|q|^2 + 1e-6) / sqrt(k_dim), k = k / sqrt(|k|^2 + 1e-6), per head. Value head i uses key head i / r, or i %
 * n_k_head if tiled: S = S * exp(decay[i] * softplus(a + dt_bias[i])); e = (v - S k) * sigmoid(b); S += e k^T; y = S q,
 * with S [v_dim][k_dim] in float32. dst = out(rms(y) * norm * silu(z)), the norm per head over v_dim. State: (kernel -
 * 1) * conv channels, then S of every value head. */
typedef struct wick_op_delta {
    uint32_t cache, kernel, n_k_head, n_v_head, k_dim, v_dim;
    bool tiled; /* GGUF reorders the value heads so; not with grouped rows */
    const wick_weight *in_qkv, *in_z, *in_b, *in_a, *out;
    const float *conv_w, *decay, *dt_bias, *norm; /* decay: negative, -exp(A_log) */
    float norm_eps;
} wick_op_delta;

/* An input of its own for a layer (gemma4). p = rms(proj(base) * proj_scale) * norm + embed_scale * row(token)[column,
 * column + dim); dst = out(act(gate(src)) * p * scale). A token that the table has no row for takes the first row. */
typedef struct wick_op_ple {
    wick_reg base; /* holds the scaled embedding */
    uint32_t dim, column;
    const wick_weight *embed;      /* [any][a multiple of dim]: the inputs of all layers side by side */
    const wick_weight *proj;       /* [dim][n_embd] */
    const wick_weight *gate, *out; /* [dim][n_embd], [n_embd][dim] */
    const float *norm;             /* [dim] */
    float norm_eps, proj_scale, embed_scale, scale;
    wick_act act;
} wick_op_ple;

typedef struct wick_op_add {
    float dst_scale, src_scale;
} wick_op_add;

typedef struct wick_op_head {
    const wick_weight *w; /* [n_vocab][n_embd]; the embedding's own where tied; NULL: an encoder, which has none */
    const float *b;
    float scale, softcap; /* 1, 0: none */
} wick_op_head;

typedef struct wick_op {
    wick_op_kind kind;
    wick_reg dst, src;
    int32_t layer; /* -1: outside the blocks */
    union {
        wick_op_embed embed;
        wick_op_norm norm;
        wick_op_attn attn;
        wick_op_mla mla;
        wick_op_mlp mlp;
        wick_op_moe moe;
        wick_op_conv conv;
        wick_op_mamba mamba;
        wick_op_delta delta;
        wick_op_ple ple;
        wick_op_add add;
        wick_op_head head;
    } u;
} wick_op;

typedef enum wick_cache_kind { WICK_CACHE_KV, WICK_CACHE_STATE } wick_cache_kind;

/* What a sequence keeps for one layer. KV: a row of K and one of V per position and KV head. STATE: a fixed number of
 * float32 values (convolution tail, recurrent state), which cannot be truncated. */
typedef struct wick_cache_spec {
    wick_cache_kind kind;
    uint32_t n_kv_head, k_dim, v_dim; /* KV; v_dim 0: V is inside K (MLA) */
    uint32_t window;                  /* KV: 0, or only this many positions are ever read */
    uint64_t n_state;                 /* STATE: floats */
} wick_cache_spec;

/* What the weights were read from, so that a backend can tell whether what it derived from them earlier still holds. */
typedef struct wick_origin {
    const wick_file *file; /* all files of the tensors, mapped and open; borrowed */
    uint32_t n_files;      /* 0: unknown */
    uint64_t settings;     /* hash of config.json, which says how the tensors are read, and of forms to be stored */
} wick_origin;

struct wick_pooler;

typedef struct wick_plan {
    const char *arch; /* "llama", ... for messages */
    uint32_t n_embd, n_vocab, n_layer, n_ctx_train;
    wick_op *op;
    uint32_t n_ops;
    wick_cache_spec *cache;
    uint32_t n_caches;
    uint64_t n_params, weight_bytes;
    bool whole; /* attention goes both ways: a row is a whole sequence, and there are hidden states only, no logits */
    struct wick_pooler *pooler; /* what becomes of hidden states (pooler.h), for those who run plans; or NULL */
    wick_rope_short rope_short;
    wick_dtype act_dtype; /* the checkpoint's float type: what MLX computes in */
    wick_origin origin;
    /* The plan will be loaded once only: a backend may give back the memory of weights in `arena` as soon as it has its
     * own copy of them (wick_memory_drop). */
    bool load_once;
    wick_arena arena; /* owns all of the above */
} wick_plan;

const char *wick_op_name(wick_op_kind k);
/* True for an op that keeps something for a sequence; *cache = its index into plan->cache. */
bool wick_op_cache(const wick_op *o, uint32_t *cache);
/* Calls fn for every matrix that an op multiplies by (not the embedding, whose rows are looked up); w may be NULL. */
typedef wick_status (*wick_mat_fn)(void *ctx, const wick_weight *w, wick_err *err);
wick_status wick_op_matrices(const wick_op *op, wick_mat_fn fn, void *ctx, wick_err *err) WICK_MUST_CHECK;
/* Before a backend loads the plan: the context that sequences may have, which chooses LongRoPE's factors. */
void wick_plan_set_context(wick_plan *p, uint32_t n_ctx);
void wick_plan_release(wick_plan *p);
