/* backend/pack_write.c - writes a pack file on a thread of its own, so that the first answer need not wait for the
 * disk. The order is what makes it safe: data and tables to a locked temporary file, the head last, fsync, rename, and
 * the folder. The content of the source is hashed here too; if its stamp has changed since it was packed, nothing is
 * kept. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/pack_folder.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/thread.h"

enum { PATIENCE_MS = 2000 }; /* then it is said what is being waited for */

struct wick_pack_writer {
    wick_pack_spec spec;
    const uint8_t *data;
    wick_thread thread;
    wick_lock lock;
    wick_cond ended;
    bool done; /* under the lock */
    char *folder, *path, *temporary;
    int fd;
    uint8_t *tables;
    wick_pack_layout layout;
    wick_pack_head head;
};

static wick_status open_temporary(wick_pack_writer *w, wick_err *err)
{
    w->fd = mkstemp(w->temporary);
    if (w->fd < 0) return wick_err_io(err, w->temporary, "create", errno);
    fcntl(w->fd, F_SETFD, FD_CLOEXEC);
    (void)flock(w->fd, LOCK_EX | LOCK_NB); /* nobody else knows it yet */
#if defined(__linux__)
    int e = posix_fallocate(w->fd, 0, (off_t)w->layout.file_bytes);
    if (e == ENOSPC || e == EFBIG || e == EDQUOT) return wick_err_io(err, w->temporary, "reserve room", e);
#endif
    return WICK_OK;
}

static wick_status write_data(wick_pack_writer *w, wick_err *err)
{
    uint64_t n_bytes = w->spec.n_bytes, items = w->spec.n_items * sizeof *w->spec.item;
    memcpy(w->tables, w->spec.item, (size_t)items);
    for (uint64_t i = 0; i < w->layout.n_pieces; i++) {
        uint64_t at = i * WICK_PACK_PIECE, hash = wick_pack_piece_hash(w->data, n_bytes, i);
        size_t n = n_bytes - at < WICK_PACK_PIECE ? (size_t)(n_bytes - at) : WICK_PACK_PIECE;
        memcpy(w->tables + items + i * sizeof hash, &hash, sizeof hash);
        WICK_TRY(wick_pack_write_at(w->fd, w->temporary, w->data + at, n, w->layout.data_at + at, err));
    }
    return wick_pack_write_at(w->fd, w->temporary, w->tables, (size_t)w->layout.tables_bytes, WICK_PACK_TABLES_AT, err);
}

static wick_status write_head(wick_pack_writer *w, wick_err *err)
{
    wick_pack_head *h = &w->head;
    wick_pack_stamps t = {0};
    uint64_t stamp = 0;
    bool settled = false;
    if (!wick_origin_content(&w->spec.origin, (wick_each){0}, &h->content) ||
        !wick_origin_stamp(&w->spec.origin, &stamp, &settled) || stamp != w->spec.stamp)
        return WICK_FAIL(err, WICK_E_IO, w->path, "the model's files have changed meanwhile");
    memcpy(h->magic, "WickPack", sizeof h->magic);
    h->version = WICK_PACK_VERSION;
    h->order = 0x01020304;
    h->n_items = w->spec.n_items;
    h->n_bytes = w->spec.n_bytes;
    memcpy(h->key, w->spec.key, sizeof h->key);
    h->tables = wick_hash_data(w->tables, (size_t)w->layout.tables_bytes, 0);
    snprintf(h->maker, sizeof h->maker, "%s", WICK_VERSION);
    char *model = realpath(w->spec.origin.file[0].path, NULL);
    snprintf(h->model, sizeof h->model, "%s", model ? model : w->spec.origin.file[0].path);
    free(model);
    h->self = wick_pack_head_hash(h);
    t.stamp[0] = settled ? stamp : 0;
    t.self = wick_pack_stamps_hash(&t, h);
    WICK_TRY(wick_pack_write_at(w->fd, w->temporary, &t, sizeof t, WICK_PACK_STAMPS_AT, err));
    return wick_pack_write_at(w->fd, w->temporary, h, sizeof *h, 0, err);
}

static wick_status put_in_place(wick_pack_writer *w, wick_err *err)
{
    if (fsync(w->fd) != 0) return wick_err_io(err, w->temporary, "fsync", errno);
    if (rename(w->temporary, w->path) != 0) return wick_err_io(err, w->path, "rename", errno);
    int folder = open(w->folder, O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (folder >= 0) {
        (void)fsync(folder);
        close(folder);
    }
    return WICK_OK;
}

static wick_status write_file(wick_pack_writer *w, wick_err *err)
{
    WICK_TRY(wick_dir_make(w->folder, err));
    if (wick_pack_sweep_for(w->folder, wick_path_base(w->path))) return WICK_OK; /* another process is at it */
    if (!wick_pack_make_room(w->folder, wick_path_base(w->path), w->layout.file_bytes, w->spec.limit_bytes)) {
        wick_log(WICK_LOG_INFO, "packed weights of %" PRIu64 " bytes are above the limit of the cache",
                 w->spec.n_bytes);
        return WICK_OK;
    }
    wick_status st;
    WICK_TRY_GOTO(open_temporary(w, err));
    WICK_TRY_GOTO(write_data(w, err));
    WICK_TRY_GOTO(write_head(w, err));
    WICK_TRY_GOTO(put_in_place(w, err));
    wick_log(WICK_LOG_INFO, "packed weights are kept in %s", w->path);
done:
    if (st != WICK_OK && w->fd >= 0) unlink(w->temporary);
    if (w->fd >= 0) close(w->fd);
    return st;
}

static void *writer_main(void *arg)
{
    wick_pack_writer *w = arg;
    wick_err err = {0};
    if (write_file(w, &err) != WICK_OK)
        wick_log(WICK_LOG_WARN, "packed weights are not kept, the next start packs again: %s", err.message);
    wick_lock_take(&w->lock);
    w->done = true;
    wick_cond_broadcast(&w->ended);
    wick_lock_drop(&w->lock);
    return NULL;
}

static void writer_free(wick_pack_writer *w)
{
    wick_cond_release(&w->ended);
    wick_lock_release(&w->lock);
    wick_free(w->folder);
    wick_free(w->path);
    wick_free(w->temporary);
    wick_free(w->tables);
    wick_free(w);
}

wick_pack_writer *wick_pack_write(const wick_pack_spec *s, const uint8_t *data)
{
    char name[WICK_PACK_NAME + 1], hidden[WICK_PACK_NAME + 32];
    wick_err err = {0};
    wick_pack_writer *w = wick_alloc_zero(1, sizeof *w);
    if (!w) return NULL;
    w->spec = *s;
    w->data = data;
    w->fd = -1;
    wick_lock_init(&w->lock);
    wick_cond_init(&w->ended);
    wick_pack_name(s, name);
    snprintf(hidden, sizeof hidden, ".%s" WICK_PACK_TEMPORARY "XXXXXX", name);
    if (wick_pack_layout_of(&w->layout, s->n_items, s->n_bytes)) {
        w->folder = wick_strdup(s->folder);
        w->path = wick_path_join(s->folder, name);
        w->temporary = wick_path_join(s->folder, hidden);
        w->tables = wick_alloc((size_t)w->layout.tables_bytes);
    }
    if (!w->folder || !w->path || !w->temporary || !w->tables ||
        wick_thread_start(&w->thread, "wick-pack", writer_main, w, &err) != WICK_OK) {
        wick_log(WICK_LOG_WARN, "packed weights are not kept: %s", err.message[0] ? err.message : "out of memory");
        writer_free(w);
        return NULL;
    }
    w->spec.folder = w->folder;
    return w;
}

void wick_pack_write_finish(wick_pack_writer *w)
{
    if (!w) return;
    wick_lock_take(&w->lock);
    bool in_time = true;
    while (!w->done && in_time) in_time = wick_cond_wait_ms(&w->ended, &w->lock, PATIENCE_MS);
    wick_lock_drop(&w->lock);
    if (!in_time)
        wick_log(WICK_LOG_WARN, "writing %" PRIu64 " MiB of packed weights for the next start", w->spec.n_bytes >> 20);
    wick_thread_join(&w->thread);
    writer_free(w);
}
