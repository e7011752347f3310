/* backend/cpu/kernels/lin_common.h - the parts of every kernel file that a compiler vectorizes well from plain C:
 * unpacking of codes and scales, quantization of activations. Included by each file of kernels, so that it is
 * compiled for that file's instruction set; all statics. Bit for bit the same results in each of them: every float
 * operation here is element-wise, or a sum in a fixed order. */
#pragma once
#include "backend/cpu/linear_impl.h"

/* Instrumented builds make fewer sizes of kernels: the compiler takes minutes for all of them, and the few run the same
 * code. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LIN_FEW 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LIN_FEW 1
#endif
#endif
#ifndef LIN_FEW
#define LIN_FEW 0
#endif

/* Inputs of one row that lie together in a panel of integers; 4 unless the including file says 8. */
#ifndef LIN_RUN
#define LIN_RUN 4
#endif

#define LIN_INLINE static inline __attribute__((always_inline))

/* --- code planes to bytes: out[j] = code vector j, `step` bytes apart --- */
LIN_INLINE void lin_plane4(const uint8_t *restrict in, uint8_t *restrict out, uint32_t step)
{
    for (uint32_t p = 0; p < 8; p++, in += 64, out += 2 * step)
        for (uint32_t i = 0; i < 64; i++) {
            out[i] = in[i] & 15;
            out[step + i] = in[i] >> 4;
        }
}

LIN_INLINE void lin_plane2(const uint8_t *restrict in, uint8_t *restrict out, uint32_t step, uint32_t shift)
{
    for (uint32_t p = 0; p < 4; p++, in += 64)
        for (uint32_t q = 0; q < 4; q++, out += step)
            for (uint32_t i = 0; i < 64; i++) {
                uint8_t v = (uint8_t)((in[i] >> 2 * q & 3) << shift);
                out[i] = shift ? out[i] | v : v;
            }
}

LIN_INLINE void lin_plane1(const uint8_t *restrict in, uint8_t *restrict out, uint32_t step, uint32_t shift)
{
    for (uint32_t p = 0; p < 2; p++, in += 64)
        for (uint32_t q = 0; q < 8; q++, out += step)
            for (uint32_t i = 0; i < 64; i++) out[i] |= (uint8_t)((in[i] >> q & 1) << shift);
}

static const uint8_t lin_lut_e2m1[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};
static const uint8_t lin_lut_iq4nl[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

LIN_INLINE void lin_apply_lut(const wick_lin_fmt *f, uint8_t *v, uint32_t step)
{
    const uint8_t *lut = f->lut == WICK_LIN_LUT_E2M1 ? lin_lut_e2m1 : lin_lut_iq4nl;
    for (uint32_t j = 0; j < 16; j++, v += step)
        for (uint32_t i = 0; i < 64; i++) v[i] = lut[v[i]];
}

/* One chunk (64 inputs) to 16 vectors of 64 bytes. */
static inline void lin_unpack_codes(const wick_lin_fmt *f, const uint8_t *in, uint8_t *out, uint32_t step)
{
    switch (f->code) {
    case WICK_LIN_CODE_4: lin_plane4(in, out, step); break;
    case WICK_LIN_CODE_5:
        lin_plane4(in, out, step);
        lin_plane1(in + 512, out, step, 4);
        break;
    case WICK_LIN_CODE_6:
        lin_plane4(in, out, step);
        lin_plane2(in + 512, out, step, 4);
        break;
    case WICK_LIN_CODE_2: lin_plane2(in, out, step, 0); break;
    case WICK_LIN_CODE_3:
        lin_plane2(in, out, step, 0);
        lin_plane1(in + 256, out, step, 2);
        break;
    default:
        for (uint32_t j = 0; j < 16; j++) memcpy(out + j * step, in + j * 64, 64);
        break;
    }
    if (f->lut != WICK_LIN_LUT_NONE) lin_apply_lut(f, out, step);
}

/* --- scales --- */
LIN_INLINE void lin_f16x16(const uint8_t *in, float *out)
{
    uint16_t h[16];
    memcpy(h, in, 32);
    for (uint32_t i = 0; i < 16; i++) {
        uint32_t e = h[i] & 0x7fffu;
        uint32_t special = e >= 0x7c00 ? 0x7f800000u : 0; /* infinity, NaN */
        uint32_t u = wick_f32_to_bits(wick_f32_from_bits(e << 13) * 0x1p112f);
        out[i] = wick_f32_from_bits(u | special | (uint32_t)(h[i] & 0x8000u) << 16);
    }
}

LIN_INLINE void lin_bf16x16(const uint8_t *in, float *out)
{
    uint16_t h[16];
    memcpy(h, in, 32);
    for (uint32_t i = 0; i < 16; i++) out[i] = wick_f32_from_bits((uint32_t)h[i] << 16);
}

/* Group g's scales (and biases, or 0) of a superblock. */
LIN_INLINE void lin_group_scale(const wick_lin_fmt *f, const uint8_t *in, uint32_t g, float *restrict d,
                                float *restrict b)
{
    uint32_t n = f->super / f->group;
    for (uint32_t r = 0; r < 16; r++) b[r] = 0.0f;
    switch (f->scale) {
    case WICK_LIN_SCALE_NONE:
        for (uint32_t r = 0; r < 16; r++) d[r] = 1.0f;
        break;
    case WICK_LIN_SCALE_F32:
        memcpy(d, in + g * 64, 64);
        if (f->has_bias) memcpy(b, in + (n + g) * 64, 64);
        break;
    case WICK_LIN_SCALE_F16:
        lin_f16x16(in + g * 32, d);
        if (f->has_bias) lin_f16x16(in + (n + g) * 32, b);
        break;
    case WICK_LIN_SCALE_BF16:
        lin_bf16x16(in + g * 32, d);
        if (f->has_bias) lin_bf16x16(in + (n + g) * 32, b);
        break;
    case WICK_LIN_SCALE_SUB: {
        const int8_t *sc = (const int8_t *)in + 64 + g * 16, *mn = sc + n * 16;
        float dmin[16];
        lin_f16x16(in, d);
        for (uint32_t r = 0; r < 16; r++) d[r] *= (float)sc[r];
        if (!f->has_bias) break;
        lin_f16x16(in + 32, dmin);
        for (uint32_t r = 0; r < 16; r++) b[r] = -(dmin[r] * (float)mn[r]);
        break;
    }
    }
    if (f->mul != 1.0f)
        for (uint32_t r = 0; r < 16; r++) d[r] *= f->mul;
}

/* Scales d and offsets b of every block of a superblock, [block][nt][16]: the float kernels take values less the
 * centre. */
LIN_INLINE void lin_unpack_scales(const wick_lin_fmt *f, const uint8_t *in, uint32_t nt, bool is_float,
                                  float *restrict d, float *restrict b)
{
    float off = is_float && f->has_bias ? (float)f->centre : 0.0f;
    float gd[16], gb[16];
    for (uint32_t k = 0; k < f->super; k += f->block, d += nt * 16, b += nt * 16) {
        if (k % f->group == 0) {
            lin_group_scale(f, in, k / f->group, gd, gb);
            for (uint32_t r = 0; r < 16; r++) gb[r] = off * gd[r] + gb[r];
        }
        for (uint32_t r = 0; r < 16; r++) {
            d[r] = gd[r];
            b[r] = gb[r];
        }
    }
}

LIN_INLINE void lin_unpack_int(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                               float *d, float *b)
{
    uint32_t n_blocks = f->super / f->block;
    for (uint32_t i = 0; i < n_super; i++, src += f->super_bytes, d += n_blocks * nt * 16, b += n_blocks * nt * 16) {
        lin_unpack_scales(f, src, nt, false, d, b);
        const uint8_t *in = src + f->scale_bytes;
        for (uint32_t k = 0; k < f->super && codes; k += 64, in += f->chunk_bytes, codes += 16 * nt * 64)
            lin_unpack_codes(f, in, codes, nt * 64);
    }
}

/* --- float values --- */
/* 16 code vectors to c[64][nt][16]: the value less the centre. */
LIN_INLINE void lin_codes_to_float(const uint8_t *restrict v, int32_t centre, uint32_t nt, float *restrict c)
{
    for (uint32_t j = 0; j < 16; j++, v += 64)
        for (uint32_t i = 0; i < 4; i++, c += nt * 16)
            for (uint32_t r = 0; r < 16; r++) {
                uint32_t u;
                memcpy(&u, v + 4 * r, 4);
                c[r] = (float)((int32_t)(u >> 8 * i & 0xff) - centre);
            }
}

/* E4M3 without infinities; 0x7f is NaN. */
LIN_INLINE float lin_e4m3(uint32_t v)
{
    uint32_t e = v & 0x7fu, nan = e == 0x7f ? 0x7fc00000u : 0;
    uint32_t u = wick_f32_to_bits(wick_f32_from_bits(e << 20) * 0x1p120f);
    return wick_f32_from_bits(u | nan | (v & 0x80u) << 24);
}

LIN_INLINE void lin_unpack_float_chunk(const wick_lin_fmt *f, const uint8_t *in, uint32_t nt, float *restrict c)
{
    uint8_t v[1024] __attribute__((aligned(64)));
    switch (f->code) {
    case WICK_LIN_CODE_F32:
        for (uint32_t k = 0; k < 64; k++) memcpy(c + (uint64_t)k * nt * 16, in + k * 64, 64);
        break;
    case WICK_LIN_CODE_F16:
        for (uint32_t k = 0; k < 64; k++) lin_f16x16(in + k * 32, c + (uint64_t)k * nt * 16);
        break;
    case WICK_LIN_CODE_BF16:
        for (uint32_t k = 0; k < 64; k++) lin_bf16x16(in + k * 32, c + (uint64_t)k * nt * 16);
        break;
    case WICK_LIN_CODE_F8:
        for (uint32_t k = 0; k < 64; k++)
            for (uint32_t r = 0; r < 16; r++) c[(uint64_t)k * nt * 16 + r] = lin_e4m3(in[k / 4 * 64 + r * 4 + k % 4]);
        break;
    default:
        lin_unpack_codes(f, in, v, 64);
        lin_codes_to_float(v, f->centre, nt, c);
        break;
    }
}

LIN_INLINE void lin_unpack_float(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c,
                                 float *d, float *b)
{
    uint32_t n_blocks = f->super / f->block;
    for (uint32_t i = 0; i < n_super; i++, src += f->super_bytes, d += n_blocks * nt * 16, b += n_blocks * nt * 16) {
        lin_unpack_scales(f, src, nt, true, d, b);
        const uint8_t *in = src + f->scale_bytes;
        for (uint32_t k = 0; k < f->super; k += 64, in += f->chunk_bytes, c += 64 * nt * 16)
            lin_unpack_float_chunk(f, in, nt, c);
    }
}

/* --- activations --- */
/* One chunk of floats to integers within +-limit: v[i] = round(x / sx), sx = max|x| / limit. A NaN or an infinity in
 * the chunk makes sx one, and with it the result. */
LIN_INLINE float lin_quantize_chunk(const float *restrict x, float limit, int32_t *restrict v)
{
    uint32_t top = 0;
    for (uint32_t i = 0; i < WICK_LIN_CHUNK; i++) {
        uint32_t u = wick_f32_to_bits(x[i]) & 0x7fffffffu;
        top = u > top ? u : top;
    }
    float amax = wick_f32_from_bits(top);
    if (amax < 1e-30f) {
        memset(v, 0, WICK_LIN_CHUNK * sizeof *v);
        return 0.0f;
    }
    float inv = limit / amax;
    /* adding 1.5 * 2^23 rounds to the nearest integer, ties to even, and leaves it in the low bits */
    for (uint32_t i = 0; i < WICK_LIN_CHUNK; i++)
        v[i] = (int32_t)(wick_f32_to_bits(x[i] * inv + 12582912.0f) << 10) >> 10;
    return amax / limit;
}

/* Chunks of one row to its slot of a panel: [chunk][hi, lo if fine][64 / LIN_RUN][mr][LIN_RUN]. */
LIN_INLINE void lin_prep_int(const wick_lin_prep_args *a)
{
    float tail[WICK_LIN_CHUNK];
    int32_t v[WICK_LIN_CHUNK];
    uint32_t step = a->mr * LIN_RUN, plane = a->mr * WICK_LIN_CHUNK, planes = a->fine ? 2 : 1;
    float limit = a->fine ? 127.0f * 128.0f : 127.0f;
    int8_t *q = a->q + a->slot * LIN_RUN;
    float *sx = a->sx + a->slot, *s = a->s + a->slot;
    int32_t *start = a->start + a->slot;
    for (uint32_t c = 0; c < a->n_chunks; c++, q += planes * plane, sx += a->mr) {
        const float *x = a->src + c * WICK_LIN_CHUNK;
        uint32_t left = a->n_in - c * WICK_LIN_CHUNK;
        if (left < WICK_LIN_CHUNK) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, x, left * sizeof *x);
            x = tail;
        }
        *sx = lin_quantize_chunk(x, limit, v);
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; s += a->mr, start += a->mr) {
            int32_t sum = 0;
            for (uint32_t end = k + a->block; k < end; k++) sum += v[k];
            *s = (float)sum;
            *start = sum * a->start_mul;
        }
        uint8_t hi[WICK_LIN_CHUNK], lo[WICK_LIN_CHUNK];
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; k++) {
            int32_t h = a->fine ? (v[k] + 64) >> 7 : v[k];
            hi[k] = (uint8_t)h;
            lo[k] = (uint8_t)(v[k] - h * 128);
        }
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; k += LIN_RUN) memcpy(q + k / LIN_RUN * step, hi + k, LIN_RUN);
        if (!a->fine) continue;
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; k += LIN_RUN) memcpy(q + plane + k / LIN_RUN * step, lo + k, LIN_RUN);
    }
}

/* Sum in 8 lanes, then a tree: a fixed order. */
LIN_INLINE float lin_sum(const float *x, uint32_t n)
{
    float p[8] = {0};
    for (uint32_t i = 0; i < n; i += 8)
        for (uint32_t l = 0; l < 8; l++) p[l] += x[i + l];
    return ((p[0] + p[4]) + (p[2] + p[6])) + ((p[1] + p[5]) + (p[3] + p[7]));
}

LIN_INLINE void lin_prep_float(const wick_lin_prep_args *a)
{
    float tail[WICK_LIN_CHUNK];
    float *to = a->x + a->slot, *s = a->s + a->slot;
    for (uint32_t c = 0; c < a->n_chunks; c++, to += WICK_LIN_CHUNK * a->mr) {
        const float *x = a->src + c * WICK_LIN_CHUNK;
        uint32_t left = a->n_in - c * WICK_LIN_CHUNK;
        if (left < WICK_LIN_CHUNK) {
            memset(tail, 0, sizeof tail);
            memcpy(tail, x, left * sizeof *x);
            x = tail;
        }
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; k += a->block, s += a->mr) *s = lin_sum(x + k, a->block);
        for (uint32_t k = 0; k < WICK_LIN_CHUNK; k++) to[(uint64_t)k * a->mr] = x[k];
    }
}

/* --- as the kernel table wants them --- */
static inline void prep_int(const wick_lin_prep_args *a)
{
    lin_prep_int(a);
}

static inline void prep_float(const wick_lin_prep_args *a)
{
    lin_prep_float(a);
}
