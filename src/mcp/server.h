/* mcp/server.h - inside of an MCP server: what the transports call, and what its files share.
 *
 * registry.c owns the tools, resources and prompts; call.c what a handler sees of a request; dispatch.c the methods;
 * session.c the sessions of the revisions with initialize and the streams on which changes are announced; exchange.c
 * one exchange of Streamable HTTP, whatever HTTP server carries it; stdio.c and listen.c are the transports.
 *
 * Locks: wick_mcp_server.lock guards the registry, the sessions and the list of streams; each session and each stream
 * has its own for its queue. The server's is taken first.
 */
#pragma once
#include <stdatomic.h>
#include "base/thread.h"
#include "mcp/rpc.h"
#include "wick/mcp.h"

/* Where the messages that belong to one request go. send: false where the other side is gone. Any thread of the
 * call. */
typedef struct wick_mcp_out {
    void *ctx, *peer; /* peer: as in wick_mcp_http, or NULL */
    bool (*send)(void *ctx, const json_t *message);
    bool (*gone)(void *ctx);
} wick_mcp_out;

/* ---- registry ---- */
typedef enum wick_mcp_kind {
    WICK_MCP_TOOL,
    WICK_MCP_RESOURCE,
    WICK_MCP_TEMPLATE,
    WICK_MCP_PROMPT,
    WICK_MCP_N_KIND
} wick_mcp_kind;

typedef struct wick_mcp_entry {
    const char *key; /* inside definition: name, uri or uriTemplate */
    json_t *definition;
    wick_mcp_handler fn;
    void *user;
} wick_mcp_entry;

typedef struct wick_mcp_list {
    wick_mcp_entry *entry;
    size_t n, cap;
} wick_mcp_list;

struct wick_mcp_server {
    char *name, *version, *instructions;
    uint32_t page_size, max_sessions;
    uint8_t secret[32]; /* signs the states that clients carry */
    wick_lock lock;
    wick_mcp_list list[WICK_MCP_N_KIND];
    wick_mcp_handler complete;
    void *complete_user;
    struct wick_mcp_session *sessions; /* linked, newest first */
    uint32_t n_sessions;
    struct wick_mcp_stream *streams; /* linked */
    atomic_bool closing;
};

/* Finds an entry by its exact key; for WICK_MCP_RESOURCE also the template that matches, with its variables in *vars
 * (new). *out holds a new reference to the definition. False: there is none. */
bool wick_mcp_find(wick_mcp_server *s, wick_mcp_kind kind, const char *key, wick_mcp_entry *out, json_t **vars);
/* One page of definitions from `cursor` (NULL: the first): {"tools": [...], "nextCursor"}. NULL: a bad cursor. */
json_t *wick_mcp_page(wick_mcp_server *s, wick_mcp_kind kind, const char *cursor);
/* The server's capabilities as initialize and server/discover name them. */
json_t *wick_mcp_capabilities(wick_mcp_server *s);
/* {"name", "version"} */
json_t *wick_mcp_identity(const wick_mcp_server *s);

/* ---- sessions and streams ---- */
/* Things that clients are told of. */
enum { WICK_MCP_TOOLS_CHANGED = 1, WICK_MCP_RESOURCES_CHANGED = 2, WICK_MCP_PROMPTS_CHANGED = 4 };

/* A queue of messages to one client, which a transport's thread writes out. */
typedef struct wick_mcp_stream {
    struct wick_mcp_stream *next;
    unsigned wants;       /* WICK_MCP_*_CHANGED */
    json_t *uris;         /* object whose keys are the resources it wants to hear of */
    json_t *subscription; /* the id that notifications carry, or NULL (with sessions) */
    wick_lock lock;
    wick_cond cond;
    json_t *queue; /* array */
    bool ended;
} wick_mcp_stream;

void wick_mcp_stream_init(wick_mcp_stream *t, wick_mcp_server *s, unsigned wants);
void wick_mcp_stream_release(wick_mcp_stream *t, wick_mcp_server *s);
void wick_mcp_stream_push(wick_mcp_stream *t,
                          json_t *message); /* takes it; a client that lags 256 messages loses new ones */
void wick_mcp_stream_end(wick_mcp_stream *t);
/* Writes messages out until the stream or the server ends, the call is cancelled (may be NULL) or the other side is
 * gone. keep_alive is called every 15 seconds without one; false: gone. */
void wick_mcp_stream_run(wick_mcp_stream *t, wick_mcp_server *s, const wick_mcp_out *out, wick_mcp_call *call,
                         bool (*keep_alive)(void *ctx));
/* Tells every stream that wants to know. uri: of a changed resource, else NULL. */
void wick_mcp_announce(wick_mcp_server *s, unsigned what, const char *uri);

/* A question to the client that waits for its response. */
typedef struct wick_mcp_question {
    struct wick_mcp_question *next;
    json_int_t id;
    json_t *response; /* NULL: not yet */
} wick_mcp_question;

typedef struct wick_mcp_session {
    struct wick_mcp_session *next;
    wick_mcp_server *server;
    char id[33];
    const char *version; /* static */
    json_t *caps;        /* the client's */
    atomic_int log_level;
    atomic_int n_users; /* exchanges that hold it; freed by the last after `dead` */
    bool dead;          /* under the server's lock */
    double t_used;
    wick_lock lock; /* of what follows */
    wick_cond cond;
    wick_mcp_question *questions;
    json_int_t next_id;
    wick_mcp_call *calls; /* under way, for cancellation; linked by next_in_session */
    wick_mcp_stream stream;
    bool streaming; /* somebody writes the stream out */
    bool deaf;      /* no response can come any more: the client's side is closed */
} wick_mcp_session;

/* A new session, held by the caller; NULL: out of memory. version: of wick_mcp_stateful_version. */
wick_mcp_session *wick_mcp_session_new(wick_mcp_server *s, const char *version, const json_t *client_caps);
/* The session of that id, held, or NULL. */
wick_mcp_session *wick_mcp_session_take(wick_mcp_server *s, const char *id);
void wick_mcp_session_give(wick_mcp_session *n);
/* Ends it: its calls are cancelled, its stream ends, nobody finds it any more. */
void wick_mcp_session_end(wick_mcp_session *n);
/* A response of the client to one of our questions (borrowed). */
void wick_mcp_session_response(wick_mcp_session *n, const json_t *message);
/* notifications/cancelled: the call of that id. */
void wick_mcp_session_cancel(wick_mcp_session *n, const json_t *id);

/* ---- calls ---- */
struct wick_mcp_call {
    wick_mcp_server *server;
    wick_mcp_session *session; /* NULL: stateless */
    const wick_mcp_out *out;
    wick_mcp_call *next_in_session;
    const json_t *id, *params, *caps; /* borrowed */
    wick_mcp_kind kind;
    const char *name;
    json_t *arguments;
    char *texts[3]; /* arguments, params, capabilities as text, made when asked for */
    const json_t *progress_token;
    double last_progress;
    int log_level; /* lowest that is sent; 8: none */
    atomic_bool cancelled;
    wick_lock lock; /* of sending: handlers may have threads of their own */
    json_t *blocks, *result, *error;
    json_t *questions;       /* stateless: {key: {"method", "params"}} asked in this round */
    const json_t *responses; /* stateless: {key: result} of the client */
    json_t *answers;         /* array of strings, what _ask returned */
    char *state_in, *state_out;
    bool denied; /* a question needed what the client cannot do: `error` says so */
};

bool wick_mcp_call_send(wick_mcp_call *c, json_t *message); /* takes it */
void *wick_mcp_call_peer(const wick_mcp_call *c);           /* as in wick_mcp_http, or NULL */
/* Reads the signed state of params. False: it was tampered with. */
bool wick_mcp_call_open_state(wick_mcp_call *c);
/* Adds what the client must answer before the call can go on, in place of a result. */
json_t *wick_mcp_call_input_required(wick_mcp_call *c);

/* ---- dispatch ---- */
/* Handles one request and returns its response (new; NULL: out of memory, or cancelled and nothing to say). stateless:
 * `session` is NULL and _meta was checked. Runs the handler on this thread. */
json_t *wick_mcp_dispatch(wick_mcp_server *s, wick_mcp_session *session, const json_t *request, const wick_mcp_out *out,
                          bool (*keep_alive)(void *ctx));
/* A notification of the client. */
void wick_mcp_notice(wick_mcp_server *s, wick_mcp_session *session, const json_t *message);
/* initialize: makes a session (held by the caller) and the response. *out NULL: the response is an error. */
json_t *wick_mcp_initialize(wick_mcp_server *s, const json_t *request, wick_mcp_session **out);
/* What _meta of a stateless request must hold: NULL where it does, else the error response. */
json_t *wick_mcp_check_meta(const json_t *request);

/* ---- Streamable HTTP, one exchange ---- */
typedef struct wick_mcp_http {
    void *ctx;
    void *peer;                                         /* who asks, for handlers that know what it is */
    const char *method;                                 /* "POST", ... */
    const char *(*header)(void *ctx, const char *name); /* its value, or NULL */
    const char *body;
    size_t n_body;
    /* The status line and headers; session may be NULL. Called once, before write. */
    void (*start)(void *ctx, unsigned status, const char *content_type, const char *session);
    bool (*write)(void *ctx, const char *data, size_t n); /* false: the client is gone */
    bool (*gone)(void *ctx);
} wick_mcp_http;

/* Answers it, on this thread; returns when the answer is complete. Host, Origin and authorization are the caller's. */
void wick_mcp_exchange(wick_mcp_server *s, const wick_mcp_http *h);
/* Does a header value (NULL: absent) stand for what the body says? Values may be wrapped as =?base64?...?=. */
bool wick_mcp_header_matches(const char *header, const json_t *value);
