/* base/queue.h - a bounded queue of pointers between threads (many writers, one reader). FIFO, mutex and
 * condition: it carries requests and answers, tens of thousands a second, not samples. */
#pragma once
#include "base/thread.h"

typedef struct wick_queue {
    wick_lock lock;
    wick_cond not_empty;
    void **item;
    uint32_t cap, head, n;
    bool closed;
} wick_queue;

wick_status wick_queue_init(wick_queue *q, uint32_t cap, wick_err *err) WICK_MUST_CHECK;
void wick_queue_release(wick_queue *q);
bool wick_queue_push(wick_queue *q, void *item); /* false if full or closed: the caller keeps the item */
void *wick_queue_pop(wick_queue *q,
                     int64_t timeout_ms); /* NULL: nothing came (0 = do not wait, -1 = for ever) or closed and empty */
void wick_queue_close(wick_queue *q);
