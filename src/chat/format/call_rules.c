/* chat/format/call_rules.c - the calls of a syntax as a description for a grammar: the row's shape, the tools, and what
 * its reader takes a parameter's text for. */
#include <stdlib.h>
#include "chat/format/call.h"
#include "chat/format/think.h"
#include "grammar/calls.h"

static bool set_text(json_t *o, const char *key, const char *s)
{
    return !s || json_object_set_new(o, key, json_string(s)) == 0;
}

static bool put_shape(json_t *o, const wick_call_syntax *f)
{
    static const char *const styles[] = {[WICK_STYLE_JSON] = "json",
                                         [WICK_STYLE_PARAMS] = "params",
                                         [WICK_STYLE_PYTHON] = "python",
                                         [WICK_STYLE_GEMMA] = "gemma"};
    const wick_call_shape *s = &f->shape;
    const struct {
        const char *key, *text;
    } texts[] = {{"trigger", s->trigger},
                 {"begin", s->begin},
                 {"before", s->before},
                 {"after", s->after},
                 {"close", s->close},
                 {"between", s->between},
                 {"end", s->end},
                 {"style", styles[s->style]},
                 {"param_open", s->param_open},
                 {"param_mid", s->param_mid},
                 {"param_mid_json", s->param_mid_json},
                 {"param_close", s->param_close},
                 {"quote", s->quote}};
    bool ok = json_object_set_new(o, "quote_name", json_boolean(s->quote_name)) == 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) ok = ok && set_text(o, texts[i].key, texts[i].text);
    if (!f->params) return ok;
    /* The reader looks for the call's own end inside of values too, and for entities where there is markup. */
    json_t *avoid = json_array();
    ok = ok && json_array_append_new(avoid, json_string(f->params->close ? f->params->close : f->close[0])) == 0;
    if (f->params->markup)
        ok = ok && json_array_append_new(avoid, json_string("&")) == 0 &&
             json_array_append_new(avoid, json_string("<")) == 0;
    return json_object_set_new(o, "avoid", avoid) == 0 && ok;
}

static json_t *types_of(const json_t *properties)
{
    json_t *out = json_object(), *v;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)properties, key, v)
    {
        json_t *names = wick_tc_type_names(v);
        if (names && json_object_set_new(out, key, names) != 0) json_decref(out), out = NULL;
        if (!out) break;
    }
    return out;
}

/* Names that the reader of the syntax takes. */
static bool expressible(const wick_call_syntax *f, const char *name)
{
    if (f->shape.quote_name) return true;
    return wick_calls_is_bare((wick_str){name, strlen(name)}) && *name && (*name < '0' || *name > '9');
}

static wick_status put_tool(json_t *list, const wick_call_syntax *f, const json_t *fn, bool strict, wick_err *err)
{
    const char *name = json_string_value(json_object_get(fn, "name"));
    const json_t *schema = json_object_get(fn, "parameters");
    json_t *one = json_pack("{s:s, s:b}", "name", name ? name : "", "strict", strict);
    bool ok = one != NULL;
    if (!name || !expressible(f, name)) {
        json_decref(one);
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tools",
                         "tools: \"%.80s\" cannot be called in this model's syntax (%s)", name ? name : "", f->name);
    }
    if (schema) ok = ok && json_object_set(one, "schema", (json_t *)(uintptr_t)schema) == 0;
    if (f->shape.style == WICK_STYLE_PARAMS)
        ok = ok && json_object_set_new(one, "types", types_of(json_object_get(schema, "properties"))) == 0;
    if (ok && json_array_append_new(list, one) == 0) return WICK_OK;
    return wick_err_oom(err, "tools", 0, 0);
}

static bool put_think(json_t *o, const wick_think_syntax *t, bool inside)
{
    if (!t) return true;
    json_t *v = json_pack("{s:s, s:s, s:s, s:b}", "open", t->open, "close", t->close, "then",
                          t->harmony ? "<|start|>assistant" : "", "inside", inside);
    return json_object_set_new(o, "think", v) == 0;
}

static bool is_one_of(const json_t *names, const json_t *name)
{
    size_t i;
    const json_t *v;
    if (!names) return true;
    json_array_foreach(names, i, v) if (json_equal(v, name)) return true;
    return false;
}

wick_status wick_call_constraint(const wick_chat_format *f, const wick_call_rules *r, wick_buf *out, wick_err *err)
{
    json_t *o = json_object(), *list = json_array();
    const json_t *tool;
    size_t i;
    wick_status st = WICK_OK;
    json_array_foreach(r->tools, i, tool)
    {
        const json_t *fn = json_object_get(tool, "function"), *name = json_object_get(fn, "name");
        if (!is_one_of(r->only, name)) continue;
        const bool strict = json_object_get(r->strict, json_string_value(name) ? json_string_value(name) : "") != NULL;
        st = put_tool(list, f->calls, fn, strict, err);
        if (st != WICK_OK) break;
    }
    bool ok = o && list && put_shape(o, f->calls) && put_think(o, f->think, r->inside_reasoning);
    ok = ok && json_object_set_new(o, "auto", json_boolean(r->automatic)) == 0 &&
         json_object_set_new(o, "parallel", json_boolean(r->parallel && !f->calls->shape.single)) == 0;
    ok = json_object_set_new(o, "tools", list) == 0 && ok;
    char *text = ok && st == WICK_OK ? json_dumps(o, JSON_COMPACT) : NULL;
    if (text) wick_buf_puts(out, text);
    if (st == WICK_OK && (!text || out->failed)) st = wick_err_oom(err, "tools", 0, 0);
    free(text);
    json_decref(o);
    return st;
}
