/* cli/sh_helper.c - the helper of `wick sh --daemon`: a process that keeps the model loaded, for requests of this user.
 *
 * It listens on a Unix socket of mode 0600 in a folder that only its user may enter, answers one client at a time, and
 * ends when nobody asked for a while. Whoever connects is asked by the kernel who it is: another user is turned away,
 * and a socket that is another user's is not used. The helper only turns requests into commands; it runs none, and what
 * it cannot know (the folder, the programs of the asker) is judged by the asker.
 *
 * One line of JSON each way: {"request", "earlier", "n", "sampled"} -> {"candidates": [{"cmd", "refused", "logprob"}]}
 * or {"error"}. The name of the socket has a hash of what the model is opened with, so a helper never answers for
 * another model. The one who starts it listens first and forks then: a client may connect before the model is loaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "cli/session.h"
#include "cli/sh.h"
#include "cli/term.h"

enum { MAX_LINE = 1 << 20, CLIENT_MS = 5000, ANSWER_MS = 120000, BACKLOG = 8 };

/* ---- where it listens -------------------------------------------------------------------------------------------- */

/* A folder of ours that nobody else may enter; NULL: there is none. */
static char *private_folder(const wick_args *a)
{
    struct stat s;
    char *base = a->runtime_dir && a->runtime_dir[0] == '/' ? wick_strdup(a->runtime_dir)
                 : a->state_home && a->state_home[0] == '/' ? wick_strdup(a->state_home)
                 : a->home && *a->home                      ? wick_path_join(a->home, ".local/state")
                                                            : NULL;
    char *folder = base ? wick_path_join(base, "wick") : NULL;
    wick_free(base);
    if (folder && wick_dir_make(folder, NULL) == WICK_OK && lstat(folder, &s) == 0 && S_ISDIR(s.st_mode) &&
        s.st_uid == geteuid() && ((s.st_mode & 077) == 0 || chmod(folder, 0700) == 0))
        return folder;
    wick_free(folder);
    return NULL;
}

/* The address; false: there is no place for it, or its name is too long. */
static bool address_of(const wick_sh_model *m, struct sockaddr_un *at)
{
    const wick_args *a = &m->a;
    wick_buf what = WICK_BUF_INIT;
    char *path = realpath(a->operand[0], NULL), *folder = private_folder(a);
    wick_buf_printf(&what, "%s|%s|%s|%s|%s|%u|%u|%s|%d", WICK_VERSION, path ? path : a->operand[0],
                    a->backend ? a->backend : "", a->device ? a->device : "", a->precision ? a->precision : "",
                    a->threads, a->n_ctx, a->chat_template ? a->chat_template : "", a->free_form);
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    int n = folder && !what.failed ? snprintf(at->sun_path, sizeof at->sun_path, "%s/sh-%08x.sock", folder,
                                              (unsigned)wick_hash_data(wick_buf_str(&what), what.n, 0))
                                   : -1;
    free(path);
    wick_free(folder);
    wick_buf_release(&what);
    return n > 0 && (size_t)n < sizeof at->sun_path;
}

static int new_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (fd >= 0) fcntl(fd, F_SETFD, FD_CLOEXEC);
    return fd;
}

/* Is the other end a process of this user? */
static bool same_user(int fd)
{
#ifdef SO_PEERCRED
    struct ucred c;
    socklen_t n = sizeof c;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &c, &n) == 0 && c.uid == geteuid();
#else
    uid_t user;
    gid_t group;
    return getpeereid(fd, &user, &group) == 0 && user == geteuid();
#endif
}

static int connect_to(const struct sockaddr_un *at)
{
    struct stat s;
    if (lstat(at->sun_path, &s) != 0 || !S_ISSOCK(s.st_mode) || s.st_uid != geteuid()) return -1;
    int fd = new_socket();
    if (fd >= 0 && connect(fd, (const struct sockaddr *)at, sizeof *at) == 0 && same_user(fd)) return fd;
    if (fd >= 0) close(fd);
    return -1;
}

/* ---- lines ------------------------------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t w = send(fd, p, n, 0);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) return false;
        p += w;
        n -= (size_t)w;
    }
    return true;
}

static bool write_line(int fd, const json_t *o)
{
    char *text = json_dumps(o, JSON_COMPACT);
    bool ok = text && write_all(fd, text, strlen(text)) && write_all(fd, "\n", 1);
    wick_free(text);
    return ok;
}

/* One line as JSON; NULL: the other end is gone, or too slow, or it is no JSON. */
static json_t *read_line(int fd, int wait_ms, bool interruptible)
{
    wick_buf b;
    json_t *o = NULL;
    wick_buf_init(&b, MAX_LINE);
    for (int waited = 0; waited < wait_ms && !b.failed && !(interruptible && wick_interrupted());) {
        char chunk[4096];
        struct pollfd p = {fd, POLLIN, 0};
        int r = poll(&p, 1, 100);
        if (r == 0) waited += 100;
        if (r <= 0) continue;
        ssize_t n = recv(fd, chunk, sizeof chunk, 0);
        if (n <= 0) break;
        wick_buf_add(&b, chunk, (size_t)n);
        if (chunk[n - 1] != '\n') continue;
        if (!b.failed && wick_json_parse(b.data, b.n, "the helper's line", &o, NULL) != WICK_OK) o = NULL;
        break;
    }
    wick_buf_release(&b);
    return o;
}

/* ---- the helper -------------------------------------------------------------------------------------------------- */

static json_t *answer(wick_sh_model *m, const json_t *in)
{
    wick_sh_candidate c[WICK_SH_MAX_CANDIDATES];
    wick_arena arena;
    wick_err err = {0};
    size_t n = 0;
    json_t *out = json_object(), *list = json_array();
    const json_int_t wanted = json_integer_value(json_object_get(in, "n"));
    const wick_sh_question q = {.request = json_string_value(json_object_get(in, "request")),
                                .earlier = json_object_get(in, "earlier"),
                                .n = wanted > 0 && wanted <= WICK_SH_MAX_CANDIDATES ? (uint32_t)wanted : 1,
                                .sampled = json_is_true(json_object_get(in, "sampled"))};
    wick_arena_init(&arena, 0);
    wick_sh_asked *asked = NULL;
    wick_status st = q.request ? wick_sh_model_ask(m, &q, &asked, &err)
                               : WICK_FAIL(&err, WICK_E_BAD_PARAMETER, "request", "there is no request");
    if (st == WICK_OK) st = wick_sh_asked_end(asked, &arena, c, &n, &err);
    wick_sh_asked_free(asked);
    if (st != WICK_OK) json_object_set_new(out, "error", wick_json_text(err.message, strlen(err.message)));
    for (size_t k = 0; st == WICK_OK && k < n; k++) {
        json_t *o = json_object();
        const char *why = c[k].answer.refused;
        json_object_set_new(o, "cmd", wick_json_text(c[k].answer.cmd, strlen(c[k].answer.cmd)));
        if (why) json_object_set_new(o, "refused", wick_json_text(why, strlen(why)));
        json_object_set_new(o, "logprob", json_real((double)c[k].logprob));
        json_array_append_new(list, o);
    }
    json_object_set_new(out, "candidates", list);
    wick_arena_release(&arena);
    return out;
}

static void serve_client(wick_sh_model *m, int fd)
{
    json_t *in;
    while ((in = read_line(fd, CLIENT_MS, false)) != NULL) {
        json_t *out = answer(m, in);
        bool ok = write_line(fd, out);
        json_decref(in);
        json_decref(out);
        if (!ok) break;
    }
}

/* The life of the helper. Leaves the socket's name alone if it is another helper's by then. */
static void serve(wick_sh_model *m, int listener, const struct sockaddr_un *at, uint32_t idle_s)
{
    struct stat mine, now;
    struct pollfd p = {listener, POLLIN, 0};
    bool known = lstat(at->sun_path, &mine) == 0;
    if (wick_sh_model_load(m, NULL) == WICK_OK) {
        for (;;) {
            int r = poll(&p, 1, (int)(idle_s > 86400 ? 86400 : idle_s) * 1000);
            if (r < 0 && errno == EINTR && !wick_interrupted()) continue;
            if (r <= 0) break;
            int fd = accept(listener, NULL, NULL);
            if (fd < 0) continue;
            fcntl(fd, F_SETFD, FD_CLOEXEC);
            if (same_user(fd)) serve_client(m, fd);
            close(fd);
        }
    }
    if (known && lstat(at->sun_path, &now) == 0 && now.st_ino == mine.st_ino && now.st_dev == mine.st_dev)
        unlink(at->sun_path);
    wick_sh_model_close(m);
}

/* Listens under a name of its own and then takes the place of whatever was there: two that start at once do not
 * disturb each other, and the one that lost ends when it is idle. */
static int listen_at(const struct sockaddr_un *at)
{
    struct sockaddr_un own = *at;
    char *name = strrchr(own.sun_path, '/') + 1; /* as long as "sh-01234567.sock" */
    int fd = new_socket();
    if (fd < 0) return -1;
    snprintf(name, strlen(name) + 1, "new-%u", (unsigned)getpid());
    unlink(own.sun_path);
    mode_t before = umask(0177);
    bool bound = bind(fd, (const struct sockaddr *)&own, sizeof own) == 0;
    umask(before);
    if (bound && listen(fd, BACKLOG) == 0 && rename(own.sun_path, at->sun_path) == 0) return fd;
    if (bound) unlink(own.sun_path);
    close(fd);
    return -1;
}

static void become_helper(wick_sh_model *m, int listener, const struct sockaddr_un *at)
{
    char *path = realpath(m->a.operand[0], NULL);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (path) m->a.operand[0] = path;
    for (int fd = 0; null >= 0 && fd < 3; fd++) dup2(null, fd);
    if (setsid() < 0 || chdir("/") != 0 || null < 0) _exit(1);
    serve(m, listener, at, m->a.idle);
    _exit(0);
}

wick_status wick_sh_helper_open(const wick_sh_model *m, bool start, int *fd, wick_err *err)
{
    static const wick_sampling_given none;
    struct sockaddr_un at;
    *fd = -1;
    bool usual = memcmp(&m->a.given, &none, sizeof none) == 0; /* the helper samples by its own options */
    bool place = usual && address_of(m, &at);
    if (place) *fd = connect_to(&at);
    if (*fd >= 0 || !start) return WICK_OK;
    if (!place)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "daemon",
                         usual ? "--daemon: there is no private folder for its socket: set XDG_RUNTIME_DIR or HOME"
                               : "--daemon does not take sampling options: leave them out");
    int listener = listen_at(&at);
    if (listener < 0) return wick_err_io(err, at.sun_path, "listening at", errno);
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        wick_sh_model own = *m;
        own.path = NULL;
        become_helper(&own, listener, &at);
    }
    close(listener);
    if (pid < 0) return wick_err_io(err, "wick sh", "starting the helper of", errno);
    *fd = connect_to(&at);
    return *fd >= 0 ? WICK_OK : wick_err_io(err, at.sun_path, "connecting to", errno);
}

wick_status wick_sh_helper_ask(int fd, wick_arena *arena, const wick_sh_question *q, wick_sh_candidate *out,
                               size_t *n_out, wick_err *err)
{
    size_t i;
    json_t *o = json_object(), *in = NULL, *c;
    json_object_set_new(o, "request", wick_json_text(q->request, strlen(q->request)));
    if (q->earlier) json_object_set(o, "earlier", (json_t *)(uintptr_t)q->earlier);
    json_object_set_new(o, "n", json_integer(q->n));
    json_object_set_new(o, "sampled", json_boolean(q->sampled));
    wick_status st = WICK_OK;
    if (write_line(fd, o)) in = read_line(fd, ANSWER_MS, true);
    const char *bad = json_string_value(json_object_get(in, "error"));
    const json_t *list = json_object_get(in, "candidates");
    if (wick_interrupted())
        st = WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
    else if (bad || json_array_size(list) == 0)
        st = WICK_FAIL(err, WICK_E_IO, "helper", "%s", bad ? bad : "it is gone");
    json_array_foreach((json_t *)(uintptr_t)list, i, c)
    {
        const char *cmd = json_string_value(json_object_get(c, "cmd"));
        const char *why = json_string_value(json_object_get(c, "refused"));
        if (st != WICK_OK || i >= q->n || !cmd) break;
        out[*n_out] = (wick_sh_candidate){
            .answer = {.cmd = wick_arena_strdup(arena, cmd), .refused = why ? wick_arena_strdup(arena, why) : NULL},
            .logprob = (float)json_real_value(json_object_get(c, "logprob")),
            .votes = 1};
        if (!out[*n_out].answer.cmd) st = wick_err_oom(err, "an answer", 0, 0);
        ++*n_out;
    }
    json_decref(o);
    json_decref(in);
    return st;
}
