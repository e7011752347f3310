/* toolbox/model_server.h - models as an MCP server: tools chat, complete, embed and tokenize, models as resources,
 * prompts.
 *
 * Whoever has models gives them through a wick_model_source: the CLI has one, the server its registry. */
#pragma once
#include "chat/chat.h"
#include "mcp/server.h"

/* A model in use by one call. */
typedef struct wick_model_use {
    wick_engine *engine;
    wick_chat *chat;
    void *hold; /* the source's own */
    /* What the engine is told of the caller (engine/request.h). */
    wick_domain domain;
    uint64_t deadline_ms;
    int32_t priority;
} wick_model_use;

/* peer: what the transport says of the client (wick_mcp_http.peer); NULL over standard input. */
typedef struct wick_model_source {
    void *ctx;
    /* A loaded model by its id (NULL: the default), held until give; may wait until it is loaded.
     * WICK_E_MODEL_NOT_FOUND, or why it does not load. */
    wick_status (*take)(void *ctx, void *peer, const char *id, wick_model_use *out, wick_err *err);
    void (*give)(void *ctx, const wick_model_use *use);
    /* A request to the model has ended; or NULL: nobody counts. */
    void (*count)(void *ctx, void *peer, const wick_model_use *use, const wick_usage *usage, wick_finish how);
    json_t *(*models)(void *ctx); /* [{"id", ...}]: a new array */
    /* A shell command for a request in words, appended to `out`; NULL: the tool shell_command is not offered. */
    wick_status (*shell)(void *ctx, const char *request, wick_buf *out, wick_err *err);
} wick_model_source;

/* The source that always gives `one`, whatever id is asked for. `one` is borrowed and becomes ctx: who sets `shell` and
 * needs more there puts it first in a struct of its own. */
wick_model_source wick_model_source_of(wick_model_use *one);

/* Makes the server. The source is borrowed and must outlive it. */
wick_status wick_model_server_new(wick_mcp_server **out, const wick_model_source *source,
                                  wick_err *err) WICK_MUST_CHECK;
