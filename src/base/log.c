/* base/log.c - the sink. One formatted, escaped line per call. */
#include "base/log.h"
#include <stdio.h>
#include <string.h>

static wick_log_fn sink;
static void *sink_ctx;
static wick_log_level sink_level;

void wick_log_set(wick_log_fn fn, void *ctx, wick_log_level max_level)
{
    sink = fn;
    sink_ctx = ctx;
    sink_level = max_level;
}

bool wick_log_on(wick_log_level level)
{
    return sink && level <= sink_level;
}

void wick_log(wick_log_level level, const char *fmt, ...)
{
    char raw[1024], line[1280];
    if (!wick_log_on(level)) return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    wick_escape_line(line, sizeof line, raw, strlen(raw));
    sink(sink_ctx, level, line);
}
