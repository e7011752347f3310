/* chat/format/named.c - a name between markers, then JSON arguments: Mistral, DeepSeek, Kimi K2, Solar, and
 * <function=f>{...}. */
#include "chat/format/call.h"

/* A header is read from its start until it is whole; then come the arguments. */
static wick_tc_step with_header(wick_tc_cur *c, wick_tc_syntax *header)
{
    if (c->phase == 0) {
        const size_t at = c->i;
        const wick_tc_step st = header(c);
        if (st == WICK_TC_MORE) c->i = at;
        if (st != WICK_TC_OK) return st;
    }
    return wick_tc_args(c);
}

static wick_tc_step mistral(wick_tc_cur *c)
{
    wick_str name, id;
    WICK_TC_TRY(wick_tc_ident(c, &name));
    WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
    wick_tc_step st = wick_tc_lit(c, "[CALL_ID]");
    if (st == WICK_TC_MORE) return st;
    if (st == WICK_TC_OK) {
        WICK_TC_TRY(wick_tc_ident(c, &id));
        WICK_TC_TRY(wick_tc_set_id(c, id.p, id.n));
    }
    return wick_tc_lit(c, "[ARGS]") == WICK_TC_MORE ? WICK_TC_MORE : WICK_TC_OK;
}

static wick_tc_step deepseek(wick_tc_cur *c)
{
    wick_str name;
    WICK_TC_TRY(wick_tc_lit(c, "<\xef\xbd\x9ctool\xe2\x96\x81"
                               "call\xe2\x96\x81"
                               "begin\xef\xbd\x9c>"));
    wick_tc_space(c);
    WICK_TC_TRY(wick_tc_ident(c, &name));
    wick_tc_space(c);
    WICK_TC_TRY(wick_tc_lit(c, "<\xef\xbd\x9ctool\xe2\x96\x81sep\xef\xbd\x9c>"));
    wick_tc_space(c);
    if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    if (c->s[c->i] != '{' && c->s[c->i] != '`') {
        /* What came first is the type, "function"; the name follows, and the arguments in a fence. */
        WICK_TC_TRY(wick_tc_ident(c, &name));
    }
    return wick_tc_set_name(c, name.p, name.n);
}

static wick_tc_step kimi(wick_tc_cur *c)
{
    static const char prefix[] = "functions.";
    wick_str id, name;
    WICK_TC_TRY(wick_tc_lit(c, "<|tool_call_begin|>"));
    wick_tc_space(c);
    WICK_TC_TRY(wick_tc_ident(c, &id));
    name = id;
    while (name.n && name.p[name.n - 1] >= '0' && name.p[name.n - 1] <= '9') name.n--;
    if (name.n && name.n < id.n && name.p[name.n - 1] == ':')
        name.n--;
    else
        name = id;
    if (name.n > sizeof prefix - 1 && memcmp(name.p, prefix, sizeof prefix - 1) == 0) {
        name.p += sizeof prefix - 1;
        name.n -= sizeof prefix - 1;
    }
    WICK_TC_TRY(wick_tc_set_name(c, name.p, name.n));
    WICK_TC_TRY(wick_tc_set_id(c, id.p, id.n));
    wick_tc_space(c);
    return wick_tc_lit(c, "<|tool_call_argument_begin|>");
}

static wick_tc_step solar(wick_tc_cur *c)
{
    wick_str id, name;
    WICK_TC_TRY(wick_tc_lit(c, "<|tool_call:begin|>"));
    WICK_TC_TRY(wick_tc_name_up_to(c, "<|tool_call:name|>", &id));
    WICK_TC_TRY(wick_tc_set_id(c, id.p, id.n));
    WICK_TC_TRY(wick_tc_name_up_to(c, "<|tool_call:args|>", &name));
    return wick_tc_set_name(c, name.p, name.n);
}

static wick_tc_step tag(wick_tc_cur *c)
{
    wick_str name;
    WICK_TC_TRY(wick_tc_lit(c, "<function="));
    WICK_TC_TRY(wick_tc_name_up_to(c, ">", &name));
    return wick_tc_set_name(c, name.p, name.n);
}

wick_tc_step wick_tc_mistral_call(wick_tc_cur *c)
{
    return with_header(c, mistral);
}

wick_tc_step wick_tc_deepseek_call(wick_tc_cur *c)
{
    return with_header(c, deepseek);
}

wick_tc_step wick_tc_kimi_call(wick_tc_cur *c)
{
    return with_header(c, kimi);
}

wick_tc_step wick_tc_solar_call(wick_tc_cur *c)
{
    return with_header(c, solar);
}

wick_tc_step wick_tc_tag_call(wick_tc_cur *c)
{
    return with_header(c, tag);
}
