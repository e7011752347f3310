/* base/file.c - mapped files, whole-file reads, atomic writes, folders. */
#include "base/file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/fault.h"

/* Opens a regular file; O_NONBLOCK so that a FIFO answers at once. */
static wick_status open_regular(const char *path, int *fd, uint64_t *size, wick_err *err)
{
    struct stat sb;
    *fd = wick_fault(WICK_FAULT_OPEN) ? -1 : open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, path, "%s: no such file", path);
        return wick_err_io(err, path, "open", errno);
    }
    if (fstat(*fd, &sb) != 0) {
        int e = errno;
        close(*fd);
        return wick_err_io(err, path, "stat", e);
    }
    if (!S_ISREG(sb.st_mode)) {
        close(*fd);
        return wick_err_format(err, path, "a regular file", S_ISDIR(sb.st_mode) ? "a folder" : "a device or pipe",
                               NULL);
    }
    *size = (uint64_t)sb.st_size;
    return WICK_OK;
}

wick_status wick_file_open(wick_file *f, const char *path, wick_err *err)
{
    memset(f, 0, sizeof *f);
    f->fd = -1;
    WICK_TRY(open_regular(path, &f->fd, &f->n_bytes, err));
    f->path = wick_strdup(path);
    if (!f->path || f->n_bytes > SIZE_MAX) {
        wick_file_close(f);
        return wick_err_oom(err, path, 0, 0);
    }
    if (f->n_bytes == 0) return WICK_OK;
    void *p = mmap(NULL, (size_t)f->n_bytes, PROT_READ, MAP_PRIVATE, f->fd, 0);
    if (p == MAP_FAILED) {
        int e = errno;
        wick_file_close(f);
        return wick_err_io(err, path, "map", e);
    }
    f->data = p;
    return WICK_OK;
}

void wick_file_close(wick_file *f)
{
    if (f->data) munmap((void *)(uintptr_t)f->data, (size_t)f->n_bytes);
    if (f->fd > 0 || (f->fd == 0 && f->path)) close(f->fd); /* a zeroed struct is closed too, and holds no fd 0 */
    wick_free(f->path);
    memset(f, 0, sizeof *f);
    f->fd = -1;
}

static bool path_mode(const char *path, mode_t *mode)
{
    struct stat sb;
    if (stat(path, &sb) != 0) return false;
    *mode = sb.st_mode;
    return true;
}

bool wick_path_exists(const char *path)
{
    mode_t m;
    return path_mode(path, &m);
}

bool wick_path_is_dir(const char *path)
{
    mode_t m;
    return path_mode(path, &m) && S_ISDIR(m);
}

bool wick_path_is_file(const char *path)
{
    mode_t m;
    return path_mode(path, &m) && S_ISREG(m);
}

char *wick_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir), m = strlen(name);
    bool slash = n > 0 && dir[n - 1] != '/';
    char *r = wick_alloc(n + m + 2);
    if (!r) return NULL;
    memcpy(r, dir, n);
    if (slash) r[n++] = '/';
    memcpy(r + n, name, m + 1);
    return r;
}

const char *wick_path_base(const char *path)
{
    const char *s = strrchr(path, '/');
    return s ? s + 1 : path;
}

static wick_status read_all(int fd, const char *path, char *p, size_t size, size_t *n, wick_err *err)
{
    size_t got = 0;
    while (got < size) {
        ssize_t r = read(fd, p + got, size - got);
        if (r < 0 && errno == EINTR) continue;
        if (r < 0) return wick_err_io(err, path, "read", errno);
        if (r == 0) break;
        got += (size_t)r;
    }
    p[got] = '\0';
    if (n) *n = got;
    return WICK_OK;
}

wick_status wick_file_read(const char *path, size_t max_bytes, char **data, size_t *n, wick_err *err)
{
    int fd = -1;
    uint64_t size = 0;
    WICK_TRY(open_regular(path, &fd, &size, err));
    wick_status st = WICK_OK;
    char *p = NULL;
    if (size > max_bytes) {
        st = WICK_FAIL(err, WICK_E_LIMIT, path, "%s: file of %llu bytes is larger than the limit of %zu", path,
                       (unsigned long long)size, max_bytes);
        goto done;
    }
    p = wick_alloc((size_t)size + 1);
    if (!p) {
        st = wick_err_oom(err, path, size, 0);
        goto done;
    }
    WICK_TRY_GOTO(read_all(fd, path, p, (size_t)size, n, err));
    *data = p;
    p = NULL;
done:
    wick_free(p);
    close(fd);
    return st;
}

static wick_status write_all(int fd, const char *path, const char *p, size_t n, wick_err *err)
{
    while (n) {
        ssize_t w = wick_fault(WICK_FAULT_WRITE) ? -1 : write(fd, p, n);
        if (w < 0 && errno == EINTR) continue;
        if (w < 0) return wick_err_io(err, path, "write", errno);
        p += w;
        n -= (size_t)w;
    }
    return !wick_fault(WICK_FAULT_SYNC) && fsync(fd) == 0 ? WICK_OK : wick_err_io(err, path, "fsync", errno);
}

static void sync_folder_of(const char *path)
{
    char *dir = wick_strdup(path);
    if (!dir) return;
    char *slash = strrchr(dir, '/');
    if (slash) *slash = '\0';
    int fd = open(slash ? (*dir ? dir : "/") : ".", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    wick_free(dir);
}

wick_status wick_file_write(const char *path, const void *data, size_t n, wick_err *err)
{
    size_t len = strlen(path);
    char *tmp = wick_alloc(len + 12);
    if (!tmp) return wick_err_oom(err, path, 0, 0);
    memcpy(tmp, path, len);
    memcpy(tmp + len, ".tmp-XXXXXX", 12);
    int fd = wick_fault(WICK_FAULT_OPEN) ? -1 : mkstemp(tmp);
    if (fd < 0) {
        wick_status st = wick_err_io(err, path, "create", errno);
        wick_free(tmp);
        return st;
    }
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    wick_status st = write_all(fd, path, data, n, err);
    if (close(fd) != 0 && st == WICK_OK) st = wick_err_io(err, path, "close", errno);
    if (st == WICK_OK && rename(tmp, path) != 0) st = wick_err_io(err, path, "rename", errno);
    if (st == WICK_OK)
        sync_folder_of(path);
    else
        unlink(tmp);
    wick_free(tmp);
    return st;
}

wick_status wick_dir_make(const char *path, wick_err *err)
{
    char *p = wick_strdup(path);
    if (!p) return wick_err_oom(err, path, 0, 0);
    wick_status st = WICK_OK;
    for (char *s = p + 1; st == WICK_OK; s++) {
        if (*s != '/' && *s != '\0') continue;
        char c = *s;
        *s = '\0';
        if (mkdir(p, 0700) != 0 && !(errno == EEXIST && wick_path_is_dir(p))) st = wick_err_io(err, p, "mkdir", errno);
        *s = c;
        if (c == '\0') break;
    }
    wick_free(p);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

wick_status wick_dir_list_read(wick_dir_list *l, const char *path, wick_err *err)
{
    size_t cap = 0;
    memset(l, 0, sizeof *l);
    DIR *d = opendir(path);
    if (!d) {
        if (errno == ENOENT) return WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, path, "%s: no such folder", path);
        return wick_err_io(err, path, "open folder", errno);
    }
    wick_status st = WICK_OK;
    for (struct dirent *e; (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (l->n == cap) {
            cap = cap ? cap * 2 : 32;
            char **grown = wick_realloc_array(l->name, cap, sizeof *grown);
            if (!grown) {
                st = wick_err_oom(err, path, 0, 0);
                break;
            }
            l->name = grown;
        }
        l->name[l->n] = wick_strdup(e->d_name);
        if (!l->name[l->n]) {
            st = wick_err_oom(err, path, 0, 0);
            break;
        }
        l->n++;
    }
    closedir(d);
    if (st != WICK_OK)
        wick_dir_list_free(l);
    else if (l->n)
        qsort(l->name, l->n, sizeof *l->name, by_name);
    return st;
}

void wick_dir_list_free(wick_dir_list *l)
{
    for (size_t i = 0; i < l->n; i++) wick_free(l->name[i]);
    wick_free(l->name);
    memset(l, 0, sizeof *l);
}
