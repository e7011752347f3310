/* capi/result.c - answers to conversations in the C API: reasoning and tool calls of a result. */
#include <string.h>
#include "base/alloc.h"
#include "capi/capi_int.h"

void wick_result_release(wick_result *r)
{
    if (!r) return;
    wick_free(r->text);
    wick_free(r->ids);
    wick_free(r->reasoning);
    wick_free(r->tool_calls);
    memset(r, 0, sizeof *r);
}

wick_status wick_capi_reading_new(const wick_llm *llm, const wick_chat_prompt *prompt, json_t *tools,
                                  wick_capi_reading *out, wick_err *err)
{
    const wick_chat_format *f = wick_chat_get_format(llm->chat);
    const wick_answer_opts o = {.format = *f,
                                .tools = tools,
                                .keep = true,
                                .inside_reasoning = prompt->in_reasoning,
                                .prefill = prompt->text.data + prompt->text.n - prompt->n_prefill,
                                .n_prefill = prompt->n_prefill};
    out->show_special = wick_chat_format_needs_special(f, wick_engine_tokenizer(llm->engine), tools != NULL);
    out->calls = tools != NULL;
    out->after = prompt->in_reasoning && f->think ? wick_think_close(f->think) : NULL;
    return wick_answer_new(&out->answer, &o, err);
}

/* One block: the array, then the strings. */
static wick_status fill_calls(wick_result *out, const wick_answer *answer, wick_err *err)
{
    const uint32_t n = wick_answer_n_calls(answer);
    size_t bytes = n * sizeof *out->tool_calls;
    for (uint32_t i = 0; i < n; i++) {
        const wick_call c = wick_answer_call(answer, i);
        bytes += strlen(c.id) + strlen(c.name) + c.n_arguments + 3;
    }
    if (n == 0) return WICK_OK;
    out->tool_calls = wick_alloc(bytes);
    if (!out->tool_calls) return wick_err_oom(err, "tool calls", bytes, 0);
    char *to = (char *)(out->tool_calls + n);
    for (uint32_t i = 0; i < n; i++) {
        const wick_call c = wick_answer_call(answer, i);
        const char *from[] = {c.id, c.name, c.arguments}, *at[3];
        const size_t len[] = {strlen(c.id), strlen(c.name), c.n_arguments};
        for (int k = 0; k < 3; k++) {
            at[k] = to;
            memcpy(to, from[k], len[k]);
            to[len[k]] = 0;
            to += len[k] + 1;
        }
        out->tool_calls[i] = (wick_tool_call){at[0], at[1], at[2]};
    }
    out->n_tool_calls = n;
    return WICK_OK;
}

wick_status wick_capi_fill_answer(wick_result *out, const wick_answer *answer, wick_err *err)
{
    const char *thought = answer ? wick_answer_reasoning(answer, &out->n_reasoning) : "";
    out->reasoning = wick_strndup(thought, out->n_reasoning);
    if (!out->reasoning) return wick_err_oom(err, "the answer", out->n_reasoning, 0);
    if (!answer) return WICK_OK;
    out->n_reasoning_tokens = wick_answer_reasoning_tokens(answer);
    return fill_calls(out, answer, err);
}
