/* cli/ask.c - see ask.h. */
#include "cli/ask.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/opt.h"
#include "cli/session.h"
#include "cli/term.h"

enum { MAX_TEXT_BYTES = 64 << 20 };

/* Pictures, sounds and other files are no prompts: said, not sent. */
static wick_status check_text(const char *p, size_t n, const char *where, wick_err *err)
{
    if (!memchr(p, '\0', n) && wick_utf8_valid(p, n)) return WICK_OK;
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, where,
                     "%s is no text (UTF-8): this command takes no images or other files", where);
}

wick_status wick_ask_file(const char *path, char **text, size_t *n, wick_err *err)
{
    wick_buf b;
    char chunk[65536];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? WICK_FAIL(err, WICK_E_MODEL_NOT_FOUND, path, "%s: no such file", path)
                               : wick_err_io(err, path, "open", errno);
    wick_buf_init(&b, MAX_TEXT_BYTES);
    wick_status st = WICK_OK;
    for (;;) {
        const ssize_t got = read(fd, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR && !wick_interrupted()) continue;
        if (got < 0) st = wick_err_io(err, path, "read", errno);
        if (got <= 0) break;
        wick_buf_add(&b, chunk, (size_t)got);
        if (b.failed) break;
    }
    close(fd);
    if (st == WICK_OK && b.failed) st = WICK_FAIL(err, WICK_E_LIMIT, path, "%s: more than 64 MiB", path);
    if (st == WICK_OK) st = check_text(wick_buf_str(&b), b.n, path, err);
    if (st == WICK_OK) {
        (void)wick_buf_str(&b);
        *text = wick_buf_take(&b, n);
        if (!*text) {
            *text = wick_strdup("");
            *n = 0;
        }
        if (!*text) st = wick_err_oom(err, path, 0, 0);
    }
    wick_buf_release(&b);
    return st;
}

wick_status wick_ask_text_or_file(const char *value, char **text, wick_err *err)
{
    size_t n = 0;
    const bool marked = value[0] == '@' && value[1];
    if (marked || wick_path_is_file(value)) {
        WICK_TRY(wick_ask_file(value + marked, text, &n, err));
        while (n > 0 && ((*text)[n - 1] == '\n' || (*text)[n - 1] == '\r')) (*text)[--n] = '\0';
        return WICK_OK;
    }
    *text = wick_strdup(value);
    return *text ? WICK_OK : wick_err_oom(err, "a text", 0, 0);
}

static void add_part(wick_buf *b, const char *p, size_t n)
{
    if (n == 0) return;
    if (b->n) {
        while (b->n && b->data[b->n - 1] == '\n') b->n--;
        wick_buf_puts(b, "\n\n");
    }
    wick_buf_add(b, p, n);
}

/* Standard input is part of the prompt where it is a pipe, a file or a socket: not a terminal, not /dev/null. */
static bool is_piped(void)
{
    struct stat sb;
    if (fstat(STDIN_FILENO, &sb) != 0) return false;
    return S_ISFIFO(sb.st_mode) || S_ISREG(sb.st_mode) || S_ISSOCK(sb.st_mode);
}

static wick_status add_stdin(wick_buf *b, wick_err *err)
{
    char *text = NULL;
    size_t n = 0;
    WICK_TRY(wick_read_stdin(&text, &n, err));
    wick_status st = check_text(text, n, "standard input", err);
    if (st == WICK_OK) add_part(b, text, n);
    wick_free(text);
    return st;
}

static wick_status collect(const wick_args *a, uint32_t first, wick_buf *b, bool *any, wick_err *err)
{
    const bool file_is_stdin = a->file && strcmp(a->file, "-") == 0;
    bool dash = file_is_stdin;
    for (uint32_t i = first; i < a->n_operands; i++) dash |= strcmp(a->operand[i], "-") == 0;
    *any = dash || a->n_operands > first || a->file || a->json;
    if (!*any) return WICK_OK;
    if (a->file && !file_is_stdin) {
        char *text = NULL;
        size_t n = 0;
        WICK_TRY(wick_ask_file(a->file, &text, &n, err));
        add_part(b, text, n);
        wick_free(text);
    }
    const bool bare = a->n_operands == first && !a->file; /* --json alone */
    if (file_is_stdin || (!dash && (is_piped() || bare))) WICK_TRY(add_stdin(b, err));
    wick_buf words = WICK_BUF_INIT;
    bool read = file_is_stdin;
    wick_status st = WICK_OK;
    for (uint32_t i = first; i < a->n_operands && st == WICK_OK; i++) {
        if (strcmp(a->operand[i], "-") != 0) {
            wick_buf_printf(&words, "%s%s", words.n ? " " : "", a->operand[i]);
            continue;
        }
        add_part(b, wick_buf_str(&words), words.n);
        wick_buf_reset(&words);
        if (!read) st = add_stdin(b, err);
        read = true;
    }
    add_part(b, wick_buf_str(&words), words.n);
    wick_buf_release(&words);
    return st;
}

wick_status wick_ask_prompt(const wick_args *a, uint32_t first, char **text, size_t *n, wick_err *err)
{
    wick_buf b;
    bool any = false;
    *text = NULL;
    wick_buf_init(&b, 2u * MAX_TEXT_BYTES);
    wick_status st = collect(a, first, &b, &any, err);
    if (st == WICK_OK && any) {
        if (b.failed) st = WICK_FAIL(err, WICK_E_LIMIT, "prompt", "the prompt is too long");
        *n = b.n;
        *text = st == WICK_OK ? wick_strndup(b.data ? b.data : "", b.n) : NULL;
        if (st == WICK_OK && !*text) st = wick_err_oom(err, "prompt", 0, 0);
    }
    wick_buf_release(&b);
    return st;
}

/* --- conversations ------------------------------------------------------------------------------------------------ */
static bool is_role(const json_t *message, const char *role)
{
    const char *r = json_string_value(json_object_get(message, "role"));
    return r && strcmp(r, role) == 0;
}

wick_status wick_conversation_load(const char *path, json_t **messages, wick_err *err)
{
    json_t *v = NULL;
    size_t i;
    const json_t *m;
    WICK_TRY(wick_json_load(path, MAX_TEXT_BYTES, &v, err));
    bool ok = json_is_array(v);
    json_array_foreach(v, i, m) ok =
        ok && json_is_string(json_object_get(m, "role")) && json_is_string(json_object_get(m, "content"));
    if (!ok) {
        json_decref(v);
        return WICK_FAIL(err, WICK_E_BAD_FILE, path,
                         "%s: no conversation: a list of {\"role\", \"content\"} is expected", path);
    }
    *messages = v;
    return WICK_OK;
}

wick_status wick_conversation_save(const char *path, const json_t *messages, wick_err *err)
{
    char *text = json_dumps(messages, JSON_INDENT(1));
    if (!text) return wick_err_oom(err, "a conversation", 0, 0);
    const mode_t before = umask(0077);
    wick_status st = wick_file_write(path, text, strlen(text), err);
    umask(before);
    free(text);
    return st;
}

char *wick_conversation_path(const wick_args *a)
{
    char *dir = wick_state_folder(a);
    char *path = dir && wick_dir_make(dir, NULL) == WICK_OK ? wick_path_join(dir, "conversation.json") : NULL;
    wick_free(dir);
    return path;
}

bool wick_conversation_drop_oldest(json_t *messages)
{
    const size_t keep = is_role(json_array_get(messages, 0), "system");
    if (json_array_size(messages) < keep + 2) return false;
    json_array_remove(messages, keep);
    while (json_array_size(messages) > keep + 1 && !is_role(json_array_get(messages, keep), "user"))
        json_array_remove(messages, keep);
    return true;
}
