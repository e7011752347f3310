/* cli/main.c - finds the command, parses, runs it, and turns its status into a line and an exit code. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include "cli/aliases.h"
#include "cli/opt.h"
#include "cli/session.h"
#include "cli/term.h"

static bool json_asked(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--json") == 0) return true;
    return false;
}

/* What to do about a failure of each kind, where the message itself does not say more. */
static const char *remedy_of(wick_status st)
{
    switch (st) {
    case WICK_E_BAD_PARAMETER: return "wick COMMAND --help lists options and operands";
    case WICK_E_MODEL_NOT_FOUND: return "wick list shows the models that are here, wick pull ORG/NAME downloads one";
    case WICK_E_UNSUPPORTED_FORMAT: return "docs/MODELS.md lists the formats and families that Wick reads";
    case WICK_E_BAD_FILE: return "download or convert the file again";
    case WICK_E_DEVICE_NOT_AVAILABLE: return "wick doctor shows what this machine has";
    case WICK_E_TOKENIZER_MISMATCH: return "use the tokenizer that came with these weights";
    case WICK_E_OUT_OF_MEMORY: return "a smaller model or quantization, or a smaller --ctx";
    case WICK_E_IO: return "check the path, the disk and the connection";
    case WICK_E_CANCELLED: return "run it again";
    case WICK_E_LIMIT: return "ask for less, or raise the limit that the message names";
    case WICK_E_TEMPLATE: return "give another template with --chat-template";
    case WICK_E_NUMERIC: return "try --precision exact; the weights may be damaged";
    case WICK_E_REFUSED: return "what the message asks for has to be allowed first";
    default: return "please report it";
    }
}

/* Standard error has the line; with --json standard output has the same as an object, on one line. */
static void report(wick_status st, const wick_err *err, bool json)
{
    const char *text = err->message[0] ? err->message : wick_status_name(st);
    json_t *o = json ? json_pack("{s:{s:s, s:s, s:s}}", "error", "kind", wick_status_name(st), "message", text,
                                 "remedy", remedy_of(st))
                     : NULL;
    fprintf(stderr, "wick: %s\n", text);
    if (o && wick_print_json(o, NULL) == WICK_OK) (void)fflush(stdout);
}

static int unknown_command(const char *name, bool json)
{
    wick_err err = {0};
    const char *hint = wick_foreign_command(name), *best = hint ? NULL : wick_command_nearest(name);
    wick_status st = hint   ? WICK_FAIL(&err, WICK_E_BAD_PARAMETER, name, "there is no command \"%s\": %s", name, hint)
                     : best ? WICK_FAIL(&err, WICK_E_BAD_PARAMETER, name,
                                        "unknown command \"%s\": did you mean \"wick %s\"?", name, best)
                            : WICK_FAIL(&err, WICK_E_BAD_PARAMETER, name,
                                        "unknown command \"%s\": wick --help lists the commands", name);
    report(st, &err, json);
    return (int)st;
}

static int run_command(const wick_command *c, int argc, char **argv)
{
    wick_args args;
    wick_err err = {0};
    const bool json = json_asked(argc, argv);
    wick_args_init(&args);
    wick_status st = wick_opt_parse(c, argc, argv, &args, &err);
    if (args.help) {
        wick_help_command(stdout, c);
        st = WICK_OK;
    } else if (st == WICK_OK) {
        wick_term_init(&args);
        for (uint32_t i = 0; i < args.n_ignored; i++)
            wick_notice("wick: %s does nothing here: %s", args.ignored[i].arg, args.ignored[i].why);
        st = c->run(&args, &err);
        wick_term_done();
    }
    wick_args_release(&args);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        if (st == WICK_OK) st = WICK_FAIL(&err, WICK_E_IO, "standard output", "standard output: write failed");
    }
    if (st != WICK_OK) report(st, &err, json);
    return st != WICK_OK ? (int)st : wick_exit_code();
}

/* `wick --isq Q4K mlx -m M`: options before the command are moved behind it. */
static void command_first(int argc, char **argv)
{
    if (argc < 3 || argv[1][0] != '-') return;
    for (int i = 2; i < argc; i++) {
        char *word = argv[i];
        if (!wick_command_find(word)) continue;
        memmove(argv + 2, argv + 1, (size_t)(i - 1) * sizeof *argv);
        argv[1] = word;
        return;
    }
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
    command_first(argc, argv);
    const char *alias = wick_alias_command(argv[1]);
    const wick_command *c = wick_command_find(alias ? alias : argv[1]);
    return c ? run_command(c, argc - 2, argv + 2) : unknown_command(argv[1], json_asked(argc, argv));
}
