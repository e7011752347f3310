/* backend/mlx/attn.c - ATTN and MLA: projections of all rows at once, then attention group by group.
 *
 * Two layouts of q, k and v. A step of one sequence uses [1][head][n][dim], rope with one offset. Other steps use
 * [n][head][1][dim], every token a batch entry with its own position, from which groups are cut.
 */
#include <math.h>

#include "backend/mlx/mlx.h"

static bool one_sequence(const wick_mlx_step *s)
{
    return s->n_groups == 1 && s->group[0].n_seqs == 1;
}

/* [n][head][dim] into the step's layout. */
static mlx_array lay(wick_backend_model *m, mlx_array x, uint32_t n_head, uint32_t dim)
{
    wick_graph *g = &m->g;
    int n = (int)m->step.n, h = (int)n_head, d = (int)dim;
    static const int axes[] = {0, 2, 1, 3};
    if (!one_sequence(&m->step) || n == 1) return wick_mx_reshape(g, x, MX_DIMS(n, h, 1, d));
    return wick_mx_transpose(g, wick_mx_reshape(g, x, MX_DIMS(1, n, h, d)), axes, 4);
}

/* The group's part in its own layout [n_seqs][head][tokens of each][dim]. */
static mlx_array cut_group(wick_backend_model *m, const wick_group *gr, mlx_array x, uint32_t n_head, uint32_t dim)
{
    wick_graph *g = &m->g;
    int first = (int)gr->first, n = (int)gr->n_tokens;
    static const int axes[] = {2, 1, 0, 3};
    if (one_sequence(&m->step)) return x;
    x = wick_mx_cut(g, x, MX_DIMS((int)m->step.n, (int)n_head, 1, (int)dim), 0, first, first + n);
    return gr->n_seqs > 1 || n == 1 ? x : wick_mx_transpose(g, x, axes, 4);
}

/* The result of a group, [n_seqs][head][tokens][dim], as rows [n_tokens][head * dim]. */
static mlx_array rows_of(wick_backend_model *m, const wick_group *gr, mlx_array y, uint32_t width)
{
    wick_graph *g = &m->g;
    static const int axes[] = {0, 2, 1, 3};
    if (gr->n_seqs == 1 && gr->n_tokens > 1) y = wick_mx_transpose(g, y, axes, 4);
    return wick_mx_reshape(g, y, MX_DIMS((int)gr->n_tokens, (int)width));
}

mlx_array wick_mlx_rope(wick_backend_model *m, const wick_rope *r, mlx_array freqs, mlx_array mscale, mlx_array x,
                        uint32_t n, uint32_t n_head, uint32_t dim)
{
    wick_graph *g = &m->g;
    const wick_mlx_step *s = &m->step;
    int first = (int)r->first_dim, dims = (int)r->n_dims, d = (int)dim;
    bool one = one_sequence(s);
    int shape[4] = {one ? 1 : (int)n, (int)n_head, one ? (int)n : 1, d};
    mlx_array part[3], y;
    if (mscale.ctx) x = wick_mx_multiply(g, x, mscale);
    y = first ? wick_mx_cut(g, x, shape, 4, 3, first, d) : x;
    y = one ? wick_mx_rope(g, y, dims, r->interleaved, (int)s->group[0].len, freqs)
            : wick_mx_rope_at(g, y, dims, r->interleaved, s->positions, freqs);
    if (!first) return y;
    part[0] = wick_mx_cut(g, x, shape, 4, 3, 0, first);
    part[1] = y;
    return wick_mx_concat(g, part, 2, 3);
}

static uint32_t shortest(const wick_backend_model *m, const wick_group *gr)
{
    uint32_t least = gr->len;
    for (uint32_t i = 0; i < gr->n_seqs; i++) {
        uint32_t len = m->step.seq[gr->first_row + i]->len;
        least = len < least ? len : least;
    }
    return least;
}

static uint32_t window_of(const wick_op_attn *o)
{
    uint32_t both = o->both ? WICK_MLX_BOTH : 0, width = o->window < WICK_MLX_BOTH ? o->window : WICK_MLX_BOTH - 1;
    return width | both | (o->chunked && o->window ? WICK_MLX_CHUNKED : 0);
}

mlx_array wick_mlx_mask(wick_backend_model *m, uint32_t group, uint32_t window, uint32_t *from, const char **mode)
{
    wick_mlx_step *s = &m->step;
    const wick_group *gr = &s->group[group];
    uint32_t n = gr->n_seqs > 1 ? 1 : gr->n_tokens, least = gr->even ? gr->len : shortest(m, gr);
    mlx_array none = {0};
    uint32_t width = window & ~(WICK_MLX_CHUNKED | WICK_MLX_BOTH);
    bool both = window & WICK_MLX_BOTH;
    *from = both ? 0 : width && least + 1 > width ? least + 1 - width : 0;
    if (window & WICK_MLX_CHUNKED) *from = least / width * width;
    *mode = "";
    if (both ? n <= width || !width : n == 1 && gr->even) return none;
    *mode = "causal";
    if (!both && n > 1 && (!width || gr->len + n <= width)) return none;
    *mode = "array";
    for (uint32_t i = 0; i < s->n_masks; i++)
        if (s->mask[i].group == group && s->mask[i].window == window && !s->mask[i].n_query) return s->mask[i].a;
    mlx_array a = wick_mlx_build_mask(m, gr, window, *from, gr->len + n);
    if (s->n_masks < s->mask_cap) s->mask[s->n_masks++] = (wick_mask){group, window, 0, a};
    return a;
}

/* For a group of rows with one token each: what is added to the scores of `n_query` queries that see the same keys, of
 * all places that the bundle has: [n_seqs][1][n_query][capacity]. */
static mlx_array added_mask(wick_backend_model *m, uint32_t group, uint32_t window, uint32_t n_query)
{
    wick_mlx_step *s = &m->step;
    wick_graph *g = &m->g;
    const wick_group *gr = &s->group[group];
    uint32_t capacity = wick_mlx_kv_capacity(gr->bundle);
    for (uint32_t i = 0; i < s->n_masks; i++)
        if (s->mask[i].group == group && s->mask[i].window == window && s->mask[i].n_query == n_query)
            return s->mask[i].a;
    mlx_array none = wick_mx_scalar(g, m->act == MLX_FLOAT16 ? -6e4F : -1e30F, m->act);
    mlx_array a =
        wick_mx_where(g, wick_mlx_build_mask(m, gr, window, 0, capacity), wick_mx_scalar(g, 0.0F, m->act), none);
    a = wick_mx_broadcast(g, a, MX_DIMS((int)gr->n_seqs, 1, (int)n_query, (int)capacity));
    a = wick_mx_contiguous(g, a);
    if (s->n_masks < s->mask_cap) s->mask[s->n_masks++] = (wick_mask){group, window, n_query, a};
    return a;
}

/* Rows of different lengths, one token each, in one call: query heads of one KV head are queries of one sequence, over
 * the whole of the bundle's arrays. On CUDA this, unlike one query with a mask, has a fused kernel, and as the shapes
 * change only with the capacity, one that is built once. q [n_seqs][n_head][1][dim], back
 * [n_seqs][kv_head][per][dim] */
static mlx_array uneven_attention(wick_backend_model *m, const wick_op_attn *o, uint32_t group, mlx_array q)
{
    const wick_group *gr = &m->step.group[group];
    wick_graph *g = &m->g;
    uint32_t per = o->n_head / o->n_kv_head, capacity = wick_mlx_kv_capacity(gr->bundle);
    mlx_array none = {0};
    q = wick_mx_reshape(g, q, MX_DIMS((int)gr->n_seqs, (int)o->n_kv_head, (int)per, (int)o->head_dim));
    return wick_mx_attention(g, q, wick_mlx_kv_read(m, gr, o->cache, 0, 0, capacity),
                             wick_mlx_kv_read(m, gr, o->cache, 1, 0, capacity), o->scale, "array",
                             added_mask(m, group, window_of(o), per), none);
}

/* -slope * |i - j| for the tokens of a group that is one whole sequence: [1][n_head][n][n]. */
static mlx_array alibi_mask(wick_backend_model *m, const wick_op_attn *o, uint32_t n)
{
    wick_graph *g = &m->g;
    mlx_array at = wick_mx_astype(g, wick_mx_arange(g, 0, (int)n), MLX_FLOAT32);
    mlx_array i = wick_mx_reshape(g, at, MX_DIMS(1, 1, (int)n, 1)),
              j = wick_mx_reshape(g, at, MX_DIMS(1, 1, 1, (int)n));
    mlx_array slope = wick_mx_data(g, o->alibi, MX_DIMS(1, (int)o->n_head, 1, 1), MLX_FLOAT32);
    mlx_array d = wick_mx_subtract(g, wick_mx_minimum(g, i, j), wick_mx_maximum(g, i, j));
    return wick_mx_astype(g, wick_mx_multiply(g, d, slope), m->act);
}

/* q of all rows in the step's layout -> [n][n_head * v_head_dim] */
static mlx_array attend(wick_backend_model *m, const wick_mlx_node *nd, mlx_array q, mlx_array k, mlx_array v)
{
    const wick_op_attn *o = &nd->op->u.attn;
    wick_graph *g = &m->g;
    mlx_array *part = wick_alloc((m->step.n_groups + 1) * sizeof *part), y;
    if (!part) {
        g->failed = true;
        return (mlx_array){0};
    }
    for (uint32_t i = 0; i < m->step.n_groups; i++) {
        const wick_group *gr = &m->step.group[i];
        uint32_t from, to = gr->len + (gr->n_seqs > 1 ? 1 : gr->n_tokens);
        const char *mode;
        if (!o->kv_shared)
            wick_mlx_kv_write(m, gr, o->cache, cut_group(m, gr, k, o->n_kv_head, o->head_dim),
                              cut_group(m, gr, v, o->n_kv_head, o->v_head_dim));
        mlx_array qg = cut_group(m, gr, q, o->n_head, o->head_dim);
        bool multiplies = wick_mlx_kv_multiplies(m, gr, o->cache);
        if (gr->n_seqs > 1 && !gr->even && o->n_head > o->n_kv_head && o->softcap == 0.0F && !nd->v[V_SINKS].ctx &&
            !multiplies) {
            part[i] = rows_of(m, gr, uneven_attention(m, o, i, qg), o->n_head * o->v_head_dim);
            continue;
        }
        mlx_array mask = wick_mlx_mask(m, i, window_of(o), &from, &mode);
        if (o->alibi) {
            mask = alibi_mask(m, o, to);
            mode = "array";
        }
        if (o->softcap != 0.0F || multiplies) {
            wick_mlx_scores how = {o->cache,   o->n_head, o->n_kv_head, o->head_dim, o->v_head_dim, o->scale,
                                   o->softcap, from,      to,           mode,        mask,          nd->v[V_SINKS]};
            y = wick_mlx_score(m, gr, &how, qg);
        } else {
            y = wick_mx_attention(g, qg, wick_mlx_kv_read(m, gr, o->cache, 0, from, to),
                                  wick_mlx_kv_read(m, gr, o->cache, 1, from, to), o->scale, mode, mask, nd->v[V_SINKS]);
        }
        part[i] = rows_of(m, gr, y, o->n_head * o->v_head_dim);
    }
    y = m->step.n_groups == 1 ? part[0] : wick_mx_concat(g, part, m->step.n_groups, 0);
    wick_free(part);
    return y;
}

static mlx_array clamp(wick_backend_model *m, mlx_array x, float limit)
{
    wick_graph *g = &m->g;
    if (limit == 0.0F) return x;
    return wick_mx_maximum(g, wick_mx_minimum(g, x, wick_mx_scalar(g, limit, m->act)),
                           wick_mx_scalar(g, -limit, m->act));
}

static mlx_array norm(wick_backend_model *m, const wick_op_attn *o, mlx_array x, mlx_array w)
{
    mlx_array none = {0};
    return o->qk_norm_kind == WICK_NORM_RMS ? wick_mx_rms_norm(&m->g, x, w, o->qk_norm_eps)
                                            : wick_mx_layer_norm(&m->g, x, w, none, o->qk_norm_eps);
}

/* Norm of each head of x, [..][head][1 or n][dim] (laid) or [n][head][dim]. */
static mlx_array head_norm(wick_backend_model *m, const wick_op_attn *o, mlx_array x, mlx_array w, uint32_t n_head,
                           bool laid)
{
    wick_graph *g = &m->g;
    mlx_array none = {0};
    if (!o->qk_norm_per_head_w) return norm(m, o, x, w);
    if (laid) w = wick_mx_reshape(g, w, MX_DIMS((int)n_head, 1, (int)o->head_dim));
    return wick_mx_multiply(g, norm(m, o, x, none), w);
}

/* A projection of q or k to its place: clip, norm, layout, rope. */
static mlx_array place(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x, mlx_array w, uint32_t n_head)
{
    const wick_op_attn *o = &nd->op->u.attn;
    wick_graph *g = &m->g;
    int n = (int)m->step.n, h = (int)n_head, d = (int)o->head_dim;
    if (w.ctx && o->qk_norm_whole_row) x = norm(m, o, wick_mx_reshape(g, x, MX_DIMS(n, h * d)), w);
    if (w.ctx && !o->qk_norm_whole_row && !o->qk_norm_after_rope)
        x = head_norm(m, o, wick_mx_reshape(g, x, MX_DIMS(n, h, d)), w, n_head, false);
    x = lay(m, x, n_head, o->head_dim);
    if (o->rope) x = wick_mlx_rope(m, o->rope, nd->v[V_FREQS], nd->v[V_MSCALE], x, m->step.n, n_head, o->head_dim);
    if (w.ctx && !o->qk_norm_whole_row && o->qk_norm_after_rope) x = head_norm(m, o, x, w, n_head, true);
    return x;
}

/* 1 + beta ln(1 + floor(pos / len)) of every row, shaped for the layout */
static mlx_array temperatures(wick_backend_model *m, const wick_op_attn *o)
{
    const wick_mlx_step *s = &m->step;
    float *t = wick_alloc(s->n * sizeof *t);
    if (!t) {
        m->g.failed = true;
        return (mlx_array){0};
    }
    for (uint32_t i = 0; i < s->n; i++)
        t[i] = 1.0F + o->temp_beta * logf(1.0F + floorf((float)(s->pos[i] + o->temp_add) / (float)o->temp_len));
    bool one = one_sequence(s);
    mlx_array a = wick_mx_data(&m->g, t, MX_DIMS(one ? 1 : (int)s->n, 1, one ? (int)s->n : 1, 1), MLX_FLOAT32);
    wick_free(t);
    return wick_mx_astype(&m->g, a, m->act);
}

/* q, k, v of all rows, [n][their width]; k and v stay empty where they are another layer's. */
static void project(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x, mlx_array *q, mlx_array *k,
                    mlx_array *v)
{
    const wick_op_attn *o = &nd->op->u.attn;
    wick_graph *g = &m->g;
    uint32_t n = m->step.n;
    if (!nd->w[W_QKV]) {
        *q = clamp(m, wick_mlx_linear(m, nd->w[W_Q], x, n, nd->v[V_Q]), o->clip_qkv);
        if (o->kv_shared) return;
        *k = clamp(m, wick_mlx_linear(m, nd->w[W_K], x, n, nd->v[V_K]), o->clip_qkv);
        *v = clamp(m, wick_mlx_linear(m, nd->w[W_V], x, n, nd->v[V_V]), o->clip_qkv);
        return;
    }
    int width = (int)nd->w[W_QKV]->n_out, at_v = width - (int)(o->n_kv_head * o->v_head_dim);
    int at_k = at_v - (int)(o->n_kv_head * o->head_dim);
    mlx_array all = clamp(m, wick_mlx_linear(m, nd->w[W_QKV], x, n, nd->v[V_Q]), o->clip_qkv);
    *q = wick_mx_cut(g, all, MX_DIMS((int)n, width), 1, 0, at_k);
    *k = wick_mx_cut(g, all, MX_DIMS((int)n, width), 1, at_k, at_v);
    *v = wick_mx_cut(g, all, MX_DIMS((int)n, width), 1, at_v, width);
}

/* Nothing happens to q and k but the same rotation: then they can be turned as heads of one array, in one call. */
static bool together(const wick_mlx_node *nd)
{
    const wick_op_attn *o = &nd->op->u.attn;
    return nd->w[W_QKV] && o->rope && !o->q_norm && !o->k_norm && !o->v_norm && !o->out_gate &&
           o->v_head_dim == o->head_dim;
}

static void rotate_together(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x, mlx_array *q, mlx_array *k,
                            mlx_array *v)
{
    const wick_op_attn *o = &nd->op->u.attn;
    wick_graph *g = &m->g;
    uint32_t n = m->step.n, turned = o->n_head + o->n_kv_head, heads = turned + o->n_kv_head;
    bool one = one_sequence(&m->step);
    int b = one ? 1 : (int)n, t = one ? (int)n : 1, d = (int)o->head_dim, at_k = (int)o->n_head, at_v = (int)turned;
    mlx_array all = clamp(m, wick_mlx_linear(m, nd->w[W_QKV], x, n, nd->v[V_Q]), o->clip_qkv);
    all = lay(m, all, heads, o->head_dim);
    mlx_array qk = wick_mx_cut(g, all, MX_DIMS(b, (int)heads, t, d), 1, 0, at_v);
    qk = wick_mlx_rope(m, o->rope, nd->v[V_FREQS], nd->v[V_MSCALE], qk, n, turned, o->head_dim);
    *q = wick_mx_cut(g, qk, MX_DIMS(b, at_v, t, d), 1, 0, at_k);
    *k = wick_mx_cut(g, qk, MX_DIMS(b, at_v, t, d), 1, at_k, at_v);
    *v = wick_mx_cut(g, all, MX_DIMS(b, (int)heads, t, d), 1, at_v, (int)heads);
}

mlx_array wick_mlx_attn(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x)
{
    const wick_op_attn *o = &nd->op->u.attn;
    wick_graph *g = &m->g;
    uint32_t rows = m->step.n;
    int n = (int)rows, h = (int)o->n_head, d = (int)o->head_dim;
    mlx_array gate = {0}, q, k = {0}, v = {0};
    if (together(nd)) {
        rotate_together(m, nd, x, &q, &k, &v);
        if (o->temp_beta != 0.0F && o->temp_len) q = wick_mx_multiply(g, q, temperatures(m, o));
        return wick_mlx_linear(m, nd->w[W_O], attend(m, nd, q, k, v), rows, nd->v[V_O]);
    }
    project(m, nd, x, &q, &k, &v);
    if (o->out_gate) {
        mlx_array both = wick_mx_reshape(g, q, MX_DIMS(n, h, 2 * d));
        q = wick_mx_cut(g, both, MX_DIMS(n, h, 2 * d), 2, 0, d);
        gate = wick_mx_reshape(g, wick_mx_cut(g, both, MX_DIMS(n, h, 2 * d), 2, d, 2 * d), MX_DIMS(n, h * d));
    }
    q = place(m, nd, q, nd->v[V_QN], o->n_head);
    if (o->temp_beta != 0.0F && o->temp_len) q = wick_mx_multiply(g, q, temperatures(m, o));
    if (!o->kv_shared) {
        k = place(m, nd, k, nd->v[V_KN], o->n_kv_head);
        if (o->v_norm) {
            mlx_array none = {0};
            v = wick_mx_reshape(g, v, MX_DIMS(n, (int)o->n_kv_head, (int)o->v_head_dim));
            v = wick_mx_rms_norm(g, v, none, o->qk_norm_eps);
        }
        v = lay(m, v, o->n_kv_head, o->v_head_dim);
    }
    mlx_array y = attend(m, nd, q, k, v);
    if (gate.ctx) y = wick_mx_multiply(g, y, wick_mx_sigmoid(g, gate));
    return wick_mlx_linear(m, nd->w[W_O], y, rows, nd->v[V_O]);
}

/* x [n][head][dim] through one matrix per head -> [n][head][out] */
static mlx_array per_head(wick_backend_model *m, const wick_mlx_lin *l, mlx_array x, uint32_t n_head)
{
    wick_graph *g = &m->g;
    static const int axes[] = {1, 0, 2};
    mlx_array none = {0};
    if (n_head == 1)
        return wick_mx_reshape(
            g, wick_mlx_linear(m, l, wick_mx_reshape(g, x, MX_DIMS((int)m->step.n, (int)l->n_in)), m->step.n, none),
            MX_DIMS((int)m->step.n, 1, (int)l->n_out));
    return wick_mx_transpose(g, wick_mlx_linear(m, l, wick_mx_transpose(g, x, axes, 3), m->step.n, none), axes, 3);
}

/* Queries are taken to the latent space, so that the cache is both K and V for one KV head. */
mlx_array wick_mlx_mla(wick_backend_model *m, const wick_mlx_node *nd, mlx_array x)
{
    const wick_op_mla *o = &nd->op->u.mla;
    wick_graph *g = &m->g;
    uint32_t rows = m->step.n, rank = o->kv_rank;
    int n = (int)rows, h = (int)o->n_head, nope = (int)o->nope_dim, rd = (int)o->rope_dim, r = (int)rank;
    mlx_array none = {0}, q = x, part[2];
    if (o->q_rank) {
        q = wick_mlx_linear(m, nd->w[W_QA], x, rows, nd->v[V_Q]);
        q = wick_mx_rms_norm(g, q, nd->v[V_QN], o->norm_eps);
    }
    q = wick_mx_reshape(g, wick_mlx_linear(m, nd->w[W_Q], q, rows, none), MX_DIMS(n, h, nope + rd));
    mlx_array q_nope = wick_mx_cut(g, q, MX_DIMS(n, h, nope + rd), 2, 0, nope);
    mlx_array q_rope = lay(m, wick_mx_cut(g, q, MX_DIMS(n, h, nope + rd), 2, nope, nope + rd), o->n_head, o->rope_dim);
    mlx_array kv = wick_mlx_linear(m, nd->w[W_KVA], x, rows, nd->v[V_K]);
    mlx_array latent = wick_mx_rms_norm(g, wick_mx_cut(g, kv, MX_DIMS(n, r + rd), 1, 0, r), nd->v[V_KN], o->norm_eps);
    mlx_array k_rope = lay(m, wick_mx_cut(g, kv, MX_DIMS(n, r + rd), 1, r, r + rd), 1, o->rope_dim);
    if (o->rope) {
        q_rope = wick_mlx_rope(m, o->rope, nd->v[V_FREQS], nd->v[V_MSCALE], q_rope, rows, o->n_head, o->rope_dim);
        k_rope = wick_mlx_rope(m, o->rope, nd->v[V_FREQS], nd->v[V_MSCALE], k_rope, rows, 1, o->rope_dim);
    }
    part[0] = lay(m, per_head(m, nd->w[W_KB], q_nope, o->n_head), o->n_head, rank);
    part[1] = q_rope;
    q = wick_mx_concat(g, part, 2, 3);
    part[0] = lay(m, latent, 1, rank);
    part[1] = k_rope;
    mlx_array k = wick_mx_concat(g, part, 2, 3), *out = wick_alloc((m->step.n_groups + 1) * sizeof *out), y;
    if (!out) {
        g->failed = true;
        return none;
    }
    uint32_t width = rank + o->rope_dim;
    for (uint32_t i = 0; i < m->step.n_groups; i++) {
        const wick_group *gr = &m->step.group[i];
        uint32_t from, to = gr->len + (gr->n_seqs > 1 ? 1 : gr->n_tokens);
        const char *mode;
        wick_mlx_kv_write(m, gr, o->cache, cut_group(m, gr, k, 1, width), none);
        mlx_array mask = wick_mlx_mask(m, i, 0, &from, &mode), qg = cut_group(m, gr, q, o->n_head, width);
        if (wick_mlx_kv_multiplies(m, gr, o->cache)) {
            wick_mlx_scores how = {o->cache, o->n_head, 1, width, rank, o->scale, 0.0F, from, to, mode, mask, none};
            y = wick_mlx_score(m, gr, &how, qg);
        } else {
            mlx_array kg = wick_mlx_kv_read(m, gr, o->cache, 0, from, to);
            mlx_array vg = wick_mx_cut(g, kg, MX_DIMS((int)gr->n_seqs, 1, (int)(to - from), (int)width), 3, 0, r);
            y = wick_mx_attention(g, qg, kg, vg, o->scale, mode, mask, none);
        }
        out[i] = rows_of(m, gr, y, o->n_head * rank);
    }
    y = m->step.n_groups == 1 ? out[0] : wick_mx_concat(g, out, m->step.n_groups, 0);
    wick_free(out);
    y = per_head(m, nd->w[W_VB], wick_mx_reshape(g, y, MX_DIMS(n, h, r)), o->n_head);
    y = wick_mx_reshape(g, y, MX_DIMS(n, h * (int)o->v_dim));
    return wick_mlx_linear(m, nd->w[W_O], y, rows, nd->v[V_O]);
}
