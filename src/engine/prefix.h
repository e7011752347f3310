/* engine/prefix.h - the prefix cache: finished sequences, found again by the tokens they begin with.
 *
 * A radix tree per domain (owner and user) over token ids; a node may own one finished sequence (its KV), and every
 * leaf does. A prompt that shares n tokens with any sequence below the place where it leaves the tree can be forked
 * from it at n.
 *
 *   root --[1 5 7]-- o --[9 9]-- A      A: 1 5 7 9 9      prompt 1 5 7 2 ... leaves inside [2 3]: forked from B at 4
 *                    +--[2 3]-- B       B: 1 5 7 2 3
 *
 * Sequences with states or windows cannot be cut anywhere (wick_kv_usage.checkpoint_tokens). Of such a model the tree
 * also keeps checkpoints, which are sequences like any other: a prompt is forked from the longest one that it begins
 * with, or from a longer one if that can be cut there.
 *
 * What leaves first is what is worth least: the tokens that would have to be computed again for the bytes that become
 * free, raised at every use to the level of what left last (so without checkpoints it is the least recently used one).
 *
 * Invariants: (1) where sequences can be cut anywhere, none in the tree is a prefix of another. (2) Children of a node
 * differ in their first token. (3) `bytes` counts a sequence's tokens behind the nearest one above it that it shares
 * memory with, where forks share memory, and all of them elsewhere.
 * Engine's thread only.
 */
#pragma once
#include "backend/backend.h"
#include "engine/engine.h"

typedef struct wick_prefix wick_prefix;

/* usage: what a sequence of this model holds, and whether it can be cut. */
wick_status wick_prefix_new(wick_prefix **out, const wick_backend *backend, wick_backend_model *model,
                            uint64_t limit_bytes, const wick_kv_usage *usage, wick_err *err) WICK_MUST_CHECK;
void wick_prefix_free(wick_prefix *p);
/* How many of tokens[0..n) a fork would have; with checkpoints it may turn out to have more. */
uint32_t wick_prefix_find(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n);
/* A new sequence with as many of tokens[0..n) as a kept one shares; returns how many. 0: none, or no memory. What it
 * was forked from becomes the most recent one. */
uint32_t wick_prefix_fork(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n, wick_seq **out);
/* Takes kv, which holds exactly tokens[0..n); it may be freed at once (known already, too large, out of memory). */
void wick_prefix_insert(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n, wick_seq *kv);
/* Is there a sequence that ends exactly behind tokens[0..n)? It becomes the most recent one. */
bool wick_prefix_has(wick_prefix *p, wick_domain domain, const int32_t *tokens, uint32_t n);
bool wick_prefix_evict(wick_prefix *p);                        /* the one worth least; false: empty */
void wick_prefix_clear(wick_prefix *p, const uint64_t *owner); /* of all its users; NULL: all */
uint32_t wick_prefix_count(const wick_prefix *p);
uint64_t wick_prefix_bytes(const wick_prefix *p);
