/* quant/gguf_k_encode.h - private to quant/: one block of a k-quant from 256 floats. Compiled once for each instruction
 * set, see gguf_k_fit.h. The layouts are at the top of gguf_k.c. */
#pragma once
#include "quant/gguf_k_fit.h"

#include <string.h>

/* A type with scales and minima: groups of n elements, codes 0..top, scales and minima 0..level. */
typedef struct k_ranged {
    uint16_t n, top, level;
} k_ranged;

/* A type with signed scales: groups of 16, codes -half..half - 1, scales -level..level - 1. */
typedef struct k_signed {
    uint16_t half, level;
} k_signed;

static void k_put_f16(uint8_t *p, float v)
{
    uint16_t h = wick_f32_to_f16(v);
    p[0] = (uint8_t)h;
    p[1] = (uint8_t)(h >> 8);
}

/* The codes of a group for a scale and a minimum as they are stored. */
static K_APART void k_codes(const k_group *g, float scale, float low, float from, float to, uint8_t *codes)
{
    float inverse = scale != 0 ? 1 / scale : 0;
    for (unsigned i = 0; i < g->n; i++)
        codes[i] = (uint8_t)(k_clamp(k_round((g->x[i] - low) * inverse), from, to) - from);
}

/* scale_code, min_code: [256 / n]; d_out gets d and dmin in half precision. */
static K_APART void k_encode_ranged(const k_ranged *t, const float *x, const float *w, uint8_t *codes,
                                    uint8_t *scale_code, uint8_t *min_code, uint8_t d_out[4])
{
    k_group group[16];
    k_fit fit[16];
    unsigned n_groups = 256u / t->n;
    float most = 0, deepest = 0, level = t->level;
    for (unsigned g = 0; g < n_groups; g++) {
        group[g] = (k_group){.x = x + (size_t)g * t->n, .w = w + (size_t)g * t->n, .n = t->n, .top = t->top};
        k_begin(&group[g]);
        fit[g] = k_fit_ranged(&group[g]);
        most = fit[g].scale > most ? fit[g].scale : most;
        deepest = -fit[g].low > deepest ? -fit[g].low : deepest;
    }
    k_put_f16(d_out, most / level);
    k_put_f16(d_out + 2, deepest / level);
    float d = wick_block_f16(d_out), dmin = wick_block_f16(d_out + 2);
    for (unsigned g = 0; g < n_groups; g++) {
        float s0 = d > 0 ? k_clamp(k_round(fit[g].scale / d), 0, level) : 0;
        float m0 = dmin > 0 ? k_clamp(k_round(-fit[g].low / dmin), 0, level) : 0, best = INFINITY, s = s0, m = m0;
        for (int ds = -1; ds <= 1; ds++)
            for (int dm = -1; dm <= 1; dm++) {
                float sc = s0 + (float)ds, mc = m0 + (float)dm;
                if (sc < 0 || sc > level || mc < 0 || mc > level) continue;
                float cost = k_cost(&group[g], d * sc, -(dmin * mc), 0, t->top);
                if (!(cost < best)) continue;
                best = cost;
                s = sc;
                m = mc;
            }
        scale_code[g] = (uint8_t)s;
        min_code[g] = (uint8_t)m;
        k_codes(&group[g], d * s, -(dmin * m), 0, t->top, codes + (size_t)g * t->n);
    }
}

/* codes: 0 stands for -half. */
static K_APART void k_encode_signed(const k_signed *t, const float *x, const float *w, uint8_t *codes,
                                    int8_t scale_code[16], uint8_t d_out[2])
{
    k_group group[16];
    float fit[16], most = 0, level = t->level, half = t->half;
    for (unsigned g = 0; g < 16; g++) {
        group[g] = (k_group){.x = x + (size_t)g * 16, .w = w + (size_t)g * 16, .n = 16, .top = 0};
        k_begin(&group[g]);
        fit[g] = k_fit_signed(&group[g], half);
        most = fabsf(fit[g]) > fabsf(most) ? fit[g] : most;
    }
    k_put_f16(d_out, most / -level);
    float d = wick_block_f16(d_out);
    for (unsigned g = 0; g < 16; g++) {
        float s0 = d != 0 ? k_clamp(k_round(fit[g] / d), -level, level - 1) : 0, best = INFINITY, s = s0;
        for (int ds = -1; ds <= 1; ds++) {
            float sc = s0 + (float)ds;
            if (sc < -level || sc > level - 1) continue;
            float cost = k_cost(&group[g], d * sc, 0, -half, half - 1);
            if (!(cost < best)) continue;
            best = cost;
            s = sc;
        }
        scale_code[g] = (int8_t)s;
        k_codes(&group[g], d * s, 0, -half, half - 1, codes + (size_t)g * 16);
    }
}

/* --- the layouts ------------------------------------------------------------------------------------------------- */
/* The two bits from `shift` on of each code, four planes of 32 in each 32 bytes. */
static void k_put_two_bits(const uint8_t *codes, unsigned shift, uint8_t *out)
{
    memset(out, 0, 64);
    for (unsigned i = 0; i < 256; i++)
        out[i / 128 * 32 + i % 32] |= (uint8_t)((codes[i] >> shift & 3) << (i % 128 / 32 * 2));
}

static void k_encode_q2(const float *x, const float *w, uint8_t *out)
{
    static const k_ranged t = {16, 3, 15};
    uint8_t codes[256], s[16], m[16];
    k_encode_ranged(&t, x, w, codes, s, m, out + 80);
    for (unsigned g = 0; g < 16; g++) out[g] = (uint8_t)(s[g] | m[g] << 4);
    k_put_two_bits(codes, 0, out + 16);
}

static void k_encode_q3(const float *x, const float *w, uint8_t *out)
{
    static const k_signed t = {4, 32};
    uint8_t codes[256];
    int8_t s[16];
    k_encode_signed(&t, x, w, codes, s, out + 108);
    memset(out, 0, 32);
    memset(out + 96, 0, 12);
    for (unsigned i = 0; i < 256; i++) out[i % 32] |= (uint8_t)((codes[i] >> 2 & 1) << (i / 32));
    k_put_two_bits(codes, 0, out + 32);
    for (unsigned g = 0; g < 16; g++) {
        unsigned u = (unsigned)(s[g] + 32);
        out[96 + g % 8] |= (uint8_t)((u & 15) << (g / 8 * 4));
        out[104 + g % 4] |= (uint8_t)((u >> 4 & 3) << (g / 4 * 2));
    }
}

/* Q4_K, and Q5_K with its plane of fifth bits. */
static void k_encode_q45(const float *x, const float *w, bool five, uint8_t *out)
{
    static const k_ranged types[2] = {{32, 15, 63}, {32, 31, 63}};
    uint8_t codes[256], s[8], m[8], *packed = out + 4, *q = out + (five ? 48 : 16);
    k_encode_ranged(&types[five], x, w, codes, s, m, out);
    for (unsigned g = 0; g < 4; g++) {
        packed[g] = (uint8_t)(s[g] | (s[g + 4] >> 4) << 6);
        packed[g + 4] = (uint8_t)(m[g] | (m[g + 4] >> 4) << 6);
        packed[g + 8] = (uint8_t)((s[g + 4] & 15) | (m[g + 4] & 15) << 4);
    }
    memset(out + 16, 0, five ? 160 : 128);
    for (unsigned i = 0; i < 256; i++) {
        q[i / 64 * 32 + i % 32] |= (uint8_t)((codes[i] & 15) << (i / 32 % 2 * 4));
        if (five) out[16 + i % 32] |= (uint8_t)((codes[i] >> 4) << (i / 32));
    }
}

static void k_encode_q6(const float *x, const float *w, uint8_t *out)
{
    static const k_signed t = {32, 128};
    uint8_t codes[256];
    int8_t s[16];
    k_encode_signed(&t, x, w, codes, s, out + 208);
    memset(out, 0, 128);
    for (unsigned i = 0; i < 256; i++) out[i / 128 * 64 + i % 64] |= (uint8_t)((codes[i] & 15) << (i % 128 / 64 * 4));
    k_put_two_bits(codes, 4, out + 128);
    memcpy(out + 192, s, 16);
}

static void k_encode(wick_dtype t, const float *x, const float *w, uint8_t *out)
{
    switch ((int)t) {
    case WICK_DTYPE_Q2_K: k_encode_q2(x, w, out); break;
    case WICK_DTYPE_Q3_K: k_encode_q3(x, w, out); break;
    case WICK_DTYPE_Q4_K: k_encode_q45(x, w, false, out); break;
    case WICK_DTYPE_Q5_K: k_encode_q45(x, w, true, out); break;
    case WICK_DTYPE_Q6_K: k_encode_q6(x, w, out); break;
    default: break;
    }
}
