/* cli/sh.h - the parts of `wick sh`: cmd_sh.c (modes, options), sh_ask.c (requests), sh_model.c (who answers them),
 * sh_talk.c (several turns), sh_files.c (history), sh_helper.c (a process that keeps the model loaded), sh_run.c
 * (running, asking, dry runs), sh_guard.c (hooks). */
#pragma once
#include <jansson.h>
#include <stdio.h>
#include "base/thread.h"
#include "cli/args.h"
#include "shell/candidates.h"
#include "shell/safety.h"

/* {"command", "risk", "level", "reasons": [{"risk", "reason", "words"}]} */
json_t *wick_sh_report_json(wick_arena *arena, const char *cmd, size_t n, const wick_sh_report *r);
/* "high: deletes files: rm -rf x", with nothing that a terminal would obey. */
void wick_sh_print_report(FILE *out, wick_arena *arena, const wick_sh_report *r, const char *cmd);
wick_status wick_sh_guard(const wick_args *a, wick_err *err) WICK_MUST_CHECK;
/* Answers the request in the operands, on standard input (--stdin) or in each line of --batch. */
wick_status wick_sh_ask(const wick_args *a, wick_err *err) WICK_MUST_CHECK;
wick_status wick_sh_init(const char *shell, wick_err *err) WICK_MUST_CHECK;

/* ---- who answers ------------------------------------------------------------------------------------------------- */

enum { WICK_SH_MAX_CANDIDATES = 16, WICK_SH_MAX_TOGETHER = 8 };

typedef struct wick_sh_question {
    const char *request;
    const json_t *earlier; /* array of {"request", "command"}, or NULL */
    uint32_t n;
    bool sampled; /* n different answers, else the likeliest one */
} wick_sh_question;

/* The model, loaded in this process. */
typedef struct wick_sh_model {
    wick_args a; /* a copy with the model as operand */
    wick_engine *engine;
    wick_chat *chat;
    char *path;
    bool taught; /* the model is the one that came with this program */
} wick_sh_model;

wick_status wick_sh_model_find(wick_sh_model *m, const wick_args *a, wick_err *err) WICK_MUST_CHECK;
wick_status wick_sh_model_load(wick_sh_model *m, wick_err *err) WICK_MUST_CHECK; /* nothing if it is loaded */
void wick_sh_model_close(wick_sh_model *m);
/* Begins to answer, for wick_sh_asked_end; loads the model first where that was not done. */
wick_status wick_sh_model_ask(wick_sh_model *m, const wick_sh_question *q, wick_sh_asked **out,
                              wick_err *err) WICK_MUST_CHECK;

/* The helper: a process of this user that keeps the model loaded and answers on a socket; see sh_helper.c. Connects
 * to it, or with `start` starts it first; *fd is -1 where there is none (not an error). */
wick_status wick_sh_helper_open(const wick_sh_model *m, bool start, int *fd, wick_err *err) WICK_MUST_CHECK;
wick_status wick_sh_helper_ask(int fd, wick_arena *arena, const wick_sh_question *q, wick_sh_candidate *out,
                               size_t *n_out, wick_err *err) WICK_MUST_CHECK;

/* ---- proposals --------------------------------------------------------------------------------------------------- */

typedef struct wick_sh_asker wick_sh_asker; /* the helper or a loaded model, whichever there is */
wick_status wick_sh_asker_open(wick_sh_asker **out, const wick_args *a, wick_err *err) WICK_MUST_CHECK;
void wick_sh_asker_close(wick_sh_asker *k); /* NULL is fine */

#define WICK_SH_FAR 12.0F /* a candidate whose score is so much lower than the best one's is noise */

typedef struct wick_sh_proposal {
    const char *request;
    wick_sh_candidate candidate[WICK_SH_MAX_CANDIDATES]; /* best first; at least one */
    size_t n;
    wick_sh_report report;   /* of the first */
    const char *explanation; /* of the first */
    bool from_helper;
} wick_sh_proposal;

/* Fills p[0..n), n at most WICK_SH_MAX_TOGETHER, for the requests that stand in their member `request` already; the
 * answers are made together. earlier: turns before, or NULL. */
wick_status wick_sh_propose(wick_sh_asker *k, wick_arena *arena, const json_t *earlier, wick_sh_proposal *p, size_t n,
                            wick_err *err) WICK_MUST_CHECK;

bool wick_sh_asker_taught(const wick_sh_asker *k); /* is it the model that comes with Wick? */

/* Turns until the end of input; errors of a turn are shown, and it goes on. */
wick_status wick_sh_talk(const wick_args *a, wick_sh_asker *k, bool taught, wick_err *err) WICK_MUST_CHECK;

/* ---- as a tool of MCP (sh_tool.c) -------------------------------------------------------------------------------- */

typedef struct wick_sh_tool {
    wick_lock lock; /* one request at a time */
    wick_args a;
    wick_sh_asker *asker;
} wick_sh_tool;
/* False: the model that comes with Wick is not there, and so there is no tool. Loads it with the first request. */
bool wick_sh_tool_open(wick_sh_tool *t, const wick_args *a);
void wick_sh_tool_close(wick_sh_tool *t); /* also where open said no */
/* Appends {"command", "risk", "reasons", "explanation", ...} for a request; ctx: a wick_sh_tool. Any thread. */
wick_status wick_sh_tool_ask(void *ctx, const char *request, wick_buf *out, wick_err *err);
/* The first candidate and what is to be said of it: what `wick sh --json` prints. */
json_t *wick_sh_proposal_json(wick_arena *arena, const wick_args *a, const wick_sh_proposal *p);

/* ---- running (sh_run.c) ------------------------------------------------------------------------------------------ */

/* Shows the first candidate, asks where the options say so, and runs it after a yes. *ran, *code: what came of it. */
wick_status wick_sh_show_and_run(const wick_args *a, wick_arena *arena, const wick_sh_proposal *p, bool *ran, int *code,
                                 wick_err *err) WICK_MUST_CHECK;
