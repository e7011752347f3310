/* Steps that overlap: the engine on a fake backend that picks tokens. What engine_test.c says of outputs holds here too
 * (it runs both ways); here is when a step is started early, and what happens to one that was started in vain. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "engine/fake_backend_test.h"

static wick_engine *engine(uint32_t max_seqs, uint64_t kv_limit)
{
    wick_engine_opts o;
    wick_engine_opts_init(&o);
    o.max_seqs = max_seqs;
    o.prefill_chunk = 16;
    wick_engine *e = fake_engine(&o, NULL, 512, kv_limit);
    assert_non_null(e);
    return e;
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    fake_caps |= FAKE_AHEAD;
    return 0;
}

/* Reads r to its end and compares what it gave with the reference. */
static wick_event collect(wick_request *r, const int32_t *prompt, uint32_t n, uint32_t *n_gen)
{
    int32_t t[512];
    wick_event done;
    memcpy(t, prompt, n * sizeof *t);
    *n_gen = 0;
    for (;;) {
        const wick_event *ev = wick_request_next(r, 20000);
        assert_non_null(ev);
        if (ev->kind == WICK_EVENT_TOKEN) {
            float l[FAKE_VOCAB];
            t[n + *n_gen] = fake_next(t, n + *n_gen);
            assert_int_equal(ev->token, t[n + *n_gen]);
            fake_logits(t, n + *n_gen, l);
            assert_true(fabsf(ev->logprob - fake_pick(l).logprob) < 1e-4f);
            ++*n_gen;
        }
        if (ev->kind == WICK_EVENT_DONE) {
            done = *ev;
            break;
        }
    }
    wick_request_free(r);
    return done;
}

static void make_prompt(int32_t *p, uint32_t n, uint32_t seed)
{
    for (uint32_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = 3 + (int32_t)((seed >> 10) % 290);
    }
}

static void test_decoding_runs_ahead(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 0);
    int32_t p[3][20];
    wick_request *r[3];
    uint32_t n;
    for (uint32_t i = 0; i < 3; i++) {
        make_prompt(p[i], 20, i);
        wick_request_opts o = greedy(p[i], 20, 60 + 10 * i); /* they end one after the other */
        r[i] = submit(e, &o);
    }
    for (uint32_t i = 0; i < 3; i++) {
        wick_event done = collect(r[i], p[i], 20, &n);
        assert_int_equal(done.finish, WICK_FINISH_LENGTH);
        assert_int_equal(n, 60 + 10 * i);
    }
    assert_true(atomic_load(&fake_n_ahead) > 40);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* Whoever wants more than the best token keeps the device waiting, and gets it. */
static void test_what_does_not_run_ahead(void **state)
{
    (void)state;
    int32_t p[8], other[8];
    wick_logit_bias bias = {5, 1};
    uint32_t n;
    make_prompt(p, 8, 3);
    make_prompt(other, 8, 4);
    for (int i = 0; i < 6; i++) {
        wick_engine *e = engine(4, 0);
        fake_reset();
        wick_request_opts o = greedy(p, 8, 30);
        if (i == 0) o.sampling.temperature = 0.5f;
        if (i == 1) o.n_top_logprobs = 2;
        if (i == 2) o.sampling.bias = &bias, o.sampling.n_bias = 1;
        if (i == 3) o.sampling.repetition_penalty = 1.2f;
        if (i == 4) o.sampling.dry_multiplier = 0.5f;
        if (i == 5) o.min_tokens = 30;
        wick_request *r = submit(e, &o);
        for (const wick_event *ev = NULL; !ev || ev->kind != WICK_EVENT_DONE;) {
            ev = wick_request_next(r, 20000);
            assert_non_null(ev);
        }
        assert_int_equal(atomic_load(&fake_n_ahead), 0);
        wick_request_free(r);
        o = greedy(other, 8, 30); /* nor does a sampled one spoil what another picks */
        wick_request_opts sampled = greedy(p, 8, 30);
        sampled.sampling.temperature = 0.7f;
        wick_request *a = submit(e, &sampled), *b = submit(e, &o);
        collect(b, other, 8, &n);
        assert_int_equal(n, 30);
        wick_request_free(a);
        wick_engine_close(e);
    }
}

/* A recurrent state cannot take a token back, so nothing may be fed that is not known. */
static void test_needs_truncation(void **state)
{
    (void)state;
    int32_t p[8];
    uint32_t n;
    fake_caps &= ~(uint32_t)WICK_CAP_SPECULATIVE;
    wick_engine *e = engine(4, 0);
    make_prompt(p, 8, 5);
    wick_request_opts o = greedy(p, 8, 40);
    collect(submit(e, &o), p, 8, &n);
    assert_int_equal(n, 40);
    assert_int_equal(atomic_load(&fake_n_ahead), 0);
    wick_engine_close(e);
}

/* The end of a text is seen when the next step runs already: that step's token is taken back before the KV is
 * shared. */
static void test_end_of_text(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 0);
    int32_t p[24], more[64];
    uint32_t n;
    make_prompt(p, 24, 6);
    fake_eos_bias = 25; /* the end comes after a while */
    wick_request_opts o = greedy(p, 24, 400);
    wick_event done = collect(submit(e, &o), p, 24, &n);
    assert_int_equal(done.finish, WICK_FINISH_EOS);
    memcpy(more, p, sizeof p);
    for (uint32_t i = 0; i < n && i < 20; i++) more[24 + i] = fake_next(more, 24 + i);
    uint32_t n_more = 24 + (n < 20 ? n : 20);
    more[n_more++] = 7;
    fake_eos_bias = 0;
    long forks = atomic_load(&fake_n_forks);
    o = greedy(more, n_more, 40);
    done = collect(submit(e, &o), more, n_more, &n);
    assert_int_equal(n, 40);
    assert_true(atomic_load(&fake_n_forks) > forks);
    assert_true(done.usage.n_cached >= 24);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* Steps that cannot be started or waited for: what they computed is computed again. */
static void test_failures(void **state)
{
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        for (int at = 1; at < 12; at++) {
            wick_engine *e = engine(4, 0);
            int32_t p[3][10];
            wick_request *r[3];
            uint32_t n, n_failed = 0;
            fake_reset();
            for (uint32_t i = 0; i < 3; i++) {
                make_prompt(p[i], 10, 7 + i);
                wick_request_opts o = greedy(p[i], 10, 40);
                r[i] = submit(e, &o);
            }
            for (int k = 0; k < at; k++) assert_non_null(wick_request_next(r[2], 20000));
            atomic_store(kind ? &fake_fail_waits : &fake_fail_steps, 1);
            for (uint32_t i = 0; i < 2; i++) {
                wick_event done = collect(r[i], p[i], 10, &n);
                if (done.finish == WICK_FINISH_ERROR)
                    n_failed++; /* it was alone in the step */
                else
                    assert_int_equal(n, 40);
            }
            assert_true(n_failed <= 1);
            wick_request_free(r[2]);
            wick_engine_close(e);
            assert_int_equal(atomic_load(&fake_live_seqs), 0);
        }
    }
}

/* Newcomers, readers that leave and little memory, all while steps overlap. */
static void test_coming_and_going(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 160 * FAKE_BYTES_PER_TOKEN);
    fake_capacity = 160 * FAKE_BYTES_PER_TOKEN;
    uint32_t seed = 1, n;
    for (int round = 0; round < 40; round++) {
        int32_t p[4][30];
        wick_request *r[4];
        uint32_t len[4];
        for (uint32_t i = 0; i < 4; i++) {
            seed = seed * 1664525u + 1013904223u;
            len[i] = 4 + (seed >> 20) % 26;
            make_prompt(p[i], len[i], i < 2 ? i : seed); /* two of them share prefixes with earlier ones */
            wick_request_opts o = greedy(p[i], len[i], 1 + (seed >> 8) % 40);
            r[i] = submit(e, &o);
            if (i == 1) assert_non_null(wick_request_next(r[0], 20000));
        }
        wick_request_free(r[3]); /* cancelled on its way */
        for (uint32_t i = 1; i < 3; i++) {
            wick_event done = collect(r[i], p[i], len[i], &n);
            assert_int_equal(done.finish, WICK_FINISH_LENGTH);
        }
        wick_request_free(r[0]);
    }
    assert_true(atomic_load(&fake_n_ahead) > 0);
    wick_engine_close(e);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_decoding_runs_ahead, setup),
        cmocka_unit_test_setup(test_what_does_not_run_ahead, setup),
        cmocka_unit_test_setup(test_needs_truncation, setup),
        cmocka_unit_test_setup(test_end_of_text, setup),
        cmocka_unit_test_setup(test_failures, setup),
        cmocka_unit_test_setup(test_coming_and_going, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
