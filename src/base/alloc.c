/* base/alloc.c - heap and arenas.
 *
 * Aligned and plain blocks share wick_free: posix_memalign and malloc both answer to free. The counters are relaxed
 * atomics: they count, they do not order. */
#include "base/alloc.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static atomic_uint_fast64_t n_allocs;
static atomic_uint_fast64_t fail_at; /* number of the allocation that fails; 0: none */
static atomic_bool fail_forever;

static bool must_fail(void)
{
    uint64_t now = atomic_fetch_add_explicit(&n_allocs, 1, memory_order_relaxed) + 1;
    uint64_t at = atomic_load_explicit(&fail_at, memory_order_relaxed);
    if (at == 0) return false;
    return now == at || (now > at && atomic_load_explicit(&fail_forever, memory_order_relaxed));
}

void wick_alloc_fail_at(uint64_t n, bool forever)
{
    atomic_store(&fail_forever, forever);
    atomic_store(&fail_at, n ? atomic_load(&n_allocs) + n : 0);
}

uint64_t wick_alloc_count(void)
{
    return atomic_load_explicit(&n_allocs, memory_order_relaxed);
}

void *wick_alloc(size_t n)
{
    return must_fail() ? NULL : malloc(n ? n : 1);
}

void *wick_alloc_zero(size_t count, size_t size)
{
    if (must_fail()) return NULL;
    return calloc(count ? count : 1, size ? size : 1);
}

void *wick_realloc(void *p, size_t n)
{
    return must_fail() ? NULL : realloc(p, n ? n : 1);
}

void *wick_realloc_array(void *p, size_t count, size_t size)
{
    uint64_t n;
    if (!wick_mul_ok(count, size, &n) || n > SIZE_MAX) return NULL;
    return wick_realloc(p, (size_t)n);
}

void wick_free(void *p)
{
    free(p);
}

void *wick_alloc_aligned(size_t align, size_t n)
{
    void *p = NULL;
    if (must_fail()) return NULL;
    if (align < 64) align = 64;
    return posix_memalign(&p, align, n ? n : 1) == 0 ? p : NULL;
}

char *wick_strndup(const char *s, size_t n)
{
    char *r = n == SIZE_MAX ? NULL : wick_alloc(n + 1);
    if (!r) return NULL;
    if (n) memcpy(r, s, n);
    r[n] = '\0';
    return r;
}

char *wick_strdup(const char *s)
{
    return wick_strndup(s, strlen(s));
}

/* Arena: a chain of blocks, newest first; `used` counts from the block's data. */
struct wick_arena_block {
    struct wick_arena_block *next;
    size_t cap, used;
    _Alignas(16) unsigned char data[];
};

void wick_arena_init(wick_arena *a, size_t block_bytes)
{
    a->head = NULL;
    a->block_bytes = block_bytes ? block_bytes : 65536;
    a->failed = false;
}

void wick_arena_release(wick_arena *a)
{
    for (struct wick_arena_block *b = a->head, *next; b; b = next) {
        next = b->next;
        wick_free(b);
    }
    a->head = NULL;
}

void *wick_arena_alloc(wick_arena *a, size_t n)
{
    struct wick_arena_block *b = a->head;
    if (n > SIZE_MAX - 64) {
        a->failed = true;
        return NULL;
    }
    n = (n + 15) & ~(size_t)15;
    if (!b || b->cap - b->used < n) {
        size_t want = a->block_bytes ? a->block_bytes : 65536;
        size_t cap = n > want ? n : want;
        b = cap > SIZE_MAX - sizeof *b ? NULL : wick_alloc(sizeof *b + cap);
        if (!b) {
            a->failed = true;
            return NULL;
        }
        b->cap = cap;
        b->used = 0;
        b->next = a->head;
        a->head = b;
    }
    void *p = b->data + b->used;
    b->used += n;
    memset(p, 0, n);
    return p;
}

void *wick_arena_array(wick_arena *a, size_t count, size_t size)
{
    uint64_t n;
    if (!wick_mul_ok(count, size, &n) || n > SIZE_MAX) {
        a->failed = true;
        return NULL;
    }
    return wick_arena_alloc(a, (size_t)n);
}

char *wick_arena_strndup(wick_arena *a, const char *s, size_t n)
{
    char *r = n == SIZE_MAX ? NULL : wick_arena_alloc(a, n + 1);
    if (r && n) memcpy(r, s, n);
    return r;
}

char *wick_arena_strdup(wick_arena *a, const char *s)
{
    return wick_arena_strndup(a, s, strlen(s));
}

char *wick_arena_printf(wick_arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0) return NULL;
    char *r = wick_arena_alloc(a, (size_t)n + 1);
    if (!r) return NULL;
    va_start(ap, fmt);
    vsnprintf(r, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return r;
}
