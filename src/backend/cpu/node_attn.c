/* backend/cpu/node_attn.c - ATTN: q, k, v side by side; norms, rope and the write to the cache; attention; the output
 * product with the residual. wide: [n][q (and gates) | k | v | attention output]. */
#include "backend/cpu/attn.h"

#include <math.h>

typedef struct attn_data {
    uint32_t q_width, k_at, v_at, out_at, n_qkv; /* columns of wide; products before wo */
} attn_data;

/* What needs a whole row of q or k: clipping and the norm over all heads. */
static void row_pass(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_attn *o = &n->op->u.attn;
    const attn_data *d = n->data;
    const wick_rowops *r = s->m->row;
    uint32_t from, to, kv = o->kv_shared ? 0 : o->n_kv_head;
    if (o->clip_qkv == 0.0F && !o->qk_norm_whole_row) return;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width;
        if (o->clip_qkv != 0.0F) r->clamp(x, o->clip_qkv, d->out_at);
        if (!o->qk_norm_whole_row) continue;
        if (o->q_norm) r->norm(x, x, o->q_norm, NULL, d->q_width, o->qk_norm_eps, o->qk_norm_kind);
        if (o->k_norm && kv)
            r->norm(x + d->k_at, x + d->k_at, o->k_norm, NULL, kv * o->head_dim, o->qk_norm_eps, o->qk_norm_kind);
    }
    wick_join(t);
}

/* Norm and rope of one head of q or k. */
static void place_head(const wick_cpu_step *s, const wick_node *n, float *x, const float *w, uint32_t head,
                       uint32_t row)
{
    const wick_op_attn *o = &n->op->u.attn;
    const wick_rowops *r = s->m->row;
    bool norm = w && !o->qk_norm_whole_row;
    if (norm && o->qk_norm_per_head_w) w += (size_t)head * o->head_dim;
    if (norm && !o->qk_norm_after_rope) r->norm(x, x, w, NULL, o->head_dim, o->qk_norm_eps, o->qk_norm_kind);
    if (o->rope)
        r->rope(x + o->rope->first_dim, s->m->rope[n->rope].cos_sin + (size_t)row * o->rope->n_dims, o->rope->n_dims,
                o->rope->interleaved);
    if (norm && o->qk_norm_after_rope) r->norm(x, x, w, NULL, o->head_dim, o->qk_norm_eps, o->qk_norm_kind);
}

/* Position-dependent parts; writes this step's K and V to the cache. */
static void place_qkv(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_attn *o = &n->op->u.attn;
    const attn_data *d = n->data;
    const wick_kv_cache *c = &s->m->kv.cache[o->cache];
    uint32_t g = o->n_head / o->n_kv_head, q_head = o->head_dim * (o->out_gate ? 2 : 1), from, to;
    while (wick_work(t, t->n * o->n_kv_head, t->n > 8 ? 4 : 1, &from, &to)) {
        for (uint32_t u = from; u < to; u++) {
            uint32_t row = u / o->n_kv_head, h = u % o->n_kv_head, pos = t->tok[row].pos;
            float *x = s->wide + (size_t)row * n->width, scale = o->scale;
            if (o->temp_beta != 0.0F && o->temp_len)
                scale *= 1.0F + o->temp_beta * logf(1.0F + floorf((float)(pos + o->temp_add) / (float)o->temp_len));
            for (uint32_t i = h * g; i < (h + 1) * g; i++) {
                float *q = x + (size_t)i * q_head;
                place_head(s, n, q, o->q_norm, i, row);
                s->m->row->scale(q, q, scale, o->head_dim);
            }
            if (o->kv_shared) continue;
            float *k = x + d->k_at + (size_t)h * o->head_dim, *v = x + d->v_at + (size_t)h * o->v_head_dim;
            place_head(s, n, k, o->k_norm, h, row);
            if (o->v_norm) s->m->row->norm(v, v, NULL, NULL, o->v_head_dim, o->qk_norm_eps, WICK_NORM_RMS);
            s->m->row->kv_put(&c->layout, wick_seq_head(t->tok[row].seq, c, pos, h), pos % WICK_KV_BLOCK, k, v);
        }
    }
    wick_join(t);
}

static void run_attn(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_attn *o = &n->op->u.attn;
    const attn_data *d = n->data;
    const void *act = wick_prepare_source(s, n, t);
    wick_products(t, &n->in, act, n->prod, d->n_qkv, s->wide, n->width);
    wick_join(t);
    row_pass(s, n, t);
    place_qkv(s, n, t);
    if (n->compact_inside) wick_lane_compact(s, t, s->wide, n->width, d->q_width);
    if (t->n == 0) return;
    wick_attn_job j = {
        .cache = &s->m->kv.cache[o->cache],
        .n_head = o->n_head,
        .k_dim = o->head_dim,
        .v_dim = o->v_head_dim,
        .q = s->wide,
        .q_stride = n->width,
        .q_head_stride = o->head_dim * (o->out_gate ? 2U : 1U),
        .out = s->wide + d->out_at,
        .out_stride = n->width,
        .gate = o->out_gate ? s->wide + o->head_dim : NULL,
        .window = o->window,
        .chunked = o->chunked,
        .both = o->both,
        .alibi = o->alibi,
        .softcap = o->softcap,
        .sinks = o->sinks,
    };
    wick_attn_run(s, t, &j);
    act = wick_prepare(s, t, &n->mid, s->wide + d->out_at, n->width);
    wick_product_out(s, n, t, &n->mid, act, &n->prod[3]);
}

wick_status wick_plan_attn(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_attn *o = &n->op->u.attn;
    attn_data *d = wick_arena_array(&m->arena, 1, sizeof *d);
    if (!d) return wick_err_oom(err, "the program", sizeof *d, 0);
    if (o->qk_norm_whole_row && (o->qk_norm_after_rope || o->out_gate))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "qk_norm",
                         "a norm over all heads after rope, or with gates, is not supported");
    uint32_t kv = o->kv_shared ? 0 : o->n_kv_head;
    n->run = run_attn;
    n->data = d;
    d->q_width = o->n_head * o->head_dim * (o->out_gate ? 2 : 1);
    d->k_at = d->q_width;
    d->v_at = d->k_at + kv * o->head_dim;
    d->out_at = d->v_at + kv * o->v_head_dim;
    d->n_qkv = o->kv_shared ? 1 : 3;
    n->width = wick_row_stride(d->out_at + o->n_head * o->v_head_dim);
    if (o->rope) n->rope = wick_rope_index(m, o->rope);
    wick_attn_need(m, &m->kv.cache[o->cache], o->n_head, o->head_dim, o->v_head_dim);
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->wq, o->bq, 0, err));
    if (!o->kv_shared) {
        WICK_TRY(wick_prod_init(&n->prod[1], m, &n->in, o->wk, o->bk, d->k_at, err));
        WICK_TRY(wick_prod_init(&n->prod[2], m, &n->in, o->wv, o->bv, d->v_at, err));
    }
    return wick_prod_init(&n->prod[3], m, &n->mid, o->wo, o->bo, 0, err);
}
