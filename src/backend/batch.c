/* backend/batch.c - see batch.h. */
#include "backend/batch.h"
#include <inttypes.h>

static wick_status check_tokens(const wick_plan *plan, const wick_row *r, uint32_t i, bool may_pick, wick_err *err)
{
    if (may_pick && !r->tokens && r->n_tokens == 1) return WICK_OK;
    if (r->n_tokens == 0 || !r->tokens) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens", "row %u: no tokens", i);
    for (uint32_t k = 0; k < r->n_tokens; k++)
        if (r->tokens[k] < 0 || (uint32_t)r->tokens[k] >= plan->n_vocab)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tokens",
                             "row %u: token %" PRId32 " at %u, the vocabulary has %u", i, r->tokens[k], k,
                             plan->n_vocab);
    return WICK_OK;
}

wick_status wick_batch_check_row(const wick_plan *plan, const wick_row *r, uint32_t len, uint32_t i,
                                 wick_batch_sum *sum, wick_err *err)
{
    const wick_op_embed *e = &plan->op[0].u.embed;
    WICK_TRY(check_tokens(plan, r, i, sum->may_pick, err));
    bool pick = sum->may_pick && r->out == WICK_OUT_PICK;
    if (r->out != WICK_OUT_NONE && r->out != WICK_OUT_LAST && r->out != WICK_OUT_ALL && r->out != WICK_OUT_HIDDEN &&
        !pick)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "out", "row %u: output flags %u", i, r->out);
    uint64_t end = (uint64_t)len + r->n_tokens;
    if (e->w_pos && end + e->pos_offset > e->w_pos->n_out)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens",
                         "row %u: position %" PRIu64 ", the model has %u positions", i, end - 1,
                         e->w_pos->n_out - e->pos_offset);
    if (plan->whole && len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "seq",
                         "row %u: attention goes both ways, so a row must be a whole sequence", i);
    if (!plan->op[plan->n_ops - 1].u.head.w && r->out != WICK_OUT_NONE && r->out != WICK_OUT_HIDDEN)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "out", "row %u: an encoder has no logits", i);
    sum->n_tokens += r->n_tokens;
    sum->logits |= (r->out & (WICK_OUT_LAST | WICK_OUT_ALL | WICK_OUT_PICK)) != 0;
    sum->hidden |= (r->out & WICK_OUT_HIDDEN) != 0;
    return WICK_OK;
}

wick_status wick_batch_check_sum(const wick_batch_sum *sum, uint32_t max_tokens, wick_err *err)
{
    if (sum->n_tokens == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "batch", "a step needs a row");
    if (sum->n_tokens > max_tokens)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "batch", "%" PRIu64 " tokens, a step takes %u", sum->n_tokens,
                         max_tokens);
    if (sum->logits && sum->hidden)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "out", "one step gives logits or hidden states, not both");
    return WICK_OK;
}
