/* base/buf.h - a growing byte buffer that is born with its maximum size.
 *
 * Sticky failure: after out of memory or passing `max_bytes`, every append does nothing and `failed` is set, so
 * writers check once at the end. The contents are always followed by a NUL that `n` does not count (data is ""
 * for an empty buffer only after wick_buf_str).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct wick_buf {
    char *data;
    size_t n, cap, max_bytes; /* max_bytes 0: 1 GiB */
    bool failed;
} wick_buf;

#define WICK_BUF_INIT \
    {                 \
        0             \
    }
void wick_buf_init(wick_buf *b, size_t max_bytes);
void wick_buf_release(wick_buf *b);
void wick_buf_reset(wick_buf *b); /* n = 0, failed = false, keeps the memory */
bool wick_buf_reserve(wick_buf *b, size_t more);
void wick_buf_add(wick_buf *b, const void *p, size_t n);
void wick_buf_puts(wick_buf *b, const char *s);
void wick_buf_putc(wick_buf *b, char c);
void wick_buf_printf(wick_buf *b, const char *fmt, ...) WICK_PRINTF(2, 3);
void wick_buf_utf8(wick_buf *b, uint32_t codepoint); /* U+FFFD for what is no scalar value */
const char *wick_buf_str(wick_buf *b);               /* NUL-terminated, never NULL; valid until the next append */
char *wick_buf_take(wick_buf *b, size_t *n);         /* caller wick_free()s; NULL if failed; b is empty after */
