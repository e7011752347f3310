/* engine/sched.c - who is in the next step.
 *
 * Everything submitted and not done is `live`. A request whose reader is behind is stalled and left out. If the rest
 * is more than max_seqs, slots go by priority, then to the user who was served least (a virtual counter of tokens per
 * user key, lifted to the least of the active ones when a user comes back), then by arrival. Who has a slot keeps it
 * for a quantum of tokens, so that sequences do not change places at every step; one that loses its slot keeps its KV
 * while there is room.
 */
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "engine/engine_int.h"

#define QUANTUM_TOKENS 64

static double least_active_service(const wick_engine *e)
{
    double least = INFINITY;
    for (uint32_t i = 0; i < e->n_users; i++) {
        if (e->user[i].n_live > 0 && e->user[i].service < least) least = e->user[i].service;
    }
    return isinf(least) ? 0 : least;
}

/* Index of the user's row; a row of a user with nothing live may be taken over. */
static wick_status find_user(wick_engine *e, uint64_t key, uint32_t *out, wick_err *err)
{
    uint32_t idle = UINT32_MAX;
    for (uint32_t i = 0; i < e->n_users; i++) {
        if (e->user[i].key == key) {
            *out = i;
            return WICK_OK;
        }
        if (e->user[i].n_live == 0 && (idle == UINT32_MAX || e->user[i].service < e->user[idle].service)) idle = i;
    }
    if (e->n_users == e->cap_users && (idle == UINT32_MAX || e->cap_users < 256)) {
        uint32_t cap = e->cap_users ? e->cap_users * 2 : 16;
        wick_user *p = wick_realloc_array(e->user, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "the table of users", cap * sizeof *p, 0);
        e->user = p;
        e->cap_users = cap;
    }
    *out = e->n_users < e->cap_users ? e->n_users++ : idle;
    e->user[*out] = (wick_user){.key = key};
    return WICK_OK;
}

wick_status wick_sched_add(wick_engine *e, wick_request *r, wick_err *err)
{
    e->live[e->n_have++] = r;
    r->user = UINT32_MAX;
    uint32_t u = 0;
    WICK_TRY(find_user(e, r->opt.user_key, &u, err));
    double least = least_active_service(e);
    if (e->user[u].n_live == 0 && e->user[u].service < least) e->user[u].service = least;
    e->user[u].n_live++;
    r->user = u;
    e->stats.n_requests++;
    return WICK_OK;
}

void wick_sched_remove(wick_engine *e, wick_request *r)
{
    for (uint32_t i = 0; i < e->n_have; i++) {
        if (e->live[i] != r) continue;
        memmove(&e->live[i], &e->live[i + 1], (e->n_have - i - 1) * sizeof *e->live);
        e->n_have--;
        break;
    }
    for (uint32_t i = 0; i < e->n_run; i++) {
        if (e->run[i] != r) continue;
        memmove(&e->run[i], &e->run[i + 1], (e->n_run - i - 1) * sizeof *e->run);
        e->n_run--;
        break;
    }
    if (r->user != UINT32_MAX) e->user[r->user].n_live--;
}

void wick_sched_charge(wick_engine *e, wick_request *r, uint32_t n_tokens)
{
    e->user[r->user].service += n_tokens;
    if (r->n_gen > 0) r->quantum -= (int32_t)n_tokens;
}

/* Nobody new comes in where holders already find no room. */
static bool blocked(const wick_engine *e, const wick_request *r)
{
    return e->kv_tight && !r->kv && r->opt.priority <= e->tight_priority;
}

/* Does a get a slot before b? */
static bool before(const wick_engine *e, const wick_request *a, const wick_request *b)
{
    if (a->opt.priority != b->opt.priority) return a->opt.priority > b->opt.priority;
    bool a_keeps = a->was_selected && a->quantum > 0, b_keeps = b->was_selected && b->quantum > 0;
    if (a_keeps != b_keeps) return a_keeps;
    const wick_user *u = &e->user[a->user], *v = &e->user[b->user];
    double x = u->service + (double)u->n_picked * QUANTUM_TOKENS, y = v->service + (double)v->n_picked * QUANTUM_TOKENS;
    if (x != y) return x < y;
    return a->serial < b->serial;
}

/* Takes the best of those not selected yet. */
static wick_request *pick(wick_engine *e)
{
    wick_request *best = NULL;
    for (uint32_t i = 0; i < e->n_have; i++) {
        wick_request *r = e->live[i];
        if (r->selected || r->stalled || blocked(e, r)) continue;
        if (!best || before(e, r, best)) best = r;
    }
    if (best) {
        best->selected = true;
        e->user[best->user].n_picked++;
        if (!best->was_selected || best->quantum <= 0) best->quantum = QUANTUM_TOKENS;
        e->run[e->n_run++] = best;
    }
    return best;
}

void wick_sched_select(wick_engine *e)
{
    bool any_kv = false;
    e->n_run = 0;
    for (uint32_t i = 0; i < e->n_users; i++) e->user[i].n_picked = 0;
    for (uint32_t i = 0; i < e->n_have; i++) {
        wick_request *r = e->live[i];
        r->was_selected = r->selected;
        r->selected = false;
        r->stalled = wick_events_room(r) == 0;
        any_kv = any_kv || (r->kv && !r->stalled);
    }
    if (!any_kv) e->kv_tight = false; /* nobody who runs would ever free anything: let newcomers try */
    while (e->n_run < e->opt.max_seqs && pick(e)) {
    }
    e->stats.n_running = e->n_run;
    e->stats.n_waiting = e->n_have - e->n_run;
}
