/* format/json_scan.c - see json_scan.h. */
#include "format/json_scan.h"

void wick_scan_init(wick_scan *s, const char *p, uint64_t n, wick_arena *arena)
{
    *s = (wick_scan){.p = p, .n = n, .arena = arena};
}

bool wick_scan_fail(wick_scan *s, const char *what)
{
    if (!s->what) s->what = what;
    return false;
}

static int peek(wick_scan *s)
{
    while (s->pos < s->n) {
        char c = s->p[s->pos];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') return (unsigned char)c;
        s->pos++;
    }
    return -1;
}

bool wick_scan_try(wick_scan *s, char c)
{
    if (s->what || peek(s) != (unsigned char)c) return false;
    s->pos++;
    return true;
}

bool wick_scan_expect(wick_scan *s, char c)
{
    if (wick_scan_try(s, c)) return true;
    switch (c) {
    case '{': return wick_scan_fail(s, "an object expected");
    case '}': return wick_scan_fail(s, "',' or '}' expected");
    case '[': return wick_scan_fail(s, "an array expected");
    case ']': return wick_scan_fail(s, "',' or ']' expected");
    case ':': return wick_scan_fail(s, "':' expected");
    default: return wick_scan_fail(s, "another character expected");
    }
}

bool wick_scan_end(wick_scan *s)
{
    return !s->what && (peek(s) < 0 || wick_scan_fail(s, "text after the end of the object"));
}

static bool hex4(const wick_scan *s, uint64_t at, uint32_t *out)
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

/* Decodes the escape at s->pos (after the backslash) to dst; returns the bytes written, 0 if it is no escape. */
static unsigned escape(wick_scan *s, char *dst)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (s->pos >= s->n) return 0;
    char c = s->p[s->pos];
    const char *simple = c ? strchr(from, c) : NULL;
    if (simple) {
        s->pos++;
        *dst = to[simple - from];
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

bool wick_scan_string(wick_scan *s, wick_str *out)
{
    if (s->what || peek(s) != '"') return wick_scan_fail(s, "a string expected");
    uint64_t start = ++s->pos, end = start;
    bool escapes = false;
    while (end < s->n && s->p[end] != '"') {
        if ((unsigned char)s->p[end] < 0x20) {
            s->pos = end;
            return wick_scan_fail(s, "a control character in a string");
        }
        escapes |= s->p[end] == '\\';
        end += s->p[end] == '\\' ? 2 : 1;
    }
    if (end >= s->n) return wick_scan_fail(s, "a string without end");
    if (!wick_utf8_valid(s->p + start, (size_t)(end - start))) return wick_scan_fail(s, "a string that is not UTF-8");
    s->pos = end + 1;
    *out = (wick_str){s->p + start, (size_t)(end - start)};
    if (!escapes) return true;

    char *dst = wick_arena_alloc(s->arena, out->n); /* an escape is never shorter than what it stands for */
    if (!dst) return wick_scan_fail(s, "out of memory");
    size_t n = 0;
    s->pos = start;
    while (s->pos < end) {
        char c = s->p[s->pos++];
        if (c != '\\') {
            dst[n++] = c;
            continue;
        }
        char utf8[4];
        unsigned k = escape(s, utf8);
        if (!k) return wick_scan_fail(s, "a bad escape in a string");
        memcpy(dst + n, utf8, k);
        n += k;
    }
    s->pos = end + 1;
    *out = (wick_str){dst, n};
    return true;
}

bool wick_scan_u64(wick_scan *s, uint64_t *out)
{
    if (s->what) return false;
    peek(s);
    uint64_t v = 0, start = s->pos;
    while (s->pos < s->n && s->p[s->pos] >= '0' && s->p[s->pos] <= '9') {
        uint64_t digit = (uint64_t)(s->p[s->pos] - '0');
        if (!wick_mul_ok(v, 10, &v) || !wick_add_ok(v, digit, &v)) return wick_scan_fail(s, "a number above 2^64");
        s->pos++;
    }
    char next = s->pos < s->n ? s->p[s->pos] : ' ';
    if (s->pos == start || next == '.' || next == 'e' || next == 'E' || (s->p[start] == '0' && s->pos - start > 1))
        return wick_scan_fail(s, "a non-negative integer expected");
    *out = v;
    return true;
}

static bool digits(wick_scan *s)
{
    uint64_t start = s->pos;
    while (s->pos < s->n && s->p[s->pos] >= '0' && s->p[s->pos] <= '9') s->pos++;
    return s->pos > start;
}

static bool one_of(wick_scan *s, char a, char b)
{
    if (s->pos >= s->n || (s->p[s->pos] != a && s->p[s->pos] != b)) return false;
    s->pos++;
    return true;
}

static bool skip_number(wick_scan *s)
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
    return ok || wick_scan_fail(s, "a value expected");
}

static bool skip_word(wick_scan *s, const char *word)
{
    size_t n = strlen(word);
    if (s->n - s->pos < n || memcmp(s->p + s->pos, word, n) != 0) return wick_scan_fail(s, "a value expected");
    s->pos += n;
    return true;
}

static bool skip_value(wick_scan *s, unsigned depth)
{
    wick_str ignored;
    if (depth > WICK_SCAN_MAX_DEPTH) return wick_scan_fail(s, "values nested too deep");
    switch (peek(s)) {
    case '"': return wick_scan_string(s, &ignored);
    case 't': return skip_word(s, "true");
    case 'f': return skip_word(s, "false");
    case 'n': return skip_word(s, "null");
    case '[':
        s->pos++;
        if (wick_scan_try(s, ']')) return true;
        do {
            if (!skip_value(s, depth + 1)) return false;
        } while (wick_scan_try(s, ','));
        return wick_scan_expect(s, ']');
    case '{':
        s->pos++;
        if (wick_scan_try(s, '}')) return true;
        do {
            if (!wick_scan_string(s, &ignored) || !wick_scan_expect(s, ':') || !skip_value(s, depth + 1)) return false;
        } while (wick_scan_try(s, ','));
        return wick_scan_expect(s, '}');
    default: return skip_number(s);
    }
}

bool wick_scan_null(wick_scan *s)
{
    return !s->what && peek(s) == 'n' && skip_word(s, "null");
}

bool wick_scan_skip(wick_scan *s)
{
    return !s->what && skip_value(s, 0);
}
