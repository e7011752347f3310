/* cli/cmd_cache.c - `wick cache`: packed weights that earlier starts have kept (backend/pack_cache.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "backend/pack_cache.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "engine/kv_store.h"
#include "cli/session.h"
#include "cli/term.h"

/* NAME is a name from the list, with or without .pack, or the path of a model (folder or file). */
static bool is_named(const wick_pack_info *i, const char *arg)
{
    size_t n = strlen(arg);
    if (n >= 8 && strncmp(i->name, arg, n) == 0) return true;
    char *path = realpath(arg, NULL);
    n = path ? strlen(path) : 0;
    bool same = n > 1 && strncmp(i->model, path, n) == 0 && (i->model[n] == '\0' || i->model[n] == '/');
    free(path);
    return same;
}

static bool is_chosen(const wick_args *a, const wick_pack_info *i)
{
    for (uint32_t k = 1; k < a->n_operands; k++)
        if (is_named(i, a->operand[k])) return true;
    return a->n_operands == 1;
}

static json_t *info_json(const wick_pack_info *i)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(i->name));
    json_object_set_new(o, "model", *i->model ? wick_json_text(i->model, strlen(i->model)) : json_null());
    json_object_set_new(o, "bytes", json_integer((json_int_t)i->n_bytes));
    json_object_set_new(o, "used", json_integer((json_int_t)i->used));
    json_object_set_new(o, "state", json_string(i->state));
    return o;
}

static void print_row(const wick_pack_info *i)
{
    char size[32], used[32] = "?", model[1200];
    time_t t = (time_t)i->used;
    struct tm tm;
    if (localtime_r(&t, &tm)) strftime(used, sizeof used, "%Y-%m-%d %H:%M", &tm);
    wick_escape_line(model, sizeof model, i->model, strlen(i->model));
    printf("%.12s  %10s  %s  %-28s %s\n", i->name, wick_format_bytes(size, sizeof size, i->n_bytes), used, i->state,
           *model ? model : "?");
}

/* One row for each file chosen, or one JSON object for all. */
static wick_status print_list(const wick_args *a, const wick_pack_list *l, wick_err *err)
{
    char size[32], folder[1200];
    if (a->json) {
        json_t *out = json_object(), *list = json_array();
        for (uint32_t i = 0; i < l->n; i++)
            if (is_chosen(a, &l->item[i])) json_array_append_new(list, info_json(&l->item[i]));
        json_object_set_new(out, "folder", wick_json_text(a->cache_dir, strlen(a->cache_dir)));
        json_object_set_new(out, "bytes", json_integer((json_int_t)l->n_bytes));
        json_object_set_new(out, "limit_bytes", json_integer((json_int_t)a->pack_cache_limit));
        json_object_set_new(out, "files", list);
        return wick_print_json(out, err);
    }
    wick_escape_line(folder, sizeof folder, a->cache_dir, strlen(a->cache_dir));
    if (l->n == 0) {
        printf("%s: nothing is kept\n", folder);
        return WICK_OK;
    }
    printf("%-12s  %10s  %-16s  %-28s %s\n", "NAME", "SIZE", "USED", "STATE", "MODEL");
    for (uint32_t i = 0; i < l->n; i++)
        if (is_chosen(a, &l->item[i])) print_row(&l->item[i]);
    printf("%s in %s\n", wick_format_bytes(size, sizeof size, l->n_bytes), folder);
    return WICK_OK;
}

static wick_status clear(const wick_args *a, const wick_pack_list *l, wick_err *err)
{
    char size[32];
    uint64_t bytes = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < l->n; i++) {
        if (!is_chosen(a, &l->item[i])) continue;
        WICK_TRY(wick_pack_remove(a->cache_dir, l->item[i].name, err));
        bytes += l->item[i].n_bytes;
        n++;
    }
    if (a->n_operands == 1) wick_pack_sweep(a->cache_dir);
    if (a->json) {
        json_t *out = json_object();
        json_object_set_new(out, "removed", json_integer(n));
        json_object_set_new(out, "bytes", json_integer((json_int_t)bytes));
        return wick_print_json(out, err);
    }
    printf("removed %u file%s, %s\n", n, n == 1 ? "" : "s", wick_format_bytes(size, sizeof size, bytes));
    return WICK_OK;
}

/* Reads everything; a file that is wrong makes the command fail, after all have been looked at. */
static wick_status verify(const wick_args *a, wick_pack_list *l, wick_err *err)
{
    wick_status worst = WICK_OK;
    for (uint32_t i = 0; i < l->n; i++) {
        wick_err why = {0};
        wick_pack_info *info = &l->item[i];
        if (!is_chosen(a, info) || strcmp(info->state, "ok") != 0) continue;
        wick_status st = wick_pack_verify(a->cache_dir, info->name, &why);
        if (st == WICK_OK) continue;
        snprintf(info->state, sizeof info->state, "damaged");
        worst = st;
        if (err) *err = why;
    }
    WICK_TRY(print_list(a, l, worst == WICK_OK ? err : NULL));
    if (!a->json || worst == WICK_OK || !err) return worst;
    wick_notice("wick: %s", err->message); /* the list is the one document on standard output, and says "damaged" */
    wick_exit_with((int)worst);
    return WICK_OK;
}

/* `wick cache kv list|clear`: conversations' KV. */
static wick_status run_kv(const wick_args *a, wick_err *err)
{
    const char *what = a->n_operands > 1 ? a->operand[1] : "list";
    char size[32], limit[32], folder[1200];
    uint64_t n = 0, bytes = 0;
    bool remove = strcmp(what, "clear") == 0;
    if (!a->kv_dir)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "kv-dir", "no KV is kept: name its folder with --kv-dir DIR");
    if (a->n_operands > 2 || (!remove && strcmp(what, "list") != 0))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "wick cache kv %s: there is list and clear", what);
    WICK_TRY(wick_kv_folder_each(a->kv_dir, remove, &n, &bytes, err));
    if (a->json) {
        json_t *out = json_object();
        json_object_set_new(out, "folder", wick_json_text(a->kv_dir, strlen(a->kv_dir)));
        json_object_set_new(out, remove ? "removed" : "files", json_integer((json_int_t)n));
        json_object_set_new(out, "bytes", json_integer((json_int_t)bytes));
        json_object_set_new(out, "limit_bytes", json_integer((json_int_t)a->kv_disk_bytes));
        return wick_print_json(out, err);
    }
    wick_escape_line(folder, sizeof folder, a->kv_dir, strlen(a->kv_dir));
    wick_format_bytes(size, sizeof size, bytes);
    if (remove)
        printf("removed %llu file%s, %s\n", (unsigned long long)n, n == 1 ? "" : "s", size);
    else
        printf("%llu file%s, %s of %s in %s\n", (unsigned long long)n, n == 1 ? "" : "s", size,
               a->kv_disk_bytes ? wick_format_bytes(limit, sizeof limit, a->kv_disk_bytes) : "any size", folder);
    return WICK_OK;
}

static wick_status run_cache(const wick_args *a, wick_err *err)
{
    const char *what = a->operand[0];
    wick_pack_list l;
    wick_status st;
    if (strcmp(what, "kv") == 0) return run_kv(a, err);
    if (!a->cache_dir)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "pack-cache",
                         "no packed weights are kept: name their folder with --pack-cache DIR");
    if (strcmp(what, "list") != 0 && strcmp(what, "clear") != 0 && strcmp(what, "verify") != 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, what, "wick cache %s: there is list, clear, verify, kv", what);
    WICK_TRY(wick_pack_list_read(&l, a->cache_dir, err));
    if (*what == 'l')
        st = print_list(a, &l, err);
    else
        st = *what == 'c' ? clear(a, &l, err) : verify(a, &l, err);
    wick_pack_list_free(&l);
    return st;
}

const wick_command wick_cmd_cache = {
    .name = "cache",
    .operands = "list|clear|verify|kv [NAME...]",
    .min_operands = 1,
    .max_operands = 32,
    .summary = "the packed weights and the KV that are kept on this disk",
    .about =
        "The CPU backend packs the weights of a model for its kernels. For models of 64 MiB and more it keeps the "
        "result, so that\nthe next start takes a fraction of a second. A file that is damaged, or whose model has "
        "changed, is packed anew by itself.\n"
        "list shows what is kept, clear removes it (all, or of the models named), verify reads it all and compares "
        "checksums:\nexit code 5 if one is wrong. NAME is a name from the list or the path of a model.\n"
        "kv list says how much KV of conversations is kept, kv clear removes it.",
    .examples = "wick cache list\t\nwick cache clear ~/models/big.gguf\tof one model\nwick cache verify --json\t\n"
                "wick cache kv clear\t",
    .group = {&wick_opts_cache, &wick_opts_common},
    .run = run_cache,
};
