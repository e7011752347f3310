/* engine/row.c - what one request needs of the next step: how many tokens, and which outputs.
 *
 * A request has n_total tokens and n_kv of them computed. Whoever lacks one decodes, whoever lacks more prefills (also
 * after preemption): the same row, another length.
 */
#include "engine/engine_int.h"

#define MAX_OUT_BYTES (8u << 20) /* logits of a row whose every position is asked for */

bool wick_row_prefills(const wick_request *r)
{
    return r->run.n_total - r->run.n_kv > 1 || r->run.n_gen == 0;
}

bool wick_row_picks(const wick_request *r)
{
    return (r->engine->caps & WICK_CAP_DEVICE_SAMPLING) && r->opt.kind == WICK_REQ_GENERATE && !r->run.matcher.ops &&
           r->opt.n_top_logprobs == 0 && r->run.n_gen >= r->opt.min_tokens && wick_sampler_is_argmax(r->run.sampler);
}

/* Does the request want outputs of its prompt's positions, and are there some to come? */
static bool reports(const wick_request *r)
{
    if (r->opt.kind != WICK_REQ_GENERATE) return true;
    return r->opt.prompt_logprobs && r->run.n_out < r->run.n_prompt;
}

void wick_row_plan(wick_request *r, uint32_t budget)
{
    uint32_t n = r->run.n_total - r->run.n_kv, out = WICK_OUT_NONE;
    if (n > budget) n = r->engine->parts.plan->whole ? 0 : budget; /* attention both ways needs the whole text */
    if (wick_mark_wanted(r)) {
        uint32_t left = wick_mark_next(r->engine, r->run.n_kv) - r->run.n_kv;
        if (n > left) n = left;
    }
    if (reports(r) && r->run.n_kv < r->run.n_out) { /* recomputed after preemption: these outputs were delivered */
        if (n > r->run.n_out - r->run.n_kv) n = r->run.n_out - r->run.n_kv;
    } else if (wick_request_pools(r)) {
        out = WICK_OUT_HIDDEN;
    } else if (reports(r)) {
        uint32_t most = MAX_OUT_BYTES / sizeof(float) / r->engine->n_vocab;
        uint32_t room = r->opt.kind == WICK_REQ_GENERATE ? wick_events_room(r) : UINT32_MAX;
        if (r->opt.kind == WICK_REQ_GENERATE && n > r->run.n_prompt - r->run.n_kv) n = r->run.n_prompt - r->run.n_kv;
        if (room > 2) room -= 2; /* the token and the progress that may follow */
        if (most > room) most = room;
        if (n > most) n = most > 0 ? most : 1;
        out = WICK_OUT_ALL;
    } else if (r->run.n_kv + n == r->run.n_total) {
        out = wick_row_picks(r) ? WICK_OUT_PICK : WICK_OUT_LAST;
    }
    r->run.row_tokens = n;
    r->run.row_out = out;
}
