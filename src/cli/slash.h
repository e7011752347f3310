/* cli/slash.h - the commands inside a chat: /clear, /system, /set, /show, /save, /load, /retry, /undo, /stats, /help,
 * /quit. */
#pragma once
#include <jansson.h>
#include "cli/opt.h"

typedef enum wick_slash_result {
    WICK_SLASH_STAY,
    WICK_SLASH_LEAVE,
    WICK_SLASH_RETRY /* answer the last message again */
} wick_slash_result;

typedef struct wick_slash {
    const wick_command *command; /* whose options /set knows */
    wick_args *args;             /* what /set changes */
    json_t *messages;
    char figures[512]; /* of the last answer; "" for none */
} wick_slash;

/* One line that begins with '/'. Prints what it did. */
wick_slash_result wick_slash_run(wick_slash *s, const char *line);
