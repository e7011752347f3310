/* engine/draft.h - guesses of what a text goes on with, from the text itself: prompt and answer so far.
 *
 * A suffix automaton over the tokens knows the longest end of the text that was there before, and what followed it
 * then. Whether it guessed right is counted for every token, also while nobody uses the guesses, by how long the match
 * was; so the chance of a guess is known before the first one costs anything. Engine's thread, but for wick_draft_new
 * and the pushes of a prompt.
 *
 * Invariant: a guess never changes an answer: the engine draws every token from the model's logits as ever, and a guess
 * only lets several positions be computed in one step (draft_plan.c).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

enum { WICK_DRAFT_MAX = 24, WICK_DRAFT_CLASSES = 10 };

/* How often guesses were right, by the length of the match; one for all requests, and one of each. */
typedef struct wick_draft_score {
    float right[WICK_DRAFT_CLASSES], seen[WICK_DRAFT_CLASSES];
} wick_draft_score;

typedef struct wick_draft wick_draft;

/* For a text of at most cap_tokens. Pushing allocates nothing. */
wick_status wick_draft_new(wick_draft **out, uint32_t cap_tokens, wick_err *err) WICK_MUST_CHECK;
void wick_draft_free(wick_draft *d);
/* tokens[at] was appended to tokens[0..at). learned: it was generated, so what was guessed is counted, in *all too
 * (NULL: nowhere else). */
void wick_draft_push(wick_draft *d, const int32_t *tokens, uint32_t at, bool learned, wick_draft_score *all);
/* At most `max` guesses of what follows tokens[0..n), and the chance that each is right if those before it are.
 * Returns how many. */
uint32_t wick_draft_guess(const wick_draft *d, const int32_t *tokens, uint32_t n, uint32_t max,
                          const wick_draft_score *all, int32_t *out, float *chance);
