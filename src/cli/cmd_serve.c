/* cli/cmd_serve.c - `wick serve` and `wick mlx`: flags, environment and server.yaml to a running server; signals.
 *
 * The first SIGTERM or SIGINT drains: new requests are refused, running ones get drain_seconds. The second one ends the
 * process at once. Flags win over the environment, the environment over server.yaml.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/hubs.h"
#include "cli/session.h"
#include "cli/sh.h"
#include "cli/term.h"
#include "cli/toolfile.h"
#include "server/server.h"

static volatile sig_atomic_t n_signals;

static void on_signal(int sig)
{
    (void)sig;
    if (++n_signals > 1) _exit(1);
}

static void log_line(void *ctx, wick_log_level level, const char *line)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    char when[32];
    struct tm tm;
    time_t now = time(NULL);
    (void)ctx;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    fprintf(stderr, "%s %s %s\n", when, names[level], line);
}

static wick_status add_names(wick_server_config *c, const wick_str_list *l, const char ***out, uint32_t *n,
                             wick_err *err)
{
    const char **all = wick_arena_array(&c->arena, *n + l->n + 1, sizeof *all);
    if (!all) return wick_err_oom(err, "options", 0, 0);
    for (uint32_t i = 0; i < *n; i++) all[i] = (*out)[i];
    for (uint32_t i = 0; i < l->n; i++) all[*n + i] = l->item[i];
    *out = all;
    *n += l->n;
    return WICK_OK;
}

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* What a flag or the environment changed from `plain`, the options without any, wins over what server.yaml says of its
 * models. (Which backend a model gets is decided while the file is read.) */
static void override_models(wick_server_config *c, const wick_engine_opts *plain)
{
    const wick_engine_opts *f = &c->engine_defaults;
    for (uint32_t i = 0; i < c->n_model; i++) {
        wick_engine_opts *o = &c->model[i].engine;
#define OVER(field) \
    if (f->field != plain->field) o->field = f->field
        OVER(device.n_threads);
        OVER(device.precision);
        OVER(device.kv_dtype);
        OVER(device.memory_limit_bytes);
        OVER(n_ctx);
        OVER(prefill_chunk);
        OVER(max_seqs);
        OVER(prefix_cache);
        OVER(kv_disk_bytes);
#undef OVER
        for (uint32_t k = 0; k < f->device.n_settings; k++)
            wick_backend_set(&o->device, f->device.setting[k].key, f->device.setting[k].value);
        if (!same(f->device.device, plain->device.device)) o->device.device = f->device.device;
        if (!same(f->device.isa, plain->device.isa)) o->device.isa = f->device.isa;
        if (c->chat_template) c->model[i].chat_template = c->chat_template;
        if (!same(f->pre, plain->pre)) o->pre = f->pre;
    }
}

static wick_status load_file(wick_server_config *c, const char *path, wick_err *err)
{
    wick_args none;
    wick_engine_opts plain;
    wick_args_init(&none);
    WICK_TRY(wick_engine_opts_from(&plain, &none, err));
    WICK_TRY(wick_server_config_load(c, path, err));
    override_models(c, &plain);
    return WICK_OK;
}

static bool signalled(void *ctx)
{
    (void)ctx;
    return n_signals > 0;
}

/* Models that the server loads later are downloaded without a bar, on the loader's thread. */
static const wick_hub *quiet_hub(const wick_args *a)
{
    static wick_hub hub;
    hub = *wick_hub_from_args(a);
    hub.progress = NULL;
    hub.cancelled = signalled;
    return &hub;
}

/* What the command line names and this disk has not is downloaded before the server starts, with a bar. */
static wick_status fetch_named(const wick_args *a, const char *name, wick_err *err)
{
    wick_discover_opts o;
    wick_model_ref ref;
    char *path;
    if (wick_path_exists(name) || !wick_model_ref_parse(&ref, name)) return WICK_OK;
    wick_discover_opts_from(&o, a);
    WICK_TRY(wick_resolve_model(&path, name, &o, err));
    wick_free(path);
    return WICK_OK;
}

static wick_status make_config(wick_server_config *c, const wick_args *a, wick_err *err)
{
    wick_model_config *m;
    WICK_TRY(wick_engine_opts_from(&c->engine_defaults, a, err));
    wick_discover_opts_from(&c->discover, a);
    c->discover.hub = quiet_hub(a);
    c->chat_template = a->chat_template;
    if (a->mlx_device) c->engine_defaults.device.device = a->mlx_device;
    if (a->config) WICK_TRY(load_file(c, a->config, err));
    if (a->host) c->host = a->host;
    if (a->seen_port) c->port = (uint16_t)a->port;
    if (a->seen_max_queue) c->limits.queue = a->max_queue;
    if (a->seen_drain_timeout) c->limits.drain_seconds = a->drain_timeout;
    if (a->tls_cert) c->tls_cert = a->tls_cert;
    if (a->tls_key) c->tls_key = a->tls_key;
    if (a->mcp) c->mcp = true;
    if (a->seen_mcp_port) {
        c->mcp_own_port = true;
        c->mcp_port = (uint16_t)a->mcp_port;
    }
    if (a->no_key_needed) c->no_key_needed = true;
    if (a->strict_model) c->strict_model = true;
    WICK_TRY(add_names(c, &a->allow_host, &c->allow_host, &c->n_allow_host, err));
    WICK_TRY(add_names(c, &a->cors_origin, &c->cors_origin, &c->n_cors_origin, err));
    WICK_TRY(add_names(c, &a->model_dir, &c->model_dir, &c->n_model_dir, err));
    c->discover.extra = (const char *const *)c->model_dir;
    c->discover.n_extra = c->n_model_dir;
    char *state = wick_state_folder(a);
    c->local_key_dir = state ? wick_arena_strdup(&c->arena, state) : NULL;
    wick_free(state);
    if (a->api_key && *a->api_key)
        WICK_TRY(wick_server_config_add_key(c, "WICK_API_KEY", a->api_key, WICK_SCOPE_ALL, NULL, err));
    if (a->api_key_file) WICK_TRY(wick_server_config_key_file(c, a->api_key_file, WICK_SCOPE_ALL, err));
    for (uint32_t i = 0; i < a->n_operands + (a->model != NULL); i++) {
        const char *path = i < a->n_operands ? a->operand[i] : a->model;
        WICK_TRY(fetch_named(a, path, err));
        WICK_TRY(wick_server_config_add_model(c, path, i == 0 ? a->id : NULL, &m, err));
        m->preload = true;
    }
    if (c->n_model == 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "model", "no model: wick serve MODEL, or --config server.yaml");
    return wick_server_config_check(c, err);
}

/* A model named on the command line that cannot be loaded ends the command, as `wick run` does. */
static wick_status wait_ready(wick_server *s, const wick_server_config *c, wick_err *err)
{
    while (wick_server_loading(s) > 0 && n_signals == 0) usleep(2000);
    return c->n_model == 1 ? wick_server_load_error(s, err) : WICK_OK;
}

static void run_until_signal(wick_server *s, const wick_server_config *c)
{
    while (n_signals == 0 && !wick_server_drain_asked(s)) usleep(50000);
    wick_server_drain(s);
    wick_notice("wick: finishing %u requests (at most %llu s; signal again to stop now)", wick_server_active(s),
                (unsigned long long)c->limits.drain_seconds);
    const double end = wick_time_ms() + (double)c->limits.drain_seconds * 1000;
    while (wick_server_active(s) > 0 && wick_time_ms() < end) usleep(10000);
    if (wick_server_active(s) > 0) wick_notice("wick: stopping %u requests that still run", wick_server_active(s));
}

static void base_url(const wick_server_config *c, uint16_t port, char *dst, size_t cap)
{
    const bool v6 = strchr(c->host, ':') != NULL;
    snprintf(dst, cap, "%s://%s%s%s:%u", c->tls_cert ? "https" : "http", v6 ? "[" : "", c->host, v6 ? "]" : "", port);
}

static void print_mcp(const wick_server_config *c, uint16_t port)
{
    char url[320];
    base_url(c, port, url, sizeof url);
    printf("wick: MCP on %s/mcp\n", url);
}

/* The tools that the server runs itself: those of server.yaml, of --tools, and with --enable-tools alone the harmless
 * ones. */
static wick_status open_tools(wick_toolfiles *f, wick_server_config *c, const wick_args *a, wick_err *err)
{
    wick_toolbox *box = NULL;
    if (a->enable_tools) c->tools_by_default = true;
    if (json_object_size(c->tool_file) > 0) {
        char *folder = wick_strndup(a->config, (size_t)(wick_path_base(a->config) - a->config));
        const wick_status st =
            wick_toolfile_open_json(&box, c->tool_file, folder && *folder ? folder : NULL, true, err);
        wick_free(folder);
        WICK_TRY(st);
        WICK_TRY(wick_toolfiles_add(f, box, err));
    }
    if (a->tool_file) {
        WICK_TRY(wick_toolfile_open(&box, a->tool_file, true, err));
        WICK_TRY(wick_toolfiles_add(f, box, err));
    }
    if (a->enable_tools && !f->tools) {
        WICK_TRY(wick_toolfile_open(&box, "{\"builtin\": {\"calculate\": true, \"time\": true}}", true, err));
        WICK_TRY(wick_toolfiles_add(f, box, err));
    }
    c->tools = f->tools;
    return WICK_OK;
}

static wick_status run_serve(const wick_args *a, wick_err *err)
{
    wick_server_config c;
    wick_server *s = NULL;
    wick_toolfiles tools = {0};
    wick_sh_tool shell = {0};
    bool has_shell = false;
    struct sigaction act = {.sa_handler = on_signal};
    const double t0 = wick_time_ms();
    wick_server_config_init(&c);
    wick_log_set(log_line, NULL, a->verbose ? WICK_LOG_INFO : WICK_LOG_WARN);
    wick_status st = make_config(&c, a, err);
    if (st != WICK_OK) goto done;
    c.engine_defaults.progress.fn = NULL;
    for (uint32_t i = 0; i < c.n_model; i++) c.model[i].engine.progress.fn = NULL;
    signal(SIGPIPE, SIG_IGN); /* of programs that are tools */
    WICK_TRY_GOTO(open_tools(&tools, &c, a, err));
    has_shell = c.mcp || c.mcp_own_port;
    if (has_shell && wick_sh_tool_open(&shell, a)) {
        c.shell = wick_sh_tool_ask;
        c.shell_ctx = &shell;
    }
    n_signals = 0;
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGINT, &act, NULL);
    WICK_TRY_GOTO(wick_server_new(&s, &c, err));
    WICK_TRY_GOTO(wait_ready(s, &c, err));
    char url[320];
    base_url(&c, wick_server_port(s), url, sizeof url);
    printf("wick: serving %s on %s/v1 after %.0f ms\n", c.n_model == 1 ? c.model[0].id : "models", url,
           wick_time_ms() - t0);
    if (c.tools) printf("wick: %zu tools%s\n", wick_toolset_n(c.tools), c.tools_by_default ? ", for every chat" : "");
    if (c.mcp) print_mcp(&c, wick_server_port(s));
    if (c.mcp_own_port) print_mcp(&c, wick_server_mcp_port(s));
    fflush(stdout);
    run_until_signal(s, &c);
done:
    wick_server_free(s);
    if (has_shell) wick_sh_tool_close(&shell);
    wick_toolfiles_close(&tools);
    wick_log_set(NULL, NULL, WICK_LOG_WARN);
    wick_server_config_release(&c);
    return st;
}

static wick_status run_mlx(const wick_args *a, wick_err *err)
{
    wick_args with = *a;
    with.backend = "mlx";
    return run_serve(&with, err);
}

#define AT(member) offsetof(wick_args, member)
static const wick_opt server_opts[] = {
    {"host", 0, WICK_OPT_STR, "ADDRESS", "address to listen on (default 127.0.0.1; others need a key)", AT(host), 0, 0,
     NULL, "WICK_HOST", 0},
    {"port", 0, WICK_OPT_U32, "N", "port (default 11535; 0: a free one)", AT(port), 0, 65535, NULL, "WICK_PORT",
     AT(seen_port)},
    {"config", 0, WICK_OPT_STR, "FILE", "server.yaml: models, keys, limits; see docs/SERVER.md", AT(config), 0, 0, NULL,
     "WICK_CONFIG", 0},
    {"model", 'm', WICK_OPT_STR, "MODEL", "the model, instead of the operand", AT(model), 0, 0, NULL, NULL, 0},
    {"id", 0, WICK_OPT_STR, "NAME", "what clients call the first model (default: its folder or name)", AT(id), 0, 0,
     NULL, NULL, 0},
    {"api-key-file", 0, WICK_OPT_STR, "FILE", "API keys, one per line, readable by the owner only; also WICK_API_KEY",
     AT(api_key_file), 0, 0, NULL, "WICK_API_KEY_FILE", 0},
    {"strict-model", 0, WICK_OPT_FLAG, NULL, "a single model answers to its own name only", AT(strict_model), 0, 0,
     NULL, NULL, 0},
    {"no-key-needed", 0, WICK_OPT_FLAG, NULL, "listen beyond this machine without a key", AT(no_key_needed), 0, 0, NULL,
     NULL, 0},
    {"allow-host", 0, WICK_OPT_LIST, "NAME", "one more name that the Host header may have; may be repeated",
     AT(allow_host), 0, 0, NULL, NULL, 0},
    {"cors-origin", 0, WICK_OPT_LIST, "ORIGIN", "web pages of this origin may call; may be repeated", AT(cors_origin),
     0, 0, NULL, NULL, 0},
    {"tools", 0, WICK_OPT_STR, "FILE", "tools that the server runs for chats that ask for them; see docs/MCP.md",
     AT(tool_file), 0, 0, NULL, NULL, 0},
    {"enable-tools", 0, WICK_OPT_FLAG, NULL, "... for all chats; without a file: calculate and time", AT(enable_tools),
     0, 0, NULL, NULL, 0},
    {"mcp", 0, WICK_OPT_FLAG, NULL, "offer the models over the Model Context Protocol too, at /mcp", AT(mcp), 0, 0,
     NULL, NULL, 0},
    {"mcp-port", 0, WICK_OPT_U32, "N", "the same on a port of its own (0: a free one)", AT(mcp_port), 0, 65535, NULL,
     NULL, AT(seen_mcp_port)},
    {"model-dir", 0, WICK_OPT_LIST, "DIR", "wick admin load may take models from here too; may be repeated",
     AT(model_dir), 0, 0, NULL, NULL, 0},
    {"tls-cert", 0, WICK_OPT_STR, "FILE", "certificate chain (PEM): serve https", AT(tls_cert), 0, 0, NULL, NULL, 0},
    {"tls-key", 0, WICK_OPT_STR, "FILE", "its private key (PEM)", AT(tls_key), 0, 0, NULL, NULL, 0},
    {"max-seqs", 0, WICK_OPT_U32, "N", "requests decoded together, if memory allows (default 128)", AT(max_seqs), 0,
     4096, NULL, NULL, 0},
    {"max-queue", 0, WICK_OPT_U32, "N", "requests that wait while --max-seqs others run; beyond it: 429 (default 256)",
     AT(max_queue), 1, 100000, NULL, NULL, AT(seen_max_queue)},
    {"drain-timeout", 0, WICK_OPT_U32, "S", "seconds that running requests get on SIGTERM (default 30)",
     AT(drain_timeout), 0, 86400, NULL, NULL, AT(seen_drain_timeout)},
    {"no-prefix-cache", 0, WICK_OPT_FLAG, NULL, "do not reuse the KV of common beginnings of prompts",
     AT(no_prefix_cache), 0, 0, NULL, NULL, 0},
    {"mlx-device", 0, WICK_OPT_STR, "NAME", "mlx: auto, cpu or gpu", AT(mlx_device), 0, 0, "auto|cpu|gpu", NULL, 0},
};
static const wick_opt_group server_group = {"Server", server_opts, sizeof server_opts / sizeof *server_opts};

const wick_command wick_cmd_serve = {
    .name = "serve",
    .operands = "[MODEL...]",
    .min_operands = 0,
    .max_operands = 32,
    .summary = "serve models over HTTP, as OpenAI's API",
    .about = "Prints one line with the URL when it is ready. Without a key it listens on this machine only. The first\n"
             "SIGTERM or Ctrl-C finishes what runs, the second one stops at once. docs/API.md lists the routes,\n"
             "docs/SERVER.md explains server.yaml, keys, limits and deployment.",
    .examples = "wick serve MODEL\ton http://127.0.0.1:11535/v1\nWICK_API_KEY=$(cat key) wick serve MODEL --host "
                "0.0.0.0\tfor others too\nwick serve --config server.yaml\tseveral models",
    .group = {&server_group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_serve,
};

const wick_command wick_cmd_mlx = {
    .name = "mlx",
    .operands = "[MODEL...]",
    .min_operands = 0,
    .max_operands = 32,
    .summary = "wick serve with --backend mlx",
    .about = "The same as wick serve --backend mlx.",
    .examples = "wick mlx -m mlx-community/NAME --port 1234 --mlx-device auto --mlx-lazy-eval true\tas mlx_lm.server",
    .group = {&server_group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_mlx,
};
