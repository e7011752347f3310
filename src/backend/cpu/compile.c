/* backend/cpu/compile.c - from the plan's ops to the program's nodes.
 *
 * A node is one op with its surroundings: the row ops (NORM, ADD, COPY) that stand before it run in the same pass over
 * the rows that prepares its input; a NORM whose result nobody else reads never reaches a register; an ADD right behind
 * it, of a result that nobody else reads, runs in the last product's tiles. What matches no pattern runs as it is
 * written. With a tap, nothing is fused: every op's register can be seen.
 */
#include <string.h>

#include "backend/cpu/cpu.h"

typedef wick_status (*plan_fn)(wick_backend_model *m, wick_node *n, wick_err *err);

static const plan_fn planners[WICK_N_OPS] = {
    [WICK_OP_EMBED] = wick_plan_embed, [WICK_OP_NORM] = wick_plan_rows,     [WICK_OP_ATTN] = wick_plan_attn,
    [WICK_OP_MLA] = wick_plan_mla,     [WICK_OP_MLP] = wick_plan_mlp,       [WICK_OP_MOE] = wick_plan_moe,
    [WICK_OP_CONV] = wick_plan_conv,   [WICK_OP_MAMBA1] = wick_plan_mamba1, [WICK_OP_MAMBA2] = wick_plan_mamba2,
    [WICK_OP_DELTA] = wick_plan_delta, [WICK_OP_ADD] = wick_plan_rows,      [WICK_OP_COPY] = wick_plan_rows,
    [WICK_OP_HEAD] = wick_plan_head,   [WICK_OP_PLE] = wick_plan_ple,
};

static bool is_row_op(const wick_op *o)
{
    return o->kind == WICK_OP_NORM || o->kind == WICK_OP_ADD || o->kind == WICK_OP_COPY;
}

static bool reads(const wick_op *o, wick_reg r)
{
    if (o->kind == WICK_OP_PLE && o->u.ple.base == r) return true;
    if (o->kind == WICK_OP_MOE && o->u.moe.router_apart && o->u.moe.router_src == r) return true;
    return (o->kind != WICK_OP_EMBED && o->src == r) || (o->kind == WICK_OP_ADD && o->dst == r);
}

static bool writes(const wick_op *o, wick_reg r)
{
    return o->kind != WICK_OP_HEAD && o->dst == r;
}

/* Nobody reads register r from op i on before it is written again. */
static bool dead_from(const wick_plan *p, uint32_t i, wick_reg r)
{
    for (; i < p->n_ops; i++) {
        if (reads(&p->op[i], r)) return false;
        if (writes(&p->op[i], r)) return true;
    }
    return true;
}

/* The op's own needs, and what every node with an input needs. */
static wick_status plan_node(wick_backend_model *m, wick_node *n, wick_err *err)
{
    n->dst_scale = n->src_scale = 1.0F;
    wick_status st = planners[n->op->kind](m, n, err);
    if (st != WICK_OK) {
        wick_err_prefix(err, "op %u (%s, layer %d)", (unsigned)(n->op - m->plan->op), wick_op_name(n->op->kind),
                        n->op->layer);
        return st;
    }
    const wick_input *ins[] = {&n->in, &n->mid, &n->mid2, &n->mid3};
    for (int i = 0; i < 4; i++) {
        wick_need(&m->act_bytes, wick_input_bytes(ins[i], m->max_tokens));
        for (uint32_t k = 1; k <= WICK_SMALL_ROWS; k++) wick_need(&m->lane_act, wick_input_bytes(ins[i], k));
    }
    wick_need(&m->wide_bytes, (uint64_t)n->width * m->max_tokens * sizeof(float));
    return WICK_OK;
}

/* Takes ops from `i` on into one node; returns the index behind them. */
static uint32_t fuse(const wick_plan *p, uint32_t i, bool tap, wick_node *n)
{
    const wick_op *first = &p->op[i];
    if (tap || !is_row_op(first)) {
        n->op = first;
    } else {
        uint32_t e = i;
        while (e < p->n_ops && is_row_op(&p->op[e])) e++;
        n->row_op = first;
        n->n_row_ops = e - i;
        if (e == p->n_ops || p->op[e].kind == WICK_OP_EMBED) { /* nothing behind that they could be a part of */
            n->op = &p->op[e - 1];
            n->src = n->op->src;
            n->dst = n->op->dst;
            return e;
        }
        n->op = &p->op[e];
        i = e;
    }
    n->src = n->op->src;
    n->dst = n->op->dst;
    if (tap || n->op->kind == WICK_OP_EMBED) return i + 1;
    const wick_op *before = n->n_row_ops ? &n->row_op[n->n_row_ops - 1] : NULL;
    bool reused = n->op->kind != WICK_OP_HEAD && n->dst == n->src; /* the op itself overwrites the norm's result */
    if (before && before->kind == WICK_OP_NORM && before->dst == n->src &&
        (reused || dead_from(p, i + 1, before->dst))) {
        n->norm = &before->u.norm;
        n->src = before->src;
        n->n_row_ops--;
    }
    const wick_op *after = i + 1 < p->n_ops ? n->op + 1 : NULL;
    if (n->op->kind != WICK_OP_HEAD && after && after->kind == WICK_OP_ADD && after->src == n->dst &&
        after->dst != n->dst && dead_from(p, i + 2, after->src)) {
        n->add = true;
        n->dst = after->dst;
        return i + 2;
    }
    return i + 1;
}

/* From the last op on that leaves something for later steps, only the rows that are asked for are needed. */
static void mark_compaction(wick_backend_model *m, bool tap)
{
    uint32_t last = 0, cache;
    for (uint32_t i = 0; i < m->n_nodes; i++)
        if (wick_op_cache(m->node[i].op, &cache)) last = i;
    if (tap) {
        for (uint32_t i = 0; i < m->n_nodes; i++)
            if (m->node[i].op->kind == WICK_OP_HEAD) m->node[i].compact_before = true;
    } else if (m->node[last].op->kind == WICK_OP_ATTN) {
        m->node[last].compact_inside = true;
    } else if (last + 1 < m->n_nodes) {
        m->node[last + 1].compact_before = true;
    }
}

wick_status wick_cpu_compile(wick_backend_model *m, wick_err *err)
{
    const wick_plan *p = m->plan;
    bool tap = m->ctx->opts.tap != NULL;
    m->node = wick_arena_array(&m->arena, p->n_ops, sizeof *m->node);
    m->rope = wick_arena_array(&m->arena, p->n_ops, sizeof *m->rope);
    if (!m->node || !m->rope) return wick_err_oom(err, "the program", p->n_ops * sizeof *m->node, 0);
    for (uint32_t i = 0; i < p->n_ops;) {
        wick_node *n = &m->node[m->n_nodes++];
        uint32_t next = fuse(p, i, tap, n);
        WICK_TRY(plan_node(m, n, err));
        if (n->add) {
            n->dst_scale = p->op[next - 1].u.add.dst_scale;
            n->src_scale = p->op[next - 1].u.add.src_scale;
        }
        i = next;
    }
    mark_compaction(m, tap);
    return WICK_OK;
}
