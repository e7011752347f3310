/* engine/sample_mass_avx512.c - see sample_mass.h. */
#include "engine/sample_mass.h"

double wick_sample_mass_avx512(const float *logits, uint32_t n, float max)
{
    return sample_mass(logits, n, max);
}
