/* text/trie.h - a byte trie: longest and all prefixes of a text that are in a set of strings.
 *
 * While strings are added, edges live in one hash table (node, byte) -> node. A large set is packed when it is
 * complete: a double array, where the child of a node by a byte is at base + byte if its `check` says so, one cache
 * line a step.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wick_trie_unit {
    uint32_t base, check; /* base: WICK_TRIE_ENDS set if a string ends here; check: the parent, UINT32_MAX: free */
} wick_trie_unit;

#define WICK_TRIE_ENDS (1u << 31)

typedef struct wick_trie {
    struct wick_trie_edge *edges; /* before packing */
    uint32_t mask, n_edges;
    int32_t *value; /* by node, -1: no string ends here */
    uint32_t n_nodes, cap_nodes;
    uint32_t root[256];   /* first step without hashing; 0: none */
    wick_trie_unit *unit; /* packed: every base + 255 is inside */
} wick_trie;

bool wick_trie_add(wick_trie *t, const char *p, size_t n,
                   int32_t value); /* an earlier value is replaced; false: out of memory */
/* No string may be added afterwards. False: out of memory, and the trie is as it was. */
bool wick_trie_pack(wick_trie *t);
void wick_trie_release(wick_trie *t);
uint32_t wick_trie_hashed_step(const wick_trie *t, uint32_t node, uint8_t byte);
/* Length of the longest string of the set that starts p, 0 if none; *value is its value. */
size_t wick_trie_longest(const wick_trie *t, const char *p, size_t n, int32_t *value);

/* 0 when there is no step; the root is node 0, so start with node = 0. */
static inline uint32_t wick_trie_step(const wick_trie *t, uint32_t node, uint8_t byte)
{
    if (!t->unit) return wick_trie_hashed_step(t, node, byte);
    uint32_t next = (t->unit[node].base & ~WICK_TRIE_ENDS) + byte;
    return t->unit[next].check == node ? next : 0;
}

static inline int32_t wick_trie_value(const wick_trie *t, uint32_t node) /* -1: no string ends here */
{
    return t->unit && !(t->unit[node].base & WICK_TRIE_ENDS) ? -1 : t->value[node];
}
