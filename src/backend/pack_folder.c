/* backend/pack_folder.c - the folder of pack files: what is there, removing, and room for one more. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/pack_folder.h"
#include "base/log.h"
#include "base/str.h"

static wick_status read_info(wick_pack_info *i, const char *folder, const char *name, wick_err *err)
{
    wick_pack_head head = {0};
    wick_pack_layout layout;
    struct stat sb = {0};
    wick_status st = WICK_OK;
    const char *fault = "it cannot be read";
    char *path = wick_path_join(folder, name);
    memset(i, 0, sizeof *i);
    i->name = wick_strdup(name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW) : -1;
    if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode)) {
        fault = wick_pack_read_at(fd, &head, sizeof head, 0)
                    ? wick_pack_head_fault(&head, (uint64_t)sb.st_size, &layout)
                    : "damaged: too short";
        i->n_bytes = (uint64_t)sb.st_size;
        i->used = (int64_t)sb.st_mtime;
    }
    wick_escape_line(i->state, sizeof i->state, fault ? fault : "ok", strlen(fault ? fault : "ok"));
    i->model = wick_strndup(fault ? "" : head.model, fault ? 0 : strnlen(head.model, sizeof head.model));
    if (!path || !i->name || !i->model) st = wick_err_oom(err, folder, 0, 0);
    if (fd >= 0) close(fd);
    wick_free(path);
    return st;
}

static int by_use(const void *pa, const void *pb)
{
    const wick_pack_info *a = pa, *b = pb;
    if (a->used != b->used) return a->used > b->used ? -1 : 1;
    return strcmp(a->name, b->name);
}

wick_status wick_pack_list_read(wick_pack_list *l, const char *folder, wick_err *err)
{
    wick_dir_list names = {0};
    memset(l, 0, sizeof *l);
    if (!wick_path_exists(folder)) return WICK_OK;
    WICK_TRY(wick_dir_list_read(&names, folder, err));
    wick_status st = WICK_OK;
    l->item = wick_alloc_zero(names.n + 1, sizeof *l->item);
    if (!l->item) st = wick_err_oom(err, folder, 0, 0);
    for (size_t i = 0; st == WICK_OK && i < names.n && l->n < UINT32_MAX; i++) {
        if (!wick_pack_name_ok(names.name[i])) continue;
        wick_pack_info *info = &l->item[l->n++];
        st = read_info(info, folder, names.name[i], err);
        l->n_bytes += info->n_bytes;
    }
    wick_dir_list_free(&names);
    if (st != WICK_OK)
        wick_pack_list_free(l);
    else
        qsort(l->item, l->n, sizeof *l->item, by_use);
    return st;
}

void wick_pack_list_free(wick_pack_list *l)
{
    for (uint32_t i = 0; i < l->n; i++) {
        wick_free(l->item[i].name);
        wick_free(l->item[i].model);
    }
    wick_free(l->item);
    memset(l, 0, sizeof *l);
}

wick_status wick_pack_remove(const char *folder, const char *name, wick_err *err)
{
    if (!wick_pack_name_ok(name))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s is no name that `wick cache list` shows", name);
    char *path = wick_path_join(folder, name);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = unlink(path) == 0 || errno == ENOENT ? WICK_OK : wick_err_io(err, path, "remove", errno);
    wick_free(path);
    return st;
}

/* A writer holds the lock of its temporary file for as long as it lives. */
static bool is_abandoned(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) return false;
    bool free_now = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return free_now;
}

bool wick_pack_sweep_for(const char *folder, const char *name)
{
    wick_dir_list names;
    bool busy = false;
    if (wick_dir_list_read(&names, folder, NULL) != WICK_OK) return false;
    for (size_t i = 0; i < names.n; i++) {
        const char *s = names.name[i];
        if (s[0] != '.' || !strstr(s, WICK_PACK_SUFFIX WICK_PACK_TEMPORARY)) continue;
        char *path = wick_path_join(folder, s);
        if (path && is_abandoned(path))
            unlink(path);
        else if (name && strncmp(s + 1, name, strlen(name)) == 0)
            busy = true;
        wick_free(path);
    }
    wick_dir_list_free(&names);
    return busy;
}

void wick_pack_sweep(const char *folder)
{
    (void)wick_pack_sweep_for(folder, NULL);
}

bool wick_pack_make_room(const char *folder, const char *name, uint64_t need, uint64_t limit)
{
    wick_pack_list l;
    if (limit == 0) return true;
    if (need > limit || wick_pack_list_read(&l, folder, NULL) != WICK_OK) return false;
    uint64_t have = l.n_bytes;
    for (uint32_t i = l.n; i > 0 && have > limit - need; i--) {
        const wick_pack_info *info = &l.item[i - 1];
        have -= info->n_bytes;
        if (strcmp(info->name, name) != 0 && wick_pack_remove(folder, info->name, NULL) == WICK_OK)
            wick_log(WICK_LOG_INFO, "removed the packed weights %s: the cache is full", info->name);
    }
    wick_pack_list_free(&l);
    return true;
}
