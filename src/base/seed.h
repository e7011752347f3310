/* base/seed.h - the seed of tables whose keys strangers choose: random, the same while the process lives, never 0. */
#pragma once
#include <stdint.h>

uint64_t wick_hash_seed(void);
