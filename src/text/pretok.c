/* text/pretok.c - cuts a part of the text into words by the pre-tokenizer list.
 *
 * Steps see spans of one text; those that change characters (Metaspace, ByteLevel) write a new text. Two texts and
 * two span lists take turns. A final ByteLevel step leaves raw bytes when the model takes them (tok.h, invariant 2).
 */
#include <string.h>
#include "text/tok.h"
#include "text/unicode.h"

typedef struct cut { /* gathers matches and gaps of one span, and writes what the behaviour makes of them */
    wick_spans *out;
    wick_split_how how;
    bool invert;
    uint32_t base; /* where the span begins */
    bool first;
    bool have; /* a piece is pending */
    bool last_was_match;
    uint32_t from, to; /* the pending piece */
} cut;

static void emit(cut *c, uint32_t from, uint32_t to)
{
    wick_spans_add(c->out, c->base + from, to - from, c->first && from == 0);
}

/* The next stretch in order. WITH_NEXT looks ahead: a match waits for what follows it. */
static void put(cut *c, size_t a, size_t b, bool match)
{
    uint32_t from = (uint32_t)a, to = (uint32_t)b;
    if (c->invert) match = !match;
    switch (c->how) {
    case SPLIT_REMOVED:
        if (!match) emit(c, from, to);
        return;
    case SPLIT_ISOLATED: emit(c, from, to); return;
    case SPLIT_CONTIGUOUS:
        if (c->have && match == c->last_was_match) {
            c->to = to;
        } else {
            if (c->have) emit(c, c->from, c->to);
            c->from = from;
            c->to = to;
        }
        break;
    case SPLIT_WITH_PREVIOUS:
        if (c->have && match && !c->last_was_match) {
            c->to = to;
        } else {
            if (c->have) emit(c, c->from, c->to);
            c->from = from;
            c->to = to;
        }
        break;
    case SPLIT_WITH_NEXT: /* from the right: a match joins a gap that follows it */
        if (c->have && c->last_was_match && !match) {
            c->to = to;
        } else {
            if (c->have) emit(c, c->from, c->to);
            c->from = from;
            c->to = to;
        }
        break;
    }
    c->have = true;
    c->last_was_match = match;
}

static void finish(cut *c)
{
    if (c->have) emit(c, c->from, c->to);
}

static cut begin(wick_spans *out, wick_span s, wick_split_how how, bool invert)
{
    cut c = {.out = out, .how = how, .invert = invert, .base = s.off, .first = s.first};
    return c;
}

static wick_status split_regex(wick_enc *e, const wick_regex *r, const char *p, wick_span s, wick_split_how how,
                               bool invert, wick_spans *out, wick_err *err)
{
    cut c = begin(out, s, how, invert);
    size_t at = 0, prev = 0, last_end = SIZE_MAX, a, b;
    p += s.off;
    while (at <= s.len) {
        WICK_TRY(wick_regex_next(r, &e->run, p, s.len, at, &a, &b, err));
        if (a == SIZE_MAX) break;
        if (a != b || a != last_end) { /* an empty match right behind the last one does not count */
            if (prev != a) put(&c, prev, a, false);
            put(&c, a, b, true);
            prev = last_end = b;
        }
        at = b;
        if (a == b) {
            at++;
            while (at < s.len && ((unsigned char)p[at] & 0xC0) == 0x80) at++;
        }
    }
    if (prev != s.len) put(&c, prev, s.len, false);
    finish(&c);
    return WICK_OK;
}

typedef bool (*char_test)(uint32_t c, const void *arg);

static bool test_space(uint32_t c, const void *arg)
{
    (void)arg;
    return wick_uni_space(c);
}
static bool test_numeric(uint32_t c, const void *arg)
{
    (void)arg;
    return wick_uni_numeric(c);
}
static bool test_punctuation(uint32_t c, const void *arg)
{
    (void)arg;
    return wick_uni_punctuation(c);
}
static bool test_same(uint32_t c, const void *arg)
{
    return c == *(const uint32_t *)arg;
}

static void split_chars(const char *p, wick_span s, char_test test, const void *arg, wick_split_how how,
                        wick_spans *out)
{
    cut c = begin(out, s, how, false);
    size_t gap = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        unsigned k = wick_utf8_next(p + s.off + i, s.len - i, &cp);
        if (test(cp, arg)) {
            if (gap != i) put(&c, gap, i, false);
            put(&c, i, i + k, true);
            gap = i + k;
        }
        i += k;
    }
    if (gap != s.len) put(&c, gap, s.len, false);
    finish(&c);
}

/* Metaspace: spaces become the replacement, one is put in front, then a cut before each. Writes a new text. */
static void metaspace(const wick_pre *op, const char *p, wick_span s, wick_buf *text, wick_spans *out)
{
    uint32_t start = (uint32_t)text->n, mark;
    wick_str in = {p + s.off, s.len};
    wick_utf8_next(op->with.p, op->with.n, &mark);
    bool has = in.n && (in.p[0] == ' ' || (in.n >= op->with.n && memcmp(in.p, op->with.p, op->with.n) == 0));
    if (!has && (op->prepend == PREPEND_ALWAYS || (op->prepend == PREPEND_FIRST && s.first)))
        wick_buf_add(text, op->with.p, op->with.n);
    for (size_t i = 0; i < in.n; i++) {
        if (in.p[i] == ' ')
            wick_buf_add(text, op->with.p, op->with.n);
        else
            wick_buf_putc(text, in.p[i]);
    }
    if (text->failed) return;
    wick_span whole = {start, (uint32_t)text->n - start, s.first};
    if (op->flag)
        split_chars(text->data, whole, test_same, &mark, SPLIT_WITH_NEXT, out);
    else
        wick_spans_add(out, whole.off, whole.len, whole.first);
}

static void fixed_length(const wick_pre *op, const char *p, wick_span s, wick_spans *out)
{
    size_t from = 0;
    uint32_t count = 0;
    for (size_t i = 0; i < s.len;) {
        uint32_t cp;
        i += wick_utf8_next(p + s.off + i, s.len - i, &cp);
        if (++count == op->length || i == s.len) {
            wick_spans_add(out, s.off + (uint32_t)from, (uint32_t)(i - from), s.first && from == 0);
            from = i;
            count = 0;
        }
    }
}

/* ByteLevel writes a new text only where it must: a prefix space, or the byte alphabet for the steps behind it. */
static wick_status byte_level(wick_enc *e, const wick_pre *op, const char *p, wick_span s, bool map, wick_buf *text,
                              wick_spans *out, wick_err *err)
{
    bool prefix = op->flag && s.len && p[s.off] != ' ';
    wick_span whole = s;
    if (!map) { /* raw bytes stay; everything goes to the new text to keep one text per step */
        whole.off = (uint32_t)text->n;
        whole.len = s.len + prefix;
        if (prefix) wick_buf_putc(text, ' ');
        wick_buf_add(text, p + s.off, s.len);
        if (text->failed) return WICK_OK;
        if (op->regex) return split_regex(e, op->regex, text->data, whole, SPLIT_ISOLATED, false, out, err);
        wick_spans_add(out, whole.off, whole.len, whole.first);
        return WICK_OK;
    }
    wick_spans words = {0};
    wick_buf *b = &e->scratch;
    wick_buf_reset(b);
    if (prefix) wick_buf_putc(b, ' ');
    wick_buf_add(b, p + s.off, s.len);
    if (b->failed) return wick_enc_oom(err);
    whole.off = 0;
    whole.len = (uint32_t)b->n;
    wick_status st = WICK_OK;
    if (op->regex)
        st = split_regex(e, op->regex, b->data, whole, SPLIT_ISOLATED, false, &words, err);
    else
        wick_spans_add(&words, 0, whole.len, s.first);
    for (size_t i = 0; st == WICK_OK && i < words.n; i++) {
        uint32_t at = (uint32_t)text->n;
        wick_byte_level_encode(text, b->data + words.v[i].off, words.v[i].len);
        wick_spans_add(out, at, (uint32_t)text->n - at, words.v[i].first);
    }
    if (words.failed) out->failed = true;
    wick_spans_release(&words);
    return st;
}

static wick_status step(wick_enc *e, const wick_pre *op, const char *p, wick_span s, bool map, wick_buf *text,
                        wick_spans *out, wick_err *err)
{
    switch (op->kind) {
    case PRE_SPLIT: return split_regex(e, op->regex, p, s, op->how, op->invert, out, err);
    case PRE_SCRIPTS: return split_regex(e, op->regex, p, s, SPLIT_REMOVED, true, out, err);
    case PRE_METASPACE: metaspace(op, p, s, text, out); break;
    case PRE_DIGITS: split_chars(p, s, test_numeric, NULL, op->flag ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, out); break;
    case PRE_PUNCTUATION: split_chars(p, s, test_punctuation, NULL, op->how, out); break;
    case PRE_WHITESPACE_SPLIT: split_chars(p, s, test_space, NULL, SPLIT_REMOVED, out); break;
    case PRE_CHAR: {
        uint32_t c;
        wick_utf8_next(op->with.p, op->with.n, &c);
        split_chars(p, s, test_same, &c, SPLIT_REMOVED, out);
        break;
    }
    case PRE_BERT: {
        wick_spans words = {0};
        split_chars(p, s, test_space, NULL, SPLIT_REMOVED, &words);
        for (size_t i = 0; i < words.n; i++) split_chars(p, words.v[i], test_punctuation, NULL, SPLIT_ISOLATED, out);
        if (words.failed) out->failed = true;
        wick_spans_release(&words);
        break;
    }
    case PRE_FIXED_LENGTH: fixed_length(op, p, s, out); break;
    case PRE_BYTE_LEVEL: return byte_level(e, op, p, s, map, text, out, err);
    case PRE_SAFE_CUTS: wick_cuts_run(op->cuts, p, s, out); break;
    }
    return WICK_OK;
}

wick_status wick_pre_run(wick_enc *e, wick_str in, bool first, const char **text, const wick_spans **out, wick_err *err)
{
    const wick_tokenizer *t = e->t;
    int cur = 0, which = 0;
    const char *p = in.p;
    e->spans[0].n = 0;
    wick_spans_add(&e->spans[0], 0, (uint32_t)in.n, first);
    if (e->spans[0].failed) return wick_enc_oom(err);
    for (uint32_t i = 0; i < t->n_pre; i++) {
        const wick_pre *op = &t->pre[i];
        wick_spans *from = &e->spans[cur], *to = &e->spans[!cur];
        wick_buf *b = &e->text[which];
        bool last = i + 1 == t->n_pre;
        bool map = op->kind == PRE_BYTE_LEVEL && !(last && t->model.byte_level);
        /* raw bytes without a prefix: the words are spans of the text that is there */
        bool in_place = op->kind != PRE_METASPACE && (op->kind != PRE_BYTE_LEVEL || (!map && !op->flag));
        if (in_place && op->kind == PRE_BYTE_LEVEL && !op->regex) continue;
        to->n = 0;
        wick_buf_reset(b);
        for (size_t k = 0; k < from->n; k++) {
            if (in_place && op->kind == PRE_BYTE_LEVEL)
                WICK_TRY(split_regex(e, op->regex, p, from->v[k], SPLIT_ISOLATED, false, to, err));
            else
                WICK_TRY(step(e, op, p, from->v[k], map, b, to, err));
        }
        if (to->failed || b->failed) return wick_enc_oom(err);
        if (!in_place) {
            p = b->data ? b->data : "";
            which = !which;
        }
        cur = !cur;
    }
    if (e->spans[cur].failed) return wick_enc_oom(err);
    *text = p;
    *out = &e->spans[cur];
    return WICK_OK;
}
