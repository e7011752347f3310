/* engine/results_test.h - what tests of the engine share: an engine on the fake backend, and all that a request
 * gave. */
#pragma once
#include <stdio.h>
#include "base/sys.h"
#include "engine/fake_backend_test.h"

#define MAX_OUT 1024

static wick_tokenizer *tok;

/* What one request gave. */
typedef struct result {
    int32_t id[MAX_OUT];
    float logprob[MAX_OUT];
    uint32_t n;
    char text[8192];
    size_t n_text;
    wick_finish finish;
    char stop[64];
    wick_usage usage;
    wick_err error;
    uint32_t n_prefill_events, n_prompt_tokens, n_data;
    float data[FAKE_EMBD > 64 ? FAKE_EMBD : 64];
    double token_ms[MAX_OUT];
} result;

static inline wick_engine *engine(uint32_t max_seqs, uint32_t chunk, uint64_t kv_limit)
{
    wick_engine_opts o;
    wick_engine_opts_init(&o);
    o.max_seqs = max_seqs;
    o.prefill_chunk = chunk;
    wick_engine *e = fake_engine(&o, tok, 2048, kv_limit);
    assert_non_null(e);
    return e;
}

static inline void add_event(result *out, const wick_event *ev)
{
    if (ev->kind == WICK_EVENT_PREFILL) out->n_prefill_events++;
    if (ev->kind == WICK_EVENT_LOGITS) {
        out->n_data += ev->n_data;
        memcpy(out->data, ev->data, FAKE_EMBD * sizeof(float));
    }
    if (ev->kind == WICK_EVENT_TOKEN && ev->is_prompt) {
        out->n_prompt_tokens++;
        return;
    }
    if (ev->kind == WICK_EVENT_TOKEN) {
        assert_true(out->n < MAX_OUT);
        out->logprob[out->n] = ev->logprob;
        out->token_ms[out->n] = wick_time_ms();
        out->id[out->n++] = ev->token;
    }
    assert_true(wick_utf8_valid(ev->text, ev->n_text));
    if (ev->n_text > 0) memcpy(out->text + out->n_text, ev->text, ev->n_text);
    out->n_text += ev->n_text;
    out->text[out->n_text] = '\0';
    if (ev->kind == WICK_EVENT_DONE) {
        out->finish = ev->finish;
        snprintf(out->stop, sizeof out->stop, "%s", ev->stop_string ? ev->stop_string : "");
        out->usage = ev->usage;
        out->error = ev->error;
    }
}

static inline void collect(wick_request *r, result *out)
{
    memset(out, 0, sizeof *out);
    for (;;) {
        const wick_event *ev = wick_request_next(r, 20000);
        if (!ev) fail_msg("no event within 20 s");
        add_event(out, ev);
        if (ev->kind == WICK_EVENT_DONE) break;
    }
    assert_null(wick_request_next(r, 0));
    wick_request_free(r);
}

static inline void expect_greedy(const int32_t *prompt, uint32_t n, const result *r, uint32_t n_expected)
{
    int32_t t[4096];
    memcpy(t, prompt, n * sizeof *t);
    assert_int_equal(r->n, n_expected);
    for (uint32_t i = 0; i < r->n; i++) {
        t[n + i] = fake_next(t, n + i);
        assert_int_equal(r->id[i], t[n + i]);
    }
}

static inline void make_prompt(int32_t *p, uint32_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = 3 + (int32_t)((seed >> 10) % 290);
    }
}

static inline double logprob_of(const int32_t *t, uint32_t n, int32_t id)
{
    float l[FAKE_VOCAB];
    double sum = 0;
    fake_logits(t, n, l);
    for (int i = 0; i < FAKE_VOCAB; i++) sum += exp((double)l[i]);
    return (double)l[id] - log(sum);
}
