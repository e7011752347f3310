/* chat/format/toolcall_value.c - values inside calls: checking JSON, and writing JSON from Python literals, Gemma's
 * literals, and raw text with a schema. Nothing is written that is not valid JSON, given that the caller checks the
 * whole (keys written twice) with wick_tc_json. */
#include "chat/format/toolcall_impl.h"

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

static size_t past_space(wick_str t, size_t i)
{
    while (i < t.n && wick_tc_is_space(t.p[i])) i++;
    return i;
}

/* The end of the value at i in valid JSON. */
static size_t past_value(wick_str t, size_t i)
{
    unsigned depth = 0;
    bool in_string = false;
    for (; i < t.n; i++) {
        const char c = t.p[i];
        if (in_string) {
            i += c == '\\';
            in_string = c != '"';
            if (c == '"' && depth == 0) return i + 1;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '{' || c == '[') {
            depth++;
        } else if (c == '}' || c == ']') {
            if (depth == 0) return i;
            if (--depth == 0) return i + 1;
        } else if (depth == 0 && (c == ',' || wick_tc_is_space(c))) {
            return i;
        }
    }
    return i < t.n ? i : t.n;
}

bool wick_tc_member(wick_str object, size_t *i, wick_str *key, wick_str *value)
{
    size_t k = past_space(object, *i ? *i : 1), e;
    if (k < object.n && object.p[k] == ',') k = past_space(object, k + 1);
    if (k >= object.n || object.p[k] != '"') return false;
    e = past_value(object, k);
    *key = (wick_str){object.p + k, e - k};
    k = past_space(object, e);
    k = past_space(object, k < object.n ? k + 1 : k);
    e = past_value(object, k);
    *value = (wick_str){object.p + k, e - k};
    *i = e;
    return true;
}

wick_tc_step wick_tc_put_string(wick_buf *b, const char *s, size_t n)
{
    static const char plain[] = "\"\\\n\r\t\f\b", letter[] = "\"\\nrtfb";
    size_t from = 0;
    if (!wick_utf8_valid(s, n)) return WICK_TC_BAD;
    wick_buf_putc(b, '"');
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
    wick_buf_putc(b, '"');
    return b->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

typedef struct literal {
    wick_str t;
    size_t i;
    const char *delim; /* NULL: Python */
    unsigned depth, max_depth;
    wick_buf *b;
} literal;

static wick_tc_step put_value(literal *l);

static bool next_is(literal *l, char c)
{
    l->i = past_space(l->t, l->i);
    if (l->i >= l->t.n || l->t.p[l->i] != c) return false;
    l->i++;
    return true;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex_digits(const literal *l, size_t at, unsigned n, uint32_t *out)
{
    *out = 0;
    if (l->t.n - at < n) return false;
    for (unsigned k = 0; k < n; k++) {
        const int d = hex(l->t.p[at + k]);
        if (d < 0) return false;
        *out = *out << 4 | (uint32_t)d;
    }
    return true;
}

/* The escape at l->i (past the backslash), of a Python string. */
static wick_tc_step escape(literal *l, wick_buf *out)
{
    static const char from[] = "ntrbf0\\'\"av", to[] = "\n\t\r\b\f\0\\'\"\a\v";
    const char c = l->t.p[l->i];
    const char *hit = c ? strchr(from, c) : NULL;
    uint32_t cp, low;
    l->i++;
    if (c == 'x' || c == 'u' || c == 'U') {
        const unsigned n = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        if (!hex_digits(l, l->i, n, &cp)) return WICK_TC_BAD;
        l->i += n;
        if (cp >= 0xD800 && cp < 0xDC00 && l->t.n - l->i >= 6 && memcmp(l->t.p + l->i, "\\u", 2) == 0 &&
            hex_digits(l, l->i + 2, 4, &low) && low >= 0xDC00 && low < 0xE000) {
            cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
            l->i += 6;
        }
        wick_buf_utf8(out, cp);
    } else if (hit) {
        wick_buf_putc(out, to[hit - from]);
    } else if (c != '\n') {
        wick_buf_add(out, (const char[]){'\\', c}, 2);
    }
    return WICK_TC_OK;
}

static wick_tc_step put_python_string(literal *l)
{
    const char quote = l->t.p[l->i++];
    wick_buf text = WICK_BUF_INIT;
    wick_tc_step st = WICK_TC_OK;
    while (st == WICK_TC_OK && l->i < l->t.n && l->t.p[l->i] != quote) {
        const char c = l->t.p[l->i++];
        if (c != '\\')
            wick_buf_putc(&text, c);
        else
            st = l->i < l->t.n ? escape(l, &text) : WICK_TC_BAD;
    }
    if (st == WICK_TC_OK && l->i++ >= l->t.n) st = WICK_TC_BAD;
    if (text.failed) st = WICK_TC_NOMEM;
    if (st == WICK_TC_OK) st = wick_tc_put_string(l->b, text.n ? text.data : "", text.n);
    wick_buf_release(&text);
    return st;
}

static bool at_delim(const literal *l)
{
    const size_t m = l->delim ? strlen(l->delim) : 0;
    return m > 0 && l->t.n - l->i >= m && memcmp(l->t.p + l->i, l->delim, m) == 0;
}

static wick_tc_step put_delimited(literal *l)
{
    const size_t m = strlen(l->delim), from = l->i + m;
    const char *e = memmem(l->t.p + from, l->t.n - from, l->delim, m);
    if (!e) return WICK_TC_BAD;
    l->i = (size_t)(e - l->t.p) + m;
    return wick_tc_put_string(l->b, l->t.p + from, (size_t)(e - l->t.p) - from);
}

static size_t word(const literal *l)
{
    size_t k = l->i;
    while (k < l->t.n && !wick_tc_is_space(l->t.p[k]) && !strchr("{}[](),:=\"'<>", l->t.p[k]) && l->t.p[k]) k++;
    return k - l->i;
}

static wick_tc_step put_scalar(literal *l)
{
    static const char *const words[][2] = {{"True", "true"}, {"False", "false"}, {"None", "null"},
                                           {"true", "true"}, {"false", "false"}, {"null", "null"}};
    const size_t n = word(l);
    const char *s = l->t.p + l->i;
    l->i += n;
    for (size_t k = 0; k < sizeof words / sizeof *words; k++)
        if (n == strlen(words[k][0]) && memcmp(s, words[k][0], n) == 0) {
            wick_buf_puts(l->b, words[k][1]);
            return WICK_TC_OK;
        }
    if (n == 0 || (*s != '-' && (*s < '0' || *s > '9'))) return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_json(s, n, NULL));
    wick_buf_add(l->b, s, n);
    return WICK_TC_OK;
}

static wick_tc_step put_key(literal *l, char assign)
{
    l->i = past_space(l->t, l->i);
    const size_t n = word(l);
    const char *s = l->t.p + l->i;
    if (l->i >= l->t.n) return WICK_TC_BAD;
    if (at_delim(l)) {
        WICK_TC_TRY(put_delimited(l));
    } else if (assign == ':' && (*s == '"' || *s == '\'')) {
        WICK_TC_TRY(put_python_string(l));
    } else {
        if (n == 0 || (assign == ':' && !l->delim)) return WICK_TC_BAD;
        l->i += n;
        WICK_TC_TRY(wick_tc_put_string(l->b, s, n));
    }
    if (!next_is(l, assign)) return WICK_TC_BAD;
    wick_buf_putc(l->b, ':');
    return WICK_TC_OK;
}

/* After the opening bracket, up to and with the closing one. assign 0: a list. */
static wick_tc_step put_items(literal *l, char close, char assign)
{
    if (l->depth >= l->max_depth) return WICK_TC_BAD;
    l->depth++;
    wick_buf_putc(l->b, assign ? '{' : '[');
    for (bool first = true; !next_is(l, close); first = false) {
        if (!first && !next_is(l, ',')) return WICK_TC_BAD;
        if (!first && next_is(l, close)) break;
        if (!first) wick_buf_putc(l->b, ',');
        if (assign) WICK_TC_TRY(put_key(l, assign));
        WICK_TC_TRY(put_value(l));
    }
    wick_buf_putc(l->b, assign ? '}' : ']');
    l->depth--;
    return l->b->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step put_value(literal *l)
{
    l->i = past_space(l->t, l->i);
    if (l->i >= l->t.n) return WICK_TC_BAD;
    const char c = l->t.p[l->i];
    if (at_delim(l)) return put_delimited(l);
    if (!l->delim && (c == '"' || c == '\'')) return put_python_string(l);
    if (c != '{' && c != '[' && (c != '(' || l->delim)) return put_scalar(l);
    l->i++;
    return put_items(l, (char)(c == '{' ? '}' : c == '[' ? ']' : ')'), (char)(c == '{' ? ':' : 0));
}

wick_tc_step wick_tc_put_literal(wick_buf *b, wick_str text, const char *delim, unsigned max_depth)
{
    literal l = {.t = text, .delim = delim, .max_depth = max_depth, .b = b};
    WICK_TC_TRY(put_value(&l));
    return past_space(text, l.i) == text.n ? WICK_TC_OK : WICK_TC_BAD;
}

wick_tc_step wick_tc_put_members(wick_buf *b, wick_str span, const char *delim, unsigned max_depth)
{
    literal l = {.t = span, .i = 1, .delim = delim, .max_depth = max_depth, .b = b};
    WICK_TC_TRY(put_items(&l, (char)(delim ? '}' : ')'), (char)(delim ? ':' : '=')));
    return l.i == span.n ? WICK_TC_OK : WICK_TC_BAD;
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

/* Numbers, objects, ... written as Python does. NOMEM or OK; *done: it was one that the types allow. */
static wick_tc_step put_python(wick_buf *b, unsigned set, wick_str t, unsigned max_depth, bool *done)
{
    wick_buf tmp = WICK_BUF_INIT;
    json_t *v = NULL;
    wick_tc_step st = wick_tc_put_literal(&tmp, t, NULL, max_depth);
    if (st == WICK_TC_OK) st = tmp.failed ? WICK_TC_NOMEM : wick_tc_json(tmp.data, tmp.n, &v);
    *done = st == WICK_TC_OK && !json_is_string(v) && (set & type_of(v));
    if (*done) wick_buf_add(b, tmp.data, tmp.n);
    json_decref(v);
    wick_buf_release(&tmp);
    return st == WICK_TC_NOMEM ? st : WICK_TC_OK;
}

wick_tc_step wick_tc_put_typed(wick_buf *b, const json_t *schema, wick_str raw, unsigned max_depth)
{
    unsigned set = types(schema, 0);
    wick_str t = raw;
    bool done = false;
    if (set & T_UNKNOWN) set = T_STRING | T_NUMBER | T_BOOL | T_NULL | T_OBJECT | T_ARRAY;
    while (t.n && wick_tc_is_space(t.p[t.n - 1])) t.n--;
    while (t.n && wick_tc_is_space(*t.p)) t.p++, t.n--;
    if (set == T_STRING || t.n == 0) return wick_tc_put_string(b, raw.p, raw.n);
    wick_tc_scan scan = {.kind = WICK_TC_SPAN, .quotes = "\""};
    const bool bracket = *t.p == '{' || *t.p == '[';
    if (!bracket || (wick_tc_scan_resume(&scan, t.p, t.n, true, max_depth) && !scan.bad)) {
        json_t *v = NULL;
        const wick_tc_step st = wick_tc_json(t.p, t.n, &v);
        if (st == WICK_TC_NOMEM) return st;
        done = st == WICK_TC_OK && !json_is_string(v) && (set & type_of(v));
        json_decref(v);
        if (done) {
            wick_buf_add(b, t.p, t.n);
            return WICK_TC_OK;
        }
        if (st == WICK_TC_BAD) WICK_TC_TRY(put_python(b, set, t, max_depth, &done));
    } else {
        WICK_TC_TRY(put_python(b, set, t, max_depth, &done));
    }
    return done ? WICK_TC_OK : wick_tc_put_string(b, raw.p, raw.n);
}
