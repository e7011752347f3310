/* server/router.c - the one table of routes; docs/API.md has the same table and a test compares them. */
#include <string.h>
#include "server/dialect/anthropic.h"
#include "server/dialect/llamacpp.h"
#include "server/dialect/ollama.h"
#include "server/dialect/responses.h"
#include "server/server_int.h"

#define INFER WICK_SCOPE_INFER
#define ADMIN WICK_SCOPE_ADMIN
#define OPENAI &wick_dialect_openai
#define ANTHROPIC &wick_dialect_anthropic
#define OLLAMA &wick_dialect_ollama
#define RESPONSES &wick_dialect_responses
#define LLAMA &wick_dialect_llamacpp
#define MCP &wick_dialect_mcp

const wick_route wick_routes[] = {
    {"POST", "/v1/chat/completions", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_chat,
     "chat; streams with `stream: true`"},
    {"POST", "/v1/completions", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_completions,
     "text completion, echo, prompt log probabilities"},
    {"POST", "/v1/embeddings", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_embeddings, "embeddings, float or base64"},
    {"GET", "/v1/models", OPENAI, INFER, WICK_ROUTE_QUICK, wick_route_models, "the models of this server"},
    {"GET", "/v1/models/{id}", OPENAI, INFER, WICK_ROUTE_QUICK, wick_route_model,
     "one model: backend, device, ready, context, capabilities"},
    {"POST", "/tokenize", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_tokenize, "text or messages to token ids"},
    {"POST", "/detokenize", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_detokenize, "token ids to text"},
    {"POST", "/v1/apply-template", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_apply_template,
     "messages to the prompt text that /v1/chat/completions makes of them"},
    {"POST", "/v1/chat/completions/input_tokens", OPENAI, INFER, WICK_ROUTE_COUNTED, wick_route_count_tokens,
     "how many tokens the prompt of a chat has"},
    {"POST", "/chat/completions", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_chat,
     "chat with llama.cpp's extras: timings, its errors"},
    {"POST", "/apply-template", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_apply_template,
     "messages to the prompt text that /chat/completions makes of them"},
    {"POST", "/completion", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_text, "llama.cpp's own text completion"},
    {"POST", "/completions", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_text, "the same"},
    {"POST", "/infill", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_infill,
     "text for a gap, where the model knows how"},
    {"POST", "/embedding", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_embeddings, "embeddings as a bare list"},
    {"POST", "/embeddings", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_embeddings, "the same"},
    {"POST", "/rerank", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_rerank,
     "documents in the order of their scores for the query"},
    {"POST", "/reranking", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_rerank, "the same"},
    {"POST", "/v1/rerank", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_rerank, "the same"},
    {"POST", "/v2/rerank", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_rerank, "the same, for Cohere's clients"},
    {"POST", "/v1/reranking", LLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_llama_rerank, "the same"},
    {"GET", "/props", LLAMA, INFER, WICK_ROUTE_QUICK, wick_route_llama_props,
     "the default model: context, template, sampling"},
    {"GET", "/slots", LLAMA, INFER, WICK_ROUTE_QUICK, wick_route_llama_slots,
     "places in the batch, and which are in use"},
    {"GET", "/lora-adapters", LLAMA, INFER, WICK_ROUTE_QUICK, wick_route_llama_adapters, "an empty list"},
    {"POST", "/v1/messages", ANTHROPIC, INFER, WICK_ROUTE_COUNTED, wick_route_anthropic,
     "Anthropic's Messages; streams with `stream: true`"},
    {"POST", "/v1/messages/count_tokens", ANTHROPIC, INFER, WICK_ROUTE_COUNTED, wick_route_anthropic_count,
     "how many tokens the prompt has"},
    {"POST", "/api/chat", OLLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_ollama_chat,
     "Ollama's chat; a stream by default"},
    {"POST", "/api/generate", OLLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_ollama_generate,
     "Ollama's completion, through the template unless `raw`"},
    {"POST", "/api/embed", OLLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_ollama_embed, "Ollama's embeddings"},
    {"POST", "/api/embeddings", OLLAMA, INFER, WICK_ROUTE_COUNTED, wick_route_ollama_embed, "the same, one vector"},
    {"GET", "/api/tags", OLLAMA, INFER, WICK_ROUTE_QUICK, wick_route_ollama_tags, "the models of this server"},
    {"GET", "/api/ps", OLLAMA, INFER, WICK_ROUTE_QUICK, wick_route_ollama_ps, "those that are loaded"},
    {"POST", "/api/show", OLLAMA, INFER, 0, wick_route_ollama_show, "one model: template, context, capabilities"},
    {"GET", "/api/version", OLLAMA, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_ollama_version,
     "the version of Ollama's API"},
    {"POST", "/v1/responses/input_tokens", RESPONSES, INFER, WICK_ROUTE_COUNTED, wick_route_response_count,
     "how many tokens the prompt of a response has"},
    {"POST", "/v1/responses/{id}/cancel", RESPONSES, INFER, 0, wick_route_response_cancel, "end a response that runs"},
    {"GET", "/v1/responses/{id}/input_items", RESPONSES, INFER, 0, wick_route_response_items, "what it was asked with"},
    {"POST", "/v1/responses", RESPONSES, INFER, WICK_ROUTE_COUNTED, wick_route_responses,
     "OpenAI's Responses; streams with `stream: true`"},
    {"GET", "/v1/responses/{id}", RESPONSES, INFER, 0, wick_route_response_get, "a stored response"},
    {"DELETE", "/v1/responses/{id}", RESPONSES, INFER, 0, wick_route_response_delete, "forget it"},
    {"POST", "/mcp", MCP, INFER, WICK_ROUTE_COUNTED | WICK_ROUTE_RAW, wick_route_mcp,
     "the Model Context Protocol, where it was started with --mcp"},
    {"GET", "/mcp", MCP, INFER, WICK_ROUTE_RAW, wick_route_mcp, "the stream of a session's announcements"},
    {"DELETE", "/mcp", MCP, INFER, WICK_ROUTE_RAW, wick_route_mcp, "end a session"},
    {"GET", "/livez", OPENAI, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_livez, "200 while the process serves"},
    {"GET", "/readyz", OPENAI, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz,
     "200 when requests are taken; 503 while loading or draining"},
    {"GET", "/healthz", OPENAI, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz, "the same as /readyz"},
    {"GET", "/health", OPENAI, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz, "the same as /readyz"},
    {"GET", "/v1/health", OPENAI, 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz, "the same as /readyz"},
    {"GET", "/metrics", OPENAI, WICK_SCOPE_METRICS, WICK_ROUTE_QUICK, wick_route_metrics, "Prometheus text format"},
    {"GET", "/status", OPENAI, WICK_SCOPE_METRICS, WICK_ROUTE_QUICK, wick_route_status, "the server at a glance, JSON"},
    {"GET", "/admin/models", OPENAI, ADMIN, WICK_ROUTE_QUICK, wick_route_admin_models,
     "all models with state, memory, errors"},
    {"POST", "/admin/models/load", OPENAI, ADMIN, 0, wick_route_admin_load, "load a model (known, or a new path)"},
    {"POST", "/admin/models/unload", OPENAI, ADMIN, 0, wick_route_admin_unload,
     "unload when its last request has ended"},
    {"POST", "/admin/models/default", OPENAI, ADMIN, 0, wick_route_admin_default,
     "the model of requests that name none"},
    {"GET", "/admin/keys", OPENAI, ADMIN, WICK_ROUTE_QUICK, wick_route_admin_keys,
     "names, scopes, limits and use of the keys"},
    {"POST", "/admin/keys", OPENAI, ADMIN, 0, wick_route_admin_key_add, "make a key; it is shown once"},
    {"DELETE", "/admin/keys/{id}", OPENAI, ADMIN, 0, wick_route_admin_key_remove,
     "remove a key and the prompts cached for it"},
    {"POST", "/admin/keys/limits", OPENAI, ADMIN, 0, wick_route_admin_key_limits, "set the rate limits of a key"},
    {"POST", "/admin/cache/clear", OPENAI, ADMIN, 0, wick_route_admin_cache_clear, "forget cached prompts"},
    {"POST", "/admin/cache/warm", OPENAI, ADMIN, 0, wick_route_admin_cache_warm,
     "compute a prompt so that it is cached"},
    {"POST", "/admin/drain", OPENAI, ADMIN, 0, wick_route_admin_drain, "finish what runs, then exit"},
};
const unsigned wick_n_routes = sizeof wick_routes / sizeof *wick_routes;

/* Does path fit the pattern? What stands for its {id}, slashes included, goes to arg. */
static bool fits(const char *pattern, const char *path, char *arg, size_t cap)
{
    const char *brace = strchr(pattern, '{');
    if (!brace) return strcmp(pattern, path) == 0;
    const char *suffix = strchr(brace, '}') + 1;
    const size_t n = (size_t)(brace - pattern), n_path = strlen(path), n_suffix = strlen(suffix);
    if (n_path <= n + n_suffix || strncmp(pattern, path, n) != 0) return false;
    if (strcmp(path + n_path - n_suffix, suffix) != 0 || n_path - n - n_suffix >= cap) return false;
    memcpy(arg, path + n, n_path - n - n_suffix);
    arg[n_path - n - n_suffix] = '\0';
    return true;
}

/* Bases that clients are given are joined with paths in every way: slashes at both sides, at the end, or none. */
static bool normalise(const char *path, char *out, size_t cap)
{
    size_t n = 0;
    for (const char *c = path; *c; c++) {
        if (n + 1 >= cap) return false;
        if (*c != '/' || n == 0 || out[n - 1] != '/') out[n++] = *c;
    }
    if (n > 1 && out[n - 1] == '/') n--;
    out[n] = '\0';
    return n > 0;
}

bool wick_route_is_own(const char *path)
{
    char whole[1024] = "/v1", *short_path = whole + 3, arg[1024];
    if (!normalise(path, short_path, sizeof whole - 3)) return false;
    for (unsigned i = 0; i < wick_n_routes; i++)
        if (wick_routes[i].scope == ADMIN && (fits(wick_routes[i].path, short_path, arg, sizeof arg) ||
                                              fits(wick_routes[i].path, whole, arg, sizeof arg)))
            return true;
    return false;
}

static unsigned method_bit(const char *method)
{
    static const char *const names[] = {"GET", "POST", "DELETE"};
    for (unsigned i = 0; i < 3; i++)
        if (strcmp(names[i], method) == 0) return 1u << i;
    return 0;
}

static const wick_route *find(const char *method, const char *path, char *arg, size_t cap, unsigned *methods)
{
    for (unsigned i = 0; i < wick_n_routes; i++) {
        if (!fits(wick_routes[i].path, path, arg, cap)) continue;
        if (strcmp(wick_routes[i].method, method) == 0) return &wick_routes[i];
        *methods |= method_bit(wick_routes[i].method);
    }
    return NULL;
}

const wick_route *wick_route_find(const char *method, const char *path, char *arg, size_t cap, const char **allow)
{
    static const char *const sets[] = {NULL,     "GET, HEAD",         "POST",         "GET, HEAD, POST",
                                       "DELETE", "GET, HEAD, DELETE", "POST, DELETE", "GET, HEAD, POST, DELETE"};
    char whole[1024] = "/v1", *short_path = whole + 3;
    unsigned methods = 0;
    *allow = NULL;
    if (!normalise(path, short_path, sizeof whole - 3)) return NULL;
    if (strcmp(method, "HEAD") == 0) method = "GET";
    const wick_route *r = find(method, short_path, arg, cap, &methods);
    if (!r && methods == 0) r = find(method, whole, arg, cap, &methods); /* a base without /v1 */
    if (!r) *allow = sets[methods];
    return r;
}

const wick_dialect *wick_route_dialect(const char *path)
{
    char short_path[1024];
    if (!normalise(path, short_path, sizeof short_path)) return OPENAI;
    if (strncmp(short_path, "/v1/messages", 12) == 0) return ANTHROPIC;
    if (strcmp(short_path, "/mcp") == 0) return MCP;
    if (strncmp(short_path, "/api/", 5) == 0) return OLLAMA;
    if (strncmp(short_path, "/v1/responses", 13) == 0) return RESPONSES;
    return OPENAI;
}

static const char *scope_name(const wick_route *r)
{
    if (r->flags & WICK_ROUTE_OPEN) return "none";
    return r->scope == WICK_SCOPE_ADMIN ? "admin" : r->scope == WICK_SCOPE_METRICS ? "metrics" : "infer";
}

void wick_server_describe_routes(wick_buf *out)
{
    wick_buf_puts(out, "| Method | Path | Key's scope | What it does |\n|---|---|---|---|\n");
    for (unsigned i = 0; i < wick_n_routes; i++)
        wick_buf_printf(out, "| %s | `%s` | %s | %s |\n", wick_routes[i].method, wick_routes[i].path,
                        scope_name(&wick_routes[i]), wick_routes[i].about);
}

void wick_server_describe_limits(wick_buf *out)
{
    wick_buf_puts(out, "| Limit | Default | Allowed | Beyond it | Bounds |\n|---|---|---|---|---|\n");
#define LIMIT(field, def, lo, hi, unit, answer, about)                                                             \
    wick_buf_printf(out, "| `%s` | %llu %s | %llu to %llu | %s | %s |\n", #field, (unsigned long long)(def), unit, \
                    (unsigned long long)(lo), (unsigned long long)(hi), *(answer) ? (answer) : "-", about);
#include "server/limits.def"
#undef LIMIT
}
