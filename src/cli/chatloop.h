/* cli/chatloop.h - the interactive chat of `wick run` : line editing, history, slash commands. */
#pragma once
#include <jansson.h>
#include "cli/args.h"
#include "engine/engine.h"

/* Answers the messages (an array that ends with a user message), streams, and appends the assistant's message. */
typedef wick_status (*wick_turn_fn)(void *ctx, json_t *messages, wick_err *err);
/* Until end of input or /quit. Errors of a turn are shown and the chat goes on. */
wick_status wick_chat_loop(const wick_args *a, json_t *messages, wick_turn_fn turn, void *ctx,
                           wick_err *err) WICK_MUST_CHECK;
