/* cli/chatloop.h - the interactive chat of `wick run` : line editing, history, slash commands. */
#pragma once
#include <jansson.h>
#include "cli/opt.h"
#include "engine/engine.h"

/* Answers the messages (an array that ends with a user message), streams, and appends the assistant's message. */
typedef wick_status (*wick_turn_fn)(void *ctx, json_t *messages, wick_err *err);
/* What /stats shows; called by the turn. */
void wick_chat_note_figures(const char *figures);
/* Until end of input or /quit. Errors of a turn are shown and the chat goes on. /set changes `a` by the options of `c`;
 * the conversation is kept for --continue after each turn. */
wick_status wick_chat_loop(wick_args *a, const wick_command *c, json_t *messages, wick_turn_fn turn, void *ctx,
                           wick_err *err) WICK_MUST_CHECK;

/* Lines from the user, for other loops: edited, with history in that file (NULL: kept nowhere), on a terminal; as they
 * come from a pipe. One at a time. The caller wick_free()s a line; NULL: the end of input, or Ctrl-C. */
void wick_line_open(const char *history_file);
char *wick_line_read(const char *prompt);
void wick_line_close(const char *history_file);
