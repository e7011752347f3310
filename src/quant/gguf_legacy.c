/* quant/gguf_legacy.c - the GGUF types with 32 elements and one or two half-precision numbers to a block.
 *
 *   Q4_0  d, 16 bytes             w = d * (q - 8)       byte j: elements j (low nibble) and j + 16
 *   Q4_1  d, m, 16 bytes          w = d * q + m
 *   Q5_0  d, u32, 16 bytes        w = d * (q - 16)      bit j of the u32: the fifth bit of element j
 *   Q5_1  d, m, u32, 16 bytes     w = d * q + m
 *   Q8_0  d, 32 signed bytes      w = d * q
 *   Q8_1  d, s, 32 signed bytes   w = d * q             s = d * sum(q), not needed here
 */
#include "quant/block.h"

#include <math.h>

static void decode(const uint8_t *nibbles, uint32_t fifth, unsigned fifth_bit, float d, float m, float zero, float *y)
{
    for (unsigned j = 0; j < 16; j++) {
        uint32_t lo = (nibbles[j] & 15) | (fifth >> j & 1) << fifth_bit;
        uint32_t hi = (uint32_t)(nibbles[j] >> 4) | (fifth >> (j + 16) & 1) << fifth_bit;
        y[j] = d * ((float)lo - zero) + m;
        y[j + 16] = d * ((float)hi - zero) + m;
    }
}

void wick_block_q4_0(const uint8_t *x, float *y)
{
    decode(x + 2, 0, 4, wick_block_f16(x), 0, 8, y);
}

void wick_block_q4_1(const uint8_t *x, float *y)
{
    decode(x + 4, 0, 4, wick_block_f16(x), wick_block_f16(x + 2), 0, y);
}

void wick_block_q5_0(const uint8_t *x, float *y)
{
    decode(x + 6, wick_block_u32(x + 2), 4, wick_block_f16(x), 0, 16, y);
}

void wick_block_q5_1(const uint8_t *x, float *y)
{
    decode(x + 8, wick_block_u32(x + 4), 4, wick_block_f16(x), wick_block_f16(x + 2), 0, y);
}

void wick_block_q8_0(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned j = 0; j < 32; j++) y[j] = d * (float)(int8_t)x[2 + j];
}

void wick_block_q8_1(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned j = 0; j < 32; j++) y[j] = d * (float)(int8_t)x[4 + j];
}

static void put_f16(uint8_t *p, float v)
{
    uint16_t h = wick_f32_to_f16(v);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* trunc(v) in [0, top]; NaN is 0 */
static uint32_t clamp_code(float v, float top)
{
    return v > 0 ? (uint32_t)(v < top ? v : top) : 0;
}

static void put_codes(const uint32_t q[32], uint8_t *nibbles, uint8_t *fifth)
{
    uint32_t bits = 0;
    for (unsigned j = 0; j < 16; j++) nibbles[j] = (uint8_t)((q[j] & 15) | (q[j + 16] & 15) << 4);
    for (unsigned j = 0; j < 32; j++) bits |= (q[j] >> 4 & 1) << j;
    for (unsigned j = 0; fifth && j < 4; j++) fifth[j] = (uint8_t)(bits >> (8 * j));
}

/* Q4_0, Q5_0: the element with the largest magnitude becomes code 0. */
static void encode_symmetric(const float *x, unsigned bits, uint8_t *out)
{
    float edge = 0, zero = (float)(1u << (bits - 1));
    for (unsigned j = 0; j < 32; j++)
        if (fabsf(x[j]) > fabsf(edge)) edge = x[j];
    float d = edge / -zero, inverse = d != 0 ? 1.0f / d : 0;
    uint32_t q[32];
    for (unsigned j = 0; j < 32; j++) q[j] = clamp_code(x[j] * inverse + (zero + 0.5f), 2 * zero - 1);
    put_f16(out, d);
    put_codes(q, out + (bits == 5 ? 6 : 2), bits == 5 ? out + 2 : NULL);
}

/* Q4_1, Q5_1: the smallest element becomes code 0, the largest the top code. */
static void encode_ranged(const float *x, unsigned bits, uint8_t *out)
{
    float lo = x[0], hi = x[0], top = (float)((1u << bits) - 1);
    for (unsigned j = 1; j < 32; j++) {
        lo = x[j] < lo ? x[j] : lo;
        hi = x[j] > hi ? x[j] : hi;
    }
    float d = (hi - lo) / top, inverse = d != 0 ? 1.0f / d : 0;
    uint32_t q[32];
    for (unsigned j = 0; j < 32; j++) q[j] = clamp_code((x[j] - lo) * inverse + 0.5f, top);
    put_f16(out, d);
    put_f16(out + 2, lo);
    put_codes(q, out + (bits == 5 ? 8 : 4), bits == 5 ? out + 4 : NULL);
}

static void encode_q8_0(const float *x, uint8_t *out)
{
    float most = 0;
    for (unsigned j = 0; j < 32; j++) most = fmaxf(most, fabsf(x[j]));
    float d = most / 127, inverse = d != 0 ? 1.0f / d : 0;
    put_f16(out, d);
    for (unsigned j = 0; j < 32; j++) {
        float q = roundf(x[j] * inverse);
        out[2 + j] = (uint8_t)(int8_t)(q > -127 ? (q < 127 ? q : 127) : -127);
    }
}

void wick_block_legacy_encode(wick_dtype t, const float *x, uint8_t *out)
{
    switch ((int)t) {
    case WICK_DTYPE_Q4_0: encode_symmetric(x, 4, out); break;
    case WICK_DTYPE_Q5_0: encode_symmetric(x, 5, out); break;
    case WICK_DTYPE_Q4_1: encode_ranged(x, 4, out); break;
    case WICK_DTYPE_Q5_1: encode_ranged(x, 5, out); break;
    default: encode_q8_0(x, out); break;
    }
}
