/* base/process.c - see process.h. */
#include "base/process.h"
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

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* macOS: a property of the socket instead */
#endif

enum { FD_MAX = 65536 };

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
static void become(const char *file, const char *const *argv, const char *const *env, const char *cwd, const int fd[3])
{
    static const char *const none[] = {NULL};
    int moved[3];
    sigset_t all;
    sigemptyset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGPIPE, SIG_DFL);
    setpgid(0, 0);
    for (int i = 0; i < 3; i++) /* away from 0 to 2 first: they may be among those */
        if ((moved[i] = fcntl(fd[i], F_DUPFD, 10)) < 0) _Exit(126);
    for (int i = 0; i < 3; i++)
        if (dup2(moved[i], i) < 0) _Exit(126);
    long n = sysconf(_SC_OPEN_MAX);
    if (n < 0 || n > FD_MAX) n = FD_MAX;
    for (int i = 3; i < n; i++) close(i);
    if (cwd && chdir(cwd) != 0) _Exit(126);
    execve(file, (char *const *)(uintptr_t)argv, (char *const *)(uintptr_t)(env ? env : none));
    _Exit(127);
}

void wick_fd_close(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

wick_status wick_process_start(wick_process *p, const char *who, const char *const *argv, const char *const *env,
                               const char *cwd, wick_err *err)
{
    char file[4096];
    int in[2] = {-1, -1}, out[2] = {-1, -1}, errors[2] = {-1, -1};
    *p = (wick_process){.in = -1, .out = -1, .errors = -1};
    if (!find_program(argv[0], env, file, sizeof file))
        return WICK_FAIL(err, WICK_E_IO, argv[0], "%s: there is no program \"%.200s\"", who, argv[0]);
    wick_status st = WICK_OK;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, in) != 0 || pipe(out) != 0 || pipe(errors) != 0)
        st = wick_err_io(err, file, "start", errno);
    if (st == WICK_OK) {
        const int theirs[3] = {in[1], out[1], errors[1]};
        p->pid = fork();
        if (p->pid == 0) become(file, argv, env, cwd, theirs);
        if (p->pid < 0) st = wick_err_io(err, file, "start", errno);
        if (p->pid > 0) setpgid(p->pid, p->pid); /* the child does it too: whoever comes first */
    }
#ifdef SO_NOSIGPIPE
    if (in[0] >= 0) (void)setsockopt(in[0], SOL_SOCKET, SO_NOSIGPIPE, &(int){1}, sizeof(int));
#endif
    wick_fd_close(&in[1]);
    wick_fd_close(&out[1]);
    wick_fd_close(&errors[1]);
    p->in = in[0];
    p->out = out[0];
    p->errors = errors[0];
    int *const mine[] = {&p->in, &p->out, &p->errors};
    for (size_t i = 0; i < 3; i++) {
        if (st != WICK_OK) wick_fd_close(mine[i]);
        if (*mine[i] < 0) continue;
        fcntl(*mine[i], F_SETFD, FD_CLOEXEC);
        fcntl(*mine[i], F_SETFL, fcntl(*mine[i], F_GETFL) | O_NONBLOCK);
    }
    if (st != WICK_OK) p->pid = 0;
    return st;
}

ssize_t wick_process_write(wick_process *p, const void *data, size_t n)
{
    if (p->in < 0) return -1;
    const ssize_t k = send(p->in, data, n, MSG_NOSIGNAL);
    if (k >= 0) return k;
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? 0 : -1;
}

void wick_process_close_in(wick_process *p)
{
    wick_fd_close(&p->in);
}

bool wick_process_wait(wick_process *p, unsigned ms)
{
    for (unsigned t = 0; !p->ended; t += 10) {
        const pid_t k = waitpid(p->pid, &p->status, WNOHANG);
        p->ended = k == p->pid || (k < 0 && errno == ECHILD);
        if (p->ended || t >= ms) break;
        struct pollfd none = {.fd = -1};
        (void)poll(&none, 1, 10);
    }
    return p->ended;
}

void wick_process_end(wick_process *p, unsigned grace_ms)
{
    if (p->pid <= 0) return;
    wick_fd_close(&p->in);
    if (!wick_process_wait(p, grace_ms)) {
        kill(-p->pid, SIGTERM);
        (void)wick_process_wait(p, grace_ms);
    }
    kill(-p->pid, SIGKILL); /* it, if it is still there, and what it left behind */
    (void)wick_process_wait(p, 2000);
    wick_fd_close(&p->out);
    wick_fd_close(&p->errors);
    p->pid = 0;
}
