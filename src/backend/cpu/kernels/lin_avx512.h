/* backend/cpu/kernels/lin_avx512.h - the 512-bit kernels, for processors with and without VNNI. The including file
 * gives LIN_DOT(acc, codes, x, wide): acc[16] += the four products of u8 codes and s8 activations in each lane; where wide
 * codes are taken as code - 128 there, LIN_FIX(acc, sum, wide) adds the 128 * sum(x) that it lacks.
 *
 * It also gives LIN_MR, the rows of a panel, and LIN_MR_LIST(X), X(1) to X(LIN_MR).
 *
 * A tile is one register of 16 outputs; the block kernel holds mr x nt of them. Accumulators are written by inline
 * assembly where VNNI exists: GCC 12 copies and spills arrays of them around the intrinsic, at half the speed. */
#include "backend/cpu/kernels/lin_common.h"
#include <immintrin.h>

#if LIN_FEW || defined(LIN_WIDE)
enum { LIN_GEMV_MR = 1 };
#else
enum { LIN_GEMV_MR = 4 };
#endif

/* --- block kernels --- */
LIN_INLINE __m512i lin_bcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

LIN_INLINE void lin_block_dot(__m512i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t n, const uint32_t mr,
                              const uint32_t nt, const bool wide)
{
    for (uint32_t j = 0; j < n; j += 4)
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++, codes += nt * 64, q += mr * 4) {
            __m512i b0 = _mm512_load_si512(codes), b1 = nt > 1 ? _mm512_load_si512(codes + 64) : b0;
#pragma GCC unroll 16
            for (uint32_t m = 0; m < mr; m++) {
                __m512i x = lin_bcast4(q + m * 4);
                LIN_DOT(acc[m][0], b0, x, wide);
                if (nt > 1) LIN_DOT(acc[m][1], b1, x, wide);
            }
        }
}

LIN_INLINE void lin_block_int(const wick_lin_args *a, const uint32_t mr, const uint32_t nt, const bool fine,
                              const bool wide)
{
    const uint32_t n = a->block / 4, per_chunk = 64 / a->block, plane = 16 * mr * 4;
    const uint8_t *codes = a->codes;
    const int8_t *q = a->q;
    const float *d = a->d, *b = a->b, *sx = a->sx, *s = a->s;
    const int32_t *total = a->sum;
    for (uint32_t c = 0; c < a->n_chunks; c++, q += fine ? plane : 0)
        for (uint32_t k = 0; k < per_chunk;
             k++, codes += n * nt * 64, q += n * mr * 4, d += nt * 16, b += nt * 16, sx += mr, s += mr, total += mr) {
            __m512i acc[LIN_MR][2];
#pragma GCC unroll 16
            for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = _mm512_setzero_si512();
            lin_block_dot(acc, codes, q, n, mr, nt, wide);
            if (fine) {
#pragma GCC unroll 16
                for (uint32_t m = 0; m < mr; m++) {
                    acc[m][0] = _mm512_slli_epi32(acc[m][0], 7);
                    if (nt > 1) acc[m][1] = _mm512_slli_epi32(acc[m][1], 7);
                }
                lin_block_dot(acc, codes, q + plane, n, mr, nt, wide);
            }
#pragma GCC unroll 2
            for (uint32_t t = 0; t < nt; t++) {
                __m512 vd = _mm512_load_ps(d + t * 16), vb = _mm512_load_ps(b + t * 16);
                float *y = a->y + t * 16;
#pragma GCC unroll 16
                for (uint32_t m = 0; m < mr; m++, y += nt * 16) {
                    __m512 scale = _mm512_mul_ps(vd, _mm512_set1_ps(sx[m]));
                    __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(LIN_FIX(acc[m][t], total[m], wide)), scale,
                                               _mm512_load_ps(y));
                    _mm512_store_ps(y, _mm512_fmadd_ps(vb, _mm512_set1_ps(s[m]), v));
                }
            }
        }
}

LIN_INLINE void lin_block_float(const wick_lin_args *a, const uint32_t mr, const uint32_t nt)
{
    const uint32_t n_blocks = a->n_chunks * 64 / a->block;
    const float *c = a->c, *x = a->x, *d = a->d, *b = a->b, *s = a->s;
    for (uint32_t k = 0; k < n_blocks; k++, d += nt * 16, b += nt * 16, s += mr) {
        __m512 acc[LIN_MR][2];
#pragma GCC unroll 16
        for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = _mm512_setzero_ps();
        for (uint32_t i = 0; i < a->block; i += 4)
#pragma GCC unroll 4
            for (uint32_t u = 0; u < 4; u++, c += nt * 16, x += mr) {
                __m512 c0 = _mm512_load_ps(c), c1 = nt > 1 ? _mm512_load_ps(c + 16) : c0;
#pragma GCC unroll 16
                for (uint32_t m = 0; m < mr; m++) {
                    __m512 v = _mm512_set1_ps(x[m]);
                    acc[m][0] = _mm512_fmadd_ps(c0, v, acc[m][0]);
                    if (nt > 1) acc[m][1] = _mm512_fmadd_ps(c1, v, acc[m][1]);
                }
            }
#pragma GCC unroll 2
        for (uint32_t t = 0; t < nt; t++) {
            __m512 vd = _mm512_load_ps(d + t * 16), vb = _mm512_load_ps(b + t * 16);
            float *y = a->y + t * 16;
#pragma GCC unroll 16
            for (uint32_t m = 0; m < mr; m++, y += nt * 16) {
                __m512 v = _mm512_fmadd_ps(vd, acc[m][t], _mm512_load_ps(y));
                _mm512_store_ps(y, _mm512_fmadd_ps(vb, _mm512_set1_ps(s[m]), v));
            }
        }
    }
}

typedef void (*lin_block_fn)(const wick_lin_args *a);

#define LIN_BLOCK_INT(mr, nt, fine, wide)                                 \
    static void int_##mr##_##nt##_##fine##_##wide(const wick_lin_args *a) \
    {                                                                     \
        lin_block_int(a, mr, nt, fine, wide);                             \
    }
#define LIN_BLOCK_FLOAT(mr, nt)                           \
    static void float_##mr##_##nt(const wick_lin_args *a) \
    {                                                     \
        lin_block_float(a, mr, nt);                       \
    }

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

LIN_INLINE void lin_group_ps(const wick_lin_fmt *f, const uint8_t *in, uint32_t g, uint32_t n, float off, __m512 *d,
                             __m512 *b)
{
    __m512 bias = _mm512_setzero_ps();
    switch (f->scale) {
    case WICK_LIN_SCALE_F32:
        *d = _mm512_loadu_ps(in + g * 64);
        if (f->has_bias) bias = _mm512_loadu_ps(in + (n + g) * 64);
        break;
    case WICK_LIN_SCALE_F16:
        *d = lin_f16_ps(in + g * 32);
        if (f->has_bias) bias = lin_f16_ps(in + (n + g) * 32);
        break;
    case WICK_LIN_SCALE_BF16:
        *d = lin_bf16_ps(in + g * 32);
        if (f->has_bias) bias = lin_bf16_ps(in + (n + g) * 32);
        break;
    default:
        *d = _mm512_mul_ps(lin_f16_ps(in), lin_s8_ps(in + 64 + g * 16));
        if (f->has_bias) {
            __m512 m = _mm512_mul_ps(lin_f16_ps(in + 32), lin_s8_ps(in + 64 + (n + g) * 16));
            bias = _mm512_sub_ps(_mm512_setzero_ps(), m);
        }
        break;
    }
    *b = _mm512_add_ps(_mm512_mul_ps(_mm512_set1_ps(off), *d), bias);
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

/* --- one tile times few rows, unpacked in registers --- */
enum { LIN_AHEAD = 2304 }; /* bytes of prefetch; measured in bench/lin_bench */

/* Where a tile's kernel stands: at the start of a chunk. */
typedef struct lin_gemv_at {
    const wick_lin_fmt *f;
    const uint8_t *in, *scales;
    const int8_t *q;
    const float *sx, *s;
    const int32_t *total;
    uint32_t k; /* inputs from the start of the superblock */
} lin_gemv_at;

/* Codes of block `blk` of the chunk times the activations: the integer sums of mr rows. */
LIN_INLINE void lin_gemv_dot(const lin_gemv_at *at, const wick_lin_code code, const uint32_t block, const uint32_t blk,
                             const uint32_t mr, const bool fine, __m512i *sum)
{
    const uint32_t pairs = block / 8, plane = 16 * mr * 4;
    const bool wide = code == WICK_LIN_CODE_8;
    __m512i acc[LIN_GEMV_MR][2], low[LIN_GEMV_MR][2];
#pragma GCC unroll 4
    for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = low[m][0] = low[m][1] = _mm512_setzero_si512();
#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i++) {
        const uint32_t p = blk * pairs + i;
        __m512i v0, v1;
        lin_codes2(code, at->in, p, &v0, &v1);
        _mm_prefetch((const char *)at->in + LIN_AHEAD + p * 64, _MM_HINT_T0);
        if (code == WICK_LIN_CODE_8) _mm_prefetch((const char *)at->in + LIN_AHEAD + 512 + p * 64, _MM_HINT_T0);
#pragma GCC unroll 4
        for (uint32_t m = 0; m < mr; m++) {
            const int8_t *x = at->q + (2 * p * mr + m) * 4;
            LIN_DOT(acc[m][0], v0, lin_bcast4(x), wide);
            LIN_DOT(acc[m][1], v1, lin_bcast4(x + mr * 4), wide);
            if (fine) {
                LIN_DOT(low[m][0], v0, lin_bcast4(x + plane), wide);
                LIN_DOT(low[m][1], v1, lin_bcast4(x + plane + mr * 4), wide);
            }
        }
    }
#pragma GCC unroll 4
    for (uint32_t m = 0; m < mr; m++) {
        sum[m] = _mm512_add_epi32(acc[m][0], acc[m][1]);
        if (fine) sum[m] = _mm512_add_epi32(_mm512_slli_epi32(sum[m], 7), _mm512_add_epi32(low[m][0], low[m][1]));
        sum[m] = LIN_FIX(sum[m], at->total[blk * mr + m], wide);
    }
}

LIN_INLINE void lin_gemv_block(const lin_gemv_at *at, const wick_lin_code code, const uint32_t block,
                               const uint32_t blk, const uint32_t mr, const bool fine, __m512 *y)
{
    const wick_lin_fmt *f = at->f;
    __m512i sum[LIN_GEMV_MR];
    __m512 d, b;
    lin_gemv_dot(at, code, block, blk, mr, fine, sum);
    lin_group_ps(f, at->scales, (at->k + blk * block) / f->group, f->super / f->group,
                 f->has_bias ? 0.0f : -(float)f->zero, &d, &b);
#pragma GCC unroll 4
    for (uint32_t m = 0; m < mr; m++) {
        __m512 scale = _mm512_mul_ps(d, _mm512_set1_ps(at->sx[blk * mr + m]));
        y[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m]), scale, y[m]);
        y[m] = _mm512_fmadd_ps(b, _mm512_set1_ps(at->s[blk * mr + m]), y[m]);
    }
}

LIN_INLINE void lin_gemv_int(const wick_lin_gemv_args *a, const wick_lin_code code, const uint32_t block,
                             const uint32_t mr, const bool fine)
{
    const wick_lin_fmt *f = a->f;
    lin_gemv_at at = {.f = f, .in = a->tile, .q = a->q, .sx = a->sx, .s = a->s, .total = a->sum};
    __m512 y[LIN_GEMV_MR];
#pragma GCC unroll 4
    for (uint32_t m = 0; m < mr; m++) y[m] = _mm512_setzero_ps();
    for (uint32_t sb = 0; sb < a->n_super; sb++) {
        at.scales = at.in;
        for (uint32_t i = 0; i < f->scale_bytes; i += 64)
            _mm_prefetch((const char *)at.in + LIN_AHEAD + i, _MM_HINT_T0);
        at.in += f->scale_bytes;
        for (at.k = 0; at.k < f->super; at.k += 64) {
            if (code == WICK_LIN_CODE_5 || code == WICK_LIN_CODE_6)
                for (uint32_t i = 512; i < f->chunk_bytes; i += 64)
                    _mm_prefetch((const char *)at.in + LIN_AHEAD + i, _MM_HINT_T0);
            lin_gemv_block(&at, code, block, 0, mr, fine, y);
            if (block <= 32) lin_gemv_block(&at, code, block, 1, mr, fine, y);
            if (block <= 16) {
                lin_gemv_block(&at, code, block, 2, mr, fine, y);
                lin_gemv_block(&at, code, block, 3, mr, fine, y);
            }
            at.in += f->chunk_bytes;
            at.q += 16 * mr * 4 * (fine ? 2 : 1);
            at.sx += 64 / block * mr;
            at.s += 64 / block * mr;
            at.total += 64 / block * mr;
        }
    }
#pragma GCC unroll 4
    for (uint32_t m = 0; m < mr; m++) _mm512_store_ps(a->y + m * 16, y[m]);
}

typedef void (*lin_gemv_fn)(const wick_lin_gemv_args *a);
#define LIN_GEMV_INT(name, code, block, mr, fine)                        \
    static void gemv_##name##_##mr##_##fine(const wick_lin_gemv_args *a) \
    {                                                                    \
        lin_gemv_int(a, code, block, mr, fine);                          \
    }
#if LIN_FEW || defined(LIN_WIDE)
#define LIN_GEMV_SET(name, code, block) LIN_GEMV_INT(name, code, block, 1, 0) LIN_GEMV_INT(name, code, block, 1, 1)
#define LIN_GEMV_ROW(name, kind, size) \
    {                                  \
        kind, size,                    \
        {                              \
            {gemv_##name##_1_0},       \
            {                          \
                gemv_##name##_1_1      \
            }                          \
        }                              \
    }
#else
#define LIN_GEMV_SET(name, code, block)                                                                               \
    LIN_GEMV_INT(name, code, block, 1, 0)                                                                             \
    LIN_GEMV_INT(name, code, block, 2, 0)                                                                             \
    LIN_GEMV_INT(name, code, block, 3, 0)                                                                             \
    LIN_GEMV_INT(name, code, block, 4, 0) LIN_GEMV_INT(name, code, block, 1, 1) LIN_GEMV_INT(name, code, block, 2, 1) \
        LIN_GEMV_INT(name, code, block, 3, 1) LIN_GEMV_INT(name, code, block, 4, 1)
#define LIN_GEMV_ROW(name, kind, size)                                                     \
    {                                                                                      \
        kind, size,                                                                        \
        {                                                                                  \
            {gemv_##name##_1_0, gemv_##name##_2_0, gemv_##name##_3_0, gemv_##name##_4_0},  \
            {                                                                              \
                gemv_##name##_1_1, gemv_##name##_2_1, gemv_##name##_3_1, gemv_##name##_4_1 \
            }                                                                              \
        }                                                                                  \
    }
#endif

LIN_GEMV_SET(q4_64, WICK_LIN_CODE_4, 64)
LIN_GEMV_SET(q4_32, WICK_LIN_CODE_4, 32)
LIN_GEMV_SET(q8_64, WICK_LIN_CODE_8, 64)
LIN_GEMV_SET(q8_32, WICK_LIN_CODE_8, 32)
LIN_GEMV_SET(q5_32, WICK_LIN_CODE_5, 32)
LIN_GEMV_SET(q6_16, WICK_LIN_CODE_6, 16)
LIN_GEMV_SET(q6_64, WICK_LIN_CODE_6, 64)

typedef struct lin_gemv_row {
    wick_lin_code code;
    uint32_t block;
    lin_gemv_fn fn[2][LIN_GEMV_MR]; /* [fine][mr - 1] */
} lin_gemv_row;

static const lin_gemv_row lin_gemv_rows[] = {
    LIN_GEMV_ROW(q4_64, WICK_LIN_CODE_4, 64), LIN_GEMV_ROW(q4_32, WICK_LIN_CODE_4, 32),
    LIN_GEMV_ROW(q8_64, WICK_LIN_CODE_8, 64), LIN_GEMV_ROW(q8_32, WICK_LIN_CODE_8, 32),
    LIN_GEMV_ROW(q5_32, WICK_LIN_CODE_5, 32), LIN_GEMV_ROW(q6_16, WICK_LIN_CODE_6, 16),
    LIN_GEMV_ROW(q6_64, WICK_LIN_CODE_6, 64),
};

static bool gemv_int(const wick_lin_gemv_args *a)
{
    const wick_lin_fmt *f = a->f;
    if (a->mr > LIN_GEMV_MR || f->lut != WICK_LIN_LUT_NONE || f->mul != 1.0f) return false;
    for (size_t i = 0; i < sizeof lin_gemv_rows / sizeof lin_gemv_rows[0]; i++)
        if (lin_gemv_rows[i].code == f->code && lin_gemv_rows[i].block == f->block) {
            lin_gemv_rows[i].fn[a->fine][a->mr - 1](a);
            return true;
        }
    return false;
}

/* clang-format off */
#define X(mr) LIN_BLOCK_INT(mr, 1, 0, 0) LIN_BLOCK_INT(mr, 2, 0, 0) LIN_BLOCK_INT(mr, 1, 1, 0) LIN_BLOCK_INT(mr, 2, 1, 0)
LIN_MR_LIST(X)
#undef X
#define X(mr) {{int_##mr##_1_0_0, int_##mr##_1_1_0}, {int_##mr##_2_0_0, int_##mr##_2_1_0}},
static const lin_block_fn lin_block_ints[LIN_MR][2][2] = {LIN_MR_LIST(X)}; /* [mr - 1][nt - 1][fine] */
#undef X
#ifdef LIN_WIDE
#define X(mr) LIN_BLOCK_INT(mr, 1, 0, 1) LIN_BLOCK_INT(mr, 2, 0, 1) LIN_BLOCK_INT(mr, 1, 1, 1) LIN_BLOCK_INT(mr, 2, 1, 1)
LIN_MR_LIST(X)
#undef X
#define X(mr) {{int_##mr##_1_0_1, int_##mr##_1_1_1}, {int_##mr##_2_0_1, int_##mr##_2_1_1}},
static const lin_block_fn lin_block_wides[LIN_MR][2][2] = {LIN_MR_LIST(X)};
#undef X
#endif
#define X(mr) LIN_BLOCK_FLOAT(mr, 1) LIN_BLOCK_FLOAT(mr, 2)
LIN_MR_LIST(X)
#undef X
#define X(mr) {float_##mr##_1, float_##mr##_2},
static const lin_block_fn lin_block_floats[LIN_MR][2] = {LIN_MR_LIST(X)};
#undef X
/* clang-format on */

static void mul_int(const wick_lin_args *a)
{
#ifdef LIN_WIDE
    if (a->wide) {
        lin_block_wides[a->mr - 1][a->nt - 1][a->fine](a);
        return;
    }
#endif
    lin_block_ints[a->mr - 1][a->nt - 1][a->fine](a);
}

static void mul_float(const wick_lin_args *a)
{
    lin_block_floats[a->mr - 1][a->nt - 1](a);
}

#define LIN_KERNELS                                                                                         \
    {                                                                                                       \
        .mr_int = LIN_MR, .mr_float = LIN_MR, .nt = 2, .prep_int = prep_int, .prep_float = prep_float,      \
        .unpack_int = unpack_int, .unpack_float = unpack_float, .mul_int = mul_int, .mul_float = mul_float, \
        .gemv_int = gemv_int                                                                                \
    }
