/* engine/stats.c - the figures that other threads may read: the engine's thread copies its own now and then. */
#include "base/sys.h"
#include "engine/engine_int.h"

#define SNAPSHOT_MS 50.0

void wick_stats_publish(wick_engine *e, bool now)
{
    double t = wick_time_ms();
    if (!now && t - e->loop.snapshot_ms < SNAPSHOT_MS) return;
    e->loop.snapshot_ms = t;
    if (e->loop.loaded) {
        e->parts.backend->stats(e->loop.loaded, &e->loop.stats.backend);
        e->parts.backend->kv_usage(e->loop.loaded, &e->loop.stats.kv);
    }
    e->loop.stats.n_prefixes = e->loop.prefix ? wick_prefix_count(e->loop.prefix) : 0;
    e->loop.stats.prefix_bytes = e->loop.prefix ? wick_prefix_bytes(e->loop.prefix) : 0;
    if (e->loop.store) {
        e->loop.stats.disk_bytes = wick_kv_store_bytes(e->loop.store);
        e->loop.stats.written_bytes = wick_kv_store_written(e->loop.store);
    }
    wick_door_publish(&e->door, &e->loop.stats);
}
