/* convert/items.c - which tensors of the source are matrices, how they are encoded, and what becomes of them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "convert/convert_int.h"

/* --- the matrices of the source ---------------------------------------------------------------------------------- */
typedef struct place {
    const uint8_t *data;
    uint32_t tensor;
} place;

typedef struct finder {
    wick_convert_job *j;
    place *place; /* by address */
} finder;

static int by_address(const void *a, const void *b)
{
    const uint8_t *x = ((const place *)a)->data, *y = ((const place *)b)->data;
    return (x > y) - (x < y);
}

static wick_status note(void *ctx, const wick_weight *w, wick_err *err)
{
    finder *f = ctx;
    const wick_tensor_dir *d = &f->j->model.tensors;
    uint32_t lo = 0, hi = d->n_tensors;
    (void)err;
    if (!w || hi == 0) return WICK_OK;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (f->place[mid].data <= w->data)
            lo = mid;
        else
            hi = mid;
    }
    uint32_t i = f->place[lo].tensor;
    uintptr_t from = (uintptr_t)d->tensor[i].data, at = (uintptr_t)w->data;
    if (at >= from && at - from < d->tensor[i].n_bytes && !f->j->sample[i]) f->j->sample[i] = w;
    return WICK_OK;
}

static bool is_packed(const wick_weight *w)
{
    return w->enc != WICK_ENC_PLAIN && w->enc != WICK_ENC_BLOCK;
}

/* "a.b.weight" -> "a.b.scales" */
static const char *beside(wick_convert_job *j, const char *name, const char *suffix)
{
    size_t n = strlen(name) - strlen(".weight");
    return wick_arena_printf(&j->arena, "%.*s%s", (int)n, name, suffix);
}

static const wick_tensor *find_beside(wick_convert_job *j, const char *name, const char *suffix)
{
    if (!wick_ends_with(name, ".weight")) return NULL;
    const char *other = beside(j, name, suffix);
    const wick_tensor *t = other ? wick_tensor_find(&j->model.tensors, other) : NULL;
    if (t) j->used[t - j->model.tensors.tensor] = true;
    return t;
}

wick_status wick_convert_find_matrices(wick_convert_job *j, wick_err *err)
{
    const wick_tensor_dir *d = &j->model.tensors;
    const wick_plan *p = &j->model.plan;
    const wick_weight *embed = NULL, *head = NULL;
    wick_status st = WICK_OK;
    finder f = {.j = j, .place = wick_alloc_zero(d->n_tensors + 1u, sizeof *f.place)};
    j->sample = wick_arena_array(&j->arena, d->n_tensors + 1u, sizeof *j->sample);
    j->used = wick_arena_array(&j->arena, d->n_tensors + 1u, sizeof *j->used);
    if (!f.place || !j->sample || !j->used) {
        st = wick_err_oom(err, "the list of tensors", 0, 0);
        goto done;
    }
    for (uint32_t i = 0; i < d->n_tensors; i++) f.place[i] = (place){d->tensor[i].data, i};
    qsort(f.place, d->n_tensors, sizeof *f.place, by_address);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const wick_op *op = &p->op[i];
        WICK_TRY_GOTO(wick_op_matrices(op, note, &f, err));
        if (op->kind == WICK_OP_EMBED) WICK_TRY_GOTO(note(&f, embed = op->u.embed.w, err));
        if (op->kind == WICK_OP_PLE) WICK_TRY_GOTO(note(&f, op->u.ple.embed, err));
        if (op->kind == WICK_OP_HEAD) head = op->u.head.w;
    }
    j->tied = embed && head && embed->data == head->data;
    for (uint32_t i = 0; i < d->n_tensors; i++)
        if (j->sample[i] && is_packed(j->sample[i])) {
            (void)find_beside(j, d->tensor[i].name, ".scales");
            (void)find_beside(j, d->tensor[i].name, ".biases");
        }
done:
    wick_free(f.place);
    return st;
}

/* --- what becomes of a tensor ------------------------------------------------------------------------------------ */
static wick_tensor *add_tensor(wick_convert_job *j, const char *name, wick_dtype dtype, const wick_tensor *like,
                               uint64_t last)
{
    wick_tensor *t = &j->tensor[j->n_tensors++];
    *t = (wick_tensor){.name = name, .dtype = dtype, .n_dim = like->n_dim};
    memcpy(t->shape, like->shape, sizeof t->shape);
    if (t->n_dim) t->shape[t->n_dim - 1] = last;
    return t;
}

static uint64_t rows_of(const wick_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t k = 0; k + 1 < t->n_dim; k++) n *= t->shape[k];
    return n;
}

/* The whole tensor as rows of one matrix. False: it is not made of floats. */
static bool as_rows(wick_convert_job *j, const wick_tensor *t, const wick_weight *sample, wick_weight *w)
{
    wick_err ignored;
    uint64_t rows = rows_of(t), last = t->n_dim ? t->shape[t->n_dim - 1] : 1;
    bool packed = sample && is_packed(sample);
    *w = (wick_weight){.name = t->name, .dtype = t->dtype};
    if (packed) {
        w->enc = sample->enc;
        w->dtype = sample->dtype;
        w->bits = sample->bits;
        w->group = sample->group;
        last = last * 32 / sample->bits;
    } else {
        w->enc = wick_dtype_block_elems(t->dtype) > 1 ? WICK_ENC_BLOCK : WICK_ENC_PLAIN;
    }
    if (rows > UINT32_MAX || last > UINT32_MAX) return false;
    w->n_out = (uint32_t)rows;
    w->n_in = (uint32_t)last;
    if (wick_weight_finish(w, &ignored) != WICK_OK) return false;
    w->data = t->data;
    if (!packed) return true;
    const wick_tensor *scales = find_beside(j, t->name, ".scales"), *biases = find_beside(j, t->name, ".biases");
    if (!scales || (w->enc == WICK_ENC_AFFINE && !biases) || scales->n_bytes != rows * w->scale_row_bytes) return false;
    w->scales = scales->data;
    w->biases = biases ? biases->data : NULL;
    w->global_scale = sample->global_scale;
    return true;
}

static void remember(char *list, size_t cap, uint32_t n_before, const char *name)
{
    size_t n = strlen(list);
    if (n + strlen(name) + 8 < cap)
        snprintf(list + n, cap - n, "%s%s", n_before ? ", " : "", name);
    else if (n + 5 < cap && !wick_ends_with(list, "..."))
        snprintf(list + n, cap - n, ", ...");
}

/* The type that floats of t get. */
static wick_dtype float_type(const wick_convert_job *j, const wick_tensor *t, bool matrix)
{
    const wick_convert_opts *o = j->opts;
    if (o->to == WICK_TO_GGUF && !matrix) return WICK_DTYPE_F32; /* what every reader of GGUF expects of vectors */
    if (o->has_dtype) return o->dtype;
    if (j->model.config.from_gguf && o->to != WICK_TO_GGUF) return j->model.plan.act_dtype; /* one type for all */
    return wick_dtype_is_float(t->dtype) ? t->dtype : j->model.plan.act_dtype;
}

/* GGUF's own encoding of a float mode is of other blocks: those matrices are read and written as rows. */
static bool may_stay(const wick_convert_job *j, const wick_weight *w)
{
    switch (j->opts->to) {
    case WICK_TO_MLX:
    case WICK_TO_NPZ: return w->enc != WICK_ENC_BLOCK;
    case WICK_TO_GGUF: return w->enc == WICK_ENC_BLOCK || (w->enc == WICK_ENC_PLAIN && !j->opts->has_dtype);
    case WICK_TO_HF: break;
    }
    return w->enc == WICK_ENC_PLAIN;
}

/* May the bytes be copied? Not between the two families of names, where rows move. */
static void decide_raw(const wick_convert_job *j, wick_convert_item *it, bool same)
{
    it->raw = same && !wick_convert_renames(j);
}

static void choose_form(wick_convert_job *j, const wick_tensor *t, const char *name, wick_convert_item *it)
{
    const wick_convert_opts *o = j->opts;
    wick_convert_report *r = &j->report;
    wick_dtype plain = float_type(j, t, it->matrix);
    bool mlx = o->to == WICK_TO_MLX || o->to == WICK_TO_NPZ;
    bool recoded = it->from.enc != WICK_ENC_PLAIN && may_stay(j, &it->from);
    it->to = (wick_quant){WICK_ENC_PLAIN, plain, 0, 0};
    if (!it->matrix || wick_recipe_is_router(name) || (mlx && !wick_ends_with(name, ".weight"))) {
        decide_raw(j, it, it->from.enc == WICK_ENC_PLAIN ? it->from.dtype == plain : recoded);
        return;
    }
    if (!o->recipe) {
        decide_raw(j, it, recoded || (it->from.enc == WICK_ENC_PLAIN && it->from.dtype == plain));
        return;
    }
    wick_quant want;
    if (!wick_recipe_pick(o->recipe, name, j->model.plan.n_layer, it->from.n_in, j->tied, &want)) {
        decide_raw(j, it, it->from.enc == WICK_ENC_PLAIN && it->from.dtype == plain);
        remember(r->kept, sizeof r->kept, r->n_kept++, name);
        return;
    }
    if (want.enc == WICK_ENC_BLOCK && want.dtype != o->recipe->base.dtype && want.dtype != o->recipe->high.dtype)
        remember(r->narrow, sizeof r->narrow, r->n_narrow++, name);
    if (want.enc == WICK_ENC_AFFINE) want.dtype = plain;
    it->to = want;
    it->encoded = want.enc != WICK_ENC_PLAIN;
    decide_raw(j, it, want.enc == WICK_ENC_PLAIN && it->from.enc == WICK_ENC_PLAIN && it->from.dtype == want.dtype);
    r->n_quantized += it->encoded;
}

/* The item's tensors in the output. */
static wick_status add_outputs(wick_convert_job *j, const wick_tensor *t, const char *name, wick_convert_item *it,
                               wick_err *err)
{
    wick_weight w;
    it->out = j->n_tensors;
    WICK_TRY(wick_quant_shape(&it->to, it->from.n_out, it->from.n_in, &w, err));
    if (it->to.enc == WICK_ENC_PLAIN || it->to.enc == WICK_ENC_BLOCK) {
        add_tensor(j, name, it->to.dtype, t, it->from.n_in);
        it->n_outs = 1;
        return WICK_OK;
    }
    bool affine = it->to.enc == WICK_ENC_AFFINE;
    const char *scales = beside(j, name, ".scales"), *biases = beside(j, name, ".biases");
    if (!scales || !biases) return wick_err_oom(err, "a name", 0, 0);
    uint64_t n_groups = it->from.n_in / it->to.group;
    add_tensor(j, name, WICK_DTYPE_U32, t, w.row_bytes / 4);
    add_tensor(j, scales, affine ? it->to.dtype : WICK_DTYPE_U8, t, n_groups);
    if (affine) add_tensor(j, biases, it->to.dtype, t, n_groups);
    it->n_outs = affine ? 3 : 2;
    return WICK_OK;
}

static void add_raw(wick_convert_job *j, const wick_tensor *t, const char *name)
{
    wick_convert_item *it = &j->item[j->n_items++];
    *it = (wick_convert_item){
        .from = {.name = t->name, .data = t->data}, .raw = true, .out = j->n_tensors, .n_outs = 1, .n_raw = t->n_bytes};
    add_tensor(j, name, t->dtype, t, t->n_dim ? t->shape[t->n_dim - 1] : 1);
}

wick_status wick_convert_add(wick_convert_job *j, const wick_tensor *t, const char *name, wick_err *err)
{
    const wick_weight *sample = j->sample[t - j->model.tensors.tensor];
    wick_convert_item it = {.matrix = sample && t->n_dim >= 2};
    if (j->n_items + 3 > j->cap || j->n_tensors + 3 > j->cap)
        return WICK_FAIL(err, WICK_E_INTERNAL, t->name, "%s: more tensors than were counted", t->name);
    if (!as_rows(j, t, it.matrix ? sample : NULL, &it.from)) {
        add_raw(j, t, name); /* integers, and what only its own reader knows */
        return WICK_OK;
    }
    choose_form(j, t, name, &it);
    uint64_t n_values = (uint64_t)it.from.n_out * it.from.n_in;
    if (it.raw) {
        static const char *const parts[] = {".scales", ".biases"};
        add_raw(j, t, name);
        j->item[j->n_items - 1].matrix = it.matrix;
        j->item[j->n_items - 1].n_values = it.matrix ? n_values : 0;
        for (int k = 0; k < 2 && it.from.scales; k++) {
            const wick_tensor *side = find_beside(j, t->name, parts[k]);
            const char *label = side ? beside(j, name, parts[k]) : NULL;
            if (side && !label) return wick_err_oom(err, "a name", 0, 0);
            if (side) add_raw(j, side, label);
            j->item[j->n_items - 1].matrix = true;
        }
        return WICK_OK;
    }
    WICK_TRY(add_outputs(j, t, name, &it, err));
    it.n_values = it.matrix ? n_values : 0;
    j->item[j->n_items++] = it;
    return WICK_OK;
}
