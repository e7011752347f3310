/* mcp/rpc.c - see rpc.h. */
#include "mcp/rpc.h"
#include <string.h>
#include "base/json.h"

static const char *const stateful[] = {WICK_MCP_STATEFUL, "2025-06-18", "2025-03-26", "2024-11-05"};

const char *wick_mcp_stateful_version(const char *version)
{
    for (size_t i = 0; version && i < sizeof stateful / sizeof *stateful; i++)
        if (strcmp(version, stateful[i]) == 0) return stateful[i];
    return NULL;
}

json_t *wick_mcp_versions(void)
{
    json_t *list = json_array();
    json_array_append_new(list, json_string(WICK_MCP_STATELESS));
    for (size_t i = 0; i < sizeof stateful / sizeof *stateful; i++)
        json_array_append_new(list, json_string(stateful[i]));
    return list;
}

static wick_status bad(wick_err *err, const char *what)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "message", "not a JSON-RPC 2.0 message: %s", what);
}

wick_status wick_rpc_classify(const json_t *m, wick_rpc_kind *kind, wick_err *err)
{
    if (!json_is_object(m)) return bad(err, "it is no object");
    const char *version = json_string_value(json_object_get(m, "jsonrpc"));
    const json_t *id = json_object_get(m, "id"), *method = json_object_get(m, "method");
    const json_t *params = json_object_get(m, "params");
    const bool has_result = json_object_get(m, "result") != NULL, has_error = json_object_get(m, "error") != NULL;
    if (!version || strcmp(version, "2.0") != 0) return bad(err, "\"jsonrpc\" is not \"2.0\"");
    if (id && !json_is_string(id) && !json_is_integer(id) && !(json_is_null(id) && has_error))
        return bad(err, "\"id\" is no string and no integer");
    if (method) {
        if (!json_is_string(method) || json_string_length(method) == 0) return bad(err, "\"method\" is no text");
        if (strlen(json_string_value(method)) != json_string_length(method)) return bad(err, "\"method\" has a NUL");
        if (params && !json_is_object(params)) return bad(err, "\"params\" is no object");
        if (has_result || has_error) return bad(err, "it has a method and a result");
        *kind = id ? WICK_RPC_REQUEST : WICK_RPC_NOTIFICATION;
        return WICK_OK;
    }
    if (has_result == has_error) return bad(err, "it has neither a method nor one of result and error");
    if (!id) return bad(err, "a response without an id");
    if (has_error && !json_is_integer(json_object_get(json_object_get(m, "error"), "code")))
        return bad(err, "an error without a code");
    *kind = WICK_RPC_RESPONSE;
    return WICK_OK;
}

static json_t *message_new(void)
{
    json_t *m = json_object();
    json_object_set_new(m, "jsonrpc", json_string("2.0"));
    return m;
}

/* Frees the message and returns NULL unless it has n members: jansson drops what it has no memory for. */
static json_t *complete(json_t *m, size_t n)
{
    if (m && json_object_size(m) == n) return m;
    json_decref(m);
    return NULL;
}

json_t *wick_rpc_request(json_int_t id, const char *method, json_t *params)
{
    json_t *m = message_new();
    const size_t n = params ? 4 : 3;
    json_object_set_new(m, "id", json_integer(id));
    json_object_set_new(m, "method", json_string(method));
    if (params) json_object_set_new(m, "params", params);
    return complete(m, n);
}

json_t *wick_rpc_notification(const char *method, json_t *params)
{
    json_t *m = message_new();
    const size_t n = params ? 3 : 2;
    json_object_set_new(m, "method", json_string(method));
    if (params) json_object_set_new(m, "params", params);
    return complete(m, n);
}

json_t *wick_rpc_result(const json_t *id, json_t *result)
{
    json_t *m = message_new();
    json_object_set_new(m, "id", id ? wick_json_share(id) : json_null());
    json_object_set_new(m, "result", result ? result : json_object());
    return complete(m, 3);
}

json_t *wick_rpc_error(const json_t *id, int code, const char *message, json_t *data)
{
    json_t *m = message_new(), *e = json_object();
    json_object_set_new(e, "code", json_integer(code));
    json_object_set_new(e, "message", json_string(message));
    if (data) json_object_set_new(e, "data", data);
    json_object_set_new(m, "id", id ? wick_json_share(id) : json_null());
    json_object_set_new(m, "error", e);
    return complete(m, 3);
}

int wick_rpc_error_code(const json_t *m)
{
    return (int)json_integer_value(json_object_get(json_object_get(m, "error"), "code"));
}

int wick_mcp_log_level(const char *name)
{
    static const char *const names[] = {"debug", "info",     "notice", "warning",
                                        "error", "critical", "alert",  "emergency"};
    for (int i = 0; name && i < 8; i++)
        if (strcmp(name, names[i]) == 0) return i;
    return -1;
}

wick_status wick_mcp_parse(const char *text, const char *what, json_t **out, wick_err *err)
{
    if (!text) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "%s: is missing", what);
    return wick_json_parse_strict(text, strlen(text), what, out, err);
}
