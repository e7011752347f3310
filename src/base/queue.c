/* base/queue.c - a ring of pointers under one lock. */
#include "base/queue.h"
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"

wick_status wick_queue_init(wick_queue *q, uint32_t cap, wick_err *err)
{
    memset(q, 0, sizeof *q);
    q->item = wick_alloc_zero(cap ? cap : 1, sizeof *q->item);
    if (!q->item) return wick_err_oom(err, "queue", 0, 0);
    q->cap = cap ? cap : 1;
    wick_lock_init(&q->lock);
    wick_cond_init(&q->not_empty);
    return WICK_OK;
}

void wick_queue_release(wick_queue *q)
{
    if (!q->item) return;
    wick_free(q->item);
    q->item = NULL;
    wick_cond_release(&q->not_empty);
    wick_lock_release(&q->lock);
}

bool wick_queue_push(wick_queue *q, void *item)
{
    wick_lock_take(&q->lock);
    bool ok = !q->closed && q->n < q->cap;
    if (ok) {
        q->item[(q->head + q->n) % q->cap] = item;
        q->n++;
        wick_cond_signal(&q->not_empty);
    }
    wick_lock_drop(&q->lock);
    return ok;
}

void *wick_queue_pop(wick_queue *q, int64_t timeout_ms)
{
    void *item = NULL;
    uint64_t deadline = timeout_ms > 0 ? wick_time_ns() / 1000000 + (uint64_t)timeout_ms : 0;
    wick_lock_take(&q->lock);
    while (q->n == 0 && !q->closed && timeout_ms != 0) {
        if (timeout_ms < 0) {
            wick_cond_wait(&q->not_empty, &q->lock);
        } else {
            uint64_t now = wick_time_ns() / 1000000;
            if (now >= deadline || !wick_cond_wait_ms(&q->not_empty, &q->lock, deadline - now)) break;
        }
    }
    if (q->n) {
        item = q->item[q->head];
        q->head = (q->head + 1) % q->cap;
        q->n--;
    }
    wick_lock_drop(&q->lock);
    return item;
}

void wick_queue_close(wick_queue *q)
{
    wick_lock_take(&q->lock);
    q->closed = true;
    wick_cond_broadcast(&q->not_empty);
    wick_lock_drop(&q->lock);
}
