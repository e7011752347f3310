/* backend/cpu/kernels/lin_avx512.h - the 512-bit kernels, for processors with and without VNNI. The including file
 * gives LIN_DOT(acc, codes, x, wide): acc[16] += the four products of u8 codes and s8 activations in each lane, and
 * LIN_IS_SIGNED: wide codes are taken as code - 128 there; LIN_IN_PLACE: its block kernels also read packed 4-bit
 * codes.
 *
 * It also gives LIN_MR, the rows of a panel, LIN_HALF, half of them rounded up, and LIN_MR_LIST(X, ...), X(1, ...) to
 * X(LIN_MR, ...), LIN_HALF_LIST likewise.
 *
 * A tile is one register of 16 outputs; the block kernels hold two of them for each row. Accumulators are written by
 * inline assembly where VNNI exists: GCC 12 copies and spills arrays of them around the intrinsic, at half the
 * speed. */
#include "backend/cpu/kernels/lin_avx512_regs.h"

#if LIN_FEW || defined(LIN_WIDE)
enum { LIN_GEMV_MR = 1 };
#else
enum { LIN_GEMV_MR = 8 };
#endif

/* --- block kernels --- */
LIN_INLINE __m512i lin_bcast4(const int8_t *p)
{
    int32_t v;
    memcpy(&v, p, 4);
    return _mm512_set1_epi32(v);
}

/* Chunk c's share of what comes next. */
LIN_INLINE void lin_block_ahead(const wick_lin_args *a, uint32_t c, const uint32_t nt)
{
    for (uint32_t t = 0; t < nt; t++)
        for (uint32_t i = 0; i < a->ahead_bytes; i += 64)
            _mm_prefetch((const char *)a->ahead[t] + c * a->ahead_bytes + i, _MM_HINT_T0);
}

/* One vector of codes of both tiles times one input's four bytes of every row. */
LIN_INLINE void lin_block_step(__m512i acc[][2], __m512i v0, __m512i v1, const int8_t *q, const uint32_t rows,
                               const bool wide)
{
#pragma GCC unroll 16
    for (uint32_t m = 0; m < rows; m++) {
        __m512i x = lin_bcast4(q + m * 4);
        LIN_DOT(acc[m][0], v0, x, wide);
        LIN_DOT(acc[m][1], v1, x, wide);
    }
}

/* n vectors of unpacked codes; `step`: from one input's bytes of the panel to the next one's */
LIN_INLINE void lin_block_dot(__m512i acc[][2], const uint8_t *codes, const int8_t *q, uint32_t step, uint32_t n,
                              const uint32_t rows, const bool wide)
{
    for (uint32_t j = 0; j < n; j += 4)
#pragma GCC unroll 4
        for (uint32_t i = 0; i < 4; i++, codes += 128, q += step)
            lin_block_step(acc, _mm512_load_si512(codes), _mm512_load_si512(codes + 64), q, rows, wide);
}

/* The same from packed 4-bit codes: the ports that split them are not those that multiply. */
LIN_INLINE void lin_block_dot4(__m512i acc[][2], const uint8_t *codes0, const uint8_t *codes1, const int8_t *q,
                               uint32_t step, uint32_t n, const uint32_t rows)
{
    const __m512i low = _mm512_set1_epi8(15);
    for (uint32_t j = 0; j < n; j += 4)
#pragma GCC unroll 2
        for (uint32_t i = 0; i < 2; i++, codes0 += 64, codes1 += 64) {
            __m512i c0 = _mm512_load_si512(codes0), c1 = _mm512_load_si512(codes1);
            lin_block_step(acc, _mm512_and_si512(c0, low), _mm512_and_si512(c1, low), q, rows, false);
            q += step;
            c0 = _mm512_and_si512(_mm512_srli_epi16(c0, 4), low);
            c1 = _mm512_and_si512(_mm512_srli_epi16(c1, 4), low);
            lin_block_step(acc, c0, c1, q, rows, false);
            q += step;
        }
}

LIN_INLINE void lin_add_to(float *y, __m512 v, float scale)
{
    _mm512_store_ps(y, _mm512_fmadd_ps(v, _mm512_set1_ps(scale), _mm512_load_ps(y)));
}

/* What a block kernel is made for. `whole`: a block is a chunk. `in_place`: codes are packed. */
typedef struct lin_block_kind {
    uint32_t rows;
    bool fine, wide, in_place, whole, bias;
} lin_block_kind;

/* Rows [row0, row0 + rows) of the panel. With blocks smaller than a chunk its sums take as many registers as the
 * accumulators, so that only half the rows fit. */
LIN_INLINE void lin_block_int(const wick_lin_args *a, const uint32_t row0, const lin_block_kind kind)
{
    const uint32_t rows = kind.rows, mr = a->mr, block = kind.whole ? 64 : a->block, n = block / 4, step = mr * 4;
    const uint8_t *codes = a->codes, *codes0 = a->packed[0], *codes1 = a->packed[1];
    const int8_t *q = a->q + row0 * 4;
    const int32_t *start = a->start + row0;
    const float *d = a->d, *b = a->b, *sx = a->sx + row0, *s = a->s + row0;
    float *y = a->y + row0 * 32;
    for (uint32_t c = 0; c < a->n_chunks; c++, q += kind.fine ? 16 * step : 0, sx += mr) {
        if (row0 == 0) lin_block_ahead(a, c, 2);
        if (kind.in_place && c && c % a->run == 0) {
            codes0 += a->skip;
            codes1 += a->skip;
        }
        __m512 part[LIN_MR][2];
        if (!kind.whole)
            for (uint32_t m = 0; m < rows; m++) part[m][0] = part[m][1] = _mm512_setzero_ps();
        for (uint32_t k = 0; k < 64; k += block) {
            __m512i acc[LIN_MR][2];
#pragma GCC unroll 16
            for (uint32_t m = 0; m < rows; m++)
                acc[m][0] = acc[m][1] = kind.fine ? _mm512_setzero_si512() : _mm512_set1_epi32(start[m]);
            if (kind.in_place)
                lin_block_dot4(acc, codes0, codes1, q, step, n, rows);
            else
                lin_block_dot(acc, codes, q, step, n, rows, kind.wide);
            if (kind.fine) {
#pragma GCC unroll 16
                for (uint32_t m = 0; m < rows; m++)
#pragma GCC unroll 2
                    for (uint32_t t = 0; t < 2; t++)
                        acc[m][t] = _mm512_add_epi32(_mm512_slli_epi32(acc[m][t], 7), _mm512_set1_epi32(start[m]));
                if (kind.in_place)
                    lin_block_dot4(acc, codes0, codes1, q + 16 * step, step, n, rows);
                else
                    lin_block_dot(acc, codes, q + 16 * step, step, n, rows, kind.wide);
            }
#pragma GCC unroll 2
            for (uint32_t t = 0; t < 2; t++) {
                __m512 vd = _mm512_load_ps(d + t * 16), vb = _mm512_load_ps(b + t * 16);
#pragma GCC unroll 16
                for (uint32_t m = 0; m < rows; m++) {
                    __m512 v = _mm512_cvtepi32_ps(acc[m][t]);
                    v = kind.whole ? _mm512_mul_ps(v, vd) : _mm512_fmadd_ps(v, vd, part[m][t]);
                    if (kind.bias) v = _mm512_fmadd_ps(vb, _mm512_set1_ps(s[m]), v);
                    if (kind.whole)
                        lin_add_to(y + m * 32 + t * 16, v, sx[m]);
                    else
                        part[m][t] = v;
                }
            }
            codes += n * 128;
            codes0 += n * 32;
            codes1 += n * 32;
            q += n * step;
            start += mr;
            d += 32;
            b += 32;
            s += mr;
        }
        if (!kind.whole)
            for (uint32_t m = 0; m < rows; m++)
                for (uint32_t t = 0; t < 2; t++) lin_add_to(y + m * 32 + t * 16, part[m][t], sx[m]);
    }
}

LIN_INLINE void lin_block_float(const wick_lin_args *a, const uint32_t mr)
{
    const uint32_t n_blocks = a->n_chunks * 64 / a->block;
    const float *c = a->c, *x = a->x, *d = a->d, *b = a->b, *s = a->s;
    for (uint32_t k = 0; k < n_blocks; k++, d += 32, b += 32, s += mr) {
        if (k * a->block % 64 == 0) lin_block_ahead(a, k * a->block / 64, 2);
        __m512 acc[LIN_MR][2];
#pragma GCC unroll 16
        for (uint32_t m = 0; m < mr; m++) acc[m][0] = acc[m][1] = _mm512_setzero_ps();
        for (uint32_t i = 0; i < a->block; i += 4)
#pragma GCC unroll 4
            for (uint32_t u = 0; u < 4; u++, c += 32, x += mr) {
                __m512 c0 = _mm512_load_ps(c), c1 = _mm512_load_ps(c + 16);
#pragma GCC unroll 16
                for (uint32_t m = 0; m < mr; m++) {
                    __m512 v = _mm512_set1_ps(x[m]);
                    acc[m][0] = _mm512_fmadd_ps(c0, v, acc[m][0]);
                    acc[m][1] = _mm512_fmadd_ps(c1, v, acc[m][1]);
                }
            }
#pragma GCC unroll 2
        for (uint32_t t = 0; t < 2; t++) {
            __m512 vd = _mm512_load_ps(d + t * 16), vb = _mm512_load_ps(b + t * 16);
            float *y = a->y + t * 16;
#pragma GCC unroll 16
            for (uint32_t m = 0; m < mr; m++, y += 32) {
                __m512 v = _mm512_fmadd_ps(vd, acc[m][t], _mm512_load_ps(y));
                _mm512_store_ps(y, _mm512_fmadd_ps(vb, _mm512_set1_ps(s[m]), v));
            }
        }
    }
}

/* --- unpacking of a block: lin_unpack_int and lin_unpack_float in registers --- */
LIN_INLINE __m512i lin_lut(const wick_lin_fmt *f)
{
    const uint8_t *t = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)t));
}

/* The scales of n_super superblocks; biases where the kernels read them. */
LIN_INLINE void lin_scales_as(const wick_lin_fmt *f, const wick_lin_scale scale, const bool has_bias, const uint8_t *in,
                              uint32_t n_super, uint32_t nt, float off, float *d, float *b)
{
    const uint32_t n_groups = f->super / f->group;
    __m512 vd = _mm512_setzero_ps(), vb = vd;
    for (uint32_t i = 0; i < n_super; i++, in += f->super_bytes)
        for (uint32_t k = 0, g = 0; k < f->super; k += f->block, d += nt * 16, b += nt * 16) {
            if (k == g * f->group) lin_group_as(f, scale, has_bias, in, g++, n_groups, off, &vd, &vb);
            _mm512_store_ps(d, vd);
            _mm512_store_ps(b, vb);
        }
}

static void lin_scales_512(const wick_lin_fmt *f, const uint8_t *in, uint32_t n_super, uint32_t nt, float off, float *d,
                           float *b)
{
    const bool bias = f->has_bias;
    switch (f->scale) {
    case WICK_LIN_SCALE_F16:
        if (bias)
            lin_scales_as(f, WICK_LIN_SCALE_F16, true, in, n_super, nt, off, d, b);
        else
            lin_scales_as(f, WICK_LIN_SCALE_F16, false, in, n_super, nt, off, d, b);
        break;
    case WICK_LIN_SCALE_BF16: lin_scales_as(f, WICK_LIN_SCALE_BF16, bias, in, n_super, nt, off, d, b); break;
    case WICK_LIN_SCALE_SUB:
        if (bias)
            lin_scales_as(f, WICK_LIN_SCALE_SUB, true, in, n_super, nt, off, d, b);
        else
            lin_scales_as(f, WICK_LIN_SCALE_SUB, false, in, n_super, nt, off, d, b);
        break;
    default: lin_scales_as(f, f->scale, bias, in, n_super, nt, off, d, b); break;
    }
}

LIN_INLINE void lin_store_float(__m512i v, int32_t centre, uint32_t nt, float *c)
{
    const __m512i low = _mm512_set1_epi32(255), mid = _mm512_set1_epi32(centre);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++, c += nt * 16, v = _mm512_srli_epi32(v, 8))
        _mm512_store_ps(c, _mm512_cvtepi32_ps(_mm512_sub_epi32(_mm512_and_si512(v, low), mid)));
}

/* `to`: codes, or floats where `c` is given */
LIN_INLINE void lin_chunks_512(const wick_lin_fmt *f, const wick_lin_code code, const uint8_t *src, uint32_t n_super,
                               uint32_t nt, uint8_t *codes, float *c)
{
    const __m512i lut = lin_lut(f);
    const bool has_lut = f->lut != WICK_LIN_LUT_NONE;
    for (uint32_t i = 0; i < n_super; i++) {
        src += f->scale_bytes;
        for (uint32_t k = 0; k < f->super; k += 64, src += f->chunk_bytes) {
#pragma GCC unroll 8
            for (uint32_t p = 0; p < 8; p++) {
                __m512i v0, v1;
                lin_codes2(code, src, p, &v0, &v1);
                if (has_lut) {
                    v0 = _mm512_shuffle_epi8(lut, v0);
                    v1 = _mm512_shuffle_epi8(lut, v1);
                }
                if (c) {
                    lin_store_float(v0, f->centre, nt, c);
                    lin_store_float(v1, f->centre, nt, c + 4 * nt * 16);
                    c += 8 * nt * 16;
                } else {
                    _mm512_store_si512(codes, v0);
                    _mm512_store_si512(codes + nt * 64, v1);
                    codes += 2 * nt * 64;
                }
            }
        }
    }
}

static void lin_codes_512(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes)
{
    switch (f->code) {
    case WICK_LIN_CODE_2: lin_chunks_512(f, WICK_LIN_CODE_2, src, n_super, nt, codes, NULL); break;
    case WICK_LIN_CODE_3: lin_chunks_512(f, WICK_LIN_CODE_3, src, n_super, nt, codes, NULL); break;
    case WICK_LIN_CODE_4: lin_chunks_512(f, WICK_LIN_CODE_4, src, n_super, nt, codes, NULL); break;
    case WICK_LIN_CODE_5: lin_chunks_512(f, WICK_LIN_CODE_5, src, n_super, nt, codes, NULL); break;
    case WICK_LIN_CODE_6: lin_chunks_512(f, WICK_LIN_CODE_6, src, n_super, nt, codes, NULL); break;
    default: lin_chunks_512(f, WICK_LIN_CODE_8, src, n_super, nt, codes, NULL); break;
    }
}

static void lin_floats_512(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c)
{
    switch (f->code) {
    case WICK_LIN_CODE_2: lin_chunks_512(f, WICK_LIN_CODE_2, src, n_super, nt, NULL, c); break;
    case WICK_LIN_CODE_3: lin_chunks_512(f, WICK_LIN_CODE_3, src, n_super, nt, NULL, c); break;
    case WICK_LIN_CODE_4: lin_chunks_512(f, WICK_LIN_CODE_4, src, n_super, nt, NULL, c); break;
    case WICK_LIN_CODE_5: lin_chunks_512(f, WICK_LIN_CODE_5, src, n_super, nt, NULL, c); break;
    case WICK_LIN_CODE_6: lin_chunks_512(f, WICK_LIN_CODE_6, src, n_super, nt, NULL, c); break;
    default: lin_chunks_512(f, WICK_LIN_CODE_8, src, n_super, nt, NULL, c); break;
    }
}

static void unpack_int_512(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                           float *d, float *b)
{
    if (codes) lin_codes_512(f, src, n_super, nt, codes);
    lin_scales_512(f, src, n_super, nt, 0.0f, d, b);
}

/* [64 inputs][16] of a plain type */
LIN_INLINE void lin_plain_512(const wick_lin_fmt *f, const uint8_t *in, uint32_t nt, float *c)
{
    for (uint32_t k = 0; k < 64; k++, c += nt * 16) {
        _mm512_store_ps(c, f->code == WICK_LIN_CODE_F32   ? _mm512_load_ps(in + k * 64)
                           : f->code == WICK_LIN_CODE_F16 ? lin_f16_ps(in + k * 32)
                                                          : lin_bf16_ps(in + k * 32));
    }
}

static void unpack_float_512(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c,
                             float *d, float *b)
{
    if (f->code == WICK_LIN_CODE_F8) {
        lin_unpack_float(f, src, n_super, nt, c, d, b);
        return;
    }
    if (f->code < WICK_LIN_CODE_F8)
        lin_floats_512(f, src, n_super, nt, c);
    else
        for (uint32_t i = 0; i < n_super; i++) lin_plain_512(f, src + i * f->super_bytes, nt, c + i * 64 * nt * 16);
    lin_scales_512(f, src, n_super, nt, f->has_bias ? (float)f->centre : 0.0f, d, b);
}

/* --- one tile times few rows, unpacked in registers --- */
/* Where a tile's kernel stands: at the start of a chunk. */
typedef struct lin_gemv_at {
    const wick_lin_fmt *f;
    const uint8_t *in, *scales;
    const int8_t *q;
    const float *sx, *s;
    const int32_t *start;
    uint32_t k; /* inputs from the start of the superblock */
    __m512i table;
} lin_gemv_at;

/* What a kernel is made for: its code, and the table that 4-bit codes go through. */
typedef struct lin_gemv_kind {
    wick_lin_code code;
    wick_lin_lut lut;
} lin_gemv_kind;

/* Codes of block `blk` of the chunk times the activations: the integer sums of mr rows. */
LIN_INLINE void lin_gemv_dot(const lin_gemv_at *at, const lin_gemv_kind kind, const uint32_t block, const uint32_t blk,
                             const uint32_t mr, const bool fine, __m512i *sum)
{
    const wick_lin_code code = kind.code;
    const uint32_t pairs = block / 8, plane = 16 * mr * 4;
    const bool wide = code == WICK_LIN_CODE_8 || kind.lut == WICK_LIN_LUT_IQ4NL;
    const uint32_t two = mr < 4 ? 1 : 0; /* with few rows, two chains for each hide the latency */
    __m512i acc[LIN_GEMV_MR][2], low[LIN_GEMV_MR][2];
#pragma GCC unroll 8
    for (uint32_t m = 0; m < mr; m++) {
        acc[m][0] = acc[m][1] = low[m][0] = low[m][1] = _mm512_setzero_si512();
        *(fine ? &low[m][0] : &acc[m][0]) = _mm512_set1_epi32(at->start[blk * mr + m]);
    }
#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i++) {
        const uint32_t p = blk * pairs + i;
        __m512i v0, v1;
        lin_codes2(code, at->in, p, &v0, &v1);
        if (kind.lut) {
            v0 = _mm512_shuffle_epi8(at->table, v0);
            v1 = _mm512_shuffle_epi8(at->table, v1);
        }
        if (p < (code == WICK_LIN_CODE_2 ? 4 : code == WICK_LIN_CODE_3 ? 6 : 8))
            _mm_prefetch((const char *)at->in + LIN_AHEAD + p * 64, _MM_HINT_T0);
        if (code == WICK_LIN_CODE_8) _mm_prefetch((const char *)at->in + LIN_AHEAD + 512 + p * 64, _MM_HINT_T0);
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++) {
            const int8_t *x = at->q + (2 * p * mr + m) * 4;
            LIN_DOT(acc[m][0], v0, lin_bcast4(x), wide);
            LIN_DOT(acc[m][two], v1, lin_bcast4(x + mr * 4), wide);
            if (fine) {
                LIN_DOT(low[m][0], v0, lin_bcast4(x + plane), wide);
                LIN_DOT(low[m][two], v1, lin_bcast4(x + plane + mr * 4), wide);
            }
        }
    }
#pragma GCC unroll 8
    for (uint32_t m = 0; m < mr; m++) {
        sum[m] = two ? _mm512_add_epi32(acc[m][0], acc[m][1]) : acc[m][0];
        if (fine) {
            __m512i l = two ? _mm512_add_epi32(low[m][0], low[m][1]) : low[m][0];
            sum[m] = _mm512_add_epi32(_mm512_slli_epi32(sum[m], 7), l);
        }
    }
}

/* One chunk, added to y. */
LIN_INLINE void lin_gemv_chunk(const lin_gemv_at *at, const lin_gemv_kind kind, const uint32_t block, const uint32_t mr,
                               const bool fine, __m512 *y)
{
    const wick_lin_fmt *f = at->f;
    __m512 part[LIN_GEMV_MR];
#pragma GCC unroll 4
    for (uint32_t blk = 0; blk < 64 / block; blk++) {
        __m512i sum[LIN_GEMV_MR];
        __m512 d, b;
        lin_gemv_dot(at, kind, block, blk, mr, fine, sum);
        lin_group_ps(f, at->scales, (at->k + blk * block) / f->group, f->super / f->group, 0.0f, &d, &b);
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++) {
            part[m] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[m]), d, blk ? part[m] : _mm512_setzero_ps());
            if (f->has_bias) part[m] = _mm512_fmadd_ps(b, _mm512_set1_ps(at->s[blk * mr + m]), part[m]);
        }
    }
#pragma GCC unroll 8
    for (uint32_t m = 0; m < mr; m++) y[m] = _mm512_fmadd_ps(part[m], _mm512_set1_ps(at->sx[m]), y[m]);
}

LIN_INLINE void lin_gemv_int(const wick_lin_gemv_args *a, const lin_gemv_kind kind, const uint32_t block,
                             const uint32_t mr, const bool fine)
{
    const wick_lin_code code = kind.code;
    const wick_lin_fmt *f = a->f;
    lin_gemv_at at = {.f = f, .in = a->tile, .q = a->q, .sx = a->sx, .s = a->s, .start = a->start, .table = lin_lut(f)};
    __m512 y[LIN_GEMV_MR];
#pragma GCC unroll 8
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
            lin_gemv_chunk(&at, kind, block, mr, fine, y);
            at.in += f->chunk_bytes;
            at.q += 16 * mr * 4 * (fine ? 2 : 1);
            at.sx += mr;
            at.s += 64 / block * mr;
            at.start += 64 / block * mr;
        }
    }
#pragma GCC unroll 8
    for (uint32_t m = 0; m < mr; m++) _mm512_store_ps(a->y + m * 16, y[m]);
}

typedef void (*lin_gemv_fn)(const wick_lin_gemv_args *a);
typedef struct lin_gemv_row {
    wick_lin_code code;
    wick_lin_lut lut;
    uint32_t block;
    lin_gemv_fn fn[2][LIN_GEMV_MR]; /* [fine][mr - 1]; NULL: none */
} lin_gemv_row;

#define LIN_GEMV_INT(name, code, lut, block, mr, fine)                      \
    static void gemv_##name##_##mr##_##fine(const wick_lin_gemv_args *a)    \
    {                                                                       \
        lin_gemv_int(a, (const lin_gemv_kind){code, lut}, block, mr, fine); \
    }
#define LIN_GEMV_BOTH(name, code, lut, block, mr) \
    LIN_GEMV_INT(name, code, lut, block, mr, 0) LIN_GEMV_INT(name, code, lut, block, mr, 1)

/* clang-format off */
#if LIN_FEW || defined(LIN_WIDE)
#define LIN_GEMV_SET2(name, code, lut, block) LIN_GEMV_BOTH(name, code, lut, block, 1)
#define LIN_GEMV_SET8 LIN_GEMV_SET2
#define LIN_GEMV_FNS2(name, fine) {gemv_##name##_1_##fine}
#define LIN_GEMV_FNS8 LIN_GEMV_FNS2
#else
#define LIN_GEMV_SET2(name, code, lut, block)                                                       \
    LIN_GEMV_BOTH(name, code, lut, block, 1) LIN_GEMV_BOTH(name, code, lut, block, 2)
#define LIN_GEMV_SET8(name, code, lut, block) LIN_GEMV_SET2(name, code, lut, block)                 \
    LIN_GEMV_BOTH(name, code, lut, block, 3) LIN_GEMV_BOTH(name, code, lut, block, 4)               \
    LIN_GEMV_BOTH(name, code, lut, block, 5) LIN_GEMV_BOTH(name, code, lut, block, 6)               \
    LIN_GEMV_BOTH(name, code, lut, block, 7) LIN_GEMV_BOTH(name, code, lut, block, 8)
#define LIN_GEMV_FNS2(name, fine) {gemv_##name##_1_##fine, gemv_##name##_2_##fine}
#define LIN_GEMV_FNS8(name, fine)                                                                   \
    {gemv_##name##_1_##fine, gemv_##name##_2_##fine, gemv_##name##_3_##fine, gemv_##name##_4_##fine, \
     gemv_##name##_5_##fine, gemv_##name##_6_##fine, gemv_##name##_7_##fine, gemv_##name##_8_##fine}
#endif
/* The usual ones for up to 8 rows, which memory bounds; the others for one and two. */
#define LIN_GEMVS8(X)                                   \
    X(q4_64, WICK_LIN_CODE_4, WICK_LIN_LUT_NONE, 64)  \
    X(q4_32, WICK_LIN_CODE_4, WICK_LIN_LUT_NONE, 32)  \
    X(nl_32, WICK_LIN_CODE_4, WICK_LIN_LUT_IQ4NL, 32)  \
    X(mx_32, WICK_LIN_CODE_4, WICK_LIN_LUT_E2M1, 32)   \
    X(q8_64, WICK_LIN_CODE_8, WICK_LIN_LUT_NONE, 64)   \
    X(q8_32, WICK_LIN_CODE_8, WICK_LIN_LUT_NONE, 32)   \
    X(q5_32, WICK_LIN_CODE_5, WICK_LIN_LUT_NONE, 32)   \
    X(q6_16, WICK_LIN_CODE_6, WICK_LIN_LUT_NONE, 16)   \
    X(q6_64, WICK_LIN_CODE_6, WICK_LIN_LUT_NONE, 64)
#define LIN_GEMVS2(X)                                   \
    X(nv_16, WICK_LIN_CODE_4, WICK_LIN_LUT_E2M1, 16)   \
    X(q2_64, WICK_LIN_CODE_2, WICK_LIN_LUT_NONE, 64)   \
    X(q2_16, WICK_LIN_CODE_2, WICK_LIN_LUT_NONE, 16)   \
    X(q3_64, WICK_LIN_CODE_3, WICK_LIN_LUT_NONE, 64)   \
    X(q3_16, WICK_LIN_CODE_3, WICK_LIN_LUT_NONE, 16)   \
    X(q5_64, WICK_LIN_CODE_5, WICK_LIN_LUT_NONE, 64)
LIN_GEMVS8(LIN_GEMV_SET8)
LIN_GEMVS2(LIN_GEMV_SET2)
#define ROW8(name, code, lut, block) {code, lut, block, {LIN_GEMV_FNS8(name, 0), LIN_GEMV_FNS8(name, 1)}},
#define ROW2(name, code, lut, block) {code, lut, block, {LIN_GEMV_FNS2(name, 0), LIN_GEMV_FNS2(name, 1)}},
static const lin_gemv_row lin_gemv_rows[] = {LIN_GEMVS8(ROW8) LIN_GEMVS2(ROW2)};
#undef ROW8
#undef ROW2
/* clang-format on */

static bool gemv_int(const wick_lin_gemv_args *a)
{
    const wick_lin_fmt *f = a->f;
    if (a->mr > LIN_GEMV_MR || f->code >= WICK_LIN_CODE_F8) return false;
    for (size_t i = 0; i < sizeof lin_gemv_rows / sizeof lin_gemv_rows[0]; i++)
        if (lin_gemv_rows[i].code == f->code && lin_gemv_rows[i].block == f->block && lin_gemv_rows[i].lut == f->lut) {
            lin_gemv_fn fn = lin_gemv_rows[i].fn[a->fine][a->mr - 1];
            if (fn) fn(a);
            return fn != NULL;
        }
    return false;
}

/* clang-format off */
typedef void (*lin_rows_fn)(const wick_lin_args *a, uint32_t row0);
/* One way to multiply: by number of rows, for blocks that are chunks and for smaller ones without and with bias. */
typedef struct lin_way {
    lin_rows_fn whole[LIN_MR], part[2][LIN_HALF];
} lin_way;
#define LIN_ROWS(fn, ...)                                                                \
    static void fn(const wick_lin_args *a, uint32_t row0)                                \
    {                                                                                    \
        lin_block_int(a, row0, (const lin_block_kind){__VA_ARGS__});                     \
    }
#define LIN_WHOLE_FN(rows, name, ...) LIN_ROWS(name##_whole_##rows, rows, __VA_ARGS__, true, true)
#define LIN_PART_FN(rows, name, ...)                               \
    LIN_ROWS(name##_part_##rows, rows, __VA_ARGS__, false, false)  \
    LIN_ROWS(name##_bias_##rows, rows, __VA_ARGS__, false, true)
#define LIN_WHOLE(rows, name) name##_whole_##rows,
#define LIN_PART(rows, name) name##_part_##rows,
#define LIN_BIAS(rows, name) name##_bias_##rows,
#define LIN_WAY(name, ...) /* fine, wide, in_place */                        \
    LIN_MR_LIST(LIN_WHOLE_FN, name, __VA_ARGS__)                             \
    LIN_HALF_LIST(LIN_PART_FN, name, __VA_ARGS__)                            \
    static const lin_way name = {{LIN_MR_LIST(LIN_WHOLE, name)},             \
                                 {{LIN_HALF_LIST(LIN_PART, name)}, {LIN_HALF_LIST(LIN_BIAS, name)}}};
LIN_WAY(ints_fast, false, false, false)
LIN_WAY(ints_fine, true, false, false)
#if LIN_IS_SIGNED
LIN_WAY(wide_fast, false, true, false)
LIN_WAY(wide_fine, true, true, false)
#else /* unsigned codes are as wide as any */
#define wide_fast ints_fast
#define wide_fine ints_fine
#endif
#if LIN_IN_PLACE
LIN_WAY(packed_fast, false, false, true)
LIN_WAY(packed_fine, true, false, true)
#else
#define packed_fast ints_fast
#define packed_fine ints_fine
#endif

#define LIN_FLOAT_FN(rows, name) static void name##_##rows(const wick_lin_args *a) { lin_block_float(a, rows); }
#define LIN_FLOAT(rows, name) name##_##rows,
LIN_MR_LIST(LIN_FLOAT_FN, float)
static void (*const lin_block_floats[LIN_MR])(const wick_lin_args *a) = {LIN_MR_LIST(LIN_FLOAT, float)};
/* clang-format on */

static void mul_int(const wick_lin_args *a)
{
    const lin_way *w = a->packed[0] ? (a->fine ? &packed_fine : &packed_fast)
                       : a->wide    ? (a->fine ? &wide_fine : &wide_fast)
                                    : (a->fine ? &ints_fine : &ints_fast);
    if (a->block == WICK_LIN_CHUNK) {
        w->whole[a->mr - 1](a, 0);
        return;
    }
    const uint32_t first = a->mr > LIN_HALF ? (a->mr + 1) / 2 : a->mr;
    w->part[a->has_bias][first - 1](a, 0);
    if (first < a->mr) w->part[a->has_bias][a->mr - first - 1](a, first);
}

static void mul_float(const wick_lin_args *a)
{
    lin_block_floats[a->mr - 1](a);
}

#define LIN_KERNELS                                                                                          \
    {                                                                                                        \
        .mr_int = LIN_MR, .mr_float = LIN_MR, .nt = 2, .is_signed = LIN_IS_SIGNED, .in_place = LIN_IN_PLACE, \
        .prep_int = prep_int, .prep_float = prep_float, .unpack_int = unpack_int_512,                        \
        .unpack_float = unpack_float_512, .mul_int = mul_int, .mul_float = mul_float, .gemv_int = gemv_int,  \
        .gemv_float = wick_lin_gemv_float_avx512                                                             \
    }
