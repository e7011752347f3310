/* cli/run_tools.c - see run_tools.h. Calls and results are shown on standard error, so that standard output is the
 * answer alone; the question is asked on the terminal itself, since standard input may be part of the prompt. */
#include "cli/run_tools.h"
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "cli/term.h"

enum { SHOWN_BYTES = 400 };

typedef struct loop_ctx {
    wick_run_tools *t;
    wick_status (*turn)(void *ctx, const json_t *messages, json_t **answer, wick_err *err);
    void *ctx;
} loop_ctx;

wick_status wick_run_tools_open(wick_run_tools *t, const wick_args *a, wick_err *err)
{
    const char *const files[] = {a->tool_file, a->mcp_file};
    *t = (wick_run_tools){.yes = a->yes};
    for (size_t i = 0; i < 2; i++) {
        wick_toolbox *box = NULL;
        if (!files[i]) continue;
        WICK_TRY(wick_toolfile_open(&box, files[i], false, err));
        WICK_TRY(wick_toolfiles_add(&t->files, box, err));
    }
    if (!t->files.tools || wick_toolset_n(t->files.tools) == 0) return WICK_OK;
    t->json = wick_toolset_json(t->files.tools);
    t->always = json_object();
    return t->json && t->always ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
}

void wick_run_tools_release(wick_run_tools *t)
{
    json_decref(t->json);
    json_decref(t->called);
    json_decref(t->always);
    wick_toolfiles_close(&t->files);
}

/* The line that the user types at the terminal, whatever standard input is. False: there is nobody. */
static bool read_answer(const char *question, char *dst, int cap)
{
    FILE *tty = fopen("/dev/tty", "r+");
    if (!tty) return false;
    fprintf(stderr, "%s", question);
    fflush(stderr);
    wick_stdin_reading(true); /* Ctrl-C ends the read */
    const bool got = fgets(dst, cap, tty) != NULL;
    wick_stdin_reading(false);
    fclose(tty);
    return got;
}

static bool approve(void *ctx, const char *name, const char *arguments, bool safe)
{
    const loop_ctx *c = ctx;
    char answer[16] = "";
    (void)arguments; /* on_event has shown them */
    if ((safe && c->t->yes) || json_object_get(c->t->always, name)) return true;
    if (!read_answer("   run it? [y/N, a: always] ", answer, sizeof answer)) {
        if (!wick_interrupted())
            wick_notice("   not run: nobody is there to be asked%s",
                        safe ? " (--yes runs tools that are marked safe)" : ", and it is not marked safe");
        return false;
    }
    if (answer[0] == 'a' || answer[0] == 'A') json_object_set_new(c->t->always, name, json_true());
    return strchr("yYaA", answer[0] ? answer[0] : 'n') != NULL;
}

static void show(const char *mark, const char *text)
{
    char line[SHOWN_BYTES + 1];
    const size_t n = strlen(text);
    wick_escape_line(line, sizeof line, text, n < SHOWN_BYTES ? n : SHOWN_BYTES);
    fprintf(stderr, "%s %s%s\n", mark, line, n > SHOWN_BYTES ? " ..." : "");
}

static void on_event(void *ctx, const wick_tool_event *e)
{
    const loop_ctx *c = ctx;
    wick_buf b = WICK_BUF_INIT;
    if (e->kind == WICK_TOOL_EVENT_CALL) {
        wick_buf_printf(&b, "%s ", e->name);
        wick_buf_puts(&b, e->arguments);
        show("->", wick_buf_str(&b));
    } else {
        show("<-", e->result);
        json_array_append_new(c->t->called,
                              json_pack("{s:s, s:s, s:o, s:b}", "name", e->name, "arguments", e->arguments, "result",
                                        wick_json_text(e->result, strlen(e->result)), "error", e->failed));
    }
    wick_buf_release(&b);
}

static wick_status one_turn(void *ctx, const json_t *messages, json_t **answer, wick_err *err)
{
    const loop_ctx *c = ctx;
    return c->turn(c->ctx, messages, answer, err);
}

static bool stopped(void *ctx)
{
    (void)ctx;
    return wick_interrupted();
}

wick_status wick_run_tools_loop(wick_run_tools *t, json_t *messages,
                                wick_status (*turn)(void *ctx, const json_t *messages, json_t **answer, wick_err *err),
                                void *ctx, wick_err *err)
{
    loop_ctx c = {t, turn, ctx};
    wick_tool_loop l = {.tools = t->files.tools,
                        .turn = one_turn,
                        .approve = approve,
                        .event = on_event,
                        .stopped = stopped,
                        .ctx = &c};
    json_decref(t->called);
    t->called = json_array();
    const wick_status st = wick_tool_loop_run(&l, messages, err);
    if (st == WICK_OK) json_array_remove(messages, json_array_size(messages) - 1);
    if (l.limited) wick_notice("(stopped: the model called tools in %u answers and wants more)", l.n_rounds);
    return st;
}
