/* cli/term.c - see term.h. Ctrl-C is caught once init ran: the first asks the answer to stop, a second within the same
 * answer ends the process in the usual way. */
#include "cli/term.h"
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/log.h"
#include "base/str.h"
#include "base/sys.h"

static struct {
    bool quiet, verbose, err_tty, out_tty, bar_shown;
    double bar_ms;
} term;
static volatile sig_atomic_t interrupts;

static void on_interrupt(int sig)
{
    if (++interrupts >= 2) {
        signal(sig, SIG_DFL);
        raise(sig);
    }
}

/* While text is printed a call that Ctrl-C meets goes on, or stdio would drop what it was writing; a wait for input returns. */
static void catch_interrupt(int flags)
{
    struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = flags};
    sigemptyset(&sa.sa_mask);
    sigaction(SIGINT, &sa, NULL);
}

void wick_stdin_reading(bool on)
{
    catch_interrupt(on ? 0 : SA_RESTART);
}

static void log_line(void *ctx, wick_log_level level, const char *line)
{
    (void)ctx;
    (void)level;
    fprintf(stderr, "wick: %s\n", line);
}

void wick_term_init(const wick_args *a)
{
    memset(&term, 0, sizeof term);
    term.quiet = a->quiet;
    term.verbose = a->verbose;
    term.err_tty = isatty(STDERR_FILENO);
    term.out_tty = isatty(STDOUT_FILENO);
    catch_interrupt(SA_RESTART);
    if (!a->quiet) wick_log_set(log_line, NULL, a->trace ? WICK_LOG_DEBUG : a->verbose ? WICK_LOG_INFO : WICK_LOG_WARN);
}

static void bar_clear(void)
{
    if (!term.bar_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    term.bar_shown = false;
}

void wick_term_done(void)
{
    bar_clear();
    wick_log_set(NULL, NULL, WICK_LOG_ERROR);
}

static void err_line(const char *fmt, va_list ap)
{
    char raw[1024], line[2048];
    vsnprintf(raw, sizeof raw, fmt, ap);
    wick_escape_line(line, sizeof line, raw, strlen(raw));
    bar_clear();
    fflush(stdout);
    fprintf(stderr, "%s\n", line);
}

void wick_notice(const char *fmt, ...)
{
    va_list ap;
    if (term.quiet) return;
    va_start(ap, fmt);
    err_line(fmt, ap);
    va_end(ap);
}

void wick_verbose(const char *fmt, ...)
{
    va_list ap;
    if (!term.verbose) return;
    va_start(ap, fmt);
    err_line(fmt, ap);
    va_end(ap);
}

/* Redrawn at most 20 times a second; work of under 200 ms never shows one. */
static void draw_bar(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    static double first_ms;
    char bar[33];
    (void)ctx;
    double now = wick_time_ms();
    if (done == 0 || first_ms == 0) first_ms = now;
    if (done >= total) {
        bar_clear();
        first_ms = 0;
        return;
    }
    if (now - first_ms < 200 || now - term.bar_ms < 50) return;
    term.bar_ms = now;
    unsigned full = (unsigned)(done * 32 / total);
    for (unsigned i = 0; i < 32; i++) bar[i] = i < full ? '#' : '.';
    bar[32] = '\0';
    fprintf(stderr, "\r%-20.20s [%s] %3u %%", what, bar, (unsigned)(done * 100 / total));
    fflush(stderr);
    term.bar_shown = true;
}

wick_progress wick_term_progress(void)
{
    wick_progress p = {term.err_tty && !term.quiet ? draw_bar : NULL, NULL};
    return p;
}

void wick_term_text(const char *p, size_t n)
{
    bar_clear();
    if (!term.out_tty) {
        fwrite(p, 1, n, stdout);
    } else {
        for (size_t i = 0, len; i < n; i += len) {
            char shown[32];
            uint32_t cp;
            len = wick_utf8_next(p + i, n - i, &cp);
            bool joiner = cp >= 0x200B && cp <= 0x200F; /* part of emoji and of Arabic text */
            if (cp == '\n' || cp == '\t' || joiner)
                fwrite(p + i, 1, len, stdout);
            else
                fwrite(shown, 1, wick_escape_line(shown, sizeof shown, p + i, len), stdout);
        }
    }
    fflush(stdout);
}

bool wick_interrupted(void)
{
    return interrupts != 0;
}

void wick_interrupt_clear(void)
{
    interrupts = 0;
}

bool wick_stdin_is_tty(void)
{
    return isatty(STDIN_FILENO);
}

static int exit_code;

void wick_exit_with(int code)
{
    exit_code = code;
}

int wick_exit_code(void)
{
    return exit_code;
}
