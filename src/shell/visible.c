/* shell/visible.c - text as a terminal may show it: what hides, reorders or imitates other text is written out.
 *
 * A command is shown before it is run, so what is shown must be what runs. Escaped are control characters, what sets
 * the direction of text, what has no width, private and unassigned areas, and letters of other scripts that look like
 * ASCII ones when they stand in a word with ASCII letters.
 */
#include <string.h>
#include "base/buf.h"
#include "shell/safety.h"

static bool is_hidden(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c <= 0xA0) || c == 0xAD || c == 0x34F || c == 0x61C ||
           c == 0x115F || c == 0x1160 || c == 0x17B4 || c == 0x17B5 || (c >= 0x180B && c <= 0x180F) ||
           (c >= 0x2000 && c <= 0x200F) || (c >= 0x2028 && c <= 0x202F) || (c >= 0x205F && c <= 0x206F) ||
           c == 0x3000 || c == 0x3164 || (c >= 0xE000 && c <= 0xF8FF) || (c >= 0xFE00 && c <= 0xFE0F) || c == 0xFEFF ||
           c == 0xFFA0 || (c >= 0xFFF0 && c <= 0xFFFD) || (c >= 0xE0000 && c <= 0x10FFFF);
}

/* Cyrillic, Greek, Armenian, full-width and mathematical letters and the punctuation that passes for ASCII. */
static bool imitates(uint32_t c)
{
    static const uint32_t twins[] = {
        0x430,  0x435,  0x43E,  0x440,  0x441,  0x443,  0x445,  0x455,  0x456,  0x458,  0x4BB,  0x501,  0x51B,
        0x410,  0x412,  0x415,  0x41A,  0x41C,  0x41D,  0x41E,  0x420,  0x421,  0x422,  0x425,  0x405,  0x406,
        0x408,  0x391,  0x392,  0x395,  0x396,  0x397,  0x399,  0x39A,  0x39C,  0x39D,  0x39F,  0x3A1,  0x3A4,
        0x3A5,  0x3A7,  0x3BF,  0x3BD,  0x3C1,  0x3F2,  0x131,  0x585,  0x561,  0x578,  0x2010, 0x2011, 0x2012,
        0x2013, 0x2014, 0x2015, 0x2212, 0x2044, 0x2215, 0x2217, 0x2223, 0x2236, 0xA789, 0x37E,  0x1D0F, 0x2018,
        0x2019, 0x201C, 0x201D, 0x60C,  0x2024, 0x2216, 0x29F8, 0x29F5};
    for (size_t k = 0; k < sizeof twins / sizeof *twins; k++)
        if (twins[k] == c) return true;
    return (c >= 0xFF01 && c <= 0xFF5E) || (c >= 0x1D400 && c <= 0x1D7FF) || (c >= 0x24B6 && c <= 0x24E9);
}

static bool is_ascii_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Does the run of letters around s[i..i+len) have ASCII letters, too? "\u0441at" does, one all in Cyrillic does not. */
static bool beside_ascii(const char *s, size_t n, size_t i, unsigned len)
{
    for (size_t j = i; j > 0 && (is_ascii_letter(s[j - 1]) || (unsigned char)s[j - 1] >= 0x80); j--)
        if (is_ascii_letter(s[j - 1])) return true;
    for (size_t j = i + len; j < n && (is_ascii_letter(s[j]) || (unsigned char)s[j] >= 0x80); j++)
        if (is_ascii_letter(s[j])) return true;
    return false;
}

/* How much the character at s[i] deceives. */
static wick_sh_disguise disguise(const char *s, size_t n, size_t i, unsigned len, uint32_t c)
{
    if (c < 0x7F && c >= 0x20) return WICK_SH_PLAIN_TEXT;
    if (c == 0xFFFFFFFFu || is_hidden(c)) return WICK_SH_HIDDEN;
    if (!imitates(c)) return WICK_SH_PLAIN_TEXT;
    bool punctuation = (c >= 0x2010 && c <= 0x2044) || (c >= 0x2200 && c <= 0x22FF) || c == 0x37E || c == 0x60C;
    if (punctuation) return WICK_SH_IMITATION;
    bool wide = (c >= 0xFF01 && c <= 0xFF5E) || (c >= 0x1D400 && c <= 0x1D7FF);
    return wide || beside_ascii(s, n, i, len) ? WICK_SH_HIDDEN : WICK_SH_PLAIN_TEXT;
}

wick_sh_disguise wick_sh_disguised(const char *s, size_t n)
{
    wick_sh_disguise worst = WICK_SH_PLAIN_TEXT;
    for (size_t i = 0; i < n;) {
        uint32_t c;
        unsigned len = wick_utf8_next(s + i, n - i, &c);
        wick_sh_disguise d = disguise(s, n, i, len, c);
        if (d > worst) worst = d;
        i += len;
    }
    return worst;
}

const char *wick_sh_visible(wick_arena *a, const char *s, size_t n)
{
    wick_buf b;
    wick_buf_init(&b, 8u << 20);
    for (size_t i = 0; i < n;) {
        uint32_t c;
        unsigned len = wick_utf8_next(s + i, n - i, &c);
        if (c == 0xFFFFFFFFu)
            wick_buf_printf(&b, "\\x%02x", (unsigned)(unsigned char)s[i]);
        else if (disguise(s, n, i, len, c) == WICK_SH_PLAIN_TEXT)
            wick_buf_add(&b, s + i, len);
        else
            wick_buf_printf(&b, "\\u{%x}", (unsigned)c);
        i += len;
    }
    char *out = b.failed ? NULL : wick_arena_strndup(a, wick_buf_str(&b), b.n);
    wick_buf_release(&b);
    return out ? out : "(out of memory)";
}
