/* mcp/rpc.h - JSON-RPC 2.0 as the Model Context Protocol uses it: revisions, error codes, building and reading
 * messages.
 *
 * A message is a json_t object. Builders return a new reference, or NULL when out of memory.
 */
#pragma once
#include <jansson.h>
#include "base/status.h"

/* Error codes of JSON-RPC and of the protocol. */
enum {
    WICK_RPC_PARSE = -32700,
    WICK_RPC_INVALID_REQUEST = -32600,
    WICK_RPC_NO_METHOD = -32601,
    WICK_RPC_INVALID_PARAMS = -32602,
    WICK_RPC_INTERNAL = -32603,
    WICK_RPC_NO_RESOURCE = -32002,        /* revisions up to 2025-11-25; later ones use INVALID_PARAMS */
    WICK_RPC_HEADER_MISMATCH = -32020,    /* 2026-07-28 */
    WICK_RPC_NO_CAPABILITY = -32021,      /* 2026-07-28 */
    WICK_RPC_UNSUPPORTED_VERSION = -32022 /* 2026-07-28 */
};

/* The newest revision, in which every request stands for itself. */
#define WICK_MCP_STATELESS "2026-07-28"
/* The newest one that begins with initialize. */
#define WICK_MCP_STATEFUL "2025-11-25"
/* Keys of _meta in 2026-07-28. */
#define WICK_MCP_META_VERSION "io.modelcontextprotocol/protocolVersion"
#define WICK_MCP_META_CLIENT "io.modelcontextprotocol/clientInfo"
#define WICK_MCP_META_SERVER "io.modelcontextprotocol/serverInfo"
#define WICK_MCP_META_CAPS "io.modelcontextprotocol/clientCapabilities"
#define WICK_MCP_META_LOG "io.modelcontextprotocol/logLevel"
#define WICK_MCP_META_SUBSCRIPTION "io.modelcontextprotocol/subscriptionId"

/* Is it a revision with initialize that we speak? Returns our own static string, or NULL. */
const char *wick_mcp_stateful_version(const char *version);
/* All revisions, newest first: a new array of strings. */
json_t *wick_mcp_versions(void);

typedef enum wick_rpc_kind { WICK_RPC_REQUEST, WICK_RPC_NOTIFICATION, WICK_RPC_RESPONSE } wick_rpc_kind;
/* What a message is; WICK_E_BAD_PARAMETER where it is none (wrong version, id, method or params). */
wick_status wick_rpc_classify(const json_t *message, wick_rpc_kind *kind, wick_err *err) WICK_MUST_CHECK;

/* `params` and `result` are taken (NULL: left out, or an empty object for results); `id` is borrowed (NULL: null). */
json_t *wick_rpc_request(json_int_t id, const char *method, json_t *params);
json_t *wick_rpc_notification(const char *method, json_t *params);
json_t *wick_rpc_result(const json_t *id, json_t *result);
/* `data` is taken and may be NULL. */
json_t *wick_rpc_error(const json_t *id, int code, const char *message, json_t *data);
/* The code of an error response, 0 for anything else. */
int wick_rpc_error_code(const json_t *message);

/* Severity of a log level by name ("debug" 0 ... "emergency" 7), or -1. */
int wick_mcp_log_level(const char *name);
/* Parses JSON text of ours or of a handler. WICK_E_BAD_PARAMETER names `what`. */
wick_status wick_mcp_parse(const char *text, const char *what, json_t **out, wick_err *err) WICK_MUST_CHECK;
/* A borrowed, writable view of a JSON value that others hold as const: jansson's counting needs it. */
static inline json_t *wick_json_share(const json_t *v)
{
    return json_incref((json_t *)(uintptr_t)v);
}
