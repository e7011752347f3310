/* engine/constrain.h - grammars as the engine's constraints: one trie of the vocabulary for each engine, compiled
 * grammars kept.
 *
 *   wick_engine_grammar_new(&g, engine, WICK_GRAMMAR_JSON_SCHEMA, text, n, "</think>", &err);
 *   opts.constraint = wick_engine_grammar_constraint(g);   ... wick_request_new ...   wick_engine_grammar_free(g);
 *
 * Any thread. A grammar asked for again is not compiled again. Nothing of it is needed once the requests are made.
 */
#pragma once
#include "engine/engine.h"
#include "grammar/grammar.h"

typedef struct wick_engine_grammar wick_engine_grammar;

/* after: the constraint begins behind the first place where the answer has this text (the end of reasoning), and until
 * then the answer is free and may not end; NULL: from its beginning. Errors as wick_grammar_compile;
 * WICK_E_BAD_PARAMETER where the model has no tokenizer. */
wick_status wick_engine_grammar_new(wick_engine_grammar **out, wick_engine *e, wick_grammar_kind kind, const char *text,
                                    size_t n, const char *after, wick_err *err) WICK_MUST_CHECK;
/* The same for one that is compiled already, with the options below; g stays the caller's. */
wick_status wick_engine_grammar_share(wick_engine_grammar **out, wick_engine *e, wick_grammar *g, const char *after,
                                      wick_err *err) WICK_MUST_CHECK;
wick_grammar_options wick_engine_grammar_options(void); /* that answers are held to grammars with */
void wick_engine_grammar_free(wick_engine_grammar *g);  /* NULL is fine */
const wick_constraint *wick_engine_grammar_constraint(const wick_engine_grammar *g);
