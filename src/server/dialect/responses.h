/* server/dialect/responses.h - OpenAI's Responses: what its files share. */
#pragma once
#include "server/dialect/dialect.h"
#include "server/gen.h"

extern const wick_dialect wick_dialect_responses;

/* The owner of what x stores: a text that is made of its key's secret, "" where there are no keys. */
const char *wick_responses_owner(const wick_exchange *x);
/* A request of the exchange x that has an input: p gets it as OpenAI's messages, which p keeps, with those of the
 * responses before it. *input: the request's own items as an array, a new reference. */
wick_status wick_responses_messages(const wick_exchange *x, wick_params *p, json_t **input,
                                    wick_err *err) WICK_MUST_CHECK;
