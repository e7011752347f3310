/* base/status.h - filling a wick_error, and the two macros that every fallible function uses.
 *
 *   if (n > left) return WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: tensor %s ends past the file", path, name);
 *   WICK_TRY(wick_file_open(&f, path, err));
 *
 * A message names the thing, the place and the remedy, on one line: control bytes that come from files are
 * escaped here (\x1b), so no caller has to. Every function takes err == NULL.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include "wick/error.h"

#if defined(__GNUC__)
#define WICK_PRINTF(a, b) __attribute__((format(printf, a, b)))
#define WICK_MUST_CHECK __attribute__((warn_unused_result))
#else
#define WICK_PRINTF(a, b)
#define WICK_MUST_CHECK
#endif

typedef wick_error wick_err; /* the name used inside */

/* Sets kind, subject (may be NULL) and message; clears the other details. Returns `kind`. */
wick_status wick_err_set(wick_err *err, wick_status kind, const char *subject, const char *fmt, ...) WICK_PRINTF(4, 5);
wick_status wick_err_vset(wick_err *err, wick_status kind, const char *subject, const char *fmt, va_list ap);

/* "<file>: expected <expected>, got <got>[: remedy]" */
wick_status wick_err_format(wick_err *err, const char *file, const char *expected, const char *got, const char *remedy);
/* "<what> needs N bytes, M are available" (need may be 0 when unknown) */
wick_status wick_err_oom(wick_err *err, const char *what, uint64_t need, uint64_t have);
/* "<path>: <doing>: <strerror(errno_value)>" */
wick_status wick_err_io(wick_err *err, const char *path, const char *doing, int errno_value);
/* Puts "<prefix>: " before the message that is there. */
void wick_err_prefix(wick_err *err, const char *fmt, ...) WICK_PRINTF(2, 3);

/* Copies src into dst (cap bytes, always terminated); control and invalid UTF-8 bytes become \xNN, and a cut
 * never splits a character. Returns the length written. */
size_t wick_escape_line(char *dst, size_t cap, const char *src, size_t n);

#if defined(__clang_analyzer__)
/* The analyzer looks at one file at a time: it must see that a failure is never WICK_OK. */
#define WICK_FAIL(err, kind, subject, ...) ((void)wick_err_set((err), (kind), (subject), __VA_ARGS__), (kind))
#define wick_err_oom(err, what, need, have) ((void)(wick_err_oom)((err), (what), (need), (have)), WICK_E_OUT_OF_MEMORY)
#define wick_err_io(err, path, doing, e) ((void)(wick_err_io)((err), (path), (doing), (e)), WICK_E_IO)
#define wick_err_format(err, file, expected, got, remedy) \
    ((void)(wick_err_format)((err), (file), (expected), (got), (remedy)), WICK_E_UNSUPPORTED_FORMAT)
#else
#define WICK_FAIL(err, kind, subject, ...) wick_err_set((err), (kind), (subject), __VA_ARGS__)
#endif
#define WICK_TRY(call)                              \
    do {                                            \
        wick_status wick_try_ = (call);             \
        if (wick_try_ != WICK_OK) return wick_try_; \
    } while (0)
/* Same, for functions with one cleanup path: sets the local `st` and jumps to `done`. */
#define WICK_TRY_GOTO(call)           \
    do {                              \
        st = (call);                  \
        if (st != WICK_OK) goto done; \
    } while (0)
