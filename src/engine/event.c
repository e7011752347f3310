/* engine/event.c - the ring of events between the engine's thread and one reader.
 *
 * Invariants: (1) the ring never grows: the engine asks for room before a step and leaves out a request that has none.
 * (2) DONE is not in the ring, so it can always be delivered, and it is read after everything in the ring. (3) The
 * slot that the reader looks at stays untouched until its next call. (4) Once `finished` is set the engine changes
 * nothing but `released`, which is the last thing it does with a request.
 */
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"

/* A LOGITS event may hold megabytes: fewer of them. */
#define MAX_DATA_EVENTS 8

static uint32_t ring_limit(const wick_request *r)
{
    return r->opt.kind == WICK_REQ_LOGITS ? MAX_DATA_EVENTS : WICK_MAX_EVENTS;
}

wick_status wick_events_init(wick_request *r, wick_err *err)
{
    r->box.ring = wick_alloc_zero(WICK_MAX_EVENTS, sizeof *r->box.ring);
    if (r->opt.n_top_logprobs > 0)
        r->box.ring_top = wick_alloc_zero((size_t)WICK_MAX_EVENTS * r->opt.n_top_logprobs, sizeof *r->box.ring_top);
    if (!r->box.ring || (r->opt.n_top_logprobs > 0 && !r->box.ring_top))
        return wick_err_oom(err, "events of a request", 0, 0);
    return WICK_OK;
}

void wick_events_release(wick_request *r)
{
    for (uint32_t i = 0; r->box.ring && i < WICK_MAX_EVENTS; i++) {
        wick_buf_release(&r->box.ring[i].large);
        wick_free(r->box.ring[i].data);
    }
    wick_free(r->box.ring);
    wick_free(r->box.ring_top);
}

uint32_t wick_events_room(wick_request *r)
{
    wick_lock_take(&r->box.lock);
    uint32_t limit = ring_limit(r), room = r->box.n_events < limit ? limit - r->box.n_events : 0;
    if (room == 0) r->box.paused = true;
    wick_lock_drop(&r->box.lock);
    return room;
}

/* The slot behind the last event; the caller fills it without the lock (only the engine's thread writes there). */
static wick_event_slot *next_slot(wick_request *r)
{
    wick_lock_take(&r->box.lock);
    wick_event_slot *s =
        r->box.n_events < WICK_MAX_EVENTS ? &r->box.ring[(r->box.head + r->box.n_events) % WICK_MAX_EVENTS] : NULL;
    wick_lock_drop(&r->box.lock);
    return s;
}

static void publish(wick_request *r)
{
    wick_lock_take(&r->box.lock);
    r->box.n_events++;
    wick_cond_signal(&r->box.cond);
    wick_lock_drop(&r->box.lock);
    if (r->notify) r->notify(r->notify_ctx);
}

wick_status wick_event_token(wick_request *r, int32_t token, bool is_prompt, const char *text, uint32_t n_text,
                             float logprob, uint32_t n_top, wick_err *err)
{
    wick_event_slot *s = next_slot(r);
    if (!s) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the event queue of a request overflowed");
    if (n_text > sizeof s->small) {
        wick_buf_reset(&s->large);
        wick_buf_add(&s->large, text, n_text);
        if (s->large.failed) return wick_err_oom(err, "the text of a token", n_text, 0);
    } else if (n_text > 0) {
        memcpy(s->small, text, n_text);
    }
    s->kind = WICK_EVENT_TOKEN;
    s->token = token;
    s->is_prompt = is_prompt;
    s->n_text = n_text;
    s->logprob = logprob;
    s->n_top = n_top;
    if (n_top > 0)
        memcpy(r->box.ring_top + (size_t)(s - r->box.ring) * r->opt.n_top_logprobs, r->run.top,
               n_top * sizeof *r->run.top);
    publish(r);
    return WICK_OK;
}

void wick_event_prefill(wick_request *r, uint32_t n_done, uint32_t n_total)
{
    wick_lock_take(&r->box.lock);
    bool crowded = r->box.n_events >= WICK_MAX_EVENTS / 2; /* progress may be left out, tokens may not */
    wick_lock_drop(&r->box.lock);
    wick_event_slot *s = crowded ? NULL : next_slot(r);
    if (!s) return;
    s->kind = WICK_EVENT_PREFILL;
    s->n_done = n_done;
    s->n_total = n_total;
    s->n_cached = r->run.n_cached;
    publish(r);
}

wick_status wick_event_data(wick_request *r, const float *data, uint32_t n, uint32_t width, bool is_prompt,
                            wick_err *err)
{
    wick_event_slot *s = next_slot(r);
    uint64_t count = (uint64_t)n * width;
    if (!s) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the event queue of a request overflowed");
    s->data = wick_realloc_array(NULL, count, sizeof *s->data);
    if (!s->data) return wick_err_oom(err, "logits of a request", count * sizeof *s->data, 0);
    memcpy(s->data, data, count * sizeof *s->data);
    s->kind = WICK_EVENT_LOGITS;
    s->n_data = n;
    s->width = width;
    s->is_prompt = is_prompt;
    publish(r);
    return WICK_OK;
}

void wick_event_done(wick_request *r, const wick_verdict *v, const wick_usage *u)
{
    wick_lock_take(&r->box.lock);
    r->box.final = (wick_event){.kind = WICK_EVENT_DONE,
                                .token = -1,
                                .text = r->run.text.n > 0 ? r->run.text.data : "",
                                .n_text = (uint32_t)r->run.text.n,
                                .finish = v->finish,
                                .stop_string = v->stop_string,
                                .usage = *u,
                                .error = v->error};
    r->box.finished = true;
    wick_cond_broadcast(&r->box.cond);
    wick_lock_drop(&r->box.lock);
    if (r->notify) r->notify(r->notify_ctx);
    wick_lock_take(&r->box.lock);
    r->box.released = true;
    wick_cond_broadcast(&r->box.cond);
    wick_lock_drop(&r->box.lock);
}

/* Takes the event that the reader has seen out of the ring. Under r->box.lock. */
static void drop_read(wick_request *r)
{
    if (!r->box.reading) return;
    wick_event_slot *s = &r->box.ring[r->box.head];
    wick_free(s->data);
    s->data = NULL;
    r->box.head = (r->box.head + 1) % WICK_MAX_EVENTS;
    r->box.n_events--;
    r->box.reading = false;
    if (r->box.paused && !r->box.finished && r->box.n_events <= ring_limit(r) / 2) {
        r->box.paused = false;
        wick_door_poke(&r->engine->door); /* not finished: the engine is alive */
    }
}

static const wick_event *show(wick_request *r)
{
    const wick_event_slot *s = &r->box.ring[r->box.head];
    r->box.out = (wick_event){.kind = s->kind};
    switch (s->kind) {
    case WICK_EVENT_TOKEN:
        r->box.out.token = s->token;
        r->box.out.is_prompt = s->is_prompt;
        r->box.out.text = s->n_text > sizeof s->small ? s->large.data : s->small;
        r->box.out.n_text = s->n_text;
        r->box.out.logprob = s->logprob;
        r->box.out.n_top = s->n_top;
        r->box.out.top = s->n_top > 0 ? r->box.ring_top + (size_t)r->box.head * r->opt.n_top_logprobs : NULL;
        break;
    case WICK_EVENT_PREFILL:
        r->box.out.n_done = s->n_done;
        r->box.out.n_total = s->n_total;
        r->box.out.n_cached = s->n_cached;
        break;
    case WICK_EVENT_LOGITS:
        r->box.out.data = s->data;
        r->box.out.n_data = s->n_data;
        r->box.out.width = s->width;
        r->box.out.is_prompt = s->is_prompt;
        break;
    case WICK_EVENT_DONE: break;
    }
    r->box.reading = true;
    return &r->box.out;
}

const wick_event *wick_request_next(wick_request *r, int64_t timeout_ms)
{
    const wick_event *ev = NULL;
    double deadline = timeout_ms > 0 ? wick_time_ms() + (double)timeout_ms : 0;
    wick_lock_take(&r->box.lock);
    drop_read(r);
    while (r->box.submitted && r->box.n_events == 0 && !r->box.finished && timeout_ms != 0) {
        if (timeout_ms < 0) {
            wick_cond_wait(&r->box.cond, &r->box.lock);
            continue;
        }
        double left = deadline - wick_time_ms();
        if (left <= 0) break;
        wick_cond_wait_ms(&r->box.cond, &r->box.lock, (uint64_t)left + 1);
    }
    if (r->box.n_events > 0) {
        ev = show(r);
    } else if (r->box.finished && !r->box.done_read) {
        r->box.done_read = true;
        r->box.out = r->box.final;
        ev = &r->box.out;
    }
    wick_lock_drop(&r->box.lock);
    return ev;
}
