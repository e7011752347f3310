/* toolbox/commands.c - programs as tools: {"command": ["weather", "--json"], "parameters": {...}}.
 *
 * The program gets the arguments of the call as a JSON object on its standard input, and what it prints is the result.
 * "{name}" as a whole element of the command becomes the value of that argument instead. No shell is involved, so a
 * value stays one word whatever it holds. A status other than 0 is an error, with the end of what was printed on
 * standard error. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/json.h"
#include "base/process.h"
#include "base/sys.h"
#include "toolbox/toolbox_int.h"

enum { OUT_MAX_BYTES = 8 << 20, ERRORS_MAX_BYTES = 64 << 10, GRACE_MS = 500 };

typedef struct command {
    char **argv, **env, *cwd;
} command;

static void free_command(void *user)
{
    command *c = user;
    wick_toolbox_texts_free(c->argv);
    wick_toolbox_texts_free(c->env);
    wick_free(c->cwd);
    wick_free(c);
}

/* A word as the command line has it; scalars as JSON writes them. The caller's. */
static char *word_of(const json_t *v)
{
    if (json_is_string(v)) return wick_strdup(json_string_value(v));
    char *text = v && !json_is_null(v) ? json_dumps(v, JSON_ENCODE_ANY) : NULL, *out = wick_strdup(text ? text : "");
    free(text);
    return out;
}

/* The command with its {name} elements filled in. NULL: out of memory. */
static char **fill_in(char *const *argv, const json_t *arguments)
{
    size_t n = 0;
    while (argv[n]) n++;
    char **out = wick_alloc_zero(n + 1, sizeof *out);
    for (size_t i = 0; out && i < n; i++) {
        const size_t k = strlen(argv[i]);
        char name[128];
        const bool hole = k > 2 && k < sizeof name && argv[i][0] == '{' && argv[i][k - 1] == '}';
        if (hole) {
            memcpy(name, argv[i] + 1, k - 2);
            name[k - 2] = '\0';
        }
        out[i] = hole ? word_of(json_object_get(arguments, name)) : wick_strdup(argv[i]);
        if (!out[i]) {
            wick_toolbox_texts_free(out);
            return NULL;
        }
    }
    return out;
}

/* Reads from fd to b. False: the end. */
static bool drain(int fd, wick_buf *b)
{
    char chunk[16384];
    const ssize_t k = read(fd, chunk, sizeof chunk);
    if (k < 0) return errno == EAGAIN || errno == EINTR;
    if (!b->failed) wick_buf_add(b, chunk, (size_t)k);
    return k > 0;
}

/* Feeds and reads the program until it closes its output, the time is over or the call is cancelled. */
static wick_status talk(wick_process *p, const wick_tool_job *c, wick_buf *out, wick_buf *errors, wick_err *err)
{
    const char *text = c->arguments;
    size_t left = strlen(text);
    bool more = true, more_errors = true;
    const double end = wick_time_ms() + c->timeout_ms;
    while (more) {
        if (atomic_load(c->cancel)) return WICK_FAIL(err, WICK_E_CANCELLED, c->name, "cancelled");
        if (wick_time_ms() > end) return WICK_FAIL(err, WICK_E_LIMIT, c->name, "%s did not end in time", c->name);
        struct pollfd f[3] = {{.fd = p->out, .events = POLLIN},
                              {.fd = more_errors ? p->errors : -1, .events = POLLIN},
                              {.fd = left > 0 ? p->in : -1, .events = POLLOUT}};
        (void)poll(f, 3, 50);
        if (f[2].revents) {
            const ssize_t k = wick_process_write(p, text, left);
            left = k < 0 ? 0 : left - (size_t)k; /* a program need not read what it is told */
            text += k > 0 ? k : 0;
            if (left == 0) wick_process_close_in(p);
        }
        if (f[1].revents) more_errors = drain(p->errors, errors);
        if (f[0].revents) more = drain(p->out, out);
        if (out->failed)
            return WICK_FAIL(err, WICK_E_LIMIT, c->name, "%s printed more than %d MiB", c->name, OUT_MAX_BYTES >> 20);
    }
    return WICK_OK;
}

static wick_status run_command(void *user, const wick_tool_job *c, wick_buf *result, wick_err *err)
{
    const command *cmd = user;
    json_t *arguments = NULL;
    wick_process p = {.in = -1, .out = -1, .errors = -1};
    wick_buf out, errors;
    wick_buf_init(&out, OUT_MAX_BYTES);
    wick_buf_init(&errors, ERRORS_MAX_BYTES);
    WICK_TRY(wick_json_parse(c->arguments, strlen(c->arguments), "arguments", &arguments, err));
    char **argv = fill_in(cmd->argv, arguments);
    wick_status st = argv ? WICK_OK : wick_err_oom(err, c->name, 0, 0);
    if (st == WICK_OK)
        st = wick_process_start(&p, c->name, (const char *const *)(uintptr_t)argv,
                                (const char *const *)(uintptr_t)cmd->env, cmd->cwd, err);
    if (st == WICK_OK) st = talk(&p, c, &out, &errors, err);
    if (st == WICK_OK && !wick_process_wait(&p, GRACE_MS))
        st = WICK_FAIL(err, WICK_E_LIMIT, c->name, "%s closed its output and did not end", c->name);
    if (st == WICK_OK && !(WIFEXITED(p.status) && WEXITSTATUS(p.status) == 0)) {
        const size_t n = errors.n > 300 ? errors.n - 300 : 0;
        st = WICK_FAIL(err, WICK_E_INTERNAL, c->name, "%s ended with status %d: %s", c->name,
                       WIFEXITED(p.status) ? WEXITSTATUS(p.status) : 128 + WTERMSIG(p.status),
                       wick_buf_str(&errors) + n);
    }
    wick_process_end(&p, st == WICK_OK ? GRACE_MS : 0);
    if (st == WICK_OK) wick_buf_add(result, out.data ? out.data : "", out.n);
    wick_toolbox_texts_free(argv);
    json_decref(arguments);
    wick_buf_release(&out);
    wick_buf_release(&errors);
    return st;
}

wick_status wick_toolbox_add_command(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                     wick_err *err)
{
    const json_t *argv = json_object_get(c, "command"), *parameters = json_object_get(c, "parameters");
    const json_t *cwd = json_object_get(c, "cwd");
    command *cmd = wick_alloc_zero(1, sizeof *cmd);
    char *schema = parameters ? json_dumps(parameters, 0) : NULL;
    wick_status st = cmd && (schema || !parameters) ? WICK_OK : wick_err_oom(err, name, 0, 0);
    if (st == WICK_OK && (!json_is_array(argv) || json_array_size(argv) == 0))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "tools: command %.60s: \"command\" must be an array of words",
                       name);
    if (st == WICK_OK) st = wick_toolbox_texts(argv, name, o, &cmd->argv, err);
    if (st == WICK_OK) st = wick_toolbox_env(json_object_get(c, "env"), name, o, &cmd->env, err);
    if (st == WICK_OK && cwd) st = wick_toolbox_text(cwd, name, o, &cmd->cwd, err);
    const wick_tool_def def = {.name = name,
                               .description = json_string_value(json_object_get(c, "description")),
                               .schema = schema,
                               .safe = json_is_true(json_object_get(c, "safe")),
                               .fn = run_command,
                               .user = cmd,
                               .release = free_command};
    if (st == WICK_OK) st = wick_toolset_add(b->tools, &def, err);
    free(schema);
    if (st != WICK_OK && cmd) free_command(cmd);
    return st;
}
