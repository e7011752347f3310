/* model/encoding.c - one matrix of a checkpoint to a wick_weight: plain, GGUF blocks, or MLX's packed words with
 * scales (and biases) beside them.
 *
 * MLX's rule: what config.json's map says about a module, or says by leaving it out, is confirmed by the tensors. A
 * module is quantized where PATH.scales exists and the map does not say false; group size, bits and mode follow from
 * the shapes, since the number of inputs is known from the configuration; a map entry must agree with them. */
#include "model/encoding.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "model/foreign.h"

wick_status wick_quant_map(const wick_config *c, const json_t **out, wick_err *err)
{
    *out = NULL;
    const json_t *q = wick_config_get(c, "quantization");
    const char *key = "quantization";
    if (!q) q = wick_config_get(c, key = "quantization_config");
    if (!q) return WICK_OK;
    if (!json_is_object(q))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key \"%s\": expected an object, got %s", c->where, key,
                         wick_json_type_name(q));
    *out = q;
    return WICK_OK;
}

void wick_ck_shape_text(const wick_tensor *t, char *buf, size_t cap)
{
    size_t n = 0;
    for (uint32_t i = 0; i < t->n_dim && n < cap; i++)
        n += (size_t)snprintf(buf + n, cap - n, "%s%" PRIu64, i ? ", " : "", t->shape[i]);
    if (t->n_dim == 0) buf[0] = 0;
}

static wick_status bad_shape(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor *t, wick_err *err)
{
    char got[128], stack[16] = "";
    wick_ck_shape_text(t, got, sizeof got);
    if (m->n) snprintf(stack, sizeof stack, "%u, ", m->n);
    return WICK_FAIL(err, WICK_E_BAD_FILE, k->where,
                     "%s: tensor %s: expected a matrix [%s%" PRIu64 ", %" PRIu64 "], got %s [%s]", k->where, t->name,
                     stack, m->n_out, m->n_in, wick_dtype_name(t->dtype), got);
}

/* Rows and columns of t, which may lack the leading 1 of a single row; false if it has another form. */
static bool as_matrix(const wick_matrix_ref *m, const wick_tensor *t, uint64_t *rows, uint64_t *cols)
{
    if (m->n) {
        if (t->n_dim != 3 || t->shape[0] != m->n) return false;
    } else if (t->n_dim == 1 && m->n_out == 1) {
        *rows = 1;
        *cols = t->shape[0];
        return true;
    } else if (t->n_dim != 2) {
        return false;
    }
    *rows = t->shape[t->n_dim - 2];
    *cols = t->shape[t->n_dim - 1];
    return true;
}

const wick_tensor *wick_ck_beside(const wick_checkpoint *k, const char *path, const char *suffix)
{
    char name[WICK_PATH_MAX + 32];
    int n = snprintf(name, sizeof name, "%s%s", path, suffix);
    const wick_tensor *t = n > 0 && (size_t)n < sizeof name ? wick_tensor_find(k->dir, name) : NULL;
    if (t && k->seen) k->seen[t - k->dir->tensor] = 1;
    return t;
}

/* The map's word on a module: an object, false, or NULL. Paths in the map may lack the wrapper's prefix. */
static const json_t *map_entry(const wick_checkpoint *k, const char *path)
{
    const json_t *e = k->quant ? json_object_get(k->quant, path) : NULL;
    if (!e && k->quant && wick_starts_with(path, "language_model.")) e = json_object_get(k->quant, path + 15);
    return e;
}

static wick_status check_entry(const wick_checkpoint *k, const wick_matrix_ref *m, const json_t *e,
                               const wick_weight *w, wick_err *err)
{
    static const char *const mode_name[] = {[WICK_ENC_AFFINE] = "affine",
                                            [WICK_ENC_MXFP4] = "mxfp4",
                                            [WICK_ENC_NVFP4] = "nvfp4",
                                            [WICK_ENC_MXFP8] = "mxfp8"};
    int64_t bits = 0, group = 0;
    const char *mode = NULL;
    WICK_TRY(wick_json_i64(e, "bits", 1, 16, w->bits, &bits, k->cfg->where, err));
    WICK_TRY(wick_json_i64(e, "group_size", 1, 1 << 16, w->group, &group, k->cfg->where, err));
    WICK_TRY(wick_json_str(e, "mode", &mode, k->cfg->where, err));
    if (bits == w->bits && group == w->group && (!mode || strcmp(mode, mode_name[w->enc]) == 0)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_FILE, k->where,
                     "%s: %s: the quantization map says %.16s %d-bit g%d, the tensors are %s %u-bit g%u", k->where,
                     m->path, mode ? mode : "affine", (int)bits, (int)group, mode_name[w->enc], w->bits, w->group);
}

static bool mode_of_scales(const wick_tensor *scales, wick_weight *w)
{
    if (wick_dtype_is_float(scales->dtype)) {
        w->enc = WICK_ENC_AFFINE;
        w->dtype = scales->dtype;
        return (w->group == 32 || w->group == 64 || w->group == 128) && w->bits <= 8 && w->bits != 7 && w->bits > 1;
    }
    if (scales->dtype != WICK_DTYPE_U8) return false;
    w->dtype = WICK_DTYPE_U8;
    if (w->bits == 4 && w->group == 16)
        w->enc = WICK_ENC_NVFP4;
    else if (w->bits == 4 && w->group == 32)
        w->enc = WICK_ENC_MXFP4;
    else if (w->bits == 8 && w->group == 32)
        w->enc = WICK_ENC_MXFP8;
    else
        return false;
    return true;
}

/* MLX's packed form: t holds u32 words, scales (and biases) lie beside it. */
static wick_status read_packed(const wick_checkpoint *k, const wick_matrix_ref *m, const wick_tensor *scales,
                               wick_weight *w, wick_err *err)
{
    uint64_t rows, words, s_rows, s_cols;
    if (!as_matrix(m, m->t, &rows, &words) || rows != m->n_out) return bad_shape(k, m, m->t, err);
    if (!as_matrix(m, scales, &s_rows, &s_cols) || s_rows != rows || s_cols == 0 || m->n_in % s_cols ||
        words * 32 % m->n_in) /* words < 2^61: n_bytes was checked */
        return bad_shape(k, m, words * 32 % m->n_in ? m->t : scales, err);
    w->group = (uint32_t)(m->n_in / s_cols);
    w->bits = (uint32_t)(words * 32 / m->n_in <= 32 ? words * 32 / m->n_in : 33);
    if (!mode_of_scales(scales, w))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where,
                         "%s: tensor %s: no known quantization has %u bits, groups of %u and %s scales", k->where,
                         m->t->name, w->bits, w->group, wick_dtype_name(scales->dtype));
    const json_t *e = map_entry(k, m->path);
    if (json_is_object(e)) WICK_TRY(check_entry(k, m, e, w, err));
    w->data = m->t->data;
    w->scales = scales->data;
    if (w->enc != WICK_ENC_AFFINE) return WICK_OK;
    const wick_tensor *biases = wick_ck_beside(k, m->path, ".biases");
    if (!biases) return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s.biases is missing", k->where, m->path);
    if (biases->dtype != scales->dtype || biases->n_dim != scales->n_dim ||
        memcmp(biases->shape, scales->shape, scales->n_dim * sizeof *scales->shape) != 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s.biases: type or shape differs from its scales",
                         k->where, m->path);
    w->biases = biases->data;
    return WICK_OK;
}

static wick_status read_unpacked(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    uint64_t rows, cols;
    const wick_tensor *t = m->t;
    if (!as_matrix(m, t, &rows, &cols) || rows != m->n_out || cols != m->n_in) return bad_shape(k, m, t, err);
    if (wick_dtype_is_float(t->dtype)) {
        w->enc = WICK_ENC_PLAIN;
    } else if (wick_dtype_block_elems(t->dtype) > 1) {
        if (cols % wick_dtype_block_elems(t->dtype)) return bad_shape(k, m, t, err);
        w->enc = WICK_ENC_BLOCK;
    } else {
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where, "%s: tensor %s: cannot run %s weights", k->where,
                         t->name, wick_dtype_name(t->dtype));
    }
    w->dtype = t->dtype;
    w->data = t->data;
    return WICK_OK;
}

/* gpt-oss of HF: PATH_blocks U8 [n][out][in/32][16] and PATH_scales U8 [n][out][in/32]: MXFP4 as MLX packs it. */
static wick_status read_mx_blocks(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    const wick_tensor *t = m->t, *s = wick_ck_beside(k, m->path, "_scales");
    if (!s) return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s_scales is missing", k->where, m->path);
    if (t->dtype != WICK_DTYPE_U8 || t->n_dim != 4 || t->shape[0] != m->n || t->shape[1] != m->n_out ||
        t->shape[2] * 32 != m->n_in || t->shape[3] != 16)
        return bad_shape(k, m, t, err);
    if (s->dtype != WICK_DTYPE_U8 || s->n_dim != 3 || memcmp(s->shape, t->shape, 3 * sizeof *t->shape) != 0)
        return bad_shape(k, m, s, err);
    *w = (wick_weight){
        .enc = WICK_ENC_MXFP4, .dtype = WICK_DTYPE_U8, .bits = 4, .group = 32, .data = t->data, .scales = s->data};
    return WICK_OK;
}

static wick_status read_any(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, wick_err *err)
{
    memset(w, 0, sizeof *w);
    if (m->n_out < 1 || m->n_in < 1 || m->n_out > UINT32_MAX || m->n_in > UINT32_MAX) return bad_shape(k, m, m->t, err);
    if (m->n && wick_ends_with(m->t->name, "_blocks")) {
        WICK_TRY(read_mx_blocks(k, m, w, err));
    } else {
        const wick_tensor *scales = k->cfg->from_gguf ? NULL : wick_ck_beside(k, m->path, ".scales");
        const json_t *e = map_entry(k, m->path);
        if (scales && m->t->dtype == WICK_DTYPE_U32 && !json_is_false(e))
            WICK_TRY(read_packed(k, m, scales, w, err));
        else
            WICK_TRY(read_unpacked(k, m, w, err));
    }
    w->name = m->t->name;
    w->n_out = (uint32_t)m->n_out;
    w->n_in = (uint32_t)m->n_in;
    WICK_TRY(wick_weight_finish(w, err));
    w->mapped = !m->t->copied;
    return WICK_OK;
}

/* nvfp4's optional factor: one number, or one for each of the stacked matrices. */
static wick_status read_global(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, uint32_t n,
                               wick_err *err)
{
    const wick_tensor *t = w->enc == WICK_ENC_NVFP4 ? wick_ck_beside(k, m->path, ".global_scale") : NULL;
    if (!t) return WICK_OK;
    uint64_t count = wick_tensor_count(t);
    if (t->dtype != WICK_DTYPE_F32 || (count != 1 && count != n))
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s: expected F32 and %u elements", k->where,
                         t->name, n);
    for (uint32_t i = 0; i < n; i++) {
        float g;
        memcpy(&g, (const char *)t->data + (count == 1 ? 0 : i) * sizeof g, sizeof g);
        w[i].global_scale =
            g / (448.0f * 6.0f); /* codes are scaled so that the largest e4m3 times the largest e2m1 is g */
    }
    return WICK_OK;
}

/* Blocks of NVFP4 as GGUF has them (4 scales, then 4 times 16 codes of which the second half is in the high nibbles) to
 * planes of scales and of codes in order, which take a factor. */
static wick_status nvfp4_planes(const wick_checkpoint *k, wick_weight *w, wick_err *err)
{
    uint64_t blocks = (uint64_t)w->n_out * w->n_in / 64;
    uint8_t *codes = wick_arena_alloc(k->arena, blocks * 32), *scales = wick_arena_alloc(k->arena, blocks * 4);
    if (!codes || !scales) return wick_err_oom(err, w->name, blocks * 36, 0);
    for (uint64_t i = 0; i < blocks; i++) {
        const uint8_t *x = w->data + i * 36;
        for (unsigned g = 0; g < 4; g++) {
            scales[i * 4 + g] =
                (x[g] & 0x7f) == 0x7f ? 0 : x[g] & 0x7f; /* without a sign, and no number but 0 is lost */
            for (unsigned j = 0; j < 16; j += 2) {
                const uint8_t *b = x + 4 + 8 * g + j % 8;
                unsigned lo = j < 8 ? b[0] & 15 : b[0] >> 4, hi = j < 8 ? b[1] & 15 : b[1] >> 4;
                codes[i * 32 + 8 * g + j / 2] = (uint8_t)(lo | hi << 4);
            }
        }
    }
    *w = (wick_weight){.name = w->name,
                       .enc = WICK_ENC_NVFP4,
                       .dtype = WICK_DTYPE_U8,
                       .bits = 4,
                       .group = 16,
                       .n_out = w->n_out,
                       .n_in = w->n_in,
                       .data = codes,
                       .scales = scales};
    return wick_weight_finish(w, err);
}

/* The backends have kernels for the planes only. */
static wick_status as_planes(const wick_checkpoint *k, wick_weight *w, uint32_t n, wick_err *err)
{
    for (uint32_t i = 0; i < n && w[i].enc == WICK_ENC_BLOCK && w[i].dtype == WICK_DTYPE_NVFP4; i++)
        WICK_TRY(nvfp4_planes(k, &w[i], err));
    return WICK_OK;
}

/* w times f: NVFP4 keeps its codes, everything else becomes float32. */
static wick_status times(const wick_checkpoint *k, wick_weight *w, float f, wick_err *err)
{
    if (f == 1) return WICK_OK;
    if (w->enc == WICK_ENC_NVFP4) {
        w->global_scale = f;
        return WICK_OK;
    }
    uint64_t n = (uint64_t)w->n_out * w->n_in;
    float *x = wick_arena_array(k->arena, n, sizeof *x);
    if (!x) return wick_err_oom(err, w->name, n * sizeof *x, 0);
    for (uint32_t r = 0; r < w->n_out; r++) wick_weight_row(w, r, x + (uint64_t)r * w->n_in);
    for (uint64_t i = 0; i < n; i++) x[i] *= f;
    *w = (wick_weight){.name = w->name,
                       .enc = WICK_ENC_PLAIN,
                       .dtype = WICK_DTYPE_F32,
                       .n_out = w->n_out,
                       .n_in = w->n_in,
                       .data = (const uint8_t *)x};
    return wick_weight_finish(w, err);
}

/* PATH.scale of a GGUF matrix: one factor, or one for each of the stacked matrices. Some families have a role of that
 * name (gemma 4's factors of experts and of the router's input), which is not this. */
static wick_status read_scale(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w, uint32_t n,
                              wick_err *err)
{
    if (!k->cfg->from_gguf) return WICK_OK;
    bool own = wick_role_pattern(k->cfg->arch, WICK_ROLE_EXP_SCALE, true) != NULL;
    if (own && (wick_ends_with(m->path, ".ffn_down_exps") || wick_ends_with(m->path, ".ffn_gate_inp"))) return WICK_OK;
    const wick_tensor *t = wick_ck_beside(k, m->path, ".scale");
    if (!t) return WICK_OK;
    uint64_t count = wick_tensor_count(t);
    if (t->dtype != WICK_DTYPE_F32 || (count != 1 && count != n))
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s: expected F32 and %u elements", k->where,
                         t->name, n);
    for (uint32_t i = 0; i < n; i++) {
        float f;
        memcpy(&f, (const char *)t->data + (count == 1 ? 0 : i) * sizeof f, sizeof f);
        WICK_TRY(times(k, &w[i], f, err));
    }
    return WICK_OK;
}

wick_status wick_encoding_read(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *out, wick_err *err)
{
    if (wick_foreign_wants(k, m)) return wick_foreign_read(k, m, out, err);
    WICK_TRY(read_any(k, m, out, err));
    WICK_TRY(as_planes(k, out, 1, err));
    WICK_TRY(read_scale(k, m, out, 1, err));
    return read_global(k, m, out, 1, err);
}

wick_status wick_encoding_read_stack(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *out,
                                     wick_err *err)
{
    WICK_TRY(read_any(k, m, out, err));
    for (uint32_t i = 1; i < m->n; i++) {
        out[i] = out[0];
        out[i].data += i * m->n_out * out[0].row_bytes;
        if (out->scales) out[i].scales += i * m->n_out * out[0].scale_row_bytes;
        if (out->biases) out[i].biases += i * m->n_out * out[0].scale_row_bytes;
    }
    WICK_TRY(as_planes(k, out, m->n, err));
    WICK_TRY(read_scale(k, m, out, m->n, err));
    return read_global(k, m, out, m->n, err);
}
