/* mcp/listen.c - Streamable HTTP for programs that have no HTTP server of their own, on libmicrohttpd.
 *
 * 1. One thread a connection, and one more for the exchange that runs on it: the first sends what the second writes, so
 *    a handler may take its time and a client that goes away is seen while it does.
 * 2. A request must come from this machine by name: Host and Origin are compared with the names of loopback and with
 *    those allowed, or any web page could talk to the server through the browser (DNS rebinding). A right token lifts
 *    that.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/str.h"
#include "mcp/server.h"

enum { BODY_MAX_BYTES = 32 << 20, HELD_MAX_BYTES = 1 << 20, POLL_MS = 200, IDLE_SECONDS = 120 };

struct wick_mcp_listener {
    wick_mcp_server *s;
    struct MHD_Daemon *daemon;
    char *path, *token, *host;
    char **origins;
    size_t n_origins;
    uint16_t port;
    atomic_bool closing;
};

/* One exchange: its thread writes, the connection's thread sends. */
typedef struct pipe_exchange {
    wick_mcp_listener *l;
    struct MHD_Connection *mhd;
    int fd;
    const char *method;
    wick_buf body;
    bool too_large;
    wick_thread thread;
    wick_lock lock; /* of what follows */
    wick_cond cond;
    bool begun, ended, gone;
    unsigned status;
    const char *type; /* static */
    char session[40];
    wick_buf held; /* written, not yet sent */
    size_t sent;
} pipe_exchange;

/* --- the exchange's thread ---------------------------------------------------------------------------------------- */
static const char *get_header(void *ctx, const char *name)
{
    return MHD_lookup_connection_value(((pipe_exchange *)ctx)->mhd, MHD_HEADER_KIND, name);
}

static void on_start(void *ctx, unsigned status, const char *type, const char *session)
{
    pipe_exchange *x = ctx;
    wick_lock_take(&x->lock);
    x->begun = true;
    x->status = status;
    x->type = type;
    if (session) strncpy(x->session, session, sizeof x->session - 1);
    wick_cond_broadcast(&x->cond);
    wick_lock_drop(&x->lock);
}

static bool is_gone(void *ctx)
{
    pipe_exchange *x = ctx;
    wick_lock_take(&x->lock);
    const bool gone = x->gone || atomic_load(&x->l->closing);
    wick_lock_drop(&x->lock);
    return gone;
}

static bool on_write(void *ctx, const char *data, size_t n)
{
    pipe_exchange *x = ctx;
    wick_lock_take(&x->lock);
    while (!x->gone && !atomic_load(&x->l->closing) && x->held.n - x->sent > HELD_MAX_BYTES)
        (void)wick_cond_wait_ms(&x->cond, &x->lock, POLL_MS);
    if (x->sent > 0) {
        memmove(x->held.data, x->held.data + x->sent, x->held.n - x->sent);
        x->held.n -= x->sent;
        x->sent = 0;
    }
    wick_buf_add(&x->held, data, n);
    const bool ok = !x->gone && !x->held.failed;
    wick_cond_broadcast(&x->cond);
    wick_lock_drop(&x->lock);
    return ok;
}

static void *run(void *arg)
{
    pipe_exchange *x = arg;
    const wick_mcp_http h = {.ctx = x,
                             .method = x->method,
                             .header = get_header,
                             .body = x->body.data ? x->body.data : "",
                             .n_body = x->body.n,
                             .start = on_start,
                             .write = on_write,
                             .gone = is_gone};
    wick_mcp_exchange(x->l->s, &h);
    wick_lock_take(&x->lock);
    x->ended = true;
    wick_cond_broadcast(&x->cond);
    wick_lock_drop(&x->lock);
    return NULL;
}

/* --- the connection's thread -------------------------------------------------------------------------------------- */
static bool peer_closed(int fd)
{
    char c;
    return fd >= 0 && recv(fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Waits for text; under the lock. */
static void wait_text(pipe_exchange *x)
{
    while (x->held.n == x->sent && !x->ended && !x->gone) {
        if (wick_cond_wait_ms(&x->cond, &x->lock, POLL_MS)) continue;
        if (atomic_load(&x->l->closing) || peer_closed(x->fd)) x->gone = true;
    }
}

static ssize_t on_read(void *cls, uint64_t pos, char *buf, size_t max)
{
    pipe_exchange *x = cls;
    ssize_t n;
    (void)pos;
    wick_lock_take(&x->lock);
    wait_text(x);
    const size_t there = x->held.n - x->sent;
    if (there > 0) {
        n = (ssize_t)(there < max ? there : max);
        memcpy(buf, x->held.data + x->sent, (size_t)n);
        x->sent += (size_t)n;
    } else {
        n = x->gone ? MHD_CONTENT_READER_END_WITH_ERROR : MHD_CONTENT_READER_END_OF_STREAM;
    }
    wick_cond_broadcast(&x->cond);
    wick_lock_drop(&x->lock);
    return n;
}

/* Is this "name[:port]" a name of this machine, or the address that was asked for? */
static bool local_name(const wick_mcp_listener *l, const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    const size_t n = end ? (size_t)(end + 1 - host) : strcspn(host, ":");
    if (host[n] && (host[n] != ':' || strspn(host + n + 1, "0123456789") != strlen(host + n + 1))) return false;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && strncasecmp(host, names[i], n) == 0) return true;
    return strlen(l->host) == n && strncasecmp(host, l->host, n) == 0;
}

static bool origin_allowed(const wick_mcp_listener *l, const char *origin)
{
    for (size_t i = 0; i < l->n_origins; i++)
        if (strcmp(l->origins[i], origin) == 0) return true;
    const char *host = wick_starts_with(origin, "http://")    ? origin + 7
                       : wick_starts_with(origin, "https://") ? origin + 8
                                                              : NULL;
    return host && local_name(l, host);
}

static bool token_right(const wick_mcp_listener *l, struct MHD_Connection *c)
{
    const char *h = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Authorization");
    if (!h || strncasecmp(h, "Bearer ", 7) != 0) return false;
    const char *p = h + 7;
    const size_t n = strlen(p), want = strlen(l->token);
    unsigned differ = n != want;
    for (size_t i = 0; i < n; i++) differ |= (unsigned)(p[i] ^ l->token[want ? i % want : 0]);
    return differ == 0;
}

/* 0, or the status that says why the request is not answered. */
static unsigned refuse_status(const wick_mcp_listener *l, struct MHD_Connection *c, const char *url)
{
    const char *host = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Host");
    const char *origin = MHD_lookup_connection_value(c, MHD_HEADER_KIND, "Origin");
    if (strcmp(url, l->path) != 0) return 404;
    if (l->token) return token_right(l, c) ? 0 : 401;
    if ((host && !local_name(l, host)) || (origin && !origin_allowed(l, origin))) return 403;
    return 0;
}

static enum MHD_Result send_refusal(struct MHD_Connection *c, unsigned status)
{
    const char *why = status == 401   ? "{\"error\":\"a bearer token is needed\"}"
                      : status == 403 ? "{\"error\":\"Host or Origin is not of this machine\"}"
                      : status == 413 ? "{\"error\":\"the message is too large\"}"
                                      : "{\"error\":\"not found\"}";
    struct MHD_Response *r =
        MHD_create_response_from_buffer(strlen(why), (void *)(uintptr_t)why, MHD_RESPMEM_PERSISTENT);
    if (!r) return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", "application/json");
    if (status == 401) (void)MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    const enum MHD_Result ok = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Starts the exchange, waits until its status is known, and leaves the rest to on_read. */
static enum MHD_Result send_answer(pipe_exchange *x)
{
    wick_err err = {0};
    if (wick_thread_start(&x->thread, "wick-mcp", run, x, &err) != WICK_OK) return MHD_NO;
    wick_lock_take(&x->lock);
    while (!x->begun && !x->ended) {
        if (wick_cond_wait_ms(&x->cond, &x->lock, POLL_MS)) continue;
        if (atomic_load(&x->l->closing) || peer_closed(x->fd)) {
            x->gone = true;
            break;
        }
    }
    const bool begun = x->begun;
    wick_lock_drop(&x->lock);
    if (!begun) return MHD_NO;
    struct MHD_Response *r = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, on_read, x, NULL);
    if (!r) return MHD_NO;
    (void)MHD_add_response_header(r, "Content-Type", x->type);
    (void)MHD_add_response_header(r, "Cache-Control", "no-cache");
    if (strcmp(x->type, "text/event-stream") == 0) (void)MHD_add_response_header(r, "X-Accel-Buffering", "no");
    if (x->session[0]) (void)MHD_add_response_header(r, "Mcp-Session-Id", x->session);
    if (x->status == 405) (void)MHD_add_response_header(r, "Allow", "POST");
    const enum MHD_Result ok = MHD_queue_response(x->mhd, x->status, r);
    MHD_destroy_response(r);
    return ok;
}

static pipe_exchange *exchange_new(wick_mcp_listener *l, struct MHD_Connection *c)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    pipe_exchange *x = wick_alloc_zero(1, sizeof *x);
    if (!x) return NULL;
    x->l = l;
    x->mhd = c;
    x->fd = info ? info->connect_fd : -1;
    wick_buf_init(&x->body, BODY_MAX_BYTES);
    wick_lock_init(&x->lock);
    wick_cond_init(&x->cond);
    return x;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                                  const char *version, const char *data, size_t *n, void **con)
{
    wick_mcp_listener *l = cls;
    pipe_exchange *x = *con;
    (void)version;
    if (!x) {
        const unsigned status = refuse_status(l, c, url);
        if (status) return send_refusal(c, status);
        *con = x = exchange_new(l, c);
        return x ? MHD_YES : MHD_NO;
    }
    if (*n > 0) {
        wick_buf_add(&x->body, data, *n);
        *n = 0;
        return MHD_YES;
    }
    if (x->body.failed) return send_refusal(c, 413);
    x->method = method;
    return send_answer(x);
}

static void on_completed(void *cls, struct MHD_Connection *c, void **con, enum MHD_RequestTerminationCode why)
{
    pipe_exchange *x = *con;
    (void)cls;
    (void)c;
    (void)why;
    if (!x) return;
    *con = NULL;
    wick_lock_take(&x->lock);
    x->gone = true;
    wick_cond_broadcast(&x->cond);
    wick_lock_drop(&x->lock);
    wick_thread_join(&x->thread);
    wick_buf_release(&x->body);
    wick_buf_release(&x->held);
    wick_cond_release(&x->cond);
    wick_lock_release(&x->lock);
    wick_free(x);
}

/* --- opening and closing ------------------------------------------------------------------------------------------ */
static wick_status copy_options(wick_mcp_listener *l, const wick_mcp_listen_options *o, wick_err *err)
{
    l->host = wick_strdup(o->host ? o->host : "127.0.0.1");
    l->path = wick_strdup(o->path ? o->path : "/mcp");
    l->token = o->token ? wick_strdup(o->token) : NULL;
    l->origins = wick_alloc_zero(o->n_origins + 1, sizeof *l->origins);
    bool ok = l->host && l->path && l->origins && (l->token || !o->token);
    for (size_t i = 0; ok && i < o->n_origins; i++) {
        ok = (l->origins[i] = wick_strdup(o->origins[i])) != NULL;
        l->n_origins++;
    }
    return ok ? WICK_OK : wick_err_oom(err, "MCP listener", 0, 0);
}

static wick_status make_address(const char *host, uint16_t port, struct sockaddr_storage *out, wick_err *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    memset(out, 0, sizeof *out);
    if (strcmp(host, "localhost") == 0) host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
    } else {
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "host", "host: \"%.100s\" is no address, for example 127.0.0.1",
                         host);
    }
    return WICK_OK;
}

wick_status wick_mcp_server_listen(wick_mcp_listener **out, wick_mcp_server *s, const wick_mcp_listen_options *o,
                                   wick_err *err)
{
    static const wick_mcp_listen_options none = {0};
    struct sockaddr_storage address;
    wick_mcp_listener *l = wick_alloc_zero(1, sizeof *l);
    wick_status st = l ? WICK_OK : wick_err_oom(err, "MCP listener", sizeof *l, 0);
    if (!o) o = &none;
    if (st == WICK_OK) st = copy_options(l, o, err);
    if (st == WICK_OK) st = make_address(l->host, o->port, &address, err);
    if (st != WICK_OK) {
        wick_mcp_listener_close(l);
        return st;
    }
    l->s = s;
    unsigned flags = MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_USE_ITC;
    if (address.ss_family == AF_INET6) flags |= MHD_USE_IPv6;
    l->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, l, MHD_OPTION_SOCK_ADDR, &address,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)(o->max_connections ? o->max_connections : 64),
                                 MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_SECONDS, MHD_OPTION_END);
    if (!l->daemon) {
        const int e = errno;
        wick_mcp_listener_close(l);
        return wick_err_io(err, "MCP port", "listen", e);
    }
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_BIND_PORT);
    l->port = info ? info->port : o->port;
    *out = l;
    return WICK_OK;
}

uint16_t wick_mcp_listener_port(const wick_mcp_listener *l)
{
    return l->port;
}

void wick_mcp_listener_close(wick_mcp_listener *l)
{
    if (!l) return;
    atomic_store(&l->closing, true);
    if (l->daemon) MHD_stop_daemon(l->daemon);
    for (size_t i = 0; i < l->n_origins; i++) wick_free(l->origins[i]);
    wick_free(l->origins);
    wick_free(l->host);
    wick_free(l->path);
    wick_free(l->token);
    wick_free(l);
}
