/* format/write_safetensors.c - safetensors written: one file, or shards with their index. */
#include <stdio.h>

#include "base/json.h"
#include "format/writer_int.h"

#define ALIGN 8u /* of the data; the header is filled up with spaces */

static json_t *entry(const wick_tensor *t, uint64_t at)
{
    const uint64_t end = at + t->n_bytes;
    json_t *o = json_object(), *shape = json_array(), *span = json_array();
    for (uint32_t k = 0; k < t->n_dim; k++) json_array_append_new(shape, json_integer((json_int_t)t->shape[k]));
    json_array_append_new(span, json_integer((json_int_t)at));
    json_array_append_new(span, json_integer((json_int_t)end));
    json_object_set_new(o, "dtype", json_string(wick_dtype_name(t->dtype)));
    json_object_set_new(o, "shape", shape);
    json_object_set_new(o, "data_offsets", span);
    return o;
}

/* The header of file k, and where its tensors begin. */
static wick_status begin_file(wick_tensor_writer *w, uint32_t k, wick_err *err)
{
    const wick_out_file *f = &w->file[k];
    uint64_t at = 0;
    json_t *all = json_object(), *meta = json_object();
    json_object_set_new(meta, "format", json_string(w->opts.origin ? w->opts.origin : "pt"));
    json_object_set_new(all, "__metadata__", meta);
    for (uint32_t i = f->first; i < f->first + f->n; i++) {
        w->at[i] = at;
        json_object_set_new(all, w->tensor[i].name, entry(&w->tensor[i], at));
        at += w->tensor[i].n_bytes;
    }
    char *text = json_object_size(all) == f->n + 1u ? json_dumps(all, JSON_COMPACT) : NULL;
    json_decref(all);
    if (!text) return wick_err_oom(err, "the header", 0, 0);
    uint64_t n = strlen(text), padded = (n + ALIGN - 1) / ALIGN * ALIGN;
    uint8_t size[8];
    for (unsigned i = 0; i < 8; i++) size[i] = (uint8_t)(padded >> (8 * i));
    wick_status st = wick_out_put(w, k, 0, size, sizeof size, err);
    if (st == WICK_OK) st = wick_out_put(w, k, 8, text, n, err);
    if (st == WICK_OK) st = wick_out_put(w, k, 8 + n, "       ", padded - n, err);
    wick_free(text);
    for (uint32_t i = f->first; i < f->first + f->n; i++) w->at[i] += 8 + padded;
    return st;
}

wick_status wick_safetensors_begin(wick_tensor_writer *w, wick_err *err)
{
    for (uint32_t k = 0; k < w->n_files; k++) {
        char name[64] = "model.safetensors";
        if (w->n_files > 1)
            snprintf(name, sizeof name, "model-%05u-of-%05u.safetensors", (unsigned)(k + 1), (unsigned)w->n_files);
        WICK_TRY(wick_out_create(w, k, name, err));
        WICK_TRY(begin_file(w, k, err));
    }
    return WICK_OK;
}

wick_status wick_safetensors_end(wick_tensor_writer *w, wick_err *err)
{
    uint64_t total = 0;
    json_t *index = json_object(), *meta = json_object(), *map = json_object();
    for (uint32_t i = 0; i < w->n; i++) {
        total += w->tensor[i].n_bytes;
        json_object_set_new(map, w->tensor[i].name, json_string(wick_path_base(w->file[w->of[i]].path)));
    }
    json_object_set_new(meta, "total_size", json_integer((json_int_t)total));
    json_object_set_new(index, "metadata", meta);
    json_object_set_new(index, "weight_map", map);
    wick_status st =
        wick_json_save(index, JSON_INDENT(4) | JSON_SORT_KEYS, w->opts.folder, "model.safetensors.index.json", err);
    json_decref(index);
    return st;
}
