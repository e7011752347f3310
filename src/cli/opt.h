/* cli/opt.h - commands and their options as tables; parsing, help, man pages and completions all come from them.
 *
 * An option writes one field of wick_args (`offset`), so a command sees plain values. The environment is read here and
 * nowhere else in Wick. Numbers are checked against [lo, hi], words against `choices`.
 */
#pragma once
#include <stddef.h>
#include <stdio.h>
#include "base/status.h"
#include "cli/args.h"

typedef enum wick_opt_kind {
    WICK_OPT_FLAG,
    WICK_OPT_STR,
    WICK_OPT_U32,
    WICK_OPT_I64,
    WICK_OPT_F32,
    WICK_OPT_BYTES,
    WICK_OPT_LIST
} wick_opt_kind;

typedef struct wick_opt {
    const char *name; /* without "--" */
    char letter;      /* 0: none */
    wick_opt_kind kind;
    const char *arg;     /* what help calls the value: "N", "FILE" */
    const char *help;    /* one line; the default is said here */
    size_t offset;       /* into wick_args */
    double lo, hi;       /* numbers; both 0: any */
    const char *choices; /* "a|b|c" or NULL */
    const char *env;     /* variable that gives the value when the option is absent, or NULL */
    size_t seen_offset;  /* of a bool in wick_args that becomes true when given; 0: none */
} wick_opt;

typedef struct wick_opt_group {
    const char *title; /* "Sampling" */
    const wick_opt *opt;
    size_t n;
} wick_opt_group;

enum { WICK_MAX_GROUPS = 8 };

typedef struct wick_command {
    const char *name;
    const char *operands; /* "MODEL [PROMPT]" */
    uint32_t min_operands, max_operands;
    const char *summary;  /* one line */
    const char *about;    /* a paragraph or two for --help and the man page */
    const char *examples; /* lines "command\tcomment" */
    const wick_opt_group *group[WICK_MAX_GROUPS];
    const char *settings; /* a file of options in $XDG_CONFIG_HOME/wick, one "name value" a line; NULL: none */
    wick_status (*run)(const wick_args *a, wick_err *err);
} wick_command;

extern const wick_command *const wick_commands[]; /* NULL-terminated, in the order of help */
const wick_command *wick_command_find(const char *name);
const char *wick_command_nearest(const char *name); /* for "did you mean"; NULL: nothing like it */

/* Groups that several commands share. */
extern const wick_opt_group wick_opts_common;   /* --json, --verbose, --quiet, --help */
extern const wick_opt_group wick_opts_model;    /* backend, device, threads, precision, context, KV */
extern const wick_opt_group wick_opts_cache;    /* of packed weights */
extern const wick_opt_group wick_opts_sampling; /* all of chat/sampling.def; stop, max tokens, logprobs */
extern const wick_opt_group wick_opts_form;     /* --schema, --regex, --grammar, --lark, --choices */
extern const wick_opt_group wick_opts_sampler;  /* chat/sampling.def alone */

void wick_args_init(wick_args *a); /* defaults */
void wick_environment_read(wick_args *a);
/* Where Wick keeps what it writes for this user; it may not be there yet. NULL: no home. Caller wick_free()s. */
char *wick_state_folder(const wick_args *a);
void wick_args_release(wick_args *a);
/* Parses argv after the command's name. WICK_E_BAD_PARAMETER names the option and the remedy. --help sets a->help. */
wick_status wick_opt_parse(const wick_command *c, int argc, char **argv, wick_args *a, wick_err *err) WICK_MUST_CHECK;

/* Sets one option of the groups "Sampling" and "Request" by its name, for /set in a chat. */
wick_status wick_opt_set_sampling(const wick_command *c, wick_args *a, const char *name, const char *value,
                                  wick_err *err) WICK_MUST_CHECK;
/* Those of these options that were given, one a line: "temp         0.2". */
void wick_opt_print_given(const wick_command *c, const wick_args *a);

void wick_help_overview(FILE *out);
void wick_help_command(FILE *out, const wick_command *c);
void wick_help_man(FILE *out, const wick_command *c); /* NULL: wick(1) itself */
wick_status wick_help_completion(FILE *out, const char *shell, wick_err *err) WICK_MUST_CHECK;
