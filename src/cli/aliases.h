/* cli/aliases.h - what users of other programs type: their names of options and commands, and what Wick says to them.
 * Tables only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

/* The name that Wick has for an option of another program ("temperature" -> "temp"); NULL: none. */
const char *wick_alias_option(const char *name, size_t n);
/* "-ngl", "-hf", "-cnv": several letters behind one dash. The long name they stand for; NULL: none. */
const char *wick_alias_dashed(const char *arg);

typedef struct wick_ignored_option {
    const char *name; /* without dashes */
    bool takes_value;
    const char *why; /* what happens instead */
} wick_ignored_option;
/* Options of other programs that are accepted and do nothing here; NULL: none. */
const wick_ignored_option *wick_ignored_find(const char *name, size_t n);

/* A command that Wick calls otherwise ("ls" -> "list"); NULL: none. */
const char *wick_alias_command(const char *name);
/* What to do instead of a command that Wick has not; NULL: nothing is known. */
const char *wick_foreign_command(const char *name);
/* All aliases of commands, for "did you mean"; ends with NULL. */
const char *wick_alias_command_at(size_t i);
