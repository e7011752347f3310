/* convert/convert.c - the order of a conversion: open, decide, write, commit. */
#include "convert/convert.h"

#include <string.h>

#include "base/str.h"
#include "convert/convert_int.h"

static const char *const target_names[] = {"MLX", "HF", "NPZ", "GGUF"};

/* What cannot be done, said before anything is read. */
static wick_status check(const wick_convert_job *j, wick_err *err)
{
    const wick_convert_opts *o = j->opts;
    bool from_gguf = j->model.tensors.format == WICK_GGUF, to_gguf = o->to == WICK_TO_GGUF;
    char name[32];
    if (wick_convert_renames(j) && !wick_convert_can_rename(&j->model.config))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, j->model.path,
                         "%s: %s models are not converted %s GGUF so far: convert it to %s", j->model.path,
                         j->model.config.model_type, from_gguf ? "from" : "to", from_gguf ? "gguf" : "mlx, hf or npz");
    if (!from_gguf && !j->model.config.json)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, j->model.path, "%s: it has no config.json", j->model.path);
    if (!o->recipe) return WICK_OK;
    wick_encoding e = o->recipe->base.enc;
    bool fits = e == WICK_ENC_PLAIN || (e == WICK_ENC_BLOCK ? to_gguf : !to_gguf && o->to != WICK_TO_HF);
    if (fits) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "type", "%s has no %s: %s", target_names[o->to],
                     wick_quant_name(&o->recipe->base, name, sizeof name),
                     e == WICK_ENC_BLOCK ? "Q types belong to --to gguf"
                                         : "AFQ, MXFP and NVFP belong to --to mlx or npz");
}

/* Forms of other programs that only the plan's reader understands. */
static wick_status check_packing(const wick_convert_job *j, wick_err *err)
{
    static const char *const foreign[] = {".qweight", ".weight_packed", ".weight_scale_inv", ".weight_scale"};
    const wick_tensor_dir *d = &j->model.tensors;
    for (uint32_t i = 0; i < d->n_tensors; i++)
        for (size_t k = 0; k < sizeof foreign / sizeof *foreign; k++)
            if (wick_ends_with(d->tensor[i].name, foreign[k]))
                return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, d->tensor[i].name,
                                 "%s: tensor %s: AWQ, GPTQ, fp8 and compressed-tensors can be run, not converted: "
                                 "convert the original model",
                                 j->model.path, d->tensor[i].name);
    return WICK_OK;
}

static wick_status plan_items(wick_convert_job *j, wick_err *err)
{
    const wick_tensor_dir *d = &j->model.tensors;
    WICK_TRY(wick_convert_find_matrices(j, err));
    j->cap = 3 * d->n_tensors + 8;
    j->item = wick_arena_array(&j->arena, j->cap, sizeof *j->item);
    j->tensor = wick_arena_array(&j->arena, j->cap, sizeof *j->tensor);
    if (!j->item || !j->tensor) return wick_err_oom(err, "the list of tensors", 0, 0);
    if (wick_convert_renames(j)) return wick_convert_rename(j, err);
    for (uint32_t i = 0; i < d->n_tensors; i++)
        if (!j->used[i]) WICK_TRY(wick_convert_add(j, &d->tensor[i], d->tensor[i].name, err));
    return WICK_OK;
}

static wick_status open_writer(wick_convert_job *j, wick_err *err)
{
    static const wick_container formats[] = {WICK_SAFETENSORS, WICK_SAFETENSORS, WICK_NPZ, WICK_GGUF};
    wick_write_opts w = {.format = formats[j->opts->to],
                         .folder = j->staging.folder,
                         .file = j->opts->to == WICK_TO_NPZ ? "weights.npz" : "model.gguf",
                         .part_bytes = j->opts->part_bytes,
                         .origin = j->opts->to == WICK_TO_MLX ? "mlx" : "pt",
                         .keys = &j->keys};
    if (j->opts->to == WICK_TO_GGUF) WICK_TRY(wick_convert_keys(j, err));
    uint64_t total = 0;
    for (uint32_t i = 0; i < j->n_tensors; i++) {
        wick_tensor *t = &j->tensor[i];
        uint64_t n = 0;
        if (wick_dtype_bytes(t->dtype, wick_tensor_count(t), &n)) total += n;
    }
    WICK_TRY(wick_staging_room(&j->staging, total, err));
    return wick_tensor_writer_open(&j->writer, &w, j->tensor, j->n_tensors, err);
}

static void count(wick_convert_job *j)
{
    wick_convert_report *r = &j->report;
    uint64_t bytes = 0, values = 0;
    for (uint32_t i = 0; i < j->model.tensors.n_tensors; i++) r->n_in_bytes += j->model.tensors.tensor[i].n_bytes;
    for (uint32_t i = 0; i < j->n_items; i++) {
        const wick_convert_item *it = &j->item[i];
        values += it->n_values;
        for (uint32_t k = 0; k < it->n_outs; k++) {
            r->n_out_bytes += j->tensor[it->out + k].n_bytes;
            if (it->matrix) bytes += j->tensor[it->out + k].n_bytes;
        }
    }
    r->n_tensors = j->n_tensors;
    r->bits_per_weight = values ? 8.0 * (double)bytes / (double)values : 0;
}

wick_status wick_convert(const char *in, const char *out, const wick_convert_opts *o, wick_convert_report *report,
                         wick_err *err)
{
    wick_convert_job j = {.opts = o, .staging = {.fd = -1}};
    wick_status st = WICK_OK;
    wick_arena_init(&j.arena, 0);
    WICK_TRY_GOTO(wick_model_open(&j.model, in, err));
    WICK_TRY_GOTO(check(&j, err));
    WICK_TRY_GOTO(check_packing(&j, err));
    WICK_TRY_GOTO(plan_items(&j, err));
    WICK_TRY_GOTO(wick_staging_begin(&j.staging, out, o->replace, err));
    WICK_TRY_GOTO(open_writer(&j, err));
    WICK_TRY_GOTO(wick_convert_run(&j, err));
    WICK_TRY_GOTO(wick_tensor_writer_finish(j.writer, err));
    if (o->to != WICK_TO_GGUF) WICK_TRY_GOTO(wick_convert_folder(&j, err));
    if (wick_convert_renames(&j)) WICK_TRY_GOTO(wick_convert_check(&j, err));
    WICK_TRY_GOTO(wick_staging_commit(&j.staging, o->to == WICK_TO_GGUF ? "model.gguf" : NULL, err));
    count(&j);
    if (report) *report = j.report;
done:
    wick_tensor_writer_free(j.writer);
    wick_staging_drop(&j.staging);
    wick_gguf_keys_release(&j.keys);
    wick_model_close(&j.model);
    wick_arena_release(&j.arena);
    return st;
}
