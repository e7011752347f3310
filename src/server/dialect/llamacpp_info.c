/* server/dialect/llamacpp_info.c - llama.cpp's other routes: properties, slots, adapters, and ranking by embeddings. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"

/* --- what there is ------------------------------------------------------------------------------------------------ */
static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static json_t *token_text(const wick_engine *e, int32_t id)
{
    wick_buf b = WICK_BUF_INIT;
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    if (t && id >= 0 && (uint32_t)id < wick_tokenizer_size(t)) wick_tokenizer_bytes(t, id, &b);
    json_t *s = b.failed ? NULL : json_stringn(wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return s;
}

static uint32_t n_slots(const wick_entry *m)
{
    return m->c.engine.max_seqs ? m->c.engine.max_seqs : 16;
}

/* What the server was started with goes over what the model says. */
static json_t *settings(const wick_engine *e, const json_t *defaults)
{
    wick_sampling s;
    wick_sampling_from_model(&s, e);
    json_t *o =
        json_pack("{s:I, s:f, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I}", "seed", (json_int_t)4294967295,
                  "temperature", (double)s.temperature, "top_k", (json_int_t)s.top_k, "top_p", (double)s.top_p, "min_p",
                  (double)s.min_p, "typical_p", (double)s.typical_p, "repeat_penalty", (double)s.repetition_penalty,
                  "presence_penalty", (double)s.presence_penalty, "frequency_penalty", (double)s.frequency_penalty,
                  "n_predict", (json_int_t)-1, "max_tokens", (json_int_t)-1);
    if (o && defaults) json_object_update(o, (json_t *)(uintptr_t)defaults);
    return o;
}

/* Of the model that a request without a name gets. NULL: out of memory. */
static json_t *props(const wick_entry *m, const json_t *defaults)
{
    const wick_engine *e = m->engine;
    const json_int_t n_ctx = e ? (json_int_t)wick_engine_ctx(e) : 0;
    const wick_chat_template *t = m->chat ? wick_chat_get_template(m->chat) : NULL;
    json_t *o = json_pack("{s:I, s:s, s:s, s:{s:b, s:b}, s:s, s:s, s:b}", "total_slots", (json_int_t)n_slots(m),
                          "model_alias", m->c.id, "model_path", base_name(m->c.path), "modalities", "vision", 0,
                          "audio", 0, "build_info", "wick-" WICK_VERSION, "chat_template",
                          t ? wick_chat_template_source(t) : "", "is_sleeping", e == NULL);
    if (!o || !e) return o;
    const wick_tokenizer *tok = wick_engine_tokenizer(e);
    json_t *d = json_pack("{s:i, s:i, s:I, s:b, s:b, s:o}", "id", 0, "id_task", -1, "n_ctx", n_ctx, "speculative", 0,
                          "is_processing", 0, "params", settings(e, defaults));
    json_object_set_new(o, "default_generation_settings", d);
    const int32_t eos = wick_engine_model(e)->n_eos ? wick_engine_model(e)->eos[0] : -1;
    if (!tok || (json_object_set_new(o, "bos_token", token_text(e, wick_tokenizer_bos(tok))) == 0 &&
                 json_object_set_new(o, "eos_token", token_text(e, eos)) == 0))
        return o;
    json_decref(o);
    return NULL;
}

bool wick_route_llama_props(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    wick_lock_take(&g->lock);
    json_t *o = g->def ? props(g->def, x->s->config->defaults) : json_object();
    wick_lock_drop(&g->lock);
    wick_x_json(x, 200, o);
    return true;
}

bool wick_route_llama_slots(wick_exchange *x)
{
    wick_registry *g = &x->s->registry;
    json_t *list = json_array();
    wick_lock_take(&g->lock);
    const wick_entry *m = g->def;
    wick_engine_stats s = {0};
    if (m && m->engine) wick_engine_get_stats(m->engine, &s);
    for (uint32_t i = 0; m && list && i < n_slots(m); i++) {
        json_t *slot = json_pack("{s:i, s:I, s:b, s:b, s:[{s:i, s:i}]}", "id", (int)i, "n_ctx",
                                 (json_int_t)(m->engine ? wick_engine_ctx(m->engine) : 0), "speculative", 0,
                                 "is_processing", i < s.n_running, "next_token", "n_remain", -1, "n_decoded", 0);
        json_array_append_new(list, slot);
    }
    wick_lock_drop(&g->lock);
    wick_x_json(x, 200, list);
    return true;
}

bool wick_route_llama_adapters(wick_exchange *x)
{
    wick_x_json(x, 200, json_array());
    return true;
}

/* --- ranking ------------------------------------------------------------------------------------------------------ */
/* Documents by the cosine of their embedding and the query's: models with a head for ranking are not supported. */
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

static wick_status rank_prepare(wick_gen *g, wick_err *err)
{
    const wick_engine *e = g->model->engine;
    const json_t *d = documents_of(&g->p);
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        const json_t *text = i ? document_text(json_array_get(d, i - 1)) : NULL;
        WICK_TRY(wick_prompt_encode(e, i ? json_string_value(text) : g->p.query,
                                    i ? json_string_length(text) : strlen(g->p.query), 0, i ? "documents" : "query",
                                    &q->ids, &q->n, err));
    }
    g->base.kind = WICK_REQ_EMBED;
    g->base.pooling = WICK_POOL_MEAN;
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
    const uint32_t n = g->n - 1;
    unsigned long long n_tokens = 0;
    ranked *list = wick_alloc_zero(n, sizeof *list);
    if (!list) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; i < g->n; i++) n_tokens += g->choice[i].usage.n_prompt;
    for (uint32_t i = 0; i < n; i++) list[i] = (ranked){i, cosine(&g->choice[0], &g->choice[i + 1])};
    qsort(list, n, sizeof *list, by_score);
    if (!tei) {
        wick_buf_puts(b, "{\"model\":");
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
