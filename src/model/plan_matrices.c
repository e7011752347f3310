/* model/plan_matrices.c - the matrices of an op, one after the other: for who packs, counts or converts them all. */
#include "model/plan.h"

static wick_status visit_mlp(const wick_op_mlp *o, wick_mat_fn fn, void *ctx, wick_err *err)
{
    if (!o) return WICK_OK;
    WICK_TRY(fn(ctx, o->gate, err));
    WICK_TRY(fn(ctx, o->up, err));
    return fn(ctx, o->down, err);
}

static wick_status visit_list(const wick_weight *const *w, uint32_t n, wick_mat_fn fn, void *ctx, wick_err *err)
{
    for (uint32_t i = 0; i < n; i++) WICK_TRY(fn(ctx, w[i], err));
    return WICK_OK;
}

static wick_status visit_moe(const wick_op_moe *o, wick_mat_fn fn, void *ctx, wick_err *err)
{
    WICK_TRY(fn(ctx, o->router, err));
    for (uint32_t e = 0; e < o->n_expert; e++) {
        WICK_TRY(fn(ctx, o->gate ? &o->gate[e] : NULL, err));
        WICK_TRY(fn(ctx, &o->up[e], err));
        WICK_TRY(fn(ctx, &o->down[e], err));
    }
    WICK_TRY(fn(ctx, o->shared_gate, err));
    return visit_mlp(o->shared, fn, ctx, err);
}

wick_status wick_op_matrices(const wick_op *op, wick_mat_fn fn, void *ctx, wick_err *err)
{
#define LIST(...)                                         \
    visit_list((const wick_weight *const[]){__VA_ARGS__}, \
               sizeof((const wick_weight *const[]){__VA_ARGS__}) / sizeof(wick_weight *), fn, ctx, err)
    switch (op->kind) {
    case WICK_OP_ATTN: return LIST(op->u.attn.wq, op->u.attn.wk, op->u.attn.wv, op->u.attn.wo);
    case WICK_OP_MLA:
        WICK_TRY(LIST(op->u.mla.q_a, op->u.mla.q_b, op->u.mla.kv_a, op->u.mla.wo));
        WICK_TRY(visit_list(op->u.mla.k_b, op->u.mla.n_head, fn, ctx, err));
        return visit_list(op->u.mla.v_b, op->u.mla.n_head, fn, ctx, err);
    case WICK_OP_MLP: return visit_mlp(&op->u.mlp, fn, ctx, err);
    case WICK_OP_MOE: return visit_moe(&op->u.moe, fn, ctx, err);
    case WICK_OP_CONV: return LIST(op->u.conv.in, op->u.conv.out);
    case WICK_OP_MAMBA1:
    case WICK_OP_MAMBA2: return LIST(op->u.mamba.in, op->u.mamba.x, op->u.mamba.dt, op->u.mamba.out);
    case WICK_OP_DELTA:
        return LIST(op->u.delta.in_qkv, op->u.delta.in_z, op->u.delta.in_b, op->u.delta.in_a, op->u.delta.out);
    case WICK_OP_HEAD: return fn(ctx, op->u.head.w, err);
    case WICK_OP_PLE: return LIST(op->u.ple.proj, op->u.ple.gate, op->u.ple.out);
    case WICK_OP_EMBED:
    case WICK_OP_NORM:
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_N_OPS: break;
    }
#undef LIST
    return WICK_OK;
}
