/* chat/format/python.c - calls as Python writes them, f(a=1, b="x"), and Gemma's, call:f{a:1}. */
#include "chat/format/call.h"

wick_tc_step wick_tc_python_call(wick_tc_cur *c)
{
    wick_str name;
    if (c->phase == 0) {
        const size_t at = c->i;
        if (c->i < c->n && c->s[c->i] >= '0' && c->s[c->i] <= '9') return WICK_TC_BAD;
        const wick_tc_step st = wick_tc_ident(c, &name);
        if (st == WICK_TC_MORE) c->i = at;
        if (st != WICK_TC_OK) return st;
        if (c->s[c->i] != '(') return WICK_TC_BAD;
        WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
        c->i++;
        wick_buf_reset(&c->args);
        wick_lit_init(&c->lit, WICK_LIT_MEMBERS, NULL, c->lim->max_depth, &c->args);
        c->phase = 1;
    }
    return wick_tc_literal(c, true);
}

wick_tc_step wick_tc_gemma_call(wick_tc_cur *c)
{
    wick_str name;
    if (c->phase == 0) {
        const size_t at = c->i;
        wick_tc_step st = wick_tc_lit(c, "call:");
        if (st == WICK_TC_OK) st = wick_tc_ident(c, &name);
        if (st == WICK_TC_MORE) c->i = at;
        if (st != WICK_TC_OK) return st;
        if (c->s[c->i] != '{') return WICK_TC_BAD;
        WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
        wick_buf_reset(&c->args);
        wick_lit_init(&c->lit, WICK_LIT_GEMMA, c->f->quote, c->lim->max_depth, &c->args);
        c->phase = 1;
    }
    return wick_tc_literal(c, true);
}
