/* mcp/stdio.c - a server on standard input and output: one message a line.
 *
 * 1. The calling thread reads; each request runs on a thread of its own, so that a cancellation or an answer to a
 *    question is read while it runs. Lines are written under one lock.
 * 2. At the end of the input, requests that run are finished and answered (a client may pipe its requests in and
 *    close); streams of changes end, and questions fail.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/json.h"
#include "mcp/server.h"

enum { LINE_MAX_BYTES = 32 << 20, JOBS_MAX = 32 };

typedef struct stdio_server {
    wick_mcp_server *s;
    wick_mcp_session *session; /* NULL until initialize */
    wick_thread stream_thread;
    int in, out;
    wick_lock write_lock;
    atomic_bool broken, eof;
    struct job *jobs;
} stdio_server;

typedef struct job {
    struct job *next;
    stdio_server *io;
    json_t *request;
    wick_thread thread;
    bool listens;
    atomic_bool done, cancelled;
} job;

static bool write_line(stdio_server *io, const json_t *message)
{
    char *text = json_dumps(message, JSON_COMPACT);
    bool ok = text != NULL;
    wick_lock_take(&io->write_lock);
    size_t n = text ? strlen(text) : 0, at = 0;
    if (ok) text[n++] = '\n'; /* in place of the NUL, which write does not need */
    while (ok && at < n) {
        const ssize_t k = write(io->out, text + at, n - at);
        if (k > 0)
            at += (size_t)k;
        else if (k < 0 && errno != EINTR && errno != EAGAIN)
            ok = false;
    }
    wick_lock_drop(&io->write_lock);
    free(text);
    if (!ok) atomic_store(&io->broken, true);
    return ok;
}

static bool job_send(void *ctx, const json_t *message)
{
    return write_line(((job *)ctx)->io, message);
}

static bool job_gone(void *ctx)
{
    const job *j = ctx;
    return atomic_load(&j->io->broken) || atomic_load(&j->cancelled) || (j->listens && atomic_load(&j->io->eof));
}

static json_t *unsupported(const json_t *request, const json_t *version)
{
    json_t *data = json_pack("{s:o, s:O}", "supported", wick_mcp_versions(), "requested", version);
    return wick_rpc_error(json_object_get(request, "id"), WICK_RPC_UNSUPPORTED_VERSION, "Unsupported protocol version",
                          data);
}

static void *run_job(void *arg)
{
    job *j = arg;
    const wick_mcp_out out = {.ctx = j, .send = job_send, .gone = job_gone};
    const json_t *meta = json_object_get(json_object_get(j->request, "params"), "_meta");
    const json_t *version = json_object_get(meta, WICK_MCP_META_VERSION);
    json_t *response = NULL;
    if (!version && j->io->session) {
        response = wick_mcp_dispatch(j->io->s, j->io->session, j->request, &out, NULL);
    } else {
        response = wick_mcp_check_meta(j->request);
        if (!response && strcmp(json_string_value(version), WICK_MCP_STATELESS) != 0)
            response = unsupported(j->request, version);
        if (!response) response = wick_mcp_dispatch(j->io->s, NULL, j->request, &out, NULL);
    }
    if (response && !atomic_load(&j->cancelled)) (void)write_line(j->io, response); /* cancelled: nobody waits for it */
    json_decref(response);
    atomic_store(&j->done, true);
    return NULL;
}

/* Frees the jobs that are done; all: waits for the others. Returns how many are left. */
static unsigned reap(stdio_server *io, bool all)
{
    unsigned n = 0;
    for (job **at = &io->jobs; *at;) {
        job *j = *at;
        if (!all && !atomic_load(&j->done)) {
            at = &j->next;
            n++;
            continue;
        }
        wick_thread_join(&j->thread);
        *at = j->next;
        json_decref(j->request);
        wick_free(j);
    }
    return n;
}

static void start_job(stdio_server *io, const json_t *request)
{
    const char *method = json_string_value(json_object_get(request, "method"));
    wick_err err = {0};
    job *j = reap(io, false) < JOBS_MAX ? wick_alloc_zero(1, sizeof *j) : NULL;
    if (j) {
        j->io = io;
        j->request = wick_json_share(request);
        j->listens = strcmp(method, "subscriptions/listen") == 0;
        if (wick_thread_start(&j->thread, "wick-mcp", run_job, j, &err) == WICK_OK) {
            j->next = io->jobs;
            io->jobs = j;
            return;
        }
        json_decref(j->request);
        wick_free(j);
    }
    json_t *e = wick_rpc_error(json_object_get(request, "id"), WICK_RPC_INTERNAL, "too many requests at once", NULL);
    (void)write_line(io, e);
    json_decref(e);
}

/* notifications/cancelled of a revision without sessions: the request of that id, if it runs. */
static void cancel_job(stdio_server *io, const json_t *message)
{
    const json_t *id = json_object_get(json_object_get(message, "params"), "requestId");
    if (strcmp(json_string_value(json_object_get(message, "method")), "notifications/cancelled") != 0) return;
    for (job *j = io->jobs; j; j = j->next)
        if (json_equal(json_object_get(j->request, "id"), id)) atomic_store(&j->cancelled, true);
}

static bool stream_send(void *ctx, const json_t *message)
{
    return write_line(ctx, message);
}

static bool stream_gone(void *ctx)
{
    return atomic_load(&((stdio_server *)ctx)->broken);
}

static void *run_stream(void *arg)
{
    stdio_server *io = arg;
    const wick_mcp_out out = {.ctx = io, .send = stream_send, .gone = stream_gone};
    wick_mcp_stream_run(&io->session->stream, io->s, &out, NULL, NULL);
    return NULL;
}

static void initialize(stdio_server *io, const json_t *request)
{
    json_t *response;
    wick_mcp_session *n = NULL;
    if (io->session)
        response =
            wick_rpc_error(json_object_get(request, "id"), WICK_RPC_INVALID_REQUEST, "initialized already", NULL);
    else
        response = wick_mcp_initialize(io->s, request, &n);
    (void)write_line(io, response);
    json_decref(response);
    if (!n) return;
    io->session = n;
    wick_err err = {0};
    if (wick_thread_start(&io->stream_thread, "wick-mcp", run_stream, io, &err) != WICK_OK)
        wick_mcp_stream_end(&n->stream); /* the client does without announcements */
}

static void handle(stdio_server *io, const json_t *m)
{
    wick_rpc_kind kind;
    wick_err err = {0};
    if (wick_rpc_classify(m, &kind, &err) != WICK_OK) {
        json_t *e = wick_rpc_error(NULL, WICK_RPC_INVALID_REQUEST, err.message, NULL);
        (void)write_line(io, e);
        json_decref(e);
        return;
    }
    const char *method = json_string_value(json_object_get(m, "method"));
    if (kind == WICK_RPC_RESPONSE) {
        if (io->session) wick_mcp_session_response(io->session, m);
    } else if (kind == WICK_RPC_NOTIFICATION) {
        wick_mcp_notice(io->s, io->session, m);
        cancel_job(io, m);
    } else if (strcmp(method, "initialize") == 0) {
        initialize(io, m);
    } else {
        start_job(io, m);
    }
}

static void handle_line(stdio_server *io, const char *line, size_t n)
{
    json_t *m = NULL;
    wick_err err = {0};
    while (n > 0 && strchr(" \t\r", line[n - 1])) n--;
    if (n == 0) return;
    if (wick_json_parse_strict(line, n, "message", &m, &err) != WICK_OK) {
        json_t *e = wick_rpc_error(NULL, WICK_RPC_PARSE, err.message, NULL);
        (void)write_line(io, e);
        json_decref(e);
        return;
    }
    if (json_is_array(m)) {
        for (size_t i = 0; i < json_array_size(m) && i < 64; i++) handle(io, json_array_get(m, i));
    } else {
        handle(io, m);
    }
    json_decref(m);
}

/* Reads lines until the end, an error or a broken output. */
static wick_status read_lines(stdio_server *io, wick_err *err)
{
    wick_buf b;
    wick_status st = WICK_OK;
    wick_buf_init(&b, LINE_MAX_BYTES);
    char chunk[65536];
    while (!atomic_load(&io->broken)) {
        struct pollfd p = {.fd = io->in, .events = POLLIN};
        const int ready = poll(&p, 1, 250);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        const ssize_t k = read(io->in, chunk, sizeof chunk);
        if (k < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (k < 0) st = wick_err_io(err, "standard input", "read", errno);
        if (k <= 0) break;
        size_t from = 0;
        for (size_t i = 0; i < (size_t)k; i++) {
            if (chunk[i] != '\n') continue;
            wick_buf_add(&b, chunk + from, i - from);
            if (!b.failed) handle_line(io, b.data ? b.data : "", b.n);
            wick_buf_reset(&b);
            from = i + 1;
        }
        wick_buf_add(&b, chunk + from, (size_t)k - from);
        if (b.failed) {
            st = WICK_FAIL(err, WICK_E_LIMIT, "message", "a message has more than %d MiB", LINE_MAX_BYTES >> 20);
            break;
        }
    }
    if (st == WICK_OK && b.n > 0) handle_line(io, b.data, b.n);
    wick_buf_release(&b);
    return st;
}

wick_status wick_mcp_server_serve_stdio(wick_mcp_server *s, int fd_in, int fd_out, wick_err *err)
{
    stdio_server io = {.s = s, .in = fd_in, .out = fd_out};
    wick_lock_init(&io.write_lock);
    const wick_status st = read_lines(&io, err);
    atomic_store(&io.eof, true);
    if (io.session) {
        wick_lock_take(&io.session->lock);
        io.session->deaf = true;
        wick_cond_broadcast(&io.session->cond);
        wick_lock_drop(&io.session->lock);
    }
    (void)reap(&io, true);
    if (io.session) {
        wick_mcp_session_end(io.session);
        wick_thread_join(&io.stream_thread);
        wick_mcp_session_give(io.session);
    }
    wick_lock_release(&io.write_lock);
    return st;
}
