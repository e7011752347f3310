/* shell/safety.h - how much harm a shell command can do, judged without running it.
 *
 * The command is parsed as a shell would, every simple command at a place where it would run is looked at (also inside
 * substitutions, sh -c, eval, xargs, find -exec, sudo, ssh, here-documents fed to a shell, decoded text), and the worst
 * finding wins. Text in quotes, here-documents, comments and patterns is data. The judgement is about what is written:
 * what a script file or an alias on this machine does is not known here, and is said to be moderate.
 */
#pragma once
#include "base/alloc.h"
#include "base/str.h"

typedef enum wick_sh_level { WICK_SH_SAFE, WICK_SH_MODERATE, WICK_SH_HIGH, WICK_SH_CRITICAL } wick_sh_level;

typedef struct wick_sh_finding {
    wick_sh_level level;
    const char *reason; /* one phrase */
    const char *words;  /* what in the command caused it, in the arena */
} wick_sh_finding;

enum { WICK_SH_MAX_FINDINGS = 24 };

typedef struct wick_sh_report {
    wick_sh_level level; /* the worst */
    bool parsed;         /* false: a shell would refuse it; level is then HIGH */
    unsigned n;
    wick_sh_finding finding[WICK_SH_MAX_FINDINGS]; /* worst first after wick_sh_check */
} wick_sh_report;

/* Judges text[0..n); strings of the report live in `a`. Fails only for want of memory. */
wick_status wick_sh_check(wick_arena *a, const char *text, size_t n, wick_sh_report *out,
                          wick_err *err) WICK_MUST_CHECK;
const char *wick_sh_level_name(wick_sh_level l); /* "safe", "moderate", "high", "critical" */

/* Does the text have characters that a terminal would not show as they are? */
typedef enum wick_sh_disguise {
    WICK_SH_PLAIN_TEXT,
    WICK_SH_IMITATION, /* quotation marks, dashes and slashes that look like ASCII ones */
    WICK_SH_HIDDEN     /* control characters, direction overrides, what has no width, letters that imitate others */
} wick_sh_disguise;
wick_sh_disguise wick_sh_disguised(const char *text, size_t n);
/* A copy in the arena with all of those written as \u{...} or \xNN. */
const char *wick_sh_visible(wick_arena *a, const char *text, size_t n);
