/* base/map.h - a hash map from byte strings to uint32_t (an index into the caller's array).
 *
 * Open addressing, keys borrowed (they must outlive the map), seeded hash so that a file cannot pick collisions.
 * Not thread-safe for writes; lookups on a map that no longer changes are.
 */
#pragma once
#include "base/status.h"
#include "base/str.h"

#define WICK_MAP_NONE UINT32_MAX

typedef struct wick_map {
    struct wick_map_slot *slots;
    wick_str *keys;  /* [cap] */
    uint32_t n, cap; /* cap: a power of two */
} wick_map;

void wick_map_init(wick_map *m);
void wick_map_release(wick_map *m);
bool wick_map_reserve(wick_map *m, uint32_t n); /* room for n entries without growing */
/* Adds key -> value. Returns the value that is there afterwards: `value` if it was new, the old one if the key
 * existed (nothing is changed then), WICK_MAP_NONE when out of memory. */
uint32_t wick_map_add(wick_map *m, wick_str key, uint32_t value);
uint32_t wick_map_get(const wick_map *m, wick_str key); /* WICK_MAP_NONE if absent */
/* The same in steps, for who has many keys at hand: hash some of them, ask for their places in the table, then look. A
 * large table is a cache miss per key otherwise. */
uint32_t wick_map_hash(wick_str key);
void wick_map_will_need(const wick_map *m, uint32_t hash);
void wick_map_will_compare(const wick_map *m, uint32_t hash); /* after will_need, if the key is likely to be there */
uint32_t wick_map_add_hashed(wick_map *m, wick_str key, uint32_t hash, uint32_t value);
uint32_t wick_map_get_hashed(const wick_map *m, wick_str key, uint32_t hash);
uint64_t wick_hash_bytes(const void *p, size_t n, uint64_t seed);
