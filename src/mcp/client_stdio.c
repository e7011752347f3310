/* mcp/client_stdio.c - a server that we start: one message a line on its standard input and output.
 *
 * 1. The program leads a process group of its own and gets no descriptor but its three, and the environment that it was given
 *    by list. Closing ends the group: politely, then by force; what it started goes with it.
 * 2. One thread reads its output and its errors. Lines that are no messages are counted and dropped. A line that is too
 *    long, or the end of the output, ends the connection, and with it every request that waits.
 * 3. Its input is a socket, so that writing to a program that died is an error and no signal, and a program that does not read
 *    cannot hold us past the request's time.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"
#include "mcp/client_int.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: a property of the socket instead */
#endif

enum { GRACE_MS = 1500, FD_MAX = 65536, WRITE_MS = 10000 };

typedef struct stdio_link {
    wick_mcp_client *c;
    pid_t pid;
    int in, out, errors, wake[2];
    wick_thread reader;
    wick_lock write_lock;
    wick_lock lock; /* of what follows */
    wick_cond cond;
    wick_mcp_wait *waits;
    bool dead;
    char why[160];
    unsigned n_rubbish;
} stdio_link;

/* --- starting --------------------------------------------------------------------------------------------------------------- */
static const char *env_value(const char *const *env, const char *name)
{
    const size_t n = strlen(name);
    for (size_t i = 0; env && env[i]; i++)
        if (strncmp(env[i], name, n) == 0 && env[i][n] == '=') return env[i] + n + 1;
    return NULL;
}

/* The file that a command names: itself with a slash in it, or the first of that name in PATH. */
static bool find_program(const char *command, const char *const *env, char *out, size_t n)
{
    const char *path = env_value(env, "PATH");
    if (strchr(command, '/')) return snprintf(out, n, "%s", command) < (int)n && access(out, X_OK) == 0;
    for (const char *p = path ? path : "/usr/local/bin:/usr/bin:/bin"; *p;) {
        const size_t k = strcspn(p, ":");
        if (k > 0 && snprintf(out, n, "%.*s/%s", (int)k, p, command) < (int)n && access(out, X_OK) == 0) return true;
        p += k + (p[k] == ':');
    }
    return false;
}

/* In the child: nothing but system calls. Never returns. */
static void become(const char *file, const wick_mcp_client_opts *o, int in, int out, int errors)
{
    static const char *const none[] = {NULL};
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    /* Away from 0 to 2 first: they may be among those. */
    const int i = fcntl(in, F_DUPFD, 10), u = fcntl(out, F_DUPFD, 10), e = fcntl(errors, F_DUPFD, 10);
    if (i < 0 || u < 0 || e < 0 || dup2(i, 0) < 0 || dup2(u, 1) < 0 || dup2(e, 2) < 0) _Exit(126);
    long n = sysconf(_SC_OPEN_MAX);
    if (n < 0 || n > FD_MAX) n = FD_MAX;
    for (int fd = 3; fd < n; fd++) close(fd);
    if (o->cwd && chdir(o->cwd) != 0) _Exit(126);
    const char *const *env = o->env ? o->env : none;
    execve(file, (char *const *)(uintptr_t)o->argv, (char *const *)(uintptr_t)env);
    _Exit(127);
}

static void close_fd(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

static wick_status start(stdio_link *l, const wick_mcp_client_opts *o, wick_err *err)
{
    char file[4096];
    int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
    if (!find_program(o->argv[0], o->env, file, sizeof file))
        return WICK_FAIL(err, WICK_E_IO, o->argv[0], "MCP server %s: there is no program \"%.200s\"", l->c->name,
                         o->argv[0]);
    wick_status st = WICK_OK;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, in) != 0 || pipe(out) != 0 || pipe(errors) != 0 || pipe(l->wake) != 0)
        st = wick_err_io(err, file, "start", errno);
    if (st == WICK_OK) {
        l->pid = fork();
        if (l->pid == 0) become(file, o, in[1], out[1], errors[1]);
        if (l->pid < 0) st = wick_err_io(err, file, "start", errno);
        if (l->pid > 0) setpgid(l->pid, l->pid); /* the child does it too: whoever comes first */
    }
#ifdef SO_NOSIGPIPE
    if (in[0] >= 0) (void)setsockopt(in[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    close_fd(&in[1]);
    close_fd(&out[1]);
    close_fd(&errors[1]);
    l->in = in[0];
    l->out = out[0];
    l->errors = errors[0];
    int *const mine[] = {&l->in, &l->out, &l->errors, &l->wake[0], &l->wake[1]};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) {
        if (st != WICK_OK) close_fd(mine[i]);
        if (*mine[i] < 0) continue;
        fcntl(*mine[i], F_SETFD, FD_CLOEXEC);
        fcntl(*mine[i], F_SETFL, fcntl(*mine[i], F_GETFL) | O_NONBLOCK);
    }
    return st;
}

/* --- reading ---------------------------------------------------------------------------------------------------------------- */
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
    const ssize_t k = read(l->out, chunk, sizeof chunk);
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
    const ssize_t k = read(l->errors, chunk, sizeof chunk);
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
        struct pollfd p[3] = {{.fd = l->out, .events = POLLIN},
                              {.fd = errors ? l->errors : -1, .events = POLLIN},
                              {.fd = l->wake[0], .events = POLLIN}};
        if (poll(p, 3, 1000) < 0 && errno != EINTR) break;
        if (p[0].revents) out = read_output(l, &b);
        if (p[1].revents) errors = read_errors(l);
    }
    wick_buf_release(&b);
    end_connection(l, "it ended");
    return NULL;
}

/* --- requests --------------------------------------------------------------------------------------------------------------- */
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
        const ssize_t k = l->in < 0 ? -1 : send(l->in, text + at, n - at, MSG_NOSIGNAL);
        if (k > 0) {
            at += (size_t)k;
        } else if (l->in >= 0 && (errno == EAGAIN || errno == EINTR)) {
            struct pollfd p = {.fd = l->in, .events = POLLOUT};
            (void)poll(&p, 1, 100);
            if (w) st = wick_mcp_wait_check(l->c, w, err);
            if (st == WICK_OK && !w && wick_time_ms() > t_end)
                st = WICK_FAIL(err, WICK_E_LIMIT, l->c->name, "MCP server %s: does not read its input", l->c->name);
            if (st != WICK_OK && at > 0) close_fd(&l->in); /* half a line is out: nothing can follow it */
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

/* --- ending ------------------------------------------------------------------------------------------------------------------- */
/* Waits for the program to end. False: it still runs. */
static bool ended(pid_t pid, unsigned ms)
{
    for (unsigned t = 0;; t += 10) {
        const pid_t k = waitpid(pid, NULL, WNOHANG);
        if (k == pid || (k < 0 && errno == ECHILD)) return true;
        if (t >= ms) return false;
        struct pollfd none = {.fd = -1};
        (void)poll(&none, 1, 10);
    }
}

static void close_link(wick_mcp_client *c)
{
    stdio_link *l = c->link;
    if (!l) return;
    wick_lock_take(&l->write_lock);
    close_fd(&l->in);
    wick_lock_drop(&l->write_lock);
    if (l->pid > 0) {
        bool over = ended(l->pid, GRACE_MS);
        if (!over) {
            kill(-l->pid, SIGTERM);
            over = ended(l->pid, GRACE_MS);
        }
        kill(-l->pid, SIGKILL); /* it, if it is still there, and what it left behind */
        if (!over) (void)ended(l->pid, GRACE_MS);
    }
    if (l->wake[1] >= 0 && write(l->wake[1], "", 1) < 0) wick_log(WICK_LOG_DEBUG, "MCP server %s: wake", c->name);
    wick_thread_join(&l->reader);
    int *const mine[] = {&l->out, &l->errors, &l->wake[0], &l->wake[1]};
    for (size_t i = 0; i < sizeof mine / sizeof *mine; i++) close_fd(mine[i]);
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
    l->in = l->out = l->errors = l->wake[0] = l->wake[1] = -1;
    wick_lock_init(&l->write_lock);
    wick_lock_init(&l->lock);
    wick_cond_init(&l->cond);
    c->link = l;
    c->transport = &transport;
    WICK_TRY(start(l, o, err));
    return wick_thread_start(&l->reader, "wick-mcp", read_all, l, err);
}
