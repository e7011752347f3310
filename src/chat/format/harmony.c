/* chat/format/harmony.c - gpt-oss: a message whose header names a recipient is a call. Arguments are JSON; other text
 * is for tools that take text, where the header says nothing of JSON. */
#include "chat/format/call.h"

enum { HEADER, BODY, PLAIN_TEXT = 200 };

/* The recipient in a header. False: it has none. */
static bool recipient(wick_str header, wick_str *name)
{
    static const char prefix[] = "functions.";
    const char *at = memmem(header.p, header.n, "to=", 3), *end = header.p + header.n;
    if (!at) return false;
    *name = (wick_str){at + 3, 0};
    while (name->p + name->n < end && !wick_tc_is_space(name->p[name->n]) && name->p[name->n] != '<') name->n++;
    if (name->n > sizeof prefix - 1 && memcmp(name->p, prefix, sizeof prefix - 1) == 0) {
        name->p += sizeof prefix - 1;
        name->n -= sizeof prefix - 1;
    }
    return true;
}

static wick_tc_step header(wick_tc_cur *c)
{
    static const char message[] = "<|message|>";
    const size_t left = c->n - c->i, most = left < WICK_TC_HEADER_MAX ? left : WICK_TC_HEADER_MAX;
    const char *s = c->s + c->i, *hit = memmem(s, most, message, sizeof message - 1);
    wick_str name;
    c->harmless = true;
    if (!hit) return left < WICK_TC_HEADER_MAX && !c->end ? WICK_TC_MORE : WICK_TC_BAD;
    const size_t n = (size_t)(hit - s);
    if (!recipient((wick_str){s, n}, &name)) return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
    const char *after = name.p + name.n;
    c->nested = memmem(after, (size_t)(hit - after), "json", 4) != NULL;
    c->harmless = false;
    c->i += n + sizeof message - 1;
    c->phase = BODY;
    return WICK_TC_OK;
}

static wick_tc_step text_stop(const wick_tc_cur *c, size_t at, size_t *len)
{
    static const char *const ends[] = {"<|call|>", "<|end|>", "<|return|>"};
    if (at == c->n && c->end) return WICK_TC_OK;
    return wick_tc_any(c, at, ends, 3, len);
}

wick_tc_step wick_tc_harmony_call(wick_tc_cur *c)
{
    if (c->phase == HEADER) WICK_TC_TRY(header(c));
    if (c->phase == BODY) {
        size_t len;
        wick_tc_space(c);
        if (c->i == c->n && !c->end) return WICK_TC_MORE;
        if (c->i == c->n || text_stop(c, c->i, &len) == WICK_TC_OK) return WICK_TC_BAD;
        if (c->nested || c->s[c->i] == '{') return wick_tc_args(c);
        if (text_stop(c, c->i, &len) == WICK_TC_MORE) return WICK_TC_MORE;
        c->phase = PLAIN_TEXT;
        c->sure = true;
    }
    if (c->phase == PLAIN_TEXT) return wick_tc_flow(c, text_stop, WICK_TC_BLANKS, &c->args, false);
    return wick_tc_args(c);
}
