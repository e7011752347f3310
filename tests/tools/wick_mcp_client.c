/* tests/tools/wick_mcp_client.c - connects to an MCP server and uses everything that it offers; prints what came as JSON lines.
 *
 *   wick_mcp_client http://127.0.0.1:3000/mcp          an address
 *   wick_mcp_client --calls FILE -- COMMAND ARG ...    a program; FILE holds [{"name", "arguments"}] to be called instead
 *
 * The official conformance suite runs it with the address as its last argument and says more in MCP_CONFORMANCE_*.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include "base/log.h"
#include "mcp/client.h"
#include "mcp/rpc.h"

extern char **environ;

static json_t *answer(void *ctx, const char *method, const json_t *params)
{
    (void)ctx;
    (void)params;
    printf("{\"asked\": \"%s\"}\n", method);
    if (strcmp(method, "elicitation/create") == 0) {
        json_t *properties = json_object_get(json_object_get(params, "requestedSchema"), "properties"), *p;
        json_t *content = json_object();
        const char *key;
        json_object_foreach(properties, key, p)
        {
            const char *type = json_string_value(json_object_get(p, "type"));
            if (json_object_get(p, "default") || !type) continue;
            json_object_set_new(content, key, strcmp(type, "boolean") == 0 ? json_true() : json_string("Ada"));
        }
        return json_pack("{s:s, s:o}", "action", "accept", "content", content);
    }
    if (strcmp(method, "sampling/createMessage") == 0)
        return json_pack("{s:s, s:{s:s, s:s}, s:s, s:s}", "role", "assistant", "content", "type", "text", "text",
                         "Paris", "model", "none", "stopReason", "endTurn");
    if (strcmp(method, "roots/list") == 0) return json_pack("{s:[{s:s}]}", "roots", "uri", "file:///tmp");
    return NULL;
}

static void notice(void *ctx, const char *method, const json_t *params)
{
    char *text = params ? json_dumps(params, 0) : NULL;
    (void)ctx;
    printf("{\"notice\": \"%s\", \"params\": %s}\n", method, text ? text : "null");
    free(text);
}

static void log_line(void *ctx, wick_log_level level, const char *line)
{
    (void)ctx;
    fprintf(stderr, "log %d: %s\n", (int)level, line);
}

static json_t *made_arguments(const json_t *tool)
{
    json_t *properties = json_object_get(json_object_get(tool, "inputSchema"), "properties"), *p, *a = json_object();
    const char *key;
    json_object_foreach(properties, key, p)
    {
        const char *type = json_string_value(json_object_get(p, "type"));
        if (!type) continue;
        if (strcmp(type, "number") == 0 || strcmp(type, "integer") == 0)
            json_object_set_new(a, key, json_integer(5));
        else if (strcmp(type, "boolean") == 0)
            json_object_set_new(a, key, json_true());
        else if (strcmp(type, "string") == 0)
            json_object_set_new(a, key, json_string("text"));
    }
    return a;
}

/* Prints one outcome; takes result. */
static void report(const char *what, const char *name, wick_status st, json_t *result, const wick_err *err)
{
    json_t *line = json_pack("{s:s, s:s}", "did", what, "name", name ? name : "");
    if (st == WICK_OK)
        json_object_set_new(line, "result", result);
    else
        json_object_set_new(line, "error", json_string(err->message));
    char *text = json_dumps(line, 0);
    puts(text ? text : "null");
    fflush(stdout);
    free(text);
    json_decref(line);
}

static void call(wick_mcp_client *c, const char *name, const json_t *arguments)
{
    wick_err err = {0};
    json_t *result = NULL;
    const char *t = getenv("WICK_MCP_CALL_MS");
    const wick_status st = wick_mcp_client_call(c, name, arguments, t ? (uint32_t)atoi(t) : 0, NULL, &result, &err);
    report("call", name, st, result, &err);
}

static void get_each(wick_mcp_client *c, const char *list, const char *method, const char *key)
{
    wick_err err = {0};
    json_t *items = NULL, *item;
    size_t i;
    if (wick_mcp_client_list(c, list, &items, &err) != WICK_OK) {
        report("list", list, err.kind, NULL, &err);
        return;
    }
    report("list", list, WICK_OK, json_incref(items), &err);
    json_array_foreach(items, i, item)
    {
        const char *name = json_string_value(json_object_get(item, key));
        json_t *result = NULL, *p = json_pack("{s:s}", key, name);
        if (strcmp(method, "prompts/get") == 0) {
            json_t *a = json_object(), *one;
            size_t k;
            json_array_foreach(json_object_get(item, "arguments"), k, one)
                json_object_set_new(a, json_string_value(json_object_get(one, "name")), json_string("x"));
            json_object_set_new(p, "arguments", a);
        }
        const wick_status st = wick_mcp_client_request(c, method, p, 0, NULL, &result, &err);
        report(method, name, st, result, &err);
    }
    json_decref(items);
}

static void use(wick_mcp_client *c, const json_t *calls)
{
    wick_err err = {0};
    json_t *tools = NULL, *t;
    size_t i;
    if (wick_mcp_client_list(c, "tools", &tools, &err) != WICK_OK)
        report("list", "tools", err.kind, NULL, &err);
    else
        report("list", "tools", WICK_OK, json_incref(tools), &err);
    if (calls) {
        json_array_foreach((json_t *)(uintptr_t)calls, i, t)
            call(c, json_string_value(json_object_get(t, "name")), json_object_get(t, "arguments"));
        json_decref(tools);
        return;
    }
    json_array_foreach(tools, i, t)
    {
        json_t *a = made_arguments(t);
        call(c, json_string_value(json_object_get(t, "name")), a);
        json_decref(a);
    }
    json_decref(tools);
    get_each(c, "resources", "resources/read", "uri");
    get_each(c, "prompts", "prompts/get", "name");
}

int main(int argc, char **argv)
{
    wick_err err = {0};
    wick_mcp_client *c = NULL;
    json_t *caps = json_pack("{s:{s:{}}, s:{}, s:{s:b}}", "elicitation", "form", "sampling", "roots", "listChanged", 0),
           *calls = NULL;
    const char *context = getenv("MCP_CONFORMANCE_CONTEXT"), *ms = getenv("WICK_MCP_TIMEOUT_MS");
    wick_mcp_client_opts o = {.name = "test",
                              .ask = answer,
                              .notice = notice,
                              .capabilities = caps,
                              .protocol = getenv("MCP_CONFORMANCE_PROTOCOL_VERSION"),
                              .timeout_ms = ms ? (uint32_t)atoi(ms) : 10000,
                              .env = (const char *const *)(uintptr_t)environ};
    signal(SIGPIPE, SIG_IGN);
    wick_log_set(log_line, NULL, WICK_LOG_WARN);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--calls") == 0 && i + 1 < argc)
            calls = json_load_file(argv[++i], 0, NULL);
        else if (strcmp(argv[i], "--") == 0 && i + 1 < argc) {
            o.argv = (const char *const *)(uintptr_t)(argv + i + 1);
            break;
        } else
            o.url = argv[i];
    }
    if (context) {
        json_t *j = json_loads(context, 0, NULL);
        if (json_object_get(j, "toolCalls")) calls = json_incref(json_object_get(j, "toolCalls"));
        json_decref(j);
    }
    const wick_status st = wick_mcp_client_open(&c, &o, &err);
    if (st == WICK_OK) {
        printf("{\"version\": \"%s\"}\n", wick_mcp_client_version(c));
        use(c, calls);
    } else {
        fprintf(stderr, "%s\n", err.message);
    }
    wick_mcp_client_close(c);
    json_decref(caps);
    json_decref(calls);
    return st == WICK_OK ? 0 : 1;
}
