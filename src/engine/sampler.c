/* engine/sampler.c - one pick: bias, penalties, log probabilities, mask, then greedy, mirostat or the filter chain.
 *
 * Invariants: (1) wick_sampler_pick allocates nothing and leaves the caller's logits alone. (2) The token depends on
 * the logits, the options, the history and (seed, position) only. (3) scratch->count is all zero between calls.
 */
#include "base/alloc.h"
#include "base/sys.h"
#include "engine/sample_mass.h"

#define BAN_BIAS (-100.0f) /* OpenAI: -100 "should result in a ban" */

void wick_sampling_init(wick_sampling *s)
{
    *s = (wick_sampling){
        .top_p = 1, .typical_p = 1, .dry_base = 1, .repetition_penalty = 1, .penalty_range = UINT32_MAX, .min_keep = 1};
}

static wick_status check_bias(const wick_sampling *s, uint32_t n_vocab, wick_err *err)
{
    if (s->n_bias > 0 && !s->bias)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit_bias", "logit_bias: array missing");
    for (uint32_t i = 0; i < s->n_bias; i++) {
        if (s->bias[i].id < 0 || (uint32_t)s->bias[i].id >= n_vocab)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit_bias",
                             "logit_bias: token %d is not in the vocabulary of %u", (int)s->bias[i].id, n_vocab);
        if (isnan(s->bias[i].bias) || s->bias[i].bias > 1e6f)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit_bias", "logit_bias: token %d has the bias %g",
                             (int)s->bias[i].id, (double)s->bias[i].bias);
    }
    return WICK_OK;
}

wick_status wick_sampling_check(const wick_sampling *s, uint32_t n_vocab, wick_err *err)
{
    const float numbers[] = {
        s->temperature,      s->top_p,    s->min_p,        s->typical_p,    s->xtc_probability,    s->xtc_threshold,
        s->dry_multiplier,   s->dry_base, s->mirostat_tau, s->mirostat_eta, s->repetition_penalty, s->presence_penalty,
        s->frequency_penalty};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (!isfinite(numbers[i]))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sampling", "a number of the sampling options is not finite");
    if (s->temperature < 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "temperature", "temperature: must not be negative, got %g",
                         (double)s->temperature);
    if ((unsigned)s->order > WICK_ORDER_LLAMA)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sampler_order", "sampler_order: no such order (%d)",
                         (int)s->order);
    return check_bias(s, n_vocab, err);
}

wick_status wick_sample_scratch_new(wick_sample_scratch **out, uint32_t n_vocab, wick_err *err)
{
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_vocab", "a vocabulary of %u tokens cannot be sampled", n_vocab);
    wick_sample_scratch *w = wick_alloc_zero(1, sizeof *w);
    if (w) {
        w->n_vocab = n_vocab;
        w->logits = wick_realloc_array(NULL, n_vocab, sizeof *w->logits);
        w->cand = wick_realloc_array(NULL, n_vocab, sizeof *w->cand);
        w->count = wick_alloc_zero(n_vocab, sizeof *w->count);
    }
    if (!w || !w->logits || !w->cand || !w->count) {
        wick_sample_scratch_free(w);
        return wick_err_oom(err, "the sampler", (uint64_t)n_vocab * (sizeof(wick_cand) + 8), 0);
    }
    *out = w;
    return WICK_OK;
}

void wick_sample_scratch_free(wick_sample_scratch *w)
{
    if (!w) return;
    wick_free(w->logits);
    wick_free(w->cand);
    wick_free(w->count);
    wick_free(w);
}

static void *copy_of(const void *p, size_t n, bool *ok)
{
    if (n == 0) return NULL;
    void *q = wick_alloc(n);
    if (q)
        memcpy(q, p, n);
    else
        *ok = false;
    return q;
}

wick_status wick_sampler_new_in(wick_sampler **out, const wick_sampling *s, wick_sample_scratch *scratch, wick_err *err)
{
    WICK_TRY(wick_sampling_check(s, scratch->n_vocab, err));
    wick_sampler *r = wick_alloc_zero(1, sizeof *r);
    if (!r) return wick_err_oom(err, "the sampler", sizeof *r, 0);
    bool ok = true;
    r->opt = *s;
    r->opt.bias = copy_of(s->bias, s->n_bias * sizeof *s->bias, &ok);
    r->opt.xtc_keep = copy_of(s->xtc_keep, s->n_xtc_keep * sizeof *s->xtc_keep, &ok);
    r->opt.dry_breakers = NULL;
    r->opt.n_dry_breakers = 0;
    if (r->opt.min_keep == 0) r->opt.min_keep = 1;
    if (!ok) {
        wick_sampler_free(r);
        return wick_err_oom(err, "the sampler", 0, 0);
    }
    r->scratch = scratch;
    r->seed = s->has_seed ? s->seed : wick_random_seed();
    r->mu = 2 * s->mirostat_tau;
    r->keeps_history = s->dry_multiplier > 0 || s->presence_penalty != 0 || s->frequency_penalty != 0 ||
                       (s->repetition_penalty > 0 && s->repetition_penalty != 1);
    *out = r;
    return WICK_OK;
}

wick_status wick_sampler_new(wick_sampler **out, const wick_sampling *s, uint32_t n_vocab, wick_err *err)
{
    wick_sample_scratch *scratch = NULL;
    WICK_TRY(wick_sample_scratch_new(&scratch, n_vocab, err));
    wick_status st = wick_sampler_new_in(out, s, scratch, err);
    if (st == WICK_OK)
        (*out)->owns_scratch = true;
    else
        wick_sample_scratch_free(scratch);
    return st;
}

static void free_const(const void *p)
{
    void *q;
    memcpy(&q, &p, sizeof q); /* own copy, const only for its readers */
    wick_free(q);
}

void wick_sampler_free(wick_sampler *s)
{
    if (!s) return;
    if (s->owns_scratch) wick_sample_scratch_free(s->scratch);
    free_const(s->opt.bias);
    free_const(s->opt.xtc_keep);
    wick_free(s->hist);
    wick_free(s->z);
    wick_free(s);
}

void wick_sampler_set_breakers(wick_sampler *s, const wick_dry_breakers *b)
{
    s->breakers = b;
}

wick_status wick_sampler_reserve(wick_sampler *s, uint32_t n, wick_err *err)
{
    if (!s->keeps_history || n <= s->cap_hist) return WICK_OK;
    int32_t *hist = wick_realloc_array(s->hist, n, sizeof *hist);
    if (hist) s->hist = hist;
    uint32_t *z = hist && s->opt.dry_multiplier > 0 ? wick_realloc_array(s->z, n, sizeof *z) : NULL;
    if (z) s->z = z;
    if (!hist || (s->opt.dry_multiplier > 0 && !z))
        return wick_err_oom(err, "the sampler's history", (uint64_t)n * sizeof *hist, 0);
    s->cap_hist = n;
    return WICK_OK;
}

wick_status wick_sampler_accept(wick_sampler *s, int32_t id, wick_err *err)
{
    if (id < 0 || (uint32_t)id >= s->scratch->n_vocab)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "token", "token %d is not in the vocabulary of %u", (int)id,
                         s->scratch->n_vocab);
    if (s->keeps_history) {
        if (s->n_hist == s->cap_hist) {
            if (s->cap_hist > UINT32_MAX / 2)
                return WICK_FAIL(err, WICK_E_LIMIT, NULL, "the history of tokens is full");
            WICK_TRY(wick_sampler_reserve(s, s->cap_hist < 128 ? 256 : s->cap_hist * 2, err));
        }
        s->hist[s->n_hist++] = id;
    }
    s->n_pos++;
    return WICK_OK;
}

/* Counter-based: two rounds of the splitmix64 finaliser over (seed, position, draw). */
double wick_sample_random(uint64_t seed, uint64_t position, uint32_t draw)
{
    uint64_t x = seed;
    for (int round = 0; round < 2; round++) {
        x += 0x9e3779b97f4a7c15u * (round == 0 ? position + 1 : (uint64_t)draw + 1);
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        x ^= x >> 31;
    }
    return (double)(x >> 11) * 0x1p-53;
}

double wick_sample_mass(const float *logits, uint32_t n, float max)
{
#if defined(__x86_64__)
    if (wick_cpu_probe()->avx512) return wick_sample_mass_avx512(logits, n, max);
    if (wick_cpu_probe()->avx2_fma_f16c) return wick_sample_mass_avx2(logits, n, max);
#endif
    return sample_mass(logits, n, max);
}

/* The best logit, lowest id among equals; WICK_E_NUMERIC for NaN, +inf, or nothing finite. */
static wick_status find_max(const float *l, uint32_t n, uint32_t *best, wick_err *err)
{
    float lane[16], max = -INFINITY;
    uint32_t nan[16] = {0}, i = 0, any_nan = 0;
    for (int j = 0; j < 16; j++) lane[j] = -INFINITY;
    for (; i + 16 <= n; i += 16) { /* lanes, so that it becomes vectors */
        for (int j = 0; j < 16; j++) {
            float x = l[i + (uint32_t)j];
            nan[j] |= x != x;
            lane[j] = x > lane[j] ? x : lane[j];
        }
    }
    for (; i < n; i++) {
        any_nan |= l[i] != l[i];
        max = l[i] > max ? l[i] : max;
    }
    for (int j = 0; j < 16; j++) {
        any_nan |= nan[j];
        max = lane[j] > max ? lane[j] : max;
    }
    if (any_nan) return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave NaN logits");
    if (max == INFINITY) return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "the model gave an infinite logit");
    if (max == -INFINITY) return WICK_FAIL(err, WICK_E_NUMERIC, NULL, "no token with a finite logit may be chosen");
    for (*best = 0; l[*best] != max; ++*best) {
    }
    return WICK_OK;
}

/* Is anything left that the biases do not ban? */
static wick_status check_left(const wick_sampler *s, const float *l, uint32_t n, wick_err *err)
{
    for (uint32_t i = 0; i < n; i++)
        if (l[i] != -INFINITY) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit_bias", "logit_bias: its %u entries ban every token",
                     s->opt.n_bias);
}

static void fill_top(wick_cand_set *set, const float *l, uint32_t n, double log_norm, wick_logprob *top, uint32_t n_top)
{
    wick_cands_fill_top(set, l, n, n_top);
    for (uint32_t i = 0; i < n_top; i++) {
        if (i < set->n)
            top[i] = (wick_logprob){set->c[i].id, (float)((double)set->c[i].logit - log_norm)};
        else
            top[i] = (wick_logprob){-1, -INFINITY};
    }
}

static int32_t draw_filtered(wick_sampler *s, wick_cand_set *set)
{
    const wick_sampling *o = &s->opt;
    const float *l = s->scratch->logits;
    uint32_t n = s->scratch->n_vocab;
    float inv_temp = 1.0f / o->temperature;
    double u = wick_sample_random(s->seed, s->n_pos, 0);
    bool xtc = o->xtc_probability > 0 && wick_sample_random(s->seed, s->n_pos, 1) <= (double)o->xtc_probability;
    if (o->mirostat_tau > 0) {
        wick_cands_fill(set, l, n);
        wick_cands_scale(set, inv_temp);
        return wick_mirostat_draw(s, set, u);
    }
    if (o->order == WICK_ORDER_MLX) {
        wick_cands_fill(set, l, n);
        if (o->top_p > 0 && o->top_p < 1) wick_cands_top_p(set, o->top_p, 1, true);
        wick_cands_min_p(set, o->min_p, o->min_keep);
        if (xtc) wick_cands_xtc_mlx(set, o->xtc_threshold, o->xtc_keep, o->n_xtc_keep);
        if (o->top_k > 0) wick_cands_top_k(set, o->top_k);
        wick_cands_scale(set, inv_temp);
        return wick_cands_draw(set, u, NULL);
    }
    uint32_t k = o->top_k > o->min_keep ? o->top_k : o->min_keep;
    if (o->top_k > 0)
        wick_cands_fill_top(set, l, n, k);
    else
        wick_cands_fill(set, l, n);
    if (o->order == WICK_ORDER_DEFAULT) wick_cands_scale(set, inv_temp);
    wick_cands_typical(set, o->typical_p, o->min_keep);
    if (o->top_p < 1) wick_cands_top_p(set, o->top_p, o->min_keep, false);
    wick_cands_min_p(set, o->min_p, o->min_keep);
    if (xtc) wick_cands_xtc_llama(set, o->xtc_threshold, o->min_keep);
    if (o->order == WICK_ORDER_LLAMA) wick_cands_scale(set, inv_temp);
    return wick_cands_draw(set, u, NULL);
}

static void apply_mask(float *l, const uint32_t *allowed, uint32_t n)
{
    for (uint32_t i = 0; i < n; i += 32) {
        uint32_t bits = allowed[i / 32], end = n - i < 32 ? n - i : 32;
        if (bits == UINT32_MAX) continue;
        for (uint32_t j = 0; j < end; j++) {
            if (!(bits >> j & 1)) l[i + j] = -INFINITY;
        }
    }
}

wick_status wick_sampler_pick(wick_sampler *s, const float *logits, const uint32_t *allowed, int32_t *id,
                              wick_logprob *lp, wick_logprob *top, uint32_t n_top, wick_err *err)
{
    wick_sample_scratch *w = s->scratch;
    wick_cand_set set = {.c = w->cand};
    uint32_t best = 0, n = w->n_vocab;
    float *l = w->logits;
    memcpy(l, logits, n * sizeof *l);
    for (uint32_t i = 0; i < s->opt.n_bias; i++) {
        const wick_logit_bias *b = &s->opt.bias[i];
        l[b->id] = b->bias <= BAN_BIAS ? -INFINITY : l[b->id] + b->bias;
    }
    wick_penalties_apply(s, l);
    if (s->opt.dry_multiplier > 0) wick_dry_apply(s, l);
    if (s->opt.n_bias > 0) WICK_TRY(check_left(s, l, n, err));
    WICK_TRY(find_max(l, n, &best, err));
    float max = l[best];
    double log_norm = (double)max + log(wick_sample_mass(l, n, max));
    if (n_top > 0) fill_top(&set, l, n, log_norm, top, n_top);
    if (allowed) {
        apply_mask(l, allowed, n);
        WICK_TRY(find_max(l, n, &best, err));
    }
    *id = s->opt.temperature == 0 ? (int32_t)best : draw_filtered(s, &set);
    if (lp) *lp = (wick_logprob){*id, (float)((double)l[*id] - log_norm)};
    return WICK_OK;
}

bool wick_sampler_is_argmax(const wick_sampler *s)
{
    return s->opt.temperature == 0 && s->opt.n_bias == 0 && !s->keeps_history;
}

/* The best n_top (at most 20 in use) without work memory: insertion into the sorted answer. */
static void top_by_insertion(const float *l, uint32_t n, double log_norm, wick_logprob *top, uint32_t n_top)
{
    uint32_t m = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (l[i] == -INFINITY || (m == n_top && !(l[i] > top[m - 1].logprob))) continue;
        uint32_t j = m < n_top ? m++ : m - 1;
        for (; j > 0 && l[i] > top[j - 1].logprob; j--) top[j] = top[j - 1];
        top[j] = (wick_logprob){(int32_t)i, l[i]};
    }
    for (uint32_t i = 0; i < m; i++) top[i].logprob = (float)((double)top[i].logprob - log_norm);
    for (uint32_t i = m; i < n_top; i++) top[i] = (wick_logprob){-1, -INFINITY};
}

wick_status wick_sample_argmax(const float *logits, uint32_t n_vocab, int32_t want, int32_t *id, wick_logprob *lp,
                               wick_logprob *top, uint32_t n_top, wick_err *err)
{
    uint32_t best = 0;
    WICK_TRY(find_max(logits, n_vocab, &best, err));
    double log_norm = (double)logits[best] + log(wick_sample_mass(logits, n_vocab, logits[best]));
    int32_t t = want >= 0 ? want : (int32_t)best;
    if (n_top > 0) top_by_insertion(logits, n_vocab, log_norm, top, n_top);
    if (id) *id = t;
    if (lp) *lp = (wick_logprob){t, (float)((double)logits[t] - log_norm)};
    return WICK_OK;
}
