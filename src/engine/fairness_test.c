/* Who is served when users come, go idle and return: neither past work nor past idleness counts for long. */
#include "engine/results_test.h"

enum { FLOOD = 10, EACH = 100 };

static uint64_t tokens_so_far(wick_engine *e)
{
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    return s.n_gen_tokens;
}

static wick_request *ask(wick_engine *e, uint64_t user, uint32_t seed, uint32_t n)
{
    static int32_t p[20];
    make_prompt(p, 20, seed);
    wick_request_opts o = greedy(p, 20, n);
    o.user_key = user;
    o.no_prefix_cache = true;
    return submit(e, &o);
}

static void wait_for_tokens(wick_engine *e, uint64_t n)
{
    while (tokens_so_far(e) < n) usleep(1000);
}

/* A user who was alone for long comes back while somebody new floods the engine: he gets his half. */
static void test_the_formerly_lone_user(void **state)
{
    (void)state;
    wick_engine *e = engine(1, 64, 0);
    static result r;
    collect(ask(e, 1, 1, 900), &r);
    assert_int_equal(r.n, 900);
    atomic_store(&fake_step_us, 300);
    wick_request *flood[FLOOD];
    for (uint32_t i = 0; i < FLOOD; i++) flood[i] = ask(e, 2, 10 + i, EACH);
    wait_for_tokens(e, 910);
    collect(ask(e, 1, 2, 60), &r);
    assert_int_equal(r.n, 60);
    assert_true(tokens_so_far(e) - 900 < FLOOD * EACH / 2);
    for (uint32_t i = 0; i < FLOOD; i++) wick_request_free(flood[i]);
    wick_engine_close(e);
}

/* A user who was idle while another worked has saved nothing up: his flood does not keep the other waiting. */
static void test_idleness_is_no_credit(void **state)
{
    (void)state;
    wick_engine *e = engine(1, 64, 0);
    static result r;
    collect(ask(e, 1, 1, 10), &r);
    wick_request *steady = ask(e, 2, 2, 900);
    for (uint32_t n = 0; n < 700;) {
        const wick_event *ev = wick_request_next(steady, 20000);
        assert_non_null(ev);
        n += ev->kind == WICK_EVENT_TOKEN;
    }
    atomic_store(&fake_step_us, 500); /* slow enough for this thread to keep up: who does not read is left out */
    wick_request *flood[FLOOD];
    for (uint32_t i = 0; i < FLOOD; i++) flood[i] = ask(e, 1, 10 + i, EACH);
    collect(steady, &r);
    assert_int_equal(r.finish, WICK_FINISH_LENGTH);
    assert_true(tokens_so_far(e) - 910 < 600); /* his 200 and about as many of the flood */
    for (uint32_t i = 0; i < FLOOD; i++) wick_request_free(flood[i]);
    wick_engine_close(e);
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

int main(void)
{
    tok = fake_tokenizer();
    if (!tok) return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_the_formerly_lone_user, setup),
        cmocka_unit_test_setup(test_idleness_is_no_credit, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wick_tokenizer_free(tok);
    return failed;
}
