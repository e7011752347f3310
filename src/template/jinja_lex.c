/* template/jinja_lex.c - template text to tokens.
 *
 * Owns whitespace control: trim_blocks (the newline after %} and #} goes), lstrip_blocks (blanks before {% and {# at
 * the start of a line go), "-" (strips all whitespace on that side), "+" (keeps it). Newlines become "\n" and one at
 * the end of the template is dropped. Inside brackets, "}}" and "%}" are operators: {{ {'a': {}} }} is one tag.
 */
#include "template/jinja_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct lexer {
    jlex *l;
    const char *s; /* normalised */
    size_t n, pos;
    uint32_t line;
    bool line_starting; /* the last thing read ended with a newline */
    char bracket[JV_PARSE_MAX + 1];
    uint32_t n_bracket;
    wick_err *err;
} lexer;

static wick_status fail(lexer *x, const char *what)
{
    return WICK_FAIL(x->err, WICK_E_TEMPLATE, x->l->where, "%s: line %u: %s", x->l->where, x->line, what);
}

static jtok *add(lexer *x, jtok_kind kind)
{
    jlex *l = x->l;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 256;
        jtok *t = wick_realloc_array(l->tok, cap, sizeof(*t));
        if (!t) {
            (void)wick_err_oom(x->err, "template", cap * sizeof(*t), 0);
            return NULL;
        }
        l->tok = t;
        l->cap = cap;
    }
    jtok *t = &l->tok[l->n++];
    memset(t, 0, sizeof(*t));
    t->kind = (uint8_t)kind;
    t->line = x->line;
    return t;
}

/* Moves to `to`, counting lines. */
static void advance(lexer *x, size_t to)
{
    if (to > x->pos) x->line_starting = x->s[to - 1] == '\n';
    for (const char *p = x->s + x->pos, *e = x->s + to; p < e && (p = memchr(p, '\n', (size_t)(e - p))); p++) x->line++;
    x->pos = to;
}

static size_t skip_space(const lexer *x, size_t at)
{
    while (at < x->n) {
        uint32_t cp;
        unsigned k = wick_utf8_next(x->s + at, x->n - at, &cp);
        if (!wick_text_is_space(cp)) break;
        at += k;
    }
    return at;
}

static bool at(const lexer *x, size_t pos, const char *what)
{
    size_t k = strlen(what);
    return pos <= x->n && x->n - pos >= k && memcmp(x->s + pos, what, k) == 0;
}

/* Text [from, to) before a tag that opens with `sign` ('-', '+' or 0); lstrip applies to {% and {#. */
static wick_status add_data(lexer *x, size_t from, size_t to, char sign, bool lstrip)
{
    size_t end = to;
    if (sign == '-') {
        while (end > from) {
            size_t k;
            if (!wick_text_is_space(wick_text_prev(x->s + from, end - from, &k))) break;
            end -= k;
        }
    } else if (sign != '+' && lstrip) {
        size_t bol = end;
        while (bol > from && x->s[bol - 1] != '\n') bol--;
        if ((bol > from || x->line_starting) && skip_space(x, bol) >= to) end = bol;
    }
    if (end > from) {
        jtok *t = add(x, T_DATA);
        if (!t) return WICK_E_OUT_OF_MEMORY;
        t->text = (wick_str){x->s + from, end - from};
    }
    advance(x, to);
    return WICK_OK;
}

/* The end of a tag at x->pos ("-%}" and so on). Returns the offset after it, or 0 if there is none. */
static size_t tag_end(const lexer *x, const char *close, bool plus, bool trim)
{
    size_t p = x->pos;
    if (at(x, p, "-") && at(x, p + 1, close)) return skip_space(x, p + 1 + 2);
    if (plus && at(x, p, "+") && at(x, p + 1, close)) return p + 1 + 2;
    if (!at(x, p, close)) return 0;
    p += 2;
    return trim && at(x, p, "\n") ? p + 1 : p;
}

static wick_status lex_comment(lexer *x)
{
    uint32_t line = x->line;
    if (x->pos >= x->n) return WICK_OK; /* nothing after the tag: jinja2 lets it pass */
    for (size_t p = x->pos; p < x->n; p++) {
        const char *hit = memchr(x->s + p, '#', x->n - p);
        if (!hit) break;
        p = (size_t)(hit - x->s);
        if (!at(x, p, "#}")) continue;
        size_t start = p;
        if (p > x->pos && (x->s[p - 1] == '-' || x->s[p - 1] == '+')) start--;
        advance(x, start);
        advance(x, tag_end(x, "#}", true, true));
        return WICK_OK;
    }
    x->line = line;
    return fail(x, "missing end of comment, expected #}");
}

/* At "{%" with sign consumed: is it a raw tag? Returns the offset after its end or 0. */
static size_t raw_begin(const lexer *x, size_t p)
{
    p = skip_space(x, p);
    if (!at(x, p, "raw")) return 0;
    p = skip_space(x, p + 3);
    if (at(x, p, "-%}")) return skip_space(x, p + 3);
    return at(x, p, "%}") ? p + 2 : 0;
}

static wick_status lex_raw(lexer *x)
{
    if (x->pos >= x->n) return WICK_OK;
    for (size_t p = x->pos; p < x->n; p++) {
        const char *hit = memchr(x->s + p, '{', x->n - p);
        if (!hit) break;
        p = (size_t)(hit - x->s);
        if (!at(x, p, "{%")) continue;
        size_t q = p + 2;
        char sign = 0;
        if (at(x, q, "-") || at(x, q, "+")) sign = x->s[q++];
        q = skip_space(x, q);
        if (!at(x, q, "endraw")) continue;
        q = skip_space(x, q + 6);
        lexer end = *x;
        end.pos = q;
        size_t after = tag_end(&end, "%}", true, true);
        if (!after) continue;
        WICK_TRY(add_data(x, x->pos, p, sign, true));
        advance(x, after);
        return WICK_OK;
    }
    return fail(x, "missing end of raw block, expected {% endraw %}");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \xHH, \uHHHH, \UHHHHHHHH at s[i] (the letter). Returns the digits read, 0 if they are wrong. */
static size_t hex_escape(const char *s, size_t n, size_t i, uint32_t *cp)
{
    size_t k = s[i] == 'x' ? 2 : s[i] == 'u' ? 4 : 8;
    if (n - i - 1 < k) return 0;
    *cp = 0;
    for (size_t j = 1; j <= k; j++) {
        int d = hex_digit(s[i + j]);
        if (d < 0) return 0;
        *cp = *cp << 4 | (uint32_t)d;
    }
    return k;
}

/* One escape; s[i] is the character after the backslash. Returns what was consumed of s, 0 if it is wrong. */
static size_t unescape_one(const char *s, size_t n, size_t i, wick_buf *b)
{
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *simple = strchr(from, s[i]);
    uint32_t cp = 0;
    if (s[i] && simple) {
        wick_buf_putc(b, to[simple - from]);
    } else if (s[i] == '\n') {
        return 1;
    } else if (s[i] == 'x' || s[i] == 'u' || s[i] == 'U') {
        size_t k = hex_escape(s, n, i, &cp);
        if (!k || cp > 0x10FFFF) return 0;
        wick_buf_utf8(b, cp);
        return 1 + k;
    } else if (s[i] >= '0' && s[i] <= '7') {
        size_t k = 0;
        while (k < 3 && i + k < n && s[i + k] >= '0' && s[i + k] <= '7') cp = cp * 8 + (uint32_t)(s[i + k++] - '0');
        wick_buf_utf8(b, cp);
        return k;
    } else if (s[i] == 'N') {
        return 0; /* character names are not kept */
    } else if ((unsigned char)s[i] >= 0x80) {
        /* Python goes through ASCII here, so the character's own escape loses its backslash. */
        unsigned k = wick_utf8_next(s + i, n - i, &cp);
        wick_buf_printf(b, cp <= 0xFF ? "\\x%02x" : cp <= 0xFFFF ? "\\u%04x" : "\\U%08x", cp);
        return k;
    } else {
        wick_buf_putc(b, '\\');
        wick_buf_putc(b, s[i]);
    }
    return 1;
}

static wick_status lex_string(lexer *x)
{
    char quote = x->s[x->pos];
    size_t from = x->pos + 1, to = from;
    bool escaped = false;
    while (to < x->n && x->s[to] != quote) {
        if (x->s[to] == '\\') {
            escaped = true;
            to++;
        }
        to++;
    }
    if (to >= x->n) return fail(x, "a string has no end");
    jtok *t = add(x, T_STRING);
    if (!t) return WICK_E_OUT_OF_MEMORY;
    t->text = (wick_str){x->s + from, to - from};
    if (escaped) {
        wick_buf b;
        wick_buf_init(&b, to - from + 64 + 10 * (to - from));
        for (size_t i = from; i < to;) {
            if (x->s[i] != '\\') {
                wick_buf_putc(&b, x->s[i++]);
                continue;
            }
            size_t k = unescape_one(x->s, to, i + 1, &b);
            if (!k) {
                wick_buf_release(&b);
                return fail(x, "a string has an escape that cannot be decoded");
            }
            i += 1 + k;
        }
        char *p = b.failed ? NULL : wick_arena_strndup(x->l->arena, wick_buf_str(&b), b.n);
        t->text = (wick_str){p, b.n};
        wick_buf_release(&b);
        if (!p) return wick_err_oom(x->err, "template", to - from, 0);
    }
    advance(x, to + 1);
    return WICK_OK;
}

static size_t digits(const lexer *x, size_t p, int base)
{
    for (; p < x->n; p++) {
        int d = hex_digit(x->s[p]);
        if (x->s[p] == '_' && p + 1 < x->n) d = hex_digit(x->s[p + 1]);
        if (d < 0 || d >= base) break;
    }
    return p;
}

/* Text without '_' for strtoll and strtod. */
static bool plain_number(const lexer *x, size_t from, size_t to, char *dst, size_t cap)
{
    size_t k = 0;
    for (size_t i = from; i < to; i++) {
        if (x->s[i] == '_') continue;
        if (k + 1 >= cap) return false;
        dst[k++] = x->s[i];
    }
    dst[k] = 0;
    return true;
}

static size_t float_end(const lexer *x, size_t p)
{
    size_t end = 0;
    if (p > 0 && x->s[p - 1] == '.') return 0;
    p = digits(x, p, 10);
    if (at(x, p, ".") && p + 1 < x->n && x->s[p + 1] >= '0' && x->s[p + 1] <= '9') end = p = digits(x, p + 1, 10);
    if (p < x->n && (x->s[p] | 0x20) == 'e') {
        size_t q = p + 1;
        if (q < x->n && (x->s[q] == '+' || x->s[q] == '-')) q++;
        if (q < x->n && x->s[q] >= '0' && x->s[q] <= '9') end = digits(x, q, 10);
    }
    return end;
}

static wick_status lex_number(lexer *x)
{
    char text[400];
    size_t p = x->pos, end = float_end(x, p);
    jtok *t = add(x, end ? T_FLOAT : T_INT);
    if (!t) return WICK_E_OUT_OF_MEMORY;
    int base = 10;
    size_t from = p;
    if (end) {
        if (!plain_number(x, p, end, text, sizeof(text))) return fail(x, "a number is too long");
        t->f = strtod(text, NULL);
        advance(x, end);
        return WICK_OK;
    }
    if (x->s[p] == '0' && p + 1 < x->n) {
        char c = (char)(x->s[p + 1] | 0x20);
        base = c == 'b' ? 2 : c == 'o' ? 8 : c == 'x' ? 16 : 10;
        if (base != 10 && digits(x, p + 2, base) > p + 2)
            from = p + 2;
        else
            base = 10;
    }
    end = digits(x, from, base);
    if (base == 10 && x->s[p] == '0') { /* 0 may be followed by zeros only; "07" is two numbers, as in Jinja */
        end = p + 1;
        while (end < x->n && x->s[end] == '0') end++;
    }
    if (!plain_number(x, from, end, text, sizeof(text))) return fail(x, "a number is too long");
    errno = 0;
    t->i = strtoll(text, NULL, base);
    if (errno) return fail(x, "an integer does not fit 64 bits");
    advance(x, end);
    return WICK_OK;
}

static bool word_at(const lexer *x, size_t p, unsigned *len)
{
    uint32_t cp;
    *len = wick_utf8_next(x->s + p, x->n - p, &cp);
    return wick_text_is_word(cp);
}

static wick_status lex_op(lexer *x)
{
    static const char *const ops[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
                                      "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ",", ";"};
    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        if (!at(x, x->pos, ops[i])) continue;
        char c = ops[i][0];
        if (!ops[i][1] && strchr("({[", c)) {
            if (x->n_bracket == JV_PARSE_MAX) return fail(x, "brackets are nested too deeply");
            x->bracket[x->n_bracket++] = c == '(' ? ')' : c == '{' ? '}' : ']';
        } else if (!ops[i][1] && strchr(")}]", c)) {
            char msg[64];
            if (x->n_bracket == 0 || x->bracket[x->n_bracket - 1] != c) {
                (void)snprintf(msg, sizeof(msg), "unexpected '%c'", c);
                return fail(x, msg);
            }
            x->n_bracket--;
        }
        jtok *t = add(x, T_OP);
        if (!t) return WICK_E_OUT_OF_MEMORY;
        memcpy(t->op, ops[i], strlen(ops[i]) + 1);
        advance(x, x->pos + strlen(ops[i]));
        return WICK_OK;
    }
    char msg[64];
    (void)snprintf(msg, sizeof(msg), "unexpected character '%.*s'",
                   (int)wick_utf8_next(x->s + x->pos, x->n - x->pos, &(uint32_t){0}), x->s + x->pos);
    return fail(x, msg);
}

static wick_status lex_inside(lexer *x, bool block)
{
    uint32_t line = x->line;
    x->n_bracket = 0;
    while (x->pos < x->n) {
        size_t p = skip_space(x, x->pos), end;
        advance(x, p);
        if (p >= x->n) break;
        if (x->n_bracket == 0 && (end = tag_end(x, block ? "%}" : "}}", block, block))) {
            if (!add(x, block ? T_BLOCK_END : T_VAR_END)) return WICK_E_OUT_OF_MEMORY;
            advance(x, end);
            return WICK_OK;
        }
        char c = x->s[p];
        unsigned k;
        if (c >= '0' && c <= '9') {
            WICK_TRY(lex_number(x));
        } else if (c == '\'' || c == '"') {
            WICK_TRY(lex_string(x));
        } else if (word_at(x, p, &k)) {
            size_t to = p;
            while (to < x->n && word_at(x, to, &k)) to += k;
            jtok *t = add(x, T_NAME);
            if (!t) return WICK_E_OUT_OF_MEMORY;
            t->text = (wick_str){x->s + p, to - p};
            advance(x, to);
        } else {
            WICK_TRY(lex_op(x));
        }
    }
    x->line = line;
    return fail(x, block ? "a tag has no end, expected %}" : "an expression has no end, expected }}");
}

static wick_status lex_all(lexer *x)
{
    while (x->pos < x->n) {
        size_t from = x->pos, p = from;
        char kind = 0;
        for (; p + 1 < x->n; p++) {
            const char *hit = memchr(x->s + p, '{', x->n - p - 1);
            if (!hit) {
                p = x->n;
                break;
            }
            p = (size_t)(hit - x->s);
            kind = x->s[p + 1];
            if (kind == '{' || kind == '%' || kind == '#') break;
            kind = 0;
        }
        if (!kind) {
            WICK_TRY(add_data(x, from, x->n, '+', false));
            break;
        }
        size_t q = p + 2;
        char sign = 0;
        if (at(x, q, "-") || at(x, q, "+")) sign = x->s[q++];
        WICK_TRY(add_data(x, from, p, sign, kind != '{'));
        size_t raw = kind == '%' ? raw_begin(x, q) : 0;
        if (raw) {
            advance(x, raw);
            WICK_TRY(lex_raw(x));
        } else if (kind == '#') {
            advance(x, q);
            WICK_TRY(lex_comment(x));
        } else {
            if (!add(x, kind == '%' ? T_BLOCK_BEGIN : T_VAR_BEGIN)) return WICK_E_OUT_OF_MEMORY;
            advance(x, q);
            WICK_TRY(lex_inside(x, kind == '%'));
        }
    }
    return add(x, T_EOF) ? WICK_OK : WICK_E_OUT_OF_MEMORY;
}

wick_status wick_jinja_lex(jlex *l, const char *src, size_t n, wick_err *err)
{
    lexer x = {.l = l, .line = 1, .line_starting = true, .err = err};
    if (!wick_utf8_valid(src, n))
        return WICK_FAIL(err, WICK_E_TEMPLATE, l->where, "%s: the template is not valid UTF-8", l->where);
    char *s = wick_arena_alloc(l->arena, n + 1);
    if (!s) return wick_err_oom(err, "template", n, 0);
    for (size_t i = 0; i < n; i++) {
        if (src[i] == '\r' && i + 1 < n && src[i + 1] == '\n') continue;
        s[x.n++] = src[i] == '\r' ? '\n' : src[i];
    }
    if (x.n && s[x.n - 1] == '\n') x.n--;
    x.s = s;
    return lex_all(&x);
}
