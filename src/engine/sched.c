/* engine/sched.c - who is in the next step.
 *
 * Everything submitted and not buried is `live`. A request whose reader is behind is stalled and left out. If the rest
 * is more than max_seqs, slots go by priority, then to the user who was served least (a virtual counter of tokens per
 * user key; who comes back starts at the clock, the least of the active ones so far), then by arrival. Who has a slot
 * keeps it for a quantum of tokens, so that sequences do not change places at every step; one that loses its slot keeps
 * its KV while there is room.
 */
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "engine/engine_int.h"

#define QUANTUM_TOKENS 64

/* Moves the clock to the least service among the active users. It stands while nobody is active, so that a user who
 * was alone for long is not put behind one who comes later. */
static void advance_clock(wick_engine *e)
{
    double least = INFINITY;
    for (uint32_t i = 0; i < e->loop.n_users; i++) {
        if (e->loop.user[i].n_live > 0 && e->loop.user[i].service < least) least = e->loop.user[i].service;
    }
    if (!isinf(least) && least > e->loop.service_clock) e->loop.service_clock = least;
}

/* Index of the user's row; a row of a user with nothing live may be taken over. */
static wick_status find_user(wick_engine *e, uint64_t key, uint32_t *out, wick_err *err)
{
    uint32_t idle = UINT32_MAX;
    for (uint32_t i = 0; i < e->loop.n_users; i++) {
        if (e->loop.user[i].key == key) {
            *out = i;
            return WICK_OK;
        }
        if (e->loop.user[i].n_live == 0 && (idle == UINT32_MAX || e->loop.user[i].service < e->loop.user[idle].service))
            idle = i;
    }
    if (e->loop.n_users == e->loop.cap_users && (idle == UINT32_MAX || e->loop.cap_users < 256)) {
        uint32_t cap = e->loop.cap_users ? e->loop.cap_users * 2 : 16;
        wick_user *p = wick_realloc_array(e->loop.user, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "the table of users", cap * sizeof *p, 0);
        e->loop.user = p;
        e->loop.cap_users = cap;
    }
    *out = e->loop.n_users < e->loop.cap_users ? e->loop.n_users++ : idle;
    e->loop.user[*out] = (wick_user){.key = key};
    return WICK_OK;
}

wick_status wick_sched_add(wick_engine *e, wick_request *r, wick_err *err)
{
    e->loop.live[e->loop.n_have++] = r;
    r->run.user = UINT32_MAX;
    uint32_t u = 0;
    WICK_TRY(find_user(e, r->opt.user_key, &u, err));
    advance_clock(e);
    if (e->loop.user[u].n_live == 0 && e->loop.user[u].service < e->loop.service_clock)
        e->loop.user[u].service = e->loop.service_clock;
    e->loop.user[u].n_live++;
    r->run.user = u;
    e->loop.stats.n_requests++;
    return WICK_OK;
}

void wick_sched_remove(wick_engine *e, wick_request *r)
{
    for (uint32_t i = 0; i < e->loop.n_have; i++) {
        if (e->loop.live[i] != r) continue;
        memmove(&e->loop.live[i], &e->loop.live[i + 1], (e->loop.n_have - i - 1) * sizeof *e->loop.live);
        e->loop.n_have--;
        break;
    }
    advance_clock(e);
    if (r->run.user != UINT32_MAX) e->loop.user[r->run.user].n_live--;
}

void wick_sched_charge(wick_engine *e, wick_request *r, uint32_t n_tokens)
{
    e->loop.user[r->run.user].service += n_tokens;
    if (r->run.n_gen > 0) r->run.quantum -= (int32_t)n_tokens;
}

/* Nobody new comes in where holders already find no room. */
static bool blocked(const wick_engine *e, const wick_request *r)
{
    return e->loop.kv_tight && !r->run.kv && r->opt.priority <= e->loop.tight_priority;
}

/* Does a get a slot before b? */
static bool before(const wick_engine *e, const wick_request *a, const wick_request *b)
{
    if (a->opt.priority != b->opt.priority) return a->opt.priority > b->opt.priority;
    bool a_keeps = a->run.was_selected && a->run.quantum > 0, b_keeps = b->run.was_selected && b->run.quantum > 0;
    if (a_keeps != b_keeps) return a_keeps;
    const wick_user *u = &e->loop.user[a->run.user], *v = &e->loop.user[b->run.user];
    double x = u->service + (double)u->n_picked * QUANTUM_TOKENS, y = v->service + (double)v->n_picked * QUANTUM_TOKENS;
    if (x != y) return x < y;
    return a->serial < b->serial;
}

/* Takes the best of those not selected yet. */
static wick_request *pick(wick_engine *e)
{
    wick_request *best = NULL;
    for (uint32_t i = 0; i < e->loop.n_have; i++) {
        wick_request *r = e->loop.live[i];
        if (r->run.selected || r->run.stalled || blocked(e, r)) continue;
        if (!best || before(e, r, best)) best = r;
    }
    if (best) {
        best->run.selected = true;
        e->loop.user[best->run.user].n_picked++;
        if (!best->run.was_selected || best->run.quantum <= 0) best->run.quantum = QUANTUM_TOKENS;
        e->loop.chosen[e->loop.n_chosen++] = best;
    }
    return best;
}

void wick_sched_select(wick_engine *e)
{
    bool any_kv = false;
    e->loop.n_chosen = 0;
    for (uint32_t i = 0; i < e->loop.n_users; i++) e->loop.user[i].n_picked = 0;
    for (uint32_t i = 0; i < e->loop.n_have; i++) {
        wick_request *r = e->loop.live[i];
        r->run.was_selected = r->run.selected;
        r->run.selected = false;
        r->run.stalled = wick_events_room(r) == 0;
        any_kv = any_kv || (r->run.kv && !r->run.stalled);
    }
    if (!any_kv) e->loop.kv_tight = false; /* nobody who runs would ever free anything: let newcomers try */
    while (e->loop.n_chosen < e->opt.max_seqs && pick(e)) {
    }
    e->loop.stats.n_running = e->loop.n_chosen;
    e->loop.stats.n_waiting = e->loop.n_have - e->loop.n_chosen;
}
