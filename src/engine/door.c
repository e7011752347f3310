/* engine/door.c - where other threads meet the engine's thread: the inbox, wishes about prefixes, closing, figures.
 *
 * Everything here is under the door's lock, which is held for a few instructions only and never while anything else is
 * called. The thread sleeps at the door when there is nothing to do; whoever changes something pokes it.
 */
#include <string.h>
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"

typedef struct wick_place {
    uint64_t owner;
    uint32_t n; /* its requests that have not left */
} wick_place;

void wick_door_init(wick_engine_door *d, uint32_t max_live)
{
    wick_lock_init(&d->lock);
    wick_cond_init(&d->wake);
    d->max_live = max_live;
}

void wick_door_release(wick_engine_door *d)
{
    wick_free(d->place);
    wick_cond_release(&d->wake);
    wick_lock_release(&d->lock);
}

/* Under the lock. */
static void wake(wick_engine_door *d)
{
    d->poked = true;
    wick_cond_broadcast(&d->wake);
}

void wick_door_poke(wick_engine_door *d)
{
    wick_lock_take(&d->lock);
    wake(d);
    wick_lock_drop(&d->lock);
}

void wick_door_close(wick_engine_door *d)
{
    wick_lock_take(&d->lock);
    d->closing = true;
    wake(d);
    wick_lock_drop(&d->lock);
}

void wick_door_opened(wick_engine_door *d, wick_status st, const wick_err *error)
{
    wick_lock_take(&d->lock);
    d->ready = true;
    d->failed = st != WICK_OK;
    d->open_error = *error;
    wick_cond_broadcast(&d->wake);
    wick_lock_drop(&d->lock);
}

wick_status wick_door_await(wick_engine_door *d, wick_err *err)
{
    wick_lock_take(&d->lock);
    while (!d->ready) wick_cond_wait(&d->wake, &d->lock);
    bool failed = d->failed;
    wick_lock_drop(&d->lock);
    if (!failed) return WICK_OK;
    if (err) *err = d->open_error; /* written once */
    return d->open_error.kind ? d->open_error.kind : WICK_E_INTERNAL;
}

/* Under the lock. The row of an owner, made if need be; NULL: out of memory. */
static wick_place *place_of(wick_engine_door *d, uint64_t owner)
{
    for (uint32_t i = 0; i < d->n_places; i++)
        if (d->place[i].owner == owner) return &d->place[i];
    if (d->n_places == d->cap_places) {
        const uint32_t cap = d->cap_places ? d->cap_places * 2 : 8;
        wick_place *p = wick_realloc_array(d->place, cap, sizeof *p);
        if (!p) return NULL;
        d->place = p;
        d->cap_places = cap;
    }
    d->place[d->n_places] = (wick_place){.owner = owner};
    return &d->place[d->n_places++];
}

/* Under the lock. An owner gets a place while it holds fewer than are free, so that whoever holds none always finds one
 * that the others cannot take. */
static wick_status take_place(wick_engine_door *d, uint64_t owner, wick_err *err)
{
    const uint32_t n_free = d->max_live - d->n_live;
    wick_place *p = owner && n_free > 0 ? place_of(d, owner) : NULL;
    if (owner && n_free > 0 && !p) return wick_err_oom(err, "a place in the queue", sizeof *p, 0);
    if (n_free == 0)
        return WICK_FAIL(err, WICK_E_LIMIT, "queue", "the queue is full (%u requests); try again later", d->n_live);
    if (p && p->n >= n_free)
        return WICK_FAIL(err, WICK_E_LIMIT, "queue",
                         "%u requests of this key are in the queue, and the %u places left are kept for others; try "
                         "again later",
                         p->n, n_free);
    if (p) p->n++;
    d->n_live++;
    return WICK_OK;
}

wick_status wick_door_submit(wick_engine_door *d, wick_request *r, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_lock_take(&d->lock);
    if (d->closing) {
        st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "the engine is closing");
    } else if ((st = take_place(d, r->opt.domain.owner, err)) == WICK_OK) {
        r->serial = ++d->n_serial;
        r->run.t_submit = wick_time_ms();
        r->next = NULL;
        if (d->inbox_last)
            d->inbox_last->next = r;
        else
            d->inbox = r;
        d->inbox_last = r;
        wake(d);
    }
    wick_lock_drop(&d->lock);
    return st;
}

bool wick_door_wait(wick_engine_door *d, int64_t ms)
{
    wick_lock_take(&d->lock);
    if (ms < 0) {
        while (!d->poked) wick_cond_wait(&d->wake, &d->lock);
    } else if (!d->poked && ms > 0) {
        wick_cond_wait_ms(&d->wake, &d->lock, (uint64_t)ms);
    }
    d->poked = false;
    bool closing = d->closing;
    wick_lock_drop(&d->lock);
    return closing;
}

wick_request *wick_door_take(wick_engine_door *d)
{
    wick_lock_take(&d->lock);
    wick_request *r = d->inbox;
    d->inbox = d->inbox_last = NULL;
    wick_lock_drop(&d->lock);
    return r;
}

void wick_door_left(wick_engine_door *d, uint64_t owner)
{
    wick_lock_take(&d->lock);
    d->n_live--;
    for (uint32_t i = 0; owner && i < d->n_places; i++) {
        if (d->place[i].owner != owner) continue;
        if (--d->place[i].n == 0) d->place[i] = d->place[--d->n_places];
        break;
    }
    wick_lock_drop(&d->lock);
}

uint32_t wick_door_drops(wick_engine_door *d, uint64_t *keys, bool *all)
{
    wick_lock_take(&d->lock);
    uint32_t n = d->n_drop_keys;
    *all = d->clear_prefixes;
    memcpy(keys, d->drop_key, n * sizeof *keys);
    d->clear_prefixes = false;
    d->n_drop_keys = 0;
    wick_lock_drop(&d->lock);
    return n;
}

void wick_door_publish(wick_engine_door *d, const wick_engine_stats *s)
{
    wick_lock_take(&d->lock);
    d->snapshot = *s;
    wick_lock_drop(&d->lock);
}

void wick_engine_get_stats(wick_engine *e, wick_engine_stats *out)
{
    wick_engine_door *d = &e->door;
    wick_lock_take(&d->lock);
    *out = d->snapshot;
    if (d->n_live < out->n_running) out->n_running = d->n_live;
    out->n_waiting = d->n_live - out->n_running;
    wick_lock_drop(&d->lock);
}

void wick_engine_clear_prefixes(wick_engine *e)
{
    wick_lock_take(&e->door.lock);
    e->door.clear_prefixes = true;
    wake(&e->door);
    wick_lock_drop(&e->door.lock);
}

void wick_engine_drop_prefixes(wick_engine *e, uint64_t owner)
{
    wick_engine_door *d = &e->door;
    wick_lock_take(&d->lock);
    if (d->n_drop_keys < WICK_MAX_DROP_KEYS)
        d->drop_key[d->n_drop_keys++] = owner;
    else
        d->clear_prefixes = true; /* too many at once: forget all */
    wake(d);
    wick_lock_drop(&d->lock);
}
