/* base/str.c - UTF-8, numbers and small string helpers. */
#include "base/str.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

bool wick_starts_with(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool wick_ends_with(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

/* Length that a lead byte announces, and the range of the second byte (Unicode table 3-7); 0 for no lead byte. */
static unsigned utf8_lead(unsigned char c, unsigned char *lo, unsigned char *hi)
{
    *lo = 0x80;
    *hi = 0xBF;
    if (c < 0x80) return 1;
    if (c < 0xC2) return 0;
    if (c < 0xE0) return 2;
    if (c < 0xF0) {
        if (c == 0xE0) *lo = 0xA0;
        if (c == 0xED) *hi = 0x9F;
        return 3;
    }
    if (c < 0xF5) {
        if (c == 0xF0) *lo = 0x90;
        if (c == 0xF4) *hi = 0x8F;
        return 4;
    }
    return 0;
}

unsigned wick_utf8_next_wide(const char *s, size_t n, uint32_t *cp)
{
    const unsigned char *u = (const unsigned char *)s;
    unsigned char lo, hi;
    unsigned len = utf8_lead(u[0], &lo, &hi);
    if (len == 1) {
        *cp = u[0];
        return 1;
    }
    *cp = 0xFFFFFFFF;
    if (len == 0 || len > n || u[1] < lo || u[1] > hi) return 1;
    uint32_t v = u[0] & (0x7Fu >> len);
    for (unsigned i = 1; i < len; i++) {
        if ((u[i] & 0xC0) != 0x80) return 1;
        v = v << 6 | (u[i] & 0x3Fu);
    }
    *cp = v;
    return len;
}

size_t wick_utf8_complete(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = u[n - back], lo, hi;
        if ((c & 0xC0) == 0x80) continue;
        unsigned len = utf8_lead(c, &lo, &hi);
        if (len <= back) return n;
        if (back >= 2 && (u[n - back + 1] < lo || u[n - back + 1] > hi)) return n;
        return n - back;
    }
    return n;
}

bool wick_utf8_valid(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        uint64_t w;
        while (n - i >= 8 && (memcpy(&w, s + i, 8), !(w & 0x8080808080808080u))) i += 8;
        if (i == n) break;
        i += wick_utf8_next(s + i, n - i, &cp);
        if (cp == 0xFFFFFFFF) return false;
    }
    return true;
}

unsigned wick_utf8_encode(uint32_t cp, char out[4])
{
    unsigned char *o = (unsigned char *)out;
    if (cp < 0x80) {
        o[0] = (unsigned char)cp;
        return 1;
    }
    if (cp < 0x800) {
        o[0] = (unsigned char)(0xC0 | cp >> 6);
        o[1] = (unsigned char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp > 0x10FFFF || (cp >= 0xD800 && cp < 0xE000)) return 0;
    if (cp < 0x10000) {
        o[0] = (unsigned char)(0xE0 | cp >> 12);
        o[1] = (unsigned char)(0x80 | (cp >> 6 & 0x3F));
        o[2] = (unsigned char)(0x80 | (cp & 0x3F));
        return 3;
    }
    o[0] = (unsigned char)(0xF0 | cp >> 18);
    o[1] = (unsigned char)(0x80 | (cp >> 12 & 0x3F));
    o[2] = (unsigned char)(0x80 | (cp >> 6 & 0x3F));
    o[3] = (unsigned char)(0x80 | (cp & 0x3F));
    return 4;
}

bool wick_parse_u64(const char *s, uint64_t *out)
{
    uint64_t v = 0;
    if (!*s) return false;
    for (; *s; s++) {
        if (*s < '0' || *s > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, (uint64_t)(*s - '0'), &v)) return false;
    }
    *out = v;
    return true;
}

bool wick_parse_i64(const char *s, int64_t *out)
{
    uint64_t v;
    bool neg = *s == '-';
    if (!wick_parse_u64(s + neg, &v)) return false;
    if (v > (uint64_t)INT64_MAX + neg) return false;
    *out = neg ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* strtod reads the locale's decimal point; the program sets LC_CTYPE at most, so the point is a dot. */
bool wick_parse_f64(const char *s, double *out)
{
    char *end;
    if (!*s || isspace((unsigned char)*s)) return false;
    for (const char *p = s; *p; p++)
        if (!strchr("0123456789+-.eE", *p)) return false;
    errno = 0;
    double v = strtod(s, &end);
    if (*end || !isfinite(v)) return false;
    *out = v;
    return true;
}

bool wick_parse_bytes(const char *s, uint64_t *out)
{
    char digits[32];
    size_t n = strspn(s, "0123456789");
    uint64_t v;
    if (n == 0 || n >= sizeof digits) return false;
    memcpy(digits, s, n);
    digits[n] = '\0';
    if (!wick_parse_u64(digits, &v)) return false;
    unsigned shift = 0;
    const char *unit = s + n;
    switch (*unit) {
    case '\0': *out = v; return true;
    case 'k':
    case 'K': shift = 10; break;
    case 'm':
    case 'M': shift = 20; break;
    case 'g':
    case 'G': shift = 30; break;
    case 't':
    case 'T': shift = 40; break;
    default: return false;
    }
    unit++;
    if (*unit == 'i') unit++;
    if (*unit == 'B' || *unit == 'b') unit++;
    return !*unit && !__builtin_mul_overflow(v, (uint64_t)1 << shift, out);
}

char *wick_format_bytes(char *dst, size_t cap, uint64_t n)
{
    static const char *const unit[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (n < 1024) {
        snprintf(dst, cap, "%llu B", (unsigned long long)n);
        return dst;
    }
    double v = (double)n / 1024;
    unsigned u = 0;
    while (v >= 1024 && u < 5) {
        v /= 1024;
        u++;
    }
    snprintf(dst, cap, v < 100 ? "%.1f %s" : "%.0f %s", v, unit[u]);
    return dst;
}

size_t wick_edit_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b), row[65];
    if (n > 64 || m > 64) return SIZE_MAX;
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diag = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t subst = diag + (a[i - 1] != b[j - 1]);
            size_t gap = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            diag = row[j];
            row[j] = subst < gap ? subst : gap;
        }
    }
    return row[m];
}
