/* server/work.c - the worker threads: whatever takes longer than a few microseconds and is not the engine's.
 *
 * Jobs run in the order of their arrival, but an owner never has more than a few of the threads: whatever one sends,
 * the others' prompts are read meanwhile.
 */
#include <string.h>
#include "server/server_int.h"

static bool may_run(const wick_workers *w, uint64_t owner)
{
    unsigned n = 0;
    for (int i = 0; i < WICK_WORKERS && owner; i++) n += w->busy[i] == owner;
    return n < WICK_WORKERS_EACH;
}

/* Lock held. The first job that may run now, taken out; NULL: none. */
static wick_job *take(wick_workers *w)
{
    wick_job *before = NULL;
    for (wick_job *j = w->head; j; before = j, j = j->next) {
        if (!may_run(w, j->owner)) continue;
        *(before ? &before->next : &w->head) = j->next;
        if (w->tail == j) w->tail = before;
        return j;
    }
    return NULL;
}

static void *worker_main(void *ctx)
{
    wick_workers *w = ctx;
    wick_lock_take(&w->lock);
    for (;;) {
        wick_job *j = NULL;
        int place = 0;
        while (!(j = take(w)) && !(w->closed && !w->head)) wick_cond_wait(&w->wake, &w->lock);
        if (!j) break;
        while (w->busy[place]) place++; /* as many places as threads, and this one has none */
        const uint64_t owner = w->busy[place] = j->owner;
        wick_lock_drop(&w->lock);
        j->fn(j->ctx); /* j may be gone after this */
        wick_lock_take(&w->lock);
        if (owner) w->busy[place] = 0;              /* else another one may have taken the place */
        if (w->head) wick_cond_broadcast(&w->wake); /* what had to wait may run now */
    }
    wick_cond_broadcast(&w->wake);
    wick_lock_drop(&w->lock);
    return NULL;
}

wick_status wick_workers_start(wick_workers *w, wick_err *err)
{
    memset(w, 0, sizeof *w);
    wick_lock_init(&w->lock);
    wick_cond_init(&w->wake);
    for (int i = 0; i < WICK_WORKERS; i++) {
        wick_status st = wick_thread_start(&w->thread[i], "wick-worker", worker_main, w, err);
        if (st != WICK_OK) {
            wick_workers_stop(w);
            return st;
        }
    }
    return WICK_OK;
}

void wick_workers_post(wick_workers *w, wick_job *j)
{
    j->next = NULL;
    wick_lock_take(&w->lock);
    if (w->tail)
        w->tail->next = j;
    else
        w->head = j;
    w->tail = j;
    wick_cond_signal(&w->wake);
    wick_lock_drop(&w->lock);
}

void wick_workers_stop(wick_workers *w)
{
    wick_lock_take(&w->lock);
    w->closed = true;
    wick_cond_broadcast(&w->wake);
    wick_lock_drop(&w->lock);
    for (int i = 0; i < WICK_WORKERS; i++) wick_thread_join(&w->thread[i]);
    wick_cond_release(&w->wake);
    wick_lock_release(&w->lock);
}
