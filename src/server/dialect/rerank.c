/* server/dialect/rerank.c - documents by how well they answer a query: the shapes of Jina, Cohere, llama.cpp and TEI.
 *
 * A model with a head for scores reads query and document together, one request a document; its scores lie between 0
 * and 1 (raw_scores: logits). Any other compares embeddings: the query's is the first request, scores are cosines. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "engine/embed.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"

typedef struct ranked {
    uint32_t index;
    double score;
} ranked;

static const json_t *documents_of(const wick_params *p)
{
    return p->documents ? p->documents : p->texts;
}

static const json_t *document_text(const json_t *d)
{
    return json_is_object(d) ? json_object_get(d, "text") : d;
}

static wick_status rank_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    const json_t *d = documents_of(p);
    const char *name = p->documents ? "documents" : "texts";
    if (!p->query || !*p->query) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "query", "query: is missing");
    if (!d) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "documents", "documents (or texts): is missing");
    if (json_array_size(d) == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: is empty", name);
    if (json_array_size(d) >= l->prompts)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s: %zu of them, at most %llu", name, json_array_size(d),
                         (unsigned long long)l->prompts - 1);
    for (size_t i = 0; i < json_array_size(d); i++)
        if (json_string_length(document_text(json_array_get(d, i))) == 0)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s[%zu]: must be a text", name, i);
    *n = (uint32_t)json_array_size(d) + 1;
    return WICK_OK;
}

static wick_str text_of(const json_t *v)
{
    return (wick_str){json_string_value(v), json_string_length(v)};
}

/* One request fewer than was counted: the pairs hold the query. */
static wick_status pairs(wick_gen *g, wick_err *err)
{
    const json_t *d = documents_of(&g->p);
    g->base.kind = WICK_REQ_RANK;
    g->n_prompt--;
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        WICK_TRY(wick_rank_encode(g->model->engine, wick_str_of(g->p.query),
                                  text_of(document_text(json_array_get(d, i))), g->p.instruction, &q->ids, &q->n,
                                  &q->second, err));
    }
    return WICK_OK;
}

static wick_status rank_prepare(wick_gen *g, wick_err *err)
{
    const wick_engine *e = g->model->engine;
    const json_t *d = documents_of(&g->p);
    const wick_pooler *p = wick_engine_pooler(e);
    if (wick_engine_ranks(e)) return pairs(g, err);
    g->base.kind = WICK_REQ_EMBED;
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        const wick_embed_how how = {.name = !p || !p->prompts ? NULL : i ? "document" : "query", .truncate = true};
        const wick_str text = i ? text_of(document_text(json_array_get(d, i - 1))) : wick_str_of(g->p.query);
        WICK_TRY(wick_embed_encode(e, text, &how, &q->ids, &q->n, err));
    }
    return WICK_OK;
}

static void rank_token(wick_choice *c, const wick_event *ev)
{
    if (ev->kind == WICK_EVENT_LOGITS) wick_buf_add(&c->text, ev->data, ev->width * sizeof *ev->data);
}

static double cosine(const wick_choice *a, const wick_choice *b)
{
    const float *u = (const float *)(const void *)a->text.data, *v = (const float *)(const void *)b->text.data;
    const size_t n = (a->text.n < b->text.n ? a->text.n : b->text.n) / sizeof *u;
    double dot = 0, uu = 0, vv = 0;
    for (size_t i = 0; i < n; i++) {
        dot += (double)u[i] * (double)v[i];
        uu += (double)u[i] * (double)u[i];
        vv += (double)v[i] * (double)v[i];
    }
    return uu > 0 && vv > 0 ? dot / sqrt(uu * vv) : 0;
}

/* Of the i-th document. */
static double score_of(const wick_gen *g, uint32_t i)
{
    if (g->base.kind == WICK_REQ_EMBED) return cosine(&g->choice[0], &g->choice[i + 1]);
    const wick_buf *t = &g->choice[i].text;
    const float *logit = (const float *)(const void *)t->data;
    const uint32_t n = (uint32_t)(t->n / sizeof *logit);
    if (n == 0) return 0;
    const wick_pooler *p = wick_engine_pooler(g->model->engine);
    if (g->p.raw_scores) return (double)logit[n == 1 ? 0 : p->best < n ? p->best : n - 1];
    return wick_pooler_score(p, logit, n);
}

static int by_score(const void *a, const void *b)
{
    const ranked *u = a, *v = b;
    if (u->score != v->score) return u->score < v->score ? 1 : -1;
    return u->index < v->index ? -1 : 1;
}

static void rank_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    const bool tei = g->p.documents == NULL;
    const uint32_t n = g->base.kind == WICK_REQ_EMBED ? g->n - 1 : g->n;
    unsigned long long n_tokens = 0;
    ranked *list = wick_alloc_zero(n, sizeof *list);
    if (!list) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; i < g->n; i++) n_tokens += g->choice[i].usage.n_prompt;
    for (uint32_t i = 0; i < n; i++) list[i] = (ranked){i, score_of(g, i)};
    qsort(list, n, sizeof *list, by_score);
    if (!tei) {
        wick_buf_printf(b,
                        "{\"id\":\"rerank-%s\",\"meta\":{\"api_version\":{\"version\":\"2\"},\"billed_units\":{"
                        "\"search_units\":1}},",
                        g->x->id);
        wick_buf_puts(b, "\"model\":");
        wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
        wick_buf_printf(b, ",\"object\":\"list\",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu},\"results\":",
                        n_tokens, n_tokens);
    }
    wick_buf_putc(b, '[');
    for (uint32_t i = 0; i < n && i < (g->p.seen_top_n ? g->p.top_n : n); i++) {
        wick_buf_printf(b, "%s{\"index\":%u,\"%s\":", i ? "," : "", list[i].index, tei ? "score" : "relevance_score");
        wick_json_write_float(b, list[i].score);
        if (g->p.with_pieces) { /* return_documents, return_text */
            const json_t *text = document_text(json_array_get(documents_of(&g->p), list[i].index));
            wick_buf_puts(b, tei ? ",\"text\":" : ",\"document\":{\"text\":");
            wick_json_write_str(b, json_string_value(text), json_string_length(text));
            if (!tei) wick_buf_putc(b, '}');
        }
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, tei ? "]\n" : "]}\n");
    wick_free(list);
}

static const wick_gen_format rank_format = {
    .params = WICK_P_RERANK, .count = rank_count, .prepare = rank_prepare, .token = rank_token, .answer = rank_answer};

bool wick_route_llama_rerank(wick_exchange *x)
{
    return wick_gen_route(x, &rank_format);
}
