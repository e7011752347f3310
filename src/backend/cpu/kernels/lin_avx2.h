/* backend/cpu/kernels/lin_avx2.h - the 256-bit kernels, with and without AVX-VNNI: a tile is two registers of 8
 * outputs. The including file defines LIN_VNNI where vpdpbusd exists.
 *
 * Without it vpmaddubsw adds pairs in 16 bits with saturation. Small codes leave room there: with codes up to 15 the
 * sums of 8 vectors fit (8 * 2 * 15 * 127 < 2^15), and are widened to 32 bits once. Codes above 127 are taken as
 * signed, c = code - 128, the product as |c| times the activation with c's sign (at most 2 * 128 * 127, which fits),
 * and the sums start at 128 * sum(x) more. The same integers in each way. */
#include "backend/cpu/kernels/lin_common.h"
#include <immintrin.h>

/* How products of codes and activations are added: one vector at a time with the sign moved, so many vectors in 16
 * bits, or by vpdpbusd. */
enum { WAY_WIDE = 1, WAY_16BIT_2 = 2, WAY_16BIT_4 = 4, WAY_16BIT_8 = 8, WAY_VNNI = 16 };

#if LIN_FEW
enum { LIN_MR_INT = 2, LIN_MR_FLOAT = 2 };
#else
#if defined(LIN_VNNI)
enum { LIN_MR_INT = 6, LIN_MR_FLOAT = 6 };
#else
enum { LIN_MR_INT = 5, LIN_MR_FLOAT = 6 };
#endif
#endif

enum { LIN_AHEAD = 6144 }; /* bytes of prefetch; measured with bench/lin_bench */

LIN_INLINE __m256i widened(__m256i acc, __m256i pairs)
{
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

LIN_INLINE __m256i dot(__m256i acc, __m256i codes, __m256i x, const uint32_t way)
{
#if defined(LIN_VNNI)
    (void)way;
    __asm__("%{vex%} vpdpbusd %2, %1, %0" : "+x"(acc) : "x"(codes), "x"(x));
    return acc;
#else
    if (way == WAY_WIDE) {
        x = _mm256_sign_epi8(x, codes);
        codes = _mm256_abs_epi8(codes);
    }
    return widened(acc, _mm256_maddubs_epi16(codes, x));
#endif
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
/* Chunk c's share of what comes next. */
LIN_INLINE void fetch_ahead(const wick_lin_args *a, uint32_t c)
{
    for (uint32_t i = 0; i < a->ahead_bytes; i += 64)
        _mm_prefetch((const char *)a->ahead[0] + c * a->ahead_bytes + i, _MM_HINT_T0);
}

LIN_INLINE void block_dot(__m256i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t n, const uint32_t mr,
                          const uint32_t way)
{
    for (uint32_t j = 0; j < n; j += 2)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++, codes += 64, q += mr * 4) {
            __m256i b0 = load(codes, way == WAY_WIDE), b1 = load(codes + 32, way == WAY_WIDE);
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) {
                __m256i x = bcast4(q + m * 4);
                acc[m][0] = dot(acc[m][0], b0, x, way);
                acc[m][1] = dot(acc[m][1], b1, x, way);
            }
        }
}

/* The same with sums of `way` vectors in 16 bits. */
LIN_INLINE void block_dot16(__m256i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t n, const uint32_t mr,
                            const uint32_t way)
{
    const uint32_t run = way < n ? way : n;
    for (uint32_t j = 0; j < n; j += run) {
        __m256i sum[LIN_MR_INT][2];
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++) sum[m][0] = sum[m][1] = _mm256_setzero_si256();
        for (uint32_t k = 0; k < run; k += 2)
#pragma GCC unroll 2
            for (uint32_t i = 0; i < 2; i++, codes += 64, q += mr * 4) {
                __m256i b0 = load(codes, false), b1 = load(codes + 32, false);
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++) {
                    __m256i x = bcast4(q + m * 4);
                    sum[m][0] = _mm256_add_epi16(sum[m][0], _mm256_maddubs_epi16(b0, x));
                    sum[m][1] = _mm256_add_epi16(sum[m][1], _mm256_maddubs_epi16(b1, x));
                }
            }
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++)
            for (uint32_t h = 0; h < 2; h++) acc[m][h] = widened(acc[m][h], sum[m][h]);
    }
}

LIN_INLINE void block_sums(__m256i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t n, const uint32_t mr,
                           const uint32_t way)
{
    if (way == WAY_WIDE || way == WAY_VNNI)
        block_dot(acc, codes, q, n, mr, way);
    else
        block_dot16(acc, codes, q, n, mr, way);
}

/* A block's integers, scaled, added to its chunk's sum so far. */
LIN_INLINE __m256 scaled(__m256i acc, __m256 d, __m256 b, const float *s, __m256 sum)
{
    sum = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), d, sum);
    return s ? _mm256_fmadd_ps(b, _mm256_set1_ps(*s), sum) : sum;
}

LIN_INLINE void add_to(float *y, __m256 v, float scale)
{
    _mm256_store_ps(y, _mm256_fmadd_ps(v, _mm256_set1_ps(scale), _mm256_load_ps(y)));
}

/* A block's integers to y, where a block is a whole chunk, or else to the sums of its chunk. NULL: no start, no
 * bias. */
LIN_INLINE void block_add(__m256i acc[][2], const int32_t *start, const float *d, const float *b, const float *sx,
                          const float *s, float *sums, const uint32_t mr, const bool whole)
{
#pragma GCC unroll 2
    for (uint32_t h = 0; h < 2; h++) {
        const __m256 vd = _mm256_load_ps(d + h * 8), vb = _mm256_load_ps(b + h * 8);
        float *to = sums + h * 8;
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++, to += 16) {
            __m256 v = whole ? _mm256_setzero_ps() : _mm256_load_ps(to);
            if (start) acc[m][h] = _mm256_add_epi32(acc[m][h], _mm256_set1_epi32(start[m]));
            v = scaled(acc[m][h], vd, vb, s ? s + m : NULL, v);
            if (whole)
                add_to(to, v, sx[m]);
            else
                _mm256_store_ps(to, v);
        }
    }
}

LIN_INLINE void block_int(const wick_lin_args *a, const uint32_t mr, const bool fine, const uint32_t way,
                          const bool whole)
{
    const uint32_t block = a->block, n = block / 4, plane = 16 * mr * 4;
    const bool late = fine || way != WAY_VNNI; /* sums in 16 bits need the registers: start is added behind them */
    const uint8_t *codes = a->codes;
    const int8_t *q = a->q;
    const float *d = a->d, *b = a->b, *sx = a->sx, *s = a->s;
    const int32_t *start = a->start;
    float part[LIN_MR_INT * 16] __attribute__((aligned(32))) = {0}, *sums = whole ? a->y : part;
    for (uint32_t c = 0; c < a->n_chunks; c++, q += fine ? plane : 0, sx += mr) {
        fetch_ahead(a, c);
        for (uint32_t k = 0; k < 64;
             k += block, codes += n * 64, q += n * mr * 4, d += 16, b += 16, s += mr, start += mr) {
            __m256i acc[LIN_MR_INT][2];
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++)
                acc[m][0] = acc[m][1] = late ? _mm256_setzero_si256() : _mm256_set1_epi32(start[m]);
            block_sums(acc, codes, q, n, mr, way);
            if (fine) {
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++)
                    for (uint32_t h = 0; h < 2; h++) acc[m][h] = _mm256_slli_epi32(acc[m][h], 7);
                block_sums(acc, codes, q + plane, n, mr, way);
            }
            if (a->has_bias) /* and narrow codes: start is 0 */
                block_add(acc, way == WAY_WIDE || (late && way == WAY_VNNI) ? start : NULL, d, b, sx, s, sums, mr,
                          whole);
            else
                block_add(acc, late ? start : NULL, d, b, sx, NULL, sums, mr, whole);
        }
        for (uint32_t i = 0; i < mr * 16 && !whole; i += 8) {
            add_to(a->y + i, _mm256_load_ps(part + i), sx[i / 16]);
            _mm256_store_ps(part + i, _mm256_setzero_ps());
        }
    }
}

LIN_INLINE void block_float(const wick_lin_args *a, const uint32_t mr)
{
    const uint32_t n_blocks = a->n_chunks * 64 / a->block;
    const float *c = a->c, *x = a->x, *d = a->d, *b = a->b, *s = a->s;
    for (uint32_t k = 0; k < n_blocks; k++, d += 16, b += 16, s += mr) {
        if (k * a->block % 64 == 0) fetch_ahead(a, k * a->block / 64);
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
        *v0 = load(in + p * 128 + h * 32, false);
        *v1 = load(in + p * 128 + 64 + h * 32, false);
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

LIN_INLINE __m256i lut_of(const wick_lin_fmt *f)
{
    const uint8_t *t = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    return _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(const void *)t));
}

/* One chunk to codes or to floats */
LIN_INLINE void chunk_256(const wick_lin_fmt *f, const wick_lin_code code, const uint8_t *src, const bool is_float,
                          void *out)
{
    uint8_t *codes = out;
    float *c = out;
    const __m256i lut = lut_of(f);
#pragma GCC unroll 8
    for (uint32_t p = 0; p < 8; p++)
#pragma GCC unroll 2
        for (uint32_t h = 0; h < 2; h++) {
            __m256i v0, v1;
            codes2(code, src, p, h, &v0, &v1);
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
    const float off = c && f->has_bias ? (float)f->centre : 0.0f;
    for (uint32_t i = 0; i < n_super; i++) {
        scales_256(f, src, off, d, b);
        d += f->super / f->block * 16;
        b += f->super / f->block * 16;
        src += f->scale_bytes;
        for (uint32_t k = 0; k < f->super; k += 64, src += f->chunk_bytes)
            if (c) {
                chunk_floats(f, src, c);
                c += 64 * 16;
            } else if (codes) {
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

#if LIN_FEW
enum { LIN_GEMV_MR = 1 };
#else
enum { LIN_GEMV_MR = 2 };
#endif

/* --- one tile times one or two rows, unpacked in registers --- */
/* Where a tile's kernel stands: at the start of a chunk. */
typedef struct gemv_at {
    const wick_lin_fmt *f;
    const uint8_t *in, *scales;
    const int8_t *q;
    const float *sx, *s;
    const int32_t *start;
    uint32_t k; /* inputs from the start of the superblock */
    __m256i table;
} gemv_at;

/* What a kernel is made for: its codes, the table that 4-bit ones go through, how products are added. */
typedef struct gemv_kind {
    wick_lin_code code;
    wick_lin_lut lut;
    uint32_t block, way;
} gemv_kind;

/* Adds the products of one vector, in 16 bits where the way allows. */
LIN_INLINE __m256i gemv_add(__m256i acc, __m256i codes, const int8_t *x, const uint32_t way)
{
    if (way == WAY_WIDE || way == WAY_VNNI) return dot(acc, codes, bcast4(x), way);
    return _mm256_add_epi16(acc, _mm256_maddubs_epi16(codes, bcast4(x)));
}

/* The integer sums of block `blk` of the chunk, half h of the rows, with the hi or the lo part of the activations. */
LIN_INLINE void gemv_sums(const gemv_at *at, const gemv_kind kind, const uint32_t blk, const uint32_t h,
                          const uint32_t mr, const bool fine, __m256i *acc, __m256i *low)
{
    const uint32_t pairs = kind.block / 8, plane = 16 * mr * 4, way = kind.way;
    const bool narrow = way != WAY_WIDE && way != WAY_VNNI;
    const uint32_t run = narrow ? (way / 2 < pairs ? way / 2 : pairs) : pairs; /* pairs of vectors */
    const __m256i zero = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i += run) {
        __m256i a[LIN_GEMV_MR], l[LIN_GEMV_MR];
#pragma GCC unroll 4
        for (uint32_t m = 0; m < mr; m++) {
            a[m] = narrow || !i ? zero : acc[m];
            l[m] = narrow || !i ? zero : low[m];
        }
#pragma GCC unroll 8
        for (uint32_t k = 0; k < run; k++) {
            const uint32_t p = blk * pairs + i + k;
            __m256i v0, v1;
            codes2(kind.code, at->in, p, h, &v0, &v1);
            if (kind.lut) {
                v0 = _mm256_shuffle_epi8(at->table, v0);
                v1 = _mm256_shuffle_epi8(at->table, v1);
            }
            if (way == WAY_WIDE) {
                v0 = _mm256_xor_si256(v0, _mm256_set1_epi8(-128));
                v1 = _mm256_xor_si256(v1, _mm256_set1_epi8(-128));
            }
#pragma GCC unroll 4
            for (uint32_t m = 0; m < mr; m++) {
                const int8_t *x = at->q + (2 * p * mr + m) * 4;
                a[m] = gemv_add(gemv_add(a[m], v0, x, way), v1, x + mr * 4, way);
                if (fine) l[m] = gemv_add(gemv_add(l[m], v0, x + plane, way), v1, x + plane + mr * 4, way);
            }
        }
#pragma GCC unroll 4
        for (uint32_t m = 0; m < mr; m++) {
            acc[m] = narrow ? widened(i ? acc[m] : zero, a[m]) : a[m];
            low[m] = narrow && fine ? widened(i ? low[m] : zero, l[m]) : l[m];
        }
    }
}

/* Half h of the rows of a chunk, added to y. */
LIN_INLINE void gemv_chunk(const gemv_at *at, const gemv_kind kind, const uint32_t h, const uint32_t mr,
                           const bool fine, __m256 y[][2])
{
    const wick_lin_fmt *f = at->f;
    const uint32_t block = kind.block;
    __m256 part[LIN_GEMV_MR];
#pragma GCC unroll 4
    for (uint32_t blk = 0; blk < 64 / block; blk++) {
        __m256i acc[LIN_GEMV_MR], low[LIN_GEMV_MR];
        __m256 d, b;
        gemv_sums(at, kind, blk, h, mr, fine, acc, low);
        group_ps(f, at->scales, (at->k + blk * block) / f->group, f->super / f->group, h, 0.0f, &d, &b);
#pragma GCC unroll 2
        for (uint32_t m = 0; m < mr; m++) {
            if (fine) acc[m] = _mm256_add_epi32(_mm256_slli_epi32(acc[m], 7), low[m]);
            acc[m] = _mm256_add_epi32(acc[m], _mm256_set1_epi32(at->start[blk * mr + m]));
            part[m] =
                scaled(acc[m], d, b, f->has_bias ? at->s + blk * mr + m : NULL, blk ? part[m] : _mm256_setzero_ps());
        }
    }
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) y[m][h] = _mm256_fmadd_ps(part[m], _mm256_set1_ps(at->sx[m]), y[m][h]);
}

LIN_INLINE void gemv(const wick_lin_gemv_args *a, const gemv_kind kind, const uint32_t mr, const bool fine)
{
    const uint32_t block = kind.block;
    const wick_lin_fmt *f = a->f;
    gemv_at at = {.f = f, .in = a->tile, .q = a->q, .sx = a->sx, .s = a->s, .start = a->start, .table = lut_of(f)};
    __m256 y[LIN_GEMV_MR][2];
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) y[m][0] = y[m][1] = _mm256_setzero_ps();
    for (uint32_t sb = 0; sb < a->n_super; sb++) {
        for (uint32_t i = 0; i < f->super_bytes; i += 64)
            _mm_prefetch((const char *)at.in + LIN_AHEAD + i, _MM_HINT_T0);
        at.scales = at.in;
        at.in += f->scale_bytes;
        for (at.k = 0; at.k < f->super; at.k += 64) {
#pragma GCC unroll 2
            for (uint32_t h = 0; h < 2; h++) gemv_chunk(&at, kind, h, mr, fine, y);
            at.in += f->chunk_bytes;
            at.q += 16 * mr * 4 * (fine ? 2 : 1);
            at.sx += mr;
            at.s += 64 / block * mr;
            at.start += 64 / block * mr;
        }
    }
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++) {
        _mm256_store_ps(a->y + m * 16, y[m][0]);
        _mm256_store_ps(a->y + m * 16 + 8, y[m][1]);
    }
}

typedef void (*gemv_fn)(const wick_lin_gemv_args *a);
typedef struct gemv_row {
    wick_lin_code code;
    wick_lin_lut lut;
    uint32_t block;
    gemv_fn fn[2][LIN_GEMV_MR]; /* [fine][mr - 1] */
} gemv_row;

#if defined(LIN_VNNI)
#define LIN_WAY(way) WAY_VNNI
#else
#define LIN_WAY(way) way
#endif
#define GEMV(name, code, lut, block, way, mr, fine)                           \
    static void gemv_##name##_##mr##_##fine(const wick_lin_gemv_args *a)      \
    {                                                                         \
        gemv(a, (const gemv_kind){code, lut, block, LIN_WAY(way)}, mr, fine); \
    }
/* clang-format off */
#if LIN_FEW
#define GEMV_SET(name, code, lut, block, way) \
    GEMV(name, code, lut, block, way, 1, 0) GEMV(name, code, lut, block, way, 1, 1)
#define GEMV_ROW(name, code, lut, block, way) {code, lut, block, {{gemv_##name##_1_0}, {gemv_##name##_1_1}}},
#else
#define GEMV_SET(name, code, lut, block, way)                                                   \
    GEMV(name, code, lut, block, way, 1, 0) GEMV(name, code, lut, block, way, 2, 0)             \
    GEMV(name, code, lut, block, way, 1, 1) GEMV(name, code, lut, block, way, 2, 1)
#define GEMV_ROW(name, code, lut, block, way) \
    {code, lut, block, {{gemv_##name##_1_0, gemv_##name##_2_0}, {gemv_##name##_1_1, gemv_##name##_2_1}}},
#endif
#define GEMVS(X) \
    X(q4_64, WICK_LIN_CODE_4, WICK_LIN_LUT_NONE, 64, WAY_16BIT_8) \
    X(q4_32, WICK_LIN_CODE_4, WICK_LIN_LUT_NONE, 32, WAY_16BIT_8) \
    X(nl_32, WICK_LIN_CODE_4, WICK_LIN_LUT_IQ4NL, 32, WAY_WIDE) \
    X(mx_32, WICK_LIN_CODE_4, WICK_LIN_LUT_E2M1, 32, WAY_16BIT_4) \
    X(q3_64, WICK_LIN_CODE_3, WICK_LIN_LUT_NONE, 64, WAY_16BIT_8) \
    X(q5_32, WICK_LIN_CODE_5, WICK_LIN_LUT_NONE, 32, WAY_16BIT_4) \
    X(q6_16, WICK_LIN_CODE_6, WICK_LIN_LUT_NONE, 16, WAY_16BIT_2) \
    X(q6_64, WICK_LIN_CODE_6, WICK_LIN_LUT_NONE, 64, WAY_16BIT_2) \
    X(q8_64, WICK_LIN_CODE_8, WICK_LIN_LUT_NONE, 64, WAY_WIDE) \
    X(q8_32, WICK_LIN_CODE_8, WICK_LIN_LUT_NONE, 32, WAY_WIDE)
GEMVS(GEMV_SET)
static const gemv_row gemv_rows[] = {GEMVS(GEMV_ROW)};
/* clang-format on */

static bool gemv_int(const wick_lin_gemv_args *a)
{
    const wick_lin_fmt *f = a->f;
    if (a->mr > LIN_GEMV_MR || f->code >= WICK_LIN_CODE_F8) return false;
    for (size_t i = 0; i < sizeof gemv_rows / sizeof gemv_rows[0]; i++)
        if (gemv_rows[i].code == f->code && gemv_rows[i].block == f->block && gemv_rows[i].lut == f->lut) {
            gemv_rows[i].fn[a->fine][a->mr - 1](a);
            return true;
        }
    return false;
}

/* Two functions: in one, the compiler runs out of registers. */
#define BLOCK_INT(mr, fine, way)                                                              \
    static __attribute__((noinline)) void whole_##mr##_##fine##_##way(const wick_lin_args *a) \
    {                                                                                         \
        block_int(a, mr, fine, way, true);                                                    \
    }                                                                                         \
    static void int_##mr##_##fine##_##way(const wick_lin_args *a)                             \
    {                                                                                         \
        if (a->block == WICK_LIN_CHUNK)                                                       \
            whole_##mr##_##fine##_##way(a);                                                   \
        else                                                                                  \
            block_int(a, mr, fine, way, false);                                               \
    }
#define BLOCK_FLOAT(mr)                            \
    static void float_##mr(const wick_lin_args *a) \
    {                                              \
        block_float(a, mr);                        \
    }
/* clang-format off */
typedef void (*block_fn)(const wick_lin_args *a);
#if defined(LIN_VNNI)
enum { N_WAYS = 1 };
#define BLOCK_INTS(mr) BLOCK_INT(mr, 0, 16) BLOCK_INT(mr, 1, 16)
#define ROW(mr) {{int_##mr##_0_16}, {int_##mr##_1_16}}
#else
enum { N_WAYS = 4 };
#define BLOCK_INTS(mr) \
    BLOCK_INT(mr, 0, 1) BLOCK_INT(mr, 0, 2) BLOCK_INT(mr, 0, 4) BLOCK_INT(mr, 0, 8) \
    BLOCK_INT(mr, 1, 1) BLOCK_INT(mr, 1, 2) BLOCK_INT(mr, 1, 4) BLOCK_INT(mr, 1, 8)
#define ROW(mr) {{int_##mr##_0_1, int_##mr##_0_2, int_##mr##_0_4, int_##mr##_0_8}, \
                 {int_##mr##_1_1, int_##mr##_1_2, int_##mr##_1_4, int_##mr##_1_8}}
#endif
BLOCK_INTS(1) BLOCK_INTS(2) BLOCK_FLOAT(1) BLOCK_FLOAT(2)
#if LIN_FEW
static const block_fn block_ints[LIN_MR_INT][2][N_WAYS] = {ROW(1), ROW(2)}; /* [mr - 1][fine][way] */
static const block_fn block_floats[LIN_MR_FLOAT] = {float_1, float_2};
#else
BLOCK_INTS(3) BLOCK_INTS(4) BLOCK_INTS(5)
BLOCK_FLOAT(3) BLOCK_FLOAT(4) BLOCK_FLOAT(5) BLOCK_FLOAT(6)
#if defined(LIN_VNNI)
BLOCK_INTS(6)
static const block_fn block_ints[LIN_MR_INT][2][N_WAYS] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5), ROW(6)};
#else
static const block_fn block_ints[LIN_MR_INT][2][N_WAYS] = {ROW(1), ROW(2), ROW(3), ROW(4), ROW(5)};
#endif
static const block_fn block_floats[LIN_MR_FLOAT] = {float_1, float_2, float_3, float_4, float_5, float_6};
#endif
#undef ROW
/* clang-format on */

static void mul_int(const wick_lin_args *a)
{
    uint32_t way = a->wide ? 0 : a->top > 31 ? 1 : a->top > 15 ? 2 : 3;
    block_ints[a->mr - 1][a->fine][N_WAYS == 1 ? 0 : way](a);
}

static void mul_float(const wick_lin_args *a)
{
    block_floats[a->mr - 1](a);
}

#define LIN_KERNELS                                                                                             \
    {                                                                                                           \
        .mr_int = LIN_MR_INT, .mr_float = LIN_MR_FLOAT, .nt = 1, .is_signed = N_WAYS > 1, .prep_int = prep_int, \
        .prep_float = prep_float, .unpack_int = unpack_int, .unpack_float = unpack_float, .mul_int = mul_int,   \
        .mul_float = mul_float, .gemv_int = gemv_int                                                            \
    }
