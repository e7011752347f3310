/* chat/format/toolcall_body.c - one call, in each of the syntaxes: from the cursor to name, id and arguments. Every parser
 * starts at the call's first byte and returns MORE until the last one is there. */
#include "chat/format/toolcall_impl.h"

static const char json_quotes[] = "\"", python_quotes[] = "\"'";

/* --- names, tools ------------------------------------------------------------------------------------------------- */

static const json_t *find_tool(const json_t *tools, const char *name, size_t n)
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

static const json_t *param_schema(const wick_tc_cur *c, const char *key, size_t n)
{
    const json_t *fn = find_tool(c->tools, c->name->data, c->name->n), *params = json_object_get(fn, "parameters");
    return json_object_getn(json_object_get(params ? params : json_object_get(fn, "input_schema"), "properties"), key,
                            n);
}

static wick_tc_step set_name(wick_tc_cur *c, const char *s, size_t n)
{
    if (n == 0 || n > WICK_TC_NAME_MAX || !wick_utf8_valid(s, n)) return WICK_TC_BAD;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] <= ' ' || s[i] == 0x7F) return WICK_TC_BAD;
    if (!c->marked && c->tools && !find_tool(c->tools, s, n)) return WICK_TC_BAD;
    wick_buf_reset(c->name);
    wick_buf_add(c->name, s, n);
    return c->name->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step set_id(wick_tc_cur *c, const char *s, size_t n)
{
    wick_buf_reset(c->id);
    if (n == 0 || n > WICK_TC_NAME_MAX || !wick_utf8_valid(s, n) || memchr(s, 0, n)) return WICK_TC_OK;
    wick_buf_add(c->id, s, n);
    return c->id->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

/* Arguments as the model wrote them: an object. */
static wick_tc_step set_args(wick_tc_cur *c, wick_str text)
{
    wick_buf_reset(c->args);
    if (text.n == 0 || text.p[0] != '{') return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_json(text.p, text.n, NULL));
    wick_buf_add(c->args, text.p, text.n);
    return c->args->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step set_text(wick_tc_cur *c, wick_str text)
{
    while (text.n && wick_tc_is_space(text.p[text.n - 1])) text.n--;
    wick_buf_reset(c->args);
    if (!wick_utf8_valid(text.p, text.n) || memchr(text.p, 0, text.n)) return WICK_TC_BAD;
    wick_buf_add(c->args, text.p, text.n);
    return c->args->failed ? WICK_TC_NOMEM : WICK_TC_OK;
}

static wick_tc_step built(wick_tc_cur *c)
{
    if (c->args->failed) return WICK_TC_NOMEM;
    return wick_tc_json(c->args->data, c->args->n, NULL);
}

static wick_tc_step span_args(wick_tc_cur *c)
{
    wick_str text;
    wick_tc_space(c);
    if (c->i < c->n && c->s[c->i] != '{') return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_span(c, json_quotes, NULL, &text));
    return set_args(c, text);
}

/* --- JSON --------------------------------------------------------------------------------------------------------- */

static bool key_is(wick_str raw, const char *key)
{
    const size_t n = strlen(key);
    return raw.n == n + 2 && memcmp(raw.p + 1, key, n) == 0;
}

static bool is_null(wick_str raw)
{
    return raw.n == 4 && memcmp(raw.p, "null", 4) == 0;
}

static wick_tc_step args_from(wick_tc_cur *c, wick_str raw)
{
    json_t *text = NULL;
    if (raw.n == 0 || is_null(raw)) raw = wick_str_of("{}");
    if (raw.p[0] != '"') return set_args(c, raw);
    WICK_TC_TRY(wick_tc_json(raw.p, raw.n, &text));
    const wick_str inner = {json_string_value(text), json_string_length(text)};
    const wick_tc_step st = inner.n ? set_args(c, inner) : set_args(c, wick_str_of("{}"));
    json_decref(text);
    return st;
}

/* text: a valid object. */
static wick_tc_step call_from_object(wick_tc_cur *c, const json_t *v, wick_str text, bool nested)
{
    wick_str key, value, args = {0}, inner = {0};
    const json_t *name = json_object_get(v, "name"), *id = json_object_get(v, "id"), *fn;
    for (size_t i = 0; wick_tc_member(text, &i, &key, &value);) {
        if (key_is(key, "arguments") || key_is(key, "parameters")) args = value;
        if (key_is(key, "function")) inner = value;
    }
    fn = json_object_get(v, "function");
    if (!name) name = json_object_get(v, "tool_name");
    if (!id) id = json_object_get(v, "tool_call_id");
    if (json_is_string(id)) WICK_TC_TRY(set_id(c, json_string_value(id), json_string_length(id)));
    if (!name && json_is_object(fn) && !nested) return call_from_object(c, fn, inner, true);
    if (!name) name = fn;
    if (!json_is_string(name) || (!c->marked && args.n == 0)) return WICK_TC_BAD;
    WICK_TC_TRY(set_name(c, json_string_value(name), json_string_length(name)));
    return args_from(c, args);
}

static wick_tc_step json_call(wick_tc_cur *c)
{
    wick_str text, key, value;
    json_t *v = NULL;
    size_t i = 0;
    wick_tc_step st;
    if (c->i < c->n && c->s[c->i] != '{') return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_span(c, json_quotes, NULL, &text));
    WICK_TC_TRY(wick_tc_json(text.p, text.n, &v));
    if (c->f->body != WICK_TC_JSON_KEYS)
        st = call_from_object(c, v, text, false);
    else if (json_object_size(v) != 1 || !wick_tc_member(text, &i, &key, &value))
        st = WICK_TC_BAD;
    else {
        const char *name = json_object_iter_key(json_object_iter(v));
        st = set_name(c, name, strlen(name));
        if (st == WICK_TC_OK) st = args_from(c, value);
    }
    json_decref(v);
    return st;
}

/* Bare JSON is held only while it begins as a call does. */
static wick_tc_step begins_as_call(const wick_tc_cur *c)
{
    static const char *const keys[] = {"\"name\"",       "\"type\"",      "\"function\"",
                                       "\"parameters\"", "\"arguments\"", "\"id\""};
    wick_tc_cur at = *c;
    wick_tc_step st = WICK_TC_BAD;
    at.i++;
    wick_tc_space(&at);
    for (size_t i = 0; i < sizeof keys / sizeof *keys && st != WICK_TC_OK; i++) {
        const wick_tc_step one = wick_tc_peek(&at, keys[i]);
        if (one != WICK_TC_BAD) st = one;
    }
    return st;
}

/* --- parameter by parameter --------------------------------------------------------------------------------------- */

/* At most one newline on either side belongs to the layout. */
static wick_str unwrap(wick_str t)
{
    if (t.n && *t.p == '\r') t.p++, t.n--;
    if (t.n && *t.p == '\n') t.p++, t.n--;
    if (t.n && t.p[t.n - 1] == '\n') t.n--;
    return t;
}

static wick_str trim(wick_str t)
{
    while (t.n && wick_tc_is_space(*t.p)) t.p++, t.n--;
    while (t.n && wick_tc_is_space(t.p[t.n - 1])) t.n--;
    return t;
}

static wick_tc_step add_key(wick_tc_cur *c, unsigned k, wick_str key)
{
    if (k >= c->lim->max_params || key.n == 0 || key.n > WICK_TC_NAME_MAX) return WICK_TC_BAD;
    wick_buf_putc(c->args, (char)(k ? ',' : '{'));
    WICK_TC_TRY(wick_tc_put_string(c->args, key.p, key.n));
    wick_buf_putc(c->args, ':');
    return WICK_TC_OK;
}

static wick_tc_step finish(wick_tc_cur *c, unsigned n_params)
{
    wick_buf_puts(c->args, n_params ? "}" : "{}");
    return built(c);
}

/* Up to the end of an attribute or a tag: a name, blanks aside; held no longer than a name may be. */
static wick_tc_step name_up_to(wick_tc_cur *c, const char *stop, wick_str *out)
{
    const size_t left = c->n - c->i, most = left < WICK_TC_NAME_MAX ? left : WICK_TC_NAME_MAX;
    const char *hit = memmem(c->s + c->i, most, stop, strlen(stop));
    if (!hit) return left < WICK_TC_NAME_MAX && !c->end ? WICK_TC_MORE : WICK_TC_BAD;
    *out = trim((wick_str){c->s + c->i, (size_t)(hit - (c->s + c->i))});
    c->i = (size_t)(hit - c->s) + strlen(stop);
    return out->n ? WICK_TC_OK : WICK_TC_BAD;
}

static wick_tc_step xml_value(wick_tc_cur *c, const wick_tc_xml *x, wick_str key)
{
    static const char yes[] = " string=\"true\"", no[] = " string=\"false\"";
    bool as_string = false, as_json = false;
    wick_str raw;
    if (x->typed) {
        wick_tc_step st = wick_tc_lit(c, yes);
        as_string = st == WICK_TC_OK;
        if (st == WICK_TC_BAD) st = wick_tc_lit(c, no);
        as_json = st == WICK_TC_OK && !as_string;
        if (st == WICK_TC_MORE) return st;
        wick_tc_space(c);
        WICK_TC_TRY(wick_tc_lit(c, ">"));
    }
    WICK_TC_TRY(wick_tc_until(c, x->param_close, false, &raw));
    if (!x->typed) raw = unwrap(raw);
    if (as_string) return wick_tc_put_string(c->args, raw.p, raw.n);
    return wick_tc_put_typed(c->args, as_json ? NULL : param_schema(c, key.p, key.n), raw, c->lim->max_depth);
}

static wick_tc_step xml_call(wick_tc_cur *c)
{
    const wick_tc_xml *x = c->f->xml;
    wick_str name, key;
    unsigned k = 0;
    WICK_TC_TRY(wick_tc_lit(c, x->open));
    WICK_TC_TRY(name_up_to(c, x->name_end, &name));
    WICK_TC_TRY(set_name(c, name.p, name.n));
    wick_buf_reset(c->args);
    for (;; k++) {
        wick_tc_space(c);
        const wick_tc_step close = wick_tc_lit(c, x->close);
        if (close == WICK_TC_OK) return finish(c, k);
        const wick_tc_step open = wick_tc_lit(c, x->param_open);
        if (open != WICK_TC_OK) return open == WICK_TC_MORE || close == WICK_TC_MORE ? WICK_TC_MORE : WICK_TC_BAD;
        WICK_TC_TRY(name_up_to(c, x->param_name_end, &key));
        WICK_TC_TRY(add_key(c, k, key));
        WICK_TC_TRY(xml_value(c, x, key));
    }
}

static wick_tc_step glm_call(wick_tc_cur *c)
{
    static const char *const key_end[] = {"</arg_key>", NULL}, *const value_end[] = {"</arg_value>", NULL};
    wick_str name, key, raw;
    unsigned k = 0;
    WICK_TC_TRY(wick_tc_ident(c, &name));
    WICK_TC_TRY(set_name(c, name.p, name.n));
    wick_buf_reset(c->args);
    for (;; k++) {
        wick_tc_space(c);
        const wick_tc_step close = wick_tc_peek(c, c->f->close[0]);
        if (close == WICK_TC_OK) return finish(c, k);
        const wick_tc_step open = wick_tc_lit(c, "<arg_key>");
        if (open != WICK_TC_OK) return open == WICK_TC_MORE || close == WICK_TC_MORE ? WICK_TC_MORE : WICK_TC_BAD;
        WICK_TC_TRY(wick_tc_until(c, key_end, false, &key));
        key = trim(key);
        WICK_TC_TRY(add_key(c, k, key));
        wick_tc_space(c);
        WICK_TC_TRY(wick_tc_lit(c, "<arg_value>"));
        WICK_TC_TRY(wick_tc_until(c, value_end, false, &raw));
        WICK_TC_TRY(wick_tc_put_typed(c->args, param_schema(c, key.p, key.n), raw, c->lim->max_depth));
    }
}

/* --- literals ----------------------------------------------------------------------------------------------------- */

static wick_tc_step members(wick_tc_cur *c, const char *delim)
{
    wick_str span;
    if (c->i < c->n && c->s[c->i] != (delim ? '{' : '(')) return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_span(c, python_quotes, delim, &span));
    wick_buf_reset(c->args);
    WICK_TC_TRY(wick_tc_put_members(c->args, span, delim, c->lim->max_depth));
    return built(c);
}

static wick_tc_step python_call(wick_tc_cur *c)
{
    wick_str name;
    if (c->i < c->n && c->s[c->i] >= '0' && c->s[c->i] <= '9') return WICK_TC_BAD;
    WICK_TC_TRY(wick_tc_ident(c, &name));
    if (c->s[c->i] != '(') return WICK_TC_BAD;
    WICK_TC_TRY(set_name(c, name.p, name.n));
    return members(c, NULL);
}

static wick_tc_step gemma_call(wick_tc_cur *c)
{
    wick_str name;
    WICK_TC_TRY(wick_tc_lit(c, "call:"));
    WICK_TC_TRY(wick_tc_ident(c, &name));
    WICK_TC_TRY(set_name(c, name.p, name.n));
    return members(c, c->f->quote);
}

/* --- name, marker, JSON ------------------------------------------------------------------------------------------- */

static wick_tc_step args_call(wick_tc_cur *c)
{
    wick_str name, id;
    WICK_TC_TRY(wick_tc_ident(c, &name));
    WICK_TC_TRY(set_name(c, name.p, name.n));
    wick_tc_step st = wick_tc_lit(c, "[CALL_ID]");
    if (st == WICK_TC_MORE) return st;
    if (st == WICK_TC_OK) {
        WICK_TC_TRY(wick_tc_ident(c, &id));
        WICK_TC_TRY(set_id(c, id.p, id.n));
    }
    if (wick_tc_lit(c, "[ARGS]") == WICK_TC_MORE) return WICK_TC_MORE;
    return span_args(c);
}

static wick_tc_step deepseek_call(wick_tc_cur *c)
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
    if (c->s[c->i] != '{') {
        /* What came first is the type, "function"; the name follows, and the arguments in a fence. */
        WICK_TC_TRY(wick_tc_ident(c, &name));
        wick_tc_space(c);
        if (wick_tc_lit(c, "```json") == WICK_TC_MORE) return WICK_TC_MORE;
    }
    WICK_TC_TRY(set_name(c, name.p, name.n));
    return span_args(c);
}

static wick_tc_step kimi_call(wick_tc_cur *c)
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
    WICK_TC_TRY(set_name(c, name.p, name.n));
    WICK_TC_TRY(set_id(c, id.p, id.n));
    wick_tc_space(c);
    WICK_TC_TRY(wick_tc_lit(c, "<|tool_call_argument_begin|>"));
    return span_args(c);
}

/* --- harmony, functionary, bare ----------------------------------------------------------------------------------- */

/* The recipient in a header. False: it has none. */
static bool recipient(wick_str header, wick_str *name)
{
    static const char prefix[] = "functions.";
    const char *at = memmem(header.p, header.n, "to=", 3), *end = header.p + header.n;
    if (!at) return false;
    *name = (wick_str){at + 3, 0};
    while (name->p + name->n < end && !wick_tc_is_space(name->p[name->n]) && name->p[name->n] != '<') name->n++;
    if (name->n > sizeof prefix - 1 && memcmp(name->p, prefix, sizeof prefix - 1) == 0) {
        name->p += sizeof prefix - 1;
        name->n -= sizeof prefix - 1;
    }
    return true;
}

static wick_tc_step harmony_call(wick_tc_cur *c)
{
    static const char message[] = "<|message|>";
    static const char *const ends[] = {"<|call|>", "<|end|>", "<|return|>", NULL};
    const size_t left = c->n - c->i, most = left < WICK_TC_HEADER_MAX ? left : WICK_TC_HEADER_MAX;
    const char *hit = memmem(c->s + c->i, most, message, sizeof message - 1);
    wick_str name, text, object;
    if (!hit) return left < WICK_TC_HEADER_MAX && !c->end ? WICK_TC_MORE : WICK_TC_BAD;
    if (!recipient((wick_str){c->s + c->i, (size_t)(hit - (c->s + c->i))}, &name)) return WICK_TC_BAD;
    WICK_TC_TRY(set_name(c, name.p, name.n));
    c->i = (size_t)(hit - c->s) + sizeof message - 1;
    WICK_TC_TRY(wick_tc_until(c, ends, true, &text));
    text = trim(text);
    wick_tc_cur at = {.s = text.p, .n = text.n, .end = true, .lim = c->lim, .scan = &(wick_tc_scan){0}};
    if (wick_tc_span(&at, json_quotes, NULL, &object) == WICK_TC_OK && at.i == text.n) return set_args(c, object);
    /* Other text is for tools that take text: the header says nothing of JSON. */
    const char *after = name.p + name.n;
    if (text.n == 0 || *text.p == '{' || memmem(after, (size_t)(hit - after), "json", 4)) return WICK_TC_BAD;
    return set_text(c, text);
}

static wick_tc_step functionary_call(wick_tc_cur *c)
{
    static const char *const next[] = {">>>", NULL};
    wick_str name, text;
    WICK_TC_TRY(wick_tc_ident(c, &name));
    if (c->s[c->i] != '\n') return WICK_TC_BAD;
    c->i++;
    if (name.n == 3 && memcmp(name.p, "all", 3) == 0) return WICK_TC_PLAIN;
    const bool python = name.n == 6 && memcmp(name.p, "python", 6) == 0;
    c->marked = python;
    WICK_TC_TRY(set_name(c, name.p, name.n));
    if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    if (!python || c->s[c->i] == '{') return span_args(c);
    WICK_TC_TRY(wick_tc_until(c, next, true, &text));
    if (memcmp(c->s + c->i - 3, next[0], 3) == 0) c->i -= 3; /* it opens what follows */
    return set_text(c, text);
}

/* After <|python_tag|>: code for the interpreter, where the request has one. */
static wick_tc_step code_call(wick_tc_cur *c)
{
    static const char *const ends[] = {"<|eom_id|>", "<|eot_id|>", NULL};
    static const char *const names[] = {"python", "code_interpreter", "ipython"};
    const char *name = NULL;
    wick_str text;
    for (size_t i = 0; i < sizeof names / sizeof *names && !name; i++)
        if (find_tool(c->tools, names[i], strlen(names[i]))) name = names[i];
    if (!name) return WICK_TC_BAD;
    WICK_TC_TRY(set_name(c, name, strlen(name)));
    WICK_TC_TRY(wick_tc_until(c, ends, true, &text));
    text = trim(text);
    if (text.n == 0) return WICK_TC_BAD;
    wick_buf_reset(c->args);
    WICK_TC_TRY(add_key(c, 0, wick_str_of("code")));
    WICK_TC_TRY(wick_tc_put_string(c->args, text.p, text.n));
    return finish(c, 1);
}

/* f.call(k="v") is a built-in tool of Llama 3.1: f. */
static wick_tc_step bare_call(wick_tc_cur *c)
{
    wick_tc_cur at = *c;
    if (c->i == c->n) return c->end ? WICK_TC_BAD : WICK_TC_MORE;
    if (c->s[c->i] == '{') {
        if (!c->marked) WICK_TC_TRY(begins_as_call(c));
        return json_call(c);
    }
    wick_tc_step st = python_call(&at);
    if (st == WICK_TC_OK && c->marked && c->name->n > 5 && memcmp(c->name->data + c->name->n - 5, ".call", 5) == 0)
        c->name->n -= 5;
    if (st == WICK_TC_OK && c->marked && !c->in_array && c->tools && !find_tool(c->tools, c->name->data, c->name->n))
        st = WICK_TC_BAD; /* code that starts with a call */
    if (st == WICK_TC_BAD && c->marked && !c->in_array) return code_call(c);
    if (st == WICK_TC_OK) c->i = at.i;
    return st;
}

wick_tc_step wick_tc_call(wick_tc_cur *c)
{
    const char ch = c->i < c->n ? c->s[c->i] : 0;
    wick_buf_reset(c->name);
    wick_buf_reset(c->id);
    wick_buf_reset(c->args);
    if (c->f->also_json && ch == '{' && c->f->body != WICK_TC_BARE) return json_call(c);
    switch (c->f->body) {
    case WICK_TC_JSON:
    case WICK_TC_JSON_KEYS: return json_call(c);
    case WICK_TC_XML: return xml_call(c);
    case WICK_TC_GLM: return glm_call(c);
    case WICK_TC_PYTHON: return python_call(c);
    case WICK_TC_GEMMA: return gemma_call(c);
    case WICK_TC_ARGS: return args_call(c);
    case WICK_TC_DEEPSEEK: return deepseek_call(c);
    case WICK_TC_KIMI: return kimi_call(c);
    case WICK_TC_HARMONY: return harmony_call(c);
    case WICK_TC_FUNCTIONARY: return functionary_call(c);
    case WICK_TC_BARE: return bare_call(c);
    }
    return WICK_TC_BAD;
}
