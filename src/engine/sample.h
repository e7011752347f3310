/* engine/sample.h - logits to a token.
 *
 * Default order (documented in docs/SAMPLING.md): logit_bias, repetition, presence, frequency, DRY; then reported log
 * probabilities (of the logits before constraint, temperature and filters); then the constraint's mask; temperature 0 =
 * argmax (lowest id wins a tie), else mirostat-2, or the filters in `order`. WICK_ORDER_MLX: top_p, min_p, xtc, top_k
 * on the untempered distribution, then temperature. WICK_ORDER_LLAMA: top_k, typical, top_p, min_p, xtc, then
 * temperature. WICK_ORDER_DEFAULT: temperature first, then top_k, typical, top_p, min_p, xtc.
 * The stream of random numbers is a function of the seed and the position only.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

typedef enum wick_sampler_order { WICK_ORDER_DEFAULT, WICK_ORDER_MLX, WICK_ORDER_LLAMA } wick_sampler_order;

typedef struct wick_logit_bias {
    int32_t id;
    float bias; /* -100 and below bans, as OpenAI's users expect */
} wick_logit_bias;

typedef struct wick_sampling {
    float temperature; /* 0: greedy */
    uint32_t top_k;    /* 0: off */
    float top_p;       /* 1: off */
    float min_p;       /* 0: off */
    float typical_p;   /* 1: off */
    float xtc_probability, xtc_threshold;
    float dry_multiplier, dry_base;
    uint32_t dry_allowed_length, dry_range; /* dry_range 0: whole context */
    float mirostat_tau, mirostat_eta;       /* tau 0: off */
    float repetition_penalty;               /* 1: off */
    float presence_penalty, frequency_penalty;
    uint32_t penalty_range; /* last tokens looked at: 64 by default; UINT32_MAX: all */
    const wick_logit_bias *bias;
    uint32_t n_bias;
    uint32_t min_keep; /* 1 */
    uint64_t seed;     /* used if has_seed, else from the system */
    bool has_seed;
    wick_sampler_order order;
    const char *const *dry_breakers; /* strings that a repeat never crosses; NULL: "\n" ":" "\"" "*". The engine
                                             * turns them into tokens (wick_dry_breakers_new) */
    uint32_t n_dry_breakers;         /* 0 with dry_breakers not NULL: none */
    const int32_t *xtc_keep;         /* ids that XTC never removes (mlx-lm: newline and EOS) */
    uint32_t n_xtc_keep;
} wick_sampling;

void wick_sampling_init(wick_sampling *s); /* greedy, everything off; users' defaults are in chat/options.h */
/* What the sampler relies on: finite numbers, an order that there is, biases of the vocabulary's tokens. The ranges
 * that users are held to are in chat/sampling.def. WICK_E_BAD_PARAMETER names the option. */
wick_status wick_sampling_check(const wick_sampling *s, uint32_t n_vocab, wick_err *err) WICK_MUST_CHECK;

typedef struct wick_logprob {
    int32_t id;
    float logprob;
} wick_logprob;

/* The work memory of a pick, about 20 bytes per vocabulary entry. Samplers that are used from one thread share one. */
typedef struct wick_sample_scratch wick_sample_scratch;
wick_status wick_sample_scratch_new(wick_sample_scratch **out, uint32_t n_vocab, wick_err *err) WICK_MUST_CHECK;
void wick_sample_scratch_free(wick_sample_scratch *w);

typedef struct wick_sampler wick_sampler; /* state of one request: random stream, mirostat, history */
wick_status wick_sampler_new(wick_sampler **out, const wick_sampling *s, uint32_t n_vocab,
                             wick_err *err) WICK_MUST_CHECK;
/* The same, with work memory that is borrowed for the sampler's life. */
wick_status wick_sampler_new_in(wick_sampler **out, const wick_sampling *s, wick_sample_scratch *scratch,
                                wick_err *err) WICK_MUST_CHECK;
void wick_sampler_free(wick_sampler *s);
/* Room for n tokens of history, so that wick_sampler_accept does not allocate before that. */
wick_status wick_sampler_reserve(wick_sampler *s, uint32_t n, wick_err *err) WICK_MUST_CHECK;

/* Sequence breakers of DRY as token sequences: every way in which running text can hold one of the strings. */
typedef struct wick_dry_breakers wick_dry_breakers;
struct wick_tokenizer;
wick_status wick_dry_breakers_new(wick_dry_breakers **out, const struct wick_tokenizer *t, const char *const *strings,
                                  uint32_t n_strings, wick_err *err) WICK_MUST_CHECK;
void wick_dry_breakers_free(wick_dry_breakers *b);
void wick_sampler_set_breakers(wick_sampler *s, const wick_dry_breakers *b); /* borrowed; NULL: none */
/* Tells it a token of the prompt or one that was generated (penalties, DRY). */
wick_status wick_sampler_accept(wick_sampler *s, int32_t id, wick_err *err) WICK_MUST_CHECK;
/* Chooses from logits[n_vocab] (left unchanged). allowed: a bit per token, 1 = may be chosen, or NULL for all; it comes
 * before every filter and before greedy choice. Fills *lp of the chosen token and, if n_top > 0, top[n_top] in falling
 * order: log probabilities of the distribution without `allowed`, so they say what the model thought, and `top` may
 * name tokens that were not allowed. No allocation. WICK_E_NUMERIC: a logit is NaN or +inf, or no allowed one is
 * finite. */
wick_status wick_sampler_pick(wick_sampler *s, const float *logits, const uint32_t *allowed, int32_t *id,
                              wick_logprob *lp, wick_logprob *top, uint32_t n_top, wick_err *err) WICK_MUST_CHECK;
/* Is every pick the highest logit, whatever came before: no temperature, bias, penalty or DRY? */
bool wick_sampler_is_argmax(const wick_sampler *s);
/* The token of the highest logit (lowest id of equals) and log probabilities, with no sampler: no penalties, no
 * filters. `want` >= 0 asks for that token's log probability instead of the best one's. */
wick_status wick_sample_argmax(const float *logits, uint32_t n_vocab, int32_t want, int32_t *id, wick_logprob *lp,
                               wick_logprob *top, uint32_t n_top, wick_err *err) WICK_MUST_CHECK;
