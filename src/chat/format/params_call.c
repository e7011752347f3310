/* chat/format/params_call.c - calls written parameter by parameter, between tags. Values are raw text: a string where
 * the tool's schema or an attribute says so, and then it streams; else what the schema makes of it, at its end. */
#include <stdio.h>
#include "chat/format/call.h"

enum { HEAD, HEAD_ATTRS, NEXT, KEY, ATTRS, VALUE_OPEN, VALUE };
enum { STRING, TYPED, JSON_TEXT, REPEATED }; /* kind of the value */

static const json_t *schema_of(const wick_tc_cur *c)
{
    const json_t *fn = wick_tc_tool(c->tools, c->name.data, c->name.n), *params = json_object_get(fn, "parameters");
    const json_t *props = json_object_get(params ? params : json_object_get(fn, "input_schema"), "properties");
    return json_object_getn(props, c->key.data, c->key.n);
}

/* White space, and the token that stands before each tag. */
static wick_tc_step blanks(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    wick_tc_space(c);
    if (!p->space) return WICK_TC_OK;
    wick_tc_step st;
    while ((st = wick_tc_lit(c, p->space)) == WICK_TC_OK) wick_tc_space(c);
    return st == WICK_TC_MORE && c->i < c->n ? st : WICK_TC_OK;
}

static wick_tc_step close_tag(const wick_tc_cur *c, size_t at, size_t *len)
{
    const wick_tc_params *p = c->f->params;
    if (p->close) return wick_tc_any(c, at, &p->close, 1, len);
    const wick_tc_step st = wick_tc_any(c, at, c->f->close, 1, len);
    *len = 0; /* the row's marker stays for the row */
    return st;
}

/* The end of a value: its closing tag, or, where that was forgotten, the tags that close all, or the end of the
 * text. */
static wick_tc_step value_stop(const wick_tc_cur *c, size_t at, size_t *len)
{
    const wick_tc_params *p = c->f->params;
    char tag[WICK_TC_NAME_MAX + 32];
    const char *close = p->param_close;
    size_t call = 0, row;
    if (c->nested) close = "]]>"; /* inside of a CDATA section */
    if (!close) {
        snprintf(tag, sizeof tag, "%s</%s>", p->space ? p->space : "", c->key.data);
        close = tag;
    }
    wick_tc_step st = wick_tc_any(c, at, &close, 1, len);
    if (st != WICK_TC_BAD || c->nested) return st;
    *len = 0;
    if (at == c->n) return c->end ? WICK_TC_OK : WICK_TC_MORE;
    st = wick_tc_any(c, at, p->close ? &p->close : c->f->close, 1, &call);
    if (st != WICK_TC_OK) return st;
    at = wick_tc_past_space(c, at + call);
    if (at == c->n) return c->end ? WICK_TC_OK : WICK_TC_MORE;
    return p->close ? wick_tc_any(c, at, c->f->close, 3, &row) : WICK_TC_BAD;
}

static wick_tc_step head(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    const size_t at = c->i;
    wick_str name;
    wick_tc_step st = wick_tc_lit(c, p->open);
    if (st == WICK_TC_OK) st = *p->open ? wick_tc_name_up_to(c, p->name_end, &name) : wick_tc_ident(c, &name);
    if (st == WICK_TC_OK) st = wick_tc_set_name(c, name.p, name.n);
    if (st == WICK_TC_MORE) c->i = at;
    if (st != WICK_TC_OK) return st;
    c->phase = p->head_end ? HEAD_ATTRS : NEXT;
    return st;
}

/* Attributes up to `stop`; *kind: what they say of the value. */
static wick_tc_step attributes(wick_tc_cur *c, const char *stop, unsigned *kind)
{
    const size_t left = c->n - c->i, most = left < WICK_TC_NAME_MAX ? left : WICK_TC_NAME_MAX;
    const char *s = c->s + c->i, *hit = memmem(s, most, stop, strlen(stop));
    if (!hit) return left < WICK_TC_NAME_MAX && !c->end ? WICK_TC_MORE : WICK_TC_BAD;
    const size_t n = (size_t)(hit - s);
    if (memmem(s, n, "string=\"true\"", 13) || memmem(s, n, "type=\"string\"", 13))
        *kind = STRING;
    else if (memmem(s, n, "string=\"false\"", 14) || memmem(s, n, "type=\"", 6))
        *kind = JSON_TEXT;
    c->i += n + strlen(stop);
    return WICK_TC_OK;
}

static bool repeated(const wick_tc_cur *c)
{
    for (size_t i = 0; i < c->keys.n; i += strlen(c->keys.data + i) + 1)
        if (strcmp(c->keys.data + i, c->key.data) == 0) return true;
    return false;
}

static wick_tc_step begin_value(wick_tc_cur *c)
{
    wick_buf_reset(&c->value);
    if (repeated(c)) {
        c->kind = REPEATED;
        return WICK_TC_OK;
    }
    wick_buf_add(&c->keys, wick_buf_str(&c->key), c->key.n + 1);
    wick_buf_putc(&c->args, c->args.n ? ',' : '{');
    WICK_TC_TRY(wick_tc_put_string(&c->args, c->key.data, c->key.n));
    wick_buf_putc(&c->args, ':');
    if (c->kind == STRING) wick_buf_putc(&c->args, '"');
    return c->args.failed || c->keys.failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step key(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    wick_str name;
    WICK_TC_TRY(wick_tc_name_up_to(c, p->key_end, &name));
    if (c->n_params++ >= c->lim->max_params || !wick_tc_valid(name.p, name.n)) return WICK_TC_BAD;
    wick_buf_reset(&c->key);
    wick_buf_add(&c->key, name.p, name.n);
    if (c->key.failed) return WICK_TC_NOMEM;
    c->kind = !p->markup && wick_tc_is_string(schema_of(c)) ? STRING : TYPED;
    c->phase = p->attr_end ? ATTRS : VALUE_OPEN;
    return WICK_TC_OK;
}

/* The layout's newline or CDATA's opening before a value. */
static wick_tc_step value_open(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    if (p->value_open) {
        wick_tc_space(c);
        if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
        WICK_TC_TRY(wick_tc_lit(c, p->value_open));
    } else if (!p->attr_end) {
        size_t k = c->i;
        if (k < c->n && c->s[k] == '\r') k++;
        if (k == c->n && !c->end) return WICK_TC_MORE;
        if (k < c->n && c->s[k] == '\n') c->i = k + 1;
    }
    if (p->markup) {
        const wick_tc_step st = wick_tc_lit(c, "<![CDATA[");
        if (st == WICK_TC_MORE) return st;
        c->nested = st == WICK_TC_OK;
    }
    c->sure = true;
    c->phase = VALUE;
    return begin_value(c);
}

/* &lt; and the other four. */
static void unescape(wick_buf *b)
{
    static const char *const names[] = {"&lt;", "&gt;", "&quot;", "&apos;", "&amp;"};
    static const char text[] = "<>\"'&";
    size_t to = 0;
    for (size_t i = 0; i < b->n;) {
        size_t k = 0;
        while (k < 5 && (b->n - i < strlen(names[k]) || memcmp(b->data + i, names[k], strlen(names[k])) != 0)) k++;
        b->data[to++] = k < 5 ? text[k] : b->data[i];
        i += k < 5 ? strlen(names[k]) : 1;
    }
    b->n = to;
}

static wick_tc_step value(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    const bool string = c->kind == STRING;
    const bool layout = !p->attr_end && !p->value_open && !c->nested;
    WICK_TC_TRY(
        wick_tc_flow(c, value_stop, layout ? WICK_TC_NEWLINE : WICK_TC_KEEP, string ? &c->args : &c->value, string));
    const wick_str raw = {wick_buf_str(&c->value), c->value.n};
    const bool repeated_key = c->kind == REPEATED;
    if (c->nested) {
        /* A CDATA section ended; what follows up to the closing tag is layout. */
        c->nested = false;
        c->kind = REPEATED;
        return repeated_key ? WICK_TC_OK : wick_tc_put_typed(&c->args, schema_of(c), raw, c->lim->max_depth);
    }
    c->phase = NEXT;
    if (string) wick_buf_putc(&c->args, '"');
    if (string || repeated_key) return c->args.failed ? WICK_TC_NOMEM : WICK_TC_OK;
    if (p->markup) unescape(&c->value);
    return wick_tc_put_typed(&c->args, c->kind == JSON_TEXT ? NULL : schema_of(c), (wick_str){raw.p, c->value.n},
                             c->lim->max_depth);
}

static wick_tc_step next(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    size_t len = 0;
    WICK_TC_TRY(blanks(c));
    if (c->i == c->n && !c->end) return WICK_TC_MORE;
    const bool missing = c->i == c->n && c->sure;
    const wick_tc_step close = missing ? WICK_TC_OK : close_tag(c, c->i, &len);
    if (close == WICK_TC_OK) {
        c->i += len;
        wick_buf_puts(&c->args, c->args.n ? "}" : "{}");
        c->sure = true;
        c->phase = HEAD;
        return c->args.failed ? WICK_TC_NOMEM : WICK_TC_PLAIN;
    }
    if (close == WICK_TC_MORE) return close;
    WICK_TC_TRY(wick_tc_lit(c, p->param_open));
    c->phase = KEY;
    return WICK_TC_OK;
}

wick_tc_step wick_tc_params_call(wick_tc_cur *c)
{
    const wick_tc_params *p = c->f->params;
    unsigned any;
    wick_tc_step st = WICK_TC_OK;
    while (st == WICK_TC_OK) {
        switch (c->phase) {
        case HEAD:
            st = blanks(c);
            if (st == WICK_TC_OK) st = head(c);
            break;
        case HEAD_ATTRS:
            st = attributes(c, p->head_end, &any);
            if (st == WICK_TC_OK) c->phase = NEXT;
            break;
        case NEXT:
            st = next(c);
            if (st == WICK_TC_PLAIN) return WICK_TC_OK;
            break;
        case KEY: st = key(c); break;
        case ATTRS:
            st = attributes(c, p->attr_end, &c->kind);
            if (st == WICK_TC_OK) c->phase = VALUE_OPEN;
            break;
        case VALUE_OPEN: st = value_open(c); break;
        default: st = value(c);
        }
    }
    return st;
}
