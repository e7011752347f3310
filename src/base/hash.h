/* base/hash.h - a fast 64-bit hash of large pieces of memory, the same on every machine and in every version: it is
 * written to files (backend/pack_cache). For hash tables there is wick_hash_bytes in map.h. Not for secrets. */
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t wick_hash_data(const void *p, size_t n, uint64_t seed); /* XXH64 */
