/* format/gguf_open.c - a GGUF file, or the parts of a split one, as a tensor directory.
 *
 * A file is magic, version, counts, key-values, tensor infos, padding, data. Invariants beyond those of
 * tensor_dir.h: offsets are multiples of the alignment (a power of two, 8 to 1 MiB), no dimension is zero, tensors lie
 * one after the other, and a split model has all its parts and as many tensors as its first part says.
 */
#include "format/dir.h"

#include <inttypes.h>
#include <stdio.h>
#include "format/gguf_read.h"

#define MAX_DIMS 4u /* ggml's own limit */
#define DEFAULT_ALIGNMENT 32
#define MAX_ALIGNMENT (1u << 20)
#define MIN_INFO_BYTES (8 + 1 + 4 + 8 + 4 + 8) /* name of one byte, one dimension, type, offset */

typedef struct part {
    uint64_t n_tensors;
    int64_t alignment;
    int64_t split_no, split_count, split_tensors; /* count 0: not split */
    wick_gguf *kv;
} part;

static wick_status check_version(const char *path, uint32_t version, wick_err *err)
{
    char got[64];
    if (version == 2 || version == 3) return WICK_OK;
    if (version == 0) return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: byte 4: GGUF version 0", path);
    if ((version & 0xFFFF) == 0)
        return wick_err_format(err, path, "little-endian GGUF", "big-endian GGUF", "download the little-endian file");
    snprintf(got, sizeof got, "GGUF version %" PRIu32, version);
    return wick_err_format(err, path, "GGUF version 2 or 3", got, version == 1 ? "convert the model again" : NULL);
}

static wick_status read_split_keys(const char *path, part *p, wick_err *err)
{
    WICK_TRY(wick_gguf_i64(p->kv, "split.count", 0, WICK_MAX_TENSOR_FILES, 0, &p->split_count, err));
    WICK_TRY(wick_gguf_i64(p->kv, "split.no", 0, WICK_MAX_TENSOR_FILES, 0, &p->split_no, err));
    WICK_TRY(wick_gguf_i64(p->kv, "split.tensors.count", 0, WICK_MAX_TENSORS, -1, &p->split_tensors, err));
    if (p->split_count > 0 && p->split_no >= p->split_count)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: key \"split.no\": part %" PRId64 " of %" PRId64, path,
                         p->split_no, p->split_count);
    return WICK_OK;
}

/* Up to the first tensor info. p->kv is set on success only. */
static wick_status read_head(const wick_file *f, wick_reader *r, part *p, wick_err *err)
{
    wick_reader_init(r, f->data, f->n_bytes);
    uint32_t magic = wick_read_u32(r), version = wick_read_u32(r);
    if (magic != 0x46554747) return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: byte 0: no GGUF magic", f->path);
    if (!r->failed) WICK_TRY(check_version(f->path, version, err));
    p->n_tensors = wick_read_u64(r);
    uint64_t n_kv = wick_read_u64(r);
    if (r->failed)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: %" PRIu64 " bytes, too short for a GGUF file: it is truncated", f->path, f->n_bytes);
    if (p->n_tensors > WICK_MAX_TENSORS || !wick_reader_fits(r, p->n_tensors, MIN_INFO_BYTES))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: byte 8: %" PRIu64 " tensors, more than the file can hold or than the limit of %u",
                         f->path, p->n_tensors, WICK_MAX_TENSORS);
    WICK_TRY(wick_gguf_parse(f, r, version, n_kv, &p->kv, err));
    const wick_gguf_value *align = wick_gguf_get(p->kv, "general.alignment");
    p->alignment = align ? align->i : DEFAULT_ALIGNMENT;
    wick_status st;
    if (align && align->type != WICK_GGUF_U32)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: key \"general.alignment\": expected type u32, got %s",
                       f->path, wick_gguf_type_name(align->type));
    else if (p->alignment < 8 || p->alignment > MAX_ALIGNMENT || (p->alignment & (p->alignment - 1)))
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                       "%s: key \"general.alignment\": %" PRId64 " is no power of two from 8 to %u", f->path,
                       p->alignment, MAX_ALIGNMENT);
    else
        st = read_split_keys(f->path, p, err);
    if (st != WICK_OK) {
        wick_gguf_free(p->kv);
        p->kv = NULL;
    }
    return st;
}

/* One tensor info. t->offset_bytes is left relative to the data section. */
static wick_status read_info(const wick_file *f, wick_reader *r, uint64_t i, const part *p, wick_str *name,
                             wick_tensor *t, wick_err *err)
{
    uint64_t at = r->pos;
    bool ok = wick_gguf_read_str(r, name);
    uint32_t n_dim = wick_read_u32(r);
    int shown = ok && name->n <= 80 ? (int)name->n : ok ? 80 : 0;
    if (!r->failed && (n_dim == 0 || n_dim > MAX_DIMS))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: byte %" PRIu64 ": tensor \"%.*s\": %" PRIu32 " dimensions, expected 1 to %u", f->path, at,
                         shown, name->p, n_dim, MAX_DIMS);
    t->n_dim = r->failed ? 0 : n_dim;
    bool zero = false;
    for (uint32_t k = t->n_dim; k-- > 0;) { /* the file has the innermost first */
        t->shape[k] = wick_read_u64(r);
        zero |= t->shape[k] == 0;
    }
    uint32_t type = wick_read_u32(r);
    t->offset_bytes = wick_read_u64(r);
    if (r->failed)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: byte %" PRIu64 ": the file ends in tensor info %" PRIu64 " of %" PRIu64
                         ": it is truncated or damaged",
                         f->path, at, i, p->n_tensors);
    if (!wick_dtype_from_gguf(type, &t->dtype)) {
        char got[64];
        snprintf(got, sizeof got, "type %" PRIu32, type);
        wick_status st = wick_err_format(err, f->path, "a ggml type that Wick knows", got, NULL);
        wick_err_prefix(err, "tensor \"%.*s\"", shown, name->p);
        return st;
    }
    if (zero || t->offset_bytes % (uint64_t)p->alignment != 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: byte %" PRIu64 ": tensor \"%.*s\": %s", f->path, at, shown,
                         name->p, zero ? "a dimension of 0" : "its offset is no multiple of the alignment");
    return WICK_OK;
}

/* As ggml demands: tensor after tensor from the start of the data, each padded to the alignment. */
static wick_status check_layout(const wick_tensor_dir *d, uint32_t first, uint64_t data_at, uint64_t align,
                                const wick_file *f, wick_err *err)
{
    uint32_t n = d->n_tensors - first;
    wick_extent *s = wick_dir_extents(d, first);
    if (!s) return wick_err_oom(err, "checking a GGUF file", (uint64_t)n * sizeof *s, 0);
    uint32_t bad = wick_extents_overlap(s, n);
    wick_status st = WICK_OK;
    uint64_t at = data_at;
    if (bad < n)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: tensors \"%.80s\" and \"%.80s\" overlap at byte %" PRIu64,
                       f->path, d->tensor[s[bad - 1].index].name, d->tensor[s[bad].index].name, s[bad].begin);
    for (uint32_t i = 0; st == WICK_OK && i < n; i++) {
        if (s[i].begin != at)
            st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                           "%s: tensor \"%.80s\" begins at byte %" PRIu64 ", expected %" PRIu64
                           " (a size or an offset is wrong)",
                           f->path, d->tensor[s[i].index].name, s[i].begin, at);
        at = (s[i].end + align - 1) / align * align;
    }
    wick_free(s);
    return st;
}

/* The tensor infos are read twice: where the data begins is known only after the last one. */
static wick_status read_infos(wick_tensor_dir *d, uint32_t file, wick_reader *r, const part *p, wick_err *err)
{
    const wick_file *f = &d->file[file];
    wick_reader start = *r;
    wick_str name = {0};
    uint32_t first = d->n_tensors;
    for (uint64_t i = 0; i < p->n_tensors; i++) {
        wick_tensor t = {0};
        WICK_TRY(read_info(f, r, i, p, &name, &t, err));
    }
    uint64_t align = (uint64_t)p->alignment,
             data_at = (r->pos + align - 1) / align * align; /* pos is within a file: no wrap */
    WICK_TRY(wick_dir_reserve(d, d->n_tensors + p->n_tensors, err));
    *r = start;
    for (uint64_t i = 0; i < p->n_tensors; i++) {
        wick_tensor t = {.file = file};
        WICK_TRY(read_info(f, r, i, p, &name, &t, err));
        if (!wick_add_ok(t.offset_bytes, data_at, &t.offset_bytes))
            t.offset_bytes = UINT64_MAX; /* refused by wick_dir_add */
        WICK_TRY(wick_dir_add(d, name, &t, err));
    }
    return check_layout(d, first, data_at, align, f, err);
}

/* Part `no` of a split model; "...-00001-of-00003.gguf" is the first of three. False if `first` is not named so; *out
 * is NULL when out of memory. */
static bool part_path(const char *first, int64_t no, int64_t count, char **out)
{
    char end[40], other[40];
    size_t n = strlen(first), n_end = (size_t)snprintf(end, sizeof end, "-%05d-of-%05" PRId64 ".gguf", 1, count);
    snprintf(other, sizeof other, "-%05" PRId64 "-of-%05" PRId64 ".gguf", no + 1, count);
    if (n < n_end || strcmp(first + n - n_end, end) != 0) return false;
    *out = wick_strdup(first);
    if (*out) memcpy(*out + n - n_end, other, n_end);
    return true;
}

static wick_status read_part(wick_tensor_dir *d, const char *path, int64_t no, const part *head, wick_err *err)
{
    if (!wick_path_is_file(path))
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: this part of a split model is missing: the download is not complete", path);
    uint32_t file = d->n_files;
    WICK_TRY(wick_dir_add_file(d, path, err));
    part p = {0};
    wick_reader r;
    WICK_TRY(read_head(&d->file[file], &r, &p, err));
    wick_gguf_free(p.kv);
    p.kv = NULL;
    if (p.split_no != no || p.split_count != head->split_count)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: keys \"split.no\", \"split.count\": part %" PRId64 " of %" PRId64
                         ", expected part %" PRId64 " of %" PRId64,
                         path, p.split_no, p.split_count, no, head->split_count);
    return read_infos(d, file, &r, &p, err);
}

static wick_status read_parts(wick_tensor_dir *d, const char *path, const part *head, wick_err *err)
{
    if (head->split_no != 0)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, path,
                         "%s: part %" PRId64 " of %" PRId64 " of a split model: give the first part", path,
                         head->split_no + 1, head->split_count);
    for (int64_t no = 1; no < head->split_count; no++) {
        char *next = NULL;
        if (!part_path(path, no, head->split_count, &next))
            return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                             "%s: the first of %" PRId64 " parts must be named ...-00001-of-%05" PRId64 ".gguf", path,
                             head->split_count, head->split_count);
        wick_status st = next ? read_part(d, next, no, head, err) : wick_err_oom(err, "a path", 0, 0);
        wick_free(next);
        WICK_TRY(st);
    }
    if (head->split_count > 0 && head->split_tensors >= 0 && head->split_tensors != d->n_tensors)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: key \"split.tensors.count\": %" PRId64 ", but the parts hold %" PRIu32, path,
                         head->split_tensors, d->n_tensors);
    return WICK_OK;
}

static wick_status read_model(wick_tensor_dir *d, const char *path, wick_err *err)
{
    part head = {0};
    wick_reader r;
    WICK_TRY(wick_dir_add_file(d, path, err));
    WICK_TRY(read_head(&d->file[0], &r, &head, err));
    d->gguf = head.kv;
    WICK_TRY(read_infos(d, 0, &r, &head, err));
    return read_parts(d, path, &head, err);
}

/* Parts after the first, and the projectors of vision models, are no models of their own. */
static bool is_model_name(const char *name)
{
    if (!wick_ends_with(name, ".gguf") || strstr(name, "mmproj")) return false;
    const char *of = strstr(name, "-of-");
    if (!of || of - name < 6 || of[-6] != '-') return true;
    return memcmp(of - 5, "00001", 5) == 0 || strspn(of - 5, "0123456789") != 5;
}

static wick_status find_model(const char *folder, char **path, wick_err *err)
{
    wick_dir_list list = {0};
    WICK_TRY(wick_dir_list_read(&list, folder, err));
    const char *name = NULL, *other = NULL;
    for (size_t i = 0; i < list.n; i++) {
        if (!is_model_name(list.name[i])) continue;
        if (name) other = list.name[i];
        if (!name) name = list.name[i];
    }
    wick_status st = WICK_OK;
    if (!name)
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder, "%s: no .gguf model in this folder", folder);
    else if (other)
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder,
                       "%s: several GGUF models in this folder (\"%.80s\", \"%.80s\"): name one", folder, name, other);
    else if (!(*path = wick_path_join(folder, name)))
        st = wick_err_oom(err, "a path", 0, 0);
    wick_dir_list_free(&list);
    return st;
}

wick_status wick_gguf_open(wick_tensor_dir *d, const char *path, wick_err *err)
{
    d->format = WICK_GGUF;
    char *inside = NULL;
    wick_status st = wick_path_is_dir(path) ? find_model(path, &inside, err) : WICK_OK;
    if (st == WICK_OK) st = read_model(d, inside ? inside : path, err);
    wick_free(inside);
    if (st != WICK_OK) wick_tensor_dir_close(d);
    return st;
}
