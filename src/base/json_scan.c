/* base/json_scan.c - see json_scan.h. */
#include "base/json_scan.h"
#include <math.h>

enum { MAX_EXPONENT = 100000 };

void wick_json_scan_init(wick_json_scan *s, const char *p, uint64_t n, wick_arena *arena)
{
    *s = (wick_json_scan){.p = p, .n = n, .arena = arena};
}

bool wick_json_scan_fail(wick_json_scan *s, const char *what)
{
    if (!s->what) s->what = what;
    return false;
}

static int peek(wick_json_scan *s)
{
    const char *p = s->p; /* locals: nothing in the loop can be an alias of them */
    const uint64_t n = s->n;
    uint64_t at = s->pos;
    while (at < n && (p[at] == ' ' || p[at] == '\n' || p[at] == '\r' || p[at] == '\t')) at++;
    s->pos = at;
    return at < n ? (unsigned char)p[at] : -1;
}

char wick_json_scan_peek(wick_json_scan *s)
{
    int c = peek(s);
    return c < 0 ? 0 : (char)c;
}

bool wick_json_scan_try(wick_json_scan *s, char c)
{
    if (s->what || peek(s) != (unsigned char)c) return false;
    s->pos++;
    return true;
}

bool wick_json_scan_expect(wick_json_scan *s, char c)
{
    if (wick_json_scan_try(s, c)) return true;
    switch (c) {
    case '{': return wick_json_scan_fail(s, "an object expected");
    case '}': return wick_json_scan_fail(s, "',' or '}' expected");
    case '[': return wick_json_scan_fail(s, "an array expected");
    case ']': return wick_json_scan_fail(s, "',' or ']' expected");
    case ':': return wick_json_scan_fail(s, "':' expected");
    default: return wick_json_scan_fail(s, "another character expected");
    }
}

bool wick_json_scan_end(wick_json_scan *s)
{
    return !s->what && (peek(s) < 0 || wick_json_scan_fail(s, "text after the end of the object"));
}

static bool hex4(const wick_json_scan *s, uint64_t at, uint32_t *out)
{
    if (at + 4 > s->n) return false;
    uint32_t v = 0;
    for (uint64_t i = at; i < at + 4; i++) {
        char c = s->p[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16u;
        if (d > 15) return false;
        v = v << 4 | d;
    }
    *out = v;
    return true;
}

/* What a one-letter escape stands for; 0: it is none. */
static char simple_escape(char c)
{
    switch (c) {
    case '"':
    case '\\':
    case '/': return c;
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return 0;
    }
}

/* Decodes the escape at s->pos (after the backslash) to dst; returns the bytes written, 0 if it is no escape. */
static unsigned escape(wick_json_scan *s, char *dst)
{
    if (s->pos >= s->n) return 0;
    const char c = s->p[s->pos];
    *dst = simple_escape(c);
    if (*dst) {
        s->pos++;
        return 1;
    }
    uint32_t cp, low;
    if (c != 'u' || !hex4(s, s->pos + 1, &cp)) return 0;
    s->pos += 5;
    if (cp >= 0xD800 && cp < 0xDC00) {
        if (s->n - s->pos < 6 || s->p[s->pos] != '\\' || s->p[s->pos + 1] != 'u' || !hex4(s, s->pos + 2, &low))
            return 0;
        if (low < 0xDC00 || low > 0xDFFF) return 0;
        s->pos += 6;
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    return wick_utf8_encode(cp, dst);
}

/* Finds the end of the string at s->pos (behind its quote) and checks all of it but the escapes. */
static bool find_end(wick_json_scan *s, uint64_t *end, bool *escapes)
{
    const unsigned char *p = (const unsigned char *)s->p;
    const uint64_t n = s->n;
    uint64_t at = s->pos;
    unsigned all = 0;
    bool backslash = false;
    for (; at < n && p[at] != '"'; at++) {
        if (p[at] < 0x20) {
            s->pos = at;
            return wick_json_scan_fail(s, "a control character in a string");
        }
        all |= p[at];
        if (p[at] == '\\') {
            backslash = true;
            at++;
        }
    }
    if (at >= n) return wick_json_scan_fail(s, "a string without end");
    *end = at;
    *escapes = backslash;
    return (all < 0x80 && !backslash) || wick_utf8_valid(s->p + s->pos, (size_t)(at - s->pos)) ||
           wick_json_scan_fail(s, "a string that is not UTF-8");
}

/* Decodes up to `end` into dst; NULL: the escapes are checked only. Returns the bytes written. */
static size_t decode(wick_json_scan *s, uint64_t end, char *dst)
{
    size_t n = 0;
    while (s->pos < end) {
        const char *from = s->p + s->pos, *stop = memchr(from, '\\', (size_t)(end - s->pos));
        const size_t plain = stop ? (size_t)(stop - from) : (size_t)(end - s->pos);
        char utf8[4];
        if (dst && plain) memcpy(dst + n, from, plain);
        n += plain;
        s->pos += plain + (stop != NULL);
        if (!stop) break;
        const unsigned k = escape(s, utf8);
        if (!k) {
            wick_json_scan_fail(s, "a bad escape in a string");
            return 0;
        }
        if (dst) memcpy(dst + n, utf8, k);
        n += k;
    }
    return n;
}

bool wick_json_scan_string(wick_json_scan *s, wick_str *out)
{
    uint64_t end;
    bool escapes;
    if (s->what || peek(s) != '"') return wick_json_scan_fail(s, "a string expected");
    const char *from = s->p + ++s->pos;
    if (!find_end(s, &end, &escapes)) return false;
    *out = (wick_str){from, (size_t)(s->p + end - from)};
    if (escapes) {
        char *dst = wick_arena_alloc(s->arena, out->n); /* an escape is never shorter than what it stands for */
        if (!dst) return wick_json_scan_fail(s, "out of memory");
        *out = (wick_str){dst, decode(s, end, dst)};
        if (s->what) return false;
    }
    s->pos = end + 1;
    return true;
}

wick_str wick_json_scan_text(wick_json_scan *s, char *dst)
{
    const wick_str none = {NULL, 0};
    uint64_t end;
    bool escapes;
    size_t n;
    if (s->what || peek(s) != '"') {
        wick_json_scan_fail(s, "a string expected");
        return none;
    }
    s->pos++;
    if (!find_end(s, &end, &escapes)) return none;
    if (escapes) {
        n = decode(s, end, dst);
        if (s->what) return none;
    } else {
        n = (size_t)(end - s->pos);
        memcpy(dst, s->p + s->pos, n);
    }
    s->pos = end + 1;
    return (wick_str){dst, n};
}

static bool skip_string(wick_json_scan *s)
{
    uint64_t end = s->pos;
    bool escapes = false;
    s->pos++;
    if (!find_end(s, &end, &escapes)) return false;
    if (escapes) decode(s, end, NULL);
    if (!s->what) s->pos = end + 1;
    return !s->what;
}

bool wick_json_scan_u64(wick_json_scan *s, uint64_t *out)
{
    if (s->what) return false;
    peek(s);
    uint64_t v = 0, start = s->pos;
    while (s->pos < s->n && s->p[s->pos] >= '0' && s->p[s->pos] <= '9') {
        uint64_t digit = (uint64_t)(s->p[s->pos] - '0');
        if (!wick_mul_ok(v, 10, &v) || !wick_add_ok(v, digit, &v)) return wick_json_scan_fail(s, "a number above 2^64");
        s->pos++;
    }
    char next = s->pos < s->n ? s->p[s->pos] : ' ';
    if (s->pos == start || next == '.' || next == 'e' || next == 'E' || (s->p[start] == '0' && s->pos - start > 1))
        return wick_json_scan_fail(s, "a non-negative integer expected");
    *out = v;
    return true;
}

static bool digits(wick_json_scan *s)
{
    uint64_t start = s->pos;
    while (s->pos < s->n && s->p[s->pos] >= '0' && s->p[s->pos] <= '9') s->pos++;
    return s->pos > start;
}

static bool one_of(wick_json_scan *s, char a, char b)
{
    if (s->pos >= s->n || (s->p[s->pos] != a && s->p[s->pos] != b)) return false;
    s->pos++;
    return true;
}

static bool skip_number(wick_json_scan *s)
{
    one_of(s, '-', '-');
    bool zero = s->pos < s->n && s->p[s->pos] == '0';
    uint64_t start = s->pos;
    bool ok = digits(s) && !(zero && s->pos - start > 1);
    if (ok && one_of(s, '.', '.')) ok = digits(s);
    if (ok && one_of(s, 'e', 'E')) {
        one_of(s, '+', '-');
        ok = digits(s);
    }
    return ok || wick_json_scan_fail(s, "a value expected");
}

static bool skip_word(wick_json_scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n - s->pos < n || memcmp(s->p + s->pos, word, n) != 0) return wick_json_scan_fail(s, "a value expected");
    s->pos += n;
    return true;
}

static bool skip_value(wick_json_scan *s, unsigned depth)
{
    if (depth > WICK_JSON_SCAN_MAX_DEPTH) return wick_json_scan_fail(s, "values nested too deep");
    switch (peek(s)) {
    case '"': return skip_string(s);
    case 't': return skip_word(s, "true");
    case 'f': return skip_word(s, "false");
    case 'n': return skip_word(s, "null");
    case '[':
        s->pos++;
        if (wick_json_scan_try(s, ']')) return true;
        do {
            if (!skip_value(s, depth + 1)) return false;
        } while (wick_json_scan_try(s, ','));
        return wick_json_scan_expect(s, ']');
    case '{':
        s->pos++;
        if (wick_json_scan_try(s, '}')) return true;
        do {
            if (peek(s) != '"') return wick_json_scan_fail(s, "a string expected");
            if (!skip_string(s) || !wick_json_scan_expect(s, ':') || !skip_value(s, depth + 1)) return false;
        } while (wick_json_scan_try(s, ','));
        return wick_json_scan_expect(s, '}');
    default: return skip_number(s);
    }
}

bool wick_json_scan_null(wick_json_scan *s)
{
    return !s->what && peek(s) == 'n' && skip_word(s, "null");
}

bool wick_json_scan_skip(wick_json_scan *s)
{
    return !s->what && skip_value(s, 0);
}

/* Digits with an optional fraction, as serde_json reads them: what the scores of a Unigram model are to `tokenizers`.
 * The digits make one integer (those that no longer fit 64 bits are dropped), which is divided by a power of ten: not
 * always the nearest double, and near ties between two ways to cut a word depend on it. */
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

double wick_json_scan_number(wick_json_scan *s)
{
    const char *p, *const end = s->p + s->n;
    bool ok = true;
    uint64_t digits = 0;
    int exponent = 0, written = 0;
    bool negative = !s->what && wick_json_scan_try(s, '-'), point = false, full = false;
    p = s->p + s->pos;
    for (; p < end && ((*p >= '0' && *p <= '9') || (*p == '.' && !point)); p++) {
        if (*p == '.') {
            point = true;
            if (!written) ok = false;
            written = 0;
            continue;
        }
        unsigned d = (unsigned)(*p - '0');
        written++;
        full |= digits > (UINT64_MAX - d) / 10;
        if (!full) digits = digits * 10 + d;
        if (full && !point && exponent < MAX_EXPONENT) exponent++;
        if (!full && point) exponent--;
    }
    if (!written) ok = false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        int e = 0;
        p++;
        bool down = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (p == end || *p < '0' || *p > '9') ok = false;
        for (; p < end && *p >= '0' && *p <= '9'; p++)
            if (e < MAX_EXPONENT) e = e * 10 + (*p - '0');
        exponent += down ? -e : e;
    }
    double v = exponent == 0 ? (double)digits : from_parts(digits, exponent);
    if (!ok || isinf(v)) wick_json_scan_fail(s, "a number expected");
    s->pos = (uint64_t)(p - s->p);
    return negative ? -v : v;
}
