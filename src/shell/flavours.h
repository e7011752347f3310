/* shell/flavours.h - what a command needs beyond POSIX, and how a shell that is not POSIX is given it. */
#pragma once
#include "base/alloc.h"

typedef enum wick_sh_shell { WICK_SH_POSIX, WICK_SH_BASH, WICK_SH_ZSH, WICK_SH_FISH } wick_sh_shell;
wick_sh_shell wick_sh_shell_of(const char *name); /* NULL and other words: POSIX */

/* What of the command a plain sh does not have ("[[ ]]"), static; NULL: nothing, or it does not parse. */
const char *wick_sh_beyond_posix(wick_arena *a, const char *cmd);
/* The command as that shell reads it: for fish, what it does not have is handed to sh -c. NULL without memory. */
const char *wick_sh_for_shell(wick_arena *a, const char *cmd, wick_sh_shell shell);
/* text as one word in single quotes. NULL without memory. */
const char *wick_sh_quote(wick_arena *a, const char *text);
