/* cli/sh_talk.c - `wick sh --interactive`: several turns, each of which may go on from the one before.
 *
 * A turn that changes the last command ("only the big ones", "now delete them") is first tried by rules over its parse
 * (shell/refine.h). Else a model other than the one that comes with Wick is told the turns so far; that one knows only
 * single requests, so it gets the last request and the new words as one. What comes out is shown, judged and asked
 * about as every command is.
 */
#include <string.h>
#include "base/alloc.h"
#include "cli/chatloop.h"
#include "cli/session.h"
#include "cli/sh_files.h"
#include "cli/term.h"
#include "shell/explain.h"
#include "shell/refine.h"

enum { MAX_TURNS = 8 };

typedef struct talk {
    const wick_args *a;
    wick_sh_asker *asker;
    json_t *turns; /* {"request", "command"} */
    bool taught;
} talk;

static const char *last_of(const talk *t, const char *key)
{
    size_t n = json_array_size(t->turns);
    const char *s = n ? json_string_value(json_object_get(json_array_get(t->turns, n - 1), key)) : NULL;
    return s ? s : "";
}

/* The proposal of a rule; false: none fits. */
static bool refined(const talk *t, wick_arena *arena, const char *text, wick_sh_proposal *p)
{
    const char *cmd = wick_sh_refine(arena, last_of(t, "command"), text);
    if (!cmd) return false;
    *p = (wick_sh_proposal){.request = text, .n = 1};
    p->candidate[0] = (wick_sh_candidate){.answer = {.cmd = cmd}, .votes = 1};
    p->explanation = wick_sh_explain(arena, cmd, strlen(cmd));
    return p->explanation && wick_sh_check(arena, cmd, strlen(cmd), &p->report, NULL) == WICK_OK;
}

static void remember(talk *t, const wick_sh_proposal *p, const char *request)
{
    const char *cmd = p->candidate[0].answer.cmd;
    json_t *turn = json_object();
    if (!*cmd) {
        json_decref(turn);
        return;
    }
    json_object_set_new(turn, "request", wick_json_text(request, strlen(request)));
    json_object_set_new(turn, "command", wick_json_text(cmd, strlen(cmd)));
    json_array_append_new(t->turns, turn);
    if (json_array_size(t->turns) > MAX_TURNS) json_array_remove(t->turns, 0);
}

static wick_status one_turn(talk *t, const char *text, wick_err *err)
{
    wick_arena arena;
    wick_sh_proposal *p = wick_alloc_zero(1, sizeof *p);
    bool ran = false;
    int code = 0;
    const char *request = text;
    if (!p) return wick_err_oom(err, "a turn", 0, 0);
    wick_arena_init(&arena, 0);
    wick_status st = WICK_OK;
    if (!refined(t, &arena, text, p)) {
        if (t->taught && *last_of(t, "request") && wick_sh_goes_on(text))
            request = wick_arena_printf(&arena, "%s, %s", last_of(t, "request"), text);
        p->request = request ? request : text;
        st = wick_sh_propose(t->asker, &arena, t->taught ? NULL : t->turns, p, 1, err);
    }
    if (st == WICK_OK) st = wick_sh_show_and_run(t->a, &arena, p, &ran, &code, err);
    if (st == WICK_OK) {
        if (ran && code != 0) wick_notice("exit code %d", code);
        remember(t, p, p->request);
        wick_sh_history_add(t->a, p, ran, code);
    }
    wick_arena_release(&arena);
    wick_free(p);
    return st;
}

wick_status wick_sh_talk(const wick_args *a, wick_sh_asker *k, bool taught, wick_err *err)
{
    talk t = {.a = a, .asker = k, .turns = json_array(), .taught = taught};
    char *history = a->no_history ? NULL : wick_sh_state_path(a, "sh-lines"), *line;
    if (!t.turns) return wick_err_oom(err, "a talk", 0, 0);
    wick_line_open(history);
    if (wick_stdin_is_tty()) wick_notice("Say what to do; later turns may change the last command. Ctrl-D leaves.");
    while ((line = wick_line_read("sh> ")) != NULL) {
        wick_err e = {0};
        bool leave = strcmp(line, "exit") == 0 || strcmp(line, "quit") == 0;
        wick_interrupt_clear();
        if (!leave && *line && one_turn(&t, line, &e) != WICK_OK) wick_notice("wick: %s", e.message);
        wick_free(line);
        if (leave) break;
    }
    wick_line_close(history);
    wick_free(history);
    json_decref(t.turns);
    return WICK_OK;
}
