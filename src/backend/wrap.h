/* backend/wrap.h - looks at a plan op by op, on one backend or on two side by side.
 *
 * Works with any backend that calls wick_backend_opts.tap: a tap is set, the tokens run as one sequence in one step,
 * and what each op leaves in its register is summed up, or compared with what the other backend left there. For finding
 * the first op that goes wrong; both sides load the plan, one after the other.
 */
#pragma once
#include "backend/backend.h"

typedef struct wick_op_stats { /* of one op's register, or of the logits for HEAD */
    uint32_t op_index;
    const struct wick_op *op;
    uint64_t n, n_not_finite;
    double min, max, rms; /* of the finite values */
} wick_op_stats;

/* fn is called for every op that ran, in order. The tap in `opts` is ignored. */
wick_status wick_wrap_trace(const wick_backend *b, const wick_backend_opts *opts, const wick_plan *plan,
                            const int32_t *tokens, uint32_t n, void (*fn)(void *ctx, const wick_op_stats *s), void *ctx,
                            wick_err *err) WICK_MUST_CHECK;

typedef struct wick_op_diff {
    bool seen;             /* both sides showed this op */
    uint64_t n_not_finite; /* values that are not finite on one side only */
    double max_abs, size;  /* largest difference; largest value of the first side */
} wick_op_diff;

/* diff: [plan->n_ops], filled. */
wick_status wick_wrap_compare(const wick_backend *a, const wick_backend_opts *a_opts, const wick_backend *b,
                              const wick_backend_opts *b_opts, const wick_plan *plan, const int32_t *tokens, uint32_t n,
                              wick_op_diff *diff, wick_err *err) WICK_MUST_CHECK;
/* Index of the first op whose difference is larger than tolerance * size (or not finite); plan->n_ops if there is
 * none. */
uint32_t wick_wrap_first_bad(const wick_op_diff *diff, uint32_t n_ops, double tolerance);
