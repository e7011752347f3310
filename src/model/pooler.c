/* model/pooler.c - the layers behind pooling: how a classifier's are found in a checkpoint, how they are computed. */
#include "model/pooler.h"
#include <math.h>
#include <string.h>
#include "base/str.h"
#include "format/gguf.h"
#include "model/checkpoint.h"
#include "model/model.h"

#define MAX_LABELS (1 << 12)

static const char *const names[WICK_N_POOLINGS] = {
    [WICK_POOL_DEFAULT] = "default",      [WICK_POOL_LAST] = "last", [WICK_POOL_MEAN] = "mean",
    [WICK_POOL_FIRST] = "first",          [WICK_POOL_MAX] = "max",   [WICK_POOL_SQRT_LEN] = "mean_sqrt_len",
    [WICK_POOL_WEIGHTED] = "weightedmean"};

const char *wick_pooling_name(wick_pooling p)
{
    return (unsigned)p < WICK_N_POOLINGS ? names[p] : "?";
}

bool wick_pooling_find(const char *name, wick_pooling *out)
{
    static const struct {
        const char *name;
        wick_pooling p;
    } more[] = {{"cls", WICK_POOL_FIRST}, {"lasttoken", WICK_POOL_LAST}, {"mean_tokens", WICK_POOL_MEAN}};
    for (unsigned i = 0; i < WICK_N_POOLINGS; i++) {
        if (strcmp(names[i], name) != 0) continue;
        *out = (wick_pooling)i;
        return true;
    }
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        if (strcmp(more[i].name, name) != 0) continue;
        *out = more[i].p;
        return true;
    }
    return false;
}

static void turn(wick_pool_act act, float *x, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        float v = x[i];
        switch (act) {
        case WICK_POOL_ACT_NONE: return;
        case WICK_POOL_ACT_TANH: x[i] = tanhf(v); break;
        case WICK_POOL_ACT_GELU: x[i] = 0.5F * v * (1 + erff(v * (float)M_SQRT1_2)); break;
        case WICK_POOL_ACT_RELU: x[i] = v > 0 ? v : 0; break;
        case WICK_POOL_ACT_SILU: x[i] = v / (1 + expf(-v)); break;
        }
    }
}

static void layer_norm(const wick_pool_layer *l, float *x, uint32_t n)
{
    double mean = 0, var = 0;
    for (uint32_t i = 0; i < n; i++) mean += x[i];
    mean /= n;
    for (uint32_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    double scale = 1 / sqrt(var / n + l->eps);
    for (uint32_t i = 0; i < n; i++)
        x[i] = (float)((x[i] - mean) * scale) * l->norm[i] + (l->norm_bias ? l->norm_bias[i] : 0);
}

/* `work` holds a row of weights, then what has been computed. */
uint32_t wick_pooler_run(const wick_pool_layer *layer, uint32_t n, float *x, uint32_t n_in, float *work)
{
    for (uint32_t k = 0; k < n; k++) {
        const wick_pool_layer *l = &layer[k];
        float *y = work + n_in;
        for (uint32_t o = 0; o < l->w->n_out; o++) {
            double sum = l->b ? l->b[o] : 0;
            wick_weight_row(l->w, o, work);
            for (uint32_t i = 0; i < n_in; i++) sum += (double)work[i] * x[i];
            y[o] = (float)sum;
        }
        n_in = l->w->n_out;
        memmove(x, y, n_in * sizeof *x);
        turn(l->act, x, n_in);
        if (l->norm) layer_norm(l, x, n_in);
    }
    return n_in;
}

double wick_pooler_score(const wick_pooler *p, const float *logit, uint32_t n)
{
    if (n == 1) return 1 / (1 + exp(-(double)logit[0]));
    double top = logit[0], sum = 0;
    for (uint32_t i = 1; i < n; i++) top = logit[i] > top ? logit[i] : top;
    for (uint32_t i = 0; i < n; i++) sum += exp(logit[i] - top);
    return exp(logit[p->best < n ? p->best : n - 1] - top) / sum;
}

static void measure(wick_pooler *p, const wick_pool_layer *l, uint32_t n, uint32_t n_in)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t n_out = l[i].w->n_out;
        if (n_out > p->n_max) p->n_max = n_out;
        if (n_in + n_out > p->n_work) p->n_work = n_in + n_out;
        n_in = n_out;
    }
}

void wick_pooler_measure(wick_pooler *p, uint32_t n_embd)
{
    p->n_max = p->n_work = n_embd;
    measure(p, p->embed, p->n_embed, n_embd);
    measure(p, p->rank, p->n_rank, n_embd);
    p->n_dims = p->n_embed ? p->embed[p->n_embed - 1].w->n_out : n_embd;
}

/* A matrix of as many rows as the file has, and its bias; NULL where it has none. */
static wick_status read_layer(wick_checkpoint *k, wick_role role, uint32_t n_in, wick_pool_layer *l, wick_err *err)
{
    const wick_tensor *t = wick_ck_find(k, role, 0, ".weight", NULL);
    uint64_t n = t && t->n_dim == 2 ? t->shape[0] : 0;
    if (!t) return WICK_OK;
    if (n < 1 || n > WICK_MAX_DIM)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: tensor %s: expected a matrix", k->where, t->name);
    WICK_TRY(wick_ck_matrix(k, role, 0, n, n_in, &l->w, err));
    return wick_ck_vector(k, role, 0, ".bias", n, WICK_CK_OPTIONAL, &l->b, err);
}

/* embeddinggemma's two matrices, which the converter puts into the file itself. */
static wick_status gguf_dense(wick_pooler *p, wick_checkpoint *k, wick_err *err)
{
    static const wick_role role[] = {WICK_ROLE_DENSE_2, WICK_ROLE_DENSE_3};
    uint32_t n_in = k->cfg->n_embd;
    for (int i = 0; i < 2; i++) {
        wick_pool_layer l = {0};
        WICK_TRY(read_layer(k, role[i], n_in, &l, err));
        if (!l.w) continue;
        p->embed[p->n_embed++] = l;
        n_in = l.w->n_out;
    }
    return WICK_OK;
}

wick_status wick_pooler_heads(wick_pooler *p, wick_checkpoint *k, wick_err *err)
{
    const wick_config *c = k->cfg;
    wick_pool_layer dense = {.act = c->arch->pool_act, .eps = c->norm_eps}, out = {0};
    const float *norm = NULL, *norm_bias = NULL;
    p->rank_pooling = c->both ? WICK_POOL_FIRST : WICK_POOL_LAST;
    if (c->from_gguf) WICK_TRY(gguf_dense(p, k, err));
    WICK_TRY(read_layer(k, WICK_ROLE_CLS_OUT, c->n_embd, &out, err));
    if (out.w || c->from_gguf) WICK_TRY(read_layer(k, WICK_ROLE_CLS_DENSE, c->n_embd, &dense, err));
    if (dense.w) {
        WICK_TRY(wick_ck_vector(k, WICK_ROLE_CLS_NORM, 0, ".weight", dense.w->n_out, WICK_CK_OPTIONAL, &norm, err));
        WICK_TRY(wick_ck_vector(k, WICK_ROLE_CLS_NORM, 0, ".bias", dense.w->n_out, WICK_CK_OPTIONAL, &norm_bias, err));
    }
    dense.norm = norm;
    dense.norm_bias = norm_bias;
    if (dense.w && !out.w && dense.w->n_out == c->n_embd) return WICK_OK; /* no scores come of it */
    if (dense.w && !out.w) dense.act = WICK_POOL_ACT_NONE;                /* one matrix is all */
    if (dense.w) p->rank[p->n_rank++] = dense;
    if (out.w) p->rank[p->n_rank++] = out;
    if (!p->n_rank) return WICK_OK;
    if (p->rank[p->n_rank - 1].w->n_out > MAX_LABELS)
        return WICK_FAIL(err, WICK_E_BAD_FILE, k->where, "%s: a classifier of %u labels", k->where,
                         p->rank[p->n_rank - 1].w->n_out);
    p->best = 1;
    const char *how = json_string_value(wick_config_get(c, "classifier_pooling"));
    if (how && !wick_pooling_find(how, &p->rank_pooling))
        return wick_err_format(err, c->where, "classifier_pooling cls or mean", how, NULL);
    return WICK_OK;
}

/* The model says of itself that it is a reranker. */
static bool called_reranker(const wick_model *m)
{
    char low[256];
    size_t n = strlen(m->name);
    if (n >= sizeof low) n = sizeof low - 1;
    for (size_t i = 0; i < n; i++)
        low[i] = m->name[i] >= 'A' && m->name[i] <= 'Z' ? (char)(m->name[i] + 32) : m->name[i];
    low[n] = 0;
    return strstr(low, "rerank") != NULL;
}

wick_status wick_pooler_judge(wick_pooler *p, wick_model *m, int32_t yes, int32_t no, bool sure, wick_err *err)
{
    const wick_op *last = m->plan.n_ops ? &m->plan.op[m->plan.n_ops - 1] : NULL;
    const wick_weight *head = last && last->kind == WICK_OP_HEAD ? last->u.head.w : NULL;
    if (p->n_rank || !head || !(sure || called_reranker(m)) || yes < 0 || no < 0 || (uint32_t)yes >= head->n_out ||
        (uint32_t)no >= head->n_out)
        return WICK_OK;
    uint32_t n = head->n_in;
    float *row = wick_arena_array(&m->plan.arena, n, sizeof *row),
          *off = wick_arena_array(&m->plan.arena, n, sizeof *off);
    wick_weight *w = wick_arena_alloc(&m->plan.arena, sizeof *w);
    if (!row || !off || !w) return wick_err_oom(err, "the plan", 0, 0);
    wick_weight_row(head, (uint32_t)yes, row);
    wick_weight_row(head, (uint32_t)no, off);
    for (uint32_t i = 0; i < n; i++) row[i] = (row[i] - off[i]) * last->u.head.scale;
    *w = (wick_weight){.enc = WICK_ENC_PLAIN,
                       .dtype = WICK_DTYPE_F32,
                       .n_out = 1,
                       .n_in = n,
                       .data = (const uint8_t *)row,
                       .name = "yes - no"};
    WICK_TRY(wick_weight_finish(w, err));
    p->rank[p->n_rank++] = (wick_pool_layer){.w = w};
    p->rank_pooling = WICK_POOL_LAST;
    p->judge = true;
    return WICK_OK;
}

void wick_pooler_release(wick_pooler *p)
{
    json_decref(p->prompts);
    memset(p, 0, sizeof *p);
}
