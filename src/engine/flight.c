/* engine/flight.c - steps that the backend works on, and what becomes of them.
 *
 * A step is started, then landed: waited for, its outputs given to their owners. Where the device picks the tokens, the
 * next step may be started before this one lands: its rows name the picks instead of tokens, so the device never waits
 * for the host. That goes on as long as the same requests decode; whatever else happens (a newcomer, a reader that is
 * behind, memory that runs short) lets the step under way land first.
 *
 * Invariants: (1) at most two steps are under way, and the second has rows of the first's requests only. (2) A
 * request's n_kv and n_total count what has landed; its sequence may be ahead of them by one token per step under way.
 * (3) A request that ends takes those tokens back (wick_flight_leave).
 */
#include "base/sys.h"
#include "engine/engine_int.h"

#define MIN_MEASURED_TOKENS 16 /* a step of fewer prompt tokens says nothing about their speed */
#define EVENTS_AHEAD 3         /* room that a row needs to be started early: two tokens, one to spare */

wick_flight *wick_flight_new(wick_engine *e)
{
    wick_flight *f = &e->loop.flight[e->loop.n_flights], empty = {.row = f->row};
    *f = empty;
    return f;
}

void wick_flight_add(wick_engine *e, wick_flight *f, wick_request *r, wick_row row)
{
    e->loop.row[f->n_rows] = row;
    f->row[f->n_rows++] = (wick_flight_row){r, row.n_tokens, row.out};
    if (wick_row_prefills(r) && row.tokens)
        f->n_prompt += row.n_tokens;
    else
        f->n_decoding++;
}

/* The older step is no longer under way. Its rows stay readable until the next wick_flight_new. */
static wick_flight pop(wick_engine *e)
{
    wick_flight f = e->loop.flight[0];
    for (uint32_t k = 0; k < f.n_rows; k++)
        if (f.row[k].r) f.row[k].r->run.n_flights--;
    e->loop.flight[0] = e->loop.flight[1];
    e->loop.flight[1] = f;
    e->loop.n_flights--;
    return f;
}

/* A sequence may be ahead of what has landed, hold some of a failed row's tokens, or be broken: back to where it was,
 * or afresh. */
static void restore(wick_engine *e, wick_request *r)
{
    const wick_backend *b = e->parts.backend;
    if (!r->run.kv || b->kv_len(r->run.kv) == r->run.n_kv) return;
    if (b->kv_truncate(e->loop.loaded, r->run.kv, r->run.n_kv, NULL) != WICK_OK) wick_engine_kv_release(e, r);
}

void wick_flight_leave(wick_request *r)
{
    wick_engine *e = r->engine;
    for (uint32_t i = 0; i < e->loop.n_flights; i++)
        for (uint32_t k = 0; k < e->loop.flight[i].n_rows; k++)
            if (e->loop.flight[i].row[k].r == r) e->loop.flight[i].row[k].r = NULL;
    r->run.n_flights = 0;
    restore(e, r);
}

/* Deals with the failure of the rows of f, which is no longer under way. */
static void step_failed(wick_engine *e, wick_flight *f, const wick_err *err)
{
    uint32_t n = 0;
    bool memory = err->kind == WICK_E_OUT_OF_MEMORY || err->kind == WICK_E_LIMIT;
    for (uint32_t i = 0; i < f->n_rows; i++)
        if (f->row[i].r) f->row[n++] = f->row[i];
    wick_log(WICK_LOG_WARN, "a step of %u sequences failed: %s", n, err->message);
    for (uint32_t i = 0; i < n; i++) restore(e, f->row[i].r);
    if (n == 0 || (memory && wick_engine_kv_shed(e))) return;
    if (n == 1) {
        wick_verdict_fail(&f->row[0].r->run.verdict, err);
        return;
    }
    for (uint32_t i = 0; i < n; i++) { /* whose fault it was shows when each runs alone */
        wick_engine_kv_release(e, f->row[i].r);
        f->row[i].r->run.solo = true;
    }
}

/* Submits the newest flight's rows. */
static wick_status submit(wick_engine *e, wick_err *err)
{
    wick_flight *f = &e->loop.flight[e->loop.n_flights];
    wick_batch batch = {e->loop.row, f->n_rows};
    f->start_ms = wick_time_ms();
    wick_status st = e->parts.backend->step_submit(e->loop.loaded, &batch, err);
    if (st != WICK_OK) {
        err->kind = st;
        return st;
    }
    for (uint32_t i = 0; i < f->n_rows; i++) f->row[i].r->run.n_flights++;
    e->loop.n_flights++;
    e->loop.idle = false;
    return WICK_OK;
}

bool wick_flight_start(wick_engine *e)
{
    wick_err err = {0};
    wick_flight *f = &e->loop.flight[e->loop.n_flights];
    e->loop.idle = false;
    if (submit(e, &err) == WICK_OK) return true;
    step_failed(e, f, &err);
    return false;
}

/* Can the backend take a step whose tokens are not known yet, and take it back where a text ended? */
static bool overlaps(const wick_engine *e)
{
    return (e->caps & WICK_CAP_DEVICE_SAMPLING) && (e->caps & WICK_CAP_SPECULATIVE);
}

bool wick_flight_may_stay(const wick_engine *e)
{
    const wick_flight *f = &e->loop.flight[0];
    for (uint32_t i = 0; i < f->n_rows; i++)
        if (f->row[i].out != WICK_OUT_PICK) return false;
    return overlaps(e);
}

/* Will r certainly want a token after the one that is under way, unless its text ends there? */
static bool goes_on(const wick_request *r)
{
    return r->run.n_gen + 1 < r->opt.max_tokens && !atomic_load(&r->cancel);
}

/* Does the step under way end at one of r's marks? Then it lands first: a sequence ahead leaves none. */
static bool ends_at_mark(const wick_engine *e, const wick_request *r)
{
    uint32_t at = e->parts.backend->kv_len(r->run.kv);
    return wick_mark_wanted(r) && (wick_mark_last(e, at) == at || at == r->run.n_prompt);
}

/* May all of e->loop.chosen go on without the host knowing their next token? */
static bool may_follow(wick_engine *e)
{
    if (!overlaps(e) || e->loop.n_flights != 1 || !wick_flight_may_stay(e)) return false;
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        wick_request *r = e->loop.chosen[i];
        if (r->run.n_flights != 1 || ends_at_mark(e, r) || r->run.solo || !wick_row_picks(r) ||
            wick_events_room(r) < EVENTS_AHEAD)
            return false;
    }
    wick_engine_kv_begin_step(e);
    for (uint32_t i = 0; i < e->loop.n_chosen; i++)
        if (goes_on(e->loop.chosen[i]) && !wick_engine_kv_fits(e, e->loop.chosen[i])) return false;
    return true;
}

void wick_flight_follow(wick_engine *e)
{
    wick_err err = {0};
    if (!may_follow(e)) return;
    wick_flight *f = wick_flight_new(e);
    for (uint32_t i = 0; i < e->loop.n_chosen; i++)
        if (goes_on(e->loop.chosen[i]))
            wick_flight_add(e, f, e->loop.chosen[i], (wick_row){e->loop.chosen[i]->run.kv, NULL, 1, WICK_OUT_PICK, 0});
    if (f->n_rows > 0 && submit(e, &err) != WICK_OK) /* the same step, built from tokens, says what is wrong */
        wick_log(WICK_LOG_DEBUG, "a step cannot be started early: %s", err.message);
}

static void measure(wick_engine *e, const wick_flight *f, double now)
{
    double from = f->start_ms > e->loop.land_ms ? f->start_ms : e->loop.land_ms, ms = now - from;
    if (f->n_prompt == 0) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < f->n_rows; i++) n += f->row[i].n_tokens;
        wick_draft_measure(e, n, ms);
        e->loop.decode_step_ms += (ms - e->loop.decode_step_ms) * (e->loop.decode_step_ms > 0 ? 0.1 : 1);
    } else if (f->n_prompt >= MIN_MEASURED_TOKENS) {
        double own = f->n_decoding > 0 && ms > e->loop.decode_step_ms ? ms - e->loop.decode_step_ms : ms;
        double each = own / f->n_prompt;
        e->loop.prefill_token_ms += (each - e->loop.prefill_token_ms) * (e->loop.prefill_token_ms > 0 ? 0.3 : 1);
    }
}

/* Vectors, not picks, that the row gives. */
static uint32_t vectors_of(const wick_flight_row *row)
{
    if (row->out == WICK_OUT_NONE || row->out == WICK_OUT_PICK) return 0;
    return row->out == WICK_OUT_LAST ? 1 : row->n_tokens;
}

static wick_status check_outputs(const wick_engine *e, const wick_flight *f, const wick_step_out *out, wick_err *err)
{
    const char *name = e->parts.backend->name;
    uint32_t width = 0, n = 0, n_picks = 0;
    for (uint32_t i = 0; i < f->n_rows; i++) {
        n += vectors_of(&f->row[i]);
        n_picks += f->row[i].out == WICK_OUT_PICK;
        width = f->row[i].out == WICK_OUT_HIDDEN ? e->parts.plan->n_embd : e->n_vocab;
    }
    if (n > 0 && (out->n != n || out->width != width || !out->data))
        return wick_err_set(err, WICK_E_INTERNAL, name, "backend %s gave %u outputs of %u, expected %u of %u", name,
                            out->n, out->width, n, width);
    if (n_picks > 0 && (out->n_picks != n_picks || !out->pick))
        return wick_err_set(err, WICK_E_INTERNAL, name, "backend %s picked %u tokens, expected %u", name, out->n_picks,
                            n_picks);
    return WICK_OK;
}

/* A row's outputs to its owner. They may be its last, which its verdict then says. */
static void give(wick_engine *e, const wick_flight_row *row, const float *data, const wick_pick *pick, double now)
{
    wick_request *r = row->r;
    r->run.row_tokens = row->n_tokens;
    r->run.row_out = row->out;
    r->run.n_kv += row->n_tokens;
    r->run.solo = false;
    wick_sched_charge(e, r, row->n_tokens);
    if (r->run.n_gen == 0) {
        e->loop.stats.n_prompt_tokens += row->n_tokens;
        wick_event_prefill(r, r->run.n_kv < r->run.n_prompt ? r->run.n_kv : r->run.n_prompt, r->run.n_prompt);
    }
    r->run.t_last = now;
    if (atomic_load(&r->cancel)) return; /* reaped before the next step */
    bool guessed = r->run.n_draft > 0;
    wick_output_row(e, r, data, pick, &r->run.verdict);
    if (guessed) wick_draft_take_back(e, r);
    if (!r->run.kv) return;
    wick_mark_leave(e, r);
    wick_disk_save(e, r);
}

static void distribute(wick_engine *e, const wick_flight *f, const wick_step_out *out, double now)
{
    const float *data = out->data;
    const wick_pick *pick = out->pick;
    for (uint32_t i = 0; i < f->n_rows; i++) {
        const wick_flight_row *row = &f->row[i];
        const float *mine = data;
        const wick_pick *chosen = row->out == WICK_OUT_PICK ? pick++ : NULL;
        if (vectors_of(row) > 0) data += (size_t)vectors_of(row) * out->width;
        if (row->r) give(e, row, mine, chosen, now);
    }
}

/* The step behind a failed one is of no use: waited for, and its outputs dropped. */
static void drop_rest(wick_engine *e)
{
    wick_step_out out;
    while (e->loop.n_flights > 0) {
        if (e->parts.backend->step_wait(e->loop.loaded, &out, NULL) != WICK_OK)
            wick_log(WICK_LOG_DEBUG, "the step behind a failed one failed too");
        pop(e);
    }
}

void wick_flight_land(wick_engine *e)
{
    wick_step_out out = {0};
    wick_err err = {0};
    if (e->loop.n_flights == 0) return;
    double t0 = wick_time_ms();
    wick_status st = e->parts.backend->step_wait(e->loop.loaded, &out, &err);
    double t1 = wick_time_ms();
    e->loop.idle = false;
    if (st == WICK_OK) st = check_outputs(e, &e->loop.flight[0], &out, &err);
    wick_flight f = pop(e);
    if (st != WICK_OK) {
        err.kind = st;
        drop_rest(e);
        step_failed(e, &f, &err);
        return;
    }
    measure(e, &f, t1);
    e->loop.land_ms = t1;
    distribute(e, &f, &out, t1);
    if (wick_log_on(WICK_LOG_DEBUG))
        wick_log(WICK_LOG_DEBUG,
                 "step: %u decoding, %u prompt tokens; build %.3f ms, waited %.3f ms, sample and deliver %.3f ms",
                 f.n_decoding, f.n_prompt, e->loop.build_ms, t1 - t0, wick_time_ms() - t1);
}

void wick_flight_drain(wick_engine *e)
{
    while (e->loop.n_flights > 0) wick_flight_land(e);
}
