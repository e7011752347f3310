/* shell/parse.h - shell text to a tree. The grammar is POSIX with what bash adds and people use: [[ ]], (( )), <( ),
 * here-strings, arrays, |&, &>, `function`, select, ;;& and ;&. */
#pragma once
#include "base/alloc.h"
#include "shell/ast.h"

/* Parses text[0..n). *out is NULL for nothing but blanks and comments. WICK_E_BAD_PARAMETER with the place and what was
 * expected where a shell would refuse the text, too. The tree borrows `text` and lives in `a`. */
wick_status wick_sh_parse(wick_arena *a, const char *text, size_t n, wick_sh_node **out, wick_err *err) WICK_MUST_CHECK;
