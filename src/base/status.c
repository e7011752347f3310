/* base/status.c - error structs: filled here and nowhere else, so that every message is one printable line. */
#include "base/status.h"
#include <stdio.h>
#include <string.h>
#include "base/str.h"

const char *wick_status_name(wick_status kind)
{
    switch (kind) {
    case WICK_OK: return "ok";
    case WICK_E_INTERNAL: return "internal error";
    case WICK_E_BAD_PARAMETER: return "bad parameter";
    case WICK_E_MODEL_NOT_FOUND: return "model not found";
    case WICK_E_UNSUPPORTED_FORMAT: return "unsupported format";
    case WICK_E_BAD_FILE: return "bad file";
    case WICK_E_DEVICE_NOT_AVAILABLE: return "device not available";
    case WICK_E_TOKENIZER_MISMATCH: return "tokenizer mismatch";
    case WICK_E_OUT_OF_MEMORY: return "out of memory";
    case WICK_E_IO: return "input/output error";
    case WICK_E_CANCELLED: return "cancelled";
    case WICK_E_LIMIT: return "limit reached";
    case WICK_E_TEMPLATE: return "template error";
    case WICK_E_NUMERIC: return "numeric error";
    case WICK_E_REFUSED: return "refused";
    }
    return "unknown";
}

/* Bytes of s that can be shown as they are: one whole character that is no control character; 0 if none. */
static unsigned printable_len(const char *s, size_t n)
{
    uint32_t cp;
    unsigned len = wick_utf8_next(s, n, &cp);
    if (cp == 0xFFFFFFFF) return 0;
    if (cp < 0x20 || cp == 0x7F || (cp >= 0x80 && cp < 0xA0)) return 0;
    /* Line and paragraph separators, bidirectional controls, zero-width characters: they make text lie. */
    if ((cp >= 0x200B && cp <= 0x200F) || (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069) ||
        cp == 0xFEFF)
        return 0;
    return len;
}

size_t wick_escape_line(char *dst, size_t cap, const char *src, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t w = 0;
    if (cap == 0) return 0;
    for (size_t i = 0; i < n;) {
        unsigned len = printable_len(src + i, n - i);
        if (len) {
            if (w + len >= cap) break;
            memcpy(dst + w, src + i, len);
            w += len;
            i += len;
        } else {
            if (w + 4 >= cap) break;
            unsigned char c = (unsigned char)src[i++];
            dst[w++] = '\\';
            dst[w++] = 'x';
            dst[w++] = hex[c >> 4];
            dst[w++] = hex[c & 15];
        }
    }
    dst[w] = '\0';
    return w;
}

static void set_text(char *dst, size_t cap, const char *src)
{
    if (src)
        wick_escape_line(dst, cap, src, strlen(src));
    else
        dst[0] = '\0';
}

wick_status wick_err_vset(wick_err *err, wick_status kind, const char *subject, const char *fmt, va_list ap)
{
    if (!err) return kind;
    char raw[1024];
    vsnprintf(raw, sizeof raw, fmt, ap);
    char subj[sizeof err->subject]; /* `subject` may point into *err */
    set_text(subj, sizeof subj, subject);
    memset(err, 0, sizeof *err);
    err->kind = kind;
    set_text(err->message, sizeof err->message, raw);
    memcpy(err->subject, subj, sizeof subj);
    return kind;
}

wick_status wick_err_set(wick_err *err, wick_status kind, const char *subject, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    wick_err_vset(err, kind, subject, fmt, ap);
    va_end(ap);
    return kind;
}

wick_status(wick_err_format)(wick_err *err, const char *file, const char *expected, const char *got, const char *remedy)
{
    wick_err_set(err, WICK_E_UNSUPPORTED_FORMAT, file, "%s: expected %s, got %s%s%s", file, expected, got,
                 remedy ? ": " : "", remedy ? remedy : "");
    if (err) {
        set_text(err->expected, sizeof err->expected, expected);
        set_text(err->got, sizeof err->got, got);
    }
    return WICK_E_UNSUPPORTED_FORMAT;
}

wick_status(wick_err_oom)(wick_err *err, const char *what, uint64_t need, uint64_t have)
{
    char a[32], b[32];
    if (need)
        wick_err_set(err, WICK_E_OUT_OF_MEMORY, what, "%s: out of memory: %s needed, %s available", what,
                     wick_format_bytes(a, sizeof a, need), wick_format_bytes(b, sizeof b, have));
    else
        wick_err_set(err, WICK_E_OUT_OF_MEMORY, what, "%s: out of memory", what);
    if (err) {
        err->need = need;
        err->have = have;
    }
    return WICK_E_OUT_OF_MEMORY;
}

wick_status(wick_err_io)(wick_err *err, const char *path, const char *doing, int errno_value)
{
    char reason[96];
#if defined(__GLIBC__)
    const char *r = strerror_r(errno_value, reason, sizeof reason);
#else
    const char *r = strerror_r(errno_value, reason, sizeof reason) == 0 ? reason : "unknown error";
#endif
    wick_err_set(err, WICK_E_IO, path, "%s: %s: %s", path, doing, r);
    if (err) set_text(err->got, sizeof err->got, r);
    return WICK_E_IO;
}

void wick_err_prefix(wick_err *err, const char *fmt, ...)
{
    if (!err) return;
    char head[256], all[sizeof err->message + sizeof head + 2];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(head, sizeof head, fmt, ap);
    va_end(ap);
    snprintf(all, sizeof all, "%s: %s", head, err->message);
    set_text(err->message, sizeof err->message, all);
}
