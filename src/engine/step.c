/* engine/step.c - what the next step computes: rows for the selected requests. What becomes of it: flight.c.
 *
 * A request has n_total tokens and n_kv of them computed. Whoever lacks one decodes, whoever lacks more prefills (also
 * after preemption): the same row, another length. Decoding rows come first; prompts share what is left of the budget,
 * and while anything decodes only so much of it that a step takes about TARGET_STEP_MS, so that running streams go on.
 */
#include "base/sys.h"
#include "engine/engine_int.h"

#define TARGET_STEP_MS 50.0 /* a reader does not notice a pause of this length between tokens */
#define MIN_MIXED_TOKENS 16 /* prompts advance at least so much, whatever it takes */
#define UNMEASURED_MIXED_TOKENS 64
#define MAX_OUT_BYTES (8u << 20) /* logits of a row whose every position is asked for */

/* Does the request want outputs of its prompt's positions, and are there some to come? */
static bool reports(const wick_request *r)
{
    if (r->opt.kind != WICK_REQ_GENERATE) return true;
    return r->opt.prompt_logprobs && r->n_out < r->n_prompt;
}

/* Sets r's row to at most `budget` tokens and says what is wanted of it. */
static void plan_row(const wick_engine *e, wick_request *r, uint32_t budget)
{
    uint32_t n = r->n_total - r->n_kv, out = WICK_OUT_NONE;
    if (n > budget) n = budget;
    if (reports(r) && r->n_kv < r->n_out) { /* lost and computed again: reported already */
        if (n > r->n_out - r->n_kv) n = r->n_out - r->n_kv;
    } else if (r->opt.kind == WICK_REQ_EMBED) {
        out = WICK_OUT_HIDDEN;
    } else if (reports(r)) {
        uint32_t most = MAX_OUT_BYTES / sizeof(float) / e->n_vocab;
        uint32_t room = r->opt.kind == WICK_REQ_GENERATE ? wick_events_room(r) : UINT32_MAX;
        if (r->opt.kind == WICK_REQ_GENERATE && n > r->n_prompt - r->n_kv) n = r->n_prompt - r->n_kv;
        if (room > 2) room -= 2; /* the token and the progress that may follow */
        if (most > room) most = room;
        if (n > most) n = most > 0 ? most : 1;
        out = WICK_OUT_ALL;
    } else if (r->n_kv + n == r->n_total) {
        out = wick_request_picks(r) ? WICK_OUT_PICK : WICK_OUT_LAST;
    }
    r->row_tokens = n;
    r->row_out = out;
}

static uint32_t prompt_budget(const wick_engine *e, uint32_t n_decoding)
{
    uint32_t left = e->step_tokens - n_decoding;
    if (n_decoding == 0) return left;
    double target = 2 * e->decode_step_ms > TARGET_STEP_MS ? 2 * e->decode_step_ms : TARGET_STEP_MS;
    double n = e->prefill_token_ms > 0 ? target / e->prefill_token_ms : UNMEASURED_MIXED_TOKENS;
    if (n < MIN_MIXED_TOKENS) n = MIN_MIXED_TOKENS;
    return n < (double)left ? (uint32_t)n : left;
}

bool wick_request_prefills(const wick_request *r)
{
    return r->n_total - r->n_kv > 1 || r->n_gen == 0;
}

/* Prompts get half of what is left, in their order, and the first ones what then remains: a long prompt cannot keep
 * short ones behind it waiting. */
static void share_budget(wick_engine *e, uint32_t budget)
{
    uint32_t left = budget;
    for (uint32_t i = 0; i < e->n_run && left > 0; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || !wick_request_prefills(r)) continue;
        plan_row(e, r, (left + 1) / 2);
        left -= r->row_tokens;
    }
    for (uint32_t i = 0; i < e->n_run && left > 0; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || !wick_request_prefills(r) || r->row_tokens == 0) continue;
        uint32_t had = r->row_tokens;
        plan_row(e, r, had + left);
        left -= r->row_tokens - had;
    }
}

/* Keeps in the selection what can be in one step together: one kind of output, or one that must run alone. */
static void choose_mode(wick_engine *e)
{
    bool embeds = false, generates = false;
    wick_request *alone = NULL;
    for (uint32_t i = 0; i < e->n_run; i++) {
        bool embed = e->run[i]->opt.kind == WICK_REQ_EMBED;
        embeds = embeds || embed;
        generates = generates || !embed;
        if (!alone && e->run[i]->solo) alone = e->run[i];
    }
    e->embed_turn = embeds && (!generates || !e->embed_turn);
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->n_run; i++) {
        wick_request *r = e->run[i];
        bool in = alone ? r == alone : (r->opt.kind == WICK_REQ_EMBED) == e->embed_turn;
        if (in) e->run[n++] = r;
    }
    e->n_run = n;
}

static void fail_for_memory(wick_engine *e, wick_request *r)
{
    wick_err err = {0};
    uint64_t have = e->kv.capacity_bytes ? e->kv.capacity_bytes : e->parts.kv_limit_bytes;
    wick_err_oom(&err, "the context of this request", (uint64_t)r->n_total * e->kv.bytes_per_token, have);
    wick_request_finish(r, WICK_FINISH_ERROR, NULL, &err);
}

static void admit_newcomers(wick_engine *e)
{
    for (uint32_t i = 0; i < e->n_run;) {
        wick_request *r = e->run[i];
        wick_err err = {0};
        wick_room room = WICK_ROOM_OK;
        wick_status st = r->kv ? WICK_OK : wick_engine_kv_admit(e, r, &room, &err);
        if (st == WICK_E_OUT_OF_MEMORY && e->n_have > 1 && wick_engine_kv_shed(e))
            st = WICK_OK; /* tried again in the next step */
        if (st != WICK_OK)
            wick_request_finish(r, WICK_FINISH_ERROR, NULL, &err);
        else if (room == WICK_ROOM_NEVER)
            fail_for_memory(e, r);
        else
            i++;
    }
}

bool wick_request_picks(const wick_request *r)
{
    return (r->engine->caps & WICK_CAP_DEVICE_SAMPLING) && r->opt.kind == WICK_REQ_GENERATE && !r->matcher.ops &&
           r->opt.n_top_logprobs == 0 && r->n_gen >= r->opt.min_tokens && wick_sampler_is_argmax(r->sampler);
}

static void build(wick_engine *e, wick_flight *f)
{
    uint32_t n_decoding = 0;
    wick_engine_kv_begin_step(e);
    choose_mode(e);
    for (uint32_t i = 0; i < e->n_have; i++) e->live[i]->row_tokens = 0;
    admit_newcomers(e);
    for (uint32_t i = 0; i < e->n_run; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || wick_request_prefills(r) || n_decoding == e->step_tokens) continue;
        plan_row(e, r, 1);
        n_decoding++;
    }
    share_budget(e, prompt_budget(e, n_decoding));
    for (uint32_t i = 0; i < e->n_run;) {
        wick_request *r = e->run[i];
        wick_room room = r->kv && r->row_tokens > 0 ? wick_engine_kv_grow(e, r, r->row_tokens) : WICK_ROOM_OK;
        if (room == WICK_ROOM_NEVER)
            fail_for_memory(e, r);
        else
            i++;
    }
    for (uint32_t i = 0; i < e->n_run; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || r->row_tokens == 0) continue;
        wick_flight_add(e, f, r, (wick_row){r->kv, r->tokens + r->n_kv, r->row_tokens, r->row_out});
    }
}

void wick_engine_step(wick_engine *e)
{
    if (e->n_flights > 0) {
        wick_flight_follow(e);
        wick_flight_land(e);
        return;
    }
    wick_flight *f = wick_flight_new(e);
    double t0 = wick_time_ms();
    build(e, f);
    e->build_ms = wick_time_ms() - t0;
    if (f->n_rows > 0 && wick_flight_start(e) && !wick_flight_may_stay(e)) wick_flight_land(e);
}
