/* shell/explain.h - what a command does, in words that come from its parse and from tables, never from a model. */
#pragma once
#include "base/alloc.h"

/* One line for each program of the command: "find: looks for files; -type: of this type; ...". A program that is in no
 * table is named. The arena owns the text; NULL without memory. */
const char *wick_sh_explain(wick_arena *a, const char *cmd, size_t n);
