/* engine/mirostat.c - mirostat 2 (Basu et al. 2020): keeps the surprise of the text near tau bits.
 *
 * Candidates with -log2 p > mu go; one is drawn from the rest; mu -= eta * (its surprise among the rest - tau).
 * mu starts at 2 tau.
 */
#include "engine/sample_int.h"

int32_t wick_mirostat_draw(wick_sampler *s, wick_cand_set *set, double u)
{
    float max = -INFINITY;
    double total = 0, p = 1;
    uint32_t best = 0, m = 0;
    for (uint32_t i = 0; i < set->n; i++) {
        if (wick_cand_before(&set->c[i], &set->c[best])) best = i;
    }
    wick_cand top = set->c[best];
    max = top.logit;
    for (uint32_t i = 0; i < set->n; i++) total += (double)wick_exp_neg(set->c[i].logit - max);
    double bound = total * exp2(-(double)s->mu);
    for (uint32_t i = 0; i < set->n; i++) {
        if ((double)wick_exp_neg(set->c[i].logit - max) >= bound) set->c[m++] = set->c[i];
    }
    if (m == 0) set->c[m++] = top;
    set->n = m;
    set->n_sorted = 0;
    int32_t id = wick_cands_draw(set, u, &p);
    double surprise = -log2(p);
    s->mu -= s->opt.mirostat_eta * (float)(surprise - (double)s->opt.mirostat_tau);
    return id;
}
