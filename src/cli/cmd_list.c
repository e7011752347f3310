/* cli/cmd_list.c - `wick list`: the models of this disk as people look at them: name, size, when they were used, where
 * they are. */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

/* "now", "5 minutes ago", "3 days ago" */
static void format_age(char *dst, size_t cap, int64_t used, int64_t now)
{
    static const struct {
        int64_t seconds;
        const char *name;
    } unit[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"},
                {86400, "day"},        {3600, "hour"},        {60, "minute"}};
    const int64_t age = now - used;
    if (used <= 0) {
        snprintf(dst, cap, "?");
        return;
    }
    snprintf(dst, cap, "now");
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++) {
        const long long n = (long long)(age / unit[i].seconds);
        if (n < 1) continue;
        snprintf(dst, cap, "%lld %s%s ago", n, unit[i].name, n == 1 ? "" : "s");
        return;
    }
}

static json_t *text_or_null(const char *s)
{
    return s ? wick_json_text(s, strlen(s)) : json_null();
}

static json_t *as_json(const wick_found *f)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", text_or_null(f->name));
    json_object_set_new(o, "bytes", json_integer((json_int_t)f->n_bytes));
    json_object_set_new(o, "format", text_or_null(f->format));
    json_object_set_new(o, "quantization", text_or_null(f->quantization));
    json_object_set_new(o, "model_type", text_or_null(f->model_type));
    json_object_set_new(o, "source", text_or_null(f->source));
    json_object_set_new(o, "path", text_or_null(f->path));
    json_object_set_new(o, "used", f->used > 0 ? json_integer((json_int_t)f->used) : json_null());
    return o;
}

static bool is_asked_for(const wick_args *a, const wick_found *f)
{
    bool any = a->n_operands == 0;
    for (uint32_t i = 0; i < a->n_operands && !any; i++) any = strcasestr(f->name, a->operand[i]) != NULL;
    return any;
}

static wick_status run_list(const wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_found_list l;
    json_t *list = a->json ? json_array() : NULL;
    uint32_t shown = 0;
    const int64_t now = (int64_t)time(NULL);
    wick_discover_opts_from(&o, a);
    wick_status st = wick_discover(&l, &o, err);
    if (st != WICK_OK) {
        json_decref(list);
        return st;
    }
    for (uint32_t i = 0; i < l.n; i++) {
        char name[200], size[32], used[48];
        const wick_found *f = &l.item[i];
        if (!is_asked_for(a, f)) continue;
        if (list) {
            json_array_append_new(list, as_json(f));
            continue;
        }
        wick_escape_line(name, sizeof name, f->name, strlen(f->name));
        if (a->names) {
            puts(name);
            continue;
        }
        if (shown++ == 0)
            printf("%-48s %10s  %-11s %-8s %-15s %s\n", "NAME", "SIZE", "FORMAT", "QUANT", "USED", "WHERE");
        format_age(used, sizeof used, f->used, now);
        printf("%-48s %10s  %-11s %-8s %-15s %s\n", name, wick_format_bytes(size, sizeof size, f->n_bytes), f->format,
               f->quantization ? f->quantization : "-", used, f->source);
    }
    if (list) {
        json_t *out = json_object();
        json_object_set_new(out, "models", list);
        st = wick_print_json(out, err);
    } else if (shown == 0 && !a->names) {
        wick_notice(
            a->n_operands
                ? "No model with such a name is here."
                : "No models are here. wick pull ORG/NAME downloads one; wick discover DIR looks into a folder.");
    }
    wick_found_list_free(&l);
    return st;
}

static const wick_opt opts[] = {
    {"names", 0, WICK_OPT_FLAG, NULL, "names only, one a line", offsetof(wick_args, names), 0, 0, NULL, NULL, 0},
    {"format", 0, WICK_OPT_STR, "NAME", "only npz, gguf or safetensors", offsetof(wick_args, format), 0, 0,
     "npz|gguf|safetensors", NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_list = {
    .name = "list",
    .operands = "[TEXT...]",
    .max_operands = 32,
    .summary = "the models on this disk, with size and last use (also ls)",
    .about = "Of the Hugging Face cache, LM Studio, Ollama, ./models, ~/models and Wick itself; with TEXT those whose "
             "name contains it.\n"
             "Every NAME can be used as MODEL. wick discover shows their paths, and looks into other folders.",
    .examples = "wick list\t\nwick ls qwen\tthose with qwen in their name\nwick list --json\tfor scripts",
    .group = {&group, &wick_opts_common},
    .run = run_list,
};
