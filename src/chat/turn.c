/* chat/turn.c - see turn.h. */
#include "chat/turn.h"
#include <string.h>
#include "base/alloc.h"
#include "chat/prompt.h"

void wick_turn_init(wick_turn *t)
{
    memset(t, 0, sizeof *t);
    wick_request_opts_init(&t->request);
}

/* The prompt's tokens, and how the answer is to be read. */
static wick_status begin(const wick_turn *t, const wick_engine *e, const wick_chat *chat, wick_chat_prompt *prompt,
                         wick_answer_opts *how, wick_err *err)
{
    const wick_tokenizer *tok = wick_engine_tokenizer(e);
    *how = (wick_answer_opts){.keep = true, .one_call = t->one_call};
    if (t->prompt) {
        if (!tok) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "prompt", "this model has no tokenizer");
        return wick_tokenizer_encode(tok, t->prompt, strlen(t->prompt), 0, &prompt->ids, &prompt->n_ids, err);
    }
    if (!wick_chat_usable(chat)) {
        const wick_err *why = wick_chat_why(chat);
        if (!why) return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "messages", "this model has no chat template");
        if (err) *err = *why;
        return why->kind;
    }
    const wick_chat_request in = {.messages = t->messages, .tools = t->tools, .vars = t->vars};
    WICK_TRY(wick_chat_prompt_build(chat, &in, prompt, err));
    how->format = *wick_chat_get_format(chat);
    how->tools = (json_t *)(uintptr_t)t->tools;
    how->inside_reasoning = prompt->in_reasoning;
    return WICK_OK;
}

static wick_status read_event(wick_turn *t, wick_answer *a, const wick_event *ev, uint32_t *n, wick_err *err)
{
    WICK_TRY(wick_answer_event(a, ev, err));
    for (const wick_delta *d; (d = wick_answer_next(a));)
        if (t->delta) t->delta(t->ctx, d);
    if (ev->kind == WICK_EVENT_TOKEN && t->step) t->step(t->ctx, ++*n);
    return WICK_OK;
}

static wick_status pump(wick_turn *t, wick_request *r, wick_answer *a, wick_err *err)
{
    uint32_t n = 0;
    bool cancelled = false;
    for (;;) {
        const wick_event *ev = wick_request_next(r, 100);
        if (!cancelled && t->cancelled && t->cancelled(t->ctx)) {
            cancelled = true;
            wick_request_cancel(r);
        }
        if (!ev) continue;
        if (ev->kind == WICK_EVENT_DONE) {
            t->usage = ev->usage;
            t->finish = ev->finish;
        }
        if (ev->kind == WICK_EVENT_DONE && ev->finish == WICK_FINISH_ERROR) {
            if (err) *err = ev->error;
            return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
        }
        if (ev->kind == WICK_EVENT_DONE && ev->finish == WICK_FINISH_CANCELLED)
            return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "cancelled");
        WICK_TRY(read_event(t, a, ev, &n, err));
        if (ev->kind == WICK_EVENT_DONE) return WICK_OK;
    }
}

static wick_status make_message(wick_turn *t, const wick_answer *a, wick_err *err)
{
    size_t n, n_thought;
    const char *text = wick_answer_text(a, &n), *thought = wick_answer_reasoning(a, &n_thought);
    json_t *m = json_pack("{s:s, s:s%}", "role", "assistant", "content", text, n);
    if (m && n_thought > 0) json_object_set_new(m, "reasoning_content", json_stringn(thought, n_thought));
    if (m && wick_answer_n_calls(a) > 0) json_object_set_new(m, "tool_calls", wick_answer_calls_json(a));
    t->message = m;
    t->end = wick_answer_how(a);
    return m ? WICK_OK : WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the answer is no valid UTF-8");
}

wick_status wick_turn_run(wick_turn *t, wick_engine *e, const wick_chat *chat, wick_err *err)
{
    wick_chat_prompt prompt = {0};
    wick_answer_opts how;
    wick_answer *a = NULL;
    wick_request *r = NULL;
    wick_request_opts o = t->request;
    t->message = NULL;
    wick_status st = begin(t, e, chat, &prompt, &how, err);
    if (st == WICK_OK && prompt.n_ids > UINT32_MAX)
        st = WICK_FAIL(err, WICK_E_LIMIT, "prompt", "the prompt is too long");
    if (st == WICK_OK) st = wick_answer_new(&a, &how, err);
    if (st != WICK_OK) goto done;
    o.prompt = prompt.ids;
    o.n_prompt = (uint32_t)prompt.n_ids;
    if (wick_chat_format_needs_special(&how.format, wick_engine_tokenizer(e), how.tools != NULL)) o.show_special = true;
    WICK_TRY_GOTO(wick_request_new(&r, e, &o, err));
    WICK_TRY_GOTO(wick_request_submit(r, err));
    WICK_TRY_GOTO(pump(t, r, a, err));
    st = make_message(t, a, err);
done:
    wick_request_free(r);
    wick_answer_free(a);
    wick_chat_prompt_release(&prompt);
    return st;
}
