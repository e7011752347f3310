/* chat/prompt.c - see prompt.h. Variables are those of transformers: messages, tools (none without), documents,
 * add_generation_prompt, the special tokens of the tokenizer by name, then the request's own, which override all but
 * messages. */
#include "chat/prompt.h"
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "base/json.h"
#include "chat/adapt_int.h"
#include "chat/message.h"

/* As in transformers, so that templates that trim act the same. */
#define CONTINUE_TAG "CONTINUE_FINAL_MESSAGE_TAG "

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

void wick_chat_prompt_release(wick_chat_prompt *p)
{
    wick_buf_release(&p->text);
    wick_free(p->ids);
    json_decref(p->variables);
    memset(p, 0, sizeof *p);
}

/* --- continuing the last message --------------------------------------------------------------------------------- */
/* A prompt that goes on with the last message's text or reasoning. */
typedef struct resume {
    bool any, reasoning; /* reasoning: the text stands in reasoning_content */
    json_t *text;        /* what is continued, owned */
} resume;

/* What a trailing answer makes of PREFILL: its text is continued; an empty one is dropped, and one with calls stays. */
static bool wants_resume(const wick_chat_request *in, json_t *messages)
{
    const size_t n = json_array_size(messages);
    const json_t *last = json_array_get(messages, n - 1), *content = json_object_get(last, "content");
    if (in->ending != WICK_CHAT_PREFILL) return in->ending == WICK_CHAT_CONTINUE;
    if (!wick_message_has_role(last, "assistant") || json_object_get(last, "tool_calls")) return false;
    if (json_is_array(content) || json_string_length(content) > 0 || json_object_get(last, "reasoning_content"))
        return true;
    (void)json_array_remove(messages, n - 1);
    return false;
}

static json_t *tagged_text(const json_t *text)
{
    json_t *tag = json_string(CONTINUE_TAG), *out = tag ? wick_content_join(text, tag, "") : NULL;
    json_decref(tag);
    return out;
}

/* Puts the tag behind the last text of a list of parts; *text is that text. */
static json_t *tag_parts(const json_t *parts, json_t **text)
{
    json_t *copy = json_deep_copy(parts);
    for (size_t i = json_array_size(copy); i-- > 0;) {
        json_t *part = json_array_get(copy, i), *t = json_object_get(part, "text");
        if (!json_is_string(t)) continue;
        *text = json_incref(t);
        if (json_object_set_new(part, "text", tagged_text(t)) == 0) return copy;
        break;
    }
    json_decref(copy);
    return NULL;
}

/* Puts the tag where the prompt shall end. */
static wick_status tag_last(json_t *messages, resume *r, wick_err *err)
{
    json_t *m = json_array_get(messages, json_array_size(messages) - 1), *tagged;
    const json_t *content = json_object_get(m, "content"), *thought = json_object_get(m, "reasoning_content");
    if (json_is_array(content)) {
        tagged = tag_parts(content, &r->text);
    } else if (m) {
        r->reasoning = thought && json_string_length(content) == 0;
        r->text = json_incref((json_t *)(uintptr_t)(r->reasoning ? thought : content));
        tagged = tagged_text(r->text);
    }
    if (!m || !r->text)
        return BAD("continue_final_message", "continue_final_message: the last message has no text to continue");
    if (!tagged || json_object_set_new(m, r->reasoning ? "reasoning_content" : "content", tagged) != 0)
        return wick_err_oom(err, "messages", 0, 0);
    return WICK_OK;
}

/* Cuts the prompt where the tag stands; false: it does not. */
static bool cut_at_tag(wick_buf *b)
{
    size_t n = strlen(CONTINUE_TAG) - 1, at = b->n;
    const char *s = wick_buf_str(b);
    bool found = false;
    while (!found && at >= n) found = memcmp(s + --at - (n - 1), CONTINUE_TAG, n) == 0;
    if (!found) return false;
    at -= n - 1;
    bool exact = b->n > at + n && s[at + n] == ' ';
    while (!exact && at > 0 && strchr(" \t\n\r\f\v", s[at - 1])) at--;
    b->n = at;
    b->data[at] = '\0';
    return true;
}

/* How many of the prompt's last bytes are the last ones of `text`, blanks at its end aside. */
static size_t common_end(const wick_buf *b, const json_t *text)
{
    const char *s = json_string_value(text);
    size_t n = json_string_length(text), k = 0;
    const bool cut = b->n == 0 || n == 0 || s[n - 1] != b->data[b->n - 1];
    while (cut && n > 0 && strchr(" \t\n\r\f\v", s[n - 1])) n--;
    while (k < n && k < b->n && s[n - 1 - k] == b->data[b->n - 1 - k]) k++;
    return k;
}

/* --- variables --------------------------------------------------------------------------------------------------- */
static json_t *borrow(const json_t *j)
{
    return j ? json_incref((json_t *)(uintptr_t)j) : json_null();
}

/* The caller's words for thinking, as the template knows it: by its switch, or by its effort. */
static bool set_thinking(const wick_chat_caps *c, const wick_chat_request *in, json_t *vars)
{
    static const char *const words[] = {"enable_thinking", "thinking", "think"};
    const char *effort = in->reasoning_effort;
    const bool none = effort && strcmp(effort, "none") == 0;
    int on = in->thinking ? in->thinking : none ? -1 : effort && !c->effort ? 1 : 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const json_t *v = json_object_get(in->vars, words[i]);
        if (json_is_boolean(v)) on = json_is_true(v) ? 1 : -1;
    }
    const char *level = effort ? wick_chat_effort(c, effort) : NULL;
    if (level && !json_object_get(vars, "reasoning_effort") &&
        json_object_set_new(vars, "reasoning_effort", json_string(level)) != 0)
        return false;
    if (!on || !c->thinking_switch || json_object_get(vars, c->thinking_switch)) return true;
    return json_object_set_new(vars, c->thinking_switch, json_boolean(on > 0)) == 0;
}

/* Everything but the messages. NULL: out of memory. */
static json_t *make_vars(const wick_chat_caps *c, const wick_chat_request *in, const json_t *tools, bool begin,
                         int64_t now_unix_s)
{
    json_t *vars = json_object();
    if (vars && wick_chat_set_tools(c, vars, tools, now_unix_s) &&
        json_object_set_new(vars, "documents", borrow(in->documents)) == 0 &&
        json_object_set_new(vars, "add_generation_prompt", json_boolean(begin)) == 0 &&
        (!in->vars || json_object_update(vars, (json_t *)(uintptr_t)in->vars) == 0) && set_thinking(c, in, vars))
        return vars;
    json_decref(vars);
    return NULL;
}

/* --- building ---------------------------------------------------------------------------------------------------- */
static wick_status check_parts(const json_t *messages, wick_err *err)
{
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *content = json_object_get(json_array_get(messages, i), "content");
        for (size_t k = 0; json_is_array(content) && k < json_array_size(content); k++) {
            const json_t *part = json_array_get(content, k);
            const char *type = json_string_value(json_object_get(part, "type"));
            if (!json_is_string(json_object_get(part, "text")))
                return BAD("messages", "messages[%zu].content[%zu]: this model takes text only, not %.40s", i, k,
                           type ? type : "this part");
        }
    }
    return WICK_OK;
}

/* Renders `messages` (changed) into out->text, which is empty. *left_out: a text to continue does not appear. */
static wick_status render(const wick_chat *c, const wick_chat_request *in, json_t *messages, json_t **tools, resume *r,
                          bool *left_out, wick_chat_prompt *out, wick_err *err)
{
    const wick_chat_caps *caps = wick_chat_get_caps(c);
    wick_jinja_limits limits = {0};
    const json_t *now = json_object_get(in->vars, "now");
    if (json_is_number(now)) limits.now_unix_s = (int64_t)json_number_value(now);
    if (r->any) WICK_TRY(tag_last(messages, r, err));
    WICK_TRY(wick_chat_adapt(caps, messages, tools, err));
    json_t *vars = make_vars(caps, in, *tools, !r->any && in->ending != WICK_CHAT_CLOSED, limits.now_unix_s);
    if (!vars || json_object_set(vars, "messages", messages) != 0) {
        json_decref(vars);
        return wick_err_oom(err, "template variables", 0, 0);
    }
    wick_status st = wick_chat_template_render(wick_chat_get_template(c), vars, &limits, &out->text, err);
    json_decref(out->variables);
    out->variables = vars;
    WICK_TRY(st);
    *left_out = r->any && !cut_at_tag(&out->text);
    return WICK_OK;
}

/* For a template that drops the reasoning that is to be continued: a new answer, and the reasoning behind it. r->text
 * is the reasoning; out->text is replaced. */
static wick_status reason_anew(const wick_chat *c, const wick_chat_request *in, const resume *r, wick_chat_prompt *out,
                               wick_err *err)
{
    const wick_think_syntax *think = wick_chat_get_format(c)->think;
    json_t *messages = NULL, *tools = NULL;
    resume none = {0};
    bool left_out;
    wick_status st = WICK_OK;
    wick_buf_reset(&out->text);
    WICK_TRY_GOTO(wick_messages_normalise(in->messages, &messages, err));
    WICK_TRY_GOTO(wick_tools_normalise(in->tools, &tools, err));
    (void)json_array_remove(messages, json_array_size(messages) - 1);
    WICK_TRY_GOTO(render(c, in, messages, &tools, &none, &left_out, out, err));
    if (!wick_think_begins_inside(think, wick_buf_str(&out->text), out->text.n)) {
        wick_buf_puts(&out->text, think ? wick_think_open(think) : "<think>");
        wick_buf_putc(&out->text, '\n');
    }
    wick_buf_add(&out->text, json_string_value(r->text), json_string_length(r->text));
done:
    json_decref(messages);
    json_decref(tools);
    return st;
}

static wick_status build_text(const wick_chat *c, const wick_chat_request *in, wick_chat_prompt *out, wick_err *err)
{
    json_t *messages = NULL, *tools = NULL;
    resume r = {0};
    bool left_out = false;
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(wick_messages_normalise(in->messages, &messages, err));
    WICK_TRY_GOTO(wick_tools_normalise(in->tools, &tools, err));
    if (tools && wick_chat_get_caps(c)->last_only) {
        st = BAD("tools", "tools: this model's template shows one message only, and no tools");
        goto done;
    }
    if (!in->raw) WICK_TRY_GOTO(check_parts(messages, err));
    r.any = wants_resume(in, messages);
    WICK_TRY_GOTO(render(c, in, messages, &tools, &r, &left_out, out, err));
    if (left_out && r.reasoning) WICK_TRY_GOTO(reason_anew(c, in, &r, out, err));
    if (left_out && !r.reasoning) {
        st = WICK_FAIL(err, WICK_E_TEMPLATE, "continue_final_message",
                       "continue_final_message: the template leaves the last message out");
        goto done;
    }
    wick_buf_str(&out->text);
    if (r.any) out->n_prefill = common_end(&out->text, r.text);
    out->in_reasoning = r.reasoning || wick_think_begins_inside(wick_chat_get_format(c)->think, out->text.data,
                                                                out->text.n - out->n_prefill);
done:
    json_decref(messages);
    json_decref(tools);
    json_decref(r.text);
    return st;
}

wick_status wick_chat_prompt_build(const wick_chat *c, const wick_chat_request *in, wick_chat_prompt *out,
                                   wick_err *err)
{
    const wick_err *why = wick_chat_why(c);
    memset(out, 0, sizeof *out);
    if (!wick_chat_usable(c))
        return BAD("messages", "this model has no chat template that works%s%.200s", why ? ": " : "",
                   why ? why->message : "");
    if (!in->no_ids && !wick_chat_tokenizer(c)) return BAD("messages", "this model has no tokenizer; give token ids");
    if (!in->messages) return BAD("messages", "messages: is missing");
    if (json_is_array(in->messages) && json_array_size(in->messages) == 0 && !in->raw)
        return BAD("messages", "messages: is empty");
    if (in->vars && !json_is_object(in->vars))
        return BAD("chat_template_kwargs", "chat_template_kwargs: expected an object");
    wick_status st = build_text(c, in, out, err);
    if (st == WICK_E_TEMPLATE && err) snprintf(err->subject, sizeof err->subject, "messages");
    /* the template writes the special tokens itself */
    if (st == WICK_OK && !in->no_ids)
        st = wick_tokenizer_encode(wick_chat_tokenizer(c), wick_buf_str(&out->text), out->text.n, WICK_ENC_NO_SPECIAL,
                                   &out->ids, &out->n_ids, err);
    if (st == WICK_OK && out->text.failed) st = wick_err_oom(err, "the prompt", 0, 0);
    if (st != WICK_OK || !in->raw) {
        json_decref(out->variables);
        out->variables = NULL;
    }
    if (st != WICK_OK) wick_chat_prompt_release(out);
    return st;
}
