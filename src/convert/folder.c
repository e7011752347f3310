/* convert/folder.c - what stands beside the weights of a folder: config.json for the new encoding, and copies of the
 * tokenizer, templates and defaults of generation. */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "convert/convert_int.h"
#include "model/vocab.h"

#define MAX_SIDE_BYTES (256u << 20)

static const char *mode_name(wick_encoding e)
{
    switch (e) {
    case WICK_ENC_MXFP4: return "mxfp4";
    case WICK_ENC_NVFP4: return "nvfp4";
    case WICK_ENC_MXFP8: return "mxfp8";
    default: return "affine";
    }
}

static json_t *form_json(const wick_quant *q)
{
    json_t *o = json_object();
    json_object_set_new(o, "group_size", json_integer(q->group));
    json_object_set_new(o, "bits", json_integer(q->bits));
    json_object_set_new(o, "mode", json_string(mode_name(q->enc)));
    return o;
}

/* The form of the whole, and of every module that has another one. NULL: nothing was encoded. */
static json_t *quantization(const wick_convert_job *j)
{
    const wick_quant *base = j->opts->recipe ? &j->opts->recipe->base : NULL;
    json_t *all = NULL;
    for (uint32_t i = 0; i < j->n_items; i++) {
        const wick_convert_item *it = &j->item[i];
        if (!it->encoded || it->to.enc == WICK_ENC_BLOCK) continue;
        if (!base) base = &it->to;
        if (!all) all = form_json(base);
        if (it->to.enc == base->enc && it->to.bits == base->bits && it->to.group == base->group) continue;
        const char *name = j->tensor[it->out].name;
        char path[512];
        snprintf(path, sizeof path, "%.*s", (int)(strlen(name) - strlen(".weight")), name);
        json_object_set_new(all, path, form_json(&it->to));
    }
    return all;
}

static const char *torch_name(wick_dtype t)
{
    return t == WICK_DTYPE_F32 ? "float32" : t == WICK_DTYPE_F16 ? "float16" : "bfloat16";
}

static wick_status write_config(wick_convert_job *j, wick_err *err)
{
    static const char *const keys[] = {"quantization", "quantization_config"};
    json_t *config = j->model.config.from_gguf ? wick_convert_hf_config(j) : json_deep_copy(j->model.config.json),
           *q = quantization(j);
    bool kept = !j->opts->recipe && (j->opts->to == WICK_TO_MLX || j->opts->to == WICK_TO_NPZ);
    for (int k = 0; k < 2; k++) {
        if (q)
            json_object_set(config, keys[k], q);
        else if (!kept)
            json_object_del(config, keys[k]);
    }
    json_decref(q);
    static const char *const types[] = {"torch_dtype", "dtype"};
    for (int k = 0; k < 2 && j->opts->has_dtype; k++)
        if (json_is_string(json_object_get(config, types[k])))
            json_object_set_new(config, types[k], json_string(torch_name(j->opts->dtype)));
    wick_status st =
        wick_json_save(config, JSON_INDENT(2) | JSON_REAL_PRECISION(17), j->staging.folder, "config.json", err);
    json_decref(config);
    return st;
}

/* Everything but weights, their index, the configuration and programs. */
static bool goes_along(const char *name)
{
    static const char *const endings[] = {".json", ".jinja", ".model", ".txt", ".tiktoken", NULL};
    static const char *const but[] = {"config.json", "params.json", "adapter_config.json", NULL};
    if (wick_ends_with(name, ".index.json")) return false;
    for (int i = 0; but[i]; i++)
        if (strcmp(name, but[i]) == 0) return false;
    for (int i = 0; endings[i]; i++)
        if (wick_ends_with(name, endings[i])) return true;
    return strcmp(name, "LICENSE") == 0;
}

static wick_status copy_file(const char *from, const char *to, wick_err *err)
{
    char *text;
    size_t n;
    WICK_TRY(wick_file_read(from, MAX_SIDE_BYTES, &text, &n, err));
    wick_status st = wick_file_write(to, text, n, err);
    wick_free(text);
    return st;
}

wick_status wick_convert_folder(wick_convert_job *j, wick_err *err)
{
    wick_dir_list l = {0};
    wick_status st = WICK_OK;
    char *folder = wick_model_folder(j->model.path);
    if (!folder) return wick_err_oom(err, "a path", 0, 0);
    WICK_TRY_GOTO(write_config(j, err));
    if (j->model.config.from_gguf) { /* the folder of a GGUF file may hold anything */
        st = wick_convert_hf_tokenizer(j, err);
        goto done;
    }
    WICK_TRY_GOTO(wick_dir_list_read(&l, folder, err));
    for (size_t i = 0; st == WICK_OK && i < l.n; i++) {
        char *from = wick_path_join(folder, l.name[i]), *to = wick_path_join(j->staging.folder, l.name[i]);
        if (!from || !to)
            st = wick_err_oom(err, "a path", 0, 0);
        else if (goes_along(l.name[i]) && wick_path_is_file(from))
            st = copy_file(from, to, err);
        wick_free(from);
        wick_free(to);
    }
done:
    wick_dir_list_free(&l);
    wick_free(folder);
    return st;
}
