/* quant/weight.c - a weight's geometry, its name for people, and the choice of a decoder. */
#include "quant/block.h"

#include <inttypes.h>
#include <stdio.h>

static void (*const block_decoders[WICK_DTYPE_COUNT])(const uint8_t *x, float *y) = {
    [WICK_DTYPE_Q4_0] = wick_block_q4_0,       [WICK_DTYPE_Q4_1] = wick_block_q4_1,
    [WICK_DTYPE_Q5_0] = wick_block_q5_0,       [WICK_DTYPE_Q5_1] = wick_block_q5_1,
    [WICK_DTYPE_Q8_0] = wick_block_q8_0,       [WICK_DTYPE_Q8_1] = wick_block_q8_1,
    [WICK_DTYPE_Q2_K] = wick_block_q2_k,       [WICK_DTYPE_Q3_K] = wick_block_q3_k,
    [WICK_DTYPE_Q4_K] = wick_block_q4_k,       [WICK_DTYPE_Q5_K] = wick_block_q5_k,
    [WICK_DTYPE_Q6_K] = wick_block_q6_k,       [WICK_DTYPE_Q8_K] = wick_block_q8_k,
    [WICK_DTYPE_IQ4_NL] = wick_block_iq4_nl,   [WICK_DTYPE_IQ4_XS] = wick_block_iq4_xs,
    [WICK_DTYPE_IQ2_XXS] = wick_block_iq2_xxs, [WICK_DTYPE_IQ2_XS] = wick_block_iq2_xs,
    [WICK_DTYPE_IQ2_S] = wick_block_iq2_s,     [WICK_DTYPE_IQ3_XXS] = wick_block_iq3_xxs,
    [WICK_DTYPE_IQ3_S] = wick_block_iq3_s,     [WICK_DTYPE_IQ1_S] = wick_block_iq1_s,
    [WICK_DTYPE_IQ1_M] = wick_block_iq1_m,     [WICK_DTYPE_TQ1_0] = wick_block_tq1_0,
    [WICK_DTYPE_TQ2_0] = wick_block_tq2_0,     [WICK_DTYPE_MXFP4] = wick_block_mxfp4,
    [WICK_DTYPE_NVFP4] = wick_block_nvfp4,
};

bool wick_block_has_decoder(wick_dtype t)
{
    return (unsigned)t < WICK_DTYPE_COUNT && block_decoders[t];
}

bool wick_block_decode(wick_dtype t, const void *src, float *dst, uint64_t n)
{
    if (!wick_block_has_decoder(t) || n % wick_dtype_block_elems(t)) return false;
    const uint8_t *x = src;
    for (uint64_t i = 0; i < n; i += wick_dtype_block_elems(t), x += wick_dtype_block_bytes(t))
        block_decoders[t](x, dst + i);
    return true;
}

static wick_status refuse(const wick_weight *w, wick_err *err, const char *expected, const char *got)
{
    const char *name = w->name ? w->name : "a weight";
    return wick_err_format(err, name, expected, got, NULL);
}

static bool affine_ok(const wick_weight *w)
{
    bool bits = w->bits >= 1 && w->bits <= 8 && w->bits != 7;
    return bits && (w->group == 16 || w->group == 32 || w->group == 64 || w->group == 128) &&
           wick_dtype_is_float(w->dtype);
}

static bool fpx_ok(const wick_weight *w)
{
    switch (w->enc) {
    case WICK_ENC_MXFP4: return w->bits == 4 && w->group == 32;
    case WICK_ENC_NVFP4: return w->bits == 4 && w->group == 16;
    case WICK_ENC_MXFP8: return w->bits == 8 && w->group == 32;
    case WICK_ENC_PLAIN:
    case WICK_ENC_BLOCK:
    case WICK_ENC_AFFINE: break;
    }
    return false;
}

wick_status wick_weight_finish(wick_weight *w, wick_err *err)
{
    char got[96];
    uint64_t scale_bytes = 1;
    w->row_step = 1;
    w->global_scale = 1;
    w->scale_row_bytes = 0;
    switch (w->enc) {
    case WICK_ENC_PLAIN:
    case WICK_ENC_BLOCK: {
        bool known = w->enc == WICK_ENC_PLAIN ? wick_dtype_is_float(w->dtype) : wick_block_has_decoder(w->dtype);
        if (!known)
            return refuse(w, err, w->enc == WICK_ENC_PLAIN ? "F32, F16 or BF16" : "a block type with a decoder",
                          wick_dtype_name(w->dtype));
        snprintf(got, sizeof got, "rows of %" PRIu32, w->n_in);
        if (!wick_dtype_bytes(w->dtype, w->n_in, &w->row_bytes)) return refuse(w, err, "rows of whole blocks", got);
        return WICK_OK;
    }
    case WICK_ENC_AFFINE:
        snprintf(got, sizeof got, "%" PRIu32 " bits, group %" PRIu32 ", scales %s", w->bits, w->group,
                 wick_dtype_name(w->dtype));
        if (!affine_ok(w)) return refuse(w, err, "affine with 1-6 or 8 bits, group 16-128, float scales", got);
        scale_bytes = wick_dtype_block_bytes(w->dtype);
        break;
    case WICK_ENC_MXFP4:
    case WICK_ENC_NVFP4:
    case WICK_ENC_MXFP8:
        snprintf(got, sizeof got, "%" PRIu32 " bits, group %" PRIu32, w->bits, w->group);
        if (!fpx_ok(w)) return refuse(w, err, "mxfp4 (4 bits, group 32), nvfp4 (4, 16) or mxfp8 (8, 32)", got);
        break;
    }
    /* codes are stored in whole 32-bit words */
    uint64_t row_bits = (uint64_t)w->n_in * w->bits;
    snprintf(got, sizeof got, "rows of %" PRIu32 " in groups of %" PRIu32, w->n_in, w->group);
    if (w->n_in % w->group || row_bits % 32) return refuse(w, err, "rows of whole groups", got);
    w->row_bytes = row_bits / 8;
    w->scale_row_bytes = w->n_in / w->group * scale_bytes;
    return WICK_OK;
}

uint64_t wick_weight_bytes(const wick_weight *w)
{
    unsigned n_side = w->enc == WICK_ENC_AFFINE ? 2 : 1;
    return w->n_out * (w->row_bytes + w->scale_row_bytes * n_side);
}

double wick_weight_bpw(const wick_weight *w)
{
    double n = (double)w->n_out * w->n_in;
    return n > 0 ? 8.0 * (double)wick_weight_bytes(w) / n : 0;
}

bool wick_weight_columns(const wick_weight *w, uint32_t from, uint32_t n, wick_weight *out)
{
    uint32_t unit = w->enc == WICK_ENC_PLAIN   ? 1
                    : w->enc == WICK_ENC_BLOCK ? wick_dtype_block_elems(w->dtype)
                                               : w->group;
    if (!unit || from % unit || n % unit || n == 0 || from > w->n_in || n > w->n_in - from) return false;
    uint64_t groups = from / unit;
    *out = *w;
    out->n_in = n;
    if (w->enc == WICK_ENC_PLAIN || w->enc == WICK_ENC_BLOCK) {
        out->data += groups * wick_dtype_block_bytes(w->dtype);
        return true;
    }
    uint64_t scale_bytes = w->scale_row_bytes / (w->n_in / unit);
    out->data += (uint64_t)from * w->bits / 8; /* groups are multiples of 16 codes: whole bytes */
    if (w->scales) out->scales += groups * scale_bytes;
    if (w->biases) out->biases += groups * scale_bytes;
    return true;
}

void wick_weight_row(const wick_weight *w, uint32_t r, float *out)
{
    uint64_t row = (uint64_t)r * w->row_step;
    const uint8_t *data = w->data + row * w->row_bytes;
    const uint8_t *scales = w->scales ? w->scales + row * w->scale_row_bytes : NULL;
    switch (w->enc) {
    case WICK_ENC_PLAIN: wick_to_f32(w->dtype, data, out, w->n_in); break;
    case WICK_ENC_BLOCK: wick_block_decode(w->dtype, data, out, w->n_in); break;
    case WICK_ENC_AFFINE: wick_affine_decode(w, data, scales, w->biases + row * w->scale_row_bytes, out); break;
    case WICK_ENC_MXFP4:
    case WICK_ENC_NVFP4:
    case WICK_ENC_MXFP8: wick_fpx_decode(w, data, scales, out); break;
    }
}

char *wick_weight_label(const wick_weight *w, char *dst, uint32_t cap)
{
    const char *text = "unknown";
    switch (w->enc) {
    case WICK_ENC_PLAIN:
    case WICK_ENC_BLOCK: text = wick_dtype_name(w->dtype); break;
    case WICK_ENC_MXFP4: text = "mxfp4"; break;
    case WICK_ENC_NVFP4: text = "nvfp4"; break;
    case WICK_ENC_MXFP8: text = "mxfp8"; break;
    case WICK_ENC_AFFINE: snprintf(dst, cap, "affine %" PRIu32 "-bit g%" PRIu32, w->bits, w->group); return dst;
    }
    snprintf(dst, cap, "%s", text);
    return dst;
}
