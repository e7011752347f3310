/* base/json_scan.h - a strict pull scanner over JSON text, for texts too large to become trees: the header of a
 * safetensors file (100 MB; a tree has lost duplicate keys, too), the vocabulary and the merges of a tokenizer.json
 * (half a million values).
 *
 * It walks the text once and hands out strings and numbers without making values. Failure is sticky: every call after
 * it fails too; `what` says what was expected at `pos`. Nesting is limited.
 */
#pragma once
#include "base/alloc.h"
#include "base/str.h"

#define WICK_JSON_SCAN_MAX_DEPTH 32

typedef struct wick_json_scan {
    const char *p;
    uint64_t n, pos;
    const char *what; /* NULL: no failure so far */
    wick_arena *arena;
} wick_json_scan;

/* arena: for wick_json_scan_string; NULL where that is not called. */
void wick_json_scan_init(wick_json_scan *s, const char *p, uint64_t n, wick_arena *arena);
bool wick_json_scan_fail(wick_json_scan *s, const char *what); /* false; keeps the first reason */
char wick_json_scan_peek(wick_json_scan *s);                   /* past white space; the next character, 0 at the end */
/* Skips white space; true and past it if the next character is c. Not finding it is no failure. */
bool wick_json_scan_try(wick_json_scan *s, char c);
bool wick_json_scan_expect(wick_json_scan *s, char c);
/* A string, valid UTF-8 with valid escapes; borrows from the text, or from the arena if it holds escapes. */
bool wick_json_scan_string(wick_json_scan *s, wick_str *out);
/* The same, decoded into dst, which has room for what is left of the text. On failure an empty string. */
wick_str wick_json_scan_text(wick_json_scan *s, char *dst);
/* A non-negative integer without fraction, exponent or leading zeros. */
bool wick_json_scan_u64(wick_json_scan *s, uint64_t *out);
/* Any finite number, read as serde_json reads it (see json_scan.c). */
double wick_json_scan_number(wick_json_scan *s);
bool wick_json_scan_null(wick_json_scan *s); /* true and past it if the next value is null */
bool wick_json_scan_skip(wick_json_scan *s); /* any value, checked */
bool wick_json_scan_end(wick_json_scan *s);  /* nothing but white space is left */
