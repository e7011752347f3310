/* text/trie.h - a byte trie: longest and all prefixes of a text that are in a set of strings.
 *
 * Edges live in one hash table (node, byte) -> node, so building and looking up take time linear in the bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct wick_trie {
    struct wick_trie_edge *edges;
    uint32_t mask, n_edges;
    int32_t *value; /* [n_nodes], -1: no string ends here */
    uint32_t n_nodes, cap_nodes;
    uint32_t root[256]; /* first step without hashing; 0: none */
} wick_trie;

bool wick_trie_add(wick_trie *t, const char *p, size_t n,
                   int32_t value); /* an earlier value is replaced; false: out of memory */
void wick_trie_release(wick_trie *t);
/* 0 when there is no step; the root is node 0, so start with node = 0. */
uint32_t wick_trie_step(const wick_trie *t, uint32_t node, uint8_t byte);
/* Length of the longest string of the set that starts p, 0 if none; *value is its value. */
size_t wick_trie_longest(const wick_trie *t, const char *p, size_t n, int32_t *value);
