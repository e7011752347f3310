/* 64 threads that submit, read, cancel, abandon and free, while others read figures and clear the cache: for TSan. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>
#include "engine/fake_backend_test.h"

#define THREADS 64
#define ROUNDS 12

static wick_engine *e;
static atomic_int n_wrong, n_done, n_stopped, n_refused;

static bool check_greedy(const int32_t *prompt, uint32_t n, const int32_t *ids, uint32_t n_ids)
{
    int32_t t[256];
    memcpy(t, prompt, n * sizeof *t);
    for (uint32_t i = 0; i < n_ids; i++) {
        t[n + i] = fake_next(t, n + i);
        if (t[n + i] != ids[i]) return false;
    }
    return true;
}

static void *client(void *arg)
{
    uint32_t me = (uint32_t)(uintptr_t)arg, seed = me * 7919 + 1;
    for (int round = 0; round < ROUNDS; round++) {
        int32_t p[60], ids[64];
        seed = seed * 1664525u + 1013904223u;
        uint32_t n = 5 + (seed >> 10) % 50, action = (seed >> 20) % 4, n_ids = 0, stop_after = (seed >> 24) % 20;
        for (uint32_t i = 0; i < n; i++) p[i] = 3 + (int32_t)((i * 31 + (me % 4) * 7) % 290);
        wick_request_opts o;
        wick_request_opts_init(&o);
        o.prompt = p, o.n_prompt = n, o.max_tokens = 30, o.sampling.temperature = 0;
        o.domain.owner = me % 3, o.priority = (int32_t)(me % 2);
        wick_request *r = NULL;
        if (wick_request_new(&r, e, &o, NULL) != WICK_OK) {
            atomic_fetch_add(&n_wrong, 1);
            continue;
        }
        if (wick_request_submit(r, NULL) != WICK_OK) {
            atomic_fetch_add(&n_refused, 1);
            wick_request_free(r);
            continue;
        }
        const wick_event *ev = NULL;
        while (action != 1 && (ev = wick_request_next(r, 20000)) && ev->kind != WICK_EVENT_DONE) {
            if (ev->kind != WICK_EVENT_TOKEN) continue;
            ids[n_ids++] = ev->token;
            if (action == 2 && n_ids > stop_after) wick_request_cancel(r); /* and reads on to the end */
            if (action == 3 && n_ids > stop_after) break;                  /* walks away */
        }
        if (ev && ev->kind == WICK_EVENT_DONE && ev->finish == WICK_FINISH_LENGTH) {
            atomic_fetch_add(&n_done, 1);
            if (n_ids != 30) atomic_fetch_add(&n_wrong, 1);
        } else {
            atomic_fetch_add(&n_stopped, 1);
        }
        if (!check_greedy(p, n, ids, n_ids)) atomic_fetch_add(&n_wrong, 1);
        wick_request_free(r);
    }
    return NULL;
}

static atomic_bool over;
static void *watcher(void *arg)
{
    (void)arg;
    for (uint32_t i = 0; !atomic_load(&over); i++) {
        wick_engine_stats s;
        wick_engine_get_stats(e, &s);
        if (i % 8 == 0) wick_engine_clear_prefixes(e);
        if (i % 8 == 4) wick_engine_drop_prefixes(e, i % 3);
        usleep(2000);
    }
    return NULL;
}

static void run(uint64_t kv_limit)
{
    wick_engine_opts o;
    wick_engine_opts_init(&o);
    o.max_seqs = 8, o.max_queue = 40, o.prefill_chunk = 16;
    wick_tokenizer *t = fake_tokenizer();
    fake_reset();
    atomic_store(&over, false);
    e = fake_engine(&o, t, 256, kv_limit);
    assert_non_null(e);
    wick_thread w, c[THREADS];
    assert_int_equal(wick_thread_start(&w, "watcher", watcher, NULL, NULL), WICK_OK);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(wick_thread_start(&c[i], "client", client, (void *)i, NULL), WICK_OK);
    for (uint32_t i = 0; i < THREADS; i++) wick_thread_join(&c[i]);
    atomic_store(&over, true);
    wick_thread_join(&w);
    wick_engine_stats s;
    wick_engine_get_stats(e, &s);
    assert_int_equal(s.n_running + s.n_waiting, 0);
    assert_int_equal(s.n_failed, 0);
    wick_engine_close(e);
    wick_tokenizer_free(t);
    assert_int_equal(atomic_load(&n_wrong), 0);
    assert_true(atomic_load(&n_done) > 0);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

static void test_storm(void **state)
{
    (void)state;
    run(0);
}

static void test_storm_without_memory(void **state)
{
    (void)state;
    run(160 * FAKE_BYTES_PER_TOKEN);
}

/* Open and close again and again, with requests in every state at the time of closing. */
static void test_close_while_busy(void **state)
{
    (void)state;
    wick_engine_opts o;
    wick_engine_opts_init(&o);
    o.max_seqs = 2;
    int32_t p[4] = {9, 8, 7, 6};
    for (int i = 0; i < 30; i++) {
        wick_engine *x = fake_engine(&o, NULL, 256, 0);
        wick_request *r[6];
        for (int j = 0; j < 6; j++) {
            wick_request_opts q;
            wick_request_opts_init(&q);
            q.prompt = p, q.n_prompt = 4, q.sampling.temperature = 0;
            assert_int_equal(wick_request_new(&r[j], x, &q, NULL), WICK_OK);
            assert_int_equal(wick_request_submit(r[j], NULL), WICK_OK);
        }
        if (i % 2) usleep(500);
        for (int j = 0; j < 6; j++) wick_request_cancel(r[j]);
        for (int j = 0; j < 6; j++) wick_request_free(r[j]);
        wick_engine_close(x);
    }
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

static int keep_ahead(void **state)
{
    (void)state;
    fake_caps |= FAKE_AHEAD;
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_storm_without_memory),
        cmocka_unit_test(test_close_while_busy),
    };
    int failed = cmocka_run_group_tests_name("logits", tests, NULL, NULL);
    return failed + cmocka_run_group_tests_name("picks, a step ahead", tests, keep_ahead, NULL);
}
