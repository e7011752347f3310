/* shell/intents.h - a table of requests and commands, beside the model: what it covers it answers exactly. */
#pragma once
#include "base/alloc.h"

typedef struct wick_sh_intent {
    const char *cmd;    /* in the arena */
    unsigned left;      /* words of the request that the row does not explain: 0 or 1 */
    unsigned explained; /* those that it does */
} wick_sh_intent;

/* The row that explains the request best; false: none does, or there is no memory. */
bool wick_sh_intent_find(wick_arena *a, const char *request, wick_sh_intent *out);
