/* format/writer.c - the files under construction: which tensor is in which, and writing to their places. */
#include "format/writer_int.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "format/dir.h"

#define PART_BYTES 5000000000u /* what the hub's own tools cut at */
#define WRITE_MAX (1u << 30)   /* one call takes no more than 2 GiB */

wick_status wick_out_create(wick_tensor_writer *w, uint32_t k, const char *name, wick_err *err)
{
    wick_out_file *f = &w->file[k];
    f->path = wick_path_join(w->opts.folder, name);
    if (!f->path) return wick_err_oom(err, "a path", 0, 0);
    f->fd = open(f->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    return f->fd < 0 ? wick_err_io(err, f->path, "create", errno) : WICK_OK;
}

wick_status wick_out_put(const wick_tensor_writer *w, uint32_t k, uint64_t at, const void *data, uint64_t n,
                         wick_err *err)
{
    const uint8_t *p = data;
    while (n > 0) {
        ssize_t got = pwrite(w->file[k].fd, p, n < WRITE_MAX ? n : WRITE_MAX, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return wick_err_io(err, w->file[k].path, "write", got < 0 ? errno : ENOSPC);
        p += got;
        at += (uint64_t)got;
        n -= (uint64_t)got;
    }
    return WICK_OK;
}

/* Tensors to files, in their order. */
static wick_status assign(wick_tensor_writer *w, wick_err *err)
{
    uint64_t part = w->opts.part_bytes ? w->opts.part_bytes : PART_BYTES;
    if (w->opts.format != WICK_SAFETENSORS) part = UINT64_MAX;
    w->file = wick_alloc_zero(w->n + 1u, sizeof *w->file);
    if (!w->file) return wick_err_oom(err, "a writer", 0, 0);
    for (uint32_t i = 0; i <= w->n; i++) w->file[i].fd = -1;
    w->n_files = 1;
    for (uint32_t i = 0; i < w->n; i++) {
        wick_tensor *t = &w->tensor[i];
        if (!wick_tensor_size(t, &t->n_bytes))
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, t->name, "%s: a shape that %s does not have", t->name,
                             wick_dtype_name(t->dtype));
        wick_out_file *f = &w->file[w->n_files - 1];
        if (f->n > 0 && t->n_bytes > part - (f->n_bytes < part ? f->n_bytes : part)) {
            f = &w->file[w->n_files++];
            f->first = i;
        }
        w->of[i] = w->n_files - 1;
        f->n++;
        f->n_bytes += t->n_bytes;
    }
    return WICK_OK;
}

wick_status wick_tensor_writer_open(wick_tensor_writer **out, const wick_write_opts *o, wick_tensor *tensor, uint32_t n,
                                    wick_err *err)
{
    wick_status st = WICK_OK;
    wick_tensor_writer *w = wick_alloc_zero(1, sizeof *w);
    *out = NULL;
    if (!w) return wick_err_oom(err, "a writer", sizeof *w, 0);
    w->opts = *o;
    w->tensor = tensor;
    w->n = n;
    w->at = wick_alloc_zero(n + 1u, sizeof *w->at);
    w->of = wick_alloc_zero(n + 1u, sizeof *w->of);
    if (!w->at || !w->of)
        st = wick_err_oom(err, "a writer", 0, 0);
    else
        st = assign(w, err);
    if (st == WICK_OK) {
        switch (o->format) {
        case WICK_SAFETENSORS: st = wick_safetensors_begin(w, err); break;
        case WICK_GGUF: st = wick_gguf_begin(w, err); break;
        case WICK_NPZ: st = wick_npz_begin(w, err); break;
        }
    }
    if (st == WICK_OK)
        *out = w;
    else
        wick_tensor_writer_free(w);
    return st;
}

wick_status wick_tensor_writer_put(wick_tensor_writer *w, uint32_t i, uint64_t at, const void *data, uint64_t n,
                                   wick_err *err)
{
    if (at > w->tensor[i].n_bytes || n > w->tensor[i].n_bytes - at)
        return WICK_FAIL(err, WICK_E_INTERNAL, w->tensor[i].name, "%s: written past its end", w->tensor[i].name);
    return wick_out_put(w, w->of[i], w->at[i] + at, data, n, err);
}

wick_status wick_tensor_writer_finish(wick_tensor_writer *w, wick_err *err)
{
    if (w->opts.format == WICK_SAFETENSORS) WICK_TRY(wick_safetensors_end(w, err));
    if (w->opts.format == WICK_NPZ) WICK_TRY(wick_npz_end(w, err));
    for (uint32_t k = 0; k < w->n_files; k++) {
        if (close(w->file[k].fd) != 0) {
            w->file[k].fd = -1;
            return wick_err_io(err, w->file[k].path, "close", errno);
        }
        w->file[k].fd = -1;
    }
    return WICK_OK;
}

void wick_tensor_writer_free(wick_tensor_writer *w)
{
    if (!w) return;
    for (uint32_t k = 0; w->file && k <= w->n; k++) {
        if (w->file[k].fd >= 0) close(w->file[k].fd);
        wick_free(w->file[k].path);
    }
    wick_free(w->file);
    wick_free(w->at);
    wick_free(w->of);
    wick_free(w);
}
