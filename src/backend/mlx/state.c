/* backend/mlx/state.c - mixers with a recurrent state: CONV, MAMBA1, MAMBA2, DELTA. Their formulas are in model/plan.h.
 *
 * A group's rows are [b][t][width], b sequences of t tokens. A state is one row of floats: first the convolution's last
 * inputs, oldest first, then the recurrent part. Convolutions and MAMBA2 (in blocks) work on all tokens at once; MAMBA1
 * and DELTA go token by token, a few ops each: right, but slow for long prompts.
 */
#include <math.h>

#include "backend/mlx/mlx.h"

enum { BLOCK = 64 }; /* tokens of MAMBA2 that are worked on at once */

typedef struct span { /* the group at work */
    const wick_group *gr;
    int b, t;
} span;

static span span_of(const wick_group *gr)
{
    return (span){gr, (int)gr->n_seqs, gr->n_seqs > 1 ? 1 : (int)gr->n_tokens};
}

/* The group's rows of x [n][width], as [b][t][width] */
static mlx_array rows_in(wick_backend_model *m, const span *s, mlx_array x, int width)
{
    wick_graph *g = &m->g;
    int first = (int)s->gr->first, n = (int)s->gr->n_tokens;
    x = wick_mx_cut(g, x, MX_DIMS((int)m->step.n, width), 0, first, first + n);
    return wick_mx_reshape(g, x, MX_DIMS(s->b, s->t, width));
}

static mlx_array f32(wick_backend_model *m, mlx_array x)
{
    return m->act == MLX_FLOAT32 ? x : wick_mx_astype(&m->g, x, MLX_FLOAT32);
}

static mlx_array narrow(wick_backend_model *m, mlx_array x)
{
    return m->act == MLX_FLOAT32 ? x : wick_mx_astype(&m->g, x, m->act);
}

static mlx_array silu(wick_graph *g, mlx_array x)
{
    return wick_mx_multiply(g, x, wick_mx_sigmoid(g, x));
}

static mlx_array softplus(wick_graph *g, mlx_array x) /* float32 */
{
    return wick_mx_logaddexp(g, x, wick_mx_scalar(g, 0.0F, MLX_FLOAT32));
}

/* x [..][width] -> columns [from, to) of an array of three dimensions */
static mlx_array columns(wick_backend_model *m, const span *s, mlx_array x, int width, int from, int to)
{
    return wick_mx_cut(&m->g, x, MX_DIMS(s->b, s->t, width), 2, from, to);
}

/* Depthwise causal convolution of x [b][t][channels] with the state's tail; *tail is the new one, [b][floats]
 * float32. */
static mlx_array convolve(wick_backend_model *m, const wick_mlx_node *n, const span *s, uint32_t cache, mlx_array x,
                          int channels, int kernel, mlx_array *tail)
{
    wick_graph *g = &m->g;
    int keep = kernel - 1, all = keep + s->t;
    mlx_array both[2], y = {0};
    both[0] = wick_mlx_state_read(m, s->gr, cache, 0, (uint32_t)(keep * channels));
    both[0] = narrow(m, wick_mx_reshape(g, both[0], MX_DIMS(s->b, keep, channels)));
    both[1] = x;
    x = keep ? wick_mx_concat(g, both, 2, 1) : x;
    for (int k = 0; k < kernel; k++) {
        mlx_array w = wick_mx_cut(g, n->v[V_CONV], MX_DIMS(kernel, channels), 0, k, k + 1);
        mlx_array part = wick_mx_multiply(g, wick_mx_cut(g, x, MX_DIMS(s->b, all, channels), 1, k, k + s->t), w);
        y = k ? wick_mx_add(g, y, part) : part;
    }
    *tail = f32(m, wick_mx_cut(g, x, MX_DIMS(s->b, all, channels), 1, s->t, all));
    *tail = wick_mx_reshape(g, *tail, MX_DIMS(s->b, keep * channels));
    return n->v[V_CONV_B].ctx ? wick_mx_add(g, y, n->v[V_CONV_B]) : y;
}

static void write_state(wick_backend_model *m, const span *s, uint32_t cache, mlx_array tail, mlx_array h, int floats)
{
    mlx_array both[2] = {tail, wick_mx_reshape(&m->g, h, MX_DIMS(s->b, floats))};
    wick_mlx_state_write(m, s->gr, cache, wick_mx_concat(&m->g, both, 2, 1));
}

typedef mlx_array (*group_fn)(wick_backend_model *m, const wick_mlx_node *n, const span *s, const mlx_array *in);

/* fn for every group on its rows of the inputs; the results, [b][t][width], as rows [n][width] */
static mlx_array each_group(wick_backend_model *m, const wick_mlx_node *n, group_fn fn, const mlx_array *in, int width)
{
    wick_graph *g = &m->g;
    mlx_array *part = wick_alloc((m->step.n_groups + 1) * sizeof *part), y = {0};
    if (!part) {
        g->failed = true;
        return y;
    }
    for (uint32_t i = 0; i < m->step.n_groups; i++) {
        span s = span_of(&m->step.group[i]);
        part[i] = wick_mx_reshape(g, fn(m, n, &s, in), MX_DIMS(s.b * s.t, width));
    }
    y = m->step.n_groups == 1 ? part[0] : wick_mx_concat(g, part, m->step.n_groups, 0);
    wick_free(part);
    return y;
}

static mlx_array conv_group(wick_backend_model *m, const wick_mlx_node *n, const span *s, const mlx_array *in)
{
    const wick_op_conv *o = &n->op->u.conv;
    wick_graph *g = &m->g;
    int c = (int)o->n_channels;
    mlx_array tail, bcx = rows_in(m, s, in[0], 3 * c);
    mlx_array u = wick_mx_multiply(g, columns(m, s, bcx, 3 * c, 0, c), columns(m, s, bcx, 3 * c, 2 * c, 3 * c));
    mlx_array y = convolve(m, n, s, o->cache, u, c, (int)o->kernel, &tail);
    wick_mlx_state_write(m, s->gr, o->cache, tail);
    return wick_mx_multiply(g, y, columns(m, s, bcx, 3 * c, c, 2 * c));
}

mlx_array wick_mlx_conv(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    const wick_op_conv *o = &n->op->u.conv;
    mlx_array in = wick_mlx_linear(m, n->w[W_IN], x, m->step.n, n->v[V_B_IN]);
    mlx_array y = each_group(m, n, conv_group, &in, (int)o->n_channels);
    return wick_mlx_linear(m, n->w[W_OUT], y, m->step.n, n->v[V_B_OUT]);
}

/* [b][t][..] -> the token at t, without that dimension: [b][a][c] */
static mlx_array at_token(wick_backend_model *m, const span *s, mlx_array x, int token, int a, int c)
{
    wick_graph *g = &m->g;
    x = wick_mx_cut(g, x, MX_DIMS(s->b, s->t, a, c), 1, token, token + 1);
    return wick_mx_reshape(g, x, MX_DIMS(s->b, a, c));
}

static mlx_array inner_norm(wick_backend_model *m, const wick_op_mamba *o, mlx_array x, mlx_array w)
{
    return w.ctx ? wick_mx_rms_norm(&m->g, x, w, o->norm_eps) : x;
}

static mlx_array mamba1_group(wick_backend_model *m, const wick_mlx_node *n, const span *s, const mlx_array *in)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    wick_graph *g = &m->g;
    int d = (int)o->d_inner, ds = (int)o->d_state, rank = (int)o->dt_rank, keep = (int)(o->kernel - 1) * d;
    mlx_array tail, none = {0}, xz = rows_in(m, s, in[0], 2 * d), *ys = wick_alloc((size_t)s->t * sizeof *ys);
    if (!ys) {
        g->failed = true;
        return none;
    }
    mlx_array x = silu(g, convolve(m, n, s, o->cache, columns(m, s, xz, 2 * d, 0, d), d, (int)o->kernel, &tail));
    mlx_array z = columns(m, s, xz, 2 * d, d, 2 * d);
    uint32_t rows = (uint32_t)(s->b * s->t);
    int w = rank + 2 * ds;
    mlx_array dbc = wick_mlx_linear(m, n->w[W_X], wick_mx_reshape(g, x, MX_DIMS((int)rows, d)), rows, none);
    mlx_array dt = inner_norm(m, o, wick_mx_cut(g, dbc, MX_DIMS((int)rows, w), 1, 0, rank), n->v[V_DT_NORM]);
    mlx_array bb = inner_norm(m, o, wick_mx_cut(g, dbc, MX_DIMS((int)rows, w), 1, rank, rank + ds), n->v[V_B_NORM]);
    mlx_array cc = inner_norm(m, o, wick_mx_cut(g, dbc, MX_DIMS((int)rows, w), 1, rank + ds, w), n->v[V_C_NORM]);
    dt = softplus(g, f32(m, wick_mlx_linear(m, n->w[W_DT], dt, rows, n->v[V_B_DT])));
    mlx_array x4 = wick_mx_reshape(g, f32(m, x), MX_DIMS(s->b, s->t, d, 1));
    dt = wick_mx_reshape(g, dt, MX_DIMS(s->b, s->t, d, 1));
    mlx_array dtx = wick_mx_multiply(g, dt, x4);
    bb = wick_mx_reshape(g, f32(m, bb), MX_DIMS(s->b, s->t, 1, ds));
    cc = wick_mx_reshape(g, f32(m, cc), MX_DIMS(s->b, s->t, ds, 1));
    mlx_array h = wick_mlx_state_read(m, s->gr, o->cache, (uint32_t)keep, (uint32_t)(keep + d * ds));
    h = wick_mx_reshape(g, h, MX_DIMS(s->b, d, ds));
    for (int t = 0; t < s->t; t++) {
        mlx_array decay = wick_mx_exp(g, wick_mx_multiply(g, at_token(m, s, dt, t, d, 1), n->v[V_A]));
        mlx_array add = wick_mx_multiply(g, at_token(m, s, dtx, t, d, 1), at_token(m, s, bb, t, 1, ds));
        h = wick_mx_add(g, wick_mx_multiply(g, decay, h), add);
        ys[t] = wick_mx_reshape(g, wick_mx_matmul(g, h, at_token(m, s, cc, t, ds, 1)), MX_DIMS(s->b, 1, d));
    }
    mlx_array y = s->t == 1 ? ys[0] : wick_mx_concat(g, ys, (size_t)s->t, 1);
    wick_free(ys);
    write_state(m, s, o->cache, tail, h, d * ds);
    y = wick_mx_add(g, y, wick_mx_multiply(g, n->v[V_D], f32(m, x)));
    return wick_mx_multiply(g, narrow(m, y), silu(g, z));
}

mlx_array wick_mlx_mamba1(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    mlx_array in = wick_mlx_linear(m, n->w[W_IN], x, m->step.n, n->v[V_B_IN]);
    mlx_array y = each_group(m, n, mamba1_group, &in, (int)n->op->u.mamba.d_inner);
    return wick_mlx_linear(m, n->w[W_OUT], y, m->step.n, n->v[V_B_OUT]);
}

/* What a block of MAMBA2 is given, all float32: [b][head][k][..]; c and b by group. */
typedef struct block {
    mlx_array dtx, da, b, c; /* [b][h][k][p], [b][h][k], [b][g][k][s], [b][g][k][s] */
    int k;
} block;

/* Sums of a over the tokens up to each, by a product with a triangle of ones: [b][h][k] */
static mlx_array running_sum(wick_graph *g, mlx_array a, int k, mlx_array *upto)
{
    mlx_array i = wick_mx_reshape(g, wick_mx_arange(g, 0, k), MX_DIMS(k, 1)),
              j = wick_mx_reshape(g, wick_mx_arange(g, 0, k), MX_DIMS(1, k));
    *upto = wick_mx_less_equal(g, j, i); /* [i][j]: token j counts for i */
    return wick_mx_matmul(g, a, wick_mx_astype(g, wick_mx_less_equal(g, i, j), MLX_FLOAT32));
}

/* One block: y [b][h][k][p]; *h [b][head][p][s] moves to its end. Inside a block the recurrence is an attention whose
 * weights are products of decays, exp(sum_i - sum_j). */
static mlx_array mamba2_block(wick_backend_model *m, const wick_op_mamba *o, int nb, const block *k, mlx_array *h)
{
    wick_graph *g = &m->g;
    int heads = (int)o->n_head, ng = (int)o->n_group, per = heads / ng, p = (int)o->head_dim, s = (int)o->d_state,
        n = k->k;
    static const int swap[] = {0, 1, 3, 2};
    mlx_array upto, sum = running_sum(g, wick_mx_reshape(g, k->da, MX_DIMS(nb, heads, n)), n, &upto);
    mlx_array at_i = wick_mx_reshape(g, sum, MX_DIMS(nb, heads, n, 1)),
              at_j = wick_mx_reshape(g, sum, MX_DIMS(nb, heads, 1, n));
    mlx_array gap = wick_mx_where(g, upto, wick_mx_subtract(g, at_i, at_j), wick_mx_scalar(g, -1e30F, MLX_FLOAT32));
    mlx_array cb =
        wick_mx_reshape(g, wick_mx_matmul(g, k->c, wick_mx_transpose(g, k->b, swap, 4)), MX_DIMS(nb, ng, 1, n, n));
    mlx_array weight = wick_mx_multiply(g, wick_mx_reshape(g, wick_mx_exp(g, gap), MX_DIMS(nb, ng, per, n, n)), cb);
    mlx_array y = wick_mx_matmul(g, wick_mx_reshape(g, weight, MX_DIMS(nb, heads, n, n)), k->dtx);
    /* what was there before: exp(sum_i) C_i h */
    static const int swap5[] = {0, 1, 2, 4, 3};
    mlx_array h5 = wick_mx_reshape(g, *h, MX_DIMS(nb, ng, per, p, s));
    mlx_array c5 = wick_mx_reshape(g, k->c, MX_DIMS(nb, ng, 1, n, s));
    mlx_array old =
        wick_mx_reshape(g, wick_mx_matmul(g, c5, wick_mx_transpose(g, h5, swap5, 5)), MX_DIMS(nb, heads, n, p));
    y = wick_mx_add(g, y, wick_mx_multiply(g, wick_mx_exp(g, at_i), old));
    /* and the state at the end: exp(sum_last) h + sum over j of exp(sum_last - sum_j) dtx_j B_j */
    mlx_array last = wick_mx_cut(g, sum, MX_DIMS(nb, heads, n), 2, n - 1, n);
    mlx_array left = wick_mx_exp(g, wick_mx_reshape(g, wick_mx_subtract(g, last, sum), MX_DIMS(nb, heads, n, 1)));
    mlx_array scaled = wick_mx_transpose(g, wick_mx_multiply(g, k->dtx, left), swap, 4); /* [b][h][p][k] */
    mlx_array add = wick_mx_matmul(g, wick_mx_reshape(g, scaled, MX_DIMS(nb, ng, per, p, n)),
                                   wick_mx_reshape(g, k->b, MX_DIMS(nb, ng, 1, n, s)));
    mlx_array decay = wick_mx_exp(g, wick_mx_reshape(g, last, MX_DIMS(nb, heads, 1, 1)));
    *h = wick_mx_add(g, wick_mx_multiply(g, decay, *h), wick_mx_reshape(g, add, MX_DIMS(nb, heads, p, s)));
    return y;
}

/* x [b][t][heads * dim] float32 -> [b][heads][t][dim] */
static mlx_array by_head(wick_graph *g, const span *s, mlx_array x, int heads, int dim)
{
    static const int axes[] = {0, 2, 1, 3};
    return wick_mx_transpose(g, wick_mx_reshape(g, x, MX_DIMS(s->b, s->t, heads, dim)), axes, 4);
}

static mlx_array mamba2_scan(wick_backend_model *m, const wick_op_mamba *o, const span *s, const block *whole,
                             mlx_array *h)
{
    wick_graph *g = &m->g;
    int heads = (int)o->n_head, ng = (int)o->n_group, p = (int)o->head_dim, ds = (int)o->d_state;
    int n_blocks = (s->t + BLOCK - 1) / BLOCK;
    mlx_array *ys = wick_alloc((size_t)n_blocks * sizeof *ys), y = {0};
    if (!ys) {
        g->failed = true;
        return y;
    }
    for (int i = 0; i < n_blocks; i++) {
        int from = i * BLOCK, to = from + BLOCK < s->t ? from + BLOCK : s->t;
        block k = {.k = to - from,
                   .dtx = wick_mx_cut(g, whole->dtx, MX_DIMS(s->b, heads, s->t, p), 2, from, to),
                   .da = wick_mx_cut(g, whole->da, MX_DIMS(s->b, heads, s->t, 1), 2, from, to),
                   .b = wick_mx_cut(g, whole->b, MX_DIMS(s->b, ng, s->t, ds), 2, from, to),
                   .c = wick_mx_cut(g, whole->c, MX_DIMS(s->b, ng, s->t, ds), 2, from, to)};
        ys[i] = mamba2_block(m, o, s->b, &k, h);
    }
    y = n_blocks == 1 ? ys[0] : wick_mx_concat(g, ys, (size_t)n_blocks, 2);
    wick_free(ys);
    return y;
}

static mlx_array gated(wick_backend_model *m, const wick_mlx_node *n, const span *s, mlx_array y, mlx_array z)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    wick_graph *g = &m->g;
    int d = (int)o->d_inner, width = n->v[V_NORM].ctx ? (int)o->norm_group : d;
    mlx_array none = {0}, w = n->v[V_NORM];
    y = wick_mx_reshape(g, y, MX_DIMS(s->b, s->t, d / width, width));
    z = silu(g, wick_mx_reshape(g, z, MX_DIMS(s->b, s->t, d / width, width)));
    if (!w.ctx) return wick_mx_multiply(g, y, z);
    if (o->norm_before_gate)
        return wick_mx_multiply(g, wick_mx_multiply(g, wick_mx_rms_norm(g, y, none, o->norm_eps), w), z);
    return wick_mx_multiply(g, wick_mx_rms_norm(g, wick_mx_multiply(g, y, z), none, o->norm_eps), w);
}

static mlx_array mamba2_group(wick_backend_model *m, const wick_mlx_node *n, const span *s, const mlx_array *in)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    wick_graph *g = &m->g;
    int d = (int)o->d_inner, ds = (int)o->d_state, ng = (int)o->n_group, h = (int)o->n_head, p = (int)o->head_dim;
    int conv = d + 2 * ng * ds, all = d + conv + h, keep = (int)(o->kernel - 1) * conv;
    static const int back[] = {0, 2, 1, 3};
    mlx_array tail, zxdt = rows_in(m, s, in[0], all);
    mlx_array xbc = convolve(m, n, s, o->cache, columns(m, s, zxdt, all, d, d + conv), conv, (int)o->kernel, &tail);
    xbc = f32(m, silu(g, xbc));
    mlx_array dt = wick_mx_add(g, f32(m, columns(m, s, zxdt, all, d + conv, all)), n->v[V_B_DT]);
    dt = wick_mx_maximum(g, softplus(g, dt), wick_mx_scalar(g, o->dt_min, MLX_FLOAT32));
    if (o->dt_max > 0.0F) dt = wick_mx_minimum(g, dt, wick_mx_scalar(g, o->dt_max, MLX_FLOAT32));
    mlx_array x = by_head(g, s, columns(m, s, xbc, conv, 0, d), h, p);
    mlx_array dt4 = by_head(g, s, dt, h, 1);
    block whole = {.k = s->t,
                   .dtx = wick_mx_multiply(g, x, dt4),
                   .da = by_head(g, s, wick_mx_multiply(g, dt, n->v[V_A]), h, 1),
                   .b = by_head(g, s, columns(m, s, xbc, conv, d, d + ng * ds), ng, ds),
                   .c = by_head(g, s, columns(m, s, xbc, conv, d + ng * ds, conv), ng, ds)};
    mlx_array state = wick_mlx_state_read(m, s->gr, o->cache, (uint32_t)keep, (uint32_t)(keep + d * ds));
    state = wick_mx_reshape(g, state, MX_DIMS(s->b, h, p, ds));
    mlx_array y = mamba2_scan(m, o, s, &whole, &state);
    write_state(m, s, o->cache, tail, state, d * ds);
    y = wick_mx_add(g, y, wick_mx_multiply(g, x, wick_mx_reshape(g, n->v[V_D], MX_DIMS(1, h, 1, 1))));
    y = narrow(m, wick_mx_reshape(g, wick_mx_transpose(g, y, back, 4), MX_DIMS(s->b, s->t, d)));
    return gated(m, n, s, y, columns(m, s, zxdt, all, 0, d));
}

mlx_array wick_mlx_mamba2(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    wick_graph *g = &m->g;
    mlx_array none = {0}, mul = n->v[V_IN_MUL];
    mlx_array in = wick_mlx_linear(m, n->w[W_IN], x, m->step.n, mul.ctx ? none : n->v[V_B_IN]);
    if (mul.ctx) in = wick_mx_multiply(g, in, mul);
    if (mul.ctx && n->v[V_B_IN].ctx) in = wick_mx_add(g, in, n->v[V_B_IN]);
    mlx_array y = each_group(m, n, mamba2_group, &in, (int)n->op->u.mamba.d_inner);
    return wick_mlx_linear(m, n->w[W_OUT], y, m->step.n, n->v[V_B_OUT]);
}

/* x [b][t][n_k_head][dim] to length 1 (times scale), each key head once for each of its value heads:
 * [b][t][n_v_head][dim] */
static mlx_array unit_heads(wick_backend_model *m, const wick_op_delta *o, const span *s, mlx_array x, float scale)
{
    wick_graph *g = &m->g;
    int kh = (int)o->n_k_head, d = (int)o->k_dim, r = (int)(o->n_v_head / o->n_k_head);
    mlx_array none = {0};
    /* 1 / sqrt(sum + eps) = 1 / (sqrt(dim) sqrt(mean + eps / dim)) */
    x = wick_mx_rms_norm(g, wick_mx_reshape(g, x, MX_DIMS(s->b, s->t, kh, d)), none, 1e-6F / (float)d);
    x = wick_mx_multiply(g, x, wick_mx_scalar(g, scale, MLX_FLOAT32));
    if (o->tiled)
        x = wick_mx_broadcast(g, wick_mx_reshape(g, x, MX_DIMS(s->b * s->t, 1, kh, d)), MX_DIMS(s->b * s->t, r, kh, d));
    else
        x = wick_mx_broadcast(g, wick_mx_reshape(g, x, MX_DIMS(s->b * s->t, kh, 1, d)), MX_DIMS(s->b * s->t, kh, r, d));
    return wick_mx_reshape(g, x, MX_DIMS(s->b, s->t, kh * r, d));
}

/* Token t of x [b][t][heads][dim] as a column or a row: [b][heads][a][c] */
static mlx_array token_of(wick_backend_model *m, const span *s, mlx_array x, int t, int heads, int a, int c)
{
    wick_graph *g = &m->g;
    x = wick_mx_cut(g, x, MX_DIMS(s->b, s->t, heads, a * c), 1, t, t + 1);
    return wick_mx_reshape(g, x, MX_DIMS(s->b, heads, a, c));
}

typedef struct delta_in {
    mlx_array q, k, v, decay, beta; /* float32: [b][t][n_v_head][k_dim, k_dim, v_dim, 1, 1] */
} delta_in;

static mlx_array delta_scan(wick_backend_model *m, const wick_op_delta *o, const span *s, const delta_in *in,
                            mlx_array *h)
{
    wick_graph *g = &m->g;
    int heads = (int)o->n_v_head, kd = (int)o->k_dim, vd = (int)o->v_dim;
    mlx_array *ys = wick_alloc((size_t)s->t * sizeof *ys), y = {0};
    if (!ys) {
        g->failed = true;
        return y;
    }
    for (int t = 0; t < s->t; t++) {
        mlx_array k_col = token_of(m, s, in->k, t, heads, kd, 1), k_row = token_of(m, s, in->k, t, heads, 1, kd);
        mlx_array kept = wick_mx_multiply(g, *h, token_of(m, s, in->decay, t, heads, 1, 1));
        mlx_array e = wick_mx_subtract(g, token_of(m, s, in->v, t, heads, vd, 1), wick_mx_matmul(g, kept, k_col));
        e = wick_mx_multiply(g, e, token_of(m, s, in->beta, t, heads, 1, 1));
        *h = wick_mx_add(g, kept, wick_mx_multiply(g, e, k_row));
        ys[t] = wick_mx_reshape(g, wick_mx_matmul(g, *h, token_of(m, s, in->q, t, heads, kd, 1)),
                                MX_DIMS(s->b, 1, heads, vd));
    }
    y = s->t == 1 ? ys[0] : wick_mx_concat(g, ys, (size_t)s->t, 1);
    wick_free(ys);
    return y;
}

/* q, k, v side by side, z, b and a of the group's rows; in: the products of in_qkv, in_z, in_b, in_a. */
static void delta_parts(wick_backend_model *m, const wick_op_delta *o, const span *s, const mlx_array in[4],
                        mlx_array *qkv, mlx_array *z, mlx_array *b, mlx_array *a)
{
    wick_graph *g = &m->g;
    int kh = (int)o->n_k_head, vh = (int)o->n_v_head, r = vh / kh, kd = (int)o->k_dim, vd = (int)o->v_dim;
    int key = kh * kd, value = vh * vd, group = 2 * kd + 2 * r * vd;
    if (o->in_z) {
        *qkv = rows_in(m, s, in[0], 2 * key + value);
        *z = rows_in(m, s, in[1], value);
    } else {
        mlx_array all = wick_mx_reshape(g, rows_in(m, s, in[0], 2 * key + 2 * value), MX_DIMS(s->b, s->t, kh, group)),
                  part[3];
#define HEADS(from, to, width) \
    wick_mx_reshape(g, wick_mx_cut(g, all, MX_DIMS(s->b, s->t, kh, group), 3, from, to), MX_DIMS(s->b, s->t, width))
        part[0] = HEADS(0, kd, key);
        part[1] = HEADS(kd, 2 * kd, key);
        part[2] = HEADS(2 * kd, 2 * kd + r * vd, value);
        *z = HEADS(2 * kd + r * vd, group, value);
#undef HEADS
        *qkv = wick_mx_concat(g, part, 3, 2);
    }
    if (o->in_a) {
        *b = f32(m, rows_in(m, s, in[2], vh));
        *a = f32(m, rows_in(m, s, in[3], vh));
        return;
    }
    mlx_array ba = f32(m, wick_mx_reshape(g, rows_in(m, s, in[2], 2 * vh), MX_DIMS(s->b, s->t, kh, 2 * r)));
    *b = wick_mx_cut(g, ba, MX_DIMS(s->b, s->t, kh, 2 * r), 3, 0, r);
    *a = wick_mx_reshape(g, wick_mx_cut(g, ba, MX_DIMS(s->b, s->t, kh, 2 * r), 3, r, 2 * r), MX_DIMS(s->b, s->t, vh));
}

static mlx_array delta_group(wick_backend_model *m, const wick_mlx_node *n, const span *s, const mlx_array *in)
{
    const wick_op_delta *o = &n->op->u.delta;
    wick_graph *g = &m->g;
    int vh = (int)o->n_v_head, kd = (int)o->k_dim, vd = (int)o->v_dim;
    int key = (int)o->n_k_head * kd, value = vh * vd, conv = 2 * key + value;
    mlx_array qkv, z, a, b, tail;
    delta_parts(m, o, s, in, &qkv, &z, &b, &a);
    mlx_array x = convolve(m, n, s, o->cache, qkv, conv, (int)o->kernel, &tail);
    x = f32(m, silu(g, x));
    a = softplus(g, wick_mx_add(g, a, n->v[V_B_DT]));
    a = wick_mx_exp(g, wick_mx_multiply(g, n->v[V_A], a));
    b = wick_mx_sigmoid(g, b);
    float one = 1.0F / (float)kd, root = sqrtf(one); /* q is scaled by 1 / sqrt(k_dim) once more */
    delta_in d = {.q = unit_heads(m, o, s, columns(m, s, x, conv, 0, key), one),
                  .k = unit_heads(m, o, s, columns(m, s, x, conv, key, 2 * key), root),
                  .v = wick_mx_reshape(g, columns(m, s, x, conv, 2 * key, conv), MX_DIMS(s->b, s->t, vh, vd)),
                  .decay = wick_mx_reshape(g, a, MX_DIMS(s->b, s->t, vh, 1)),
                  .beta = wick_mx_reshape(g, b, MX_DIMS(s->b, s->t, vh, 1))};
    int keep = (int)(o->kernel - 1) * conv;
    mlx_array h = wick_mlx_state_read(m, s->gr, o->cache, (uint32_t)keep, (uint32_t)(keep + value * kd));
    h = wick_mx_reshape(g, h, MX_DIMS(s->b, vh, vd, kd));
    mlx_array y = delta_scan(m, o, s, &d, &h);
    write_state(m, s, o->cache, tail, h, value * kd);
    y = wick_mx_rms_norm(g, narrow(m, y), n->v[V_NORM], o->norm_eps);
    return wick_mx_multiply(g, y, silu(g, wick_mx_reshape(g, z, MX_DIMS(s->b, s->t, vh, vd))));
}

mlx_array wick_mlx_delta(wick_backend_model *m, const wick_mlx_node *n, mlx_array x)
{
    const wick_op_delta *o = &n->op->u.delta;
    mlx_array none = {0}, in[4] = {{0}};
    in[0] = wick_mlx_linear(m, n->w[W_IN], x, m->step.n, none);
    if (o->in_z) in[1] = wick_mlx_linear(m, n->w[W_Z], x, m->step.n, none);
    in[2] = wick_mlx_linear(m, n->w[W_X], x, m->step.n, none);
    if (o->in_a) in[3] = wick_mlx_linear(m, n->w[W_DT], x, m->step.n, none);
    mlx_array y = each_group(m, n, delta_group, in, (int)(o->n_v_head * o->v_dim));
    return wick_mlx_linear(m, n->w[W_OUT], y, m->step.n, none);
}
