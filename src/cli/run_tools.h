/* cli/run_tools.h - the tools of `wick run`: opens their files, shows each call, asks before it runs, runs the loop. */
#pragma once
#include "chat/tools.h"
#include "cli/args.h"
#include "cli/toolfile.h"

typedef struct wick_run_tools {
    wick_toolfiles files;
    json_t *json;   /* as the template shows them: OpenAI's `tools`; NULL: there are none */
    json_t *called; /* what ran since the last wick_run_tools_loop began: [{"name", "arguments", "result", "error"}] */
    json_t *always; /* names of tools that need not be asked for any more */
    bool yes;       /* tools marked safe need not be asked for */
} wick_run_tools;

/* Of --tools and --mcp; nothing where neither is given. Release in any case. */
wick_status wick_run_tools_open(wick_run_tools *t, const wick_args *a, wick_err *err) WICK_MUST_CHECK;
void wick_run_tools_release(wick_run_tools *t);

/* Lets `turn` answer until it answers without calls. `messages` grows by all answers and results but the last one. */
wick_status wick_run_tools_loop(wick_run_tools *t, json_t *messages,
                                wick_status (*turn)(void *ctx, const json_t *messages, json_t **answer, wick_err *err),
                                void *ctx, wick_err *err) WICK_MUST_CHECK;
