/* server/params.c - see params.h. */
#include "server/params.h"
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "server/dialect/llamacpp.h"

static const wick_param_table *const tables[] = {&wick_params_openai, &wick_params_llamacpp, &wick_params_anthropic,
                                                 &wick_params_ollama, &wick_params_responses};
enum { N_TABLES = sizeof tables / sizeof *tables };

static const wick_param *find(unsigned route, const char *name)
{
    for (size_t t = 0; t < N_TABLES; t++)
        for (size_t i = 0; i < tables[t]->n; i++)
            if (tables[t]->row[i].routes & route && strcmp(tables[t]->row[i].name, name) == 0)
                return &tables[t]->row[i];
    return NULL;
}

/* The name of this route that an unknown one was most likely meant to be, or NULL. */
static const char *nearest(unsigned route, const char *name)
{
    const char *best = NULL;
    size_t least = strlen(name) < 6 ? 2 : 4; /* further away nothing is alike */
    for (size_t t = 0; t < N_TABLES; t++) {
        for (size_t i = 0; i < tables[t]->n; i++) {
            const wick_param *q = &tables[t]->row[i];
            if (!(q->routes & route) || q->kind == WICK_PK_REFUSED) continue;
            const size_t d = wick_edit_distance(name, q->name);
            if (d >= least) continue;
            least = d;
            best = q->name;
        }
    }
    return best;
}

static wick_status read_number(wick_param_reading *r, const wick_param *q, const json_t *v, void *at)
{
    const double d = json_number_value(v);
    const bool whole = q->kind == WICK_PK_U32;
    if (whole ? !json_is_integer(v) : !json_is_number(v))
        return wick_param_expected(r, q->name, whole ? "an integer" : "a number", v);
    if (!(d >= q->lo && d <= q->hi)) {
        if (q->kind == WICK_PK_NEUTRAL)
            return WICK_PARAM_BAD(r, q->name, "%s: is not supported: %s", q->name, q->about);
        return whole ? WICK_PARAM_BAD(r, q->name, "%s: must be from %.0f to %.0f", q->name, q->lo, q->hi)
                     : WICK_PARAM_BAD(r, q->name, "%s: must be from %g to %g", q->name, q->lo, q->hi);
    }
    if (whole)
        *(uint32_t *)at = (uint32_t)json_integer_value(v);
    else if (q->kind == WICK_PK_F32)
        *(float *)at = (float)d;
    return WICK_OK;
}

static wick_status check_type(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const unsigned types[] = {[JSON_OBJECT] = WICK_PT_OBJECT,
                                     [JSON_ARRAY] = WICK_PT_ARRAY,
                                     [JSON_STRING] = WICK_PT_STR,
                                     [JSON_INTEGER] = WICK_PT_INT,
                                     [JSON_REAL] = 4,
                                     [JSON_TRUE] = WICK_PT_BOOL,
                                     [JSON_FALSE] = WICK_PT_BOOL,
                                     [JSON_NULL] = 0};
    if (types[json_typeof(v)] & q->at) return WICK_OK;
    return WICK_PARAM_BAD(r, q->name, "%s: cannot be %s", q->name, wick_json_type_name(v));
}

static wick_status read_one(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    void *at = (char *)r->p + q->at;
    switch (q->kind) {
    case WICK_PK_BOOL:
        if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
        *(bool *)at = json_is_true(v);
        break;
    case WICK_PK_U32:
    case WICK_PK_F32:
    case WICK_PK_NEUTRAL: WICK_TRY(read_number(r, q, v, at)); break;
    case WICK_PK_STR: WICK_TRY(wick_param_text(r, q->name, v, at)); break;
    case WICK_PK_ARRAY:
        if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array", v);
        *(const json_t **)at = v;
        break;
    case WICK_PK_OBJECT:
        if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
        *(const json_t **)at = v;
        break;
    case WICK_PK_ANY: *(const json_t **)at = v; break;
    case WICK_PK_FN: WICK_TRY(q->fn(r, q, v)); break;
    case WICK_PK_NOOP: return check_type(r, q, v);
    case WICK_PK_REFUSED: return WICK_PARAM_BAD(r, q->name, "%s: is not supported: %s", q->name, q->about);
    }
    if (q->seen) *(bool *)((char *)r->p + q->seen) = true;
    return WICK_OK;
}

wick_status wick_params_merge(wick_param_reading *r, const json_t *o, unsigned route)
{
    const char *key;
    json_t *v;
    const unsigned outer = r->route;
    r->route = route;
    json_object_foreach((json_t *)(uintptr_t)o, key, v)
    {
        const wick_param *q = find(route, key);
        if (!q) {
            const char *near = nearest(route, key);
            return near ? WICK_PARAM_BAD(r, key, "unknown parameter \"%.80s\"; did you mean \"%s\"?", key, near)
                        : WICK_PARAM_BAD(r, key, "unknown parameter \"%.80s\"; docs/API.md lists what is known here",
                                         key);
        }
        if (!json_is_null(v)) WICK_TRY(read_one(r, q, v));
    }
    r->route = outer;
    return WICK_OK;
}

static wick_status check_together(wick_param_reading *r)
{
    wick_params *p = r->p;
    if (!p->stream && json_object_get(r->body, "stream_options") &&
        !json_is_null(json_object_get(r->body, "stream_options")))
        return WICK_PARAM_BAD(r, "stream_options", "stream_options: only with stream: true");
    if (r->route & (WICK_P_CHAT | WICK_P_OLLAMA) && p->seen_top_logprobs && p->top_logprobs > 0 && !p->logprobs)
        return WICK_PARAM_BAD(r, "top_logprobs", "top_logprobs: only with logprobs: true");
    if (p->seen_best_of && p->best_of < p->n) return WICK_PARAM_BAD(r, "best_of", "best_of: must not be less than n");
    if (p->seen_best_of && p->best_of > p->n && p->stream)
        return WICK_PARAM_BAD(r, "best_of", "best_of: not with stream: true");
    if (p->seen_best_of && p->best_of > p->n && p->echo)
        return WICK_PARAM_BAD(r, "best_of", "best_of: not with echo: true");
    if (r->route == WICK_P_TEXT && p->max_tokens == 0 && !p->unbounded && !p->echo)
        return WICK_PARAM_BAD(r, "max_tokens", "max_tokens: 0 gives nothing without echo: true");
    if (p->add_generation_prompt && p->continue_final_message)
        return WICK_PARAM_BAD(r, "continue_final_message",
                              "continue_final_message: not together with add_generation_prompt");
    return WICK_OK;
}

/* What the body says itself, under this name or another of the same meaning, is not read here. */
static wick_status read_defaults(wick_param_reading *r, const json_t *defaults)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)defaults, key, v)
    {
        const wick_param *q = find(r->route, key);
        if (q && !json_is_null(v)) WICK_TRY(read_one(r, q, v));
    }
    r->p->seen_max_tokens = false; /* the body may say another one */
    return WICK_OK;
}

wick_status wick_params_parse(wick_params *p, const json_t *body, unsigned route, const wick_server_limits *l,
                              wick_err *err)
{
    return wick_params_parse_with(p, NULL, body, route, l, err);
}

wick_status wick_params_parse_with(wick_params *p, const json_t *defaults, const json_t *body, unsigned route,
                                   const wick_server_limits *l, wick_err *err)
{
    wick_param_reading r = {p, l, body, route, err};
    memset(p, 0, sizeof *p);
    p->route = route;
    wick_sampling_defaults(&p->sampling);
    p->n = p->best_of = 1;
    p->max_tokens = route == WICK_P_TEXT ? 16 : 0;
    p->unbounded = route != WICK_P_TEXT;
    p->stream = route & WICK_P_OLLAMA; /* there a stream is what is not said otherwise */
    p->add_special = route != WICK_P_TOKENIZE || !json_object_get(body, "messages");
    p->parse_special = p->normalize = p->store = true;
    if (defaults) WICK_TRY(read_defaults(&r, defaults));
    WICK_TRY(wick_params_merge(&r, body, route));
    const json_t *gen = json_object_get(body, "add_generation_prompt");
    if (!gen || json_is_null(gen)) p->add_generation_prompt = !p->continue_final_message;
    return check_together(&r);
}

wick_status wick_params_keep(wick_params *p, json_t *v, wick_err *err)
{
    if (!p->made) p->made = json_array();
    if (!v || !p->made || json_array_append_new(p->made, v) != 0) return wick_err_oom(err, "the request", 0, 0);
    return WICK_OK;
}

void wick_params_release(wick_params *p)
{
    wick_free(p->bias);
    wick_free(p->stop);
    wick_free(p->stop_ids);
    wick_free(p->breakers);
    json_decref(p->made);
    wick_free(p->grammar_text);
    p->grammar_text = NULL;
    p->bias = NULL;
    p->stop = NULL;
    p->stop_ids = NULL;
    p->breakers = NULL;
    p->made = NULL;
}

/* Entries of logit_bias that are texts: each of their tokens gets the bias. */
static wick_status add_text_bias(wick_params *p, const wick_engine *e, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    uint32_t n = p->sampling.n_bias;
    for (size_t i = 0; i < json_array_size(p->bias_text); i++) {
        const json_t *pair = json_array_get(p->bias_text, i), *text = json_array_get(pair, 0);
        const json_t *v = json_array_get(pair, 1);
        int32_t *ids = NULL;
        size_t n_ids = 0;
        if (!json_is_string(text)) continue;
        if (!t) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "logit_bias", "logit_bias: this model has no tokenizer");
        WICK_TRY(wick_tokenizer_encode(t, json_string_value(text), json_string_length(text), WICK_ENC_NO_SPECIAL, &ids,
                                       &n_ids, err));
        wick_logit_bias *more = wick_realloc_array(p->bias, n + n_ids + 1, sizeof *more);
        if (!more) {
            wick_free(ids);
            return wick_err_oom(err, "logit_bias", 0, 0);
        }
        p->bias = more;
        for (size_t k = 0; k < n_ids; k++)
            more[n++] = (wick_logit_bias){ids[k], json_is_false(v) ? -100 : (float)json_number_value(v)};
        wick_free(ids);
    }
    p->bias_text = NULL;
    p->sampling.bias = p->bias;
    p->sampling.n_bias = n;
    return WICK_OK;
}

wick_status wick_params_sampling(wick_params *p, const wick_engine *e, wick_sampling *out, wick_err *err)
{
    if (p->bias_text) WICK_TRY(add_text_bias(p, e, err));
    *out = p->sampling;
    if (p->mirostat < 0) out->mirostat_tau = 0;
    if (p->mirostat > 0 && out->mirostat_tau == 0) out->mirostat_tau = 5;
    WICK_TRY(wick_sampling_resolve(out, &p->given, e, err));
    wick_llama_samplers(p->samplers, out);
    return WICK_OK;
}

static const struct {
    unsigned route;
    const char *name, *title;
} routes[] = {
    {WICK_P_CHAT, "chat", "OpenAI and Wick"},
    {WICK_P_TEXT, "completions", "OpenAI and Wick"},
    {WICK_P_EMBED, "embeddings", "OpenAI and Wick"},
    {WICK_P_TOKENIZE, "tokenize", "OpenAI and Wick"},
    {WICK_P_DETOKENIZE, "detokenize", "OpenAI and Wick"},
    {WICK_P_TEMPLATE, "apply-template", "OpenAI and Wick"},
    {WICK_P_RESPONSES, "responses", "OpenAI Responses"},
    {WICK_P_LLAMA_TEXT, "completion", "llama.cpp"},
    {WICK_P_LLAMA_INFILL, "infill", "llama.cpp"},
    {WICK_P_RERANK, "rerank", "llama.cpp"},
    {WICK_P_ANTHROPIC, "messages", "Anthropic"},
    {WICK_P_ANTHROPIC_COUNT, "count_tokens", "Anthropic"},
    {WICK_P_OLLAMA_CHAT, "chat", "Ollama"},
    {WICK_P_OLLAMA_TEXT, "generate", "Ollama"},
    {WICK_P_OLLAMA_OPTIONS, "`options`", "Ollama"},
    {WICK_P_OLLAMA_EMBED, "embed", "Ollama"},
};
enum { N_ROUTES = sizeof routes / sizeof *routes };

static void describe_row(const wick_param *q, const char *title, wick_buf *out)
{
    const char *sep = " ";
    unsigned of_title = 0;
    for (size_t j = 0; j < N_ROUTES; j++)
        if (strcmp(routes[j].title, title) == 0) of_title |= routes[j].route;
    if (!(q->routes & of_title)) return;
    wick_buf_printf(out, "| `%s` |", q->name);
    for (size_t j = 0; j < N_ROUTES; j++) {
        if (!(q->routes & routes[j].route & of_title)) continue;
        wick_buf_printf(out, "%s%s", sep, routes[j].name);
        sep = ", ";
    }
    const char *what = q->kind == WICK_PK_REFUSED ? "refused: " : q->kind == WICK_PK_NOOP ? "no-op: " : "";
    wick_buf_printf(out, " | %s%s%s |\n", what, q->kind == WICK_PK_NEUTRAL ? "only its neutral value: " : "", q->about);
}

void wick_server_describe_parameters(wick_buf *out)
{
    for (size_t k = 0; k < N_ROUTES; k++) {
        if (k > 0 && strcmp(routes[k].title, routes[k - 1].title) == 0) continue;
        wick_buf_printf(out, "%s### %s\n\n| Parameter | Routes | Meaning |\n|---|---|---|\n", k ? "\n" : "",
                        routes[k].title);
        for (size_t t = 0; t < N_TABLES; t++)
            for (size_t i = 0; i < tables[t]->n; i++) describe_row(&tables[t]->row[i], routes[k].title, out);
    }
}
