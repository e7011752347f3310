/* engine/sample_mass_avx2.c - see sample_mass.h. */
#include "engine/sample_mass.h"

double wick_sample_mass_avx2(const float *logits, uint32_t n, float max)
{
    return sample_mass(logits, n, max);
}
