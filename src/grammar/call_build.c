/* grammar/call_build.c - a description of calls to automata: what may be written around arguments, and the schemas of
 * the tools. */
#include "grammar/calls.h"
#include <stdio.h>
#include "base/json.h"
#include "grammar/endless.h"
#include "grammar/schema.h"

enum { MAX_TOOLS = 1024, LEAD_WS = 8 };

typedef struct builder {
    wick_calls *c;
    wick_re_pool *p;
    wick_str begin, before, after, close, between, end, trigger;
    bool quote_name, loose, automatic, parallel, inside;
    wick_str think_open, think_close, think_then;
    wick_buf *warnings;
    wick_err *err;
} builder;

static wick_str text_of(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return (wick_str){json_is_string(v) ? json_string_value(v) : "", json_string_length(v)};
}

/* ---- literals ---- */
static wick_re white(wick_re_pool *p, uint32_t most)
{
    wick_re_set ws = {0};
    for (const char *s = " \t\r\n"; *s; s++) ws.w[0] |= (uint64_t)1 << *s;
    return wick_re_rep(p, wick_re_set_of(p, &ws), 0, most);
}

static bool is_white(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static wick_re alphanumeric(wick_re_pool *p, bool letters, uint32_t lo, uint32_t hi)
{
    wick_re r = wick_re_bytes(p, '0', '9');
    if (letters) r = wick_re_or2(p, r, wick_re_or2(p, wick_re_bytes(p, 'a', 'z'), wick_re_bytes(p, 'A', 'Z')));
    return wick_re_rep(p, r, lo, hi);
}

wick_re wick_calls_literal(wick_re_pool *p, wick_str s, bool loose)
{
    wick_re r = WICK_RE_EPS;
    for (size_t i = 0; i < s.n; i++) {
        size_t k = i;
        wick_re one;
        while (k < s.n && is_white(s.p[k])) k++;
        if (s.p[i] == '%' && i + 1 < s.n && (s.p[i + 1] == 'd' || s.p[i + 1] == 's')) {
            one = s.p[++i] == 'd' ? alphanumeric(p, false, 1, 3) : alphanumeric(p, true, 9, 9);
        } else if (loose && i && k > i && strchr("{}[]\",:", s.p[i - 1]) &&
                   (k == s.n || strchr("{}[]\",", s.p[k]) || s.p[i - 1] == '}')) {
            one = white(p, (uint32_t)(k - i) + LEAD_WS);
            i = k - 1;
        } else {
            one = wick_re_byte(p, (uint8_t)s.p[i]);
        }
        r = wick_re_cat(p, r, one);
    }
    return r;
}

static wick_re lit(const builder *b, wick_str s)
{
    return wick_calls_literal(b->p, s, b->loose);
}

static wick_re cat3(wick_re_pool *p, wick_re a, wick_re b, wick_re c)
{
    return wick_re_cat(p, a, wick_re_cat(p, b, c));
}

/* Texts in which s is not. */
static wick_re without(wick_re_pool *p, wick_str s)
{
    return wick_re_not(p, cat3(p, WICK_RE_ALL, wick_re_lit(p, s.p, s.n), WICK_RE_ALL));
}

/* Texts that end where s is for the first time. */
static wick_re up_to(wick_re_pool *p, wick_str s)
{
    wick_re some = wick_re_cat(p, wick_re_bytes(p, 0, 255), WICK_RE_ALL), r = wick_re_lit(p, s.p, s.n);
    r = wick_re_cat(p, WICK_RE_ALL, r);
    return wick_re_and2(p, r, wick_re_not(p, wick_re_cat(p, r, some)));
}

/* ---- around the arguments ---- */
static wick_re name_of(const builder *b, uint32_t i)
{
    const char *name = b->c->tool[i].name;
    if (!b->quote_name) return wick_re_lit(b->p, name, strlen(name));
    wick_buf q = WICK_BUF_INIT;
    wick_buf_putc(&q, '"');
    for (; *name; name++) {
        if (*name == '"' || *name == '\\') wick_buf_putc(&q, '\\');
        wick_buf_putc(&q, *name);
    }
    wick_buf_putc(&q, '"');
    if (q.failed) wick_re_fail(b->p, "memory");
    wick_re r = wick_re_lit(b->p, wick_buf_str(&q), q.n);
    wick_buf_release(&q);
    return r;
}

static wick_re call_of(const builder *b, uint32_t i)
{
    return cat3(b->p, lit(b, b->before), name_of(b, i), lit(b, b->after));
}

/* The same without the trigger, with which it begins. */
static wick_re behind_trigger(const builder *b, uint32_t i)
{
    wick_str begin = b->begin, before = b->before;
    size_t cut = b->trigger.n < begin.n ? b->trigger.n : begin.n;
    begin = (wick_str){begin.p + cut, begin.n - cut};
    cut = b->trigger.n - cut;
    before = (wick_str){before.p + cut, before.n - cut};
    return wick_re_cat(b->p, lit(b, begin), cat3(b->p, lit(b, before), name_of(b, i), lit(b, b->after)));
}

/* Reasoning that is over, with what a syntax writes after it. */
static wick_re thought(const builder *b)
{
    wick_re_pool *p = b->p;
    wick_re r = wick_re_cat(p, up_to(p, b->think_close), wick_re_lit(p, b->think_then.p, b->think_then.n));
    if (b->inside) return r;
    return wick_re_cat(p, white(p, LEAD_WS), wick_re_cat(p, wick_re_lit(p, b->think_open.p, b->think_open.n), r));
}

/* What may come before a call. */
static wick_re lead(const builder *b)
{
    wick_re_pool *p = b->p;
    wick_re r = WICK_RE_EPS;
    if (b->think_close.n) {
        r = thought(b);
        if (!b->inside) r = wick_re_or2(p, r, WICK_RE_EPS);
    }
    if (b->automatic && b->trigger.n) return wick_re_cat(p, r, up_to(p, b->trigger));
    return wick_re_cat(p, r, white(p, LEAD_WS));
}

/* An answer without a call; texts: what is free text. */
static wick_re no_call(const builder *b, wick_re texts)
{
    wick_re_pool *p = b->p;
    if (!b->think_close.n) return texts;
    wick_re open = without(p, b->think_close), r;
    if (b->inside) return wick_re_or2(p, open, wick_re_cat(p, thought(b), texts));
    open = wick_re_cat(p, wick_re_lit(p, b->think_open.p, b->think_open.n), open);
    r = wick_re_or2(p, wick_re_cat(p, white(p, LEAD_WS), open), wick_re_cat(p, thought(b), texts));
    return wick_re_or2(p, r, texts);
}

/* v: for each tool, then for the end, then for a parameter. */
static uint32_t automaton(wick_re_pool *p, wick_re *v, uint32_t n)
{
    v[0] = wick_re_or(p, v + 1, n - 1);
    return wick_dfa_start(p, v, n);
}

static wick_status around(builder *b, wick_re *v)
{
    wick_calls *c = b->c;
    wick_re_pool *p = b->p;
    const uint32_t n = c->n_tools, end = n + 1, param = n + 2;
    wick_re first = lead(b), any = WICK_RE_NONE, done = wick_re_cat(p, lit(b, b->close), lit(b, b->end));
    for (uint32_t i = 0; i < n; i++) {
        wick_re call = wick_re_cat(p, lit(b, b->begin), call_of(b, i));
        any = wick_re_or2(p, any, call);
        v[i + 1] = wick_re_cat(p, first, b->automatic && b->trigger.n ? behind_trigger(b, i) : call);
    }
    v[end] = v[param] = WICK_RE_NONE;
    wick_re texts =
        b->trigger.n ? without(p, b->trigger) : wick_re_not(p, cat3(p, white(p, LEAD_WS), any, WICK_RE_ALL));
    if (b->automatic) v[end] = no_call(b, texts);
    c->start = automaton(p, v, n + 3);

    const bool again = b->automatic && b->parallel && b->trigger.n; /* text may follow, and calls in it */
    for (uint32_t i = 0; i < n; i++) {
        v[i + 1] = b->parallel ? cat3(p, lit(b, b->close), lit(b, b->between), call_of(b, i)) : WICK_RE_NONE;
        if (again) v[i + 1] = wick_re_or2(p, v[i + 1], cat3(p, done, up_to(p, b->trigger), behind_trigger(b, i)));
    }
    v[end] = again ? wick_re_cat(p, done, texts) : done;
    c->next[0] = automaton(p, v, n + 3);
    if (c->style == CALLS_PARAMS) v[param] = lit(b, c->param_open);
    c->next[2] = automaton(p, v, n + 3);
    for (uint32_t i = 1; i <= end; i++) v[i] = WICK_RE_NONE;
    c->next[1] = automaton(p, v, n + 3);
    if (!wick_re_ok(p)) return wick_re_failed(p, b->err);
    return WICK_OK;
}

/* ---- the tools ---- */
/* Any object, where a schema that is not strict cannot be enforced. */
static wick_status loosen(builder *b, const char *name, wick_f *f, const wick_err *why)
{
    if (!wick_re_ok(b->p)) return wick_re_failed(b->p, b->err);
    wick_buf_printf(b->warnings, "tools: %s: any arguments are allowed: %s\n", name, why->message);
    *f = WICK_F_TRUE;
    return WICK_OK;
}

/* A parameter that must be there has a name that can be written. */
static wick_status check_names(builder *b, const char *tool, const json_t *schema)
{
    size_t i;
    const json_t *v;
    if (b->c->style == CALLS_JSON) return WICK_OK;
    json_array_foreach(json_object_get(schema, "required"), i, v)
    {
        const wick_str name = {json_string_value(v), json_string_length(v)};
        if (!name.p || wick_calls_is_bare(name)) continue;
        return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools",
                         "tools: %s: the parameter \"%.80s\" cannot be written in this model's syntax", tool, name.p);
    }
    return WICK_OK;
}

static wick_status compile_tool(builder *b, const json_t *t, wick_calls_tool *out)
{
    wick_js_pool *js = b->c->js;
    const json_t *schema = json_object_get(t, "schema");
    const bool strict = json_is_true(json_object_get(t, "strict"));
    const char *name = json_string_value(json_object_get(t, "name"));
    wick_err why = {0};
    wick_f f = WICK_F_TRUE;
    if (!name || !*name) return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools", "tools: a tool has no name");
    if (schema && !json_is_null(schema)) {
        wick_schema_options o = {.lenient = false, .warnings = b->warnings};
        wick_status st = wick_schema_compile(js, schema, &o, &f, &why);
        if (st != WICK_OK && st != WICK_E_BAD_PARAMETER) return WICK_FAIL(b->err, st, "tools", "%s", why.message);
        if (st != WICK_OK && !strict) {
            o.lenient = true;
            st = wick_schema_compile(js, schema, &o, &f, &why);
            if (st != WICK_OK) WICK_TRY(loosen(b, name, &f, &why));
            st = WICK_OK;
        }
        if (st != WICK_OK) return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools", "tools: %s: %s", name, why.message);
    }
    WICK_TRY(check_names(b, name, schema));
    f = wick_f_and2(js->f, f, wick_f_type(js->f, WICK_T_OBJECT));
    out->name = name;
    out->types = json_object_get(t, "types");
    if (wick_js_start(js, f, &out->start)) {
        if (!wick_f_endless(js->f, f)) return WICK_OK;
        return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools", "tools: %s: its arguments would have no end", name);
    }
    if (!wick_re_ok(b->p)) return wick_re_failed(b->p, b->err);
    return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools", "tools: %s: no arguments fulfil its schema", name);
}

static wick_status compile_tools(builder *b)
{
    wick_calls *c = b->c;
    const json_t *tools = json_object_get(c->spec, "tools");
    const size_t n = json_array_size(tools);
    if (n == 0 || n > MAX_TOOLS)
        return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "tools", "tools: %zu of them, expected 1 to %d", n, MAX_TOOLS);
    c->tool = wick_alloc_zero(n, sizeof *c->tool);
    if (!c->tool) return wick_err_oom(b->err, "the tools", 0, 0);
    c->n_tools = (uint32_t)n;
    for (size_t i = 0; i < n; i++) WICK_TRY(compile_tool(b, json_array_get(tools, i), &c->tool[i]));
    return WICK_OK;
}

/* ---- the whole ---- */
static bool ends_with_newline(wick_str s)
{
    return s.n && s.p[s.n - 1] == '\n';
}

static void read_params(builder *b)
{
    wick_calls *c = b->c;
    const json_t *avoid = json_object_get(c->spec, "avoid"), *v;
    size_t i;
    c->param_open = text_of(c->spec, "param_open");
    c->param_mid = text_of(c->spec, "param_mid");
    c->param_mid_json = text_of(c->spec, "param_mid_json");
    c->param_close = text_of(c->spec, "param_close");
    c->quote = text_of(c->spec, "quote");
    c->typed = memmem(c->param_mid.p, c->param_mid.n, "%t", 2) != NULL;
    /* A reader drops the newline beside a tag that a syntax does not write there. */
    c->no_first_newline = !ends_with_newline(c->param_mid);
    c->no_last_newline = !c->param_close.n || c->param_close.p[0] != '\n';
    c->avoid = WICK_RE_NONE;
    json_array_foreach(avoid, i, v) c->avoid =
        wick_re_or2(b->p, c->avoid, wick_re_lit(b->p, json_string_value(v), json_string_length(v)));
}

static wick_status read_spec(builder *b)
{
    static const char *const styles[] = {"json", "params", "python", "gemma"};
    wick_calls *c = b->c;
    const json_t *o = c->spec, *think = json_object_get(o, "think");
    const char *style = text_of(o, "style").p;
    size_t k = 0;
    while (k < 4 && strcmp(style, styles[k]) != 0) k++;
    if (k == 4) return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "calls", "calls: style \"%.40s\" is not known", style);
    c->style = (wick_calls_style)k;
    b->begin = text_of(o, "begin");
    b->before = text_of(o, "before");
    b->after = text_of(o, "after");
    b->close = text_of(o, "close");
    b->between = text_of(o, "between");
    b->end = text_of(o, "end");
    b->trigger = text_of(o, "trigger");
    b->quote_name = json_is_true(json_object_get(o, "quote_name"));
    b->loose = b->quote_name && c->style == CALLS_JSON;
    b->automatic = json_is_true(json_object_get(o, "auto"));
    b->parallel = json_is_true(json_object_get(o, "parallel"));
    b->think_open = text_of(think, "open");
    b->think_close = text_of(think, "close");
    b->think_then = text_of(think, "then");
    b->inside = json_is_true(json_object_get(think, "inside"));
    const bool prefix = b->trigger.n <= b->begin.n + b->before.n;
    for (size_t i = 0; prefix && i < b->trigger.n; i++)
        if (b->trigger.p[i] != (i < b->begin.n ? b->begin.p[i] : b->before.p[i - b->begin.n]))
            return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "calls", "calls: they do not begin with the trigger");
    if (!prefix) return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "calls", "calls: the trigger is longer than a call");
    if ((c->style == CALLS_PARAMS && !json_string_length(json_object_get(o, "param_close"))) ||
        (c->style == CALLS_GEMMA && !json_string_length(json_object_get(o, "quote"))))
        return WICK_FAIL(b->err, WICK_E_BAD_PARAMETER, "calls", "calls: nothing closes a value");
    read_params(b);
    return WICK_OK;
}

wick_status wick_calls_init(wick_calls *c, wick_js_pool *js, const char *text, size_t n, wick_buf *warnings,
                            wick_err *err)
{
    builder b = {.c = c, .p = js->f->re, .warnings = warnings, .err = err};
    memset(c, 0, sizeof *c);
    c->js = js;
    WICK_TRY(wick_json_parse(text, n, "calls", &c->spec, err));
    WICK_TRY(read_spec(&b));
    WICK_TRY(compile_tools(&b));
    wick_re *v = wick_alloc_zero(c->n_tools + 3u, sizeof *v);
    if (!v) return wick_err_oom(err, "the tools", 0, 0);
    wick_status st = around(&b, v);
    wick_free(v);
    return st;
}

void wick_calls_release(wick_calls *c)
{
    json_decref(c->spec);
    wick_free(c->tool);
    wick_f_table_release(&c->raw);
    memset(c, 0, sizeof *c);
}
