/* A body of an MCP exchange, with headers that fit it or not: the server answers each with one well-formed answer. The
 * first byte chooses method and headers. */
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "mcp/server.h"

typedef struct exchange {
    uint8_t mode;
    const json_t *message; /* parsed, or NULL */
    unsigned n_start;
    size_t n_bytes;
} exchange;

static const char *method_of(const exchange *x)
{
    return json_string_value(json_object_get(x->message, "method"));
}

static const char *header(void *ctx, const char *name)
{
    const exchange *x = ctx;
    const json_t *params = json_object_get(x->message, "params");
    const char *s = NULL;
    if (strcmp(name, "MCP-Protocol-Version") == 0) return x->mode & 1 ? "2025-11-25" : WICK_MCP_STATELESS;
    if (strcmp(name, "Mcp-Method") == 0) return method_of(x);
    if (strcmp(name, "Mcp-Name") == 0) {
        s = json_string_value(json_object_get(params, "name"));
        return s ? s : json_string_value(json_object_get(params, "uri"));
    }
    if (strcmp(name, "Mcp-Session-Id") == 0 && x->mode & 2) return "none";
    if (strcmp(name, "Accept") == 0 && x->mode & 4) return "application/json";
    if (strncmp(name, "Mcp-Param-", 10) == 0) return x->mode & 8 ? "=?base64?ZXU=?=" : "eu";
    return NULL;
}

static void start(void *ctx, unsigned status, const char *type, const char *session)
{
    exchange *x = ctx;
    (void)session;
    if (status < 200 || status > 599 || !type || ++x->n_start > 1) abort();
}

static bool write_text(void *ctx, const char *data, size_t n)
{
    exchange *x = ctx;
    if (x->n_start != 1 || !data) abort();
    x->n_bytes += n;
    return x->n_bytes < 1 << 20;
}

static bool gone(void *ctx)
{
    return ((exchange *)ctx)->n_start > 0; /* so that a stream of changes ends with its first message */
}

static wick_status echo(void *user, wick_mcp_call *c, wick_error *err)
{
    const char *answer = NULL;
    (void)user;
    wick_mcp_call_progress(c, 1, 2, "half");
    wick_mcp_call_log(c, "info", "\"x\"");
    if (strstr(wick_mcp_call_arguments(c), "ask")) {
        const wick_status st = wick_mcp_call_ask(c, "k", "elicitation/create", "{}", &answer, err);
        if (st != WICK_OK || !answer) return st == WICK_OK ? wick_mcp_call_keep(c, "state", err) : st;
    }
    return wick_mcp_call_text(c, wick_mcp_call_params(c), err);
}

static wick_mcp_server *make_server(void)
{
    const wick_mcp_server_options o = {.name = "fuzz", .version = "1", .page_size = 1, .max_sessions = 4};
    wick_mcp_server *s = NULL;
    if (wick_mcp_server_new(&s, &o, NULL) != WICK_OK) abort();
    if (wick_mcp_server_add_tool(s,
                                 "{\"name\":\"t\",\"inputSchema\":{\"type\":\"object\",\"properties\":{\"r\":{\"type\":"
                                 "\"string\",\"x-mcp-header\":\"R\"}},\"required\":[\"r\"]}}",
                                 echo, NULL, NULL) != WICK_OK ||
        wick_mcp_server_add_template(s, "{\"uriTemplate\":\"x://{a}/{b}-{c}\",\"name\":\"x\"}", echo, NULL, NULL) !=
            WICK_OK ||
        wick_mcp_server_add_prompt(s, "{\"name\":\"p\",\"arguments\":[{\"name\":\"r\",\"required\":true}]}", echo, NULL,
                                   NULL) != WICK_OK ||
        wick_mcp_server_set_completion(s, echo, NULL, NULL) != WICK_OK)
        abort();
    return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static wick_mcp_server *s;
    static const char *const methods[] = {"POST", "POST", "POST", "GET", "DELETE", "PUT"};
    if (!s) s = make_server();
    if (size == 0) return 0;
    exchange x = {.mode = data[0]};
    json_t *m = json_loadb((const char *)data + 1, size - 1, 0, NULL);
    x.message = m;
    const wick_mcp_http h = {.ctx = &x,
                             .method = methods[data[0] / 16 % 6],
                             .header = header,
                             .body = (const char *)data + 1,
                             .n_body = size - 1,
                             .start = start,
                             .write = write_text,
                             .gone = gone};
    wick_mcp_exchange(s, &h);
    if (x.n_start != 1) abort();
    json_decref(m);
    return 0;
}
