/* backend/cpu/pool.c - the thread pool of the CPU backend.
 *
 * Owns the worker threads, the barrier and the chunk counters. Apart from the rest because it is the only place of
 * the backend that knows how threads wait. A shared machine is the normal case: whoever waits spins for a short,
 * bounded time, then yields, then sleeps in the kernel, so that a thread which lost its core can get another.
 *
 * Invariants:
 * 1. Workers wait on `epoch`; it changes only in wick_pool_run and wick_pool_free, by the caller's thread.
 * 2. The barrier's count is 0 whenever no thread is inside it; `gen` changes once per barrier.
 * 3. A chunk counter holds (tag, next). Its tag names one phase of one region; a counter with another tag is a fresh
 *    one, so nobody has to reset counters between phases.
 */
#include "backend/cpu/pool.h"

#include <limits.h>
#include <sched.h>
#include <string.h>

#include "base/alloc.h"
#include "base/sys.h"
#include "base/thread.h"

#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

enum {
    MAX_THREADS = 512,
    N_SLOTS = 8,       /* phases that may be open between two barriers, and some to spare */
    SPIN_NS = 20000,   /* a barrier between two busy threads takes under 1 us; see bench/plan_bench.c */
    YIELD_NS = 100000, /* then give the core away for a while before sleeping: a wake-up costs about 50 us */
    CLOCK_EVERY = 64   /* looks at the clock once in so many pauses */
};

typedef struct waiter {
    _Alignas(64) atomic_uint value; /* what is waited on */
    atomic_uint n_sleeping;
#if !defined(__linux__)
    wick_lock lock;
    wick_cond cond;
#endif
} waiter;

typedef struct counter {
    _Alignas(64) atomic_uint_least64_t v; /* tag << 32 | next chunk */
} counter;

typedef struct worker {
    wick_pool *pool;
    uint32_t id;
    wick_thread thread;
} worker;

struct wick_pool {
    waiter epoch, gen;
    _Alignas(64) atomic_uint n_arrived;
    uint32_t n;
    atomic_bool stop;
    wick_pool_fn fn;
    void *ctx;
    _Alignas(64) atomic_uint tag_base, tag_last; /* of this region; the last phase that was opened */
    worker *worker;                              /* [n]; 0 is the caller and has no thread */
    counter *count;                              /* [N_SLOTS][n] */
};

static inline void cpu_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("isb" ::: "memory");
#endif
}

static void waiter_init(waiter *w)
{
    atomic_init(&w->value, 0);
    atomic_init(&w->n_sleeping, 0);
#if !defined(__linux__)
    wick_lock_init(&w->lock);
    wick_cond_init(&w->cond);
#endif
}

static void waiter_release(waiter *w)
{
#if !defined(__linux__)
    wick_cond_release(&w->cond);
    wick_lock_release(&w->lock);
#else
    (void)w;
#endif
}

static void waiter_sleep(waiter *w, unsigned seen)
{
    atomic_fetch_add(&w->n_sleeping, 1);
#if defined(__linux__)
    if (atomic_load(&w->value) == seen) syscall(SYS_futex, &w->value, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
#else
    wick_lock_take(&w->lock);
    while (atomic_load(&w->value) == seen) wick_cond_wait(&w->cond, &w->lock);
    wick_lock_drop(&w->lock);
#endif
    atomic_fetch_sub(&w->n_sleeping, 1);
}

/* Changes the value and wakes all that sleep on it. */
static void waiter_bump(waiter *w)
{
    atomic_fetch_add(&w->value, 1);
    if (atomic_load(&w->n_sleeping) == 0) return;
#if defined(__linux__)
    syscall(SYS_futex, &w->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
#else
    wick_lock_take(&w->lock);
    wick_cond_broadcast(&w->cond);
    wick_lock_drop(&w->lock);
#endif
}

/* Returns when the value is no longer `seen`. */
static void waiter_wait(waiter *w, unsigned seen)
{
    uint64_t start = 0, waited = 0;
    for (uint32_t i = 1; atomic_load_explicit(&w->value, memory_order_acquire) == seen; i++) {
        if (waited < SPIN_NS) {
            cpu_pause();
            if (i % CLOCK_EVERY) continue;
        } else if (waited < YIELD_NS) {
            sched_yield();
        } else {
            waiter_sleep(w, seen);
            continue;
        }
        uint64_t now = wick_time_ns();
        if (start == 0) start = now;
        waited = now - start;
    }
}

static void *worker_main(void *arg)
{
    worker *w = arg;
    wick_pool *p = w->pool;
    unsigned seen = 0;
    for (;;) {
        waiter_wait(&p->epoch, seen);
        seen++;
        if (atomic_load(&p->stop)) return NULL;
        p->fn(p->ctx, w->id, p->n);
        wick_pool_barrier(p, w->id);
    }
}

wick_status wick_pool_new(wick_pool **out, uint32_t n_threads, wick_err *err)
{
    uint32_t n = n_threads ? n_threads : wick_cpu_count();
    if (n > MAX_THREADS)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "threads", "threads: %u is more than %d", n, MAX_THREADS);
    if (n == 0) n = 1;
    wick_pool *p = wick_alloc_aligned(64, sizeof *p);
    if (!p) return wick_err_oom(err, "the thread pool", sizeof *p, 0);
    memset(p, 0, sizeof *p);
    waiter_init(&p->epoch);
    waiter_init(&p->gen);
    p->n = n;
    p->worker = wick_alloc_zero(n, sizeof *p->worker);
    size_t count_bytes = (size_t)n * N_SLOTS * sizeof *p->count;
    p->count = wick_alloc_aligned(64, count_bytes);
    if (!p->worker || !p->count) {
        wick_pool_free(p);
        return wick_err_oom(err, "the thread pool", count_bytes, 0);
    }
    memset(p->count, 0, count_bytes);
    atomic_init(&p->tag_base, 1);
    for (uint32_t i = 1; i < n; i++) {
        p->worker[i].pool = p;
        p->worker[i].id = i;
        wick_status st = wick_thread_start(&p->worker[i].thread, "wick-cpu", worker_main, &p->worker[i], err);
        if (st != WICK_OK) {
            wick_pool_free(p);
            return st;
        }
    }
    *out = p;
    return WICK_OK;
}

void wick_pool_free(wick_pool *p)
{
    if (!p) return;
    atomic_store(&p->stop, true);
    waiter_bump(&p->epoch);
    for (uint32_t i = 1; p->worker && i < p->n; i++) wick_thread_join(&p->worker[i].thread);
    waiter_release(&p->epoch);
    waiter_release(&p->gen);
    wick_free(p->worker);
    wick_free(p->count);
    wick_free(p);
}

uint32_t wick_pool_n(const wick_pool *p)
{
    return p->n;
}

void wick_pool_barrier(wick_pool *p, uint32_t thread)
{
    (void)thread;
    if (p->n == 1) return;
    unsigned gen = atomic_load_explicit(&p->gen.value, memory_order_relaxed);
    if (atomic_fetch_add(&p->n_arrived, 1) + 1 == p->n) {
        atomic_store(&p->n_arrived, 0);
        waiter_bump(&p->gen);
    } else {
        waiter_wait(&p->gen, gen);
    }
}

void wick_pool_run(wick_pool *p, wick_pool_fn fn, void *ctx)
{
    p->fn = fn;
    p->ctx = ctx;
    atomic_store_explicit(&p->tag_base, atomic_load(&p->tag_base) + atomic_load(&p->tag_last) + 1,
                          memory_order_relaxed);
    atomic_store_explicit(&p->tag_last, 0, memory_order_relaxed);
    if (p->n > 1) waiter_bump(&p->epoch);
    fn(ctx, 0, p->n);
    wick_pool_barrier(p, 0);
}

/* Takes one chunk below `limit` from a counter that starts at `first`. */
static bool counter_take(counter *c, uint32_t tag, uint32_t first, uint32_t limit, uint32_t *chunk)
{
    uint64_t v = atomic_load_explicit(&c->v, memory_order_relaxed);
    for (;;) {
        uint32_t next = (uint32_t)(v >> 32) == tag ? (uint32_t)v : first;
        if (next >= limit) return false;
        if (atomic_compare_exchange_weak_explicit(&c->v, &v, (uint64_t)tag << 32 | (next + 1), memory_order_relaxed,
                                                  memory_order_relaxed)) {
            *chunk = next;
            return true;
        }
    }
}

bool wick_pool_next(wick_pool *p, uint32_t thread, uint32_t phase, uint32_t n, uint32_t chunk, uint32_t *from,
                    uint32_t *to)
{
    if (chunk == 0) chunk = 1;
    uint32_t n_chunks = n / chunk + (n % chunk != 0), got = 0;
    uint32_t tag = atomic_load_explicit(&p->tag_base, memory_order_relaxed) + phase;
    if (thread == 0) atomic_store_explicit(&p->tag_last, phase, memory_order_relaxed);
    counter *c = p->count + (size_t)(phase % N_SLOTS) * p->n;
    /* Each thread owns one part of the chunks, the same in every step (its caches hold those weights), and helps
     * the others when it is through. */
    for (uint32_t i = 0; i < p->n; i++) {
        uint32_t owner = thread + i < p->n ? thread + i : thread + i - p->n;
        uint32_t lo = (uint32_t)((uint64_t)n_chunks * owner / p->n);
        uint32_t hi = (uint32_t)((uint64_t)n_chunks * (owner + 1) / p->n);
        if (lo < hi && counter_take(&c[owner], tag, lo, hi, &got)) {
            *from = got * chunk;
            *to = n - *from < chunk ? n : *from + chunk;
            return true;
        }
    }
    return false;
}
