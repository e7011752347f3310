/* grammar/grammar_int.h - a compiled grammar and its automaton, as grammar.c makes it and mask.c and matcher.c run
 * it. */
#pragma once
#include "base/thread.h"
#include "grammar/calls.h"
#include "grammar/cfg.h"
#include "grammar/grammar.h"
#include "grammar/js.h"
#include "grammar/vocab.h"

typedef enum wick_machine { MACHINE_JSON, MACHINE_RE, MACHINE_CFG, MACHINE_CALLS } wick_machine;

typedef union wick_gstate {
    wick_js js; /* also that of `calls`, which begins with it */
    wick_calls_state calls;
    uint32_t id; /* of an automaton's state, of a set of items */
} wick_gstate;

typedef struct wick_gcache_entry {
    wick_calls_state key; /* marks are 0 */
    uint64_t *bits;       /* or NULL, and then the tokens that are set: */
    uint32_t *list;
    uint32_t n;
} wick_gcache_entry;

enum { WICK_GCACHE_SLOTS = 1024 };

struct wick_grammar {
    uint32_t refs;
    wick_grammar_kind kind;
    wick_grammar_options o;
    char *text; /* that it was compiled from */
    size_t n_text;
    wick_lock lock;
    wick_re_pool re;
    wick_f_pool f;
    wick_js_pool js;
    wick_cfg cfg;
    wick_calls calls;
    bool has_f, has_js, has_cfg, has_calls;
    wick_machine machine;
    wick_gstate start;
    wick_buf warnings;
    /* masks by state, for one vocabulary at a time */
    wick_gvocab *vocab;
    wick_gcache_entry *cache; /* [WICK_GCACHE_SLOTS] */
    uint64_t hits, misses;
};

/* Everything below is called with the lock held. text[0..at) is the text so far; for calls it is the JSON of the
 * call that the state is in, which the machine writes itself. */
bool wick_g_step(wick_grammar *g, const wick_gstate *s, uint8_t byte, char *text, uint32_t at, wick_gstate *out);
/* A token that is no text, such as <|tool_call|>, where calls are written with it. */
bool wick_g_step_control(wick_grammar *g, const wick_gstate *s, wick_str token, char *text, wick_gstate *out);
bool wick_g_may_end(wick_grammar *g, const wick_gstate *s);
/* The end token is the text's last mark (<|call|>). */
bool wick_g_end_closes(wick_grammar *g, const wick_gvocab *v, const wick_gstate *s, char *text);
/* text has room for the longest token after text[0..at). first: no token came yet. */
wick_status wick_g_mask(wick_grammar *g, wick_gvocab *v, const wick_gstate *s, char *text, uint32_t at, bool first,
                        uint64_t *bits, wick_err *err) WICK_MUST_CHECK;
void wick_g_forget(wick_grammar *g); /* empties the cache */
