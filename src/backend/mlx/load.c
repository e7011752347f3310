/* backend/mlx/load.c - matrices and vectors as MLX arrays.
 *
 * Matrices that MLX can multiply as the file holds them are handed over where they lie in the mapping (MLX itself
 * copies them where its device cannot read there); the rest is converted row by row:
 *   PLAIN                     to the type of activations, if it is another
 *   AFFINE, MX/NVFP4, MXFP8   codes as they are, scales in the type of activations
 *   block types               see gguf_affine.c; those without an exact form are expanded, and said so
 */
#include "backend/mlx/load.h"
#include "backend/recode.h"

#include <string.h>

#include "base/sys.h"

/* A run of plain floats as type t. */
static void convert(wick_dtype from, const uint8_t *src, mlx_dtype t, uint8_t *dst, uint32_t n)
{
    float part[256];
    if (wick_mlx_dtype_of(from) == t) {
        memcpy(dst, src, (size_t)n * wick_mlx_dtype_bytes(t));
        return;
    }
    for (uint32_t i = 0; i < n; i += 256) {
        uint32_t k = n - i < 256 ? n - i : 256;
        wick_to_f32(from, src + (size_t)i * wick_dtype_block_bytes(from), part, k);
        for (uint32_t j = 0; j < k; j++) wick_mlx_put_float(t, part[j], dst, i + j);
    }
}

/* n_mat matrices one behind the other, aligned for elements of `align` bytes. */
static bool lies_well(const wick_weight *w, uint32_t n_mat, const uint8_t *first, uint64_t row_bytes, uint32_t align,
                      bool scales)
{
    if (w->row_step != 1 || (uintptr_t)first % align) return false;
    for (uint32_t e = 1; e < n_mat; e++)
        if ((scales ? w[e].scales : w[e].data) != first + e * row_bytes * w->n_out || w[e].row_step != 1) return false;
    return true;
}

static const uint8_t *row_at(const wick_weight *w, const uint8_t *base, uint64_t row_bytes, uint32_t r)
{
    return base + (uint64_t)r * w->row_step * row_bytes;
}

/* [n_mat][n_out][cols] from a part of the matrices that holds `cols` values of a row in row_bytes. */
typedef enum part { PART_DATA, PART_SCALES, PART_BIASES } part;

static const uint8_t *part_of(const wick_weight *w, part p)
{
    return p == PART_DATA ? w->data : p == PART_SCALES ? w->scales : w->biases;
}

/* Rows of one part, as they are (raw) or converted from `from` to t. */
static mlx_array load_part(const wick_mlx_lin *l, const wick_weight *w, part p, uint32_t cols, wick_dtype from,
                           bool raw, mlx_dtype t)
{
    uint64_t row_bytes = p == PART_DATA ? w->row_bytes : w->scale_row_bytes,
             out_row = (uint64_t)cols * wick_mlx_dtype_bytes(t);
    bool same = raw || wick_mlx_dtype_of(from) == t;
    if (same && lies_well(w, l->n_mat, part_of(w, p), row_bytes, (uint32_t)wick_mlx_dtype_bytes(t), p != PART_DATA) &&
        out_row == row_bytes)
        return wick_mlx_shaped(l, part_of(w, p), NULL, cols, t);
    uint8_t *buf = wick_alloc_aligned(64, out_row * l->n_out * l->n_mat);
    if (!buf) return (mlx_array){0};
    for (uint32_t e = 0; e < l->n_mat; e++) {
        for (uint32_t r = 0; r < l->n_out; r++) {
            const uint8_t *src = row_at(&w[e], part_of(&w[e], p), row_bytes, r);
            uint8_t *dst = buf + ((uint64_t)e * l->n_out + r) * out_row;
            if (raw)
                memcpy(dst, src, out_row);
            else
                convert(from, src, t, dst, cols);
        }
    }
    return wick_mlx_shaped(l, buf, buf, cols, t);
}

/* Any encoding, decoded. */
static mlx_array load_expanded(const wick_mlx_lin *l, const wick_weight *w, mlx_dtype t)
{
    uint64_t row = (uint64_t)l->n_in * wick_mlx_dtype_bytes(t);
    uint8_t *buf = wick_alloc_aligned(64, row * l->n_out * l->n_mat);
    float *x = wick_alloc((size_t)l->n_in * sizeof *x);
    if (!buf || !x) {
        wick_free(buf);
        wick_free(x);
        return (mlx_array){0};
    }
    for (uint32_t e = 0; e < l->n_mat; e++) {
        for (uint32_t r = 0; r < l->n_out; r++) {
            wick_weight_row(&w[e], r, x);
            for (uint32_t i = 0; i < l->n_in; i++)
                wick_mlx_put_float(t, x[i], buf + ((uint64_t)e * l->n_out + r) * row, i);
        }
    }
    wick_free(x);
    return wick_mlx_shaped(l, buf, buf, l->n_in, t);
}

static bool packed_as_is(const wick_weight *w)
{
    if (w->n_in % 32) return false;
    if (w->enc == WICK_ENC_AFFINE)
        return (w->group == 32 || w->group == 64 || w->group == 128) &&
               ((w->bits >= 2 && w->bits <= 6) || w->bits == 8);
    return w->enc == WICK_ENC_MXFP4 || w->enc == WICK_ENC_NVFP4 || w->enc == WICK_ENC_MXFP8;
}

static void set_mode(wick_mlx_lin *l, const wick_weight *w)
{
    static const char *const modes[] = {[WICK_ENC_AFFINE] = "affine",
                                        [WICK_ENC_MXFP4] = "mxfp4",
                                        [WICK_ENC_NVFP4] = "nvfp4",
                                        [WICK_ENC_MXFP8] = "mxfp8"};
    l->quantized = true;
    l->mode = modes[w->enc];
    l->group = (int)w->group;
    l->bits = (int)w->bits;
    l->global_scale = w->enc == WICK_ENC_NVFP4 ? w->global_scale : 1.0F;
}

static bool load_packed(wick_mlx_lin *l, const wick_weight *w, mlx_dtype t)
{
    bool affine = w->enc == WICK_ENC_AFFINE;
    uint32_t n_groups = w->n_in / w->group;
    set_mode(l, w);
    l->w = load_part(l, w, PART_DATA, (uint32_t)(w->row_bytes / 4), w->dtype, true, MLX_UINT32);
    l->scales = load_part(l, w, PART_SCALES, n_groups, w->dtype, !affine, affine ? t : MLX_UINT8);
    if (affine) l->biases = load_part(l, w, PART_BIASES, n_groups, w->dtype, false, t);
    return l->w.ctx && l->scales.ctx && (!affine || l->biases.ctx);
}

/* The affine form with as many bits as a GGUF form, which MLX has no products for. */
static wick_quant as_affine(const wick_quant *q, uint32_t n_in)
{
    uint32_t bits = wick_dtype_block_bytes(q->dtype) * 8 / wick_dtype_block_elems(q->dtype);
    wick_quant a = {WICK_ENC_AFFINE, q->dtype, bits < 2 ? 2 : bits > 6 ? 8 : bits, 64};
    if (!wick_quant_fits(&(wick_quant){WICK_ENC_AFFINE, WICK_DTYPE_F32, a.bits, 64}, n_in)) a.group = 32;
    return a;
}

/* Matrices that are to be stored in another form than the file's. */
static bool load_recoded(wick_loader *ld, wick_mlx_lin *l, const wick_weight *w)
{
    wick_weight to;
    mlx_dtype t = ld->m->act;
    wick_quant q = w->recode->enc == WICK_ENC_BLOCK ? as_affine(w->recode, w->n_in) : *w->recode;
    bool affine = q.enc == WICK_ENC_AFFINE;
    if (affine) q.dtype = t == MLX_FLOAT16 ? WICK_DTYPE_F16 : t == MLX_BFLOAT16 ? WICK_DTYPE_BF16 : WICK_DTYPE_F32;
    if (wick_quant_shape(&q, w->n_out, w->n_in, &to, NULL) != WICK_OK) return false;
    uint64_t rows = (uint64_t)l->n_mat * l->n_out;
    uint8_t *codes = wick_alloc_aligned(64, rows * to.row_bytes),
            *scales = wick_alloc_aligned(64, rows * to.scale_row_bytes);
    uint8_t *biases = affine ? wick_alloc_aligned(64, rows * to.scale_row_bytes) : NULL;
    bool ok = codes && scales && (biases || !affine);
    if (!ok || wick_recode_all(w, l->n_mat, &q, 0, codes, scales, biases, NULL) != WICK_OK) {
        wick_free(codes);
        wick_free(scales);
        wick_free(biases);
        return false;
    }
    set_mode(l, &to);
    l->w = wick_mlx_shaped(l, codes, codes, (uint32_t)(to.row_bytes / 4), MLX_UINT32);
    l->scales = wick_mlx_shaped(l, scales, scales, to.n_in / to.group, affine ? t : MLX_UINT8);
    if (affine) l->biases = wick_mlx_shaped(l, biases, biases, to.n_in / to.group, t);
    return l->w.ctx && l->scales.ctx && (!affine || l->biases.ctx);
}

static bool load_encoded(wick_loader *ld, wick_mlx_lin *l, const wick_weight *w)
{
    mlx_dtype t = ld->m->act;
    int bits = w->enc == WICK_ENC_BLOCK ? wick_mlx_exact_bits(w->dtype, t) : 0;
    bool same_scale = true;
    for (uint32_t e = 1; e < l->n_mat; e++) same_scale &= w[e].global_scale == w->global_scale;
    if (w->recode) return load_recoded(ld, l, w);
    if (packed_as_is(w) && same_scale) return load_packed(l, w, t);
    if (bits) return wick_mlx_repack(l, w, bits, t);
    if (w->enc == WICK_ENC_PLAIN) {
        l->w = load_part(l, w, PART_DATA, l->n_in, w->dtype, false, t);
    } else {
        if (!ld->n_expanded++) wick_weight_label(w, ld->expanded, sizeof ld->expanded);
        l->w = load_expanded(l, w, t);
    }
    if (!l->w.ctx) return false;
    static const int swap2[] = {1, 0}, swap3[] = {0, 2, 1};
    wick_graph *g = &ld->m->g;
    l->wt = wick_array_hold(wick_mx_transpose(g, l->w, l->n_mat > 1 ? swap3 : swap2, l->n_mat > 1 ? 3 : 2));
    wick_graph_reset(g);
    return l->wt.ctx != NULL;
}

static wick_mlx_lin *find(const wick_backend_model *m, const wick_weight *w, uint32_t n_mat, uint32_t n_out)
{
    for (uint32_t i = 0; i < m->n_lins; i++) {
        wick_mlx_lin *l = m->lin[i];
        if (l->key_data == w->data && l->key_scales == w->scales && l->n_out == n_out && l->n_in == w->n_in &&
            l->n_mat == n_mat)
            return l;
    }
    return NULL;
}

static wick_mlx_lin *lin_add(wick_backend_model *m)
{
    if (m->n_lins == m->lin_cap) {
        uint32_t cap = m->lin_cap ? m->lin_cap * 2 : 64;
        wick_mlx_lin **t = wick_realloc_array(m->lin, cap, sizeof *t);
        if (!t) return NULL;
        m->lin = t;
        m->lin_cap = cap;
    }
    wick_mlx_lin *l = wick_alloc_zero(1, sizeof *l);
    if (l) m->lin[m->n_lins++] = l;
    return l;
}

static void describe(wick_mlx_lin *l, const wick_weight *w, uint32_t n_mat, uint32_t n_out)
{
    l->key_data = w->data;
    l->key_scales = w->scales;
    l->n_mat = n_mat;
    l->n_out = n_out;
    l->n_in = w->n_in;
    l->global_scale = 1.0F;
}

static wick_status load_failed(const wick_weight *w, wick_err *err)
{
    wick_status st = wick_mlx_fail(err, "loading weights");
    wick_err_prefix(err, "%s", w->name ? w->name : "a matrix");
    return st;
}

/* MLX has its own copy, or what was made of it (only Metal can use the mapping itself, which is then read again). */
static void forget_file(const wick_weight *w)
{
    if (!w->mapped || w->row_step != 1) return;
    wick_memory_drop(w->data, w->n_out * w->row_bytes);
    wick_memory_drop(w->scales, w->n_out * w->scale_row_bytes);
    wick_memory_drop(w->biases, w->n_out * w->scale_row_bytes);
}

static void loaded(wick_loader *ld, wick_mlx_lin *l)
{
    const mlx_array parts[] = {l->w, l->scales, l->biases};
    for (int i = 0; i < 3; i++) l->bytes += wick_mlx.array_nbytes(parts[i]);
    ld->m->weight_bytes += l->bytes;
    if (ld->progress.fn) ld->progress.fn(ld->progress.ctx, "loading weights", ld->done, ld->total);
}

wick_status wick_mlx_load_matrix(wick_loader *ld, const wick_weight *w, uint32_t n_mat, const wick_mlx_lin **out,
                                 wick_err *err)
{
    *out = NULL;
    if (!w) return WICK_OK;
    if (wick_progress_cancelled(&ld->progress)) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "loading was cancelled");
    wick_mlx_lin *l = find(ld->m, w, n_mat, w->n_out);
    *out = l;
    if (l) return WICK_OK;
    l = lin_add(ld->m);
    if (!l) return wick_err_oom(err, "the table of matrices", sizeof *l, 0);
    describe(l, w, n_mat, w->n_out);
    if (!load_encoded(ld, l, w)) return load_failed(w, err);
    for (uint32_t e = 0; e < n_mat; e++) {
        ld->done += wick_weight_bytes(&w[e]);
        forget_file(&w[e]);
    }
    loaded(ld, l);
    *out = l;
    return WICK_OK;
}

static bool same_recode(const wick_quant *a, const wick_quant *b)
{
    return a == b || (a && b && a->enc == b->enc && a->dtype == b->dtype && a->bits == b->bits && a->group == b->group);
}

static bool alike(const wick_weight *a, const wick_weight *b)
{
    return b && a->enc == b->enc && a->dtype == b->dtype && a->bits == b->bits && a->group == b->group &&
           a->n_in == b->n_in && a->global_scale == 1.0F && b->global_scale == 1.0F &&
           same_recode(a->recode, b->recode);
}

static void drop_arrays(wick_mlx_lin *l)
{
    wick_array_drop(&l->wt);
    wick_array_drop(&l->w);
    wick_array_drop(&l->scales);
    wick_array_drop(&l->biases);
}

/* The arrays of the parts one below the other, evaluated, so that the parts can go. */
static bool join_parts(wick_backend_model *m, wick_mlx_lin *l, const wick_mlx_lin *piece, uint32_t n)
{
    wick_graph *g = &m->g;
    static const int swap[] = {1, 0};
    mlx_array *to[] = {&l->w, &l->scales, &l->biases}, a[3] = {{0}};
    for (int k = 0; k < 3; k++) {
        for (uint32_t i = 0; i < n; i++) a[i] = k == 0 ? piece[i].w : k == 1 ? piece[i].scales : piece[i].biases;
        if (!a[0].ctx) continue;
        *to[k] = wick_array_hold(wick_mx_concat(g, a, n, 0));
    }
    if (!l->quantized) l->wt = wick_array_hold(wick_mx_transpose(g, l->w, swap, 2));
    bool ok = !g->failed;
    wick_graph_reset(g);
    for (int k = 0; k < 3 && ok; k++)
        if (to[k]->ctx && wick_mlx.array_eval(*to[k])) ok = false;
    return ok;
}

wick_status wick_mlx_load_fused(wick_loader *ld, const wick_weight *const *w, uint32_t n, const wick_mlx_lin **out,
                                wick_err *err)
{
    wick_mlx_lin piece[3];
    uint64_t n_out = 0;
    *out = NULL;
    for (uint32_t i = 0; i < n; i++) {
        if (!w[0] || !alike(w[0], w[i])) return WICK_OK;
        n_out += w[i]->n_out;
    }
    if (n_out > INT32_MAX) return WICK_OK;
    wick_mlx_lin *l = find(ld->m, w[0], 1, (uint32_t)n_out);
    *out = l;
    if (l) return WICK_OK;
    l = lin_add(ld->m);
    if (!l) return wick_err_oom(err, "the table of matrices", sizeof *l, 0);
    bool ok = true;
    memset(piece, 0, sizeof piece);
    for (uint32_t i = 0; i < n && ok; i++) {
        describe(&piece[i], w[i], 1, w[i]->n_out);
        ok = load_encoded(ld, &piece[i], w[i]);
    }
    if (ok) {
        *l = piece[0];
        describe(l, w[0], 1, (uint32_t)n_out);
        l->w = l->wt = l->scales = l->biases = (mlx_array){0};
        ok = join_parts(ld->m, l, piece, n);
    }
    for (uint32_t i = 0; i < n; i++) drop_arrays(&piece[i]);
    if (!ok) return load_failed(w[0], err);
    for (uint32_t i = 0; i < n; i++) {
        ld->done += wick_weight_bytes(w[i]);
        forget_file(w[i]);
    }
    loaded(ld, l);
    *out = l;
    return WICK_OK;
}

/* n floats in the type of activations; empty where x is NULL. dims: the shape, of n elements in all. */
wick_status wick_mlx_load_vector(wick_loader *ld, const float *x, const int *dims, int n_dims, mlx_dtype t,
                                 mlx_array *out, wick_err *err)
{
    uint64_t n = 1;
    if (!x) return WICK_OK;
    for (int i = 0; i < n_dims; i++) n *= (uint64_t)dims[i];
    void *buf = wick_alloc_aligned(64, n * wick_mlx_dtype_bytes(t));
    if (!buf) return wick_err_oom(err, "a vector", n * wick_mlx_dtype_bytes(t), 0);
    for (uint64_t i = 0; i < n; i++) wick_mlx_put_float(t, x[i], buf, i);
    *out = wick_mlx_wrap(buf, buf, dims, n_dims, t);
    ld->m->weight_bytes += n * wick_mlx_dtype_bytes(t);
    return out->ctx ? WICK_OK : wick_mlx_fail(err, "loading a vector");
}
