/* capi/vectors.c - vectors and scores through the C API. */
#include <string.h>
#include "base/alloc.h"
#include "capi/capi_int.h"
#include "engine/embed.h"

static wick_status read_options(const wick_embed_options *o, wick_request_opts *r, wick_embed_how *how, wick_err *err)
{
    wick_request_opts_init(r);
    r->kind = WICK_REQ_EMBED;
    *how = (wick_embed_how){0};
    if (!o) return WICK_OK;
    if (o->size < sizeof *o)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "options", "options: use wick_embed_options_init");
    *how = (wick_embed_how){.name = o->prompt_name, .prompt = o->prompt, .truncate = o->truncate};
    if (!o->pooling || wick_pooling_find(o->pooling, &r->pooling)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "pooling", "pooling: %s is none of mean, last, first, max", o->pooling);
}

static void release(wick_embed_item *item, size_t n)
{
    for (size_t i = 0; item && i < n; i++) wick_free(item[i].ids);
    wick_free(item);
}

/* [n][width] of requests that are encoded. */
static wick_status compute(wick_llm *llm, const wick_request_opts *r, const wick_embed_item *item, size_t n,
                           float **out, wick_err *err)
{
    const uint32_t width = wick_embed_width(llm->engine, r->kind);
    float *v = wick_realloc_array(NULL, n * (width ? width : 1), sizeof *v);
    *out = NULL;
    if (!v) return wick_err_oom(err, "the vectors", n * width * sizeof *v, 0);
    const wick_status st = wick_embed_batch(llm->engine, r, item, n, v, err);
    if (st == WICK_OK)
        *out = v;
    else
        wick_free(v);
    return st;
}

static wick_status embed(wick_llm *llm, const wick_str *text, size_t n, const wick_embed_options *o, float **vectors,
                         size_t *n_dims, wick_err *err)
{
    wick_request_opts r;
    wick_embed_how how;
    float *v = NULL;
    WICK_TRY(read_options(o, &r, &how, err));
    wick_embed_item *item = wick_alloc_zero(n, sizeof *item);
    wick_status st = item ? WICK_OK : wick_err_oom(err, "the texts", n * sizeof *item, 0);
    for (size_t i = 0; i < n && st == WICK_OK; i++)
        st = wick_embed_encode(llm->engine, text[i], &how, &item[i].ids, &item[i].n_ids, err);
    if (st == WICK_OK) st = compute(llm, &r, item, n, &v, err);
    if (st == WICK_OK) {
        const uint32_t width = wick_embed_width(llm->engine, r.kind), dims = o ? o->dimensions : 0;
        uint32_t keep = width;
        for (size_t i = 0; i < n; i++) {
            keep = wick_embed_finish(v + i * width, width, dims, !(o && o->raw));
            memmove(v + i * keep, v + i * width, keep * sizeof *v);
        }
        *vectors = v;
        *n_dims = keep;
    }
    release(item, n);
    return st;
}

static wick_status bad(const char *name, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: is NULL", name);
}

wick_status wick_llm_embed(wick_llm *llm, const char *text, size_t n, const char *pooling, bool normalize,
                           float **vector, size_t *n_dims, wick_error *error)
{
    wick_err err = {0};
    wick_embed_options o;
    wick_embed_options_init(&o);
    o.pooling = pooling;
    o.raw = !normalize;
    wick_status st = !llm ? bad("llm", &err) : !text ? bad("text", &err) : WICK_OK;
    if (st == WICK_OK && (!vector || !n_dims)) st = bad("vector", &err);
    if (st == WICK_OK) {
        const wick_str s = {text, wick_capi_length(text, n)};
        st = embed(llm, &s, 1, &o, vector, n_dims, &err);
    }
    return wick_capi_result(st, &err, error);
}

/* n texts as views of them. */
static wick_status views(const char *const *texts, size_t n, const char *name, wick_str **out, wick_err *err)
{
    *out = NULL;
    if (!texts || n == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: there are none", name);
    wick_str *s = wick_alloc_zero(n, sizeof *s);
    if (!s) return wick_err_oom(err, "the texts", n * sizeof *s, 0);
    for (size_t i = 0; i < n; i++) {
        if (!texts[i]) {
            wick_free(s);
            return bad(name, err);
        }
        s[i] = wick_str_of(texts[i]);
    }
    *out = s;
    return WICK_OK;
}

wick_status wick_llm_embed_texts(wick_llm *llm, const char *const *texts, size_t n, const wick_embed_options *options,
                                 float **vectors, size_t *n_dims, wick_error *error)
{
    wick_err err = {0};
    wick_str *s = NULL;
    wick_status st = !llm ? bad("llm", &err) : WICK_OK;
    if (st == WICK_OK && (!vectors || !n_dims)) st = bad("vectors", &err);
    if (st == WICK_OK) st = views(texts, n, "texts", &s, &err);
    if (st == WICK_OK) st = embed(llm, s, n, options, vectors, n_dims, &err);
    wick_free(s);
    return wick_capi_result(st, &err, error);
}

static wick_status rank(wick_llm *llm, const char *query, const wick_str *document, size_t n, double **scores,
                        wick_err *err)
{
    wick_request_opts r;
    float *v = NULL;
    wick_request_opts_init(&r);
    r.kind = WICK_REQ_RANK;
    wick_embed_item *item = wick_alloc_zero(n, sizeof *item);
    double *out = wick_alloc_zero(n, sizeof *out);
    wick_status st = item && out ? WICK_OK : wick_err_oom(err, "the scores", n * sizeof *item, 0);
    for (size_t i = 0; i < n && st == WICK_OK; i++)
        st = wick_rank_encode(llm->engine, wick_str_of(query), document[i], NULL, &item[i].ids, &item[i].n_ids,
                              &item[i].second, err);
    if (st == WICK_OK) st = compute(llm, &r, item, n, &v, err);
    const uint32_t width = wick_embed_width(llm->engine, r.kind);
    for (size_t i = 0; i < n && st == WICK_OK; i++)
        out[i] = wick_pooler_score(wick_engine_pooler(llm->engine), v + i * width, width);
    if (st == WICK_OK)
        *scores = out;
    else
        wick_free(out);
    wick_free(v);
    release(item, n);
    return st;
}

wick_status wick_llm_rerank(wick_llm *llm, const char *query, const char *const *documents, size_t n, double **scores,
                            wick_error *error)
{
    wick_err err = {0};
    wick_str *s = NULL;
    wick_status st = !llm ? bad("llm", &err) : !query ? bad("query", &err) : !scores ? bad("scores", &err) : WICK_OK;
    if (st == WICK_OK) st = views(documents, n, "documents", &s, &err);
    if (st == WICK_OK) st = rank(llm, query, s, n, scores, &err);
    wick_free(s);
    return wick_capi_result(st, &err, error);
}
