/* chat/format/llama_call.c - Llama 3 and 4: JSON or Python's notation without a marker, and after <|python_tag|>
 * built-in tools (f.call(k="v")) or code for an interpreter, where the request has one. */
#include "chat/format/call.h"

enum { PICK = 0, JSON_CALL = 1000, PYTHON = 2000, CODE = 3000 };

static wick_tc_step code_stop(const wick_tc_cur *c, size_t at, size_t *len)
{
    static const char *const ends[] = {"<|eom_id|>", "<|eot_id|>"};
    if (at == c->n && c->end) return WICK_TC_OK;
    return wick_tc_any(c, at, ends, 2, len);
}

static wick_tc_step begin_code(wick_tc_cur *c)
{
    static const char *const names[] = {"python", "code_interpreter", "ipython"};
    const char *name = NULL;
    size_t len;
    for (size_t i = 0; i < sizeof names / sizeof *names && !name; i++)
        if (wick_tc_tool(c->tools, names[i], strlen(names[i]))) name = names[i];
    if (!name || c->i == c->n || code_stop(c, c->i, &len) == WICK_TC_OK) return WICK_TC_BAD;
    c->has_name = false;
    WICK_TC_TRY(wick_tc_set_name(c, name, strlen(name)));
    wick_buf_reset(&c->args);
    wick_buf_puts(&c->args, "{\"code\":\"");
    c->sure = true;
    c->nested = true;
    return WICK_TC_OK;
}

/* A built-in tool, or else code: told by the name, when its bracket is there. */
static wick_tc_step pick(wick_tc_cur *c)
{
    const size_t at = c->i;
    wick_str name;
    if (c->s[c->i] == '{') {
        if (!c->marked || c->in_array) WICK_TC_TRY(wick_tc_begins_as_call(c));
        c->kind = JSON_CALL;
        return WICK_TC_OK;
    }
    c->kind = PYTHON;
    const wick_tc_step st = wick_tc_ident(c, &name);
    if (st == WICK_TC_MORE) {
        c->i = at;
        return st;
    }
    if (!c->marked || c->in_array) {
        c->i = at;
        return st;
    }
    bool call = st == WICK_TC_OK && c->s[c->i] == '(';
    if (call && name.n > 5 && memcmp(name.p + name.n - 5, ".call", 5) == 0) name.n -= 5;
    call = call && (!c->tools || wick_tc_tool(c->tools, name.p, name.n));
    c->i = at;
    if (call) return WICK_TC_OK;
    c->kind = CODE;
    return begin_code(c);
}

wick_tc_step wick_tc_llama_call(wick_tc_cur *c)
{
    wick_tc_step st;
    if (c->n_params == PICK) {
        wick_tc_space(c);
        if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
        WICK_TC_TRY(pick(c));
        c->n_params = c->kind;
    }
    if (c->n_params == JSON_CALL) return wick_tc_json_call(c);
    if (c->n_params == CODE) {
        st = wick_tc_flow(c, code_stop, WICK_TC_BLANKS, &c->args, true);
        if (st == WICK_TC_OK) wick_buf_puts(&c->args, "\"}");
        return st;
    }
    const size_t had = c->phase;
    st = wick_tc_python_call(c);
    if (had == 0 && c->phase == 1 && c->marked && c->name.n > 5 &&
        memcmp(c->name.data + c->name.n - 5, ".call", 5) == 0) {
        c->name.n -= 5;
        c->name.data[c->name.n] = 0;
    }
    return st;
}
