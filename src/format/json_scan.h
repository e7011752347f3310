/* format/json_scan.h - a strict pull scanner over JSON text, for the header of safetensors files.
 *
 * A header may be 100 MB; as a tree it would take ten times that, and a tree has already lost duplicate keys. The
 * scanner walks the text once and allocates only to decode strings that hold escapes. Failure is sticky: every
 * call after it fails too, `what` says what was expected at `pos`.
 */
#pragma once
#include "base/alloc.h"
#include "base/str.h"

#define WICK_SCAN_MAX_DEPTH 32

typedef struct wick_scan {
    const char *p;
    uint64_t n, pos;
    const char *what; /* NULL: no failure so far */
    wick_arena *arena;
} wick_scan;

void wick_scan_init(wick_scan *s, const char *p, uint64_t n, wick_arena *arena);
bool wick_scan_fail(wick_scan *s, const char *what); /* false; keeps the first reason */
/* Skips white space; true and past it if the next character is c. Not finding it is no failure. */
bool wick_scan_try(wick_scan *s, char c);
bool wick_scan_expect(wick_scan *s, char c);
/* A string, valid UTF-8 with valid escapes; borrows from the text, or from the arena if it holds escapes. */
bool wick_scan_string(wick_scan *s, wick_str *out);
/* A non-negative integer without fraction, exponent or leading zeros. */
bool wick_scan_u64(wick_scan *s, uint64_t *out);
bool wick_scan_null(wick_scan *s); /* true and past it if the next value is null */
bool wick_scan_skip(wick_scan *s); /* any value */
bool wick_scan_end(wick_scan *s);  /* nothing but white space is left */
