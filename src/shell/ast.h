/* shell/ast.h - a shell command as a tree: what the parser makes and the safety walk reads.
 *
 * The tree lives in one arena and borrows the text that was parsed. Only what decides which program runs with which
 * words is kept: a word is a list of parts, so that quotes and expansions stay apart from plain text. Invariants:
 * (1) every pointer lives as long as the arena and the parsed text; (2) `raw` slices are exactly the user's bytes
 * (or bytes of a decoded copy, for backquotes); (3) the depth of a tree is at most WICK_SH_MAX_DEPTH.
 */
#pragma once
#include <stdbool.h>
#include "base/str.h"

enum { WICK_SH_MAX_DEPTH = 60, WICK_SH_MAX_TEXT = 1 << 20 };

typedef enum wick_sh_part_kind {
    WICK_SH_TEXT,   /* plain bytes, decoded; `quoted` says whether globs and blanks in it are data */
    WICK_SH_PARAM,  /* $name ${name...}; text is the name, op what follows it, arg the word of the operator */
    WICK_SH_SUBST,  /* $(...) or backquotes: tree */
    WICK_SH_ARITH,  /* $((...)): kid holds the substitutions inside */
    WICK_SH_PROCESS /* <(...) or >(...): tree; op is "<" or ">" */
} wick_sh_part_kind;

typedef struct wick_sh_part {
    wick_sh_part_kind kind;
    bool quoted;
    wick_str text, op;
    struct wick_sh_word *arg;  /* PARAM with an operator, ARITH: the parts inside; else NULL */
    struct wick_sh_node *tree; /* SUBST, PROCESS; NULL for an empty one */
    struct wick_sh_part *next;
} wick_sh_part;

typedef struct wick_sh_word {
    wick_str raw;
    wick_sh_part *first, *last;
    struct wick_sh_word *next;
} wick_sh_word;

typedef struct wick_sh_redir {
    wick_str op;          /* "<" ">" ">>" "<<" "<<-" "<<<" "<>" ">|" ">&" "<&" "&>" "&>>" */
    int fd;               /* as written, or -1 */
    wick_sh_word *target; /* the file, the descriptor, or the delimiter of a here-document */
    wick_sh_word *body;   /* of a here-document */
    bool raw_body;        /* the delimiter was quoted: no expansions */
    struct wick_sh_redir *next;
} wick_sh_redir;

typedef enum wick_sh_kind {
    WICK_SH_SIMPLE, /* assign, word, redir */
    WICK_SH_PIPE,   /* kids joined by | */
    WICK_SH_LIST,   /* kids joined by ; & && || or a newline; also the body of a group or a compound command */
    WICK_SH_SUBSHELL,
    WICK_SH_IF,
    WICK_SH_LOOP, /* while, until */
    WICK_SH_FOR,  /* word: the name, then the values */
    WICK_SH_CASE, /* word: the subject; kids: the branches */
    WICK_SH_FUNCTION,
    WICK_SH_TEST /* [[ ]] and (( )): words only, for the substitutions in them */
} wick_sh_kind;

typedef struct wick_sh_node {
    wick_sh_kind kind;
    wick_str raw;
    bool background; /* ended by & */
    bool negated;
    wick_sh_word *word, *last_word, *assign, *last_assign;
    wick_sh_redir *redir, *last_redir;
    struct wick_sh_node *kid, *last_kid, *next;
} wick_sh_node;
