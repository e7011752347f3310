/* backend/cpu/work.c - what all nodes are made of: sharing work among the threads, preparing activations, running
 * products side by side, the residual in the last product's tiles. Apart so that each node file reads as its
 * formula. */
#include "backend/cpu/cpu.h"

bool wick_work(wick_lane *t, uint32_t n, uint32_t chunk, uint32_t *from, uint32_t *to)
{
    if (wick_pool_next(t->step->m->pool, t->id, t->phase, n, chunk, from, to)) return true;
    t->phase++;
    return false;
}

void wick_join(wick_lane *t)
{
    wick_pool_barrier(t->step->m->pool, t->id);
}

/* Rows in a chunk: several chunks for each thread, so that a late thread does not hold up the others. */
static uint32_t row_chunk(const wick_lane *t)
{
    uint32_t c = t->n / (t->step->m->n_threads * 4);
    return c < 1 ? 1 : c > 16 ? 16 : c;
}

const void *wick_act_slot(const wick_input *in, uint32_t slot, const void *act, uint32_t n_rows)
{
    const uint8_t *p = act;
    for (uint32_t i = 0; i < slot; i++) p += wick_lin_act_bytes(in->lin[i], n_rows);
    return p;
}

uint64_t wick_input_bytes(const wick_input *in, uint32_t n_rows)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < in->n; i++) sum += wick_lin_act_bytes(in->lin[i], n_rows);
    return sum;
}

static void prepare_rows(const wick_input *in, const float *x, uint64_t stride, uint32_t m0, uint32_t m1,
                         uint32_t n_rows, void *act)
{
    uint8_t *p = act;
    for (uint32_t i = 0; i < in->n; i++) {
        wick_lin_act_prepare(in->lin[i], x, stride, m0, m1, n_rows, p);
        p += wick_lin_act_bytes(in->lin[i], n_rows);
    }
}

static void run_row_ops(const wick_cpu_step *s, const wick_node *n, uint32_t m)
{
    const wick_rowops *r = s->m->row;
    uint32_t w = s->m->plan->n_embd;
    for (uint32_t i = 0; i < n->n_row_ops; i++) {
        const wick_op *o = &n->row_op[i];
        float *dst = s->reg[o->dst] + (size_t)m * w;
        const float *src = s->reg[o->src] + (size_t)m * w;
        if (o->kind == WICK_OP_NORM)
            r->norm(dst, src, o->u.norm.w, o->u.norm.b, w, o->u.norm.eps, o->u.norm.kind);
        else if (o->kind == WICK_OP_ADD)
            r->add(dst, src, o->u.add.dst_scale, o->u.add.src_scale, w);
        else
            r->scale(dst, src, o->u.add.src_scale, w);
    }
}

static void run_norm(const wick_cpu_step *s, const wick_node *n, uint32_t m, float *dst)
{
    uint32_t w = s->m->plan->n_embd;
    s->m->row->norm(dst, s->reg[n->src] + (size_t)m * w, n->norm->w, n->norm->b, w, n->norm->eps, n->norm->kind);
}

/* Each thread prepares all rows for itself: cheaper than a barrier, and than sharing the lines of one panel. With many
 * threads the work that all of them repeat weighs more. */
static bool small_batch(const wick_lane *t)
{
    return t->n <= 2 || (t->n <= WICK_SMALL_ROWS && t->n * t->step->m->n_threads <= 2 * WICK_SMALL_ROWS);
}

const void *wick_prepare_source(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    uint32_t w = s->m->plan->n_embd, from, to;
    if (n->n_row_ops == 0 && small_batch(t)) {
        for (uint32_t m = 0; n->norm && m < t->n; m++) run_norm(s, n, m, t->norm + (size_t)m * w);
        prepare_rows(&n->in, n->norm ? t->norm : s->reg[n->src], w, 0, t->n, t->n, t->act);
        return t->act;
    }
    while (wick_work(t, t->n, row_chunk(t), &from, &to)) {
        for (uint32_t m = from; m < to; m++) {
            run_row_ops(s, n, m);
            if (n->norm) run_norm(s, n, m, s->normed + (size_t)m * w);
        }
        prepare_rows(&n->in, n->norm ? s->normed : s->reg[n->src], w, from, to, t->n, s->act);
    }
    wick_join(t);
    return s->act;
}

const void *wick_prepare(wick_cpu_step *s, wick_lane *t, const wick_input *in, const float *x, uint64_t stride)
{
    uint32_t from, to;
    if (small_batch(t)) {
        prepare_rows(in, x, stride, 0, t->n, t->n, t->act);
        return t->act;
    }
    while (wick_work(t, t->n, row_chunk(t), &from, &to)) prepare_rows(in, x, stride, from, to, t->n, s->act);
    wick_join(t);
    return s->act;
}

/* Tiles go in pairs: the kernels' widest tile. */
static uint32_t n_pairs(const wick_lin *l)
{
    return (wick_lin_n_tiles(l) + 1) / 2;
}

static uint32_t pair_chunk(const wick_lane *t, uint32_t pairs)
{
    uint32_t c = pairs / (t->step->m->n_threads * 6);
    return c < 1 ? 1 : c > 8 ? 8 : c;
}

/* The part of one product that a chunk covers, and what follows it. */
typedef void (*tiles_fn)(wick_cpu_step *s, const wick_lane *t, const wick_prod *p, float *y, uint64_t stride,
                         uint32_t c0, uint32_t c1, const void *arg);

static void each_product(wick_lane *t, const wick_input *in, const void *act, const wick_prod *p, uint32_t n_prods,
                         float *y, uint64_t stride, tiles_fn after, const void *arg)
{
    uint32_t total = 0, from, to;
    for (uint32_t i = 0; i < n_prods; i++) total += n_pairs(p[i].lin);
    while (wick_work(t, total, pair_chunk(t, total), &from, &to)) {
        uint32_t start = 0;
        for (uint32_t i = 0; i < n_prods && start < to; start += n_pairs(p[i].lin), i++) {
            uint32_t end = start + n_pairs(p[i].lin), a = from > start ? from : start, b = to < end ? to : end;
            if (a >= b) continue;
            uint32_t t0 = (a - start) * 2, t1 = (b - start) * 2, tiles = wick_lin_n_tiles(p[i].lin);
            if (t1 > tiles) t1 = tiles;
            wick_lin_mul(p[i].lin, wick_act_slot(in, p[i].slot, act, t->n), t->n, y + p[i].at, stride, t0, t1,
                         t->lin_scratch);
            uint32_t c1 = t1 * WICK_LIN_TILE, n_out = wick_lin_n_out(p[i].lin);
            after(t->step, t, &p[i], y + p[i].at, stride, t0 * WICK_LIN_TILE, c1 < n_out ? c1 : n_out, arg);
        }
    }
}

static void add_bias(wick_cpu_step *s, const wick_lane *t, const wick_prod *p, float *y, uint64_t stride, uint32_t c0,
                     uint32_t c1, const void *arg)
{
    (void)arg;
    for (uint32_t m = 0; p->bias && m < t->n; m++) s->m->row->bias(y + m * stride + c0, p->bias + c0, c1 - c0);
}

void wick_products(wick_lane *t, const wick_input *in, const void *act, const wick_prod *p, uint32_t n_prods, float *y,
                   uint64_t stride)
{
    each_product(t, in, act, p, n_prods, y, stride, add_bias, NULL);
}

static void add_residual(wick_cpu_step *s, const wick_lane *t, const wick_prod *p, float *y, uint64_t stride,
                         uint32_t c0, uint32_t c1, const void *arg)
{
    const wick_node *n = arg;
    add_bias(s, t, p, y, stride, c0, c1, NULL);
    for (uint32_t m = 0; m < t->n; m++)
        s->m->row->add(s->reg[n->dst] + (size_t)m * s->m->plan->n_embd + c0, y + m * stride + c0, n->dst_scale,
                       n->src_scale, c1 - c0);
}

void wick_product_out(wick_cpu_step *s, const wick_node *n, wick_lane *t, const wick_input *in, const void *act,
                      const wick_prod *p)
{
    uint32_t w = s->m->plan->n_embd;
    if (n->add)
        each_product(t, in, act, p, 1, s->normed, w, add_residual, n);
    else
        each_product(t, in, act, p, 1, s->reg[n->dst], w, add_bias, NULL);
    wick_join(t);
}

/* Columns are shared among the threads, rows move down in rising order: nobody overwrites what is still to be read. */
static void compact_rows(const wick_cpu_step *s, const wick_lane *t, float *x, uint32_t stride, uint32_t width)
{
    uint32_t n = s->m->n_threads, units = (width + 15) / 16;
    uint32_t c0 = (uint32_t)((uint64_t)units * t->id / n) * 16, c1 = (uint32_t)((uint64_t)units * (t->id + 1) / n) * 16;
    if (c1 > width) c1 = width;
    for (uint32_t i = 0; c0 < c1 && i < s->n_out; i++)
        if (s->out_at[i] != i)
            memmove(x + (size_t)i * stride + c0, x + (size_t)s->out_at[i] * stride + c0, (c1 - c0) * sizeof *x);
}

void wick_lane_compact(wick_cpu_step *s, wick_lane *t, float *more, uint32_t more_stride, uint32_t more_width)
{
    uint32_t w = s->m->plan->n_embd;
    if (t->tok == s->out_tok) return;
    if (s->n_out != s->n) {
        for (int r = 0; r < WICK_N_REGS; r++) compact_rows(s, t, s->reg[r], w, w);
        if (more) compact_rows(s, t, more, more_stride, more_width);
        wick_join(t);
    }
    t->n = s->n_out;
    t->n_runs = s->n_out_runs;
    t->tok = s->out_tok;
    t->run = s->out_run;
}
