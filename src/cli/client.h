/* cli/client.h - the HTTP side of the client commands: requests to a Wick (or any OpenAI) server through libcurl. */
#pragma once
#include <jansson.h>
#include "cli/opt.h"

extern const wick_opt_group wick_opts_client; /* --url, --api-key-file, --model */

/* One request; body may be NULL. *out: the JSON of the answer, or a string if it is none. An answer of 400 and above is
 * an error that says what the server said. */
wick_status wick_client_call(const wick_args *a, const char *method, const char *path, const json_t *body, json_t **out,
                             wick_err *err) WICK_MUST_CHECK;
/* A streamed request: fn gets the JSON of each event. Ctrl-C ends it early, without an error. */
wick_status wick_client_stream(const wick_args *a, const char *path, const json_t *body,
                               void (*fn)(void *ctx, const json_t *event), void *ctx, wick_err *err) WICK_MUST_CHECK;
/* The server that the options name, or the default one. */
const char *wick_client_url(const wick_args *a);
