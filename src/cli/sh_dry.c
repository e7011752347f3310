/* cli/sh_dry.c - see sh_dry.h.
 *
 * Two sandboxes, one in the other. The outer one may mount: it lays an overlay of the kernel over the current folder,
 * whose upper folder is a temporary one of ours. The inner one gives every right away and runs the command. Afterwards
 * the upper folder has exactly what changed; a device 0/0 in it stands for a file that was deleted. Where the kernel
 * or the file system refuses the overlay, the folder is read-only instead.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/str.h"
#include "cli/sh_dry.h"
#include "cli/session.h"

enum { NO_OVERLAY = 117, MAX_DEPTH = 64, MAX_CAPTURED = 64 << 10 };

/* In the outer sandbox: $1 lower, $2 temporary folder, $3 user, $4 group, $5 shell, $6 command, $7 "capture" or "". */
static const char script[] =
    "mount -t overlay overlay -o \"lowerdir=$1,upperdir=$2/upper,workdir=$2/work\" \"$1\" 2>/dev/null || exit 117\n"
    "cd \"$1\" || exit 117\n"
    "[ -z \"$7\" ] || exec >\"$2/out\" 2>\"$2/err\"\n"
    "exec bwrap --bind / / --dev /dev --proc /proc --tmpfs /tmp --bind \"$1\" \"$1\" --unshare-user --uid \"$3\" --gid "
    "\"$4\" "
    "--die-with-parent --chdir \"$1\" \"$5\" -c \"$6\"\n";

static void add(wick_arena *arena, wick_sh_dry *d, const char *what, const char *path)
{
    if (d->n == WICK_SH_MAX_CHANGES) {
        d->more = true;
        return;
    }
    const char *own = wick_arena_strdup(arena, path);
    if (own) d->change[d->n++] = (wick_sh_change){what, own};
}

static bool same_bytes(const char *x, const char *y)
{
    char a[4096], b[4096];
    int f = open(x, O_RDONLY | O_CLOEXEC), g = open(y, O_RDONLY | O_CLOEXEC);
    bool same = f >= 0 && g >= 0;
    while (same) {
        ssize_t n = read(f, a, sizeof a), m = read(g, b, sizeof b);
        same = n == m && n >= 0 && memcmp(a, b, (size_t)n) == 0;
        if (n <= 0) break;
    }
    if (f >= 0) close(f);
    if (g >= 0) close(g);
    return same;
}

/* What the entry of the upper folder at `up` means for `low`; sub is its path below the folder. */
static void compare(wick_arena *arena, wick_sh_dry *d, const char *up, const char *low, const char *sub)
{
    struct stat u, l;
    if (lstat(up, &u) != 0) return;
    bool was = lstat(low, &l) == 0;
    if (S_ISCHR(u.st_mode) && u.st_rdev == 0)
        add(arena, d, "deletes", sub);
    else if (!was)
        add(arena, d, "creates", sub);
    else if ((u.st_mode & S_IFMT) != (l.st_mode & S_IFMT))
        add(arena, d, "replaces", sub);
    else if (S_ISREG(u.st_mode) && (u.st_size != l.st_size || !same_bytes(up, low)))
        add(arena, d, "changes", sub);
    else if (u.st_mode != l.st_mode)
        add(arena, d, "changes the permissions of", sub);
    else if (!S_ISDIR(u.st_mode) && u.st_mtime != l.st_mtime)
        add(arena, d, "sets the time of", sub);
}

static void list_changes(wick_arena *arena, wick_sh_dry *d, const char *up, const char *low, const char *sub,
                         unsigned depth)
{
    wick_dir_list l;
    struct stat s;
    if (depth > MAX_DEPTH || d->more || wick_dir_list_read(&l, up, NULL) != WICK_OK) return;
    for (size_t k = 0; k < l.n; k++) {
        const char *u = wick_arena_printf(arena, "%s/%s", up, l.name[k]);
        const char *w = wick_arena_printf(arena, "%s/%s", low, l.name[k]);
        const char *p = *sub ? wick_arena_printf(arena, "%s/%s", sub, l.name[k]) : l.name[k];
        if (!u || !w || !p) break;
        compare(arena, d, u, w, p);
        if (lstat(u, &s) == 0 && S_ISDIR(s.st_mode)) list_changes(arena, d, u, w, p, depth + 1);
    }
    wick_dir_list_free(&l);
}

static const char *captured(wick_arena *arena, const char *folder, const char *name)
{
    const char *path = wick_arena_printf(arena, "%s/%s", folder, name);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    char *text = fd >= 0 ? wick_arena_alloc(arena, MAX_CAPTURED + 1) : NULL;
    ssize_t n = text ? read(fd, text, MAX_CAPTURED) : 0;
    if (fd >= 0) close(fd);
    if (!text) return "";
    text[n > 0 ? n : 0] = 0;
    return text;
}

/* Removes the temporary folder with all that the command left in it. */
static void remove_all(wick_arena *arena, const char *path, unsigned depth)
{
    wick_dir_list l;
    struct stat s;
    if (lstat(path, &s) != 0) return;
    if (S_ISDIR(s.st_mode) && depth < MAX_DEPTH) {
        chmod(path, 0700);
        if (wick_dir_list_read(&l, path, NULL) == WICK_OK) {
            for (size_t k = 0; k < l.n; k++) {
                const char *sub = wick_arena_printf(arena, "%s/%s", path, l.name[k]);
                if (sub) remove_all(arena, sub, depth + 1);
            }
            wick_dir_list_free(&l);
        }
        rmdir(path);
    } else {
        unlink(path);
    }
}

static wick_status in_overlay(wick_arena *arena, const char *shell, const char *cmd, bool capture, const char *here,
                              const char *temporary, wick_sh_dry *out, wick_err *err)
{
    const char *upper = wick_arena_printf(arena, "%s/upper", temporary);
    const char *work = wick_arena_printf(arena, "%s/work", temporary);
    const char *user = wick_arena_printf(arena, "%u", (unsigned)getuid());
    const char *group = wick_arena_printf(arena, "%u", (unsigned)getgid());
    if (!upper || !work || !user || !group) return wick_err_oom(err, "a dry run", 0, 0);
    if (mkdir(upper, 0700) != 0 || mkdir(work, 0700) != 0) return wick_err_io(err, upper, "making", errno);
    const char *argv[] = {"bwrap",
                          "--ro-bind",
                          "/",
                          "/",
                          "--dev",
                          "/dev",
                          "--proc",
                          "/proc",
                          "--tmpfs",
                          "/run",
                          "--bind",
                          temporary,
                          temporary,
                          "--ro-bind",
                          here,
                          here,
                          "--unshare-all",
                          "--unshare-user",
                          "--uid",
                          "0",
                          "--gid",
                          "0",
                          "--cap-add",
                          "CAP_SYS_ADMIN",
                          "--die-with-parent",
                          "--chdir",
                          "/",
                          "sh",
                          "-c",
                          script,
                          "sh",
                          here,
                          temporary,
                          user,
                          group,
                          shell,
                          cmd,
                          capture ? "capture" : "",
                          NULL};
    WICK_TRY(wick_sh_spawn(argv, &out->code, err));
    out->overlay = out->code != NO_OVERLAY;
    if (out->overlay) list_changes(arena, out, upper, here, "", 0);
    return WICK_OK;
}

wick_status wick_sh_dry_run(wick_arena *arena, const char *shell, const char *cmd, bool capture, wick_sh_dry *out,
                            wick_err *err)
{
    char here[4096], temporary[] = "/tmp/wick-dry-XXXXXX";
    memset(out, 0, sizeof *out);
    out->output = out->errors = "";
    out->change = wick_arena_array(arena, WICK_SH_MAX_CHANGES, sizeof *out->change);
    if (!out->change) return wick_err_oom(err, "a dry run", 0, 0);
    if (!getcwd(here, sizeof here)) return wick_err_io(err, ".", "looking at", errno);
    if (!mkdtemp(temporary)) return wick_err_io(err, temporary, "making", errno);
    wick_status st = in_overlay(arena, shell, cmd, capture, here, temporary, out, err);
    if (st == WICK_OK && !out->overlay) {
        const char *argv[] = {"bwrap",
                              "--ro-bind",
                              "/",
                              "/",
                              "--dev",
                              "/dev",
                              "--proc",
                              "/proc",
                              "--tmpfs",
                              "/tmp",
                              "--tmpfs",
                              "/run",
                              "--bind",
                              temporary,
                              temporary,
                              "--ro-bind",
                              here,
                              here,
                              "--unshare-all",
                              "--die-with-parent",
                              "--chdir",
                              here,
                              "sh",
                              "-c",
                              "[ -z \"$3\" ] || exec >\"$3/out\" 2>\"$3/err\"; exec \"$1\" -c \"$2\"",
                              "sh",
                              shell,
                              cmd,
                              capture ? temporary : "",
                              NULL};
        st = wick_sh_spawn(argv, &out->code, err);
    }
    if (st == WICK_OK && out->code == 127 && !wick_path_exists("/usr/bin/bwrap") && !wick_path_exists("/bin/bwrap"))
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dry-run",
                       "--dry-run needs bubblewrap (bwrap), or the command's program is missing");
    if (st == WICK_OK && capture) {
        out->output = captured(arena, temporary, "out");
        out->errors = captured(arena, temporary, "err");
    }
    remove_all(arena, temporary, 0);
    return st;
}

void wick_sh_dry_print(wick_arena *arena, const wick_sh_dry *d)
{
    if (!d->overlay)
        fputs("no overlay can be made here: it ran where nothing can be written\n", stderr);
    else if (d->n == 0)
        fputs("it would change nothing here\n", stderr);
    for (size_t k = 0; k < d->n; k++)
        fprintf(stderr, "%s %s\n", d->change[k].what,
                wick_sh_visible(arena, d->change[k].path, strlen(d->change[k].path)));
    if (d->more) fprintf(stderr, "and more than %d others\n", WICK_SH_MAX_CHANGES);
}

json_t *wick_sh_dry_json(const wick_sh_dry *d)
{
    json_t *o = json_object(), *changes = json_array();
    for (size_t k = 0; k < d->n; k++) {
        json_t *c = json_object();
        json_object_set_new(c, "what", json_string(d->change[k].what));
        json_object_set_new(c, "path", wick_json_text(d->change[k].path, strlen(d->change[k].path)));
        json_array_append_new(changes, c);
    }
    json_object_set_new(o, "exit_code", json_integer(d->code));
    json_object_set_new(o, "overlay", json_boolean(d->overlay));
    json_object_set_new(o, "changes", changes);
    json_object_set_new(o, "output", wick_json_text(d->output, strlen(d->output)));
    json_object_set_new(o, "errors", wick_json_text(d->errors, strlen(d->errors)));
    return o;
}
