/* Guesses against a search of the whole text, and answers with guesses against those without. */
#include "engine/results_test.h"

static uint32_t seed = 99;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

/* The longest end of t[0..n) that also ends before n. */
static uint32_t longest_repeat(const int32_t *t, uint32_t n)
{
    uint32_t best = 0;
    for (uint32_t e = 1; e < n; e++) {
        uint32_t k = 0;
        while (k < e && t[e - 1 - k] == t[n - 1 - k]) k++;
        if (k > best) best = k;
    }
    return best;
}

static void test_guesses(void **state)
{
    (void)state;
    static const wick_draft_score none;
    for (int round = 0; round < 60; round++) {
        int32_t t[400], guess[WICK_DRAFT_MAX];
        float chance[WICK_DRAFT_MAX];
        wick_draft *d = NULL;
        assert_int_equal(wick_draft_new(&d, 400, NULL), WICK_OK);
        for (uint32_t i = 0; i < 400; i++) {
            t[i] = i > 20 && rnd(8) ? t[i - 1 - rnd(2) * 6] : (int32_t)rnd(2 + (uint32_t)round);
            wick_draft_push(d, t, i, true, NULL);
            uint32_t n = i + 1, m = longest_repeat(t, n), k = wick_draft_guess(d, t, n, 8, &none, guess, chance);
            assert_int_equal(k > 0, m > 0);
            if (k == 0) continue;
            bool found = false; /* what is guessed followed the longest repeated end somewhere */
            for (uint32_t e = m; e < n && !found; e++)
                found = memcmp(t + e - m, t + n - m, m * sizeof *t) == 0 && t[e] == guess[0];
            assert_true(found);
            for (uint32_t j = 0; j < k; j++) assert_true(chance[j] >= 0 && chance[j] <= 1);
        }
        wick_draft_free(d);
    }
}

/* A text in which guesses fail loses its chances, one in which they are right gains them. */
static void test_chances(void **state)
{
    (void)state;
    static wick_draft_score all;
    int32_t t[600], guess[WICK_DRAFT_MAX];
    float before[WICK_DRAFT_MAX], after[WICK_DRAFT_MAX];
    wick_draft *d = NULL;
    assert_int_equal(wick_draft_new(&d, 600, NULL), WICK_OK);
    for (uint32_t i = 0; i < 300; i++) {
        t[i] = (int32_t)(i % 7);
        wick_draft_push(d, t, i, true, &all);
        if (i == 8) assert_true(wick_draft_guess(d, t, 9, 1, &all, guess, before) == 1);
    }
    assert_int_equal(wick_draft_guess(d, t, 300, 4, &all, guess, after), 4);
    assert_true(after[0] > 0.9f && after[0] > before[0]);
    for (uint32_t j = 0; j < 4; j++) assert_int_equal(guess[j], (int32_t)((300 + j) % 7));
    wick_draft_free(d);
    assert_int_equal(wick_draft_new(&d, 600, NULL), WICK_OK);
    memset(&all, 0, sizeof all);
    for (uint32_t i = 0; i < 600; i++) {
        t[i] = (int32_t)rnd(12);
        wick_draft_push(d, t, i, true, &all);
    }
    assert_int_equal(wick_draft_guess(d, t, 600, 1, &all, guess, after), 1);
    assert_true(after[0] < 0.25f);
    wick_draft_free(d);
}

static wick_engine *drafting(bool drafts, uint32_t max_seqs)
{
    wick_engine_opts o;
    wick_engine_opts_init(&o);
    o.max_seqs = max_seqs;
    o.prefill_chunk = 64;
    o.no_drafts = !drafts;
    wick_engine *e = fake_engine(&o, tok, 2048, 0);
    assert_non_null(e);
    return e;
}

static wick_request_opts some_request(uint32_t kind, const int32_t *p, uint32_t n)
{
    static const char *const stops[] = {"the", "an", "zz"};
    wick_request_opts o = greedy(p, n, 60 + rnd(60));
    o.sampling.has_seed = true;
    o.sampling.seed = kind;
    if (kind % 3 == 1) o.sampling.temperature = 0.6f, o.sampling.top_k = 3;
    if (kind % 4 == 2) o.sampling.repetition_penalty = 1.1f;
    if (kind % 5 == 3) o.n_top_logprobs = 5;
    if (kind % 6 == 4) o.stop = stops, o.n_stop = 3;
    if (kind % 7 == 5) o.min_tokens = 30;
    return o;
}

/* Texts that repeat, alone and several at once: tokens, log probabilities, text and end are the same with guesses and
 * without, and steps are saved. */
static void test_same_answers(void **state)
{
    (void)state;
    enum { N = 6 };
    static result with[N], without[N];
    uint32_t n_steps[2];
    fake_order = 1;
    atomic_store(&fake_step_us, 500);
    fake_caps |= WICK_CAP_SPECULATIVE;
    for (uint32_t round = 0; round < 12; round++) {
        wick_request_opts o[N];
        int32_t p[N][40];
        wick_request *r[N];
        uint32_t n = round % 2 ? N : 1;
        fake_end_only = round % 4 >= 2; /* as with states: guesses are taken back by a fork */
        fake_caps = fake_end_only ? fake_caps & ~(uint32_t)WICK_CAP_SPECULATIVE : fake_caps | WICK_CAP_SPECULATIVE;
        for (uint32_t i = 0; i < n; i++) {
            make_prompt(p[i], 40, round * 10 + i);
            o[i] = some_request(round * N + i, p[i], 40);
        }
        for (int drafts = 0; drafts < 2; drafts++) {
            wick_engine *e = drafting(drafts, N);
            for (uint32_t i = 0; i < n; i++) r[i] = submit(e, &o[i]);
            for (uint32_t i = 0; i < n; i++) collect(r[i], drafts ? &with[i] : &without[i]);
            wick_engine_stats s;
            wick_engine_get_stats(e, &s);
            n_steps[drafts] = (uint32_t)fake_model.step_no;
            if (drafts && n == 1) assert_true(s.n_accepted <= s.n_drafted);
            if (!drafts) assert_int_equal(s.n_drafted, 0);
            wick_engine_close(e);
        }
        for (uint32_t i = 0; i < n; i++) {
            assert_int_equal(with[i].n, without[i].n);
            assert_memory_equal(with[i].id, without[i].id, with[i].n * sizeof with[i].id[0]);
            assert_memory_equal(with[i].logprob, without[i].logprob, with[i].n * sizeof with[i].logprob[0]);
            assert_string_equal(with[i].text, without[i].text);
            assert_int_equal(with[i].finish, without[i].finish);
            assert_string_equal(with[i].stop, without[i].stop);
        }
        assert_int_equal(atomic_load(&fake_live_seqs), 0);
        if (round == 0) assert_true(n_steps[1] < n_steps[0]);
    }
    fake_caps &= ~(uint32_t)WICK_CAP_SPECULATIVE;
    fake_reset();
}

/* Guesses that are planned for a text of a period, when a step takes 10 ms and each further position `more_ms`. */
static uint32_t planned(float more_ms)
{
    int32_t p[40];
    wick_err err = {0};
    wick_request *r = NULL;
    for (int32_t i = 0; i < 40; i++) p[i] = 10 + i % 7;
    wick_engine *e = drafting(true, 4);
    wick_request_opts o = greedy(p, 40, 120);
    assert_int_equal(wick_request_new(&r, e, &o, &err), WICK_OK);
    assert_int_equal(fake_kv_new(&fake_model, 0, &r->run.kv, NULL), WICK_OK);
    r->run.n_kv = 39;
    r->run.row_tokens = 1;
    r->run.row_out = WICK_OUT_LAST;
    for (uint32_t n = 1; n <= WICK_MAX_MEASURED_ROWS; n++) wick_draft_measure(e, n, 10.0 + (double)more_ms * (n - 1));
    e->loop.chosen[0] = r; /* the engine's thread is idle, and looks at nothing of this */
    e->loop.n_chosen = 1;
    wick_draft_plan(e, 1);
    uint32_t n = r->run.n_draft;
    for (uint32_t i = 0; i < n; i++) assert_int_equal(r->run.tokens[40 + i], 10 + (40 + i) % 7);
    assert_int_equal(r->run.row_tokens, n ? 1 + n : 1);
    fake_kv_free(&fake_model, r->run.kv);
    r->run.kv = NULL;
    wick_request_free(r);
    wick_engine_close(e);
    return n;
}

static void test_no_gain_no_guess(void **state)
{
    (void)state;
    fake_caps |= WICK_CAP_SPECULATIVE;
    assert_true(planned(0) >= 8);
    uint32_t some = planned(3);
    assert_true(some > 0 && some < planned(0));
    assert_int_equal(planned(10), 0); /* a position costs as much as a step of its own */
    fake_caps &= ~(uint32_t)WICK_CAP_SPECULATIVE;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guesses),
        cmocka_unit_test(test_chances),
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_no_gain_no_guess),
    };
    tok = fake_tokenizer();
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    wick_tokenizer_free(tok);
    return rc;
}
