/* text/json_scan.h - a reader over JSON text for the two huge lists of a tokenizer.json.
 *
 * A vocabulary of 150,000 entries and as many merges are most of the file, and jansson would make half a million
 * values of them. This reader finds where a value lies and hands out strings and numbers without making any.
 */
#pragma once
#include <stdbool.h>
#include "base/str.h"

typedef struct wick_json_scan {
    const char *p, *end;
    bool failed; /* sticky: not the JSON that was asked for */
} wick_json_scan;

char wick_json_peek(wick_json_scan *s);         /* next character that is not white space; 0 at the end */
bool wick_json_take(wick_json_scan *s, char c); /* consumes c if it is next */
void wick_json_skip(wick_json_scan *s);         /* a whole value, brackets balanced; not validated further */
/* A string into dst, which must have room for what is left of the text; returns it without escapes. */
wick_str wick_json_string(wick_json_scan *s, char *dst);
double wick_json_number(wick_json_scan *s);
