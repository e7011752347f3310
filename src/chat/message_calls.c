/* chat/message_calls.c - the part of the normaliser that reads tool calls, their results, and tools.
 *
 * A conversation must stay usable whatever a model once wrote, so nothing about the *arguments* of a call is an
 * error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "chat/message_int.h"

/* --- arguments --------------------------------------------------------------------------------------------------- */
static json_t *parse_any(const char *text, size_t n)
{
    json_t *v = NULL;
    return n > 0 && wick_json_parse(text, n, "arguments", &v, NULL) == WICK_OK ? v : NULL;
}

static bool blank(const char *s, size_t n)
{
    size_t i = 0;
    while (i < n && strchr(" \t\r\n", s[i]) && s[i]) i++;
    return i == n;
}

/* Arguments that came as a text into fn. Some clients encode twice. */
static bool set_text(json_t *fn, json_t *text)
{
    json_t *v = parse_any(json_string_value(text), json_string_length(text)), *kept = json_incref(text);
    if (json_is_string(v)) {
        json_t *inner = parse_any(json_string_value(v), json_string_length(v));
        if (json_is_object(inner)) {
            json_decref(kept);
            kept = v;
            v = inner;
        } else {
            json_decref(inner);
        }
    }
    if (!json_is_object(v)) {
        json_decref(v);
        v = blank(json_string_value(text), json_string_length(text)) ? json_object() : json_pack("{s:O}", "raw", text);
    }
    const bool ok =
        v && json_object_set(fn, "arguments", v) == 0 &&
        (blank(json_string_value(kept), json_string_length(kept)) || json_object_set(fn, "text", kept) == 0);
    json_decref(v);
    json_decref(kept);
    return ok;
}

static bool set_arguments(json_t *fn, json_t *args, json_t *text)
{
    if (json_is_string(args)) return set_text(fn, args);
    if (json_is_object(args))
        return json_object_set(fn, "arguments", args) == 0 &&
               (!json_is_string(text) || json_object_set(fn, "text", text) == 0);
    if (!args) return json_object_set_new(fn, "arguments", json_object()) == 0;
    char *dump = json_dumps(args, JSON_ENCODE_ANY);
    json_t *raw = dump ? json_pack("{s:s}", "raw", dump) : NULL;
    free(dump);
    return raw && json_object_set_new(fn, "arguments", raw) == 0;
}

/* --- calls ------------------------------------------------------------------------------------------------------- */
static json_t *call_id(const json_t *call, size_t i, size_t k)
{
    json_t *id = wick_json_present(call, "id");
    if (json_is_string(id) && json_string_length(id) > 0) return json_incref(id);
    if (json_is_integer(id)) return json_sprintf("%lld", (long long)json_integer_value(id));
    return json_sprintf("call_%zu_%zu", i, k);
}

/* fn: {"name", "arguments"}; appends the canonical call to list. Takes id. */
static wick_status add_call(wick_message_reader *r, const json_t *fn, json_t *id, const char *at, json_t *list,
                            wick_err *err)
{
    char place[96];
    const json_t *name = wick_json_present(fn, "name");
    json_t *out = NULL;
    wick_status st = WICK_OK;
    snprintf(place, sizeof place, "%s.name", at);
    if (!name)
        st = BAD_MESSAGE(place, "is missing", NULL);
    else if (!json_is_string(name))
        st = BAD_MESSAGE(place, "must be a string", name);
    if (st == WICK_OK) {
        out = json_pack("{s:O}", "name", name);
        if (!id || !out || !set_arguments(out, wick_json_present(fn, "arguments"), json_object_get(fn, "text")) ||
            json_array_append_new(list, json_pack("{s:O, s:s, s:O}", "id", id, "type", "function", "function", out)) ||
            json_array_append_new(r->calls, json_pack("{s:O, s:O, s:b}", "id", id, "name", name, "done", 0)))
            st = wick_err_oom(err, "messages", 0, 0);
    }
    json_decref(out);
    json_decref(id);
    return st;
}

wick_status wick_message_read_calls(wick_message_reader *r, const json_t *m, size_t i, json_t *copy, wick_err *err)
{
    char at[80];
    const json_t *calls = wick_json_present(m, "tool_calls"), *old = wick_json_present(m, "function_call");
    json_t *list = json_array();
    wick_status st = list ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    snprintf(at, sizeof at, "messages[%zu].tool_calls", i);
    if (st == WICK_OK && calls && !json_is_array(calls)) st = BAD_MESSAGE(at, "must be an array", calls);
    for (size_t k = 0; st == WICK_OK && k < json_array_size(calls); k++) {
        const json_t *call = json_array_get(calls, k), *fn = wick_json_present(call, "function");
        snprintf(at, sizeof at, "messages[%zu].tool_calls[%zu]", i, k);
        if (!json_is_object(call)) {
            st = BAD_MESSAGE(at, "must be an object", call);
            break;
        }
        if (fn) snprintf(at, sizeof at, "messages[%zu].tool_calls[%zu].function", i, k);
        if (fn && !json_is_object(fn))
            st = BAD_MESSAGE(at, "must be an object", fn);
        else
            st = add_call(r, fn ? fn : call, call_id(call, i, k), at, list, err);
    }
    if (st == WICK_OK && json_is_object(old) && json_array_size(list) == 0) {
        snprintf(at, sizeof at, "messages[%zu].function_call", i);
        st = add_call(r, old, json_sprintf("call_%zu_0", i), at, list, err);
    }
    if (st == WICK_OK && json_array_size(list) > 0 && json_object_set(copy, "tool_calls", list) != 0)
        st = wick_err_oom(err, "messages", 0, 0);
    json_decref(list);
    return st;
}

/* --- results ----------------------------------------------------------------------------------------------------- */
/* The call that a result belongs to: the last one with its id; without an id the first one that has no result yet, of
 * its name if it has one. */
static json_t *find_call(const json_t *calls, const char *id, const char *name)
{
    for (size_t k = json_array_size(calls); id && k-- > 0;) {
        json_t *c = json_array_get(calls, k);
        if (strcmp(json_string_value(json_object_get(c, "id")), id) == 0) return c;
    }
    for (size_t k = 0; !id && k < json_array_size(calls); k++) {
        json_t *c = json_array_get(calls, k);
        if (json_is_true(json_object_get(c, "done"))) continue;
        if (!name || strcmp(json_string_value(json_object_get(c, "name")), name) == 0) return c;
    }
    return NULL;
}

wick_status wick_message_read_result(wick_message_reader *r, const json_t *m, size_t i, json_t *copy, wick_err *err)
{
    char at[64];
    const json_t *id = wick_json_present(m, "tool_call_id"), *name = wick_json_present(m, "name");
    snprintf(at, sizeof at, "messages[%zu].tool_call_id", i);
    if (id && !json_is_string(id)) return BAD_MESSAGE(at, "must be a string", id);
    json_t *call =
        find_call(r->calls, json_string_length(id) > 0 ? json_string_value(id) : NULL, json_string_value(name));
    json_t *want = json_string_length(id) > 0 ? json_incref((json_t *)(uintptr_t)id)
                   : call                     ? json_incref(json_object_get(call, "id"))
                                              : json_sprintf("call_%zu", i);
    if (!want || json_object_set_new(copy, "tool_call_id", want) != 0 ||
        (call && json_object_set_new(call, "done", json_true()) != 0) ||
        (call && !json_is_string(name) && json_object_set(copy, "name", json_object_get(call, "name")) != 0))
        return wick_err_oom(err, "messages", 0, 0);
    return WICK_OK;
}

/* --- tools ------------------------------------------------------------------------------------------------------- */
#define BAD_TOOL(at, what, got) wick_message_bad(err, "tools", at, what, got)

/* A member of a tool's function that must have one type; *out borrowed, NULL where it is not there. */
static wick_status member(const json_t *fn, const char *at, const char *key, json_type type, const json_t **out,
                          wick_err *err)
{
    char place[96];
    *out = wick_json_present(fn, key);
    if (!*out || json_typeof(*out) == type) return WICK_OK;
    snprintf(place, sizeof place, "%s.%s", at, key);
    return BAD_TOOL(place, type == JSON_STRING ? "must be a string" : "must be an object", *out);
}

/* Everything that is not null, but for what says how the request is served. */
static json_t *copy_function(const json_t *fn)
{
    static const char *const not_shown[] = {"strict", "type", "cache_control"};
    json_t *out = json_object(), *v;
    const char *key;
    bool ok = out != NULL;
    json_object_foreach((json_t *)(uintptr_t)fn, key, v)
    {
        bool skip = json_is_null(v);
        for (size_t i = 0; i < sizeof not_shown / sizeof *not_shown; i++) skip = skip || strcmp(key, not_shown[i]) == 0;
        if (!skip) ok = ok && json_object_set(out, key, v) == 0;
    }
    if (ok) return out;
    json_decref(out);
    return NULL;
}

static wick_status read_tool(const json_t *tool, size_t i, json_t *list, wick_err *err)
{
    char at[64], place[96];
    const json_t *name, *about, *parameters;
    snprintf(at, sizeof at, "tools[%zu]", i);
    if (!json_is_object(tool)) return BAD_TOOL(at, "must be an object", tool);
    const json_t *type = wick_json_present(tool, "type"), *fn = wick_json_present(tool, "function");
    snprintf(place, sizeof place, "%s.type", at);
    if (type && (!json_is_string(type) || strcmp(json_string_value(type), "function") != 0))
        return BAD_TOOL(place, "must be \"function\"", json_is_string(type) ? NULL : type);
    if (fn) snprintf(at, sizeof at, "tools[%zu].function", i);
    if (fn && !json_is_object(fn)) return BAD_TOOL(at, "must be an object", fn);
    if (!fn) fn = tool;
    WICK_TRY(member(fn, at, "name", JSON_STRING, &name, err));
    WICK_TRY(member(fn, at, "description", JSON_STRING, &about, err));
    WICK_TRY(member(fn, at, "parameters", JSON_OBJECT, &parameters, err));
    snprintf(place, sizeof place, "%s.name", at);
    if (json_string_length(name) == 0) return BAD_TOOL(place, name ? "is empty" : "is missing", NULL);
    json_t *copy = copy_function(fn);
    if (!copy || json_array_append_new(list, json_pack("{s:s, s:O}", "type", "function", "function", copy)) != 0) {
        json_decref(copy);
        return wick_err_oom(err, "tools", 0, 0);
    }
    json_decref(copy);
    return WICK_OK;
}

wick_status wick_tools_normalise(const json_t *tools, json_t **out, wick_err *err)
{
    *out = NULL;
    if (!tools || json_is_null(tools)) return WICK_OK;
    if (!json_is_array(tools)) return BAD_TOOL("tools", "must be an array", tools);
    if (json_array_size(tools) == 0) return WICK_OK;
    json_t *list = json_array();
    wick_status st = list ? WICK_OK : wick_err_oom(err, "tools", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < json_array_size(tools); i++)
        st = read_tool(json_array_get(tools, i), i, list, err);
    if (st == WICK_OK)
        *out = list;
    else
        json_decref(list);
    return st;
}
