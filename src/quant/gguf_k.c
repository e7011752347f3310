/* quant/gguf_k.c - the k-quants of GGUF: 256 elements, in groups of 16 or 32 with scales that are quantized themselves.
 *
 *   Q2_K  16 x (4-bit scale, 4-bit min), 64 bytes of 2 bits, d, dmin     w = d * scale * q - dmin * min   groups of 16
 *   Q3_K  32 bytes of high bits, 64 bytes of 2 bits, 12 bytes of 16 6-bit scales, d
 *                                                                        w = d * (scale - 32) * (q - 4)   groups of 16
 *   Q4_K  d, dmin, 12 bytes of 8 6-bit scales and mins, 128 bytes        w = d * scale * q - dmin * min   groups of 32
 *   Q5_K  as Q4_K with 32 bytes of high bits before the nibbles
 *   Q6_K  128 bytes of 4 bits, 64 bytes of 2 bits, 16 signed scales, d   w = d * scale * (q - 32)         groups of 16
 *   Q8_K  float d, 256 signed bytes, 16 sums of i16 (not needed here)    w = d * q
 */
#include "quant/block.h"

/* Element i of 2-bit codes: each 32 bytes hold 128 elements, a plane of 32 for each bit pair. */
static unsigned two_bits(const uint8_t *q, unsigned i)
{
    return q[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
}

void wick_block_q2_k(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x + 80), dmin = wick_block_f16(x + 82);
    for (unsigned i = 0; i < 256; i++) {
        uint8_t s = x[i / 16];
        y[i] = d * (float)(s & 15) * (float)two_bits(x + 16, i) - dmin * (float)(s >> 4);
    }
}

void wick_block_q3_k(const uint8_t *x, float *y)
{
    const uint8_t *scales = x + 96;
    float d = wick_block_f16(x + 108);
    for (unsigned i = 0; i < 256; i++) {
        unsigned g = i / 16; /* low 4 bits: a nibble of bytes 0-7; high 2 bits: a pair of bytes 8-11 */
        unsigned low = scales[g % 8] >> (g / 8 * 4) & 15, high = scales[8 + g % 4] >> (g / 4 * 2) & 3;
        int q = (int)two_bits(x + 32, i) - (x[i % 32] >> (i / 32) & 1 ? 0 : 4);
        y[i] = d * (float)((int)(low | high << 4) - 32) * (float)q;
    }
}

/* Scale and min of group g of 8, six bits each, from 12 bytes: groups 0-3 have a byte each for scale and min; the
 * top two bits of those bytes are the top bits of groups 4-7, whose low nibbles share bytes 8-11. */
static void scale_min(const uint8_t *s, unsigned g, float *scale, float *min)
{
    if (g < 4) {
        *scale = (float)(s[g] & 63);
        *min = (float)(s[g + 4] & 63);
    } else {
        *scale = (float)((s[g + 4] & 15) | (s[g - 4] >> 6) << 4);
        *min = (float)((s[g + 4] >> 4) | (s[g] >> 6) << 4);
    }
}

/* Nibbles: each 32 bytes hold 64 elements, first the low nibbles. `high`: a bit plane for each group, or NULL. */
static void decode_scale_min(const uint8_t *x, const uint8_t *high, const uint8_t *nibbles, float *y)
{
    float d = wick_block_f16(x), dmin = wick_block_f16(x + 2);
    for (unsigned g = 0; g < 8; g++) {
        float scale, min;
        scale_min(x + 4, g, &scale, &min);
        scale *= d;
        min *= dmin;
        for (unsigned j = 0; j < 32; j++) {
            unsigned q = nibbles[g / 2 * 32 + j] >> (g % 2 * 4) & 15;
            if (high) q |= (high[j] >> g & 1u) << 4;
            y[g * 32 + j] = scale * (float)q - min;
        }
    }
}

void wick_block_q4_k(const uint8_t *x, float *y)
{
    decode_scale_min(x, NULL, x + 16, y);
}

void wick_block_q5_k(const uint8_t *x, float *y)
{
    decode_scale_min(x, x + 16, x + 48, y);
}

void wick_block_q6_k(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x + 208);
    for (unsigned i = 0; i < 256; i++) { /* each 64 bytes of nibbles hold 128 elements, first the low nibbles */
        unsigned low = x[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
        int q = (int)(low | two_bits(x + 128, i) << 4) - 32;
        y[i] = d * (float)(int8_t)x[192 + i / 16] * (float)q;
    }
}

void wick_block_q8_k(const uint8_t *x, float *y)
{
    float d = wick_f32_from_bits(wick_block_u32(x));
    for (unsigned i = 0; i < 256; i++) y[i] = d * (float)(int8_t)x[4 + i];
}
