/* engine/prefix.h - the prefix cache: finished sequences, found again by the tokens they begin with.
 *
 * A radix tree per user key over token ids; a node may own one finished sequence (its KV), and every leaf does. A
 * prompt that shares n tokens with any sequence below the place where it leaves the tree can be forked from it at n.
 *
 *   root --[1 5 7]-- o --[9 9]-- A      A: 1 5 7 9 9      prompt 1 5 7 2 ... leaves inside [2 3]: forked from B at 4
 *                    +--[2 3]-- B       B: 1 5 7 2 3
 *
 * Invariants: (1) no sequence in the tree is a prefix of another. (2) Children of a node differ in their first token.
 * (3) `bytes` counts each sequence as if nothing were shared, so what is really held is never more.
 * Engine's thread only.
 */
#pragma once
#include "backend/backend.h"

typedef struct wick_prefix wick_prefix;

wick_status wick_prefix_new(wick_prefix **out, const wick_backend *backend, wick_backend_model *model,
                            uint64_t limit_bytes, uint64_t bytes_per_token, wick_err *err) WICK_MUST_CHECK;
void wick_prefix_free(wick_prefix *p);
/* How many of tokens[0..n) a kept sequence shares, at least 1, and which; 0: none. It becomes the most recent one. */
uint32_t wick_prefix_find(wick_prefix *p, uint64_t user_key, const int32_t *tokens, uint32_t n, wick_seq **seq);
/* Takes kv, which holds exactly tokens[0..n); it may be freed at once (known already, too large, out of memory). */
void wick_prefix_insert(wick_prefix *p, uint64_t user_key, const int32_t *tokens, uint32_t n, wick_seq *kv);
bool wick_prefix_evict(wick_prefix *p);                           /* the least recently used one; false: empty */
void wick_prefix_clear(wick_prefix *p, const uint64_t *user_key); /* NULL: all */
uint32_t wick_prefix_count(const wick_prefix *p);
uint64_t wick_prefix_bytes(const wick_prefix *p);
