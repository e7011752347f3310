/* text/trie.c - see trie.h. Edges are keyed node * 256 + byte; nodes stay below 2^24 so a key fits 32 bits. */
#include "text/trie.h"
#include <string.h>
#include "base/alloc.h"

struct wick_trie_edge {
    uint32_t key, to; /* to 0: empty, as no edge leads to the root */
};

static uint32_t slot_of(uint32_t key, uint32_t mask)
{
    return (uint32_t)((key * 0x9E3779B97F4A7C15u) >> 32) & mask;
}

static bool grow_edges(wick_trie *t)
{
    uint32_t cap = t->edges ? (t->mask + 1) * 2 : 256;
    struct wick_trie_edge *fresh = wick_alloc_zero(cap, sizeof *fresh);
    if (!fresh) return false;
    for (uint32_t i = 0; t->edges && i <= t->mask; i++) {
        if (!t->edges[i].to) continue;
        uint32_t s = slot_of(t->edges[i].key, cap - 1);
        while (fresh[s].to) s = (s + 1) & (cap - 1);
        fresh[s] = t->edges[i];
    }
    wick_free(t->edges);
    t->edges = fresh;
    t->mask = cap - 1;
    return true;
}

static bool new_node(wick_trie *t, uint32_t *node)
{
    if (t->n_nodes >= 1u << 24) return false;
    if (t->n_nodes == t->cap_nodes) {
        uint32_t cap = t->cap_nodes ? t->cap_nodes * 2 : 256;
        int32_t *v = wick_realloc_array(t->value, cap, sizeof *v);
        if (!v) return false;
        t->value = v;
        t->cap_nodes = cap;
    }
    t->value[t->n_nodes] = -1;
    *node = t->n_nodes++;
    return true;
}

uint32_t wick_trie_hashed_step(const wick_trie *t, uint32_t node, uint8_t byte)
{
    if (node == 0) return t->root[byte];
    uint32_t key = node << 8 | byte;
    for (uint32_t s = slot_of(key, t->mask); t->edges[s].to; s = (s + 1) & t->mask)
        if (t->edges[s].key == key) return t->edges[s].to;
    return 0;
}

bool wick_trie_add(wick_trie *t, const char *p, size_t n, int32_t value)
{
    uint32_t node = 0;
    if (!t->n_nodes && !new_node(t, &node)) return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t b = (uint8_t)p[i];
        if ((!t->edges || t->n_edges >= (t->mask + 1) / 2) && !grow_edges(t)) return false;
        uint32_t next = wick_trie_hashed_step(t, node, b);
        if (!next) {
            if (!new_node(t, &next)) return false;
            if (node == 0) {
                t->root[b] = next;
            } else {
                uint32_t s = slot_of(node << 8 | b, t->mask);
                while (t->edges[s].to) s = (s + 1) & t->mask;
                t->edges[s].key = node << 8 | b;
                t->edges[s].to = next;
                t->n_edges++;
            }
        }
        node = next;
    }
    t->value[node] = value;
    return true;
}

/* ---- packing ---- */

typedef struct packer {
    wick_trie_unit *unit;
    int32_t *value;
    uint64_t *used; /* a bit a unit */
    uint32_t cap;   /* units; bits beyond it count as free */
    uint32_t end;   /* behind the last unit in use */
    uint32_t low;   /* no free unit below */
    uint32_t start; /* where places for several children are looked for */
} packer;

enum { TRIES = 64 }; /* free units looked at for a node with several children, before it goes to the end */

static bool is_used(const packer *k, uint32_t i)
{
    return k->used[i / 64] >> i % 64 & 1;
}

static uint32_t next_free(const packer *k, uint32_t i)
{
    uint64_t w = ~k->used[i / 64] & ~(uint64_t)0 << i % 64;
    while (!w) w = ~k->used[(i = (i | 63) + 1) / 64];
    return (i & ~63u) + (uint32_t)__builtin_ctzll(w);
}

/* Units up to `want` and one window more; the bitmap always has a free word at its end. */
static bool make_room(packer *k, uint32_t want)
{
    if (want + 256 <= k->cap) return true;
    uint32_t cap = k->cap ? k->cap : 1024;
    while (cap < want + 256) cap += cap / 2;
    cap = (cap + 63) & ~63u;
    wick_trie_unit *unit = wick_realloc_array(k->unit, cap, sizeof *unit);
    if (!unit) return false;
    k->unit = unit;
    int32_t *value = wick_realloc_array(k->value, cap, sizeof *value);
    if (!value) return false;
    k->value = value;
    uint64_t *used = wick_realloc_array(k->used, cap / 64 + 8, sizeof *used);
    if (!used) return false;
    for (uint32_t i = k->cap; i < cap; i++) unit[i] = (wick_trie_unit){0, UINT32_MAX};
    uint32_t had = k->cap ? k->cap / 64 + 8 : 0;
    memset(used + had, 0, (cap / 64 + 8 - had) * sizeof *used);
    k->used = used;
    k->cap = cap;
    return true;
}

/* A base under which the places of all these bytes (ascending) are free; there is room for TRIES windows. */
static uint32_t find_base(packer *k, const uint8_t *byte, uint32_t n)
{
    k->low = next_free(k, k->low);
    uint32_t at = next_free(k, n > 1 && k->start > k->low ? k->start : k->low);
    for (int i = 0; i < TRIES && at < k->end; i++, at = next_free(k, at + 1)) {
        uint32_t j = 1;
        while (j < n && !is_used(k, at - byte[0] + byte[j])) j++;
        if (j < n) continue;
        return at - byte[0];
    }
    if (n > 1) k->start = k->end; /* crowded up to here */
    return k->end;
}

typedef struct child {
    uint32_t to;
    uint8_t byte;
} child;

/* The children of each node in ascending order of their bytes; first[node] .. first[node + 1]. */
static void list_children(const wick_trie *t, uint32_t *first, child *list)
{
    for (uint32_t b = 0; b < 256; b++) first[2] += t->root[b] != 0;
    for (uint32_t i = 0; t->edges && i <= t->mask; i++)
        if (t->edges[i].to) first[(t->edges[i].key >> 8) + 2]++;
    for (uint32_t i = 2; i <= t->n_nodes + 1; i++) first[i] += first[i - 1];
    for (uint32_t b = 0; b < 256; b++)
        if (t->root[b]) list[first[1]++] = (child){t->root[b], (uint8_t)b};
    for (uint32_t i = 0; t->edges && i <= t->mask; i++) {
        const struct wick_trie_edge *e = &t->edges[i];
        if (!e->to) continue;
        list[first[(e->key >> 8) + 1]++] = (child){e->to, (uint8_t)e->key};
    }
    for (uint32_t node = 0; node < t->n_nodes; node++) {
        for (uint32_t i = first[node] + 1; i < first[node + 1]; i++) {
            child c = list[i];
            uint32_t at = i;
            for (; at > first[node] && list[at - 1].byte > c.byte; at--) list[at] = list[at - 1];
            list[at] = c;
        }
    }
}

/* Depth first, so that a chain of single children lies together. place[node] is where the node went. */
static bool place_all(const wick_trie *t, packer *k, const uint32_t *first, const child *list, uint32_t *place,
                      uint32_t *stack)
{
    uint32_t depth = 0;
    if (!make_room(k, 512)) return false;
    memset(k->used, 0xFF, 256 / 8); /* no base is negative */
    k->end = k->low = k->start = 256;
    stack[depth++] = 0;
    while (depth) {
        uint32_t node = stack[--depth], at = place[node], n = first[node + 1] - first[node];
        const child *c = &list[first[node]];
        uint8_t byte[256];
        k->value[at] = t->value[node];
        k->unit[at].base = t->value[node] >= 0 ? WICK_TRIE_ENDS : 0;
        if (!n) continue;
        for (uint32_t i = 0; i < n; i++) byte[i] = c[i].byte;
        if (!make_room(k, k->end + 256)) return false;
        uint32_t base = find_base(k, byte, n);
        k->unit[at].base |= base;
        for (uint32_t i = 0; i < n; i++) {
            uint32_t to = base + byte[i];
            k->unit[to].check = at;
            k->used[to / 64] |= (uint64_t)1 << to % 64;
            if (to >= k->end) k->end = to + 1;
            place[c[i].to] = to;
        }
        for (uint32_t i = n; i-- > 0;) stack[depth++] = c[i].to;
    }
    return make_room(k, k->end + 256);
}

bool wick_trie_pack(wick_trie *t)
{
    if (t->unit || !t->n_nodes) return true;
    packer k = {0};
    uint32_t *first = wick_alloc_zero((size_t)t->n_nodes + 2, sizeof *first);
    child *list = wick_alloc_zero(t->n_nodes, sizeof *list);
    uint32_t *place = wick_alloc_zero(t->n_nodes, sizeof *place), *stack = wick_alloc_zero(t->n_nodes, sizeof *stack);
    bool ok = first && list && place && stack;
    if (ok) {
        list_children(t, first, list);
        ok = place_all(t, &k, first, list, place, stack);
    }
    wick_free(first);
    wick_free(list);
    wick_free(place);
    wick_free(stack);
    wick_free(k.used);
    if (!ok) {
        wick_free(k.unit);
        wick_free(k.value);
        return false;
    }
    wick_trie_release(t);
    t->unit = k.unit;
    t->value = k.value;
    return true;
}

void wick_trie_release(wick_trie *t)
{
    wick_free(t->edges);
    wick_free(t->value);
    wick_free(t->unit);
    memset(t, 0, sizeof *t);
}

size_t wick_trie_longest(const wick_trie *t, const char *p, size_t n, int32_t *value)
{
    size_t best = 0;
    uint32_t node = 0;
    if (!t->n_nodes && !t->unit) return 0;
    for (size_t i = 0; i < n; i++) {
        node = wick_trie_step(t, node, (uint8_t)p[i]);
        if (!node) break;
        int32_t v = wick_trie_value(t, node);
        if (v >= 0) {
            best = i + 1;
            *value = v;
        }
    }
    return best;
}
