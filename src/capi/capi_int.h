/* capi/capi_int.h - what the files of the C API share. Every public function ends in wick_capi_result, which keeps the
 * error for wick_last_error. */
#pragma once
#include "base/buf.h"
#include "chat/chat.h"
#include "chat/options.h"
#include "wick/wick.h"

struct wick_llm {
    wick_engine *engine;
    wick_chat *chat; /* of engine; closed first */
};

/* Stores *err as the thread's last error if st is one; copies it to the caller's, which may be NULL. Returns st. */
wick_status wick_capi_result(wick_status st, const wick_err *err, wick_error *out);

/* The caller's options (NULL: defaults), whatever size of struct it knows, as the engine's. `bias` holds the converted
 * biases and must be freed by the caller with wick_free. */
wick_status wick_capi_options(const wick_llm *llm, const wick_generate_options *options, wick_generate_options *full,
                              wick_request_opts *o, wick_logit_bias **bias, wick_err *err);
/* Runs a request of `ids`, streams and collects. */
wick_status wick_capi_run(wick_llm *llm, const int32_t *ids, size_t n_ids, const wick_generate_options *options,
                          wick_token_callback callback, void *user, wick_result *out, wick_err *err);
/* "" or NULL-safe: text and length as the API takes them. */
size_t wick_capi_length(const char *text, size_t n);
