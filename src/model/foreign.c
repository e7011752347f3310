/* model/foreign.c - checkpoints that other tools quantized: AWQ, GPTQ, compressed-tensors, ModelOpt, fp8.
 *
 * Integer codes become AFFINE weights without any rounding: w = (q - zero) * scale is kept as scale * q + bias with
 * float32 scales and bias = -zero * scale, which float32 holds exactly for half-precision scales. Groups wider than
 * 128 repeat their scales; groups that are no ranges of inputs (GPTQ's act-order) are multiplied out to float16. What
 * has MLX's order of bits already stays a view (compressed-tensors' words, nvfp4, mxfp4). fp8 with scales of blocks,
 * rows or the whole matrix is multiplied out to BF16, as mlx-lm does it. Memory is the plan's arena; every shape is
 * checked against n_out and n_in first. */
#include "model/foreign.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include "base/json.h"
#include "base/str.h"
#include "base/sys.h"

#define READABLE "MLX, awq, gptq, fp8, compressed-tensors or modelopt quantization, or none"

static wick_status check_awq(const wick_config *c, const json_t *q, int64_t bits, wick_err *err)
{
    const char *version = NULL;
    WICK_TRY(wick_json_str(q, "version", &version, c->where, err));
    if (version && strcasecmp(version, "gemm") != 0)
        return wick_err_format(err, c->where, "awq version \"gemm\"", version, NULL);
    if (bits != 4) return wick_err_format(err, c->where, "awq with 4 bits", "another width", NULL);
    return WICK_OK;
}

static wick_status check_gptq(const wick_config *c, const json_t *q, int64_t bits, bool *zeros_less_one, wick_err *err)
{
    const char *format = NULL;
    WICK_TRY(wick_json_str(q, "checkpoint_format", &format, c->where, err));
    if (format && strcmp(format, "gptq") != 0 && strcmp(format, "gptq_v2") != 0)
        return wick_err_format(err, c->where, "gptq checkpoint_format \"gptq\" or \"gptq_v2\"", format, NULL);
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8)
        return wick_err_format(err, c->where, "gptq with 2, 3, 4 or 8 bits", "another width", NULL);
    *zeros_less_one = !format || strcmp(format, "gptq") == 0;
    return WICK_OK;
}

/* weight_block_size: [rows, columns] of fp8's scales; 128 x 128 if it does not say. */
static wick_status read_block(const wick_config *c, const json_t *q, wick_packing *p, wick_err *err)
{
    const json_t *v = json_object_get(q, "weight_block_size");
    p->block_rows = p->block_cols = 128;
    if (!v || json_is_null(v)) return WICK_OK;
    int64_t r = json_integer_value(json_array_get(v, 0)), n = json_integer_value(json_array_get(v, 1));
    if (json_array_size(v) != 2 || r < 1 || n < 1 || r > WICK_MAX_DIM || n > WICK_MAX_DIM)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: weight_block_size: expected two sizes", c->where);
    p->block_rows = (uint32_t)r;
    p->block_cols = (uint32_t)n;
    return WICK_OK;
}

wick_status wick_foreign_packing(const wick_config *c, wick_packing *p, wick_err *err)
{
    *p = (wick_packing){.method = WICK_PACKING_MLX, .block_rows = 128, .block_cols = 128};
    const json_t *q = wick_config_get(c, "quantization_config");
    const char *method = NULL;
    int64_t bits = 4;
    if (!json_is_object(q) || wick_config_get(c, "quantization")) return WICK_OK;
    WICK_TRY(wick_json_str(q, "quant_method", &method, c->where, err));
    if (!method || strcmp(method, "mxfp4") == 0 || strcmp(method, "mxfp8") == 0) return WICK_OK;
    if (strcmp(method, "fp8") == 0) {
        p->method = WICK_PACKING_OTHER;
        return read_block(c, q, p, err);
    }
    if (strcmp(method, "compressed-tensors") == 0 || strcmp(method, "modelopt") == 0) {
        p->method = WICK_PACKING_OTHER;
        p->suffix = ".weight_packed";
        return WICK_OK;
    }
    bool awq = strcmp(method, "awq") == 0;
    if (!awq && strcmp(method, "gptq") != 0) return wick_err_format(err, c->where, READABLE, method, NULL);
    p->method = awq ? WICK_PACKING_AWQ : WICK_PACKING_GPTQ;
    p->suffix = ".qweight";
    WICK_TRY(wick_json_i64(q, awq && json_object_get(q, "w_bit") ? "w_bit" : "bits", 1, 16, 4, &bits, c->where, err));
    p->bits = (uint32_t)bits;
    return awq ? check_awq(c, q, bits, err) : check_gptq(c, q, bits, &p->zeros_less_one, err);
}

bool wick_foreign_wants(const wick_checkpoint *k, const wick_matrix_ref *m)
{
    const wick_tensor *t = m->t;
    if (k->cfg->from_gguf) return false;
    if (k->pack.suffix && wick_ends_with(t->name, k->pack.suffix)) return true;
    return t->dtype == WICK_DTYPE_F8_E4M3 || t->dtype == WICK_DTYPE_F8_E5M2 ||
           ((t->dtype == WICK_DTYPE_U8 || t->dtype == WICK_DTYPE_I8) && wick_ck_beside(k, m->path, ".weight_scale"));
}

static wick_status bad_shape(const wick_checkpoint *k, const wick_tensor *t, const char *want, wick_err *err)
{
    char got[128];
    wick_ck_shape_text(t, got, sizeof got);
    return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s: expected %s, got %s [%s]", k->where, t->name, want,
                     wick_dtype_name(t->dtype), got);
}

/* PATH<suffix>, a matrix [rows][cols] of 32-bit words (float_type false) or of floats. */
static wick_status plane(const wick_checkpoint *k, const wick_matrix_ref *m, const char *suffix, bool words,
                         uint64_t rows, uint64_t cols, const wick_tensor **out, wick_err *err)
{
    char want[96];
    const wick_tensor *t = wick_ck_beside(k, m->path, suffix);
    if (!t) return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s%s is missing", k->where, m->path, suffix);
    bool type = words ? t->dtype == WICK_DTYPE_I32 || t->dtype == WICK_DTYPE_U32 : wick_dtype_is_float(t->dtype);
    snprintf(want, sizeof want, "%s [%" PRIu64 ", %" PRIu64 "]", words ? "I32" : "floats", rows, cols);
    if (!type || t->n_dim != 2 || t->shape[0] != rows || t->shape[1] != cols) return bad_shape(k, t, want, err);
    *out = t;
    return WICK_OK;
}

static uint32_t word_at(const wick_tensor *t, uint64_t i)
{
    uint32_t v;
    memcpy(&v, (const uint8_t *)t->data + i * sizeof v, sizeof v);
    return v;
}

static float float_at(const wick_tensor *t, uint64_t i)
{
    float v;
    wick_to_f32(t->dtype, (const uint8_t *)t->data + i * wick_dtype_block_bytes(t->dtype), &v, 1);
    return v;
}

/* The scales of an AFFINE weight while they are made: groups of the file, each `repeat` groups of the weight. */
typedef struct affine {
    uint64_t n_groups;
    uint32_t repeat;
    float *scales, *biases;
} affine;

static wick_status begin_affine(const wick_checkpoint *k, const wick_matrix_ref *m, uint32_t bits, uint64_t n_groups,
                                bool ordered, affine *a, wick_weight *w, wick_err *err)
{
    uint64_t group = n_groups && m->n_in % n_groups == 0 ? m->n_in / n_groups : 0;
    uint32_t fit = 128;
    if (ordered) group = fit = 32; /* groups are no ranges: one scale each is all that is asked for */
    while (fit >= 32 && (!group || group % fit)) fit /= 2;
    if (fit < 32 || m->n_in * bits % 32)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where,
                         "%s: tensor %s: %" PRIu64 " groups in rows of %" PRIu64
                         " cannot be run (expected groups of a multiple of 32)",
                         k->where, m->t->name, n_groups, m->n_in);
    *a = (affine){.n_groups = n_groups, .repeat = (uint32_t)(group / fit)};
    uint64_t n = m->n_out * n_groups * a->repeat;
    a->scales = wick_arena_array(k->arena, n, sizeof(float));
    a->biases = wick_arena_array(k->arena, n, sizeof(float));
    if (!a->scales || !a->biases) return wick_err_oom(err, m->t->name, 2 * n * sizeof(float), 0);
    *w = (wick_weight){.enc = WICK_ENC_AFFINE,
                       .dtype = WICK_DTYPE_F32,
                       .bits = bits,
                       .group = fit,
                       .scales = (const uint8_t *)a->scales,
                       .biases = (const uint8_t *)a->biases};
    return WICK_OK;
}

static void put_group(affine *a, uint64_t row, uint64_t g, float scale, uint32_t zero)
{
    uint64_t at = (row * a->n_groups + g) * a->repeat;
    for (uint32_t i = 0; i < a->repeat; i++) {
        a->scales[at + i] = scale;
        a->biases[at + i] = -(float)zero * scale;
    }
}

/* The group of each input where that is not the one of its position (act-order, desc_act), else NULL. */
static wick_status find_order(const wick_checkpoint *k, const wick_matrix_ref *m, const char *suffix, uint64_t n_groups,
                              const wick_tensor **out, wick_err *err)
{
    const wick_tensor *t = wick_ck_beside(k, m->path, suffix);
    *out = NULL;
    if (!t) return WICK_OK;
    if (t->dtype != WICK_DTYPE_I32 || wick_tensor_count(t) != m->n_in)
        return bad_shape(k, t, "I32, one per input", err);
    for (uint64_t i = 0; i < m->n_in; i++) {
        uint32_t g = word_at(t, i);
        if (g >= n_groups) return bad_shape(k, t, "numbers of groups", err);
        if (g != i * n_groups / m->n_in) *out = t;
    }
    return WICK_OK;
}

/* Rows of `bits`-wide codes multiplied out to float16, each input by the scale and zero of its group: where the groups
 * are not ranges of inputs there is no packed form that could be kept. */
static wick_status expand(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor *order,
                          const uint32_t *words, const affine *a, wick_weight *w, wick_err *err)
{
    uint64_t per_row = m->n_in * w->bits / 32;
    uint32_t mask = (1u << w->bits) - 1;
    uint16_t *dst = wick_arena_array(k->arena, m->n_out * m->n_in, sizeof *dst);
    if (!dst) return wick_err_oom(err, m->t->name, m->n_out * m->n_in * sizeof *dst, 0);
    for (uint64_t o = 0; o < m->n_out; o++) {
        const float *scale = a->scales + o * a->n_groups, *bias = a->biases + o * a->n_groups;
        for (uint64_t i = 0, bit = 0; i < m->n_in; i++, bit += w->bits) {
            const uint32_t *v = words + o * per_row + bit / 32;
            uint64_t pair = v[0];
            if (bit % 32 + w->bits > 32) pair |= (uint64_t)v[1] << 32;
            uint32_t q = (uint32_t)(pair >> bit % 32) & mask, g = word_at(order, i);
            dst[o * m->n_in + i] = wick_f32_to_f16(scale[g] * (float)q + bias[g]);
        }
    }
    *w = (wick_weight){.enc = WICK_ENC_PLAIN, .dtype = WICK_DTYPE_F16, .data = (const uint8_t *)dst};
    return WICK_OK;
}

static wick_status code_words(const wick_checkpoint *k, const wick_matrix_ref *m, uint32_t bits, uint32_t **out,
                              wick_err *err)
{
    uint64_t n = m->n_out * (m->n_in * bits / 32);
    *out = wick_arena_array(k->arena, n, sizeof **out);
    return *out ? WICK_OK : wick_err_oom(err, m->t->name, n * sizeof **out, 0);
}

/* Where AWQ keeps output 8 c + j inside word c. */
static const uint8_t awq_shift[8] = {0, 16, 4, 20, 8, 24, 12, 28};

static uint32_t awq_zero(const wick_tensor *t, uint64_t i)
{
    return word_at(t, i / 8) >> awq_shift[i % 8] & 15;
}

/* Code i of a row of words that is one stream of bits. */
static uint32_t stream_code(const wick_tensor *t, uint64_t first_word, uint64_t i, uint32_t bits)
{
    uint64_t bit = i * bits, at = first_word + bit / 32, pair = word_at(t, at);
    if (bit % 32 + bits > 32) pair |= (uint64_t)word_at(t, at + 1) << 32;
    return (uint32_t)(pair >> bit % 32) & ((1u << bits) - 1);
}

/* [n_in][n_out / 8] words of eight outputs to [n_out][n_in / 8] words of eight inputs, in squares that fit the
 * cache. */
static void awq_turn(const wick_tensor *t, uint64_t n_out, uint64_t n_in, uint32_t *dst)
{
    enum { TILE = 16 };
    uint64_t cols = n_out / 8, words = n_in / 8;
    for (uint64_t c0 = 0; c0 < cols; c0 += TILE) {
        for (uint64_t i = 0; i < words; i++) {
            for (uint64_t c = c0; c < cols && c < c0 + TILE; c++) {
                uint32_t in[8];
                for (uint32_t r = 0; r < 8; r++) in[r] = word_at(t, (8 * i + r) * cols + c);
                for (uint32_t j = 0; j < 8; j++) {
                    uint32_t v = 0;
                    for (uint32_t r = 0; r < 8; r++) v |= (in[r] >> awq_shift[j] & 15) << 4 * r;
                    dst[(8 * c + j) * words + i] = v;
                }
            }
        }
    }
}

/* [n_in bits / 32][n_out] words of inputs: a transposition of words. */
static void gptq_turn(const wick_tensor *t, uint64_t n_out, uint64_t words, uint32_t *dst)
{
    enum { TILE = 16 };
    for (uint64_t o0 = 0; o0 < n_out; o0 += TILE) {
        for (uint64_t i = 0; i < words; i++) {
            for (uint64_t o = o0; o < n_out && o < o0 + TILE; o++) dst[o * words + i] = word_at(t, i * n_out + o);
        }
    }
}

/* awq and gptq: PATH.qweight, PATH.scales [groups][n_out], PATH.qzeros [groups][n_out bits / 32] or none. */
static wick_status read_qweight(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    bool awq = k->pack.method == WICK_PACKING_AWQ;
    uint32_t bits = k->pack.bits, *words;
    uint64_t in_words = m->n_in * bits / 32, out_words = m->n_out * bits / 32;
    const wick_tensor *q, *scales = wick_ck_beside(k, m->path, ".scales"), *zeros = NULL, *order = NULL;
    affine a;
    if (m->n_out * bits % 32 || m->n_in * bits % 32)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where,
                         "%s: tensor %s: %u-bit rows that do not fill whole words", k->where, m->t->name, bits);
    uint64_t n_groups = scales && scales->n_dim == 2 ? scales->shape[0] : 1;
    WICK_TRY(plane(k, m, ".qweight", true, awq ? m->n_in : in_words, awq ? out_words : m->n_out, &q, err));
    WICK_TRY(plane(k, m, ".scales", false, n_groups, m->n_out, &scales, err));
    if (wick_ck_beside(k, m->path, ".qzeros")) WICK_TRY(plane(k, m, ".qzeros", true, n_groups, out_words, &zeros, err));
    if (!awq) WICK_TRY(find_order(k, m, ".g_idx", n_groups, &order, err));
    WICK_TRY(begin_affine(k, m, bits, n_groups, order != NULL, &a, w, err));
    for (uint64_t g = 0; g < n_groups; g++) {
        for (uint64_t o = 0; o < m->n_out; o++) {
            uint32_t zero = 1u << (bits - 1);
            if (zeros) zero = awq ? awq_zero(zeros, g * m->n_out + o) : stream_code(zeros, g * out_words, o, bits);
            if (zeros && k->pack.zeros_less_one) zero++;
            put_group(&a, o, g, float_at(scales, g * m->n_out + o), zero);
        }
    }
    WICK_TRY(code_words(k, m, bits, &words, err));
    if (awq)
        awq_turn(q, m->n_out, m->n_in, words);
    else
        gptq_turn(q, m->n_out, in_words, words);
    w->data = (const uint8_t *)words;
    return order ? expand(k, m, order, words, &a, w, err) : WICK_OK;
}

/* The same of words in a file, which may lie at any address. */
static wick_status expand_words(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor *order,
                                const affine *a, wick_weight *w, wick_err *err)
{
    uint32_t *words;
    WICK_TRY(code_words(k, m, w->bits, &words, err));
    memcpy(words, m->t->data, m->n_out * (m->n_in * w->bits / 8));
    return expand(k, m, order, words, a, w, err);
}

/* compressed-tensors' zero points: words of consecutive rows, or I8 as they are; `middle` where it has none. */
static wick_status zero_points(const wick_checkpoint *k, const wick_matrix_ref *m, uint32_t bits, uint64_t n_groups,
                               const wick_tensor **out, wick_err *err)
{
    const wick_tensor *t = *out = wick_ck_beside(k, m->path, ".weight_zero_point");
    if (!t) return WICK_OK;
    uint64_t per_word = 32 / bits;
    if (t->dtype == WICK_DTYPE_I8 && wick_tensor_count(t) == m->n_out * n_groups) return WICK_OK;
    if (t->dtype == WICK_DTYPE_I32 && t->n_dim == 2 && t->shape[0] == (m->n_out + per_word - 1) / per_word &&
        t->shape[1] == n_groups)
        return WICK_OK;
    return bad_shape(k, t, "zero points of every group", err);
}

static uint32_t zero_point_at(const wick_tensor *t, uint32_t bits, uint64_t n_groups, uint64_t row, uint64_t g)
{
    uint32_t middle = 1u << (bits - 1), per_word = 32 / bits;
    if (!t) return middle;
    if (t->dtype == WICK_DTYPE_I8)
        return (((const uint8_t *)t->data)[row * n_groups + g] + middle) & ((1u << bits) - 1);
    return word_at(t, row / per_word * n_groups + g) >> (row % per_word * bits) & ((1u << bits) - 1);
}

/* weight_scale of integer codes: [n_out][groups], [n_out] or one for all; *each is the step from row to row. */
static wick_status row_scales(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor **out,
                              uint64_t *n_groups, bool *whole, wick_err *err)
{
    const wick_tensor *t = *out = wick_ck_beside(k, m->path, ".weight_scale");
    if (!t)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s.weight_scale is missing", k->where, m->path);
    *n_groups = t->n_dim == 2 && t->shape[0] == m->n_out ? t->shape[1] : 1;
    *whole = wick_tensor_count(t) == 1;
    if (!wick_dtype_is_float(t->dtype) || *n_groups < 1 || *n_groups > m->n_in ||
        (!*whole && wick_tensor_count(t) != m->n_out * *n_groups))
        return bad_shape(k, t, "floats, one per row or group", err);
    return WICK_OK;
}

/* compressed-tensors: codes offset by half their range, in words of consecutive inputs, or as I8. */
static wick_status read_integers(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    const wick_tensor *t = m->t, *scales = NULL, *zeros = NULL, *order = NULL;
    uint64_t n_groups = 1, cols = t->n_dim == 2 ? t->shape[1] : 0;
    bool whole = false, bytes = t->dtype == WICK_DTYPE_I8;
    affine a;
    uint64_t bits = bytes ? 8 : cols <= m->n_in ? cols * 32 / m->n_in : 0;
    if (t->n_dim != 2 || t->shape[0] != m->n_out || (bits != 4 && bits != 8 && bits != 2) ||
        cols != (bytes ? m->n_in : m->n_in * bits / 32))
        return bad_shape(k, t, "words of 2, 4 or 8-bit codes of the matrix", err);
    WICK_TRY(row_scales(k, m, &scales, &n_groups, &whole, err));
    WICK_TRY(zero_points(k, m, (uint32_t)bits, n_groups, &zeros, err));
    WICK_TRY(find_order(k, m, ".weight_g_idx", n_groups, &order, err));
    if (order && bytes) return bad_shape(k, order, "groups in the order of the inputs", err);
    WICK_TRY(begin_affine(k, m, (uint32_t)bits, n_groups, order != NULL, &a, w, err));
    for (uint64_t o = 0; o < m->n_out; o++) {
        for (uint64_t g = 0; g < n_groups; g++)
            put_group(&a, o, g, float_at(scales, whole ? 0 : o * n_groups + g),
                      zero_point_at(zeros, w->bits, n_groups, o, g));
    }
    w->data = t->data;
    w->mapped = !t->copied;
    if (order) return expand_words(k, m, order, &a, w, err);
    if (!bytes) return WICK_OK;
    uint8_t *codes = wick_arena_alloc(k->arena, t->n_bytes);
    if (!codes) return wick_err_oom(err, t->name, t->n_bytes, 0);
    for (uint64_t i = 0; i < t->n_bytes; i++) codes[i] = ((const uint8_t *)t->data)[i] ^ 0x80;
    w->data = codes;
    w->mapped = false;
    return WICK_OK;
}

/* 4-bit floats as bytes: nvfp4 (scales E4M3 per 16, and one factor) or mxfp4 (E8M0 per 32). */
static wick_status read_fp4(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    const wick_tensor *t = m->t, *s = wick_ck_beside(k, m->path, ".weight_scale");
    if (!s)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s.weight_scale is missing", k->where, m->path);
    uint32_t group = s->dtype == WICK_DTYPE_F8_E4M3 ? 16 : 32;
    if (t->n_dim != 2 || t->shape[0] != m->n_out || t->shape[1] * 2 != m->n_in)
        return bad_shape(k, t, "bytes of 4-bit floats of the matrix", err);
    if ((group == 32 && s->dtype != WICK_DTYPE_U8 && s->dtype != WICK_DTYPE_F8_E8M0) || s->n_dim != 2 ||
        s->shape[0] != m->n_out || s->shape[1] * group != m->n_in)
        return bad_shape(k, s, "scales of 16 (F8_E4M3) or 32 (U8) inputs", err);
    *w = (wick_weight){.enc = group == 16 ? WICK_ENC_NVFP4 : WICK_ENC_MXFP4,
                       .dtype = WICK_DTYPE_U8,
                       .bits = 4,
                       .group = group,
                       .data = t->data,
                       .scales = s->data,
                       .mapped = !t->copied};
    return WICK_OK;
}

/* compressed-tensors divides by weight_global_scale, ModelOpt multiplies by weight_scale_2. */
static wick_status fp4_factor(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    const wick_tensor *divisor = wick_ck_beside(k, m->path, ".weight_global_scale"),
                      *factor = wick_ck_beside(k, m->path, ".weight_scale_2"), *t = divisor ? divisor : factor;
    if (!t || w->enc != WICK_ENC_NVFP4) return WICK_OK;
    if (t->dtype != WICK_DTYPE_F32 || wick_tensor_count(t) != 1) return bad_shape(k, t, "one F32", err);
    w->global_scale = divisor ? 1 / float_at(t, 0) : float_at(t, 0);
    return WICK_OK;
}

/* One factor for all, one per row, or one per block of the configured size. */
static wick_status fp8_scales(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor **out,
                              uint64_t *block_rows, uint64_t *block_cols, wick_err *err)
{
    const wick_tensor *t = wick_ck_beside(k, m->path, ".weight_scale_inv");
    if (!t) t = wick_ck_beside(k, m->path, ".weight_scale");
    if (!t)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s.weight_scale is missing", k->where, m->path);
    uint64_t n = wick_tensor_count(t), a = k->pack.block_rows, b = k->pack.block_cols;
    *out = t;
    *block_rows = n == 1 ? m->n_out : 1;
    *block_cols = m->n_in;
    if (!wick_dtype_is_float(t->dtype) && t->dtype != WICK_DTYPE_F8_E8M0 && t->dtype != WICK_DTYPE_U8)
        return bad_shape(k, t, "floats", err);
    if (n == 1 || (n == m->n_out && (t->n_dim == 1 || (t->n_dim == 2 && t->shape[1] == 1)))) return WICK_OK;
    if (t->n_dim != 2 || t->shape[0] != (m->n_out + a - 1) / a || t->shape[1] != (m->n_in + b - 1) / b)
        return bad_shape(k, t, "one scale per block, per row or for all", err);
    *block_rows = a;
    *block_cols = b;
    return WICK_OK;
}

static wick_status read_fp8(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    const wick_tensor *t = m->t, *s = NULL;
    uint64_t rows = 1, cols = 1;
    float value[256];
    if (t->dtype != WICK_DTYPE_F8_E4M3)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where, "%s: tensor %s: cannot run %s weights", k->where,
                         t->name, wick_dtype_name(t->dtype));
    if (t->n_dim != 2 || t->shape[0] != m->n_out || t->shape[1] != m->n_in)
        return bad_shape(k, t, "the matrix that config.json says", err);
    WICK_TRY(fp8_scales(k, m, &s, &rows, &cols, err));
    uint64_t n = m->n_out * m->n_in, scale_cols = (m->n_in + cols - 1) / cols;
    uint16_t *dst = wick_arena_array(k->arena, n, sizeof *dst);
    if (!dst) return wick_err_oom(err, t->name, n * sizeof *dst, 0);
    for (uint32_t i = 0; i < 256; i++) value[i] = wick_e4m3_to_f32((uint8_t)i);
    bool powers = !wick_dtype_is_float(s->dtype);
    for (uint64_t r = 0; r < m->n_out; r++) {
        const uint8_t *src = (const uint8_t *)t->data + r * m->n_in;
        for (uint64_t g = 0; g < scale_cols; g++) {
            uint64_t at = r / rows * scale_cols + g, end = (g + 1) * cols < m->n_in ? (g + 1) * cols : m->n_in;
            float scale = powers ? wick_e8m0_to_f32(((const uint8_t *)s->data)[at]) : float_at(s, at);
            for (uint64_t i = g * cols; i < end; i++) dst[r * m->n_in + i] = wick_f32_to_bf16(value[src[i]] * scale);
        }
    }
    *w = (wick_weight){.enc = WICK_ENC_PLAIN, .dtype = WICK_DTYPE_BF16, .data = (const uint8_t *)dst};
    return WICK_OK;
}

wick_status wick_foreign_read(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    wick_dtype t = m->t->dtype;
    bool mapped;
    if (m->n)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where, "%s: tensor %s: stacked %s matrices cannot be run",
                         k->where, m->t->name, wick_dtype_name(t));
    if (m->n_out < 1 || m->n_in < 1 || m->n_out > UINT32_MAX || m->n_in > UINT32_MAX)
        return bad_shape(k, m->t, "a matrix", err);
    if (t == WICK_DTYPE_F8_E4M3 || t == WICK_DTYPE_F8_E5M2)
        WICK_TRY(read_fp8(k, m, w, err));
    else if (t == WICK_DTYPE_U8)
        WICK_TRY(read_fp4(k, m, w, err));
    else if (k->pack.method == WICK_PACKING_AWQ || k->pack.method == WICK_PACKING_GPTQ)
        WICK_TRY(read_qweight(k, m, w, err));
    else if (t == WICK_DTYPE_I32 || t == WICK_DTYPE_I8)
        WICK_TRY(read_integers(k, m, w, err));
    else
        return bad_shape(k, m->t, "I32, U8, I8 or F8_E4M3", err);
    w->name = m->t->name;
    w->n_out = (uint32_t)m->n_out;
    w->n_in = (uint32_t)m->n_in;
    mapped = w->mapped;
    WICK_TRY(wick_weight_finish(w, err));
    w->mapped = mapped;
    if (!m->t->copied && !mapped) wick_memory_drop(m->t->data, m->t->n_bytes); /* it has been read for good */
    return fp4_factor(k, m, w, err);
}
