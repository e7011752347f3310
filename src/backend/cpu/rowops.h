/* backend/cpu/rowops.h - all arithmetic that is not a matrix product: on rows of float32 and on blocks of KV.
 *
 * One table per instruction set, made from the same source (rowops_body.h over vec.h); the portable one is the
 * definition. A row's result depends on that row only, bit for bit, within one table.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/cpu/linear.h"

enum {
    WICK_KV_BLOCK = 64, /* positions in one block of KV; a multiple of every vector length */
    WICK_KV_GROUP = 32, /* values that share a scale in Q8_0 and Q4_0 caches */
    WICK_ATTN_SPLIT =
        512, /* positions whose softmax is summed up apart and then merged, so that threads can share a context */
    WICK_ATTN_ROWS = 32 /* query rows in a tile */
};

/* Where the parts of one KV head lie in a block. K is held transposed, [k_dim][64], V as [64][v_pad]: both products of
 * attention are then sums of scaled vectors. Quantized caches: codes as said, and one float16 scale per position
 * and group of 32 values: K's [k_groups][64], V's [64][v_groups]. */
typedef struct wick_kv_layout {
    wick_dtype dtype;
    uint32_t k_dim, v_dim, v_pad; /* v_pad: v_dim rounded up to 16 */
    uint32_t k_groups, v_groups;
    uint64_t v_offset, k_scale_offset, v_scale_offset, head_bytes; /* all multiples of 64 */
} wick_kv_layout;

/* A tile of query rows against one block of one KV head: online softmax, block by block, in rising order of
 * positions. */
typedef struct wick_attn_tile {
    uint32_t n; /* rows */
    uint32_t k_dim, v_pad;
    float softcap;          /* 0: none */
    const float *q;         /* [n][k_dim], scaled */
    const uint8_t *lo, *hi; /* [n] positions of the block that the row may see: lo <= j < hi */
    const float *slope;     /* [n] or NULL: scores -= slope * |at - j|, with at [n] the row's own position here */
    const float *at;
    float *acc, *m, *l; /* [n][v_pad], [n], [n]: sum, maximum and divisor so far; m starts at -infinity */
    float *score;       /* [n][WICK_KV_BLOCK], scratch */
    const void *k, *v;  /* [k_dim][64], [64][v_pad] */
    const void *next;   /* K of the block that comes next, to be fetched meanwhile; NULL: none */
    wick_dtype dtype;   /* F32, F16 or BF16 */
} wick_attn_tile;

typedef struct wick_rowops {
    const char *name;
    void (*norm)(float *dst, const float *src, const float *w, const float *b, uint32_t n, float eps,
                 wick_norm_kind kind);
    void (*add)(float *dst, const float *src, float dst_scale, float src_scale,
                uint32_t n); /* dst = dst * a + src * b */
    void (*scale)(float *dst, const float *src, float s, uint32_t n);
    void (*bias)(float *x, const float *b, uint32_t n); /* x += b */
    void (*clamp)(float *x, float limit, uint32_t n);
    void (*act)(float *g, const float *u, uint32_t n, wick_act kind, float alpha,
                float limit);                                      /* g = act(g) * u; u may be NULL */
    void (*sigmoid_mul)(float *x, const float *gate, uint32_t n);  /* x *= sigmoid(gate) */
    void (*softcap)(float *x, uint32_t n, float scale, float cap); /* cap * tanh(x * scale / cap) */
    float (*dot)(const float *a, const float *b, uint32_t n);
    void (*mul)(float *x, const float *b, uint32_t n);                 /* x *= b */
    void (*fma)(float *y, const float *a, const float *b, uint32_t n); /* y += a * b */
    /* One row of a state space: h = h * exp(dt * a) + dtx * b; returns h . c. a NULL: h = h * decay + dtx * b */
    float (*ssm)(float *h, const float *a, float dt_or_decay, float dtx, const float *b, const float *c, uint32_t n);
    /* One row of a delta rule: S *= g; e = (v - S . k) * beta; S += e k; returns S . q */
    float (*delta)(float *s, const float *k, const float *q, float g, float v, float beta, uint32_t n);
    void (*rope)(float *x, const float *cos_sin, uint32_t n_dims, bool interleaved); /* cos[n_dims/2], then sin */
    void (*kv_put)(const wick_kv_layout *l, void *head, uint32_t j, const float *k,
                   const float *v);                                                            /* v NULL: K only */
    void (*kv_get)(const wick_kv_layout *l, const void *head, uint32_t j, float *k, float *v); /* either may be NULL */
    void (*kv_unpack)(const wick_kv_layout *l, const void *head, float *k, float *v); /* a quantized block to float32 */
    void (*attn)(const wick_attn_tile *t);
    /* Adds a later partial result to an earlier one: rows of acc, m, l. */
    void (*attn_merge)(float *acc, float *m, float *l, const float *acc2, float m2, float l2, uint32_t v_pad);
    /* dst = acc / l, with the sink's share in the divisor if there is one */
    void (*attn_finish)(float *dst, const float *acc, float m, float l, const float *sink, uint32_t v_dim);
} wick_rowops;

extern const wick_rowops wick_rowops_portable;
#if defined(__x86_64__)
extern const wick_rowops wick_rowops_avx2, wick_rowops_avx512;
#elif defined(__aarch64__)
extern const wick_rowops wick_rowops_neon;
#endif

/* The table that goes with an instruction set of the linear layer. */
const wick_rowops *wick_rowops_pick(const wick_lin_isa *isa);
/* False for a type that caches cannot have. */
bool wick_kv_layout_init(wick_kv_layout *l, wick_dtype dtype, uint32_t k_dim, uint32_t v_dim);
