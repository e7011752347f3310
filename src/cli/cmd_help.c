/* cli/cmd_help.c - `wick help [COMMAND]`, and the man pages and completions that `make install` puts in place. */
#include <stdio.h>
#include "cli/commands.h"

static wick_status run_help(const wick_args *a, wick_err *err)
{
    const wick_command *c = NULL;
    if (a->n_operands) {
        c = wick_command_find(a->operand[0]);
        const char *near = c ? NULL : wick_command_nearest(a->operand[0]);
        if (near)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, a->operand[0], "unknown command \"%s\": did you mean \"%s\"?",
                             a->operand[0], near);
        if (!c)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, a->operand[0], "unknown command \"%s\": wick help lists them",
                             a->operand[0]);
    }
    if (a->man)
        wick_help_man(stdout, c);
    else if (c)
        wick_help_command(stdout, c);
    else
        wick_help_overview(stdout);
    return WICK_OK;
}

static const wick_opt opts[] = {
    {"man", 0, WICK_OPT_FLAG, NULL, "print a man page (troff)", offsetof(wick_args, man), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, 1};

const wick_command wick_cmd_help = {
    .name = "help",
    .operands = "[COMMAND]",
    .max_operands = 1,
    .summary = "this overview, or a command's help",
    .examples = "wick help bench\tthe same as wick bench --help\nwick help bench --man | man -l -\tas a man page",
    .group = {&group, &wick_opts_common},
    .run = run_help,
};

static wick_status run_completions(const wick_args *a, wick_err *err)
{
    return wick_help_completion(stdout, a->operand[0], err);
}

const wick_command wick_cmd_completions = {
    .name = "completions",
    .operands = "bash|zsh|fish",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "print a completion script for a shell",
    .about = "Commands, options, and the values of options that have a fixed choice. `make install` puts the scripts "
             "in place.",
    .examples = "source <(wick completions bash)\tin this shell\nwick completions fish > "
                "~/.config/fish/completions/wick.fish\tfor good",
    .group = {&wick_opts_common},
    .run = run_completions,
};
