/* base/map.c - open addressing with linear probing, at most 3/4 full. */
#include "base/map.h"
#include "base/alloc.h"
#include "base/seed.h"
#include "base/sys.h"
#include <stdatomic.h>

/* What a search reads is small and lies together: a key of up to 7 bytes is in the slot itself, a longer one is touched
 * only where hash, length and first bytes agree. */
struct wick_map_slot {
    uint32_t hash, value; /* value WICK_MAP_NONE: empty */
    uint64_t head;        /* up to 7 bytes of the key, above them its length (255: that or more) */
};

enum { INLINE_KEY = 7 };

/* wyhash-like multiply-fold; the constants are odd 64-bit words with mixed bits. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 u128;
    u128 r = (u128)a * b;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

static uint64_t load_tail(const unsigned char *p,
                          size_t n) /* 1 to 8 bytes; differs for different bytes of one length */
{
    uint64_t v;
    uint32_t a, b;
    if (n == 8) {
        memcpy(&v, p, 8);
        return v;
    }
    if (n < 4) return (uint64_t)p[0] | (uint64_t)p[n / 2] << 8 | (uint64_t)p[n - 1] << 16;
    memcpy(&a, p, 4);
    memcpy(&b, p + n - 4, 4);
    return a | (uint64_t)b << 32;
}

uint64_t wick_hash_bytes(const void *data, size_t n, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ 0x9E3779B97F4A7C15u ^ n;
    for (; n >= 8; p += 8, n -= 8) h = mix(h ^ load_tail(p, 8), 0xD6E8FEB86659FD93u);
    if (n) h = mix(h ^ load_tail(p, n), 0xA0761D6478BD642Fu);
    return mix(h, 0xE7037ED1A0B428DBu);
}

static uint32_t load_u32(const char *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

uint64_t wick_hash_seed(void)
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
    m->keys = NULL;
    m->n = m->cap = 0;
}

void wick_map_release(wick_map *m)
{
    wick_free(m->slots);
    wick_free(m->keys);
    wick_map_init(m);
}

static uint64_t head_of(wick_str key)
{
    uint64_t v = 0;
    if (key.n >= 8)
        memcpy(&v, key.p, 8);
    else if (key.n >= 4) /* two loads that overlap; unique for each length */
        v = load_u32(key.p) | (uint64_t)load_u32(key.p + key.n - 4) << 24;
    else
        for (size_t i = 0; i < key.n; i++) v |= (uint64_t)(uint8_t)key.p[i] << 8 * i;
    return (v & 0xFFFFFFFFFFFFFFu) | (uint64_t)(key.n < 255 ? key.n : 255) << 56;
}

/* The slot that holds key, or the empty one where it belongs. */
static uint32_t find(const wick_map *m, wick_str key, uint32_t hash)
{
    const uint64_t head = head_of(key);
    for (uint32_t i = hash & (m->cap - 1);; i = (i + 1) & (m->cap - 1)) {
        const struct wick_map_slot *s = &m->slots[i];
        if (s->value == WICK_MAP_NONE) return i;
        if (s->hash == hash && s->head == head && (key.n <= INLINE_KEY || wick_str_eq(m->keys[i], key))) return i;
    }
}

static bool resize(wick_map *m, uint32_t cap)
{
    wick_map old = *m;
    struct wick_map_slot *slots = wick_realloc_array(NULL, cap, sizeof *slots);
    wick_str *keys = wick_realloc_array(NULL, cap, sizeof *keys);
    if (!slots || !keys) {
        wick_free(slots);
        wick_free(keys);
        return false;
    }
    for (uint32_t i = 0; i < cap; i++) slots[i] = (struct wick_map_slot){0, WICK_MAP_NONE, 0};
    m->slots = slots;
    m->keys = keys;
    m->cap = cap;
    for (uint32_t i = 0; i < old.cap; i++) {
        if (old.slots[i].value == WICK_MAP_NONE) continue;
        uint32_t to = find(m, old.keys[i], old.slots[i].hash);
        slots[to] = old.slots[i];
        keys[to] = old.keys[i];
    }
    wick_free(old.slots);
    wick_free(old.keys);
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

uint32_t wick_map_hash(wick_str key)
{
    return (uint32_t)wick_hash_bytes(key.p, key.n, wick_hash_seed());
}

void wick_map_will_need(const wick_map *m, uint32_t hash)
{
    if (m->cap) __builtin_prefetch(&m->slots[hash & (m->cap - 1)]);
}

void wick_map_will_compare(const wick_map *m, uint32_t hash)
{
    if (m->cap) __builtin_prefetch(&m->keys[hash & (m->cap - 1)]);
}

uint32_t wick_map_add_hashed(wick_map *m, wick_str key, uint32_t hash, uint32_t value)
{
    if ((uint64_t)m->n + 1 > (uint64_t)m->cap * 3 / 4) {
        if (m->cap >= 1u << 30 || !resize(m, m->cap ? m->cap * 2 : 16)) return WICK_MAP_NONE;
    }
    uint32_t i = find(m, key, hash);
    if (m->slots[i].value != WICK_MAP_NONE) return m->slots[i].value;
    m->slots[i] = (struct wick_map_slot){hash, value, head_of(key)};
    m->keys[i] = key;
    m->n++;
    return value;
}

uint32_t wick_map_get_hashed(const wick_map *m, wick_str key, uint32_t hash)
{
    return m->cap ? m->slots[find(m, key, hash)].value : WICK_MAP_NONE;
}

uint32_t wick_map_add(wick_map *m, wick_str key, uint32_t value)
{
    return wick_map_add_hashed(m, key, wick_map_hash(key), value);
}

uint32_t wick_map_get(const wick_map *m, wick_str key)
{
    return m->cap ? wick_map_get_hashed(m, key, wick_map_hash(key)) : WICK_MAP_NONE;
}
