/* The sampler against straightforward references: sets of the filters, penalties, and distributions by chi-square. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "engine/sample_int.h"

#define N 200

static uint32_t rnd_state = 12345;
static uint32_t rnd(void)
{
    rnd_state = rnd_state * 1664525u + 1013904223u;
    return rnd_state >> 8;
}

static void random_logits(float *l, uint32_t n, float spread, bool ties)
{
    for (uint32_t i = 0; i < n; i++) {
        l[i] = ((float)(rnd() % 100000) / 100000.0f - 0.5f) * spread;
        if (ties) l[i] = floorf(l[i] * 2) / 2;
    }
}

/* ---- the reference: probability per token in double precision, 0 = removed; the slow, obvious way ---- */

typedef struct ref {
    double l[N]; /* logits; -INFINITY = removed */
    double p[N];
    int order[N];
} ref;

static const double *sort_by;
static int by_value(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    if (sort_by[x] != sort_by[y]) return sort_by[x] > sort_by[y] ? -1 : 1;
    return x - y;
}

static void ref_softmax(ref *r)
{
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < N; i++) max = fmax(max, r->l[i]);
    for (int i = 0; i < N; i++) sum += r->p[i] = exp(r->l[i] - max);
    for (int i = 0; i < N; i++) r->p[i] /= sum;
    for (int i = 0; i < N; i++) r->order[i] = i;
    sort_by = r->l;
    qsort(r->order, N, sizeof(int), by_value);
}

static int ref_left(const ref *r)
{
    int n = 0;
    for (int i = 0; i < N; i++) n += r->l[i] != -INFINITY;
    return n;
}

static void ref_keep_first(ref *r, const int *order, int k)
{
    for (int i = k; i < N; i++) r->l[order[i]] = -INFINITY;
}

static void ref_top_k(ref *r, int k)
{
    ref_softmax(r);
    if (k < N) ref_keep_first(r, r->order, k);
}

static void ref_top_p_llama(ref *r, double p, int min_keep)
{
    ref_softmax(r);
    double cum = 0;
    for (int i = 0; i < N; i++) {
        cum += r->p[r->order[i]];
        if (cum >= p && i + 1 >= min_keep) {
            ref_keep_first(r, r->order, i + 1);
            return;
        }
    }
}

static void ref_top_p_mlx(ref *r, double p)
{
    ref_softmax(r);
    double above = 0, threshold = 0;
    for (int i = 0; i < N; i++) {
        if (above >= p) break;
        threshold = r->l[r->order[i]];
        above += r->p[r->order[i]];
    }
    for (int i = 0; i < N; i++)
        if (r->l[i] < threshold) r->l[i] = -INFINITY;
}

static void ref_min_p(ref *r, double p, int min_keep)
{
    ref_softmax(r);
    for (int i = min_keep; i < N; i++)
        if (r->l[r->order[i]] < r->l[r->order[0]] + log(p)) r->l[r->order[i]] = -INFINITY;
}

static void ref_typical(ref *r, double p, int min_keep)
{
    ref_softmax(r);
    double h = 0, key[N], cum = 0;
    for (int i = 0; i < N; i++)
        if (r->p[i] > 0) h -= r->p[i] * log(r->p[i]);
    for (int i = 0; i < N; i++) key[i] = r->l[i] == -INFINITY ? -INFINITY : -fabs(-log(r->p[i]) - h);
    sort_by = key;
    int order[N];
    for (int i = 0; i < N; i++) order[i] = i;
    qsort(order, N, sizeof(int), by_value);
    for (int i = 0; i < N; i++) {
        cum += r->p[order[i]];
        if (cum > p && i >= min_keep - 1) {
            ref_keep_first(r, order, i + 1);
            return;
        }
    }
}

static void ref_xtc(ref *r, double t, bool mlx, int min_keep)
{
    ref_softmax(r);
    int last = -1;
    for (int i = 0; i < N; i++)
        if (mlx ? r->p[r->order[i]] > t : r->p[r->order[i]] >= t) last = i;
    if (last <= 0) return;
    if (mlx) {
        double bound = r->l[r->order[last]];
        for (int i = 0; i < N; i++)
            if (r->l[i] > bound) r->l[i] = -INFINITY;
    } else if (t <= 0.5 && ref_left(r) - last >= min_keep) {
        for (int i = 0; i < last; i++) r->l[r->order[i]] = -INFINITY;
    }
}

static void expect_same_set(const wick_cand_set *s, const ref *r, const char *what)
{
    static char in[N];
    memset(in, 0, sizeof in);
    for (uint32_t i = 0; i < s->n; i++) in[s->c[i].id]++;
    for (int i = 0; i < N; i++) {
        if (in[i] != (r->l[i] != -INFINITY))
            fail_msg("%s: token %d: %d, logit %g (%u left)", what, i, in[i], r->l[i], s->n);
    }
    for (uint32_t i = 1; i < s->n_sorted; i++) assert_true(wick_cand_before(&s->c[i - 1], &s->c[i]));
}

static void test_sets(void **state)
{
    (void)state;
    float l[N];
    wick_cand c[N];
    for (int round = 0; round < 400; round++) {
        bool ties = round % 3 == 0;
        random_logits(l, N, round % 2 ? 12.0f : 30.0f, ties);
        if (round % 5 == 0)
            for (int i = 0; i < 50; i++) l[rnd() % N] = -INFINITY;
        for (int f = 0; f < 9; f++) {
            wick_cand_set s = {.c = c};
            ref r;
            for (int i = 0; i < N; i++) r.l[i] = (double)l[i];
            wick_cands_fill(&s, l, N);
            if (round % 4 == 1) { /* filters must work on a set that is partly sorted */
                wick_cands_order(&s, 1 + rnd() % 20);
            }
            uint32_t keep = 1 + rnd() % 4, k = 1 + rnd() % 220;
            float p = 0.05f + (float)(rnd() % 900) / 1000.0f;
            switch (f) {
            case 0: wick_cands_top_k(&s, k), ref_top_k(&r, (int)k); break;
            case 1: wick_cands_fill_top(&s, l, N, k), ref_top_k(&r, (int)k); break;
            case 2: wick_cands_top_p(&s, p, keep, false), ref_top_p_llama(&r, p, (int)keep); break;
            case 3: wick_cands_top_p(&s, p, 1, true), ref_top_p_mlx(&r, p); break;
            case 4: wick_cands_min_p(&s, p, keep), ref_min_p(&r, p, (int)keep); break;
            case 5:
                if (ties) continue; /* equal keys: any of them may be the last */
                wick_cands_typical(&s, p, keep), ref_typical(&r, p, (int)keep);
                break;
            case 6: wick_cands_xtc_llama(&s, p * 0.2f, keep), ref_xtc(&r, (double)(p * 0.2f), false, (int)keep); break;
            case 7: wick_cands_xtc_mlx(&s, p * 0.2f, NULL, 0), ref_xtc(&r, (double)(p * 0.2f), true, 1); break;
            default: wick_cands_order(&s, k); break;
            }
            char what[64];
            snprintf(what, sizeof what, "round %d filter %d p %g k %u keep %u", round, f, (double)p, k, keep);
            if (ref_left(&r) > 0) expect_same_set(&s, &r, what);
        }
    }
}

static void test_xtc_keeps_special(void **state)
{
    (void)state;
    float l[5] = {5, 4.9f, 4.8f, 4.7f, -3};
    wick_cand c[5];
    wick_cand_set s = {.c = c};
    int32_t keep[] = {1};
    wick_cands_fill(&s, l, 5);
    wick_cands_xtc_mlx(&s, 0.1f, keep, 1);
    assert_int_equal(s.n, 3); /* 1 (kept), 3 (the least likely above the threshold), 4 */
    assert_int_equal(s.c[0].id, 1);
    assert_int_equal(s.c[1].id, 3);
}

static void test_exp(void **state)
{
    (void)state;
    double worst = 0;
    for (float x = 0; x > -86.9f; x -= 0.00137f) {
        double e = exp((double)x), rel = fabs((double)wick_exp_neg(x) - e) / e;
        if (rel > worst) worst = rel;
    }
    assert_true(worst < 2.5e-7);
    assert_true(wick_exp_neg(0) == 1.0f);
    assert_true(wick_exp_neg(-INFINITY) == 0.0f);
    assert_true(wick_exp_neg(-100) == 0.0f);
}

/* ---- whole picks ---- */

static wick_sampling plain(void)
{
    wick_sampling s;
    wick_sampling_init(&s);
    s.temperature = 1;
    s.xtc_threshold = 0.1f, s.dry_base = 1.75f, s.dry_allowed_length = 2, s.mirostat_eta = 0.1f, s.penalty_range = 64;
    s.has_seed = true;
    s.seed = 7;
    return s;
}

static wick_sampler *make(const wick_sampling *s)
{
    wick_sampler *r = NULL;
    assert_int_equal(wick_sampler_new(&r, s, N, NULL), WICK_OK);
    return r;
}

/* Draws at many positions and compares with the expected probabilities: chi-square over tokens expected 5 times or
 * more, the rest pooled; the bound is the 99.99 % quantile (Wilson-Hilferty). The seed is fixed, so this never
 * flickers. */
static void expect_distribution(const wick_sampling *opt, const float *l, ref *r, const char *what)
{
    enum { DRAWS = 20000 };
    wick_sampler *s = make(opt);
    static int count[N];
    memset(count, 0, sizeof count);
    for (int i = 0; i < DRAWS; i++) {
        int32_t id;
        assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_OK);
        count[id]++;
        assert_int_equal(wick_sampler_accept(s, id, NULL), WICK_OK);
    }
    ref_softmax(r);
    double chi = 0, rest_p = 0, rest_n = 0;
    int df = -1;
    for (int i = 0; i < N; i++) {
        double expected = r->p[i] * DRAWS;
        if (r->l[i] == -INFINITY && count[i] > 0) fail_msg("%s: token %d was filtered, but drawn", what, i);
        if (expected < 5) {
            rest_p += expected;
            rest_n += count[i];
            continue;
        }
        chi += (count[i] - expected) * (count[i] - expected) / expected;
        df++;
    }
    if (rest_p >= 5) {
        chi += (rest_n - rest_p) * (rest_n - rest_p) / rest_p;
        df++;
    }
    if (df > 0) {
        double a = 2.0 / (9.0 * df), bound = df * pow(1 - a + 3.719 * sqrt(a), 3);
        if (chi > bound) fail_msg("%s: chi-square %g over %g (df %d)", what, chi, bound, df);
    }
    wick_sampler_free(s);
}

static void load_ref(ref *r, const float *l, double temperature)
{
    for (int i = 0; i < N; i++) r->l[i] = (double)l[i] / temperature;
}

static void test_distributions(void **state)
{
    (void)state;
    float l[N];
    ref r;
    random_logits(l, N, 10, false);
    wick_sampling s = plain();
    load_ref(&r, l, 1);
    expect_distribution(&s, l, &r, "plain");

    s.temperature = 0.7f;
    load_ref(&r, l, (double)0.7f);
    expect_distribution(&s, l, &r, "temperature");

    s.top_k = 30, s.top_p = 0.8f, s.min_p = 0.05f, s.typical_p = 0.9f;
    load_ref(&r, l, (double)0.7f);
    ref_top_k(&r, 30), ref_typical(&r, (double)0.9f, 1), ref_top_p_llama(&r, (double)0.8f, 1),
        ref_min_p(&r, (double)0.05f, 1);
    expect_distribution(&s, l, &r, "default order");

    s.order = WICK_ORDER_LLAMA;
    load_ref(&r, l, 1);
    ref_top_k(&r, 30), ref_typical(&r, (double)0.9f, 1), ref_top_p_llama(&r, (double)0.8f, 1),
        ref_min_p(&r, (double)0.05f, 1);
    for (int i = 0; i < N; i++) r.l[i] /= (double)0.7f;
    expect_distribution(&s, l, &r, "llama order");

    s.order = WICK_ORDER_MLX;
    load_ref(&r, l, 1);
    ref_top_p_mlx(&r, (double)0.8f), ref_min_p(&r, (double)0.05f, 1), ref_top_k(&r, 30);
    for (int i = 0; i < N; i++) r.l[i] /= (double)0.7f;
    expect_distribution(&s, l, &r, "mlx order");

    s = plain();
    s.xtc_probability = 1, s.xtc_threshold = 0.02f;
    load_ref(&r, l, 1);
    ref_xtc(&r, (double)0.02f, false, 1);
    expect_distribution(&s, l, &r, "xtc always");
}

/* XTC with probability one half: a mixture of the two distributions. */
static void test_xtc_probability(void **state)
{
    (void)state;
    float l[N];
    for (int i = 0; i < N; i++) l[i] = -30;
    l[3] = 2, l[9] = 1.5f;
    wick_sampling o = plain();
    o.xtc_probability = 0.5f;
    wick_sampler *s = make(&o);
    int n3 = 0, draws = 20000;
    for (int i = 0; i < draws; i++) {
        int32_t id;
        assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_OK);
        n3 += id == 3;
        assert_int_equal(wick_sampler_accept(s, id, NULL), WICK_OK);
    }
    double p = 0.5 / (1 + exp(-0.5));
    assert_true(fabs(n3 / (double)draws - p) < 4 * sqrt(p * (1 - p) / draws));
    wick_sampler_free(s);
}

static void test_seed_and_position(void **state)
{
    (void)state;
    float l[N];
    random_logits(l, N, 4, false);
    wick_sampling o = plain();
    int32_t a[50], b;
    wick_sampler *s = make(&o);
    for (int i = 0; i < 50; i++) {
        assert_int_equal(wick_sampler_pick(s, l, NULL, &a[i], NULL, NULL, 0, NULL), WICK_OK);
        assert_int_equal(wick_sampler_pick(s, l, NULL, &b, NULL, NULL, 0, NULL),
                         WICK_OK); /* a pick has no side effect */
        assert_int_equal(a[i], b);
        assert_int_equal(wick_sampler_accept(s, 0, NULL), WICK_OK);
    }
    wick_sampler_free(s);
    s = make(&o);
    for (int i = 0; i < 20; i++) assert_int_equal(wick_sampler_accept(s, 1, NULL), WICK_OK);
    assert_int_equal(wick_sampler_pick(s, l, NULL, &b, NULL, NULL, 0, NULL), WICK_OK);
    assert_int_equal(b, a[20]); /* position only */
    wick_sampler_free(s);
    o.seed = 8;
    s = make(&o);
    int same = 0;
    for (int i = 0; i < 50; i++) {
        assert_int_equal(wick_sampler_pick(s, l, NULL, &b, NULL, NULL, 0, NULL), WICK_OK);
        same += a[i] == b;
        assert_int_equal(wick_sampler_accept(s, 0, NULL), WICK_OK);
    }
    assert_true(same < 25);
    wick_sampler_free(s);
}

static void test_greedy_and_logprobs(void **state)
{
    (void)state;
    float l[N];
    ref r;
    random_logits(l, N, 10, false);
    l[50] = l[20] = 9;
    load_ref(&r, l, 1);
    ref_softmax(&r);
    wick_sampling o = plain();
    o.temperature = 0;
    wick_sampler *s = make(&o);
    int32_t id;
    wick_logprob lp, top[20];
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, &lp, top, 20, NULL), WICK_OK);
    assert_int_equal(id, 20);
    assert_int_equal(lp.id, 20);
    assert_float_equal(lp.logprob, log(r.p[20]), 1e-5);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(top[i].id, r.order[i]);
        assert_float_equal(top[i].logprob, log(r.p[r.order[i]]), 1e-5);
    }
    wick_logprob top2[20];
    assert_int_equal(wick_sample_argmax(l, N, -1, &id, &lp, top2, 20, NULL), WICK_OK);
    assert_int_equal(id, 20);
    assert_memory_equal(top, top2, sizeof top);
    assert_int_equal(wick_sample_argmax(l, N, 77, &id, &lp, NULL, 0, NULL), WICK_OK);
    assert_float_equal(lp.logprob, log(r.p[77]), 1e-5);
    wick_sampler_free(s);
}

static void test_mask_and_bias(void **state)
{
    (void)state;
    float l[N] = {0};
    uint32_t mask[(N + 31) / 32] = {0};
    mask[3] = 1u << 4;
    wick_logit_bias bias[] = {{5, 3.0f}, {6, -100.0f}, {100, -100.0f}};
    wick_sampling o = plain();
    o.temperature = 0, o.bias = bias, o.n_bias = 2;
    l[6] = 2;
    wick_sampler *s = make(&o);
    int32_t id;
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_OK);
    assert_int_equal(id, 5);
    assert_int_equal(wick_sampler_pick(s, l, mask, &id, NULL, NULL, 0, NULL), WICK_OK);
    assert_int_equal(id, 100);
    /* Log probabilities and the best ones are those of the distribution without the mask. */
    wick_logprob free_lp, free_top[3], lp, top[3];
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, &free_lp, free_top, 3, NULL), WICK_OK);
    assert_int_equal(wick_sampler_pick(s, l, mask, &id, &lp, top, 3, NULL), WICK_OK);
    assert_int_equal(lp.id, 100);
    assert_float_equal(lp.logprob, free_lp.logprob - 3.0f, 1e-5);
    assert_memory_equal(top, free_top, sizeof top);
    wick_sampler_free(s);
    o.n_bias = 3;
    s = make(&o);
    wick_err err = {0};
    assert_int_equal(wick_sampler_pick(s, l, mask, &id, NULL, NULL, 0, &err), WICK_E_NUMERIC);
    wick_sampler_free(s);
}

static void test_numeric(void **state)
{
    (void)state;
    wick_sampling o = plain();
    wick_sampler *s = make(&o);
    float l[N] = {0};
    int32_t id;
    l[199] = NAN;
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_E_NUMERIC);
    l[199] = INFINITY;
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_E_NUMERIC);
    for (int i = 0; i < N; i++) l[i] = -INFINITY;
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_E_NUMERIC);
    l[42] = -1e30f;
    assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_OK);
    assert_int_equal(id, 42);
    wick_sampler_free(s);
}

static void test_penalties(void **state)
{
    (void)state;
    wick_sampling o = plain();
    o.repetition_penalty = 2, o.presence_penalty = 0.5f, o.frequency_penalty = 0.25f, o.penalty_range = 4;
    wick_sampler *s = make(&o);
    int32_t history[] = {9, 1, 2, 2, 3}; /* 9 is out of range */
    for (int i = 0; i < 5; i++) assert_int_equal(wick_sampler_accept(s, history[i], NULL), WICK_OK);
    float l[N] = {0};
    l[1] = 3, l[2] = -3, l[9] = 1;
    wick_penalties_apply(s, l);
    assert_float_equal(l[1], 1.5 - 0.75, 1e-6);
    assert_float_equal(l[2], -6 - 0.5 - 0.5, 1e-6);
    assert_float_equal(l[3], -0.75, 1e-6);
    assert_float_equal(l[9], 1, 0);
    for (int i = 0; i < N; i++) assert_int_equal(s->scratch->count[i], 0);
    wick_sampler_free(s);
}

/* The obvious way: for each token, the longest suffix of the history that occurs earlier and is followed by it. */
static void ref_dry(const int32_t *h, int n, const wick_sampling *o, const uint8_t *breaker, double *l)
{
    int limit = n;
    for (int i = 0; i < n; i++) {
        if (!breaker[h[n - 1 - i]]) continue;
        limit = i;
        break;
    }
    for (int t = 0; t < N; t++) {
        int best = 0;
        for (int at = 0; at + 1 < n; at++) { /* an occurrence that ends at `at`, followed by t */
            if (h[at + 1] != t) continue;
            int k = 0;
            while (k < limit && k <= at && h[at - k] == h[n - 1 - k]) k++;
            if (k > best) best = k;
        }
        if (best >= (int)o->dry_allowed_length && best > 0 && !breaker[t])
            l[t] -= (double)o->dry_multiplier * pow((double)o->dry_base, best - (int)o->dry_allowed_length);
    }
}

static void test_dry(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        wick_sampling o = plain();
        o.dry_multiplier = 0.8f, o.dry_allowed_length = 1 + rnd() % 3, o.dry_range = round % 2 ? 0 : 20;
        wick_sampler *s = make(&o);
        int32_t h[60];
        uint8_t breaker[N] = {0};
        int n = 5 + (int)(rnd() % 55), alphabet = 2 + (int)(rnd() % 4);
        for (int i = 0; i < n; i++) {
            h[i] = (int32_t)(rnd() % (uint32_t)alphabet);
            assert_int_equal(wick_sampler_accept(s, h[i], NULL), WICK_OK);
        }
        float l[N] = {0};
        double expected[N] = {0};
        int use = o.dry_range && (int)o.dry_range < n ? (int)o.dry_range : n;
        wick_dry_apply(s, l);
        ref_dry(h + n - use, use, &o, breaker, expected);
        for (int i = 0; i < N; i++) assert_float_equal(l[i], expected[i], 1e-3 * (1 + fabs(expected[i])));
        for (int i = 0; i < N; i++) assert_int_equal(s->scratch->count[i], 0);
        wick_sampler_free(s);
    }
}

/* Mirostat holds the mean surprise near tau. */
static void test_mirostat(void **state)
{
    (void)state;
    float l[N];
    random_logits(l, N, 8, false);
    ref r;
    load_ref(&r, l, 1);
    ref_softmax(&r);
    for (float tau = 2; tau <= 5; tau += 1.5f) {
        wick_sampling o = plain();
        o.mirostat_tau = tau;
        wick_sampler *s = make(&o);
        double sum = 0;
        int n = 4000;
        for (int i = 0; i < n; i++) {
            int32_t id;
            float mu = s->mu;
            assert_int_equal(wick_sampler_pick(s, l, NULL, &id, NULL, NULL, 0, NULL), WICK_OK);
            if (r.order[0] != id) assert_true(-log2(r.p[id]) <= (double)mu + 1e-4);
            sum += (double)tau + (double)(mu - s->mu) / (double)o.mirostat_eta;
            assert_int_equal(wick_sampler_accept(s, id, NULL), WICK_OK);
        }
        assert_true(fabs(sum / n - (double)tau) < 0.15);
        wick_sampler_free(s);
    }
}

static void test_check(void **state)
{
    (void)state;
    const struct {
        size_t at;
        float bad;
    } row[] = {
        {offsetof(wick_sampling, temperature), -1},     {offsetof(wick_sampling, temperature), NAN},
        {offsetof(wick_sampling, top_p), NAN},          {offsetof(wick_sampling, presence_penalty), INFINITY},
        {offsetof(wick_sampling, dry_base), -INFINITY}, {offsetof(wick_sampling, mirostat_eta), NAN},
    };
    wick_err err;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        wick_sampling s;
        wick_sampling_init(&s);
        assert_int_equal(wick_sampling_check(&s, N, &err), WICK_OK);
        memcpy((char *)&s + row[i].at, &row[i].bad, sizeof(float));
        assert_int_equal(wick_sampling_check(&s, N, &err), WICK_E_BAD_PARAMETER);
    }
    wick_sampling s;
    wick_sampling_init(&s);
    wick_logit_bias b = {N, 1};
    s.bias = &b, s.n_bias = 1;
    assert_int_equal(wick_sampling_check(&s, N, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "logit_bias");
    s.n_bias = 0, s.order = (wick_sampler_order)3;
    assert_int_equal(wick_sampling_check(&s, N, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "sampler_order");
}

static void test_no_allocation_and_failure(void **state)
{
    (void)state;
    float l[N];
    random_logits(l, N, 8, false);
    wick_sampling o;
    wick_sampling_init(&o);
    o.temperature = 0.8f, o.top_k = 40, o.top_p = 0.95f, o.dry_multiplier = 1, o.repetition_penalty = 1.1f,
    o.xtc_probability = 0.5f;
    wick_logit_bias b = {3, 1};
    o.bias = &b, o.n_bias = 1;
    wick_sampler *s = make(&o);
    assert_int_equal(wick_sampler_reserve(s, 1000, NULL), WICK_OK);
    uint64_t before = wick_alloc_count();
    for (int i = 0; i < 1000; i++) {
        int32_t id;
        wick_logprob lp, top[5];
        o.order = (wick_sampler_order)(i % 3);
        assert_int_equal(wick_sampler_pick(s, l, NULL, &id, &lp, top, 5, NULL), WICK_OK);
        assert_int_equal(wick_sampler_accept(s, id, NULL), WICK_OK);
    }
    assert_int_equal(wick_alloc_count(), before);
    wick_sampler_free(s);
    for (uint64_t i = 1;; i++) {
        wick_err err = {0};
        wick_alloc_fail_at(i, false);
        wick_status st = wick_sampler_new(&s, &o, N, &err);
        if (st == WICK_OK) st = wick_sampler_reserve(s, 100, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK) {
            wick_sampler_free(s);
            assert_true(i > 5);
            break;
        }
        assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
        if (i > 6) wick_sampler_free(s); /* it was made, its reserve failed */
        assert_true(i < 50);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sets),
        cmocka_unit_test(test_xtc_keeps_special),
        cmocka_unit_test(test_exp),
        cmocka_unit_test(test_distributions),
        cmocka_unit_test(test_xtc_probability),
        cmocka_unit_test(test_seed_and_position),
        cmocka_unit_test(test_greedy_and_logprobs),
        cmocka_unit_test(test_mask_and_bias),
        cmocka_unit_test(test_numeric),
        cmocka_unit_test(test_penalties),
        cmocka_unit_test(test_dry),
        cmocka_unit_test(test_mirostat),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_no_allocation_and_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
