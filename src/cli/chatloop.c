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
#include "base/str.h"
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
    char *base = a->state_home && *a->state_home ? wick_strdup(a->state_home)
                 : a->home && *a->home           ? wick_path_join(a->home, ".local/state")
                                                 : NULL;
    if (!base) return NULL;
    char *dir = wick_path_join(base, "wick");
    char *path = dir && wick_dir_make(dir, NULL) == WICK_OK ? wick_path_join(dir, "history") : NULL;
    wick_free(base);
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

/* libedit's own reader goes on after a signal; this one gives the line up, so that Ctrl-C is seen at the prompt. */
static int read_character(EditLine *el, wchar_t *out)
{
    mbstate_t state = {0};
    (void)el;
    for (;;) {
        char c;
        if (!wait_for_input()) return -1;
        ssize_t got = read(STDIN_FILENO, &c, 1);
        if (got < 0 && errno == EINTR && !wick_interrupted()) continue;
        if (got <= 0) return (int)got;
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
}

static void input_close(const char *history_file)
{
    HistEvent ev;
    if (input.history) {
        if (history_file && history(input.history, &ev, H_SAVE, history_file) >= 0) chmod(history_file, 0600);
        history_end(input.history);
    }
    if (input.el) el_end(input.el);
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
    json_object_set_new(m, "content", json_string(text));
    json_array_append_new(messages, m);
}

/* The system prompt, which the command line gave, stays. */
static void forget(json_t *messages)
{
    const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    size_t keep = role && strcmp(role, "system") == 0;
    while (json_array_size(messages) > keep) json_array_remove(messages, json_array_size(messages) - 1);
}

/* Returns false for /quit. */
static bool slash(const char *line, json_t *messages)
{
    if (strcmp(line, "/quit") == 0 || strcmp(line, "/bye") == 0 || strcmp(line, "/exit") == 0) return false;
    if (strcmp(line, "/clear") == 0) {
        forget(messages);
        puts("The conversation is forgotten.");
    } else if (wick_starts_with(line, "/system ")) {
        json_array_clear(messages);
        say(messages, "system", line + 8);
        puts("New conversation with this system prompt.");
    } else {
        if (strcmp(line, "/help") != 0 && strcmp(line, "/?") != 0) {
            char shown[64];
            wick_escape_line(shown, sizeof shown, line, strlen(line));
            printf("No command %s.\n", shown);
        }
        puts("/clear          forget the conversation\n/system TEXT    start a new one with a system prompt\n"
             "/quit           leave (also Ctrl-D)\n\"\"\"             begins and ends a text of several lines\n"
             "Ctrl-C          stops an answer");
    }
    return true;
}

static void one_turn(json_t *messages, const char *text, wick_turn_fn turn, void *ctx)
{
    wick_err err = {0};
    size_t before = json_array_size(messages);
    say(messages, "user", text);
    wick_interrupt_clear();
    if (turn(ctx, messages, &err) != WICK_OK) {
        while (json_array_size(messages) > before) json_array_remove(messages, json_array_size(messages) - 1);
        wick_notice("wick: %s", err.message);
    }
    wick_interrupt_clear();
}

wick_status wick_chat_loop(const wick_args *a, json_t *messages, wick_turn_fn turn, void *ctx, wick_err *err)
{
    char *history = history_path(a);
    (void)err;
#ifdef HAVE_EDITLINE
    input_open(history);
#endif
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
        if (line[0] == '/')
            on = slash(line, messages);
        else if (*line)
            one_turn(messages, line, turn, ctx);
        wick_free(line);
    }
#ifdef HAVE_EDITLINE
    input_close(history);
#endif
    wick_free(history);
    return WICK_OK;
}
