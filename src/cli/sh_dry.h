/* cli/sh_dry.h - a command run where nothing that it does stays: what it would change. */
#pragma once
#include "cli/sh.h"

typedef struct wick_sh_change {
    const char *what; /* "creates", "deletes", "changes", "changes the permissions of", "replaces" */
    const char *path; /* below the current folder */
} wick_sh_change;

enum { WICK_SH_MAX_CHANGES = 1000 };

typedef struct wick_sh_dry {
    int code;
    bool overlay; /* false: no overlay could be made, and the command saw a folder that it could not write */
    bool more;    /* there were more than WICK_SH_MAX_CHANGES */
    size_t n;
    wick_sh_change *change;
    const char *output, *errors; /* where they were captured */
} wick_sh_dry;

/* Runs cmd under bubblewrap, without a network: the current folder is a throw-away overlay, the rest is read-only, and
 * /tmp is empty. capture: its output comes back, at most 64 KiB of each, instead of being shown. */
wick_status wick_sh_dry_run(wick_arena *arena, const char *shell, const char *cmd, bool capture, wick_sh_dry *out,
                            wick_err *err) WICK_MUST_CHECK;
void wick_sh_dry_print(wick_arena *arena, const wick_sh_dry *d); /* to standard error */
json_t *wick_sh_dry_json(const wick_sh_dry *d);

/* Runs a program with our descriptors and waits for it. */
wick_status wick_sh_spawn(const char *const *argv, int *code, wick_err *err) WICK_MUST_CHECK;
