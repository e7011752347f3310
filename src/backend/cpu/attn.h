/* backend/cpu/attn.h - attention of this step's queries over their sequences' blocks, shared by ATTN and MLA. */
#pragma once
#include "backend/cpu/cpu.h"

typedef struct wick_attn_job {
    const wick_kv_cache *cache;
    uint32_t n_head;
    uint32_t k_dim, v_dim; /* v_dim: of the output; with V inside K, its first v_dim dimensions */
    const float *q;        /* row m, head h at q + m * q_stride + h * q_head_stride; scaled */
    uint64_t q_stride, q_head_stride;
    float *out; /* [m * out_stride + h * v_dim] */
    uint64_t out_stride;
    const float *gate; /* NULL, or as q: the output is multiplied by sigmoid(gate) */
    uint32_t window;
    bool chunked, both;
    const float *alibi; /* [n_head] or NULL */
    float softcap;
    const float *sinks; /* [n_head] or NULL */
} wick_attn_job;

/* Says what memory such attention needs. */
void wick_attn_need(wick_backend_model *m, const wick_kv_cache *c, uint32_t n_head, uint32_t k_dim, uint32_t v_dim);
/* All rows of the lane; K and V of this step are in the blocks. Barrier behind. */
void wick_attn_run(wick_cpu_step *s, wick_lane *t, const wick_attn_job *j);
