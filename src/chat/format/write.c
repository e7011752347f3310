/* chat/format/writer.c - calls as a model of that syntax would write them, by the row's shape: for templates that show
 * none of their own. */
#include <stdlib.h>
#include <string.h>
#include "chat/format/format.h"

/* What fills the places of a shape's strings. */
typedef struct filler {
    size_t index;
    const char *id, *key;
    const json_t *value;
} filler;

static const char *type_name(const json_t *v)
{
    switch (v ? json_typeof(v) : JSON_NULL) {
    case JSON_STRING: return "string";
    case JSON_INTEGER:
    case JSON_REAL: return "number";
    case JSON_TRUE:
    case JSON_FALSE: return "boolean";
    case JSON_OBJECT: return "object";
    case JSON_ARRAY: return "array";
    case JSON_NULL: break;
    }
    return "null";
}

static void put(wick_buf *b, const char *s, const filler *f)
{
    for (; s && *s; s++) {
        if (*s != '%' || !s[1] || !strchr("dskt", s[1])) {
            wick_buf_putc(b, *s);
            continue;
        }
        s++;
        if (*s == 'd') wick_buf_printf(b, "%zu", f->index);
        if (*s == 's') wick_buf_puts(b, f->id);
        if (*s == 'k') wick_buf_puts(b, f->key);
        if (*s == 't') wick_buf_puts(b, type_name(f->value));
    }
}

static void put_json(wick_buf *b, const json_t *v)
{
    char *text = json_dumps(v, JSON_ENCODE_ANY);
    if (text)
        wick_buf_puts(b, text);
    else
        b->failed = true;
    free(text);
}

/* quote NULL: as Python writes it; else as Gemma does. The depth is that of parsed JSON. */
static void put_literal(wick_buf *b, const json_t *v, const char *quote)
{
    const char *key;
    json_t *e;
    size_t i;
    if (json_is_object(v)) {
        const char *before = "{";
        if (json_object_size(v) == 0) wick_buf_putc(b, '{');
        json_object_foreach((json_t *)(uintptr_t)v, key, e)
        {
            json_t *k = json_string(key);
            wick_buf_puts(b, before);
            if (quote)
                wick_buf_puts(b, key);
            else
                put_json(b, k);
            wick_buf_puts(b, quote ? ":" : ": ");
            put_literal(b, e, quote);
            json_decref(k);
            before = quote ? "," : ", ";
        }
        wick_buf_putc(b, '}');
    } else if (json_is_array(v)) {
        wick_buf_putc(b, '[');
        json_array_foreach(v, i, e)
        {
            if (i) wick_buf_puts(b, quote ? "," : ", ");
            put_literal(b, e, quote);
        }
        wick_buf_putc(b, ']');
    } else if (quote && json_is_string(v)) {
        wick_buf_puts(b, quote);
        wick_buf_add(b, json_string_value(v), json_string_length(v));
        wick_buf_puts(b, quote);
    } else if (!quote && (json_is_true(v) || json_is_false(v) || json_is_null(v))) {
        wick_buf_puts(b, json_is_true(v) ? "True" : json_is_false(v) ? "False" : "None");
    } else {
        put_json(b, v);
    }
}

static void put_params(wick_buf *b, const wick_call_shape *s, const json_t *args, filler *f)
{
    const char *key, *comma = "";
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)args, key, v)
    {
        f->key = key;
        f->value = v;
        if (s->style == WICK_STYLE_PYTHON) {
            wick_buf_printf(b, "%s%s=", comma, key);
            put_literal(b, v, NULL);
            comma = ", ";
            continue;
        }
        put(b, s->param_open, f);
        wick_buf_puts(b, key);
        put(b, !json_is_string(v) && s->param_mid_json ? s->param_mid_json : s->param_mid, f);
        if (json_is_string(v))
            wick_buf_add(b, json_string_value(v), json_string_length(v));
        else
            put_json(b, v);
        put(b, s->param_close, f);
    }
}

wick_status wick_call_write(const wick_call_syntax *syntax, const json_t *calls, wick_buf *out, wick_err *err)
{
    const wick_call_shape *s = wick_call_syntax_shape(syntax);
    const json_t *call;
    filler f = {.id = "000000000", .key = ""};
    json_t *none = json_object();
    put(out, s->begin, &f);
    json_array_foreach(calls, f.index, call)
    {
        const json_t *fn = json_object_get(call, "function"), *args = json_object_get(fn, "arguments");
        const char *name = json_string_value(json_object_get(fn, "name"));
        const char *id = json_string_value(json_object_get(call, "id"));
        f.id = id ? id : "000000000";
        if (!json_is_object(args)) args = none;
        if (f.index) put(out, s->between, &f);
        put(out, s->before, &f);
        if (s->quote_name)
            put_json(out, json_object_get(fn, "name"));
        else
            wick_buf_puts(out, name ? name : "");
        put(out, s->after, &f);
        if (s->style == WICK_STYLE_JSON)
            put_json(out, args);
        else if (s->style == WICK_STYLE_GEMMA)
            put_literal(out, args, s->quote);
        else
            put_params(out, s, args, &f);
        put(out, s->close, &f);
    }
    put(out, s->end, &f);
    json_decref(none);
    return out->failed ? wick_err_oom(err, "tool calls", out->n, out->max_bytes) : WICK_OK;
}
