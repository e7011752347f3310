/* The engine on the fake backend: outputs, order of service, memory pressure, faults, back-pressure. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/sys.h"
#include "engine/results_test.h"

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_caps &= ~FAKE_AHEAD;
    return 0;
}

static int setup_ahead(void **state)
{
    setup(state);
    fake_caps |= FAKE_AHEAD;
    return 0;
}

/* ---- one request ---- */

static void test_greedy_and_text(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 7, 0);
    int32_t p[40];
    result r;
    make_prompt(p, 40, 1);
    wick_request_opts o = greedy(p, 40, 30);
    collect(submit(e, &o), &r);
    expect_greedy(p, 40, &r, 30);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_int_equal(r.usage.n_prompt, 40);
    assert_int_equal(r.usage.n_gen, 30);
    assert_int_equal(r.usage.n_cached, 0);
    assert_true(r.usage.first_token_ms >= r.usage.prefill_ms && r.usage.prefill_ms > 0);
    assert_int_equal(r.n_prefill_events, 6); /* 40 tokens in chunks of 7 */
    wick_buf text = WICK_BUF_INIT;
    assert_int_equal(wick_tokenizer_decode(tok, r.id, r.n, true, &text, NULL), WICK_OK);
    assert_string_equal(r.text, wick_buf_str(&text));
    wick_buf_release(&text);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

static void test_sampling_is_seeded(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[5] = {10, 11, 12, 13, 14};
    result a, b;
    wick_request_opts o = greedy(p, 5, 50);
    o.sampling.temperature = 1, o.sampling.has_seed = true, o.sampling.seed = 99;
    o.sampling.repetition_penalty = 1.3f, o.sampling.dry_multiplier = 0.5f;
    collect(submit(e, &o), &a);
    collect(submit(e, &o), &b);
    assert_int_equal(a.n, b.n);
    assert_memory_equal(a.id, b.id, a.n * sizeof a.id[0]);
    o.sampling.seed = 100;
    collect(submit(e, &o), &b);
    assert_memory_not_equal(a.id, b.id, a.n * sizeof a.id[0]);
    wick_engine_close(e);
}

static void test_ends(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[2040];
    result r;
    make_prompt(p, 2040, 3);
    wick_request_opts o = greedy(p, 2040, 0); /* until the context of 2048 is full */
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    expect_greedy(p, 2040, &r, 8);

    fake_eos_bias = 100; /* the end of the text is always likeliest */
    o = greedy(p, 10, 20);
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    assert_int_equal(r.n, 0);
    assert_int_equal(r.usage.n_gen, 1);
    o.min_tokens = 5;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    assert_int_equal(r.n, 5);
    o.min_tokens = 0, o.ignore_eos = true;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_int_equal(r.n, 20);
    assert_int_equal(r.id[19], 2);
    o.prompt_only = true;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_int_equal(r.n + r.usage.n_gen, 0);
    wick_engine_close(e);
}

/* A bias that leaves one token only makes the text predictable: token by token as `ids` says cannot be had, but one
 * repeated token can. */
static void test_stop_strings(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[3] = {5, 6, 7};
    result r;
    const char *const stops[] = {"zzz", "heheh", "hehehe"};
    wick_logit_bias only = {259, 1000}; /* "he" */
    wick_request_opts o = greedy(p, 3, 20);
    o.sampling.bias = &only, o.sampling.n_bias = 1;
    o.stop = stops, o.n_stop = 3;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_STOP);
    assert_string_equal(r.stop, "heheh"); /* complete in the middle of the third token */
    assert_string_equal(r.text, "");
    assert_int_equal(r.n, 3);

    const char *const later[] = {"ehx"};
    o.stop = later, o.n_stop = 1;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_int_equal(r.n_text, 40); /* held back pieces all came */

    const char *const overlap[] = {"hehe"};
    o.stop = overlap, o.min_tokens = 6;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_STOP);
    assert_true(r.n > 6);
    wick_engine_close(e);
}

static void test_stop_automaton(void **state)
{
    (void)state;
    const char *const strings[] = {"abab", "bc", "\xc3\xa9t\xc3\xa9"};
    wick_stop s;
    assert_int_equal(wick_stop_init(&s, strings, 3, NULL), WICK_OK);
    wick_stop_found f = wick_stop_feed(&s, "xaba", 4);
    assert_int_equal(f.index, -1);
    assert_int_equal(f.n_held, 3);
    f = wick_stop_feed(&s, "d\xc3\xa9", 3);
    assert_int_equal(f.n_held, 2);
    f = wick_stop_feed(&s, "t\xc3\xa8", 3);
    assert_int_equal(f.n_held, 0);
    f = wick_stop_feed(&s, "abcz", 4);
    assert_int_equal(f.index, 1);
    assert_int_equal(f.n_fed, 3);
    assert_int_equal(f.n_held, 2);
    wick_stop_release(&s);
    const char *const bad[] = {""}, *const cut[] = {"\xc3"};
    wick_err err;
    assert_int_equal(wick_stop_init(&s, bad, 1, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "stop");
    assert_int_equal(wick_stop_init(&s, cut, 1, &err), WICK_E_BAD_PARAMETER);
}

static void test_bad_requests(void **state)
{
    (void)state;
    wick_engine *e = engine(2, 16, 0);
    wick_request *r = NULL;
    wick_err err;
    int32_t p[3000] = {5};
    for (int i = 0; i < 3000; i++) p[i] = 5;
    wick_request_opts o = greedy(p, 3000, 1);
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_E_LIMIT);
    assert_int_equal(err.need, 3000);
    assert_int_equal(err.have, 2048);
    o = greedy(p, 0, 1);
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_E_BAD_PARAMETER);
    p[1] = FAKE_VOCAB;
    o = greedy(p, 3, 1);
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_E_BAD_PARAMETER);
    p[1] = 5;
    o.n_top_logprobs = 21;
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_E_BAD_PARAMETER);
    o.n_top_logprobs = 0, o.sampling.temperature = -1;
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "temperature");
    wick_engine_close(e);
}

/* ---- logprobs, logits, embeddings ---- */

static void test_logprobs_and_echo(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[300];
    make_prompt(p, 300, 8);
    wick_request_opts o = greedy(p, 300, 4);
    o.prompt_logprobs = true, o.n_top_logprobs = 3;
    wick_request *r = submit(e, &o);
    uint32_t n_echo = 0, n_gen = 0;
    int32_t t[310];
    memcpy(t, p, sizeof p);
    for (;;) { /* slowly: more events than the ring holds */
        const wick_event *ev = wick_request_next(r, 20000);
        assert_non_null(ev);
        if (ev->kind == WICK_EVENT_DONE) break;
        if (ev->kind != WICK_EVENT_TOKEN) continue;
        uint32_t at = ev->is_prompt ? n_echo + 1 : 300 + n_gen;
        if (ev->is_prompt) {
            assert_int_equal(ev->token, p[++n_echo]);
        } else {
            t[300 + n_gen++] = ev->token;
        }
        assert_float_equal(ev->logprob, logprob_of(t, at, ev->token), 1e-4);
        assert_int_equal(ev->n_top, 3);
        assert_int_equal(ev->top[0].id, fake_next(t, at));
        assert_true(ev->top[0].logprob >= ev->top[1].logprob && ev->top[1].logprob >= ev->top[2].logprob);
    }
    assert_int_equal(n_echo, 299);
    assert_int_equal(n_gen, 4);
    wick_request_free(r);
    wick_engine_close(e);
}

static void test_logits_and_embeddings(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[50];
    result r;
    make_prompt(p, 50, 9);
    wick_request_opts o = greedy(p, 50, 6);
    o.kind = WICK_REQ_LOGITS;
    wick_request *q = submit(e, &o);
    uint32_t rows = 0, n_tokens = 0;
    for (;;) {
        const wick_event *ev = wick_request_next(q, 20000);
        assert_non_null(ev);
        if (ev->kind == WICK_EVENT_DONE) break;
        if (ev->kind == WICK_EVENT_TOKEN) {
            assert_int_equal(ev->token, fake_next(p, 50) * (n_tokens == 0) + ev->token * (n_tokens > 0));
            n_tokens++;
        }
        if (ev->kind != WICK_EVENT_LOGITS) continue;
        assert_int_equal(ev->width, FAKE_VOCAB);
        for (uint32_t i = 0; i < ev->n_data && rows < 50; i++, rows++) {
            float l[FAKE_VOCAB];
            fake_logits(p, rows + 1, l);
            assert_memory_equal(l, ev->data + (size_t)i * FAKE_VOCAB, sizeof l);
        }
    }
    assert_int_equal(rows, 50);
    assert_int_equal(n_tokens, 6);
    wick_request_free(q);

    double sum = 0, most = 0, weighted = 0;
    for (uint32_t i = 0; i < 50; i++) {
        const double x = (double)(fake_hash(p, i + 1) % 98);
        sum += x;
        most = x > most ? x : most;
        weighted += x * (i + 1);
    }
    const double want[WICK_N_POOLINGS] = {[WICK_POOL_DEFAULT] = sum / 50,
                                          [WICK_POOL_MEAN] = sum / 50,
                                          [WICK_POOL_LAST] = (double)(fake_hash(p, 50) % 98),
                                          [WICK_POOL_FIRST] = (double)(fake_hash(p, 1) % 98),
                                          [WICK_POOL_MAX] = most,
                                          [WICK_POOL_SQRT_LEN] = sum / sqrt(50),
                                          [WICK_POOL_WEIGHTED] = weighted / (50 * 51 / 2)};
    for (int pool = 0; pool < WICK_N_POOLINGS; pool++) {
        o = greedy(p, 50, 0);
        o.kind = WICK_REQ_EMBED, o.pooling = (wick_pooling)pool;
        wick_request_opts g = greedy(p, 50, 10); /* mixed with text: different outputs, so different steps */
        wick_request *text = submit(e, &g);
        collect(submit(e, &o), &r);
        assert_int_equal(r.n_data, 1);
        assert_float_equal(r.data[1], want[pool], 1e-3);
        collect(text, &r);
        expect_greedy(p, 50, &r, 10);
    }
    wick_engine_close(e);
}

/* ---- many requests ---- */

static void test_batch_equals_alone(void **state)
{
    (void)state;
    enum { MANY = 24 };
    static int32_t p[MANY][200];
    static result r;
    for (int config = 0; config < 3; config++) {
        fake_reset();
        wick_engine *e = engine(8, config == 0 ? 512 : 13, config == 2 ? 120 * FAKE_BYTES_PER_TOKEN * 4 : 0);
        wick_request *q[MANY];
        for (uint32_t i = 0; i < MANY; i++) {
            make_prompt(p[i], 200, i % 5); /* shared prompts, of different lengths */
            wick_request_opts o = greedy(p[i], 20 + i * 7, 40 + i);
            o.domain.owner = i % 3;
            q[i] = submit(e, &o);
        }
        for (uint32_t i = 0; i < MANY; i++) {
            collect(q[i], &r);
            expect_greedy(p[i], 20 + i * 7, &r, 40 + i);
            assert_int_equal(r.finish, WICK_FINISH_LENGTH);
        }
        assert_true(atomic_load(&fake_most_rows) > 1);
        assert_true(atomic_load(&fake_most_rows) <= 8);
        wick_engine_stats s;
        wick_engine_get_stats(e, &s);
        assert_int_equal(s.n_requests, MANY);
        if (config == 2) assert_true(s.n_preempted > 0);
        wick_engine_close(e);
        assert_int_equal(atomic_load(&fake_live_seqs), 0);
    }
}

static void test_too_large_for_memory(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 64, 100 * FAKE_BYTES_PER_TOKEN);
    int32_t p[200];
    result r;
    make_prompt(p, 200, 2);
    wick_request_opts o = greedy(p, 200, 10), small = greedy(p, 20, 10), grows = greedy(p, 90, 50);
    wick_request *a = submit(e, &o), *b = submit(e, &small), *c = submit(e, &grows);
    collect(a, &r);
    assert_int_equal(r.finish, WICK_FINISH_ERROR);
    assert_int_equal(r.error.kind, WICK_E_OUT_OF_MEMORY);
    collect(b, &r);
    expect_greedy(p, 20, &r, 10);
    collect(c, &r);
    assert_int_equal(r.error.kind, WICK_E_OUT_OF_MEMORY);
    wick_engine_close(e);
}

/* The backend itself runs out, before the engine's count says so. */
static void test_backend_out_of_memory(void **state)
{
    (void)state;
    static int32_t p[6][64];
    wick_engine *e = engine(6, 64, 0);
    wick_request *q[6];
    result r;
    fake_capacity = 200 * FAKE_BYTES_PER_TOKEN;
    for (uint32_t i = 0; i < 6; i++) {
        make_prompt(p[i], 64, 70 + i);
        wick_request_opts o = greedy(p[i], 64, 40);
        q[i] = submit(e, &o);
    }
    for (uint32_t i = 0; i < 6; i++) {
        collect(q[i], &r);
        expect_greedy(p[i], 64, &r, 40);
    }
    wick_engine_close(e);
}

static void test_prefix_cache(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 64, 0);
    static int32_t p[300];
    result r;
    make_prompt(p, 300, 4);
    wick_request_opts o = greedy(p, 200, 10);
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 0);
    collect(submit(e, &o), &r); /* the whole prompt is known: its last token is computed again */
    assert_int_equal(r.usage.n_cached, 199);
    expect_greedy(p, 200, &r, 10);
    o = greedy(p, 300, 10); /* goes on elsewhere after 200 */
    collect(submit(e, &o), &r);
    assert_true(r.usage.n_cached == 200);
    expect_greedy(p, 300, &r, 10);
    p[150] ^= 1; /* leaves the tree inside an edge */
    o = greedy(p, 300, 10);
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 150);
    expect_greedy(p, 300, &r, 10);
    o.domain.owner = 77; /* another key sees nothing of it */
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 0);
    expect_greedy(p, 300, &r, 10);
    wick_engine_drop_prefixes(e, 77);
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 0);
    o.domain.owner = 0;
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 299);
    wick_engine_clear_prefixes(e);
    o.no_prefix_cache = true;
    collect(submit(e, &o), &r);
    assert_int_equal(r.usage.n_cached, 0);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* Several answers to one prompt at once: the prompt is computed once. */
static void test_shared_prompt_is_computed_once(void **state)
{
    (void)state;
    wick_engine *e = engine(8, 64, 0);
    static int32_t p[500];
    static result r;
    make_prompt(p, 500, 6);
    wick_request *q[8];
    for (uint32_t i = 0; i < 8; i++) {
        wick_request_opts o = greedy(p, 500, 10);
        q[i] = submit(e, &o);
    }
    for (uint32_t i = 0; i < 8; i++) {
        collect(q[i], &r);
        expect_greedy(p, 500, &r, 10);
    }
    assert_true(atomic_load(&fake_n_tokens) < 500 + 8 * 12 + 8 * 64);
    wick_engine_close(e);
}

/* While one stream decodes, a long prompt enters: no step may take much longer than the target. */
static void test_prompt_does_not_stall_streams(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 512, 0);
    static int32_t p[2000];
    static result r;
    make_prompt(p, 2000, 11);
    atomic_store(&fake_step_us, 500);
    atomic_store(&fake_token_us, 500); /* 512 tokens would take a quarter of a second */
    wick_request_opts o = greedy(p, 8, 200);
    wick_request *stream = submit(e, &o);
    while (wick_request_next(stream, 20000)->kind != WICK_EVENT_TOKEN) {
    }
    wick_request_opts big = greedy(p, 2000, 2);
    wick_request *q = submit(e, &big);
    uint32_t n_slow = 0;
    collect(stream, &r);
    for (uint32_t i = 1; i < r.n; i++) n_slow += r.token_ms[i] - r.token_ms[i - 1] > 220;
    wick_request_cancel(q);
    wick_request_free(q);
    wick_engine_close(e);
    /* The target is 50 ms. A prompt of four whole steps would be four long pauses; a busy machine makes one or two. */
    assert_true(n_slow < 3);
}

/* ---- who goes first ---- */

static void test_priority(void **state)
{
    (void)state;
    wick_engine *e = engine(1, 64, 0);
    int32_t p[20];
    make_prompt(p, 20, 1);
    atomic_store(&fake_step_us, 300);
    wick_request *q[3];
    for (int i = 0; i < 3; i++) {
        wick_request_opts o = greedy(p + i, 10, 60);
        o.priority = i == 2 ? 5 : 0;
        q[i] = NULL;
        assert_int_equal(wick_request_new(&q[i], e, &o, NULL), WICK_OK);
        assert_int_equal(wick_request_submit(q[i], NULL), WICK_OK);
    }
    static result r[3];
    for (int i = 0; i < 3; i++) collect(q[i], &r[i]);
    /* the last one came last and ended first; it took the slot from one that ran */
    assert_true(r[2].usage.queue_ms < r[1].usage.queue_ms);
    assert_true(r[2].usage.first_token_ms < r[1].usage.first_token_ms);
    for (int i = 0; i < 3; i++) expect_greedy(p + i, 10, &r[i], 60);
    wick_engine_close(e);
}

/* One key floods, another asks once: it does not wait for the whole flood. */
static void test_fairness(void **state)
{
    (void)state;
    enum { FLOOD = 20 };
    wick_engine *e = engine(2, 64, 0);
    int32_t p[40];
    make_prompt(p, 40, 1);
    atomic_store(&fake_step_us, 200);
    wick_request *q[FLOOD];
    for (uint32_t i = 0; i < FLOOD; i++) {
        wick_request_opts o = greedy(p + i, 10, 100);
        o.domain.owner = 1;
        q[i] = submit(e, &o);
    }
    wick_request_opts o = greedy(p, 10, 100);
    o.domain.owner = 2;
    static result one, r;
    collect(submit(e, &o), &one);
    expect_greedy(p, 10, &one, 100);
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    uint32_t left = s.n_running + s.n_waiting;
    assert_true(left > FLOOD / 2); /* most of the flood is still there */
    for (uint32_t i = 0; i < FLOOD; i++) {
        collect(q[i], &r);
        expect_greedy(p + i, 10, &r, 100);
    }
    wick_engine_close(e);
}

static void test_queue_full_cancel_deadline(void **state)
{
    (void)state;
    wick_engine_opts eo;
    wick_engine_opts_init(&eo);
    eo.max_seqs = 1, eo.max_queue = 2;
    wick_engine *e = fake_engine(&eo, tok, 2048, 0);
    atomic_store(&fake_step_us, 2000);
    int32_t p[3] = {5, 6, 7};
    wick_request_opts o = greedy(p, 3, 1000);
    wick_request *a = submit(e, &o), *b = submit(e, &o), *c = submit(e, &o), *d = NULL;
    wick_err err;
    static result r;
    assert_int_equal(wick_request_new(&d, e, &o, NULL), WICK_OK);
    assert_int_equal(wick_request_submit(d, &err), WICK_E_LIMIT);
    wick_request_free(d);
    wick_request_cancel(b); /* waiting */
    collect(b, &r);
    assert_int_equal(r.finish, WICK_FINISH_CANCELLED);
    double t0 = wick_time_ms();
    wick_request_cancel(a); /* running */
    wick_request_free(a);   /* waits for the engine */
    assert_true(wick_time_ms() - t0 < 100);
    wick_request_free(c);
    o.deadline_ms = 60;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_ERROR);
    assert_int_equal(r.error.kind, WICK_E_LIMIT);
    assert_string_equal(r.error.subject, "deadline");
    assert_true(r.n > 0);
    a = submit(e, &o); /* closing cancels what runs */
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    collect(a, &r);
    wick_engine_close(e);
}

static void test_slow_reader(void **state)
{
    (void)state;
    wick_engine *e = engine(1, 64, 0);
    int32_t p[3] = {5, 6, 7};
    static result r;
    wick_request_opts o = greedy(p, 3, 1000);
    wick_request *slow = submit(e, &o);
    for (int i = 0; i < 5; i++) { /* others go on, although there is one slot */
        wick_request_opts s = greedy(p, 2, 50);
        collect(submit(e, &s), &r);
        expect_greedy(p, 2, &r, 50);
    }
    wick_engine_stats st;
    wick_engine_get_stats(e, &st);
    assert_true(st.n_gen_tokens < 250 + WICK_MAX_EVENTS + 2);
    collect(slow, &r);
    expect_greedy(p, 3, &r, 1000);
    wick_engine_close(e);
}

/* ---- faults ---- */

static void test_faults_hit_only_their_request(void **state)
{
    (void)state;
    wick_engine *e = engine(8, 64, 0);
    static int32_t p[6][30];
    static result r;
    wick_request *q[6];
    atomic_store(&fake_nan_token, 4);
    atomic_store(&fake_fail_token, 3);
    atomic_store(&fake_step_us, 200);
    for (uint32_t i = 0; i < 6; i++) {
        make_prompt(p[i], 30, 40 + i);
        for (int j = 0; j < 30; j++)
            if (p[i][j] < 6) p[i][j] = 50;
        if (i == 2) p[i][29] = 4;
        if (i == 3) p[i][15] = 3;
        wick_request_opts o = greedy(p[i], 30, 20);
        wick_logit_bias ban[2] = {{3, -100}, {4, -100}};
        o.sampling.bias = ban, o.sampling.n_bias = 2;
        q[i] = submit(e, &o);
    }
    for (uint32_t i = 0; i < 6; i++) {
        collect(q[i], &r);
        if (i == 2) {
            assert_int_equal(r.error.kind, WICK_E_NUMERIC);
        } else if (i == 3) {
            assert_int_equal(r.error.kind, WICK_E_INTERNAL);
        } else {
            assert_int_equal(r.finish, WICK_FINISH_LENGTH);
            assert_int_equal(r.n, 20);
        }
    }
    fake_reset();
    atomic_store(&fake_fail_steps, 1); /* once, with two in the step: both recover */
    wick_request_opts o = greedy(p[0], 30, 20), o2 = greedy(p[1], 30, 20);
    wick_request *a = submit(e, &o), *b = submit(e, &o2);
    collect(a, &r);
    if (r.finish == WICK_FINISH_ERROR)
        assert_int_equal(r.error.kind, WICK_E_INTERNAL); /* it may have been alone in it */
    collect(b, &r);
    expect_greedy(p[1], 30, &r, 20);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* ---- memory of our own ---- */

static void test_no_allocation_while_decoding(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 64, 0);
    static int32_t p[4][16];
    wick_request *q[4];
    const char *const stops[] = {"\x01\x02\x03never", "nor this"};
    for (uint32_t i = 0; i < 4; i++) {
        make_prompt(p[i], 16, i);
        wick_request_opts o = greedy(p[i], 16, 900);
        o.sampling.temperature = 0.9f, o.sampling.dry_multiplier = 0.3f, o.sampling.repetition_penalty = 1.1f;
        o.n_top_logprobs = 5, o.stop = stops, o.n_stop = 2;
        q[i] = submit(e, &o);
    }
    uint64_t before = 0;
    uint32_t n = 0;
    for (uint32_t i = 0; i < 4 * 700;) {
        const wick_event *ev = wick_request_next(q[i % 4], 20000);
        assert_non_null(ev);
        if (ev->kind != WICK_EVENT_TOKEN) continue;
        i++;
        if (++n == 400) before = wick_alloc_count();
    }
    assert_int_equal(wick_alloc_count() - before, 0);
    for (int i = 0; i < 4; i++) wick_request_free(q[i]);
    wick_engine_close(e);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    int32_t p[30];
    make_prompt(p, 30, 5);
    const char *const stops[] = {"never"};
    uint64_t n_ok = 0;
    for (uint64_t i = 1; n_ok == 0; i++) {
        wick_engine *e = engine(2, 8, 0);
        wick_request *r = NULL;
        wick_err err = {0};
        wick_request_opts o = greedy(p, 30, 20);
        o.stop = stops, o.n_stop = 1, o.n_top_logprobs = 2, o.sampling.dry_multiplier = 1;
        wick_alloc_fail_at(i, false);
        wick_status st = wick_request_new(&r, e, &o, &err);
        if (st == WICK_OK) st = wick_request_submit(r, &err);
        if (st == WICK_OK) {
            const wick_event *ev;
            while ((ev = wick_request_next(r, 20000)) && ev->kind != WICK_EVENT_DONE) {
            }
            assert_non_null(ev);
            st = ev->finish == WICK_FINISH_ERROR ? ev->error.kind : WICK_OK;
        }
        bool done = wick_alloc_count() > 0 && st == WICK_OK;
        wick_alloc_fail_at(0, false);
        wick_request_free(r);
        if (!done) assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
        static result again; /* and the engine still works */
        o = greedy(p, 30, 20);
        collect(submit(e, &o), &again);
        expect_greedy(p, 30, &again, 20);
        wick_engine_close(e);
        if (done && i > 60) n_ok = i;
        assert_true(i < 2000);
    }
}

/* Every test for a backend that gives logits, and for one that picks tokens and takes a step ahead. */
#define TESTS(setup)                                                                                                 \
    {                                                                                                                \
        cmocka_unit_test_setup(test_greedy_and_text, setup), cmocka_unit_test_setup(test_sampling_is_seeded, setup), \
            cmocka_unit_test_setup(test_ends, setup), cmocka_unit_test_setup(test_stop_strings, setup),              \
            cmocka_unit_test_setup(test_stop_automaton, setup), cmocka_unit_test_setup(test_bad_requests, setup),    \
            cmocka_unit_test_setup(test_logprobs_and_echo, setup),                                                   \
            cmocka_unit_test_setup(test_logits_and_embeddings, setup),                                               \
            cmocka_unit_test_setup(test_batch_equals_alone, setup),                                                  \
            cmocka_unit_test_setup(test_too_large_for_memory, setup),                                                \
            cmocka_unit_test_setup(test_backend_out_of_memory, setup),                                               \
            cmocka_unit_test_setup(test_prefix_cache, setup),                                                        \
            cmocka_unit_test_setup(test_shared_prompt_is_computed_once, setup),                                      \
            cmocka_unit_test_setup(test_prompt_does_not_stall_streams, setup),                                       \
            cmocka_unit_test_setup(test_priority, setup), cmocka_unit_test_setup(test_fairness, setup),              \
            cmocka_unit_test_setup(test_queue_full_cancel_deadline, setup),                                          \
            cmocka_unit_test_setup(test_slow_reader, setup),                                                         \
            cmocka_unit_test_setup(test_faults_hit_only_their_request, setup),                                       \
            cmocka_unit_test_setup(test_no_allocation_while_decoding, setup),                                        \
            cmocka_unit_test_setup(test_allocation_failures, setup)                                                  \
    }

int main(void)
{
    tok = fake_tokenizer();
    if (!tok) return 1;
    const struct CMUnitTest plain[] = TESTS(setup), ahead[] = TESTS(setup_ahead);
    int failed = cmocka_run_group_tests_name("logits", plain, NULL, NULL);
    failed += cmocka_run_group_tests_name("picks, a step ahead", ahead, NULL, NULL);
    wick_tokenizer_free(tok);
    return failed;
}
