/* server/server.h - the HTTP server over engines: start, drain, stop. Everything else is private to the folder.
 *
 * Threads: libmicrohttpd's own (connections), a few workers (JSON, templates, tokenizing), one loader, one watch that
 * looks for clients that went away; one engine thread per loaded model.
 */
#pragma once
#include "server/server_config.h"

typedef struct wick_server wick_server;

/* Listens and loads the models that are to be loaded at once. The config is borrowed until wick_server_free. */
wick_status wick_server_new(wick_server **out, const wick_server_config *c, wick_err *err) WICK_MUST_CHECK;
uint16_t wick_server_port(const wick_server *s);     /* the real one where the config said 0 */
uint16_t wick_server_mcp_port(const wick_server *s); /* of MCP's own port; 0: it has none */
uint32_t wick_server_loading(wick_server *s);        /* models that are still being loaded at the start */
/* Why the first model could not be loaded; WICK_OK if it could. */
wick_status wick_server_load_error(wick_server *s, wick_err *err) WICK_MUST_CHECK;
/* Stops accepting; running requests go on. readyz says 503 from now. */
void wick_server_drain(wick_server *s);
/* Requests that run; 0 after a drain means that everything is answered. */
uint32_t wick_server_active(const wick_server *s);
/* An administrator asked for a drain over HTTP. */
bool wick_server_drain_asked(const wick_server *s);
void wick_server_free(wick_server *s); /* cancels what still runs */

/* Routes, limits and parameters as Markdown tables, for docs/API.md. */
void wick_server_describe_routes(wick_buf *out);
void wick_server_describe_limits(wick_buf *out);
void wick_server_describe_parameters(wick_buf *out);
