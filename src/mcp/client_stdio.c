/* mcp/client_stdio.c - a server that we start: one message a line on its standard input and output.
 *
 * 1. The program is a base/process: a group of its own, its own environment, no other descriptor, ended as a whole.
 * 2. One thread reads its output and its errors. Lines that are no messages are counted and dropped. A line that is too
 *    long, or the end of the output, ends the connection, and with it every request that waits.
 * 3. A program that does not read cannot hold us past the request's time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/process.h"
#include "base/str.h"
#include "base/sys.h"
#include "mcp/client_int.h"

enum { GRACE_MS = 1500, WRITE_MS = 10000 };

typedef struct stdio_link {
    wick_mcp_client *c;
    wick_process program;
    int wake[2];
    wick_thread reader;
    wick_lock write_lock;
    wick_lock lock; /* of what follows */
    wick_cond cond;
    wick_mcp_wait *waits;
    bool dead;
    char why[160];
    unsigned n_rubbish;
} stdio_link;

/* --- reading ------------------------------------------------------------------------------------------------------ */
static void end_connection(stdio_link *l, const char *why)
{
    wick_lock_take(&l->lock);
    if (!l->dead) snprintf(l->why, sizeof l->why, "%s", why);
    l->dead = true;
    wick_cond_broadcast(&l->cond);
    wick_lock_drop(&l->lock);
}

static void take_response(stdio_link *l, json_t *m)
{
    const json_t *id = json_object_get(m, "id");
    wick_lock_take(&l->lock);
    for (wick_mcp_wait *w = l->waits; w; w = w->next)
        if (json_is_integer(id) && w->id == json_integer_value(id) && !w->response) w->response = json_incref(m);
    wick_cond_broadcast(&l->cond);
    wick_lock_drop(&l->lock);
}

/* Progress moves the ends of all waits: which of them it belongs to, its token does not tell for sure. */
static void take_progress(stdio_link *l)
{
    wick_lock_take(&l->lock);
    for (wick_mcp_wait *w = l->waits; w; w = w->next) {
        const double t = wick_time_ms() + w->timeout_ms;
        w->t_end = t < w->t_last ? t : w->t_last;
    }
    wick_lock_drop(&l->lock);
}

static void take_line(stdio_link *l, const char *p, size_t n)
{
    json_t *m = NULL;
    wick_rpc_kind kind;
    while (n > 0 && strchr(" \t\r", p[n - 1])) n--;
    if (n == 0) return;
    if (wick_json_parse_strict(p, n, "message", &m, NULL) != WICK_OK || wick_rpc_classify(m, &kind, NULL) != WICK_OK) {
        if (l->n_rubbish++ < 3)
            wick_log(WICK_LOG_WARN, "MCP server %s: a line of its output is no message: %.*s", l->c->name,
                     (int)(n < 100 ? n : 100), p);
    } else if (kind == WICK_RPC_RESPONSE) {
        take_response(l, m);
    } else {
        const char *method = json_string_value(json_object_get(m, "method"));
        if (strcmp(method, "notifications/progress") == 0) take_progress(l);
        wick_mcp_client_incoming(l->c, m, NULL);
    }
    json_decref(m);
}

/* Reads what is there. False: the end, or a line that is too long. */
static bool read_output(stdio_link *l, wick_buf *b)
{
    char chunk[65536];
    const ssize_t k = read(l->program.out, chunk, sizeof chunk);
    if (k < 0) return errno == EAGAIN || errno == EINTR;
    size_t from = 0;
    for (ssize_t i = 0; i < k; i++) {
        if (chunk[i] != '\n') continue;
        wick_buf_add(b, chunk + from, (size_t)i - from);
        if (!b->failed) take_line(l, b->data ? b->data : "", b->n);
        b->n = 0;
        from = (size_t)i + 1;
    }
    wick_buf_add(b, chunk + from, (size_t)k - from);
    if (b->failed) end_connection(l, "it sent a message of more than 32 MiB");
    return k > 0 && !b->failed;
}

/* What it prints on standard error goes to the log, at most 4 KiB of a burst. */
static bool read_errors(stdio_link *l)
{
    char chunk[4096];
    const ssize_t k = read(l->program.errors, chunk, sizeof chunk);
    if (k < 0) return errno == EAGAIN || errno == EINTR;
    size_t n = (size_t)k;
    while (n > 0 && (chunk[n - 1] == '\n' || chunk[n - 1] == '\r')) n--;
    if (n > 0) wick_log(WICK_LOG_DEBUG, "MCP server %s: %.*s", l->c->name, (int)(n < 400 ? n : 400), chunk);
    return k > 0;
}

static void *read_all(void *arg)
{
    stdio_link *l = arg;
    wick_buf b;
    bool out = true, errors = true;
    wick_buf_init(&b, WICK_MCP_MESSAGE_MAX);
    while (out && !atomic_load(&l->c->closing)) {
        struct pollfd p[3] = {{.fd = l->program.out, .events = POLLIN},
                              {.fd = errors ? l->program.errors : -1, .events = POLLIN},
                              {.fd = l->wake[0], .events = POLLIN}};
        if (poll(p, 3, 1000) < 0 && errno != EINTR) break;
        if (p[0].revents) out = read_output(l, &b);
        if (p[1].revents) errors = read_errors(l);
    }
    wick_buf_release(&b);
    end_connection(l, "it ended");
    return NULL;
}

/* --- requests ----------------------------------------------------------------------------------------------------- */
/* Writes the line while the time lasts. w may be NULL. */
static wick_status write_line(stdio_link *l, const json_t *message, const wick_mcp_wait *w, wick_err *err)
{
    char *text = json_dumps(message, JSON_COMPACT);
    if (!text) return wick_err_oom(err, "MCP message", 0, 0);
    const size_t n = strlen(text) + 1;
    text[n - 1] = '\n';
    wick_status st = WICK_OK;
    const double t_end = wick_time_ms() + WRITE_MS;
    wick_lock_take(&l->write_lock);
    for (size_t at = 0; st == WICK_OK && at < n;) {
        const ssize_t k = wick_process_write(&l->program, text + at, n - at);
        if (k > 0) {
            at += (size_t)k;
        } else if (k == 0) {
            struct pollfd p = {.fd = l->program.in, .events = POLLOUT};
            (void)poll(&p, 1, 100);
            if (w) st = wick_mcp_wait_check(l->c, w, err);
            if (st == WICK_OK && !w && wick_time_ms() > t_end)
                st = WICK_FAIL(err, WICK_E_LIMIT, l->c->name, "MCP server %s: does not read its input", l->c->name);
            if (st != WICK_OK && at > 0)
                wick_process_close_in(&l->program); /* half a line is out: nothing can follow it */
        } else {
            st = WICK_FAIL(err, WICK_E_IO, l->c->name, "MCP server %s: it does not read any more", l->c->name);
        }
    }
    wick_lock_drop(&l->write_lock);
    free(text);
    return st;
}

static wick_status exchange(wick_mcp_client *c, wick_mcp_wait *w, wick_err *err)
{
    stdio_link *l = c->link;
    wick_lock_take(&l->lock);
    w->next = l->waits;
    l->waits = w;
    wick_lock_drop(&l->lock);
    wick_status st = write_line(l, w->message, w, err);
    wick_lock_take(&l->lock);
    while (st != WICK_E_CANCELLED && st != WICK_E_LIMIT && !w->response && !l->dead) {
        (void)wick_cond_wait_ms(&l->cond, &l->lock, 100);
        if (!w->response && !l->dead) st = wick_mcp_wait_check(c, w, err);
    }
    wick_mcp_wait **at = &l->waits;
    while (*at != w) at = &(*at)->next;
    *at = w->next;
    if (w->response)
        st = WICK_OK;
    else if (l->dead && st != WICK_E_CANCELLED)
        st = WICK_FAIL(err, WICK_E_IO, c->name, "MCP server %s: %s", c->name, l->why);
    wick_lock_drop(&l->lock);
    return st;
}

static wick_status notify(wick_mcp_client *c, const json_t *message, wick_err *err)
{
    return write_line(c->link, message, NULL, err);
}

/* --- ending ------------------------------------------------------------------------------------------------------- */
static void close_link(wick_mcp_client *c)
{
    stdio_link *l = c->link;
    if (!l) return;
    if (l->wake[1] >= 0 && write(l->wake[1], "", 1) < 0) wick_log(WICK_LOG_DEBUG, "MCP server %s: wake", c->name);
    wick_lock_take(&l->write_lock);
    wick_process_close_in(&l->program);
    wick_lock_drop(&l->write_lock);
    wick_thread_join(&l->reader);
    wick_process_end(&l->program, GRACE_MS);
    wick_fd_close(&l->wake[0]);
    wick_fd_close(&l->wake[1]);
    wick_cond_release(&l->cond);
    wick_lock_release(&l->lock);
    wick_lock_release(&l->write_lock);
    wick_free(l);
    c->link = NULL;
}

wick_status wick_mcp_stdio_open(wick_mcp_client *c, const wick_mcp_client_opts *o, wick_err *err)
{
    static const wick_mcp_transport transport = {.exchange = exchange, .notify = notify, .close = close_link};
    stdio_link *l = wick_alloc_zero(1, sizeof *l);
    if (!l) return wick_err_oom(err, "MCP connection", sizeof *l, 0);
    l->c = c;
    l->wake[0] = l->wake[1] = -1;
    l->program = (wick_process){.in = -1, .out = -1, .errors = -1};
    wick_lock_init(&l->write_lock);
    wick_lock_init(&l->lock);
    wick_cond_init(&l->cond);
    c->link = l;
    c->transport = &transport;
    if (pipe(l->wake) != 0) return wick_err_io(err, c->name, "start", errno);
    fcntl(l->wake[0], F_SETFD, FD_CLOEXEC);
    fcntl(l->wake[1], F_SETFD, FD_CLOEXEC);
    char who[160];
    snprintf(who, sizeof who, "MCP server %s", c->name);
    WICK_TRY(wick_process_start(&l->program, who, o->argv, o->env, o->cwd, err));
    return wick_thread_start(&l->reader, "wick-mcp", read_all, l, err);
}
