/* engine/mark.c - marks: the positions at which a sequence that cannot be cut anywhere leaves a checkpoint.
 *
 * They depend on the position only, so that two conversations with the same beginning have their marks at the same
 * places: every MARK_TOKENS at first, and then ever further apart, so that a long prompt has some tens of them. A large
 * state is kept more rarely, windows at even distances. A row ends at the next mark; what has landed there is forked
 * into the prefix cache.
 */
#include "engine/engine_int.h"

#define MARK_TOKENS 256        /* computing so many again takes some tenths of a second at worst */
#define WINDOW_MARK_TOKENS 512 /* where a checkpoint can be cut as far back, and costs little */
#define MARKS_IN_A_DOUBLING 8  /* of the distance from the beginning */
#define MARK_BYTES (16u << 20) /* what a checkpoint of MARK_TOKENS may hold */
#define MIN_PROMPT_MARK 64     /* a shorter prompt leaves no checkpoint at its end */

bool wick_mark_needed(const wick_engine *e)
{
    return e->loop.prefix && e->loop.kv.checkpoint_tokens > 0;
}

/* How far apart marks lie behind position `at`. */
static uint32_t distance(const wick_engine *e, uint32_t at)
{
    uint32_t d = MARK_TOKENS;
    uint64_t bytes = e->loop.kv.checkpoint_bytes;
    if (e->loop.kv.checkpoint_tokens >= WINDOW_MARK_TOKENS) return WINDOW_MARK_TOKENS;
    while (d < UINT32_MAX / 4 && (d <= at / MARKS_IN_A_DOUBLING || bytes / (d / MARK_TOKENS) > MARK_BYTES)) d *= 2;
    return d;
}

uint32_t wick_mark_next(const wick_engine *e, uint32_t at)
{
    uint32_t d = distance(e, at);
    return d - at % d < UINT32_MAX - at ? at + (d - at % d) : UINT32_MAX;
}

uint32_t wick_mark_last(const wick_engine *e, uint32_t at)
{
    uint32_t d = distance(e, at);
    return at - at % d;
}

bool wick_mark_wanted(const wick_request *r)
{
    return wick_mark_needed(r->engine) && r->opt.kind == WICK_REQ_GENERATE && !r->opt.no_prefix_cache && !r->run.forget;
}

void wick_mark_leave(wick_engine *e, wick_request *r)
{
    uint32_t n = r->run.n_kv;
    wick_seq *fork = NULL;
    if (!wick_mark_wanted(r) || n == 0) return;
    if (wick_mark_last(e, n) != n && (n != r->run.n_prompt || n < MIN_PROMPT_MARK)) return;
    if (wick_prefix_has(e->loop.prefix, r->opt.domain, r->run.tokens, n)) return;
    if (e->parts.backend->kv_fork(e->loop.loaded, r->run.kv, n, &fork, NULL) == WICK_OK)
        wick_prefix_insert(e->loop.prefix, r->opt.domain, r->run.tokens, n, fork);
}
