/* base/map.c - open addressing with linear probing, at most 3/4 full. */
#include "base/map.h"
#include "base/alloc.h"
#include "base/sys.h"
#include <stdatomic.h>

struct wick_map_slot {
    wick_str key;
    uint32_t hash, value; /* value WICK_MAP_NONE: empty */
};

/* wyhash-like multiply-fold; the constants are odd 64-bit words with mixed bits. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 r = (u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint64_t load_tail(const unsigned char *p, size_t n)
{
    uint64_t v = 0;
    memcpy(&v, p, n);
    return v;
}

uint64_t wick_hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ 0x9E3779B97F4A7C15u ^ n;
    for (; n >= 8; p += 8, n -= 8) h = mix(h ^ load_tail(p, 8), 0xD6E8FEB86659FD93u);
    if (n) h = mix(h ^ load_tail(p, n), 0xA0761D6478BD642Fu);
    return mix(h, 0xE7037ED1A0B428DBu);
}

static uint64_t process_seed(void)
{
    static atomic_uint_fast64_t seed;
    uint64_t s = atomic_load_explicit(&seed, memory_order_relaxed);
    if (s) return s;
    uint64_t fresh = wick_random_seed() | 1, expected = 0;
    uint_fast64_t e = expected;
    return atomic_compare_exchange_strong(&seed, &e, fresh) ? fresh : (uint64_t)e;
}

void wick_map_init(wick_map *m)
{
    m->slots = NULL;
    m->n = m->cap = 0;
}

void wick_map_release(wick_map *m)
{
    wick_free(m->slots);
    wick_map_init(m);
}

/* The slot that holds key, or the empty one where it belongs. */
static struct wick_map_slot *find(const wick_map *m, wick_str key, uint32_t hash)
{
    for (uint32_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        struct wick_map_slot *s = &m->slots[i];
        if (s->value == WICK_MAP_NONE || (s->hash == hash && wick_str_eq(s->key, key))) return s;
    }
}

static bool resize(wick_map *m, uint32_t cap)
{
    struct wick_map_slot *old = m->slots;
    uint32_t old_cap = m->cap;
    struct wick_map_slot *fresh = wick_realloc_array(NULL, cap, sizeof *fresh);
    if (!fresh) return false;
    for (uint32_t i = 0; i < cap; i++) fresh[i].value = WICK_MAP_NONE;
    m->slots = fresh;
    m->cap = cap;
    for (uint32_t i = 0; i < old_cap; i++)
        if (old[i].value != WICK_MAP_NONE) *find(m, old[i].key, old[i].hash) = old[i];
    wick_free(old);
    return true;
}

bool wick_map_reserve(wick_map *m, uint32_t n)
{
    uint64_t want = (uint64_t)n + n / 3 + 1;
    uint64_t cap = m->cap ? m->cap : 16;
    while (cap < want) cap *= 2;
    if (cap > (uint64_t)1 << 30) return false;
    return cap == m->cap || resize(m, (uint32_t)cap);
}

uint32_t wick_map_add(wick_map *m, wick_str key, uint32_t value)
{
    if ((uint64_t)m->n + 1 > (uint64_t)m->cap * 3 / 4) {
        if (m->cap >= 1u << 30 || !resize(m, m->cap ? m->cap * 2 : 16)) return WICK_MAP_NONE;
    }
    uint32_t hash = (uint32_t)wick_hash_bytes(key.p, key.n, process_seed());
    struct wick_map_slot *s = find(m, key, hash);
    if (s->value != WICK_MAP_NONE) return s->value;
    s->key = key;
    s->hash = hash;
    s->value = value;
    m->n++;
    return value;
}

uint32_t wick_map_get(const wick_map *m, wick_str key)
{
    if (m->cap == 0) return WICK_MAP_NONE;
    return find(m, key, (uint32_t)wick_hash_bytes(key.p, key.n, process_seed()))->value;
}
