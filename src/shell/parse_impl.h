/* shell/parse_impl.h - what the two halves of the parser share: lex.c reads words, parse.c reads commands. */
#pragma once
#include "shell/parse.h"

typedef struct wick_sh_pending {
    wick_sh_redir *redir;
    wick_str delim;
    bool strip;
    struct wick_sh_pending *next;
} wick_sh_pending;

typedef struct wick_sh_parser {
    wick_arena *a;
    const char *s;
    size_t n, i;
    unsigned depth;
    wick_sh_pending *pending, *last_pending; /* here-documents whose bodies begin after the next newline */
    const char *fail;                        /* first error, or NULL */
    size_t fail_at;
} wick_sh_parser;

static inline int wick_sh_peek(const wick_sh_parser *p, size_t ahead)
{
    return p->i + ahead < p->n ? (unsigned char)p->s[p->i + ahead] : -1;
}
static inline bool wick_sh_meta(int c)
{
    return c < 0 || c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '&' || c == '|' || c == '<' || c == '>' ||
           c == '(' || c == ')';
}
bool wick_sh_fail(wick_sh_parser *p, const char *what); /* remembers the first error; returns false */
void wick_sh_blanks(wick_sh_parser *p);                 /* blanks, line continuations and comments */
bool wick_sh_newline(wick_sh_parser *p);                /* at '\n': passes it and reads the pending here-documents */
wick_sh_word *wick_sh_read_word(wick_sh_parser *p);     /* at the first byte of a word; NULL after an error */
wick_sh_word *wick_sh_read_arith(wick_sh_parser *p);    /* at "((": NULL without an error where it is two parentheses */
wick_sh_node *wick_sh_read_list(wick_sh_parser *p, const char *ends); /* in parse.c; ends: ")" or "" */
