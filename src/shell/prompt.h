/* shell/prompt.h - what a model is told, and what its answer means.
 *
 * The model that Wick ships was trained on the request alone. Any other instruct model gets instructions and examples.
 * Both answer {"cmd": "..."}; a model that talks around it is still understood. */
#pragma once
#include <jansson.h>
#include "base/alloc.h"

/* An array of chat messages; NULL without memory. taught: the model knows the task, and only the last request.
 * earlier: an array of {"request", "command"}, the turns before, or NULL. */
json_t *wick_sh_messages(const char *request, const json_t *earlier, bool taught);

typedef struct wick_sh_answer {
    const char *cmd;     /* in the arena; "" for none */
    const char *refused; /* why there is none; NULL if there is one */
} wick_sh_answer;

/* Reads the command out of text[0..n): a JSON object with "cmd" (also inside of other text), else a code block, else a
 * line that begins with "$ ", else a single line that parses as a command. Fails only for want of memory. */
wick_status wick_sh_answer_read(wick_arena *a, const char *text, size_t n, wick_sh_answer *out,
                                wick_err *err) WICK_MUST_CHECK;

/* The same form as a GBNF grammar, for models that are held to it; static. */
const char *wick_sh_answer_grammar(void);
