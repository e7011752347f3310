/* Who is served when users come, go idle and return: neither past work nor past idleness counts for long. */
#include "engine/results_test.h"

enum { FLOOD = 10, EACH = 100 };

static uint64_t tokens_so_far(wick_engine *e)
{
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    return s.n_gen_tokens;
}

static wick_request *ask_as(wick_engine *e, wick_domain who, uint32_t seed, uint32_t n)
{
    static int32_t p[20];
    make_prompt(p, 20, seed);
    wick_request_opts o = greedy(p, 20, n);
    o.domain = who;
    o.no_prefix_cache = true;
    return submit(e, &o);
}

static wick_request *ask(wick_engine *e, uint64_t owner, uint32_t seed, uint32_t n)
{
    return ask_as(e, (wick_domain){.owner = owner}, seed, n);
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

/* An owner who calls himself many gets no more than one: the other owner has his half. */
static void test_many_users_are_one_owner(void **state)
{
    (void)state;
    enum { USERS = 32, EACH_USER = 60, MINE = 120 };
    wick_engine *e = engine(1, 64, 0);
    static result r;
    atomic_store(&fake_step_us, 300);
    wick_request *flood[USERS];
    for (uint32_t i = 0; i < USERS; i++)
        flood[i] = ask_as(e, (wick_domain){.owner = 1, .user = i + 1}, 10 + i, EACH_USER);
    wait_for_tokens(e, 10);
    collect(ask(e, 2, 1, MINE), &r);
    assert_int_equal(r.n, MINE);
    /* his own, as many of the flood, and what a quantum and the turn under way let through */
    assert_true(tokens_so_far(e) < 2 * MINE + 300);
    for (uint32_t i = 0; i < USERS; i++) wick_request_free(flood[i]);
    wick_engine_close(e);
}

/* Users of one owner take turns among themselves. */
static void test_users_of_an_owner_take_turns(void **state)
{
    (void)state;
    wick_engine *e = engine(1, 64, 0);
    static result r;
    atomic_store(&fake_step_us, 300);
    wick_request *flood[FLOOD];
    for (uint32_t i = 0; i < FLOOD; i++) flood[i] = ask_as(e, (wick_domain){1, 1}, 10 + i, EACH);
    wait_for_tokens(e, 10);
    collect(ask_as(e, (wick_domain){1, 2}, 1, 60), &r);
    assert_int_equal(r.n, 60);
    assert_true(tokens_so_far(e) < FLOOD * EACH / 2);
    for (uint32_t i = 0; i < FLOOD; i++) wick_request_free(flood[i]);
    wick_engine_close(e);
}

/* Whoever holds no place of the queue finds one, however many another owner wants. */
static void test_places_of_the_queue(void **state)
{
    (void)state;
    enum { ROOM = 16 };
    wick_engine_opts eo;
    wick_engine_opts_init(&eo);
    eo.max_seqs = 1, eo.max_queue = ROOM - 1;
    wick_engine *e = fake_engine(&eo, tok, 2048, 0);
    atomic_store(&fake_step_us, 2000);
    int32_t p[3] = {5, 6, 7};
    wick_request_opts o = greedy(p, 3, 1000);
    wick_request *r[ROOM + 1];
    wick_err err;
    uint32_t n = 0, of[4] = {0};
    for (uint64_t owner = 1; owner <= 3; owner++) {
        for (;;) {
            o.domain = (wick_domain){.owner = owner, .user = n}; /* another user each time */
            assert_int_equal(wick_request_new(&r[n], e, &o, NULL), WICK_OK);
            if (wick_request_submit(r[n], &err) != WICK_OK) break;
            n++;
            of[owner]++;
        }
        assert_int_equal(err.kind, WICK_E_LIMIT);
        assert_string_equal(err.subject, "queue");
        wick_request_free(r[n]);
        assert_true(n < ROOM);
    }
    assert_int_equal(of[1], ROOM / 2);
    assert_true(of[2] >= 2 && of[3] >= 1);
    o.domain = (wick_domain){0}; /* nobody in particular may take what is left */
    while (n < ROOM) r[n++] = submit(e, &o);
    assert_int_equal(wick_request_new(&r[n], e, &o, NULL), WICK_OK);
    assert_int_equal(wick_request_submit(r[n], &err), WICK_E_LIMIT);
    for (uint32_t i = 0; i <= n; i++) wick_request_free(r[i]);
    o.domain.owner = 1; /* places come back */
    o.max_tokens = 2;
    static result done;
    for (int i = 0; i < 3 * ROOM; i++) {
        collect(submit(e, &o), &done);
        assert_int_equal(done.n, 2);
    }
    wick_engine_close(e);
}

/* What an owner that was dropped still runs is not kept for whoever asks next in its name. */
static void test_a_dropped_owner_leaves_nothing(void **state)
{
    (void)state;
    wick_engine *e = engine(4, 64, 0);
    static result r;
    int32_t p[20];
    make_prompt(p, 20, 3);
    wick_request_opts o = greedy(p, 20, 100);
    o.domain = (wick_domain){9, 4};
    for (int dropped = 0; dropped < 2; dropped++) {
        atomic_store(&fake_step_us, dropped ? 500 : 0);
        const uint64_t before = tokens_so_far(e);
        wick_request *running = submit(e, &o);
        wait_for_tokens(e, before + 5);
        if (dropped) wick_engine_drop_prefixes(e, 9);
        collect(running, &r);
        o.max_tokens = 1;
        collect(submit(e, &o), &r);
        assert_int_equal(r.usage.n_cached, dropped ? 0 : 19);
        o.max_tokens = 100;
        wick_engine_drop_prefixes(e, 9);
    }
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
        cmocka_unit_test_setup(test_many_users_are_one_owner, setup),
        cmocka_unit_test_setup(test_users_of_an_owner_take_turns, setup),
        cmocka_unit_test_setup(test_places_of_the_queue, setup),
        cmocka_unit_test_setup(test_a_dropped_owner_leaves_nothing, setup),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    wick_tokenizer_free(tok);
    return failed;
}
