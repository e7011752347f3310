/* chat/format/literal.c - see literal.h: an automaton with a stack of brackets. */
#include "chat/format/literal.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include "chat/format/call.h"

enum {
    VALUE,
    FIRST_VALUE, /* or the end of the list */
    NEXT_VALUE,  /* after a comma */
    FIRST_KEY,
    NEXT_KEY,
    COLON,
    AFTER, /* a value: a comma or a bracket */
    STRING,
    ESCAPE,
    DIGITS, /* of \u, \x, \U */
    WORD,
    BARE_KEY,
    DELIM, /* the opening delimiter */
    TEXT   /* between delimiters */
};
/* frames */
#define OBJECT '}'
#define LIST ']'
#define TUPLE ')'
#define MEMBERS 'm'

static void put(wick_lit *l, const char *s, size_t n)
{
    if (l->out) wick_buf_add(l->out, s, n);
}

static void put_text(wick_lit *l, const char *s, size_t n)
{
    if (l->out) wick_tc_put_escaped(l->out, s, n);
}

void wick_lit_init(wick_lit *l, wick_lit_style style, const char *delim, unsigned max_depth, wick_buf *out)
{
    const wick_buf held = l->held;
    if (max_depth > WICK_LIT_DEPTH_MAX) max_depth = WICK_LIT_DEPTH_MAX;
    memset(l, 0, offsetof(wick_lit, frame));
    l->style = style;
    l->delim = delim;
    l->max_depth = max_depth;
    l->out = out;
    l->held = held;
    wick_buf_reset(&l->held);
    if (style == WICK_LIT_MEMBERS) {
        l->frame[l->depth++] = MEMBERS;
        l->state = FIRST_KEY;
        put(l, "{", 1);
    }
}

void wick_lit_release(wick_lit *l)
{
    wick_buf_release(&l->held);
}

static char top(const wick_lit *l)
{
    return l->depth ? l->frame[l->depth - 1] : 0;
}

static bool closes(const wick_lit *l, char c)
{
    return l->depth > 0 && c == (top(l) == MEMBERS ? ')' : top(l));
}

/* The comma that was held is right (a value follows) or one too many. */
static void comma(wick_lit *l, bool right)
{
    const size_t from = right || l->held.n == 0 ? 0 : 1;
    put(l, l->held.n ? l->held.data + from : "", l->held.n - from);
    wick_buf_reset(&l->held);
}

static void after(wick_lit *l)
{
    l->state = AFTER;
    l->done = l->depth == 0;
}

static void pop(wick_lit *l)
{
    const bool object = top(l) == OBJECT || top(l) == MEMBERS;
    comma(l, false);
    put(l, object ? "}" : "]", 1);
    l->depth--;
    l->started = true;
    after(l);
}

static wick_tc_step push(wick_lit *l, char c)
{
    if (l->depth >= l->max_depth) return WICK_TC_BAD;
    comma(l, true);
    if (l->depth > 0) l->started = true;
    l->frame[l->depth++] = (char)(c == '{' ? OBJECT : c == '[' ? LIST : TUPLE);
    put(l, c == '{' ? "{" : "[", 1);
    l->state = c == '{' ? FIRST_KEY : FIRST_VALUE;
    return WICK_TC_OK;
}

static bool is_word(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '+' ||
           c == '.' || c == '_';
}

static bool is_key_byte(char c)
{
    return c && !wick_tc_is_space(c) && !strchr("{}[](),:=\"'<>", c);
}

static wick_tc_step hold(wick_lit *l, char c)
{
    if (l->held.n >= WICK_LIT_WORD_MAX) return WICK_TC_BAD;
    wick_buf_putc(&l->held, c);
    return l->held.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step begin_string(wick_lit *l, char quote, bool key)
{
    comma(l, true);
    l->quote = quote;
    l->is_key = key;
    l->started = l->started || !key;
    l->state = STRING;
    l->high = 0;
    put(l, "\"", 1);
    return WICK_TC_OK;
}

static wick_tc_step begin_delim(wick_lit *l, char c, bool key)
{
    comma(l, true);
    l->is_key = key;
    l->state = DELIM;
    return hold(l, c);
}

static bool begins_delim(const wick_lit *l, char c)
{
    return l->delim && c == *l->delim;
}

static wick_tc_step white(wick_lit *l, char c)
{
    if (l->style != WICK_LIT_JSON) return WICK_TC_OK;
    if (l->held.n > 0) return hold(l, c);
    put(l, &c, 1);
    return WICK_TC_OK;
}

static wick_tc_step value_byte(wick_lit *l, char c)
{
    if (wick_tc_is_space(c)) return white(l, c);
    if (l->state != VALUE && closes(l, c)) {
        pop(l);
        return WICK_TC_OK;
    }
    if (c == '{' || c == '[' || (c == '(' && (l->style == WICK_LIT_PYTHON || l->style == WICK_LIT_MEMBERS)))
        return push(l, c);
    if (begins_delim(l, c)) return begin_delim(l, c, false);
    if (c == '"' || (c == '\'' && l->style != WICK_LIT_GEMMA)) return begin_string(l, c, false);
    if (!is_word(c)) return WICK_TC_BAD;
    comma(l, true);
    l->state = WORD;
    return hold(l, c);
}

static wick_tc_step key_byte(wick_lit *l, char c)
{
    const bool bare = top(l) == MEMBERS || l->style == WICK_LIT_GEMMA;
    if (wick_tc_is_space(c)) return white(l, c);
    if (closes(l, c)) {
        pop(l);
        return WICK_TC_OK;
    }
    if (begins_delim(l, c)) return begin_delim(l, c, true);
    if (top(l) != MEMBERS && (c == '"' || (c == '\'' && l->style != WICK_LIT_GEMMA))) return begin_string(l, c, true);
    if (!bare || !is_key_byte(c)) return WICK_TC_BAD;
    comma(l, true);
    l->state = BARE_KEY;
    return hold(l, c);
}

static wick_tc_step colon_byte(wick_lit *l, char c)
{
    if (wick_tc_is_space(c)) return white(l, c);
    if (c != (top(l) == MEMBERS ? '=' : ':')) return WICK_TC_BAD;
    put(l, ":", 1);
    l->state = VALUE;
    return WICK_TC_OK;
}

static wick_tc_step after_byte(wick_lit *l, char c)
{
    if (l->done) return WICK_TC_PLAIN;
    if (wick_tc_is_space(c)) return white(l, c);
    if (closes(l, c)) {
        pop(l);
        return WICK_TC_OK;
    }
    if (c != ',') return WICK_TC_BAD;
    l->state = top(l) == OBJECT || top(l) == MEMBERS ? NEXT_KEY : NEXT_VALUE;
    return hold(l, c);
}

/* --- strings ------------------------------------------------------------------------------------------------------ */

static void end_string(wick_lit *l)
{
    put(l, "\"", 1);
    wick_buf_reset(&l->held);
    if (l->is_key)
        l->state = COLON;
    else
        after(l);
}

static void drop_half(wick_lit *l)
{
    if (l->high) put(l, "\\ufffd", 6);
    l->high = 0;
}

static wick_tc_step string_byte(wick_lit *l, char c)
{
    if (c == '\\') {
        l->state = ESCAPE;
        return WICK_TC_OK;
    }
    drop_half(l);
    if (c == l->quote)
        end_string(l);
    else
        put_text(l, &c, 1);
    return WICK_TC_OK;
}

/* Python's strings know more escapes, and come out as the characters they mean. */
static bool is_python(const wick_lit *l)
{
    return l->style == WICK_LIT_PYTHON || l->style == WICK_LIT_MEMBERS || l->quote == '\'';
}

static wick_tc_step escape_byte(wick_lit *l, char c)
{
    static const char from[] = "ntrbf\\\"'/", to[] = "\n\t\r\b\f\\\"'/";
    const char *hit = c ? strchr(from, c) : NULL;
    l->state = STRING;
    if (c == 'u' || (is_python(l) && (c == 'x' || c == 'U'))) {
        l->letter = c;
        l->state = DIGITS;
        return WICK_TC_OK;
    }
    drop_half(l);
    if (is_python(l) && c == '\n') return WICK_TC_OK;
    if (is_python(l) && (c == 'a' || c == 'v' || c == '0')) {
        put_text(l, c == 'a' ? "\a" : c == 'v' ? "\v" : "\0", 1);
    } else if (hit && !is_python(l) && c != '\'') {
        put(l, (const char[]){'\\', c}, 2);
    } else if (hit && !(is_python(l) && c == '/')) {
        put_text(l, &to[hit - from], 1);
    } else {
        put(l, "\\\\", 2);
        put_text(l, &c, 1);
    }
    return WICK_TC_OK;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* All digits are there. */
static void code_point(wick_lit *l)
{
    uint32_t cp = 0;
    char utf8[4];
    for (size_t i = 0; i < l->held.n; i++) cp = cp << 4 | (uint32_t)hex(l->held.data[i]);
    wick_buf_reset(&l->held);
    l->state = STRING;
    if (cp >= 0xD800 && cp < 0xDC00) {
        drop_half(l);
        l->high = cp;
        return;
    }
    if (cp >= 0xDC00 && cp < 0xE000) {
        if (!l->high) {
            put(l, "\\ufffd", 6);
            return;
        }
        cp = 0x10000 + ((l->high - 0xD800) << 10) + (cp - 0xDC00);
        l->high = 0;
    }
    drop_half(l);
    if (!is_python(l) && cp < 0x80) {
        char text[8];
        snprintf(text, sizeof text, "\\u%04x", (unsigned)cp);
        put(l, text, 6);
        return;
    }
    const unsigned n = wick_utf8_encode(cp, utf8);
    if (n)
        put_text(l, utf8, n);
    else
        put(l, "\\ufffd", 6);
}

static wick_tc_step digits_byte(wick_lit *l, char c)
{
    const size_t want = l->letter == 'x' ? 2 : l->letter == 'u' ? 4 : 8;
    if (hex(c) >= 0) {
        WICK_TC_TRY(hold(l, c));
        if (l->held.n == want) code_point(l);
        return WICK_TC_OK;
    }
    /* no escape: a backslash and text */
    drop_half(l);
    put(l, "\\\\", 2);
    put(l, &l->letter, 1);
    put(l, l->held.n ? l->held.data : "", l->held.n);
    wick_buf_reset(&l->held);
    l->state = STRING;
    return string_byte(l, c);
}

/* --- words, delimiters -------------------------------------------------------------------------------------------- */

static bool put_word(wick_lit *l)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    const char *s = wick_buf_str(&l->held);
    const char *text = NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words && !text; i++)
        if (strcmp(s, words[i][0]) == 0) text = words[i][1];
    if (!text && ((*s != '-' && (*s < '0' || *s > '9')) || wick_tc_json(s, l->held.n, NULL) != WICK_TC_OK))
        return false;
    put(l, text ? text : s, text ? strlen(text) : l->held.n);
    wick_buf_reset(&l->held);
    l->started = true;
    after(l);
    return true;
}

static wick_tc_step word_byte(wick_lit *l, char c)
{
    if (is_word(c)) return hold(l, c);
    return put_word(l) ? after_byte(l, c) : WICK_TC_BAD;
}

static wick_tc_step bare_key_byte(wick_lit *l, char c)
{
    if (is_key_byte(c)) return hold(l, c);
    if (!wick_tc_is_space(c) && c != (top(l) == MEMBERS ? '=' : ':')) return WICK_TC_BAD;
    put(l, "\"", 1);
    put_text(l, l->held.data, l->held.n);
    put(l, "\"", 1);
    wick_buf_reset(&l->held);
    l->state = COLON;
    return colon_byte(l, c);
}

static wick_tc_step delim_byte(wick_lit *l, char c)
{
    if (l->delim[l->held.n] != c) return WICK_TC_BAD;
    WICK_TC_TRY(hold(l, c));
    if (l->delim[l->held.n]) return WICK_TC_OK;
    wick_buf_reset(&l->held);
    put(l, "\"", 1);
    l->started = l->started || !l->is_key;
    l->state = TEXT;
    return WICK_TC_OK;
}

static wick_tc_step text_byte(wick_lit *l, char c)
{
    const size_t m = strlen(l->delim);
    WICK_TC_TRY(hold(l, c));
    while (l->held.n > 0 && memcmp(l->held.data, l->delim, l->held.n) != 0) {
        put_text(l, l->held.data, 1);
        memmove(l->held.data, l->held.data + 1, --l->held.n);
    }
    if (l->held.n == m) end_string(l);
    return WICK_TC_OK;
}

wick_tc_step wick_lit_byte(wick_lit *l, char c)
{
    wick_tc_step st = WICK_TC_BAD;
    switch (l->state) {
    case VALUE:
    case FIRST_VALUE:
    case NEXT_VALUE: st = value_byte(l, c); break;
    case FIRST_KEY:
    case NEXT_KEY: st = key_byte(l, c); break;
    case COLON: st = colon_byte(l, c); break;
    case AFTER: st = after_byte(l, c); break;
    case STRING: st = string_byte(l, c); break;
    case ESCAPE: st = escape_byte(l, c); break;
    case DIGITS: st = digits_byte(l, c); break;
    case WORD: st = word_byte(l, c); break;
    case BARE_KEY: st = bare_key_byte(l, c); break;
    case DELIM: st = delim_byte(l, c); break;
    case TEXT: st = text_byte(l, c); break;
    default: break;
    }
    return l->held.failed || (l->out && l->out->failed) ? WICK_TC_NOMEM : st;
}

bool wick_lit_close(wick_lit *l)
{
    if (l->state == WORD && !put_word(l)) return false;
    if (l->done) return true;
    if (l->state != AFTER && l->state != FIRST_VALUE && l->state != NEXT_VALUE && l->state != FIRST_KEY &&
        l->state != NEXT_KEY)
        return false;
    while (!l->done && l->depth > 0) pop(l);
    return l->done;
}
