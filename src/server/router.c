/* server/router.c - the one table of routes; docs/API.md has the same table and a test compares them. */
#include <string.h>
#include "server/server_int.h"

#define INFER WICK_SCOPE_INFER
#define ADMIN WICK_SCOPE_ADMIN

const wick_route wick_routes[] = {
    {"POST", "/v1/chat/completions", INFER, WICK_ROUTE_COUNTED, wick_route_chat, "chat; streams with `stream: true`"},
    {"POST", "/v1/completions", INFER, WICK_ROUTE_COUNTED, wick_route_completions,
     "text completion, echo, prompt log probabilities"},
    {"POST", "/v1/embeddings", INFER, WICK_ROUTE_COUNTED, wick_route_embeddings, "embeddings, float or base64"},
    {"GET", "/v1/models", INFER, WICK_ROUTE_QUICK, wick_route_models, "the models of this server"},
    {"GET", "/v1/models/{id}", INFER, WICK_ROUTE_QUICK, wick_route_model,
     "one model: backend, device, ready, context, capabilities"},
    {"POST", "/tokenize", INFER, WICK_ROUTE_COUNTED, wick_route_tokenize, "text or messages to token ids"},
    {"POST", "/detokenize", INFER, WICK_ROUTE_COUNTED, wick_route_detokenize, "token ids to text"},
    {"POST", "/apply-template", INFER, WICK_ROUTE_COUNTED, wick_route_apply_template, "messages to the prompt text"},
    {"GET", "/livez", 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_livez, "200 while the process serves"},
    {"GET", "/readyz", 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz,
     "200 when requests are taken; 503 while loading or draining"},
    {"GET", "/healthz", 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz, "the same as /readyz"},
    {"GET", "/health", 0, WICK_ROUTE_OPEN | WICK_ROUTE_QUICK, wick_route_readyz, "the same as /readyz"},
    {"GET", "/metrics", WICK_SCOPE_METRICS, WICK_ROUTE_QUICK, wick_route_metrics, "Prometheus text format"},
    {"GET", "/status", WICK_SCOPE_METRICS, WICK_ROUTE_QUICK, wick_route_status, "the server at a glance, JSON"},
    {"GET", "/admin/models", ADMIN, WICK_ROUTE_QUICK, wick_route_admin_models, "all models with state, memory, errors"},
    {"POST", "/admin/models/load", ADMIN, 0, wick_route_admin_load, "load a model (known, or a new path)"},
    {"POST", "/admin/models/unload", ADMIN, 0, wick_route_admin_unload, "unload when its last request has ended"},
    {"POST", "/admin/models/default", ADMIN, 0, wick_route_admin_default, "the model of requests that name none"},
    {"GET", "/admin/keys", ADMIN, WICK_ROUTE_QUICK, wick_route_admin_keys, "names, scopes, limits and use of the keys"},
    {"POST", "/admin/keys", ADMIN, 0, wick_route_admin_key_add, "make a key; it is shown once"},
    {"DELETE", "/admin/keys/{id}", ADMIN, 0, wick_route_admin_key_remove, "remove a key and the prompts cached for it"},
    {"POST", "/admin/keys/limits", ADMIN, 0, wick_route_admin_key_limits, "set the rate limits of a key"},
    {"POST", "/admin/cache/clear", ADMIN, 0, wick_route_admin_cache_clear, "forget cached prompts"},
    {"POST", "/admin/cache/warm", ADMIN, 0, wick_route_admin_cache_warm, "compute a prompt so that it is cached"},
    {"POST", "/admin/drain", ADMIN, 0, wick_route_admin_drain, "finish what runs, then exit"},
};
const unsigned wick_n_routes = sizeof wick_routes / sizeof *wick_routes;

/* Does path fit the pattern? The rest after a {id} goes to arg. */
static bool fits(const char *pattern, const char *path, char *arg, size_t cap)
{
    const char *brace = strchr(pattern, '{');
    if (!brace) return strcmp(pattern, path) == 0;
    size_t n = (size_t)(brace - pattern), rest;
    if (strncmp(pattern, path, n) != 0) return false;
    rest = strlen(path + n);
    if (rest == 0 || rest >= cap) return false;
    memcpy(arg, path + n, rest + 1);
    return true;
}

const wick_route *wick_route_find(const char *method, const char *path, char *arg, size_t cap, const char **allow)
{
    const wick_route *other = NULL;
    *allow = NULL;
    if (strcmp(method, "HEAD") == 0) method = "GET";
    for (unsigned i = 0; i < wick_n_routes; i++) {
        if (!fits(wick_routes[i].path, path, arg, cap)) continue;
        if (strcmp(wick_routes[i].method, method) == 0) return &wick_routes[i];
        other = other ? other : &wick_routes[i];
        if (strcmp(path, "/admin/keys") == 0)
            *allow = "GET, HEAD, POST";
        else if (!*allow)
            *allow = strcmp(other->method, "GET") == 0 ? "GET, HEAD" : other->method;
    }
    return NULL;
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
