/* cli/sh_ask.c - `wick sh TEXT`: a request becomes a command, is shown with its risk, and runs only after a yes.
 *
 * Invariants: (1) nothing runs without a yes or --yes; (2) a critical command runs only after the word "critical" was
 * typed, whatever the options; (3) what is shown is byte for byte what is run: a command that a terminal would not
 * show as it is never runs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/sys.h"
#include "chat/prompt.h"
#include "cli/session.h"
#include "cli/sh.h"
#include "cli/term.h"
#include "shell/explain.h"
#include "shell/prompt.h"

typedef struct asker {
    wick_args a; /* a copy with the model as operand */
    wick_engine *e;
    wick_chat *chat;
    char *folder, *found; /* of the shipped model */
    bool taught;          /* the model is the shipped one */
} asker;

typedef struct proposal {
    wick_sh_answer answer;
    wick_sh_report report;
    const char *explanation;
} proposal;

/* ---- the model ---------------------------------------------------------------------------------- */

static bool try_model(asker *k, const char *base, const char *tail)
{
    wick_free(k->found);
    size_t n = strlen(base) + strlen(tail) + 16;
    k->found = wick_alloc(n);
    if (!k->found) return false;
    snprintf(k->found, n, "%s%s/config.json", base, tail);
    bool there = access(k->found, R_OK) == 0;
    k->found[strlen(k->found) - strlen("/config.json")] = 0;
    return there;
}

/* --model, else the model that came with this program: installed, in the source tree, or in ./models. */
static wick_status find_model(asker *k, const wick_args *a, wick_err *err)
{
    k->a = *a;
    k->a.n_operands = 1;
    k->a.operand[0] = a->model;
    if (a->model) {
        size_t n = strlen(a->model);
        while (n > 1 && a->model[n - 1] == '/') n--;
        k->taught = n >= 10 && strncmp(a->model + n - 10, "wick-shell", 10) == 0;
        return WICK_OK;
    }
    k->folder = wick_program_folder();
    k->taught = true;
    static const char *const tails[] = {"/../share/wick/models/wick-shell", "/../../models/wick-shell",
                                        "/models/wick-shell"};
    for (size_t t = 0; k->folder && t < sizeof tails / sizeof *tails; t++)
        if (try_model(k, k->folder, tails[t])) goto found;
    if (!try_model(k, ".", "/models/wick-shell"))
        return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, "wick-shell",
                         "wick sh: the model wick-shell is not beside this program: name one with --model");
found:
    k->a.operand[0] = k->found;
    return WICK_OK;
}

static wick_status open_asker(asker *k, const wick_args *a, wick_err *err)
{
    memset(k, 0, sizeof *k);
    WICK_TRY(find_model(k, a, err));
    if (k->a.max_tokens == 0 || k->a.max_tokens > 256) k->a.max_tokens = 256;
    if (k->a.n_ctx == 0) k->a.n_ctx = k->taught ? 1024 : 2048;
    if (!k->taught && !k->a.given.repetition_penalty) {
        k->a.sampling.repetition_penalty = 1.1F;
        k->a.given.repetition_penalty = true;
    }
    WICK_TRY(wick_session_open(&k->e, &k->a, false, err));
    return wick_chat_open(&k->chat, k->e, a->chat_template, err);
}

static void close_asker(asker *k)
{
    wick_chat_close(k->chat);
    wick_engine_close(k->e);
    wick_free(k->folder);
    wick_free(k->found);
}

static wick_status propose(asker *k, wick_arena *arena, const char *request, proposal *p, wick_err *err)
{
    json_t *messages = wick_sh_messages(request, k->taught);
    wick_chat_prompt prompt = {0};
    wick_reply r;
    wick_answer_opts how = {0};
    wick_reply_init(&r);
    wick_status st = messages ? WICK_OK : wick_err_oom(err, "a request", 0, 0);
    if (st != WICK_OK) goto done;
    const wick_chat_request in = {.messages = messages, .thinking = -1};
    WICK_TRY_GOTO(wick_chat_prompt_build(k->chat, &in, &prompt, err));
    how.format = *wick_chat_get_format(k->chat);
    how.inside_reasoning = prompt.in_reasoning;
    WICK_TRY_GOTO(wick_session_generate(k->e, &k->a, prompt.ids, prompt.n_ids, &how, false, &r, err));
    if (r.finish == WICK_FINISH_CANCELLED) {
        st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
        goto done;
    }
    WICK_TRY_GOTO(wick_sh_answer_read(arena, wick_buf_str(&r.text), r.text.n, &p->answer, err));
    WICK_TRY_GOTO(wick_sh_check(arena, p->answer.cmd, strlen(p->answer.cmd), &p->report, err));
    p->explanation = wick_sh_explain(arena, p->answer.cmd, strlen(p->answer.cmd));
    if (!p->explanation) st = wick_err_oom(err, "an explanation", 0, 0);
done:
    json_decref(messages);
    wick_chat_prompt_release(&prompt);
    wick_reply_release(&r);
    return st;
}

/* ---- showing and running ---------------------------------------------------------------------------- */

static json_t *proposal_json(wick_arena *arena, const char *request, const proposal *p)
{
    json_t *o = wick_sh_report_json(arena, p->answer.cmd, strlen(p->answer.cmd), &p->report);
    json_object_set_new(o, "request", wick_json_text(request, strlen(request)));
    json_object_set_new(o, "explanation", wick_json_text(p->explanation, strlen(p->explanation)));
    json_object_set_new(o, "refused",
                        p->answer.refused ? wick_json_text(p->answer.refused, strlen(p->answer.refused)) : json_null());
    json_object_set_new(o, "alternatives", json_array());
    return o;
}

/* Runs cmd with the shell asked for; gives its exit code. sandbox: nothing outside of /tmp can be written. */
static wick_status run_command(const wick_args *a, const char *cmd, bool sandbox, int *code, wick_err *err)
{
    const char *shell = a->shell && strcmp(a->shell, "posix") != 0 ? a->shell : "sh";
    const char *inside[] = {"bwrap",  "--ro-bind", "/",       "/",    "--dev",         "/dev",
                            "--proc", "/proc",     "--tmpfs", "/tmp", "--unshare-all", "--die-with-parent",
                            shell,    "-c",        cmd,       NULL};
    const char *plain[] = {shell, "-c", cmd, NULL};
    const char **argv = sandbox ? inside : plain;
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return wick_err_io(err, shell, "starting", errno);
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(errno == ENOENT ? 127 : 126);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return wick_err_io(err, shell, "waiting for", errno);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    if (sandbox && *code == 127)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dry-run",
                         "--dry-run needs bubblewrap (bwrap), or the command's program is missing");
    return WICK_OK;
}

/* Asks on the terminal. A critical command needs its word. */
static bool says_yes(const proposal *p)
{
    bool critical = p->report.level == WICK_SH_CRITICAL;
    char line[64] = "";
    fputs(critical ? "This is critical. Type \"critical\" to run it: " : "Run it? [y/N] ", stderr);
    fflush(stderr);
    if (!fgets(line, sizeof line, stdin)) line[0] = 0;
    line[strcspn(line, "\r\n")] = 0;
    return critical ? strcmp(line, "critical") == 0
                    : strcmp(line, "y") == 0 || strcmp(line, "yes") == 0 || strcmp(line, "Y") == 0;
}

/* May it run now? With --yes the policy decides instead of a person: safe, up to moderate (the default), up to high. */
static wick_status may_run(const wick_args *a, const proposal *p, bool *yes, wick_err *err)
{
    *yes = false;
    if (wick_sh_disguised(p->answer.cmd, strlen(p->answer.cmd)) == WICK_SH_HIDDEN)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "command",
                         "the command has characters that a terminal does not show as they are: it is not run");
    bool terminal = wick_stdin_is_tty();
    if (a->force) {
        int limit = !a->policy || strcmp(a->policy, "moderate") == 0 ? WICK_SH_MODERATE
                    : strcmp(a->policy, "strict") == 0               ? WICK_SH_SAFE
                                                                     : WICK_SH_HIGH;
        *yes = (int)p->report.level <= limit;
        if (!*yes && !terminal)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "yes",
                             "the command is %s: --yes does not run it under this policy",
                             wick_sh_level_name(p->report.level));
        if (*yes) return WICK_OK;
    } else if (!terminal) {
        if (!a->execute) return WICK_OK;
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "execute",
                         "--execute asks before it runs, and standard input is no terminal: add --yes");
    }
    if (!a->execute && !isatty(STDOUT_FILENO) && !a->force) return WICK_OK;
    *yes = says_yes(p);
    return WICK_OK;
}

static wick_status show_and_run(const wick_args *a, wick_arena *arena, const proposal *p, wick_err *err)
{
    const char *cmd = p->answer.cmd;
    bool yes = false;
    int code = 0;
    if (p->answer.refused) {
        fprintf(stderr, "wick: no command: %s\n", wick_sh_visible(arena, p->answer.refused, strlen(p->answer.refused)));
        wick_exit_with(1);
        return WICK_OK;
    }
    puts(wick_sh_visible(arena, cmd, strlen(cmd)));
    fflush(stdout);
    if ((a->explain || isatty(STDOUT_FILENO)) && *p->explanation)
        fprintf(a->explain ? stdout : stderr, "%s\n", wick_sh_visible(arena, p->explanation, strlen(p->explanation)));
    if (p->report.level > WICK_SH_SAFE && !a->quiet) wick_sh_print_report(stderr, arena, &p->report, cmd);
    if (a->dry_run) {
        if (wick_sh_disguised(cmd, strlen(cmd)) == WICK_SH_HIDDEN) return WICK_OK;
        WICK_TRY(run_command(a, cmd, true, &code, err));
        wick_exit_with(code);
        return WICK_OK;
    }
    WICK_TRY(may_run(a, p, &yes, err));
    if (!yes) return WICK_OK;
    WICK_TRY(run_command(a, cmd, false, &code, err));
    wick_exit_with(code);
    return WICK_OK;
}

/* ---- modes ---------------------------------------------------------------------------------------------- */

static wick_status ask_one(asker *k, const wick_args *a, const char *request, wick_err *err)
{
    wick_arena arena;
    proposal p = {0};
    wick_arena_init(&arena, 0);
    wick_status st = propose(k, &arena, request, &p, err);
    if (st == WICK_OK)
        st = a->json ? wick_print_json(proposal_json(&arena, request, &p), err) : show_and_run(a, &arena, &p, err);
    wick_arena_release(&arena);
    return st;
}

/* One request a line; one JSON object a line comes back, in their order. */
static wick_status ask_batch(asker *k, const wick_args *a, wick_err *err)
{
    char *text = NULL;
    size_t n = 0;
    wick_args each = *a;
    each.json = true;
    wick_status st = strcmp(a->batch, "-") == 0 ? wick_read_stdin(&text, &n, err)
                                                : wick_file_read(a->batch, 64u << 20, &text, &n, err);
    for (size_t i = 0; st == WICK_OK && i < n;) {
        const char *nl = memchr(text + i, '\n', n - i);
        size_t len = nl ? (size_t)(nl - text) - i : n - i;
        char *line = wick_strndup(text + i, len);
        if (!line) st = wick_err_oom(err, "a request", 0, 0);
        if (line && *line) {
            st = ask_one(k, &each, line, err);
            fflush(stdout);
        }
        wick_free(line);
        i += len + 1;
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
    asker k;
    char *request = NULL;
    wick_status st = WICK_OK;
    memset(&k, 0, sizeof k);
    if (!a->batch) {
        request = request_of(a, err);
        if (!request || !*request) {
            st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sh",
                           "wick sh: what should the command do? (or --check 'COMMAND', guard, init SHELL)");
            goto done;
        }
    }
    WICK_TRY_GOTO(open_asker(&k, a, err));
    st = a->batch ? ask_batch(&k, a, err) : ask_one(&k, a, request, err);
done:
    close_asker(&k);
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
