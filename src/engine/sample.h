/* engine/sample.h - logits to a token.
 *
 * Default order (documented in docs/SAMPLING.md): logit_bias, repetition, presence, frequency, DRY; then reported log
 * probabilities (of the logits before temperature and filters); temperature 0 = argmax (lowest id wins a tie), else
 * mirostat-2, or the filters in `order`. WICK_ORDER_MLX: top_p, min_p, xtc, top_k on the untempered distribution, then
 * temperature. WICK_ORDER_LLAMA: dry, top_k, typical, top_p, min_p, xtc, then temperature. WICK_ORDER_DEFAULT: temperature first, then
 * top_k, typical, top_p, min_p, xtc.
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
    float temperature;      /* 0: greedy */
    uint32_t top_k;         /* 0: off */
    float top_p;            /* 1: off */
    float min_p;            /* 0: off */
    float typical_p;        /* 1: off */
    float xtc_probability, xtc_threshold;
    float dry_multiplier, dry_base;
    uint32_t dry_allowed_length, dry_range; /* dry_range 0: whole context */
    float mirostat_tau, mirostat_eta;       /* tau 0: off */
    float repetition_penalty;               /* 1: off */
    float presence_penalty, frequency_penalty;
    uint32_t penalty_range;                 /* last tokens looked at: 64 by default; UINT32_MAX: all */
    const wick_logit_bias *bias;
    uint32_t n_bias;
    uint32_t min_keep;                      /* 1 */
    uint64_t seed;                          /* used if has_seed, else from the system */
    bool has_seed;
    wick_sampler_order order;
} wick_sampling;

void wick_sampling_defaults(wick_sampling *s); /* temperature 0.8, top_k 40, top_p 0.95, min_p 0.05, the rest off */
/* Ranges of every field; WICK_E_BAD_PARAMETER names the field as the CLI and the API call it. */
wick_status wick_sampling_check(const wick_sampling *s, uint32_t n_vocab, wick_err *err) WICK_MUST_CHECK;

typedef struct wick_logprob {
    int32_t id;
    float logprob;
} wick_logprob;

/* What a constraint gives the sampler: a bit per token, 1 = allowed. */
typedef struct wick_sampler wick_sampler; /* state of one request: random stream, mirostat, counts */
wick_status wick_sampler_new(wick_sampler **out, const wick_sampling *s, uint32_t n_vocab, wick_err *err) WICK_MUST_CHECK;
void wick_sampler_free(wick_sampler *s);
/* Tells it a token of the prompt or one that was generated (penalties, DRY). */
wick_status wick_sampler_accept(wick_sampler *s, int32_t id, wick_err *err) WICK_MUST_CHECK;
/* Chooses from logits[n_vocab] (left unchanged). allowed: bit mask or NULL. Fills *lp of the chosen token and, if
 * n_top > 0, top[n_top] in falling order. No allocation. WICK_E_NUMERIC: no finite logit, or a NaN. */
wick_status wick_sampler_pick(wick_sampler *s, const float *logits, const uint32_t *allowed, int32_t *id, wick_logprob *lp,
                              wick_logprob *top, uint32_t n_top, wick_err *err) WICK_MUST_CHECK;
