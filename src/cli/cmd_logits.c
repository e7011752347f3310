/* cli/cmd_logits.c - `wick logits`: the raw numbers, for comparing engines. Needs no tokenizer. */
#include <stdio.h>
#include "base/alloc.h"
#include "cli/commands.h"
#include "cli/session.h"
#include "cli/term.h"

typedef struct collected {
    json_t *logits, *tokens, *logprobs;
} collected;

static void add_event(collected *c, const wick_event *ev)
{
    if (ev->kind == WICK_EVENT_LOGITS && ev->is_prompt) {
        for (uint32_t i = 0; i < ev->n_data; i++) {
            json_t *row = json_array();
            for (uint32_t j = 0; j < ev->width; j++)
                json_array_append_new(row, wick_json_float(ev->data[(size_t)i * ev->width + j]));
            json_array_append_new(c->logits, row);
        }
    } else if (ev->kind == WICK_EVENT_TOKEN && !ev->is_prompt) {
        json_array_append_new(c->tokens, json_integer(ev->token));
        json_array_append_new(c->logprobs, wick_json_float(ev->logprob));
    }
}

static wick_status collect(wick_request *q, collected *c, wick_err *err)
{
    for (;;) {
        const wick_event *ev = wick_request_next(q, 100);
        if (wick_interrupted()) wick_request_cancel(q);
        if (!ev) continue;
        add_event(c, ev);
        if (ev->kind != WICK_EVENT_DONE) continue;
        if (ev->finish == WICK_FINISH_CANCELLED) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "interrupted");
        if (ev->finish != WICK_FINISH_ERROR) return WICK_OK;
        if (err) *err = ev->error;
        return ev->error.kind ? ev->error.kind : WICK_E_INTERNAL;
    }
}

static wick_status print_text(const collected *c)
{
    size_t i;
    json_t *row;
    json_array_foreach(c->logits, i, row)
    {
        size_t best = 0;
        for (size_t j = 1; j < json_array_size(row); j++)
            if (json_number_value(json_array_get(row, j)) > json_number_value(json_array_get(row, best))) best = j;
        printf("position %zu: best token %zu, logit %.6g\n", i, best, json_number_value(json_array_get(row, best)));
    }
    for (i = 0; i < json_array_size(c->tokens); i++)
        printf("greedy %zu: token %lld, logprob %.6g\n", i, (long long)json_integer_value(json_array_get(c->tokens, i)),
               json_number_value(json_array_get(c->logprobs, i)));
    return WICK_OK;
}

static wick_status run_logits(const wick_args *a, wick_err *err)
{
    wick_engine *e = NULL;
    wick_request *q = NULL;
    wick_request_opts o;
    int32_t *ids = NULL;
    size_t n = 0;
    if (!a->tokens)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tokens",
                         "--tokens is needed: wick logits MODEL --tokens 1,17,203");
    collected c = {json_array(), json_array(), json_array()};
    wick_status st = WICK_OK;
    WICK_TRY_GOTO(wick_parse_ids(a->tokens, "tokens", &ids, &n, err));
    if (n == 0) {
        st = WICK_FAIL(err, WICK_E_BAD_PARAMETER, "tokens", "--tokens: at least one id is needed");
        goto done;
    }
    WICK_TRY_GOTO(wick_session_open(&e, a, true, err));
    wick_request_opts_init(&o);
    o.kind = WICK_REQ_LOGITS;
    o.prompt = ids;
    o.n_prompt = (uint32_t)n;
    o.max_tokens = a->greedy;
    o.ignore_eos = true;
    o.sampling.temperature = 0;
    WICK_TRY_GOTO(wick_request_new(&q, e, &o, err));
    WICK_TRY_GOTO(wick_request_submit(q, err));
    WICK_TRY_GOTO(collect(q, &c, err));
    if (a->json) {
        json_t *out = json_object();
        json_object_set(out, "logits", c.logits);
        json_object_set(out, "tokens", c.tokens);
        json_object_set(out, "logprobs", c.logprobs);
        WICK_TRY_GOTO(wick_print_json(out, err));
    } else {
        WICK_TRY_GOTO(print_text(&c));
    }
done:
    wick_request_free(q);
    wick_engine_close(e);
    wick_free(ids);
    json_decref(c.logits);
    json_decref(c.tokens);
    json_decref(c.logprobs);
    return st;
}

static const wick_opt opts[] = {
    {"tokens", 0, WICK_OPT_STR, "IDS", "the prompt as ids: 1,17,203", offsetof(wick_args, tokens), 0, 0, NULL, NULL, 0},
    {"greedy", 0, WICK_OPT_U32, "N", "then take the likeliest token N times (default 0)", offsetof(wick_args, greedy),
     0, 0, NULL, NULL, 0},
};
static const wick_opt_group group = {"Options", opts, sizeof opts / sizeof *opts};

const wick_command wick_cmd_logits = {
    .name = "logits",
    .operands = "MODEL",
    .min_operands = 1,
    .max_operands = 1,
    .summary = "the model's raw output for given token ids",
    .about = "With --json prints {\"logits\": [[...] for each position], \"tokens\": [...], \"logprobs\": [...]}: the "
             "logits of every\n"
             "prompt position, then the greedy tokens and their log probabilities. Use --precision exact to compare "
             "engines.",
    .examples = "wick logits MODEL --tokens 1,17,203 --greedy 16 --precision exact --json\tcompare with another engine",
    .group = {&group, &wick_opts_model, &wick_opts_cache, &wick_opts_common},
    .run = run_logits,
};
