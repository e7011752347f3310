/* server/turn.c - see turn.h. */
#include "server/turn.h"
#include <string.h>
#include "server/prompt.h"
#include "server/rounds.h"

wick_status wick_turn_prepare(wick_gen *g, wick_err *err)
{
    wick_chat *chat = g->model->chat;
    wick_params *p = &g->p;
    wick_chat_prompt prompt;
    WICK_TRY(wick_rounds_prepare(g, err));
    WICK_TRY(wick_prompt_may_fit(g->model->engine, wick_prompt_bytes(p->messages), "messages", err));
    WICK_TRY(wick_prompt_build(chat, p, false, &prompt, err));
    const wick_chat_format f = *wick_chat_get_format(chat);
    const bool calls = p->tools && !p->tool_choice_none;
    g->answer = (wick_answer_opts){.format = f,
                                   .tools = calls ? (json_t *)(uintptr_t)p->tools : NULL,
                                   .ignore_calls = p->tool_choice_none,
                                   .one_call = p->one_call,
                                   .raw_reasoning = p->raw_reasoning,
                                   .keep = true,
                                   .inside_reasoning = prompt.in_reasoning};
    wick_rounds_reader(g, &g->answer);
    g->base.show_special = p->show_special || wick_chat_format_needs_special(
                                                  &f, wick_engine_tokenizer(g->model->engine), calls && f.calls);
    g->prompt[0].ids = prompt.ids;
    g->prompt[0].n = prompt.n_ids;
    prompt.ids = NULL;
    g->prompt_text = prompt.text; /* the answers' prefill is in it */
    prompt.text = (wick_buf)WICK_BUF_INIT;
    g->answer.prefill = wick_buf_str(&g->prompt_text) + g->prompt_text.n - prompt.n_prefill;
    g->answer.n_prefill = prompt.n_prefill;
    wick_chat_prompt_release(&prompt);
    if (g->prompt[0].n == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: the prompt is empty");
    return wick_gen_base(g, err);
}

static void give(wick_choice *c, const wick_delta *d)
{
    c->n_calls_ended += d->kind == WICK_DELTA_CALL_END;
    if (c->g->format->delta && !c->g->failed) c->g->format->delta(c, d);
}

/* The end is given by wick_turn_end, which knows whether it is one. */
static void take(wick_choice *c, const wick_event *ev)
{
    const wick_delta *d;
    c->event = ev->kind == WICK_EVENT_TOKEN ? ev : NULL;
    while ((d = wick_answer_next(c->answer)) != NULL)
        if (d->kind != WICK_DELTA_END) give(c, d);
}

void wick_turn_begin(wick_choice *c)
{
    wick_err err = {0};
    if (wick_answer_new(&c->answer, &c->g->answer, &err) != WICK_OK)
        wick_gen_fail(c->g, &err);
    else if (c->g->format->open)
        c->g->format->open(c);
}

void wick_turn_token(wick_choice *c, const wick_event *ev)
{
    wick_err err = {0};
    if (wick_answer_event(c->answer, ev, &err) != WICK_OK)
        wick_gen_fail(c->g, &err);
    else
        take(c, ev);
    /* Calls beyond the first are not wanted: what would follow is not waited for. */
    if (c->g->p.one_call && c->n_calls_ended > 0) wick_choice_stop(c);
}

/* The end of a request, read as the end of the answer. */
static void feed_end(wick_choice *c, const wick_event *ev)
{
    wick_event done = *ev;
    wick_err err = {0};
    if (c->fed) return;
    c->fed = true;
    done.finish = c->finish; /* a choice that was stopped here has not been cancelled */
    if (wick_answer_event(c->answer, &done, &err) != WICK_OK)
        wick_gen_fail(c->g, &err);
    else
        take(c, &done);
}

void wick_turn_end(wick_choice *c, const wick_event *ev)
{
    feed_end(c, ev);
    const wick_delta end = {.kind = WICK_DELTA_END, .end = wick_answer_how(c->answer), .text = ""};
    if (!c->g->failed) give(c, &end);
    c->event = NULL;
}

bool wick_turn_waits(wick_choice *c, const wick_event *ev)
{
    wick_err err = {0};
    if (!c->answer) return false;
    feed_end(c, ev);
    c->event = NULL;
    if (!wick_rounds_wanted(c->g, c)) {
        wick_answer_cut_own(c->answer);
        return false;
    }
    if (wick_rounds_begin(c->g, c, &err) == WICK_OK) return true;
    wick_gen_fail(c->g, &err);
    return false;
}

wick_answer_end wick_turn_how(const wick_choice *c)
{
    return c->answer ? wick_answer_how(c->answer) : WICK_END_NONE;
}

wick_turn_usage wick_turn_count(const wick_gen *g)
{
    wick_turn_usage t = {0};
    for (uint32_t i = 0; i < g->n; i++) {
        const wick_choice *c = &g->choice[i];
        t.generated += c->usage.n_gen;
        if (c->answer) t.reasoning += wick_answer_reasoning_tokens(c->answer);
        if (i % g->per_prompt != 0) continue;
        t.prompt += c->usage.n_prompt;
        t.cached += c->usage.n_cached;
    }
    return t;
}
