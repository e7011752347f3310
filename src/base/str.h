/* base/str.h - string slices and small helpers on text. Slices borrow; they are not NUL-terminated. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct wick_str {
    const char *p;
    size_t n;
} wick_str;

static inline wick_str wick_str_of(const char *s)
{
    wick_str r = {s, s ? strlen(s) : 0};
    return r;
}
static inline bool wick_str_eq(wick_str a, wick_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}
bool wick_starts_with(const char *s, const char *prefix);
bool wick_ends_with(const char *s, const char *suffix);

/* Decodes one character of s[0..n) (n > 0). Returns its length in bytes, 1 to 4, and the scalar value; for an
 * invalid or cut sequence returns 1 and *cp = 0xFFFFFFFF. Overlong forms and surrogates are invalid. */
unsigned wick_utf8_next_wide(const char *s, size_t n, uint32_t *cp);
static inline unsigned wick_utf8_next(const char *s, size_t n, uint32_t *cp)
{
    if ((unsigned char)*s >= 0x80) return wick_utf8_next_wide(s, n, cp);
    *cp = (unsigned char)*s;
    return 1;
}
/* Length of the longest prefix of s that does not end inside a character which more bytes could complete. */
size_t wick_utf8_complete(const char *s, size_t n);
bool wick_utf8_valid(const char *s, size_t n);
unsigned wick_utf8_encode(uint32_t cp, char out[4]); /* 0 for what is no scalar value */

/* Whole string to number; false on junk, overflow or an empty string. */
bool wick_parse_u64(const char *s, uint64_t *out);
bool wick_parse_i64(const char *s, int64_t *out);
bool wick_parse_f64(const char *s, double *out); /* locale-independent; refuses nan and inf */
/* "8G", "512M", "4096" -> bytes */
bool wick_parse_bytes(const char *s, uint64_t *out);
/* 1536 -> "1.5 KiB"; returns dst */
char *wick_format_bytes(char *dst, size_t cap, uint64_t n);
/* Smallest edit distance, for "did you mean"; strings longer than 64 bytes count as far (SIZE_MAX). */
size_t wick_edit_distance(const char *a, const char *b);
