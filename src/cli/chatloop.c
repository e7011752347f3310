/* cli/chatloop.c - see chatloop.h. History goes to $XDG_STATE_HOME/wick/history (or ~/.local/state), mode 0600. */
#include "cli/chatloop.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#if __has_include(<histedit.h>)
#include <errno.h>
#include <histedit.h>
#include <locale.h>
#include <signal.h>
#include <sys/select.h>
#include <unistd.h>
#include <wchar.h>
#define HAVE_EDITLINE 1
#endif
#include "base/alloc.h"
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "cli/ask.h"
#include "cli/session.h"
#include "cli/slash.h"
#include "cli/term.h"

enum { HISTORY_LINES = 1000 };

static struct {
    const char *prompt;
#ifdef HAVE_EDITLINE
    EditLine *el; /* NULL where input is no terminal */
    History *history;
#endif
} input;

static char *history_path(const wick_args *a)
{
    char *dir = wick_state_folder(a);
    char *path = dir && wick_dir_make(dir, NULL) == WICK_OK ? wick_path_join(dir, "history") : NULL;
    wick_free(dir);
    return path;
}

#ifdef HAVE_EDITLINE
static char *prompt_of(EditLine *el)
{
    static char text[16];
    (void)el;
    snprintf(text, sizeof text, "%s", input.prompt);
    return text;
}

/* Waits for input or Ctrl-C. The signal is let in during the wait only, so none is lost just before it. */
static bool wait_for_input(void)
{
    sigset_t interrupt, before;
    fd_set in;
    sigemptyset(&interrupt);
    sigaddset(&interrupt, SIGINT);
    sigprocmask(SIG_BLOCK, &interrupt, &before);
    int ready = 0;
    while (ready <= 0 && !wick_interrupted()) {
        FD_ZERO(&in);
        FD_SET(STDIN_FILENO, &in);
        ready = pselect(STDIN_FILENO + 1, &in, NULL, NULL, NULL, &before);
        if (ready >= 0) continue;
        if (errno != EINTR) break;
        sigprocmask(SIG_SETMASK, &before, NULL); /* libedit's handler sends the signal on to ours */
        sigprocmask(SIG_BLOCK, &interrupt, NULL);
    }
    sigprocmask(SIG_SETMASK, &before, NULL);
    return !wick_interrupted();
}

/* What a terminal sends around a paste (bracketed paste); between them a line end is text. It is shown as this sign
 * until the line is taken. */
#define PASTE_BEGIN "[200~"
#define PASTE_END "\033[201~"
enum { LINE_END_SIGN = 0x2424, MAX_PASTE = 8 << 20, AFTER_ESCAPE_MS = 30 };

static struct {
    wchar_t *queue; /* characters that came with a paste, or behind an escape that began none */
    size_t n, at, cap;
} pasted;

static void queue_put(wchar_t c)
{
    if (pasted.at == pasted.n) pasted.at = pasted.n = 0;
    if (pasted.n == pasted.cap) {
        const size_t cap = pasted.cap ? pasted.cap * 2 : 256;
        wchar_t *grown = cap <= MAX_PASTE ? wick_realloc_array(pasted.queue, cap, sizeof *grown) : NULL;
        if (!grown) return;
        pasted.queue = grown;
        pasted.cap = cap;
    }
    pasted.queue[pasted.n++] = c;
}

/* One byte, if one comes within a moment. */
static bool byte_soon(char *c)
{
    struct timeval wait = {0, AFTER_ESCAPE_MS * 1000};
    fd_set in;
    FD_ZERO(&in);
    FD_SET(STDIN_FILENO, &in);
    return select(STDIN_FILENO + 1, &in, NULL, NULL, &wait) > 0 && read(STDIN_FILENO, c, 1) == 1;
}

/* The text of a paste to the queue, up to its end mark. Line ends become the sign, tabs blanks, other control bytes
 * nothing. */
static void take_paste(void)
{
    wick_buf b = WICK_BUF_INIT;
    char c;
    const size_t n_end = strlen(PASTE_END);
    while (byte_soon(&c) && b.n < MAX_PASTE) {
        wick_buf_putc(&b, c);
        if (b.n >= n_end && memcmp(b.data + b.n - n_end, PASTE_END, n_end) == 0) {
            b.n -= n_end;
            break;
        }
    }
    while (b.n && (b.data[b.n - 1] == '\n' || b.data[b.n - 1] == '\r')) b.n--; /* the key that sends it is the user's */
    for (size_t i = 0; i < b.n;) {
        uint32_t cp;
        const size_t len = wick_utf8_next(b.data + i, b.n - i, &cp);
        const bool crlf = cp == '\r' && i + 1 < b.n && b.data[i + 1] == '\n';
        if ((cp == '\n' || cp == '\r') && !crlf)
            queue_put(LINE_END_SIGN);
        else if (cp == '\t')
            queue_put(L' ');
        else if (cp >= 0x20 && cp != 0x7F && cp != 0xFFFFFFFF)
            queue_put((wchar_t)cp);
        i += len;
    }
    wick_buf_release(&b);
}

/* After an escape: a paste, or an escape that libedit knows; its bytes then follow from the queue. */
static bool begins_paste(void)
{
    char seen[8];
    size_t n = 0;
    while (n < strlen(PASTE_BEGIN) && byte_soon(&seen[n])) {
        if (seen[n] != PASTE_BEGIN[n]) {
            n++;
            break;
        }
        if (++n == strlen(PASTE_BEGIN)) {
            take_paste();
            return true;
        }
    }
    for (size_t i = 0; i < n; i++) queue_put((wchar_t)(unsigned char)seen[i]);
    return false;
}

/* libedit's own reader goes on after a signal; this one gives the line up, so that Ctrl-C is seen at the prompt. */
static int read_character(EditLine *el, wchar_t *out)
{
    mbstate_t state = {0};
    (void)el;
    for (;;) {
        char c;
        if (pasted.at < pasted.n) {
            *out = pasted.queue[pasted.at++];
            return 1;
        }
        if (!wait_for_input()) return -1;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR && !wick_interrupted()) continue;
        if (got <= 0) return (int)got;
        if (c == '\033' && begins_paste()) continue;
        size_t used = mbrtowc(out, &c, 1, &state);
        if (used == 0) *out = 4; /* a Ctrl-D typed before libedit had the terminal arrives as NUL */
        if (used <= 1) return 1;
        if (used == (size_t)-1) memset(&state, 0, sizeof state); /* what is no text is passed over */
    }
}

static void input_open(const char *history_file)
{
    HistEvent ev;
    if (!wick_stdin_is_tty()) return;
    setlocale(LC_CTYPE, ""); /* characters wider than a byte; numbers stay as they are */
    if (MB_CUR_MAX == 1) setlocale(LC_CTYPE, "C.UTF-8");
    input.el = el_init("wick", stdin, stdout, stderr);
    input.history = input.el ? history_init() : NULL;
    if (!input.history) return;
    history(input.history, &ev, H_SETSIZE, HISTORY_LINES);
    history(input.history, &ev, H_SETUNIQUE, 1);
    if (history_file) history(input.history, &ev, H_LOAD, history_file);
    el_set(input.el, EL_PROMPT, prompt_of);
    el_set(input.el, EL_EDITOR, "emacs");
    el_set(input.el, EL_HIST, history, input.history);
    el_set(input.el, EL_SIGNAL, 1); /* the terminal is put back for a stop (Ctrl-Z) */
    el_set(input.el, EL_GETCFN, read_character);
    fputs("\033[?2004h", stdout);
    fflush(stdout);
}

static void input_close(const char *history_file)
{
    HistEvent ev;
    if (input.history) {
        if (history_file && history(input.history, &ev, H_SAVE, history_file) >= 0) chmod(history_file, 0600);
        history_end(input.history);
    }
    if (input.history) fputs("\033[?2004l", stdout);
    if (input.el) el_end(input.el);
    wick_free(pasted.queue);
    memset(&pasted, 0, sizeof pasted);
    memset(&input, 0, sizeof input);
}

static char *edited_line(void)
{
    int n = 0;
    HistEvent ev;
    const char *l = el_gets(input.el, &n);
    if (!l || n <= 0) return NULL;
    size_t len = strcspn(l, "\r\n");
    char *own = wick_strndup(l, len);
    if (own && *own) history(input.history, &ev, H_ENTER, own);
    for (char *p = own; p && (p = strstr(p, "\xE2\x90\xA4"));) { /* the sign of a pasted line end */
        *p++ = '\n';
        memmove(p, p + 2, strlen(p + 2) + 1);
    }
    return own;
}
#endif

/* One line without its newline, wick_free()d by the caller; NULL at the end of input. */
static char *read_line(const char *prompt)
{
    input.prompt = prompt;
#ifdef HAVE_EDITLINE
    if (input.history) return edited_line();
#endif
    size_t cap = 0;
    char *l = NULL;
    if (wick_stdin_is_tty()) {
        fputs(prompt, stdout);
        fflush(stdout);
    }
    wick_stdin_reading(true);
    ssize_t n = getline(&l, &cap, stdin);
    wick_stdin_reading(false);
    char *own = NULL;
    if (n >= 0) {
        while (n > 0 && (l[n - 1] == '\n' || l[n - 1] == '\r')) l[--n] = '\0';
        own = wick_strndup(l, (size_t)n);
    }
    free(l);
    return own;
}

void wick_line_open(const char *history_file)
{
#ifdef HAVE_EDITLINE
    input_open(history_file);
#else
    (void)history_file;
#endif
}

char *wick_line_read(const char *prompt)
{
    return read_line(prompt);
}

void wick_line_close(const char *history_file)
{
#ifdef HAVE_EDITLINE
    input_close(history_file);
#else
    (void)history_file;
#endif
}

/* """ opens a text of several lines, """ ends it. */
static char *read_message(void)
{
    char *l = read_line(">>> ");
    if (!l || !wick_starts_with(l, "\"\"\"")) return l;
    wick_buf b = WICK_BUF_INIT;
    const char *part = l + 3;
    for (;;) {
        size_t n = strlen(part);
        bool end = wick_ends_with(part, "\"\"\"");
        wick_buf_add(&b, part, end ? n - 3 : n);
        wick_free(l);
        if (end) break;
        wick_buf_putc(&b, '\n');
        l = read_line("... ");
        if (!l) break;
        part = l;
    }
    return wick_buf_take(&b, NULL);
}

static void say(json_t *messages, const char *role, const char *text)
{
    json_t *m = json_object();
    json_object_set_new(m, "role", json_string(role));
    json_object_set_new(m, "content", wick_json_text(text, strlen(text)));
    json_array_append_new(messages, m);
}

static wick_slash slash;

void wick_chat_note_figures(const char *figures)
{
    snprintf(slash.figures, sizeof slash.figures, "%s", figures);
}

/* text NULL: the last message is answered again. */
static void one_turn(json_t *messages, const char *text, wick_turn_fn turn, void *ctx)
{
    wick_err err = {0};
    size_t before = json_array_size(messages);
    if (text) say(messages, "user", text);
    wick_interrupt_clear();
    if (turn(ctx, messages, &err) != WICK_OK) {
        while (json_array_size(messages) > before) json_array_remove(messages, json_array_size(messages) - 1);
        wick_notice("wick: %s", err.message);
    }
    wick_interrupt_clear();
}

static void keep(const char *path, const json_t *messages)
{
    if (path && json_array_size(messages) > 0 && wick_conversation_save(path, messages, NULL) != WICK_OK)
        wick_verbose("the conversation could not be kept in %s", path);
}

wick_status wick_chat_loop(wick_args *a, const wick_command *c, json_t *messages, wick_turn_fn turn, void *ctx,
                           wick_err *err)
{
    char *history = history_path(a), *kept = wick_stdin_is_tty() || a->resume ? wick_conversation_path(a) : NULL;
    (void)err;
    slash = (wick_slash){.command = c, .args = a, .messages = messages};
    wick_line_open(history);
    if (wick_stdin_is_tty()) wick_notice("Type a message; /help for help, Ctrl-D to leave.");
    for (bool on = true; on;) {
        wick_interrupt_clear();
        char *line = read_message();
        if (!line) {
            if (wick_interrupted() && wick_stdin_is_tty()) {
                fputs("\n(Ctrl-D or /quit leaves)\n", stdout);
                clearerr(stdin);
                continue;
            }
            break;
        }
        const wick_slash_result r = line[0] == '/' ? wick_slash_run(&slash, line) : WICK_SLASH_STAY;
        on = r != WICK_SLASH_LEAVE;
        if (r == WICK_SLASH_RETRY)
            one_turn(messages, NULL, turn, ctx);
        else if (*line && line[0] != '/')
            one_turn(messages, line, turn, ctx);
        if (on) keep(kept, messages);
        wick_free(line);
    }
    wick_line_close(history);
    wick_free(history);
    wick_free(kept);
    return WICK_OK;
}
