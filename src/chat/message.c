/* chat/message.c - see message.h. What a message holds beside its tool calls; those are in message_calls.c. */
#include "chat/message_int.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "base/json.h"

enum { ROLE_MAX_BYTES = 64 };

wick_status wick_message_bad(wick_err *err, const char *subject, const char *at, const char *what, const json_t *got)
{
    if (!got) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, subject, "%s: %s", at, what);
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, subject, "%s: %s, not %s", at, what, wick_json_type_name(got));
}

json_t *wick_json_present(const json_t *o, const char *key)
{
    json_t *v = json_object_get(o, key);
    return v && !json_is_null(v) ? v : NULL;
}

/* --- roles ------------------------------------------------------------------------------------------------------- */
/* Templates print roles as they are, so a role is a name and nothing else. */
static bool is_name(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') ||
              s[i] == '_' || s[i] == '-' || s[i] == '.'))
            return false;
    return n > 0 && n <= ROLE_MAX_BYTES;
}

static wick_status read_role(const json_t *m, size_t i, const char **out, wick_err *err)
{
    char at[64];
    const json_t *role = wick_json_present(m, "role");
    snprintf(at, sizeof at, "messages[%zu].role", i);
    if (!role) return BAD_MESSAGE(at, "is missing", NULL);
    if (!json_is_string(role)) return BAD_MESSAGE(at, "must be a string", role);
    *out = json_string_value(role);
    if (!is_name(*out, json_string_length(role)))
        return BAD_MESSAGE(at, "must be system, developer, user, assistant, tool, or a name of letters and digits",
                           NULL);
    if (strcmp(*out, "function") == 0) *out = "tool";
    return WICK_OK;
}

/* --- parts ------------------------------------------------------------------------------------------------------- */
static bool one_of(const char *s, const char *const *list)
{
    for (; s && *list; list++)
        if (strcmp(s, *list) == 0) return true;
    return false;
}

static json_t *text_part(json_t *text)
{
    return json_pack("{s:s, s:O}", "type", "text", "text", text);
}

/* The text of a reasoning part: a string, or a list of text parts. */
static void add_thought(const json_t *v, wick_buf *out)
{
    if (json_is_string(v)) {
        if (out->n > 0) wick_buf_putc(out, '\n');
        wick_buf_add(out, json_string_value(v), json_string_length(v));
    }
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        add_thought(json_object_get(json_array_get(v, i), "text"), out);
}

/* *out: the part in canonical form, or NULL where it holds reasoning (added to `thought`) or nothing. */
static wick_status read_part(json_t *part, const char *at, json_t **out, wick_buf *thought, wick_err *err)
{
    static const char *const texts[] = {"text", "input_text", "output_text", NULL};
    static const char *const thoughts[] = {"thinking", "reasoning", "reasoning_text", NULL};
    *out = NULL;
    if (json_is_string(part)) {
        *out = text_part(part);
        return *out ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    }
    if (!json_is_object(part)) return BAD_MESSAGE(at, "a part must be an object or a string", part);
    const json_t *type = wick_json_present(part, "type");
    json_t *text = wick_json_present(part, "text");
    const char *name = json_string_value(type);
    if (type && !name) return BAD_MESSAGE(at, "\"type\" must be a string", type);
    if (one_of(name, thoughts)) {
        const json_t *v = wick_json_present(part, name);
        add_thought(v ? v : text, thought);
        return WICK_OK;
    }
    if (name && strcmp(name, "redacted_thinking") == 0) return WICK_OK;
    if (name && strcmp(name, "refusal") == 0) text = wick_json_present(part, "refusal");
    if (name && strcmp(name, "refusal") != 0 && !one_of(name, texts)) {
        *out = json_incref(part);
        return WICK_OK;
    }
    if (!name && !text) return BAD_MESSAGE(at, "a part has no \"type\"", NULL);
    if (!json_is_string(text))
        return text ? BAD_MESSAGE(at, "\"text\" must be a string", text) : BAD_MESSAGE(at, "has no \"text\"", NULL);
    *out = text_part(text);
    return *out ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
}

static wick_status read_parts(const json_t *parts, size_t i, json_t **out, wick_buf *thought, wick_err *err)
{
    json_t *list = json_array();
    wick_status st = list ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    for (size_t k = 0; st == WICK_OK && k < json_array_size(parts); k++) {
        char at[64];
        json_t *part;
        snprintf(at, sizeof at, "messages[%zu].content[%zu]", i, k);
        st = read_part(json_array_get(parts, k), at, &part, thought, err);
        if (st == WICK_OK && part && json_array_append_new(list, part) != 0) st = wick_err_oom(err, "messages", 0, 0);
    }
    if (st == WICK_OK && json_array_size(list) == 0) {
        json_decref(list);
        list = json_string("");
        if (!list) st = wick_err_oom(err, "messages", 0, 0);
    }
    if (st == WICK_OK)
        *out = list;
    else
        json_decref(list);
    return st;
}

/* --- content and reasoning --------------------------------------------------------------------------------------- */
static bool is_prompting(const char *role)
{
    static const char *const roles[] = {"system", "developer", "user", NULL};
    return one_of(role, roles);
}

/* *out is a new reference. */
static wick_status read_content(const json_t *m, const char *role, size_t i, json_t **out, wick_buf *thought,
                                wick_err *err)
{
    char at[64];
    json_t *c = wick_json_present(m, "content");
    snprintf(at, sizeof at, "messages[%zu].content", i);
    if (!c && is_prompting(role)) return BAD_MESSAGE(at, "is missing", NULL);
    if (json_is_array(c)) return read_parts(c, i, out, thought, err);
    if (json_is_string(c)) {
        *out = json_incref(c);
    } else if (!c) {
        *out = json_string("");
    } else if (strcmp(role, "tool") == 0) { /* a result that nobody made a text of */
        char *text = json_dumps(c, JSON_ENCODE_ANY);
        *out = text ? json_string(text) : NULL;
        free(text);
    } else {
        return BAD_MESSAGE(at, "must be a string or an array of parts", c);
    }
    return *out ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
}

static const char *const reasoning_names[] = {"reasoning_content", "reasoning", "thinking", NULL};

static wick_status read_reasoning(const json_t *m, size_t i, json_t *copy, wick_buf *thought, wick_err *err)
{
    for (const char *const *name = reasoning_names; *name && thought->n == 0; name++) {
        char at[64];
        const json_t *v = wick_json_present(m, *name);
        snprintf(at, sizeof at, "messages[%zu].%s", i, *name);
        if (v && !json_is_string(v)) return BAD_MESSAGE(at, "must be a string", v);
        if (v) wick_buf_add(thought, json_string_value(v), json_string_length(v));
    }
    if (thought->n == 0 && !thought->failed) return WICK_OK;
    const char *s = wick_buf_str(thought);
    json_t *text = thought->failed ? NULL : json_stringn(s, thought->n);
    if (!text || json_object_set_new(copy, "reasoning_content", text) != 0) return wick_err_oom(err, "messages", 0, 0);
    return WICK_OK;
}

/* What this file or message_calls.c has read is left out, and what is null. */
static bool copy_rest(const json_t *m, json_t *copy)
{
    static const char *const done[] = {"role", "content", "tool_calls", "function_call", "tool_call_id", NULL};
    const char *key;
    json_t *v;
    bool ok = true;
    json_object_foreach((json_t *)(uintptr_t)m, key, v)
    {
        if (json_is_null(v) || one_of(key, done) || one_of(key, reasoning_names) || json_object_get(copy, key))
            continue;
        ok = ok && json_object_set(copy, key, v) == 0;
    }
    return ok;
}

/* --- the whole --------------------------------------------------------------------------------------------------- */
static wick_status read_message(wick_message_reader *r, const json_t *m, size_t i, wick_err *err)
{
    const char *role = "";
    json_t *copy = NULL, *content = NULL;
    wick_buf thought = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    if (!json_is_object(m))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages[%zu]: expected an object, got %s", i,
                         wick_json_type_name(m));
    WICK_TRY(read_role(m, i, &role, err));
    WICK_TRY_GOTO(read_content(m, role, i, &content, &thought, err));
    copy = json_pack("{s:s, s:O}", "role", role, "content", content);
    if (!copy) {
        st = wick_err_oom(err, "messages", 0, 0);
        goto done;
    }
    if (!is_prompting(role)) WICK_TRY_GOTO(read_reasoning(m, i, copy, &thought, err));
    if (strcmp(role, "assistant") == 0) WICK_TRY_GOTO(wick_message_read_calls(r, m, i, copy, err));
    if (strcmp(role, "tool") == 0) WICK_TRY_GOTO(wick_message_read_result(r, m, i, copy, err));
    if (!copy_rest(m, copy) || json_array_append(r->list, copy) != 0) st = wick_err_oom(err, "messages", 0, 0);
done:
    wick_buf_release(&thought);
    json_decref(content);
    json_decref(copy);
    return st;
}

wick_status wick_messages_normalise(const json_t *messages, json_t **out, wick_err *err)
{
    *out = NULL;
    if (!json_is_array(messages))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: expected an array, got %s",
                         messages ? wick_json_type_name(messages) : "nothing");
    wick_message_reader r = {.list = json_array(), .calls = json_array()};
    wick_status st = r.list && r.calls ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
    for (size_t i = 0; st == WICK_OK && i < json_array_size(messages); i++)
        st = read_message(&r, json_array_get(messages, i), i, err);
    json_decref(r.calls);
    if (st == WICK_OK)
        *out = r.list;
    else
        json_decref(r.list);
    return st;
}
