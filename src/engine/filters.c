/* engine/filters.c - the filters that cut the candidate set down before a token is drawn.
 *
 * The vocabulary has up to 256,000 entries and a filter usually keeps tens, so nothing here sorts the whole set: the
 * best k come through a heap of k, and top-p sorts a growing front until it holds enough mass. Everything is
 * deterministic: equal logits are ordered by id, and sums run in a fixed order.
 */
#include "engine/sample_int.h"

static void swap(wick_cand *a, wick_cand *b)
{
    wick_cand t = *a;
    *a = *b;
    *b = t;
}

/* Splits c[0..n), n >= 2, at a pivot picked by a fixed pseudo-random rule (no input can be bad on purpose for long):
 * returns m, 0 < m < n, with everything in c[0..m) before everything in c[m..n). */
static uint32_t partition(wick_cand *c, uint32_t n, uint32_t *rnd)
{
    *rnd = *rnd * 1664525u + 1013904223u;
    wick_cand pivot = c[(uint32_t)(((uint64_t)*rnd * (n - 1)) >> 32)]; /* never the last: so both sides are not empty */
    uint32_t i = 0, j = n - 1;
    for (;;) {
        while (wick_cand_before(&c[i], &pivot)) i++;
        while (wick_cand_before(&pivot, &c[j])) j--;
        if (i >= j) return j + 1;
        swap(&c[i++], &c[j--]);
    }
}

static void insertion_sort(wick_cand *c, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        wick_cand x = c[i];
        uint32_t j = i;
        for (; j > 0 && wick_cand_before(&x, &c[j - 1]); j--) c[j] = c[j - 1];
        c[j] = x;
    }
}

/* Quicksort; recursion on the smaller side only, so the depth is at most log2(n). (libc's qsort may allocate.) */
static void sort(wick_cand *c, uint32_t n, uint32_t *rnd)
{
    while (n > 16) {
        uint32_t m = partition(c, n, rnd);
        if (m < n - m) {
            sort(c, m, rnd);
            c += m;
            n -= m;
        } else {
            sort(c + m, n - m, rnd);
            n = m;
        }
    }
    insertion_sort(c, n);
}

/* Moves the best k of c[0..n) to the front, in no order. */
static void select_best(wick_cand *c, uint32_t n, uint32_t k, uint32_t *rnd)
{
    while (n > 1 && k > 0 && k < n) {
        uint32_t m = partition(c, n, rnd);
        if (k < m) {
            n = m;
        } else {
            c += m;
            n -= m;
            k -= m;
        }
    }
}

void wick_cands_order(wick_cand_set *s, uint32_t m)
{
    uint32_t rnd = 0x9e3779b9u;
    if (m > s->n) m = s->n;
    if (m <= s->n_sorted) return;
    wick_cand *rest = s->c + s->n_sorted;
    uint32_t k = m - s->n_sorted;
    select_best(rest, s->n - s->n_sorted, k, &rnd);
    sort(rest, k, &rnd);
    s->n_sorted = m;
}

void wick_cands_fill(wick_cand_set *s, const float *logits, uint32_t n)
{
    s->n = s->n_sorted = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (logits[i] == -INFINITY) continue;
        s->c[s->n++] = (wick_cand){logits[i], logits[i], (int32_t)i};
    }
}

/* The heap has its worst candidate at the root. */
static void sift_down(wick_cand *h, uint32_t n, uint32_t i)
{
    for (;;) {
        uint32_t worst = i, l = 2 * i + 1, r = l + 1;
        if (l < n && wick_cand_before(&h[worst], &h[l])) worst = l;
        if (r < n && wick_cand_before(&h[worst], &h[r])) worst = r;
        if (worst == i) return;
        swap(&h[i], &h[worst]);
        i = worst;
    }
}

void wick_cands_fill_top(wick_cand_set *s, const float *logits, uint32_t n, uint32_t k)
{
    uint32_t i = 0, m = 0, rnd = 1;
    s->n = s->n_sorted = 0;
    if (k == 0) return;
    if (k > 1024) { /* a heap that large costs more than selecting */
        wick_cands_fill(s, logits, n);
        wick_cands_top_k(s, k);
        return;
    }
    for (; i < n && m < k; i++) {
        if (logits[i] != -INFINITY) s->c[m++] = (wick_cand){logits[i], logits[i], (int32_t)i};
    }
    for (uint32_t j = m / 2; j-- > 0;) sift_down(s->c, m, j);
    for (; i < n; i++) {
        if (!(logits[i] > s->c[0].key)) continue; /* equal: the lower id is in already */
        s->c[0] = (wick_cand){logits[i], logits[i], (int32_t)i};
        sift_down(s->c, m, 0);
    }
    sort(s->c, m, &rnd);
    s->n = s->n_sorted = m;
}

void wick_cands_scale(wick_cand_set *s, float inv_temperature)
{
    for (uint32_t i = 0; i < s->n; i++) s->c[i].key = s->c[i].logit *= inv_temperature;
}

static float max_logit(const wick_cand_set *s)
{
    if (s->n_sorted > 0) return s->c[0].logit;
    float m = -INFINITY;
    for (uint32_t i = 0; i < s->n; i++) m = s->c[i].logit > m ? s->c[i].logit : m;
    return m;
}

static double mass(const wick_cand_set *s, float max)
{
    double sum = 0;
    for (uint32_t i = 0; i < s->n; i++) sum += (double)wick_exp_neg(s->c[i].logit - max);
    return sum;
}

void wick_cands_top_k(wick_cand_set *s, uint32_t k)
{
    if (k >= s->n) return;
    wick_cands_order(s, k);
    s->n = k;
}

/* A candidate stays while the mass of those before it is less than p of the whole. keep_ties: also those that equal
 * the last one that stayed (mlx-lm cuts by a threshold, llama.cpp by rank). */
void wick_cands_top_p(wick_cand_set *s, float p, uint32_t min_keep, bool keep_ties)
{
    float max = max_logit(s);
    double bound = (double)p * mass(s, max), sum = 0;
    uint32_t kept = 0, front = 64;
    while (kept < s->n && (sum < bound || kept < min_keep || kept == 0)) {
        if (kept == s->n_sorted) {
            wick_cands_order(s, front);
            front = s->n_sorted > UINT32_MAX / 4 ? UINT32_MAX : s->n_sorted * 4;
        }
        sum += (double)wick_exp_neg(s->c[kept++].logit - max);
    }
    if (keep_ties && kept < s->n) {
        float last = s->c[kept - 1].logit;
        uint32_t m = kept;
        for (uint32_t i = kept; i < s->n; i++) {
            if (s->c[i].logit == last) swap(&s->c[m++], &s->c[i]);
        }
        kept = m;
    }
    s->n = kept;
    if (s->n_sorted > kept) s->n_sorted = kept;
}

/* Keeps what `logit >= bound` says, in its order. */
static void cut_below(wick_cand_set *s, float bound)
{
    uint32_t m = 0, sorted = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        if (s->c[i].logit < bound) continue;
        if (i < s->n_sorted) sorted++;
        s->c[m++] = s->c[i];
    }
    s->n = m;
    s->n_sorted = sorted;
}

void wick_cands_min_p(wick_cand_set *s, float p, uint32_t min_keep)
{
    if (p <= 0) return;
    float bound = max_logit(s) + logf(p);
    if (min_keep > 1) {
        wick_cands_order(s, min_keep);
        uint32_t m = min_keep < s->n ? min_keep : s->n;
        if (s->c[m - 1].logit < bound) {
            s->n = s->n_sorted = m;
            return;
        }
    }
    cut_below(s, bound);
}

/* Locally typical sampling: the candidates whose information -log p is nearest to the entropy, until they hold more
 * than p of the mass (Meister et al. 2022). */
void wick_cands_typical(wick_cand_set *s, float p, uint32_t min_keep)
{
    if (p >= 1 || s->n < 2) return;
    float max = max_logit(s);
    double total = mass(s, max), log_total = log(total), entropy = 0, sum = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        double lp = (double)(s->c[i].logit - max) - log_total;
        entropy -= exp(lp) * lp;
    }
    for (uint32_t i = 0; i < s->n; i++) {
        double lp = (double)(s->c[i].logit - max) - log_total;
        s->c[i].key = (float)-fabs(-lp - entropy);
    }
    s->n_sorted = 0;
    uint32_t kept = 0, front = 64;
    while (kept < s->n && (sum <= (double)p || kept < min_keep)) {
        if (kept == s->n_sorted) {
            wick_cands_order(s, front);
            front = s->n_sorted > UINT32_MAX / 4 ? UINT32_MAX : s->n_sorted * 4;
        }
        sum += (double)wick_exp_neg(s->c[kept++].logit - max) / total;
    }
    s->n = kept;
    s->n_sorted = 0;
    for (uint32_t i = 0; i < s->n; i++) s->c[i].key = s->c[i].logit;
}

/* The worst candidate whose probability is over (or, with `strict` false, at) the threshold; NULL if fewer than two
 * are. */
static bool xtc_last(const wick_cand_set *s, float threshold, bool strict, wick_cand *last, uint32_t *n_before)
{
    float max = max_logit(s);
    double bound = (double)threshold * mass(s, max);
    uint32_t n = 0;
    for (uint32_t i = 0; i < s->n; i++) {
        double p = (double)wick_exp_neg(s->c[i].logit - max);
        if (strict ? p <= bound : p < bound) continue;
        if (n == 0 || wick_cand_before(last, &s->c[i])) *last = s->c[i];
        n++;
    }
    *n_before = n > 0 ? n - 1 : 0;
    return n > 1;
}

void wick_cands_xtc_llama(wick_cand_set *s, float threshold, uint32_t min_keep)
{
    wick_cand last = {0};
    uint32_t n_before, m = 0;
    if (threshold > 0.5f || !xtc_last(s, threshold, false, &last, &n_before) || s->n - n_before < min_keep) return;
    for (uint32_t i = 0; i < s->n; i++) {
        if (!wick_cand_before(&s->c[i], &last)) s->c[m++] = s->c[i];
    }
    s->n = m;
    s->n_sorted = s->n_sorted > n_before ? s->n_sorted - n_before : 0;
}

void wick_cands_xtc_mlx(wick_cand_set *s, float threshold, const int32_t *keep, uint32_t n_keep)
{
    wick_cand last = {0};
    uint32_t n_before, m = 0;
    if (!xtc_last(s, threshold, true, &last, &n_before)) return;
    for (uint32_t i = 0; i < s->n; i++) {
        bool stays = s->c[i].logit <= last.logit;
        for (uint32_t j = 0; !stays && j < n_keep; j++) stays = s->c[i].id == keep[j];
        if (stays) s->c[m++] = s->c[i];
    }
    s->n = m;
    s->n_sorted = 0;
}

int32_t wick_cands_draw(wick_cand_set *s, double u, double *p)
{
    float max = max_logit(s);
    double total = 0, sum = 0;
    uint32_t i, last = 0;
    for (i = 0; i < s->n; i++) total += (double)(s->c[i].key = wick_exp_neg(s->c[i].logit - max));
    s->n_sorted = 0;
    for (i = 0; i < s->n; i++) {
        if (s->c[i].key <= 0) continue;
        last = i; /* rounding may leave sum short of u * total: then the last with any mass */
        sum += (double)s->c[i].key;
        if (sum > u * total) break;
    }
    if (p) *p = (double)s->c[last].key / total;
    return s->c[last].id;
}
