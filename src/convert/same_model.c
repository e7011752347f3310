/* convert/same_model.c - between the two families of names: is what was written the same model? It is opened, and its
 * plan compared with the source's: the ops, their numbers and their vectors. What the other family's keys cannot say
 * of a model shows here, before the output gets its name. */
#include <math.h>
#include <string.h>

#include "convert/convert_int.h"

static bool near(double a, double b)
{
    return fabs(a - b) <= 1e-4 * (fabs(a) > fabs(b) ? fabs(a) : fabs(b)) + 1e-12;
}

/* Vectors of the weights may have been rounded to half precision. */
static bool same_vector(const float *a, const float *b, uint64_t n)
{
    if (!a || !b) return a == b;
    for (uint64_t i = 0; i < n; i++)
        if (!(fabsf(a[i] - b[i]) <= 0.005f * (1 + fabsf(a[i])))) return false;
    return true;
}

static bool same_angles(const wick_rope *a, const wick_rope *b)
{
    for (uint32_t i = 0; i < a->n_dims / 2; i++)
        if (!near((double)a->inv_freq[i], (double)b->inv_freq[i])) return false;
    return true;
}

static bool same_rope(const wick_rope *a, const wick_rope *b)
{
    if (!a || !b) return a == b;
    return a->n_dims == b->n_dims && a->first_dim == b->first_dim && near((double)a->mscale, (double)b->mscale) &&
           same_angles(a, b);
}

static const char *attn_differs(const wick_op_attn *a, const wick_op_attn *b)
{
    if (a->n_head != b->n_head || a->n_kv_head != b->n_kv_head || a->head_dim != b->head_dim) return "its heads";
    if (!near((double)a->scale, (double)b->scale)) return "the scale of its attention";
    if (!near((double)a->softcap, (double)b->softcap) || !near((double)a->clip_qkv, (double)b->clip_qkv))
        return "the limits of its attention";
    if (a->window != b->window || a->chunked != b->chunked) return "its windows";
    if (!same_rope(a->rope, b->rope)) return "how it turns positions";
    bool alike = !a->bq == !b->bq && !a->q_norm == !b->q_norm && !a->sinks == !b->sinks &&
                 same_vector(a->bv, b->bv, (uint64_t)a->n_kv_head * a->v_head_dim);
    return alike ? NULL : "the vectors of its attention";
}

static const char *op_differs(const wick_plan *p, const wick_op *a, const wick_op *b)
{
    if (a->kind != b->kind || a->dst != b->dst || a->src != b->src || a->layer != b->layer) return "its order of steps";
    switch (a->kind) {
    case WICK_OP_EMBED:
        return near((double)a->u.embed.scale, (double)b->u.embed.scale) ? NULL : "the scale of its embedding";
    case WICK_OP_NORM:
        return a->u.norm.kind == b->u.norm.kind && near((double)a->u.norm.eps, (double)b->u.norm.eps) &&
                       same_vector(a->u.norm.w, b->u.norm.w, p->n_embd) &&
                       same_vector(a->u.norm.b, b->u.norm.b, p->n_embd)
                   ? NULL
                   : "its norms";
    case WICK_OP_ATTN: return attn_differs(&a->u.attn, &b->u.attn);
    case WICK_OP_MLP:
        return a->u.mlp.act == b->u.mlp.act && a->u.mlp.n_ff == b->u.mlp.n_ff && !a->u.mlp.gate == !b->u.mlp.gate &&
                       near((double)a->u.mlp.act_limit, (double)b->u.mlp.act_limit)
                   ? NULL
                   : "its MLP";
    case WICK_OP_ADD:
        return near((double)a->u.add.dst_scale, (double)b->u.add.dst_scale) &&
                       near((double)a->u.add.src_scale, (double)b->u.add.src_scale)
                   ? NULL
                   : "the scales of its branches";
    case WICK_OP_HEAD:
        return near((double)a->u.head.scale, (double)b->u.head.scale) &&
                       near((double)a->u.head.softcap, (double)b->u.head.softcap)
                   ? NULL
                   : "its output";
    case WICK_OP_COPY: return NULL;
    default: return "a kind of layer";
    }
}

wick_status wick_convert_check(const wick_convert_job *j, wick_err *err)
{
    wick_model made;
    const wick_plan *p = &j->model.plan;
    bool gguf = j->opts->to == WICK_TO_GGUF;
    char *path = gguf ? wick_path_join(j->staging.folder, "model.gguf") : wick_strdup(j->staging.folder);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = wick_model_open(&made, path, err);
    wick_free(path);
    if (st != WICK_OK) {
        wick_err_prefix(err, "what was written");
        return st;
    }
    const char *what = made.plan.n_ops == p->n_ops && made.plan.n_vocab == p->n_vocab ? NULL : "its layers";
    for (uint32_t i = 0; !what && i < p->n_ops; i++) what = op_differs(p, &p->op[i], &made.plan.op[i]);
    wick_model_close(&made);
    if (!what) return WICK_OK;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, j->model.path,
                     "%s: %s cannot say %s as this model has it: keep it under its own names", j->model.path,
                     gguf ? "GGUF" : "config.json", what);
}
