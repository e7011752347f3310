/* cli/cmd_launch.c - `wick launch CLIENT [MODEL]`: starts a server if none runs, and says (or writes) how the client
 * reaches it.
 *
 * A file of a client that exists is never changed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

typedef struct client {
    const char *name, *what, *file; /* file: below the home; NULL: variables of the shell alone */
    const char *text;               /* @U: the server's address, @M: the model, @K: the key */
    const char *then;
} client;

static const client clients[] = {
    {"claude-code", "Claude Code", NULL,
     "export ANTHROPIC_BASE_URL=@U\nexport ANTHROPIC_AUTH_TOKEN=@K\nexport ANTHROPIC_MODEL=@M\nexport "
     "ANTHROPIC_SMALL_FAST_MODEL=@M\n"
     "export CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1\n",
     "claude"},
    {"codex", "Codex CLI", ".codex/config.toml",
     "model = \"@M\"\nmodel_provider = \"wick\"\n\n[model_providers.wick]\nname = \"Wick\"\nbase_url = "
     "\"@U/v1\"\nenv_key = \"WICK_API_KEY\"\n"
     "wire_api = \"responses\"\n",
     "WICK_API_KEY=@K codex"},
    {"aider", "aider", NULL, "export OPENAI_API_BASE=@U/v1\nexport OPENAI_API_KEY=@K\n", "aider --model openai/@M"},
    {"continue", "Continue", ".continue/config.yaml",
     "name: Wick\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: @M\n    provider: openai\n    model: @M\n    apiBase: "
     "@U/v1\n    apiKey: @K\n"
     "    roles: [chat, edit, apply]\n",
     "open Continue in the editor"},
    {"open-webui", "Open WebUI", NULL,
     "export OPENAI_API_BASE_URL=@U/v1\nexport OPENAI_API_KEY=@K\nexport ENABLE_OLLAMA_API=false\n",
     "open-webui serve"},
};
enum { N_CLIENTS = sizeof clients / sizeof *clients, START_SECONDS = 600 };

static const client *find_client(const char *name)
{
    for (size_t i = 0; i < N_CLIENTS; i++)
        if (strcmp(clients[i].name, name) == 0) return &clients[i];
    return NULL;
}

static void fill(wick_buf *b, const char *text, const char *url, const char *model, const char *key)
{
    for (const char *p = text; *p; p++) {
        const char *v = p[0] == '@' ? (p[1] == 'U' ? url : p[1] == 'M' ? model : p[1] == 'K' ? key : NULL) : NULL;
        if (v) {
            wick_buf_puts(b, v);
            p++;
        } else {
            wick_buf_putc(b, *p);
        }
    }
}

/* The default model of the server that answers; NULL: none does. Caller frees. */
static char *model_of_server(const wick_args *a)
{
    json_t *v;
    if (wick_client_call(a, "GET", "/v1/models", NULL, &v, NULL) != WICK_OK) return NULL;
    const json_t *list = json_object_get(v, "data");
    const char *id = json_string_value(json_object_get(json_array_get(list, 0), "id"));
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_true(json_object_get(json_array_get(list, i), "default")))
            id = json_string_value(json_object_get(json_array_get(list, i), "id"));
    char *own = wick_strdup(id ? id : "");
    json_decref(v);
    return own;
}

/* `wick serve MODEL` as a process of its own, whose messages go to a file. */
static wick_status start_server(const wick_args *a, const char *model, pid_t *pid, char **log, wick_err *err)
{
    char *base = wick_state_folder(a), *folder = wick_program_folder(),
         *program = folder ? wick_path_join(folder, "wick") : NULL;
    wick_status st = base && program ? wick_dir_make(base, err) : wick_err_oom(err, "a path", 0, 0);
    *log = st == WICK_OK ? wick_path_join(base, "server.log") : NULL;
    const int out = *log ? open(*log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    if (st == WICK_OK && out < 0) st = wick_err_io(err, *log ? *log : "server.log", "open", errno);
    if (st == WICK_OK) {
        *pid = fork();
        if (*pid == 0) {
            const int null = open("/dev/null", O_RDONLY);
            setsid();
            dup2(null, STDIN_FILENO);
            dup2(out, STDOUT_FILENO);
            dup2(out, STDERR_FILENO);
            execl(program, "wick", "serve", model, (char *)NULL);
            _exit(127);
        }
        if (*pid < 0) st = wick_err_io(err, program, "start", errno);
    }
    if (out >= 0) close(out);
    wick_free(base);
    wick_free(folder);
    wick_free(program);
    return st;
}

static wick_status wait_for_server(const wick_args *a, pid_t pid, const char *log, char **model, wick_err *err)
{
    const double end = wick_time_ms() + START_SECONDS * 1000.0;
    while (wick_time_ms() < end && !wick_interrupted()) {
        *model = model_of_server(a);
        if (*model) return WICK_OK;
        if (waitpid(pid, NULL, WNOHANG) == pid)
            return WICK_FAIL(err, WICK_E_IO, "server", "the server ended at once: %s says why", log);
        usleep(100000);
    }
    return WICK_FAIL(err, WICK_E_LIMIT, "server", "the server is not ready: %s says why", log);
}

static wick_status show_or_write(const wick_args *a, const client *c, const char *url, const char *model, wick_err *err)
{
    wick_buf text = WICK_BUF_INIT, then = WICK_BUF_INIT;
    const char *key = a->api_key && *a->api_key ? a->api_key : "none";
    wick_status st = WICK_OK;
    fill(&text, c->text, url, model, key);
    fill(&then, c->then, url, model, key);
    char *path = c->file && a->home ? wick_path_join(a->home, c->file) : NULL;
    const bool write = a->write && path;
    if (a->write && !c->file)
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "write", "%s has no file for it: put the variables into the shell",
                       c->what);
    else if (write && wick_path_exists(path))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "write",
                       "%s is there already and is not changed: add by hand what wick launch %s prints", path, c->name);
    else if (write) {
        char *dir = wick_strndup(path, (size_t)(strrchr(path, '/') - path));
        st = dir ? wick_dir_make(dir, err) : wick_err_oom(err, "a path", 0, 0);
        if (st == WICK_OK) st = wick_file_write(path, text.data, text.n, err);
        wick_free(dir);
    }
    if (st == WICK_OK && a->json) {
        st = wick_print_json(json_pack("{s:s, s:s, s:s, s:s?, s:s, s:b, s:s}", "client", c->name, "url", url, "model",
                                       model, "file", path, "settings", wick_buf_str(&text), "written", (int)write,
                                       "start", wick_buf_str(&then)),
                             err);
    } else if (st == WICK_OK) {
        if (write)
            wick_notice("wrote %s", path);
        else if (path)
            wick_notice("For %s, in %s (--write writes it where there is none):", c->what, path);
        else
            wick_notice("For %s, in the shell:", c->what);
        if (!write) fputs(wick_buf_str(&text), stdout);
        wick_notice("then: %s", wick_buf_str(&then));
    }
    wick_free(path);
    wick_buf_release(&text);
    wick_buf_release(&then);
    return st;
}

static wick_status run_launch(const wick_args *a, wick_err *err)
{
    const client *c = find_client(a->operand[0]);
    char *model = NULL, *log = NULL;
    pid_t pid = 0;
    if (!c)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, a->operand[0],
                         "wick launch %s: there is claude-code, codex, aider, continue, open-webui", a->operand[0]);
    const char *asked = a->n_operands > 1 ? a->operand[1] : a->model;
    wick_status st = WICK_OK;
    model = model_of_server(a);
    if (!model && (!asked || a->url)) {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "no server answers at %s: wick launch %s MODEL starts one",
                       wick_client_url(a), c->name);
    } else if (!model) {
        wick_notice("starting wick serve %s ...", asked);
        st = start_server(a, asked, &pid, &log, err);
        if (st == WICK_OK) st = wait_for_server(a, pid, log, &model, err);
        if (st == WICK_OK)
            wick_notice("the server runs (process %ld, messages in %s); wick stop ends it", (long)pid, log);
    }
    if (st == WICK_OK) st = show_or_write(a, c, wick_client_url(a), model, err);
    wick_free(model);
    wick_free(log);
    return st;
}

static const wick_opt opts[] = {
    {"write", 0, WICK_OPT_FLAG, NULL, "write the client's settings file where there is none",
     offsetof(wick_args, write), 0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, 1};

const wick_command wick_cmd_launch = {
    .name = "launch",
    .operands = "claude-code|codex|aider|continue|open-webui [MODEL]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "a server for a coding agent or a chat page, and its settings",
    .about = "Starts wick serve MODEL in the background if no server runs, and prints what the client needs: variables "
             "for the shell, or a file.",
    .examples = "wick launch aider mlx-community/Qwen3-4B-4bit\t\neval \"$(wick launch claude-code -q)\"\twith a "
                "server that runs\n"
                "wick launch codex --write\tinto ~/.codex/config.toml",
    .group = {&group, &wick_opts_client, &wick_opts_common},
    .run = run_launch,
};
