/* cli/sh_tool.c - `wick sh` as MCP's tool shell_command: a command for a request, with its risk; nothing is run. */
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "cli/sh.h"

bool wick_sh_tool_open(wick_sh_tool *t, const wick_args *a)
{
    wick_err err = {0};
    memset(t, 0, sizeof *t);
    t->a = *a;
    t->a.model = t->a.chat_template = NULL; /* those of the served models */
    t->a.n_operands = t->a.n_ctx = t->a.max_tokens = t->a.alternatives = 0;
    t->a.dry_run = false;
    wick_lock_init(&t->lock);
    return wick_sh_asker_open(&t->asker, &t->a, &err) == WICK_OK;
}

void wick_sh_tool_close(wick_sh_tool *t)
{
    wick_sh_asker_close(t->asker);
    wick_lock_release(&t->lock);
}

wick_status wick_sh_tool_ask(void *ctx, const char *request, wick_buf *out, wick_err *err)
{
    wick_sh_tool *t = ctx;
    wick_arena arena;
    wick_sh_proposal p = {.request = request};
    wick_arena_init(&arena, 0);
    wick_lock_take(&t->lock);
    const wick_status st = wick_sh_propose(t->asker, &arena, NULL, &p, 1, err);
    wick_lock_drop(&t->lock);
    json_t *v = st == WICK_OK ? wick_sh_proposal_json(&arena, &t->a, &p) : NULL;
    char *text = v ? json_dumps(v, JSON_REAL_PRECISION(9)) : NULL;
    if (text) wick_buf_puts(out, text);
    free(text);
    json_decref(v);
    wick_arena_release(&arena);
    return st;
}
