/* chat/format/value.c - values inside calls: checking JSON, JSON strings, and raw text with a schema. Nothing is
 * written that is not valid JSON, given text that is UTF-8. */
#include "chat/format/call.h"

wick_tc_step wick_tc_json(const char *s, size_t n, json_t **out)
{
    json_error_t e;
    /* Integers of any size are valid text; nobody reads the numbers here. */
    const size_t flags = JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL;
    json_t *v = json_loadb(s, n, flags, &e);
    if (!v) {
        const enum json_error_code code = json_error_code(&e);
        return code == json_error_out_of_memory || code == json_error_unknown ? WICK_TC_NOMEM : WICK_TC_BAD;
    }
    if (out)
        *out = v;
    else
        json_decref(v);
    return WICK_TC_OK;
}

void wick_tc_put_escaped(wick_buf *b, const char *s, size_t n)
{
    static const char plain[] = "\"\\\n\r\t\f\b", letter[] = "\"\\nrtfb";
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\') continue;
        const char *hit = c ? strchr(plain, c) : NULL;
        wick_buf_add(b, s + from, i - from);
        if (hit)
            wick_buf_add(b, (const char[]){'\\', letter[hit - plain]}, 2);
        else
            wick_buf_printf(b, "\\u%04x", c);
        from = i + 1;
    }
    wick_buf_add(b, s + from, n - from);
}

wick_tc_step wick_tc_put_string(wick_buf *b, const char *s, size_t n)
{
    wick_buf_putc(b, '"');
    wick_tc_put_escaped(b, s, n);
    wick_buf_putc(b, '"');
    return b->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

/* --- values by schema --------------------------------------------------------------------------------------------- */

enum { T_STRING = 1, T_NUMBER = 2, T_BOOL = 4, T_NULL = 8, T_OBJECT = 16, T_ARRAY = 32, T_UNKNOWN = 64 };

static unsigned type_of(const json_t *v)
{
    if (json_is_string(v)) return T_STRING;
    if (json_is_number(v)) return T_NUMBER;
    if (json_is_boolean(v)) return T_BOOL;
    if (json_is_null(v)) return T_NULL;
    return json_is_object(v) ? T_OBJECT : T_ARRAY;
}

static unsigned type_named(const json_t *v)
{
    static const struct {
        const char *name;
        unsigned type;
    } names[] = {{"string", T_STRING}, {"number", T_NUMBER}, {"integer", T_NUMBER}, {"boolean", T_BOOL},
                 {"null", T_NULL},     {"object", T_OBJECT}, {"array", T_ARRAY}};
    const char *s = json_string_value(v);
    for (size_t i = 0; s && i < sizeof names / sizeof *names; i++)
        if (strcmp(s, names[i].name) == 0) return names[i].type;
    return T_UNKNOWN;
}

static unsigned types(const json_t *schema, unsigned depth)
{
    static const char *const unions[] = {"anyOf", "oneOf"};
    const json_t *t = json_object_get(schema, "type"), *v;
    unsigned set = 0;
    size_t i;
    if (depth > 8) return T_UNKNOWN;
    if (json_is_string(t)) return type_named(t);
    json_array_foreach(t, i, v) set |= type_named(v);
    for (size_t u = 0; u < 2 && !set; u++)
        json_array_foreach(json_object_get(schema, unions[u]), i, v) set |= types(v, depth + 1);
    if (!set) json_array_foreach(json_object_get(schema, "enum"), i, v) set |= type_of(v);
    v = json_object_get(schema, "const");
    if (!set && v) set = type_of(v);
    return set ? set : T_UNKNOWN;
}

bool wick_tc_is_string(const json_t *schema)
{
    return types(schema, 0) == T_STRING;
}

json_t *wick_tc_type_names(const json_t *schema)
{
    static const char *const names[] = {"string", "number", "boolean", "null", "object", "array"};
    const unsigned set = types(schema, 0);
    json_t *out = json_array();
    for (unsigned k = 0; out && k < sizeof names / sizeof *names; k++)
        if ((set >> k & 1) && !(set & T_UNKNOWN) && json_array_append_new(out, json_string(names[k])) != 0) {
            json_decref(out);
            out = NULL;
        }
    return out;
}

/* The text as JSON, where it is a literal of JSON or Python that the types allow. NOMEM or OK; *done: it was one. */
static wick_tc_step put_literal(wick_buf *b, unsigned set, wick_str t, unsigned max_depth, bool *done)
{
    wick_buf tmp = WICK_BUF_INIT;
    wick_lit l = {0};
    json_t *v = NULL;
    wick_tc_step st = WICK_TC_OK;
    wick_lit_init(&l, WICK_LIT_PYTHON, NULL, max_depth, &tmp);
    for (size_t i = 0; i < t.n && st == WICK_TC_OK; i++) st = wick_lit_byte(&l, t.p[i]);
    if (st == WICK_TC_OK && !wick_lit_close(&l)) st = WICK_TC_BAD;
    if (st == WICK_TC_OK) st = tmp.failed ? WICK_TC_NOMEM : wick_tc_json(tmp.data, tmp.n, &v);
    *done = st == WICK_TC_OK && !json_is_string(v) && (set & type_of(v));
    if (*done) wick_buf_add(b, tmp.data, tmp.n);
    json_decref(v);
    wick_lit_release(&l);
    wick_buf_release(&tmp);
    return st == WICK_TC_NOMEM ? st : WICK_TC_OK;
}

/* Brackets deeper than max_depth, which jansson would follow. */
static bool too_deep(wick_str t, unsigned max_depth)
{
    unsigned depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < t.n; i++) {
        const char c = t.p[i];
        if (in_string && c == '\\')
            i++;
        else if (c == '"')
            in_string = !in_string;
        else if (!in_string && (c == '{' || c == '[') && ++depth > max_depth)
            return true;
        else if (!in_string && (c == '}' || c == ']') && depth > 0)
            depth--;
    }
    return false;
}

wick_tc_step wick_tc_put_typed(wick_buf *b, const json_t *schema, wick_str raw, unsigned max_depth)
{
    unsigned set = types(schema, 0);
    wick_str t = raw;
    bool done = false;
    json_t *v = NULL;
    if (set & T_UNKNOWN) set = T_STRING | T_NUMBER | T_BOOL | T_NULL | T_OBJECT | T_ARRAY;
    while (t.n && wick_tc_is_space(t.p[t.n - 1])) t.n--;
    while (t.n && wick_tc_is_space(*t.p)) t.p++, t.n--;
    if (set == T_STRING || t.n == 0) return wick_tc_put_string(b, raw.p, raw.n);
    if (!too_deep(t, max_depth)) {
        const wick_tc_step st = wick_tc_json(t.p, t.n, &v);
        if (st == WICK_TC_NOMEM) return st;
        done = st == WICK_TC_OK && !json_is_string(v) && (set & type_of(v));
        json_decref(v);
        if (done) {
            wick_buf_add(b, t.p, t.n);
            return WICK_TC_OK;
        }
        if (st == WICK_TC_BAD) WICK_TC_TRY(put_literal(b, set, t, max_depth, &done));
    }
    return done ? WICK_TC_OK : wick_tc_put_string(b, raw.p, raw.n);
}
