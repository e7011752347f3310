/* server/sse.c - JSON text and server-sent events, written straight into a buffer: once per token, so no tree of
 * values. */
#include <math.h>
#include <stdio.h>
#include "base/str.h"
#include "server/server_int.h"

void wick_json_write_str(wick_buf *b, const char *p, size_t n)
{
    wick_buf_putc(b, '"');
    size_t from = 0, i = 0;
    while (i < n) {
        unsigned char c = (unsigned char)p[i];
        uint32_t cp = c;
        unsigned len = 1;
        if (c >= 0x80) len = wick_utf8_next(p + i, n - i, &cp);
        if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f && cp != 0xFFFFFFFF) {
            i += len;
            continue;
        }
        wick_buf_add(b, p + from, i - from);
        if (cp == 0xFFFFFFFF)
            wick_buf_puts(b, "\xef\xbf\xbd");
        else if (c == '"' || c == '\\')
            wick_buf_printf(b, "\\%c", c);
        else if (c == '\n')
            wick_buf_puts(b, "\\n");
        else
            wick_buf_printf(b, "\\u%04x", c);
        i += len;
        from = i;
    }
    wick_buf_add(b, p + from, n - from);
    wick_buf_putc(b, '"');
}

void wick_json_write_float(wick_buf *b, double v)
{
    char text[40];
    if (!isfinite(v)) {
        wick_buf_puts(b, "null");
        return;
    }
    snprintf(text, sizeof text, "%.9g", v);
    for (char *c = text; *c; c++)
        if (*c == ',') *c = '.'; /* the locale's */
    wick_buf_puts(b, text);
}

void wick_sse_begin(wick_buf *b)
{
    wick_buf_puts(b, "data: ");
}

void wick_sse_end(wick_buf *b)
{
    wick_buf_puts(b, "\n\n");
}
