/* server/server_config.h - what a server is started with: server.yaml, flags and environment put together.
 *
 * Strings belong to the config's arena. The CLI fills what flags say after the file was read, so flags win.
 */
#pragma once
#include <jansson.h>
#include "base/alloc.h"
#include "engine/engine.h"
#include "hub/discover.h"

typedef struct wick_server_limits {
#define LIMIT(field, def, lo, hi, unit, answer, about) uint64_t field;
#include "server/limits.def"
#undef LIMIT
} wick_server_limits;
void wick_server_limits_init(wick_server_limits *l);

enum wick_scope {
    WICK_SCOPE_INFER = 1,
    WICK_SCOPE_METRICS = 2,
    WICK_SCOPE_ADMIN = 4,
    WICK_SCOPE_TOOLS = 8, /* the server's own tools may run for its requests */
    WICK_SCOPE_ALL = 15
};

typedef struct wick_key_config {
    const char *name;
    uint8_t digest[32]; /* SHA-256 of the key; the key itself is not kept */
    unsigned scopes;
    uint32_t requests_per_minute, tokens_per_minute, concurrent; /* 0: no limit */
    int32_t priority;
    bool kept; /* in the key store */
} wick_key_config;

typedef struct wick_model_config {
    const char *id;   /* what clients call it */
    const char *path; /* a path, or a name that discovery knows */
    const char **alias;
    uint32_t n_alias;
    wick_engine_opts engine;
    const char *chat_template; /* a text or a path, instead of the model's own; NULL: none */
    bool preload;
} wick_model_config;

typedef struct wick_server_config {
    wick_arena arena;
    const char *host;
    uint16_t port;
    const char *tls_cert, *tls_key; /* paths */
    wick_model_config *model;
    uint32_t n_model;
    wick_key_config *key;
    uint32_t n_key;
    const char *key_store;      /* file that keeps the keys made over /admin/keys; NULL: they end with the process */
    const char *response_store; /* SQLite file of the Responses API; NULL: they end with the process */
    const char *local_key_dir;  /* where a server without keys leaves its administrator's; NULL: nobody administers */
    const char **model_dir;     /* besides the caches, where /admin/models/load may take models from */
    uint32_t n_model_dir;
    const char **allow_host; /* more names that the Host header may have */
    uint32_t n_allow_host;
    const char **cors_origin; /* origins of web pages that may call; "*": all */
    uint32_t n_cors_origin;
    bool strict_model; /* a single model answers to its own names only */
    bool mcp;          /* /mcp on the port of everything else */
    bool mcp_own_port; /* /mcp, and nothing else, on mcp_port (0: any free one) */
    uint16_t mcp_port;
    json_t *tool_file;                /* server.yaml's `tools` as toolbox/toolbox.h reads it: owned, or NULL */
    const struct wick_toolset *tools; /* that the server runs: borrowed, or NULL */
    /* MCP's tool shell_command: appends a command for a request in words to out. Any thread. NULL: there is none. */
    wick_status (*shell)(void *ctx, const char *request, wick_buf *out, wick_err *err);
    void *shell_ctx;
    bool tools_by_default; /* for requests that say nothing of them */
    bool tools_side_by_side;
    uint32_t tool_rounds, tool_seconds; /* 0: those of chat/tools.h */
    bool no_key_needed;                 /* listen beyond loopback without a key */
    uint64_t memory_limit_bytes;        /* of all models together; 0: the machine's */
    uint64_t idle_unload_s;             /* models not used for so long are unloaded; 0: never */
    wick_server_limits limits;
    json_t *defaults;                 /* parameters of requests that do not say them: an object, owned, or NULL */
    wick_engine_opts engine_defaults; /* of models that say nothing else */
    const char *chat_template;        /* likewise */
    wick_discover_opts discover;      /* borrowed */
} wick_server_config;

/* Bytes that bodies and their parsed forms may take together: limits.buffered_bytes, or a quarter of the memory limit
 * where that is less. */
uint64_t wick_server_buffer_limit(const wick_server_config *c);
void wick_server_config_init(wick_server_config *c);
void wick_server_config_release(wick_server_config *c);
/* Reads server.yaml over what is there. Every problem names its place: "server.yaml: models[1].backend: ...". */
wick_status wick_server_config_load(wick_server_config *c, const char *path, wick_err *err) WICK_MUST_CHECK;
wick_status wick_server_config_parse(wick_server_config *c, const char *text, size_t n, const char *where,
                                     wick_err *err) WICK_MUST_CHECK;
/* Appends a model with the defaults; *out points to it (valid until the next). */
wick_status wick_server_config_add_model(wick_server_config *c, const char *path, const char *id,
                                         wick_model_config **out, wick_err *err) WICK_MUST_CHECK;
/* key: the secret. One of less than 16 characters is refused. */
wick_status wick_server_config_add_key(wick_server_config *c, const char *name, const char *key, unsigned scopes,
                                       wick_key_config **out, wick_err *err) WICK_MUST_CHECK;
/* A file with one key per line; "#" starts a comment; refused where others than the owner may read or write it. */
wick_status wick_server_config_key_file(wick_server_config *c, const char *path, unsigned scopes,
                                        wick_err *err) WICK_MUST_CHECK;
/* What only the whole shows: a listener beyond loopback needs a key, and so do pages of any origin; ids are unique; TLS
 * has both files, and its key is private. */
wick_status wick_server_config_check(const wick_server_config *c, wick_err *err) WICK_MUST_CHECK;
/* true for 127.0.0.0/8, ::1 and localhost */
bool wick_host_is_loopback(const char *host);
/* A server.yaml with comments, for `wick quickstart`. */
wick_status wick_server_config_sample(wick_buf *out, const char *backend, const char *const *model, uint32_t n_model,
                                      wick_err *err) WICK_MUST_CHECK;
