/* server/reason.h - splits a model's text into reasoning (between its think tags) and answer, as it streams. */
#pragma once
#include "base/buf.h"

typedef struct wick_reason {
    const char *open, *close; /* NULL: there is no reasoning */
    enum { WICK_REASON_START, WICK_REASON_INSIDE, WICK_REASON_TRIM, WICK_REASON_AFTER } state;
    wick_buf held; /* what may be the start of a tag */
} wick_reason;

/* inside: the prompt has opened it already. */
void wick_reason_init(wick_reason *r, const char *open, const char *close, bool inside);
void wick_reason_release(wick_reason *r);
/* Appends what is now certain. `end`: nothing follows. */
void wick_reason_feed(wick_reason *r, const char *text, size_t n, bool end, wick_buf *reasoning, wick_buf *answer);
