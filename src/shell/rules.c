/* shell/rules.c - what programs do to files, disks, processes and accounts, from their documented options.
 *
 * Programs whose harm depends on their words have a function; the others are lines of the tables in rules_table.c.
 * Levels: safe reads; moderate changes something that is named and small, or that can be had again; high destroys much,
 * cannot be undone, gives away secrets or rights; critical may end the system or all of a user's data.
 */
#include <string.h>
#include "shell/rules.h"

bool wick_sh_has_flag(const wick_sh_field *f, size_t n, char letter, const char *name)
{
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (strcmp(s, "--") == 0) return false;
        if (s[0] == '-' && s[1] == '-' ? strcmp(s, name) == 0 || (wick_starts_with(s, name) && s[strlen(name)] == '=')
                                       : s[0] == '-' && letter && strchr(s + 1, letter))
            return true;
    }
    return false;
}

static wick_sh_level up_for_root(const wick_sh_walk *w, wick_sh_level l)
{
    return w->root && l == WICK_SH_MODERATE ? WICK_SH_HIGH : l;
}

/* Operands: words that are no options. Calls `each` with the place. */
static wick_sh_place worst_place(wick_sh_walk *w, const wick_sh_field *f, size_t from, size_t n)
{
    wick_sh_place worst = WICK_SH_PLAIN;
    bool end = false;
    for (size_t k = from; k < n; k++) {
        if (!end && strcmp(f[k].text, "--") == 0) {
            end = true;
            continue;
        }
        if (!end && f[k].text[0] == '-') continue;
        wick_sh_place place = wick_sh_where(w, f + k);
        if (place > worst) worst = place;
    }
    return worst;
}

void wick_sh_write_to(wick_sh_walk *w, const wick_sh_field *f, bool append)
{
    if (wick_sh_harmless_file(f->text)) return;
    wick_sh_place place = wick_sh_where(w, f);
    const char *p = f->text;
    bool runs_later = strstr(p, "/cron") || strstr(p, "authorized_keys") || strstr(p, "/systemd/") ||
                      strstr(p, "/init.d/") || strstr(p, "/profile.d/") || strstr(p, "sudoers");
    if (place == WICK_SH_DEVICE)
        wick_sh_find(w, WICK_SH_CRITICAL, "writes to a disk");
    else if (runs_later && (w->root || *p == '/' || *p == '~'))
        wick_sh_find(w, strstr(p, "sudoers") ? WICK_SH_CRITICAL : WICK_SH_HIGH,
                     "changes who may log in or what runs by itself");
    else if (place == WICK_SH_VITAL)
        wick_sh_find(
            w,
            append && !wick_sh_among(p, "/etc/passwd /etc/shadow /etc/sudoers /proc/sysrq-trigger /etc/ld.so.preload")
                ? WICK_SH_HIGH
                : WICK_SH_CRITICAL,
            "writes to a file that the system needs");
    else if (place == WICK_SH_SYSTEM)
        wick_sh_find(w, WICK_SH_HIGH, "writes to a file of the system");
    else if (place == WICK_SH_DOTFILE)
        wick_sh_find(w, append && !strstr(p, "/.ssh") ? WICK_SH_MODERATE : WICK_SH_HIGH, "changes a start-up file");
    else
        wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE), append ? "adds to a file" : "writes a file");
}

/* ---- deleting, moving, rights -------------------------------------------------------------------------------- */

static void do_rm(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool recursive = wick_sh_has_flag(f, n, 'r', "--recursive") || wick_sh_has_flag(f, n, 'R', "--recursive");
    bool asks = wick_sh_has_flag(f, n, 'i', "--interactive") || wick_sh_has_flag(f, n, 'I', "--interactive");
    bool end = false;
    if (wick_sh_has_flag(f, n, 0, "--no-preserve-root"))
        wick_sh_find(w, WICK_SH_CRITICAL, "may delete the root folder");
    for (size_t k = 1; k < n; k++) {
        if (!end && f[k].text[0] == '-' && f[k].text[1]) {
            end = strcmp(f[k].text, "--") == 0;
            continue;
        }
        wick_sh_place place = wick_sh_where(w, f + k);
        bool all = f[k].glob && wick_sh_among(wick_sh_base(f[k].text), "* .* *.* .[!.]*");
        if (place == WICK_SH_DEVICE)
            wick_sh_find(w, WICK_SH_CRITICAL, "deletes a disk's name");
        else if (place >= WICK_SH_HOME && (recursive || f[k].glob))
            wick_sh_find(w, WICK_SH_CRITICAL,
                         place == WICK_SH_HOME ? "deletes the whole home folder" : "deletes what the system needs");
        else if (place == WICK_SH_VITAL)
            wick_sh_find(w, WICK_SH_CRITICAL, "deletes a file that the system needs");
        else if (place == WICK_SH_MAYBE && recursive)
            wick_sh_find(w, WICK_SH_HIGH, "deletes from the root if the variable is empty");
        else if (place == WICK_SH_SYSTEM)
            wick_sh_find(w, WICK_SH_HIGH, "deletes files of the system");
        else if (place == WICK_SH_DOTFILE)
            wick_sh_find(w, WICK_SH_HIGH, "deletes keys or settings");
        else if (asks && !recursive)
            wick_sh_find(w, WICK_SH_MODERATE, "deletes files, asking before each");
        else if (place == WICK_SH_HERE || all)
            wick_sh_find(w, asks ? WICK_SH_MODERATE : WICK_SH_HIGH, "deletes all that is in a folder");
        else if (recursive)
            wick_sh_find(w, asks ? WICK_SH_MODERATE : WICK_SH_HIGH, "deletes a folder with all that is in it");
        else
            wick_sh_find(w, up_for_root(w, w->each_file ? WICK_SH_HIGH : WICK_SH_MODERATE), "deletes files");
    }
}

static void do_move(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool moves = strcmp(wick_sh_base(f[0].text), "mv") == 0;
    size_t last = n - 1, to = 0;
    for (size_t k = 1; k + 1 < n; k++)
        if (wick_sh_among(f[k].text, "-t --target-directory")) to = k + 1;
    if (n < 2) return;
    if (!to) to = last;
    for (size_t k = 1; k < n; k++) {
        if (k == to || f[k].text[0] == '-') continue;
        wick_sh_place place = wick_sh_where(w, f + k);
        if (moves && place >= WICK_SH_HOME)
            wick_sh_find(w, WICK_SH_CRITICAL, "moves away what the system or the user needs");
        else if (moves && place == WICK_SH_SYSTEM)
            wick_sh_find(w, WICK_SH_HIGH, "moves files of the system");
        else if (moves && place == WICK_SH_DOTFILE)
            wick_sh_find(w, WICK_SH_HIGH, "moves keys or settings");
        if (place == WICK_SH_DEVICE) wick_sh_find(w, WICK_SH_HIGH, "reads a disk");
        if (wick_sh_secret(f[k].text)) wick_sh_find(w, WICK_SH_HIGH, "copies a secret");
    }
    wick_sh_place place = wick_sh_where(w, f + to);
    if (moves && strcmp(f[to].text, "/dev/null") == 0)
        wick_sh_find(w, WICK_SH_HIGH, "moves files to where they are lost");
    if (place == WICK_SH_DEVICE)
        wick_sh_find(w, WICK_SH_CRITICAL, "writes to a disk");
    else if (wick_sh_among(f[to].text, "/etc/passwd /etc/shadow /etc/sudoers /etc/fstab /bin/sh /bin/bash"))
        wick_sh_find(w, WICK_SH_CRITICAL, "replaces a file that the system needs");
    else if (place == WICK_SH_VITAL || place == WICK_SH_SYSTEM)
        wick_sh_find(w, WICK_SH_HIGH, "puts files among those of the system");
    else if (place == WICK_SH_DOTFILE)
        wick_sh_find(w, WICK_SH_HIGH, "replaces keys or settings");
    else
        wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE),
                     moves ? "moves or renames files, may replace one" : "copies files, may replace one");
}

static void do_rights(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    const char *name = wick_sh_base(f[0].text);
    bool chmod = strcmp(name, "chmod") == 0, recursive = wick_sh_has_flag(f, n, 'R', "--recursive");
    size_t mode = 1;
    while (mode < n && f[mode].text[0] == '-' &&
           (f[mode].text[1] == '-' || strspn(f[mode].text + 1, "Rvcfhn") == strlen(f[mode].text + 1)))
        mode++;
    const char *m = mode < n ? f[mode].text : "";
    wick_sh_place place = mode + 1 < n ? worst_place(w, f, mode + 1, n) : WICK_SH_PLAIN;
    size_t len = strlen(m);
    bool open =
        chmod &&
        (wick_sh_among(
             m,
             "a+w o+w +w a+rw o+rw a+rwx o+rwx ugo+rwx ugo+w a=rwx +rwx a=rw u=rwx,g=rwx,o=rwx o=rwx ugo=rwx go+w") ||
         (len >= 3 && strspn(m, "01234567") == len && strchr("2367", m[len - 1]) != NULL));
    bool setuid = chmod && (strstr(m, "+s") || strstr(m, "=s") ||
                            (len == 4 && strspn(m, "01234567") == 4 && strchr("24567", m[0]) != NULL && m[0] != '5'));
    bool none = chmod && wick_sh_among(m, "000 0 0000 a-rwx a-rw a=");
    if (place >= WICK_SH_HOME)
        wick_sh_find(w, recursive || place == WICK_SH_DEVICE || open ? WICK_SH_CRITICAL : WICK_SH_HIGH,
                     "changes the rights of what the system or the user needs");
    else if (place == WICK_SH_SYSTEM)
        wick_sh_find(w, WICK_SH_HIGH, "changes the rights of files of the system");
    else if (setuid)
        wick_sh_find(w, WICK_SH_HIGH, "lets a program run with its owner's rights");
    else if (open)
        wick_sh_find(w, WICK_SH_HIGH, "lets every user change the file");
    else if (none || (recursive && (place == WICK_SH_HERE || place == WICK_SH_MAYBE)))
        wick_sh_find(w, WICK_SH_HIGH, "changes the rights of everything in a folder");
    else
        wick_sh_find(w, recursive ? up_for_root(w, WICK_SH_MODERATE) : up_for_root(w, WICK_SH_MODERATE),
                     "changes rights or owners");
}

static void do_dd(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool to = false;
    for (size_t k = 1; k < n; k++) {
        wick_sh_field v = f[k];
        if (wick_starts_with(f[k].text, "of=")) {
            v.text += 3;
            to = true;
            wick_sh_write_to(w, &v, false);
        } else if (wick_starts_with(f[k].text, "if=")) {
            v.text += 3;
            if (wick_sh_where(w, &v) == WICK_SH_DEVICE) wick_sh_find(w, WICK_SH_MODERATE, "reads a disk");
            if (wick_sh_secret(v.text)) wick_sh_find(w, WICK_SH_HIGH, "reads a secret");
        }
    }
    (void)to;
}

static void do_erase(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    wick_sh_place place = worst_place(w, f, 1, n);
    bool shred = !wick_sh_among(wick_sh_base(f[0].text), "truncate fallocate");
    if (place == WICK_SH_DEVICE || place >= WICK_SH_HOME)
        wick_sh_find(w, WICK_SH_CRITICAL, "overwrites a disk or what the system needs");
    else if (place == WICK_SH_SYSTEM)
        wick_sh_find(w, WICK_SH_HIGH, "empties or overwrites files of the system");
    else
        wick_sh_find(w, shred ? WICK_SH_HIGH : up_for_root(w, WICK_SH_MODERATE),
                     shred ? "overwrites files so that they cannot be had again" : "changes the size of a file");
}

static void do_writers(wick_sh_walk *w, const wick_sh_field *f, size_t n) /* tee, touch, mkdir, ln, ... */
{
    const char *name = wick_sh_base(f[0].text);
    bool append = wick_sh_has_flag(f, n, 'a', "--append"), some = false;
    size_t from = strcmp(name, "ln") == 0 ? n - 1 : 1;
    for (size_t k = from; k < n; k++) {
        if (f[k].text[0] == '-') continue;
        some = true;
        if (wick_sh_among(name, "touch mkdir mkfifo mknod mktemp ln")) {
            wick_sh_place place = wick_sh_where(w, f + k);
            bool force = strcmp(name, "ln") == 0 && wick_sh_has_flag(f, n, 'f', "--force");
            wick_sh_find(w,
                         place == WICK_SH_VITAL || place == WICK_SH_SYSTEM || (force && place == WICK_SH_DOTFILE)
                             ? WICK_SH_HIGH
                             : WICK_SH_MODERATE,
                         strcmp(name, "ln") == 0 ? "makes a link" : "makes a file or a folder");
        } else {
            wick_sh_write_to(w, f + k, append);
        }
    }
    if (!some && (w->each_file || wick_sh_among(name, "mktemp")))
        wick_sh_find(w, WICK_SH_MODERATE, "makes a file or a folder");
}

/* ---- processes and accounts ---------------------------------------------------------------------------------- */

static void do_kill(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    const char *name = wick_sh_base(f[0].text);
    bool first = true, quiet = wick_sh_has_flag(f, n, 'l', "--list") || wick_sh_has_flag(f, n, 'L', "--table");
    if (quiet && strcmp(name, "kill") == 0) return;
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (strcmp(name, "kill") == 0) {
            if (strcmp(s, "-0") == 0) return;
            bool signal = first && s[0] == '-' && strcmp(s, "--") != 0;
            if ((strcmp(s, "-1") == 0 && (!signal || n == 2)) ||
                (strcmp(s, "1") == 0 && !(k > 1 && wick_sh_among(f[k - 1].text, "-s -n")))) {
                wick_sh_find(w, WICK_SH_CRITICAL, "ends every process, or the first one");
                return;
            }
            if (signal && wick_sh_among(s, "-s -n")) k++;
            first = false;
        } else if (wick_sh_among(s, "-u -U --uid --user") ||
                   (strcmp(name, "pkill") == 0 && wick_sh_among(s, ". .* init systemd"))) {
            {
                wick_sh_find(w, WICK_SH_HIGH, "ends many processes at once");
                return;
            }
        } else if (wick_sh_among(s, "init systemd sshd dbus-daemon Xorg")) {
            {
                wick_sh_find(w, WICK_SH_HIGH, "ends a process that the system needs");
                return;
            }
        }
    }
    wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE), "ends processes");
}

static void do_crontab(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (wick_sh_has_flag(f, n, 'r', "-r")) {
        wick_sh_find(w, WICK_SH_HIGH, "deletes all planned commands");
        return;
    }
    if (wick_sh_has_flag(f, n, 'l', "-l")) return;
    if (in.kind == WICK_SH_FROM_TEXT && in.text)
        wick_sh_find(w, WICK_SH_HIGH, "replaces all planned commands");
    else
        wick_sh_find(w, wick_sh_has_flag(f, n, 'e', "-e") ? WICK_SH_MODERATE : WICK_SH_HIGH,
                     "changes the planned commands");
}

/* ---- network ------------------------------------------------------------------------------------------------- */

static void do_curl(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool wget = wick_sh_among(wick_sh_base(f[0].text), "wget aria2c");
    bool writes = wget;
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text, *next = k + 1 < n ? f[k + 1].text : "";
        bool output = wick_sh_among(s, wget ? "-O --output-document" : "-o --output") ||
                      (!wget && s[0] == '-' && s[1] != '-' && s[strlen(s) - 1] == 'o');
        if (output && k + 1 < n) {
            writes = false;
            if (strcmp(next, "-") != 0) wick_sh_write_to(w, f + k + 1, false);
        } else if (wget && (wick_sh_among(s, "-qO- -O- --spider") || wick_ends_with(s, "O-"))) {
            writes = false;
        } else if (!wget && (strcmp(s, "-O") == 0 || strcmp(s, "--remote-name") == 0 ||
                             (s[0] == '-' && s[1] != '-' && strchr(s, 'O')))) {
            writes = true;
        }
        bool sends = wick_sh_among(s, "-d --data --data-binary --data-raw --data-urlencode -F --form -T --upload-file "
                                      "--post-file --post-data --json --body-file") ||
                     wick_starts_with(s, "--post-file=") || wick_starts_with(s, "--data-binary=") ||
                     wick_starts_with(s, "--data=") || wick_starts_with(s, "--upload-file=") ||
                     (s[0] == '-' && (s[1] == 'd' || s[1] == 'F' || s[1] == 'T') && s[2]);
        const char *what = s[0] == '-' && s[1] != '-' && s[2] ? s + 2 : strchr(s, '=') ? strchr(s, '=') + 1 : next;
        if (sends) {
            const char *at = strchr(what, '@');
            bool file = at || wick_sh_among(s, "-T --upload-file --post-file") || strstr(s, "file=");
            wick_sh_field v = {.text = at ? at + 1 : what, .word = f[k].word};
            wick_sh_place place = file ? wick_sh_where(w, &v) : WICK_SH_PLAIN;
            bool secret = file && (wick_sh_secret(v.text) || place >= WICK_SH_DOTFILE || strstr(v.text, ".env") ||
                                   strstr(v.text, "/etc/"));
            wick_sh_find(w,
                         secret                                     ? WICK_SH_HIGH
                         : f[k + 1 < n ? k + 1 : k].unknown && file ? WICK_SH_HIGH
                                                                    : WICK_SH_MODERATE,
                         secret ? "sends a secret to another machine" : "sends data to another machine");
        }
        if (wick_sh_among(s, "-X --request") && wick_sh_among(next, "DELETE"))
            wick_sh_find(w, WICK_SH_HIGH, "deletes something on another machine");
        if (wick_sh_among(s, "-X --request") && wick_sh_among(next, "POST PUT PATCH"))
            wick_sh_find(w, WICK_SH_MODERATE, "changes something on another machine");
        if (wick_starts_with(s, "file://") && wick_sh_secret(s + 7)) wick_sh_find(w, WICK_SH_HIGH, "reads a secret");
    }
    if (writes) wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE), "downloads a file");
}

static void do_netcat(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    for (size_t k = 1; k < n; k++) {
        if (wick_sh_among(f[k].text, "-e -c --exec --sh-exec") || strstr(f[k].text, "EXEC:") ||
            strstr(f[k].text, "SYSTEM:") || strstr(f[k].text, "exec:")) {
            wick_sh_find(w, WICK_SH_CRITICAL, "gives a shell to another machine");
            return;
        }
    }
    if (wick_sh_has_flag(f, n, 'z', "-z")) return;
    wick_sh_find(w, WICK_SH_MODERATE, "talks to another machine");
}

static void do_rsync(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool delete = false;
    for (size_t k = 1; k < n; k++) {
        delete |= wick_starts_with(f[k].text, "--delete") || strcmp(f[k].text, "--remove-source-files") == 0;
        if (f[k].text[0] != '-' && wick_sh_secret(f[k].text)) wick_sh_find(w, WICK_SH_HIGH, "copies a secret");
        if (wick_sh_among(f[k].text, "-n --dry-run") ||
            (f[k].text[0] == '-' && f[k].text[1] != '-' && strchr(f[k].text, 'n')))
            return;
    }
    wick_sh_place place = n > 1 ? wick_sh_where(w, f + n - 1) : WICK_SH_PLAIN;
    if (delete &&place >= WICK_SH_HOME)
        wick_sh_find(w, WICK_SH_CRITICAL, "deletes in a system or home folder what the other side lacks");
    else if (delete)
        wick_sh_find(w, WICK_SH_HIGH, "deletes what the other side lacks");
    else if (place == WICK_SH_VITAL || place == WICK_SH_SYSTEM)
        wick_sh_find(w, WICK_SH_HIGH, "puts files among those of the system");
    else
        wick_sh_find(w, WICK_SH_MODERATE, "copies files, may replace some");
}

/* ---- text tools that can write or run ------------------------------------------------------------------------ */

static void do_sed(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    bool inplace = false, script = false;
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (wick_starts_with(s, "--in-place") || (s[0] == '-' && s[1] != '-' && strchr(s, 'i') &&
                                                  strspn(s + 1, "nErszui") >= 1 && s[1] != 'e' && s[1] != 'f'))
            inplace = true;
        if (s[0] != '-' && !script) {
            script = true;
            size_t len = strlen(s);
            if (wick_starts_with(s, "w ") || strstr(s, "/w ")) wick_sh_find(w, WICK_SH_MODERATE, "writes a file");
            if ((len > 2 && s[0] == 's' && (wick_ends_with(s, "/e") || wick_ends_with(s, "/ge"))) ||
                strcmp(s, "e") == 0 || wick_starts_with(s, "1e ")) {
                wick_sh_find(w, WICK_SH_HIGH, "runs what it makes of a text");
                if (wick_starts_with(s, "1e ")) wick_sh_walk_text(w, s + 3, (wick_sh_source){0});
            }
            continue;
        }
        if (inplace && s[0] != '-') {
            wick_sh_place place = wick_sh_where(w, f + k);
            if (place == WICK_SH_DEVICE || wick_sh_among(s, "/etc/passwd /etc/shadow /etc/sudoers"))
                wick_sh_find(w, WICK_SH_CRITICAL, "changes a file that the system needs");
            else if (place == WICK_SH_SYSTEM || place == WICK_SH_VITAL)
                wick_sh_find(w, WICK_SH_HIGH, "changes a file of the system in place");
        }
    }
    if (inplace) wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE), "changes files in place");
}

static void do_awk(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (wick_sh_among(s, "-F -v -f --assign --field-separator")) {
            k++;
            continue;
        }
        if (wick_starts_with(s, "inplace") || (k > 1 && strcmp(f[k - 1].text, "-i") == 0))
            wick_sh_find(w, WICK_SH_MODERATE, "changes files in place");
        if (s[0] == '-') continue;
        if (strstr(s, "system(") || strstr(s, "| \"") || strstr(s, "|\"") || strstr(s, "|&")) {
            bool sorts = !strstr(s, "system(") && (strstr(s, "| \"sort") || strstr(s, "|\"sort"));
            wick_sh_code(w, "awk", s);
            if (!sorts) wick_sh_find(w, WICK_SH_MODERATE, "runs commands from inside");
        }
        if (strstr(s, "> \"/dev/std") || strstr(s, ">\"/dev/std")) return;
        if (strstr(s, "print >") || strstr(s, "print > ") || strstr(s, "> \"") || strstr(s, "> $") ||
            strstr(s, ">> \"")) {
            const char *q = strstr(s, "> \"");
            bool compares = strstr(s, "> $") && !strstr(s, "print");
            if (!compares && (q || strstr(s, "print >") ||
                              (strstr(s, "print") && strstr(s, "> $") && strstr(s, "print") < strstr(s, "> $"))))
                wick_sh_find(w, WICK_SH_MODERATE, "writes files");
        }
        return;
    }
}

static void do_tar(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    const char *name = wick_sh_base(f[0].text);
    const char *mode = n > 1 ? f[1].text : "";
    bool dashed = mode[0] == '-';
    bool list = wick_sh_has_flag(f, n, 't', "--list") || (!dashed && strchr(mode, 't'));
    bool extract = wick_sh_has_flag(f, n, 'x', "--extract") || (!dashed && strchr(mode, 'x'));
    (void)name;
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (wick_starts_with(s, "--to-command") || wick_starts_with(s, "--checkpoint-action") ||
            wick_starts_with(s, "--use-compress-program") || strcmp(s, "-I") == 0) {
            const char *cmd = strchr(s, '=') ? strchr(s, '=') + 1 : k + 1 < n ? f[k + 1].text : "";
            if (wick_starts_with(cmd, "exec=")) cmd += 5;
            wick_sh_walk_text(w, cmd, (wick_sh_source){0});
            if (s[1] == '-' && !wick_starts_with(s, "--use"))
                wick_sh_find(w, WICK_SH_HIGH, "runs a command from inside");
        }
        if (wick_sh_among(s, "-C --directory") && k + 1 < n && extract) {
            wick_sh_place place = wick_sh_where(w, f + k + 1);
            if (place == WICK_SH_VITAL || place == WICK_SH_SYSTEM)
                wick_sh_find(w, WICK_SH_HIGH, "unpacks among the files of the system");
        }
        if (wick_sh_secret(s)) wick_sh_find(w, WICK_SH_HIGH, "copies a secret");
        if (wick_starts_with(s, "--remove-files")) wick_sh_find(w, WICK_SH_HIGH, "deletes what it has packed");
    }
    if (!list)
        wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE),
                     extract ? "unpacks files, may replace some" : "writes an archive");
}

static void do_unzip(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    if (wick_sh_has_flag(f, n, 'l', "-l") || wick_sh_has_flag(f, n, 't', "--test") ||
        wick_sh_has_flag(f, n, 'p', "-p") || wick_sh_has_flag(f, n, 'v', "-v") ||
        wick_sh_has_flag(f, n, 'c', "--stdout"))
        return;
    wick_sh_find(w, up_for_root(w, WICK_SH_MODERATE), "unpacks files, may replace some");
}

static void do_gzip(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    if (wick_sh_has_flag(f, n, 'c', "--stdout") || wick_sh_has_flag(f, n, 'l', "--list") ||
        wick_sh_has_flag(f, n, 't', "--test") || n == 1)
        return;
    wick_sh_place place = worst_place(w, f, 1, n);
    wick_sh_find(w, place >= WICK_SH_SYSTEM && place != WICK_SH_DOTFILE ? WICK_SH_HIGH : WICK_SH_MODERATE,
                 "replaces files by packed ones");
}

static void do_sort(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    for (size_t k = 1; k < n; k++)
        if (strcmp(f[k].text, "-o") == 0 && k + 1 < n) wick_sh_write_to(w, f + k + 1, false);
}

/* Statements in the words or on standard input of a database client. */
static void do_sql(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    static const char *const drops[] = {"drop database", "drop schema", "dropdatabase"};
    static const char *const wipes[] = {"drop table",     "truncate",  "drop user",   "drop role",
                                        "deletemany({})", ".drop()",   "flushall",    "flushdb",
                                        "drop index",     "drop view", "drop column", "drop collection"};
    const char *text = wick_sh_join(w, f, n);
    for (unsigned pass = 0; pass < 2; pass++, text = in.kind == WICK_SH_FROM_TEXT ? in.text : "") {
        char *low = wick_arena_strdup(w->a, text);
        if (!low) return;
        for (char *c = low; *c; c++)
            if (*c >= 'A' && *c <= 'Z') *c = (char)(*c | 32);
        for (size_t k = 0; k < sizeof drops / sizeof *drops; k++)
            if (strstr(low, drops[k])) wick_sh_find(w, WICK_SH_CRITICAL, "deletes a whole database");
        for (size_t k = 0; k < sizeof wipes / sizeof *wipes; k++)
            if (strstr(low, wipes[k])) wick_sh_find(w, WICK_SH_HIGH, "deletes data of a database");
        if (strstr(low, "delete from") || (strstr(low, "update ") && strstr(low, " set ")))
            wick_sh_find(w, strstr(low, "where") ? WICK_SH_MODERATE : WICK_SH_HIGH, "changes data of a database");
        if (strstr(low, "insert into") || strstr(low, "create table") || strstr(low, "alter ") ||
            strstr(low, "create ") || strstr(low, "grant "))
            wick_sh_find(w, strstr(low, "grant all") ? WICK_SH_HIGH : WICK_SH_MODERATE, "changes a database");
    }
    if (in.kind == WICK_SH_FROM_LOCAL) wick_sh_find(w, WICK_SH_MODERATE, "runs statements that are not looked at");
}

/* ---- names to functions -------------------------------------------------------------------------------------- */

typedef void (*rule_fn)(wick_sh_walk *, const wick_sh_field *, size_t);
typedef void (*rule_in_fn)(wick_sh_walk *, const wick_sh_field *, size_t, wick_sh_source);

static const struct {
    const char *names;
    rule_fn fn;
    rule_in_fn in_fn;
} rules[] = {
    {"rm unlink rmdir", do_rm, NULL},
    {"mv cp install", do_move, NULL},
    {"chmod chown chgrp chattr setfacl", do_rights, NULL},
    {"dd", do_dd, NULL},
    {"shred srm wipe truncate fallocate", do_erase, NULL},
    {"tee touch mkdir mkfifo mknod ln mktemp", do_writers, NULL},
    {"kill killall pkill skill xkill killall5", do_kill, NULL},
    {"crontab", NULL, do_crontab},
    {"curl wget aria2c http https", do_curl, NULL},
    {"nc ncat netcat socat telnet", do_netcat, NULL},
    {"rsync", do_rsync, NULL},
    {"sed gsed", do_sed, NULL},
    {"awk gawk mawk nawk", do_awk, NULL},
    {"tar bsdtar gtar", do_tar, NULL},
    {"unzip unrar 7z 7za unar", do_unzip, NULL},
    {"gzip gunzip bzip2 bunzip2 xz unxz zstd unzstd lz4 compress uncompress pigz lzma", do_gzip, NULL},
    {"sort", do_sort, NULL},
    {"mysql mariadb psql sqlite3 mongo mongosh redis-cli cqlsh clickhouse-client duckdb sqlcmd", NULL, do_sql},
    {"git", wick_sh_rule_git, NULL},
};

/* Reads of keys and passwords by any program that shows or sends what it reads. */
static void secrets(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n)
{
    if (wick_sh_among(name, "ls stat file test [ chmod chown ssh ssh-add ssh-keygen ssh-copy-id echo printf rm touch "
                            "mkdir find locate which git cd kubectl mysql psql du wc "
                            "sha256sum md5sum sudoedit visudo export [[ readlink realpath dirname basename"))
        return;
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text, *eq = s[0] == '-' ? strchr(s, '=') : NULL;
        bool option_key = wick_sh_among(name, "scp sftp rsync mosh") && k > 0 && strcmp(f[k - 1].text, "-i") == 0;
        if (!option_key && wick_sh_secret(eq ? eq + 1 : s)) wick_sh_find(w, WICK_SH_HIGH, "shows or copies a secret");
        if (wick_sh_where(w, f + k) == WICK_SH_DEVICE &&
            wick_sh_among(name, "cat strings xxd hexdump od head tail cp base64"))
            wick_sh_find(w, WICK_SH_HIGH, "reads a disk");
    }
}

static void run_cd(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    size_t k = 1;
    while (k < n && f[k].text[0] == '-' && f[k].text[1]) k++;
    w->cwd = k < n ? f[k].text : "~";
    if (w->cwd[0] == WICK_SH_UNKNOWN || w->cwd[0] == '-') w->cwd = NULL;
    if (w->cwd && w->cwd[0] != '/' && w->cwd[0] != '~') w->cwd = NULL;
}

void wick_sh_run_program(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (wick_sh_among(name, "cd pushd")) {
        run_cd(w, f, n);
        return;
    }
    secrets(w, name, f, n);
    for (size_t k = 1; k < n; k++)
        if (wick_sh_among(f[k].text, "--help --version") && k == n - 1) return;
    for (size_t k = 0; k < sizeof rules / sizeof *rules; k++) {
        if (!wick_sh_among(name, rules[k].names)) continue;
        if (rules[k].fn)
            rules[k].fn(w, f, n);
        else
            rules[k].in_fn(w, f, n, in);
        return;
    }
    wick_sh_rule_table(w, name, f, n);
}
