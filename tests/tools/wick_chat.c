/* Builds prompts of conversations for the tests: one JSON object
 * {"template", "messages"[, "tools", "vars", "effort", "thinking", "ending", "raw"]} a line on stdin, one answer a line
 * on stdout: {"prompt", "variables", "n_prefill", "in_reasoning"} or {"error": message, "kind": n, "subject"}; for an
 * object without messages the capabilities and the syntaxes of the template. {"syntaxes": true}: all syntaxes of calls,
 * [{"name", "parallel"}]; {"syntax", "calls"}: OpenAI's calls as a model of that syntax writes them, {"text"}. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jansson.h>
#include "base/alloc.h"
#include "chat/prompt.h"

static wick_chat *chat;
static char *opened;

static wick_status open_chat(const char *src, wick_err *err)
{
    wick_chat_template *t;
    if (opened && strcmp(opened, src) == 0) return WICK_OK;
    wick_chat_close(chat);
    wick_free(opened);
    chat = NULL;
    opened = NULL;
    WICK_TRY(wick_chat_template_new(&t, src, strlen(src), "<s>", "</s>", "template", err));
    WICK_TRY(wick_chat_of_template(&chat, t, NULL, err));
    opened = wick_strdup(src);
    return WICK_OK;
}

static json_t *failure(wick_status st, const wick_err *err)
{
    return json_pack("{s:s, s:i, s:s}", "error", err->message, "kind", (int)st, "subject", err->subject);
}

static json_t *describe(void)
{
    const wick_chat_caps *c = wick_chat_get_caps(chat);
    const wick_chat_format *f = wick_chat_get_format(chat);
    json_t *o = json_object(), *notes = json_array();
#define FLAG(name) json_object_set_new(o, #name, json_boolean(c->name))
    FLAG(last_only), FLAG(system), FLAG(lone_system), FLAG(several_systems), FLAG(late_system), FLAG(developer),
        FLAG(tools), FLAG(tools_in_system);
    FLAG(tool_calls), FLAG(parallel_calls), FLAG(tool_results), FLAG(calls_need_null), FLAG(needs_description);
    FLAG(needs_parameters), FLAG(nine_char_ids), FLAG(alternates), FLAG(user_first), FLAG(reasoning);
    FLAG(empty_answer), FLAG(user_after_result), FLAG(tools_list), FLAG(functions), FLAG(past_reasoning),
        FLAG(reasoning_parts), FLAG(documents), FLAG(effort);
    json_object_set_new(o, "strings", json_integer(c->strings));
    json_object_set_new(o, "parts", json_integer(c->parts));
    json_object_set_new(o, "args", json_integer(c->args));
    json_object_set_new(o, "switch", c->thinking_switch ? json_string(c->thinking_switch) : json_null());
    json_object_set_new(o, "calls", f->calls ? json_string(wick_call_syntax_name(f->calls)) : json_null());
    json_object_set_new(o, "think", f->think ? json_string(wick_think_open(f->think)) : json_null());
    for (unsigned i = 0; wick_chat_caps_note(c, i); i++)
        json_array_append_new(notes, json_string(wick_chat_caps_note(c, i)));
    json_object_set_new(o, "notes", notes);
    return o;
}

static json_t *build(const json_t *q)
{
    static const char *const endings[] = {"answer", "continue", "prefill", "closed"};
    const char *ending = json_string_value(json_object_get(q, "ending"));
    wick_chat_request in = {.messages = json_object_get(q, "messages"),
                            .tools = json_object_get(q, "tools"),
                            .vars = json_object_get(q, "vars"),
                            .reasoning_effort = json_string_value(json_object_get(q, "effort")),
                            .thinking = (int)json_integer_value(json_object_get(q, "thinking")),
                            .no_ids = true,
                            .raw = true};
    wick_chat_prompt p;
    wick_err err = {0};
    for (int i = 0; ending && i < 4; i++)
        if (strcmp(ending, endings[i]) == 0) in.ending = (wick_chat_ending)i;
    wick_status st = open_chat(json_string_value(json_object_get(q, "template")), &err);
    if (st != WICK_OK) return failure(st, &err);
    if (!in.messages) return describe();
    st = wick_chat_prompt_build(chat, &in, &p, &err);
    if (st != WICK_OK) return failure(st, &err);
    json_t *answer = json_pack("{s:s%, s:O, s:I, s:b}", "prompt", wick_buf_str(&p.text), p.text.n, "variables",
                               p.variables, "n_prefill", (json_int_t)p.n_prefill, "in_reasoning", p.in_reasoning);
    wick_chat_prompt_release(&p);
    return answer;
}

static json_t *syntaxes(void)
{
    json_t *list = json_array();
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        json_array_append_new(list, json_pack("{s:s, s:b}", "name", wick_call_syntax_name(f), "parallel",
                                              !wick_call_syntax_shape(f)->single));
    }
    return list;
}

static json_t *write_calls(const json_t *q)
{
    const wick_call_syntax *f = wick_call_syntax_by_name(json_string_value(json_object_get(q, "syntax")));
    wick_buf b = WICK_BUF_INIT;
    wick_err err = {0};
    if (!f) return json_pack("{s:s}", "error", "no such syntax");
    const wick_status st = wick_call_write(f, json_object_get(q, "calls"), &b, &err);
    json_t *out = st == WICK_OK ? json_pack("{s:s%}", "text", wick_buf_str(&b), b.n) : failure(st, &err);
    wick_buf_release(&b);
    return out;
}

static json_t *answer_to(const json_t *q)
{
    if (json_is_string(json_object_get(q, "template"))) return build(q);
    if (json_is_string(json_object_get(q, "syntax"))) return write_calls(q);
    return json_object_get(q, "syntaxes") ? syntaxes() : json_string("bad request");
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        json_t *q = json_loadb(line, (size_t)n, JSON_ALLOW_NUL, NULL);
        json_t *answer = answer_to(q);
        if (!answer || json_dumpf(answer, stdout, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) != 0) return 1;
        (void)putchar('\n');
        (void)fflush(stdout);
        json_decref(answer);
        json_decref(q);
    }
    wick_chat_close(chat);
    wick_free(opened);
    free(line);
    return 0;
}
