/* model/plan_recode.c - quantizing at load: the recipe's word on every float matrix of a plan, which a backend obeys
 * when it stores them. What looks rows up (embeddings) keeps the file's floats. */
#include <stdio.h>
#include <string.h>

#include "base/hash.h"
#include "model/recipe.h"
#include "model/plan.h"

typedef struct context {
    wick_plan *p;
    const wick_recipe *r;
    wick_recode_report *report;
    bool tied;
} context;

static wick_status recode(void *ctx, const wick_weight *w, wick_err *err)
{
    context *c = ctx;
    wick_quant q;
    if (!w || w->recode) return WICK_OK;
    if (w->enc != WICK_ENC_PLAIN) {
        c->report->n_quantized_before++;
        return WICK_OK;
    }
    if (wick_recipe_is_router(w->name ? w->name : "")) return WICK_OK;
    if (!wick_recipe_pick(c->r, w->name ? w->name : "", c->p->n_layer, w->n_in, c->tied, &q)) {
        if (!c->report->n_kept++) snprintf(c->report->kept, sizeof c->report->kept, "%s", w->name ? w->name : "?");
        return WICK_OK;
    }
    if (q.enc == WICK_ENC_PLAIN) return WICK_OK;
    if (q.enc == WICK_ENC_AFFINE) q.dtype = w->dtype;
    wick_quant *own = wick_arena_alloc(&c->p->arena, sizeof *own);
    if (!own) return wick_err_oom(err, "the plan", sizeof *own, 0);
    *own = q;
    wick_weight to;
    WICK_TRY(wick_quant_shape(&q, w->n_out, w->n_in, &to, err));
    uint64_t before = wick_weight_bytes(w), after = wick_weight_bytes(&to);
    c->p->weight_bytes = c->p->weight_bytes > before ? c->p->weight_bytes - before + after : after;
    const uint64_t form[] = {WICK_QUANT_VERSION, q.enc, q.dtype, q.bits, q.group}; /* what is kept of it elsewhere */
    c->p->origin.settings = wick_hash_data(form, sizeof form, c->p->origin.settings);
    ((wick_weight *)(uintptr_t)w)->recode = own; /* the plan's own, in its arena */
    c->report->n_recoded++;
    return WICK_OK;
}

wick_status wick_plan_recode(wick_plan *p, const wick_recipe *r, wick_recode_report *report, wick_err *err)
{
    const wick_weight *embed = NULL;
    context c = {.p = p, .r = r, .report = report};
    memset(report, 0, sizeof *report);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        if (p->op[i].kind == WICK_OP_EMBED) embed = p->op[i].u.embed.w;
        if (p->op[i].kind == WICK_OP_HEAD) c.tied = embed && p->op[i].u.head.w->data == embed->data;
    }
    for (uint32_t i = 0; i < p->n_ops; i++) WICK_TRY(wick_op_matrices(&p->op[i], recode, &c, err));
    return WICK_OK;
}
