/* backend/cpu/vec.h - one short-vector type per instruction set, so that each row kernel is written once.
 *
 * A file that includes this defines WICK_VEC_AVX512, WICK_VEC_AVX2, WICK_VEC_NEON or nothing (portable: four lanes by
 * the compiler's own vectors, product and sum rounded separately). VW is the number of lanes. Lane-wise functions give
 * the same result whatever the neighbours hold, which is what batch invariance rests on; vf_sum adds in a fixed order.
 * NaN goes through min, max and exp if it is the second operand of vf_min and vf_max.
 */
#pragma once
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"

#if defined(WICK_VEC_AVX512)
#include <immintrin.h>
#define VW 16
typedef __m512 vf;
static inline vf vf_set1(float x)
{
    return _mm512_set1_ps(x);
}
static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}
static inline void vf_store(float *p, vf a)
{
    _mm512_storeu_ps(p, a);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}
static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}
static inline vf vf_round(vf a)
{
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf vf_scale2(vf a, vf n)
{
    return _mm512_scalef_ps(a, n);
}
static inline vf vf_load_f16(const uint16_t *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    __m512i w = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(w, 16));
}
static inline vf vf_load_i8(const int8_t *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)p)));
}
#elif defined(WICK_VEC_AVX2)
#include <immintrin.h>
#define VW 8
typedef __m256 vf;
static inline vf vf_set1(float x)
{
    return _mm256_set1_ps(x);
}
static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}
static inline void vf_store(float *p, vf a)
{
    _mm256_storeu_ps(p, a);
}
static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}
static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}
static inline vf vf_round(vf a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
static inline vf vf_pow2(__m256i n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(n, _mm256_set1_epi32(127)), 23));
}
/* in two steps, so that the whole range of exponents is reached */
static inline vf vf_scale2(vf a, vf n)
{
    __m256i i = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(i, 1);
    return vf_mul(vf_mul(a, vf_pow2(half)), vf_pow2(_mm256_sub_epi32(i, half)));
}
static inline vf vf_load_f16(const uint16_t *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    __m256i w = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(w, 16));
}
static inline vf vf_load_i8(const int8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}
#elif defined(WICK_VEC_NEON)
#include <arm_neon.h>
#define VW 4
typedef float32x4_t vf;
static inline vf vf_set1(float x)
{
    return vdupq_n_f32(x);
}
static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}
static inline void vf_store(float *p, vf a)
{
    vst1q_f32(p, a);
}
static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}
static inline vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}
static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}
static inline vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}
static inline vf vf_min(vf a, vf b)
{
    return vminq_f32(a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return vmaxq_f32(a, b);
}
static inline vf vf_round(vf a)
{
    return vrndnq_f32(a);
}
static inline vf vf_pow2(int32x4_t n)
{
    return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(n, vdupq_n_s32(127)), 23));
}
static inline vf vf_scale2(vf a, vf n)
{
    int32x4_t i = vcvtnq_s32_f32(n), half = vshrq_n_s32(i, 1);
    return vf_mul(vf_mul(a, vf_pow2(half)), vf_pow2(vsubq_s32(i, half)));
}
static inline vf vf_load_f16(const uint16_t *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}
static inline vf vf_load_i8(const int8_t *p)
{
    uint32_t u;
    memcpy(&u, p, sizeof u);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(u)))));
}
#else
#define VW 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi __attribute__((vector_size(16)));
static inline vf vf_set1(float x)
{
    return (vf){x, x, x, x};
}
static inline vf vf_load(const float *p)
{
    vf a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline void vf_store(float *p, vf a)
{
    memcpy(p, &a, sizeof a);
}
static inline vf vf_add(vf a, vf b)
{
    return a + b;
}
static inline vf vf_sub(vf a, vf b)
{
    return a - b;
}
static inline vf vf_mul(vf a, vf b)
{
    return a * b;
}
static inline vf vf_div(vf a, vf b)
{
    return a / b;
}
static inline vf vf_fma(vf a, vf b, vf c)
{
    return a * b + c;
}
static inline vf vf_pick(vi mask, vf a, vf b)
{
    vi x, y;
    memcpy(&x, &a, sizeof x);
    memcpy(&y, &b, sizeof y);
    x = (x & mask) | (y & ~mask);
    memcpy(&a, &x, sizeof a);
    return a;
}
static inline vf vf_min(vf a, vf b)
{
    return vf_pick(a < b, a, b);
}
static inline vf vf_max(vf a, vf b)
{
    return vf_pick(a > b, a, b);
}
/* nearest even, for |a| < 2^22: adding 1.5 * 2^23 leaves no room for a fraction */
static inline vf vf_round(vf a)
{
    return (a + vf_set1(12582912.0F)) - vf_set1(12582912.0F);
}
static inline vf vf_pow2(vi n)
{
    vf r;
    vi bits = (n + 127) << 23;
    memcpy(&r, &bits, sizeof r);
    return r;
}
/* `n` is a rounded value of at most 160; NaN counts as 0 (the other factor is NaN then) */
static inline vf vf_scale2(vf a, vf n)
{
    vi i;
    for (int l = 0; l < VW; l++) i[l] = n[l] == n[l] ? (int32_t)n[l] : 0;
    vi half = i >> 1;
    return a * vf_pow2(half) * vf_pow2(i - half);
}
static inline vf vf_load_f16(const uint16_t *p)
{
    return (vf){wick_f16_to_f32(p[0]), wick_f16_to_f32(p[1]), wick_f16_to_f32(p[2]), wick_f16_to_f32(p[3])};
}
static inline vf vf_load_bf16(const uint16_t *p)
{
    return (vf){wick_bf16_to_f32(p[0]), wick_bf16_to_f32(p[1]), wick_bf16_to_f32(p[2]), wick_bf16_to_f32(p[3])};
}
static inline vf vf_load_i8(const int8_t *p)
{
    return (vf){(float)p[0], (float)p[1], (float)p[2], (float)p[3]};
}
#endif

#if defined(WICK_VEC_AVX512)
static inline float vf_sum(vf a)
{
    return _mm512_reduce_add_ps(a);
}
static inline float vf_top(vf a)
{
    return _mm512_reduce_max_ps(a);
}
#else
static inline float vf_sum(vf a)
{
    float f[VW];
    vf_store(f, a);
    for (int n = VW / 2; n > 0; n /= 2)
        for (int i = 0; i < n; i++) f[i] += f[i + n];
    return f[0];
}

static inline float vf_top(vf a)
{
    float f[VW], m;
    vf_store(f, a);
    m = f[0];
    for (int i = 1; i < VW; i++) m = f[i] > m ? f[i] : m;
    return m;
}
#endif

/* Part vectors for the tail of a row: lanes from n on are `fill` on load and stay untouched on store. */
static inline vf vf_load_part(const float *p, uint32_t n, float fill)
{
    float f[VW];
    for (uint32_t i = 0; i < VW; i++) f[i] = i < n ? p[i] : fill;
    return vf_load(f);
}
static inline void vf_store_part(float *p, uint32_t n, vf a)
{
    float f[VW];
    vf_store(f, a);
    memcpy(p, f, n * sizeof *p);
}

/* e^x within 2 ulp: x = n ln 2 + r, |r| <= ln 2 / 2, Taylor series of e^r to the 7th power (the next term is below
 * 6e-9). ln 2 is split in two parts (Cody and Waite). Underflows to 0, overflows to infinity, keeps NaN. */
static inline vf vf_exp(vf x)
{
    x = vf_max(vf_set1(-104.0F), vf_min(vf_set1(89.0F), x));
    vf n = vf_round(vf_mul(x, vf_set1(1.44269504F)));
    vf r = vf_fma(n, vf_set1(-0.693359375F), x);
    r = vf_fma(n, vf_set1(2.12194440e-4F), r);
    vf p = vf_set1(1.0F / 5040);
    p = vf_fma(p, r, vf_set1(1.0F / 720));
    p = vf_fma(p, r, vf_set1(1.0F / 120));
    p = vf_fma(p, r, vf_set1(1.0F / 24));
    p = vf_fma(p, r, vf_set1(1.0F / 6));
    p = vf_fma(p, r, vf_set1(0.5F));
    p = vf_fma(p, r, vf_set1(1.0F));
    p = vf_fma(p, r, vf_set1(1.0F));
    return vf_scale2(p, n);
}

static inline vf vf_sigmoid(vf x)
{
    return vf_div(vf_set1(1.0F), vf_add(vf_set1(1.0F), vf_exp(vf_sub(vf_set1(0.0F), x))));
}

/* tanh x = 1 - 2 / (e^2x + 1); for |x| < 1/4 the series x - x^3/3 + 2x^5/15 - 17x^7/315 + 62x^9/2835, which does not
 * cancel */
static inline vf vf_tanh(vf x)
{
    float in[VW], out[VW];
    vf e = vf_exp(vf_add(x, x)), one = vf_set1(1.0F);
    vf_store(in, x);
    vf_store(out, vf_sub(one, vf_div(vf_set1(2.0F), vf_add(e, one))));
    for (int i = 0; i < VW; i++) {
        float s = in[i] * in[i];
        float small = in[i] * (1 + s * (-1.0F / 3 + s * (2.0F / 15 + s * (-17.0F / 315 + s * (62.0F / 2835)))));
        out[i] = s < 0.0625F ? small : out[i];
    }
    return vf_load(out);
}
