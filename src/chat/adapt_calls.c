/* chat/adapt_calls.c - the part of the adapter that knows tool calls, their results, and what a tool must say of
 * itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/buf.h"
#include "chat/adapt_int.h"
#include "chat/format/format.h"

/* --- call ids ---------------------------------------------------------------------------------------------------- */
enum { ID_LEN = 9 };

/* Nine letters and digits stay; anything else becomes nine that depend on nothing but the id, so calls and results meet
 * and the same conversation gives the same prompt. (FNV-1a, 64 bits: 53 of them are used.) */
static json_t *nine_char_id(const json_t *id)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    const char *s = json_string_value(id);
    const size_t n = json_string_length(id);
    bool fits = n == ID_LEN;
    uint64_t h = 14695981039346656037u;
    char out[ID_LEN];
    for (size_t i = 0; i < n; i++) {
        fits = fits && strchr(digits, s[i]) && s[i];
        h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    }
    if (fits) return json_incref((json_t *)(uintptr_t)id);
    for (size_t i = 0; i < ID_LEN; i++, h /= 62) out[i] = digits[h % 62];
    return json_stringn(out, ID_LEN);
}

static bool fix_id(json_t *o, const char *key)
{
    const json_t *id = json_object_get(o, key);
    if (!json_is_string(id)) return true;
    json_t *want = nine_char_id(id);
    return want && json_object_set_new(o, key, want) == 0;
}

/* --- arguments --------------------------------------------------------------------------------------------------- */
static json_t *arguments_text(const json_t *fn)
{
    json_t *given = json_object_get(fn, "text");
    if (given) return json_incref(given);
    char *dump = json_dumps(json_object_get(fn, "arguments"), JSON_ENCODE_ANY);
    json_t *out = dump ? json_string(dump) : NULL;
    free(dump);
    return out;
}

/* "text" goes; "arguments" becomes what the template prints. */
static bool fix_arguments(const wick_chat_caps *c, json_t *fn)
{
    const bool as_text =
        c->args == WICK_CHAT_ARGS_STRING || (c->args == WICK_CHAT_ARGS_ANY && json_object_get(fn, "text"));
    bool ok = true;
    if (as_text) {
        json_t *text = arguments_text(fn);
        ok = text && json_object_set_new(fn, "arguments", text) == 0;
    }
    (void)json_object_del(fn, "text");
    return ok;
}

/* --- calls as text, for templates that show none ----------------------------------------------------------------- */
/* In the syntax that the model is taught: its own, or hermes with wick_call_describe. */
static bool calls_to_text(const wick_chat_caps *c, json_t *m)
{
    const wick_call_syntax *f = c->calls_as ? c->calls_as : wick_call_syntax_by_name("hermes");
    wick_buf b = WICK_BUF_INIT;
    if (wick_call_write(f, json_object_get(m, "tool_calls"), &b, NULL) != WICK_OK) b.failed = true;
    const char *s = wick_buf_str(&b);
    json_t *text = b.failed ? NULL : json_stringn(s, b.n);
    json_t *content = text ? wick_content_join(json_object_get(m, "content"), text, "\n") : NULL;
    wick_buf_release(&b);
    json_decref(text);
    return content && json_object_set_new(m, "content", content) == 0 && json_object_del(m, "tool_calls") == 0;
}

/* The result of message m as a text in tags. */
static json_t *result_text(const json_t *m)
{
    json_t *text = wick_content_text(json_object_get(m, "content"));
    wick_buf b = WICK_BUF_INIT;
    wick_buf_puts(&b, "<tool_response>\n");
    wick_buf_add(&b, text ? json_string_value(text) : "", json_string_length(text));
    wick_buf_puts(&b, "\n</tool_response>");
    json_t *out = text && !b.failed ? json_stringn(b.data, b.n) : NULL;
    wick_buf_release(&b);
    json_decref(text);
    return out;
}

/* Results that follow each other become one user message. */
static bool results_to_users(json_t *messages)
{
    for (size_t i = 0; i < json_array_size(messages);) {
        json_t *m = json_array_get(messages, i), *before = i > 0 ? json_array_get(messages, i - 1) : NULL;
        if (!wick_message_has_role(m, "tool")) {
            i++;
            continue;
        }
        json_t *text = result_text(m);
        if (!text) return false;
        if (before && json_object_get(before, "wick_results")) {
            json_t *both = wick_content_join(json_object_get(before, "content"), text, "\n");
            json_decref(text);
            if (!both || json_object_set_new(before, "content", both) != 0 || json_array_remove(messages, i) != 0)
                return false;
            continue;
        }
        json_t *made = json_pack("{s:s, s:o, s:b}", "role", "user", "content", text, "wick_results", 1);
        if (!made || json_array_set_new(messages, i, made) != 0) return false;
        i++;
    }
    for (size_t i = 0; i < json_array_size(messages); i++)
        (void)json_object_del(json_array_get(messages, i), "wick_results");
    return true;
}

/* --- messages with several calls --------------------------------------------------------------------------------- */
/* Moves the result of the call `id`, looked for from `from` up to the next message that is no result, to `to`. */
static bool move_result(json_t *messages, size_t from, size_t to, const char *id)
{
    for (size_t k = from; k < json_array_size(messages) && wick_message_has_role(json_array_get(messages, k), "tool");
         k++) {
        json_t *m = json_array_get(messages, k);
        const char *its = json_string_value(json_object_get(m, "tool_call_id"));
        if (!id || !its || strcmp(its, id) != 0) continue;
        json_incref(m);
        const bool ok = json_array_remove(messages, k) == 0 && json_array_insert(messages, to, m) == 0;
        json_decref(m);
        return ok;
    }
    return true;
}

/* Message i with its n calls becomes n messages of one call, each followed by its result. */
static bool split_calls(json_t *messages, size_t i)
{
    json_t *m = json_array_get(messages, i);
    json_t *calls = json_incref(json_object_get(m, "tool_calls"));
    size_t at = i;
    bool ok = true;
    for (size_t k = 0; ok && k < json_array_size(calls); k++) {
        json_t *call = json_array_get(calls, k), *one = json_pack("[O]", call);
        if (k == 0) {
            ok = one && json_object_set_new(m, "tool_calls", one) == 0;
        } else {
            json_t *made =
                one ? json_pack("{s:s, s:s, s:o}", "role", "assistant", "content", "", "tool_calls", one) : NULL;
            ok = made && json_array_insert_new(messages, at, made) == 0;
        }
        at++;
        const size_t before = json_array_size(messages);
        const char *id = json_string_value(json_object_get(call, "id"));
        ok = ok && move_result(messages, at, at, id);
        const json_t *next = before > at ? json_array_get(messages, at) : NULL;
        const char *its = json_string_value(json_object_get(next, "tool_call_id"));
        if (ok && wick_message_has_role(next, "tool") && id && its && strcmp(its, id) == 0) at++;
    }
    json_decref(calls);
    return ok;
}

/* The text beside calls that are shown only where there is no text: a message before them. */
static bool free_of_text(const wick_chat_caps *c, json_t *messages, size_t *i)
{
    json_t *m = json_array_get(messages, *i);
    const json_t *content = json_object_get(m, "content");
    const bool any = json_is_array(content) || json_string_length(content) > 0;
    if (any && !c->alternates) {
        json_t *text = json_pack("{s:s, s:O}", "role", "assistant", "content", content);
        if (!text || json_array_insert_new(messages, *i, text) != 0) return false;
        ++*i;
    }
    return json_object_set_new(m, "content", json_null()) == 0;
}

static bool fix_message(const wick_chat_caps *c, json_t *m)
{
    const json_t *calls = json_object_get(m, "tool_calls");
    for (size_t k = 0; k < json_array_size(calls); k++) {
        json_t *call = json_array_get(calls, k);
        if ((c->nine_char_ids && !fix_id(call, "id")) || !fix_arguments(c, json_object_get(call, "function")))
            return false;
    }
    return !c->nine_char_ids || fix_id(m, "tool_call_id");
}

bool wick_adapt_calls(const wick_chat_caps *c, json_t *messages)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        json_t *m = json_array_get(messages, i);
        const size_t n = json_array_size(json_object_get(m, "tool_calls"));
        if (n > 0 && !c->tool_calls && !calls_to_text(c, m)) return false;
        if (n > 1 && c->tool_calls && !c->parallel_calls && !split_calls(messages, i)) return false;
        if (!fix_message(c, m)) return false;
        if (n > 0 && c->calls_need_null && !free_of_text(c, messages, &i)) return false;
    }
    return c->tool_results || results_to_users(messages);
}

/* --- tools ------------------------------------------------------------------------------------------------------- */
/* Empty descriptions where there are none, for the tool and for each of its parameters. */
static bool describe(json_t *fn)
{
    const char *key;
    json_t *property, *copy = json_deep_copy(json_object_get(fn, "parameters"));
    if (!json_object_get(fn, "description") && json_object_set_new(fn, "description", json_string("")) != 0)
        return false;
    if (!copy) return true;
    json_object_foreach(json_object_get(copy, "properties"), key, property)
    {
        if (json_is_object(property) && !json_object_get(property, "description"))
            (void)json_object_set_new(property, "description", json_string(""));
    }
    return json_object_set_new(fn, "parameters", copy) == 0;
}

bool wick_adapt_tools(const wick_chat_caps *c, json_t *tools)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        json_t *fn = json_object_get(json_array_get(tools, i), "function");
        if (c->needs_description && !describe(fn)) return false;
        if (c->needs_parameters && !json_object_get(fn, "parameters") &&
            json_object_set_new(fn, "parameters", json_pack("{s:s, s:{}}", "type", "object", "properties")) != 0)
            return false;
    }
    return true;
}
