/* shell/candidates.c - see candidates.h. */
#include <string.h>
#include "chat/answer.h"
#include "chat/prompt.h"
#include "engine/constrain.h"
#include "shell/candidates.h"

enum { MAX_ANSWERS = 16 };

typedef struct one_answer {
    wick_request *q;
    wick_answer *reader;
    float logprob;
} one_answer;

struct wick_sh_asked {
    uint32_t n;
    bool (*cancelled)(void);
    one_answer answer[MAX_ANSWERS];
};

/* Reads the events of one answer to their end. */
static wick_status read_answer(one_answer *x, bool (*cancelled)(void), wick_err *err)
{
    for (;;) {
        const wick_event *ev = wick_request_next(x->q, 50);
        if (cancelled && cancelled()) wick_request_cancel(x->q);
        if (!ev) continue;
        if (ev->kind == WICK_EVENT_TOKEN && !ev->is_prompt) x->logprob += ev->logprob;
        if (ev->kind == WICK_EVENT_TOKEN || ev->kind == WICK_EVENT_DONE) {
            WICK_TRY(wick_answer_event(x->reader, ev, err));
            while (wick_answer_next(x->reader)) {
            }
        }
        if (ev->kind != WICK_EVENT_DONE) continue;
        if (ev->finish == WICK_FINISH_CANCELLED) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
        if (ev->finish != WICK_FINISH_ERROR) return WICK_OK;
        if (err) *err = ev->error;
        return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
    }
}

static wick_status begin(one_answer *x, const wick_sh_asking *how, const wick_chat_prompt *prompt,
                         const wick_engine_grammar *form, uint64_t seed, wick_err *err)
{
    wick_request_opts o;
    wick_answer_opts read = {.keep = true, .inside_reasoning = prompt->in_reasoning};
    wick_request_opts_init(&o);
    read.format = *wick_chat_get_format(how->chat);
    o.prompt = prompt->ids;
    o.n_prompt = (uint32_t)prompt->n_ids;
    o.max_tokens = how->max_tokens;
    o.sampling = *how->sampling;
    o.sampling.seed = seed;
    o.sampling.has_seed = true;
    o.constraint = form ? wick_engine_grammar_constraint(form) : NULL;
    o.show_special = wick_chat_format_needs_special(&read.format, wick_engine_tokenizer(how->engine), false);
    WICK_TRY(wick_answer_new(&x->reader, &read, err));
    WICK_TRY(wick_request_new(&x->q, how->engine, &o, err));
    return wick_request_submit(x->q, err);
}

wick_status wick_sh_asked_begin(wick_sh_asked **out, const wick_sh_asking *how, wick_err *err)
{
    wick_chat_prompt prompt = {0};
    wick_engine_grammar *form = NULL;
    const wick_chat_request in = {.messages = how->messages, .thinking = -1};
    wick_sh_asked *x = wick_alloc_zero(1, sizeof *x);
    if (!x) return wick_err_oom(err, "a request", 0, 0);
    wick_status st = WICK_OK;
    x->n = how->n < MAX_ANSWERS ? how->n : MAX_ANSWERS;
    x->cancelled = how->cancelled;
    WICK_TRY_GOTO(wick_chat_prompt_build(how->chat, &in, &prompt, err));
    if (prompt.n_ids > UINT32_MAX) {
        st = WICK_FAIL(err, WICK_E_LIMIT, "request", "the request has too many tokens");
        goto done;
    }
    if (how->constrained) {
        const wick_think_syntax *think = wick_chat_get_format(how->chat)->think;
        const char *grammar = wick_sh_answer_grammar();
        WICK_TRY_GOTO(wick_engine_grammar_new(&form, how->engine, WICK_GRAMMAR_GBNF, grammar, strlen(grammar),
                                              prompt.in_reasoning && think ? wick_think_close(think) : NULL, err));
    }
    for (uint32_t k = 0; k < x->n; k++) WICK_TRY_GOTO(begin(x->answer + k, how, &prompt, form, k + 1, err));
done:
    wick_engine_grammar_free(form);
    wick_chat_prompt_release(&prompt);
    if (st != WICK_OK) wick_sh_asked_free(x);
    *out = st == WICK_OK ? x : NULL;
    return st;
}

wick_status wick_sh_asked_end(wick_sh_asked *x, wick_arena *a, wick_sh_candidate *out, size_t *n_out, wick_err *err)
{
    for (uint32_t k = 0; k < x->n; k++) {
        size_t n;
        WICK_TRY(read_answer(x->answer + k, x->cancelled, err));
        const char *text = wick_answer_text(x->answer[k].reader, &n);
        wick_sh_candidate *c = out + *n_out;
        *c = (wick_sh_candidate){.logprob = x->answer[k].logprob, .votes = 1};
        WICK_TRY(wick_sh_answer_read(a, text, n, &c->answer, err));
        ++*n_out;
    }
    return WICK_OK;
}

void wick_sh_asked_free(wick_sh_asked *x)
{
    if (!x) return;
    for (uint32_t k = 0; k < x->n; k++) {
        wick_request_free(x->answer[k].q);
        wick_answer_free(x->answer[k].reader);
    }
    wick_free(x);
}
