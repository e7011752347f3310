/* backend/cpu/kernels/lin_avx512_regs.h - scales and codes of packed tiles in 512-bit registers. Shared by the kernels
 * that unpack a block to memory and by those that unpack as they multiply; the arithmetic is that of lin_common.h. */
#pragma once
#include "backend/cpu/kernels/lin_common.h"
#include <immintrin.h>

enum { LIN_AHEAD = 6144 }; /* bytes of prefetch; measured with bench/lin_bench */

/* --- scales of one block in registers: the arithmetic of lin_unpack_scales --- */
LIN_INLINE __m512 lin_bf16_ps(const uint8_t *p)
{
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p)), 16));
}

LIN_INLINE __m512 lin_f16_ps(const uint8_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

LIN_INLINE __m512 lin_s8_ps(const uint8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}

/* Group g of n; `scale` and `has_bias` are f's, constants where the caller knows them. */
LIN_INLINE void lin_group_as(const wick_lin_fmt *f, const wick_lin_scale scale, const bool has_bias, const uint8_t *in,
                             uint32_t g, uint32_t n, float off, __m512 *d, __m512 *b)
{
    __m512 bias = _mm512_setzero_ps();
    switch (scale) {
    case WICK_LIN_SCALE_F32:
        *d = _mm512_loadu_ps(in + g * 64);
        if (has_bias) bias = _mm512_loadu_ps(in + (n + g) * 64);
        break;
    case WICK_LIN_SCALE_F16:
        *d = lin_f16_ps(in + g * 32);
        if (has_bias) bias = lin_f16_ps(in + (n + g) * 32);
        break;
    case WICK_LIN_SCALE_BF16:
        *d = lin_bf16_ps(in + g * 32);
        if (has_bias) bias = lin_bf16_ps(in + (n + g) * 32);
        break;
    case WICK_LIN_SCALE_NONE: *d = _mm512_set1_ps(1.0f); break;
    default:
        *d = _mm512_mul_ps(lin_f16_ps(in), lin_s8_ps(in + 64 + g * 16));
        if (has_bias) {
            __m512 m = _mm512_mul_ps(lin_f16_ps(in + 32), lin_s8_ps(in + 64 + (n + g) * 16));
            bias = _mm512_sub_ps(_mm512_setzero_ps(), m);
        }
        break;
    }
    if (f->mul != 1.0f) *d = _mm512_mul_ps(*d, _mm512_set1_ps(f->mul));
    *b = _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(off), *d), bias);
}

LIN_INLINE void lin_group_ps(const wick_lin_fmt *f, const uint8_t *in, uint32_t g, uint32_t n, float off, __m512 *d,
                             __m512 *b)
{
    lin_group_as(f, f->scale, f->has_bias, in, g, n, off, d, b);
}

/* --- codes in registers: vectors 2p and 2p + 1 of a chunk --- */
LIN_INLINE void lin_codes2(const wick_lin_code code, const uint8_t *in, const uint32_t p, __m512i *v0, __m512i *v1)
{
    const __m512i low = _mm512_set1_epi8(15), bit = _mm512_set1_epi8(16), two = _mm512_set1_epi8(48);
    if (code == WICK_LIN_CODE_8) {
        *v0 = _mm512_load_si512(in + p * 128);
        *v1 = _mm512_load_si512(in + p * 128 + 64);
        return;
    }
    if (code == WICK_LIN_CODE_2 || code == WICK_LIN_CODE_3) {
        const __m512i three = _mm512_set1_epi8(3), four = _mm512_set1_epi8(4);
        __m512i t = _mm512_srli_epi16(_mm512_load_si512(in + p / 2 * 64), p % 2 * 4);
        *v0 = _mm512_and_si512(t, three);
        *v1 = _mm512_and_si512(_mm512_srli_epi16(t, 2), three);
        if (code == WICK_LIN_CODE_2) return;
        t = _mm512_rol_epi32(_mm512_load_si512(in + 256 + p / 4 * 64), 2);
        /* Bit 2p % 8 of each byte is now at 2; the neighbours' bits fall outside the mask. The variable form: the count
         * is a constant only after inlining, which clang does not accept in the immediate one. */
        t = _mm512_rorv_epi32(t, _mm512_set1_epi32((int)(p % 4 * 2)));
        *v0 = _mm512_ternarylogic_epi32(*v0, t, four, 0xf8);
        *v1 = _mm512_ternarylogic_epi32(*v1, _mm512_srli_epi32(t, 1), four, 0xf8);
        return;
    }
    __m512i v = _mm512_load_si512(in + p * 64), h, h0, h1;
    *v0 = _mm512_and_si512(v, low);
    *v1 = _mm512_and_si512(_mm512_srli_epi16(v, 4), low);
    if (code == WICK_LIN_CODE_5) {
        const uint32_t at = p * 2 % 8;
        h = _mm512_load_si512(in + 512 + p / 4 * 64);
        h0 = at < 4 ? _mm512_slli_epi16(h, 4 - at) : _mm512_srli_epi16(h, at - 4);
        h1 = at + 1 < 4 ? _mm512_slli_epi16(h, 3 - at) : _mm512_srli_epi16(h, at - 3);
        *v0 = _mm512_ternarylogic_epi32(*v0, h0, bit, 0xf8); /* v | (h & bit) */
        *v1 = _mm512_ternarylogic_epi32(*v1, h1, bit, 0xf8);
    } else if (code == WICK_LIN_CODE_6) {
        h = _mm512_load_si512(in + 512 + p / 2 * 64);
        h0 = p % 2 ? h : _mm512_slli_epi16(h, 4);
        h1 = p % 2 ? _mm512_srli_epi16(h, 2) : _mm512_slli_epi16(h, 2);
        *v0 = _mm512_ternarylogic_epi32(*v0, h0, two, 0xf8);
        *v1 = _mm512_ternarylogic_epi32(*v1, h1, two, 0xf8);
    }
}
