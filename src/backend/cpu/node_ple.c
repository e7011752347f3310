/* backend/cpu/node_ple.c - PLE: the layer's own input of each token, gated by the stream and projected back.
 * wide: [n][2 * dim], the gate (and the result) first, then the projection of the embedding. */
#include "backend/cpu/cpu.h"

typedef struct ple_data {
    wick_weight table; /* the layer's columns, or all of them */
    uint32_t column;   /* of the layer in a decoded row */
} ple_data;

/* wide[0..dim) = act(gate) * (norm(projection) + row(token)) */
static void mix_row(const wick_cpu_step *s, const wick_node *n, const wick_lane *t, uint32_t m)
{
    const wick_op_ple *o = &n->op->u.ple;
    const ple_data *d = n->data;
    const wick_rowops *r = s->m->row;
    float *g = s->wide + (size_t)m * n->width, *p = g + o->dim, *row = t->scratch;
    uint32_t id = (uint32_t)t->tok[m].id;
    wick_weight_row(&d->table, id < d->table.n_out ? id : 0, row);
    r->scale(p, p, o->proj_scale, o->dim);
    r->norm(p, p, o->norm, NULL, o->dim, o->norm_eps, WICK_NORM_RMS);
    r->add(p, row + d->column, o->scale, o->embed_scale * o->scale, o->dim);
    r->act(g, p, o->dim, o->act, 0.0F, 0.0F);
}

static void run_ple(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_ple *o = &n->op->u.ple;
    uint32_t from, to;
    const void *act = wick_prepare_source(s, n, t);
    wick_products(t, &n->in, act, &n->prod[0], 1, s->wide, n->width);
    wick_join(t);
    act = wick_prepare(s, t, &n->mid, s->reg[o->base], s->m->plan->n_embd);
    wick_products(t, &n->mid, act, &n->prod[1], 1, s->wide, n->width);
    wick_join(t);
    while (wick_work(t, t->n, 1, &from, &to)) mix_row(s, n, t, from);
    wick_join(t);
    act = wick_prepare(s, t, &n->mid2, s->wide, n->width);
    wick_product_out(s, n, t, &n->mid2, act, &n->prod[2]);
}

wick_status wick_plan_ple(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_ple *o = &n->op->u.ple;
    ple_data *d = wick_arena_array(&m->arena, 1, sizeof *d);
    if (!d) return wick_err_oom(err, "the program", sizeof *d, 0);
    n->run = run_ple;
    n->data = d;
    n->width = 2 * o->dim;
    if (!wick_weight_columns(o->embed, o->column, o->dim, &d->table)) {
        d->table = *o->embed;
        d->column = o->column;
    }
    wick_need(&m->lane_scratch, d->table.n_in * sizeof(float));
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->gate, NULL, 0, err));
    WICK_TRY(wick_prod_init(&n->prod[1], m, &n->mid, o->proj, NULL, o->dim, err));
    return wick_prod_init(&n->prod[2], m, &n->mid2, o->out, NULL, 0, err);
}
