/* engine/draft_plan.c - how many guesses each row of a step takes along, so that it pays.
 *
 * A step that computes n positions takes C(n) milliseconds, which is measured for every step that only decodes; what
 * was not measured yet is drawn between what was. A row with k guesses is expected to give E(k) more tokens, from the
 * chances of draft.h. Guesses are taken along where tokens a millisecond rise by at least GAIN, and as many as make
 * them highest (where a state cannot go back, a wrong guess costs another step); so there are none where the text does
 * not repeat, or where the step is full already.
 */
#include "engine/engine_int.h"

#define GAIN 1.06             /* what is smaller is lost in the measurement */
#define MAX_IN_STEP 96        /* guesses of all rows together */
#define MAX_BYTES (48u << 20) /* of the logits that they need */
#define FIRST_SLOPE 0.4       /* of a step of one position: another position, before anything was measured */

/* Milliseconds of a step with n positions; falls nowhere. */
static double cost(const wick_engine *e, uint32_t n)
{
    const float *ms = e->loop.rows_ms;
    uint32_t lo = 0, hi = 0;
    if (n > WICK_MAX_MEASURED_ROWS) n = WICK_MAX_MEASURED_ROWS;
    for (uint32_t i = 1; i <= n; i++)
        if (ms[i] > 0) lo = i;
    for (uint32_t i = WICK_MAX_MEASURED_ROWS; i >= n && i > 0; i--)
        if (ms[i] > 0) hi = i;
    if (lo == n) return (double)ms[n];
    if (lo && hi && ms[hi] > ms[lo]) return (double)ms[lo] + (double)(ms[hi] - ms[lo]) * (n - lo) / (hi - lo);
    if (lo == 0) return hi ? (double)ms[hi] : 1;
    double each = e->loop.prefill_token_ms * 2 > 0 ? e->loop.prefill_token_ms * 2 : (double)ms[lo] / lo * FIRST_SLOPE;
    return (double)ms[lo] + each * (n - lo);
}

void wick_draft_measure(wick_engine *e, uint32_t n_rows, double ms)
{
    if (n_rows == 0 || n_rows > WICK_MAX_MEASURED_ROWS || ms <= 0) return;
    float *mean = &e->loop.rows_ms[n_rows];
    *mean += ((float)ms - *mean) * (*mean > 0 ? 0.2F : 1.0F);
}

bool wick_engine_drafts(const wick_engine *e)
{
    return e->drafts;
}

/* Wrong guesses are taken back by truncation, or, where a state cannot go back, by a fork from before them. */
void wick_draft_open(wick_engine *e)
{
    e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
    bool by_fork = (e->caps & WICK_CAP_KV_PREFIX_COPY) && e->loop.kv.forks_share;
    e->drafts =
        !e->opt.no_drafts && (e->caps & WICK_CAP_BATCH_INVARIANT) && ((e->caps & WICK_CAP_SPECULATIVE) || by_fork);
}

static bool set_aside(wick_engine *e, wick_request *r)
{
    const wick_backend *b = e->parts.backend;
    if (e->caps & WICK_CAP_SPECULATIVE) return true;
    if (r->run.spare) b->kv_free(e->loop.loaded, r->run.spare); /* of a step that failed */
    r->run.spare = NULL;
    return b->kv_fork(e->loop.loaded, r->run.kv, r->run.n_kv, &r->run.spare, NULL) == WICK_OK;
}

void wick_draft_take_back(wick_engine *e, wick_request *r)
{
    const wick_backend *b = e->parts.backend;
    if (r->run.kv && b->kv_len(r->run.kv) != r->run.n_kv) {
        if (r->run.spare) { /* what was right is computed again with the next row */
            b->kv_free(e->loop.loaded, r->run.kv);
            r->run.kv = r->run.spare;
            r->run.spare = NULL;
            r->run.n_kv = b->kv_len(r->run.kv);
        } else if (b->kv_truncate(e->loop.loaded, r->run.kv, r->run.n_kv, NULL) != WICK_OK) {
            wick_engine_kv_release(e, r);
        }
    }
    if (r->run.spare) b->kv_free(e->loop.loaded, r->run.spare);
    r->run.spare = NULL;
}

bool wick_draft_allowed(const wick_engine *e, const wick_request_opts *o)
{
    return wick_engine_drafts(e) && o->kind == WICK_REQ_GENERATE && !o->prompt_only;
}

/* Most guesses that r's row can take along. */
static uint32_t room_of(wick_engine *e, wick_request *r)
{
    if (!r->run.draft || r->run.solo || r->run.row_tokens != 1 || r->run.row_out != WICK_OUT_LAST) return 0;
    uint32_t room = wick_events_room(r), left = r->opt.max_tokens - r->run.n_gen, n = WICK_DRAFT_MAX;
    if (room < 4 || left < 2) return 0;
    if (n > room - 3) n = room - 3;
    if (n > left - 1) n = left - 1;
    if (wick_mark_wanted(r)) { /* a row ends at the next mark */
        uint32_t to_mark = wick_mark_next(e, r->run.n_kv) - r->run.n_kv;
        if (n > to_mark - 1) n = to_mark - 1;
    }
    while (n > 0 && !wick_engine_kv_has_room(e, r, n + 1)) n /= 2;
    return n;
}

void wick_draft_plan(wick_engine *e, uint32_t n_decoding)
{
    uint32_t n = n_decoding, most = MAX_BYTES / sizeof(float) / e->n_vocab;
    double expected = n_decoding;
    if (most > MAX_IN_STEP) most = MAX_IN_STEP;
    if (most > e->step_tokens - n_decoding) most = e->step_tokens - n_decoding;
    for (uint32_t i = 0; i < e->loop.n_chosen && most > 0; i++) {
        wick_request *r = e->loop.chosen[i];
        int32_t guess[WICK_DRAFT_MAX];
        float chance[WICK_DRAFT_MAX];
        uint32_t room = r->run.kv ? room_of(e, r) : 0, best = 0;
        if (room > most) room = most;
        if (room == 0) continue;
        room = wick_draft_guess(r->run.draft, r->run.tokens, r->run.n_total, room, &e->loop.draft_score, guess, chance);
        double survives = 1, more = 0, best_more = 0, speed = expected / cost(e, n) * GAIN;
        for (uint32_t k = 1; k <= room; k++) {
            survives *= (double)chance[k - 1];
            more += survives;
            double again = e->caps & WICK_CAP_SPECULATIVE ? 0 : (1 - survives) * cost(e, n + 1 + (uint32_t)more);
            double its = (expected + more) / (cost(e, n + k) + again);
            if (its <= speed) continue;
            speed = its;
            best = k;
            best_more = more;
        }
        if (best == 0 || !set_aside(e, r)) continue;
        for (uint32_t k = 0; k < best; k++) r->run.tokens[r->run.n_total + k] = guess[k];
        r->run.n_draft = best;
        r->run.row_tokens = 1 + best;
        r->run.row_out = WICK_OUT_ALL;
        n += best;
        most -= best;
        expected += best_more;
    }
}
