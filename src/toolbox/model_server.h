/* toolbox/model_server.h - models as an MCP server: tools chat, complete, embed and tokenize, models as resources,
 * prompts.
 *
 * Whoever has models gives them through a wick_model_source: the CLI has one, the server its registry. */
#pragma once
#include "chat/chat.h"
#include "mcp/server.h"

typedef struct wick_model_source {
    void *ctx;
    /* A loaded model by its id (NULL: the default), held until give. WICK_E_MODEL_NOT_FOUND, or why it does not
     * load. */
    wick_status (*take)(void *ctx, const char *id, wick_engine **e, wick_chat **chat, void **hold, wick_err *err);
    void (*give)(void *ctx, void *hold);
    json_t *(*models)(void *ctx); /* [{"id", ...}]: a new array */
    /* A shell command for a request in words, appended to `out`; NULL: the tool shell_command is not offered. */
    wick_status (*shell)(void *ctx, const char *request, wick_buf *out, wick_err *err);
} wick_model_source;

/* Makes the server. The source is borrowed and must outlive it. */
wick_status wick_model_server_new(wick_mcp_server **out, const wick_model_source *source,
                                  wick_err *err) WICK_MUST_CHECK;
