/* base/log.h - one sink for messages that are not errors. Silent until somebody sets a sink.
 * Any thread may log, and may set another sink; the old one may
 * still get a line that is on its way. */
#pragma once
#include "base/status.h"

typedef enum wick_log_level { WICK_LOG_ERROR, WICK_LOG_WARN, WICK_LOG_INFO, WICK_LOG_DEBUG } wick_log_level;
typedef void (*wick_log_fn)(void *ctx, wick_log_level level, const char *line);

void wick_log_set(wick_log_fn fn, void *ctx, wick_log_level max_level);
bool wick_log_on(wick_log_level level);
void wick_log(wick_log_level level, const char *fmt, ...) WICK_PRINTF(2, 3);
