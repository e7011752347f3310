/* template/jinja_text.c - Unicode classes and case mappings with the rules of Python's str, over utf8proc. */
#include "template/jinja_impl.h"

#include <utf8proc.h>

bool wick_text_is_space(uint32_t cp)
{
    return (cp >= 9 && cp <= 13) || (cp >= 0x1C && cp <= 0x20) || cp == 0x85 || cp == 0xA0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200A) || cp == 0x2028 || cp == 0x2029 || cp == 0x202F || cp == 0x205F ||
           cp == 0x3000;
}

bool wick_text_is_line_end(uint32_t cp)
{
    return (cp >= 10 && cp <= 13) || (cp >= 0x1C && cp <= 0x1E) || cp == 0x85 || cp == 0x2028 || cp == 0x2029;
}

static utf8proc_category_t category(uint32_t cp)
{
    return cp > 0x10FFFF ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)cp);
}

bool wick_text_is_printable(uint32_t cp)
{
    if (cp < 0x7F) return cp >= 0x20;
    switch (category(cp)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
    }
}

bool wick_text_is_alpha(uint32_t cp)
{
    if (cp < 0x80) return (cp | 0x20) >= 'a' && (cp | 0x20) <= 'z';
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT ||
           c == UTF8PROC_CATEGORY_LM || c == UTF8PROC_CATEGORY_LO;
}

bool wick_text_is_digit(uint32_t cp)
{
    return cp < 0x80 ? cp >= '0' && cp <= '9' : category(cp) == UTF8PROC_CATEGORY_ND;
}

bool wick_text_is_word(uint32_t cp)
{
    if (cp == '_') return true;
    if (wick_text_is_alpha(cp) || wick_text_is_digit(cp)) return true;
    if (cp < 0x80) return false;
    utf8proc_category_t c = category(cp);
    return c == UTF8PROC_CATEGORY_NL || c == UTF8PROC_CATEGORY_NO;
}

bool wick_text_is_upper(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'A' && cp <= 'Z' : cp <= 0x10FFFF && utf8proc_isupper((utf8proc_int32_t)cp);
}

bool wick_text_is_lower(uint32_t cp)
{
    return cp < 0x80 ? cp >= 'a' && cp <= 'z' : cp <= 0x10FFFF && utf8proc_islower((utf8proc_int32_t)cp);
}

const char *wick_text_find(const char *p, size_t n, const char *x, size_t m)
{
    enum { SHORT_NEEDLE = 32 }; /* above it memmem's set-up pays, and a plain search could turn quadratic */
    if (m == 0) return p;
    if (m > SHORT_NEEDLE) return memmem(p, n, x, m);
    for (const char *end = p + n; (size_t)(end - p) >= m; p++) {
        p = memchr(p, x[0], (size_t)(end - p) - m + 1);
        if (!p) return NULL;
        if (memcmp(p, x, m) == 0) return p;
    }
    return NULL;
}

uint32_t wick_text_prev(const char *p, size_t n, size_t *len)
{
    size_t i = n - 1;
    uint32_t cp;
    while (i > 0 && n - i < 4 && ((unsigned char)p[i] & 0xC0) == 0x80) i--;
    if (wick_utf8_next(p + i, n - i, &cp) != n - i) {
        *len = 1;
        return 0xFFFFFFFF;
    }
    *len = n - i;
    return cp;
}

/* Upper case that is longer than one character (the part of SpecialCasing.txt without conditions that text has). */
static const char *special_upper(uint32_t cp)
{
    static const struct {
        uint32_t cp;
        const char *upper;
    } t[] = {{0xDF, "SS"},
             {0x149, "\u02BCN"},
             {0x1F0, "J\u030C"},
             {0x587, "\u0535\u0552"},
             {0x1E96, "H\u0331"},
             {0x1E97, "T\u0308"},
             {0x1E98, "W\u030A"},
             {0x1E99, "Y\u030A"},
             {0x1E9A, "A\u02BE"},
             {0x390, "\u0399\u0308\u0301"},
             {0x3B0, "\u03A5\u0308\u0301"},
             {0xFB00, "FF"},
             {0xFB01, "FI"},
             {0xFB02, "FL"},
             {0xFB03, "FFI"},
             {0xFB04, "FFL"},
             {0xFB05, "ST"},
             {0xFB06, "ST"}};
    for (size_t i = 0; i < sizeof(t) / sizeof(*t); i++)
        if (t[i].cp == cp) return t[i].upper;
    return NULL;
}

static bool is_cased(uint32_t cp)
{
    return wick_text_is_upper(cp) || wick_text_is_lower(cp) || category(cp) == UTF8PROC_CATEGORY_LT;
}

/* A capital sigma at the end of a word is lowered to the final form. */
static bool final_sigma(const jv_str *s, size_t at)
{
    size_t k;
    uint32_t cp;
    if (at == 0 || !is_cased(wick_text_prev(s->p, at, &k))) return false;
    if (at + 2 >= s->n) return true;
    (void)wick_utf8_next(s->p + at + 2, s->n - at - 2, &cp);
    return !is_cased(cp);
}

static void put_upper(jrt *rt, uint32_t cp, bool title)
{
    const char *special = special_upper(cp);
    if (!special) {
        wick_buf_utf8(&rt->w, (uint32_t)(title ? utf8proc_totitle((utf8proc_int32_t)cp)
                                               : utf8proc_toupper((utf8proc_int32_t)cp)));
        return;
    }
    if (!title || (unsigned char)special[0] >= 0x80) {
        wick_buf_puts(&rt->w, special);
        return;
    }
    wick_buf_putc(&rt->w, special[0]); /* "Ss": the first letter only */
    for (const char *q = special + 1; *q; q++) wick_buf_putc(&rt->w, (char)(*q >= 'A' && *q <= 'Z' ? *q | 0x20 : *q));
}

static void put_lower(jrt *rt, const jv_str *s, size_t at, uint32_t cp, bool fold)
{
    if (cp == 0x130)
        wick_buf_puts(&rt->w, "i\u0307");
    else if (cp == 0x3A3 && !fold)
        wick_buf_utf8(&rt->w, final_sigma(s, at) ? 0x3C2 : 0x3C3);
    else if (fold && (cp == 0xDF || cp == 0x1E9E))
        wick_buf_puts(&rt->w, "ss");
    else if (fold && cp == 0x3C2)
        wick_buf_utf8(&rt->w, 0x3C3);
    else
        wick_buf_utf8(&rt->w, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp));
}

static jv ascii_case(jrt *rt, const jv_str *s, jcase how)
{
    char *p = wick_jv_alloc(rt, s->n);
    bool in_word = false;
    if (!p) return jv_make(JV_UNDEF);
    for (size_t i = 0; i < s->n; i++) {
        char c = s->p[i];
        bool up = c >= 'A' && c <= 'Z', low = c >= 'a' && c <= 'z', to_up = false;
        if (how == CASE_UPPER)
            to_up = true;
        else if (how == CASE_SWAP)
            to_up = low;
        else if (how == CASE_TITLE)
            to_up = !in_word;
        else if (how == CASE_CAPITALIZE)
            to_up = i == 0;
        p[i] = (char)(up && !to_up ? c | 0x20 : low && to_up ? c & ~0x20 : c);
        in_word = up || low;
    }
    return wick_jv_str_borrow(rt, p, s->n);
}

jv wick_text_case(jrt *rt, const jv_str *s, jcase how)
{
    bool in_word = false;
    if (!wick_jv_step(rt, s->n / 16)) return jv_make(JV_UNDEF);
    if (s->n == s->n_cp) return ascii_case(rt, s, how);
    size_t mark = rt->w.n;
    for (size_t i = 0; i < s->n;) {
        uint32_t cp;
        unsigned k = wick_utf8_next(s->p + i, s->n - i, &cp);
        bool to_up = how == CASE_UPPER || (how == CASE_SWAP && wick_text_is_lower(cp)) ||
                     (how == CASE_TITLE && !in_word) || (how == CASE_CAPITALIZE && i == 0);
        if (to_up)
            put_upper(rt, cp, how == CASE_TITLE || how == CASE_CAPITALIZE);
        else
            put_lower(rt, s, i, cp, how == CASE_FOLD);
        in_word = is_cased(cp);
        i += k;
    }
    return wick_jv_take(rt, mark);
}
