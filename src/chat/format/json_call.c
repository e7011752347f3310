/* chat/format/json_call.c - calls as JSON objects: {"name", "arguments"} and its relatives. Keys may come in any order;
 * the call is known once the name and the beginning of the arguments are. */
#include "chat/format/call.h"

enum { OPEN, KEY, COLON, VALUE, AFTER, ARGUMENTS, TEXT, SKIP };
enum { K_OTHER, K_NAME, K_ID, K_ARGUMENTS, K_FUNCTION };
enum { KEY_MAX = 1024 };

/* A whole string at i, in either quotes, to `to`. */
static wick_tc_step quoted(wick_tc_cur *c, size_t most, wick_buf *to)
{
    const char quote = c->s[c->i];
    size_t k = c->i + (c->scan ? c->scan : 1);
    json_t *v = NULL;
    while (k < c->n && c->s[k] != quote) k += c->s[k] == '\\' ? 2 : 1;
    if (k >= c->n) {
        c->scan = k - c->i;
        return k - c->i > most || c->end ? WICK_TC_BAD : WICK_TC_MORE;
    }
    c->scan = 0;
    wick_buf_reset(to);
    wick_lit_init(&c->lit, WICK_LIT_JSON, NULL, 1, to);
    for (; c->i <= k; c->i++) WICK_TC_TRY(wick_lit_byte(&c->lit, c->s[c->i]));
    if (to->failed) return WICK_TC_NOMEM;
    WICK_TC_TRY(wick_tc_json(to->data, to->n, &v));
    wick_buf_reset(to);
    wick_buf_add(to, json_string_value(v), json_string_length(v));
    json_decref(v);
    return to->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static unsigned kind_of(const wick_tc_cur *c)
{
    static const struct {
        const char *key;
        unsigned kind;
    } keys[] = {{"name", K_NAME},        {"tool_name", K_NAME},      {"id", K_ID},
                {"tool_call_id", K_ID},  {"arguments", K_ARGUMENTS}, {"parameters", K_ARGUMENTS},
                {"function", K_FUNCTION}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (strlen(keys[i].key) == c->key.n && memcmp(keys[i].key, c->key.data, c->key.n) == 0) return keys[i].kind;
    return K_OTHER;
}

static wick_tc_step take_name(wick_tc_cur *c, const wick_buf *b)
{
    return c->has_name ? WICK_TC_BAD : wick_tc_set_name(c, b->n ? b->data : "", b->n);
}

static wick_tc_step key(wick_tc_cur *c)
{
    if (c->s[c->i] == '}') {
        c->phase = AFTER;
        return WICK_TC_OK;
    }
    if (c->s[c->i] != '"' && c->s[c->i] != '\'') return WICK_TC_BAD;
    WICK_TC_TRY(quoted(c, KEY_MAX, &c->key));
    c->phase = COLON;
    c->kind = kind_of(c);
    if (!c->f->keyed || c->nested) return WICK_TC_OK;
    c->kind = K_ARGUMENTS;
    return take_name(c, &c->key);
}

static void begin_literal(wick_tc_cur *c, wick_buf *to, unsigned phase)
{
    wick_lit_init(&c->lit, WICK_LIT_JSON, NULL, c->lim->max_depth, to);
    c->phase = phase;
}

static wick_tc_step value(wick_tc_cur *c)
{
    const char ch = c->s[c->i];
    const bool string = ch == '"' || ch == '\'';
    if (c->kind == K_ARGUMENTS) {
        if (c->has_args) return WICK_TC_BAD;
        if (ch != '{' && ch != 'n' && ch != 'N' && !string) return WICK_TC_BAD;
        wick_buf_reset(&c->args);
        if (string) {
            c->phase = TEXT;
            return WICK_TC_OK;
        }
        c->has_args = true;
        begin_literal(c, ch == '{' ? &c->args : NULL, ch == '{' ? ARGUMENTS : SKIP);
        return WICK_TC_OK;
    }
    if (c->kind == K_FUNCTION && ch == '{' && !c->nested) {
        c->nested = true;
        c->i++;
        c->phase = KEY;
        return WICK_TC_OK;
    }
    if (string && (c->kind == K_NAME || (c->kind == K_FUNCTION && !c->has_name))) {
        WICK_TC_TRY(quoted(c, KEY_MAX, &c->value));
        c->phase = AFTER;
        return take_name(c, &c->value);
    }
    if (string && c->kind == K_ID) {
        WICK_TC_TRY(quoted(c, KEY_MAX, &c->value));
        c->phase = AFTER;
        return wick_tc_set_id(c, c->value.data, c->value.n);
    }
    if (c->kind == K_NAME) return WICK_TC_BAD;
    begin_literal(c, NULL, SKIP);
    return WICK_TC_OK;
}

/* Arguments as a string that holds JSON. */
static wick_tc_step text_arguments(wick_tc_cur *c)
{
    wick_tc_step st = WICK_TC_OK;
    WICK_TC_TRY(quoted(c, SIZE_MAX, &c->value));
    wick_buf_reset(&c->args);
    wick_lit_init(&c->lit, WICK_LIT_JSON, NULL, c->lim->max_depth, &c->args);
    size_t i = 0;
    while (i < c->value.n && wick_tc_is_space(c->value.data[i])) i++;
    if (i < c->value.n && c->value.data[i] != '{') return WICK_TC_BAD;
    for (; i < c->value.n && st == WICK_TC_OK && !c->lit.done; i++) st = wick_lit_byte(&c->lit, c->value.data[i]);
    if (st == WICK_TC_OK && c->args.n > 0 && !wick_lit_close(&c->lit)) st = WICK_TC_BAD;
    c->has_args = true;
    c->phase = AFTER;
    return st;
}

static wick_tc_step finish(wick_tc_cur *c)
{
    if (!c->has_name || (!c->marked && !c->has_args)) return WICK_TC_BAD;
    if (c->args.n == 0) wick_buf_puts(&c->args, "{}");
    c->sure = true;
    return c->args.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

/* OK: the object ended; PLAIN: it goes on. */
static wick_tc_step after(wick_tc_cur *c)
{
    size_t len;
    const char ch = c->s[c->i];
    if (ch == ',') {
        c->phase = KEY;
    } else if (ch == '}') {
        if (!c->nested) {
            c->i++;
            return finish(c);
        }
        c->nested = false;
    } else {
        /* A brace is missing. */
        if (ch == ']' && c->in_array) return finish(c);
        const wick_tc_step close = wick_tc_any(c, c->i, c->f->close, 3, &len);
        return close == WICK_TC_OK ? finish(c) : close;
    }
    c->i++;
    return WICK_TC_PLAIN;
}

/* What is missing at the end of the text, when nothing but brackets is. */
static wick_tc_step at_end(wick_tc_cur *c)
{
    if (!c->end) return WICK_TC_MORE;
    return c->phase == AFTER ? finish(c) : WICK_TC_BAD;
}

wick_tc_step wick_tc_json_call(wick_tc_cur *c)
{
    for (;;) {
        wick_tc_step st = WICK_TC_OK;
        const bool in_value = c->phase == ARGUMENTS || c->phase == SKIP || c->phase == TEXT;
        if (!in_value && !c->scan) wick_tc_space(c);
        if (c->i == c->n && !in_value) return at_end(c);
        switch (c->phase) {
        case OPEN:
            if (c->s[c->i] != '{') return WICK_TC_BAD;
            c->i++;
            c->phase = KEY;
            break;
        case KEY: st = key(c); break;
        case COLON:
            if (c->s[c->i] != ':') return WICK_TC_BAD;
            c->i++;
            c->phase = VALUE;
            break;
        case VALUE: st = value(c); break;
        case AFTER:
            st = after(c);
            if (st != WICK_TC_PLAIN) return st;
            st = WICK_TC_OK;
            break;
        case ARGUMENTS:
            st = wick_tc_literal(c, c->has_name && !c->f->late_id);
            if (st == WICK_TC_OK) c->phase = AFTER;
            break;
        case TEXT: st = text_arguments(c); break;
        default:
            st = wick_tc_literal(c, false);
            if (st == WICK_TC_PLAIN || c->lit.done) st = WICK_TC_OK;
            if (st == WICK_TC_OK) c->phase = AFTER;
        }
        if (st != WICK_TC_OK) return st;
        if (c->has_name && c->has_args && c->args.n > 1 && c->phase != ARGUMENTS && !c->f->late_id) c->sure = true;
    }
}

wick_tc_step wick_tc_begins_as_call(const wick_tc_cur *c)
{
    static const char *const keys[] = {"name", "type", "function", "parameters", "arguments", "id", "tool_name"};
    size_t at = wick_tc_past_space(c, c->i + 1), len;
    wick_tc_step st = WICK_TC_BAD;
    if (at == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    const char quote = c->s[at++];
    if (quote != '"' && quote != '\'') return WICK_TC_BAD;
    for (size_t i = 0; i < sizeof keys / sizeof *keys && st != WICK_TC_OK; i++) {
        wick_tc_step one = wick_tc_any(c, at, &keys[i], 1, &len);
        if (one == WICK_TC_OK && at + len == c->n) one = c->end ? WICK_TC_BAD : WICK_TC_MORE;
        if (one == WICK_TC_OK && c->s[at + len] != quote) one = WICK_TC_BAD;
        if (one != WICK_TC_BAD) st = one;
    }
    return st;
}
