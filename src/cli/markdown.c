/* cli/markdown.c - see markdown.h. */
#include "cli/markdown.h"
#include <stdio.h>
#include <string.h>
#include "cli/term.h"

static struct {
    bool on, bold, code, fence, heading, line_start;
    char held[8]; /* a run of '*', '`', '#', or a bullet, that may go on */
    size_t n_held;
} md;

static void style(const char *sequence)
{
    fputs(sequence, stdout);
}

static void restyle(void)
{
    style("\033[0m");
    if (md.bold || md.heading) style("\033[1m");
    if (md.code || md.fence) style("\033[36m");
}

void wick_markdown_init(bool on)
{
    memset(&md, 0, sizeof md);
    md.on = on;
    md.line_start = true;
}

static void put(const char *p, size_t n)
{
    if (n) wick_term_text(p, n);
}

/* A run of one marker has ended before `next` ('\0': the end of the text). */
static void decide(char next)
{
    const char c = md.held[0];
    const size_t n = md.n_held;
    md.n_held = 0;
    if (n == 0) return;
    const bool blank = next == ' ' || next == '\n' || next == '\0';
    if (c == '`' && n >= 3 && md.line_start) {
        md.fence = !md.fence;
        restyle();
        put(md.held, n);
    } else if (md.fence || (md.code && c != '`')) {
        put(md.held, n);
    } else if (c == '`' && n < 3) {
        md.code = !md.code;
        restyle();
    } else if (c == '*' && n == 2 && (md.bold || !blank)) {
        md.bold = !md.bold;
        restyle();
    } else if (c == '#' && md.line_start && next == ' ') {
        md.heading = true;
        restyle();
        put(md.held, n);
    } else if ((c == '*' || c == '-') && n == 1 && md.line_start && next == ' ') {
        put("\xE2\x80\xA2", 3); /* a bullet */
    } else {
        put(md.held, n);
    }
    md.line_start = false;
}

static bool is_marker(char c)
{
    return c == '*' || c == '`' || (md.line_start && (c == '#' || c == '-'));
}

void wick_markdown_text(const char *p, size_t n)
{
    if (!md.on) {
        wick_term_text(p, n);
        return;
    }
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const char c = p[i];
        if (md.n_held && (c != md.held[0] || md.n_held == sizeof md.held)) {
            decide(c);
            from = i;
        }
        if (is_marker(c) && md.n_held < sizeof md.held) {
            put(p + from, i - from);
            md.held[md.n_held++] = c;
            from = i + 1;
        } else if (c == '\n') {
            put(p + from, i - from);
            from = i + 1;
            if (md.heading) {
                md.heading = false;
                restyle();
            }
            put("\n", 1);
            md.line_start = true;
        } else if (c != ' ') {
            md.line_start = false;
        }
    }
    put(p + from, n - from);
}

void wick_markdown_end(void)
{
    if (!md.on) return;
    decide('\0');
    if (md.bold || md.code || md.fence || md.heading) style("\033[0m");
    md.bold = md.code = md.fence = md.heading = false;
    md.line_start = true;
    fflush(stdout);
}
