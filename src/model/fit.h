/* model/fit.h - what a plan needs in memory: weights, KV per token, states; and whether that fits. */
#pragma once
#include "model/plan.h"

/* Bytes for one sequence of n_ctx tokens, weights not counted; saturates. `kv`: F32, F16, BF16 or a block type (rows
 * are counted in whole blocks). */
uint64_t wick_fit_sequence_bytes(const wick_plan *p, wick_dtype kv, uint32_t n_ctx);
/* Weights + one sequence + what a step needs (an estimate of activations and logits) against `have` bytes. */
typedef struct wick_fit_verdict {
    bool fits;
    uint64_t need_bytes, have_bytes;
    uint32_t max_ctx; /* most tokens of one sequence that would fit; 0 if not even the weights do */
} wick_fit_verdict;
void wick_fit_check(const wick_plan *p, wick_dtype kv, uint32_t n_ctx, uint64_t have_bytes, wick_fit_verdict *out);
