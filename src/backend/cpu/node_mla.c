/* backend/cpu/node_mla.c - MLA: latent attention in its absorbed form. The cache holds latent rows only; queries are
 * taken into the latent space by k_b, attention runs there with one KV head for all query heads, and v_b takes the
 * result out. wide: q_a [q_rank] | kv_a [kv_rank + rope] | q [heads][nope + rope] | latent q [heads][kv_rank + rope] |
 * latent out [heads][kv_rank] | out [heads][v_dim].
 */
#include <string.h>

#include "backend/cpu/attn.h"

typedef struct mla_data {
    const wick_lin **k_b, **v_b;                      /* [n_head] */
    uint32_t kv_at, q_at, lat_at, lat_out_at, out_at; /* columns of wide */
} mla_data;

/* Norms the latent parts, writes the cache's row. */
static void place_latent(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mla *o = &n->op->u.mla;
    const mla_data *d = n->data;
    const wick_rowops *r = s->m->row;
    const wick_kv_cache *c = &s->m->kv.cache[o->cache];
    uint32_t from, to;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->wide + (size_t)from * n->width, *kv = x + d->kv_at;
        uint32_t pos = t->tok[from].pos;
        if (o->q_rank) r->norm(x, x, o->q_a_norm, NULL, o->q_rank, o->norm_eps, WICK_NORM_RMS);
        r->norm(kv, kv, o->kv_a_norm, NULL, o->kv_rank, o->norm_eps, WICK_NORM_RMS);
        if (o->rope)
            r->rope(kv + o->kv_rank, s->m->rope[n->rope].cos_sin + (size_t)from * o->rope_dim, o->rope_dim,
                    o->rope->interleaved);
        r->kv_put(&c->layout, wick_seq_head(t->tok[from].seq, c, pos, 0), pos % WICK_KV_BLOCK, kv, NULL);
    }
    wick_join(t);
}

/* One head's rows through its own matrix. */
static void head_product(const wick_cpu_step *s, const wick_node *n, wick_lane *t, const wick_lin *l, uint32_t src,
                         uint32_t dst)
{
    wick_lin_act_prepare(l, s->wide + src, n->width, 0, t->n, t->n, t->act);
    wick_lin_mul(l, t->act, t->n, s->wide + dst, n->width, 0, wick_lin_n_tiles(l), t->lin_scratch);
}

/* q_nope to the latent space, q_pe rotated behind it, all scaled. */
static void queries(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mla *o = &n->op->u.mla;
    const mla_data *d = n->data;
    const wick_rowops *r = s->m->row;
    uint32_t q_head = o->nope_dim + o->rope_dim, lat = o->kv_rank + o->rope_dim, from, to;
    while (wick_work(t, o->n_head, 1, &from, &to)) {
        uint32_t q = d->q_at + from * q_head, l = d->lat_at + from * lat;
        head_product(s, n, t, d->k_b[from], q, l);
        for (uint32_t m = 0; m < t->n; m++) {
            float *row = s->wide + (size_t)m * n->width, *pe = row + l + o->kv_rank;
            memcpy(pe, row + q + o->nope_dim, o->rope_dim * sizeof *pe);
            if (o->rope)
                r->rope(pe, s->m->rope[n->rope].cos_sin + (size_t)m * o->rope_dim, o->rope_dim, o->rope->interleaved);
            r->scale(row + l, row + l, o->scale, lat);
        }
    }
    wick_join(t);
}

static void run_mla(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_mla *o = &n->op->u.mla;
    const mla_data *d = n->data;
    uint32_t lat = o->kv_rank + o->rope_dim, from, to;
    const void *act = wick_prepare_source(s, n, t);
    wick_products(t, &n->in, act, n->prod, 2, s->wide, n->width);
    wick_join(t);
    place_latent(s, n, t);
    if (o->q_rank) {
        act = wick_prepare(s, t, &n->mid, s->wide, n->width);
        wick_products(t, &n->mid, act, &n->prod[2], 1, s->wide, n->width);
        wick_join(t);
    }
    queries(s, n, t);
    wick_attn_job j = {.cache = &s->m->kv.cache[o->cache],
                       .n_head = o->n_head,
                       .k_dim = lat,
                       .v_dim = o->kv_rank,
                       .q = s->wide + d->lat_at,
                       .q_stride = n->width,
                       .q_head_stride = lat,
                       .out = s->wide + d->lat_out_at,
                       .out_stride = n->width};
    wick_attn_run(s, t, &j);
    while (wick_work(t, o->n_head, 1, &from, &to))
        head_product(s, n, t, d->v_b[from], d->lat_out_at + from * o->kv_rank, d->out_at + from * o->v_dim);
    wick_join(t);
    act = wick_prepare(s, t, &n->mid2, s->wide + d->out_at, n->width);
    wick_product_out(s, n, t, &n->mid2, act, &n->prod[3]);
}

wick_status wick_plan_mla(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_mla *o = &n->op->u.mla;
    mla_data *d = wick_arena_array(&m->arena, 1, sizeof *d);
    const wick_lin **lin = wick_arena_array(&m->arena, 2 * (size_t)o->n_head, sizeof *lin);
    if (!d || !lin) return wick_err_oom(err, "the program", 2 * (uint64_t)o->n_head * sizeof *lin, 0);
    uint32_t lat = o->kv_rank + o->rope_dim;
    uint64_t width =
        (uint64_t)o->q_rank + lat + (uint64_t)o->n_head * (o->nope_dim + o->rope_dim + lat + o->kv_rank + o->v_dim);
    if (width > INT32_MAX) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_head", "%u heads are too many", o->n_head);
    n->run = run_mla;
    n->data = d;
    n->width = (uint32_t)width;
    d->k_b = lin;
    d->v_b = lin + o->n_head;
    d->kv_at = o->q_rank;
    d->q_at = d->kv_at + lat;
    d->lat_at = d->q_at + o->n_head * (o->nope_dim + o->rope_dim);
    d->lat_out_at = d->lat_at + o->n_head * lat;
    d->out_at = d->lat_out_at + o->n_head * o->kv_rank;
    if (o->rope) n->rope = wick_rope_index(m, o->rope);
    wick_attn_need(m, &m->kv.cache[o->cache], o->n_head, lat, o->kv_rank);
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->kv_a, o->kv_a_bias, d->kv_at, err));
    if (o->q_rank) {
        WICK_TRY(wick_prod_init(&n->prod[1], m, &n->in, o->q_a, o->q_a_bias, 0, err));
        WICK_TRY(wick_prod_init(&n->prod[2], m, &n->mid, o->q_b, NULL, d->q_at, err));
    } else {
        WICK_TRY(wick_prod_init(&n->prod[1], m, &n->in, o->q_b, NULL, d->q_at, err));
    }
    for (uint32_t h = 0; h < o->n_head; h++) {
        wick_prod p;
        wick_input one = {.n = 0}, two = {.n = 0};
        WICK_TRY(wick_prod_init(&p, m, &one, o->k_b[h], NULL, 0, err));
        d->k_b[h] = p.lin;
        WICK_TRY(wick_prod_init(&p, m, &two, o->v_b[h], NULL, 0, err));
        d->v_b[h] = p.lin;
        wick_need(&m->lane_act, wick_input_bytes(&one, m->max_tokens));
        wick_need(&m->lane_act, wick_input_bytes(&two, m->max_tokens));
    }
    return wick_prod_init(&n->prod[3], m, &n->mid2, o->wo, o->bo, 0, err);
}
