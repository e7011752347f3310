/* cli/cmd_ps.c - `wick ps`, `stop`: the models of the server that runs on this machine (or at --url). */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

static const char *text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s ? s : "-";
}

static wick_status run_ps(const wick_args *a, wick_err *err)
{
    json_t *v, *shown = json_array();
    WICK_TRY(wick_client_call(a, "GET", "/status", NULL, &v, err));
    const json_t *list = json_object_get(v, "models"), *m;
    size_t i;
    json_array_foreach(list, i, m)
    {
        const char *state = text_of(m, "state");
        if (strcmp(state, "ready") == 0 || strcmp(state, "loading") == 0)
            json_array_append(shown, json_array_get(list, i));
    }
    json_decref(v);
    if (a->json) return wick_print_json(json_pack("{s:o}", "models", shown), err);
    if (json_array_size(shown) == 0) wick_notice("No model is loaded.");
    json_array_foreach(shown, i, m)
    {
        char size[32], name[128], backend[32];
        const char *id = text_of(m, "id"), *b = text_of(m, "backend");
        if (i == 0) printf("%-40s %-9s %-8s %10s %9s %9s\n", "NAME", "STATE", "BACKEND", "SIZE", "RUNNING", "WAITING");
        wick_escape_line(name, sizeof name, id, strlen(id));
        wick_escape_line(backend, sizeof backend, b, strlen(b));
        printf("%-40s %-9.9s %-8s %10s %9lld %9lld\n", name, text_of(m, "state"), backend,
               wick_format_bytes(size, sizeof size, (uint64_t)json_integer_value(json_object_get(m, "bytes"))),
               (long long)json_integer_value(json_object_get(m, "running")),
               (long long)json_integer_value(json_object_get(m, "waiting")));
    }
    json_decref(shown);
    return WICK_OK;
}

static wick_status run_stop(const wick_args *a, wick_err *err)
{
    json_t *v, *body = json_object();
    const char *path = a->n_operands ? "/admin/models/unload" : "/admin/drain";
    if (a->n_operands) json_object_set_new(body, "model", wick_json_text(a->operand[0], strlen(a->operand[0])));
    wick_status st = wick_client_call(a, "POST", path, body, &v, err);
    json_decref(body);
    if (st != WICK_OK) return st;
    if (a->json) return wick_print_json(v, err);
    json_decref(v);
    if (a->n_operands)
        wick_notice("%s is unloaded; the next request for it loads it again", a->operand[0]);
    else
        wick_notice("the server finishes what runs, and ends");
    return WICK_OK;
}

const wick_command wick_cmd_ps = {
    .name = "ps",
    .operands = "",
    .summary = "the models that a running server has loaded",
    .examples = "wick ps\t\nwick ps --json --url http://127.0.0.1:8080\tof another server",
    .group = {&wick_opts_client, &wick_opts_common},
    .run = run_ps,
};

const wick_command wick_cmd_stop = {
    .name = "stop",
    .operands = "[MODEL]",
    .max_operands = 1,
    .summary = "unload a model of a running server, or end the server",
    .about = "With MODEL: its memory is given back once its requests are done. Without: the server takes no new "
             "requests, finishes those\n"
             "that run, and ends.",
    .examples = "wick stop wick-shell\tunload it\nwick stop\tend the server",
    .group = {&wick_opts_client, &wick_opts_common},
    .run = run_stop,
};
