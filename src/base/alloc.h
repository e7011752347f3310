/* base/alloc.h - the one door to the heap, and arenas.
 *
 * All of Wick's own memory comes from here, so that tests can count allocations (none while decoding) and make
 * the n-th one fail. The functions return NULL on failure and never abort; n * size overflow is a failure.
 *
 * Arena: bump allocation with one lifetime (model, request, step, connection); freed at once. Not thread-safe.
 * A failed allocation makes the arena sticky-failed: callers may check wick_arena_failed once at the end only if
 * they do not use the NULLs before that.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

void *wick_alloc(size_t n); /* uninitialised; n == 0 gives a valid unique pointer */
void *wick_alloc_zero(size_t count, size_t size);
void *wick_realloc(void *p, size_t n); /* on failure the old block stays */
void *wick_realloc_array(void *p, size_t count, size_t size);
void wick_free(void *p);                          /* NULL is fine */
void *wick_alloc_aligned(size_t align, size_t n); /* free with wick_free; align: a power of two, 64 at least */
char *wick_strdup(const char *s);
char *wick_strndup(const char *s, size_t n);

/* Tests: the n-th allocation from now fails (1 = the next), and all after it when `forever`; 0 switches it off. */
void wick_alloc_fail_at(uint64_t n, bool forever);
uint64_t wick_alloc_count(void); /* allocations since the process started */

typedef struct wick_arena {
    struct wick_arena_block *head; /* private */
    size_t block_bytes;
    bool failed;
} wick_arena;

void wick_arena_init(wick_arena *a, size_t block_bytes); /* block_bytes 0: 64 KiB; allocates nothing yet */
void wick_arena_release(wick_arena *a);
void *wick_arena_alloc(wick_arena *a, size_t n); /* zeroed, aligned to 16 */
void *wick_arena_array(wick_arena *a, size_t count, size_t size);
char *wick_arena_strdup(wick_arena *a, const char *s);
char *wick_arena_strndup(wick_arena *a, const char *s, size_t n);
char *wick_arena_printf(wick_arena *a, const char *fmt, ...) WICK_PRINTF(2, 3);

/* a * b and a + b with overflow as a false return; out is written only when true. */
static inline bool wick_mul_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool wick_add_ok(uint64_t a, uint64_t b, uint64_t *out)
{
    return !__builtin_add_overflow(a, b, out);
}
