/* backend/cpu/kernels/lin_neon.h - the 128-bit kernels of ARM, for processors with and without the dot products and the
 * matrix products of 8-bit integers. The including file gives
 *
 *   LIN_RUN                       8, before lin_common.h is included
 *   LIN_MR, LIN_MR_LIST(X)        rows of a panel of the integer kernel; X(1) to X(LIN_MR)
 *   LIN_GEMV_MR                   the most rows that are multiplied without a block: 1 or 2
 *   lin_pair(a, v, x, high, split) a[0] (and a[1], where it is `split` or where one sum takes both) += four outputs: v
 *                                 holds their inputs 0..3 and 4..7, half `high` of x the activations
 *   lin_four(a, split)            the sums of the four outputs
 *   LIN_SIGNED                    1: codes are multiplied as signed bytes; those of wide formats are taken as code -
 *                                 128 then, and the sums start at 128 * sum(x) more: the same integers
 *   LIN_MMLA                      defined: blocks are multiplied two rows by two outputs (vusmmlaq_s32)
 *
 * A tile is four quarters of four outputs. A block lies in memory as this family's block kernels read it:
 *   codes        [chunk][8 pairs p][4 quarters][2][16]: the code vectors 2p and 2p + 1 of the quarter's outputs, or,
 *                with LIN_MMLA, outputs 0, 1 and 2, 3 with the 8 inputs of both
 *   activations  [chunk][hi, lo if fine][8 pairs][mr][8]
 * Nothing is fetched ahead: reads run through memory in order, which the processors' own prefetchers follow. */
enum { LIN_MR_FLOAT = 6, LIN_QUARTERS = 4 };

#if defined(__clang__)
#define LIN_ROLLED _Pragma("nounroll")
#else
#define LIN_ROLLED _Pragma("GCC unroll 1")
#endif

/* The sums of one row of activations: by quarter, in one or two parts. */
typedef int32x4_t lin_acc[LIN_QUARTERS][2];

LIN_INLINE int8x16_t lin_load_x(const int8_t *q, uint32_t m, const uint32_t mr)
{
    return m + 1 < mr ? vld1q_s8(q + m * 8) : vcombine_s8(vld1_s8(q + m * 8), vdup_n_s8(0));
}

/* --- block kernels --- */
#ifdef LIN_MMLA
/* Rows m and m + 1 share acc[m]: part h of a quarter is [output 2h, 2h + 1][row m, m + 1]. */
LIN_INLINE void lin_block_dot(lin_acc *acc, const uint8_t *codes, const int8_t *q, uint32_t pairs, const uint32_t mr)
{
    for (uint32_t p = 0; p < pairs; p++, codes += 128, q += mr * 8) {
        int8x16_t x[(LIN_MR + 1) / 2];
#pragma GCC unroll 4
        for (uint32_t m = 0; m < mr; m += 2) x[m / 2] = lin_load_x(q, m, mr);
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
            uint8x16_t c0 = vld1q_u8(codes + v * 32), c1 = vld1q_u8(codes + v * 32 + 16);
#pragma GCC unroll 4
            for (uint32_t m = 0; m < mr; m += 2) {
                acc[m][v][0] = vusmmlaq_s32(acc[m][v][0], c0, x[m / 2]);
                acc[m][v][1] = vusmmlaq_s32(acc[m][v][1], c1, x[m / 2]);
            }
        }
    }
}

LIN_INLINE int32x4_t lin_block_four(const lin_acc *acc, const uint32_t m, const uint32_t v)
{
    return m % 2 ? vuzp2q_s32(acc[m - 1][v][0], acc[m - 1][v][1]) : vuzp1q_s32(acc[m][v][0], acc[m][v][1]);
}
#else
LIN_INLINE void lin_block_dot(lin_acc *acc, const uint8_t *codes, const int8_t *q, uint32_t pairs, const uint32_t mr)
{
    for (uint32_t p = 0; p < pairs; p++, codes += 128, q += mr * 8) {
        int8x16_t x[(LIN_MR + 1) / 2];
#pragma GCC unroll 4
        for (uint32_t m = 0; m < mr; m += 2) x[m / 2] = lin_load_x(q, m, mr);
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
            uint8x16x2_t c = {{vld1q_u8(codes + v * 32), vld1q_u8(codes + v * 32 + 16)}};
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) lin_pair(acc[m][v], c, x[m / 2], m % 2, false);
        }
    }
}

LIN_INLINE int32x4_t lin_block_four(const lin_acc *acc, const uint32_t m, const uint32_t v)
{
    return lin_four(acc[m][v], false);
}
#endif

/* A block's integers, scaled, added to its chunk's sum so far; `s`: NULL without a bias */
LIN_INLINE float32x4_t lin_scaled(int32x4_t sum, float32x4_t d, float32x4_t b, const float *s, float32x4_t part)
{
    part = vfmaq_f32(part, vcvtq_f32_s32(sum), d);
    return s ? vfmaq_n_f32(part, b, *s) : part;
}

LIN_INLINE void lin_block_int(const wick_lin_args *a, const uint32_t mr, const bool fine)
{
    const uint32_t pairs = a->block / 8, plane = 64 * mr;
    const uint8_t *codes = a->codes;
    const int8_t *q = a->q;
    const float *d = a->d, *b = a->b, *sx = a->sx, *s = a->s;
    const int32_t *start = a->start;
    float part[LIN_MR][16] = {{0}};
    for (uint32_t c = 0; c < a->n_chunks; c++, q += fine ? plane : 0, sx += mr)
        for (uint32_t k = 0; k < 64;
             k += a->block, codes += pairs * 128, q += pairs * mr * 8, d += 16, b += 16, s += mr, start += mr) {
            const bool last = k + a->block == 64;
            lin_acc acc[LIN_MR];
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++)
                for (uint32_t v = 0; v < LIN_QUARTERS; v++) acc[m][v][0] = acc[m][v][1] = vdupq_n_s32(0);
            lin_block_dot(acc, codes, q, pairs, mr);
            if (fine) {
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
                    for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
                        acc[m][v][0] = vshlq_n_s32(acc[m][v][0], 7);
                        acc[m][v][1] = vshlq_n_s32(acc[m][v][1], 7);
                    }
                lin_block_dot(acc, codes, q + plane, pairs, mr);
            }
#pragma GCC unroll 4
            for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
                float32x4_t vd = vld1q_f32(d + v * 4), vb = vld1q_f32(b + v * 4);
                float *y = a->y + v * 4;
#pragma GCC unroll 8
                for (uint32_t m = 0; m < mr; m++, y += 16) {
                    int32x4_t sum = vaddq_s32(lin_block_four((const lin_acc *)acc, m, v), vdupq_n_s32(start[m]));
                    float32x4_t t = k ? vld1q_f32(part[m] + v * 4) : vdupq_n_f32(0);
                    t = lin_scaled(sum, vd, vb, a->has_bias ? s + m : NULL, t);
                    if (last)
                        vst1q_f32(y, vfmaq_n_f32(vld1q_f32(y), t, sx[m]));
                    else
                        vst1q_f32(part[m] + v * 4, t);
                }
            }
        }
}

LIN_INLINE void lin_block_float(const wick_lin_args *a, const uint32_t mr)
{
    const uint32_t n_blocks = a->n_chunks * 64 / a->block;
    const float *c = a->c, *x = a->x, *d = a->d, *b = a->b, *s = a->s;
    for (uint32_t k = 0; k < n_blocks; k++, d += 16, b += 16, s += mr) {
        float32x4_t acc[LIN_MR_FLOAT][LIN_QUARTERS];
#pragma GCC unroll 8
        for (uint32_t m = 0; m < mr; m++)
            for (uint32_t v = 0; v < LIN_QUARTERS; v++) acc[m][v] = vdupq_n_f32(0);
        for (uint32_t i = 0; i < a->block; i++, c += 16, x += mr) {
            float32x4_t c0 = vld1q_f32(c), c1 = vld1q_f32(c + 4), c2 = vld1q_f32(c + 8), c3 = vld1q_f32(c + 12);
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++) {
                acc[m][0] = vfmaq_n_f32(acc[m][0], c0, x[m]);
                acc[m][1] = vfmaq_n_f32(acc[m][1], c1, x[m]);
                acc[m][2] = vfmaq_n_f32(acc[m][2], c2, x[m]);
                acc[m][3] = vfmaq_n_f32(acc[m][3], c3, x[m]);
            }
        }
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
            float32x4_t vd = vld1q_f32(d + v * 4), vb = vld1q_f32(b + v * 4);
            float *y = a->y + v * 4;
#pragma GCC unroll 8
            for (uint32_t m = 0; m < mr; m++, y += 16) {
                float32x4_t t = vfmaq_f32(vld1q_f32(y), vd, acc[m][v]);
                vst1q_f32(y, vfmaq_n_f32(t, vb, s[m]));
            }
        }
    }
}

/* --- scales of one group and quarter in registers: the arithmetic of lin_unpack_scales --- */
LIN_INLINE float32x4_t lin_half4(const wick_lin_fmt *f, const uint8_t *p)
{
    uint16x4_t h = vreinterpret_u16_u8(vld1_u8(p));
    if (f->scale == WICK_LIN_SCALE_BF16) return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(h), 16));
    return vcvt_f32_f16(vreinterpret_f16_u16(h));
}

LIN_INLINE float32x4_t lin_s8x4(const uint8_t *p)
{
    uint32_t u;
    memcpy(&u, p, 4);
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(vcreate_s8(u)))));
}

LIN_INLINE float32x4_t lin_f32x4(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

/* Group g of n */
LIN_INLINE void lin_group4(const wick_lin_fmt *f, const uint8_t *in, uint32_t g, uint32_t n, uint32_t v, float off,
                           float32x4_t *d, float32x4_t *b)
{
    float32x4_t bias = vdupq_n_f32(0);
    switch (f->scale) {
    case WICK_LIN_SCALE_F32:
        *d = lin_f32x4(in + g * 64 + v * 16);
        if (f->has_bias) bias = lin_f32x4(in + (n + g) * 64 + v * 16);
        break;
    case WICK_LIN_SCALE_SUB:
        *d = vmulq_f32(lin_half4(f, in + v * 8), lin_s8x4(in + 64 + g * 16 + v * 4));
        if (f->has_bias)
            bias = vnegq_f32(vmulq_f32(lin_half4(f, in + 32 + v * 8), lin_s8x4(in + 64 + (n + g) * 16 + v * 4)));
        break;
    case WICK_LIN_SCALE_NONE: *d = vdupq_n_f32(1.0f); break;
    default:
        *d = lin_half4(f, in + g * 32 + v * 8);
        if (f->has_bias) bias = lin_half4(f, in + (n + g) * 32 + v * 8);
        break;
    }
    if (f->mul != 1.0f) *d = vmulq_n_f32(*d, f->mul);
    *b = vaddq_f32(vmulq_n_f32(*d, off), bias);
}

/* --- codes in registers --- */
LIN_INLINE uint8x16_t lin_pick(uint8x16_t v, const int left, const uint8_t mask)
{
    v = left >= 0 ? v << (uint8_t)left : v >> (uint8_t)-left;
    return vandq_u8(v, vdupq_n_u8(mask));
}

/* Bytes of a pair of code vectors in the wide plane and in the narrow one */
LIN_INLINE uint32_t lin_low_bytes(const wick_lin_code code)
{
    return code == WICK_LIN_CODE_8 ? 128 : code <= WICK_LIN_CODE_3 ? 32 : 64;
}

LIN_INLINE uint32_t lin_high_bytes(const wick_lin_code code)
{
    return code == WICK_LIN_CODE_6 ? 32 : 16;
}

/* Quarter v of the vectors 2i and 2i + 1 behind `low` (wide plane) and `high` (narrow plane), which both start at a
 * byte's first bits. */
LIN_INLINE uint8x16x2_t lin_codes2(const wick_lin_code code, const uint8_t *low, const uint8_t *high, const uint32_t i,
                                   const uint32_t v)
{
    const int at = (int)(i * 2 % 8);
    uint8x16x2_t c;
    if (code == WICK_LIN_CODE_8) {
        c.val[0] = vld1q_u8(low + i * 128 + v * 16);
        c.val[1] = vld1q_u8(low + i * 128 + 64 + v * 16);
        return c;
    }
    if (code == WICK_LIN_CODE_2 || code == WICK_LIN_CODE_3) {
        const int half = (int)(i % 2 * 4);
        uint8x16_t t = vld1q_u8(low + i / 2 * 64 + v * 16);
        c.val[0] = lin_pick(t, -half, 3);
        c.val[1] = lin_pick(t, -half - 2, 3);
        if (code == WICK_LIN_CODE_2) return c;
        t = vld1q_u8(high + i / 4 * 64 + v * 16);
        c.val[0] = vorrq_u8(c.val[0], lin_pick(t, 2 - at, 4));
        c.val[1] = vorrq_u8(c.val[1], lin_pick(t, 1 - at, 4));
        return c;
    }
    uint8x16_t t = vld1q_u8(low + i * 64 + v * 16);
    c.val[0] = vandq_u8(t, vdupq_n_u8(15));
    c.val[1] = vshrq_n_u8(t, 4);
    if (code == WICK_LIN_CODE_5) {
        t = vld1q_u8(high + i / 4 * 64 + v * 16);
        c.val[0] = vorrq_u8(c.val[0], lin_pick(t, 4 - at, 16));
        c.val[1] = vorrq_u8(c.val[1], lin_pick(t, 3 - at, 16));
    } else if (code == WICK_LIN_CODE_6) {
        const int half = i % 2 ? 0 : 4;
        t = vld1q_u8(high + i / 2 * 64 + v * 16);
        c.val[0] = vorrq_u8(c.val[0], lin_pick(t, half, 48));
        c.val[1] = vorrq_u8(c.val[1], lin_pick(t, half - 2, 48));
    }
    return c;
}

/* Values of 4-bit codes; `flip` is what turns them to what is multiplied (128 or 0). */
LIN_INLINE uint8x16_t lin_lut16(const wick_lin_fmt *f, uint8_t flip)
{
    const uint8_t *t = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    return veorq_u8(vld1q_u8(t), vdupq_n_u8(flip));
}

/* --- unpacking of a block: lin_unpack_int and lin_unpack_float in registers; nt is 1 --- */
LIN_INLINE void lin_scales_neon(const wick_lin_fmt *f, const uint8_t *in, float off, float *d, float *b)
{
    for (uint32_t k = 0; k < f->super; k += f->block, d += 16, b += 16)
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
            float32x4_t vd, vb;
            lin_group4(f, in, k / f->group, f->super / f->group, v, off, &vd, &vb);
            vst1q_f32(d + v * 4, vd);
            vst1q_f32(b + v * 4, vb);
        }
}

LIN_INLINE void lin_store_pair(uint8x16x2_t c, uint8_t *to)
{
#ifdef LIN_MMLA
    uint32x4_t a = vreinterpretq_u32_u8(c.val[0]), b = vreinterpretq_u32_u8(c.val[1]);
    c.val[0] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
    c.val[1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
#endif
    vst1q_u8(to, c.val[0]);
    vst1q_u8(to + 16, c.val[1]);
}

/* Four outputs of four inputs, to c[input][16] */
LIN_INLINE void lin_store_float(uint8x16_t v, int32_t centre, float *c)
{
    uint32x4_t u = vreinterpretq_u32_u8(v);
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; i++, c += 16, u = vshrq_n_u32(u, 8)) {
        int32x4_t low = vreinterpretq_s32_u32(vandq_u32(u, vdupq_n_u32(255)));
        vst1q_f32(c, vcvtq_f32_s32(vsubq_s32(low, vdupq_n_s32(centre))));
    }
}

/* Chunks of n_super superblocks to codes, or to floats where `c` is given */
LIN_INLINE void lin_chunks_neon(const wick_lin_fmt *f, const wick_lin_code code, const uint8_t *src, uint32_t n_super,
                                uint8_t *codes, float *c)
{
    const bool has_lut = code == WICK_LIN_CODE_4 && f->lut != WICK_LIN_LUT_NONE;
    const uint8x16_t flip = vdupq_n_u8(LIN_SIGNED && f->wide && !c ? 128 : 0);
    const uint8x16_t lut = lin_lut16(f, 0);
    for (uint32_t i = 0; i < n_super; i++) {
        src += f->scale_bytes;
        for (uint32_t k = 0; k < f->super; k += 64, src += f->chunk_bytes)
#pragma GCC unroll 8
            for (uint32_t p = 0; p < 8; p++)
#pragma GCC unroll 4
                for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
                    uint8x16x2_t t = lin_codes2(code, src, src + 8 * lin_low_bytes(code), p, v);
                    if (has_lut) {
                        t.val[0] = vqtbl1q_u8(lut, t.val[0]);
                        t.val[1] = vqtbl1q_u8(lut, t.val[1]);
                    }
                    if (c) {
                        lin_store_float(t.val[0], f->centre, c + v * 4);
                        lin_store_float(t.val[1], f->centre, c + 64 + v * 4);
                        if (v == LIN_QUARTERS - 1) c += 128;
                    } else {
                        t.val[0] = veorq_u8(t.val[0], flip);
                        t.val[1] = veorq_u8(t.val[1], flip);
                        lin_store_pair(t, codes);
                        codes += 32;
                    }
                }
    }
}

static void unpack_int(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                       float *d, float *b)
{
    const uint32_t step = f->super / f->block * 16;
    (void)nt;
    switch (f->code) {
    case WICK_LIN_CODE_2: lin_chunks_neon(f, WICK_LIN_CODE_2, src, n_super, codes, NULL); break;
    case WICK_LIN_CODE_3: lin_chunks_neon(f, WICK_LIN_CODE_3, src, n_super, codes, NULL); break;
    case WICK_LIN_CODE_4: lin_chunks_neon(f, WICK_LIN_CODE_4, src, n_super, codes, NULL); break;
    case WICK_LIN_CODE_5: lin_chunks_neon(f, WICK_LIN_CODE_5, src, n_super, codes, NULL); break;
    case WICK_LIN_CODE_6: lin_chunks_neon(f, WICK_LIN_CODE_6, src, n_super, codes, NULL); break;
    default: lin_chunks_neon(f, WICK_LIN_CODE_8, src, n_super, codes, NULL); break;
    }
    for (uint32_t i = 0; i < n_super; i++)
        lin_scales_neon(f, src + i * f->super_bytes, 0.0f, d + i * step, b + i * step);
}

/* [64 inputs][16] of a 16-bit type, or of FP8 and float32 as everywhere */
LIN_INLINE void lin_plain_neon(const wick_lin_fmt *f, const uint8_t *in, float *c)
{
    if (f->code != WICK_LIN_CODE_F16 && f->code != WICK_LIN_CODE_BF16) {
        lin_unpack_float_chunk(f, in, 1, c);
        return;
    }
    for (uint32_t i = 0; i < 64 * 16; i += 4, in += 8, c += 4) {
        uint16x4_t h = vreinterpret_u16_u8(vld1_u8(in));
        vst1q_f32(c, f->code == WICK_LIN_CODE_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(h))
                                                  : vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(h), 16)));
    }
}

static void unpack_float(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c, float *d,
                         float *b)
{
    const uint32_t step = f->super / f->block * 16;
    (void)nt;
    switch (f->code) {
    case WICK_LIN_CODE_2: lin_chunks_neon(f, WICK_LIN_CODE_2, src, n_super, NULL, c); break;
    case WICK_LIN_CODE_3: lin_chunks_neon(f, WICK_LIN_CODE_3, src, n_super, NULL, c); break;
    case WICK_LIN_CODE_4: lin_chunks_neon(f, WICK_LIN_CODE_4, src, n_super, NULL, c); break;
    case WICK_LIN_CODE_5: lin_chunks_neon(f, WICK_LIN_CODE_5, src, n_super, NULL, c); break;
    case WICK_LIN_CODE_6: lin_chunks_neon(f, WICK_LIN_CODE_6, src, n_super, NULL, c); break;
    case WICK_LIN_CODE_8: lin_chunks_neon(f, WICK_LIN_CODE_8, src, n_super, NULL, c); break;
    default:
        for (uint32_t i = 0; i < n_super; i++)
            for (uint32_t k = 0; k < f->super; k += 64)
                lin_plain_neon(f, src + i * f->super_bytes + f->scale_bytes + k / 64 * f->chunk_bytes,
                               c + (i * f->super + k) * 16);
        break;
    }
    for (uint32_t i = 0; i < n_super; i++)
        lin_scales_neon(f, src + i * f->super_bytes, f->has_bias ? (float)f->centre : 0.0f, d + i * step, b + i * step);
}

/* --- one tile times one or two rows, unpacked in registers --- */
/* Where a tile's kernel stands: at the start of a block. */
typedef struct lin_gemv_at {
    const wick_lin_fmt *f;
    const uint8_t *scales, *low, *high; /* of the superblock; planes of the codes */
    uint8x16_t lut;
    const int8_t *q;
    const float *sx, *s;
    const int32_t *start;
    uint32_t k; /* inputs from the start of the superblock */
} lin_gemv_at;

/* The sums of a block: `pairs` pairs of code vectors times the activations, hi and lo. `map`: 4-bit codes stand for the
 * values of the table. Unrolled as far as the bits of the narrow plane lie differently, and no further: the compilers
 * move loads up until they run out of registers. */
LIN_INLINE void lin_gemv_dot(const lin_gemv_at *at, const wick_lin_code code, const bool map, const uint32_t pairs,
                             const uint32_t mr, const bool fine, lin_acc *acc, lin_acc *lo)
{
    const uint32_t n = code == WICK_LIN_CODE_5 ? 4 : 2;
    const bool split = mr == 1; /* with one row, two chains for each quarter hide the latency */
    const uint8_t *low = at->low, *high = at->high;
    const int8_t *q = at->q;
    LIN_ROLLED
    for (uint32_t p = 0; p < pairs; p += n, low += n * lin_low_bytes(code), high += n * lin_high_bytes(code))
#pragma GCC unroll 4
        for (uint32_t i = 0; i < n; i++, q += mr * 8) {
            int8x16_t x = lin_load_x(q, 0, mr), xl = fine ? lin_load_x(q + 64 * mr, 0, mr) : x;
#pragma GCC unroll 4
            for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
                uint8x16x2_t c = lin_codes2(code, low, high, i, v);
                if (map) {
                    c.val[0] = vqtbl1q_u8(at->lut, c.val[0]);
                    c.val[1] = vqtbl1q_u8(at->lut, c.val[1]);
                } else if (code == WICK_LIN_CODE_8 && LIN_SIGNED) {
                    c.val[0] = veorq_u8(c.val[0], vdupq_n_u8(128));
                    c.val[1] = veorq_u8(c.val[1], vdupq_n_u8(128));
                }
#pragma GCC unroll 2
                for (uint32_t m = 0; m < mr; m++) {
                    lin_pair(acc[m][v], c, x, m, split);
                    if (fine) lin_pair(lo[m][v], c, xl, m, split);
                }
            }
        }
}

/* One block and its scales, added to its chunk's sums */
LIN_INLINE void lin_gemv_block(const lin_gemv_at *at, const wick_lin_code code, const bool map, const uint32_t pairs,
                               const uint32_t mr, const bool fine, float32x4_t part[][LIN_QUARTERS])
{
    const wick_lin_fmt *f = at->f;
    const bool split = mr == 1;
    lin_acc acc[2], lo[2];
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++)
            acc[m][v][0] = acc[m][v][1] = lo[m][v][0] = lo[m][v][1] = vdupq_n_s32(0);
    lin_gemv_dot(at, code, map, pairs, mr, fine, acc, lo);
#pragma GCC unroll 4
    for (uint32_t v = 0; v < LIN_QUARTERS; v++) {
        float32x4_t d, b;
        lin_group4(f, at->scales, at->k / f->group, f->super / f->group, v, 0.0f, &d, &b);
#pragma GCC unroll 2
        for (uint32_t m = 0; m < mr; m++) {
            int32x4_t sum = lin_four(acc[m][v], split);
            if (fine) sum = vaddq_s32(vshlq_n_s32(sum, 7), lin_four(lo[m][v], split));
            sum = vaddq_s32(sum, vdupq_n_s32(at->start[m]));
            part[m][v] = lin_scaled(sum, d, b, f->has_bias ? at->s + m : NULL, part[m][v]);
        }
    }
}

LIN_INLINE void lin_gemv(const wick_lin_gemv_args *a, const wick_lin_code code, const bool map, const uint32_t block,
                         const uint32_t mr, const bool fine)
{
    const wick_lin_fmt *f = a->f;
    const uint32_t pairs = block / 8;
    lin_gemv_at at = {.f = f, .scales = a->tile, .q = a->q, .sx = a->sx, .s = a->s, .start = a->start};
    float32x4_t y[2][LIN_QUARTERS];
    at.lut = lin_lut16(f, LIN_SIGNED && f->wide ? 128 : 0);
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) y[m][v] = vdupq_n_f32(0);
    for (uint32_t sb = 0; sb < a->n_super; sb++, at.scales += f->super_bytes)
        for (at.k = 0; at.k < f->super;) {
            at.low = at.scales + f->scale_bytes + at.k / 64 * f->chunk_bytes;
            at.high = at.low + 8 * lin_low_bytes(code);
            float32x4_t part[2][LIN_QUARTERS];
#pragma GCC unroll 2
            for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
                for (uint32_t v = 0; v < LIN_QUARTERS; v++) part[m][v] = vdupq_n_f32(0);
            LIN_ROLLED
            for (uint32_t blk = 0; blk < 8 / pairs; blk++) {
                lin_gemv_block(&at, code, map, pairs, mr, fine, part);
                at.low += pairs * lin_low_bytes(code);
                at.high += pairs * lin_high_bytes(code);
                at.q += pairs * mr * 8;
                at.s += mr;
                at.start += mr;
                at.k += block;
            }
#pragma GCC unroll 2
            for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
                for (uint32_t v = 0; v < LIN_QUARTERS; v++) y[m][v] = vfmaq_n_f32(y[m][v], part[m][v], at.sx[m]);
            at.sx += mr;
            at.q += fine ? 64 * mr : 0;
        }
#pragma GCC unroll 2
    for (uint32_t m = 0; m < mr; m++)
#pragma GCC unroll 4
        for (uint32_t v = 0; v < LIN_QUARTERS; v++) vst1q_f32(a->y + m * 16 + v * 4, y[m][v]);
}

/* --- the instances and the table --- */
typedef void (*lin_gemv_fn)(const wick_lin_gemv_args *a);
typedef void (*lin_block_fn)(const wick_lin_args *a);

/* name, code, whether it is looked up in a table, inputs of a block */
#define LIN_GEMVS(X)                 \
    X(q4_64, WICK_LIN_CODE_4, 0, 64) \
    X(q4_32, WICK_LIN_CODE_4, 0, 32) \
    X(q8_64, WICK_LIN_CODE_8, 0, 64) \
    X(q8_32, WICK_LIN_CODE_8, 0, 32) \
    X(q5_32, WICK_LIN_CODE_5, 0, 32) \
    X(q6_16, WICK_LIN_CODE_6, 0, 16) \
    X(q6_64, WICK_LIN_CODE_6, 0, 64) \
    X(m4_32, WICK_LIN_CODE_4, 1, 32) \
    X(m4_16, WICK_LIN_CODE_4, 1, 16)
/* clang-format off */
#define LIN_GEMV_FN(name, code, map, block, mr, fine)                    \
    static void gemv_##name##_##mr##_##fine(const wick_lin_gemv_args *a) \
    {                                                                    \
        lin_gemv(a, code, map, block, mr, fine);                         \
    }
#if LIN_GEMV_MR > 1
#define LIN_GEMV_FNS(name, code, map, block)                                                  \
    LIN_GEMV_FN(name, code, map, block, 1, 0) LIN_GEMV_FN(name, code, map, block, 1, 1)       \
    LIN_GEMV_FN(name, code, map, block, 2, 0) LIN_GEMV_FN(name, code, map, block, 2, 1)
#define LIN_GEMV_ROW(name, code, map, block)                                                  \
    {code, map, block, {{gemv_##name##_1_0, gemv_##name##_2_0}, {gemv_##name##_1_1, gemv_##name##_2_1}}},
#else
#define LIN_GEMV_FNS(name, code, map, block)                                                  \
    LIN_GEMV_FN(name, code, map, block, 1, 0) LIN_GEMV_FN(name, code, map, block, 1, 1)
#define LIN_GEMV_ROW(name, code, map, block) {code, map, block, {{gemv_##name##_1_0}, {gemv_##name##_1_1}}},
#endif
LIN_GEMVS(LIN_GEMV_FNS)
static const struct {
    wick_lin_code code;
    bool map;
    uint32_t block;
    lin_gemv_fn fn[2][LIN_GEMV_MR]; /* [fine][mr - 1] */
} lin_gemv_rows[] = {LIN_GEMVS(LIN_GEMV_ROW)};

#define X(mr)                                                                   \
    static void int_##mr##_0(const wick_lin_args *a) { lin_block_int(a, mr, false); } \
    static void int_##mr##_1(const wick_lin_args *a) { lin_block_int(a, mr, true); }
LIN_MR_LIST(X)
#undef X
#define X(mr) {int_##mr##_0, int_##mr##_1},
static const lin_block_fn lin_block_ints[LIN_MR][2] = {LIN_MR_LIST(X)}; /* [mr - 1][fine] */
#undef X
#define LIN_MR_FLOATS(X) X(1) X(2) X(3) X(4) X(5) X(6)
#define X(mr) static void float_##mr(const wick_lin_args *a) { lin_block_float(a, mr); }
LIN_MR_FLOATS(X)
#undef X
#define X(mr) float_##mr,
static const lin_block_fn lin_block_floats[LIN_MR_FLOAT] = {LIN_MR_FLOATS(X)};
#undef X
/* clang-format on */

static bool gemv_int(const wick_lin_gemv_args *a)
{
    const wick_lin_fmt *f = a->f;
    if (a->mr > LIN_GEMV_MR) return false;
    for (size_t i = 0; i < sizeof lin_gemv_rows / sizeof lin_gemv_rows[0]; i++)
        if (lin_gemv_rows[i].code == f->code && lin_gemv_rows[i].block == f->block &&
            lin_gemv_rows[i].map == (f->lut != WICK_LIN_LUT_NONE)) {
            lin_gemv_rows[i].fn[a->fine][a->mr - 1](a);
            return true;
        }
    return false;
}

static void mul_int(const wick_lin_args *a)
{
    lin_block_ints[a->mr - 1][a->fine](a);
}

static void mul_float(const wick_lin_args *a)
{
    lin_block_floats[a->mr - 1](a);
}

#define LIN_KERNELS                                                                                           \
    {                                                                                                         \
        .mr_int = LIN_MR, .mr_float = LIN_MR_FLOAT, .nt = 1, .is_signed = LIN_SIGNED, .prep_int = prep_int,   \
        .prep_float = prep_float, .unpack_int = unpack_int, .unpack_float = unpack_float, .mul_int = mul_int, \
        .mul_float = mul_float, .gemv_int = gemv_int                                                          \
    }
