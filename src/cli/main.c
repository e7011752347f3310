/* cli/main.c - finds the command, parses, runs it, and turns its status into a line and an exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "cli/opt.h"
#include "cli/term.h"

static int unknown_command(const char *name)
{
    const char *best = wick_command_nearest(name);
    char shown[128];
    wick_escape_line(shown, sizeof shown, name, strlen(name));
    if (best)
        fprintf(stderr, "wick: unknown command \"%s\": did you mean \"wick %s\"?\n", shown, best);
    else
        fprintf(stderr, "wick: unknown command \"%s\": wick --help lists the commands\n", shown);
    return WICK_E_BAD_PARAMETER;
}

static int run_command(const wick_command *c, int argc, char **argv)
{
    wick_args args;
    wick_err err = {0};
    wick_args_init(&args);
    wick_status st = wick_opt_parse(c, argc, argv, &args, &err);
    if (args.help) {
        wick_help_command(stdout, c);
        st = WICK_OK;
    } else if (st == WICK_OK) {
        wick_term_init(&args);
        st = c->run(&args, &err);
        wick_term_done();
    }
    wick_args_release(&args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (st == WICK_OK) st = WICK_FAIL(&err, WICK_E_IO, "standard output", "standard output: write failed");
    }
    if (st != WICK_OK) fprintf(stderr, "wick: %s\n", err.message[0] ? err.message : wick_status_name(st));
    return st != WICK_OK ? (int)st : wick_exit_code();
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        wick_help_overview(stderr);
        return WICK_E_BAD_PARAMETER;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        wick_help_overview(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "version") == 0) {
        puts("wick " WICK_VERSION);
        return 0;
    }
    const wick_command *c = wick_command_find(argv[1]);
    return c ? run_command(c, argc - 2, argv + 2) : unknown_command(argv[1]);
}
