/* server/mcp_http.h - the server's models over the Model Context Protocol: the route /mcp.
 *
 * mcp_http.c carries one exchange of Streamable HTTP (mcp/exchange.c) over libmicrohttpd's callbacks, mcp_models.c
 * gives the tools of toolbox/model_server.h the models of the registry. */
#pragma once
#include "server/server_int.h"
#include "toolbox/model_server.h"

/* The parts that start and end with the server. */
typedef struct wick_server_mcp {
    wick_mcp_server *server; /* NULL: there is no /mcp */
    wick_model_source source;
    atomic_uint n_running; /* exchanges that have a thread */
} wick_server_mcp;

/* Makes s->mcp where the configuration asks for it. */
wick_status wick_server_mcp_start(wick_server *s, wick_err *err) WICK_MUST_CHECK;
void wick_server_mcp_stop(wick_server *s); /* after the last exchange */

/* The models of s's registry, for calls whose peer is a wick_exchange or NULL. */
wick_model_source wick_server_mcp_source(wick_server *s);
