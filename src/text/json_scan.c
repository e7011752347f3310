/* text/json_scan.c - see json_scan.h. Nesting is counted, not recursed into. */
#include "text/json_scan.h"
#include "base/str.h"

char wick_json_peek(wick_json_scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')) s->p++;
    return s->p < s->end ? *s->p : 0;
}

bool wick_json_take(wick_json_scan *s, char c)
{
    if (wick_json_peek(s) != c || s->p == s->end) return false;
    s->p++;
    return true;
}

static void skip_string(wick_json_scan *s)
{
    for (s->p++; s->p < s->end; s->p++) {
        if (*s->p == '\\') {
            if (++s->p == s->end) break;
        } else if (*s->p == '"') {
            s->p++;
            return;
        }
    }
    s->failed = true;
}

static bool ends_word(char c)
{
    switch (c) {
    case 0:
    case ' ':
    case '\n':
    case '\t':
    case '\r':
    case ',':
    case ':':
    case '{':
    case '}':
    case '[':
    case ']':
    case '"': return true;
    default: return false;
    }
}

void wick_json_skip(wick_json_scan *s)
{
    unsigned depth = 0;
    do {
        char c = wick_json_peek(s);
        if (s->p >= s->end) {
            s->failed = true;
            return;
        }
        if (c == '"') {
            skip_string(s);
        } else if (c == '{' || c == '[') {
            depth++;
            s->p++;
        } else if (c == '}' || c == ']') {
            if (!depth) {
                s->failed = true;
                return;
            }
            depth--;
            s->p++;
        } else if (c == ',' || c == ':') {
            if (!depth) {
                s->failed = true;
                return;
            }
            s->p++;
        } else {
            while (s->p < s->end && !ends_word(*s->p)) s->p++;
            if (s->p < s->end && !*s->p) s->failed = true;
        }
    } while (depth && !s->failed);
}

static int hex4(const char *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        char c = p[i];
        int h = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
        if (h < 0) return -1;
        v = v * 16 + h;
    }
    return v;
}

/* \uXXXX, or two of them for one character; s->p stands behind the "u". */
static size_t unicode_escape(wick_json_scan *s, char *dst)
{
    int hi = s->end - s->p >= 4 ? hex4(s->p) : -1, lo;
    if (hi < 0) return 0;
    s->p += 4;
    uint32_t cp = (uint32_t)hi;
    if (hi >= 0xD800 && hi < 0xDC00) {
        if (s->end - s->p < 6 || s->p[0] != '\\' || s->p[1] != 'u' || (lo = hex4(s->p + 2)) < 0xDC00 || lo > 0xDFFF)
            return 0;
        s->p += 6;
        cp = 0x10000 + ((uint32_t)(hi - 0xD800) << 10) + (uint32_t)(lo - 0xDC00);
    }
    return wick_utf8_encode(cp, dst);
}

wick_str wick_json_string(wick_json_scan *s, char *dst)
{
    wick_str none = {NULL, 0};
    size_t n = 0;
    if (!wick_json_take(s, '"')) {
        s->failed = true;
        return none;
    }
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p;
        if (c == '"') {
            s->p++;
            return (wick_str){dst, n};
        }
        if (c < 0x20) break;
        if (c == '\\') {
            if (s->end - s->p < 2) break;
            char esc = s->p[1];
            s->p += 2;
            const char *from = "\"\\/bfnrt", *at = esc ? strchr(from, esc) : NULL;
            size_t k = 1;
            if (at)
                dst[n] = "\"\\/\b\f\n\r\t"[at - from];
            else if (esc != 'u' || (k = unicode_escape(s, dst + n)) == 0)
                break;
            n += k;
        } else if (c < 0x80) {
            dst[n++] = *s->p++;
        } else {
            uint32_t cp;
            unsigned k = wick_utf8_next(s->p, (size_t)(s->end - s->p), &cp);
            if (cp == 0xFFFFFFFF) break;
            memcpy(dst + n, s->p, k);
            n += k;
            s->p += k;
        }
    }
    s->failed = true;
    return none;
}

double wick_json_number(wick_json_scan *s)
{
    char text[64];
    size_t n = 0;
    double v = 0;
    char c = wick_json_peek(s);
    if (c != '-' && !(c >= '0' && c <= '9')) {
        s->failed = true;
        return 0;
    }
    const char *p = s->p; /* whole numbers, which ids are, without a copy */
    while (p < s->end && *p >= '0' && *p <= '9' && p - s->p < 16) v = v * 10 + (*p++ - '0');
    if (p > s->p && p < s->end && p - s->p < 16 && *p != '.' && *p != 'e' && *p != 'E' && *p != '+' && *p != '-') {
        s->p = p;
        return v;
    }
    while (s->p < s->end && n < sizeof text - 1 && *s->p && strchr("+-.eE0123456789", *s->p)) text[n++] = *s->p++;
    text[n] = 0;
    if (!wick_parse_f64(text, &v)) s->failed = true;
    return v;
}
