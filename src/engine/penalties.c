/* engine/penalties.c - repetition, presence and frequency penalties over the last `penalty_range` tokens.
 *
 * Per distinct token of the window: the repetition penalty divides a positive logit and multiplies a negative one
 * (Keskar et al. 2019), then presence is subtracted once and frequency once per occurrence (OpenAI).
 */
#include "engine/sample_int.h"

void wick_penalties_apply(const wick_sampler *s, float *logits)
{
    const wick_sampling *o = &s->opt;
    uint32_t n = o->penalty_range < s->n_hist ? o->penalty_range : s->n_hist;
    const int32_t *window = s->hist + (s->n_hist - n);
    uint32_t *count = s->scratch->count;
    float rep = o->repetition_penalty > 0 ? o->repetition_penalty : 1.0f;
    if (n == 0 || (rep == 1.0f && o->presence_penalty == 0 && o->frequency_penalty == 0)) return;
    for (uint32_t i = 0; i < n; i++) count[window[i]]++;
    for (uint32_t i = 0; i < n; i++) {
        int32_t id = window[i];
        if (count[id] == 0) continue; /* done already */
        float l = logits[id];
        l = l < 0 ? l * rep : l / rep;
        l -= o->presence_penalty;
        l -= o->frequency_penalty * (float)count[id];
        logits[id] = l;
        count[id] = 0;
    }
}
