/* cli/session.h - what several commands do with a model: open it as the options say, run a request, show figures. */
#pragma once
#include <jansson.h>
#include "base/json.h"
#include "chat/answer.h"
#include "cli/args.h"
#include "engine/engine.h"
#include "hub/discover.h"

void wick_discover_opts_from(wick_discover_opts *o, const wick_args *a);
/* args to engine options; strings are borrowed from `a`. */
wick_status wick_engine_opts_from(wick_engine_opts *o, const wick_args *a, wick_err *err) WICK_MUST_CHECK;
/* Resolves a->operand[0] and opens it. */
wick_status wick_session_open(wick_engine **e, const wick_args *a, bool no_tokenizer, wick_err *err) WICK_MUST_CHECK;
/* Sampling from the options; what was not given comes from the model's generation_config. Free s->bias with
 * wick_free. */
wick_status wick_sampling_from(wick_sampling *s, const wick_args *a, const wick_engine *e,
                               wick_err *err) WICK_MUST_CHECK;

typedef struct wick_reply {
    wick_buf text, reasoning;
    json_t *tokens;   /* array of ids */
    json_t *logprobs; /* array of objects, or NULL */
    json_t *calls;    /* OpenAI's tool_calls of an answer that was read with tools, or NULL */
    wick_finish finish;
    char stop_string[64];
    wick_usage usage;
} wick_reply;

void wick_reply_init(wick_reply *r);
void wick_reply_release(wick_reply *r);
/* Runs one GENERATE request over the prompt ids; streams to standard output if `stream`: reasoning goes to standard
 * error then. how: the answer is read with it (it is to a conversation); NULL: its text is taken as it comes. Ctrl-C
 * cancels it (finish says so; not an error). */
wick_status wick_session_generate(wick_engine *e, const wick_args *a, const int32_t *ids, size_t n,
                                  const wick_answer_opts *how, bool stream, wick_reply *r,
                                  wick_err *err) WICK_MUST_CHECK;
/* "backend=cpu model=x prompt N tok X tok/s, decode M tok Y tok/s, first token Z ms" */
void wick_reply_figures(const wick_engine *e, const wick_usage *u, char *dst, size_t cap);
json_t *wick_reply_json(const wick_engine *e, const wick_reply *r);
const char *wick_finish_name(wick_finish f); /* "stop", "length", "cancelled", "error" */
/* Tokens of a text as the model reads it: with bos where the tokenizer adds it. Fails where the model has no
 * tokenizer. */
wick_status wick_session_encode(wick_engine *e, const char *text, size_t n, unsigned flags, int32_t **ids,
                                size_t *n_ids, wick_err *err) WICK_MUST_CHECK;

/* "1,17,203" or "[1, 17]" -> ids; caller wick_free()s. */
wick_status wick_parse_ids(const char *s, const char *option, int32_t **ids, size_t *n, wick_err *err) WICK_MUST_CHECK;
/* All of standard input, at most 64 MiB. */
wick_status wick_read_stdin(char **text, size_t *n, wick_err *err) WICK_MUST_CHECK;
/* Prints one line of JSON and frees it. */
wick_status wick_print_json(json_t *v, wick_err *err) WICK_MUST_CHECK;
/* A JSON number as short as it reads back the same float. */
json_t *wick_json_float(float x);
