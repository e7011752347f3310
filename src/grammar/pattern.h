/* grammar/pattern.h - the text of a regular expression to an expression over UTF-8.
 *
 * Lookahead and anchors are exact: a pattern is built from its end, so what follows a place is known there as a
 * language. Not regular or not decidable from there, and therefore refused by name: backreferences, lookbehind, word
 * boundaries, anchors and lookahead inside unbounded repeats.
 */
#pragma once
#include "grammar/re.h"

typedef enum wick_pattern_kind {
    WICK_PATTERN_ECMA, /* as JSON Schema has it: \s and . as in ECMA 262 */
    WICK_PATTERN_RE2   /* \d \w \s are ASCII, . is all but \n */
} wick_pattern_kind;

enum {
    WICK_PATTERN_SEARCH = 1, /* matches somewhere in the text, else all of it */
    WICK_PATTERN_ICASE = 2,
    WICK_PATTERN_DOTALL = 4,
    WICK_PATTERN_SHORTEST = 8 /* lazy: no proper prefix of a match is one */
};

/* WICK_E_BAD_PARAMETER "<where>: pattern ...: <reason> at byte N" for what is no pattern or not supported. */
wick_status wick_pattern_compile(wick_re_pool *p, const char *s, size_t n, wick_pattern_kind kind, unsigned flags,
                                 const char *where, wick_re *out, wick_err *err) WICK_MUST_CHECK;

/* ---- classes of characters, shared with the readers of grammars ---- */
typedef struct wick_cps {
    wick_cp_range *v;
    uint32_t n, cap;
    bool failed;
} wick_cps;
void wick_cps_release(wick_cps *c);
void wick_cps_add(wick_cps *c, uint32_t lo, uint32_t hi);
void wick_cps_tidy(wick_cps *c); /* sorted, disjoint */
void wick_cps_invert(wick_cps *c);
void wick_cps_fold(wick_cps *c); /* both cases of every letter */
/* \d \w \s \D \W \S; false: another letter. */
bool wick_cps_add_class(wick_cps *c, char letter, wick_pattern_kind kind);
/* A general category (L, Lu, Letter, Any, ...); false: unknown. */
bool wick_cps_add_category(wick_cps *c, const char *name, size_t n, bool negated);
