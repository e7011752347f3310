/* format/safetensors.c - safetensors files and folders of them.
 *
 * A file is u64 header length, JSON header, data. The header is held to the reference reader's rules: at most
 * 100 MB, starts with '{', no name twice, data_offsets exactly as long as dtype and shape say, and the tensors tile
 * the data section without overlap, hole or rest.
 */
#include "format/dir.h"

#include <inttypes.h>
#include <stdio.h>
#include "base/json_scan.h"
#include "base/json.h"
#include "base/reader.h"

#define MAX_HEADER 100000000u /* the reference reader's limit */
#define MAX_INDEX (32u << 20) /* ten times the largest index on the hub */

/* The names that the format defines (its sub-byte and complex types are not among ours). */
static bool dtype_of(wick_str name, wick_dtype *out)
{
    char text[16];
    if (name.n == 0 || name.n >= sizeof text || memchr(name.p, 0, name.n)) return false;
    memcpy(text, name.p, name.n);
    text[name.n] = 0;
    return wick_dtype_from_name(text, out) && wick_dtype_block_elems(*out) == 1;
}

static bool scan_shape(wick_json_scan *s, wick_tensor *t)
{
    if (!wick_json_scan_expect(s, '[')) return false;
    if (wick_json_scan_try(s, ']')) return true;
    do {
        if (t->n_dim == WICK_MAX_DIMS) return wick_json_scan_fail(s, "more than 6 dimensions");
        if (!wick_json_scan_u64(s, &t->shape[t->n_dim])) return false;
        t->n_dim++;
    } while (wick_json_scan_try(s, ','));
    return wick_json_scan_expect(s, ']');
}

static bool scan_offsets(wick_json_scan *s, uint64_t span[2])
{
    return wick_json_scan_expect(s, '[') && wick_json_scan_u64(s, &span[0]) &&
           (wick_json_scan_try(s, ',') || wick_json_scan_fail(s, "two data_offsets expected")) &&
           wick_json_scan_u64(s, &span[1]) &&
           (wick_json_scan_try(s, ']') || wick_json_scan_fail(s, "two data_offsets expected"));
}

/* {"dtype": D, "shape": [..], "data_offsets": [begin, end]}; other keys are skipped, as the reference reader does. */
static bool scan_entry(wick_json_scan *s, wick_tensor *t, wick_str *dtype, uint64_t span[2])
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    unsigned seen = 0;
    *t = (wick_tensor){0};
    if (!wick_json_scan_expect(s, '{')) return false;
    if (wick_json_scan_try(s, '}')) return wick_json_scan_fail(s, "dtype, shape and data_offsets expected");
    do {
        wick_str key;
        if (!wick_json_scan_string(s, &key) || !wick_json_scan_expect(s, ':')) return false;
        unsigned k = 0;
        while (k < 3 && !wick_str_eq(key, wick_str_of(keys[k]))) k++;
        if (k < 3 && (seen & 1u << k)) return wick_json_scan_fail(s, "a key of the entry is there twice");
        seen |= 1u << k;
        bool ok = k == 0   ? wick_json_scan_string(s, dtype)
                  : k == 1 ? scan_shape(s, t)
                  : k == 2 ? scan_offsets(s, span)
                           : wick_json_scan_skip(s);
        if (!ok) return false;
    } while (wick_json_scan_try(s, ','));
    if ((seen & 7) != 7) return wick_json_scan_fail(s, "dtype, shape and data_offsets expected");
    return wick_json_scan_expect(s, '}');
}

/* Strings by name, or null, which MLX writes where there are none. */
static bool scan_metadata(wick_json_scan *s)
{
    wick_str ignored;
    if (wick_json_scan_null(s)) return true;
    if (!wick_json_scan_expect(s, '{')) return false;
    if (wick_json_scan_try(s, '}')) return true;
    do {
        if (!wick_json_scan_string(s, &ignored) || !wick_json_scan_expect(s, ':') ||
            !wick_json_scan_string(s, &ignored))
            return false;
    } while (wick_json_scan_try(s, ','));
    return wick_json_scan_expect(s, '}');
}

static wick_status scan_failed(const wick_json_scan *s, const char *path, wick_err *err)
{
    if (s->arena->failed) return wick_err_oom(err, "the header of a safetensors file", s->n, 0);
    return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: header, byte %" PRIu64 ": %s", path, s->pos + 8, s->what);
}

static wick_status add_entry(wick_tensor_dir *d, uint32_t file, uint64_t data_at, wick_str name, wick_json_scan *s,
                             wick_err *err)
{
    const wick_file *f = &d->file[file];
    wick_tensor t;
    wick_str dtype = {0};
    uint64_t span[2] = {0}, n_bytes;
    int shown = name.n > 80 ? 80 : (int)name.n;
    if (!scan_entry(s, &t, &dtype, span)) return scan_failed(s, f->path, err);
    if (!dtype_of(dtype, &t.dtype)) {
        char got[64];
        snprintf(got, sizeof got, "\"%.*s\"", dtype.n > 40 ? 40 : (int)dtype.n, dtype.p ? dtype.p : "");
        wick_status st = wick_err_format(err, f->path, "a dtype such as BF16, F16, F32 or U32", got, NULL);
        wick_err_prefix(err, "tensor \"%.*s\"", shown, name.p);
        return st;
    }
    char shape[160];
    if (!wick_tensor_size(&t, &n_bytes) || span[1] < span[0] || span[1] - span[0] != n_bytes)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: tensor \"%.*s\": data_offsets [%" PRIu64 ", %" PRIu64 "] do not fit %s %s", f->path,
                         shown, name.p, span[0], span[1], wick_dtype_name(t.dtype),
                         wick_shape_text(&t, shape, sizeof shape));
    t.file = file;
    if (!wick_add_ok(data_at, span[0], &t.offset_bytes)) t.offset_bytes = UINT64_MAX; /* refused by wick_dir_add */
    return wick_dir_add(d, name, &t, err);
}

/* The tensors [first, n) must tile [begin, end of file). */
static wick_status check_tiling(const wick_tensor_dir *d, uint32_t first, uint64_t begin, const wick_file *f,
                                wick_err *err)
{
    uint32_t n = d->n_tensors - first;
    wick_extent *s = wick_dir_extents(d, first);
    if (!s) return wick_err_oom(err, "checking a safetensors file", (uint64_t)n * sizeof *s, 0);
    wick_status st = WICK_OK;
    uint32_t bad = wick_extents_overlap(s, n);
    if (bad < n) {
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: tensors \"%.80s\" and \"%.80s\" overlap at byte %" PRIu64,
                       f->path, d->tensor[s[bad - 1].index].name, d->tensor[s[bad].index].name, s[bad].begin);
        goto done;
    }
    uint64_t at = begin;
    for (uint32_t i = 0; i < n; at = s[i++].end) {
        if (s[i].begin == at) continue;
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                       "%s: %" PRIu64 " bytes at %" PRIu64 ", before tensor \"%.80s\", belong to no tensor", f->path,
                       s[i].begin - at, at, d->tensor[s[i].index].name);
        goto done;
    }
    if (at != f->n_bytes)
        st = WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                       "%s: %" PRIu64 " bytes at %" PRIu64 ", after the last tensor, belong to no tensor", f->path,
                       f->n_bytes - at, at);
done:
    wick_free(s);
    return st;
}

static wick_status read_file(wick_tensor_dir *d, const char *path, wick_err *err)
{
    uint32_t file = d->n_files, first = d->n_tensors;
    WICK_TRY(wick_dir_add_file(d, path, err));
    const wick_file *f = &d->file[file];
    wick_reader r;
    wick_reader_init(&r, f->data, f->n_bytes);
    uint64_t n = wick_read_u64(&r);
    if (r.failed)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: %" PRIu64 " bytes, too short for a safetensors file", path,
                         f->n_bytes);
    const char *what, *remedy;
    if (n > MAX_HEADER && wick_content_sniff(f, &what, &remedy) == WICK_CONTENT_FOREIGN)
        return wick_content_refuse(f, err); /* a Git LFS pointer, the page of a failed download */
    if (n > MAX_HEADER)
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: byte 0: a header of %" PRIu64 " bytes, more than the limit of %u", path, n, MAX_HEADER);
    if (n > wick_reader_left(&r))
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: byte 0: a header of %" PRIu64 " bytes ends after the file (%" PRIu64
                         " bytes): the file is truncated or damaged",
                         path, n, f->n_bytes);
    const char *text = (const char *)wick_read_bytes(&r, n);
    if (n < 2 || text[0] != '{')
        return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: byte 8: the header does not start with '{'", path);

    wick_json_scan s;
    wick_json_scan_init(&s, text, n, &d->arena);
    bool metadata = false;
    wick_json_scan_expect(&s, '{');
    bool more = !wick_json_scan_try(&s, '}');
    while (more) {
        wick_str name;
        if (!wick_json_scan_string(&s, &name) || !wick_json_scan_expect(&s, ':')) return scan_failed(&s, path, err);
        if (wick_str_eq(name, wick_str_of("__metadata__"))) {
            if (metadata) wick_json_scan_fail(&s, "__metadata__ is there twice");
            metadata = true;
            if (!scan_metadata(&s)) return scan_failed(&s, path, err);
        } else {
            WICK_TRY(add_entry(d, file, 8 + n, name, &s, err));
        }
        more = wick_json_scan_try(&s, ',');
        if (!more && !wick_json_scan_expect(&s, '}')) return scan_failed(&s, path, err);
    }
    if (!wick_json_scan_end(&s)) return scan_failed(&s, path, err);
    return check_tiling(d, first, 8 + n, f, err);
}

static wick_status add_shard(wick_tensor_dir *d, const char *folder, const char *name, wick_err *err)
{
    char *path = wick_path_join(folder, name);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = WICK_OK;
    if (!wick_path_is_file(path))
        st = WICK_FAIL(err, WICK_E_BAD_FILE, folder,
                       "%s: the shard \"%.120s\" is missing: the download is not complete", folder, name);
    else
        st = read_file(d, path, err);
    wick_free(path);
    return st;
}

/* A shard is a file in the model's own folder, whatever the index says. */
static bool shard_name_ok(const char *s)
{
    return s && *s && *s != '.' && !strchr(s, '/') && !strchr(s, '\\') && strlen(s) <= 255 &&
           wick_ends_with(s, ".safetensors");
}

/* Maps each shard that the index names, then checks that every tensor is where the index says. */
static wick_status read_shards(wick_tensor_dir *d, const char *folder, const char *index_path, const json_t *index,
                               wick_err *err)
{
    const json_t *map = NULL;
    WICK_TRY(wick_json_obj(index, "weight_map", &map, index_path, err));
    if (!map || json_object_size(map) == 0)
        return WICK_FAIL(err, WICK_E_BAD_FILE, index_path,
                         "%s: key \"weight_map\": an object expected that names the shards", index_path);
    wick_map shards;
    wick_map_init(&shards);
    wick_status st = WICK_OK;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *shard = json_string_value(value);
        if (!shard_name_ok(shard)) {
            st = WICK_FAIL(err, WICK_E_BAD_FILE, index_path,
                           "%s: key \"weight_map\": \"%.80s\" names no .safetensors file of this folder", index_path,
                           name);
            goto done;
        }
        uint32_t at = wick_map_add(&shards, wick_str_of(shard), d->n_files);
        if (at == WICK_MAP_NONE) {
            st = wick_err_oom(err, "the list of shards", 0, 0);
            goto done;
        }
        if (at == d->n_files) WICK_TRY_GOTO(add_shard(d, folder, shard, err));
    }
    json_object_foreach((json_t *)(uintptr_t)map, name, value)
    {
        const char *shard = json_string_value(value);
        const wick_tensor *t = wick_tensor_find(d, name);
        if (t && t->file == wick_map_get(&shards, wick_str_of(shard))) continue;
        st = WICK_FAIL(err, WICK_E_BAD_FILE, index_path,
                       "%s: key \"weight_map\": tensor \"%.80s\" is not in %.80s (remove the index to load the shards "
                       "as they are)",
                       index_path, name, shard);
        goto done;
    }
done:
    wick_map_release(&shards);
    return st;
}

/* As mlx-lm does without an index: model*.safetensors, in the order of their names; else Mistral's
 * consolidated*.safetensors. */
static wick_status read_glob(wick_tensor_dir *d, const char *folder, wick_err *err)
{
    static const char *const begin[] = {"model", "consolidated"};
    wick_dir_list list = {0};
    WICK_TRY(wick_dir_list_read(&list, folder, err));
    wick_status st = WICK_OK;
    for (int k = 0; k < 2 && !d->n_files; k++)
        for (size_t i = 0; i < list.n && st == WICK_OK; i++)
            if (wick_starts_with(list.name[i], begin[k]) && wick_ends_with(list.name[i], ".safetensors"))
                st = add_shard(d, folder, list.name[i], err);
    wick_dir_list_free(&list);
    if (st == WICK_OK && d->n_files == 0)
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder, "%s: no model.safetensors in this folder", folder);
    return st;
}

static wick_status read_folder(wick_tensor_dir *d, const char *folder, wick_err *err)
{
    wick_status st = WICK_OK;
    json_t *index = NULL;
    char *single = wick_path_join(folder, "model.safetensors");
    char *index_path = wick_path_join(folder, "model.safetensors.index.json");
    if (!single || !index_path) {
        st = wick_err_oom(err, "a path", 0, 0);
    } else if (wick_path_is_file(single)) {
        st = read_file(d, single, err);
    } else if (wick_path_is_file(index_path)) {
        WICK_TRY_GOTO(wick_json_load(index_path, MAX_INDEX, &index, err));
        st = read_shards(d, folder, index_path, index, err);
    } else {
        st = read_glob(d, folder, err);
    }
done:
    json_decref(index);
    wick_free(index_path);
    wick_free(single);
    return st;
}

wick_status wick_safetensors_open(wick_tensor_dir *d, const char *path, wick_err *err)
{
    d->format = WICK_SAFETENSORS;
    wick_status st = wick_path_is_dir(path) ? read_folder(d, path, err) : read_file(d, path, err);
    if (st != WICK_OK) wick_tensor_dir_close(d);
    return st;
}
