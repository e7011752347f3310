/* backend/batch.h - the checks of a batch that do not depend on how a backend keeps its sequences. */
#pragma once
#include "backend/backend.h"

/* What the rows of a batch ask for together; start with zeros but for `may_pick`. */
typedef struct wick_batch_sum {
    uint64_t n_tokens;
    bool may_pick; /* the backend has WICK_CAP_DEVICE_SAMPLING; who picked before is for it to check */
    bool logits, hidden;
} wick_batch_sum;

/* Row `i` of a batch, whose sequence holds `len` tokens: ids inside the vocabulary, positions that the model has, flags
 * that exist. Adds it to *sum. WICK_E_BAD_PARAMETER names the row. */
wick_status wick_batch_check_row(const wick_plan *plan, const wick_row *r, uint32_t len, uint32_t i,
                                 wick_batch_sum *sum, wick_err *err) WICK_MUST_CHECK;
/* The batch as a whole, when every row is in *sum. */
wick_status wick_batch_check_sum(const wick_batch_sum *sum, uint32_t max_tokens, wick_err *err) WICK_MUST_CHECK;
