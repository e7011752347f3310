/* base/buf.c - the growing byte buffer. Invariant: data == NULL or data[n] == 0 and n < cap. */
#include "base/buf.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/str.h"

enum { BUF_FIRST = 64 };
static const size_t buf_default_max = (size_t)1 << 30;

void wick_buf_init(wick_buf *b, size_t max_bytes)
{
    memset(b, 0, sizeof *b);
    b->max_bytes = max_bytes;
}

void wick_buf_release(wick_buf *b)
{
    wick_free(b->data);
    b->data = NULL;
    b->n = b->cap = 0;
    b->failed = false;
}

void wick_buf_reset(wick_buf *b)
{
    b->n = 0;
    b->failed = false;
    if (b->data) b->data[0] = '\0';
}

bool wick_buf_reserve(wick_buf *b, size_t more)
{
    size_t max = b->max_bytes ? b->max_bytes : buf_default_max;
    if (b->failed) return false;
    if (more > max || b->n > max - more) {
        b->failed = true;
        return false;
    }
    size_t need = b->n + more + 1;
    if (need <= b->cap) return true;
    size_t cap = b->cap ? b->cap : BUF_FIRST;
    while (cap < need) cap *= 2;
    char *p = wick_realloc(b->data, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    p[b->n] = '\0';
    b->data = p;
    b->cap = cap;
    return true;
}

void wick_buf_add(wick_buf *b, const void *p, size_t n)
{
    if (n == 0 || !wick_buf_reserve(b, n)) return;
    memcpy(b->data + b->n, p, n);
    b->n += n;
    b->data[b->n] = '\0';
}

void wick_buf_puts(wick_buf *b, const char *s)
{
    wick_buf_add(b, s, strlen(s));
}

void wick_buf_putc(wick_buf *b, char c)
{
    wick_buf_add(b, &c, 1);
}

void wick_buf_printf(wick_buf *b, const char *fmt, ...)
{
    va_list ap;
    char small[256];
    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0) {
        b->failed = true;
    } else if ((size_t)n < sizeof small) {
        wick_buf_add(b, small, (size_t)n);
    } else if (wick_buf_reserve(b, (size_t)n)) {
        va_start(ap, fmt);
        vsnprintf(b->data + b->n, (size_t)n + 1, fmt, ap);
        va_end(ap);
        b->n += (size_t)n;
    }
}

void wick_buf_utf8(wick_buf *b, uint32_t codepoint)
{
    char c[4];
    unsigned n = wick_utf8_encode(codepoint, c);
    if (n == 0) n = wick_utf8_encode(0xFFFD, c);
    wick_buf_add(b, c, n);
}

const char *wick_buf_str(wick_buf *b)
{
    return b->data ? b->data : "";
}

char *wick_buf_take(wick_buf *b, size_t *n)
{
    if (!b->failed) wick_buf_reserve(b, 0);
    if (b->failed) {
        wick_buf_release(b);
        return NULL;
    }
    char *p = b->data;
    if (n) *n = b->n;
    b->data = NULL;
    b->n = b->cap = 0;
    return p;
}
