/* shell/paths.c - what a path on a command line is: the root, a folder of the system, a disk, a key, nothing special.
 * Names are those of Linux and macOS systems. Nothing is looked up on this machine. */
#include <string.h>
#include "shell/walk.h"

const char *wick_sh_base(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool wick_sh_among(const char *name, const char *list)
{
    size_t n = strlen(name);
    if (n == 0) return false;
    for (const char *p = list; *p;) {
        size_t len = strcspn(p, " ");
        if (len == n && memcmp(p, name, n) == 0) return true;
        p += len;
        while (*p == ' ') p++;
    }
    return false;
}

bool wick_sh_harmless_file(const char *path)
{
    return wick_sh_among(path, "/dev/null /dev/stdout /dev/stderr /dev/tty /dev/full /dev/stdin") ||
           wick_starts_with(path, "/dev/fd/") || wick_starts_with(path, "/dev/shm/") ||
           wick_starts_with(path, "/dev/pts/");
}

static bool is_disk(const char *p)
{
    static const char *const disks[] = {"sd",      "hd",  "vd",  "xvd",  "nvme", "mmcblk", "disk", "rdisk",
                                        "mapper/", "dm-", "md",  "loop", "zram", "mem",    "kmem", "port",
                                        "root",    "mtd", "nbd", "sg",   "sr",   "bus/"};
    if (!wick_starts_with(p, "/dev/")) return false;
    p += 5;
    for (size_t k = 0; k < sizeof disks / sizeof *disks; k++)
        if (wick_starts_with(p, disks[k])) return true;
    return *p == WICK_SH_UNKNOWN || *p == '*' || *p == 0;
}

bool wick_sh_secret(const char *path)
{
    static const char *const parts[] = {
        "/.ssh/id_",         "/.aws/credentials", "/.gnupg/",        "/.netrc",
        "/.pgpass",          "/.git-credentials", "/.kube/config",   "/.docker/config.json",
        "/.password-store",  "/.vault-token",     "/.config/gcloud", "/.azure/",
        "/Login Data",       "/.my.cnf",          "/.npmrc",         "/.pypirc",
        "/.config/gh/hosts", "/keychain",         "/Keychains",      "/wallet.dat"};
    size_t n = strlen(path);
    if (strchr(path, ' ')) return false; /* a sentence, not a path */
    if (wick_sh_among(path, "/etc/shadow /etc/gshadow /etc/master.passwd /etc/security/opasswd /etc/sudoers"))
        return true;
    for (size_t k = 0; k < sizeof parts / sizeof *parts; k++)
        if (strstr(path, parts[k])) return !(n > 4 && strcmp(path + n - 4, ".pub") == 0);
    if (wick_starts_with(path, "/proc/") && wick_ends_with(path, "/environ")) return true;
    return wick_ends_with(path, ".kdbx") || wick_starts_with(wick_sh_base(path), "id_rsa") ||
                   wick_starts_with(wick_sh_base(path), "id_ed25519")
               ? !wick_ends_with(path, ".pub")
               : false;
}

/* Removes "//", "/./" and resolves "/../", in place of an own copy. */
static const char *normalise(wick_sh_walk *w, const char *path)
{
    size_t n = strlen(path), out = 0;
    char *s = wick_arena_alloc(w->a, n + 2);
    if (!s) return path;
    bool absolute = *path == '/';
    for (size_t i = 0; i < n;) {
        while (i < n && path[i] == '/') i++;
        size_t len = 0;
        while (i + len < n && path[i + len] != '/') len++;
        if (len == 0) break;
        bool up = len == 2 && path[i] == '.' && path[i + 1] == '.';
        if (len == 1 && path[i] == '.' && (absolute || out > 0 || i + len < n)) {
            i += len;
            continue;
        }
        if (up && absolute) {
            while (out > 0 && s[out - 1] != '/') out--;
            if (out > 0) out--;
        } else {
            if (out > 0 || absolute) s[out++] = '/';
            memcpy(s + out, path + i, len);
            out += len;
        }
        i += len;
    }
    if (out == 0 && n > 0) s[out++] = absolute ? '/' : '.';
    s[out] = 0;
    return s;
}

static wick_sh_place home_place(const char *rest)
{
    static const char dotfiles[] =
        ".bashrc .profile .bash_profile .zshrc .zprofile .zshenv .login .bash_login .bash_logout .ssh .gnupg "
        ".config .aws .kube .gitconfig .xinitrc .xprofile .local";
    if (!*rest || strcmp(rest, "*") == 0 || strcmp(rest, ".*") == 0 || strcmp(rest, "*.*") == 0) return WICK_SH_HOME;
    char first[64];
    size_t n = strcspn(rest, "/");
    if (n >= sizeof first) return WICK_SH_PLAIN;
    memcpy(first, rest, n);
    first[n] = 0;
    if (!wick_sh_among(first, dotfiles)) return WICK_SH_PLAIN;
    return wick_sh_among(first, ".config .local") && rest[n] ? WICK_SH_PLAIN : WICK_SH_DOTFILE;
}

static wick_sh_place system_place(const char *p, bool glob)
{
    static const char folders[] =
        "bin boot dev etc home lib lib32 lib64 libx32 opt proc root run sbin srv sys usr var System Library "
        "Users Applications private mnt media Volumes Windows c C nix";
    static const char files[] =
        "/etc/passwd /etc/shadow /etc/sudoers /etc/fstab /etc/group /etc/gshadow /etc/hosts /etc/crypttab "
        "/bin/sh /bin/bash /usr/bin/env /etc/ld.so.preload /proc/sysrq-trigger /sbin/init /etc/inittab "
        "/etc/pam.d /etc/ssh/sshd_config /lib/systemd /usr/lib/systemd /etc/systemd";
    static const char inner[] =
        "/usr/bin /usr/lib /usr/sbin /usr/local /usr/share /usr/lib64 /usr/include /var/lib /var/log /var/www "
        "/var/cache /etc/ssh /System/Library /boot/grub /boot/efi /var/spool /usr/libexec /etc/init.d /var/run "
        "/lib/modules /var/mail /var/backups /usr/src /var/lib/dpkg /var/lib/mysql /var/lib/postgresql "
        "/usr/local/bin /usr/local/lib /etc/cron.d";
    if (strcmp(p, "/") == 0) return WICK_SH_VITAL;
    size_t n = strlen(p);
    if (glob && n >= 2 && p[n - 1] == '*' && p[n - 2] == '/') { /* all that is in a folder */
        char parent[256];
        if (n - 2 == 0) return WICK_SH_VITAL;
        if (n - 2 < sizeof parent) {
            memcpy(parent, p, n - 2);
            parent[n - 2] = 0;
            wick_sh_place up = system_place(parent, false);
            if (up == WICK_SH_VITAL || up == WICK_SH_HOME) return up;
        }
    }
    if (wick_sh_among(p, files) || wick_sh_among(p, inner)) return WICK_SH_VITAL;
    if (!strchr(p + 1, '/')) {
        if (glob && strpbrk(p, "*?")) return WICK_SH_VITAL; /* a pattern in the root */
        return wick_sh_among(p + 1, folders) ? WICK_SH_VITAL : WICK_SH_PLAIN;
    }
    if (wick_starts_with(p, "/home/") || wick_starts_with(p, "/Users/")) {
        const char *user = strchr(p + 1, '/') + 1, *rest = strchr(user, '/');
        return home_place(rest ? rest + 1 : "");
    }
    if (wick_starts_with(p, "/root/")) return home_place(p + 6);
    static const char *const below[] = {"/bin/", "/boot/", "/etc/", "/lib",     "/sbin/",    "/usr/", "/var/",
                                        "/sys/", "/proc/", "/dev/", "/System/", "/Library/", "/opt/", "/Applications/"};
    if (wick_starts_with(p, "/var/tmp/") || wick_starts_with(p, "/var/folders/") ||
        wick_starts_with(p, "/private/tmp/"))
        return WICK_SH_PLAIN;
    for (size_t k = 0; k < sizeof below / sizeof *below; k++)
        if (wick_starts_with(p, below[k])) return WICK_SH_SYSTEM;
    return WICK_SH_PLAIN;
}

wick_sh_place wick_sh_where(const wick_sh_walk *cw, const wick_sh_field *f)
{
    wick_sh_walk *w = (wick_sh_walk *)(uintptr_t)cw; /* the arena only */
    const char *p = f->text;
    if (wick_sh_harmless_file(p)) return WICK_SH_PLAIN;
    if (is_disk(p)) return WICK_SH_DEVICE;
    if (*p == WICK_SH_UNKNOWN) return p[1] == '/' || p[1] == 0 ? WICK_SH_MAYBE : WICK_SH_PLAIN;
    if (*p == '~' && (p[1] == '/' || !p[1])) {
        const char *s = normalise(w, p);
        return home_place(s[1] ? s + 2 : "");
    }
    if (*p != '/' && *p) {
        bool all = wick_sh_among(p, ". ./ .. ../ * ./* .* ./.* *.* ** ../* ../.. ../../* {*,.*} .[!.]*");
        if (w->cwd && *w->cwd != WICK_SH_UNKNOWN && (*w->cwd == '/' || *w->cwd == '~')) {
            size_t n = strlen(w->cwd) + strlen(p) + 2;
            char *joined = wick_arena_alloc(w->a, n);
            if (!joined) return WICK_SH_PLAIN;
            memcpy(joined, w->cwd, strlen(w->cwd));
            joined[strlen(w->cwd)] = '/';
            memcpy(joined + strlen(w->cwd) + 1, p, strlen(p) + 1);
            wick_sh_field g = {joined, f->unknown, f->glob, f->word};
            const char *was = w->cwd;
            w->cwd = NULL;
            wick_sh_place place = wick_sh_where(w, &g);
            w->cwd = was;
            return place == WICK_SH_PLAIN && all ? WICK_SH_HERE : place;
        }
        if (all) return WICK_SH_HERE;
        const char *s = normalise(w, p);
        bool up = true; /* nothing but .. */
        for (const char *q = s; *q; q++) up &= *q == '.' || *q == '/' || *q == '*';
        return up ? WICK_SH_HERE : WICK_SH_PLAIN;
    }
    return *p ? system_place(normalise(w, p), f->glob) : WICK_SH_PLAIN;
}
