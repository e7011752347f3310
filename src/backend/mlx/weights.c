/* backend/mlx/weights.c - the plan's matrices and vectors as MLX arrays.
 *
 * Matrices that MLX can multiply as the file holds them are handed over where they lie in the mapping (MLX itself copies them
 * where its device cannot read there); the rest is converted row by row:
 *   PLAIN                     to the type of activations, if it is another
 *   AFFINE, MX/NVFP4, MXFP8   codes as they are, scales in the type of activations
 *   Q4_0 Q4_1 Q5_0 Q5_1 Q8_0  to affine, groups of 32: exact
 *   Q4_K Q5_K                 to affine, groups of 32, where scales are float32: exact
 *   the other block types     expanded, and said so
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "backend/mlx/mlx.h"
#include "base/log.h"

typedef struct loader {
    wick_backend_model *m;
    wick_progress progress;
    uint64_t done, total;
    uint32_t n_expanded;
    char expanded[64]; /* label of the first */
} loader;

mlx_dtype wick_mlx_dtype_of(wick_dtype t)
{
    return t == WICK_DTYPE_F16 ? MLX_FLOAT16 : t == WICK_DTYPE_BF16 ? MLX_BFLOAT16 : MLX_FLOAT32;
}

static size_t dtype_bytes(mlx_dtype t)
{
    return t == MLX_UINT8 ? 1 : t == MLX_FLOAT16 || t == MLX_BFLOAT16 ? 2 : 4;
}

static void no_free(void *p)
{
    (void)p;
}

/* An array over memory: the mapping's (owner NULL), or a buffer of ours that the array takes. */
static mlx_array wrap(const void *data, void *owner, const int *dims, int n, mlx_dtype t)
{
    return wick_mlx.array_new_data_managed_payload((void *)(uintptr_t)data, dims, n, t, owner,
                                                   owner ? wick_free : no_free);
}

static void put_float(mlx_dtype t, float v, void *dst, size_t i)
{
    uint16_t h;
    if (t == MLX_FLOAT32) {
        memcpy((float *)dst + i, &v, sizeof v);
        return;
    }
    h = t == MLX_FLOAT16 ? wick_f32_to_f16(v) : wick_f32_to_bf16(v);
    memcpy((uint16_t *)dst + i, &h, sizeof h);
}

/* A run of plain floats as type t. */
static void convert(wick_dtype from, const uint8_t *src, mlx_dtype t, uint8_t *dst, uint32_t n)
{
    float part[256];
    if (wick_mlx_dtype_of(from) == t) {
        memcpy(dst, src, (size_t)n * dtype_bytes(t));
        return;
    }
    for (uint32_t i = 0; i < n; i += 256) {
        uint32_t k = n - i < 256 ? n - i : 256;
        wick_to_f32(from, src + (size_t)i * wick_dtype_block_bytes(from), part, k);
        for (uint32_t j = 0; j < k; j++) put_float(t, part[j], dst, i + j);
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

static mlx_array shaped(const wick_mlx_lin *l, const void *data, void *owner, uint32_t cols, mlx_dtype t)
{
    int dims[3] = {(int)l->n_mat, (int)l->n_out, (int)cols};
    return l->n_mat > 1 ? wrap(data, owner, dims, 3, t) : wrap(data, owner, dims + 1, 2, t);
}

/* Rows of one part, as they are (raw) or converted from `from` to t. */
static mlx_array load_part(const wick_mlx_lin *l, const wick_weight *w, part p, uint32_t cols, wick_dtype from,
                           bool raw, mlx_dtype t)
{
    uint64_t row_bytes = p == PART_DATA ? w->row_bytes : w->scale_row_bytes, out_row = (uint64_t)cols * dtype_bytes(t);
    bool same = raw || wick_mlx_dtype_of(from) == t;
    if (same && lies_well(w, l->n_mat, part_of(w, p), row_bytes, (uint32_t)dtype_bytes(t), p != PART_DATA) &&
        out_row == row_bytes)
        return shaped(l, part_of(w, p), NULL, cols, t);
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
    return shaped(l, buf, buf, cols, t);
}

/* Any encoding, decoded. */
static mlx_array load_expanded(const wick_mlx_lin *l, const wick_weight *w, mlx_dtype t)
{
    uint64_t row = (uint64_t)l->n_in * dtype_bytes(t);
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
            for (uint32_t i = 0; i < l->n_in; i++) put_float(t, x[i], buf + ((uint64_t)e * l->n_out + r) * row, i);
        }
    }
    wick_free(x);
    return shaped(l, buf, buf, l->n_in, t);
}

/* 32 weights of a GGUF block as w = scale * code + bias. */
typedef struct group32 {
    float scale, bias;
    uint8_t code[32];
} group32;

static float half_at(const uint8_t *p)
{
    return wick_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static void nibbles(const uint8_t *q, uint32_t fifth, group32 *g)
{
    for (unsigned j = 0; j < 16; j++) {
        g->code[j] = (uint8_t)((q[j] & 15) | (fifth >> j & 1) << 4);
        g->code[j + 16] = (uint8_t)(q[j] >> 4 | (fifth >> (j + 16) & 1) << 4);
    }
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Q4_K, Q5_K: 8 groups a block; 6-bit scales and minima in 12 bytes, of groups 4 to 7 the upper bits come last. */
static void k_group(const uint8_t *x, unsigned i, bool five, group32 *g)
{
    const uint8_t *s = x + 4, *high = x + 16, *q = x + (five ? 48 : 16) + i / 2 * 32;
    unsigned sc = i < 4 ? s[i] & 63U : (s[i + 4] & 15U) | (unsigned)(s[i - 4] >> 6) << 4;
    unsigned mn = i < 4 ? s[i + 4] & 63U : (unsigned)(s[i + 4] >> 4) | (unsigned)(s[i] >> 6) << 4;
    g->scale = half_at(x) * (float)sc;
    g->bias = -(half_at(x + 2) * (float)mn);
    for (unsigned j = 0; j < 32; j++)
        g->code[j] = (uint8_t)((q[j] >> (i % 2 * 4) & 15) | (five ? (high[j] >> i & 1) << 4 : 0));
}

/* Group i of a row of blocks. */
static void read_group(wick_dtype t, const uint8_t *row, uint32_t i, group32 *g)
{
    const uint8_t *x = row + (uint64_t)i * wick_dtype_block_bytes(t);
    switch (t) {
    case WICK_DTYPE_Q4_0:
    case WICK_DTYPE_Q5_0:
        g->scale = half_at(x);
        g->bias = g->scale * (t == WICK_DTYPE_Q4_0 ? -8.0F : -16.0F);
        nibbles(x + (t == WICK_DTYPE_Q4_0 ? 2 : 6), t == WICK_DTYPE_Q4_0 ? 0 : word_at(x + 2), g);
        return;
    case WICK_DTYPE_Q4_1:
    case WICK_DTYPE_Q5_1:
        g->scale = half_at(x);
        g->bias = half_at(x + 2);
        nibbles(x + (t == WICK_DTYPE_Q4_1 ? 4 : 8), t == WICK_DTYPE_Q4_1 ? 0 : word_at(x + 4), g);
        return;
    case WICK_DTYPE_Q8_0:
        g->scale = half_at(x);
        g->bias = g->scale * -128.0F;
        for (unsigned j = 0; j < 32; j++) g->code[j] = (uint8_t)(x[2 + j] ^ 0x80);
        return;
    default: k_group(row + (uint64_t)(i / 8) * wick_dtype_block_bytes(t), i % 8, t == WICK_DTYPE_Q5_K, g);
    }
}

/* Bits of the affine codes that hold a block type exactly with scales of type t; 0: none do. */
static int exact_bits(wick_dtype block, mlx_dtype t)
{
    switch (block) {
    case WICK_DTYPE_Q4_0:
    case WICK_DTYPE_Q4_1: return t == MLX_BFLOAT16 ? 0 : 4;
    case WICK_DTYPE_Q5_0:
    case WICK_DTYPE_Q5_1: return t == MLX_BFLOAT16 ? 0 : 5;
    case WICK_DTYPE_Q8_0: return t == MLX_BFLOAT16 ? 0 : 8;
    case WICK_DTYPE_Q4_K: return t == MLX_FLOAT32 ? 4 : 0;
    case WICK_DTYPE_Q5_K: return t == MLX_FLOAT32 ? 5 : 0;
    default: return 0;
    }
}

static void repack_row(wick_dtype block, const uint8_t *src, uint32_t n_groups, int bits, mlx_dtype t, uint8_t *codes,
                       uint8_t *scales, uint8_t *biases)
{
    for (uint32_t i = 0; i < n_groups; i++) {
        group32 g;
        uint32_t acc = 0;
        int have = 0;
        read_group(block, src, i, &g);
        put_float(t, g.scale, scales, i);
        put_float(t, g.bias, biases, i);
        for (unsigned j = 0; j < 32; j++) {
            acc |= (uint32_t)g.code[j] << have;
            for (have += bits; have >= 8; have -= 8, acc >>= 8) *codes++ = (uint8_t)acc;
        }
    }
}

static bool load_repacked(wick_mlx_lin *l, const wick_weight *w, int bits, mlx_dtype t)
{
    uint32_t n_groups = l->n_in / 32;
    uint64_t rows = (uint64_t)l->n_mat * l->n_out, code_row = (uint64_t)n_groups * 4 * (uint32_t)bits;
    uint64_t scale_row = n_groups * dtype_bytes(t);
    uint8_t *codes = wick_alloc_aligned(64, rows * code_row), *scales = wick_alloc_aligned(64, rows * scale_row);
    uint8_t *biases = wick_alloc_aligned(64, rows * scale_row);
    if (!codes || !scales || !biases) {
        wick_free(codes);
        wick_free(scales);
        wick_free(biases);
        return false;
    }
    for (uint32_t e = 0; e < l->n_mat; e++) {
        for (uint32_t r = 0; r < l->n_out; r++) {
            uint64_t at = (uint64_t)e * l->n_out + r;
            repack_row(w->dtype, row_at(&w[e], w[e].data, w->row_bytes, r), n_groups, bits, t, codes + at * code_row,
                       scales + at * scale_row, biases + at * scale_row);
        }
    }
    l->quantized = true;
    l->mode = "affine";
    l->group = 32;
    l->bits = bits;
    l->w = shaped(l, codes, codes, (uint32_t)(code_row / 4), MLX_UINT32);
    l->scales = shaped(l, scales, scales, n_groups, t);
    l->biases = shaped(l, biases, biases, n_groups, t);
    return l->w.ctx && l->scales.ctx && l->biases.ctx;
}

static bool packed_as_is(const wick_weight *w)
{
    if (w->n_in % 32) return false;
    if (w->enc == WICK_ENC_AFFINE)
        return (w->group == 32 || w->group == 64 || w->group == 128) &&
               ((w->bits >= 2 && w->bits <= 6) || w->bits == 8);
    return w->enc == WICK_ENC_MXFP4 || w->enc == WICK_ENC_NVFP4 || w->enc == WICK_ENC_MXFP8;
}

static bool load_packed(wick_mlx_lin *l, const wick_weight *w, mlx_dtype t)
{
    static const char *const modes[] = {[WICK_ENC_AFFINE] = "affine",
                                        [WICK_ENC_MXFP4] = "mxfp4",
                                        [WICK_ENC_NVFP4] = "nvfp4",
                                        [WICK_ENC_MXFP8] = "mxfp8"};
    bool affine = w->enc == WICK_ENC_AFFINE;
    uint32_t n_groups = w->n_in / w->group;
    l->quantized = true;
    l->mode = modes[w->enc];
    l->group = (int)w->group;
    l->bits = (int)w->bits;
    l->global_scale = w->enc == WICK_ENC_NVFP4 ? w->global_scale : 1.0F;
    l->w = load_part(l, w, PART_DATA, (uint32_t)(w->row_bytes / 4), w->dtype, true, MLX_UINT32);
    l->scales = load_part(l, w, PART_SCALES, n_groups, w->dtype, !affine, affine ? t : MLX_UINT8);
    if (affine) l->biases = load_part(l, w, PART_BIASES, n_groups, w->dtype, false, t);
    return l->w.ctx && l->scales.ctx && (!affine || l->biases.ctx);
}

static bool load_encoded(loader *ld, wick_mlx_lin *l, const wick_weight *w)
{
    mlx_dtype t = ld->m->act;
    int bits = w->enc == WICK_ENC_BLOCK ? exact_bits(w->dtype, t) : 0;
    bool same_scale = true;
    for (uint32_t e = 1; e < l->n_mat; e++) same_scale &= w[e].global_scale == w->global_scale;
    if (packed_as_is(w) && same_scale) return load_packed(l, w, t);
    if (bits) return load_repacked(l, w, bits, t);
    if (w->enc == WICK_ENC_PLAIN) {
        l->w = load_part(l, w, PART_DATA, l->n_in, w->dtype, false, t);
    } else {
        if (!ld->n_expanded++) wick_weight_label(w, ld->expanded, sizeof ld->expanded);
        l->w = load_expanded(l, w, t);
    }
    if (!l->w.ctx) return false;
    static const int swap2[] = {1, 0}, swap3[] = {0, 2, 1};
    wick_graph *g = &ld->m->g;
    l->wt = wick_array_hold(mx_transpose(g, l->w, l->n_mat > 1 ? swap3 : swap2, l->n_mat > 1 ? 3 : 2));
    wick_graph_reset(g);
    return l->wt.ctx != NULL;
}

static wick_mlx_lin *find(const wick_backend_model *m, const wick_weight *w, uint32_t n_mat)
{
    for (uint32_t i = 0; i < m->n_lins; i++) {
        wick_mlx_lin *l = m->lin[i];
        if (l->key_data == w->data && l->key_scales == w->scales && l->n_out == w->n_out && l->n_in == w->n_in &&
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

/* One matrix, or n_mat of them; NULL where there is none. */
static wick_status load_matrix(loader *ld, const wick_weight *w, uint32_t n_mat, const wick_mlx_lin **out,
                               wick_err *err)
{
    *out = NULL;
    if (!w) return WICK_OK;
    wick_mlx_lin *l = find(ld->m, w, n_mat);
    *out = l;
    if (l) return WICK_OK;
    l = lin_add(ld->m);
    if (!l) return wick_err_oom(err, "the table of matrices", sizeof *l, 0);
    l->key_data = w->data;
    l->key_scales = w->scales;
    l->n_mat = n_mat;
    l->n_out = w->n_out;
    l->n_in = w->n_in;
    l->global_scale = 1.0F;
    if (!load_encoded(ld, l, w)) {
        wick_mlx_fail(err, "loading weights");
        wick_err_prefix(err, "%s", w->name ? w->name : "a matrix");
        return err ? err->kind : WICK_E_OUT_OF_MEMORY;
    }
    mlx_array parts[] = {l->w, l->scales, l->biases};
    for (int i = 0; i < 3; i++) l->bytes += wick_mlx.array_nbytes(parts[i]);
    ld->m->weight_bytes += l->bytes;
    ld->done += wick_weight_bytes(w) * n_mat;
    if (ld->progress.fn) ld->progress.fn(ld->progress.ctx, "loading weights", ld->done, ld->total);
    *out = l;
    return WICK_OK;
}

/* n floats in the type of activations; empty where x is NULL. dims: the shape, of n elements in all. */
static wick_status load_vector(loader *ld, const float *x, const int *dims, int n_dims, mlx_dtype t, mlx_array *out,
                               wick_err *err)
{
    uint64_t n = 1;
    if (!x) return WICK_OK;
    for (int i = 0; i < n_dims; i++) n *= (uint64_t)dims[i];
    void *buf = wick_alloc_aligned(64, n * dtype_bytes(t));
    if (!buf) return wick_err_oom(err, "a vector", n * dtype_bytes(t), 0);
    for (uint64_t i = 0; i < n; i++) put_float(t, x[i], buf, i);
    *out = wrap(buf, buf, dims, n_dims, t);
    ld->m->weight_bytes += n * dtype_bytes(t);
    return out->ctx ? WICK_OK : wick_mlx_fail(err, "loading a vector");
}

#define MATRIX(slot, weight) WICK_TRY(load_matrix(ld, weight, 1, &n->w[slot], err))
#define STACK(slot, weight, count) WICK_TRY(load_matrix(ld, weight, count, &n->w[slot], err))
#define VECTOR(slot, x, ...)                                                                                  \
    WICK_TRY(load_vector(ld, x, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), \
                         ld->m->act, &n->v[slot], err))

/* MLX takes the wavelengths' inverse of what the plan has; mscale as a vector over the head where only a part turns. */
static wick_status load_rope(loader *ld, wick_mlx_node *n, const wick_rope *r, uint32_t dim, wick_err *err)
{
    if (!r) return WICK_OK;
    wick_status st = WICK_OK;
    int half = (int)(r->n_dims / 2), whole = (int)dim;
    float *x = wick_alloc((size_t)(dim > r->n_dims ? dim : r->n_dims) * sizeof *x);
    if (!x) return wick_err_oom(err, "rope", dim * sizeof *x, 0);
    for (int i = 0; i < half; i++) x[i] = 1.0F / r->inv_freq[i];
    st = load_vector(ld, x, &half, 1, MLX_FLOAT32, &n->v[V_FREQS], err);
    if (st == WICK_OK && r->mscale != 1.0F) {
        for (uint32_t i = 0; i < dim; i++) x[i] = i >= r->first_dim && i < r->first_dim + r->n_dims ? r->mscale : 1.0F;
        st = load_vector(ld, x, &whole, 1, ld->m->act, &n->v[V_MSCALE], err);
    }
    wick_free(x);
    return st;
}

static wick_status load_attn(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_attn *o = &n->op->u.attn;
    int d = (int)o->head_dim, nq = (int)o->n_head, nk = (int)o->n_kv_head, gated = o->out_gate ? 2 : 1;
    MATRIX(W_Q, o->wq);
    MATRIX(W_K, o->wk);
    MATRIX(W_V, o->wv);
    MATRIX(W_O, o->wo);
    VECTOR(V_Q, o->bq, nq * d * gated);
    VECTOR(V_K, o->bk, nk * d);
    VECTOR(V_V, o->bv, nk * (int)o->v_head_dim);
    VECTOR(V_O, o->bo, (int)ld->m->plan->n_embd);
    if (o->qk_norm_whole_row) {
        VECTOR(V_QN, o->q_norm, nq * d);
        VECTOR(V_KN, o->k_norm, nk * d);
    } else if (o->qk_norm_per_head_w) {
        VECTOR(V_QN, o->q_norm, nq, d);
        VECTOR(V_KN, o->k_norm, nk, d);
    } else {
        VECTOR(V_QN, o->q_norm, d);
        VECTOR(V_KN, o->k_norm, d);
    }
    VECTOR(V_SINKS, o->sinks, nq);
    return load_rope(ld, n, o->rope, o->head_dim, err);
}

static wick_status load_mla(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_mla *o = &n->op->u.mla;
    wick_status st = WICK_OK;
    wick_weight *heads = wick_alloc_zero(o->n_head, 2 * sizeof *heads);
    if (!heads) return wick_err_oom(err, "the heads", o->n_head * sizeof *heads, 0);
    for (uint32_t h = 0; h < o->n_head; h++) {
        heads[h] = *o->k_b[h];
        heads[o->n_head + h] = *o->v_b[h];
    }
    st = load_matrix(ld, heads, o->n_head, &n->w[W_KB], err);
    if (st == WICK_OK) st = load_matrix(ld, heads + o->n_head, o->n_head, &n->w[W_VB], err);
    wick_free(heads);
    WICK_TRY(st);
    MATRIX(W_QA, o->q_a);
    MATRIX(W_Q, o->q_b);
    MATRIX(W_KVA, o->kv_a);
    MATRIX(W_O, o->wo);
    VECTOR(V_Q, o->q_a_bias, (int)o->q_rank);
    VECTOR(V_K, o->kv_a_bias, (int)(o->kv_rank + o->rope_dim));
    VECTOR(V_O, o->bo, (int)ld->m->plan->n_embd);
    VECTOR(V_QN, o->q_a_norm, (int)o->q_rank);
    VECTOR(V_KN, o->kv_a_norm, (int)o->kv_rank);
    return load_rope(ld, n, o->rope, o->rope_dim, err);
}

static wick_status load_mlp(loader *ld, wick_mlx_node *n, const wick_op_mlp *o, int w_at, int v_at, wick_err *err)
{
    MATRIX(w_at, o->gate);
    MATRIX(w_at + 1, o->up);
    MATRIX(w_at + 2, o->down);
    VECTOR(v_at, o->b_gate, (int)o->n_ff);
    VECTOR(v_at + 1, o->b_up, (int)o->n_ff);
    VECTOR(v_at + 2, o->b_down, (int)ld->m->plan->n_embd);
    return WICK_OK;
}

static wick_status load_moe(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_moe *o = &n->op->u.moe;
    int e = (int)o->n_expert, ff = (int)o->n_ff, embd = (int)ld->m->plan->n_embd;
    STACK(W_GATE, o->gate, o->n_expert);
    STACK(W_UP, o->up, o->n_expert);
    STACK(W_DOWN, o->down, o->n_expert);
    MATRIX(W_ROUTER, o->router);
    MATRIX(W_SHARED, o->shared_gate);
    VECTOR(V_GATE, o->b_gate, e, ff);
    VECTOR(V_UP, o->b_up, e, ff);
    VECTOR(V_DOWN, o->b_down, e, embd);
    const int experts[1] = {e}; /* routing is done in float32 */
    WICK_TRY(load_vector(ld, o->router_bias, experts, 1, MLX_FLOAT32, &n->v[V_ROUTER], err));
    WICK_TRY(load_vector(ld, o->correction, experts, 1, MLX_FLOAT32, &n->v[V_CORRECTION], err));
    return o->shared ? load_mlp(ld, n, o->shared, W_S_GATE, V_S_GATE, err) : WICK_OK;
}

/* Convolution kernels are turned to [kernel][channels]: one vector for each step back in time. */
static wick_status load_conv_w(loader *ld, wick_mlx_node *n, const float *w, const float *bias, uint32_t channels,
                               uint32_t kernel, wick_err *err)
{
    const int dims[2] = {(int)kernel, (int)channels};
    float *x = wick_alloc((size_t)kernel * channels * sizeof *x);
    if (!x) return wick_err_oom(err, "a convolution", (uint64_t)kernel * channels * sizeof *x, 0);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t k = 0; k < kernel; k++) x[(size_t)k * channels + c] = w[(size_t)c * kernel + k];
    wick_status st = load_vector(ld, x, dims, 2, ld->m->act, &n->v[V_CONV], err);
    wick_free(x);
    WICK_TRY(st);
    VECTOR(V_CONV_B, bias, dims[1]);
    return WICK_OK;
}

/* What a state is computed from stays float32. */
#define FLOATS(slot, x, ...)                                                                                  \
    WICK_TRY(load_vector(ld, x, (const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int), \
                         MLX_FLOAT32, &n->v[slot], err))

static wick_status load_mamba(loader *ld, wick_mlx_node *n, bool first, wick_err *err)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    int d = (int)o->d_inner, s = (int)o->d_state, h = (int)o->n_head, conv = d + 2 * (int)o->n_group * s;
    MATRIX(W_IN, o->in);
    MATRIX(W_OUT, o->out);
    VECTOR(V_B_OUT, o->b_out, (int)ld->m->plan->n_embd);
    if (first) {
        MATRIX(W_X, o->x);
        MATRIX(W_DT, o->dt);
        VECTOR(V_B_IN, o->b_in, 2 * d);
        VECTOR(V_B_DT, o->b_dt, d);
        FLOATS(V_A, o->a, d, s);
        FLOATS(V_D, o->d, d);
        VECTOR(V_DT_NORM, o->dt_norm, (int)o->dt_rank);
        VECTOR(V_B_NORM, o->b_norm, s);
        VECTOR(V_C_NORM, o->c_norm, s);
        return load_conv_w(ld, n, o->conv_w, o->conv_b, o->d_inner, o->kernel, err);
    }
    VECTOR(V_B_IN, o->b_in, d + conv + h);
    VECTOR(V_IN_MUL, o->in_mul, d + conv + h);
    FLOATS(V_B_DT, o->b_dt, h);
    FLOATS(V_A, o->a, h);
    FLOATS(V_D, o->d, h, 1);
    if (o->norm_group) VECTOR(V_NORM, o->norm, d / (int)o->norm_group, (int)o->norm_group);
    return load_conv_w(ld, n, o->conv_w, o->conv_b, (uint32_t)conv, o->kernel, err);
}

static wick_status load_delta(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_delta *o = &n->op->u.delta;
    MATRIX(W_IN, o->in_qkvz);
    MATRIX(W_X, o->in_ba);
    MATRIX(W_OUT, o->out);
    FLOATS(V_A, o->a_log, (int)o->n_v_head);
    FLOATS(V_B_DT, o->dt_bias, (int)o->n_v_head);
    VECTOR(V_NORM, o->norm, (int)o->v_dim);
    return load_conv_w(ld, n, o->conv_w, NULL, 2 * o->n_k_head * o->k_dim + o->n_v_head * o->v_dim, o->kernel, err);
}

static wick_status load_conv(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op_conv *o = &n->op->u.conv;
    MATRIX(W_IN, o->in);
    MATRIX(W_OUT, o->out);
    VECTOR(V_B_IN, o->b_in, 3 * (int)o->n_channels);
    VECTOR(V_B_OUT, o->b_out, (int)ld->m->plan->n_embd);
    return load_conv_w(ld, n, o->conv_w, o->conv_b, o->n_channels, o->kernel, err);
}

static wick_status load_node(loader *ld, wick_mlx_node *n, wick_err *err)
{
    const wick_op *op = n->op;
    int embd = (int)ld->m->plan->n_embd;
    switch (op->kind) {
    case WICK_OP_EMBED:
        MATRIX(W_MAIN, op->u.embed.w);
        MATRIX(W_POS, op->u.embed.w_pos);
        break;
    case WICK_OP_NORM:
        VECTOR(V_W, op->u.norm.w, embd);
        VECTOR(V_B, op->u.norm.b, embd);
        break;
    case WICK_OP_ATTN: return load_attn(ld, n, err);
    case WICK_OP_MLA: return load_mla(ld, n, err);
    case WICK_OP_MLP: return load_mlp(ld, n, &op->u.mlp, W_GATE, V_GATE, err);
    case WICK_OP_MOE: return load_moe(ld, n, err);
    case WICK_OP_HEAD:
        MATRIX(W_MAIN, op->u.head.w);
        VECTOR(V_B, op->u.head.b, (int)op->u.head.w->n_out);
        break;
    case WICK_OP_CONV: return load_conv(ld, n, err);
    case WICK_OP_MAMBA1: return load_mamba(ld, n, true, err);
    case WICK_OP_MAMBA2: return load_mamba(ld, n, false, err);
    case WICK_OP_DELTA: return load_delta(ld, n, err);
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_N_OPS: break;
    }
    return WICK_OK;
}

wick_status wick_mlx_load_weights(wick_backend_model *m, wick_progress progress, wick_err *err)
{
    loader ld = {.m = m, .progress = progress, .total = m->plan->weight_bytes};
    m->node = wick_alloc_zero(m->plan->n_ops, sizeof *m->node);
    if (!m->node) return wick_err_oom(err, "the program", m->plan->n_ops * sizeof *m->node, 0);
    for (uint32_t i = 0; i < m->plan->n_ops; i++) {
        m->node[i].op = &m->plan->op[i];
        m->n_nodes++;
        WICK_TRY(load_node(&ld, &m->node[i], err));
    }
    if (ld.n_expanded)
        wick_log(WICK_LOG_WARN, "mlx: %u matrices (%s%s) are expanded to %u-bit floats: MLX has no such encoding",
                 ld.n_expanded, ld.expanded, ld.n_expanded > 1 ? ", ..." : "", (unsigned)dtype_bytes(m->act) * 8);
    return WICK_OK;
}

void wick_mlx_unload_weights(wick_backend_model *m)
{
    for (uint32_t i = 0; i < m->n_nodes; i++)
        for (int k = 0; k < WICK_NODE_V; k++) wick_array_drop(&m->node[i].v[k]);
    for (uint32_t i = 0; i < m->n_lins; i++) {
        wick_mlx_lin *l = m->lin[i];
        wick_array_drop(&l->wt);
        wick_array_drop(&l->w);
        wick_array_drop(&l->scales);
        wick_array_drop(&l->biases);
        wick_free(l);
    }
    wick_free(m->lin);
    wick_free(m->node);
    m->lin = NULL;
    m->node = NULL;
    m->n_lins = m->n_nodes = 0;
}
