/* cli/scoring.h - how well a model, or two beside each other, tell the next token of a text: for
 * `wick bench --quality`, `wick perplexity` and `wick compare`. Each window of the text starts an empty context, and
 * every token but its first is told from those before it. */
#pragma once
#include <jansson.h>
#include "engine/engine.h"

enum { WICK_SCORE_WINDOW = 512 };

typedef struct wick_score {
    uint32_t n, n_same;  /* positions, and those whose best token is the same */
    double nll_a, nll_b; /* sums over the tokens that followed, of the first and the second model */
    double kl, kl_max;   /* of KL(first || second): sum, most */
    double squares;      /* sum of squared differences of log probabilities of what followed */
    double *each;        /* [n] KL */
} wick_score;

/* The first `most` tokens of a file, where each window of n_window begins with the token that begins texts, if the
 * model has one. wick_free(*ids). */
wick_status wick_score_file(wick_engine *e, const char *path, uint32_t most, uint32_t n_window, int32_t **ids,
                            uint32_t *n, wick_err *err) WICK_MUST_CHECK;
/* b NULL: only nll_a and n are filled. `t` starts zeroed. */
wick_status wick_score_run(wick_score *t, wick_engine *a, wick_engine *b, const int32_t *ids, uint32_t n,
                           uint32_t n_window, wick_err *err) WICK_MUST_CHECK;
/* Of two models: how far the second is from the first, as members of `o` and as lines. kl_name: what it is called. */
void wick_score_distance_json(wick_score *t, json_t *o);
void wick_score_distance_print(wick_score *t, const char *kl_name);
void wick_score_release(wick_score *t);
