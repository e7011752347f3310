/* cli/sh.h - the parts of `wick sh`: cmd_sh.c (modes), sh_ask.c (requests), sh_guard.c (hooks of coding agents). */
#pragma once
#include <jansson.h>
#include <stdio.h>
#include "cli/args.h"
#include "shell/safety.h"

/* {"command", "risk", "level", "reasons": [{"risk", "reason", "words"}]} */
json_t *wick_sh_report_json(wick_arena *arena, const char *cmd, size_t n, const wick_sh_report *r);
/* "high: deletes files: rm -rf x", with nothing that a terminal would obey. */
void wick_sh_print_report(FILE *out, wick_arena *arena, const wick_sh_report *r, const char *cmd);
wick_status wick_sh_guard(const wick_args *a, wick_err *err) WICK_MUST_CHECK;
/* Answers the request in the operands, on standard input (--stdin) or in each line of --batch. */
wick_status wick_sh_ask(const wick_args *a, wick_err *err) WICK_MUST_CHECK;
wick_status wick_sh_init(const char *shell, wick_err *err) WICK_MUST_CHECK;
