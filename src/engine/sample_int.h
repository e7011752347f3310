/* engine/sample_int.h - what the files of the sampler share: the candidate set, the scratch, the fast exponential.
 * Private to src/engine/{sampler,filters,penalties,dry,mirostat}.c and their tests.
 */
#pragma once
#include <math.h>
#include "base/dtype.h"
#include "engine/sample.h"

/* A token that may still be chosen. `key` is what the set is ordered by: the logit, but for typical-p and the draw. */
typedef struct wick_cand {
    float key, logit;
    int32_t id;
} wick_cand;

/* c[0 .. n_sorted) are the best n_sorted of the set in falling order; the rest is in no order. */
typedef struct wick_cand_set {
    wick_cand *c;
    uint32_t n, n_sorted;
} wick_cand_set;

struct wick_sample_scratch {
    uint32_t n_vocab;
    float *logits;   /* [n_vocab] the logits after bias and penalties */
    wick_cand *cand; /* [n_vocab] */
    uint32_t *count; /* [n_vocab] all zero between calls */
};

struct wick_sampler {
    wick_sampling opt; /* bias and xtc_keep point to own copies; dry_breakers is NULL */
    wick_sample_scratch *scratch;
    bool owns_scratch, keeps_history;
    uint64_t seed, n_pos; /* n_pos: tokens accepted = the position that is drawn next */
    float mu;             /* mirostat's running bound on surprise, in bits */
    int32_t *hist;
    uint32_t n_hist, cap_hist;
    uint32_t *z; /* [cap_hist] DRY: match lengths */
    const wick_dry_breakers *breakers;
};

/* Total order of candidates: higher key first, lower id among equals. */
static inline bool wick_cand_before(const wick_cand *a, const wick_cand *b)
{
    return a->key > b->key || (a->key == b->key && a->id < b->id);
}

/* e^x for x <= 0, 0 below -87; within 2 ulp. Branch-free, so that the compiler turns loops over it into vectors, and
 * the same on every machine (no libm). Cody-Waite reduction, then the Cephes polynomial for 2^-1/2 .. 2^1/2. */
static inline float wick_exp_neg(float x)
{
    float y = x < -87.0f ? -87.0f : x;
    float k = y * 1.44269504088896341f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    uint32_t bits = wick_f32_to_bits(k);
    k -= 12582912.0f;
    float r = (y - k * 0.693359375f) + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    p *= wick_f32_from_bits((bits + 127u) << 23);
    return x < -87.0f ? 0.0f : p;
}

/* sampler.c */
double wick_sample_random(uint64_t seed, uint64_t position, uint32_t draw); /* [0, 1) */
/* sum of e^(l - max) over n logits; -inf counts nothing */
double wick_sample_mass(const float *logits, uint32_t n, float max);
#if defined(__x86_64__)
double wick_sample_mass_avx2(const float *logits, uint32_t n, float max);
double wick_sample_mass_avx512(const float *logits, uint32_t n, float max);
#endif

/* filters.c. Each sees the distribution renormalised over what is left, and leaves at least one candidate. */
void wick_cands_fill(wick_cand_set *s, const float *logits, uint32_t n);                 /* all that are not -inf */
void wick_cands_fill_top(wick_cand_set *s, const float *logits, uint32_t n, uint32_t k); /* the best k, sorted */
void wick_cands_order(wick_cand_set *s, uint32_t m); /* sorts the best m to the front */
void wick_cands_scale(wick_cand_set *s, float inv_temperature);
void wick_cands_top_k(wick_cand_set *s, uint32_t k);
void wick_cands_top_p(wick_cand_set *s, float p, uint32_t min_keep, bool keep_ties);
void wick_cands_min_p(wick_cand_set *s, float p, uint32_t min_keep);
void wick_cands_typical(wick_cand_set *s, float p, uint32_t min_keep);
void wick_cands_xtc_llama(wick_cand_set *s, float threshold, uint32_t min_keep);
void wick_cands_xtc_mlx(wick_cand_set *s, float threshold, const int32_t *keep, uint32_t n_keep);
/* Draws with u in [0, 1); *p: its probability within the set. Destroys the keys. */
int32_t wick_cands_draw(wick_cand_set *s, double u, double *p);

/* penalties.c */
void wick_penalties_apply(const wick_sampler *s, float *logits);
/* dry.c */
void wick_dry_apply(const wick_sampler *s, float *logits);
/* mirostat.c */
int32_t wick_mirostat_draw(wick_sampler *s, wick_cand_set *set, double u);
