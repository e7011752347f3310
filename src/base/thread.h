/* base/thread.h - threads, locks and the cancel flag; the only place (with cpu/pool) that touches
 * pthreads. */
#pragma once
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef struct wick_thread {
    pthread_t id;
    bool started;
} wick_thread;
wick_status wick_thread_start(wick_thread *t, const char *name, void *(*fn)(void *), void *arg,
                              wick_err *err) WICK_MUST_CHECK;
void wick_thread_join(wick_thread *t); /* nothing if it was not started */

typedef struct wick_lock {
    pthread_mutex_t m;
} wick_lock;
typedef struct wick_cond {
    pthread_cond_t c;
} wick_cond;
void wick_lock_init(wick_lock *l);
void wick_lock_release(wick_lock *l);
void wick_lock_take(wick_lock *l);
void wick_lock_drop(wick_lock *l);
void wick_cond_init(wick_cond *c);
void wick_cond_release(wick_cond *c);
void wick_cond_wait(wick_cond *c, wick_lock *l);
bool wick_cond_wait_ms(wick_cond *c, wick_lock *l, uint64_t ms); /* false on time-out */
void wick_cond_signal(wick_cond *c);
void wick_cond_broadcast(wick_cond *c);

/* Runs fn exactly once, whoever comes first; `once` starts as WICK_ONCE_INIT. */
typedef pthread_once_t wick_once;
#define WICK_ONCE_INIT PTHREAD_ONCE_INIT
void wick_call_once(wick_once *once, void (*fn)(void));

typedef atomic_bool wick_cancel; /* set by any thread, read by the engine between steps */
