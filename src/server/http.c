/* server/http.c - libmicrohttpd: connections in, exchanges through, answers out.
 *
 * Invariants: (1) A connection is suspended while a worker or the engine has its exchange, and only then. (2) The
 * body is
 * taken up to the limit; after an error is known, the rest is read and thrown away (up to a bound), so that the
 * client gets
 * to read the answer. (3) A stream's text is made when the socket takes more of it, so a slow reader holds one batch of
 * events here and pauses its own sequence in the engine. (4) Nothing here waits: what may block goes to a worker.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json_memory.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "server/server_int.h"

#define POOL_MORE (16 * 1024)        /* of a connection, besides its header: the parsed form, one block of an answer */
#define DISCARD_BYTES (160ull << 20) /* read and thrown away after an error at most */
#define STREAM_BLOCK 8192
#define LARGE_BODY (16ull << 20)

static void set_state(wick_conn *c, int state)
{
    c->state = state;
    c->t_state = wick_time_ms();
}

static void conn_state(wick_exchange *x, int state)
{
    wick_lock_take(&x->s->conns_lock);
    if (x->conn) set_state(x->conn, state);
    wick_lock_drop(&x->s->conns_lock);
}

/* --- life of an exchange ------------------------------------------------------------------------------------------ */
static void reap(void *ctx)
{
    wick_exchange *x = ctx;
    wick_server *s = x->s;
    if (x->source) x->source->free(x);
    if (x->key && x->key_counted) wick_key_end(&s->keys, x->key, x->n_reserved, x->n_tokens, wick_time_ms());
    wick_key_unref(&s->keys, x->key);
    json_decref(x->json);
    const uint64_t left = atomic_fetch_sub(&s->buffered_bytes, x->body_charged) - x->body_charged;
    const bool large = x->body_charged >= LARGE_BODY || left >= LARGE_BODY;
    if (x->counted) atomic_fetch_sub(&s->n_active, 1);
    wick_buf_release(&x->body);
    wick_buf_release(&x->out);
    wick_lock_release(&x->lock);
    wick_free(x);
    if (large) wick_json_trim(); /* many small pieces: the allocator would keep them all */
}

static wick_exchange *new_exchange(const wick_port *port, struct MHD_Connection *mhd, const char *uri)
{
    wick_server *s = port->s;
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    wick_exchange *x = wick_alloc_zero(1, sizeof *x);
    if (!x) return NULL;
    x->s = s;
    x->port = port;
    x->mhd = mhd;
    x->conn = info ? info->socket_context : NULL;
    x->uri_bytes = strlen(uri);
    x->dialect = wick_route_dialect(uri);
    x->t_start = wick_time_ms();
    x->job.ctx = x->reap.ctx = x;
    x->reap.fn = reap;
    wick_buf_init(&x->body, s->config->limits.body_bytes + 1);
    wick_buf_init(&x->out, 0);
    wick_lock_init(&x->lock);
    uint64_t id = wick_random_seed();
    snprintf(x->id, sizeof x->id, "%016llx%08x", (unsigned long long)id, (unsigned)atomic_fetch_add(&s->n_requests, 1));
    if (x->conn) {
        wick_lock_take(&s->conns_lock);
        x->conn->x = x;
        wick_lock_drop(&s->conns_lock);
    }
    return x;
}

static void *on_uri(void *cls, const char *uri, struct MHD_Connection *mhd)
{
    wick_exchange *x = new_exchange(cls, mhd, uri);
    if (x) x->bad_uri = strstr(uri, "%00") != NULL;
    return x;
}

/* What an administrator changed, or tried to. */
static void log_admin(wick_server *s, const wick_exchange *x)
{
    char from[WICK_PEER_TEXT];
    if (x->route->scope != WICK_SCOPE_ADMIN || !x->key || strcmp(x->route->method, "GET") == 0) return;
    wick_guard_say(&s->guard, wick_time_ms(), "administration: %s %s%s%s: %u, by key %s from %s", x->route->method,
                   x->route->path, x->path_arg[0] ? " " : "", x->path_arg, x->status, x->key->name,
                   x->conn ? wick_peer_text(&x->conn->peer, from) : "?");
}

static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls, enum MHD_RequestTerminationCode why)
{
    wick_server *s = ((wick_port *)cls)->s;
    wick_exchange *x = *con_cls;
    (void)mhd;
    if (!x) return;
    *con_cls = NULL;
    wick_lock_take(&s->conns_lock);
    if (x->conn) {
        x->conn->x = NULL;
        set_state(x->conn, WICK_CONN_IDLE);
    }
    wick_lock_drop(&s->conns_lock);
    if (x->source) x->source->cancel(x);
    if (x->route) {
        if (x->status) wick_metrics_status((unsigned)(x->route - wick_routes), x->status);
        log_admin(s, x);
        wick_log(WICK_LOG_INFO, "%s %s %s %u %.0f ms%s%s%s", x->id, x->route->method, x->route->path, x->status,
                 wick_time_ms() - x->t_start, x->key ? " key " : "", x->key ? x->key->name : "",
                 why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : ", client gone");
    }
    wick_workers_post(&s->workers, &x->reap);
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **socket_ctx,
                          enum MHD_ConnectionNotificationCode what)
{
    wick_server *s = ((wick_port *)cls)->s;
    wick_conn *c = *socket_ctx;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = wick_alloc_zero(1, sizeof *c);
        *socket_ctx = c;
        if (!c) return;
        c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
        c->peer = wick_peer_from(info ? info->client_addr : NULL);
        wick_lock_take(&s->conns_lock);
        set_state(c, WICK_CONN_HEADER);
        c->next = s->conns;
        if (s->conns) s->conns->prev = c;
        s->conns = c;
        s->n_conns++;
        wick_lock_drop(&s->conns_lock);
    } else if (c) {
        wick_lock_take(&s->conns_lock);
        if (c->prev)
            c->prev->next = c->next;
        else
            s->conns = c->next;
        if (c->next) c->next->prev = c->prev;
        s->n_conns--;
        wick_lock_drop(&s->conns_lock);
        wick_free(c);
    }
}

/* --- answers ------------------------------------------------------------------------------------------------------ */
static void add_headers(wick_exchange *x, struct MHD_Response *r)
{
    const wick_server_config *c = x->s->config;
    char text[32];
    MHD_add_response_header(r, "Content-Type", x->content_type ? x->content_type : "application/json");
    MHD_add_response_header(r, "X-Request-Id", x->id);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (x->stream) MHD_add_response_header(r, "X-Accel-Buffering", "no"); /* nginx would hold it back */
    if (x->route && x->route->run == wick_route_metrics) {                /* as llama.cpp's collectors read it */
        snprintf(text, sizeof text, "%lld", (long long)x->s->started_unix_s);
        MHD_add_response_header(r, "Process-Start-Time-Unix", text);
    }
    if (x->close) MHD_add_response_header(r, "Connection", "close");
    if (x->status == 401) MHD_add_response_header(r, "WWW-Authenticate", "Bearer realm=\"wick\"");
    if (x->allow) MHD_add_response_header(r, "Allow", x->allow);
    if (x->mcp_session) MHD_add_response_header(r, "Mcp-Session-Id", x->mcp_session);
    if (x->retry_after_s) {
        snprintf(text, sizeof text, "%u", x->retry_after_s);
        MHD_add_response_header(r, "Retry-After", text);
    }
    const char *origin = MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, "Origin");
    if (origin && !x->own_pages && wick_gate_origin_listed(c, origin)) {
        MHD_add_response_header(r, "Access-Control-Allow-Origin", origin);
        const char *wanted = MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, "Access-Control-Request-Headers");
        MHD_add_response_header(r, "Vary", "Origin");
        MHD_add_response_header(r, "Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS");
        MHD_add_response_header(r, "Access-Control-Allow-Headers", wanted ? wanted : "Authorization, Content-Type");
        MHD_add_response_header(r, "Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
        MHD_add_response_header(r, "Access-Control-Max-Age", "600");
    }
}

/* Text for the stream. Runs on the I/O thread whenever the socket takes more. */
static ssize_t read_stream(void *cls, uint64_t pos, char *dst, size_t max)
{
    wick_exchange *x = cls;
    (void)pos;
    for (;;) {
        if (x->out_pos == x->out.n && !x->stream_done) {
            wick_buf_reset(&x->out);
            x->out_pos = 0;
            x->stream_done = x->source->pump(x);
        }
        if (x->out.failed) return MHD_CONTENT_READER_END_WITH_ERROR;
        size_t left = x->out.n - x->out_pos;
        if (left > 0) {
            size_t n = left < max ? left : max;
            memcpy(dst, x->out.data + x->out_pos, n);
            x->out_pos += n;
            x->t_write = wick_time_ms();
            return (ssize_t)n;
        }
        if (x->stream_done) return MHD_CONTENT_READER_END_OF_STREAM;
        wick_lock_take(&x->lock);
        const bool gone = x->gone, again = x->woken;
        x->woken = false;
        if (!gone && !again) {
            x->suspended = true;
            MHD_suspend_connection(x->mhd);
        }
        wick_lock_drop(&x->lock);
        if (gone) return MHD_CONTENT_READER_END_WITH_ERROR;
        if (!again) return 0;
    }
}

static enum MHD_Result send_answer(wick_exchange *x)
{
    struct MHD_Response *r;
    if (x->gone) return MHD_NO;
    if (x->stream) {
        r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, read_stream, x, NULL);
    } else {
        if (x->out.failed || !x->status)
            wick_problem(x, 503, NULL, "out_of_memory", "out of memory while the answer was written");
        r = MHD_create_response_from_buffer(x->out.n, x->out.n ? x->out.data : (void *)(uintptr_t) "",
                                            MHD_RESPMEM_PERSISTENT);
    }
    if (!r) return MHD_NO;
    add_headers(x, r);
    wick_lock_take(&x->lock);
    x->state = WICK_X_SENT;
    wick_lock_drop(&x->lock);
    enum MHD_Result ok = MHD_queue_response(x->mhd, x->status, r);
    MHD_destroy_response(r);
    return ok;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */
static void x_state(wick_exchange *x, wick_x_state state)
{
    wick_lock_take(&x->lock);
    x->state = state;
    wick_lock_drop(&x->lock);
}

static void work(void *ctx)
{
    wick_exchange *x = ctx;
    const unsigned before = wick_json_n_failed();
    if (x->gone) /* nobody waits for it any more */
        wick_problem(x, 499, NULL, "cancelled", "the client has left");
    else if ((x->json || wick_gate_body(x)) && !x->route->run(x))
        return;
    if (!x->source && x->status < 400 && wick_json_n_failed() != before)
        wick_problem(x, 503, NULL, "out_of_memory", "out of memory");
    x_state(x, x->source && !x->stream ? WICK_X_RUN : WICK_X_READY);
    wick_x_wake(x);
}

static enum MHD_Result dispatch(wick_exchange *x)
{
    wick_server *s = x->s;
    if (x->route->flags & WICK_ROUTE_QUICK) {
        const unsigned before = wick_json_n_failed();
        x->route->run(x);
        if (x->status < 400 && wick_json_n_failed() != before)
            wick_problem(x, 503, NULL, "out_of_memory", "out of memory");
        return send_answer(x);
    }
    if (atomic_load(&s->draining)) {
        x->retry_after_s = 5;
        x->close = true;
        wick_problem(x, 503, NULL, "draining", "the server is shutting down");
        return send_answer(x);
    }
    atomic_fetch_add(&s->n_active, 1);
    x->counted = true;
    conn_state(x, WICK_CONN_BUSY);
    x->job.fn = work;
    x->job.owner = wick_keys_domain(&s->keys, x->key, NULL).owner;
    wick_lock_take(&x->lock);
    x->state = WICK_X_WORK;
    x->suspended = true;
    MHD_suspend_connection(x->mhd);
    wick_lock_drop(&x->lock);
    wick_workers_post(&s->workers, &x->job);
    return MHD_YES;
}

static void take_body(wick_exchange *x, const char *data, size_t n)
{
    wick_server *s = x->s;
    const wick_server_limits *l = &s->config->limits;
    if (x->state == WICK_X_DISCARD) {
        x->n_discarded += n;
        return;
    }
    if (x->body.n + n > l->body_bytes) {
        wick_problem(x, 413, NULL, "body_too_large", "the body is longer than %llu bytes",
                     (unsigned long long)l->body_bytes);
        x->state = WICK_X_DISCARD;
        x->close = true;
        wick_buf_release(&x->body);
        return;
    }
    x->body_charged += n;
    if (atomic_fetch_add(&s->buffered_bytes, n) + n > wick_server_buffer_limit(s->config)) {
        x->retry_after_s = 1;
        wick_problem(x, 503, NULL, "overloaded", "the server holds too many request bodies; try again");
        x->state = WICK_X_DISCARD;
        wick_buf_release(&x->body);
        return;
    }
    wick_buf_add(&x->body, data, n);
    if (x->body.failed) {
        wick_problem(x, 503, NULL, "out_of_memory", "out of memory for the body");
        x->state = WICK_X_DISCARD;
    }
}

/* The engine has it, or had it: is the answer complete? */
static enum MHD_Result continue_run(wick_exchange *x)
{
    for (;;) {
        if (x->source->pump(x)) {
            x->source->answer(x);
            return send_answer(x);
        }
        wick_lock_take(&x->lock);
        const bool gone = x->gone, again = x->woken;
        x->woken = false;
        if (!gone && !again) {
            x->suspended = true;
            MHD_suspend_connection(x->mhd);
        }
        wick_lock_drop(&x->lock);
        if (gone) return MHD_NO;
        if (!again) return MHD_YES;
    }
}

/* The answer that a gate or a limit made, when its time has come. */
static enum MHD_Result send_refusal(wick_exchange *x)
{
    if (x->t_hold > wick_time_ms()) { /* the watch wakes it */
        conn_state(x, WICK_CONN_BUSY);
        wick_lock_take(&x->lock);
        x->suspended = true;
        MHD_suspend_connection(x->mhd);
        wick_lock_drop(&x->lock);
        return MHD_YES;
    }
    return send_answer(x);
}

/* The header is here: decide, before the body comes, whether it is wanted. */
static enum MHD_Result begin(wick_exchange *x, const char *method, const char *url)
{
    const char *expect = MHD_lookup_connection_value(x->mhd, MHD_HEADER_KIND, "Expect");
    conn_state(x, WICK_CONN_BODY);
    x->t_start = wick_time_ms();
    if (wick_gate_check(x, method, url)) return MHD_YES;
    if (!x->content_type) x->content_type = "application/json";
    x->state = WICK_X_DISCARD;
    const bool huge = x->content_length > DISCARD_BYTES;
    if (x->content_length > 0) x->close = true;
    if (x->t_hold < 0 || (x->t_hold > 0 && (huge || expect))) return MHD_NO; /* guesses are not waited for */
    if (x->answer_now || huge || (expect && x->content_length > 0)) return send_answer(x);
    return MHD_YES;
}

/* There is no exchange: memory was short when the request line came. The text is static, the connection is closed. */
static enum MHD_Result answer_without_memory(struct MHD_Connection *mhd)
{
    static char body[] = "{\"error\":{\"message\":\"out of memory for the request\",\"type\":\"server_error\","
                         "\"param\":null,\"code\":\"out_of_memory\"}}\n";
    struct MHD_Response *r = MHD_create_response_from_buffer(sizeof body - 1, body, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    MHD_add_response_header(r, "Content-Type", "application/json");
    MHD_add_response_header(r, "Connection", "close");
    MHD_add_response_header(r, "Retry-After", "1");
    const enum MHD_Result ok = MHD_queue_response(mhd, 503, r);
    MHD_destroy_response(r);
    return ok;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **con_cls)
{
    wick_exchange *x = *con_cls;
    (void)cls;
    if (!x) return answer_without_memory(mhd);
    if (x->t_write == 0) {
        x->t_write = -1; /* the first call comes without a body */
        x->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
        return begin(x, method, url);
    }
    if (x->gone) return MHD_NO;
    if (*n > 0) {
        take_body(x, data, *n);
        *n = 0;
        return x->n_discarded > DISCARD_BYTES ? MHD_NO : MHD_YES;
    }
    switch (x->state) {
    case WICK_X_HEAD: return dispatch(x);
    case WICK_X_DISCARD: return send_refusal(x);
    case WICK_X_READY: return send_answer(x);
    case WICK_X_RUN: return continue_run(x);
    case WICK_X_WORK: /* woken by the watch: the client is gone, but a worker still has it */
    case WICK_X_SENT: break;
    }
    return MHD_NO;
}

/* --- start and stop ----------------------------------------------------------------------------------------------- */
/* libmicrohttpd 0.9.75 writes the header of its own error answers twice, which a client may take for two answers. The
 * one
 * that a client can provoke at will is that of a Content-Length that is no number; the library says in its log that
 * it is
 * about to send it, on this thread. Whoever has sent such a header gets our answer instead, and a closed connection. */
static void answer_bad_length(wick_server *s)
{
    static const char body[] = "{\"error\":{\"message\":\"Content-Length is no number\",\"type\":"
                               "\"invalid_request_error\",\"param\":null,\"code\":\"bad_request\"}}\n";
    char text[sizeof body + 160];
    const int n = snprintf(text, sizeof text,
                           "HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: application/json\r\n"
                           "Content-Length: %zu\r\n\r\n%s",
                           sizeof body - 1, body);
    wick_lock_take(&s->conns_lock);
    for (wick_conn *c = s->conns; c; c = c->next) {
        uint64_t length;
        if (!c->x || c->x->t_write != 0) continue; /* only those whose header is not through */
        const char *v = MHD_lookup_connection_value(c->x->mhd, MHD_HEADER_KIND, "Content-Length");
        if (!v || (strspn(v, "0123456789") == strlen(v) && wick_parse_u64(v, &length))) continue;
        if (!s->tls_cert && send(c->fd, text, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            wick_log(WICK_LOG_DEBUG, "http: %s", strerror(errno));
        shutdown(c->fd, SHUT_WR);
    }
    wick_lock_drop(&s->conns_lock);
}

static void on_log(void *cls, const char *fmt, va_list ap) WICK_PRINTF(2, 0);
static void on_log(void *cls, const char *fmt, va_list ap)
{
    char text[512];
    if (MHD_VERSION <= 0x00097500 && strstr(fmt, "Content-Length' header")) answer_bad_length(((wick_port *)cls)->s);
    if (!wick_log_on(WICK_LOG_DEBUG)) return;
    vsnprintf(text, sizeof text, fmt, ap);
    wick_log(WICK_LOG_DEBUG, "http: %s", text);
}

static wick_status open_socket(const char *host, uint16_t wanted, int *fd, uint16_t *port, wick_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    char service[16];
    int on = 1;
    snprintf(service, sizeof service, "%u", wanted);
    int e = getaddrinfo(host, service, &hints, &list);
    if (e != 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "host", "--host %s: %s", host, gai_strerror(e));
    *fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (*fd >= 0) {
        fcntl(*fd, F_SETFD, FD_CLOEXEC);
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(*fd, list->ai_addr, list->ai_addrlen) != 0 || listen(*fd, 1024) != 0) {
            int saved = errno;
            close(*fd);
            *fd = -1;
            errno = saved;
        }
    }
    freeaddrinfo(list);
    if (*fd < 0)
        return WICK_FAIL(err, WICK_E_IO, "port", "cannot listen on %s port %u: %s%s", host, wanted, strerror(errno),
                         errno == EADDRINUSE ? " (another server runs there; choose another --port)" : "");
    *port = wanted;
    if (getsockname(*fd, (struct sockaddr *)&a, &n) == 0)
        *port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                              : ((struct sockaddr_in *)&a)->sin_port);
    return WICK_OK;
}

/* Connections that the process has descriptors for, some of which are for files, models and whoever administers. */
static unsigned connection_limit(const wick_server_config *c)
{
    enum { RESERVE = 96, LEAST = 8 };
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return (unsigned)c->limits.connections;
    if (r.rlim_cur < r.rlim_max && r.rlim_cur < c->limits.connections + RESERVE) {
        r.rlim_cur = r.rlim_max < c->limits.connections + RESERVE ? r.rlim_max : c->limits.connections + RESERVE;
        if (setrlimit(RLIMIT_NOFILE, &r) != 0 && getrlimit(RLIMIT_NOFILE, &r) != 0) r.rlim_cur = RESERVE;
    }
    const uint64_t room = r.rlim_cur > RESERVE + LEAST ? r.rlim_cur - RESERVE : LEAST;
    return (unsigned)(c->limits.connections < room ? c->limits.connections : room);
}

static wick_status open_port(wick_port *port, uint16_t wanted, wick_err *err)
{
    const wick_server *s = port->s;
    const wick_server_config *c = s->config;
    /* In GnuTLS' words; what it calls NORMAL has the older versions too. */
    static char priorities[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";
    struct MHD_OptionItem tls[4] = {{MHD_OPTION_END, 0, NULL}};
    unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_ERROR_LOG;
    int fd = -1;
    flags |= MHD_is_feature_supported(MHD_FEATURE_EPOLL) == MHD_YES ? MHD_USE_EPOLL : MHD_USE_AUTO;
    if (s->tls_cert) {
        flags |= MHD_USE_TLS;
        tls[0] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_CERT, 0, s->tls_cert};
        tls[1] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_KEY, 0, s->tls_key};
        tls[2] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_PRIORITIES, 0, priorities};
        tls[3] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
    }
    WICK_TRY(open_socket(c->host, wanted, &fd, &port->number, err));
    wick_lock_take(&port->s->conns_lock); /* the watching thread runs already */
    port->max_conns = connection_limit(c);
    wick_lock_drop(&port->s->conns_lock);
    port->mhd = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, port, MHD_OPTION_EXTERNAL_LOGGER, on_log, port, MHD_OPTION_ARRAY, tls,
        MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)(c->limits.header_bytes + c->limits.uri_bytes + POOL_MORE), MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)port->max_conns, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)c->limits.idle_seconds,
        MHD_OPTION_STRICT_FOR_CLIENT, 0, MHD_OPTION_URI_LOG_CALLBACK, on_uri, port, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, port, MHD_OPTION_NOTIFY_CONNECTION, on_connection, port, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_END);
    if (port->mhd) return WICK_OK;
    close(fd);
    return WICK_FAIL(err, WICK_E_IO, "http", "the HTTP server does not start%s",
                     c->tls_cert ? ": are the certificate and its key in PEM format?" : "");
}

wick_status wick_http_start(wick_server *s, wick_err *err)
{
    const wick_server_config *c = s->config;
    size_t n_pem;
    if (c->tls_cert) {
        WICK_TRY(wick_file_read(c->tls_cert, 1 << 20, &s->tls_cert, &n_pem, err));
        WICK_TRY(wick_file_read(c->tls_key, 1 << 20, &s->tls_key, &n_pem, err));
    }
    s->port.s = s->mcp_port.s = s;
    s->mcp_port.only_mcp = true;
    WICK_TRY(open_port(&s->port, c->port, err));
    return c->mcp_own_port ? open_port(&s->mcp_port, c->mcp_port, err) : WICK_OK;
}

/* Every exchange that waits is woken as if its client had gone; then nothing is suspended and MHD can stop. */
void wick_http_stop(wick_server *s)
{
    atomic_store(&s->stopping, true);
    for (int tries = 0; tries < 1000; tries++) {
        bool any = false;
        wick_lock_take(&s->conns_lock);
        for (wick_conn *c = s->conns; c; c = c->next) {
            wick_exchange *x = c->x;
            if (!x) continue;
            wick_lock_take(&x->lock);
            x->gone = true;
            if (x->state == WICK_X_WORK || x->suspended) any = true;
            const bool wake = x->state != WICK_X_WORK;
            wick_lock_drop(&x->lock);
            if (x->source && wake) x->source->cancel(x);
            if (wake) wick_x_wake(x);
        }
        wick_lock_drop(&s->conns_lock);
        if (!any && tries > 1) break;
        usleep(5000);
    }
    wick_port *const ports[] = {&s->port, &s->mcp_port};
    for (size_t i = 0; i < sizeof ports / sizeof *ports; i++) {
        if (ports[i]->mhd) MHD_stop_daemon(ports[i]->mhd);
        ports[i]->mhd = NULL;
    }
}
