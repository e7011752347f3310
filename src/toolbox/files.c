/* toolbox/files.c - the built-in tools read_file and list_files: only below given folders.
 *
 * A path is resolved with all its links first, and what comes out must lie below a folder, which was resolved when the
 * tool was made. The file is then opened without following a last link, and where the system can tell, the name of what
 * was opened is compared once more, so that a link put in place meanwhile leads nowhere. Only regular files are read,
 * up to a size. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "toolbox/toolbox_int.h"

enum { READ_MAX_BYTES = 1 << 20, ENTRIES_MAX = 1000 };

static void free_folders(void *user)
{
    wick_toolbox_texts_free(user);
}

/* Is the resolved path the folder or below it? */
static bool is_below(const char *path, const char *folder)
{
    const size_t n = strlen(folder);
    if (strcmp(folder, "/") == 0) return path[0] == '/';
    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static bool below_any(char *const *folders, const char *path)
{
    for (size_t i = 0; folders[i]; i++)
        if (is_below(path, folders[i])) return true;
    return false;
}

/* What was really opened: its name as the system has it, where it tells. */
static bool opened_below(char *const *folders, int fd)
{
#if defined(__linux__)
    char link[64], name[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t n = readlink(link, name, sizeof name - 1);
    if (n < 0) return true; /* no /proc here */
    name[n] = '\0';
    return below_any(folders, name);
#elif defined(F_GETPATH)
    char name[PATH_MAX];
    return fcntl(fd, F_GETPATH, name) != 0 || below_any(folders, name);
#else
    (void)folders;
    (void)fd;
    return true;
#endif
}

wick_status wick_open_below(char *const *folders, const char *path, int *fd, wick_err *err)
{
    static const char refused[] = "%.200s: is not below the folders that this tool may read";
    char full[PATH_MAX], real[PATH_MAX];
    *fd = -1;
    for (size_t i = 0; folders[i]; i++) {
        if (path[0] == '/') {
            if (i > 0) break;
            snprintf(full, sizeof full, "%s", path);
        } else if (snprintf(full, sizeof full, "%s/%s", folders[i], path) >= (int)sizeof full) {
            continue;
        }
        if (strlen(path) >= PATH_MAX || !realpath(full, real)) continue;
        if (!below_any(folders, real)) continue;
        *fd = open(real, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (*fd < 0) return wick_err_io(err, path, "open", errno);
        if (opened_below(folders, *fd)) return WICK_OK;
        close(*fd);
        *fd = -1;
    }
    /* Whether something is there, and elsewhere, is not told. */
    return WICK_FAIL(err, WICK_E_REFUSED, path, refused, path);
}

static wick_status read_fd(int fd, const char *path, wick_buf *out, wick_err *err)
{
    struct stat s;
    char chunk[16384];
    size_t total = 0;
    if (fstat(fd, &s) != 0) return wick_err_io(err, path, "read", errno);
    if (!S_ISREG(s.st_mode)) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, path, "%.200s: is no regular file", path);
    while (total < READ_MAX_BYTES) {
        const ssize_t k = read(fd, chunk, sizeof chunk);
        if (k < 0 && errno == EINTR) continue;
        if (k < 0) return wick_err_io(err, path, "read", errno);
        if (k == 0) return WICK_OK;
        wick_buf_add(out, chunk, (size_t)k);
        total += (size_t)k;
    }
    wick_buf_puts(out, "\n[cut: the file is larger than 1 MiB]");
    return WICK_OK;
}

/* One line a name, folders with a slash behind. */
static wick_status list_fd(int fd, const char *path, wick_buf *out, wick_err *err)
{
    DIR *d = fdopendir(fd);
    if (!d) {
        const int e = errno;
        close(fd);
        return wick_err_io(err, path, "list", e);
    }
    size_t n = 0;
    for (const struct dirent *e; (e = readdir(d));) {
        struct stat s;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (++n > ENTRIES_MAX) {
            wick_buf_printf(out, "[cut: more than %d entries]\n", ENTRIES_MAX);
            break;
        }
        const bool is_dir = fstatat(fd, e->d_name, &s, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(s.st_mode);
        wick_buf_printf(out, "%s%s\n", e->d_name, is_dir ? "/" : "");
    }
    closedir(d);
    return WICK_OK;
}

static wick_status path_of(const wick_tool_job *c, json_t **arguments, const char **path, wick_err *err)
{
    WICK_TRY(wick_json_parse(c->arguments, strlen(c->arguments), "arguments", arguments, err));
    const json_t *v = json_object_get(*arguments, "path");
    *path = v ? json_string_value(v) : ".";
    if (*path && strlen(*path) == (v ? json_string_length(v) : 1)) return WICK_OK;
    json_decref(*arguments);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "path", "path: must be a text without NUL");
}

static wick_status read_file(void *user, const wick_tool_job *c, wick_buf *out, wick_err *err)
{
    json_t *a = NULL;
    const char *path;
    int fd;
    WICK_TRY(path_of(c, &a, &path, err));
    wick_status st = wick_open_below(user, path, &fd, err);
    if (st == WICK_OK) {
        st = read_fd(fd, path, out, err);
        close(fd);
    }
    json_decref(a);
    return st;
}

static wick_status list_files(void *user, const wick_tool_job *c, wick_buf *out, wick_err *err)
{
    json_t *a = NULL;
    const char *path;
    int fd;
    WICK_TRY(path_of(c, &a, &path, err));
    wick_status st = wick_open_below(user, path, &fd, err);
    if (st == WICK_OK) st = list_fd(fd, path, out, err);
    json_decref(a);
    return st;
}

/* The folders as they really are; a relative one is below the file's. */
static wick_status resolve_folders(char **folders, const char *base, wick_err *err)
{
    for (size_t i = 0; folders[i]; i++) {
        char full[PATH_MAX], real[PATH_MAX];
        if (folders[i][0] == '/' || !base)
            snprintf(full, sizeof full, "%s", folders[i]);
        else
            snprintf(full, sizeof full, "%s/%s", base, folders[i]);
        if (!realpath(full, real) || !wick_path_is_dir(real))
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "folders", "tools: folders: there is no folder %.200s", full);
        wick_free(folders[i]);
        folders[i] = wick_strdup(real);
        if (!folders[i]) return wick_err_oom(err, "folders", 0, 0);
    }
    return WICK_OK;
}

wick_status wick_toolbox_add_files(wick_toolbox *b, const char *name, const json_t *c, const wick_toolbox_opts *o,
                                   wick_err *err)
{
    const bool reads = strcmp(name, "read_file") == 0;
    char **folders = NULL;
    if (json_array_size(json_object_get(c, "folders")) == 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "tools: %s needs {\"folders\": [\"...\"]}", name);
    WICK_TRY(wick_toolbox_texts(json_object_get(c, "folders"), name, o, &folders, err));
    wick_status st = resolve_folders(folders, o->folder, err);
    const wick_tool_def def = {
        .name = name,
        .description = reads ? "The text of a file, by its path." : "The names of the files in a folder, by its path.",
        .schema = reads
                      ? "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}},\"required\":[\"path\"]}"
                      : "{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"}}}",
        .safe = true,
        .fn = reads ? read_file : list_files,
        .user = folders,
        .release = free_folders};
    if (st == WICK_OK) st = wick_toolset_add(b->tools, &def, err);
    if (st != WICK_OK) wick_toolbox_texts_free(folders);
    return st;
}
