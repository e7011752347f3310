/* engine/sample_mass.h - the sum of e^(logit - max) over a vocabulary: each token of a greedy answer needs it for its
 * logprob. Apart because it is compiled once for each instruction set; the same bits in all of them, as every operation
 * is element-wise and the order of the additions is fixed. */
#pragma once
#include "engine/sample_int.h"

#include <string.h>

static double sample_mass(const float *logits, uint32_t n, float max)
{
    float e[256], acc[16];
    double sum = 0;
    uint32_t i = 0;
    for (; i + 256 <= n; i += 256) { /* loops that become vectors; 16 running sums keep rounding errors small */
        memset(acc, 0, sizeof acc);
        for (uint32_t j = 0; j < 256; j++) e[j] = wick_exp_neg(logits[i + j] - max);
        for (uint32_t j = 0; j < 256; j += 16) {
            for (uint32_t k = 0; k < 16; k++) acc[k] += e[j + k];
        }
        for (uint32_t k = 0; k < 16; k++) sum += (double)acc[k];
    }
    for (; i < n; i++) sum += (double)wick_exp_neg(logits[i] - max);
    return sum;
}
