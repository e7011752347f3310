/* engine/step.c - one step: rows for the selected requests, the backend's work, and the outputs to their owners.
 *
 * A request has n_total tokens and n_kv of them computed. Whoever lacks one decodes, whoever lacks more prefills (also
 * after preemption): the same row, another length. Decoding rows come first; prompts share what is left of the budget,
 * and while anything decodes only so much of it that a step takes about TARGET_STEP_MS, so that running streams go on.
 */
#include <string.h>
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
        out = WICK_OUT_LAST;
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

/* Is r's row for this step one of a prompt (or of what must be computed again)? */
static bool prefills(const wick_request *r)
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
        if (!r->kv || !prefills(r)) continue;
        plan_row(e, r, (left + 1) / 2);
        left -= r->row_tokens;
    }
    for (uint32_t i = 0; i < e->n_run && left > 0; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || !prefills(r) || r->row_tokens == 0) continue;
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

static void fail(wick_request *r, const wick_err *err)
{
    wick_request_finish(r, WICK_FINISH_ERROR, NULL, err);
}

static void fail_for_memory(wick_engine *e, wick_request *r)
{
    wick_err err = {0};
    uint64_t have = e->kv.capacity_bytes ? e->kv.capacity_bytes : e->parts.kv_limit_bytes;
    wick_err_oom(&err, "the context of this request", (uint64_t)r->n_total * e->kv.bytes_per_token, have);
    fail(r, &err);
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
            fail(r, &err);
        else if (room == WICK_ROOM_NEVER)
            fail_for_memory(e, r);
        else
            i++;
    }
}

static void build(wick_engine *e)
{
    uint32_t n_decoding = 0;
    wick_engine_kv_begin_step(e);
    choose_mode(e);
    for (uint32_t i = 0; i < e->n_have; i++) e->live[i]->row_tokens = 0;
    admit_newcomers(e);
    for (uint32_t i = 0; i < e->n_run; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || prefills(r) || n_decoding == e->step_tokens) continue;
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
    e->n_rows = 0;
    for (uint32_t i = 0; i < e->n_run; i++) {
        wick_request *r = e->run[i];
        if (!r->kv || r->row_tokens == 0) continue;
        e->row_of[e->n_rows] = r;
        e->row[e->n_rows++] = (wick_row){r->kv, r->tokens + r->n_kv, r->row_tokens, r->row_out};
    }
}

/* After a failed step a sequence may hold some of the row's tokens, or be broken: back to where it was, or afresh. */
static void restore(wick_engine *e, wick_request *r)
{
    const wick_backend *b = e->parts.backend;
    if (!r->kv || b->kv_len(r->kv) == r->n_kv) return;
    if (b->kv_truncate(e->loaded, r->kv, r->n_kv, NULL) != WICK_OK) wick_engine_kv_release(e, r);
}

static void step_failed(wick_engine *e, const wick_err *err)
{
    uint32_t n = e->n_rows;
    bool memory = err->kind == WICK_E_OUT_OF_MEMORY || err->kind == WICK_E_LIMIT;
    wick_log(WICK_LOG_WARN, "a step of %u sequences failed: %s", n, err->message);
    for (uint32_t i = 0; i < n; i++) restore(e, e->row_of[i]);
    if (memory && wick_engine_kv_shed(e)) return;
    if (n == 1) {
        fail(e->row_of[0], err);
        return;
    }
    for (uint32_t i = 0; i < n; i++) { /* whose fault it was shows when each runs alone */
        wick_engine_kv_release(e, e->row_of[i]);
        e->row_of[i]->solo = true;
    }
}

static void measure(wick_engine *e, double ms, uint32_t n_decoding, uint32_t n_prompt)
{
    if (n_prompt == 0) {
        e->decode_step_ms += (ms - e->decode_step_ms) * (e->decode_step_ms > 0 ? 0.1 : 1);
    } else if (n_prompt >= MIN_MIXED_TOKENS) {
        double own = n_decoding > 0 && ms > e->decode_step_ms ? ms - e->decode_step_ms : ms;
        double each = own / n_prompt;
        e->prefill_token_ms += (each - e->prefill_token_ms) * (e->prefill_token_ms > 0 ? 0.3 : 1);
    }
}

static uint32_t outputs_of(const wick_request *r)
{
    if (r->row_out == WICK_OUT_NONE) return 0;
    return r->row_out == WICK_OUT_LAST ? 1 : r->row_tokens;
}

/* Gives each row its outputs. A request that ends leaves e->run, not e->row_of. */
static void distribute(wick_engine *e, const wick_step_out *out)
{
    const float *data = out->data;
    double now = wick_time_ms();
    for (uint32_t i = 0; i < e->n_rows; i++) {
        wick_request *r = e->row_of[i];
        wick_err err = {0};
        const float *mine = data;
        uint32_t n = r->row_tokens;
        if (outputs_of(r) > 0) data += (size_t)outputs_of(r) * out->width;
        r->n_kv += n;
        r->solo = false;
        wick_sched_charge(e, r, n);
        if (r->n_gen == 0) {
            e->stats.n_prompt_tokens += n;
            wick_event_prefill(r, r->n_kv < r->n_prompt ? r->n_kv : r->n_prompt, r->n_prompt);
        }
        r->t_last = now;
        if (atomic_load(&r->cancel)) continue; /* reaped before the next step */
        if (wick_output_row(e, r, mine, out->width, &err) != WICK_OK) fail(r, &err);
    }
}

void wick_engine_step(wick_engine *e)
{
    wick_step_out out = {0};
    wick_err err = {0};
    uint32_t n_decoding = 0, n_prompt = 0, n_out = 0;
    double t0 = wick_time_ms();
    build(e);
    if (e->n_rows == 0) return;
    for (uint32_t i = 0; i < e->n_rows; i++) {
        wick_request *r = e->row_of[i];
        n_out += outputs_of(r);
        if (prefills(r))
            n_prompt += r->row_tokens;
        else
            n_decoding++;
    }
    wick_batch batch = {e->row, e->n_rows};
    double t1 = wick_time_ms();
    wick_status st = e->parts.backend->step_submit(e->loaded, &batch, &err);
    if (st == WICK_OK) st = e->parts.backend->step_wait(e->loaded, &out, &err);
    double t2 = wick_time_ms();
    uint32_t width = e->embed_turn ? e->parts.plan->n_embd : e->n_vocab;
    if (st == WICK_OK && n_out > 0 && (out.n != n_out || out.width != width || !out.data))
        st = wick_err_set(&err, WICK_E_INTERNAL, e->parts.backend->name,
                          "backend %s gave %u outputs of %u, expected %u of %u", e->parts.backend->name, out.n,
                          out.width, n_out, width);
    if (st != WICK_OK) {
        err.kind = st;
        step_failed(e, &err);
        return;
    }
    measure(e, t2 - t1, n_decoding, n_prompt);
    distribute(e, &out);
    if (wick_log_on(WICK_LOG_DEBUG))
        wick_log(WICK_LOG_DEBUG,
                 "step: %u decoding, %u prompt tokens; build %.3f ms, backend %.3f ms, sample and deliver %.3f ms",
                 n_decoding, n_prompt, t1 - t0, t2 - t1, wick_time_ms() - t2);
}
