/* server/dialect/openai_responses_in.c - a Responses request: its parameters, and its items as OpenAI's messages. */
#include <string.h>
#include "base/json.h"
#include "server/dialect/responses.h"
#include "server/response_store.h"

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

enum { MAX_CHAIN = 1000 /* responses that one conversation may go back */ };

static const char *text_member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_string_value(v) : NULL;
}

/* --- items to messages -------------------------------------------------------------------------------------------- */
/* Text of a message or of a tool's result, as text parts of chat. */
static wick_status content_parts(const json_t *v, size_t i, json_t **out, wick_err *err)
{
    *out = NULL;
    if (json_is_string(v)) {
        *out = json_incref((json_t *)(uintptr_t)v);
        return WICK_OK;
    }
    if (!json_is_array(v))
        return BAD("input", "input[%zu]: content must be a string or an array, not %s", i, wick_json_type_name(v));
    json_t *parts = json_array();
    for (size_t k = 0; k < json_array_size(v); k++) {
        const json_t *part = json_array_get(v, k), *text = json_object_get(part, "text");
        const char *type = text_member(part, "type");
        if (type && strcmp(type, "refusal") == 0) text = json_object_get(part, "refusal");
        if (type && strcmp(type, "input_image") == 0) {
            json_decref(parts);
            return BAD("input", "input[%zu].content[%zu]: image input is not supported by this model", i, k);
        }
        const bool known = type && (strcmp(type, "input_text") == 0 || strcmp(type, "output_text") == 0 ||
                                    strcmp(type, "text") == 0 || strcmp(type, "refusal") == 0);
        if (!known || !json_is_string(text)) {
            json_decref(parts);
            return BAD("input", "input[%zu].content[%zu]: must be a part of type input_text or output_text with a text",
                       i, k);
        }
        json_array_append_new(parts, json_pack("{s:s, s:O}", "type", "text", "text", text));
    }
    *out = parts;
    return WICK_OK;
}

/* The assistant's message that calls and reasoning belong to: the last one, if nothing came after it. */
static json_t *assistant_of(json_t *messages)
{
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = last ? text_member(last, "role") : NULL;
    if (role && strcmp(role, "assistant") == 0 && !json_object_get(last, "done")) return last;
    last = json_pack("{s:s, s:s}", "role", "assistant", "content", "");
    json_array_append_new(messages, last);
    return last;
}

static wick_status add_message(const json_t *item, size_t i, json_t *messages, wick_err *err)
{
    const json_t *role = json_object_get(item, "role");
    json_t *content;
    if (!json_is_string(role)) return BAD("input", "input[%zu].role: must be a string", i);
    WICK_TRY(content_parts(json_object_get(item, "content"), i, &content, err));
    if (strcmp(json_string_value(role), "assistant") == 0) {
        json_t *m = assistant_of(messages);
        const json_t *old = json_object_get(m, "content");
        if (json_is_string(old) && json_string_length(old) == 0 && !json_object_get(m, "tool_calls")) {
            json_object_set_new(m, "content", content);
            return WICK_OK;
        }
    }
    json_array_append_new(messages, json_pack("{s:O, s:o}", "role", role, "content", content));
    return WICK_OK;
}

static wick_status add_call(const json_t *item, size_t i, json_t *messages, wick_err *err)
{
    const json_t *id = json_object_get(item, "call_id"), *name = json_object_get(item, "name");
    const json_t *args = json_object_get(item, "arguments");
    if (!json_is_string(id) || !json_is_string(name))
        return BAD("input", "input[%zu]: a call needs call_id and name", i);
    if (!json_is_string(args)) return BAD("input", "input[%zu].arguments: must be a string", i);
    json_t *m = assistant_of(messages), *calls = json_object_get(m, "tool_calls");
    if (!calls) {
        calls = json_array();
        json_object_set_new(m, "tool_calls", calls);
    }
    json_array_append_new(calls, json_pack("{s:O, s:s, s:{s:O, s:O}}", "id", id, "type", "function", "function", "name",
                                           name, "arguments", args));
    return WICK_OK;
}

static wick_status add_result(const json_t *item, size_t i, json_t *messages, wick_err *err)
{
    const json_t *id = json_object_get(item, "call_id");
    json_t *content;
    if (!json_is_string(id)) return BAD("input", "input[%zu].call_id: must be a string", i);
    WICK_TRY(content_parts(json_object_get(item, "output"), i, &content, err));
    json_array_append_new(messages,
                          json_pack("{s:s, s:O, s:o}", "role", "tool", "tool_call_id", id, "content", content));
    return WICK_OK;
}

static void add_reasoning(const json_t *item, json_t *messages)
{
    static const char *const keys[] = {"content", "summary"};
    wick_buf text = WICK_BUF_INIT;
    for (size_t k = 0; k < 2 && text.n == 0; k++) {
        const json_t *list = json_object_get(item, keys[k]);
        for (size_t i = 0; i < json_array_size(list); i++) {
            const char *t = text_member(json_array_get(list, i), "text");
            if (t && text.n > 0) wick_buf_putc(&text, '\n');
            if (t) wick_buf_puts(&text, t);
        }
    }
    if (text.n > 0)
        json_object_set_new(assistant_of(messages), "reasoning_content", json_stringn(wick_buf_str(&text), text.n));
    wick_buf_release(&text);
}

static wick_status add_item(const json_t *item, size_t i, json_t *messages, wick_err *err)
{
    const char *type = text_member(item, "type");
    if (!json_is_object(item))
        return BAD("input", "input[%zu]: must be an object, not %s", i, wick_json_type_name(item));
    if (!type || strcmp(type, "message") == 0) return add_message(item, i, messages, err);
    if (strcmp(type, "function_call") == 0) return add_call(item, i, messages, err);
    if (strcmp(type, "function_call_output") == 0) return add_result(item, i, messages, err);
    if (strcmp(type, "reasoning") == 0) {
        add_reasoning(item, messages);
        return WICK_OK;
    }
    return BAD("input", "input[%zu]: items of type \"%.40s\" are not supported", i, type);
}

static wick_status add_items(const json_t *items, json_t *messages, wick_err *err)
{
    for (size_t i = 0; i < json_array_size(items); i++) WICK_TRY(add_item(json_array_get(items, i), i, messages, err));
    return WICK_OK;
}

/* --- responses before this one ------------------------------------------------------------------------------------ */
/* Items of all of them, oldest first, in front of `items`. */
static wick_status add_previous(const wick_exchange *x, const wick_params *p, json_t *items, wick_err *err)
{
    char id[128] = "";
    const char *at = json_string_value(p->previous);
    for (int n = 0; at; n++) {
        json_t *input = NULL, *response = NULL;
        if (n >= MAX_CHAIN)
            return BAD("previous_response_id", "previous_response_id: more than %d responses in a row", MAX_CHAIN);
        if (wick_response_store_get(x->s->responses, wick_responses_owner(x), at, &input, &response, err) != WICK_OK) {
            if (err->kind == WICK_E_MODEL_NOT_FOUND)
                return BAD("previous_response_id", "previous_response_id: there is no response \"%.100s\"", at);
            return err->kind;
        }
        const json_t *output = json_object_get(response, "output");
        size_t place = 0;
        for (size_t i = 0; i < json_array_size(input); i++) json_array_insert(items, place++, json_array_get(input, i));
        for (size_t i = 0; i < json_array_size(output); i++)
            json_array_insert(items, place++, json_array_get(output, i));
        const char *before = text_member(response, "previous_response_id");
        strncpy(id, before ? before : "", sizeof id - 1);
        at = id[0] ? id : NULL;
        json_decref(input);
        json_decref(response);
    }
    return WICK_OK;
}

wick_status wick_responses_messages(const wick_exchange *x, wick_params *p, json_t **input, wick_err *err)
{
    json_t *own = json_is_string(p->input) ? json_pack("[{s:s, s:s, s:[{s:s, s:O}]}]", "type", "message", "role",
                                                       "user", "content", "type", "input_text", "text", p->input)
                                           : json_copy((json_t *)(uintptr_t)p->input);
    json_t *items = json_array(), *messages = json_array();
    wick_status st = own && items && messages ? WICK_OK : wick_err_oom(err, "input", 0, 0);
    if (st == WICK_OK) st = add_previous(x, p, items, err);
    if (st == WICK_OK) st = json_array_extend(items, own) == 0 ? WICK_OK : wick_err_oom(err, "input", 0, 0);
    if (st == WICK_OK && p->instructions)
        json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "system", "content", p->instructions));
    if (st == WICK_OK) st = add_items(items, messages, err);
    json_decref(items);
    if (st != WICK_OK) {
        json_decref(own);
        json_decref(messages);
        return st;
    }
    p->messages = messages;
    *input = own;
    return wick_params_keep(p, messages, err);
}

/* --- parameters --------------------------------------------------------------------------------------------------- */
static wick_status read_tools(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_err *err = r->err;
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array", v);
    if (json_array_size(v) > r->limits->tools)
        return BAD(q->name, "tools: %zu of them, at most %llu", json_array_size(v),
                   (unsigned long long)r->limits->tools);
    json_t *out = json_array();
    WICK_TRY(wick_params_keep(r->p, out, err));
    for (size_t i = 0; i < json_array_size(v); i++) {
        static const char *const keys[] = {"name", "description", "parameters"};
        const json_t *t = json_array_get(v, i);
        const char *type = text_member(t, "type");
        if (!type || strcmp(type, "function") != 0)
            return BAD(q->name, "tools[%zu].type: only \"function\" is supported, not \"%.40s\"", i, type ? type : "?");
        if (!text_member(t, "name")) return BAD(q->name, "tools[%zu].name: must be a string", i);
        json_t *f = json_object();
        for (size_t k = 0; k < 3; k++) {
            json_t *value = json_object_get(t, keys[k]);
            if (value && !json_is_null(value)) json_object_set(f, keys[k], value);
        }
        json_array_append_new(out, json_pack("{s:s, s:o}", "type", "function", "function", f));
    }
    if (json_array_size(out) > 0) r->p->tools = out;
    r->p->tools_given = v;
    return wick_params_note_strict(r->p, v, err);
}

static wick_status read_text(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_err *err = r->err;
    const json_t *format = json_object_get(v, "format");
    const char *key;
    json_t *x;
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        if (strcmp(key, "format") != 0 && strcmp(key, "verbosity") != 0)
            return BAD(q->name, "text.%.40s: is not known; format and verbosity are", key);
    }
    if (!format || json_is_null(format)) return WICK_OK;
    return wick_read_text_format(r, format);
}

static wick_status read_previous(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_string(v)) return wick_param_expected(r, q->name, "a string", v);
    if (json_string_length(v) > 100) return WICK_PARAM_BAD(r, q->name, "%s: is too long for an id", q->name);
    r->p->previous = v;
    return WICK_OK;
}

static wick_status read_input(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_string(v) && !json_is_array(v))
        return wick_param_expected(r, q->name, "a string or an array of items", v);
    if (json_array_size(v) > r->limits->messages)
        return WICK_PARAM_BAD(r, q->name, "input: %zu items, at most %llu", json_array_size(v),
                              (unsigned long long)r->limits->messages);
    r->p->input = v;
    return WICK_OK;
}

static wick_status read_instructions(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_string(v)) return wick_param_expected(r, q->name, "a string", v);
    r->p->instructions = v;
    return WICK_OK;
}

static wick_status read_background(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_false(v)) return WICK_OK;
    return WICK_PARAM_BAD(r, q->name, "background: only false; a stream can be ended with cancel");
}

#define AT(f) offsetof(wick_params, f)
#define FN(f) WICK_PK_FN, 0, 0, 0, 0, read_##f
#define SHARED(f) WICK_PK_FN, 0, 0, 0, 0, wick_read_##f
#define NOOP(types) WICK_PK_NOOP, types, 0, 0, 0, NULL
#define REFUSED WICK_PK_REFUSED, 0, 0, 0, 0, NULL
#define R WICK_P_RESPONSES

/* clang-format off */
static const wick_param rows[] = {
    {"input", R, FN(input), "a text, or items: messages, function_call, function_call_output, reasoning"},
    {"instructions", R, FN(instructions), "the system's message, of this response only"},
    {"previous_response_id", R, FN(previous), "the conversation up to a stored response goes before the input"},
    {"store", R, WICK_PK_BOOL, AT(store), 0, 0, 0, NULL, "default true: it can be retrieved and continued"},
    {"max_output_tokens", R, SHARED(max_tokens), "an upper bound; the context's end is another"},
    {"tools", R, FN(tools), "functions"},
    {"tool_choice", R, SHARED(tool_choice), "\"auto\", \"none\", \"required\", a function, or allowed_tools"},
    {"reasoning", R, SHARED(reasoning), "effort, where the template takes it; thoughts come whole, not as a summary"},
    {"text", R, FN(text), "{\"format\": {\"type\": \"text\"}}, json_object, or json_schema"},
    {"metadata", R, WICK_PK_OBJECT, AT(metadata), 0, 0, 0, NULL, "kept with the response"},
    {"background", R, FN(background), "only false"},
    {"truncation", R, NOOP(WICK_PT_STR), "what does not fit is refused"},
    {"include", R, NOOP(WICK_PT_ARRAY), "all that there is comes anyway"},
    {"max_tool_calls", R, WICK_PK_U32, offsetof(wick_params, max_tool_calls), 0, 0, 1000000, NULL,
     "bounds calls of tools that run on the server"},
    {"conversation", R, REFUSED, "use previous_response_id"},
    {"prompt", R, REFUSED, "there are no stored prompts"},
};
/* clang-format on */
const wick_param_table wick_params_responses = {rows, sizeof rows / sizeof *rows};
