/* backend/cpu/node_state.c - mixers with a recurrent state: CONV, MAMBA1, MAMBA2, DELTA. Their formulas are in
 * model/plan.h.
 *
 * A sequence's tokens go one after the other, always by the same steps, so a state does not depend on how the prompt
 * was cut. Threads share channels (or heads), and sequences. A state is first the last kernel - 1 inputs of the
 * convolution, [kernel - 1][channels], oldest first, then the recurrent part.
 */
#include <math.h>
#include <string.h>

#include "backend/cpu/cpu.h"

enum { CHANNELS = 64, MAX_KERNEL = 64 }; /* channels in a chunk of work */

typedef struct state_data {
    float *conv_w; /* [kernel][channels]: the plan's, the other way round */
} state_data;

static uint32_t divide_up(uint32_t n, uint32_t by)
{
    return (n + by - 1) / by;
}

/* Depthwise causal convolution of wide's columns [at, at + channels), in place, with silu if asked. */
static void convolve(wick_cpu_step *s, const wick_node *n, wick_lane *t, uint32_t cache, uint32_t at, uint32_t channels,
                     uint32_t kernel, const float *bias, bool silu)
{
    const state_data *d = n->data;
    const wick_rowops *r = s->m->row;
    uint32_t chunks = divide_up(channels, CHANNELS), from, to, tail = kernel - 1;
    while (wick_work(t, t->n_runs * chunks, 1, &from, &to)) {
        const wick_run *run = &t->run[from / chunks];
        uint32_t c0 = from % chunks * CHANNELS, w = channels - c0 < CHANNELS ? channels - c0 : CHANNELS;
        float *state = wick_seq_state(t->tok[run->first].seq, &s->m->kv.cache[cache]) + c0;
        float *x = s->wide + (size_t)run->first * n->width + at + c0, keep[MAX_KERNEL * CHANNELS], acc[CHANNELS];
        for (uint32_t k = 0; k < tail; k++) { /* the tail that the next step will need */
            uint32_t i = run->n + k;          /* among the old tail and the new rows */
            memcpy(keep + (size_t)k * w, i < tail ? state + (size_t)i * channels : x + (size_t)(i - tail) * n->width,
                   w * sizeof *acc);
        }
        for (uint32_t m = run->n; m-- > 0;) { /* backwards: a row is read by later rows only */
            for (uint32_t c = 0; c < w; c++) acc[c] = bias ? bias[c0 + c] : 0.0F;
            for (uint32_t k = 0; k < kernel; k++) {
                uint32_t i = m + k;
                const float *in = i < tail ? state + (size_t)i * channels : x + (size_t)(i - tail) * n->width;
                r->fma(acc, d->conv_w + (size_t)k * channels + c0, in, w);
            }
            if (silu) r->act(acc, NULL, w, WICK_ACT_SILU, 0, 0);
            memcpy(x + (size_t)m * n->width, acc, w * sizeof *acc);
        }
        for (uint32_t k = 0; k < tail; k++) memcpy(state + (size_t)k * channels, keep + (size_t)k * w, w * sizeof *acc);
    }
    wick_join(t);
}

static wick_status plan_conv(wick_backend_model *m, wick_node *n, const float *w, uint32_t channels, uint32_t kernel,
                             wick_err *err)
{
    state_data *d = wick_arena_array(&m->arena, 1, sizeof *d);
    if (d) d->conv_w = wick_arena_array(&m->arena, (size_t)channels * kernel, sizeof *d->conv_w);
    if (!d || !d->conv_w) return wick_err_oom(err, "the program", (uint64_t)channels * kernel * sizeof(float), 0);
    for (uint32_t c = 0; c < channels; c++)
        for (uint32_t k = 0; k < kernel; k++) d->conv_w[(size_t)k * channels + c] = w[(size_t)c * kernel + k];
    n->data = d;
    return WICK_OK;
}

static float softplus(float x)
{
    return (x > 0.0F ? x : 0.0F) + log1pf(expf(-fabsf(x)));
}

static void first_product(wick_cpu_step *s, const wick_node *n, wick_lane *t, uint32_t n_prods)
{
    const void *act = wick_prepare_source(s, n, t);
    wick_products(t, &n->in, act, n->prod, n_prods, s->wide, n->width);
    wick_join(t);
}

/* --- CONV. wide: B, C, x --- */

static void run_conv(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_conv *o = &n->op->u.conv;
    uint32_t c = o->n_channels, from, to;
    first_product(s, n, t, 1);
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width;
        s->m->row->mul(x, x + 2 * (size_t)c, c);
    }
    wick_join(t);
    convolve(s, n, t, o->cache, 0, c, o->kernel, o->conv_b, false);
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width;
        s->m->row->mul(x, x + c, c);
    }
    wick_join(t);
    const void *act = wick_prepare(s, t, &n->mid, s->wide, n->width);
    wick_product_out(s, n, t, &n->mid, act, &n->prod[1]);
}

wick_status wick_plan_conv(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_conv *o = &n->op->u.conv;
    n->run = run_conv;
    n->width = 3 * o->n_channels;
    WICK_TRY(plan_conv(m, n, o->conv_w, o->n_channels, o->kernel, err));
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->in, o->b_in, 0, err));
    return wick_prod_init(&n->prod[1], m, &n->mid, o->out, o->b_out, 0, err);
}

/* --- MAMBA1. wide: x, z [d_inner each], dt in, B, C [dt_rank + 2 d_state], dt [d_inner] --- */

static void norm_dt_b_c(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    const wick_rowops *r = s->m->row;
    uint32_t from, to;
    if (!o->dt_norm && !o->b_norm && !o->c_norm) return;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width + 2 * (size_t)o->d_inner, *b = x + o->dt_rank, *c = b + o->d_state;
        if (o->dt_norm) r->norm(x, x, o->dt_norm, NULL, o->dt_rank, o->norm_eps, WICK_NORM_RMS);
        if (o->b_norm) r->norm(b, b, o->b_norm, NULL, o->d_state, o->norm_eps, WICK_NORM_RMS);
        if (o->c_norm) r->norm(c, c, o->c_norm, NULL, o->d_state, o->norm_eps, WICK_NORM_RMS);
    }
    wick_join(t);
}

static void scan_channels(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    const wick_rowops *r = s->m->row;
    uint32_t chunks = divide_up(o->d_inner, CHANNELS), from, to;
    uint64_t b_at = 2 * (uint64_t)o->d_inner + o->dt_rank, dt_at = b_at + 2 * (uint64_t)o->d_state;
    while (wick_work(t, t->n_runs * chunks, 1, &from, &to)) {
        const wick_run *run = &t->run[from / chunks];
        uint32_t c0 = from % chunks * CHANNELS, w = o->d_inner - c0 < CHANNELS ? o->d_inner - c0 : CHANNELS;
        float *h =
            wick_seq_state(t->tok[run->first].seq, &s->m->kv.cache[o->cache]) + (uint64_t)(o->kernel - 1) * o->d_inner;
        for (uint32_t m = run->first; m < run->first + run->n; m++) {
            float *row = s->wide + (size_t)m * n->width, *x = row, *z = row + o->d_inner;
            for (uint32_t c = c0; c < c0 + w; c++) {
                float dt = softplus(row[dt_at + c]);
                x[c] = r->ssm(h + (size_t)c * o->d_state, o->a + (size_t)c * o->d_state, dt, dt * x[c], row + b_at,
                              row + b_at + o->d_state, o->d_state) +
                       o->d[c] * x[c];
            }
            r->act(z + c0, x + c0, w, WICK_ACT_SILU, 0, 0);
        }
    }
    wick_join(t);
}

static void run_mamba1(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    first_product(s, n, t, 1);
    convolve(s, n, t, o->cache, 0, o->d_inner, o->kernel, o->conv_b, true);
    const void *act = wick_prepare(s, t, &n->mid, s->wide, n->width);
    wick_products(t, &n->mid, act, &n->prod[1], 1, s->wide, n->width);
    wick_join(t);
    norm_dt_b_c(s, n, t);
    act = wick_prepare(s, t, &n->mid2, s->wide + 2 * (size_t)o->d_inner, n->width);
    wick_products(t, &n->mid2, act, &n->prod[2], 1, s->wide, n->width);
    wick_join(t);
    scan_channels(s, n, t);
    act = wick_prepare(s, t, &n->mid3, s->wide + o->d_inner, n->width);
    wick_product_out(s, n, t, &n->mid3, act, &n->prod[3]);
}

wick_status wick_plan_mamba1(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    uint32_t x_at = 2 * o->d_inner, dt_at = x_at + o->dt_rank + 2 * o->d_state;
    n->run = run_mamba1;
    n->width = dt_at + o->d_inner;
    WICK_TRY(plan_conv(m, n, o->conv_w, o->d_inner, o->kernel, err));
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->in, o->b_in, 0, err));
    WICK_TRY(wick_prod_init(&n->prod[1], m, &n->mid, o->x, NULL, x_at, err));
    WICK_TRY(wick_prod_init(&n->prod[2], m, &n->mid2, o->dt, o->b_dt, dt_at, err));
    return wick_prod_init(&n->prod[3], m, &n->mid3, o->out, o->b_out, 0, err);
}

/* --- MAMBA2. wide: z [d_inner], x [d_inner], B, C [n_group * d_state each], dt [n_head] --- */

static void scale_inputs(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    uint32_t from, to;
    if (!o->in_mul) return;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width;
        s->m->row->mul(x, o->in_mul, n->width);
        if (o->b_in) s->m->row->bias(x, o->b_in, n->width);
    }
    wick_join(t);
}

static void scan_heads(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    uint32_t bc = o->n_group * o->d_state, conv = o->d_inner + 2 * bc, from, to;
    while (wick_work(t, t->n_runs * o->n_head, 1, &from, &to)) {
        const wick_run *run = &t->run[from / o->n_head];
        uint32_t i = from % o->n_head, g = i / (o->n_head / o->n_group);
        float *h = wick_seq_state(t->tok[run->first].seq, &s->m->kv.cache[o->cache]) +
                   (uint64_t)(o->kernel - 1) * conv + (uint64_t)i * o->head_dim * o->d_state;
        for (uint32_t m = run->first; m < run->first + run->n; m++) {
            float *row = s->wide + (size_t)m * n->width, *x = row + o->d_inner + (size_t)i * o->head_dim;
            const float *b = row + 2 * (size_t)o->d_inner + (size_t)g * o->d_state, *c = b + bc;
            float dt = softplus(row[o->d_inner + conv + i] + o->b_dt[i]);
            dt = dt < o->dt_min ? o->dt_min : dt;
            dt = o->dt_max > 0.0F && dt > o->dt_max ? o->dt_max : dt;
            float decay = expf(dt * o->a[i]);
            for (uint32_t p = 0; p < o->head_dim; p++)
                x[p] = s->m->row->ssm(h + (size_t)p * o->d_state, NULL, decay, dt * x[p], b, c, o->d_state) +
                       o->d[i] * x[p];
        }
    }
    wick_join(t);
}

/* The gated norm; the result is where z was. */
static void gate_rows(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    const wick_rowops *r = s->m->row;
    uint32_t from, to, group = o->norm ? o->norm_group : o->d_inner;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *z = s->wide + (size_t)from * n->width, *y = z + o->d_inner;
        for (uint32_t c = 0; c < o->d_inner; c += group) {
            if (o->norm && o->norm_before_gate)
                r->norm(y + c, y + c, o->norm + c, NULL, group, o->norm_eps, WICK_NORM_RMS);
            r->act(z + c, y + c, group, WICK_ACT_SILU, 0, 0);
            if (o->norm && !o->norm_before_gate)
                r->norm(z + c, z + c, o->norm + c, NULL, group, o->norm_eps, WICK_NORM_RMS);
        }
    }
    wick_join(t);
}

static void run_mamba2(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    uint32_t conv = o->d_inner + 2 * o->n_group * o->d_state;
    first_product(s, n, t, 1);
    scale_inputs(s, n, t);
    convolve(s, n, t, o->cache, o->d_inner, conv, o->kernel, o->conv_b, true);
    scan_heads(s, n, t);
    gate_rows(s, n, t);
    const void *act = wick_prepare(s, t, &n->mid, s->wide, n->width);
    wick_product_out(s, n, t, &n->mid, act, &n->prod[1]);
}

wick_status wick_plan_mamba2(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_mamba *o = &n->op->u.mamba;
    uint32_t conv = o->d_inner + 2 * o->n_group * o->d_state;
    n->run = run_mamba2;
    n->width = o->d_inner + conv + o->n_head;
    WICK_TRY(plan_conv(m, n, o->conv_w, conv, o->kernel, err));
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->in, o->in_mul ? NULL : o->b_in, 0, err));
    return wick_prod_init(&n->prod[1], m, &n->mid, o->out, o->b_out, 0, err);
}

/* --- DELTA. wide: z, or q, k, v and z by groups; b and a; then q, k, v side by side (v becomes the output) --- */

typedef struct delta_at {
    uint32_t r, key, value, group, ba, conv; /* value heads of a key head; widths; columns */
} delta_at;

static delta_at delta_columns(const wick_op_delta *o)
{
    delta_at d;
    d.r = o->n_v_head / o->n_k_head;
    d.key = o->n_k_head * o->k_dim;
    d.value = o->n_v_head * o->v_dim;
    d.group = 2 * o->k_dim + 2 * d.r * o->v_dim;
    d.ba = o->in_z ? d.value : 2 * d.key + 2 * d.value;
    d.conv = d.ba + 2 * o->n_v_head;
    return d;
}

static void ungroup(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_delta *o = &n->op->u.delta;
    delta_at d = delta_columns(o);
    uint32_t from, to;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *row = s->wide + (size_t)from * n->width, *q = row + d.conv, *k = q + d.key, *v = k + d.key;
        for (uint32_t h = 0; h < o->n_k_head; h++) {
            const float *g = row + (size_t)h * d.group;
            memcpy(q + (size_t)h * o->k_dim, g, o->k_dim * sizeof *q);
            memcpy(k + (size_t)h * o->k_dim, g + o->k_dim, o->k_dim * sizeof *q);
            memcpy(v + (size_t)h * d.r * o->v_dim, g + 2 * (size_t)o->k_dim, (size_t)d.r * o->v_dim * sizeof *q);
        }
    }
    wick_join(t);
}

/* Columns of what value head i uses, and its key head. */
typedef struct head_at {
    uint32_t key, z, b, a;
} head_at;

static head_at head_columns(const wick_op_delta *o, const delta_at *d, uint32_t i)
{
    uint32_t h = i / d->r, j = i % d->r;
    head_at c = {.key = o->tiled ? i % o->n_k_head : h};
    c.z = o->in_z ? i * o->v_dim : h * d->group + 2 * o->k_dim + (d->r + j) * o->v_dim;
    c.b = o->in_a ? d->ba + i : d->ba + h * 2 * d->r + j;
    c.a = c.b + (o->in_a ? o->n_v_head : d->r);
    return c;
}

static void unit_length(const wick_rowops *r, float *dst, const float *src, uint32_t n, float scale)
{
    r->scale(dst, src, scale / sqrtf(r->dot(src, src, n) + 1e-6F), n);
}

static void delta_heads(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_delta *o = &n->op->u.delta;
    const wick_rowops *r = s->m->row;
    delta_at d = delta_columns(o);
    float *q = t->scratch, *k = q + o->k_dim;
    uint32_t from, to;
    while (wick_work(t, t->n_runs * o->n_v_head, 1, &from, &to)) {
        const wick_run *run = &t->run[from / o->n_v_head];
        uint32_t i = from % o->n_v_head;
        head_at c = head_columns(o, &d, i);
        float *state = wick_seq_state(t->tok[run->first].seq, &s->m->kv.cache[o->cache]) +
                       (uint64_t)(o->kernel - 1) * (2 * d.key + d.value) + (uint64_t)i * o->v_dim * o->k_dim;
        for (uint32_t m = run->first; m < run->first + run->n; m++) {
            float *row = s->wide + (size_t)m * n->width, *qkv = row + d.conv,
                  *y = qkv + 2 * (size_t)d.key + (size_t)i * o->v_dim, *z = row + c.z;
            float beta = 1.0F / (1.0F + expf(-row[c.b])), g = expf(o->decay[i] * softplus(row[c.a] + o->dt_bias[i]));
            unit_length(r, q, qkv + (size_t)c.key * o->k_dim, o->k_dim, 1.0F / sqrtf((float)o->k_dim));
            unit_length(r, k, qkv + d.key + (size_t)c.key * o->k_dim, o->k_dim, 1.0F);
            for (uint32_t e = 0; e < o->v_dim; e++)
                y[e] = r->delta(state + (size_t)e * o->k_dim, k, q, g, y[e], beta, o->k_dim);
            r->norm(y, y, o->norm, NULL, o->v_dim, o->norm_eps, WICK_NORM_RMS);
            r->act(z, y, o->v_dim, WICK_ACT_SILU, 0, 0);
            memcpy(y, z, o->v_dim * sizeof *y);
        }
    }
    wick_join(t);
}

static void run_delta(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_delta *o = &n->op->u.delta;
    delta_at d = delta_columns(o);
    first_product(s, n, t, n->n_prods - 1);
    if (!o->in_z) ungroup(s, n, t);
    convolve(s, n, t, o->cache, d.conv, 2 * d.key + d.value, o->kernel, NULL, true);
    delta_heads(s, n, t);
    const void *act = wick_prepare(s, t, &n->mid, s->wide + d.conv + 2 * (size_t)d.key, n->width);
    wick_product_out(s, n, t, &n->mid, act, &n->prod[n->n_prods - 1]);
}

wick_status wick_plan_delta(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_delta *o = &n->op->u.delta;
    delta_at d = delta_columns(o);
    n->run = run_delta;
    n->width = d.conv + 2 * d.key + d.value;
    wick_need(&m->lane_scratch, 2 * (uint64_t)o->k_dim * sizeof(float));
    WICK_TRY(plan_conv(m, n, o->conv_w, 2 * d.key + d.value, o->kernel, err));
    n->n_prods = 0;
    WICK_TRY(wick_prod_init(&n->prod[n->n_prods++], m, &n->in, o->in_qkv, NULL, o->in_z ? d.conv : 0, err));
    if (o->in_z) WICK_TRY(wick_prod_init(&n->prod[n->n_prods++], m, &n->in, o->in_z, NULL, 0, err));
    WICK_TRY(wick_prod_init(&n->prod[n->n_prods++], m, &n->in, o->in_b, NULL, d.ba, err));
    if (o->in_a) WICK_TRY(wick_prod_init(&n->prod[n->n_prods++], m, &n->in, o->in_a, NULL, d.ba + o->n_v_head, err));
    return wick_prod_init(&n->prod[n->n_prods++], m, &n->mid, o->out, NULL, 0, err);
}
