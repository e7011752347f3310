/* text/regex.h - patterns that come from tokenizer files, over PCRE2.
 *
 * Files are written for Oniguruma with Ruby syntax. The pattern is translated where the two differ (see regex.c),
 * compiled with UTF and UCP, by the JIT where it is there, and run under match, depth, heap and time limits: a
 * catastrophic pattern is an error of kind WICK_E_LIMIT, never a hang.
 * A compiled pattern may be shared between threads; a run belongs to one.
 */
#pragma once
#include "base/status.h"
#include "base/str.h"

typedef struct wick_regex wick_regex;
typedef struct wick_regex_run {
    void *match_data, *context; /* private */
    uint64_t start_ns;          /* of the encode call: its budget of time counts from here */
} wick_regex_run;

wick_status wick_regex_new(wick_regex **out, wick_str pattern, const char *where, wick_err *err) WICK_MUST_CHECK;
/* A pattern that matches exactly these bytes. */
wick_status wick_regex_literal(wick_regex **out, wick_str text, const char *where, wick_err *err) WICK_MUST_CHECK;
void wick_regex_free(wick_regex *r);
void wick_regex_run_release(wick_regex_run *run);
/* The first match at or after `from` in valid UTF-8. *start == SIZE_MAX: none. The caller steps over empty matches. */
wick_status wick_regex_next(const wick_regex *r, wick_regex_run *run, const char *text, size_t n, size_t from,
                            size_t *start, size_t *end, wick_err *err) WICK_MUST_CHECK;
