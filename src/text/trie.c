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

uint32_t wick_trie_step(const wick_trie *t, uint32_t node, uint8_t byte)
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
        uint32_t next = wick_trie_step(t, node, b);
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

void wick_trie_release(wick_trie *t)
{
    wick_free(t->edges);
    wick_free(t->value);
    memset(t, 0, sizeof *t);
}

size_t wick_trie_longest(const wick_trie *t, const char *p, size_t n, int32_t *value)
{
    size_t best = 0;
    uint32_t node = 0;
    if (!t->n_nodes) return 0;
    for (size_t i = 0; i < n; i++) {
        node = wick_trie_step(t, node, (uint8_t)p[i]);
        if (!node) break;
        if (t->value[node] >= 0) {
            best = i + 1;
            *value = t->value[node];
        }
    }
    return best;
}
