/* capi/capi_int.h - what the files of the C API share. Every public function ends in wick_capi_result, which keeps the
 * error for wick_last_error. */
#pragma once
#include "base/buf.h"
#include "chat/answer.h"
#include "chat/chat.h"
#include "chat/options.h"
#include "chat/prompt.h"
#include "engine/constrain.h"
#include "toolbox/toolbox.h"
#include "wick/wick.h"

struct wick_llm {
    wick_engine *engine;
    wick_chat *chat;       /* of engine; closed first */
    wick_toolset *tools;   /* that run; NULL: none */
    wick_toolbox *toolbox; /* where some of them come from, or NULL; closed after them */
};

/* Stores *err as the thread's last error if st is one; copies it to the caller's, which may be NULL. Returns st. */
wick_status wick_capi_result(wick_status st, const wick_err *err, wick_error *out);

/* The caller's options (NULL: defaults), whatever size of struct it knows, as the engine's. `bias` holds the converted
 * biases and must be freed by the caller with wick_free. */
wick_status wick_capi_options(const wick_llm *llm, const wick_generate_options *options, wick_generate_options *full,
                              wick_request_opts *o, wick_logit_bias **bias, wick_err *err);
/* How the answer to a conversation is read. */
typedef struct wick_capi_reading {
    wick_answer *answer; /* free with wick_answer_free */
    bool show_special;   /* the engine must show control tokens: tags are some */
    bool calls;          /* the answer may call tools */
    const char *after;   /* the answer begins inside of reasoning, which ends with this; NULL: it does not */
} wick_capi_reading;
/* For the answer to prompt; tools may be NULL. */
wick_status wick_capi_reading_new(const wick_llm *llm, const wick_chat_prompt *prompt, json_t *tools,
                                  wick_capi_reading *out, wick_err *err);
/* The caller's grammar (NULL: none, and *out is NULL) for a request; free *out once the request is made. */
wick_status wick_capi_hold(const wick_llm *llm, wick_grammar *g, const wick_capi_reading *how,
                           wick_engine_grammar **out, wick_err *err);
/* Reasoning and calls of a finished answer (NULL: none) into *out, which holds the rest already. */
wick_status wick_capi_fill_answer(wick_result *out, const wick_answer *answer, wick_err *err);
/* Runs a request of `ids`, streams and collects. how NULL: the text is taken as it comes. */
wick_status wick_capi_run(wick_llm *llm, const int32_t *ids, size_t n_ids, const wick_generate_options *options,
                          const wick_capi_reading *how, wick_token_callback callback, void *user, wick_result *out,
                          wick_err *err);
/* "" or NULL-safe: text and length as the API takes them. */
size_t wick_capi_length(const char *text, size_t n);
/* The tools of a builder: adds one; copies them, with those of the file (NULL: none), to a model. */
wick_status wick_capi_tool_add(wick_toolset **tools, const char *name, const char *description, const char *schema,
                               wick_tool_function fn, void *user, wick_err *err);
wick_status wick_capi_tools_open(wick_llm *llm, const wick_toolset *own, const char *file, wick_err *err);
void wick_capi_tools_close(wick_llm *llm);
/* One answer to messages; the JSON of `tools` stands in for options->tools_json where it is not NULL. */
typedef wick_status (*wick_capi_turn)(wick_llm *llm, const json_t *messages, const wick_generate_options *options,
                                      wick_token_callback callback, void *user, wick_result *out, wick_err *err);
/* Do the model's tools run for such a request? */
bool wick_capi_tools_run(const wick_llm *llm, const wick_generate_options *options);
/* The tool loop around turn: the result is the last answer's. */
wick_status wick_capi_loop(wick_llm *llm, const json_t *messages, const wick_generate_options *options,
                           wick_capi_turn turn, wick_token_callback callback, void *user, wick_result *out,
                           wick_err *err);
