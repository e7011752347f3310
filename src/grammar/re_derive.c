/* grammar/re_derive.c - what an expression becomes after one byte, which bytes behave alike, and whether anything is
 * left. */
#include "grammar/num.h"

enum { MAX_NEST = 4000 };

/* ---- the memo of derivatives ---- */
static uint64_t memo_hash(uint64_t key)
{
    key *= 0x9E3779B97F4A7C15u;
    return key ^ key >> 31;
}

static bool memo_grow(wick_re_pool *p)
{
    uint32_t n = p->memo_mask ? (p->memo_mask + 1) * 2 : 1024;
    if (p->bytes + n * sizeof *p->memo > p->limit.max_bytes) {
        wick_re_fail(p, "bytes");
        return false;
    }
    wick_re_memo *m = wick_alloc_zero(n, sizeof *m);
    if (!m) {
        wick_re_fail(p, "memory");
        return false;
    }
    for (uint32_t i = 0; p->memo_mask && i <= p->memo_mask; i++) {
        if (!p->memo[i].key) continue;
        uint32_t at = (uint32_t)memo_hash(p->memo[i].key) & (n - 1);
        while (m[at].key) at = (at + 1) & (n - 1);
        m[at] = p->memo[i];
    }
    p->bytes += (uint64_t)(n - (p->memo_mask ? p->memo_mask + 1 : 0)) * sizeof *m;
    wick_free(p->memo);
    p->memo = m;
    p->memo_mask = n - 1;
    return true;
}

static wick_re_memo *memo_slot(wick_re_pool *p, uint64_t key)
{
    uint32_t at = (uint32_t)memo_hash(key) & p->memo_mask;
    while (p->memo[at].key && p->memo[at].key != key) at = (at + 1) & p->memo_mask;
    return &p->memo[at];
}

/* ---- derivatives ---- */
static wick_re derive_list(wick_re_pool *p, wick_re_node x, uint8_t byte)
{
    wick_re small[64], *v = small;
    uint32_t n = 0, cap = 0;
    bool or = x.kind == RE_OR;
    wick_re r = or ? WICK_RE_NONE : WICK_RE_ALL;
    if (x.b > 64) {
        v = NULL;
        if (!wick_re_room(p, (void **)&v, &cap, x.b, sizeof *v)) return WICK_RE_NONE;
    }
    for (uint32_t i = 0; i < x.b && !p->why; i++) {
        wick_re d = wick_re_derive(p, p->lists[x.a + i], byte);
        if (d == (or ? WICK_RE_ALL : WICK_RE_NONE)) {
            r = d;
            goto done;
        }
        if (d != r) v[n++] = d;
    }
    if (n == 1) r = v[0];
    if (n > 1) r = or ? wick_re_or(p, v, n) : wick_re_and(p, v, n);
done:
    if (v != small) {
        p->bytes -= (uint64_t)cap * sizeof *v;
        wick_free(v);
    }
    return r;
}

static wick_re derive_node(wick_re_pool *p, wick_re_node x, uint8_t byte)
{
    wick_re d;
    switch ((wick_re_kind)x.kind) {
    case RE_NONE:
    case RE_EPS: return WICK_RE_NONE;
    case RE_SET: return p->sets[x.a].w[byte >> 6] >> (byte & 63) & 1 ? WICK_RE_EPS : WICK_RE_NONE;
    case RE_CAT:
        d = wick_re_cat(p, wick_re_derive(p, x.a, byte), x.b);
        return p->node[x.a].nullable ? wick_re_or2(p, d, wick_re_derive(p, x.b, byte)) : d;
    case RE_REP: {
        d = wick_re_derive(p, x.a, byte);
        if (d == WICK_RE_NONE) return d;
        uint32_t lo = x.lo ? x.lo - 1 : 0, hi = x.hi == WICK_RE_INF ? x.hi : x.hi - 1;
        return wick_re_cat(p, d, wick_re_rep(p, x.a, lo, hi));
    }
    case RE_OR:
    case RE_AND: return derive_list(p, x, byte);
    case RE_NOT: return wick_re_not(p, wick_re_derive(p, x.a, byte));
    case RE_NUM: return wick_num_derive(p, &x, byte);
    }
    return WICK_RE_NONE;
}

wick_re wick_re_derive(wick_re_pool *p, wick_re r, uint8_t byte)
{
    wick_re_node x = p->node[r];
    if (p->why) return WICK_RE_NONE;
    if (x.kind <= RE_SET) return derive_node(p, x, byte);
    if (r == WICK_RE_ALL) return r;
    if (p->n_memo * 4u >= p->memo_mask * 3u && !memo_grow(p)) return WICK_RE_NONE;
    uint64_t key = ((uint64_t)r << 8 | byte) + 1;
    wick_re_memo *m = memo_slot(p, key);
    if (m->key) return m->value;
    if (p->depth >= MAX_NEST) {
        wick_re_fail(p, "nesting");
        return WICK_RE_NONE;
    }
    p->depth++;
    wick_re d = derive_node(p, x, byte);
    p->depth--;
    if (p->why || (p->n_memo * 4u >= p->memo_mask * 3u && !memo_grow(p))) return WICK_RE_NONE;
    m = memo_slot(p, key);
    if (!m->key) {
        *m = (wick_re_memo){key, d};
        p->n_memo++;
    }
    return d;
}

/* ---- bytes that behave alike ---- */
typedef struct signer {
    uint64_t h[256];
    uint32_t seen[256];
    uint32_t depth;
} signer;

static void sign(wick_re_pool *p, signer *g, wick_re r)
{
    const wick_re_node *x = &p->node[r];
    uint64_t key = (r + 1u) * 0xD6E8FEB86659FD93u;
    if (x->kind <= RE_EPS || r == WICK_RE_ALL || g->seen[r & 255] == r) return;
    g->seen[r & 255] = r;
    if (++g->depth > MAX_NEST) {
        wick_re_fail(p, "nesting");
        return;
    }
    switch ((wick_re_kind)x->kind) {
    case RE_SET: {
        const wick_re_set *s = &p->sets[x->a];
        for (int w = 0; w < 4; w++)
            for (uint64_t m = s->w[w]; m; m &= m - 1) g->h[w * 64 + __builtin_ctzll(m)] += key ^ key >> 32;
        break;
    }
    case RE_NUM:
        for (int b = '0'; b <= '9'; b++) g->h[b] += key ^ key >> 32 ^ (uint64_t)b * 0xA0761D6478BD642Fu;
        g->h['.'] += key * 31;
        g->h['-'] += key * 37;
        break;
    case RE_CAT:
        sign(p, g, x->a);
        if (p->node[x->a].nullable) sign(p, g, x->b);
        break;
    case RE_OR:
    case RE_AND:
        for (uint32_t i = 0; i < x->b; i++) sign(p, g, p->lists[x->a + i]);
        break;
    default: sign(p, g, x->a); break;
    }
    g->depth--;
}

uint32_t wick_re_classes(wick_re_pool *p, const wick_re *r, uint32_t n, uint8_t out[256])
{
    signer g;
    memset(&g, 0, sizeof g);
    memset(g.seen, 0xFF, sizeof g.seen);
    for (uint32_t i = 0; i < n; i++) sign(p, &g, r[i]);
    uint64_t found[256];
    uint32_t n_found = 0;
    uint16_t head[512];
    memset(head, 0xFF, sizeof head);
    for (unsigned b = 0; b < 256; b++) {
        uint32_t at = (uint32_t)(g.h[b] ^ g.h[b] >> 40) & 511;
        while (head[at] != 0xFFFF && found[head[at]] != g.h[b]) at = (at + 1) & 511;
        if (head[at] == 0xFFFF) {
            head[at] = (uint16_t)n_found;
            found[n_found++] = g.h[b];
        }
        out[b] = (uint8_t)head[at];
    }
    return n_found;
}

/* ---- is anything left ---- */
typedef struct search {
    uint32_t *node, *parent, *slot; /* slot: visited, open addressing over index + 1 */
    uint32_t n, cap_node, cap_parent, mask, done;
} search;

static bool visit(wick_re_pool *p, search *s, wick_re r, uint32_t parent)
{
    uint32_t at = (uint32_t)memo_hash(r) & s->mask;
    for (; s->slot[at]; at = (at + 1) & s->mask)
        if (s->node[s->slot[at] - 1] == r) return false;
    if (!wick_re_room(p, (void **)&s->node, &s->cap_node, (uint64_t)s->n + 1, sizeof *s->node) ||
        !wick_re_room(p, (void **)&s->parent, &s->cap_parent, (uint64_t)s->n + 1, sizeof *s->parent))
        return false;
    s->node[s->n] = r;
    s->parent[s->n++] = parent;
    s->slot[at] = s->n;
    return true;
}

static bool surely_full(const wick_re_node *x)
{
    return x->nullable || x->known_full || (x->plain && x->kind != RE_NONE);
}

/* Looks from both ends of the list of what was found: near strings and long ones are both reached soon. */
static bool empty_by_search(wick_re_pool *p, wick_re r)
{
    search s = {0};
    bool empty = true;
    uint32_t bits = 64;
    while (bits < p->limit.max_search * 2) bits *= 2;
    s.slot = wick_alloc_zero(bits, sizeof *s.slot);
    uint8_t *done = wick_alloc_zero(p->limit.max_search + 256u, 1);
    s.mask = bits - 1;
    if (!s.slot || !done) wick_re_fail(p, "memory");
    if (!p->why) visit(p, &s, r, UINT32_MAX);
    uint32_t front = 0, turn = 0, left = 1;
    while (left && !p->why && empty) {
        uint32_t at = s.n - 1;
        while (front < s.n && done[front]) front++;
        if (turn++ & 1)
            at = front;
        else
            while (done[at]) at--;
        done[at] = 1;
        left--;
        uint8_t cls[256], got[256] = {0};
        wick_re cur = s.node[at];
        wick_re_classes(p, &cur, 1, cls);
        for (unsigned b = 0; b < 256 && empty && !p->why; b++) {
            if (got[cls[b]]) continue;
            got[cls[b]] = 1;
            wick_re d = wick_re_derive(p, cur, (uint8_t)b);
            if (p->node[d].known_empty) continue;
            if (visit(p, &s, d, at)) left++;
            if (surely_full(&p->node[d])) {
                empty = false;
                p->node[d].known_full = true;
                for (uint32_t k = at; k != UINT32_MAX; k = s.parent[k]) p->node[s.node[k]].known_full = true;
            }
            if (s.n >= p->limit.max_search) wick_re_fail(p, "states");
        }
        if (wick_re_late(p)) break;
    }
    for (uint32_t i = 0; empty && !p->why && i < s.n; i++) p->node[s.node[i]].known_empty = true;
    p->bytes -= ((uint64_t)s.cap_node + s.cap_parent) * sizeof *s.node;
    wick_free(s.node);
    wick_free(s.parent);
    wick_free(s.slot);
    wick_free(done);
    return empty;
}

bool wick_re_is_empty(wick_re_pool *p, wick_re r)
{
    const wick_re_node *x = &p->node[r];
    if (p->why || r == WICK_RE_NONE || x->known_empty) return true;
    if (surely_full(x)) return false;
    bool empty = false;
    if (p->depth++ > MAX_NEST) {
        wick_re_fail(p, "nesting");
    } else if (x->kind == RE_CAT) {
        uint32_t b = x->b;
        empty = wick_re_is_empty(p, x->a) || wick_re_is_empty(p, b);
    } else if (x->kind == RE_REP) {
        empty = wick_re_is_empty(p, x->a);
    } else if (x->kind == RE_OR) {
        empty = true;
        for (uint32_t i = 0; empty && i < p->node[r].b; i++) empty = wick_re_is_empty(p, p->lists[p->node[r].a + i]);
    } else {
        empty = empty_by_search(p, r);
    }
    p->depth--;
    if (p->why) return true;
    if (empty)
        p->node[r].known_empty = true;
    else
        p->node[r].known_full = true;
    return empty;
}

bool wick_re_match(wick_re_pool *p, wick_re r, const char *s, size_t n)
{
    for (size_t i = 0; i < n && r != WICK_RE_NONE; i++) r = wick_re_derive(p, r, (uint8_t)s[i]);
    return !p->why && p->node[r].nullable;
}
