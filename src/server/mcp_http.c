/* server/mcp_http.c - one exchange of MCP's Streamable HTTP, carried by the server's connections.
 *
 * 1. A handler may take its time and ask the client questions in between, so an exchange has a thread of its own; their
 *    number is bounded by limits.mcp_exchanges.
 * 2. The thread writes to `held`, the I/O thread takes it from there: a client that does not read stops the writer at
 *    HELD_MAX_BYTES.
 * 3. Headers are copied before the thread starts: libmicrohttpd's own may be gone while it still runs.
 * 4. Host, Origin, key, rate and size were checked by the gate, as for every other route.
 */
#include "server/mcp_http.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/sys.h"
#include "server/dialect/dialect.h"

enum { HELD_MAX_BYTES = 1 << 20, POLL_MS = 200, NAME_MAX_BYTES = 192 };
#define SSE_TYPE "text/event-stream"

struct wick_mcp_run {
    wick_exchange *x;
    json_t *headers; /* name in lower case -> value */
    wick_thread thread;
    wick_lock lock; /* of what follows */
    wick_cond cond;
    bool begun, ended, gone;
    unsigned status;
    const char *type; /* static */
    char session[40];
    wick_buf held;
};

/* false: too long to be one of ours. */
static bool lower_name(char out[NAME_MAX_BYTES], const char *name)
{
    size_t n = 0;
    for (; name[n] && n < NAME_MAX_BYTES - 1; n++) out[n] = (char)tolower((unsigned char)name[n]);
    out[n] = '\0';
    return !name[n];
}

/* --- the exchange's thread ---------------------------------------------------------------------------------------- */
static const char *get_header(void *ctx, const char *name)
{
    const struct wick_mcp_run *r = ctx;
    char lower[NAME_MAX_BYTES];
    return lower_name(lower, name) ? json_string_value(json_object_get(r->headers, lower)) : NULL;
}

static void on_start(void *ctx, unsigned status, const char *type, const char *session)
{
    struct wick_mcp_run *r = ctx;
    wick_lock_take(&r->lock);
    r->begun = true;
    r->status = status;
    r->type = type;
    if (session) snprintf(r->session, sizeof r->session, "%s", session);
    wick_lock_drop(&r->lock);
    wick_x_wake(r->x);
}

/* Does it stay open until something changes? */
static bool is_listening(struct wick_mcp_run *r)
{
    const char *method = get_header(r, "Mcp-Method");
    return strcmp(r->x->route->method, "GET") == 0 || (method && strcmp(method, "subscriptions/listen") == 0);
}

/* Streams of announcements end when the server is to end; what answers a request is waited for. */
static bool is_gone(void *ctx)
{
    struct wick_mcp_run *r = ctx;
    const wick_server *s = r->x->s;
    wick_lock_take(&r->lock);
    const bool gone = r->gone || atomic_load(&s->stopping);
    wick_lock_drop(&r->lock);
    return gone || (atomic_load(&s->draining) && is_listening(r));
}

static bool on_write(void *ctx, const char *data, size_t n)
{
    struct wick_mcp_run *r = ctx;
    wick_lock_take(&r->lock);
    while (!r->gone && r->held.n > HELD_MAX_BYTES) (void)wick_cond_wait_ms(&r->cond, &r->lock, POLL_MS);
    if (!r->gone) wick_buf_add(&r->held, data, n);
    const bool ok = !r->gone && !r->held.failed;
    wick_lock_drop(&r->lock);
    wick_x_wake(r->x);
    return ok;
}

static void *run(void *arg)
{
    struct wick_mcp_run *r = arg;
    const wick_mcp_http h = {.ctx = r,
                             .peer = r->x,
                             .method = r->x->route->method,
                             .header = get_header,
                             .body = r->x->body.data ? r->x->body.data : "",
                             .n_body = r->x->body.n,
                             .start = on_start,
                             .write = on_write,
                             .gone = is_gone};
    wick_mcp_exchange(r->x->s->mcp->server, &h);
    wick_lock_take(&r->lock);
    r->ended = true;
    wick_lock_drop(&r->lock);
    wick_x_wake(r->x);
    return NULL;
}

/* --- as a source of the answer ------------------------------------------------------------------------------------ */
static bool pump(wick_exchange *x)
{
    struct wick_mcp_run *r = x->mcp;
    wick_lock_take(&r->lock);
    if (x->stream && r->held.n > 0) {
        wick_buf_add(&x->out, r->held.data, r->held.n);
        if (r->held.failed) x->out.failed = true;
        wick_buf_reset(&r->held);
        wick_cond_broadcast(&r->cond);
    }
    const bool streams = r->begun && r->status == 200 && strcmp(r->type, SSE_TYPE) == 0;
    const bool ready = r->ended || (streams && !x->stream);
    wick_lock_drop(&r->lock);
    return ready;
}

/* The head is known: a stream begins, or all of it is here. */
static void answer(wick_exchange *x)
{
    struct wick_mcp_run *r = x->mcp;
    wick_lock_take(&r->lock);
    wick_buf_reset(&x->out);
    x->status = r->begun ? r->status : 202; /* nothing to say: a cancelled request */
    x->content_type = r->begun ? r->type : "application/json";
    x->mcp_session = r->session[0] ? r->session : NULL;
    x->allow = x->status == 405 ? "POST" : x->allow;
    if (r->begun && strcmp(r->type, SSE_TYPE) == 0) {
        x->stream = true;
        x->t_write = wick_time_ms();
    } else {
        wick_buf_add(&x->out, r->held.data ? r->held.data : "", r->held.n);
        if (r->held.failed) x->out.failed = true;
        wick_buf_reset(&r->held);
    }
    wick_lock_drop(&r->lock);
}

static void cancel(wick_exchange *x)
{
    struct wick_mcp_run *r = x->mcp;
    wick_lock_take(&r->lock);
    r->gone = true;
    wick_cond_broadcast(&r->cond);
    wick_lock_drop(&r->lock);
}

static void comment(wick_exchange *x)
{
    struct wick_mcp_run *r = x->mcp;
    wick_lock_take(&r->lock);
    if (r->held.n == 0 && !r->ended) x->dialect->comment(&r->held, "waiting");
    wick_lock_drop(&r->lock);
}

static void run_free(wick_exchange *x)
{
    struct wick_mcp_run *r = x->mcp;
    cancel(x);
    if (r->thread.started) {
        wick_thread_join(&r->thread);
        atomic_fetch_sub(&x->s->mcp->n_running, 1);
    }
    json_decref(r->headers);
    wick_buf_release(&r->held);
    wick_cond_release(&r->cond);
    wick_lock_release(&r->lock);
    wick_free(r);
}

static const wick_source mcp_source = {
    .pump = pump, .answer = answer, .cancel = cancel, .comment = comment, .free = run_free};

/* --- the route ---------------------------------------------------------------------------------------------------- */
static enum MHD_Result copy_header(void *cls, enum MHD_ValueKind kind, const char *name, const char *value)
{
    json_t *headers = cls;
    char lower[NAME_MAX_BYTES];
    (void)kind;
    if (!value || !lower_name(lower, name)) return MHD_YES;
    if (strncmp(lower, "mcp-", 4) == 0 || strcmp(lower, "accept") == 0 || strcmp(lower, "content-type") == 0)
        json_object_set_new(headers, lower, json_string(value));
    return MHD_YES;
}

bool wick_route_mcp(wick_exchange *x)
{
    wick_server *s = x->s;
    wick_err err = {0};
    struct wick_mcp_run *r = wick_alloc_zero(1, sizeof *r);
    json_t *headers = json_object();
    if (!r || !headers) {
        wick_free(r);
        json_decref(headers);
        (void)wick_err_oom(&err, "an MCP exchange", 0, 0);
        wick_problem_err(x, &err);
        return true;
    }
    MHD_get_connection_values(x->mhd, MHD_HEADER_KIND, copy_header, headers);
    r->x = x;
    r->headers = headers;
    wick_lock_init(&r->lock);
    wick_cond_init(&r->cond);
    x->mcp = r;
    if (atomic_fetch_add(&s->mcp->n_running, 1) >= s->config->limits.mcp_exchanges) {
        x->retry_after_s = 1;
        wick_problem(x, 503, NULL, "overloaded", "the server runs too many MCP exchanges; try again");
    } else if (wick_thread_start(&r->thread, "wick-mcp", run, r, &err) != WICK_OK) {
        wick_problem_err(x, &err);
    }
    if (r->thread.started) {
        x->source = &mcp_source;
        return true;
    }
    atomic_fetch_sub(&s->mcp->n_running, 1);
    run_free(x);
    x->mcp = NULL;
    return true;
}

wick_status wick_server_mcp_start(wick_server *s, wick_err *err)
{
    if (!s->config->mcp && !s->config->mcp_own_port) return WICK_OK;
    wick_server_mcp *m = wick_alloc_zero(1, sizeof *m);
    if (!m) return wick_err_oom(err, "the MCP server", sizeof *m, 0);
    m->source = wick_server_mcp_source(s);
    const wick_status st = wick_model_server_new(&m->server, &m->source, err);
    if (st == WICK_OK)
        s->mcp = m;
    else
        wick_free(m);
    return st;
}

void wick_server_mcp_stop(wick_server *s)
{
    if (!s->mcp) return;
    wick_mcp_server_free(s->mcp->server);
    wick_free(s->mcp);
    s->mcp = NULL;
}
