/* chat/format/choose.c - what a template teaches, found by rendering a conversation with a sentinel call and sentinel
 * reasoning; and what the engine must show for it. */
#include <string.h>
#include "chat/answer.h"
#include "chat/format/toolcall.h"

static bool is_control(const wick_tokenizer *t, const char *tag)
{
    for (size_t n = tag && t ? strlen(tag) : 0; n > 0; n--) {
        const int32_t id = wick_tokenizer_find(t, tag, n);
        if (id >= 0) return wick_tokenizer_type(t, id) == WICK_TOKEN_CONTROL;
    }
    return false;
}

bool wick_chat_format_needs_special(const wick_chat_format *f, const wick_tokenizer *t, bool with_calls)
{
    return (f->think && is_control(t, wick_think_open(f->think))) ||
           (with_calls && f->calls && is_control(t, wick_toolcall_open(f->calls)));
}

/* --- probes ---------------------------------------------------------------------------------------------------------- */

#define NAME "wickTool"
#define KEY "wickKey"
#define VALUE "wickValue"
#define THOUGHT "wickThought"
#define ANSWER "wickAnswer"

static json_t *user_message(void)
{
    return json_pack("{s:s, s:s}", "role", "user", "content", "wickUser");
}

static json_t *probe_tools(void)
{
    return json_pack("[{s:s, s:{s:s, s:s, s:{s:s, s:{s:{s:s, s:s}}, s:[s]}}}]", "type", "function", "function", "name",
                     NAME, "description", "wickAbout", "parameters", "type", "object", "properties", KEY, "type",
                     "string", "description", "x", "required", KEY);
}

/* user, assistant with a call (and reasoning where it is asked for). */
static json_t *call_messages(bool thought)
{
    json_t *call = json_pack("{s:s, s:s, s:{s:s, s:{s:s}}}", "id", "abcdefghi", "type", "function", "function", "name",
                             NAME, "arguments", KEY, VALUE);
    json_t *m = json_pack("{s:s, s:s, s:[o]}", "role", "assistant", "content", "", "tool_calls", call);
    if (m && thought) {
        (void)json_object_set_new(m, "reasoning_content", json_string(THOUGHT));
        (void)json_object_set_new(m, "reasoning", json_string(THOUGHT));
        (void)json_object_set_new(m, "thinking", json_string(THOUGHT));
    }
    return json_pack("[o, o]", user_message(), m);
}

typedef struct prober {
    wick_format_render render;
    void *user;
    json_t *tools;
    wick_buf text, prompt;
} prober;

/* Takes messages. */
static bool probe(prober *p, json_t *messages, bool with_tools, bool prompt, wick_buf *out)
{
    json_t *vars = json_pack("{s:b, s:b}", "enable_thinking", 1, "thinking", 1);
    wick_buf_reset(out);
    const bool ok = messages && vars && p->render(p->user, messages, with_tools ? p->tools : NULL, vars, prompt, out);
    json_decref(messages);
    json_decref(vars);
    wick_buf_str(out);
    return ok && !out->failed;
}

static bool has(const wick_buf *b, const char *what)
{
    return b->n > 0 && strstr(b->data, what) != NULL;
}

/* What the assistant's turn looks like: the render from where the generation prompt ends. */
static const char *turn(prober *p)
{
    size_t i = 0;
    if (!probe(p, json_pack("[o]", user_message()), true, true, &p->prompt)) return p->text.data;
    while (i < p->prompt.n && i < p->text.n && p->prompt.data[i] == p->text.data[i]) i++;
    return p->text.data + i;
}

/* Does the syntax read the sentinel call in text? */
static bool reads(const wick_call_syntax *f, json_t *tools, const char *text)
{
    wick_buf content = WICK_BUF_INIT;
    json_t *calls = json_array();
    bool ok = calls && wick_toolcall_parse(f, tools, text, strlen(text), &content, calls, NULL) == WICK_OK &&
              json_array_size(calls) > 0;
    const json_t *c = json_array_get(calls, 0);
    const char *name = json_string_value(json_object_get(c, "name"));
    const char *args = json_string_value(json_object_get(c, "arguments"));
    ok = ok && name && strcmp(name, NAME) == 0 && args && strstr(args, "\"" KEY "\"") && strstr(args, "\"" VALUE "\"");
    json_decref(calls);
    wick_buf_release(&content);
    return ok;
}

static void choose_calls(prober *p, wick_chat_format *out)
{
    const bool shows_tools = probe(p, json_pack("[o]", user_message()), true, true, &p->text) && has(&p->text, NAME);
    if (probe(p, call_messages(false), true, false, &p->text) && has(&p->text, VALUE)) {
        const char *text = turn(p);
        for (size_t i = 0; wick_call_syntax_at(i) && !out->calls; i++)
            if (reads(wick_call_syntax_at(i), p->tools, text)) out->calls = wick_call_syntax_at(i);
    }
    if (shows_tools && !out->calls) out->calls = wick_call_syntax_by_name("hermes");
    out->describe = !shows_tools;
    if (!out->calls) out->calls = wick_call_syntax_by_name("hermes");
}

static bool tag_before(const wick_buf *b, const char *tag, const char *what)
{
    const char *at = strstr(b->data, what);
    const size_t m = strlen(tag);
    if (!at) return false;
    while (at > b->data && strchr(" \t\r\n", at[-1])) at--;
    return (size_t)(at - b->data) >= m && memcmp(at - m, tag, m) == 0;
}

/* An earlier answer whose text holds reasoning: does the template take the reasoning out? */
static bool strips(prober *p, const wick_think_syntax *t)
{
    json_t *text = json_sprintf("%s\n" THOUGHT "\n%s\n\n" ANSWER, wick_think_open(t), wick_think_close(t));
    json_t *m = json_pack("[o, {s:s, s:o}, o]", user_message(), "role", "assistant", "content", text, user_message());
    return probe(p, m, false, true, &p->text) && has(&p->text, ANSWER) && !has(&p->text, THOUGHT);
}

static void choose_think(prober *p, wick_chat_format *out)
{
    const wick_think_syntax *t;
    if (probe(p, call_messages(true), true, false, &p->text) && has(&p->text, THOUGHT))
        for (size_t i = 0; (t = wick_think_syntax_at(i)) && !out->think; i++)
            if (tag_before(&p->text, wick_think_open(t), THOUGHT)) out->think = t;
    if (out->think) return;
    if (probe(p, json_pack("[o]", user_message()), false, true, &p->text))
        for (size_t i = 0; (t = wick_think_syntax_at(i)) && !out->think; i++)
            if (wick_think_begins_inside(t, p->text.data, p->text.n) ||
                (has(&p->text, wick_think_open(t)) && has(&p->text, wick_think_close(t))))
                out->think = t;
    for (size_t i = 0; (t = wick_think_syntax_at(i)) && !out->think; i++)
        if (strips(p, t)) out->think = t;
}

wick_status wick_chat_format_choose(wick_chat_format *out, wick_format_render render, void *user, wick_err *err)
{
    prober p = {.render = render, .user = user, .tools = probe_tools()};
    *out = (wick_chat_format){0};
    if (!p.tools) return wick_err_oom(err, "chat template", 0, 0);
    wick_buf_init(&p.text, 4 << 20);
    wick_buf_init(&p.prompt, 4 << 20);
    if (probe(&p, json_pack("[o]", user_message()), false, true, &p.text)) {
        choose_calls(&p, out);
        choose_think(&p, out);
    }
    json_decref(p.tools);
    wick_buf_release(&p.text);
    wick_buf_release(&p.prompt);
    return WICK_OK;
}
