/* engine/kv.c - who holds KV memory, and who gives it up when it runs out.
 *
 * The order of giving up: cached prefixes (least recent first), requests that hold KV without running (no slot, or a
 * reader that does not read), running ones of lowest priority and latest arrival. What a request loses is computed
 * again later from its tokens, so its output does not change. Progress is certain: a newcomer never displaces a holder
 * of its own priority, and the earliest holder of the highest priority is never displaced.
 */
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/engine_int.h"

#define WORTH_WAITING_TOKENS 64 /* a shared prompt start that another request is just computing */

static uint64_t blocks_bytes(const wick_engine *e, uint32_t n_tokens)
{
    uint32_t block = e->loop.kv.block_tokens ? e->loop.kv.block_tokens : 1;
    return ((uint64_t)n_tokens + block - 1) / block * block * e->loop.kv.bytes_per_token;
}

static uint64_t capacity(const wick_engine *e)
{
    uint64_t a = e->loop.kv.capacity_bytes ? e->loop.kv.capacity_bytes : UINT64_MAX;
    uint64_t b = e->parts.kv_limit_bytes ? e->parts.kv_limit_bytes : UINT64_MAX;
    return a < b ? a : b;
}

static bool fits(const wick_engine *e, uint64_t ahead, uint64_t need)
{
    uint64_t sum = e->loop.kv.bytes;
    return wick_add_ok(sum, ahead, &sum) && wick_add_ok(sum, need, &sum) && sum <= capacity(e);
}

void wick_engine_kv_begin_step(wick_engine *e)
{
    e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
    e->loop.kv_planned_bytes = e->loop.kv_promised_bytes = 0;
    for (uint32_t i = 0; i < e->loop.n_have; i++) {
        const wick_request *r = e->loop.live[i];
        if (r->run.kv) e->loop.kv_promised_bytes += blocks_bytes(e, r->run.n_total) - blocks_bytes(e, r->run.n_kv);
    }
}

void wick_engine_kv_release(wick_engine *e, wick_request *r)
{
    if (r->run.kv) {
        e->parts.backend->kv_free(e->loop.loaded, r->run.kv);
        e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
        e->loop.kv_tight = false;
    }
    if (r->run.spare) e->parts.backend->kv_free(e->loop.loaded, r->run.spare);
    r->run.kv = r->run.spare = NULL;
    r->run.n_kv = 0;
    r->run.load_to = 0;
    r->run.row_tokens = r->run.n_draft = 0;
}

void wick_engine_kv_keep(wick_engine *e, wick_request *r)
{
    if (!e->loop.prefix || !r->run.kv || r->run.n_kv == 0 || r->opt.kind != WICK_REQ_GENERATE ||
        r->opt.no_prefix_cache || r->run.forget)
        return;
    wick_prefix_insert(e->loop.prefix, r->opt.domain, r->run.tokens, r->run.n_kv, r->run.kv);
    r->run.kv = NULL;
    r->run.n_kv = 0;
    e->loop.kv_tight = false; /* it can be evicted now */
}

static void preempt(wick_engine *e, wick_request *r)
{
    uint64_t planned =
        r->run.row_tokens ? blocks_bytes(e, r->run.n_kv + r->run.row_tokens) - blocks_bytes(e, r->run.n_kv) : 0;
    e->loop.kv_planned_bytes -= planned < e->loop.kv_planned_bytes ? planned : e->loop.kv_planned_bytes;
    wick_log(WICK_LOG_DEBUG, "request %llu: preempted at %u tokens, to be computed again",
             (unsigned long long)r->serial, r->run.n_kv);
    wick_engine_kv_release(e, r);
    e->loop.stats.n_preempted++;
}

static bool gives_up_before(const wick_request *a, const wick_request *b)
{
    if (a->opt.priority != b->opt.priority) return a->opt.priority < b->opt.priority;
    return a->serial > b->serial;
}

/* The holder of KV that gives up first; running ones or idle ones; NULL: none. */
static wick_request *victim(const wick_engine *e, bool running)
{
    wick_request *v = NULL;
    for (uint32_t i = 0; i < e->loop.n_have; i++) {
        wick_request *r = e->loop.live[i];
        if (r->run.kv && r->run.selected == running && (!v || gives_up_before(r, v))) v = r;
    }
    return v;
}

static bool evict_prefix(wick_engine *e)
{
    return e->loop.prefix && wick_prefix_evict(e->loop.prefix);
}

wick_room wick_engine_kv_grow(wick_engine *e, wick_request *r, uint32_t n_tokens)
{
    uint64_t need = blocks_bytes(e, r->run.n_kv + n_tokens) - blocks_bytes(e, r->run.n_kv);
    while (!fits(e, e->loop.kv_planned_bytes, need)) {
        if (!evict_prefix(e)) {
            wick_request *v = victim(e, false);
            if (!v) v = victim(e, true);
            if (v == r || !v) {
                bool alone = true;
                for (uint32_t i = 0; i < e->loop.n_have; i++)
                    alone = alone && (e->loop.live[i] == r || !e->loop.live[i]->run.kv);
                if (alone) return WICK_ROOM_NEVER;
                preempt(e, r);
                e->loop.kv_tight = true;
                e->loop.tight_priority = r->opt.priority;
                return WICK_ROOM_LATER;
            }
            preempt(e, v);
        }
        e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
    }
    e->loop.kv_planned_bytes += need;
    return WICK_ROOM_OK;
}

bool wick_engine_kv_has_room(const wick_engine *e, const wick_request *r, uint32_t n_tokens)
{
    uint64_t need = blocks_bytes(e, r->run.n_kv + n_tokens) - blocks_bytes(e, r->run.n_kv);
    return !e->loop.kv_tight && fits(e, e->loop.kv_planned_bytes, need);
}

bool wick_engine_kv_fits(wick_engine *e, const wick_request *r)
{
    uint32_t len = e->parts.backend->kv_len(r->run.kv);
    uint64_t need = blocks_bytes(e, len + 1) - blocks_bytes(e, len);
    if (!fits(e, e->loop.kv_planned_bytes, need)) return false;
    e->loop.kv_planned_bytes += need;
    return true;
}

/* Room for all the tokens that a newcomer has. */
static wick_room room_for_newcomer(wick_engine *e, wick_request *r)
{
    uint64_t need =
        blocks_bytes(e, r->run.n_total) - blocks_bytes(e, r->run.n_kv) + blocks_bytes(e, 1); /* 1: copy on write */
    while (!fits(e, e->loop.kv_promised_bytes, need)) {
        if (!evict_prefix(e)) {
            wick_request *v = victim(e, false);
            if (v && v->opt.priority >= r->opt.priority && !v->run.stalled) v = NULL;
            if (!v) v = victim(e, true);
            if (v == r || (v && v->opt.priority >= r->opt.priority)) v = NULL;
            if (!v) {
                for (uint32_t i = 0; i < e->loop.n_have; i++) {
                    if (e->loop.live[i] != r && e->loop.live[i]->run.kv) return WICK_ROOM_LATER;
                }
                if (fits(e, 0, blocks_bytes(e, r->run.n_total) - blocks_bytes(e, r->run.n_kv))) return WICK_ROOM_OK;
                return WICK_ROOM_NEVER;
            }
            uint64_t promised = blocks_bytes(e, v->run.n_total) - blocks_bytes(e, v->run.n_kv);
            preempt(e, v);
            e->loop.kv_promised_bytes -= promised < e->loop.kv_promised_bytes ? promised : e->loop.kv_promised_bytes;
        }
        e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
    }
    e->loop.kv_promised_bytes += need;
    return WICK_ROOM_OK;
}

static uint32_t common_prefix(const int32_t *a, uint32_t n_a, const int32_t *b, uint32_t n_b)
{
    uint32_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i;
}

static bool shares_prefix(const wick_request *r)
{
    return r->opt.kind == WICK_REQ_GENERATE && !r->opt.prompt_logprobs && !r->opt.no_prefix_cache && !r->run.forget;
}

/* A running request that computes what r needs too. */
typedef struct donor {
    wick_seq *kv;
    uint32_t n;    /* what of r's tokens it has now */
    uint32_t soon; /* what it, or another, will have */
} donor;

static donor find_donor(const wick_engine *e, const wick_request *r, uint32_t limit)
{
    donor d = {0};
    for (uint32_t i = 0; i < e->loop.n_chosen; i++) {
        const wick_request *x = e->loop.chosen[i];
        if (x == r || !x->run.kv || !wick_domain_same(x->opt.domain, r->opt.domain) || !shares_prefix(x)) continue;
        uint32_t m = common_prefix(r->run.tokens, limit, x->run.tokens, x->run.n_total),
                 have = m < x->run.n_kv ? m : x->run.n_kv, soon = m;
        if (wick_mark_needed(e)) { /* where it cannot be cut, what counts is the last mark that it has yet to pass */
            if (have < x->run.n_kv) have = 0;
            soon = wick_mark_last(e, m);
        }
        if (have > d.n) {
            d.n = have;
            d.kv = x->run.kv;
        }
        if (soon > x->run.n_kv && soon > d.soon && !x->run.solo) d.soon = soon;
    }
    return d;
}

/* Forks r's sequence from the best one that there is: a kept one, or one that runs. *n = how many of its tokens it has
 * then; 0: there is none, or no memory. False: a running one is just computing what r needs too (several answers to
 * one prompt), so r waits for it instead of doing the same work. */
static bool fork_from_others(wick_engine *e, wick_request *r, uint32_t *n)
{
    const wick_backend *b = e->parts.backend;
    uint32_t limit = r->run.n_total - 1; /* the last token is always computed: its logits are wanted */
    uint32_t kept = wick_prefix_find(e->loop.prefix, r->opt.domain, r->run.tokens, limit);
    donor d = find_donor(e, r, limit);
    if (d.soon >= (kept > d.n ? kept : d.n) + WORTH_WAITING_TOKENS) return false;
    if (d.n > kept && b->kv_fork(e->loop.loaded, d.kv, d.n, &r->run.kv, NULL) == WICK_OK)
        *n = d.n;
    else
        *n = wick_prefix_fork(e->loop.prefix, r->opt.domain, r->run.tokens, limit, &r->run.kv);
    return true;
}

static wick_status new_sequence(wick_engine *e, wick_request *r, wick_err *err)
{
    const wick_backend *b = e->parts.backend;
    wick_status st = b->kv_new(e->loop.loaded, r->run.cap_tokens, &r->run.kv, err);
    while (st == WICK_E_OUT_OF_MEMORY && evict_prefix(e))
        st = b->kv_new(e->loop.loaded, r->run.cap_tokens, &r->run.kv, err);
    return st;
}

wick_status wick_engine_kv_admit(wick_engine *e, wick_request *r, wick_room *room, wick_err *err)
{
    uint32_t n = 0;
    bool shares = (e->caps & WICK_CAP_KV_PREFIX_COPY) && e->loop.prefix && shares_prefix(r);
    *room = WICK_ROOM_LATER;
    if (shares && !fork_from_others(e, r, &n)) return WICK_OK;
    if (n == 0) WICK_TRY(new_sequence(e, r, err));
    r->run.n_kv = n;
    uint32_t on_disk = shares ? wick_disk_find(e, r) : 0;
    if (on_disk > n) WICK_TRY(wick_disk_begin(e, r, on_disk, err));
    e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv); /* a fork may have copied */
    *room = room_for_newcomer(e, r);
    if (*room != WICK_ROOM_OK) {
        wick_engine_kv_release(e, r);
        e->loop.kv_tight = true;
        e->loop.tight_priority = r->opt.priority;
        return WICK_OK;
    }
    if (!r->run.admitted) {
        r->run.admitted = true;
        r->run.t_admit = wick_time_ms();
        r->run.n_cached = n;
        e->loop.stats.n_cached_tokens += n;
        e->loop.stats.n_prefix_hits += n > 0 || on_disk > 0;
    }
    return WICK_OK;
}

bool wick_engine_kv_shed(wick_engine *e)
{
    bool done = evict_prefix(e);
    uint32_t holders = 0;
    for (uint32_t i = 0; i < e->loop.n_have; i++) holders += e->loop.live[i]->run.kv != NULL;
    if (!done && holders > 1) {
        wick_request *v = victim(e, false);
        if (!v) v = victim(e, true);
        preempt(e, v);
        e->loop.kv_tight = true; /* and nobody new until somebody is done */
        e->loop.tight_priority = INT32_MAX;
        done = true;
    }
    return done;
}
