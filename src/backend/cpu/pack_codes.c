/* backend/cpu/pack_codes.c - the file's encodings as codes and scales: one superblock of one row at a time. Exact: a
 * code and its scales mean what wick_weight_row says, to float rounding. One small function per encoding. */
#include "backend/cpu/linear_impl.h"

static uint16_t get16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}

/* --- legacy blocks of 32: low nibbles are inputs 0..15, high ones 16..31 --- */
static void nibbles16(const uint8_t *q, uint8_t *code)
{
    for (uint32_t i = 0; i < 16; i++) {
        code[i] = q[i] & 15;
        code[16 + i] = q[i] >> 4;
    }
}

static void fifth_bits(const uint8_t *h, uint8_t *code)
{
    for (uint32_t i = 0; i < 32; i++) code[i] |= (uint8_t)((h[i / 8] >> i % 8 & 1) << 4);
}

/* 2^(e - 128) as bfloat16: E8M0 with the half that turns doubled E2M1 values into values. */
static uint16_t e8m0_half(uint8_t e)
{
    if (e == 255) return 0x7fc0; /* NaN */
    return e >= 2 ? (uint16_t)((e - 1u) << 7) : e == 1 ? 0x0040 : 0x0020;
}

static uint16_t e8m0(uint8_t e)
{
    if (e == 255) return 0x7fc0;
    return e ? (uint16_t)(e << 7) : 0x0040;
}

static void decode_legacy(wick_dtype t, const uint8_t *b, uint8_t *code, uint32_t *scale, uint32_t *bias)
{
    *scale = get16(b);
    switch (t) {
    case WICK_DTYPE_Q4_1:
        *bias = get16(b + 2);
        nibbles16(b + 4, code);
        break;
    case WICK_DTYPE_Q5_0:
        nibbles16(b + 6, code);
        fifth_bits(b + 2, code);
        break;
    case WICK_DTYPE_Q5_1:
        *bias = get16(b + 2);
        nibbles16(b + 8, code);
        fifth_bits(b + 4, code);
        break;
    case WICK_DTYPE_Q8_0:
        for (uint32_t i = 0; i < 32; i++) code[i] = b[2 + i] ^ 0x80;
        break;
    case WICK_DTYPE_MXFP4:
        *scale = e8m0_half(b[0]);
        nibbles16(b + 1, code);
        break;
    default: /* Q4_0, IQ4_NL */ nibbles16(b + 2, code); break;
    }
}

/* --- K blocks of 256 --- */
static void sixbit_scales(const uint8_t *s, int8_t *sc, int8_t *mn)
{
    for (uint32_t j = 0; j < 4; j++) {
        sc[j] = s[j] & 63;
        mn[j] = s[j + 4] & 63;
        sc[j + 4] = (int8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
        mn[j + 4] = (int8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
    }
}

static void decode_q4k(const uint8_t *b, const uint8_t *high, const uint8_t *q, wick_lin_super *o)
{
    o->d = get16(b);
    o->dmin = get16(b + 2);
    sixbit_scales(b + 4, o->sc, o->min);
    for (uint32_t g = 0; g < 8; g++)
        for (uint32_t i = 0; i < 32; i++) {
            uint32_t c = q[g / 2 * 32 + i] >> g % 2 * 4 & 15;
            if (high) c |= (high[i] >> g & 1u) << 4;
            o->code[g * 32 + i] = (uint8_t)c;
        }
}

static void decode_q6k(const uint8_t *b, wick_lin_super *o)
{
    o->d = get16(b + 208);
    memcpy(o->sc, b + 192, 16);
    for (uint32_t k = 0; k < 256; k++) {
        uint32_t half = k / 128, part = k % 128 / 32, i = k % 32;
        uint32_t low = b[half * 64 + part % 2 * 32 + i] >> part / 2 * 4 & 15;
        o->code[k] = (uint8_t)(low | (b[128 + half * 32 + i] >> part * 2 & 3u) << 4);
    }
}

static void decode_q2k(const uint8_t *b, wick_lin_super *o)
{
    o->d = get16(b + 80);
    o->dmin = get16(b + 82);
    for (uint32_t g = 0; g < 16; g++) {
        o->sc[g] = b[g] & 15;
        o->min[g] = (int8_t)(b[g] >> 4);
    }
    for (uint32_t k = 0; k < 256; k++) o->code[k] = b[16 + k / 128 * 32 + k % 32] >> k % 128 / 32 * 2 & 3;
}

static void decode_q3k(const uint8_t *b, wick_lin_super *o)
{
    const uint8_t *s = b + 96;
    o->d = get16(b + 108);
    for (uint32_t g = 0; g < 16; g++) {
        uint32_t low = s[g % 8] >> g / 8 * 4 & 15, high = s[8 + g % 4] >> g / 4 * 2 & 3;
        o->sc[g] = (int8_t)((int32_t)(low | high << 4) - 32);
    }
    for (uint32_t k = 0; k < 256; k++) {
        uint32_t low = b[32 + k / 128 * 32 + k % 32] >> k % 128 / 32 * 2 & 3;
        o->code[k] = (uint8_t)(low | (b[k % 32] >> k / 32 & 1u) << 2);
    }
}

static void decode_iq4xs(const uint8_t *b, wick_lin_super *o)
{
    uint32_t high = get16(b + 2);
    o->d = get16(b);
    for (uint32_t g = 0; g < 8; g++) {
        uint32_t low = b[4 + g / 2] >> g % 2 * 4 & 15;
        o->sc[g] = (int8_t)((int32_t)(low | (high >> 2 * g & 3) << 4) - 32);
        nibbles16(b + 8 + g * 16, o->code + g * 32);
    }
}

static void decode_tq2(const uint8_t *b, wick_lin_super *o)
{
    o->scale[0] = get16(b + 64);
    for (uint32_t k = 0; k < 256; k++) o->code[k] = b[k / 128 * 32 + k % 32] >> k % 128 / 32 * 2 & 3;
}

static void decode_block(const wick_weight *w, const wick_lin_fmt *f, const uint8_t *row, uint32_t sb,
                         wick_lin_super *o)
{
    const uint8_t *b = row + (uint64_t)sb * wick_dtype_block_bytes(w->dtype); /* where a block is a superblock */
    switch (w->dtype) {
    case WICK_DTYPE_Q4_K: decode_q4k(b, NULL, b + 16, o); break;
    case WICK_DTYPE_Q5_K: decode_q4k(b, b + 16, b + 48, o); break;
    case WICK_DTYPE_Q6_K: decode_q6k(b, o); break;
    case WICK_DTYPE_Q2_K: decode_q2k(b, o); break;
    case WICK_DTYPE_Q3_K: decode_q3k(b, o); break;
    case WICK_DTYPE_IQ4_XS: decode_iq4xs(b, o); break;
    case WICK_DTYPE_TQ2_0: decode_tq2(b, o); break;
    default:
        for (uint32_t g = 0; g < f->super / 32u; g++) {
            uint32_t i = sb * (f->super / 32u) + g;
            if (i * 32 >= w->n_in) break;
            decode_legacy(w->dtype, row + (uint64_t)i * wick_dtype_block_bytes(w->dtype), o->code + g * 32,
                          &o->scale[g], &o->bias[g]);
        }
        break;
    }
}

/* --- safetensors encodings: codes as one little-endian bit stream, scales apart --- */
static void bit_stream(const uint8_t *row, uint32_t bits, uint32_t k0, uint32_t n, uint8_t *code)
{
    const uint8_t *p = row + (uint64_t)k0 * bits / 8; /* k0 is a multiple of 64 */
    if (bits == 8) {
        memcpy(code, p, n);
    } else if (bits == 4) {
        for (uint32_t i = 0; i < n / 2; i++) {
            code[2 * i] = p[i] & 15;
            code[2 * i + 1] = p[i] >> 4;
        }
    } else {
        uint32_t have = 0, buf = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (have < bits) {
                buf |= (uint32_t)*p++ << have;
                have += 8;
            }
            code[i] = (uint8_t)(buf & ((1u << bits) - 1));
            buf >>= bits;
            have -= bits;
        }
    }
}

/* The bits of element i of a plain type */
static uint32_t element(const uint8_t *p, uint32_t size, uint32_t i)
{
    uint32_t v = 0;
    memcpy(&v, p + (uint64_t)i * size, size);
    return v;
}

/* E4M3 halved, as bfloat16 (exact) */
static uint16_t e4m3_half(uint8_t v)
{
    if ((v & 0x7f) == 0x7f) return 0x7fc0;
    float f = wick_f32_from_bits((v & 0x7fu) << 20) * 0x1p119f;
    return (uint16_t)((wick_f32_to_bits(f) >> 16) | (v & 0x80u) << 8);
}

static void decode_stream(const wick_weight *w, const wick_lin_fmt *f, uint32_t row, uint32_t sb, wick_lin_super *o)
{
    uint64_t at = (uint64_t)row * w->row_step;
    const uint8_t *scales = w->scales + at * w->scale_row_bytes;
    const uint8_t *biases = w->biases ? w->biases + at * w->scale_row_bytes : NULL;
    uint32_t k0 = sb * f->super, n = w->n_in - k0 < f->super ? w->n_in - k0 : f->super;
    uint32_t size = f->scale == WICK_LIN_SCALE_F32 ? 4 : 2;
    bit_stream(w->data + at * w->row_bytes,
               w->enc == WICK_ENC_AFFINE     ? w->bits
               : f->code == WICK_LIN_CODE_F8 ? 8
                                             : 4,
               k0, n, o->code);
    for (uint32_t g = 0; g < n / f->group; g++) {
        uint32_t i = k0 / f->group + g;
        switch (w->enc) {
        case WICK_ENC_AFFINE:
            o->scale[g] = element(scales, size, i);
            o->bias[g] = element(biases, size, i);
            break;
        case WICK_ENC_NVFP4: o->scale[g] = e4m3_half(scales[i]); break;
        case WICK_ENC_MXFP4: o->scale[g] = e8m0_half(scales[i]); break;
        default: /* MXFP8 */ o->scale[g] = e8m0(scales[i]); break;
        }
    }
}

void wick_lin_decode_super(const wick_weight *w, const wick_lin_fmt *f, uint32_t row, uint32_t sb, wick_lin_super *out)
{
    memset(out, 0, sizeof *out);
    if (w->enc == WICK_ENC_BLOCK)
        decode_block(w, f, w->data + (uint64_t)row * w->row_step * w->row_bytes, sb, out);
    else
        decode_stream(w, f, row, sb, out);
}
