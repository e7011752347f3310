/* engine/step.c - what the next step computes: rows for the selected requests. What becomes of it: flight.c.
 *
 * Decoding rows come first; prompts share what is left of the budget, and while anything decodes only so much of it
 * that a step takes about TARGET_STEP_MS, so that running streams go on.
 */
#include "base/sys.h"
#include "engine/engine_int.h"

#define TARGET_STEP_MS 50.0 /* a reader does not notice a pause of this length between tokens */
#define MIN_MIXED_TOKENS 16 /* prompts advance at least so much, whatever it takes */
#define UNMEASURED_MIXED_TOKENS 64

static uint32_t prompt_budget(const wick_engine *e, uint32_t n_decoding)
{
    uint32_t left = e->step_tokens - n_decoding;
    if (n_decoding == 0) return left;
    double target = 2 * e->loop.decode_step_ms > TARGET_STEP_MS ? 2 * e->loop.decode_step_ms : TARGET_STEP_MS;
    double n = e->loop.prefill_token_ms > 0 ? target / e->loop.prefill_token_ms : UNMEASURED_MIXED_TOKENS;
    if (n < MIN_MIXED_TOKENS) n = MIN_MIXED_TOKENS;
    return n < (double)left ? (uint32_t)n : left;
}

/* Prompts get half of what is left, in their order, and the first ones what then remains: a long prompt cannot keep
 * short ones behind it waiting. Returns whether there is one. */
static bool share_budget(wick_engine *e, uint32_t budget)
{
    uint32_t left = budget;
    for (uint32_t i = 0; i < e->loop.n_chosen && left > 0; i++) {
        wick_request *r = e->loop.chosen[i];
        if (!r->run.kv || !wick_row_prefills(r)) continue;
        wick_row_plan(r, e->parts.plan->whole ? left : (left + 1) / 2);
        left -= r->run.row_tokens;
    }
    for (uint32_t i = 0; i < e->loop.n_chosen && left > 0; i++) {
        wick_request *r = e->loop.chosen[i];
        if (!r->run.kv || !wick_row_prefills(r) || r->run.row_tokens == 0) continue;
        uint32_t had = r->run.row_tokens;
        wick_row_plan(r, had + left);
        left -= r->run.row_tokens - had;
    }
    return left < budget;
}

/* Keeps in the selection what can be in one step together: one kind of output, or one that must run alone. */
static void choose_mode(wick_engine *e)
{
    bool embeds = false, generates = false;
    wick_request *alone = NULL;
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        bool embed = wick_request_pools(e->loop.chosen[i]);
        embeds = embeds || embed;
        generates = generates || !embed;
        if (!alone && e->loop.chosen[i]->run.solo) alone = e->loop.chosen[i];
    }
    e->loop.embed_turn = embeds && (!generates || !e->loop.embed_turn);
    uint32_t n = 0;
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        bool in = alone ? r == alone : wick_request_pools(r) == e->loop.embed_turn;
        if (in) e->loop.chosen[n++] = r;
    }
    e->loop.n_chosen = n;
}

static void fail(wick_engine *e, wick_request *r, const wick_err *err)
{
    wick_verdict_fail(&r->run.verdict, err);
    r->run.row_tokens = 0;
    e->loop.idle = false; /* something happened: it is buried in the next turn, which comes at once */
}

static void fail_for_memory(wick_engine *e, wick_request *r)
{
    wick_err err = {0};
    uint64_t have = e->loop.kv.capacity_bytes ? e->loop.kv.capacity_bytes : e->parts.kv_limit_bytes;
    wick_err_oom(&err, "the context of this request", (uint64_t)r->run.n_total * e->loop.kv.bytes_per_token, have);
    fail(e, r, &err);
}

static void admit_newcomers(wick_engine *e)
{
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        wick_err err = {0};
        wick_room room = WICK_ROOM_OK;
        wick_status st = r->run.kv ? WICK_OK : wick_engine_kv_admit(e, r, &room, &err);
        if (st == WICK_E_OUT_OF_MEMORY && e->loop.n_have > 1 && wick_engine_kv_shed(e))
            st = WICK_OK; /* tried again in the next step */
        if (st != WICK_OK)
            fail(e, r, &err);
        else if (room == WICK_ROOM_NEVER)
            fail_for_memory(e, r);
    }
}

/* Who waits for the disk has no row in this step. */
static void load_from_disk(wick_engine *e)
{
    uint32_t n = 0;
    bool others_decode = false;
    for (uint32_t i = 0; i < e->loop.n_chosen; i++)
        others_decode = others_decode || (e->loop.chosen[i]->run.kv && e->loop.chosen[i]->run.load_to == 0);
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        bool waits = r->run.kv && wick_disk_load(e, r, others_decode);
        if (waits) e->loop.idle = false;
        if (!waits) e->loop.chosen[n++] = r;
    }
    e->loop.n_chosen = n;
}

static void build(wick_engine *e, wick_flight *f)
{
    uint32_t n_decoding = 0;
    wick_engine_kv_begin_step(e);
    choose_mode(e);
    for (uint32_t i = 0; i < e->loop.n_have; i++) e->loop.live[i]->run.row_tokens = e->loop.live[i]->run.n_draft = 0;
    admit_newcomers(e);
    load_from_disk(e);
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        if (!r->run.kv || wick_row_prefills(r) || n_decoding == e->step_tokens) continue;
        wick_row_plan(r, 1);
        n_decoding++;
    }
    if (!share_budget(e, prompt_budget(e, n_decoding)) && n_decoding > 0) wick_draft_plan(e, n_decoding);
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        if (!r->run.kv || r->run.row_tokens == 0) continue;
        if (wick_engine_kv_grow(e, r, r->run.row_tokens) == WICK_ROOM_NEVER) fail_for_memory(e, r);
    }
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        if (!r->run.kv || r->run.row_tokens == 0) continue;
        wick_flight_add(
            e, f, r,
            (wick_row){r->run.kv, r->run.tokens + r->run.n_kv, r->run.row_tokens, r->run.row_out, r->opt.second});
    }
}

void wick_engine_step(wick_engine *e)
{
    if (e->loop.n_flights > 0) {
        wick_flight_follow(e);
        wick_flight_land(e);
        return;
    }
    wick_flight *f = wick_flight_new(e);
    double t0 = wick_time_ms();
    build(e, f);
    e->loop.build_ms = wick_time_ms() - t0;
    if (f->n_rows > 0 && wick_flight_start(e) && !wick_flight_may_stay(e)) wick_flight_land(e);
}
