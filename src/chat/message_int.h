/* chat/message_int.h - what the files of the normaliser share. */
#pragma once
#include "chat/message.h"

typedef struct wick_message_reader {
    json_t *list;  /* the canonical messages so far */
    json_t *calls; /* the calls so far, in order: {"id", "name", "done": bool} */
} wick_message_reader;

/* "<at>: <what>[, not a number]"; got may be NULL. */
wick_status wick_message_bad(wick_err *err, const char *subject, const char *at, const char *what, const json_t *got);
#define BAD_MESSAGE(at, what, got) wick_message_bad(err, "messages", at, what, got)
/* A member that is there and not null, or NULL. */
json_t *wick_json_present(const json_t *o, const char *key);

/* tool_calls, or the function_call of older clients, of message i into `copy`. */
wick_status wick_message_read_calls(wick_message_reader *r, const json_t *m, size_t i, json_t *copy,
                                    wick_err *err) WICK_MUST_CHECK;
/* tool_call_id and name of a tool's message. */
wick_status wick_message_read_result(wick_message_reader *r, const json_t *m, size_t i, json_t *copy,
                                     wick_err *err) WICK_MUST_CHECK;
