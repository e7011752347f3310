/* cli/sh_run.c - a proposed command is shown, asked about and run; or run where it can do no harm (--dry-run).
 *
 * Invariants: (1) nothing runs without a yes or --yes; (2) a critical command runs only after the word "critical" was
 * typed, whatever the options; (3) what is shown is byte for byte what is run: a command that a terminal would not show
 * as it is never runs.
 */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "cli/sh_dry.h"
#include "cli/term.h"
#include "shell/flavours.h"

static const char *shell_program(const wick_args *a)
{
    return a->shell && strcmp(a->shell, "posix") != 0 ? a->shell : "sh";
}

wick_status wick_sh_spawn(const char *const *argv, int *code, wick_err *err)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) return wick_err_io(err, argv[0], "starting", errno);
    if (pid == 0) {
        execvp(argv[0], (char *const *)(uintptr_t)argv);
        _exit(errno == ENOENT ? 127 : 126);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR) return wick_err_io(err, argv[0], "waiting for", errno);
    *code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return WICK_OK;
}

/* Asks on the terminal. A critical command needs its word. */
static bool says_yes(const wick_sh_proposal *p)
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
static wick_status may_run(const wick_args *a, const wick_sh_proposal *p, bool *yes, wick_err *err)
{
    const char *cmd = p->candidate[0].answer.cmd;
    *yes = false;
    if (wick_sh_disguised(cmd, strlen(cmd)) == WICK_SH_HIDDEN)
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

/* The command, what is doubtful about it, its risk, and other commands, where they are asked for. */
static void show(const wick_args *a, wick_arena *arena, const wick_sh_proposal *p, const char *cmd)
{
    const wick_sh_candidate *c = p->candidate;
    puts(wick_sh_visible(arena, cmd, strlen(cmd)));
    fflush(stdout);
    if ((a->explain || isatty(STDOUT_FILENO)) && *p->explanation)
        fprintf(a->explain ? stdout : stderr, "%s\n", wick_sh_visible(arena, p->explanation, strlen(p->explanation)));
    for (uint32_t k = 1; k < p->n && k <= a->alternatives; k++) {
        const wick_sh_answer *other = &p->candidate[k].answer;
        if (!other->refused && p->candidate[k].score > c->score - WICK_SH_FAR)
            printf("or: %s\n", wick_sh_visible(arena, other->cmd, strlen(other->cmd)));
    }
    if (a->quiet) return;
    for (unsigned k = 0; k < c->doubts.n; k++)
        fprintf(stderr, "doubtful: %s\n", wick_sh_visible(arena, c->doubts.text[k], strlen(c->doubts.text[k])));
    if (p->report.level > WICK_SH_SAFE) wick_sh_print_report(stderr, arena, &p->report, cmd);
}

wick_status wick_sh_show_and_run(const wick_args *a, wick_arena *arena, const wick_sh_proposal *p, bool *ran, int *code,
                                 wick_err *err)
{
    const wick_sh_answer *answer = &p->candidate[0].answer;
    const char *shell = shell_program(a);
    bool yes = false;
    *ran = false;
    if (answer->refused) {
        fprintf(stderr, "wick: no command: %s\n", wick_sh_visible(arena, answer->refused, strlen(answer->refused)));
        *code = 1;
        return WICK_OK;
    }
    const char *cmd = wick_sh_for_shell(arena, answer->cmd, wick_sh_shell_of(a->shell));
    if (!cmd) return wick_err_oom(err, "a command", 0, 0);
    show(a, arena, p, cmd);
    if (a->dry_run) {
        if (wick_sh_disguised(cmd, strlen(cmd)) == WICK_SH_HIDDEN) return WICK_OK;
        wick_sh_dry d;
        wick_status st = wick_sh_dry_run(arena, shell, cmd, false, &d, err);
        if (st == WICK_OK) wick_sh_dry_print(arena, &d);
        *code = d.code;
        return st;
    }
    WICK_TRY(may_run(a, p, &yes, err));
    if (!yes) return WICK_OK;
    const char *argv[] = {shell, "-c", cmd, NULL};
    *ran = true;
    return wick_sh_spawn(argv, code, err);
}
