/* engine/reap.c - where requests end.
 *
 * Others only write verdicts. This loop runs once a turn, when no other loop walks the lists, and is the only one that
 * takes a request out of them; so nobody's request goes away under his hands.
 */
#include "base/sys.h"
#include "engine/engine_int.h"

static wick_usage usage_of(const wick_request *r, double now)
{
    const wick_request_run *run = &r->run;
    wick_usage u = {.n_prompt = run->n_prompt, .n_cached = run->n_cached, .n_gen = run->n_gen};
    u.queue_ms = (run->admitted ? run->t_admit : now) - run->t_submit;
    if (run->t_first > 0) {
        u.first_token_ms = run->t_first - run->t_submit;
        u.prefill_ms = run->t_first - run->t_admit;
        u.decode_ms = run->t_last - run->t_first;
    } else if (run->admitted) {
        u.prefill_ms = now - run->t_admit;
    }
    return u;
}

/* KV given back, counted, DONE delivered, and the engine knows it no more. */
static void bury(wick_engine *e, wick_request *r, double now)
{
    const wick_verdict *v = &r->run.verdict;
    wick_usage u = usage_of(r, now);
    if (v->finish == WICK_FINISH_ERROR) e->loop.stats.n_failed++;
    if (v->finish == WICK_FINISH_CANCELLED) e->loop.stats.n_cancelled++;
    wick_flight_leave(r);
    if (v->finish != WICK_FINISH_ERROR) wick_engine_kv_keep(e, r);
    wick_engine_kv_release(e, r);
    wick_sched_remove(e, r);
    wick_door_left(&e->door, r->opt.domain.owner);
    wick_stats_publish(e, true); /* whoever reads DONE finds it counted */
    wick_event_done(r, v, &u);   /* the reader may free r from here on */
}

/* Returns the milliseconds until r's deadline; at most 0: it has passed. */
static double time_left(const wick_request *r, double now)
{
    return r->run.t_submit + (double)r->opt.deadline_ms - now;
}

static void judge(wick_request *r, bool closing, double now)
{
    wick_verdict *v = &r->run.verdict;
    wick_err err = {0};
    if (v->finish != WICK_FINISH_NONE) return;
    if (closing || atomic_load(&r->cancel)) {
        v->finish = WICK_FINISH_CANCELLED;
    } else if (r->opt.deadline_ms > 0 && time_left(r, now) <= 0) {
        wick_err_set(&err, WICK_E_LIMIT, "deadline", "the request was not done within %llu ms",
                     (unsigned long long)r->opt.deadline_ms);
        wick_verdict_fail(v, &err);
    }
}

int64_t wick_engine_reap(wick_engine *e, bool closing)
{
    double now = wick_time_ms(), nearest = -1;
    for (uint32_t i = 0; i < e->loop.n_have;) {
        wick_request *r = e->loop.live[i];
        judge(r, closing, now);
        if (r->run.verdict.finish != WICK_FINISH_NONE) {
            bury(e, r, now); /* the next one is at i now */
            continue;
        }
        if (r->opt.deadline_ms > 0 && (nearest < 0 || time_left(r, now) < nearest)) nearest = time_left(r, now);
        i++;
    }
    return nearest < 0 ? -1 : (int64_t)nearest + 1;
}
