/* server/dialect/anthropic_in.c - a Messages request as OpenAI's messages and tools, and the parameters' table.
 *
 * One message of Anthropic's can be several of OpenAI's: results of tools stand within a user's message there. Blocks
 * that
 * only steer a cache are dropped; images and documents are refused by name. */
#include <stdio.h>
#include <string.h>
#include "base/json.h"
#include "server/dialect/anthropic.h"

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

static const char *text_member(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_string(v) ? json_string_value(v) : NULL;
}

static json_t *text_part(const json_t *text)
{
    return json_pack("{s:s, s:O}", "type", "text", "text", text);
}

/* Text of a system prompt or of a result: a string, or blocks of text. Appends parts to `parts`. */
static wick_status text_blocks(const json_t *v, const char *where, json_t *parts, wick_err *err)
{
    if (json_is_string(v)) {
        json_array_append_new(parts, text_part(v));
        return WICK_OK;
    }
    if (!json_is_array(v))
        return BAD("messages", "%s: must be a string or an array of blocks, not %s", where, wick_json_type_name(v));
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *block = json_array_get(v, i), *text = json_object_get(block, "text");
        const char *type = text_member(block, "type");
        if (type && strcmp(type, "image") == 0)
            return WICK_FAIL(err, WICK_E_REFUSED, "messages", "%s[%zu]: image input is not supported by this model",
                             where, i);
        if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
            return BAD("messages", "%s[%zu]: only blocks of text are supported, not \"%.40s\"", where, i,
                       type ? type : "?");
        json_array_append_new(parts, text_part(text));
    }
    return WICK_OK;
}

typedef struct turn {
    json_t *parts, *calls, *results; /* of the message that is being read */
    wick_buf thought;
} turn;

static wick_status read_tool_use(const json_t *block, size_t i, size_t k, turn *t, wick_err *err)
{
    const json_t *id = json_object_get(block, "id"), *name = json_object_get(block, "name");
    json_t *input = json_object_get(block, "input");
    if (!json_is_string(id) || !json_is_string(name))
        return BAD("messages", "messages[%zu].content[%zu]: a tool_use needs an id and a name", i, k);
    if (input && !json_is_object(input))
        return BAD("messages", "messages[%zu].content[%zu].input: must be an object, not %s", i, k,
                   wick_json_type_name(input));
    json_array_append_new(t->calls, json_pack("{s:O, s:s, s:{s:O, s:o}}", "id", id, "type", "function", "function",
                                              "name", name, "arguments", input ? json_incref(input) : json_object()));
    return WICK_OK;
}

static wick_status read_result(const json_t *block, size_t i, size_t k, turn *t, wick_err *err)
{
    const json_t *id = json_object_get(block, "tool_use_id"), *content = json_object_get(block, "content");
    char where[64];
    if (!json_is_string(id)) return BAD("messages", "messages[%zu].content[%zu].tool_use_id: must be a string", i, k);
    json_t *parts = json_array();
    json_t *m = json_pack("{s:s, s:O, s:O?}", "role", "tool", "tool_call_id", id, "content", parts);
    json_array_append_new(t->results, m);
    json_decref(parts);
    if (json_is_true(json_object_get(block, "is_error")))
        json_array_append_new(parts, json_pack("{s:s, s:s}", "type", "text", "text", "Error:"));
    snprintf(where, sizeof where, "messages[%zu].content[%zu].content", i, k);
    return content && !json_is_null(content) ? text_blocks(content, where, parts, err) : WICK_OK;
}

static wick_status read_block(const json_t *block, size_t i, size_t k, turn *t, wick_err *err)
{
    const char *type = text_member(block, "type");
    const json_t *text = json_object_get(block, "text");
    if (!type) return BAD("messages", "messages[%zu].content[%zu].type: must be a string", i, k);
    if (strcmp(type, "text") == 0) {
        if (!json_is_string(text)) return BAD("messages", "messages[%zu].content[%zu].text: must be a string", i, k);
        json_array_append_new(t->parts, text_part(text));
        return WICK_OK;
    }
    if (strcmp(type, "thinking") == 0) {
        const char *thought = text_member(block, "thinking");
        if (!thought) return BAD("messages", "messages[%zu].content[%zu].thinking: must be a string", i, k);
        if (t->thought.n > 0) wick_buf_putc(&t->thought, '\n');
        wick_buf_puts(&t->thought, thought);
        return WICK_OK;
    }
    if (strcmp(type, "redacted_thinking") == 0) return WICK_OK; /* nobody here can read it */
    if (strcmp(type, "tool_use") == 0) return read_tool_use(block, i, k, t, err);
    if (strcmp(type, "tool_result") == 0) return read_result(block, i, k, t, err);
    if (strcmp(type, "image") == 0)
        return WICK_FAIL(err, WICK_E_REFUSED, "messages",
                         "messages[%zu].content[%zu]: image input is not supported by this model", i, k);
    return BAD("messages", "messages[%zu].content[%zu]: blocks of type \"%.40s\" are not supported", i, k, type);
}

/* What was read of one message to `out`: results of tools first, then its own text. */
static void finish_turn(const json_t *role, turn *t, json_t *out)
{
    json_array_extend(out, t->results);
    const bool assistant = strcmp(json_string_value(role), "assistant") == 0;
    if (json_array_size(t->parts) == 0 && json_array_size(t->calls) == 0 && json_array_size(t->results) > 0) return;
    json_t *m = json_pack("{s:O, s:O}", "role", role, "content", t->parts);
    if (assistant && json_array_size(t->calls) > 0) json_object_set(m, "tool_calls", t->calls);
    if (assistant && t->thought.n > 0)
        json_object_set_new(m, "reasoning_content", json_stringn(wick_buf_str(&t->thought), t->thought.n));
    json_array_append_new(out, m);
}

static wick_status read_message(const json_t *m, size_t i, json_t *out, wick_err *err)
{
    const json_t *role = json_object_get(m, "role"), *content = json_object_get(m, "content");
    if (!json_is_object(m))
        return BAD("messages", "messages[%zu]: must be an object, not %s", i, wick_json_type_name(m));
    if (!json_is_string(role)) return BAD("messages", "messages[%zu].role: must be a string", i);
    if (json_is_string(content)) {
        json_array_append_new(out, json_pack("{s:O, s:O}", "role", role, "content", content));
        return WICK_OK;
    }
    if (!json_is_array(content))
        return BAD("messages", "messages[%zu].content: must be a string or an array of blocks, not %s", i,
                   wick_json_type_name(content));
    turn t = {json_array(), json_array(), json_array(), WICK_BUF_INIT};
    wick_status st = t.parts && t.calls && t.results ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    for (size_t k = 0; st == WICK_OK && k < json_array_size(content); k++)
        st = read_block(json_array_get(content, k), i, k, &t, err);
    if (st == WICK_OK) finish_turn(role, &t, out);
    json_decref(t.parts);
    json_decref(t.calls);
    json_decref(t.results);
    wick_buf_release(&t.thought);
    return st;
}

wick_status wick_anthropic_messages(wick_params *p, const wick_server_limits *l, wick_err *err)
{
    const json_t *in = p->messages;
    if (!in) return BAD("messages", "messages: is missing");
    if (json_array_size(in) > l->messages)
        return BAD("messages", "messages: %zu of them, at most %llu", json_array_size(in),
                   (unsigned long long)l->messages);
    json_t *out = json_array();
    WICK_TRY(wick_params_keep(p, out, err));
    if (p->instructions) {
        json_t *parts = json_array(), *m = json_pack("{s:s, s:o}", "role", "system", "content", parts);
        json_array_append_new(out, m);
        WICK_TRY(text_blocks(p->instructions, "system", parts, err));
    }
    for (size_t i = 0; i < json_array_size(in); i++) WICK_TRY(read_message(json_array_get(in, i), i, out, err));
    p->messages = out;
    p->prefill = true;
    return WICK_OK;
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
        const json_t *t = json_array_get(v, i), *name = json_object_get(t, "name");
        const json_t *about = json_object_get(t, "description");
        json_t *schema = json_object_get(t, "input_schema");
        const char *type = text_member(t, "type");
        if (type && strcmp(type, "custom") != 0)
            return BAD(q->name, "tools[%zu].type: tools that Anthropic runs (\"%.40s\") are not there", i, type);
        if (!json_is_string(name)) return BAD(q->name, "tools[%zu].name: must be a string", i);
        if (schema && !json_is_object(schema)) return BAD(q->name, "tools[%zu].input_schema: must be an object", i);
        json_t *f = json_pack("{s:O, s:O}", "name", name, "parameters", schema ? schema : json_null());
        if (!schema) json_object_del(f, "parameters");
        if (json_is_string(about)) json_object_set(f, "description", (json_t *)(uintptr_t)about);
        json_array_append_new(out, json_pack("{s:s, s:o}", "type", "function", "function", f));
    }
    if (json_array_size(out) > 0) r->p->tools = out;
    return wick_params_note_strict(r->p, v, err);
}

static wick_status read_tool_choice(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_err *err = r->err;
    const char *type = text_member(v, "type");
    const json_t *one = json_object_get(v, "disable_parallel_tool_use");
    if (!type) return BAD(q->name, "tool_choice: must be an object with a type");
    if (one && !json_is_boolean(one))
        return BAD(q->name, "tool_choice.disable_parallel_tool_use: must be true or false");
    r->p->one_call = json_is_true(one);
    r->p->tool_choice_none = strcmp(type, "none") == 0;
    r->p->one_named = strcmp(type, "tool") == 0;
    r->p->tool_choice_required = r->p->one_named || strcmp(type, "any") == 0;
    if (r->p->one_named) {
        const json_t *name = json_object_get(v, "name");
        if (!json_is_string(name)) return BAD(q->name, "tool_choice.name: must be a string");
        return wick_params_allow_tools(r->p, json_pack("[O]", name), err);
    }
    if (r->p->tool_choice_none || r->p->tool_choice_required || strcmp(type, "auto") == 0) return WICK_OK;
    return BAD(q->name, "tool_choice: must be \"auto\", \"any\", \"tool\" or \"none\"");
}

static wick_status read_thinking(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_err *err = r->err;
    const char *type = text_member(v, "type");
    if (!type || (strcmp(type, "enabled") != 0 && strcmp(type, "disabled") != 0 && strcmp(type, "adaptive") != 0))
        return BAD(q->name, "thinking.type: must be \"enabled\", \"adaptive\" or \"disabled\"");
    r->p->thinking = strcmp(type, "disabled") == 0 ? -1 : 1;
    return WICK_OK;
}

static wick_status read_metadata(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const json_t *user = json_object_get(v, "user_id");
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    return json_is_string(user) ? wick_read_user(r, q, user) : WICK_OK;
}

#define AT(f) offsetof(wick_params, f)
#define FN(f) WICK_PK_FN, 0, 0, 0, 0, read_##f
#define NOOP(types) WICK_PK_NOOP, types, 0, 0, 0, NULL
#define ASK WICK_P_ANTHROPIC
#define BOTH (WICK_P_ANTHROPIC | WICK_P_ANTHROPIC_COUNT)

/* clang-format off */
static const wick_param rows[] = {
    {"messages", BOTH, WICK_PK_ARRAY, AT(messages), 0, 0, 0, NULL, "blocks: text, thinking, tool_use, tool_result"},
    {"system", BOTH, WICK_PK_ANY, AT(instructions), 0, 0, 0, NULL, "a string or blocks of text"},
    {"tools", BOTH, FN(tools), "tools of the client's own"},
    {"tool_choice", BOTH, FN(tool_choice), "auto, any, tool, none; disable_parallel_tool_use: one call a turn"},
    {"thinking", BOTH, FN(thinking), "on or off, where the template has a switch; the budget is not enforced"},
    {"stop_sequences", ASK, WICK_PK_FN, 0, 0, 0, 0, wick_read_stop, "texts that end the answer"},
    {"metadata", ASK, FN(metadata), "user_id: users of a key share no cached prompts"},
    {"service_tier", ASK, WICK_PK_FN, 0, 0, 0, 0, wick_read_tier, "there is one tier"},
    {"cache_control", BOTH, NOOP(WICK_PT_OBJECT), "every prompt is cached while memory allows"},
    {"container", ASK, NOOP(WICK_PT_STR), "nothing runs on the server"},
    {"context_management", BOTH, NOOP(WICK_PT_OBJECT), "nothing is removed from a conversation"},
    {"betas", BOTH, NOOP(WICK_PT_ARRAY), "there is one version"},
};
/* clang-format on */
const wick_param_table wick_params_anthropic = {rows, sizeof rows / sizeof *rows};
