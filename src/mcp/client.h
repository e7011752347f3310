/* mcp/client.h - a connection to one MCP server: a program that we start, or an address.
 *
 * The newest revision that both sides know is found when the connection is opened: server/discover first, and
 * initialize where the server does not know that. Requests may come from any thread, several at once. Whatever a server
 * does (it dies, prints rubbish, floods, never answers), a request ends with a result or an error within its time;
 * closing leaves no process and no descriptor behind.
 */
#pragma once
#include <jansson.h>
#include "base/status.h"
#include "base/thread.h"

typedef struct wick_mcp_client wick_mcp_client;

typedef struct wick_mcp_client_opts {
    const char *name; /* of the server, in messages */
    /* A program: absolute, or looked for in PATH of env. argv ends with NULL and begins with the command; env ends with
     * NULL and is all that the program gets ("NAME=value"). cwd may be NULL. */
    const char *const *argv, *const *env, *cwd;
    /* Or an address, with headers ("Name: value", ends with NULL; may be NULL). */
    const char *url;
    const char *const *headers;
    const char *protocol; /* speak this revision only; NULL: the newest that both know */
    uint32_t timeout_ms;  /* of one request; 0: 60 s. Progress from the server begins it anew, up to ten times over. */
    const json_t *capabilities; /* what `ask` can answer: {"elicitation": {}, ...}; NULL: nothing */
    /* Answers a question of the server with a result (new), or NULL: declined. On a thread of the connection. */
    json_t *(*ask)(void *ctx, const char *method, const json_t *params);
    /* Progress, log messages, changes of lists. On a thread of the connection; may be NULL. */
    void (*notice)(void *ctx, const char *method, const json_t *params);
    void *ctx;
} wick_mcp_client_opts;

/* Connects. Options are copied. WICK_E_IO: no connection, or the program cannot be started; WICK_E_REFUSED: a login is
 * needed. */
wick_status wick_mcp_client_open(wick_mcp_client **out, const wick_mcp_client_opts *o, wick_err *err) WICK_MUST_CHECK;
/* Ends requests that run, ends the program and what it started. NULL is fine. */
void wick_mcp_client_close(wick_mcp_client *c);

const char *wick_mcp_client_version(const wick_mcp_client *c);        /* "2026-07-28" */
const json_t *wick_mcp_client_server(const wick_mcp_client *c);       /* {"name", "version"}, may be empty */
const json_t *wick_mcp_client_capabilities(const wick_mcp_client *c); /* the server's */
const char *wick_mcp_client_instructions(const wick_mcp_client *c);   /* or NULL */

/* One request; `params` is taken (NULL: none). Questions of the server on the way are answered. *result is new.
 * timeout_ms 0: the connection's; cancel may be NULL. An error of the server is WICK_E_BAD_PARAMETER (invalid
 * parameters, no such method) or WICK_E_INTERNAL with its message; WICK_E_LIMIT: no answer in time; WICK_E_IO: the
 * connection broke. */
wick_status wick_mcp_client_request(wick_mcp_client *c, const char *method, json_t *params, uint32_t timeout_ms,
                                    const wick_cancel *cancel, json_t **result, wick_err *err) WICK_MUST_CHECK;
/* All pages of a list: "tools", "resources", "resourceTemplates", "prompts". Tools that ask for headers which the
 * protocol does not allow are left out. *out is a new array; empty where the server has no such list. */
wick_status wick_mcp_client_list(wick_mcp_client *c, const char *what, json_t **out, wick_err *err) WICK_MUST_CHECK;
/* tools/call; arguments are borrowed. *result is the result object: "content", "isError", ... */
wick_status wick_mcp_client_call(wick_mcp_client *c, const char *tool, const json_t *arguments, uint32_t timeout_ms,
                                 const wick_cancel *cancel, json_t **result, wick_err *err) WICK_MUST_CHECK;
