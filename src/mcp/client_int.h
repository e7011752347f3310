/* mcp/client_int.h - inside of a client: client.c owns the protocol; client_http.c and client_stdio.c carry messages;
 * client_headers.c what headers repeat of a request. */
#pragma once
#include <stdatomic.h>
#include "base/buf.h"
#include "mcp/client.h"
#include "mcp/rpc.h"

enum { WICK_MCP_MESSAGE_MAX = 32 << 20 /* bytes of one message of a server */ };

/* One request under way. */
typedef struct wick_mcp_wait {
    struct wick_mcp_wait *next;
    json_int_t id;
    const json_t *message; /* the request */
    double t_end;          /* of wick_time_ms */
    double t_last;         /* progress cannot move t_end past this */
    uint32_t timeout_ms;
    const wick_cancel *cancel;
    json_t *response; /* NULL: not yet */
} wick_mcp_wait;

typedef struct wick_mcp_transport {
    /* Sends the request and waits for its response (w->response), a time-out, a cancellation or the end of the
     * connection. */
    wick_status (*exchange)(wick_mcp_client *c, wick_mcp_wait *w, wick_err *err);
    /* Sends a notification, or a response to a question of the server. */
    wick_status (*notify)(wick_mcp_client *c, const json_t *message, wick_err *err);
    /* A session was made: begins to listen to what the server says by itself. NULL: it is heard anyway. */
    void (*listen)(wick_mcp_client *c);
    void (*close)(wick_mcp_client *c);
} wick_mcp_transport;

struct wick_mcp_client {
    const wick_mcp_transport *transport;
    void *link; /* the transport's own */
    char *name, *protocol, *instructions;
    uint32_t timeout_ms;
    json_t *client_caps, *server, *server_caps;
    json_t *(*ask)(void *ctx, const char *method, const json_t *params);
    void (*notice)(void *ctx, const char *method, const json_t *params);
    void *ctx;
    const char *version; /* static; that of requests */
    bool stateless, ready;
    atomic_bool closing;
    wick_lock lock; /* of what follows */
    json_int_t next_id;
    json_t *tools; /* {name: definition} of the last list, for headers */
};

/* A message that is no response to the request that is waited for: a notification, or a question, which is answered. */
void wick_mcp_client_incoming(wick_mcp_client *c, const json_t *message, wick_mcp_wait *w);
/* Why a wait must end, or WICK_OK. */
wick_status wick_mcp_wait_check(const wick_mcp_client *c, const wick_mcp_wait *w, wick_err *err);

/* Opens a transport: fills c->transport and c->link. */
wick_status wick_mcp_http_open(wick_mcp_client *c, const wick_mcp_client_opts *o, wick_err *err);
wick_status wick_mcp_stdio_open(wick_mcp_client *c, const wick_mcp_client_opts *o, wick_err *err);

/* Calls `add` for each header that repeats what a stateless request says: "Name: value". */
void wick_mcp_request_headers(wick_mcp_client *c, const json_t *message, void (*add)(void *ctx, const char *line),
                              void *ctx);
/* Are the header annotations of a tool's schema such as the protocol allows? */
bool wick_mcp_tool_headers_ok(const json_t *tool);
