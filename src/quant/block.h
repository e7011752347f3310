/* quant/block.h - private to quant/: the decoders of one block of each GGUF type.
 *
 * Each writes the block's elements to y from the bytes at x, which need not be aligned. Layouts are those of the
 * GGUF files of the wild; the formula is beside each function.
 */
#pragma once
#include "quant/weight.h"

static inline uint16_t wick_block_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | p[1] << 8);
}
static inline uint32_t wick_block_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}
static inline float wick_block_f16(const uint8_t *p)
{
    return wick_f16_to_f32(wick_block_u16(p));
}

/* gguf_legacy.c: 32 elements */
void wick_block_q4_0(const uint8_t *x, float *y);
void wick_block_q4_1(const uint8_t *x, float *y);
void wick_block_q5_0(const uint8_t *x, float *y);
void wick_block_q5_1(const uint8_t *x, float *y);
void wick_block_q8_0(const uint8_t *x, float *y);
void wick_block_q8_1(const uint8_t *x, float *y);
/* gguf_k.c: 256 elements */
void wick_block_q2_k(const uint8_t *x, float *y);
void wick_block_q3_k(const uint8_t *x, float *y);
void wick_block_q4_k(const uint8_t *x, float *y);
void wick_block_q5_k(const uint8_t *x, float *y);
void wick_block_q6_k(const uint8_t *x, float *y);
void wick_block_q8_k(const uint8_t *x, float *y);
/* gguf_iq.c: 256 elements, iq4_nl 32 */
void wick_block_iq4_nl(const uint8_t *x, float *y);
void wick_block_iq4_xs(const uint8_t *x, float *y);
void wick_block_iq2_xxs(const uint8_t *x, float *y);
void wick_block_iq2_xs(const uint8_t *x, float *y);
void wick_block_iq2_s(const uint8_t *x, float *y);
void wick_block_iq3_xxs(const uint8_t *x, float *y);
void wick_block_iq3_s(const uint8_t *x, float *y);
void wick_block_iq1_s(const uint8_t *x, float *y);
void wick_block_iq1_m(const uint8_t *x, float *y);
/* gguf_t.c: 256 elements; mxfp4 (fpx.c): 32 */
void wick_block_tq1_0(const uint8_t *x, float *y);
void wick_block_tq2_0(const uint8_t *x, float *y);
void wick_block_mxfp4(const uint8_t *x, float *y);
void wick_block_nvfp4(const uint8_t *x, float *y); /* 64 */

/* affine.c, fpx.c: one row of a weight */
void wick_affine_decode(const wick_weight *w, const uint8_t *data, const uint8_t *scales, const uint8_t *biases,
                        float *out);
void wick_fpx_decode(const wick_weight *w, const uint8_t *data, const uint8_t *scales, float *out);

/* gguf_legacy.c: one block of Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 from 32 floats */
void wick_block_legacy_encode(wick_dtype t, const float *x, uint8_t *out);
/* gguf_k_encode.c: one block of Q2_K to Q6_K from 256 floats, whose errors count by their weights (NULL: all the
 * same) */
void wick_block_k_encode(wick_dtype t, const float *x, const float *weight, uint8_t *out);
void wick_block_k_encode_avx2(wick_dtype t, const float *x, const float *weight, uint8_t *out);
/* fpx.c: one row of a float mode */
void wick_fpx_encode(wick_encoding enc, const float *x, uint32_t n_in, uint8_t *data, uint8_t *scales);
