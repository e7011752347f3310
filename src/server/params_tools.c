/* server/params_tools.c - tools, and which of them an answer may, must or must not call, as OpenAI's APIs say it. The
 * other dialects bring theirs to the same fields. */
#include <string.h>
#include "chat/message.h"
#include "server/params.h"

#define BAD(r, name, ...) WICK_PARAM_BAD(r, name, __VA_ARGS__)

wick_status wick_params_note_strict(wick_params *p, const json_t *tools, wick_err *err)
{
    json_t *names = json_object();
    const json_t *t;
    size_t i;
    bool ok = true;
    WICK_TRY(wick_params_keep(p, names, err));
    json_array_foreach(tools, i, t)
    {
        const json_t *fn = json_object_get(t, "function");
        const char *name = json_string_value(json_object_get(fn ? fn : t, "name"));
        if (name && (json_is_true(json_object_get(fn, "strict")) || json_is_true(json_object_get(t, "strict"))))
            ok = ok && json_object_set_new(names, name, json_true()) == 0;
    }
    p->tools_strict = names;
    return ok ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
}

wick_status wick_params_allow_tools(wick_params *p, json_t *names, wick_err *err)
{
    WICK_TRY(wick_params_keep(p, names, err));
    p->tools_allowed = names;
    return WICK_OK;
}

wick_status wick_read_tools(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array", v);
    if (json_array_size(v) > r->limits->tools)
        return BAD(r, q->name, "tools: %zu of them, at most %llu", json_array_size(v),
                   (unsigned long long)r->limits->tools);
    json_t *tools;
    WICK_TRY(wick_tools_normalise(v, &tools, r->err));
    if (tools) WICK_TRY(wick_params_keep(r->p, tools, r->err));
    r->p->tools = tools;
    return wick_params_note_strict(r->p, v, r->err);
}

/* {"type": TYPE, TYPE: {...}}, or, as Responses has it, the members beside the type. */
static const json_t *members(const json_t *v, const char *type)
{
    const json_t *o = json_object_get(v, type);
    return json_is_object(o) ? o : v;
}

static wick_status one_function(wick_param_reading *r, const wick_param *q, const json_t *v, json_t *names)
{
    const char *type = json_string_value(json_object_get(v, "type"));
    const json_t *name = json_object_get(members(v, "function"), "name");
    if (!type || strcmp(type, "function") != 0 || !json_is_string(name))
        return BAD(r, q->name, "%s: expected a function and its name", q->name);
    return json_array_append(names, (json_t *)(uintptr_t)name) == 0 ? WICK_OK : wick_err_oom(r->err, q->name, 0, 0);
}

static wick_status allowed_tools(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const json_t *o = members(v, "allowed_tools"), *list = json_object_get(o, "tools"), *t;
    const char *mode = json_string_value(json_object_get(o, "mode"));
    size_t i;
    if (!mode || (strcmp(mode, "auto") != 0 && strcmp(mode, "required") != 0))
        return BAD(r, q->name, "%s: mode must be \"auto\" or \"required\"", q->name);
    if (json_array_size(list) == 0) return BAD(r, q->name, "%s: expected a list of tools", q->name);
    json_t *names = json_array();
    WICK_TRY(wick_params_allow_tools(r->p, names, r->err));
    json_array_foreach(list, i, t) WICK_TRY(one_function(r, q, t, names));
    r->p->tool_choice_required = strcmp(mode, "required") == 0;
    return WICK_OK;
}

wick_status wick_read_tool_choice(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_params *p = r->p;
    p->tool_choice = v;
    const char *s = json_string_value(v), *type = json_string_value(json_object_get(v, "type"));
    if (type && strcmp(type, "allowed_tools") == 0) return allowed_tools(r, q, v);
    if (type) {
        json_t *names = json_array();
        WICK_TRY(wick_params_allow_tools(p, names, r->err));
        p->tool_choice_required = p->one_named = true;
        return one_function(r, q, v, names);
    }
    p->tool_choice_none = s && strcmp(s, "none") == 0;
    p->tool_choice_required = s && strcmp(s, "required") == 0;
    if (p->tool_choice_none || p->tool_choice_required || (s && strcmp(s, "auto") == 0)) return WICK_OK;
    return BAD(r, q->name, "tool_choice: must be \"auto\", \"none\", \"required\", a function or allowed_tools");
}

wick_status wick_read_parallel(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
    r->p->one_call = json_is_false(v);
    return WICK_OK;
}
