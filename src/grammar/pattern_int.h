/* grammar/pattern_int.h - the tree of a pattern, between its reader (pattern_parse.c) and its builder (pattern.c). */
#pragma once
#include "grammar/pattern.h"

typedef enum pat_kind { PAT_EMPTY, PAT_CHARS, PAT_CAT, PAT_ALT, PAT_REP, PAT_START, PAT_END, PAT_LOOK } pat_kind;

typedef struct wick_pat {
    pat_kind kind;
    bool plain;             /* no anchor and no lookahead inside */
    bool negated;           /* LOOK */
    wick_re chars;          /* CHARS: one character, already built */
    uint32_t lo, hi;        /* REP */
    struct wick_pat *child; /* CAT, ALT: the first of a list; REP, LOOK */
    struct wick_pat *next;  /* in the list of the parent */
} wick_pat;

enum { WICK_PATTERN_MAX_NEST = 200, WICK_PATTERN_MAX_BYTES = 1 << 20, WICK_PATTERN_MAX_REPEAT = 1000000000 };

/* Nodes live in the arena. */
wick_status wick_pattern_parse(wick_re_pool *p, wick_arena *a, const char *s, size_t n, wick_pattern_kind kind,
                               unsigned flags, const char *where, wick_pat **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_pattern_bad(const char *where, const char *s, size_t n, size_t at, const char *why, wick_err *err);
