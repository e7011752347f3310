/* quant/gguf_t.c - the ternary types of GGUF: w = d * (q - 1), q in {0, 1, 2}, 256 elements.
 *
 *   TQ1_0  48 bytes of 5 trits, 4 bytes of 4 trits, d. A byte is ceil(value * 256 / 243) of its base-3 number, so that
 *          trit n is the top digit of (byte * 3^n mod 256) in base 3.
 *   TQ2_0  64 bytes of 2 bits, d
 */
#include "quant/block.h"

static const uint8_t power3[5] = {1, 3, 9, 27, 81};

/* Planes of n_bytes elements, one for each trit of the bytes. */
static float *trits(const uint8_t *x, unsigned n_bytes, unsigned n_trits, float d, float *y)
{
    for (unsigned t = 0; t < n_trits; t++)
        for (unsigned j = 0; j < n_bytes; j++) {
            uint8_t shifted = (uint8_t)(x[j] * power3[t]);
            *y++ = d * (float)((shifted * 3 >> 8) - 1);
        }
    return y;
}

void wick_block_tq1_0(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x + 52);
    y = trits(x, 32, 5, d, y);
    y = trits(x + 32, 16, 5, d, y);
    trits(x + 48, 4, 4, d, y);
}

void wick_block_tq2_0(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x + 64);
    for (unsigned i = 0; i < 256; i++)
        y[i] = d * (float)((int)(x[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3) - 1);
}
