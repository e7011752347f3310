/* server/dialect/anthropic.h - Anthropic's Messages API. */
#pragma once
#include "server/dialect/dialect.h"

/* p has a request of Anthropic's: its messages and its system prompt become OpenAI's, kept by p. */
wick_status wick_anthropic_messages(wick_params *p, const wick_server_limits *l, wick_err *err) WICK_MUST_CHECK;
extern const wick_dialect wick_dialect_anthropic;
