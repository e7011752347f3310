/* backend/cpu/kernels/lin_avx2.c - 256-bit kernels: a tile is two registers of 8 outputs. vpmaddubsw adds pairs in 16
 * bits with saturation; codes above 127 are taken as signed, c = code - 128, the product as |c| times the activation with
 * c's sign (at most 2 * 128 * 127, which fits), and 128 * sum(x) is added at the end: the same integers. */
#include "backend/cpu/kernels/lin_common.h"
#include <immintrin.h>

#if LIN_FEW
enum { LIN_MR_INT = 2, LIN_MR_FLOAT = 2 };
#else
enum { LIN_MR_INT = 5, LIN_MR_FLOAT = 6 };
#endif

enum { LIN_AHEAD = 6144 }; /* bytes of prefetch; measured with bench/lin_bench */

LIN_INLINE __m256i dot(__m256i acc, __m256i codes, __m256i x, const bool wide)
{
    if (wide) {
        x = _mm256_sign_epi8(x, codes);
        codes = _mm256_abs_epi8(codes);
    }
    return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(codes, x), _mm256_set1_epi16(1)));
}

LIN_INLINE __m256i load(const uint8_t *p, const bool wide)
{
    __m256i v = _mm256_load_si256((const __m256i *)(const void *)p);
    return wide ? _mm256_xor_si256(v, _mm256_set1_epi8(-128)) : v;
}

LIN_INLINE __m256i bcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm256_set1_epi32(v);
}

/* --- block kernels --- */
LIN_INLINE void block_dot(__m256i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t n, const uint32_t mr,
                          const bool wide)
{
    for (uint32_t j = 0; j < n; j += 2)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++, codes += 64, q += mr * 4) {
            __m256i b0 = load(codes, wide), b1 = load(codes + 32, wide);
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) {
                __m256i x = bcast4(q + m * 4);
                acc[m][0] = dot(acc[m][0], b0, x, wide);
                acc[m][1] = dot(acc[m][1], b1, x, wide);
            }
        }
}

LIN_INLINE __m256 scaled(__m256i acc, __m256 d, __m256 b, float sx, float s, __m256 y)
{
    y = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), _mm256_mul_ps(d, _mm256_set1_ps(sx)), y);
    return _mm256_fmadd_ps(b, _mm256_set1_ps(s), y);
}

LIN_INLINE void block_int(const wick_lin_args *a, const uint32_t mr, const bool fine, const bool wide)
{
    const uint32_t n = a->block / 4, per_chunk = 64 / a->block, plane = 16 * mr * 4;
    const uint8_t *codes = a->codes;
    const int8_t *q = a->q;
    const float *d = a->d, *b = a->b, *sx = a->sx, *s = a->s;
    const int32_t *sum = a->sum;
    for (uint32_t c = 0; c < a->n_chunks; c++, q += fine ? plane : 0)
        for (uint32_t k = 0; k < per_chunk;
             k++, codes += n * 64, q += n * mr * 4, d += 16, b += 16, sx += mr, s += mr, sum += mr) {
            __m256i acc[LIN_MR_INT][2];
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = _mm256_setzero_si256();
            block_dot(acc, codes, q, n, mr, wide);
            if (fine) {
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++)
                    for (uint32_t h = 0; h < 2; h++) acc[m][h] = _mm256_slli_epi32(acc[m][h], 7);
                block_dot(acc, codes, q + plane, n, mr, wide);
            }
#pragma GCC unroll 2
            for (uint32_t h = 0; h < 2; h++) {
                __m256 vd = _mm256_load_ps(d + h * 8), vb = _mm256_load_ps(b + h * 8);
                float *y = a->y + h * 8;
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++, y += 16) {
                    __m256i v = wide ? _mm256_add_epi32(acc[m][h], _mm256_set1_epi32(sum[m] * 128)) : acc[m][h];
                    _mm256_store_ps(y, scaled(v, vd, vb, sx[m], s[m], _mm256_load_ps(y)));
                }
            }
        }
}

LIN_INLINE void block_float(const wick_lin_args *a, const uint32_t mr)
{
    const uint32_t n_blocks = a->n_chunks * 64 / a->block;
    const float *c = a->c, *x = a->x, *d = a->d, *b = a->b, *s = a->s;
    for (uint32_t k = 0; k < n_blocks; k++, d += 16, b += 16, s += mr) {
        __m256 acc[LIN_MR_FLOAT][2];
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = _mm256_setzero_ps();
        for (uint32_t i = 0; i < a->block; i++, c += 16, x += mr) {
            __m256 c0 = _mm256_load_ps(c), c1 = _mm256_load_ps(c + 8);
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) {
                __m256 v = _mm256_set1_ps(x[m]);
                acc[m][0] = _mm256_fmadd_ps(c0, v, acc[m][0]);
                acc[m][1] = _mm256_fmadd_ps(c1, v, acc[m][1]);
            }
        }
#pragma GCC unroll 2
        for (uint32_t h = 0; h < 2; h++) {
            __m256 vd = _mm256_load_ps(d + h * 8), vb = _mm256_load_ps(b + h * 8);
            float *y = a->y + h * 8;
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++, y += 16) {
                __m256 v = _mm256_fmadd_ps(vd, acc[m][h], _mm256_load_ps(y));
                _mm256_store_ps(y, _mm256_fmadd_ps(vb, _mm256_set1_ps(s[m]), v));
            }
        }
    }
}

/* --- scales of one block in registers: the arithmetic of lin_unpack_scales --- */
LIN_INLINE __m256 half_ps(const wick_lin_fmt *f, const uint8_t *p)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
    if (f->scale == WICK_LIN_SCALE_BF16) return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(v), 16));
    return _mm256_cvtph_ps(v);
}

LIN_INLINE __m256 s8_ps(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

/* Rows 8h..8h+7 of group g of n */
LIN_INLINE void group_ps(const wick_lin_fmt *f, const uint8_t *in, uint32_t g, uint32_t n, uint32_t h, float off,
                         __m256 *d, __m256 *b)
{
    __m256 bias = _mm256_setzero_ps();
    switch (f->scale) {
    case WICK_LIN_SCALE_F32:
        *d = _mm256_loadu_ps((const float *)(const void *)(in + g * 64 + h * 32));
        if (f->has_bias) bias = _mm256_loadu_ps((const float *)(const void *)(in + (n + g) * 64 + h * 32));
        break;
    case WICK_LIN_SCALE_SUB:
        *d = _mm256_mul_ps(half_ps(f, in + h * 16), s8_ps(in + 64 + g * 16 + h * 8));
        if (f->has_bias) {
            __m256 m = _mm256_mul_ps(half_ps(f, in + 32 + h * 16), s8_ps(in + 64 + (n + g) * 16 + h * 8));
            bias = _mm256_sub_ps(_mm256_setzero_ps(), m);
        }
        break;
    case WICK_LIN_SCALE_NONE: *d = _mm256_set1_ps(1.0f); break;
    default:
        *d = half_ps(f, in + g * 32 + h * 16);
        if (f->has_bias) bias = half_ps(f, in + (n + g) * 32 + h * 16);
        break;
    }
    if (f->mul != 1.0f) *d = _mm256_mul_ps(*d, _mm256_set1_ps(f->mul));
    *b = _mm256_add_ps(_mm256_mul_ps(_mm256_set1_ps(off), *d), bias);
}

/* --- codes in registers: half h of the vectors 2p and 2p + 1 of a chunk --- */
LIN_INLINE __m256i move_bits(__m256i v, const int left)
{
    return left >= 0 ? _mm256_slli_epi16(v, left) : _mm256_srli_epi16(v, -left);
}

LIN_INLINE void codes2(const wick_lin_code code, const uint8_t *in, const uint32_t p, const uint32_t h, __m256i *v0,
                       __m256i *v1)
{
    const __m256i low = _mm256_set1_epi8(15);
    if (code == WICK_LIN_CODE_8) {
        *v0 = load(in + p * 128 + h * 32, true);
        *v1 = load(in + p * 128 + 64 + h * 32, true);
        return;
    }
    if (code == WICK_LIN_CODE_2 || code == WICK_LIN_CODE_3) {
        const __m256i three = _mm256_set1_epi8(3), four = _mm256_set1_epi8(4);
        __m256i t = _mm256_srli_epi16(load(in + p / 2 * 64 + h * 32, false), p % 2 * 4);
        *v0 = _mm256_and_si256(t, three);
        *v1 = _mm256_and_si256(_mm256_srli_epi16(t, 2), three);
        if (code == WICK_LIN_CODE_2) return;
        const int at = (int)(p * 2 % 8);
        t = load(in + 256 + p / 4 * 64 + h * 32, false);
        *v0 = _mm256_or_si256(*v0, _mm256_and_si256(move_bits(t, 2 - at), four));
        *v1 = _mm256_or_si256(*v1, _mm256_and_si256(move_bits(t, 1 - at), four));
        return;
    }
    __m256i v = load(in + p * 64 + h * 32, false);
    *v0 = _mm256_and_si256(v, low);
    *v1 = _mm256_and_si256(_mm256_srli_epi16(v, 4), low);
    if (code == WICK_LIN_CODE_5) {
        const int at = (int)(p * 2 % 8);
        const __m256i bit = _mm256_set1_epi8(16);
        __m256i x = load(in + 512 + p / 4 * 64 + h * 32, false);
        *v0 = _mm256_or_si256(*v0, _mm256_and_si256(move_bits(x, 4 - at), bit));
        *v1 = _mm256_or_si256(*v1, _mm256_and_si256(move_bits(x, 3 - at), bit));
    } else if (code == WICK_LIN_CODE_6) {
        const __m256i two = _mm256_set1_epi8(48);
        __m256i x = load(in + 512 + p / 2 * 64 + h * 32, false);
        *v0 = _mm256_or_si256(*v0, _mm256_and_si256(move_bits(x, p % 2 ? 0 : 4), two));
        *v1 = _mm256_or_si256(*v1, _mm256_and_si256(move_bits(x, p % 2 ? -2 : 2), two));
    }
}

/* --- unpacking of a block: lin_unpack_int and lin_unpack_float in registers; nt is 1 --- */
LIN_INLINE void scales_256(const wick_lin_fmt *f, const uint8_t *in, float off, float *d, float *b)
{
    for (uint32_t k = 0; k < f->super; k += f->block, d += 16, b += 16)
#pragma GCC unroll 2
        for (uint32_t h = 0; h < 2; h++) {
            __m256 vd, vb;
            group_ps(f, in, k / f->group, f->super / f->group, h, off, &vd, &vb);
            _mm256_store_ps(d + h * 8, vd);
            _mm256_store_ps(b + h * 8, vb);
        }
}

LIN_INLINE void store_float(__m256i v, int32_t centre, float *c)
{
    const __m256i low = _mm256_set1_epi32(255), mid = _mm256_set1_epi32(centre);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++, c += 16, v = _mm256_srli_epi32(v, 8))
        _mm256_store_ps(c, _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_and_si256(v, low), mid)));
}

/* One chunk to codes or to floats */
LIN_INLINE void chunk_256(const wick_lin_fmt *f, const wick_lin_code code, const uint8_t *src, const bool is_float,
                          void *out)
{
    uint8_t *codes = out;
    float *c = out;
    const uint8_t *t = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    const __m256i lut = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)t));
#pragma GCC unroll 8
    for (uint32_t p = 0; p < 8; p++)
#pragma GCC unroll 2
        for (uint32_t h = 0; h < 2; h++) {
            __m256i v0, v1;
            codes2(code, src, p, h, &v0, &v1);
            if (code == WICK_LIN_CODE_8) {
                v0 = _mm256_xor_si256(v0, _mm256_set1_epi8(-128));
                v1 = _mm256_xor_si256(v1, _mm256_set1_epi8(-128));
            }
            if (code == WICK_LIN_CODE_4 && f->lut != WICK_LIN_LUT_NONE) {
                v0 = _mm256_shuffle_epi8(lut, v0);
                v1 = _mm256_shuffle_epi8(lut, v1);
            }
            if (is_float) {
                store_float(v0, f->centre, c + p * 128 + h * 8);
                store_float(v1, f->centre, c + p * 128 + 64 + h * 8);
            } else {
                _mm256_store_si256((__m256i *)(void *)(codes + p * 128 + h * 32), v0);
                _mm256_store_si256((__m256i *)(void *)(codes + p * 128 + 64 + h * 32), v1);
            }
        }
}

static void chunk_codes(const wick_lin_fmt *f, const uint8_t *src, uint8_t *codes)
{
    switch (f->code) {
    case WICK_LIN_CODE_2: chunk_256(f, WICK_LIN_CODE_2, src, false, codes); break;
    case WICK_LIN_CODE_3: chunk_256(f, WICK_LIN_CODE_3, src, false, codes); break;
    case WICK_LIN_CODE_4: chunk_256(f, WICK_LIN_CODE_4, src, false, codes); break;
    case WICK_LIN_CODE_5: chunk_256(f, WICK_LIN_CODE_5, src, false, codes); break;
    case WICK_LIN_CODE_6: chunk_256(f, WICK_LIN_CODE_6, src, false, codes); break;
    default: memcpy(codes, src, 1024); break;
    }
}

static void chunk_floats(const wick_lin_fmt *f, const uint8_t *src, float *c)
{
    switch (f->code) {
    case WICK_LIN_CODE_4: chunk_256(f, WICK_LIN_CODE_4, src, true, c); break;
    case WICK_LIN_CODE_5: chunk_256(f, WICK_LIN_CODE_5, src, true, c); break;
    case WICK_LIN_CODE_6: chunk_256(f, WICK_LIN_CODE_6, src, true, c); break;
    case WICK_LIN_CODE_8: chunk_256(f, WICK_LIN_CODE_8, src, true, c); break;
    default: lin_unpack_float_chunk(f, src, 1, c); break;
    }
}

static void unpack_256(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint8_t *codes, float *c, float *d,
                       float *b)
{
    const float off = c ? (f->has_bias ? (float)f->centre : 0.0f) : f->has_bias ? 0.0f : -(float)f->zero;
    for (uint32_t i = 0; i < n_super; i++) {
        for (uint32_t at = 0; at < f->super_bytes; at += 64)
            _mm_prefetch((const char *)src + LIN_AHEAD + at, _MM_HINT_T0);
        scales_256(f, src, off, d, b);
        d += f->super / f->block * 16;
        b += f->super / f->block * 16;
        src += f->scale_bytes;
        for (uint32_t k = 0; k < f->super; k += 64, src += f->chunk_bytes)
            if (c) {
                chunk_floats(f, src, c);
                c += 64 * 16;
            } else {
                chunk_codes(f, src, codes);
                codes += 1024;
            }
    }
}

static void unpack_int(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                       float *d, float *b)
{
    (void)nt;
    unpack_256(f, src, n_super, codes, NULL, d, b);
}

static void unpack_float(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c, float *d,
                         float *b)
{
    (void)nt;
    unpack_256(f, src, n_super, NULL, c, d, b);
}

/* --- one tile times one or two rows, unpacked in registers --- */
/* Where a tile's kernel stands: at the start of a chunk. */
typedef struct gemv_at {
    const wick_lin_fmt *f;
    const uint8_t *in, *scales;
    const int8_t *q;
    const float *sx, *s;
    const int32_t *total;
    uint32_t k; /* inputs from the start of the superblock */
} gemv_at;

/* Block `blk` of the chunk, half h of the rows. */
LIN_INLINE void gemv_block(const gemv_at *at, const wick_lin_code code, const uint32_t block, const uint32_t blk,
                           const uint32_t h, const uint32_t mr, const bool fine, __m256 y[][2])
{
    const wick_lin_fmt *f = at->f;
    const uint32_t pairs = block / 8, plane = 16 * mr * 4;
    const bool wide = code == WICK_LIN_CODE_8;
    __m256i acc[2], low[2];
    __m256 d, b;
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) acc[m] = low[m] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i++) {
        const uint32_t p = blk * pairs + i;
        __m256i v0, v1;
        codes2(code, at->in, p, h, &v0, &v1);
#pragma GCC unroll 2
        for (uint32_t m = 0; m < mr; m++) {
            const int8_t *x = at->q + (2 * p * mr + m) * 4;
            acc[m] = dot(acc[m], v0, bcast4(x), wide);
            acc[m] = dot(acc[m], v1, bcast4(x + mr * 4), wide);
            if (!fine) continue;
            low[m] = dot(low[m], v0, bcast4(x + plane), wide);
            low[m] = dot(low[m], v1, bcast4(x + plane + mr * 4), wide);
        }
    }
    group_ps(f, at->scales, (at->k + blk * block) / f->group, f->super / f->group, h,
             f->has_bias ? 0.0f : -(float)f->zero, &d, &b);
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) {
        if (fine) acc[m] = _mm256_add_epi32(_mm256_slli_epi32(acc[m], 7), low[m]);
        if (wide) acc[m] = _mm256_add_epi32(acc[m], _mm256_set1_epi32(at->total[blk * mr + m] * 128));
        y[m][h] = scaled(acc[m], d, b, at->sx[blk * mr + m], at->s[blk * mr + m], y[m][h]);
    }
}

LIN_INLINE void gemv(const wick_lin_gemv_args *a, const wick_lin_code code, const uint32_t block, const uint32_t mr,
                     const bool fine)
{
    const wick_lin_fmt *f = a->f;
    gemv_at at = {.f = f, .in = a->tile, .q = a->q, .sx = a->sx, .s = a->s, .total = a->sum};
    __m256 y[2][2];
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) y[m][0] = y[m][1] = _mm256_setzero_ps();
    for (uint32_t sb = 0; sb < a->n_super; sb++) {
        for (uint32_t i = 0; i < f->super_bytes; i += 64)
            _mm_prefetch((const char *)at.in + LIN_AHEAD + i, _MM_HINT_T0);
        at.scales = at.in;
        at.in += f->scale_bytes;
        for (at.k = 0; at.k < f->super; at.k += 64) {
#pragma GCC unroll 2
            for (uint32_t h = 0; h < 2; h++) {
                gemv_block(&at, code, block, 0, h, mr, fine, y);
                if (block <= 32) gemv_block(&at, code, block, 1, h, mr, fine, y);
                if (block <= 16) {
                    gemv_block(&at, code, block, 2, h, mr, fine, y);
                    gemv_block(&at, code, block, 3, h, mr, fine, y);
                }
            }
            at.in += f->chunk_bytes;
            at.q += 16 * mr * 4 * (fine ? 2 : 1);
            at.sx += 64 / block * mr;
            at.s += 64 / block * mr;
            at.total += 64 / block * mr;
        }
    }
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) {
        _mm256_store_ps(a->y + m * 16, y[m][0]);
        _mm256_store_ps(a->y + m * 16 + 8, y[m][1]);
    }
}

typedef void (*gemv_fn)(const wick_lin_gemv_args *a);

#define GEMV(name, code, block, mr, fine)                                \
    static void gemv_##name##_##mr##_##fine(const wick_lin_gemv_args *a) \
    {                                                                    \
        gemv(a, code, block, mr, fine);                                  \
    }
#if LIN_FEW
enum { LIN_GEMV_MR = 1 };
#define GEMV_SET(name, code, block) GEMV(name, code, block, 1, 0) GEMV(name, code, block, 1, 1)
#define GEMV_ROW(name, code, block) \
    {                               \
        code, block,                \
        {                           \
            {gemv_##name##_1_0},    \
            {                       \
                gemv_##name##_1_1   \
            }                       \
        }                           \
    }
#else
enum { LIN_GEMV_MR = 2 };
#define GEMV_SET(name, code, block) \
    GEMV(name, code, block, 1, 0)   \
    GEMV(name, code, block, 2, 0) GEMV(name, code, block, 1, 1) GEMV(name, code, block, 2, 1)
#define GEMV_ROW(name, code, block)                  \
    {                                                \
        code, block,                                 \
        {                                            \
            {gemv_##name##_1_0, gemv_##name##_2_0},  \
            {                                        \
                gemv_##name##_1_1, gemv_##name##_2_1 \
            }                                        \
        }                                            \
    }
#endif
typedef struct gemv_row {
    wick_lin_code code;
    uint32_t block;
    gemv_fn fn[2][LIN_GEMV_MR]; /* [fine][mr - 1] */
} gemv_row;

#define GEMVS(X)                  \
    X(q4_64, WICK_LIN_CODE_4, 64) \
    X(q4_32, WICK_LIN_CODE_4, 32) \
    X(q8_64, WICK_LIN_CODE_8, 64) \
    X(q8_32, WICK_LIN_CODE_8, 32) \
    X(q5_32, WICK_LIN_CODE_5, 32) \
    X(q6_16, WICK_LIN_CODE_6, 16)
GEMVS(GEMV_SET)
#define X(name, code, block) GEMV_ROW(name, code, block),
static const gemv_row gemv_rows[] = {GEMVS(X)};
#undef X

static bool gemv_int(const wick_lin_gemv_args *a)
{
    const wick_lin_fmt *f = a->f;
    if (a->mr > LIN_GEMV_MR || f->lut != WICK_LIN_LUT_NONE || f->code >= WICK_LIN_CODE_F8) return false;
    for (size_t i = 0; i < sizeof gemv_rows / sizeof gemv_rows[0]; i++)
        if (gemv_rows[i].code == f->code && gemv_rows[i].block == f->block) {
            gemv_rows[i].fn[a->fine][a->mr - 1](a);
            return true;
        }
    return false;
}

#define BLOCK_INT(mr, fine, wide)                                  \
    static void int_##mr##_##fine##_##wide(const wick_lin_args *a) \
    {                                                              \
        block_int(a, mr, fine, wide);                              \
    }
#define BLOCK_FLOAT(mr)                            \
    static void float_##mr(const wick_lin_args *a) \
    {                                              \
        block_float(a, mr);                        \
    }
/* clang-format off */
typedef void (*block_fn)(const wick_lin_args *a);
#define X(mr) BLOCK_INT(mr, 0, 0) BLOCK_INT(mr, 0, 1) BLOCK_INT(mr, 1, 0) BLOCK_INT(mr, 1, 1) BLOCK_FLOAT(mr)
#define ROW(mr) {{int_##mr##_0_0, int_##mr##_0_1}, {int_##mr##_1_0, int_##mr##_1_1}}
X(1) X(2)
#if LIN_FEW
static const block_fn block_ints[LIN_MR_INT][2][2] = {ROW(1), ROW(2)};
static const block_fn block_floats[LIN_MR_FLOAT] = {float_1, float_2};
#else
X(3) X(4) X(5) BLOCK_FLOAT(6)
static const block_fn block_ints[LIN_MR_INT][2][2] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5)}; /* [mr - 1][fine][wide] */
static const block_fn block_floats[LIN_MR_FLOAT] = {float_1, float_2, float_3, float_4, float_5, float_6};
#endif
#undef X
#undef ROW
/* clang-format on */

static void mul_int(const wick_lin_args *a)
{
    block_ints[a->mr - 1][a->fine][a->wide](a);
}

static void mul_float(const wick_lin_args *a)
{
    block_floats[a->mr - 1](a);
}

const wick_lin_kernels wick_lin_kernels_avx2 = {.mr_int = LIN_MR_INT,
                                                .mr_float = LIN_MR_FLOAT,
                                                .nt = 1,
                                                .prep_int = prep_int,
                                                .prep_float = prep_float,
                                                .unpack_int = unpack_int,
                                                .unpack_float = unpack_float,
                                                .mul_int = mul_int,
                                                .mul_float = mul_float,
                                                .gemv_int = gemv_int};
