/* cli/cmd_config.c - `wick quickstart` writes a server.yaml; `wick config` checks one, and prints the server's
 * tables. */
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"
#include "server/server.h"

static wick_status run_quickstart(const wick_args *a, wick_err *err)
{
    const char *path = a->out_file ? a->out_file : "server.yaml", *names[8];
    uint32_t n = 0;
    wick_found_list found = {0};
    wick_discover_opts d;
    wick_buf text = WICK_BUF_INIT;
    const char *backend = strcmp(a->backend, "auto") == 0 ? "cpu" : a->backend;
    wick_status st = WICK_OK;
    if (wick_path_exists(path) && !a->force)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, path, "%s exists already; --force overwrites it", path);
    for (; n < a->n_operands && n < 8; n++) names[n] = a->operand[n];
    if (n == 0) {
        wick_discover_opts_from(&d, a);
        WICK_TRY(wick_discover(&found, &d, err));
        for (uint32_t i = 0; i < found.n && n < 8; i++)
            if (strcmp(backend, "mlx") != 0 || strcmp(found.item[i].format, "gguf") != 0)
                names[n++] = found.item[i].path;
    }
    WICK_TRY_GOTO(wick_server_config_sample(&text, backend, names, n, err));
    WICK_TRY_GOTO(wick_file_write(path, text.data, text.n, err));
    printf("wrote %s with %u models. Next: wick serve --config %s\n", path, n, path);
done:
    wick_buf_release(&text);
    wick_found_list_free(&found);
    return st;
}

static wick_status check_file(const wick_args *a, const char *path, wick_err *err)
{
    wick_server_config c;
    wick_server_config_init(&c);
    wick_discover_opts_from(&c.discover, a);
    c.discover.hub = NULL; /* it says what is there, and fetches nothing */
    wick_status st = wick_server_config_load(&c, path, err);
    if (st == WICK_OK && a->api_key && *a->api_key)
        st = wick_server_config_add_key(&c, "WICK_API_KEY", a->api_key, WICK_SCOPE_ALL, NULL, err);
    if (st == WICK_OK) st = wick_server_config_check(&c, err);
    for (uint32_t i = 0; i < c.n_model && st == WICK_OK; i++) {
        char *found;
        st = wick_resolve_model(&found, c.model[i].path, &c.discover, err);
        if (st != WICK_OK)
            wick_err_prefix(err, "models[%u]", i);
        else
            wick_free(found);
    }
    if (st == WICK_OK) printf("%s: fine: %u models, %u keys, %s:%u\n", path, c.n_model, c.n_key, c.host, c.port);
    wick_server_config_release(&c);
    return st;
}

static wick_status run_config(const wick_args *a, wick_err *err)
{
    const char *what = a->operand[0];
    wick_buf b = WICK_BUF_INIT;
    if (strcmp(what, "check") == 0) return check_file(a, a->n_operands > 1 ? a->operand[1] : "server.yaml", err);
    if (strcmp(what, "limits") == 0)
        wick_server_describe_limits(&b);
    else if (strcmp(what, "routes") == 0)
        wick_server_describe_routes(&b);
    else if (strcmp(what, "parameters") == 0)
        wick_server_describe_parameters(&b);
    else
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what,
                         "wick config %s: there is check FILE, limits, routes, parameters", what);
    fputs(wick_buf_str(&b), stdout);
    wick_buf_release(&b);
    return WICK_OK;
}

#define AT(member) offsetof(wick_args, member)
static const wick_opt quick_opts[] = {
    {"out", 'o', WICK_OPT_STR, "FILE", "where to write (default server.yaml)", AT(out_file), 0, 0, NULL, NULL, 0},
    {"force", 0, WICK_OPT_FLAG, NULL, "overwrite the file", AT(force), 0, 0, NULL, NULL, 0},
    {"backend", 0, WICK_OPT_STR, "NAME", "cpu (default) or mlx", AT(backend), 0, 0, "auto|cpu|mlx", "WICK_BACKEND", 0},
};
static const wick_opt_group quick_group = {"Options", quick_opts, sizeof quick_opts / sizeof *quick_opts};

const wick_command wick_cmd_quickstart = {
    .name = "quickstart",
    .operands = "[MODEL...]",
    .max_operands = 8,
    .summary = "write a server.yaml to start from",
    .about = "With the models named, or those that wick discover finds (at most 8).",
    .examples = "wick quickstart models/wick-shell\t\nwick quickstart --backend mlx\tfor MLX",
    .group = {&quick_group, &wick_opts_common},
    .run = run_quickstart,
};

const wick_command wick_cmd_config = {
    .name = "config",
    .operands = "check|limits|routes|parameters [FILE]",
    .min_operands = 1,
    .max_operands = 2,
    .summary = "check a server.yaml; print the server's tables",
    .about =
        "check FILE reads it as wick serve would and looks for its models. limits, routes and parameters print the\n"
        "tables of docs/API.md.",
    .examples = "wick config check server.yaml\t",
    .group = {&wick_opts_common},
    .run = run_config,
};
