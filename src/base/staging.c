/* base/staging.c - see staging.h. */
#include "base/staging.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/str.h"

#define SUFFIX ".part-XXXXXX"

static void remove_folder(const char *folder)
{
    wick_dir_list l = {0};
    if (wick_dir_list_read(&l, folder, NULL) == WICK_OK) {
        for (size_t i = 0; i < l.n; i++) {
            char *path = wick_path_join(folder, l.name[i]);
            if (path) unlink(path);
            wick_free(path);
        }
        wick_dir_list_free(&l);
    }
    rmdir(folder);
}

/* "a/b" -> "a"; "b" -> "." */
static char *parent_of(const char *path)
{
    const char *base = wick_path_base(path);
    if (base == path) return wick_strdup(".");
    size_t n = (size_t)(base - path);
    return wick_strndup(path, n > 1 ? n - 1 : 1);
}

/* What writers that have died left of the same output. */
static void sweep(const char *parent, const char *base)
{
    wick_dir_list l = {0};
    size_t n = strlen(base);
    if (wick_dir_list_read(&l, parent, NULL) != WICK_OK) return;
    for (size_t i = 0; i < l.n; i++) {
        const char *rest = l.name[i] + n;
        if (strncmp(l.name[i], base, n) != 0 || strlen(rest) != sizeof SUFFIX - 1 || !wick_starts_with(rest, ".part-"))
            continue;
        char *path = wick_path_join(parent, l.name[i]);
        int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW) : -1;
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) remove_folder(path);
        if (fd >= 0) close(fd);
        wick_free(path);
    }
    wick_dir_list_free(&l);
}

static wick_status check_free(const char *out, bool replace, wick_err *err)
{
    if (wick_path_is_dir(out)) {
        wick_dir_list l = {0};
        WICK_TRY(wick_dir_list_read(&l, out, err));
        bool empty = l.n == 0;
        wick_dir_list_free(&l);
        if (empty) return WICK_OK;
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, out,
                         "%s: this folder is there already and not empty: choose another", out);
    }
    if (!wick_path_exists(out) || replace) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, out,
                     "%s: this file is there already: choose another name, or add --force", out);
}

wick_status wick_staging_begin(wick_staging *s, const char *out, bool replace, wick_err *err)
{
    wick_status st = WICK_OK;
    char *parent = NULL, *folder = NULL;
    *s = (wick_staging){.fd = -1};
    size_t n = strlen(out);
    while (n > 1 && out[n - 1] == '/') n--;
    s->out = wick_strndup(out, n);
    parent = s->out ? parent_of(s->out) : NULL;
    folder = wick_alloc(n + sizeof SUFFIX);
    if (!parent || !folder) {
        st = wick_err_oom(err, "a path", 0, 0);
        goto done;
    }
    WICK_TRY_GOTO(check_free(s->out, replace, err));
    WICK_TRY_GOTO(wick_dir_make(parent, err));
    sweep(parent, wick_path_base(s->out));
    memcpy(folder, s->out, n);
    memcpy(folder + n, SUFFIX, sizeof SUFFIX);
    if (!mkdtemp(folder)) {
        st = wick_err_io(err, s->out, "create", errno);
        goto done;
    }
    s->folder = folder;
    folder = NULL;
    (void)chmod(s->folder, 0755);
    s->fd = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->fd < 0 ||
        (flock(s->fd, LOCK_EX | LOCK_NB) != 0 && errno != ENOLCK && errno != ENOSYS && errno != EOPNOTSUPP))
        st = wick_err_io(err, s->folder, "lock", errno);
done:
    wick_free(parent);
    wick_free(folder);
    if (st != WICK_OK) wick_staging_drop(s);
    return st;
}

wick_status wick_staging_room(const wick_staging *s, uint64_t n_bytes, wick_err *err)
{
    struct statvfs v;
    char need[32], have[32];
    if (statvfs(s->folder, &v) != 0) return WICK_OK;
    uint64_t room = (uint64_t)v.f_bavail * v.f_frsize;
    if (n_bytes <= room) return WICK_OK;
    wick_status st =
        WICK_FAIL(err, WICK_E_IO, s->out, "%s: %s are needed and %s are free: make room, or choose another disk",
                  s->out, wick_format_bytes(need, sizeof need, n_bytes), wick_format_bytes(have, sizeof have, room));
    if (err) {
        err->need = n_bytes;
        err->have = room;
    }
    return st;
}

/* Every file of the folder, and the folder itself, onto the disk. */
static wick_status sync_all(const wick_staging *s, wick_err *err)
{
    wick_dir_list l = {0};
    wick_status st = wick_dir_list_read(&l, s->folder, err);
    for (size_t i = 0; st == WICK_OK && i < l.n; i++) {
        char *path = wick_path_join(s->folder, l.name[i]);
        int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
        if (fd < 0 || fsync(fd) != 0) st = wick_err_io(err, path ? path : s->folder, "write to disk", errno);
        if (fd >= 0) close(fd);
        wick_free(path);
    }
    wick_dir_list_free(&l);
    if (st == WICK_OK) (void)fsync(s->fd);
    return st;
}

wick_status wick_staging_commit(wick_staging *s, const char *file, wick_err *err)
{
    WICK_TRY(sync_all(s, err));
    char *from = file ? wick_path_join(s->folder, file) : wick_strdup(s->folder), *parent = parent_of(s->out);
    wick_status st = WICK_OK;
    if (!from || !parent)
        st = wick_err_oom(err, "a path", 0, 0);
    else if (rename(from, s->out) != 0)
        st = wick_err_io(err, s->out, "rename", errno);
    int fd = st == WICK_OK ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        (void)fsync(fd);
        close(fd);
    }
    if (st == WICK_OK && !file) {
        wick_free(s->folder);
        s->folder = NULL;
    }
    wick_free(from);
    wick_free(parent);
    return st;
}

void wick_staging_drop(wick_staging *s)
{
    if (s->folder) remove_folder(s->folder);
    if (s->out && s->fd >= 0) close(s->fd);
    wick_free(s->folder);
    wick_free(s->out);
    *s = (wick_staging){.fd = -1};
}
