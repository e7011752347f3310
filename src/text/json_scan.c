/* text/json_scan.c - see json_scan.h. Nesting is counted, not recursed into. */
#include "text/json_scan.h"
#include <math.h>
#include "base/str.h"

enum { MAX_EXPONENT = 100000 };

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

/* Digits with an optional fraction, as serde_json reads them: what the scores of a Unigram model are to `tokenizers`. The
 * digits make one integer (those that no longer fit 64 bits are dropped), which is divided by a power of ten: not always
 * the nearest double, and near ties between two ways to cut a word depend on it. */
static double from_parts(uint64_t digits, int exponent)
{
#define TEN(p) 1e##p##0, 1e##p##1, 1e##p##2, 1e##p##3, 1e##p##4, 1e##p##5, 1e##p##6, 1e##p##7, 1e##p##8, 1e##p##9
    static const double power[] = {
        1e0,     1e1,     1e2,     1e3,     1e4,     1e5,     1e6,     1e7,     1e8,     1e9,     TEN(1),  TEN(2),
        TEN(3),  TEN(4),  TEN(5),  TEN(6),  TEN(7),  TEN(8),  TEN(9),  TEN(10), TEN(11), TEN(12), TEN(13), TEN(14),
        TEN(15), TEN(16), TEN(17), TEN(18), TEN(19), TEN(20), TEN(21), TEN(22), TEN(23), TEN(24), TEN(25), TEN(26),
        TEN(27), TEN(28), TEN(29), 1e300,   1e301,   1e302,   1e303,   1e304,   1e305,   1e306,   1e307,   1e308};
#undef TEN
    double v = (double)digits;
    for (; exponent < -308 && v != 0; exponent += 308) v /= 1e308;
    if (v == 0) return 0;
    if (exponent > 308) return INFINITY;
    return exponent < 0 ? v / power[-exponent] : v * power[exponent];
}

double wick_json_number(wick_json_scan *s)
{
    uint64_t digits = 0;
    int exponent = 0, written = 0;
    bool negative = wick_json_take(s, '-'), point = false, full = false;
    for (; s->p < s->end && ((*s->p >= '0' && *s->p <= '9') || (*s->p == '.' && !point)); s->p++) {
        if (*s->p == '.') {
            point = true;
            if (!written) s->failed = true;
            written = 0;
            continue;
        }
        unsigned d = (unsigned)(*s->p - '0');
        written++;
        full |= digits > (UINT64_MAX - d) / 10;
        if (!full) digits = digits * 10 + d;
        if (full && !point && exponent < MAX_EXPONENT) exponent++;
        if (!full && point) exponent--;
    }
    if (!written) s->failed = true;
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        int e = 0;
        s->p++;
        bool down = s->p < s->end && *s->p == '-';
        if (s->p < s->end && (*s->p == '-' || *s->p == '+')) s->p++;
        if (s->p == s->end || *s->p < '0' || *s->p > '9') s->failed = true;
        for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++)
            if (e < MAX_EXPONENT) e = e * 10 + (*s->p - '0');
        exponent += down ? -e : e;
    }
    double v = exponent == 0 ? (double)digits : from_parts(digits, exponent);
    if (isinf(v)) s->failed = true;
    return negative ? -v : v;
}
