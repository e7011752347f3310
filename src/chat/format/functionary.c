/* chat/format/functionary.c - functionary v3.2: >>>f, a newline, JSON; >>>all is text; >>>python takes code as it
 * is. */
#include "chat/format/call.h"

enum { NAME, BODY, CODE = 200 };

static wick_tc_step code_stop(const wick_tc_cur *c, size_t at, size_t *len)
{
    if (at == c->n && c->end) return WICK_TC_OK;
    const wick_tc_step st = wick_tc_peek_at(c, at, ">>>");
    *len = 0; /* it opens what follows */
    return st;
}

wick_tc_step wick_tc_functionary_call(wick_tc_cur *c)
{
    wick_str name;
    if (c->phase == NAME) {
        const size_t at = c->i;
        const wick_tc_step st = wick_tc_ident(c, &name);
        if (st == WICK_TC_MORE) c->i = at;
        if (st != WICK_TC_OK) return st;
        if (c->s[c->i] != '\n') return WICK_TC_BAD;
        c->i++;
        if (name.n == 3 && memcmp(name.p, "all", 3) == 0) return WICK_TC_PLAIN;
        const bool python = name.n == 6 && memcmp(name.p, "python", 6) == 0;
        c->marked = python;
        WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
        c->nested = python;
        c->phase = BODY;
    }
    if (c->phase == BODY) {
        wick_tc_space(c);
        if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
        if (c->nested && c->s[c->i] != '{') {
            c->phase = CODE;
            c->sure = true;
        }
    }
    if (c->phase == CODE) return wick_tc_flow(c, code_stop, WICK_TC_BLANKS, &c->args, false);
    return wick_tc_args(c);
}
