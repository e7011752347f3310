/* wick/mcp.h - a server of the Model Context Protocol in a few calls: tools, resources and prompts made of C functions.
 *
 *   wick_mcp_server *s;
 *   wick_mcp_server_new(&s, &(wick_mcp_server_options){.name = "adder", .version = "1.0"}, &err);
 *   wick_mcp_server_add_tool(s, "{\"name\":\"add\",\"description\":\"Adds a and b\",\"inputSchema\":{...}}", add, NULL,
 *   &err);
 *   wick_mcp_server_serve_stdio(s, 0, 1, &err);                      // or: wick_mcp_server_listen(s, "127.0.0.1",
 *   3000, ...)
 *
 * Spoken are the revisions 2026-07-28 (stateless: every request says its version and what the client can do) and
 * 2025-11-25, 2025-06-18, 2025-03-26 and 2024-11-05 (with initialize). The client's first message decides; one server
 * speaks all of them at once. Transports are standard input and output, and Streamable HTTP.
 *
 * Definitions and results are JSON texts. Errors are as in wick/error.h. Strings that a function takes are copied;
 * strings that wick_mcp_call_* returns are valid until the handler returns.
 *
 * Threads: a server may be used by any number of threads. Handlers run on the transport's threads, several at once.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wick/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct wick_mcp_server wick_mcp_server;
typedef struct wick_mcp_call wick_mcp_call; /* one request of a client, while its handler runs */

typedef struct wick_mcp_server_options {
    const char *name, *version; /* who the server is; both must be set */
    const char *instructions;   /* for the model on the other side, or NULL */
    uint32_t page_size;         /* entries of one page of a list; 0: 100 */
    uint32_t max_sessions;      /* of the revisions that have sessions; the one idle longest is dropped. 0: 256 */
} wick_mcp_server_options;

WICK_API wick_status wick_mcp_server_new(wick_mcp_server **out, const wick_mcp_server_options *o, wick_error *err);
/* Ends every stream; the transports must have been stopped, and no call may be under way. NULL is fine. */
WICK_API void wick_mcp_server_free(wick_mcp_server *s);

/* Answers one call by wick_mcp_call_text, _content or _result. A failure status of a tool becomes a result with isError
 * and err's message, which the model reads; of a resource or prompt it becomes a JSON-RPC error. */
typedef wick_status (*wick_mcp_handler)(void *user, wick_mcp_call *call, wick_error *err);

/* `definition` is the JSON object that lists show: a tool's name, description, inputSchema, ...; a resource's uri,
 * name, ...; a template's uriTemplate, name, ... ("test://item/{id}": a variable matches up to the next "/"); a
 * prompt's name, description, arguments. An entry with the same name or URI is replaced. Clients that listen are told
 * of the change. */
WICK_API wick_status wick_mcp_server_add_tool(wick_mcp_server *s, const char *definition, wick_mcp_handler fn,
                                              void *user, wick_error *err);
WICK_API wick_status wick_mcp_server_add_resource(wick_mcp_server *s, const char *definition, wick_mcp_handler fn,
                                                  void *user, wick_error *err);
WICK_API wick_status wick_mcp_server_add_template(wick_mcp_server *s, const char *definition, wick_mcp_handler fn,
                                                  void *user, wick_error *err);
WICK_API wick_status wick_mcp_server_add_prompt(wick_mcp_server *s, const char *definition, wick_mcp_handler fn,
                                                void *user, wick_error *err);
/* Completes arguments of prompts and templates: the handler reads wick_mcp_call_params ({"ref", "argument"}) and gives
 * {"completion": {"values": [...]}}. Without it the server does not offer completion. */
WICK_API wick_status wick_mcp_server_set_completion(wick_mcp_server *s, wick_mcp_handler fn, void *user,
                                                    wick_error *err);
/* False: there is none of that name. */
WICK_API bool wick_mcp_server_remove_tool(wick_mcp_server *s, const char *name);
WICK_API bool wick_mcp_server_remove_prompt(wick_mcp_server *s, const char *name);
/* Tells clients that subscribed to the resource that it changed. */
WICK_API void wick_mcp_server_resource_changed(wick_mcp_server *s, const char *uri);

/* ---- transports ---- */
/* Reads one message a line from fd_in and writes to fd_out until fd_in ends. Blocks; requests run side by side. */
WICK_API wick_status wick_mcp_server_serve_stdio(wick_mcp_server *s, int fd_in, int fd_out, wick_error *err);

typedef struct wick_mcp_listener wick_mcp_listener;
typedef struct wick_mcp_listen_options {
    const char *host;           /* an address to bind; NULL: 127.0.0.1 */
    uint16_t port;              /* 0: any free one */
    const char *path;           /* NULL: /mcp */
    const char *const *origins; /* [n_origins] allowed besides those of this machine, "https://app.example" */
    size_t n_origins;
    const char *token;        /* a bearer token that requests must carry, or NULL */
    uint32_t max_connections; /* 0: 64 */
} wick_mcp_listen_options;
/* Serves Streamable HTTP on threads of its own. Requests whose Host or Origin is of another machine are refused (DNS
 * rebinding), unless they carry the token. `o` may be NULL. */
WICK_API wick_status wick_mcp_server_listen(wick_mcp_listener **out, wick_mcp_server *s,
                                            const wick_mcp_listen_options *o, wick_error *err);
WICK_API uint16_t wick_mcp_listener_port(const wick_mcp_listener *l);
/* Ends open streams, waits for handlers. NULL is fine. */
WICK_API void wick_mcp_listener_close(wick_mcp_listener *l);

/* ---- inside a handler ---- */
WICK_API const char *wick_mcp_call_name(const wick_mcp_call *c); /* the tool's or prompt's name, the resource's URI */
WICK_API const char *
wick_mcp_call_arguments(wick_mcp_call *c); /* JSON object: arguments, or the variables of a template */
WICK_API const char *wick_mcp_call_params(wick_mcp_call *c);       /* JSON object: all parameters of the request */
WICK_API const char *wick_mcp_call_capabilities(wick_mcp_call *c); /* JSON object: what the client declared */
WICK_API bool wick_mcp_call_can(const wick_mcp_call *c,
                                const char *capability); /* "sampling", "elicitation", "roots" */
/* The client cancelled, went away, or the server is closing: the handler should return. */
WICK_API bool wick_mcp_call_cancelled(wick_mcp_call *c);

/* Progress, where the client asked for it; total 0: unknown; message may be NULL. */
WICK_API void wick_mcp_call_progress(wick_mcp_call *c, double progress, double total, const char *message);
/* A log message ("debug" to "emergency", data a JSON value), where the client wants that level. */
WICK_API void wick_mcp_call_log(wick_mcp_call *c, const char *level, const char *data);

/* Asks the client ("elicitation/create", "sampling/createMessage", "roots/list", with its parameters as JSON). *answer
 * is the client's result as JSON, or NULL: then the answer comes later, the handler must return WICK_OK without a
 * result, and is called again with the answers. A handler may ask under several keys before it returns. WICK_E_REFUSED:
 * the client has not declared that it can; WICK_E_BAD_PARAMETER: its answer is no answer; WICK_E_CANCELLED,
 * WICK_E_LIMIT: none came. */
WICK_API wick_status wick_mcp_call_ask(wick_mcp_call *c, const char *key, const char *method, const char *params,
                                       const char **answer, wick_error *err);
/* A text that the client carries to the next round of the same call (signed, so that it comes back unchanged or is
 * refused). _state is NULL in the first round. */
WICK_API wick_status wick_mcp_call_keep(wick_mcp_call *c, const char *state, wick_error *err);
WICK_API const char *wick_mcp_call_state(const wick_mcp_call *c);

/* The result: a text block, any content block as JSON, or the whole result object as JSON (which replaces the others).
 * For resources, _content takes an entry of "contents"; for prompts, an entry of "messages"; _text is for tools
 * only. */
WICK_API wick_status wick_mcp_call_text(wick_mcp_call *c, const char *text, wick_error *err);
WICK_API wick_status wick_mcp_call_content(wick_mcp_call *c, const char *json, wick_error *err);
WICK_API wick_status wick_mcp_call_result(wick_mcp_call *c, const char *json, wick_error *err);
/* A JSON-RPC error instead of a result; data is a JSON value or NULL. */
WICK_API void wick_mcp_call_fail(wick_mcp_call *c, int code, const char *message, const char *data);

#ifdef __cplusplus
}
#endif
