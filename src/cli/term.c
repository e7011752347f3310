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

/* While text is printed a call that Ctrl-C meets goes on, or stdio would drop what it was writing; a wait for input
 * returns. */
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

/* "0:07", "12:30", "3 h 05" */
static void format_time(char *dst, size_t cap, double seconds)
{
    const unsigned long s = seconds < 1e6 ? (unsigned long)(seconds + 0.5) : 1000000;
    if (s < 3600)
        snprintf(dst, cap, "%lu:%02lu", s / 60, s % 60);
    else
        snprintf(dst, cap, "%lu h %02lu", s / 3600, s / 60 % 60);
}

/* Redrawn at most 20 times a second; work of under 200 ms never shows one. The rate is that since the bar began. */
static void draw(const char *what, uint64_t done, uint64_t total, uint64_t had, bool bytes)
{
    static double first_ms;
    static uint64_t first_done;
    char bar[25], name[24], left[16] = "", rate[32] = "", of[64] = "";
    const double now = wick_time_ms();
    if (done <= had || first_ms == 0) {
        first_ms = now;
        first_done = done;
    }
    if (done >= total) {
        bar_clear();
        first_ms = 0;
        return;
    }
    const double seconds = (now - first_ms) / 1000;
    if (seconds < 0.2 || now - term.bar_ms < 50) return;
    term.bar_ms = now;
    const unsigned full = (unsigned)((double)done / (double)total * 24);
    for (unsigned i = 0; i < 24; i++) bar[i] = i < full ? '#' : '.';
    bar[24] = '\0';
    const double per_s = (double)(done - first_done) / seconds;
    if (per_s > 0 && seconds >= 0.5) format_time(left, sizeof left, (double)(total - done) / per_s);
    if (bytes) {
        char a[24], b[24];
        wick_format_bytes(b, sizeof b, total);
        snprintf(of, sizeof of, " of %s", b);
        snprintf(rate, sizeof rate, "%s/s ", wick_format_bytes(a, sizeof a, (uint64_t)per_s));
    }
    wick_escape_line(name, sizeof name, what, strlen(what));
    fprintf(stderr, "\r\033[K%-18.18s [%s] %3u %%%s %s%s%s", name, bar, (unsigned)((double)done / (double)total * 100),
            of, rate, left, *left ? " left" : "");
    fflush(stderr);
    term.bar_shown = true;
}

static void draw_bar(void *ctx, const char *what, uint64_t done, uint64_t total)
{
    (void)ctx;
    draw(what, done, total, 0, false);
}

void wick_term_bytes(const char *what, uint64_t done, uint64_t total, uint64_t had)
{
    if (term.err_tty && !term.quiet) draw(what, done, total, had, true);
}

wick_progress wick_term_progress(void)
{
    wick_progress p = {.fn = term.err_tty && !term.quiet ? draw_bar : NULL};
    return p;
}

/* Control bytes but \n and \t made visible; the joiners of emoji and of Arabic text stay. */
static void put_visible(FILE *f, const char *p, size_t n)
{
    for (size_t i = 0, len; i < n; i += len) {
        char shown[32];
        uint32_t cp;
        len = wick_utf8_next(p + i, n - i, &cp);
        const bool joiner = cp >= 0x200B && cp <= 0x200F;
        if (cp == '\n' || cp == '\t' || joiner)
            fwrite(p + i, 1, len, f);
        else
            fwrite(shown, 1, wick_escape_line(shown, sizeof shown, p + i, len), f);
    }
}

void wick_term_text(const char *p, size_t n)
{
    bar_clear();
    if (term.out_tty)
        put_visible(stdout, p, n);
    else
        fwrite(p, 1, n, stdout);
    fflush(stdout);
}

void wick_term_thought(const char *p, size_t n)
{
    if (term.quiet) return;
    bar_clear();
    if (term.err_tty) fputs("\033[2m", stderr);
    if (term.err_tty)
        put_visible(stderr, p, n);
    else
        fwrite(p, 1, n, stderr);
    if (term.err_tty) fputs("\033[0m", stderr);
    fflush(stderr);
}

void wick_term_thought_end(void)
{
    if (!term.quiet) fputs("\n\n", stderr);
}

bool wick_term_styled(const wick_args *a)
{
    const bool wanted = !a->plain && !a->json && !(a->no_color && *a->no_color);
    return wanted && isatty(STDOUT_FILENO) && a->term && *a->term && strcmp(a->term, "dumb") != 0;
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
