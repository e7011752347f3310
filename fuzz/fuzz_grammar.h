/* fuzz/fuzz_grammar.h - one input for the grammar targets: the grammar, a NUL, a text that is read under it and taken
 * back. */
#pragma once
#include <string.h>
#include "fuzz.h"
#include "grammar/grammar.h"

static int fuzz_grammar(wick_grammar_kind kind, const uint8_t *data, size_t n)
{
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    wick_grammar *g = NULL;
    wick_gmatcher *m = NULL;
    const char *s = (const char *)data;
    const char *end = n ? memchr(s, 0, n) : NULL;
    size_t len = end ? (size_t)(end - s) : n, ok = 0;
    o.max_bytes = 32u << 20;
    if (n > 1 << 16 || wick_grammar_compile(&g, kind, n ? s : "", len, &o, NULL) != WICK_OK) return 0;
    if (wick_gmatcher_new(&m, g, NULL, NULL) == WICK_OK && end) {
        wick_buf forced = WICK_BUF_INIT;
        wick_status st = WICK_OK;
        for (const char *p = end + 1; p < s + n && st == WICK_OK; p++) {
            st = wick_gmatcher_accept_bytes(m, p, 1, &ok, NULL);
            if (st == WICK_OK && !ok) break;
        }
        if (st == WICK_OK) st = wick_gmatcher_forced(m, &forced, NULL);
        if (st == WICK_OK) wick_gmatcher_may_end(m);
        wick_gmatcher_rollback(m, n);
        wick_buf_release(&forced);
    }
    wick_gmatcher_free(m);
    wick_grammar_unref(g);
    return 0;
}
