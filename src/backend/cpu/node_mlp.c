/* backend/cpu/node_mlp.c - MLP: gate and up side by side with the activation in the same tiles, then down with the
 * residual. wide: [n][width], gate (and the result) first. Three barriers, two for single rows. */
#include "backend/cpu/cpu.h"

static void gate_up(wick_cpu_step *s, const wick_node *n, wick_lane *t, const void *act)
{
    const wick_op_mlp *o = &n->op->u.mlp;
    const wick_prod *up = &n->prod[0], *gate = o->gate ? &n->prod[1] : NULL;
    uint32_t tiles = wick_lin_n_tiles(up->lin), pairs = (tiles + 1) / 2, from, to;
    uint32_t chunk = pairs / (s->m->n_threads * 6);
    uint64_t stride = n->width;
    chunk = chunk < 1 ? 1 : chunk > 4 ? 4 : chunk;
    while (wick_work(t, pairs, chunk, &from, &to)) {
        uint32_t t0 = from * 2, t1 = to * 2 < tiles ? to * 2 : tiles;
        uint32_t c0 = t0 * WICK_LIN_TILE, c1 = t1 * WICK_LIN_TILE < o->n_ff ? t1 * WICK_LIN_TILE : o->n_ff;
        wick_lin_mul(up->lin, wick_act_slot(&n->in, up->slot, act, t->n), t->n, s->wide + up->at, stride, t0, t1,
                     t->lin_scratch);
        if (gate)
            wick_lin_mul(gate->lin, wick_act_slot(&n->in, gate->slot, act, t->n), t->n, s->wide, stride, t0, t1,
                         t->lin_scratch);
        for (uint32_t m = 0; m < t->n; m++) {
            float *u = s->wide + m * stride + up->at + c0, *g = s->wide + m * stride + c0;
            if (up->bias) s->m->row->bias(u, up->bias + c0, c1 - c0);
            if (gate && gate->bias) s->m->row->bias(g, gate->bias + c0, c1 - c0);
            s->m->row->act(g, gate ? u : NULL, c1 - c0, o->act, o->act_alpha, o->act_limit);
        }
    }
    wick_join(t);
}

static void run_mlp(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    gate_up(s, n, t, wick_prepare_source(s, n, t));
    const void *act = wick_prepare(s, t, &n->mid, s->wide, n->width);
    wick_product_out(s, n, t, &n->mid, act, &n->prod[2]);
}

wick_status wick_plan_mlp(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_mlp *o = &n->op->u.mlp;
    n->run = run_mlp;
    n->width = wick_row_stride(o->gate ? 2 * o->n_ff : o->n_ff);
    WICK_TRY(wick_prod_init(&n->prod[0], m, &n->in, o->up, o->b_up, o->gate ? o->n_ff : 0, err));
    if (o->gate) WICK_TRY(wick_prod_init(&n->prod[1], m, &n->in, o->gate, o->b_gate, 0, err));
    return wick_prod_init(&n->prod[2], m, &n->mid, o->down, o->b_down, 0, err);
}
