/* Features of the engine combined, and what happens at exact boundaries: each test is about two things at once. */
#include "engine/results_test.h"

/* The log probability is the model's, whatever temperature draws the token; and asking for it changes no token. */
static void test_temperature_and_logprobs(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[8], t[48];
    static result with, without;
    make_prompt(p, 8, 4);
    for (int k = 0; k < 3; k++) {
        const float temperature[] = {0.3f, 1.0f, 2.5f};
        wick_request_opts o = greedy(p, 8, 40);
        o.sampling.temperature = temperature[k], o.sampling.has_seed = true, o.sampling.seed = 3;
        o.sampling.top_k = 50, o.sampling.top_p = 0.9f;
        collect(submit(e, &o), &without);
        o.n_top_logprobs = 20;
        collect(submit(e, &o), &with);
        assert_int_equal(with.n, 40);
        assert_memory_equal(with.id, without.id, 40 * sizeof with.id[0]);
        assert_memory_equal(with.logprob, without.logprob, 40 * sizeof with.logprob[0]);
        memcpy(t, p, sizeof p);
        for (uint32_t i = 0; i < 40; i++) {
            assert_float_equal(with.logprob[i], logprob_of(t, 8 + i, with.id[i]), 1e-4);
            t[8 + i] = with.id[i];
        }
    }
    wick_engine_close(e);
}

/* Several answers to one prompt: each counts its own tokens, and the prompt that one computed is cached for the
 * others. */
static void test_answers_and_usage(void **state)
{
    (void)state;
    enum { N = 4 };
    wick_engine *e = engine(N, 64, 0);
    static int32_t p[200];
    static result r[N];
    wick_request *q[N];
    make_prompt(p, 200, 5);
    for (uint32_t i = 0; i < N; i++) {
        wick_request_opts o = greedy(p, 200, 5 + i);
        o.sampling.temperature = 1, o.sampling.has_seed = true, o.sampling.seed = i;
        q[i] = submit(e, &o);
    }
    uint64_t cached = 0, generated = 0;
    for (uint32_t i = 0; i < N; i++) {
        collect(q[i], &r[i]);
        assert_int_equal(r[i].usage.n_prompt, 200);
        assert_int_equal(r[i].usage.n_gen, 5 + i);
        assert_int_equal(r[i].n, 5 + i);
        assert_int_equal(r[i].finish, WICK_FINISH_LENGTH);
        cached += r[i].usage.n_cached;
        generated += r[i].n;
    }
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    assert_int_equal(s.n_gen_tokens, generated);
    assert_int_equal(s.n_cached_tokens, cached);
    assert_int_equal(s.n_prompt_tokens + cached, N * 200);      /* every token of every prompt is one or the other */
    assert_true(cached >= 3 * (200 - 64) && cached <= 3 * 199); /* the last token is always computed */
    wick_engine_close(e);
}

/* Requests with echo that lose their memory: every prompt token is reported once, in order, with the right number. */
static void test_preemption_and_echo(void **state)
{
    (void)state;
    enum { N = 3, LONG = 60, MORE = 50 };
    wick_engine *e = engine(N, 16, 170 * FAKE_BYTES_PER_TOKEN);
    static int32_t p[N][LONG + MORE];
    wick_request *q[N];
    uint32_t n_echo[N] = {0}, n_gen[N] = {0}, n_done = 0;
    atomic_store(&fake_step_us, 200); /* long enough for two to be under way at once */
    for (uint32_t i = 0; i < N; i++) {
        make_prompt(p[i], LONG, 31 + i);
        wick_request_opts o = greedy(p[i], LONG, MORE);
        o.prompt_logprobs = true;
        q[i] = submit(e, &o);
    }
    while (n_done < N) {
        for (uint32_t i = 0; i < N; i++) {
            const wick_event *ev = wick_request_next(q[i], 1);
            if (!ev) continue;
            if (ev->kind == WICK_EVENT_DONE) {
                assert_int_equal(ev->finish, WICK_FINISH_LENGTH);
                n_done++;
            }
            if (ev->kind != WICK_EVENT_TOKEN) continue;
            const uint32_t at = ev->is_prompt ? ++n_echo[i] : LONG + n_gen[i]++;
            if (ev->is_prompt)
                assert_int_equal(ev->token, p[i][at]);
            else
                assert_int_equal(n_echo[i], LONG - 1);
            p[i][at] = ev->token;
            assert_float_equal(ev->logprob, logprob_of(p[i], at, ev->token), 1e-4);
        }
    }
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    assert_true(s.n_preempted > 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_int_equal(n_echo[i], LONG - 1);
        assert_int_equal(n_gen[i], MORE);
        wick_request_free(q[i]);
    }
    wick_engine_close(e);
}

/* The logits of the last token are the same whether the prompt ends with a step, one before it or one behind it, alone
 * or beside others. */
static void test_last_logits_at_every_cut(void **state)
{
    (void)state;
    int32_t p[33];
    float want[FAKE_VOCAB];
    make_prompt(p, 33, 6);
    for (uint32_t n = 1; n <= 33; n++) {
        wick_engine *e = engine(4, 16, 0);
        wick_request_opts o = greedy(p, n, 0), other = greedy(p, 20, 30);
        o.kind = WICK_REQ_LOGITS;
        wick_request *beside = n % 2 ? submit(e, &other) : NULL, *q = submit(e, &o);
        uint32_t rows = 0;
        fake_logits(p, n, want);
        for (;;) {
            const wick_event *ev = wick_request_next(q, 20000);
            assert_non_null(ev);
            if (ev->kind == WICK_EVENT_DONE) break;
            if (ev->kind != WICK_EVENT_LOGITS) continue;
            rows += ev->n_data;
            if (rows == n) assert_memory_equal(ev->data + (size_t)(ev->n_data - 1) * ev->width, want, sizeof want);
        }
        assert_int_equal(rows, n);
        wick_request_free(q);
        wick_request_free(beside);
        wick_engine_close(e);
    }
}

static void test_exact_lengths(void **state)
{
    (void)state;
    static int32_t p[2048];
    static result r;
    wick_engine *e = engine(2, 512, 0); /* a context of 2048 */
    make_prompt(p, 2048, 7);
    const struct {
        uint32_t n_prompt, max_tokens, n;
    } row[] = {{2048, 0, 0}, {2048, 5, 0}, {2047, 0, 1}, {2047, 1, 1}, {2040, 8, 8}, {2040, 9, 8}, {1, 1, 1}};
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        wick_request_opts o = greedy(p, row[i].n_prompt, row[i].max_tokens);
        collect(submit(e, &o), &r);
        expect_greedy(p, row[i].n_prompt, &r, row[i].n);
        assert_int_equal(r.finish, WICK_FINISH_LENGTH);
        assert_int_equal(r.usage.n_gen, row[i].n);
    }
    /* min_tokens at its bounds: as many as there may be, and one that the end of the text meets exactly. */
    fake_eos_bias = 100;
    wick_request_opts o = greedy(p, 10, 6);
    o.min_tokens = 6;
    collect(submit(e, &o), &r);
    assert_int_equal(r.n, 6);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    o.min_tokens = 5;
    collect(submit(e, &o), &r);
    assert_int_equal(r.n, 5);
    assert_int_equal(r.usage.n_gen, 6); /* the end of the text is counted */
    assert_int_equal(r.finish, WICK_FINISH_EOS);
    wick_engine_close(e);
}

/* A stop string that is complete with the last token that may come is a stop, not a length; one that begins there is
 * not. */
static void test_stop_at_the_limit(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[3] = {5, 6, 7};
    static result r;
    wick_logit_bias only = {259, 1000}; /* "he" */
    const char *const stops[] = {"hehe"}, *const longer[] = {"hehehe"};
    wick_request_opts o = greedy(p, 3, 2);
    o.sampling.bias = &only, o.sampling.n_bias = 1;
    o.stop = stops, o.n_stop = 1;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_STOP);
    assert_string_equal(r.text, "");
    o.stop = longer;
    collect(submit(e, &o), &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_string_equal(r.text, "hehe"); /* held back until it was clear */
    o.stop = stops, o.max_tokens = 8, o.min_tokens = 4;
    collect(submit(e, &o), &r); /* the fourth token may end the text, the ones before it may not */
    assert_int_equal(r.finish, WICK_FINISH_STOP);
    assert_true(r.n >= 4 && r.n <= 6);
    o.n_top_logprobs = 2;
    static result again;
    collect(submit(e, &o), &again);
    assert_int_equal(again.n, r.n);
    assert_string_equal(again.text, r.text);
    wick_engine_close(e);
}

/* Seed 0 is a seed like any other. */
static void test_seed_zero(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 16, 0);
    int32_t p[4] = {10, 11, 12, 13};
    static result r[3];
    for (uint64_t i = 0; i < 3; i++) {
        wick_request_opts o = greedy(p, 4, 40);
        o.sampling.temperature = 1, o.sampling.has_seed = true, o.sampling.seed = i == 2 ? 1 : 0;
        collect(submit(e, &o), &r[i]);
    }
    assert_memory_equal(r[0].id, r[1].id, 40 * sizeof r[0].id[0]);
    assert_memory_not_equal(r[0].id, r[2].id, 40 * sizeof r[0].id[0]);
    wick_engine_close(e);
}

/* An embedding, a long generation, a cancelled one and one that fails, all in one batch: each gets its own verdict. */
static void test_ends_of_all_kinds_at_once(void **state)
{
    (void)state;
    wick_engine *e = engine(6, 16, 0);
    static int32_t p[5][30];
    static result r;
    wick_request *q[5];
    for (uint32_t i = 0; i < 5; i++) make_prompt(p[i], 30, 90 + i);
    p[2][29] = 299;
    atomic_store(&fake_nan_token, 299);
    atomic_store(&fake_step_us, 300);
    for (uint32_t i = 0; i < 5; i++) {
        wick_request_opts o = greedy(p[i], 30, i == 1 ? 900 : 60);
        if (i == 3) o.kind = WICK_REQ_EMBED, o.pooling = WICK_POOL_MEAN;
        if (i == 4) o.deadline_ms = 5, o.max_tokens = 900;
        q[i] = submit(e, &o);
    }
    wick_request_cancel(q[1]);
    collect(q[0], &r);
    expect_greedy(p[0], 30, &r, 60);
    collect(q[1], &r);
    assert_int_equal(r.finish, WICK_FINISH_CANCELLED);
    collect(q[2], &r);
    assert_int_equal(r.finish, WICK_FINISH_ERROR);
    assert_int_equal(r.error.kind, WICK_E_NUMERIC);
    collect(q[3], &r);
    assert_int_equal(r.n_data, 1);
    collect(q[4], &r);
    assert_int_equal(r.finish, WICK_FINISH_ERROR);
    assert_string_equal(r.error.subject, "deadline");
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    assert_int_equal(s.n_requests, 5);
    assert_int_equal(s.n_failed, 2);
    assert_int_equal(s.n_cancelled, 1);
    assert_int_equal(s.n_running + s.n_waiting, 0);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

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

#define TESTS(setup)                                                                                                  \
    {                                                                                                                 \
        cmocka_unit_test_setup(test_temperature_and_logprobs, setup),                                                 \
            cmocka_unit_test_setup(test_answers_and_usage, setup),                                                    \
            cmocka_unit_test_setup(test_preemption_and_echo, setup),                                                  \
            cmocka_unit_test_setup(test_last_logits_at_every_cut, setup),                                             \
            cmocka_unit_test_setup(test_exact_lengths, setup), cmocka_unit_test_setup(test_stop_at_the_limit, setup), \
            cmocka_unit_test_setup(test_seed_zero, setup),                                                            \
            cmocka_unit_test_setup(test_ends_of_all_kinds_at_once, setup)                                             \
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
