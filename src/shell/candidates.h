/* shell/candidates.h - several answers of a model to one request, in one batch of the engine. */
#pragma once
#include "chat/chat.h"
#include "engine/engine.h"
#include "shell/doubt.h"

typedef struct wick_sh_asking {
    wick_engine *engine;
    const wick_chat *chat;
    const json_t *messages;
    const wick_sampling *sampling; /* of the answers; their seeds are 1, 2, ... */
    uint32_t n, max_tokens;
    bool constrained;        /* the answer is held to the form of an answer (prompt.h) */
    bool (*cancelled)(void); /* NULL: never; asked some times a second */
} wick_sh_asking;

/* Begins the answers; everything of `how` may go after the call. Several may be under way in one engine. */
typedef struct wick_sh_asked wick_sh_asked;
wick_status wick_sh_asked_begin(wick_sh_asked **out, const wick_sh_asking *how, wick_err *err) WICK_MUST_CHECK;
/* Waits, and appends one candidate for each answer to out[0..*n_out), which has room for how->n more; not ranked.
 * WICK_E_CANCELLED where `cancelled` said so. */
wick_status wick_sh_asked_end(wick_sh_asked *x, wick_arena *a, wick_sh_candidate *out, size_t *n_out,
                              wick_err *err) WICK_MUST_CHECK;
void wick_sh_asked_free(wick_sh_asked *x); /* NULL is fine; before the engine is closed */
