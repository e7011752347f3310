/* quant/fpx.c - the micro-scaling float encodings: mxfp4, nvfp4, mxfp8 (MLX's layout), and the MXFP4 and NVFP4 blocks
 * of GGUF. Element and scale formats: OCP Microscaling Formats (MX) 1.0, sections 5.3 and 5.4. */
#include "quant/block.h"

#include <math.h>

/* E2M1: sign, two bits of exponent, one of mantissa */
static const float e2m1[16] = {0, .5f, 1, 1.5f, 2, 3, 4, 6, -0.f, -.5f, -1, -1.5f, -2, -3, -4, -6};

/* 2^(e - 127); 0 is the subnormal 2^-127, 255 is NaN */
float wick_e8m0_to_f32(uint8_t e)
{
    if (e == 255) return NAN;
    return wick_f32_from_bits(e ? (uint32_t)e << 23 : 0x00400000u);
}

/* 1-4-3 with bias 7, no infinity; 0x7f and 0xff are NaN */
float wick_e4m3_to_f32(uint8_t u)
{
    int exponent = u >> 3 & 15, mantissa = u & 7;
    float v = exponent ? ldexpf((float)(8 + mantissa), exponent - 10) : ldexpf((float)mantissa, -9);
    if ((u & 0x7f) == 0x7f) v = NAN;
    return u & 0x80 ? -v : v;
}

void wick_fpx_decode(const wick_weight *w, const uint8_t *data, const uint8_t *scales, float *out)
{
    for (uint32_t g = 0, k = 0; g < w->n_in / w->group; g++) {
        float scale =
            w->enc == WICK_ENC_NVFP4 ? wick_e4m3_to_f32(scales[g]) * w->global_scale : wick_e8m0_to_f32(scales[g]);
        for (uint32_t end = k + w->group; k < end; k++) {
            float code = w->enc == WICK_ENC_MXFP8 ? wick_e4m3_to_f32(data[k]) : e2m1[data[k / 2] >> (k % 2 * 4) & 15];
            out[k] = scale * code;
        }
    }
}

/* u8 exponent, 16 bytes; byte j holds elements j and j + 16 */
void wick_block_mxfp4(const uint8_t *x, float *y)
{
    float scale = wick_e8m0_to_f32(x[0]);
    for (unsigned j = 0; j < 16; j++) {
        y[j] = scale * e2m1[x[1 + j] & 15];
        y[j + 16] = scale * e2m1[x[1 + j] >> 4];
    }
}

/* 4 scales in E4M3 (never negative; 0x7f stands for 0), then 8 bytes for each; byte j holds elements j and j + 8 */
void wick_block_nvfp4(const uint8_t *x, float *y)
{
    for (unsigned g = 0; g < 4; g++, y += 16) {
        float scale = x[g] == 0x7f ? 0 : wick_e4m3_to_f32(x[g]);
        for (unsigned j = 0; j < 8; j++) {
            y[j] = scale * e2m1[x[4 + 8 * g + j] & 15];
            y[j + 8] = scale * e2m1[x[4 + 8 * g + j] >> 4];
        }
    }
}

/* --- encoding, as MLX does it ------------------------------------------------------------------------------------- */
/* To the nearest E4M3, ties to even; more than the largest becomes the largest. */
static uint8_t to_e4m3(float v)
{
    uint32_t bits = wick_f32_to_bits(v), a = bits & 0x7fffffff;
    uint8_t sign = (uint8_t)(bits >> 24 & 0x80);
    if (a > 0x7f800000) return 0x7f;
    if (a < 0x3c800000) /* below 2^-6: a multiple of 2^-9 */
        return sign | (uint8_t)rintf(wick_f32_from_bits(a) * 512);
    a = ((a + 0x7ffff + (a >> 20 & 1)) >> 20) - (120u << 3);
    return sign | (uint8_t)(a < 126 ? a : 126);
}

/* The least power of two that is not below v, which is positive; 1 for 0. */
static uint8_t to_e8m0(float v)
{
    uint32_t bits = wick_f32_to_bits(v);
    if (!(v > 0)) return 127;
    uint32_t e = (bits >> 23) + ((bits & 0x7fffff) != 0);
    return (uint8_t)(e < 254 ? e : 254);
}

/* The nearest E2M1: of two that are equally near the one of the smaller code, so what becomes 0 is never negative. */
static uint8_t to_e2m1(float v)
{
    uint8_t best = 0;
    float nearest = fabsf(v);
    for (uint8_t i = 1; i < 16; i++) {
        float distance = fabsf(v - e2m1[i]);
        if (distance < nearest) {
            nearest = distance;
            best = i;
        }
    }
    return best;
}

void wick_fpx_encode(wick_encoding enc, const float *x, uint32_t n_in, uint8_t *data, uint8_t *scales)
{
    uint32_t group = enc == WICK_ENC_NVFP4 ? 16 : 32;
    for (uint32_t g = 0; g < n_in / group; g++, x += group) {
        float most = 0;
        for (uint32_t k = 0; k < group; k++) most = fmaxf(most, fabsf(x[k]));
        scales[g] = enc == WICK_ENC_NVFP4 ? to_e4m3(most / 6) : to_e8m0(most / (enc == WICK_ENC_MXFP4 ? 6 : 448));
        float scale = enc == WICK_ENC_NVFP4 ? wick_e4m3_to_f32(scales[g]) : wick_e8m0_to_f32(scales[g]);
        if (enc == WICK_ENC_MXFP8) {
            for (uint32_t k = 0; k < group; k++) *data++ = to_e4m3(x[k] / scale);
        } else {
            for (uint32_t k = 0; k < group; k += 2)
                *data++ = (uint8_t)(to_e2m1(x[k] / scale) | to_e2m1(x[k + 1] / scale) << 4);
        }
    }
}
