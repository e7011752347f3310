/* base/log.c - the sink. One formatted, escaped line per call.
 *
 * The level is an atomic, so that a line which nobody wants costs one load; function and context change together under
 * the lock. A sink must live until nobody can be inside it any more. */
#include "base/log.h"
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include "base/thread.h"

static wick_lock lock = {PTHREAD_MUTEX_INITIALIZER};
static wick_log_fn sink;
static void *sink_ctx;
static atomic_int sink_level = -1; /* -1: silent */

void wick_log_set(wick_log_fn fn, void *ctx, wick_log_level max_level)
{
    wick_lock_take(&lock);
    sink = fn;
    sink_ctx = ctx;
    atomic_store_explicit(&sink_level, fn ? (int)max_level : -1, memory_order_relaxed);
    wick_lock_drop(&lock);
}

bool wick_log_on(wick_log_level level)
{
    return (int)level <= atomic_load_explicit(&sink_level, memory_order_relaxed);
}

void wick_log(wick_log_level level, const char *fmt, ...)
{
    char raw[1024], line[1280];
    if (!wick_log_on(level)) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    wick_escape_line(line, sizeof line, raw, strlen(raw));
    wick_lock_take(&lock);
    wick_log_fn fn = sink;
    void *ctx = sink_ctx;
    wick_lock_drop(&lock);
    if (fn) fn(ctx, level, line);
}
