/* cli/sh_files.c - see sh_files.h. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "cli/session.h"
#include "cli/sh_files.h"

enum { MAX_HISTORY = 1 << 20 };

char *wick_sh_state_path(const wick_args *a, const char *name)
{
    char *base = a->state_home && a->state_home[0] == '/' ? wick_strdup(a->state_home)
                 : a->home && *a->home                    ? wick_path_join(a->home, ".local/state")
                                                          : NULL;
    char *folder = base ? wick_path_join(base, "wick") : NULL;
    char *path = folder && wick_dir_make(folder, NULL) == WICK_OK ? wick_path_join(folder, name) : NULL;
    wick_free(base);
    wick_free(folder);
    return path;
}

/* Keeps the newer half of a file that grew too long. */
static void shorten(const char *path)
{
    char *text = NULL;
    size_t n = 0;
    if (wick_file_read(path, 2 * MAX_HISTORY, &text, &n, NULL) != WICK_OK || n <= MAX_HISTORY) goto done;
    const char *from = memchr(text + n / 2, '\n', n - n / 2);
    if (from && wick_file_write(path, from + 1, n - (size_t)(from + 1 - text), NULL) == WICK_OK) chmod(path, 0600);
done:
    wick_free(text);
}

void wick_sh_history_add(const wick_args *a, const wick_sh_proposal *p, bool ran, int code)
{
    char *path = a->no_history ? NULL : wick_sh_state_path(a, "sh-history.jsonl");
    if (!path) return;
    json_t *o = json_object();
    const char *cmd = p->candidate[0].answer.cmd;
    json_object_set_new(o, "time", json_integer((json_int_t)time(NULL)));
    json_object_set_new(o, "request", wick_json_text(p->request, strlen(p->request)));
    json_object_set_new(o, "command", wick_json_text(cmd, strlen(cmd)));
    json_object_set_new(o, "risk", json_string(wick_sh_level_name(p->report.level)));
    json_object_set_new(o, "ran", json_boolean(ran));
    if (ran) json_object_set_new(o, "exit_code", json_integer(code));
    char *line = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
    int fd = line ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
    struct stat s = {0};
    if (fd >= 0) {
        size_t n = strlen(line);
        line[n] = '\n'; /* in place of the NUL, so that it is one write */
        if (write(fd, line, n + 1) < 0 || fstat(fd, &s) != 0) s.st_size = 0;
        close(fd);
    }
    if (s.st_size > MAX_HISTORY) shorten(path);
    wick_free(line);
    json_decref(o);
    wick_free(path);
}

static wick_status show_line(const wick_args *a, const char *line, size_t n, wick_err *err)
{
    wick_arena arena;
    json_t *o = NULL;
    wick_status st = WICK_OK;
    if (wick_json_parse(line, n, "history", &o, NULL) != WICK_OK) return WICK_OK;
    if (a->json) return wick_print_json(o, err);
    const char *request = json_string_value(json_object_get(o, "request"));
    const char *cmd = json_string_value(json_object_get(o, "command"));
    wick_arena_init(&arena, 0);
    if (request && cmd)
        printf("%s\n    %s\n", wick_sh_visible(&arena, request, strlen(request)),
               *cmd ? wick_sh_visible(&arena, cmd, strlen(cmd)) : "(no command)");
    wick_arena_release(&arena);
    json_decref(o);
    return st;
}

wick_status wick_sh_history_show(const wick_args *a, size_t n, wick_err *err)
{
    char *path = wick_sh_state_path(a, "sh-history.jsonl"), *text = NULL;
    size_t len = 0, lines = 0;
    wick_status st = WICK_OK;
    if (!path || !wick_path_exists(path)) goto done;
    st = wick_file_read(path, 4 * MAX_HISTORY, &text, &len, err);
    if (st != WICK_OK) goto done;
    for (size_t i = 0; i < len; i++) lines += text[i] == '\n';
    for (const char *p = text, *nl; st == WICK_OK && (nl = strchr(p, '\n')) != NULL; p = nl + 1)
        if (lines-- <= n) st = show_line(a, p, (size_t)(nl - p), err);
done:
    wick_free(text);
    wick_free(path);
    return st;
}
