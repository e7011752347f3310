/* chat/prompt.c - see prompt.h. */
#include "chat/prompt.h"
#include <string.h>
#include "base/alloc.h"
#include "chat/message.h"

void wick_chat_prompt_release(wick_chat_prompt *p)
{
    wick_buf_release(&p->text);
    wick_free(p->ids);
    memset(p, 0, sizeof *p);
}

static bool last_is_assistant(const json_t *messages)
{
    const json_t *m = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(m, "role"));
    return role && strcmp(role, "assistant") == 0;
}

static wick_status render(const wick_chat *c, const wick_chat_request *in, wick_chat_prompt *out, wick_err *err)
{
    json_t *messages = NULL, *tools = NULL, *vars = in->vars ? json_copy((json_t *)(uintptr_t)in->vars) : json_object();
    wick_status st = vars ? WICK_OK : wick_err_oom(err, "variables of the template", 0, 0);
    bool resume =
        in->ending == WICK_CHAT_CONTINUE || (in->ending == WICK_CHAT_PREFILL && last_is_assistant(in->messages));
    if (st == WICK_OK) st = wick_messages_normalise(in->messages, &messages, err);
    if (st == WICK_OK) st = wick_tools_normalise(in->tools, &tools, err);
    if (in->reasoning_effort) json_object_set_new(vars, "reasoning_effort", json_string(in->reasoning_effort));
    if (in->thinking) json_object_set_new(vars, "enable_thinking", json_boolean(in->thinking > 0));
    const wick_chat_input input = {.messages = messages,
                                   .tools = tools,
                                   .documents = in->documents,
                                   .vars = vars,
                                   .add_generation_prompt = !resume && in->ending != WICK_CHAT_CLOSED,
                                   .continue_final_message = resume};
    if (st == WICK_OK) st = wick_chat_render(wick_chat_get_template(c), &input, NULL, &out->text, err);
    if ((st == WICK_E_BAD_PARAMETER || st == WICK_E_TEMPLATE) && err)
        memcpy(err->subject, "messages", sizeof "messages");
    json_decref(messages);
    json_decref(tools);
    json_decref(vars);
    return st;
}

wick_status wick_chat_prompt_build(const wick_chat *c, const wick_chat_request *in, wick_chat_prompt *out,
                                   wick_err *err)
{
    const wick_err *why = wick_chat_why(c);
    memset(out, 0, sizeof *out);
    wick_buf_init(&out->text, 0);
    if (!wick_chat_usable(c))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "this model has no chat template that works%s%.200s",
                         why ? ": " : "", why ? why->message : "");
    if (!in->no_ids && !wick_chat_tokenizer(c))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "this model has no tokenizer; give token ids");
    if (!in->messages) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: is missing");
    if (json_array_size(in->messages) == 0 && !in->raw)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: is empty");
    wick_status st = render(c, in, out, err);
    const wick_tokenizer *t = wick_chat_tokenizer(c);
    /* the template writes the special tokens itself */
    if (st == WICK_OK && !in->no_ids)
        st = wick_tokenizer_encode(t, wick_buf_str(&out->text), out->text.n, WICK_ENC_NO_SPECIAL, &out->ids,
                                   &out->n_ids, err);
    if (st == WICK_OK && out->text.failed) st = wick_err_oom(err, "the prompt", 0, 0);
    if (st != WICK_OK) wick_chat_prompt_release(out);
    return st;
}
