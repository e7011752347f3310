/* shell/walk.h - the state of one safety walk, shared by safety.c (the walk), expand.c (words to fields), paths.c
 * (what a path is), rules.c (what programs do) and rules_run.c (programs that run programs). */
#pragma once
#include "shell/ast.h"
#include "shell/safety.h"

/* In a field's text this byte stands for an expansion whose value is not known. */
enum { WICK_SH_UNKNOWN = 1 };

typedef struct wick_sh_field {
    const char *text; /* what the program gets, NUL-terminated; '~' stands for $HOME */
    bool unknown;     /* has WICK_SH_UNKNOWN */
    bool glob;        /* has an unquoted * ? or [ */
    const wick_sh_word *word;
} wick_sh_field;

typedef struct wick_sh_fields {
    wick_sh_field *item;
    size_t n, cap;
} wick_sh_fields;

typedef struct wick_sh_var {
    const char *name, *value;
    struct wick_sh_var *next;
} wick_sh_var;

/* Where a command's standard input comes from. */
typedef enum wick_sh_source_kind {
    WICK_SH_FROM_NONE,
    WICK_SH_FROM_TEXT,
    WICK_SH_FROM_LOCAL,
    WICK_SH_FROM_DECODED,
    WICK_SH_FROM_NET
} wick_sh_source_kind;
typedef struct wick_sh_source {
    wick_sh_source_kind kind;
    const char *text; /* FROM_TEXT: all of it */
} wick_sh_source;

typedef struct wick_sh_walk {
    wick_arena *a;
    wick_sh_report *report;
    wick_sh_var *vars;
    const char *cwd; /* after a cd with a known folder; NULL: where the user is */
    wick_str here;   /* the words that a finding of this moment names */
    bool root;       /* under sudo */
    bool each_file;  /* inside find -exec or xargs: the files come from elsewhere */
    unsigned depth, steps;
} wick_sh_walk;

void wick_sh_find(wick_sh_walk *w, wick_sh_level level, const char *reason); /* records a finding */
void wick_sh_walk_node(wick_sh_walk *w, const wick_sh_node *c, wick_sh_source in);
/* Parses text and walks it as code that runs here; text that does not parse is a finding. */
void wick_sh_walk_text(wick_sh_walk *w, const char *text, wick_sh_source in);
/* One program with its words: f[0] is its name. */
void wick_sh_run(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in);
/* What the node writes to standard output, where that follows from its words (echo, printf, a here-document, base64 -d
 * of such); else NULL. */
const char *wick_sh_output(wick_sh_walk *w, const wick_sh_node *c, const char *in);
/* Does the tree call a program that fetches from the network, or one that decodes? */
bool wick_sh_fetches(const wick_sh_node *c);
bool wick_sh_decodes(const wick_sh_node *c);

bool wick_sh_expand(wick_sh_walk *w, const wick_sh_word *word, wick_sh_fields *out); /* appends; false: no memory */
const char *wick_sh_value(wick_sh_walk *w, const wick_sh_word *word);                /* unsplit, as in an assignment */
const char *wick_sh_lookup(const wick_sh_walk *w, const char *name);                 /* NULL: not known */
void wick_sh_assign(wick_sh_walk *w, const char *name, const char *value);

typedef enum wick_sh_place {
    WICK_SH_PLAIN,
    WICK_SH_HERE,    /* ".", "*", "..": all of the folder the user is in */
    WICK_SH_MAYBE,   /* begins with something unknown: $x/..., which is / if x is empty */
    WICK_SH_SYSTEM,  /* below a folder of the system */
    WICK_SH_DOTFILE, /* start-up files and keys in the home folder */
    WICK_SH_HOME,    /* the whole home folder */
    WICK_SH_VITAL,   /* the root, a whole system folder, or a file without which nothing works */
    WICK_SH_DEVICE   /* a disk, memory */
} wick_sh_place;
wick_sh_place wick_sh_where(const wick_sh_walk *w, const wick_sh_field *f);
bool wick_sh_secret(const char *path);                                       /* private keys, password files */
bool wick_sh_harmless_file(const char *path);                                /* /dev/null and the like */
const char *wick_sh_base(const char *path);                                  /* after the last slash */
const char *wick_sh_join(wick_sh_walk *w, const wick_sh_field *f, size_t n); /* words joined by blanks */
/* A program is given text to run: sh -c, eval, ... `in` is what it reads. */
void wick_sh_write_to(wick_sh_walk *w, const wick_sh_field *f, bool append);
void wick_sh_code(wick_sh_walk *w, const char *language, const char *text);
/* rules_run.c: true if the program was one that runs others. */
bool wick_sh_run_wrapper(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in);
/* rules.c */
void wick_sh_run_program(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in);
bool wick_sh_among(const char *name, const char *list); /* is it a word of "a b c"? */
bool wick_sh_has_flag(const wick_sh_field *f, size_t n, char letter, const char *name);
