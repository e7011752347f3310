/* chat/adapt.c - see adapt.h. The steps, in order:
 *
 *   1. developer messages become system messages; tools move into the system message; system messages that cannot stand
 *      where they stand are joined with the first one or put before the next user message (here).
 *   2. calls and results take the form that the template shows (adapt_calls.c).
 *   3. messages in a row are joined, an empty user message is put first, an empty answer after a result (here).
 *   4. contents become strings or lists of parts, reasoning gets the name that is read (here).
 */
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "chat/adapt_int.h"
#include "chat/format/format.h"

/* --- helpers ----------------------------------------------------------------------------------------------------- */
bool wick_message_has_role(const json_t *m, const char *role)
{
    const char *s = json_string_value(json_object_get(m, "role"));
    return s && strcmp(s, role) == 0;
}

static bool is_system(const json_t *m)
{
    return wick_message_has_role(m, "system") || wick_message_has_role(m, "developer");
}

bool wick_content_is_text(const json_t *content)
{
    for (size_t i = 0; json_is_array(content) && i < json_array_size(content); i++)
        if (!json_is_string(json_object_get(json_array_get(content, i), "text"))) return false;
    return true;
}

json_t *wick_content_text(const json_t *content)
{
    if (!json_is_array(content))
        return json_is_string(content) ? json_incref((json_t *)(uintptr_t)content) : json_string("");
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; i < json_array_size(content); i++) {
        const json_t *text = json_object_get(json_array_get(content, i), "text");
        if (!json_is_string(text)) continue;
        if (b.n > 0) wick_buf_putc(&b, '\n');
        wick_buf_add(&b, json_string_value(text), json_string_length(text));
    }
    const char *s = wick_buf_str(&b);
    json_t *out = b.failed ? NULL : json_stringn(s, b.n);
    wick_buf_release(&b);
    return out;
}

static json_t *parts_of(const json_t *content)
{
    if (json_is_array(content)) return json_copy((json_t *)(uintptr_t)content);
    if (json_string_length(content) == 0) return json_array();
    return json_pack("[{s:s, s:O}]", "type", "text", "text", content);
}

json_t *wick_content_join(const json_t *a, const json_t *b, const char *between)
{
    if ((json_is_array(a) != json_is_array(b)) && wick_content_is_text(a) && wick_content_is_text(b)) {
        json_t *ta = wick_content_text(a), *tb = wick_content_text(b);
        json_t *out = ta && tb ? wick_content_join(ta, tb, between) : NULL;
        json_decref(ta);
        json_decref(tb);
        return out;
    }
    if (!json_is_array(a) && !json_is_array(b)) {
        const size_t na = json_string_length(a), nb = json_string_length(b);
        wick_buf t = WICK_BUF_INIT;
        if (na > 0) wick_buf_add(&t, json_string_value(a), na);
        if (na > 0 && nb > 0) wick_buf_puts(&t, between);
        if (nb > 0) wick_buf_add(&t, json_string_value(b), nb);
        const char *s = wick_buf_str(&t);
        json_t *out = t.failed ? NULL : json_stringn(s, t.n);
        wick_buf_release(&t);
        return out;
    }
    json_t *list = parts_of(a), *more = parts_of(b);
    if (!list || !more || json_array_extend(list, more) != 0) {
        json_decref(list);
        list = NULL;
    }
    json_decref(more);
    return list;
}

/* Appends m's content and reasoning to those of `to`. */
static bool join_messages(json_t *to, const json_t *m, const char *between)
{
    json_t *content = wick_content_join(json_object_get(to, "content"), json_object_get(m, "content"), between);
    if (!content || json_object_set_new(to, "content", content) != 0) return false;
    const json_t *a = json_object_get(to, "reasoning_content"), *b = json_object_get(m, "reasoning_content");
    if (!b) return true;
    json_t *both = wick_content_join(a, b, "\n");
    return both && json_object_set_new(to, "reasoning_content", both) == 0;
}

/* --- 1: system messages and tools -------------------------------------------------------------------------------- */
static json_t *first_system(json_t *messages)
{
    json_t *m = json_array_get(messages, 0);
    if (is_system(m)) return m;
    json_t *made = json_pack("{s:s, s:s}", "role", "system", "content", "");
    return made && json_array_insert_new(messages, 0, made) == 0 ? made : NULL;
}

static wick_status place_tools(const wick_chat_caps *c, json_t *messages, json_t **tools, wick_err *err)
{
    wick_buf b = WICK_BUF_INIT;
    json_t *text = NULL, *m;
    wick_status st = WICK_OK;
    if (!*tools || c->tools) return WICK_OK;
    if (c->tools_in_system) {
        char *dump = json_dumps(*tools, 0);
        wick_buf_puts(&b, dump ? dump : "");
        if (!dump) b.failed = true;
        free(dump);
    } else {
        st = wick_call_describe(c->calls_as ? c->calls_as : wick_call_syntax_by_name("hermes"), *tools, &b, err);
    }
    const char *s = wick_buf_str(&b);
    if (st == WICK_OK && !b.failed) text = json_stringn(s, b.n);
    wick_buf_release(&b);
    if (st != WICK_OK) return st;
    m = text ? first_system(messages) : NULL;
    if (m && !c->tools_in_system) {
        json_t *with = wick_content_join(json_object_get(m, "content"), text, "\n\n");
        json_decref(text);
        text = with;
    }
    if (!m || !text || json_object_set(m, c->tools_in_system ? "tools" : "content", text) != 0)
        st = wick_err_oom(err, "tools", 0, 0);
    json_decref(text);
    json_decref(*tools);
    *tools = NULL;
    return st;
}

/* Message i, a system's, goes before the text of the next user message, or becomes one. */
static bool into_next_user(json_t *messages, size_t i)
{
    json_t *m = json_array_get(messages, i);
    for (size_t k = i + 1; k < json_array_size(messages); k++) {
        json_t *next = json_array_get(messages, k);
        if (!wick_message_has_role(next, "user")) {
            if (is_system(next)) continue;
            break;
        }
        json_t *text = wick_content_join(json_object_get(m, "content"), json_object_get(next, "content"), "\n\n");
        return text && json_object_set_new(next, "content", text) == 0 && json_array_remove(messages, i) == 0;
    }
    return json_object_set_new(m, "role", json_string("user")) == 0;
}

static bool fix_systems(const wick_chat_caps *c, json_t *messages)
{
    size_t lead = 0;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = json_array_get(messages, i);
        if (wick_message_has_role(m, "developer") && !c->developer &&
            json_object_set_new(m, "role", json_string("system")) != 0)
            return false;
    }
    if (json_array_size(messages) == 1 && !c->lone_system && is_system(json_array_get(messages, 0)) &&
        json_object_set_new(json_array_get(messages, 0), "role", json_string("user")) != 0)
        return false;
    while (lead < json_array_size(messages) && is_system(json_array_get(messages, lead))) lead++;
    while (lead > 1 && !c->several_systems) {
        if (!join_messages(json_array_get(messages, 0), json_array_get(messages, 1), "\n\n") ||
            json_array_remove(messages, 1) != 0)
            return false;
        lead--;
    }
    /* From the last to the first, so that several before one user message keep their order. */
    for (size_t i = json_array_size(messages); i-- > 0;) {
        const json_t *m = json_array_get(messages, i);
        if (!is_system(m)) continue;
        const bool ok =
            i < lead ? c->system || (c->developer && wick_message_has_role(m, "developer")) : c->late_system;
        if (!ok && !into_next_user(messages, i)) return false;
    }
    return true;
}

/* --- 3: order ---------------------------------------------------------------------------------------------------- */
static bool may_join(const json_t *a, const json_t *b)
{
    const bool users = wick_message_has_role(a, "user") && wick_message_has_role(b, "user");
    const bool answers = wick_message_has_role(a, "assistant") && wick_message_has_role(b, "assistant");
    return (users || answers) && !json_object_get(a, "tool_calls") && !json_object_get(b, "tool_calls");
}

static bool fix_order(const wick_chat_caps *c, json_t *messages)
{
    size_t first = 0;
    for (size_t i = 0; c->alternates && i + 1 < json_array_size(messages);) {
        if (!may_join(json_array_get(messages, i), json_array_get(messages, i + 1))) {
            i++;
            continue;
        }
        if (!join_messages(json_array_get(messages, i), json_array_get(messages, i + 1), "\n\n") ||
            json_array_remove(messages, i + 1) != 0)
            return false;
    }
    while (is_system(json_array_get(messages, first))) first++;
    if (!c->user_first || !wick_message_has_role(json_array_get(messages, first), "assistant")) return true;
    return json_array_insert_new(messages, first, json_pack("{s:s, s:s}", "role", "user", "content", "")) == 0;
}

/* An answer of no text where the template wants one: between a result and a user message, and where one is empty. */
static bool fill_answers(const wick_chat_caps *c, json_t *messages)
{
    const char *none = c->empty_answer ? "" : " ";
    bool after_user = false; /* no plain answer came since the last user message */
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = json_array_get(messages, i);
        const bool user = wick_message_has_role(m, "user");
        if (wick_message_has_role(m, "assistant") && !json_object_get(m, "tool_calls")) {
            const json_t *content = json_object_get(m, "content");
            const bool empty = json_is_string(content) && json_string_length(content) == 0;
            if (empty && !c->empty_answer && json_object_set_new(m, "content", json_string(none)) != 0) return false;
            after_user = false;
        }
        if (user && after_user && c->alternates && !c->user_after_result && i > 0 &&
            wick_message_has_role(json_array_get(messages, i - 1), "tool")) {
            json_t *filler = json_pack("{s:s, s:s}", "role", "assistant", "content", none);
            if (!filler || json_array_insert_new(messages, i++, filler) != 0) return false;
        }
        if (user) after_user = true;
    }
    return true;
}

/* --- 4: forms ---------------------------------------------------------------------------------------------------- */
static unsigned bit_of(const json_t *m)
{
    return is_system(m)                            ? WICK_CHAT_SYSTEM
           : wick_message_has_role(m, "assistant") ? WICK_CHAT_ASSISTANT
           : wick_message_has_role(m, "tool")      ? WICK_CHAT_TOOL
                                                   : WICK_CHAT_USER;
}

static bool fix_content(const wick_chat_caps *c, json_t *m)
{
    const unsigned bit = bit_of(m);
    const json_t *content = json_object_get(m, "content");
    json_t *want = NULL;
    if (json_is_array(content) && !(c->parts & bit) && (c->strings & bit) && wick_content_is_text(content))
        want = wick_content_text(content);
    else if (json_is_string(content) && (c->parts & bit) && !(c->strings & bit))
        want = json_pack("[{s:s, s:O}]", "type", "text", "text", content);
    else
        return true;
    return want && json_object_set_new(m, "content", want) == 0;
}

/* Templates read reasoning under one of two names, a few under another one or as a part of the content. */
static bool fix_reasoning(const wick_chat_caps *c, json_t *m)
{
    json_t *v = json_object_get(m, "reasoning_content");
    if (!v) return true;
    if (c->reasoning_key && json_object_set(m, c->reasoning_key, v) != 0) return false;
    if (!c->reasoning_parts) return json_object_set(m, "thinking", v) == 0;
    json_t *thought = json_pack("[{s:s, s:O}]", "type", "thinking", "thinking", v);
    json_t *content = thought ? wick_content_join(thought, json_object_get(m, "content"), "") : NULL;
    json_decref(thought);
    return content && json_object_set_new(m, "content", content) == 0;
}

wick_status wick_chat_adapt(const wick_chat_caps *c, json_t *messages, json_t **tools, wick_err *err)
{
    WICK_TRY(place_tools(c, messages, tools, err));
    bool ok = wick_adapt_tools(c, *tools) && fix_systems(c, messages) && wick_adapt_calls(c, messages) &&
              fix_order(c, messages) && fill_answers(c, messages);
    for (size_t i = 0; ok && i < json_array_size(messages); i++)
        ok = fix_content(c, json_array_get(messages, i)) && fix_reasoning(c, json_array_get(messages, i));
    return ok ? WICK_OK : wick_err_oom(err, "messages", 0, 0);
}
