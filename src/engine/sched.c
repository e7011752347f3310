/* engine/sched.c - who is in the next step.
 *
 * Everything submitted and not buried is `live`. A request whose reader is behind is stalled and left out. If the rest
 * is more than max_seqs, slots go by priority, then to the owner who was served least, then to the user of that owner
 * who was served least (virtual counters of tokens; who comes back starts at the clock, the least of the active ones so
 * far), then by arrival. So an owner with many users gets no more than one with a single user. Who has a slot keeps it
 * for a quantum of tokens, so that sequences do not change places at every step; one that loses its slot keeps its KV
 * while there is room.
 */
#include <math.h>
#include <string.h>
#include "base/alloc.h"
#include "engine/engine_int.h"

#define QUANTUM_TOKENS 64

/* Moves a clock to the least service among the active rows (of one owner, or all). It stands while nobody is active, so
 * that who was alone for long is not put behind one who comes later. */
static void advance_clock(const wick_shares *s, const uint64_t *owner, double *clock)
{
    double least = INFINITY;
    for (uint32_t i = 0; i < s->n; i++) {
        const wick_share *x = &s->row[i];
        if (x->n_live > 0 && (!owner || x->key.owner == *owner) && x->service < least) least = x->service;
    }
    if (!isinf(least) && least > *clock) *clock = least;
}

/* Index of the row of a key; a row with nothing live may be taken over. */
static wick_status find_row(wick_shares *s, wick_domain key, uint32_t *out, wick_err *err)
{
    uint32_t idle = UINT32_MAX;
    for (uint32_t i = 0; i < s->n; i++) {
        if (wick_domain_same(s->row[i].key, key)) {
            *out = i;
            return WICK_OK;
        }
        if (s->row[i].n_live == 0 && (idle == UINT32_MAX || s->row[i].service < s->row[idle].service)) idle = i;
    }
    if (s->n == s->cap && (idle == UINT32_MAX || s->cap < 256)) {
        uint32_t cap = s->cap ? s->cap * 2 : 16;
        wick_share *p = wick_realloc_array(s->row, cap, sizeof *p);
        if (!p) return wick_err_oom(err, "the table of users", cap * sizeof *p, 0);
        s->row = p;
        s->cap = cap;
    }
    *out = s->n < s->cap ? s->n++ : idle;
    s->row[*out] = (wick_share){.key = key};
    return WICK_OK;
}

static wick_share *user_of(wick_engine *e, const wick_request *r)
{
    return &e->loop.users.row[r->run.user];
}

static wick_share *owner_of(wick_engine *e, const wick_request *r)
{
    return &e->loop.owners.row[user_of(e, r)->owner];
}

/* One more that is live in the row; who comes back from idleness starts at the clock. */
static void enter(wick_share *x, double clock)
{
    if (x->n_live == 0 && x->service < clock) x->service = clock;
    x->n_live++;
}

wick_status wick_sched_add(wick_engine *e, wick_request *r, wick_err *err)
{
    const wick_domain d = r->opt.domain;
    uint32_t o = 0, u = 0;
    e->loop.live[e->loop.n_have++] = r;
    r->run.user = UINT32_MAX;
    WICK_TRY(find_row(&e->loop.owners, (wick_domain){.owner = d.owner}, &o, err));
    WICK_TRY(find_row(&e->loop.users, d, &u, err));
    wick_share *owner = &e->loop.owners.row[o];
    e->loop.users.row[u].owner = o;
    advance_clock(&e->loop.owners, NULL, &e->loop.owner_clock);
    advance_clock(&e->loop.users, &d.owner, &owner->clock);
    enter(owner, e->loop.owner_clock);
    enter(&e->loop.users.row[u], owner->clock);
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
    if (r->run.user == UINT32_MAX) return;
    wick_share *owner = owner_of(e, r);
    advance_clock(&e->loop.owners, NULL, &e->loop.owner_clock);
    advance_clock(&e->loop.users, &r->opt.domain.owner, &owner->clock);
    owner->n_live--;
    user_of(e, r)->n_live--;
}

void wick_sched_charge(wick_engine *e, wick_request *r, uint32_t n_tokens)
{
    user_of(e, r)->service += n_tokens;
    owner_of(e, r)->service += n_tokens;
    if (r->run.n_gen > 0) r->run.quantum -= (int32_t)n_tokens;
}

/* Nobody new comes in where holders already find no room. */
static bool blocked(const wick_engine *e, const wick_request *r)
{
    return e->loop.kv_tight && !r->run.kv && r->opt.priority <= e->loop.tight_priority;
}

/* What it was served, with what this step will give it. */
static double due(const wick_share *x)
{
    return x->service + (double)x->n_picked * QUANTUM_TOKENS;
}

/* Does a get a slot before b? */
static bool before(wick_engine *e, const wick_request *a, const wick_request *b)
{
    if (a->opt.priority != b->opt.priority) return a->opt.priority > b->opt.priority;
    bool a_keeps = a->run.was_selected && a->run.quantum > 0, b_keeps = b->run.was_selected && b->run.quantum > 0;
    if (a_keeps != b_keeps) return a_keeps;
    double x = due(owner_of(e, a)), y = due(owner_of(e, b));
    if (a->opt.domain.owner != b->opt.domain.owner && x != y) return x < y;
    x = due(user_of(e, a));
    y = due(user_of(e, b));
    if (a->opt.domain.owner == b->opt.domain.owner && x != y) return x < y;
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
        user_of(e, best)->n_picked++;
        owner_of(e, best)->n_picked++;
        if (!best->run.was_selected || best->run.quantum <= 0) best->run.quantum = QUANTUM_TOKENS;
        e->loop.chosen[e->loop.n_chosen++] = best;
    }
    return best;
}

void wick_sched_select(wick_engine *e)
{
    bool any_kv = false;
    e->loop.n_chosen = 0;
    for (uint32_t i = 0; i < e->loop.owners.n; i++) e->loop.owners.row[i].n_picked = 0;
    for (uint32_t i = 0; i < e->loop.users.n; i++) e->loop.users.row[i].n_picked = 0;
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
