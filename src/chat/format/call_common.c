/* chat/format/call_common.c - what the syntaxes of calls share: names, ids, a literal that streams, arguments after a
 * name. */
#include "chat/format/call.h"

const json_t *wick_tc_tool(const json_t *tools, const char *name, size_t n)
{
    size_t i;
    const json_t *t;
    json_array_foreach(tools, i, t)
    {
        const json_t *fn = json_object_get(t, "function"), *v = json_object_get(fn ? fn : t, "name");
        if (json_is_string(v) && json_string_length(v) == n && memcmp(json_string_value(v), name, n) == 0)
            return fn ? fn : t;
    }
    return NULL;
}

wick_tc_step wick_tc_set_name(wick_tc_cur *c, const char *s, size_t n)
{
    if (n == 0 || n > WICK_TC_NAME_MAX || !wick_tc_valid(s, n)) return WICK_TC_BAD;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= ' ' || s[i] == 0x7F) return WICK_TC_BAD;
    if (!c->marked && c->tools && !wick_tc_tool(c->tools, s, n)) return WICK_TC_BAD;
    wick_buf_reset(&c->name);
    wick_buf_add(&c->name, s, n);
    c->has_name = true;
    return c->name.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

wick_tc_step wick_tc_set_id(wick_tc_cur *c, const char *s, size_t n)
{
    wick_buf_reset(&c->id);
    if (n == 0 || n > WICK_TC_NAME_MAX || !wick_tc_valid(s, n)) return WICK_TC_OK;
    wick_buf_add(&c->id, s, n);
    return c->id.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

/* What ends a call when brackets were forgotten: the row's markers, or the end of the text. */
static wick_tc_step ends_here(const wick_tc_cur *c)
{
    size_t len;
    if (c->i == c->n && c->end) return WICK_TC_OK;
    const wick_tc_step close = wick_tc_any(c, c->i, c->f->close, 3, &len);
    const wick_tc_step skip = close == WICK_TC_OK ? close : wick_tc_any(c, c->i, c->f->skip, 4, &len);
    return skip == WICK_TC_BAD ? close : skip;
}

wick_tc_step wick_tc_literal(wick_tc_cur *c, bool may_be_sure)
{
    wick_tc_step st = WICK_TC_OK;
    while (!c->lit.done && c->i < c->n) {
        st = wick_lit_byte(&c->lit, c->s[c->i]);
        if (st != WICK_TC_OK) break;
        c->i++;
    }
    if (c->lit.started && may_be_sure) c->sure = true;
    if (c->lit.done) return WICK_TC_OK;
    if (st == WICK_TC_NOMEM || (st == WICK_TC_OK && !c->end)) return st == WICK_TC_OK ? WICK_TC_MORE : st;
    st = ends_here(c);
    if (st != WICK_TC_OK) return st;
    if (!wick_lit_close(&c->lit)) return WICK_TC_BAD;
    if (may_be_sure) c->sure = true;
    return c->args.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

size_t wick_tc_past_space(const wick_tc_cur *c, size_t at)
{
    const size_t most = at + WICK_TC_SPACE_MAX;
    while (at < c->n && at < most && wick_tc_is_space(c->s[at])) at++;
    return at;
}

/* Past ``` and a word, if they are there. */
static wick_tc_step fence(wick_tc_cur *c)
{
    const wick_tc_step st = wick_tc_lit(c, "```");
    if (st != WICK_TC_OK) return st == WICK_TC_MORE ? st : WICK_TC_OK;
    while (c->i < c->n && c->s[c->i] >= 'a' && c->s[c->i] <= 'z') c->i++;
    wick_tc_space(c);
    return WICK_TC_OK;
}

wick_tc_step wick_tc_args(wick_tc_cur *c)
{
    enum { BEGIN = 100, INSIDE };
    if (c->phase < BEGIN) {
        c->phase = BEGIN;
        wick_buf_reset(&c->args);
    }
    if (c->phase == BEGIN) {
        wick_tc_space(c);
        const size_t at = c->i;
        WICK_TC_TRY(fence(c));
        if (c->i == c->n) {
            c->i = at;
            return c->end ? WICK_TC_BAD : WICK_TC_MORE;
        }
        if (c->s[c->i] != '{') return WICK_TC_BAD;
        wick_lit_init(&c->lit, WICK_LIT_JSON, NULL, c->lim->max_depth, &c->args);
        c->phase = INSIDE;
    }
    return wick_tc_literal(c, true);
}
