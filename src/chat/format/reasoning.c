/* chat/format/reasoning.c - see reasoning.h.
 *
 * An automaton over (state, held bytes): after every byte that may matter, step() runs until it can do no more. So the
 * result depends on the text alone, not on its deltas. Held bytes are white space followed by the start of a tag, or a
 * harmony header; both are bounded, and what passes the bound is text. */
#include "chat/format/reasoning.h"
#include <string.h>
enum { SPACE_MAX = 256 };

static const wick_think_syntax plain_family = {.open = ""};

static const char h_start[] = "<|start|>", h_channel[] = "<|channel|>", h_message[] = "<|message|>",
                  h_call[] = "<|call|>", h_to[] = "to=";
static const char *const h_ends[] = {"<|end|>", "<|return|>", h_call};

typedef enum { NO, PART, YES } match;

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static size_t n_space(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && is_space(s[i])) i++;
    return i;
}

static match match_tag(const char *s, size_t n, const char *tag)
{
    const size_t m = tag ? strlen(tag) : 0;
    if (m == 0 || memcmp(s, tag, n < m ? n : m) != 0) return NO;
    return n < m ? PART : YES;
}

static bool tag_ok(const char *tag)
{
    return tag && *tag && strlen(tag) <= WICK_REASONING_TAG_MAX;
}

static void set(wick_reasoning *r, const wick_think_syntax *t, bool inside)
{
    *r = (wick_reasoning){.family = t ? t : &plain_family, .state = WICK_REASONING_OUT, .out = r->out, .user = r->user};
    if (!t) return;
    r->open = t->open;
    r->close = t->close;
    r->state = inside ? WICK_REASONING_IN : WICK_REASONING_START;
    r->trim = r->dup = inside;
}

void wick_reasoning_begin(wick_reasoning *r, const wick_think_syntax *t, bool inside)
{
    set(r, t, inside);
}

wick_status wick_reasoning_init_tags(wick_reasoning *r, const char *open, const char *close, bool inside, wick_err *err)
{
    if (open && close && (!tag_ok(open) || !tag_ok(close)))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "reasoning tag", "a reasoning tag needs 1 to %d bytes",
                         (int)WICK_REASONING_TAG_MAX);
    set(r, NULL, false);
    if (!tag_ok(open) || !tag_ok(close)) return WICK_OK;
    r->open = open;
    r->close = close;
    r->state = inside ? WICK_REASONING_IN : WICK_REASONING_START;
    r->trim = r->dup = inside;
    return WICK_OK;
}

static void emit(wick_reasoning *r, const char *s, size_t n)
{
    const bool in = r->state == WICK_REASONING_IN;
    if (n == 0) return;
    if (in ? r->trim && r->any_thought : r->fresh && r->any_content) r->out(r->user, in, "\n", 1);
    r->out(r->user, in, s, n);
    *(in ? &r->any_thought : &r->any_content) = true;
    r->trim = r->dup = r->fresh = false;
}

static void drop_held(wick_reasoning *r, size_t n)
{
    r->n_held -= n;
    memmove(r->held, r->held + n, r->n_held);
}

static void emit_held(wick_reasoning *r, size_t n)
{
    emit(r, r->held, n);
    drop_held(r, n);
}

/* What a tag at `at` in the held bytes means in this state. YES: state and held are as they should be after it. */
static match take(wick_reasoning *r, const char *tag, size_t at, bool keep, int state)
{
    const match m = match_tag(r->held + at, r->n_held - at, tag);
    if (m != YES) return m;
    drop_held(r, keep ? at : at + strlen(tag));
    r->trim = state == WICK_REASONING_IN || r->state == WICK_REASONING_IN || (r->trim && !keep);
    r->state = (unsigned)state;
    return YES;
}

static match either(match a, match b)
{
    return a > b ? a : b;
}

static match harmony_tags(wick_reasoning *r, size_t at)
{
    match m = NO;
    for (size_t i = 0; i < sizeof h_ends / sizeof *h_ends && m != YES; i++)
        m = either(m, take(r, h_ends[i], at, false, WICK_REASONING_OUT));
    if (m != YES) m = either(m, take(r, h_start, at, true, WICK_REASONING_HEADER));
    if (m != YES) m = either(m, take(r, h_channel, at, true, WICK_REASONING_HEADER));
    return m;
}

/* May the tag that ends the answer come? */
static bool wrapped(const wick_reasoning *r)
{
    return r->family->wrap[1] && (r->wrapped || (!r->family->wrap[0] && r->any_thought));
}

static match wrapper(wick_reasoning *r, size_t at, bool begins)
{
    match m = begins ? take(r, r->family->wrap[0], at, false, WICK_REASONING_OUT) : NO;
    if (m == YES) r->wrapped = r->trim = true;
    if (m != YES && wrapped(r)) m = either(m, take(r, r->family->wrap[1], at, false, WICK_REASONING_OUT));
    return m;
}

/* Tags that count in the present state, at `at`. */
static match any_tag(wick_reasoning *r, size_t at)
{
    const bool in = r->state == WICK_REASONING_IN, start = r->state == WICK_REASONING_START;
    match m = NO;
    if (r->family->harmony) {
        m = harmony_tags(r, at);
        if (start && m == NO) m = take(r, h_to, at, true, WICK_REASONING_HEADER);
        return m;
    }
    if (in) m = take(r, r->close, at, false, WICK_REASONING_OUT);
    if (!in && !start && r->stray) {
        m = take(r, r->close, at, false, WICK_REASONING_OUT);
        r->stray = m != YES;
    }
    if (m != YES && (r->dup || start || (!in && (r->family->anywhere || r->trim))))
        m = either(m, take(r, r->open, at, false, WICK_REASONING_IN));
    for (size_t i = 0; i < WICK_THINK_MAX_DROP && !in && m != YES && r->family->drop[i]; i++) {
        m = either(m, take(r, r->family->drop[i], at, false, WICK_REASONING_OUT));
        if (m == YES && strcmp(r->family->drop[i], r->close) != 0) r->trim = true;
    }
    return in || m == YES ? m : either(m, wrapper(r, at, start || r->trim));
}

/* START, IN and OUT: false when more text is needed. */
static bool step_text(wick_reasoning *r)
{
    const size_t space = n_space(r->held, r->n_held);
    const bool start = r->state == WICK_REASONING_START;
    if (r->state == WICK_REASONING_OUT && space > 0) {
        if (r->trim)
            drop_held(r, space);
        else
            emit_held(r, space);
        return true;
    }
    if (space == r->n_held) {
        if (space < SPACE_MAX) return false;
        if (start) r->state = WICK_REASONING_OUT;
        if (r->trim)
            drop_held(r, space);
        else
            emit_held(r, space);
        return true;
    }
    const match m = any_tag(r, space);
    if (m == PART) return false;
    if (m == YES) return true;
    if (start) r->state = WICK_REASONING_OUT;
    if (r->trim) drop_held(r, space);
    emit_held(r, r->trim ? 1 : space + 1);
    return true;
}

static bool ends_with(const char *s, size_t n, const char *tail)
{
    const size_t m = strlen(tail);
    return n >= m && memcmp(s + n - m, tail, m) == 0;
}

/* HEADER: held is <|start|>... or <|channel|>... or to=... up to <|message|>. */
static bool step_header(wick_reasoning *r)
{
    static const char analysis[] = "analysis";
    const char *h = r->held, *ch;
    if (!ends_with(h, r->n_held, h_message)) {
        if (r->n_held < WICK_REASONING_HELD_MAX) return false;
        r->state = WICK_REASONING_OUT;
        emit_held(r, r->n_held);
        return true;
    }
    if (memmem(h, r->n_held, h_to, sizeof h_to - 1)) {
        r->state = WICK_REASONING_RAW;
        r->fresh = false;
        if (h[0] != '<') {
            emit(r, "<|start|>assistant ", 19);
        }
        emit_held(r, r->n_held);
        return true;
    }
    ch = memmem(h, r->n_held, h_channel, sizeof h_channel - 1);
    if (ch) ch += sizeof h_channel - 1;
    const size_t left = ch ? r->n_held - (size_t)(ch - h) : 0, skip = ch ? n_space(ch, left) : 0;
    const bool thought = ch && match_tag(ch + skip, left - skip, analysis) == YES;
    r->state = thought ? WICK_REASONING_IN : WICK_REASONING_OUT;
    r->trim = true;
    r->fresh = !thought;
    r->n_held = 0;
    return true;
}

/* RAW: a message to a tool, up to and with the marker that ends it. */
static bool step_raw(wick_reasoning *r)
{
    match m = match_tag(r->held, r->n_held, h_start);
    if (m == YES) {
        r->state = WICK_REASONING_HEADER;
        return true;
    }
    for (size_t i = 0; i < sizeof h_ends / sizeof *h_ends; i++) {
        const match e = match_tag(r->held, r->n_held, h_ends[i]);
        if (e == YES) {
            emit_held(r, strlen(h_ends[i]));
            r->state = WICK_REASONING_OUT;
            r->trim = true;
            return true;
        }
        m = either(m, e);
    }
    if (m == PART) return false;
    emit_held(r, 1);
    return true;
}

static void run(wick_reasoning *r)
{
    bool more = true;
    while (more && r->n_held > 0) {
        if (r->state == WICK_REASONING_HEADER)
            more = step_header(r);
        else if (r->state == WICK_REASONING_RAW)
            more = step_raw(r);
        else
            more = step_text(r);
    }
}

/* Bytes from the start of text that are certain to be plain text now. */
static size_t n_plain(const wick_reasoning *r, const char *text, size_t n)
{
    size_t i = 0;
    if (r->n_held > 0 || r->trim || r->state == WICK_REASONING_START || r->state == WICK_REASONING_HEADER) return 0;
    if (r->state == WICK_REASONING_OUT && !r->family->anywhere && !r->stray && !wrapped(r)) return n;
    const bool in = r->state == WICK_REASONING_IN;
    const char close = in || r->stray ? *r->close : wrapped(r) ? *r->family->wrap[1] : '<';
    while (i < n && text[i] != '<' && text[i] != *r->open && text[i] != close && !(in && is_space(text[i]))) i++;
    return i;
}

void wick_reasoning_feed(wick_reasoning *r, const char *text, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t plain = n_plain(r, text + i, n - i);
        if (plain > 0) {
            emit(r, text + i, plain);
            i += plain;
            continue;
        }
        r->held[r->n_held++] = text[i++];
        run(r);
    }
}

void wick_reasoning_end(wick_reasoning *r)
{
    const size_t space = n_space(r->held, r->n_held);
    /* A header without its message has no text. */
    if (r->state != WICK_REASONING_HEADER || r->held[0] != '<') {
        if (r->state == WICK_REASONING_HEADER) r->state = WICK_REASONING_OUT;
        if (r->trim) drop_held(r, space);
        emit_held(r, r->n_held);
    }
    r->n_held = 0;
}

void wick_reasoning_interrupt(wick_reasoning *r)
{
    size_t n = r->n_held;
    if (r->state == WICK_REASONING_RAW || r->state == WICK_REASONING_HEADER || r->family->harmony) return;
    while (n > 0 && is_space(r->held[n - 1])) n--;
    if (r->state == WICK_REASONING_IN) {
        if (n > 0) emit(r, r->held, n);
        r->stray = true;
    } else if (n > 0) {
        r->state = WICK_REASONING_OUT;
        emit(r, r->held, n);
    }
    r->n_held = 0;
    if (r->open) r->state = r->state == WICK_REASONING_IN ? WICK_REASONING_OUT : r->state;
    r->dup = false;
    r->trim = r->trim || r->stray;
}

bool wick_reasoning_at_start(const wick_reasoning *r)
{
    return (r->state == WICK_REASONING_START || r->state == WICK_REASONING_OUT) && !r->any_content && r->n_held == 0;
}
