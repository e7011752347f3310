/* grammar/js_step.c - one byte of JSON. */
#include "grammar/js.h"
#include "base/buf.h"
#include "grammar/num.h"

/* Phases inside an escape, in the low bits of esc; the digits so far are in bits 4 to 15, a high surrogate in bits 16
 * to 25. */
enum { ESC_NONE, ESC_BACKSLASH, ESC_HEX0, ESC_HEX1, ESC_HEX2, ESC_HEX3, ESC_PAIR, ESC_PAIR_U };
#define ESC_HIGH (1u << 26)

static bool is_ws(uint8_t b)
{
    return b == ' ' || b == '\t' || b == '\n' || b == '\r';
}

/* ---- the automata that values begin with ---- */
static wick_re unlike(wick_js_pool *p, const wick_js_spec *s, uint32_t type, wick_re r)
{
    wick_re_pool *re = p->f->re;
    uint32_t seen[JS_MAX_UNLIKE], n = wick_js_list(p, s->unique, seen, JS_MAX_UNLIKE);
    if (n > JS_MAX_UNLIKE) return r; /* the item's end decides */
    wick_str words[JS_MAX_UNLIKE];
    uint32_t n_words = 0;
    for (uint32_t i = 0; i < n; i++) {
        wick_str t = p->f->str[seen[i]];
        wick_decimal d;
        if (t.n >= 3 && t.p[0] == '"') {
            words[n_words++] = (wick_str){t.p + 3, t.n - 3}; /* "0: and the text */
        } else if (type == WICK_T_NUMBER && t.n && (t.p[0] == '-' || (t.p[0] >= '0' && t.p[0] <= '9'))) {
            if (wick_decimal_parse(&d, t.p, t.n)) r = wick_re_and2(re, r, wick_re_not(re, wick_num_equal(re, &d)));
        }
    }
    if (type == WICK_T_STRING && n_words) r = wick_re_and2(re, r, wick_re_not(re, wick_re_words(re, words, n_words)));
    return r;
}

static uint32_t scalar_start(wick_js_pool *p, uint32_t spec, uint32_t type)
{
    int k = type == WICK_T_NUMBER;
    wick_js_spec s = p->spec[spec];
    if (s.start[k] != UINT32_MAX) return s.start[k];
    wick_f outs[JS_MAX_OUTS];
    wick_re v[JS_MAX_OUTS + 1];
    uint32_t n = wick_js_list(p, s.outs, outs, JS_MAX_OUTS);
    v[0] = wick_f_language(p->f, s.need, type);
    if (s.must_differ) v[0] = unlike(p, &s, type, v[0]);
    for (uint32_t i = 0; i < n; i++) v[i + 1] = wick_f_language(p->f, outs[i], type);
    uint32_t start = wick_dfa_start(p->f->re, v, n + 1);
    if (wick_f_ok(p->f)) p->spec[spec].start[k] = start;
    return wick_f_ok(p->f) ? start : WICK_DFA_DEAD;
}

/* ---- the end of a value ---- */
static bool finish(wick_js_pool *p, uint32_t frame, uint32_t spec, const bool *truth, const char *text, uint32_t from,
                   uint32_t to, wick_js *out)
{
    if (frame == 0) {
        *out = (wick_js){.mode = JS_END};
        return true;
    }
    uint32_t item = UINT32_MAX;
    if (p->spec[spec].unique != UINT32_MAX) item = wick_js_item_text(p, text + from, to - from);
    uint32_t next = wick_f_ok(p->f) ? wick_js_advance(p, frame, spec, truth, item) : 0;
    *out = (wick_js){.mode = JS_AFTER, .frame = next};
    return next != 0;
}

static bool finish_scalar(wick_js_pool *p, const wick_js *s, const char *text, uint32_t to, wick_js *out)
{
    bool truth[JS_MAX_OUTS];
    if (!wick_dfa_accepts(p->f->re, s->lex)) return false;
    uint32_t n = p->f->re->state[s->lex].n_parts;
    for (uint32_t i = 1; i < n; i++) truth[i - 1] = wick_re_nullable(p->f->re, wick_dfa_part(p->f->re, s->lex, i));
    return finish(p, s->frame, s->aux, truth, text, s->mark, to, out);
}

static const struct {
    const char *text;
    uint32_t type;
} words[] = {{"true", WICK_T_TRUE}, {"false", WICK_T_FALSE}, {"null", WICK_T_NULL}};

static bool finish_word(wick_js_pool *p, const wick_js *s, uint32_t word, const char *text, uint32_t to, wick_js *out)
{
    wick_f outs[JS_MAX_OUTS];
    bool truth[JS_MAX_OUTS];
    uint32_t n = wick_js_list(p, p->spec[s->aux].outs, outs, JS_MAX_OUTS);
    for (uint32_t i = 0; i < n; i++) truth[i] = wick_f_restrict(p->f, outs[i], words[word].type) == WICK_F_TRUE;
    return finish(p, s->frame, s->aux, truth, text, s->mark, to, out);
}

static bool close_frame(wick_js_pool *p, uint32_t frame, const char *text, uint32_t to, wick_js *out)
{
    wick_f outs[JS_MAX_OUTS];
    bool truth[JS_MAX_OUTS];
    if (!wick_js_frame_closes(p, frame)) return false;
    wick_js_frame f = p->frame[frame];
    uint32_t n = wick_js_list(p, f.outs, outs, JS_MAX_OUTS);
    for (uint32_t i = 0; i < n; i++) truth[i] = wick_js_closes(p->f, outs[i]);
    return finish(p, f.parent, f.spec, truth, text, f.start ? f.start - 1 : 0, to, out);
}

/* ---- the beginning of a value ---- */
static bool begin_word(wick_js_pool *p, const wick_js *s, uint32_t word, uint32_t at, wick_js *out)
{
    const wick_js_spec *spec = &p->spec[s->lex];
    if (wick_f_restrict(p->f, spec->need, words[word].type) != WICK_F_TRUE) return false;
    if (spec->must_differ) {
        uint32_t id = wick_js_item_text(p, words[word].text, strlen(words[word].text));
        if (wick_js_list_has(p, p->spec[s->lex].unique, id)) return false;
    }
    *out = (wick_js){.mode = JS_WORD, .frame = s->frame, .lex = word << 8 | 1, .aux = s->lex, .mark = at};
    return true;
}

static bool begin_value(wick_js_pool *p, const wick_js *s, uint8_t byte, uint32_t at, wick_js *out)
{
    uint32_t spec = s->lex, frame;
    switch (byte) {
    case '"':
        *out = (wick_js){.mode = JS_STRING, .frame = s->frame, .aux = spec, .mark = at};
        out->lex = scalar_start(p, spec, WICK_T_STRING);
        return out->lex != WICK_DFA_DEAD;
    case 't': return begin_word(p, s, 0, at, out);
    case 'f': return begin_word(p, s, 1, at, out);
    case 'n': return begin_word(p, s, 2, at, out);
    case '{':
    case '[':
        frame = wick_js_open(p, s->frame, spec, byte == '[', at);
        if (!frame) return false;
        *out = (wick_js){.mode = byte == '[' ? JS_ARRAY : JS_OBJECT, .frame = frame};
        if (byte == '[') out->lex = wick_js_item_spec(p, frame);
        return wick_f_ok(p->f);
    default: break;
    }
    if (byte != '-' && (byte < '0' || byte > '9')) return false;
    uint32_t lex = scalar_start(p, spec, WICK_T_NUMBER);
    if (lex != WICK_DFA_DEAD) lex = wick_dfa_step(p->f->re, lex, byte);
    *out = (wick_js){.mode = JS_NUMBER, .frame = s->frame, .lex = lex, .aux = spec, .mark = at};
    return lex != WICK_DFA_DEAD;
}

/* ---- inside strings ---- */
static uint32_t feed(wick_js_pool *p, uint32_t lex, uint32_t cp)
{
    char b[4];
    unsigned n = wick_utf8_encode(cp, b);
    if (!n) return WICK_DFA_DEAD;
    for (unsigned i = 0; i < n && lex != WICK_DFA_DEAD; i++) lex = wick_dfa_step(p->f->re, lex, (uint8_t)b[i]);
    return lex;
}

/* Whether some character of lo..hi may come. Whole blocks are skipped by their first bytes. */
static bool some_char(wick_js_pool *p, uint32_t lex, uint32_t lo, uint32_t hi)
{
    wick_re_pool *re = p->f->re;
    while (lo <= hi) {
        if (lo >= 0xD800 && lo < 0xE000) lo = 0xE000;
        if (lo > hi) break;
        char b[4];
        unsigned n = wick_utf8_encode(lo, b), i = 0;
        uint32_t s = lex;
        for (; i < n && s != WICK_DFA_DEAD; i++) s = wick_dfa_step(re, s, (uint8_t)b[i]);
        if (s != WICK_DFA_DEAD) return true;
        uint32_t bits = 6 * (n - i); /* dead after i bytes: all that share them are */
        lo = ((lo >> bits) + 1) << bits;
    }
    return false;
}

static bool some_hex(wick_js_pool *p, const wick_js *s, uint32_t acc, uint32_t left)
{
    uint32_t lo = acc << (4 * left), hi = lo | ((1u << (4 * left)) - 1);
    if (s->esc & ESC_HIGH) {
        uint32_t high = (s->esc >> 16 & 0x3FF) << 10;
        if (hi < 0xDC00 || lo > 0xDFFF) return false;
        lo = lo < 0xDC00 ? 0xDC00 : lo;
        hi = hi > 0xDFFF ? 0xDFFF : hi;
        return some_char(p, s->lex, 0x10000 + high + (lo - 0xDC00), 0x10000 + high + (hi - 0xDC00));
    }
    if (some_char(p, s->lex, lo, hi)) return true;
    if (hi < 0xD800 || lo > 0xDBFF) return false;
    lo = lo < 0xD800 ? 0xD800 : lo;
    hi = hi > 0xDBFF ? 0xDBFF : hi;
    return some_char(p, s->lex, 0x10000 + ((lo - 0xD800) << 10), 0x10000 + ((hi - 0xD800) << 10) + 0x3FF);
}

static bool hex_digit(wick_js_pool *p, const wick_js *s, uint8_t byte, wick_js *out)
{
    uint32_t digit, phase = s->esc & 15, acc = s->esc >> 4 & 0xFFF;
    if (byte >= '0' && byte <= '9')
        digit = byte - '0';
    else if ((byte | 0x20) >= 'a' && (byte | 0x20) <= 'f')
        digit = (byte | 0x20u) - 'a' + 10;
    else
        return false;
    acc = acc << 4 | digit;
    if (phase < ESC_HEX3) {
        out->esc = (s->esc & 0xFFFF0000u) | (phase + 1) | acc << 4;
        return some_hex(p, s, acc, ESC_HEX3 - phase);
    }
    if (s->esc & ESC_HIGH) {
        if (acc < 0xDC00 || acc > 0xDFFF) return false;
        acc = 0x10000 + ((s->esc >> 16 & 0x3FF) << 10) + (acc - 0xDC00);
    } else if (acc >= 0xD800 && acc <= 0xDBFF) {
        out->esc = ESC_PAIR | (acc - 0xD800) << 16 | ESC_HIGH;
        return some_char(p, s->lex, 0x10000 + ((acc - 0xD800) << 10), 0x10000 + ((acc - 0xD800) << 10) + 0x3FF);
    }
    out->esc = ESC_NONE;
    out->lex = feed(p, s->lex, acc);
    return out->lex != WICK_DFA_DEAD;
}

static bool in_escape(wick_js_pool *p, const wick_js *s, uint8_t byte, wick_js *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    uint32_t phase = s->esc & 15;
    if (phase == ESC_PAIR || phase == ESC_PAIR_U) {
        if (byte != (phase == ESC_PAIR ? '\\' : 'u')) return false;
        out->esc = (s->esc & 0xFFFF0000u) | (phase == ESC_PAIR ? ESC_PAIR_U : ESC_HEX0);
        return true;
    }
    if (phase != ESC_BACKSLASH) return hex_digit(p, s, byte, out);
    if (byte == 'u') {
        out->esc = ESC_HEX0;
        return some_hex(p, s, 0, 4);
    }
    const char *q = byte ? strchr(from, byte) : NULL;
    if (!q) return false;
    out->esc = ESC_NONE;
    out->lex = feed(p, s->lex, (uint8_t)to[q - from]);
    return out->lex != WICK_DFA_DEAD;
}

/* Some escape can go on from here: the short ones, or \u. */
static bool may_escape(wick_js_pool *p, const wick_js *s)
{
    return some_char(p, s->lex, 0, 0x10FFFF);
}

bool wick_js_decode(wick_buf *out, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (s[i] != '\\') {
            wick_buf_putc(out, s[i]);
            continue;
        }
        static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
        const char *q = ++i < n && s[i] ? strchr(from, s[i]) : NULL;
        if (q) {
            wick_buf_putc(out, to[q - from]);
            continue;
        }
        uint32_t cp = 0, low = 0;
        for (int k = 0; k < 4 && ++i < n; k++) cp = cp << 4 | (uint32_t)((s[i] & 15) + (s[i] > '9' ? 9 : 0));
        if (cp >= 0xD800 && cp < 0xDC00 && n - i > 6) {
            for (size_t k = i + 3; k < i + 7; k++) low = low << 4 | (uint32_t)((s[k] & 15) + (s[k] > '9' ? 9 : 0));
            cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
            i += 6;
        }
        wick_buf_utf8(out, cp);
    }
    return !out->failed;
}

static bool end_key(wick_js_pool *p, const wick_js *s, const char *text, uint32_t at, wick_js *out)
{
    if (!wick_dfa_accepts(p->f->re, s->lex)) return false;
    wick_buf_reset(&p->scratch);
    if (!wick_js_decode(&p->scratch, text + s->mark, at - s->mark)) wick_re_fail(p->f->re, "memory");
    uint32_t key = wick_f_string(p->f, wick_buf_str(&p->scratch), p->scratch.n);
    uint32_t spec = wick_f_ok(p->f) ? wick_js_key_spec(p, s->frame, key) : UINT32_MAX;
    *out = (wick_js){.mode = JS_COLON, .frame = s->frame, .lex = spec};
    return spec != UINT32_MAX;
}

static bool in_string(wick_js_pool *p, const wick_js *s, uint8_t byte, const char *text, uint32_t at, wick_js *out)
{
    *out = *s;
    if (s->esc) return in_escape(p, s, byte, out);
    if (byte == '"') return s->mode == JS_KEY ? end_key(p, s, text, at, out) : finish_scalar(p, s, text, at + 1, out);
    if (byte == '\\') {
        out->esc = ESC_BACKSLASH;
        return may_escape(p, s);
    }
    if (byte < 0x20) return false;
    out->lex = wick_dfa_step(p->f->re, s->lex, byte);
    return out->lex != WICK_DFA_DEAD;
}

/* ---- between values ---- */
static bool begin_key(wick_js_pool *p, const wick_js *s, uint32_t at, wick_js *out)
{
    *out = (wick_js){.mode = JS_KEY, .frame = s->frame, .lex = wick_js_key_start(p, s->frame), .mark = at + 1};
    return out->lex != WICK_DFA_DEAD;
}

static bool after_value(wick_js_pool *p, const wick_js *s, uint8_t byte, const char *text, uint32_t at, wick_js *out)
{
    bool array = p->frame[s->frame].array;
    if (byte == (array ? ']' : '}')) return close_frame(p, s->frame, text, at + 1, out);
    if (byte != ',') return false;
    if (!array) {
        *out = (wick_js){.mode = JS_NEXT_KEY, .frame = s->frame};
        return wick_js_key_start(p, s->frame) != WICK_DFA_DEAD;
    }
    *out = (wick_js){.mode = JS_VALUE, .frame = s->frame, .lex = wick_js_item_spec(p, s->frame)};
    return out->lex != UINT32_MAX;
}

static bool in_number(wick_js_pool *p, const wick_js *s, uint8_t byte, const char *text, uint32_t at, wick_js *out)
{
    wick_js after;
    *out = *s;
    out->lex = wick_dfa_step(p->f->re, s->lex, byte);
    if (out->lex != WICK_DFA_DEAD) return true;
    if (byte != ',' && byte != '}' && byte != ']' && !is_ws(byte)) return false;
    return finish_scalar(p, s, text, at, &after) && wick_js_step(p, &after, byte, text, at, out);
}

bool wick_js_start(wick_js_pool *p, wick_f f, wick_js *out)
{
    *out = (wick_js){.mode = JS_VALUE, .lex = wick_js_top_spec(p, f)};
    return out->lex != UINT32_MAX && wick_f_ok(p->f);
}

bool wick_js_step(wick_js_pool *p, const wick_js *s, uint8_t byte, const char *text, uint32_t at, wick_js *out)
{
    if (s->mode == JS_STRING || s->mode == JS_KEY) return in_string(p, s, byte, text, at, out);
    if (s->mode == JS_NUMBER) return in_number(p, s, byte, text, at, out);
    if (s->mode == JS_WORD) {
        uint32_t word = s->lex >> 8, n = s->lex & 255;
        if ((uint8_t)words[word].text[n] != byte) return false;
        *out = *s;
        out->lex++;
        return words[word].text[n + 1] ? true : finish_word(p, s, word, text, at + 1, out);
    }
    if (is_ws(byte)) {
        *out = *s;
        if (p->opt.max_ws == UINT16_MAX) return true;
        out->ws++;
        return s->ws < p->opt.max_ws;
    }
    switch ((wick_js_mode)s->mode) {
    case JS_VALUE: return begin_value(p, s, byte, at, out);
    case JS_ARRAY:
        if (byte == ']') return close_frame(p, s->frame, text, at + 1, out);
        return s->lex != UINT32_MAX && begin_value(p, s, byte, at, out);
    case JS_OBJECT:
        if (byte == '}') return close_frame(p, s->frame, text, at + 1, out);
        return byte == '"' && begin_key(p, s, at, out);
    case JS_NEXT_KEY: return byte == '"' && begin_key(p, s, at, out);
    case JS_COLON: *out = (wick_js){.mode = JS_VALUE, .frame = s->frame, .lex = s->lex}; return byte == ':';
    case JS_AFTER: return after_value(p, s, byte, text, at, out);
    default: return false;
    }
}

bool wick_js_may_end(wick_js_pool *p, const wick_js *s)
{
    return s->mode == JS_END || (s->mode == JS_NUMBER && s->frame == 0 && wick_dfa_accepts(p->f->re, s->lex));
}

bool wick_js_repeats(const wick_js_pool *p, const wick_js *s)
{
    const wick_js_frame *f = &p->frame[s->frame];
    if (f->textual) return false;
    if (s->mode == JS_KEY) return f->n_seen <= 64;
    uint32_t spec = s->mode == JS_STRING || s->mode == JS_NUMBER || s->mode == JS_WORD ? s->aux
                    : s->mode == JS_VALUE || s->mode == JS_ARRAY                       ? s->lex
                                                                                       : UINT32_MAX;
    return spec == UINT32_MAX || p->spec[spec].unique == UINT32_MAX;
}
