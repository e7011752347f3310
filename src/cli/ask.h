/* cli/ask.h - what is asked: prompts from operands, files and standard input put together; texts that may be files;
 * saved conversations. */
#pragma once
#include <jansson.h>
#include "cli/args.h"
#include "base/status.h"

/* The prompt of a call that is no chat: the file of --file, standard input where it is a pipe or a file, and the
 * operands from `first` on, in this order, with an empty line between; "-" among the operands is standard input at that
 * place. *text stays NULL where nothing was given (a chat). Caller frees. WICK_E_BAD_PARAMETER for what is no text. */
wick_status wick_ask_prompt(const wick_args *a, uint32_t first, char **text, size_t *n, wick_err *err) WICK_MUST_CHECK;
/* A file, a pipe or a device to its end: "-f <(command)" too; at most 64 MiB, and text only. Caller frees. */
wick_status wick_ask_file(const char *path, char **text, size_t *n, wick_err *err) WICK_MUST_CHECK;
/* The text itself, or the contents of the file that it names (also as @FILE). Caller frees. */
wick_status wick_ask_text_or_file(const char *value, char **text, wick_err *err) WICK_MUST_CHECK;

/* Conversations as JSON: an array of messages. */
wick_status wick_conversation_load(const char *path, json_t **messages, wick_err *err) WICK_MUST_CHECK;
wick_status wick_conversation_save(const char *path, const json_t *messages, wick_err *err) WICK_MUST_CHECK;
/* Where the last conversation is kept for --continue; NULL: nowhere. Caller frees. */
char *wick_conversation_path(const wick_args *a);
/* Takes the oldest turn out; the system message and the last message stay. False if nothing is left to take. */
bool wick_conversation_drop_oldest(json_t *messages);
