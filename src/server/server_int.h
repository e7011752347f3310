/* server/server_int.h - what the files of the server share: the exchange, workers, keys, models, metrics.
 *
 * An exchange is one HTTP request and its answer. It is owned by libmicrohttpd's callbacks from the request line to the
 * "completed" callback and freed by a worker after that. While a worker has it, or while it waits for the engine, its
 * connection is suspended, so libmicrohttpd does not touch it. Lock order: connection list, exchange, libmicrohttpd.
 */
#pragma once
#include <jansson.h>
#include <microhttpd.h>
#include <stdatomic.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/thread.h"
#include "chat/chat.h"
#include "chat/options.h"
#include "server/server.h"

typedef struct wick_exchange wick_exchange;
typedef struct wick_gen wick_gen;
typedef struct wick_entry wick_entry;
typedef struct wick_dialect wick_dialect; /* server/dialect/dialect.h */

/* What makes an answer that is not there yet when a route returns: a generation, an exchange of MCP. */
typedef struct wick_source {
    bool (*pump)(wick_exchange *x);    /* on the I/O thread: writes to x->out what there is; true: that is all, or where
                                          x is no stream: the answer may be asked for */
    void (*answer)(wick_exchange *x);  /* then: writes it, or turns x into a stream */
    void (*cancel)(wick_exchange *x);  /* any thread */
    void (*comment)(wick_exchange *x); /* any thread: nothing was written for a while */
    void (*free)(wick_exchange *x);    /* on a worker */
} wick_source;

/* --- workers (work.c) --------------------------------------------------------------------------------------------- */
typedef struct wick_job {
    struct wick_job *next;
    void (*fn)(void *ctx);
    void *ctx;
    uint64_t owner; /* whose work it is; 0: nobody's in particular */
} wick_job;
enum { WICK_WORKERS = 6, WICK_WORKERS_EACH = 3 /* that one owner may have at once, while others wait or not */ };
typedef struct wick_workers {
    wick_lock lock;
    wick_cond wake;
    wick_job *head, *tail;
    uint64_t busy[WICK_WORKERS]; /* owners of the jobs that run; 0: none, or nobody's */
    bool closed;
    wick_thread thread[WICK_WORKERS];
} wick_workers;
wick_status wick_workers_start(wick_workers *w, wick_err *err) WICK_MUST_CHECK;
void wick_workers_post(wick_workers *w, wick_job *j); /* never fails: the job is part of what it is about */
void wick_workers_stop(wick_workers *w);              /* runs what was posted, then joins */

/* --- keys (keys.c) ------------------------------------------------------------------------------------------------ */
typedef struct wick_key {
    wick_key_config c;
    char *name;     /* owned; c.name points to it */
    uint64_t owner; /* of what is kept for it (wick_domain); the same after a restart, and of this secret only */
    char owner_text[17];
    double request_tokens, token_tokens; /* buckets */
    double t_request, t_token;           /* when they were last filled, ms */
    uint32_t n_running;
    uint32_t refs; /* exchanges that hold it, and 1 while it is in the list */
    uint64_t n_requests, n_tokens;
} wick_key;
typedef struct wick_keys {
    wick_lock lock;
    wick_key **key;
    uint32_t n, cap;
    wick_key *local;      /* the administrator's of a server without keys; NULL: none. Not in the list */
    char *local_path;     /* the file that holds it, owned */
    uint8_t secret[32];   /* names of users are hashed with it where there is no key */
    wick_lock store_lock; /* of the file; taken before `lock` */
    const char *store;    /* NULL: none */
} wick_keys;
wick_status wick_keys_init(wick_keys *k, const wick_server_config *c, wick_err *err) WICK_MUST_CHECK;
void wick_keys_release(wick_keys *k);
uint32_t wick_keys_count(wick_keys *k);
void wick_key_digest(const char *key, size_t n, uint8_t digest[32]);
/* Looks at every key, in a time that does not depend on which one fits. NULL: none. */
wick_key *wick_keys_find(wick_keys *k, const char *secret, size_t n);
void wick_key_unref(wick_keys *k, wick_key *key);
wick_status wick_keys_add(wick_keys *k, const wick_key_config *c, wick_err *err) WICK_MUST_CHECK;
bool wick_keys_remove(wick_keys *k, const char *name, wick_key **removed); /* *removed: the caller unrefs it */
/* Whose cached prompts a request with this key may see. key: NULL where the server has none; user: the digest of who it
 * says it is for, or NULL. What a user of one key is called cannot be chosen so that it meets another's. */
wick_domain wick_keys_domain(const wick_keys *k, const wick_key *key, const uint8_t user[32]);
/* A key for whoever administers a server that has none: all scopes, in the file `<dir>/serve-<port>.key` of mode 0600
 * until wick_keys_release. */
wick_status wick_keys_make_local(wick_keys *k, const char *dir, uint16_t port, wick_err *err) WICK_MUST_CHECK;
enum { WICK_SECRET_CHARS = 53 };
/* A new secret, "wick-" and 48 hexadecimal digits. */
wick_status wick_key_make_secret(char out[WICK_SECRET_CHARS + 1], wick_err *err) WICK_MUST_CHECK;
bool wick_keys_set_limits(wick_keys *k, const char *name, const wick_key_config *limits);
json_t *wick_keys_list(wick_keys *k); /* NULL: out of memory */
/* key_store.c: adds the keys of the file (it may be absent) and keeps later ones there. */
wick_status wick_keys_load(wick_keys *k, const char *path, wick_err *err) WICK_MUST_CHECK;
/* Writes the keys that are `kept`; nothing where there is no store. */
wick_status wick_keys_keep(wick_keys *k, wick_err *err) WICK_MUST_CHECK;
bool wick_key_digest_parse(const char *s, uint8_t digest[32]); /* 64 lower-case hexadecimal digits */
wick_status wick_key_scopes_parse(const json_t *list, unsigned *scopes, wick_err *err) WICK_MUST_CHECK;
json_t *wick_key_scopes_json(unsigned scopes);
/* May this key start a request now? Otherwise false, and the seconds after which to try again. */
bool wick_key_begin(wick_keys *k, wick_key *key, double now_ms, uint32_t *retry_after_s, const char **what);
/* Tokens that the request may take are taken at once, and what it does not use is given back by wick_key_end. false:
 * others have them; seconds as above. */
bool wick_key_reserve(wick_keys *k, wick_key *key, uint64_t n_tokens, double now_ms, uint32_t *retry_after_s);
void wick_key_end(wick_keys *k, wick_key *key, uint64_t n_reserved, uint64_t n_tokens, double now_ms);

/* --- whoever guesses (guard.c) ------------------------------------------------------------------------------------ */
enum { WICK_PEER_TEXT = 46 };
typedef struct wick_peer {
    uint8_t bytes[16]; /* an IPv6 address, or an IPv4 one as IPv6 maps it */
} wick_peer;
typedef struct wick_guesser {
    wick_peer peer;
    uint32_t n;            /* wrong keys */
    double t_last, t_free; /* of the last one; when the last answer that is held goes out */
} wick_guesser;
typedef struct wick_guard {
    wick_lock lock;
    wick_guesser row[256];
    double lines, t_lines; /* budget of warnings */
    uint64_t n_unsaid;
} wick_guard;
struct sockaddr;
void wick_guard_init(wick_guard *g);
void wick_guard_release(wick_guard *g);
wick_peer wick_peer_from(const struct sockaddr *a); /* NULL, and what is no address: 0.0.0.0 */
const char *wick_peer_text(const wick_peer *p, char text[WICK_PEER_TEXT]);
bool wick_peer_same(const wick_peer *a, const wick_peer *b);
/* A wrong key came from there: when it may be answered; -1: not at all. */
double wick_guard_wrong_key(wick_guard *g, const wick_peer *peer, double now_ms);
/* A warning for the operator; what comes too often is counted only. */
void wick_guard_say(wick_guard *g, double now_ms, const char *fmt, ...) WICK_PRINTF(3, 4);

/* --- models (registry.c) ------------------------------------------------------------------------------------------ */
typedef enum wick_entry_state {
    WICK_ENTRY_COLD,
    WICK_ENTRY_LOADING,
    WICK_ENTRY_READY,
    WICK_ENTRY_FAILED
} wick_entry_state;
struct wick_entry {
    wick_model_config c; /* strings owned by `arena` */
    wick_arena arena;
    wick_entry_state state;
    wick_engine *engine;
    wick_chat *chat;  /* of engine; opened and closed with it */
    uint32_t refs;    /* requests that use it, plus 1 while it is in the list */
    uint32_t n_users; /* requests that use the engine */
    bool gone;        /* forgotten: not found any more, and out of the list once it is unloaded */
    bool unload_asked;
    bool added;     /* by an administrator, while the server runs: forgotten after a while if it cannot be loaded */
    uint64_t bytes; /* estimate or measurement of what it holds */
    double t_used_ms, t_loaded_ms;
    int64_t created_unix_s;
    wick_err error;
    wick_job *waiting; /* exchanges that wait until it is loaded */
    struct wick_model_metrics *metrics;
};
typedef struct wick_registry {
    wick_lock lock;
    wick_cond wake;
    wick_thread loader;
    bool closing;
    wick_entry **entry;
    uint32_t n, cap;
    wick_entry *def;
    const wick_server_config *config;
    wick_workers *workers;
} wick_registry;
wick_status wick_registry_init(wick_registry *g, const wick_server_config *c, wick_workers *w,
                               wick_err *err) WICK_MUST_CHECK;
void wick_registry_close(wick_registry *g);   /* no loading any more; who waits is told */
void wick_registry_release(wick_registry *g); /* after the last request */
/* The model that a request names (NULL: the default). WICK_OK: *out is ready and held. *pending: `job` is posted when
 * it is loaded or has failed; *out is not set. WICK_E_MODEL_NOT_FOUND lists the names there are. */
wick_status wick_registry_take(wick_registry *g, const char *name, wick_job *job, wick_entry **out, bool *pending,
                               wick_err *err);
void wick_registry_give(wick_registry *g, wick_entry *e);
/* added: it is not of the configuration */
wick_status wick_registry_add(wick_registry *g, const wick_model_config *c, bool added, wick_err *err) WICK_MUST_CHECK;
/* Starts loading; `job` is posted when it is done. */
wick_status wick_registry_load(wick_registry *g, const char *name, wick_job *job, bool *pending,
                               wick_err *err) WICK_MUST_CHECK;
/* Unloads as soon as nobody uses it. `forget`: its name is unknown from now on. */
wick_status wick_registry_unload(wick_registry *g, const char *name, bool forget, wick_err *err) WICK_MUST_CHECK;
wick_status wick_registry_set_default(wick_registry *g, const char *name, wick_err *err) WICK_MUST_CHECK;
/* Calls fn for every model, under the lock. */
void wick_registry_each(wick_registry *g, void (*fn)(void *ctx, wick_entry *e, bool is_default), void *ctx);
void wick_registry_unref(wick_registry *g, wick_entry *e); /* of an entry whose `refs` the caller raised */
wick_entry *wick_registry_find_locked(wick_registry *g, const char *name);
uint32_t wick_registry_n_loading(wick_registry *g); /* of those that are to be there from the start */

/* --- metrics (metrics.c) ------------------------------------------------------------------------------------------ */
enum { WICK_HIST_MAX = 16 };
typedef struct wick_hist {
    atomic_ullong bucket[WICK_HIST_MAX], count, sum_us;
} wick_hist;
typedef struct wick_model_metrics {
    wick_hist ttft, itl, e2e, queue;
    atomic_ullong prompt_tokens, cached_tokens, gen_tokens, requests, failed, cancelled;
    atomic_ullong prompt_us, decode_us, n_tokens_max;
} wick_model_metrics;
void wick_hist_add(wick_hist *h, double ms);
void wick_metrics_status(unsigned route, unsigned status);
/* A request to a model has ended. (`requests` counts those that began.) */
void wick_metrics_request(wick_model_metrics *m, const wick_usage *u, wick_finish how);
void wick_metrics_write(struct wick_server *s, wick_buf *out);

/* --- the exchange (exchange.c) ------------------------------------------------------------------------------------ */
typedef enum wick_x_state {
    WICK_X_HEAD,    /* the body comes in */
    WICK_X_DISCARD, /* an error is known; the rest of the body is read and thrown away */
    WICK_X_WORK,    /* a worker has it */
    WICK_X_RUN,     /* the engine has it: gen is set */
    WICK_X_READY,   /* the answer is complete in `out`, or streaming */
    WICK_X_SENT
} wick_x_state;

typedef struct wick_conn wick_conn;
typedef struct wick_route wick_route;

struct wick_exchange {
    struct wick_server *s;
    const struct wick_port *port; /* that it came in by */
    struct MHD_Connection *mhd;
    wick_conn *conn;
    const wick_route *route;
    const wick_dialect *dialect; /* never NULL; a guess from the path until the route is known */
    char id[32];                 /* "5f3a..." */
    char path_arg[512];
    wick_key *key;
    bool key_counted;
    bool admin;      /* whoever asks may administer: sees paths and what exactly went wrong */
    bool own_pages;  /* of this route: no page of another origin gets an answer that it can read */
    bool close;      /* the connection cannot be used after this answer */
    bool answer_now; /* the rest of the body is not read */
    bool bad_uri, http_1_0;
    bool gzip;    /* the body is packed */
    bool counted; /* in s->n_active */
    size_t uri_bytes;
    uint64_t content_length, n_discarded;
    wick_buf body;
    uint64_t body_charged;
    double t_start;

    wick_lock lock;
    wick_x_state state;
    bool suspended, woken;
    atomic_bool gone;
    wick_job job, reap;
    json_t *json; /* the parsed body */

    unsigned status;
    const char *content_type;
    const char *allow; /* Allow header of a 405 */
    uint32_t retry_after_s;
    double t_hold; /* the answer goes out then; 0: at once */
    wick_buf out;
    size_t out_pos;
    bool stream, stream_done;
    _Atomic double t_write;    /* last byte queued; 0 before the first call */
    const wick_source *source; /* NULL: the answer is in `out` */
    wick_gen *gen;             /* of a source: what it works on */
    struct wick_mcp_run *mcp;
    const char *mcp_session;         /* header Mcp-Session-Id of the answer, or NULL */
    uint64_t n_reserved;             /* of the key's budget, given back at the end */
    uint64_t n_tokens;               /* prompt and answer, for the key's budget */
    uint32_t n_prompt_tokens, n_ctx; /* of a prompt that was too long: dialects may say so; else 0 */
};

/* Any thread: its connection is looked at again. */
void wick_x_wake(wick_exchange *x);
/* Takes an answer: complete, in x->out. */
void wick_x_json(wick_exchange *x, unsigned status, json_t *v); /* frees v; NULL: out of memory */
void wick_x_text(wick_exchange *x, unsigned status, const char *content_type);
/* problem.c: an error in the form of x's dialect. param and code may be NULL. */
void wick_problem(wick_exchange *x, unsigned status, const char *param, const char *code, const char *fmt, ...)
    WICK_PRINTF(5, 6);
void wick_problem_err(wick_exchange *x, const wick_err *err); /* status from the kind */
unsigned wick_problem_status(const wick_err *err, const char **code);

/* --- routes (router.c) -------------------------------------------------------------------------------------------- */
enum wick_route_flags {
    WICK_ROUTE_OPEN = 1 /* no key needed */,
    WICK_ROUTE_QUICK = 2 /* answered on the I/O thread */,
    WICK_ROUTE_COUNTED = 4 /* rate limits count it */,
    WICK_ROUTE_RAW = 8 /* the body stays text, in x->body */
};
struct wick_route {
    const char *method, *path; /* "/v1/models/{id}": the rest of the path */
    const wick_dialect *dialect;
    unsigned scope, flags;
    bool (*run)(wick_exchange *x); /* false: it waits for a model and is run again; x is not ours any more */
    const char *about;
};
extern const wick_route wick_routes[];
extern const unsigned wick_n_routes;
/* Is this the path of a route that pages of other origins may never read, by whatever method? */
bool wick_route_is_own(const char *path);
/* NULL: no such path (allow NULL) or not with this method (allow: the methods it has). */
/* Whose errors a client expects that asked for this path, whether there is such a route or not. */
const wick_dialect *wick_route_dialect(const char *path);
const wick_route *wick_route_find(const char *method, const char *path, char *arg, size_t cap, const char **allow);

bool wick_route_livez(wick_exchange *x);
bool wick_route_readyz(wick_exchange *x);
bool wick_route_status(wick_exchange *x);
bool wick_route_metrics(wick_exchange *x);
bool wick_route_models(wick_exchange *x);
bool wick_route_model(wick_exchange *x);
bool wick_route_chat(wick_exchange *x);
bool wick_route_completions(wick_exchange *x);
bool wick_route_embeddings(wick_exchange *x);
bool wick_route_count_tokens(wick_exchange *x);
bool wick_route_response_count(wick_exchange *x);
bool wick_route_responses(wick_exchange *x);
bool wick_route_response_get(wick_exchange *x);
bool wick_route_response_delete(wick_exchange *x);
bool wick_route_response_cancel(wick_exchange *x);
bool wick_route_response_items(wick_exchange *x);
bool wick_route_response_count(wick_exchange *x);
bool wick_route_ollama_chat(wick_exchange *x);
bool wick_route_ollama_generate(wick_exchange *x);
bool wick_route_ollama_embed(wick_exchange *x);
bool wick_route_ollama_tags(wick_exchange *x);
bool wick_route_ollama_ps(wick_exchange *x);
bool wick_route_ollama_show(wick_exchange *x);
bool wick_route_ollama_version(wick_exchange *x);
bool wick_route_llama_chat(wick_exchange *x);
bool wick_route_anthropic(wick_exchange *x);
bool wick_route_anthropic_count(wick_exchange *x);
bool wick_route_llama_text(wick_exchange *x);
bool wick_route_llama_infill(wick_exchange *x);
bool wick_route_llama_props(wick_exchange *x);
bool wick_route_llama_slots(wick_exchange *x);
bool wick_route_llama_adapters(wick_exchange *x);
bool wick_route_llama_rerank(wick_exchange *x);
bool wick_route_tokenize(wick_exchange *x);
bool wick_route_detokenize(wick_exchange *x);
bool wick_route_apply_template(wick_exchange *x);
bool wick_route_admin_models(wick_exchange *x);
bool wick_route_admin_load(wick_exchange *x);
bool wick_route_admin_unload(wick_exchange *x);
bool wick_route_admin_default(wick_exchange *x);
bool wick_route_admin_keys(wick_exchange *x);
bool wick_route_admin_key_add(wick_exchange *x);
bool wick_route_admin_key_remove(wick_exchange *x);
bool wick_route_admin_key_limits(wick_exchange *x);
bool wick_route_admin_cache_clear(wick_exchange *x);
bool wick_route_admin_cache_warm(wick_exchange *x);
bool wick_route_admin_drain(wick_exchange *x);
bool wick_route_mcp(wick_exchange *x);

/* --- the gate (gate.c): what is checked from the header alone ----------------------------------------------------- */
/* false: x holds the problem. */
bool wick_gate_check(wick_exchange *x, const char *method, const char *url);
bool wick_gate_origin_listed(const wick_server_config *c, const char *origin);
/* Parses x->body into x->json, an object. false: x holds the problem. */
bool wick_gate_body(wick_exchange *x);

/* --- connections (http.c, watch.c) -------------------------------------------------------------------------------- */
struct wick_conn {
    wick_conn *next, *prev;
    int fd;
    wick_peer peer;
    bool closing; /* the watch has shut it down */
    enum { WICK_CONN_HEADER, WICK_CONN_BODY, WICK_CONN_BUSY, WICK_CONN_IDLE } state;
    double t_state;
    wick_exchange *x;
};

/* A port that is listened on: one for everything, and where it is asked for one for MCP alone. */
typedef struct wick_port {
    struct wick_server *s;
    struct MHD_Daemon *mhd; /* NULL: not open */
    uint16_t number;
    bool only_mcp;
    uint32_t max_conns; /* that the process has descriptors for */
} wick_port;

struct wick_server {
    const wick_server_config *config;
    wick_port port, mcp_port;
    struct wick_server_mcp *mcp; /* server/mcp_http.h; NULL: there is none */
    bool loopback;
    char *tls_cert, *tls_key;
    wick_workers workers;
    wick_registry registry;
    wick_keys keys;
    wick_guard guard;
    atomic_bool draining, drain_asked, stopping;
    atomic_uint n_active;
    atomic_ullong buffered_bytes, n_requests;
    double t_start;
    int64_t started_unix_s;

    wick_lock conns_lock;
    wick_conn *conns;
    uint32_t n_conns;
    wick_thread watch;
    struct wick_response_store *responses;
    wick_lock running_lock;
    wick_gen *running; /* responses that another connection may cancel */
    wick_lock watch_lock;
    wick_cond watch_wake;
};
void *wick_watch_main(void *ctx);
wick_status wick_http_start(wick_server *s, wick_err *err) WICK_MUST_CHECK;
void wick_http_stop(wick_server *s);

/* --- JSON text (sse.c) -------------------------------------------------------------------------------------------- */
void wick_json_write_str(wick_buf *b, const char *p, size_t n); /* with the quotes; invalid UTF-8 becomes U+FFFD */
void wick_json_write_float(wick_buf *b, double v);              /* null where it is not finite */
bool wick_json_write(wick_buf *b, const json_t *v);             /* compact; false: out of memory */
void wick_sse_begin(wick_buf *b);                               /* "data: " */
void wick_sse_end(wick_buf *b);
