/* backend/cpu/node_basic.c - EMBED, runs of row ops, and HEAD. */
#include <string.h>

#include "backend/cpu/cpu.h"

static void run_embed(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_embed *o = &n->op->u.embed;
    uint32_t w = s->m->plan->n_embd, from, to;
    while (wick_work(t, t->n, 1, &from, &to)) {
        float *x = s->reg[n->dst] + (size_t)from * w, *pos = t->scratch;
        wick_weight_row(o->w, (uint32_t)t->tok[from].id, x);
        if (o->scale != 1.0F) s->m->row->scale(x, x, o->scale, w);
        if (o->w_type) {
            wick_weight_row(o->w_type, t->tok[from].second && o->w_type->n_out > 1, pos);
            s->m->row->bias(x, pos, w);
        }
        if (!o->w_pos) continue;
        wick_weight_row(o->w_pos, t->tok[from].pos + o->pos_offset, pos);
        s->m->row->bias(x, pos, w);
    }
    wick_join(t);
}

wick_status wick_plan_embed(wick_backend_model *m, wick_node *n, wick_err *err)
{
    (void)err;
    n->run = run_embed;
    wick_need(&m->lane_scratch, m->plan->n_embd * sizeof(float));
    return WICK_OK;
}

static void run_rows(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    /* A node without products: its row ops are the whole work, and there is nothing to prepare. */
    uint32_t w = s->m->plan->n_embd, from, to;
    const wick_rowops *r = s->m->row;
    while (wick_work(t, t->n, 1, &from, &to)) {
        for (uint32_t i = 0; i < n->n_row_ops; i++) {
            const wick_op *o = &n->row_op[i];
            float *dst = s->reg[o->dst] + (size_t)from * w;
            const float *src = s->reg[o->src] + (size_t)from * w;
            if (o->kind == WICK_OP_NORM)
                r->norm(dst, src, o->u.norm.w, o->u.norm.b, w, o->u.norm.eps, o->u.norm.kind);
            else if (o->kind == WICK_OP_ADD)
                r->add(dst, src, o->u.add.dst_scale, o->u.add.src_scale, w);
            else
                r->scale(dst, src, o->u.add.src_scale, w);
        }
    }
    wick_join(t);
}

wick_status wick_plan_rows(wick_backend_model *m, wick_node *n, wick_err *err)
{
    (void)m, (void)err;
    n->run = run_rows;
    if (n->n_row_ops == 0) {
        n->row_op = n->op;
        n->n_row_ops = 1;
    }
    return WICK_OK;
}

/* Hidden states: what the head would have read. */
static void copy_hidden(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    uint32_t w = s->m->plan->n_embd, from, to;
    while (wick_work(t, t->n, 4, &from, &to)) {
        for (uint32_t m = from; m < to; m++) {
            const float *x = s->reg[n->src] + (size_t)m * w;
            float *y = s->out + (size_t)m * w;
            if (n->norm)
                s->m->row->norm(y, x, n->norm->w, n->norm->b, w, n->norm->eps, n->norm->kind);
            else
                memcpy(y, x, w * sizeof *y);
        }
    }
    wick_join(t);
}

static void run_head(wick_cpu_step *s, const wick_node *n, wick_lane *t)
{
    const wick_op_head *o = &n->op->u.head;
    uint32_t width = s->m->plan->n_vocab, from, to;
    const void *act = wick_prepare_source(s, n, t);
    if (s->hidden) {
        copy_hidden(s, n, t);
        return;
    }
    wick_products(t, &n->in, act, n->prod, 1, s->out, width);
    if (o->scale == 1.0F && o->softcap == 0.0F) {
        wick_join(t);
        return;
    }
    wick_join(t);
    uint32_t chunks = (width + 1023) / 1024;
    while (wick_work(t, chunks * t->n, 1, &from, &to)) {
        uint32_t c = from % chunks * 1024;
        s->m->row->softcap(s->out + (size_t)(from / chunks) * width + c, width - c < 1024 ? width - c : 1024, o->scale,
                           o->softcap);
    }
    wick_join(t);
}

wick_status wick_plan_head(wick_backend_model *m, wick_node *n, wick_err *err)
{
    const wick_op_head *o = &n->op->u.head;
    n->run = run_head;
    if (!o->w) return WICK_OK;
    return wick_prod_init(&n->prod[0], m, &n->in, o->w, o->b, 0, err);
}
