/* grammar/re.c - the pool of expressions: interning, and the constructors that keep them in one normal form. */
#include "grammar/re.h"
#include <stdlib.h>
#include "base/map.h"
#include "base/sys.h"
#include "grammar/num.h"

enum {
    MAX_NODES = 2000000,
    MAX_STATES = 1000000,
    MAX_SEARCH = 20000,
    MAX_BYTES = 192 << 20,
    MAX_NEST = 6000 /* of recursion over nodes */
};

void wick_re_fail(wick_re_pool *p, const char *why)
{
    if (!p->why) p->why = why;
}

wick_status wick_re_failed(const wick_re_pool *p, wick_err *err)
{
    if (p->why && strcmp(p->why, "memory") == 0) return wick_err_oom(err, "the grammar", 0, 0);
    return WICK_FAIL(err, WICK_E_LIMIT, "grammar", "grammar: too large: limit of %s reached: make it simpler",
                     p->why ? p->why : "states");
}

void wick_re_allow(wick_re_pool *p, uint32_t ms)
{
    p->limit.deadline_ns = wick_time_thread_ns() + (uint64_t)ms * 1000000u;
}

bool wick_re_late(wick_re_pool *p)
{
    if (p->why) return true;
    if (p->limit.deadline_ns && (++p->ticks & 63) == 0 && wick_time_thread_ns() > p->limit.deadline_ns)
        wick_re_fail(p, "time");
    return p->why != NULL;
}

bool wick_re_room(wick_re_pool *p, void **v, uint32_t *cap, uint64_t want, size_t size)
{
    if (want <= *cap) return true;
    uint64_t c = *cap ? (uint64_t)*cap * 2 : 64;
    while (c < want) c *= 2;
    if (c > UINT32_MAX || p->bytes + (c - *cap) * size > p->limit.max_bytes) {
        wick_re_fail(p, "bytes");
        return false;
    }
    void *q = wick_realloc_array(*v, c, size);
    if (!q) {
        wick_re_fail(p, "memory");
        return false;
    }
    p->bytes += (c - *cap) * size;
    *v = q;
    *cap = (uint32_t)c;
    return true;
}

/* ---- interning ---- */
static bool grow_hash(wick_re_pool *p, wick_re_hash *h, uint64_t (*hash_of)(const wick_re_pool *, uint32_t))
{
    uint32_t n = h->mask ? (h->mask + 1) * 2 : 256;
    uint32_t *slot = wick_alloc_zero(n, sizeof *slot);
    if (!slot) {
        wick_re_fail(p, "memory");
        return false;
    }
    p->bytes += (uint64_t)(n - (h->mask ? h->mask + 1 : 0)) * sizeof *slot;
    for (uint32_t i = 0; h->mask && i <= h->mask; i++) {
        if (!h->slot[i]) continue;
        uint32_t at = (uint32_t)hash_of(p, h->slot[i] - 1) & (n - 1);
        while (slot[at]) at = (at + 1) & (n - 1);
        slot[at] = h->slot[i];
    }
    wick_free(h->slot);
    h->slot = slot;
    h->mask = n - 1;
    return true;
}

static bool hash_full(const wick_re_hash *h)
{
    return !h->mask || h->n * 4u >= h->mask * 3u;
}

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 29;
}

static uint64_t node_hash(const wick_re_pool *p, uint32_t id)
{
    const wick_re_node *n = &p->node[id];
    uint64_t h = mix(n->kind, n->lo * 0x100000001B3u ^ n->hi);
    if (n->kind == RE_OR || n->kind == RE_AND) {
        for (uint32_t i = 0; i < n->b; i++) h = mix(h, p->lists[n->a + i]);
        return h;
    }
    return mix(h, (uint64_t)n->a << 32 | n->b);
}

static bool node_same(const wick_re_pool *p, const wick_re_node *x, const wick_re_node *y)
{
    if (x->kind != y->kind || x->lo != y->lo || x->hi != y->hi || x->b != y->b) return false;
    if (x->kind == RE_OR || x->kind == RE_AND)
        return memcmp(p->lists + x->a, p->lists + y->a, x->b * sizeof *p->lists) == 0;
    return x->a == y->a;
}

/* The node n under an id of its own, or the id that an equal one has. A list in it lies at the end of p->lists. */
static wick_re intern(wick_re_pool *p, wick_re_node n)
{
    if (wick_re_late(p)) return WICK_RE_NONE;
    if (p->n_nodes >= p->limit.max_nodes) {
        wick_re_fail(p, "expressions");
        return WICK_RE_NONE;
    }
    if (!wick_re_room(p, (void **)&p->node, &p->cap_nodes, (uint64_t)p->n_nodes + 1, sizeof *p->node)) return 0;
    if (hash_full(&p->node_hash) && !grow_hash(p, &p->node_hash, node_hash)) return WICK_RE_NONE;
    uint32_t id = p->n_nodes;
    p->node[id] = n;
    bool list = n.kind == RE_OR || n.kind == RE_AND;
    uint32_t at = (uint32_t)node_hash(p, id) & p->node_hash.mask;
    for (; p->node_hash.slot[at]; at = (at + 1) & p->node_hash.mask) {
        uint32_t old = p->node_hash.slot[at] - 1;
        if (!node_same(p, &p->node[old], &n)) continue;
        if (list) p->n_lists = n.a;
        return old;
    }
    p->node_hash.slot[at] = id + 1;
    p->node_hash.n++;
    p->n_nodes++;
    return id;
}

static uint64_t set_hash(const wick_re_pool *p, uint32_t id)
{
    const wick_re_set *s = &p->sets[id];
    return mix(mix(mix(mix(7, s->w[0]), s->w[1]), s->w[2]), s->w[3]);
}

wick_re wick_re_set_of(wick_re_pool *p, const wick_re_set *s)
{
    if (!(s->w[0] | s->w[1] | s->w[2] | s->w[3]) || p->why) return WICK_RE_NONE;
    if (!wick_re_room(p, (void **)&p->sets, &p->cap_sets, (uint64_t)p->n_sets + 1, sizeof *p->sets)) return 0;
    if (hash_full(&p->set_hash) && !grow_hash(p, &p->set_hash, set_hash)) return WICK_RE_NONE;
    uint32_t id = p->n_sets;
    p->sets[id] = *s;
    uint32_t at = (uint32_t)set_hash(p, id) & p->set_hash.mask;
    for (; p->set_hash.slot[at]; at = (at + 1) & p->set_hash.mask)
        if (memcmp(&p->sets[p->set_hash.slot[at] - 1], s, sizeof *s) == 0) break;
    if (!p->set_hash.slot[at]) {
        p->set_hash.slot[at] = id + 1;
        p->set_hash.n++;
        p->n_sets++;
    }
    return intern(p, (wick_re_node){.kind = RE_SET, .plain = true, .a = p->set_hash.slot[at] - 1});
}

wick_status wick_re_pool_init(wick_re_pool *p, const wick_re_limits *limit, wick_err *err)
{
    memset(p, 0, sizeof *p);
    if (limit) p->limit = *limit;
    if (!p->limit.max_nodes) p->limit.max_nodes = MAX_NODES;
    if (!p->limit.max_states) p->limit.max_states = MAX_STATES;
    if (!p->limit.max_search) p->limit.max_search = MAX_SEARCH;
    if (!p->limit.max_bytes) p->limit.max_bytes = MAX_BYTES;
    wick_re_set all = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    intern(p, (wick_re_node){.kind = RE_NONE, .plain = true, .known_empty = true});
    intern(p, (wick_re_node){.kind = RE_EPS, .nullable = true, .plain = true});
    /* ALL is made by hand, because it must be number 2 and needs a set. */
    wick_re_node rep = {.kind = RE_REP, .nullable = true, .plain = true, .a = 3, .hi = WICK_RE_INF};
    intern(p, rep);
    wick_re any = wick_re_set_of(p, &all);
    if (p->why || any != 3 || !wick_re_room(p, (void **)&p->state, &p->cap_states, 1, sizeof *p->state)) {
        wick_re_pool_release(p);
        return wick_err_oom(err, "the grammar", 0, 0);
    }
    p->state[0] = (wick_dfa_state){.classes = UINT32_MAX};
    p->n_states = 1;
    return WICK_OK;
}

void wick_re_pool_release(wick_re_pool *p)
{
    wick_free(p->node);
    wick_free(p->lists);
    wick_free(p->sets);
    wick_free(p->nums);
    wick_free(p->node_hash.slot);
    wick_free(p->set_hash.slot);
    wick_free(p->state_hash.slot);
    wick_free(p->class_hash.slot);
    wick_free(p->memo);
    wick_free(p->state);
    wick_free(p->dfa_parts);
    wick_free(p->dfa_rows);
    wick_free(p->classes);
    memset(p, 0, sizeof *p);
}

/* ---- constructors ---- */
wick_re wick_re_byte(wick_re_pool *p, uint8_t b)
{
    return wick_re_bytes(p, b, b);
}

wick_re wick_re_bytes(wick_re_pool *p, uint8_t lo, uint8_t hi)
{
    wick_re_set s = {{0}};
    for (unsigned b = lo; b <= hi; b++) s.w[b >> 6] |= (uint64_t)1 << (b & 63);
    return wick_re_set_of(p, &s);
}

wick_re wick_re_lit(wick_re_pool *p, const char *s, size_t n)
{
    wick_re r = WICK_RE_EPS;
    while (n) r = wick_re_cat(p, wick_re_byte(p, (uint8_t)s[--n]), r);
    return r;
}

wick_re wick_re_cat(wick_re_pool *p, wick_re a, wick_re b)
{
    if (a == WICK_RE_NONE || b == WICK_RE_NONE || p->why) return WICK_RE_NONE;
    if (a == WICK_RE_EPS) return b;
    if (b == WICK_RE_EPS) return a;
    wick_re_node x = p->node[a], y = p->node[b];
    if (x.kind == RE_CAT) { /* to the right, without recursion over the length */
        uint32_t *v = NULL, n = 0, cap = 0;
        wick_re r = b;
        for (wick_re q = a;; q = p->node[q].b) {
            if (!wick_re_room(p, (void **)&v, &cap, (uint64_t)n + 1, sizeof *v)) break;
            v[n++] = p->node[q].kind == RE_CAT ? p->node[q].a : q;
            if (p->node[q].kind != RE_CAT) break;
        }
        while (n && !p->why) r = wick_re_cat(p, v[--n], r);
        p->bytes -= (uint64_t)cap * sizeof *v;
        wick_free(v);
        return p->why ? WICK_RE_NONE : r;
    }
    bool star = x.kind == RE_REP && x.lo == 0 && x.hi == WICK_RE_INF;
    if (star && (a == b || (y.kind == RE_CAT && y.a == a))) return b;
    if (a == WICK_RE_ALL && y.kind == RE_OR && y.nullable) return WICK_RE_ALL;
    return intern(
        p, (wick_re_node){
               .kind = RE_CAT, .nullable = x.nullable && y.nullable, .plain = x.plain && y.plain, .a = a, .b = b});
}

wick_re wick_re_rep(wick_re_pool *p, wick_re a, uint32_t lo, uint32_t hi)
{
    if (p->why || lo > hi) return WICK_RE_NONE;
    if (hi == 0 || a == WICK_RE_EPS) return WICK_RE_EPS;
    if (a == WICK_RE_NONE) return lo ? WICK_RE_NONE : WICK_RE_EPS;
    if (lo == 1 && hi == 1) return a;
    const wick_re_node *x = &p->node[a];
    if (x->nullable) lo = 0;
    if (x->kind == RE_REP && x->lo <= 1 && x->hi == WICK_RE_INF && lo <= 1 && (lo == 0 || x->lo == 1 || hi == 1)) {
        if (hi == 1 && lo == 1) return a;
        lo = lo && x->lo ? 1 : 0;
        return wick_re_rep(p, x->a, lo, WICK_RE_INF);
    }
    bool plain = x->plain || lo == 0;
    return intern(p, (wick_re_node){.kind = RE_REP, .nullable = lo == 0, .plain = plain, .a = a, .lo = lo, .hi = hi});
}

static int by_id(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Appends v to p->lists from `base` on, lists of the same kind flattened. */
static bool gather(wick_re_pool *p, wick_re_kind kind, const wick_re *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        const wick_re_node x = p->node[v[i]];
        uint32_t more = x.kind == kind ? x.b : 1;
        if (!wick_re_room(p, (void **)&p->lists, &p->cap_lists, (uint64_t)p->n_lists + more, sizeof *p->lists))
            return false;
        if (x.kind == kind)
            memcpy(p->lists + p->n_lists, p->lists + x.a, more * sizeof *p->lists);
        else
            p->lists[p->n_lists] = v[i];
        p->n_lists += more;
    }
    return true;
}

/* The byte sets among the parts become one, joined (or) or met (and). */
static void join_sets(wick_re_pool *p, uint32_t base, bool or)
{
    wick_re_set s = {{0}};
    uint32_t n = base, found = 0;
    for (uint32_t i = base; i < p->n_lists; i++) {
        const wick_re_node *x = &p->node[p->lists[i]];
        if (x->kind != RE_SET) {
            p->lists[n++] = p->lists[i];
            continue;
        }
        const wick_re_set *y = &p->sets[x->a];
        for (int k = 0; k < 4; k++) s.w[k] = !found ? y->w[k] : or ? s.w[k] | y->w[k] : s.w[k] & y->w[k];
        found++;
    }
    p->n_lists = n;
    if (!found) return;
    wick_re r = wick_re_set_of(p, &s);
    p->lists[p->n_lists++] = r; /* fits: at least one left */
}

/* Sets followed by the same rest are joined: [a]x | [b]x is [ab]x. The list is sorted by id before and need not be
 * after. */
static void join_heads(wick_re_pool *p, uint32_t base)
{
    uint32_t n = p->n_lists - base;
    if (n > 64) return; /* quadratic; large unions are built factored */
    for (uint32_t i = 0; i < n; i++) {
        wick_re a = p->lists[base + i];
        if (!a || p->node[a].kind != RE_CAT || p->node[p->node[a].a].kind != RE_SET) continue;
        for (uint32_t k = i + 1; k < n; k++) {
            wick_re b = p->lists[base + k];
            a = p->lists[base + i];
            if (!b || p->node[b].kind != RE_CAT || p->node[b].b != p->node[a].b || p->node[p->node[b].a].kind != RE_SET)
                continue;
            wick_re_set s = p->sets[p->node[p->node[a].a].a];
            const wick_re_set *t = &p->sets[p->node[p->node[b].a].a];
            for (int w = 0; w < 4; w++) s.w[w] |= t->w[w];
            uint32_t keep = p->n_lists;
            wick_re joined = wick_re_cat(p, wick_re_set_of(p, &s), p->node[a].b);
            p->n_lists = keep;
            p->lists[base + i] = joined;
            p->lists[base + k] = WICK_RE_NONE;
        }
    }
}

static bool listed(const wick_re_pool *p, uint32_t base, wick_re x)
{
    return bsearch(&x, p->lists + base, p->n_lists - base, sizeof *p->lists, by_id) != NULL;
}

/* x and not x; also x and not (x or y). The list is sorted. */
static bool meets_complement(const wick_re_pool *p, uint32_t base, bool or)
{
    for (uint32_t i = base; i < p->n_lists; i++) {
        const wick_re_node *x = &p->node[p->lists[i]];
        if (x->kind != RE_NOT) continue;
        if (listed(p, base, x->a)) return true;
        x = &p->node[x->a];
        if (x->kind != (or ? RE_AND : RE_OR)) continue;
        for (uint32_t k = 0; k < x->b; k++)
            if (listed(p, base, p->lists[x->a + k])) return true;
    }
    return false;
}

/* (x or y) beside x in an intersection says nothing; nor (x and y) beside x in a union. */
static void absorb(wick_re_pool *p, uint32_t base, bool or)
{
    uint32_t n = base, end = p->n_lists;
    for (uint32_t i = base; i < end; i++) {
        const wick_re_node *x = &p->node[p->lists[i]];
        bool drop = false;
        if (x->kind == (or ? RE_AND : RE_OR) && x->b <= 16)
            for (uint32_t k = 0; k < x->b && !drop; k++) drop = listed(p, base, p->lists[x->a + k]);
        if (!drop)
            p->lists[n++] = p->lists[i]; /* what was moved stays sorted; what follows is still there to be found */
    }
    p->n_lists = n;
}

/* Sorts, removes doubles and what is neutral; true: *r is the whole result. */
static bool tidy(wick_re_pool *p, uint32_t base, bool or, wick_re *r)
{
    wick_re neutral = or ? WICK_RE_NONE : WICK_RE_ALL, all = or ? WICK_RE_ALL : WICK_RE_NONE;
    bool nullable = ! or, only_eps = false, others = false;
    uint32_t n = base;
    qsort(p->lists + base, p->n_lists - base, sizeof *p->lists, by_id);
    for (uint32_t i = base; i < p->n_lists; i++) {
        wick_re x = p->lists[i];
        if (x == all) {
            *r = all;
            return true;
        }
        if (x == neutral || (n > base && p->lists[n - 1] == x)) continue;
        if (or ? p->node[x].nullable && x != WICK_RE_EPS : !p->node[x].nullable) nullable = or ;
        if (x == WICK_RE_EPS)
            only_eps = true;
        else
            others = true;
        p->lists[n++] = x;
    }
    p->n_lists = n;
    if (! or &&only_eps && others) { /* the empty string or nothing */
        *r = nullable ? WICK_RE_EPS : WICK_RE_NONE;
        return true;
    }
    if (or &&only_eps && nullable) { /* (empty | x) is x where x may be empty */
        memmove(p->lists + base, p->lists + base + 1, (n - base - 1) * sizeof *p->lists);
        p->n_lists--;
    }
    if (meets_complement(p, base, or)) {
        *r = all;
        return true;
    }
    absorb(p, base, or);
    n = p->n_lists - base;
    if (n <= 1) *r = n ? p->lists[base] : neutral;
    return n <= 1;
}

static wick_re make_list(wick_re_pool *p, wick_re_kind kind, const wick_re *v, uint32_t n)
{
    if (p->why) return WICK_RE_NONE;
    uint32_t base = p->n_lists;
    bool or = kind == RE_OR;
    wick_re r = WICK_RE_NONE;
    if (!gather(p, kind, v, n)) return WICK_RE_NONE;
    join_sets(p, base, or);
    if (or &&p->n_lists - base > 1) join_heads(p, base);
    if (p->why || tidy(p, base, or, &r)) {
        p->n_lists = base;
        return p->why ? WICK_RE_NONE : r;
    }
    wick_re_node node = {.kind = (uint8_t)kind, .a = base, .b = p->n_lists - base, .nullable = ! or };
    for (uint32_t i = 0; i < node.b; i++) {
        const wick_re_node *x = &p->node[p->lists[base + i]];
        if (or) {
            node.nullable |= x->nullable;
            node.plain |= x->plain;
        } else {
            node.nullable &= x->nullable;
        }
    }
    node.plain |= node.nullable;
    r = intern(p, node);
    if (p->why) p->n_lists = base;
    return r;
}

wick_re wick_re_or(wick_re_pool *p, const wick_re *v, uint32_t n)
{
    return make_list(p, RE_OR, v, n);
}

wick_re wick_re_and(wick_re_pool *p, const wick_re *v, uint32_t n)
{
    return make_list(p, RE_AND, v, n);
}

wick_re wick_re_or2(wick_re_pool *p, wick_re a, wick_re b)
{
    if (a == b || b == WICK_RE_NONE) return a;
    if (a == WICK_RE_NONE) return b;
    return wick_re_or(p, (wick_re[]){a, b}, 2);
}

wick_re wick_re_and2(wick_re_pool *p, wick_re a, wick_re b)
{
    if (a == b || b == WICK_RE_ALL) return a;
    if (a == WICK_RE_ALL) return b;
    return wick_re_and(p, (wick_re[]){a, b}, 2);
}

wick_re wick_re_not(wick_re_pool *p, wick_re a)
{
    if (p->why) return WICK_RE_NONE;
    if (a == WICK_RE_NONE) return WICK_RE_ALL;
    if (a == WICK_RE_ALL) return WICK_RE_NONE;
    const wick_re_node *x = &p->node[a];
    if (x->kind == RE_NOT) return x->a;
    bool nullable = !x->nullable;
    return intern(p, (wick_re_node){.kind = RE_NOT, .nullable = nullable, .plain = nullable, .a = a});
}

wick_re wick_re_num(wick_re_pool *p, uint32_t def, uint32_t state, uint64_t rest, bool nullable, bool plain)
{
    return intern(p, (wick_re_node){.kind = RE_NUM,
                                    .nullable = nullable,
                                    .plain = nullable || plain,
                                    .a = def,
                                    .b = state,
                                    .lo = (uint32_t)rest,
                                    .hi = (uint32_t)(rest >> 32)});
}
