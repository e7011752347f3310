/* backend/cpu/pool.h - one thread pool for the life of a context; bounded spin, then futex. The caller is thread 0.
 *
 * wick_pool_run starts one parallel region: fn(ctx, thread, n_threads) on each thread. Inside, wick_pool_barrier joins
 * all threads, and wick_pool_next hands out chunks of a shared range: many small phases run in one region without
 * waking anybody. */
#pragma once
#include "base/status.h"

typedef struct wick_pool wick_pool;
typedef void (*wick_pool_fn)(void *ctx, uint32_t thread, uint32_t n_threads);

wick_status wick_pool_new(wick_pool **out, uint32_t n_threads, wick_err *err) WICK_MUST_CHECK; /* 0: the machine's */
void wick_pool_free(wick_pool *p);
uint32_t wick_pool_n(const wick_pool *p);
void wick_pool_run(wick_pool *p, wick_pool_fn fn, void *ctx);
void wick_pool_barrier(wick_pool *p, uint32_t thread);
/* Dynamic chunks of [0, n): returns false when none is left. Phases are separated by barriers; `phase` counts them
 * (every thread passes the same numbers, 0.. within a region). First chunk of a thread is always the same part of the
 * range. */
bool wick_pool_next(wick_pool *p, uint32_t thread, uint32_t phase, uint32_t n, uint32_t chunk, uint32_t *from,
                    uint32_t *to);
