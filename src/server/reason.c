/* server/reason.c - see reason.h. Only a tag at the very start opens; the first closing tag closes; white space after
 * each tag is not part of either text. */
#include "server/reason.h"
#include <string.h>

void wick_reason_init(wick_reason *r, const char *open, const char *close, bool inside)
{
    memset(r, 0, sizeof *r);
    wick_buf_init(&r->held, 0);
    r->open = open;
    r->close = close;
    r->state = !open || !close ? WICK_REASON_AFTER : inside ? WICK_REASON_INSIDE : WICK_REASON_START;
}

void wick_reason_release(wick_reason *r)
{
    wick_buf_release(&r->held);
}

static void drop(wick_buf *b, size_t n)
{
    memmove(b->data, b->data + n, b->n - n);
    b->n -= n;
}

static size_t n_space(const wick_buf *b)
{
    size_t n = 0;
    while (n < b->n && strchr(" \t\r\n", b->data[n]) && b->data[n]) n++;
    return n;
}

/* Bytes at the end of b that may be the beginning of tag. */
static size_t partial(const wick_buf *b, const char *tag)
{
    size_t m = strlen(tag);
    for (size_t k = m - 1 < b->n ? m - 1 : b->n; k > 0; k--)
        if (memcmp(b->data + b->n - k, tag, k) == 0) return k;
    return 0;
}

/* False: more text is needed. */
static bool at_start(wick_reason *r, bool end)
{
    size_t space = n_space(&r->held), m = strlen(r->open), left = r->held.n - space;
    const size_t cmp = left < m ? left : m;
    if (memcmp(r->held.data + space, r->open, cmp) != 0 || (end && left < m)) {
        r->state = WICK_REASON_AFTER;
        return true;
    }
    if (left < m) return false;
    drop(&r->held, space + m);
    r->state = WICK_REASON_INSIDE;
    return true;
}

static bool inside(wick_reason *r, bool end, wick_buf *reasoning)
{
    const char *at = memmem(r->held.data, r->held.n, r->close, strlen(r->close));
    size_t n = at ? (size_t)(at - r->held.data) : end ? r->held.n : r->held.n - partial(&r->held, r->close);
    const size_t skip = reasoning->n == 0 ? n_space(&r->held) : 0;
    if (skip < n) wick_buf_add(reasoning, r->held.data + skip, n - skip);
    drop(&r->held, at ? n + strlen(r->close) : n);
    if (at) r->state = WICK_REASON_TRIM;
    return at != NULL;
}

void wick_reason_feed(wick_reason *r, const char *text, size_t n, bool end, wick_buf *reasoning, wick_buf *answer)
{
    if (r->state == WICK_REASON_AFTER && r->held.n == 0) {
        wick_buf_add(answer, text, n);
        return;
    }
    wick_buf_add(&r->held, text, n);
    if (r->held.failed) {
        answer->failed = true;
        return;
    }
    if (r->held.n == 0) return;
    if (r->state == WICK_REASON_START && !at_start(r, end)) return;
    if (r->state == WICK_REASON_INSIDE && !inside(r, end, reasoning)) return;
    if (r->state == WICK_REASON_TRIM) {
        drop(&r->held, n_space(&r->held));
        if (r->held.n == 0) return;
        r->state = WICK_REASON_AFTER;
    }
    wick_buf_add(answer, r->held.data, r->held.n);
    r->held.n = 0;
}
