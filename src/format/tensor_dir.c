/* format/tensor_dir.c - the directory itself: filling it under its invariants, finding a tensor, closing.
 * What the containers have in common and nothing that knows one of them; the invariants are in tensor_dir.h. */
#include "format/dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include "format/gguf_read.h"

const char *wick_container_name(wick_container c)
{
    switch (c) {
    case WICK_SAFETENSORS: return "safetensors";
    case WICK_NPZ: return "npz";
    case WICK_GGUF: return "gguf";
    }
    return "unknown";
}

uint64_t wick_tensor_count(const wick_tensor *t)
{
    uint64_t n = 1;
    for (uint32_t i = 0; i < t->n_dim; i++) n *= t->shape[i]; /* checked when it was added */
    return n;
}

const wick_tensor *wick_tensor_find(const wick_tensor_dir *d, const char *name)
{
    if (d->n_tensors == 0) return NULL;
    uint32_t i = wick_map_get(&d->by_name, wick_str_of(name));
    return i == WICK_MAP_NONE ? NULL : &d->tensor[i];
}

void wick_tensor_dir_close(wick_tensor_dir *d)
{
    for (uint32_t i = 0; i < d->n_owned; i++) wick_free(d->owned[i]);
    wick_free(d->owned);
    wick_gguf_free(d->gguf);
    wick_map_release(&d->by_name);
    wick_arena_release(&d->arena);
    wick_free(d->tensor);
    for (uint32_t i = 0; i < d->n_files; i++) wick_file_close(&d->file[i]);
    wick_free(d->file);
    memset(d, 0, sizeof *d);
}

wick_status wick_dir_add_file(wick_tensor_dir *d, const char *path, wick_err *err)
{
    if (d->n_files >= WICK_MAX_TENSOR_FILES)
        return WICK_FAIL(err, WICK_E_LIMIT, path, "%s: more than %u files in one model", path, WICK_MAX_TENSOR_FILES);
    wick_file *grown = wick_realloc_array(d->file, (size_t)d->n_files + 1, sizeof *grown);
    if (!grown) return wick_err_oom(err, "the list of model files", sizeof *grown, 0);
    d->file = grown;
    memset(&grown[d->n_files], 0, sizeof *grown);
    WICK_TRY(wick_file_open(&grown[d->n_files], path, err));
    d->n_files++;
    return WICK_OK;
}

wick_status wick_dir_reserve(wick_tensor_dir *d, uint64_t n, wick_err *err)
{
    const char *path = d->n_files ? d->file[0].path : "the model";
    if (n > WICK_MAX_TENSORS)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: more tensors than the limit of %u", path, WICK_MAX_TENSORS);
    if (n <= d->cap_tensors) return WICK_OK;
    wick_tensor *grown = wick_realloc_array(d->tensor, (size_t)n, sizeof *grown);
    if (!grown || !wick_map_reserve(&d->by_name, (uint32_t)n)) {
        if (grown) d->tensor = grown;
        return wick_err_oom(err, "the tensor directory", n * sizeof *grown, 0);
    }
    d->tensor = grown;
    d->cap_tensors = (uint32_t)n;
    return WICK_OK;
}

bool wick_tensor_size(const wick_tensor *t, uint64_t *n_bytes)
{
    uint64_t n = 1, real = 1;
    for (uint32_t i = 0; i < t->n_dim; i++) {
        if (!wick_mul_ok(n, t->shape[i] ? t->shape[i] : 1, &n)) return false;
        real = t->shape[i] ? real : 0;
    }
    uint32_t block = wick_dtype_block_elems(t->dtype);
    if (block > 1 && (t->n_dim == 0 || t->shape[t->n_dim - 1] % block != 0)) return false;
    return wick_dtype_bytes(t->dtype, n, n_bytes) && (real || wick_dtype_bytes(t->dtype, 0, n_bytes));
}

const char *wick_shape_text(const wick_tensor *t, char *dst, size_t cap)
{
    size_t n = 0;
    for (uint32_t i = 0; i < t->n_dim && n < cap; i++)
        n += (size_t)snprintf(dst + n, cap - n, "%s%" PRIu64, i ? ", " : "[", t->shape[i]);
    if (n < cap) snprintf(dst + n, cap - n, t->n_dim ? "]" : "[]");
    return dst;
}

/* Names end up in messages and on terminals: no real file has control characters in them. */
static bool name_ok(wick_str name)
{
    if (name.n == 0 || name.n > WICK_MAX_TENSOR_NAME || !wick_utf8_valid(name.p, name.n)) return false;
    for (size_t i = 0; i < name.n; i++)
        if ((unsigned char)name.p[i] < 0x20 || name.p[i] == 0x7f) return false;
    return true;
}

wick_status wick_dir_add(wick_tensor_dir *d, wick_str name, const wick_tensor *t, wick_err *err)
{
    const wick_file *f = &d->file[t->file];
    int shown = name.n > 80 ? 80 : (int)name.n;
    if (!name_ok(name))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: tensor %u: its name \"%.*s\" must be 1 to %u bytes of UTF-8 without control characters",
                         f->path, d->n_tensors, shown, name.p, WICK_MAX_TENSOR_NAME);
    uint64_t n_bytes, end;
    char shape[160];
    if (t->n_dim > WICK_MAX_DIMS || !wick_tensor_size(t, &n_bytes))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: tensor \"%.*s\": %s does not hold the shape %s", f->path,
                         shown, name.p, wick_dtype_name(t->dtype),
                         t->n_dim > WICK_MAX_DIMS ? "(too many dimensions)" : wick_shape_text(t, shape, sizeof shape));
    if (!t->copied && (!wick_add_ok(t->offset_bytes, n_bytes, &end) || end > f->n_bytes))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: tensor \"%.*s\": %" PRIu64 " bytes at %" PRIu64 " end after the file (%" PRIu64
                         " bytes): the file is truncated or damaged",
                         f->path, shown, name.p, n_bytes, t->offset_bytes, f->n_bytes);
    if (d->n_tensors >= d->cap_tensors) {
        uint64_t cap = d->cap_tensors < 64 ? 128 : (uint64_t)d->cap_tensors * 2;
        if (cap > WICK_MAX_TENSORS && d->n_tensors < WICK_MAX_TENSORS) cap = WICK_MAX_TENSORS;
        WICK_TRY(wick_dir_reserve(d, cap, err));
    }
    char *copy = wick_arena_strndup(&d->arena, name.p, name.n);
    uint32_t at = copy ? wick_map_add(&d->by_name, (wick_str){copy, name.n}, d->n_tensors) : WICK_MAP_NONE;
    if (at == WICK_MAP_NONE) return wick_err_oom(err, "the tensor directory", name.n, 0);
    if (at != d->n_tensors)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: tensor \"%.*s\" is there twice (also in %s)", f->path,
                         shown, name.p, d->file[d->tensor[at].file].path);
    wick_tensor *out = &d->tensor[d->n_tensors++];
    *out = *t;
    out->name = copy;
    out->n_bytes = n_bytes;
    if (!t->copied) out->data = n_bytes ? f->data + t->offset_bytes : (const void *)copy;
    return WICK_OK;
}

wick_status wick_dir_own(wick_tensor_dir *d, void *p, wick_err *err)
{
    void **grown = wick_realloc_array(d->owned, (size_t)d->n_owned + 1, sizeof *grown);
    if (!grown) {
        wick_free(p);
        return wick_err_oom(err, "the list of unpacked tensors", sizeof *grown, 0);
    }
    d->owned = grown;
    d->owned[d->n_owned++] = p;
    return WICK_OK;
}

static int span_order(const void *pa, const void *pb)
{
    const wick_extent *a = pa, *b = pb;
    if (a->begin != b->begin) return a->begin < b->begin ? -1 : 1;
    return a->end < b->end ? -1 : a->end > b->end;
}

uint32_t wick_extents_overlap(wick_extent *s, uint32_t n)
{
    qsort(s, n, sizeof *s, span_order);
    for (uint32_t i = 1; i < n; i++)
        if (s[i].begin < s[i - 1].end) return i;
    return n;
}

wick_extent *wick_dir_extents(const wick_tensor_dir *d, uint32_t first)
{
    wick_extent *s = wick_alloc_zero((size_t)(d->n_tensors - first) + 1, sizeof *s);
    for (uint32_t i = first; s && i < d->n_tensors; i++)
        s[i - first] = (wick_extent){d->tensor[i].offset_bytes, d->tensor[i].offset_bytes + d->tensor[i].n_bytes, i};
    return s;
}
