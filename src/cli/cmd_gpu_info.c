/* cli/cmd_gpu_info.c - `wick gpu-info`: which backends this build and this machine have, and why not. */
#include <stdio.h>
#include "backend/backend.h"
#include "base/str.h"
#include "base/sys.h"
#include "cli/commands.h"
#include "cli/session.h"

static void probe(const char *name, wick_backend_info *info)
{
    const wick_backend *b = wick_backend_find(name);
    memset(info, 0, sizeof *info);
    if (b)
        b->probe(info);
    else
        snprintf(info->reason, sizeof info->reason, "not in this build: %.200s", wick_backend_remedy(name));
}

static json_t *backend_json(const char *name, const wick_backend_info *info)
{
    json_t *o = json_object(), *devices = json_array();
    json_object_set_new(o, "name", json_string(name));
    json_object_set_new(o, "available", json_boolean(info->available));
    json_object_set_new(o, "reason", *info->reason ? json_string(info->reason) : json_null());
    json_object_set_new(o, "version", *info->version ? json_string(info->version) : json_null());
    for (uint32_t i = 0; i < info->n_devices; i++) {
        const wick_device_info *d = &info->device[i];
        json_t *x = json_object();
        json_object_set_new(x, "name", json_string(d->name));
        json_object_set_new(x, "kind", json_string(d->kind));
        json_object_set_new(x, "memory_bytes", json_integer((json_int_t)d->memory_bytes));
        json_object_set_new(x, "memory_free_bytes", json_integer((json_int_t)d->memory_free_bytes));
        json_object_set_new(x, "unified_memory", json_boolean(d->unified_memory));
        if (d->has_use) {
            json_object_set_new(x, "active_bytes", json_integer((json_int_t)d->active_bytes));
            json_object_set_new(x, "peak_bytes", json_integer((json_int_t)d->peak_bytes));
            json_object_set_new(x, "cache_bytes", json_integer((json_int_t)d->cache_bytes));
        }
        json_array_append_new(devices, x);
    }
    json_object_set_new(o, "devices", devices);
    return o;
}

static void print_backend(const char *name, const wick_backend_info *info)
{
    char total[32], left[32], use[3][32];
    printf("%-6s %s%s\n", name, info->available ? "available" : "not available: ", info->reason);
    if (*info->version) printf("       version %s\n", info->version);
    for (uint32_t i = 0; i < info->n_devices; i++) {
        const wick_device_info *d = &info->device[i];
        printf("       %s: %s, memory %s, free %s%s\n", d->kind, d->name,
               wick_format_bytes(total, sizeof total, d->memory_bytes),
               wick_format_bytes(left, sizeof left, d->memory_free_bytes), d->unified_memory ? ", unified" : "");
        if (d->has_use)
            printf("       this process: active %s, peak %s, cache %s\n",
                   wick_format_bytes(use[0], sizeof use[0], d->active_bytes),
                   wick_format_bytes(use[1], sizeof use[1], d->peak_bytes),
                   wick_format_bytes(use[2], sizeof use[2], d->cache_bytes));
    }
}

static wick_status run_gpu_info(const wick_args *a, wick_err *err)
{
    json_t *list = json_array();
    const char *const *known = wick_backend_names;
    for (size_t i = 0; known[i]; i++) {
        wick_backend_info info;
        probe(known[i], &info);
        if (a->json)
            json_array_append_new(list, backend_json(known[i], &info));
        else
            print_backend(known[i], &info);
    }
    if (!a->json) {
        json_decref(list);
        return WICK_OK;
    }
    json_t *o = json_object();
    json_object_set_new(o, "backends", list);
    return wick_print_json(o, err);
}

const wick_command wick_cmd_gpu_info = {
    .name = "gpu-info",
    .operands = "",
    .summary = "what can run models here: backends, devices, memory",
    .examples = "wick gpu-info\twhich backends there are, or why not\nwick gpu-info --json\tfor scripts",
    .group = {&wick_opts_common},
    .run = run_gpu_info,
};
