/* format/npz.c - NPZ: a ZIP archive of .npy arrays.
 *
 * Stored row-major arrays stay in the mapping. Deflated ones, and those in column-major order (mlx.core.savez writes
 * transposed arrays so), are copied; all copies together may take COPY_FACTOR times the file plus COPY_EXTRA, so
 * that a small archive cannot ask for all memory. Every header is checked before anything is copied.
 */
#include "format/dir.h"

#include <inttypes.h>
#include <zlib.h>
#include "base/reader.h"
#include "format/npy.h"
#include "format/zip.h"

#define COPY_FACTOR 4u
#define COPY_EXTRA (128ull << 20)
/* Larger stored members are not read at open to check their CRC: that would touch the whole model before its first
 * use. */
#define MAX_CRC_BYTES (64ull << 20)

typedef struct member_info {
    uint64_t header_bytes;
    bool column_major;
} member_info;

static wick_status bad(const wick_file *f, const wick_zip_member *m, wick_err *err, const char *what)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: member \"%.*s\" at %" PRIu64 ": %s", f->path,
                     m->name.n > 80 ? 80 : (int)m->name.n, m->name.p, m->header_at, what);
}

static wick_status refuse_member(const wick_file *f, const wick_zip_member *m, wick_err *err)
{
    bool torch = m->name.n >= 4 && memcmp(m->name.p + m->name.n - 4, ".pkl", 4) == 0;
    for (size_t i = 0; !torch && i + 6 <= m->name.n; i++) torch = memcmp(m->name.p + i, "/data/", 6) == 0;
    if (torch)
        return wick_err_format(err, f->path, "safetensors, npz or GGUF", "a PyTorch checkpoint (ZIP with a pickle)",
                               "convert it to safetensors first");
    return bad(f, m, err, "no .npy array");
}

/* The array's header, at the start of the member; its sizes must fill the member exactly. */
static wick_status read_header(const wick_file *f, const wick_zip_member *m, wick_tensor *t, member_info *info,
                               wick_err *err)
{
    uint8_t *header = wick_alloc(WICK_NPY_PREFIX + WICK_NPY_MAX_HEADER);
    wick_zip_stream s = {0};
    wick_status st = header ? WICK_OK : wick_err_oom(err, "an .npy header", WICK_NPY_MAX_HEADER, 0);
    if (st != WICK_OK) goto done;
    if (m->n_bytes < WICK_NPY_PREFIX) {
        st = bad(f, m, err, "too short for an .npy array");
        goto done;
    }
    WICK_TRY_GOTO(wick_zip_start(&s, f, m, err));
    WICK_TRY_GOTO(wick_zip_read(&s, f, header, WICK_NPY_PREFIX, err));
    info->header_bytes = wick_npy_header_bytes(header);
    if (info->header_bytes < WICK_NPY_PREFIX || info->header_bytes > m->n_bytes) {
        st = bad(f, m, err, "no .npy header (magic, version 1 to 3, length)");
        goto done;
    }
    WICK_TRY_GOTO(wick_zip_read(&s, f, header + WICK_NPY_PREFIX, info->header_bytes - WICK_NPY_PREFIX, err));
    bool unknown;
    const char *problem = wick_npy_parse(header, info->header_bytes, t, &info->column_major, &unknown);
    if (unknown) {
        st = wick_err_format(err, f->path, "arrays of float, integer or bool", problem, NULL);
        wick_err_prefix(err, "member \"%.*s\"", m->name.n > 80 ? 80 : (int)m->name.n, m->name.p);
    } else if (problem) {
        st = bad(f, m, err, problem);
    } else if (!wick_tensor_size(t, &t->n_bytes) || t->n_bytes != m->n_bytes - info->header_bytes) {
        st = bad(f, m, err, "its size is not what dtype and shape of its header say");
    }
done:
    wick_zip_stop(&s);
    wick_free(header);
    return st;
}

/* dst[row-major] = src[column-major] */
static void to_row_major(const wick_tensor *t, const uint8_t *src, uint8_t *dst)
{
    uint64_t size = wick_dtype_block_bytes(t->dtype), stride[WICK_MAX_DIMS], index[WICK_MAX_DIMS] = {0}, at = 0;
    for (uint32_t i = 0; i < t->n_dim; i++) stride[i] = i ? stride[i - 1] * t->shape[i - 1] : size;
    for (uint64_t done = 0; done < t->n_bytes; done += size) {
        memcpy(dst + done, src + at, size);
        for (uint32_t i = t->n_dim; i-- > 0;) {
            at += stride[i];
            if (++index[i] < t->shape[i]) break;
            at -= stride[i] * t->shape[i];
            index[i] = 0;
        }
    }
}

static wick_status unpack(wick_tensor_dir *d, const wick_zip_member *m, wick_tensor *t, const member_info *info,
                          wick_err *err)
{
    const wick_file *f = &d->file[0];
    uint8_t header[256];
    wick_zip_stream s = {0};
    uint8_t *data = wick_alloc((size_t)t->n_bytes), *rows = NULL;
    wick_status st = data ? WICK_OK : wick_err_oom(err, "an unpacked NPZ array", t->n_bytes, 0);
    if (st != WICK_OK) goto done;
    WICK_TRY_GOTO(wick_zip_start(&s, f, m, err));
    for (uint64_t left = info->header_bytes; left > 0;) {
        uint64_t n = left < sizeof header ? left : sizeof header;
        WICK_TRY_GOTO(wick_zip_read(&s, f, header, n, err));
        left -= n;
    }
    WICK_TRY_GOTO(wick_zip_read(&s, f, data, t->n_bytes, err));
    if (!wick_zip_finish(&s)) {
        st = bad(f, m, err, "checksum or length is wrong: the data is damaged");
        goto done;
    }
    if (info->column_major) {
        rows = wick_alloc((size_t)t->n_bytes);
        if (!rows) {
            st = wick_err_oom(err, "a transposed NPZ array", t->n_bytes, 0);
            goto done;
        }
        to_row_major(t, data, rows);
        wick_free(data);
        data = rows;
        rows = NULL;
    }
    t->copied = true;
    t->data = data;
    st = wick_dir_own(d, data, err);
    data = NULL;
done:
    wick_zip_stop(&s);
    wick_free(data);
    return st;
}

static wick_status add_member(wick_tensor_dir *d, const wick_zip_member *m, wick_tensor *t, const member_info *info,
                              wick_err *err)
{
    const wick_file *f = &d->file[0];
    t->offset_bytes = m->data_at;
    if (m->method == WICK_ZIP_DEFLATED || info->column_major) {
        WICK_TRY(unpack(d, m, t, info, err));
    } else {
        t->offset_bytes += info->header_bytes;
        if (m->n_bytes <= MAX_CRC_BYTES && crc32_z(0, f->data + m->data_at, (z_size_t)m->n_bytes) != m->crc)
            return bad(f, m, err, "checksum is wrong: the data is damaged");
    }
    return wick_dir_add(d, (wick_str){m->name.p, m->name.n - 4}, t, err);
}

static wick_status read_members(wick_tensor_dir *d, const wick_zip_member *m, uint32_t n, wick_tensor *t,
                                member_info *info, wick_err *err)
{
    const wick_file *f = &d->file[0];
    uint64_t copies = 0, budget = f->n_bytes * COPY_FACTOR + COPY_EXTRA;
    for (uint32_t i = 0; i < n; i++) {
        if (m[i].name.n < 5 || memcmp(m[i].name.p + m[i].name.n - 4, ".npy", 4) != 0)
            return refuse_member(f, &m[i], err);
        WICK_TRY(read_header(f, &m[i], &t[i], &info[i], err));
        bool copy = m[i].method == WICK_ZIP_DEFLATED || info[i].column_major;
        if (copy && (!wick_add_ok(copies, t[i].n_bytes, &copies) || copies > budget))
            return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                             "%s: member \"%.*s\": the arrays unpack to more than %" PRIu64
                             " bytes, %u times the file: save them with numpy.savez, not savez_compressed",
                             f->path, m[i].name.n > 80 ? 80 : (int)m[i].name.n, m[i].name.p, budget, COPY_FACTOR);
    }
    for (uint32_t i = 0; i < n; i++) WICK_TRY(add_member(d, &m[i], &t[i], &info[i], err));
    return WICK_OK;
}

static wick_status read_archive(wick_tensor_dir *d, const char *path, wick_err *err)
{
    wick_zip_member *m = NULL;
    wick_tensor *t = NULL;
    member_info *info = NULL;
    uint32_t n = 0;
    wick_status st;
    WICK_TRY_GOTO(wick_dir_add_file(d, path, err));
    WICK_TRY_GOTO(wick_zip_list(&d->file[0], &m, &n, err));
    t = wick_alloc_zero((size_t)n + 1, sizeof *t);
    info = wick_alloc_zero((size_t)n + 1, sizeof *info);
    if (!t || !info) {
        st = wick_err_oom(err, "the list of NPZ arrays", (uint64_t)n * sizeof *t, 0);
        goto done;
    }
    WICK_TRY_GOTO(wick_dir_reserve(d, n, err));
    st = read_members(d, m, n, t, info, err);
done:
    wick_free(info);
    wick_free(t);
    wick_free(m);
    return st;
}

/* weights.npz (as MLX's examples wrote it), model.npz, or the only .npz of the folder. */
static wick_status find_archive(const char *folder, char **path, wick_err *err)
{
    wick_dir_list list = {0};
    WICK_TRY(wick_dir_list_read(&list, folder, err));
    const char *name = NULL;
    unsigned n = 0, rank = 0;
    for (size_t i = 0; i < list.n; i++) {
        if (!wick_ends_with(list.name[i], ".npz")) continue;
        unsigned r = strcmp(list.name[i], "weights.npz") == 0 ? 3 : strcmp(list.name[i], "model.npz") == 0 ? 2 : 1;
        n++;
        if (r <= rank) continue;
        rank = r;
        name = list.name[i];
    }
    wick_status st = WICK_OK;
    if (!name)
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder, "%s: no .npz file in this folder", folder);
    else if (rank == 1 && n > 1)
        st = WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, folder,
                       "%s: %u .npz files and no weights.npz in this folder: name the file", folder, n);
    else if (!(*path = wick_path_join(folder, name)))
        st = wick_err_oom(err, "a path", 0, 0);
    wick_dir_list_free(&list);
    return st;
}

wick_status wick_npz_open(wick_tensor_dir *d, const char *path, wick_err *err)
{
    d->format = WICK_NPZ;
    char *inside = NULL;
    wick_status st = wick_path_is_dir(path) ? find_archive(path, &inside, err) : WICK_OK;
    if (st == WICK_OK) st = read_archive(d, inside ? inside : path, err);
    wick_free(inside);
    if (st != WICK_OK) wick_tensor_dir_close(d);
    return st;
}
