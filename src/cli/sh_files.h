/* cli/sh_files.h - what `wick sh` keeps: the history of requests, in $XDG_STATE_HOME/wick/sh-history.jsonl, mode
 * 0600. */
#pragma once
#include "cli/sh.h"

/* One line more; nothing where there is no place for it. Old lines go when the file is over 1 MiB. */
void wick_sh_history_add(const wick_args *a, const wick_sh_proposal *p, bool ran, int code);
/* The last `n` requests and their commands, oldest first; with --json as they are kept. */
wick_status wick_sh_history_show(const wick_args *a, size_t n, wick_err *err) WICK_MUST_CHECK;
/* $XDG_STATE_HOME/wick/NAME, or in ~/.local/state; NULL: there is no place. Caller wick_free()s. */
char *wick_sh_state_path(const wick_args *a, const char *name);
