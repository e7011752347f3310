/* cli/cmd_sh.c - `wick sh`: a request in plain words to a command, and the check of commands.
 *
 * This file owns the modes and what they print; shell/ owns what a command is and how dangerous it is.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/sh_files.h"
#include "cli/term.h"
#include "shell/safety.h"

json_t *wick_sh_report_json(wick_arena *arena, const char *cmd, size_t n, const wick_sh_report *r)
{
    json_t *o = json_object(), *reasons = json_array();
    json_object_set_new(o, "command", wick_json_text(cmd, n));
    json_object_set_new(o, "risk", json_string(wick_sh_level_name(r->level)));
    json_object_set_new(o, "level", json_integer(r->level));
    for (unsigned k = 0; k < r->n; k++) {
        json_t *f = json_object();
        const char *words = r->finding[k].words;
        json_object_set_new(f, "risk", json_string(wick_sh_level_name(r->finding[k].level)));
        json_object_set_new(f, "reason", wick_json_text(r->finding[k].reason, strlen(r->finding[k].reason)));
        json_object_set_new(f, "words", wick_json_text(words, strlen(words)));
        json_array_append_new(reasons, f);
    }
    json_object_set_new(o, "reasons", reasons);
    (void)arena;
    return o;
}

void wick_sh_print_report(FILE *out, wick_arena *arena, const wick_sh_report *r, const char *cmd)
{
    fputs(wick_sh_level_name(r->level), out);
    if (r->n) fprintf(out, ": %s", wick_sh_visible(arena, r->finding[0].reason, strlen(r->finding[0].reason)));
    if (r->n && strcmp(r->finding[0].words, cmd) != 0) {
        const char *words = r->finding[0].words;
        fprintf(out, ": %s", wick_sh_visible(arena, words, strlen(words)));
    }
    fputc('\n', out);
}

static wick_status check_one(const wick_args *a, const char *cmd, size_t n, wick_sh_level *worst, wick_err *err)
{
    wick_arena arena;
    wick_sh_report r;
    wick_arena_init(&arena, 0);
    wick_status st = wick_sh_check(&arena, cmd, n, &r, err);
    if (st == WICK_OK) {
        if (r.level > *worst) *worst = r.level;
        if (a->json)
            st = wick_print_json(wick_sh_report_json(&arena, cmd, n, &r), err);
        else if (!a->quiet)
            wick_sh_print_report(stdout, &arena, &r, cmd);
    }
    wick_arena_release(&arena);
    return st;
}

/* One command a line; with --json a line may be an object with "command", too. */
static wick_status check_batch(const wick_args *a, wick_sh_level *worst, wick_err *err)
{
    char *text = NULL;
    size_t n = 0;
    wick_status st = strcmp(a->batch, "-") == 0 ? wick_read_stdin(&text, &n, err)
                                                : wick_file_read(a->batch, 64u << 20, &text, &n, err);
    for (size_t i = 0; st == WICK_OK && i < n;) {
        const char *nl = memchr(text + i, '\n', n - i);
        size_t len = nl ? (size_t)(nl - text) - i : n - i;
        json_t *o = NULL;
        if (len && text[i] == '{' && wick_json_parse(text + i, len, a->batch, &o, NULL) == WICK_OK) {
            const char *cmd = json_string_value(json_object_get(o, "command"));
            if (cmd)
                st = check_one(a, cmd, strlen(cmd), worst, err);
            else
                st = check_one(a, text + i, len, worst, err);
        } else if (len) {
            st = check_one(a, text + i, len, worst, err);
        }
        json_decref(o);
        i += len + 1;
    }
    wick_free(text);
    return st;
}

static wick_status run_check(const wick_args *a, wick_err *err)
{
    wick_sh_level worst = WICK_SH_SAFE;
    wick_status st = WICK_OK;
    if (a->batch) {
        st = check_batch(a, &worst, err);
    } else if (a->check && strcmp(a->check, "-") != 0) {
        st = check_one(a, a->check, strlen(a->check), &worst, err);
    } else {
        char *text = NULL;
        size_t n = 0;
        st = wick_read_stdin(&text, &n, err);
        if (st == WICK_OK) st = check_one(a, text, n, &worst, err);
        wick_free(text);
    }
    if (st != WICK_OK) return st;
    wick_exit_with((int)worst);
    return WICK_OK;
}

static wick_status run_sh(const wick_args *a, wick_err *err)
{
    if (a->check) return run_check(a, err);
    if (a->n_operands == 1 && strcmp(a->operand[0], "guard") == 0) return wick_sh_guard(a, err);
    if (a->n_operands == 2 && strcmp(a->operand[0], "init") == 0) return wick_sh_init(a->operand[1], err);
    if (a->n_operands == 1 && strcmp(a->operand[0], "history") == 0) return wick_sh_history_show(a, 20, err);
    return wick_sh_ask(a, err);
}

#define FIELD(x) offsetof(wick_args, x), 0, 0, NULL, NULL, 0
static const wick_opt opts[] = {
    {"execute", 'x', WICK_OPT_FLAG, NULL, "ask, then run the command, also where its output goes to a pipe",
     FIELD(execute)},
    {"yes", 'y', WICK_OPT_FLAG, NULL, "run it without asking, as far as --policy allows; never a critical one",
     FIELD(force)},
    {"dry-run", 0, WICK_OPT_FLAG, NULL,
     "run it on a throw-away layer over this folder, without a network, and list what would change (needs bubblewrap)",
     FIELD(dry_run)},
    {"explain", 0, WICK_OPT_FLAG, NULL, "say what each program of it does, from its manual's options", FIELD(explain)},
    {"stdin", 0, WICK_OPT_FLAG, NULL, "read the request from standard input", FIELD(from_stdin)},
    {"model", 'm', WICK_OPT_STR, "MODEL", "another instruct model instead of wick-shell", FIELD(model)},
    {"candidates", 0, WICK_OPT_U32, "N", "answers that are drawn where the first one is in doubt (default: 8)",
     offsetof(wick_args, candidates), 1, 16, NULL, NULL, 0},
    {"alternatives", 0, WICK_OPT_U32, "N", "show that many other commands, too (default: 0)",
     offsetof(wick_args, alternatives), 0, 15, NULL, NULL, 0},
    {"checks", 0, WICK_OPT_STR, "LEVEL",
     "what candidates are judged by, each with those before it: none, parse, programs, options, all (the default)",
     offsetof(wick_args, checks), 0, 0, "none|parse|programs|options|all", NULL, 0},
    {"no-look", 0, WICK_OPT_FLAG, NULL, "do not look which of the names exist in this folder", FIELD(no_look)},
    {"no-table", 0, WICK_OPT_FLAG, NULL, "do not use the table of common requests beside the model", FIELD(no_table)},
    {"free-form", 0, WICK_OPT_FLAG, NULL, "do not hold the model's answer to the form of a command", FIELD(free_form)},
    {"interactive", 'i', WICK_OPT_FLAG, NULL, "several turns: later ones may change the last command",
     FIELD(interactive)},
    {"no-history", 0, WICK_OPT_FLAG, NULL, "do not keep this request and its command", FIELD(no_history)},
    {"daemon", 0, WICK_OPT_FLAG, NULL, "keep the model loaded in the background for the next requests", FIELD(daemon)},
    {"idle", 0, WICK_OPT_U32, "SECONDS", "with --daemon: it ends after that long without a request (default: 600)",
     offsetof(wick_args, idle), 1, 86400, NULL, NULL, 0},
    {"shell", 0, WICK_OPT_STR, "NAME", "the shell that runs the command (default: posix, that is sh)",
     offsetof(wick_args, shell), 0, 0, "posix|bash|zsh|fish", NULL, 0},
    {"check", 0, WICK_OPT_STR, "CMD",
     "say how much harm a command can do; exit code 0 safe, 1 moderate, 2 high, 3 critical (-: standard input)",
     FIELD(check)},
    {"batch", 0, WICK_OPT_STR, "FILE", "one request a line, or with --check one command a line (-: standard input)",
     FIELD(batch)},
    {"policy", 0, WICK_OPT_STR, "NAME",
     "what --yes runs and guard lets through: strict (safe only), moderate (the default), permissive (all but "
     "critical)",
     offsetof(wick_args, policy), 0, 0, "strict|moderate|permissive", "WICK_SH_POLICY", 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_sh = {
    .name = "sh",
    .operands = "[TEXT... | guard | history | init SHELL]",
    .settings = "sh.conf",
    .min_operands = 0,
    .max_operands = 60,
    .summary = "say it, get a shell command; judge commands before they run",
    .about =
        "TEXT says what the command should do. The command is printed with its risk, and on a terminal it runs after a "
        "yes;\n"
        "a critical one only after its word was typed. The model that came with Wick answers, without a network.\n"
        "--check parses a command as a shell would and says what it can destroy or give away: safe, moderate, high or\n"
        "critical, with the reason and the words that caused it. guard speaks the hook protocol of coding agents: a "
        "JSON\n"
        "request on standard input, allow, ask or deny as JSON on standard output. init prints a key binding (Ctrl-G) "
        "that\n"
        "turns the words on the command line into a command. history shows what was asked before. Options of every "
        "call\n"
        "may stand in $XDG_CONFIG_HOME/wick/sh.conf, one a line, without the dashes: \"policy strict\".",
    .examples = "wick sh find python files changed this week\t\nwick sh --json \"count lines in notes.txt\"\t\n"
                "wick sh --check 'rm -rf /'\texit code 3\nwick sh --check - --batch FILE --json\tmany, as JSON lines\n"
                "wick sh guard --policy strict < request.json\ta hook\neval \"$(wick sh init bash)\"\ta key binding",
    .group = {&group, &wick_opts_sampling, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_sh,
};
