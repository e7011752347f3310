/* shell/flags.h - which options programs have, from their manual pages (flags.def, made by
 * tools/shell_model/flags.py).
 *
 * The table is that of a GNU system. A program that is not in it has no row, and then nothing is said of its
 * options. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct wick_sh_program {
    const char *name;    /* "ls", "git log" */
    const char *letters; /* one-letter options; a colon after those that take a value */
    const char *words;   /* "exec name type": several letters after one dash */
    const char *names;   /* "all block-size:": after two dashes */
} wick_sh_program;

/* sub: the first operand, for programs with subcommands; may be NULL. NULL: not in the table. */
const wick_sh_program *wick_sh_program_find(const char *name, const char *sub);

typedef enum wick_sh_option_is {
    WICK_SH_OPTION_KNOWN,
    WICK_SH_OPTION_TAKES_NEXT, /* known, and the next word is its value */
    WICK_SH_OPTION_UNKNOWN
} wick_sh_option_is;
/* word begins with '-' and is longer than that; "--" is known. */
wick_sh_option_is wick_sh_option_look(const wick_sh_program *p, const char *word);
