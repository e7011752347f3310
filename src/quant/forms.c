/* quant/forms.c - see forms.h. */
#include "quant/forms.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/str.h"
#include "quant/block.h"

#define MAX_NAME 24

const char wick_quant_names[] = "Q4K, Q5K, Q6K, Q2K, Q3K, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, AFQ2, AFQ3, AFQ4, AFQ5, AFQ6, "
                                "AFQ8 (with a group: AFQ4:32), MXFP4, NVFP4, MXFP8, BF16, F16, F32";

static const struct {
    const char *name; /* upper case, without separators */
    wick_quant q;
} forms[] = {
    {"F32", {WICK_ENC_PLAIN, WICK_DTYPE_F32, 0, 0}},     {"F16", {WICK_ENC_PLAIN, WICK_DTYPE_F16, 0, 0}},
    {"BF16", {WICK_ENC_PLAIN, WICK_DTYPE_BF16, 0, 0}},   {"Q40", {WICK_ENC_BLOCK, WICK_DTYPE_Q4_0, 0, 0}},
    {"Q41", {WICK_ENC_BLOCK, WICK_DTYPE_Q4_1, 0, 0}},    {"Q50", {WICK_ENC_BLOCK, WICK_DTYPE_Q5_0, 0, 0}},
    {"Q51", {WICK_ENC_BLOCK, WICK_DTYPE_Q5_1, 0, 0}},    {"Q80", {WICK_ENC_BLOCK, WICK_DTYPE_Q8_0, 0, 0}},
    {"Q2K", {WICK_ENC_BLOCK, WICK_DTYPE_Q2_K, 0, 0}},    {"Q3K", {WICK_ENC_BLOCK, WICK_DTYPE_Q3_K, 0, 0}},
    {"Q4K", {WICK_ENC_BLOCK, WICK_DTYPE_Q4_K, 0, 0}},    {"Q5K", {WICK_ENC_BLOCK, WICK_DTYPE_Q5_K, 0, 0}},
    {"Q6K", {WICK_ENC_BLOCK, WICK_DTYPE_Q6_K, 0, 0}},    {"MXFP4", {WICK_ENC_MXFP4, WICK_DTYPE_BF16, 4, 32}},
    {"NVFP4", {WICK_ENC_NVFP4, WICK_DTYPE_BF16, 4, 16}}, {"MXFP8", {WICK_ENC_MXFP8, WICK_DTYPE_BF16, 8, 32}},
};

/* "AFQ4", "AFFINE4", "4BIT", each with ":GROUP" or not. */
static bool parse_affine(const char *s, wick_quant *out)
{
    bool prefixed = wick_starts_with(s, "AFQ") || wick_starts_with(s, "AFFINE");
    if (prefixed) s += s[1] == 'F' && s[2] == 'Q' ? 3 : 6;
    if (*s < '2' || *s > '8' || *s == '7') return false;
    uint32_t bits = (uint32_t)(*s++ - '0'), group = 64;
    bool suffixed = wick_starts_with(s, "BIT");
    if (suffixed) s += 3;
    if (prefixed == suffixed) return false;
    if (*s == ':') {
        int64_t n;
        if (!wick_parse_i64(s + 1, &n) || (n != 32 && n != 64 && n != 128)) return false;
        group = (uint32_t)n;
    } else if (*s) {
        return false;
    }
    *out = (wick_quant){WICK_ENC_AFFINE, WICK_DTYPE_BF16, bits, group};
    return true;
}

bool wick_quant_parse(const char *name, wick_quant *out)
{
    char s[MAX_NAME];
    size_t n = 0;
    for (; *name; name++) {
        if (*name == '_' || *name == '-') continue;
        if (n + 1 >= sizeof s) return false;
        s[n++] = (char)(*name >= 'a' && *name <= 'z' ? *name - 'a' + 'A' : *name);
    }
    s[n] = '\0';
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strcmp(forms[i].name, s) == 0) {
            *out = forms[i].q;
            return true;
        }
    return parse_affine(s, out);
}

char *wick_quant_name(const wick_quant *q, char *dst, uint32_t cap)
{
    if (q->enc == WICK_ENC_AFFINE) {
        snprintf(dst, cap, "AFQ%" PRIu32 ":%" PRIu32, q->bits, q->group);
        return dst;
    }
    wick_weight w = {.enc = q->enc, .dtype = q->dtype};
    return wick_weight_label(&w, dst, cap);
}

wick_status wick_quant_shape(const wick_quant *q, uint32_t n_out, uint32_t n_in, wick_weight *out, wick_err *err)
{
    *out = (wick_weight){
        .enc = q->enc, .dtype = q->dtype, .bits = q->bits, .group = q->group, .n_out = n_out, .n_in = n_in};
    return wick_weight_finish(out, err);
}

bool wick_quant_fits(const wick_quant *q, uint32_t n_in)
{
    wick_weight w;
    wick_err ignored;
    return n_in > 0 && wick_quant_shape(q, 1, n_in, &w, &ignored) == WICK_OK;
}

void wick_from_f32(wick_dtype t, const float *src, void *dst, uint64_t n)
{
    uint8_t *out = dst;
    if (t == WICK_DTYPE_F32) {
        memcpy(out, src, n * sizeof *src);
        return;
    }
    for (uint64_t i = 0; i < n; i++) {
        uint16_t h = t == WICK_DTYPE_BF16 ? wick_f32_to_bf16(src[i]) : wick_f32_to_f16(src[i]);
        out[2 * i] = (uint8_t)h;
        out[2 * i + 1] = (uint8_t)(h >> 8);
    }
}

static bool is_legacy(wick_dtype t)
{
    return t == WICK_DTYPE_Q4_0 || t == WICK_DTYPE_Q4_1 || t == WICK_DTYPE_Q5_0 || t == WICK_DTYPE_Q5_1 ||
           t == WICK_DTYPE_Q8_0;
}

static void encode_blocks(wick_dtype t, const float *x, const float *importance, uint64_t n, uint8_t *out)
{
    uint32_t step = wick_dtype_block_elems(t), bytes = wick_dtype_block_bytes(t);
    for (uint64_t i = 0; i < n; i += step, out += bytes) {
        if (is_legacy(t))
            wick_block_legacy_encode(t, x + i, out);
        else
            wick_block_k_encode(t, x + i, importance ? importance + i : NULL, out);
    }
}

bool wick_block_encode(wick_dtype t, const float *src, void *dst, uint64_t n)
{
    bool k = t == WICK_DTYPE_Q2_K || t == WICK_DTYPE_Q3_K || t == WICK_DTYPE_Q4_K || t == WICK_DTYPE_Q5_K ||
             t == WICK_DTYPE_Q6_K;
    if ((!k && !is_legacy(t)) || n % wick_dtype_block_elems(t)) return false;
    encode_blocks(t, src, NULL, n, dst);
    return true;
}

/* Group by group, so that scales need no memory of their own. */
static void encode_affine(const wick_quant *q, const float *x, uint32_t n_in, uint8_t *data, uint8_t *scales,
                          uint8_t *biases)
{
    uint32_t size = wick_dtype_block_bytes(q->dtype), words[128 * 8 / 32], group_bytes = q->group * q->bits / 8;
    for (uint32_t g = 0; g < n_in / q->group; g++) {
        float scale, bias;
        wick_affine_encode_row(x + (uint64_t)g * q->group, q->group, q->bits, q->group, words, &scale, &bias);
        memcpy(data + (uint64_t)g * group_bytes, words, group_bytes);
        wick_from_f32(q->dtype, &scale, scales + (uint64_t)g * size, 1);
        wick_from_f32(q->dtype, &bias, biases + (uint64_t)g * size, 1);
    }
}

void wick_quant_row(const wick_quant *q, const float *x, const float *importance, uint32_t n_in, uint8_t *data,
                    uint8_t *scales, uint8_t *biases)
{
    switch (q->enc) {
    case WICK_ENC_PLAIN: wick_from_f32(q->dtype, x, data, n_in); break;
    case WICK_ENC_BLOCK: encode_blocks(q->dtype, x, importance, n_in, data); break;
    case WICK_ENC_AFFINE: encode_affine(q, x, n_in, data, scales, biases); break;
    case WICK_ENC_MXFP4:
    case WICK_ENC_NVFP4:
    case WICK_ENC_MXFP8: wick_fpx_encode(q->enc, x, n_in, data, scales); break;
    }
}
