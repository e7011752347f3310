/* model/plan_ple.c - the inputs that layers have of their own (gemma4): one table and one projection for all layers,
 * of which each takes its share. */
#include <math.h>
#include "model/build.h"

wick_status wick_build_ple(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_checkpoint *k = &b->ck;
    uint64_t dim = c->ple_dim, all = dim * c->n_layer;
    const wick_weight *proj;
    wick_op *op = wick_build_op(b, WICK_OP_PLE, s->dst, s->src, (int32_t)layer);
    if (!op) return wick_err_oom(err, "the plan", 0, 0);
    wick_op_ple *o = &op->u.ple;
    *o = (wick_op_ple){.base = WICK_R_S,
                       .dim = c->ple_dim,
                       .column = c->ple_dim * layer,
                       .norm_eps = c->norm_eps,
                       .proj_scale = (float)(1 / sqrt(c->n_embd)),
                       .embed_scale = (float)sqrt(c->ple_dim),
                       .scale = (float)sqrt(0.5),
                       .act = c->act};
    const wick_op_ple *first = b->ple;
    if (first) {
        o->embed = first->embed;
        o->norm = first->norm;
        proj = b->ple_proj;
    } else {
        const wick_tensor *t = wick_ck_find(k, WICK_ROLE_PLE_EMBED, 0, ".weight", NULL);
        uint64_t rows = t && t->n_dim == 2 ? t->shape[0] : c->n_vocab;
        WICK_TRY(wick_ck_matrix(k, WICK_ROLE_PLE_EMBED, 0, rows, all, &o->embed, err));
        WICK_TRY(wick_ck_matrix(k, WICK_ROLE_PLE_PROJ, 0, all, c->n_embd, &proj, err));
        WICK_TRY(wick_ck_vector(k, WICK_ROLE_PLE_NORM, 0, ".weight", dim, 0, &o->norm, err));
        b->ple_proj = proj;
        b->ple = o;
    }
    o->proj = wick_ck_rows(k, proj, o->column, dim, 1);
    if (!o->proj) return wick_err_oom(err, "the plan", 0, 0);
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_PLE_GATE, layer, dim, c->n_embd, &o->gate, err));
    return wick_ck_matrix(k, WICK_ROLE_PLE_OUT, layer, c->n_embd, dim, &o->out, err);
}
