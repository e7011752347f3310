/* text/charsmap.h - sentencepiece's precompiled_charsmap: a double array over source strings, and their replacements.
 * Borrowed bytes; every offset in them is checked at each step, so any bytes are safe. */
#pragma once
#include "base/status.h"
#include "base/str.h"

typedef struct wick_charsmap {
    const uint8_t *units; /* [n_units] little-endian 32 bit */
    uint32_t n_units;
    const char *strings; /* NUL-terminated replacements */
    uint32_t n_strings;
    bool starts[256]; /* some source string begins with this byte */
} wick_charsmap;

wick_status wick_charsmap_init(wick_charsmap *m, const void *blob, size_t n, const char *where,
                               wick_err *err) WICK_MUST_CHECK;
/* Bytes of the longest (or the shortest) source string that starts p, 0 if none; *to is its replacement. */
size_t wick_charsmap_match(const wick_charsmap *m, const char *p, size_t n, bool shortest, wick_str *to);
