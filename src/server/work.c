/* server/work.c - the worker threads: whatever takes longer than a few microseconds and is not the engine's. */
#include <string.h>
#include "server/server_int.h"

static void *worker_main(void *ctx)
{
    wick_workers *w = ctx;
    wick_lock_take(&w->lock);
    for (;;) {
        while (!w->head && !w->closed) wick_cond_wait(&w->wake, &w->lock);
        wick_job *j = w->head;
        if (!j) break;
        w->head = j->next;
        if (!w->head) w->tail = NULL;
        wick_lock_drop(&w->lock);
        j->fn(j->ctx); /* j may be gone after this */
        wick_lock_take(&w->lock);
    }
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
