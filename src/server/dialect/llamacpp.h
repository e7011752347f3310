/* server/dialect/llamacpp.h - llama.cpp's extras that other files write too: timings and progress. */
#pragma once
#include "server/dialect/dialect.h"
#include "server/gen.h"

extern const wick_dialect wick_dialect_llamacpp;

/* What llama.cpp's routes do with messages beyond OpenAI's: its variables of the template, and a last message of the
 * assistant is continued. */
wick_status wick_llama_messages(wick_params *p, wick_err *err) WICK_MUST_CHECK;
/* `,"timings":{...}` of a choice, running or ended. Rates count the steps that were decoded: the first token comes
 * with the
 * prompt. */
void wick_llama_timings(const wick_choice *c, wick_buf *b);
/* `,"prompt_progress":{...}` */
void wick_llama_progress(wick_choice *c, const wick_event *ev, wick_buf *b);
/* Switches off what a list of samplers leaves out; NULL: nothing. */
void wick_llama_samplers(const json_t *list, wick_sampling *s);
/* A list of token ids, texts and objects with a text, as llama.cpp takes prompts. *ids are the caller's (wick_free). */
wick_status wick_llama_prompt_item(const wick_engine *e, const json_t *v, const char *name, unsigned flags,
                                   int32_t **ids, size_t *n_ids, wick_err *err) WICK_MUST_CHECK;
/* The i-th prompt of v. */
const json_t *wick_llama_prompt_at(const json_t *v, uint32_t i);
/* How many prompts v is: a list is one where its first element is a token id. */
wick_status wick_llama_prompt_count(const json_t *v, const char *name, uint64_t limit, uint32_t *n,
                                    wick_err *err) WICK_MUST_CHECK;
