/* cli/cmd_discover.c - `wick discover`: the models that are on this disk. */
#include <stdio.h>
#include "base/json.h"
#include "base/str.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

static json_t *found_json(const wick_found *f)
{
    json_t *o = json_object();
    json_object_set_new(o, "name", wick_json_text(f->name, strlen(f->name)));
    json_object_set_new(o, "path", wick_json_text(f->path, strlen(f->path)));
    json_object_set_new(o, "source", json_string(f->source));
    json_object_set_new(o, "format", json_string(f->format));
    json_object_set_new(o, "model_type",
                        f->model_type ? wick_json_text(f->model_type, strlen(f->model_type)) : json_null());
    json_object_set_new(o, "quantization", f->quantization ? json_string(f->quantization) : json_null());
    json_object_set_new(o, "mlx", json_boolean(f->mlx));
    json_object_set_new(o, "bytes", json_integer((json_int_t)f->n_bytes));
    return o;
}

static void print_row(const wick_found *f)
{
    char size[32], name[160], path[1024], type[64];
    const char *t = f->model_type ? f->model_type : "?";
    wick_escape_line(type, sizeof type, t, strlen(t));
    wick_escape_line(name, sizeof name, f->name, strlen(f->name));
    wick_escape_line(path, sizeof path, f->path, strlen(f->path));
    printf("%-44s %-11s %-12s %-8s %10s  %s\n", name, f->format, type, f->quantization ? f->quantization : "-",
           wick_format_bytes(size, sizeof size, f->n_bytes), path);
}

static wick_status run_discover(const wick_args *a, wick_err *err)
{
    wick_discover_opts o;
    wick_found_list l;
    wick_args own = *a;
    own.paths.item = (const char **)(uintptr_t)a->operand;
    own.paths.n = a->n_operands;
    wick_discover_opts_from(&o, &own);
    WICK_TRY(wick_discover(&l, &o, err));
    wick_status st = WICK_OK;
    if (a->json) {
        json_t *out = json_object(), *list = json_array();
        for (uint32_t i = 0; i < l.n; i++) json_array_append_new(list, found_json(&l.item[i]));
        json_object_set_new(out, "models", list);
        st = wick_print_json(out, err);
    } else if (l.n == 0) {
        wick_notice("No models found. Put a model folder or a .gguf into ./models or ~/models, or name a folder: wick "
                    "discover DIR");
    } else {
        printf("%-44s %-11s %-12s %-8s %10s  %s\n", "NAME", "FORMAT", "TYPE", "QUANT", "SIZE", "PATH");
        for (uint32_t i = 0; i < l.n; i++) print_row(&l.item[i]);
    }
    wick_found_list_free(&l);
    return st;
}

static const wick_opt opts[] = {
    {"format", 0, WICK_OPT_STR, "NAME", "only npz, gguf or safetensors", offsetof(wick_args, format), 0, 0,
     "npz|gguf|safetensors", NULL, 0},
};
static const wick_opt_group group = {"Options", opts, 1};

const wick_command wick_cmd_discover = {
    .name = "discover",
    .operands = "[DIR...]",
    .max_operands = 32,
    .summary = "list the models on this disk",
    .about = "Looks through ./models, ~/models, the Hugging Face cache, LM Studio's and Ollama's folders, and the "
             "folders given.\n"
             "Every NAME and PATH in the list can be used as MODEL.",
    .examples =
        "wick discover --format gguf\tonly GGUF files\nwick discover /mnt/models --json\tanother folder too, as JSON",
    .group = {&group, &wick_opts_common},
    .run = run_discover,
};
