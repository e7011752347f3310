/* shell/doubt.h - what speaks against a command as the answer to a request, found without running it.
 *
 * A model that guesses gives itself away: its command does not parse, calls a program or an option that does not exist,
 * leaves out a name that the request gives, or brings in one of its own. Each finding costs points, in the unit of log
 * probabilities, so that candidates are compared by their probability less the cost of what speaks against them. */
#pragma once
#include "shell/prompt.h"

/* What may be asked about this machine. */
typedef struct wick_sh_world {
    bool (*has_program)(void *ctx, const char *name); /* NULL: not asked */
    bool (*has_file)(void *ctx, const char *path);    /* NULL: the folder is not looked at */
    void *ctx;
    bool gnu;   /* the programs are those of flags.h */
    bool posix; /* the command should do without what bash adds */
} wick_sh_world;

enum { WICK_SH_MAX_DOUBTS = 8 };
typedef struct wick_sh_doubts {
    float cost;
    unsigned n;
    const char *text[WICK_SH_MAX_DOUBTS]; /* "no program frobnicate on this machine", in the arena */
    unsigned n_lost, n_new;               /* names of the request that are missing; files that come from nowhere */
    const char *lost, *new_name;          /* the first of each */
} wick_sh_doubts;

/* Which checks to make; all of them for a user, fewer to measure what each is worth. */
enum {
    WICK_SH_CHECK_PARSE = 1,
    WICK_SH_CHECK_PROGRAMS = 2,
    WICK_SH_CHECK_OPTIONS = 4,
    WICK_SH_CHECK_NAMES = 8,
    WICK_SH_CHECK_ALL = 15
};

/* Judges cmd as the answer to the request. Fails only for want of memory. */
wick_status wick_sh_doubt(wick_arena *a, const char *request, const char *cmd, const wick_sh_world *world,
                          unsigned checks, wick_sh_doubts *out, wick_err *err) WICK_MUST_CHECK;

/* A model may misspell a name that it should have copied. Where exactly one name of the request is missing and exactly
 * one file comes from nowhere, this is the command with the one in place of the other; else NULL. */
const char *wick_sh_repair(wick_arena *a, const char *cmd, const wick_sh_doubts *d);

typedef struct wick_sh_candidate {
    wick_sh_answer answer;
    float logprob;  /* of the whole answer, the best of those that gave this command */
    unsigned votes; /* how many of the samples gave this command */
    wick_sh_doubts doubts;
    float score;
} wick_sh_candidate;

/* Joins those with the same command, judges each, adds a repaired one where there is room (of `room` in c), and puts
 * the best first; the order of equals stays. Returns how many there are then, and 0 without memory. */
size_t wick_sh_rank(wick_arena *a, const char *request, wick_sh_candidate *c, size_t n, size_t room,
                    const wick_sh_world *world, unsigned checks);
