/* engine/stats.c - the figures that other threads may read: the engine's thread copies its own now and then. */
#include "base/sys.h"
#include "engine/engine_int.h"

#define SNAPSHOT_MS 50.0

void wick_stats_publish(wick_engine *e, bool now)
{
    double t = wick_time_ms();
    if (!now && t - e->snapshot_ms < SNAPSHOT_MS) return;
    e->snapshot_ms = t;
    if (e->loaded) {
        e->parts.backend->stats(e->loaded, &e->stats.backend);
        e->parts.backend->kv_usage(e->loaded, &e->stats.kv);
    }
    e->stats.n_prefixes = e->prefix ? wick_prefix_count(e->prefix) : 0;
    e->stats.prefix_bytes = e->prefix ? wick_prefix_bytes(e->prefix) : 0;
    wick_lock_take(&e->lock);
    e->snapshot = e->stats;
    wick_lock_drop(&e->lock);
}

void wick_engine_get_stats(wick_engine *e, wick_engine_stats *out)
{
    wick_lock_take(&e->lock);
    *out = e->snapshot;
    if (e->n_live < out->n_running) out->n_running = e->n_live;
    out->n_waiting = e->n_live - out->n_running;
    wick_lock_drop(&e->lock);
}
