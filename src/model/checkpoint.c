/* model/checkpoint.c - finds a role's tensors in the directory and makes weights and vectors of them. How a
 * quantized matrix is encoded is read in encoding.c. */
#include "model/checkpoint.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "base/sys.h"
#include "model/foreign.h"

#define USUAL_ROOTS "model.|language_model.model.|model.language_model.|language_model.|transformer.|"

static const wick_tensor *find_name(const wick_checkpoint *k, const char *path, const char *suffix)
{
    const wick_tensor *t = wick_ck_beside(k, path, suffix);
    return t || !k->pack.suffix || strcmp(suffix, ".weight") != 0 ? t : wick_ck_beside(k, path, k->pack.suffix);
}

/* Tries every alternative of the role's pattern. */
static const wick_tensor *find_expert(const wick_checkpoint *k, wick_role role, uint32_t layer, uint32_t expert,
                                      const char *suffix, char *path)
{
    const char *pattern = wick_role_pattern(k->cfg->arch, role, k->cfg->from_gguf);
    char local[WICK_PATH_MAX];
    if (!path) path = local;
    for (uint32_t alt = 0; pattern && wick_role_path(pattern, alt, k->root, layer, expert, path, WICK_PATH_MAX);
         alt++) {
        const wick_tensor *t = find_name(k, path, suffix);
        if (t) return t;
    }
    if (pattern) wick_role_path(pattern, 0, k->root, layer, expert, path, WICK_PATH_MAX);
    return NULL;
}

const wick_tensor *wick_ck_find(const wick_checkpoint *k, wick_role role, uint32_t layer, const char *suffix,
                                char *path)
{
    return find_expert(k, role, layer, 0, suffix, path);
}

bool wick_ck_has(const wick_checkpoint *k, wick_role role, uint32_t layer)
{
    return find_expert(k, role, layer, 0, ".weight", NULL) != NULL;
}

/* The root under which the embedding is; the first candidate if none, so that messages show the usual name. */
static wick_status find_root(wick_checkpoint *k, wick_err *err)
{
    const char *roots = k->cfg->arch->roots ? k->cfg->arch->roots : USUAL_ROOTS;
    const char *first = NULL;
    for (const char *p = roots; p;) {
        const char *end = strchr(p, '|');
        const char *root = wick_arena_strndup(k->arena, p, end ? (size_t)(end - p) : strlen(p));
        if (!root) return wick_err_oom(err, "the plan", 0, 0);
        if (!first) first = root;
        k->root = root;
        if (wick_ck_has(k, WICK_ROLE_EMBED, 0)) return WICK_OK;
        p = end ? end + 1 : NULL;
    }
    k->root = first;
    return WICK_OK;
}

bool wick_ck_torch_conv(const wick_checkpoint *k)
{
    static const wick_role conv[] = {WICK_ROLE_DELTA_CONV, WICK_ROLE_SSM_CONV, WICK_ROLE_CONV_KERNEL};
    for (size_t i = 0; i < sizeof conv / sizeof *conv; i++) {
        const wick_tensor *t = wick_ck_find(k, conv[i], 0, ".weight", NULL);
        if (t) return t->n_dim == 3 && t->shape[1] == 1 && t->shape[2] > 1;
    }
    return false;
}

wick_status wick_checkpoint_init(wick_checkpoint *k, const wick_tensor_dir *dir, const wick_config *cfg,
                                 wick_arena *arena, const char *where, wick_err *err)
{
    *k = (wick_checkpoint){.dir = dir, .cfg = cfg, .arena = arena, .where = where, .root = ""};
    k->seen = wick_arena_array(arena, dir->n_tensors ? dir->n_tensors : 1, 1);
    if (!k->seen) return wick_err_oom(err, "the plan", dir->n_tensors, 0);
    if (cfg->from_gguf) return WICK_OK;
    WICK_TRY(wick_foreign_packing(cfg, &k->pack, err));
    if (k->pack.method == WICK_PACKING_MLX) WICK_TRY(wick_quant_map(cfg, &k->quant, err));
    WICK_TRY(find_root(k, err));
    k->raw = cfg->raw_role_mul && wick_ck_torch_conv(k);
    k->plus_one = cfg->arch->norm_plus_one || (cfg->arch->torch_plus_one && wick_ck_torch_conv(k));
    if (cfg->arch->conv1d) {
        const wick_tensor *t = wick_ck_find(k, WICK_ROLE_QKV, 0, ".weight", NULL);
        k->transposed = t && t->n_dim == 2 && t->shape[0] == cfg->n_embd && t->shape[1] != cfg->n_embd;
    }
    return WICK_OK;
}

static wick_status missing(const wick_checkpoint *k, const char *path, const char *suffix, const char *shape,
                           wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s%s is missing (expected %s)", k->where, path, suffix,
                     shape);
}

static wick_status unnamed(const wick_checkpoint *k, wick_role role, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where, "%s: %s models of this format have no name for %s",
                     k->where, k->cfg->arch->name, wick_role_label(role));
}

static const wick_weight *add_weight(wick_checkpoint *k, const wick_weight *w)
{
    wick_weight *own = wick_arena_alloc(k->arena, sizeof *own);
    if (!own) return NULL;
    *own = *w;
    k->n_params += (uint64_t)w->n_out * w->n_in;
    k->n_bytes += wick_weight_bytes(w);
    return own;
}

/* Conv1D matrices of HF: [in][out] copied to [out][in] of the same type. */
static wick_status transpose(wick_checkpoint *k, const wick_tensor *t, wick_weight *w, wick_err *err)
{
    uint32_t size = wick_dtype_block_bytes(t->dtype);
    uint64_t n_in = t->shape[0], n_out = t->shape[1];
    uint8_t *copy = wick_arena_alloc(k->arena, n_in * n_out * size);
    if (!copy) return wick_err_oom(err, t->name, n_in * n_out * size, 0);
    const uint8_t *src = t->data;
    for (uint64_t i = 0; i < n_in; i++) {
        for (uint64_t o = 0; o < n_out; o++) memcpy(copy + (o * n_in + i) * size, src + (i * n_out + o) * size, size);
    }
    if (w->mapped) wick_memory_drop(t->data, t->n_bytes); /* it has been read for good */
    w->data = copy;
    w->mapped = false;
    return WICK_OK;
}

/* Element i of w's data (plain, whole), times f, to the same place of `to`. */
static void scale_element(const wick_weight *w, uint8_t *to, uint64_t i, float f)
{
    uint32_t size = wick_dtype_block_bytes(w->dtype);
    float x;
    wick_to_f32(w->dtype, w->data + i * size, &x, 1);
    x *= f;
    uint16_t half = w->dtype == WICK_DTYPE_BF16 ? wick_f32_to_bf16(x) : wick_f32_to_f16(x);
    memcpy(to + i * size, size == 4 ? (const void *)&x : (const void *)&half, size);
}

/* A copy of w times f, of the same float type. */
static wick_status multiply(wick_checkpoint *k, wick_weight *w, float f, wick_err *err)
{
    if (w->enc != WICK_ENC_PLAIN)
        return wick_err_format(err, k->where, "float weights, to which multipliers are to be applied", w->name,
                               "convert the model with mlx_lm.convert");
    uint32_t size = wick_dtype_block_bytes(w->dtype);
    uint64_t n = (uint64_t)w->n_out * w->n_in;
    uint8_t *copy = wick_arena_alloc(k->arena, n * size);
    if (!copy) return wick_err_oom(err, w->name, n * size, 0);
    for (uint64_t i = 0; i < n; i++) scale_element(w, copy, i, f);
    w->data = copy;
    w->mapped = false;
    return WICK_OK;
}

wick_status wick_ck_unit_columns(wick_checkpoint *k, const wick_weight *w, const wick_weight **out, wick_err *err)
{
    uint32_t size = wick_dtype_block_bytes(w->dtype);
    uint64_t n = (uint64_t)w->n_out * w->n_in;
    wick_weight *v = wick_arena_alloc(k->arena, sizeof *v);
    uint8_t *copy = wick_arena_alloc(k->arena, n * size);
    float *row = wick_arena_array(k->arena, w->n_in, sizeof *row);
    double *sum = wick_arena_array(k->arena, w->n_in, sizeof *sum);
    if (!v || !copy || !row || !sum) return wick_err_oom(err, w->name, n * size, 0);
    for (uint32_t r = 0; r < w->n_out; r++) {
        wick_weight_row(w, r, row);
        for (uint32_t c = 0; c < w->n_in; c++) sum[c] += (double)row[c] * row[c];
    }
    for (uint32_t c = 0; c < w->n_in; c++) row[c] = (float)(1 / (sqrt(sum[c]) + 1e-7));
    for (uint64_t i = 0; i < n; i++) scale_element(w, copy, i, row[i % w->n_in]);
    *v = *w;
    v->data = copy;
    v->mapped = false;
    *out = v;
    return WICK_OK;
}

static wick_status read_matrix(wick_checkpoint *k, wick_role role, const wick_tensor *t, const char *path,
                               uint64_t n_out, uint64_t n_in, const wick_weight **out, wick_err *err)
{
    wick_weight w;
    wick_tensor turned = *t;
    bool table = role == WICK_ROLE_EMBED || role == WICK_ROLE_POS_EMBED || role == WICK_ROLE_HEAD;
    bool transposed = k->transposed && !table && t->n_dim == 2 && wick_dtype_is_float(t->dtype);
    if (transposed) {
        turned.shape[0] = t->shape[1];
        turned.shape[1] = t->shape[0];
    }
    wick_matrix_ref ref = {.t = &turned, .path = path, .n = 0, .n_out = n_out, .n_in = n_in};
    WICK_TRY(wick_encoding_read(k, &ref, &w, err));
    if (transposed) WICK_TRY(transpose(k, t, &w, err));
    float f = k->raw ? k->cfg->raw_role_mul[role] : 0;
    if (f != 0 && f != 1) WICK_TRY(multiply(k, &w, f, err));
    *out = add_weight(k, &w);
    return *out ? WICK_OK : wick_err_oom(err, "the plan", sizeof w, 0);
}

wick_status wick_ck_matrix_opt(wick_checkpoint *k, wick_role role, uint32_t layer, uint64_t n_out, uint64_t n_in,
                               const wick_weight **out, wick_err *err)
{
    char path[WICK_PATH_MAX];
    *out = NULL;
    const wick_tensor *t = find_expert(k, role, layer, 0, ".weight", path);
    return t ? read_matrix(k, role, t, path, n_out, n_in, out, err) : WICK_OK;
}

wick_status wick_ck_matrix(wick_checkpoint *k, wick_role role, uint32_t layer, uint64_t n_out, uint64_t n_in,
                           const wick_weight **out, wick_err *err)
{
    char path[WICK_PATH_MAX] = "", shape[64];
    const wick_tensor *t = find_expert(k, role, layer, 0, ".weight", path);
    if (t) return read_matrix(k, role, t, path, n_out, n_in, out, err);
    if (!path[0]) return unnamed(k, role, err);
    snprintf(shape, sizeof shape, "[%" PRIu64 ", %" PRIu64 "]", n_out, n_in);
    return missing(k, path, ".weight", shape, err);
}

/* [n][in][out] as transformers keeps them: n matrices, turned. */
static wick_status turned_stack(wick_checkpoint *k, const wick_tensor *t, const char *path, uint32_t n, uint64_t n_out,
                                uint64_t n_in, wick_weight *w, wick_err *err)
{
    wick_tensor swapped = *t;
    swapped.shape[1] = t->shape[2];
    swapped.shape[2] = t->shape[1];
    wick_matrix_ref ref = {.t = &swapped, .path = path, .n = n, .n_out = n_out, .n_in = n_in};
    WICK_TRY(wick_encoding_read_stack(k, &ref, w, err));
    for (uint32_t e = 0; e < n; e++) {
        wick_tensor one = {.name = t->name, .dtype = t->dtype, .n_dim = 2, .shape = {n_in, n_out}};
        one.n_bytes = t->n_bytes / n;
        one.data = (const uint8_t *)t->data + e * one.n_bytes;
        WICK_TRY(transpose(k, &one, &w[e], err));
    }
    return WICK_OK;
}

wick_status wick_ck_experts(wick_checkpoint *k, wick_role role, uint32_t layer, uint32_t n, uint64_t n_out,
                            uint64_t n_in, const wick_weight **out, wick_err *err)
{
    char path[WICK_PATH_MAX] = "", shape[80];
    const char *suffix = ".weight";
    const wick_tensor *t = find_expert(k, role, layer, 0, suffix, path);
    if (!t) { /* gpt-oss and other HF files name stacked experts without .weight, or as blocks */
        t = find_expert(k, role, layer, 0, suffix = "_blocks", path);
        if (!t) t = find_expert(k, role, layer, 0, suffix = "", path);
    }
    if (!t) {
        if (!path[0]) return unnamed(k, role, err);
        snprintf(shape, sizeof shape, "%u of [%" PRIu64 ", %" PRIu64 "]", n, n_out, n_in);
        return missing(k, path, ".weight", shape, err);
    }
    wick_weight *w = wick_arena_array(k->arena, n, sizeof *w);
    if (!w) return wick_err_oom(err, "the plan", n * sizeof *w, 0);
    if (t->n_dim == 3 && !*suffix && k->cfg->arch->experts_turned && wick_dtype_is_float(t->dtype)) {
        WICK_TRY(turned_stack(k, t, path, n, n_out, n_in, w, err));
    } else if (t->n_dim >= 3) {
        wick_matrix_ref ref = {.t = t, .path = path, .n = n, .n_out = n_out, .n_in = n_in};
        WICK_TRY(wick_encoding_read_stack(k, &ref, w, err));
    } else {
        for (uint32_t e = 0; e < n; e++) {
            t = find_expert(k, role, layer, e, suffix, path);
            if (!t) return missing(k, path, suffix, "one per expert", err);
            wick_matrix_ref ref = {.t = t, .path = path, .n = 0, .n_out = n_out, .n_in = n_in};
            WICK_TRY(wick_encoding_read(k, &ref, &w[e], err));
        }
    }
    for (uint32_t e = 0; e < n; e++) {
        k->n_params += (uint64_t)w[e].n_out * w[e].n_in;
        k->n_bytes += wick_weight_bytes(&w[e]);
    }
    *out = w;
    return WICK_OK;
}

/* Copies n floats of t to dst; the tensor's type and size are checked. */
static wick_status copy_floats(const wick_checkpoint *k, const wick_tensor *t, uint64_t n, float *dst, wick_err *err)
{
    if (wick_tensor_count(t) != n)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s: expected %" PRIu64 " elements, got %" PRIu64,
                         k->where, t->name, n, wick_tensor_count(t));
    if (!wick_dtype_is_float(t->dtype))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, k->where, "%s: tensor %s: expected F32, F16 or BF16, got %s",
                         k->where, t->name, wick_dtype_name(t->dtype));
    wick_to_f32(t->dtype, t->data, dst, n);
    return WICK_OK;
}

wick_status wick_ck_vector(wick_checkpoint *k, wick_role role, uint32_t layer, const char *suffix, uint64_t n,
                           unsigned flags, const float **out, wick_err *err)
{
    char path[WICK_PATH_MAX] = "", shape[32];
    *out = NULL;
    const wick_tensor *t = find_expert(k, role, layer, 0, suffix, path);
    if (!t && (flags & WICK_CK_OPTIONAL)) return WICK_OK;
    if (!t && !path[0]) return unnamed(k, role, err);
    if (!t) {
        snprintf(shape, sizeof shape, "[%" PRIu64 "]", n);
        return missing(k, path, suffix, shape, err);
    }
    if (wick_tensor_count(t) != n) return copy_floats(k, t, n, NULL, err); /* the message, before any allocation */
    float *v = wick_arena_array(k->arena, n, sizeof *v);
    if (!v) return wick_err_oom(err, t->name, n * sizeof *v, 0);
    WICK_TRY(copy_floats(k, t, n, v, err));
    for (uint64_t i = 0; i < n && (flags & WICK_CK_PLUS_ONE); i++) v[i] += 1;
    k->n_params += n;
    k->n_bytes += n * sizeof *v;
    *out = v;
    return WICK_OK;
}

wick_status wick_ck_expert_vectors(wick_checkpoint *k, wick_role role, uint32_t layer, uint32_t n_expert, uint64_t n,
                                   const char *suffix, const float **out, wick_err *err)
{
    *out = NULL;
    const wick_tensor *t = find_expert(k, role, layer, 0, suffix, NULL);
    if (!t) return WICK_OK;
    if (wick_tensor_count(t) == n_expert * n) return wick_ck_vector(k, role, layer, suffix, n_expert * n, 0, out, err);
    if (wick_tensor_count(t) != n) return copy_floats(k, t, n_expert * n, NULL, err);
    float *v = wick_arena_array(k->arena, n_expert * n, sizeof *v);
    if (!v) return wick_err_oom(err, t->name, n_expert * n * sizeof *v, 0);
    for (uint32_t e = 0; e < n_expert; e++) {
        char path[WICK_PATH_MAX] = "";
        t = find_expert(k, role, layer, e, suffix, path);
        if (!t) return missing(k, path, suffix, "one per expert", err);
        WICK_TRY(copy_floats(k, t, n, v + e * n, err));
    }
    k->n_params += n_expert * n;
    k->n_bytes += n_expert * n * sizeof *v;
    *out = v;
    return WICK_OK;
}

const wick_weight *wick_ck_rows(wick_checkpoint *k, const wick_weight *w, uint64_t from, uint64_t n, uint32_t step)
{
    wick_weight *v = wick_arena_alloc(k->arena, sizeof *v);
    if (!v) return NULL;
    *v = *w;
    v->data += from * w->row_step * w->row_bytes;
    if (w->scales) v->scales += from * w->row_step * w->scale_row_bytes;
    if (w->biases) v->biases += from * w->row_step * w->scale_row_bytes;
    v->n_out = (uint32_t)n;
    v->row_step = w->row_step * step;
    return v;
}

/* Gathered rows of one plane (data, scales or biases) of w; NULL when out of memory. */
static const uint8_t *gather_plane(wick_checkpoint *k, const uint8_t *src, uint64_t row_bytes, uint32_t n, uint32_t all,
                                   uint32_t from, uint32_t rows)
{
    uint64_t block = rows * row_bytes;
    uint8_t *dst = wick_arena_alloc(k->arena, n * block);
    for (uint64_t i = 0; dst && i < n; i++) memcpy(dst + i * block, src + (i * all + from) * row_bytes, block);
    return dst;
}

wick_status wick_ck_gather_rows(wick_checkpoint *k, const wick_weight *w, uint32_t n, uint32_t all, uint32_t from,
                                uint32_t rows, const wick_weight **out, wick_err *err)
{
    wick_weight *v = wick_arena_alloc(k->arena, sizeof *v);
    if (!v) return wick_err_oom(err, w->name, sizeof *v, 0);
    *v = *w;
    v->n_out = n * rows;
    v->mapped = false;
    v->data = gather_plane(k, w->data, w->row_bytes, n, all, from, rows);
    if (w->scales) v->scales = gather_plane(k, w->scales, w->scale_row_bytes, n, all, from, rows);
    if (w->biases) v->biases = gather_plane(k, w->biases, w->scale_row_bytes, n, all, from, rows);
    if (!v->data || (w->scales && !v->scales) || (w->biases && !v->biases))
        return wick_err_oom(err, w->name, v->n_out * w->row_bytes, 0);
    *out = v;
    return WICK_OK;
}
