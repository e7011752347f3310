/* shell/rules_run.c - programs that run other programs: sudo, env, xargs, find -exec, ssh, shells, eval, interpreters.
 *
 * Each is read as it reads its own words (which options take a value), and what is left is judged as a command again,
 * so that a command is as dangerous inside as outside.
 */
#include <string.h>
#include "base/buf.h"
#include "shell/walk.h"

/* A program that passes on a command after its options. */
typedef struct prefix_program {
    const char *names;
    const char *valued; /* options with a value in the next word */
    unsigned operands;  /* words before the command, for example the time of timeout */
    bool assignments;   /* NAME=value before the command, as env has */
    bool text;          /* the words are joined and given to a shell, as ssh and watch do */
} prefix_program;

static const prefix_program prefixes[] = {
    {"sudo doas", "-u -g -h -p -C -T -R -D -r -t -U --user --group --chdir --host --prompt", 0, true, false},
    {"env", "-u --unset -C --chdir", 0, true, false},
    {"nohup setsid command builtin exec catchsegv unbuffer caffeinate proxychains proxychains4 torsocks "
     "dbus-run-session",
     "-a -c", 0, false, false},
    {"nice", "-n --adjustment", 0, false, false},
    {"ionice", "-c -n -p --class", 0, false, false},
    {"chrt taskset", "", 1, false, false},
    {"time", "-o -f", 0, false, false},
    {"timeout", "-s -k --signal --kill-after", 1, false, false},
    {"stdbuf", "-i -o -e", 0, false, false},
    {"strace ltrace", "-e -o -p -s -P -u", 0, false, false},
    {"busybox toybox", "", 0, false, false},
    {"unshare nsenter setpriv firejail bwrap", "", 0, false, false},
    {"chroot", "--userspec --groups", 1, false, false},
    {"flock", "-w -E --timeout", 1, false, false},
    {"systemd-run", "-u -p -M --unit --property", 0, false, false},
    {"ssh", "-B -b -c -D -E -e -F -I -i -J -L -l -m -O -o -p -Q -R -S -W -w", 1, false, true},
    {"watch", "-n --interval", 0, false, true},
    {"parallel", "-j --jobs -a --arg-file", 0, false, true},
    {"npx bunx pnpx", "-p --package", 0, false, false},
};

/* Index of the first word of the passed command; n if there is none. */
static size_t passed_command(const prefix_program *p, const wick_sh_field *f, size_t n)
{
    size_t k = 1;
    unsigned left = p->operands;
    for (; k < n; k++) {
        const char *s = f[k].text;
        if (strcmp(s, "--") == 0) {
            k++;
            break;
        }
        if (s[0] == '-' && s[1]) {
            if (wick_sh_among(s, p->valued)) k++;
        } else if (p->assignments && strchr(s, '=') && s[0] != '=') {
            continue;
        } else if (left) {
            left--;
        } else {
            break;
        }
    }
    while (left && k < n) { /* after "--" */
        left--;
        k++;
    }
    return k < n ? k : n;
}

static bool run_prefix(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
        const prefix_program *p = prefixes + k;
        if (!wick_sh_among(name, p->names)) continue;
        size_t at = passed_command(p, f, n);
        bool was = w->root, sudo = k == 0;
        if (wick_sh_among(name, "env")) /* env -S "command" */
            for (size_t j = 1; j < n; j++)
                if (wick_sh_among(f[j].text, "-S --split-string") && j + 1 < n) wick_sh_walk_text(w, f[j + 1].text, in);
        if (wick_sh_among(name, "command") && n > 1 && wick_sh_among(f[1].text, "-v -V")) return true;
        if (wick_sh_among(name, "npx bunx pnpx")) {
            wick_sh_find(w, WICK_SH_MODERATE, "fetches and runs a package");
            return true;
        }
        w->root |= sudo;
        if (at < n && p->text)
            wick_sh_walk_text(w, wick_sh_join(w, f + at, n - at), in);
        else if (at < n)
            wick_sh_run(w, f + at, n - at, in);
        else if (sudo && (wick_sh_has_flag(f, n, 'i', "--login") || wick_sh_has_flag(f, n, 's', "--shell"))) {
            if (in.kind == WICK_SH_FROM_TEXT) wick_sh_walk_text(w, in.text, (wick_sh_source){0});
            wick_sh_find(w, WICK_SH_HIGH, "opens a shell with all rights");
        } else if (wick_sh_among(name, "ssh") && in.kind == WICK_SH_FROM_TEXT)
            wick_sh_walk_text(w, in.text, (wick_sh_source){0});
        if (wick_sh_among(name, "ssh")) wick_sh_find(w, WICK_SH_MODERATE, "works on another machine");
        if (wick_sh_among(name, "chroot nsenter")) wick_sh_find(w, WICK_SH_MODERATE, "works in another root");
        w->root = was;
        return true;
    }
    return false;
}

/* ---- shells -------------------------------------------------------------------------------------------------- */

static void run_source(wick_sh_walk *w, const wick_sh_field *f, const char *text, wick_sh_source in)
{
    bool net = false, decoded = false;
    for (const wick_sh_part *t = f->word ? f->word->first : NULL; t; t = t->next)
        if (t->tree) {
            net |= wick_sh_fetches(t->tree);
            decoded |= wick_sh_decodes(t->tree);
        }
    bool unknown = strchr(text, WICK_SH_UNKNOWN) || wick_starts_with(text, "/dev/fd/");
    if (net && unknown)
        wick_sh_find(w, w->root ? WICK_SH_CRITICAL : WICK_SH_HIGH, "runs code from the network that nobody has read");
    if (decoded && unknown && !net) wick_sh_find(w, WICK_SH_HIGH, "runs code that is hidden by an encoding");
    if (!wick_starts_with(text, "/dev/fd/")) {
        wick_sh_walk_text(w, text, in);
        if (unknown && !net && !decoded) wick_sh_find(w, WICK_SH_MODERATE, "runs text that is only known when it runs");
    }
}

static void run_stdin(wick_sh_walk *w, wick_sh_source in)
{
    static const struct {
        wick_sh_level level;
        const char *reason;
    } by[] = {[WICK_SH_FROM_NONE] = {WICK_SH_MODERATE, "opens a shell"},
              [WICK_SH_FROM_LOCAL] = {WICK_SH_MODERATE, "runs what another program writes"},
              [WICK_SH_FROM_DECODED] = {WICK_SH_HIGH, "runs code that is hidden by an encoding"},
              [WICK_SH_FROM_NET] = {WICK_SH_HIGH, "runs code from the network that nobody has read"}};
    if (in.kind == WICK_SH_FROM_TEXT) {
        wick_sh_walk_text(w, in.text, (wick_sh_source){0});
        return;
    }
    wick_sh_level level = w->root && by[in.kind].level == WICK_SH_HIGH ? WICK_SH_CRITICAL : by[in.kind].level;
    wick_sh_find(w, w->root && in.kind == WICK_SH_FROM_NONE ? WICK_SH_HIGH : level, by[in.kind].reason);
}

static void run_shell(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    for (size_t k = 1; k < n; k++) {
        const char *s = f[k].text;
        if (strcmp(s, "-c") == 0 || (s[0] == '-' && s[1] != '-' && strchr(s, 'c'))) {
            for (k++; k < n && f[k].text[0] == '-' && f[k].text[1]; k++) {
            }
            for (size_t j = k + 1; j < n && j - k < 10; j++) { /* $0, $1, ... */
                char number[2] = {(char)('0' + (j - k - 1)), 0}, *copy = wick_arena_strdup(w->a, number);
                if (copy) wick_sh_assign(w, copy, f[j].text);
            }
            if (k < n) run_source(w, f + k, f[k].text, in);
            return;
        }
        if (strcmp(s, "-s") == 0 || strcmp(s, "-") == 0 || strcmp(s, "/dev/stdin") == 0) {
            run_stdin(w, in);
            return;
        }
        if (wick_sh_among(s, "-o -O --rcfile --init-file")) {
            k++;
        } else if (strcmp(s, "-n") == 0 || strcmp(s, "--version") == 0 || strcmp(s, "--help") == 0) {
            return;
        } else if (s[0] != '-' && s[0] != '+') {
            if (wick_starts_with(s, "/dev/fd/")) {
                run_source(w, f + k, s, in);
                return;
            }
            {
                wick_sh_find(w, w->root ? WICK_SH_HIGH : WICK_SH_MODERATE, "runs a script that is not looked at");
                return;
            }
        }
    }
    run_stdin(w, in);
}

/* ---- find and xargs ------------------------------------------------------------------------------------------ */

static size_t find_start_end(const wick_sh_field *f, size_t n)
{
    size_t k = 1;
    while (k < n && (wick_sh_among(f[k].text, "-H -L -P") ||
                     (f[k].text[0] != '-' && f[k].text[0] != '(' && f[k].text[0] != '!')))
        k++;
    return k;
}

/* The worst of the places where a find starts. */
static wick_sh_place find_place(wick_sh_walk *w, const wick_sh_field *f, size_t end)
{
    wick_sh_place worst = end > 1 ? WICK_SH_PLAIN : WICK_SH_HERE;
    for (size_t k = 1; k < end; k++) {
        wick_sh_place place = f[k].text[0] == '-' ? WICK_SH_PLAIN : wick_sh_where(w, f + k);
        if (place > worst) worst = place;
    }
    return worst;
}

static void find_exec(wick_sh_walk *w, const wick_sh_field *f, size_t k, size_t end, wick_sh_place place, bool narrow)
{
    size_t n = 0;
    wick_sh_field *g = wick_arena_array(w->a, end - k + 1, sizeof *g);
    if (!g || k >= end) return;
    for (; k < end; k++) {
        g[n] = f[k];
        if (strstr(f[k].text, "{}") && strcmp(f[k].text, "{}") == 0 && !narrow && place >= WICK_SH_HERE)
            g[n].text = place >= WICK_SH_HOME ? "/" : ".";
        n++;
    }
    const char *name = wick_sh_base(g[0].text);
    bool was = w->each_file;
    w->each_file = true;
    wick_sh_run(w, g, n, (wick_sh_source){WICK_SH_FROM_LOCAL, NULL});
    w->each_file = was;
    if (wick_sh_among(name, "rm shred unlink rmdir srm"))
        wick_sh_find(w, place >= WICK_SH_HOME && !narrow ? WICK_SH_CRITICAL : WICK_SH_HIGH,
                     "deletes every file that is found");
    else if (place >= WICK_SH_HOME && wick_sh_among(name, "chmod chown mv chgrp sed truncate"))
        wick_sh_find(w, WICK_SH_HIGH, "changes every file that is found below a system or home folder");
}

static void run_find(wick_sh_walk *w, const wick_sh_field *f, size_t n)
{
    size_t start = find_start_end(f, n);
    wick_sh_place place = find_place(w, f, start);
    bool narrow = false;
    for (size_t k = start; k < n; k++)
        narrow |= wick_sh_among(
            f[k].text, "-name -iname -path -ipath -regex -iregex -newer -size -mtime -mmin -ctime -atime -user -group "
                       "-perm -empty -links -inum -nouser -nogroup");
    for (size_t k = start; k < n; k++) {
        const char *s = f[k].text;
        if (strcmp(s, "-delete") == 0)
            wick_sh_find(w, place >= WICK_SH_HOME && !narrow ? WICK_SH_CRITICAL : WICK_SH_HIGH,
                         "deletes every file that is found");
        if (wick_sh_among(s, "-exec -execdir -ok -okdir")) {
            size_t end = k + 1;
            while (end < n && strcmp(f[end].text, ";") != 0 && strcmp(f[end].text, "+") != 0) end++;
            find_exec(w, f, k + 1, end, place, narrow);
            k = end;
        }
        if (wick_sh_among(s, "-fprint -fprintf -fls -fprint0") && k + 1 < n) wick_sh_write_to(w, f + ++k, false);
    }
}

static void run_xargs(wick_sh_walk *w, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    static const prefix_program xargs = {
        "xargs", "-a -d -E -I -L -n -P -s --arg-file --delimiter --max-args --max-procs --replace --max-lines", 0,
        false, false};
    size_t at = passed_command(&xargs, f, n), extra = 0;
    if (at >= n) return;
    wick_sh_field *g = wick_arena_array(w->a, n - at + 66, sizeof *g);
    if (!g) return;
    for (size_t k = at; k < n; k++) g[k - at] = f[k];
    if (in.kind == WICK_SH_FROM_TEXT) { /* its words become operands */
        const char *p = in.text;
        while (*p && extra < 64) {
            p += strspn(p, " \t\n");
            size_t len = strcspn(p, " \t\n");
            char *s = len ? wick_arena_strndup(w->a, p, len) : NULL;
            if (s) g[n - at + extra++] = (wick_sh_field){.text = s, .glob = strpbrk(s, "*?[") != NULL};
            p += len;
        }
    }
    const char *name = wick_sh_base(g[0].text);
    bool was = w->each_file;
    w->each_file = true;
    wick_sh_run(w, g, n - at + extra, (wick_sh_source){in.kind, in.text});
    w->each_file = was;
    if (wick_sh_among(name, "rm shred unlink srm") && in.kind != WICK_SH_FROM_TEXT)
        wick_sh_find(w, WICK_SH_HIGH, "deletes whatever is listed to it");
    if (wick_sh_among(name, "sh bash zsh dash") && in.kind == WICK_SH_FROM_NET)
        wick_sh_find(w, WICK_SH_HIGH, "runs code from the network that nobody has read");
}

/* ---- code in other languages --------------------------------------------------------------------------------- */

/* Strings in the code that follow a call which hands them to a shell. */
static void code_strings(wick_sh_walk *w, const char *text)
{
    wick_buf joined = WICK_BUF_INIT; /* ["rm", "-rf", "/"] */
    for (const char *p = text; *p; p++) {
        if (*p != '"' && *p != '\'' && *p != '`') continue;
        const char *end = p + 1;
        while (*end && *end != *p) end += *end == '\\' && end[1] ? 2 : 1;
        if (!*end) break;
        char *s = wick_arena_strndup(w->a, p + 1, (size_t)(end - p - 1));
        if (s && strchr(s, ' ')) wick_sh_walk_text(w, s, (wick_sh_source){0});
        if (s && *s) {
            if (joined.n) wick_buf_putc(&joined, ' ');
            wick_buf_puts(&joined, s);
        }
        p = end;
    }
    if (joined.n && joined.n < 4096) wick_sh_walk_text(w, wick_buf_str(&joined), (wick_sh_source){0});
    wick_buf_release(&joined);
}

static bool has_any(const char *text, const char *const *words, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (strstr(text, words[k])) return true;
    return false;
}

void wick_sh_code(wick_sh_walk *w, const char *language, const char *text)
{
    static const char *const shells[] = {"os.system", "subprocess", "os.popen",   "popen(",    "system(",  "exec(",
                                         "execSync",  "spawn",      "shell_exec", "passthru",  "qx",       "%x",
                                         "`",         "pty.spawn",  "Open3",      "system \"", "system '", "system q",
                                         "exec \"",   "exec '",     "| \"sh",     "|\"sh"};
    static const char *const wipes[] = {"rmtree",    "rm_rf",  "rm_r",    "remove_entry", "rmSync",
                                        "rmdirSync", "rimraf", "deltree", "remove_tree",  "rm_f"};
    static const char *const deletes[] = {"os.remove",   "os.unlink", "unlink", "os.rmdir",  "os.removedirs", "fs.rm",
                                          "File.delete", ".unlink(",  "rmdir(", "truncate(", "remove_file"};
    static const char *const sockets[] = {"socket",      "TCPSocket",  "fsockopen",
                                          "net.connect", "net.Socket", "IO::Socket"};
    static const char *const hides[] = {"b64decode",   "base64",  "fromhex", "decode64",      "unpack(", "atob(",
                                        "Buffer.from", "marshal", "zlib",    "codecs.decode", "pack(",   "\\x"};
    static const char *const writes[] = {"'w'",       "\"w\"",      "'a'",         "\"a\"",    "write_text",
                                         "writeFile", "File.write", "write_bytes", "shutil.",  "os.rename",
                                         "os.chmod",  "chmod(",     "os.makedirs", "os.mkdir", "file_put_contents",
                                         "> \"",      "'wb'",       "\"wb\""};
    static const char *const nets[] = {"urllib",
                                       "requests.",
                                       "http.get",
                                       "fetch(",
                                       "urlopen",
                                       "Net::HTTP",
                                       "LWP::",
                                       "file_get_contents('http",
                                       "file_get_contents(\"http"};
    bool runs = has_any(text, shells, sizeof shells / sizeof *shells);
    bool evals = strstr(text, "exec(") || strstr(text, "eval(") || strstr(text, "eval ") || strstr(text, "exec ");
    if (strstr(text, "fork while") ||
        (strstr(text, "fork") && (strstr(text, "while") || strstr(text, "for") || strstr(text, "loop"))))
        wick_sh_find(w, WICK_SH_CRITICAL, "starts itself without end");
    if (has_any(text, sockets, sizeof sockets / sizeof *sockets) &&
        (runs || strstr(text, "dup2") || strstr(text, "/bin/sh") || strstr(text, "STDIN")))
        wick_sh_find(w, WICK_SH_CRITICAL, "connects a shell to another machine");
    if (has_any(text, wipes, sizeof wipes / sizeof *wipes)) {
        bool vital = strstr(text, "'/'") || strstr(text, "\"/\"") || strstr(text, "expanduser") ||
                     strstr(text, "'/etc") || strstr(text, "\"/etc") || strstr(text, "'/home") ||
                     strstr(text, "\"/home") || strstr(text, "homedir") || strstr(text, "ENV['HOME']") ||
                     strstr(text, "Dir.home") || strstr(text, "Path.home") || strstr(text, "'/usr") ||
                     strstr(text, "\"/usr") || strstr(text, "'/var") || strstr(text, "\"/var");
        wick_sh_find(w, vital ? WICK_SH_CRITICAL : WICK_SH_HIGH, "deletes a folder with all that is in it");
    } else if (has_any(text, deletes, sizeof deletes / sizeof *deletes)) {
        bool many = strstr(text, "walk") || strstr(text, "glob") || strstr(text, "for ") || strstr(text, "listdir") ||
                    strstr(text, "map") || strstr(text, "/etc/") || strstr(text, "each");
        wick_sh_find(w, many || w->root ? WICK_SH_HIGH : WICK_SH_MODERATE, "deletes files");
    }
    if (strstr(text, "/dev/sd") || strstr(text, "/dev/nvme") || strstr(text, "/dev/vd") || strstr(text, "/dev/hd"))
        wick_sh_find(w, has_any(text, writes, sizeof writes / sizeof *writes) ? WICK_SH_CRITICAL : WICK_SH_HIGH,
                     "works on a disk");
    if (strstr(text, "/etc/shadow") || strstr(text, ".ssh/id_")) wick_sh_find(w, WICK_SH_HIGH, "reads a secret");
    if ((runs || evals) && has_any(text, hides, sizeof hides / sizeof *hides))
        wick_sh_find(w, WICK_SH_HIGH, "runs code that is hidden by an encoding");
    if ((runs || evals) && has_any(text, nets, sizeof nets / sizeof *nets))
        wick_sh_find(w, WICK_SH_HIGH, "runs code from the network that nobody has read");
    if (runs) code_strings(w, text);
    if (has_any(text, writes, sizeof writes / sizeof *writes)) {
        bool vital = strstr(text, "/etc/") || strstr(text, "/boot/") || strstr(text, "/dev/");
        wick_sh_find(w, vital ? WICK_SH_HIGH : WICK_SH_MODERATE, "writes files");
    }
    if (runs && !wick_sh_among(language, "awk gawk mawk sed"))
        wick_sh_find(w, WICK_SH_MODERATE, "a program that runs commands");
}

static bool run_interpreter(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    static const struct {
        const char *names, *flags;
    } languages[] = {{"python python2 python3 pypy pypy3", "-c"},
                     {"perl", "-e -E -ne -pe -le -ane -nle -lne -pie -i"},
                     {"ruby", "-e -ne -pe"},
                     {"node nodejs deno bun", "-e --eval -p --print"},
                     {"php", "-r"},
                     {"lua luajit", "-e"},
                     {"osascript", "-e"},
                     {"Rscript", "-e"},
                     {"tclsh", ""},
                     {"pwsh powershell", "-c -Command -EncodedCommand"}};
    for (size_t l = 0; l < sizeof languages / sizeof *languages; l++) {
        if (!wick_sh_among(name, languages[l].names) && !(l == 0 && wick_starts_with(name, "python3."))) continue;
        bool inplace = false;
        for (size_t k = 1; k < n; k++) {
            const char *s = f[k].text;
            inplace |= l == 1 && s[0] == '-' && strchr(s, 'i') && s[1] != '-' && s[1] != 'M';
            bool code = wick_sh_among(s, languages[l].flags) ||
                        (l == 1 && s[0] == '-' && s[1] != '-' && (s[strlen(s) - 1] == 'e' || s[strlen(s) - 1] == 'E'));
            if (code && k + 1 < n && !(l == 1 && strcmp(s, "-i") == 0)) {
                wick_sh_code(w, name, f[k + 1].text);
                if (f[k + 1].unknown) run_source(w, f + k + 1, "?\001", in);
                if (inplace) wick_sh_find(w, WICK_SH_MODERATE, "changes files in place");
                return true;
            }
            if (strcmp(s, "-m") == 0 && k + 1 < n) {
                if (!wick_sh_among(f[k + 1].text, "json.tool this platform site timeit calendar sysconfig"))
                    wick_sh_find(w, WICK_SH_MODERATE, "runs a module");
                return true;
            }
            if (wick_sh_among(s, "--version -V -v --help -h")) return true;
            if (s[0] != '-') {
                if (wick_starts_with(s, "/dev/fd/")) run_source(w, f + k, s, in);
                wick_sh_find(w, WICK_SH_MODERATE, "runs a script that is not looked at");
                return true;
            }
            if (strcmp(s, "-") == 0) break;
        }
        if (in.kind == WICK_SH_FROM_TEXT)
            wick_sh_code(w, name, in.text);
        else if (in.kind != WICK_SH_FROM_NONE)
            run_stdin(w, in);
        else
            wick_sh_find(w, WICK_SH_MODERATE, "opens an interpreter");
        return true;
    }
    return false;
}

/* ---- the rest ------------------------------------------------------------------------------------------------ */

/* su, runuser, script: a command after -c. */
static bool run_dash_c(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (!wick_sh_among(name, "su runuser script")) return false;
    bool was = w->root, found = false;
    w->root |= !wick_sh_among(name, "script");
    for (size_t k = 1; k + 1 < n; k++)
        if (wick_sh_among(f[k].text, "-c --command") ||
            (name[0] == 's' && wick_ends_with(f[k].text, "c") && f[k].text[0] == '-' && f[k].text[1] != '-')) {
            wick_sh_walk_text(w, f[k + 1].text, in);
            found = true;
        }
    w->root = was;
    if (!found)
        wick_sh_find(w, was && strcmp(name, "su") == 0 ? WICK_SH_HIGH : WICK_SH_MODERATE,
                     wick_sh_among(name, "script") ? "records a session" : "opens a shell of another user");
    return true;
}

/* docker exec, kubectl exec, tmux, screen: where the inner command begins. */
static bool run_inside(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (n < 3) return false;
    if (wick_sh_among(name, "docker podman nerdctl") && wick_sh_among(f[1].text, "exec run")) {
        static const prefix_program exec = {"",
                                            "-e -u -w --env --user --workdir -v --volume -p --publish --name --network "
                                            "-m --memory --entrypoint --mount -l --label",
                                            2, false, false};
        bool host = false;
        for (size_t k = 2; k < n; k++)
            host |= wick_starts_with(f[k].text, "/:") || strcmp(f[k].text, "--privileged") == 0 ||
                    strstr(f[k].text, "docker.sock") || strcmp(f[k].text, "--pid=host") == 0;
        if (host) wick_sh_find(w, WICK_SH_HIGH, "gives a container the rights of this machine");
        size_t at = passed_command(&exec, f, n);
        if (at < n) wick_sh_run(w, f + at, n - at, in);
        wick_sh_find(w, WICK_SH_MODERATE, "runs a container");
        return true;
    }
    if (wick_sh_among(name, "kubectl oc") && strcmp(f[1].text, "exec") == 0) {
        for (size_t k = 2; k + 1 < n; k++)
            if (strcmp(f[k].text, "--") == 0) wick_sh_run(w, f + k + 1, n - k - 1, in);
        wick_sh_find(w, WICK_SH_MODERATE, "works in a container");
        return true;
    }
    if (wick_sh_among(name, "tmux screen")) {
        for (size_t k = 2; k < n; k++)
            if (strchr(f[k].text, ' ')) wick_sh_walk_text(w, f[k].text, in);
        wick_sh_find(w, WICK_SH_MODERATE, "works in a terminal session");
        return true;
    }
    return false;
}

bool wick_sh_run_wrapper(wick_sh_walk *w, const char *name, const wick_sh_field *f, size_t n, wick_sh_source in)
{
    if (run_prefix(w, name, f, n, in) || run_interpreter(w, name, f, n, in) || run_dash_c(w, name, f, n, in) ||
        run_inside(w, name, f, n, in))
        return true;
    if (wick_sh_among(name, "sh bash dash zsh ksh ash fish mksh rbash csh tcsh yash")) {
        run_shell(w, f, n, in);
    } else if (strcmp(name, "eval") == 0) {
        const char *text = wick_sh_join(w, f + 1, n - 1);
        for (size_t k = 1; k < n; k++)
            if (f[k].unknown || k + 1 == n) run_source(w, f + k, k + 1 == n ? text : "\001", in);
    } else if (wick_sh_among(name, ". source")) {
        if (n > 1 && (wick_starts_with(f[1].text, "/dev/fd/") || f[1].unknown))
            run_source(w, f + 1, "/dev/fd/", in);
        else if (n > 1 && strcmp(f[1].text, "/dev/stdin") == 0)
            run_stdin(w, in);
        else
            wick_sh_find(w, WICK_SH_MODERATE, "runs a script that is not looked at");
    } else if (strcmp(name, "find") == 0) {
        run_find(w, f, n);
    } else if (strcmp(name, "fd") == 0 || strcmp(name, "fdfind") == 0) {
        for (size_t k = 1; k + 1 < n; k++)
            if (wick_sh_among(f[k].text, "-x -X --exec --exec-batch")) {
                find_exec(w, f, k + 1, n, WICK_SH_HERE, true);
                break;
            }
    } else if (strcmp(name, "xargs") == 0) {
        run_xargs(w, f, n, in);
    } else if (strcmp(name, "trap") == 0) {
        if (n > 1) wick_sh_walk_text(w, f[1].text, in);
    } else if (strcmp(name, "alias") == 0) {
        for (size_t k = 1; k < n; k++)
            if (strchr(f[k].text, '=')) wick_sh_walk_text(w, strchr(f[k].text, '=') + 1, in);
    } else if (wick_sh_among(name, "at batch")) {
        if (in.kind == WICK_SH_FROM_TEXT) wick_sh_walk_text(w, in.text, (wick_sh_source){0});
        if (!wick_sh_has_flag(f, n, 'l', "-l")) wick_sh_find(w, WICK_SH_MODERATE, "plans a command for later");
    } else {
        return false;
    }
    return true;
}
