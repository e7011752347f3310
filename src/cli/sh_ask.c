/* cli/sh_ask.c - `wick sh TEXT`: a request becomes a command; and lists of requests, and what is printed of them. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"
#include "cli/sh_dry.h"
#include "cli/sh_files.h"
#include "cli/term.h"
#include "shell/flavours.h"

static json_t *text_or_null(const char *s)
{
    return s ? wick_json_text(s, strlen(s)) : json_null();
}

static json_t *alternatives(wick_arena *arena, const wick_sh_proposal *p, uint32_t n)
{
    json_t *list = json_array();
    for (uint32_t k = 1; k < p->n && k <= n; k++) {
        const wick_sh_candidate *c = p->candidate + k;
        wick_sh_report r;
        json_t *o = json_object();
        if (c->answer.refused || c->score < p->candidate[0].score - WICK_SH_FAR ||
            wick_sh_check(arena, c->answer.cmd, strlen(c->answer.cmd), &r, NULL) != WICK_OK) {
            json_decref(o);
            continue;
        }
        json_object_set_new(o, "command", text_or_null(c->answer.cmd));
        json_object_set_new(o, "risk", json_string(wick_sh_level_name(r.level)));
        json_object_set_new(o, "score", wick_json_float(c->score));
        json_array_append_new(list, o);
    }
    return list;
}

json_t *wick_sh_proposal_json(wick_arena *arena, const wick_args *a, const wick_sh_proposal *p)
{
    const wick_sh_candidate *best = p->candidate;
    const char *cmd = best->answer.cmd;
    json_t *o = wick_sh_report_json(arena, cmd, strlen(cmd), &p->report), *doubts = json_array();
    for (unsigned k = 0; k < best->doubts.n; k++) json_array_append_new(doubts, text_or_null(best->doubts.text[k]));
    json_object_set_new(o, "request", text_or_null(p->request));
    json_object_set_new(o, "explanation", text_or_null(p->explanation));
    json_object_set_new(o, "refused", text_or_null(best->answer.refused));
    json_object_set_new(o, "doubts", doubts);
    json_object_set_new(o, "score", wick_json_float(best->score));
    json_object_set_new(o, "alternatives", alternatives(arena, p, a->alternatives));
    return o;
}

/* With --json nothing is asked: with --dry-run the command is tried, else nothing runs. */
static wick_status print_proposal(const wick_args *a, wick_arena *arena, const wick_sh_proposal *p, wick_err *err)
{
    json_t *o = wick_sh_proposal_json(arena, a, p);
    const wick_sh_answer *answer = &p->candidate[0].answer;
    if (a->dry_run && !answer->refused && wick_sh_disguised(answer->cmd, strlen(answer->cmd)) != WICK_SH_HIDDEN) {
        wick_sh_dry d;
        const char *shell = a->shell && strcmp(a->shell, "posix") != 0 ? a->shell : "sh";
        wick_status st = wick_sh_dry_run(arena, shell, answer->cmd, true, &d, err);
        if (st != WICK_OK) {
            json_decref(o);
            return st;
        }
        json_object_set_new(o, "dry_run", wick_sh_dry_json(&d));
    }
    return wick_print_json(o, err);
}

static wick_status ask_one(wick_sh_asker *k, const wick_args *a, const char *request, wick_err *err)
{
    wick_arena arena;
    wick_sh_proposal p = {.request = request};
    bool ran = false;
    int code = 0;
    wick_arena_init(&arena, 0);
    wick_status st = wick_sh_propose(k, &arena, NULL, &p, 1, err);
    if (st == WICK_OK)
        st = a->json ? print_proposal(a, &arena, &p, err) : wick_sh_show_and_run(a, &arena, &p, &ran, &code, err);
    if (st == WICK_OK) wick_sh_history_add(a, &p, ran, code);
    if (st == WICK_OK && code) wick_exit_with(code);
    wick_arena_release(&arena);
    return st;
}

/* ---- many ------------------------------------------------------------------------------------------------------- */

/* The requests of one round, answered together; one JSON object a line, in their order. */
static wick_status ask_round(wick_sh_asker *k, const wick_args *a, char *const *request, size_t n, wick_err *err)
{
    wick_arena arena;
    wick_sh_proposal *p = wick_alloc_zero(WICK_SH_MAX_TOGETHER, sizeof *p);
    if (!p) return wick_err_oom(err, "requests", 0, 0);
    wick_arena_init(&arena, 0);
    for (size_t i = 0; i < n; i++) p[i].request = request[i];
    wick_status st = wick_sh_propose(k, &arena, NULL, p, n, err);
    for (size_t i = 0; st == WICK_OK && i < n; i++) st = wick_print_json(wick_sh_proposal_json(&arena, a, p + i), err);
    fflush(stdout);
    wick_arena_release(&arena);
    wick_free(p);
    return st;
}

static wick_status ask_batch(wick_sh_asker *k, const wick_args *a, wick_err *err)
{
    char *text = NULL, *line[WICK_SH_MAX_TOGETHER];
    size_t n = 0, held = 0;
    wick_status st = strcmp(a->batch, "-") == 0 ? wick_read_stdin(&text, &n, err)
                                                : wick_file_read(a->batch, 64u << 20, &text, &n, err);
    for (size_t i = 0; st == WICK_OK && i < n;) {
        const char *nl = memchr(text + i, '\n', n - i);
        size_t len = nl ? (size_t)(nl - text) - i : n - i;
        if (len > 0) {
            text[i + len] = 0;
            line[held++] = text + i;
        }
        i += len + 1;
        if (held == WICK_SH_MAX_TOGETHER || (i >= n && held > 0)) {
            st = ask_round(k, a, line, held, err);
            held = 0;
        }
    }
    wick_free(text);
    return st;
}

static char *request_of(const wick_args *a, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    char *text = NULL;
    size_t n = 0;
    if (a->from_stdin) {
        if (wick_read_stdin(&text, &n, err) != WICK_OK) return NULL;
        while (n && (text[n - 1] == '\n' || text[n - 1] == ' ')) n--;
        char *own = wick_strndup(text, n);
        wick_free(text);
        return own;
    }
    for (uint32_t k = 0; k < a->n_operands; k++) {
        if (k) wick_buf_putc(&b, ' ');
        wick_buf_puts(&b, a->operand[k]);
    }
    return wick_buf_take(&b, &n);
}

wick_status wick_sh_ask(const wick_args *a, wick_err *err)
{
    wick_sh_asker *k = NULL;
    char *request = NULL;
    wick_status st = WICK_OK;
    if (!a->batch && !a->interactive) {
        request = request_of(a, err);
        if (!request || !*request) {
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sh",
                           "wick sh: what should the command do? (or --check 'COMMAND', guard, init SHELL)");
            goto done;
        }
    }
    WICK_TRY_GOTO(wick_sh_asker_open(&k, a, err));
    st = a->batch         ? ask_batch(k, a, err)
         : a->interactive ? wick_sh_talk(a, k, wick_sh_asker_taught(k), err)
                          : ask_one(k, a, request, err);
done:
    wick_sh_asker_close(k);
    wick_free(request);
    return st;
}

/* A key binding that replaces the words on the command line by the command for them: nothing is run. */
wick_status wick_sh_init(const char *shell, wick_err *err)
{
    static const char bash[] =
        "_wick_sh() {\n  local cmd\n  cmd=$(wick sh --quiet -- \"$READLINE_LINE\" </dev/null) || return\n"
        "  READLINE_LINE=$cmd READLINE_POINT=${#cmd}\n}\nbind -x '\"\\C-g\": _wick_sh'\n";
    static const char zsh[] = "_wick_sh() {\n  local cmd\n  cmd=$(wick sh --quiet -- \"$BUFFER\" </dev/null) || "
                              "return\n  BUFFER=$cmd CURSOR=${#cmd}\n}\n"
                              "zle -N _wick_sh\nbindkey '^G' _wick_sh\n";
    static const char fish[] =
        "function _wick_sh\n  set -l cmd (wick sh --quiet -- (commandline) </dev/null | string collect)\n  or return\n"
        "  commandline -r -- $cmd\nend\nbind \\cg _wick_sh\n";
    const char *text = strcmp(shell, "bash") == 0   ? bash
                       : strcmp(shell, "zsh") == 0  ? zsh
                       : strcmp(shell, "fish") == 0 ? fish
                                                    : NULL;
    if (!text) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, shell, "wick sh init: there is bash, zsh and fish");
    fputs(text, stdout);
    return WICK_OK;
}
