/* server/keys_test.c - keys: finding, scopes, buckets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/sys.h"
#include "server/server_int.h"

typedef struct keyring {
    wick_server_config c;
    wick_keys keys;
} keyring;

static void make(keyring *k)
{
    wick_key_config *one;
    wick_server_config_init(&k->c);
    assert_int_equal(wick_server_config_add_key(&k->c, "a", "secret-a", WICK_SCOPE_INFER, &one, NULL), WICK_OK);
    one->requests_per_minute = 60;
    one->tokens_per_minute = 600;
    one->concurrent = 2;
    assert_int_equal(wick_server_config_add_key(&k->c, "b", "secret-b", WICK_SCOPE_ALL, NULL, NULL), WICK_OK);
    assert_int_equal(wick_keys_init(&k->keys, &k->c, NULL), WICK_OK);
}

static void drop(keyring *k)
{
    wick_keys_release(&k->keys);
    wick_server_config_release(&k->c);
}

static void the_right_key_is_found(void **state)
{
    keyring k;
    (void)state;
    make(&k);
    wick_key *a = wick_keys_find(&k.keys, "secret-a", 8), *b = wick_keys_find(&k.keys, "secret-b", 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a->name, "a");
    assert_int_equal(b->c.scopes, WICK_SCOPE_ALL);
    assert_true(a->serial != b->serial && a->serial != 0);
    static const char *const wrong[] = {"", "secret-", "secret-aa", "secret-A", "Secret-a", "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(wick_keys_find(&k.keys, wrong[i], strlen(wrong[i])));
    uint64_t serial;
    assert_true(wick_keys_remove(&k.keys, "a", &serial));
    assert_int_equal(serial, a->serial); /* still held */
    assert_null(wick_keys_find(&k.keys, "secret-a", 8));
    assert_false(wick_keys_remove(&k.keys, "a", &serial));
    wick_key_unref(&k.keys, a);
    wick_key_unref(&k.keys, b);
    drop(&k);
}

static void buckets_empty_and_fill(void **state)
{
    keyring k;
    const char *what = "";
    uint32_t after = 0;
    (void)state;
    make(&k);
    wick_key *a = wick_keys_find(&k.keys, "secret-a", 8);
    double now = a->t_request;
    for (int i = 0; i < 60; i++) {
        assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
        wick_key_end(&k.keys, a, 0, now);
    }
    assert_false(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_int_equal(after, 1);
    assert_string_equal(what, "requests per minute");
    now += 1001;
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    wick_key_end(&k.keys, a, 1200, now); /* twice the budget: the debt is waited for */
    now += 30000;
    assert_false(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_string_equal(what, "tokens per minute");
    now += 60000;
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_false(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_string_equal(what, "requests at once");
    wick_key_unref(&k.keys, a);
    drop(&k);
}

/* The time of a look-up must not tell how much of a guess was right: both kinds of wrong keys take about the same. */
static void looking_up_takes_the_same_time(void **state)
{
    keyring k;
    double t[2] = {1e9, 1e9}; /* the fastest of many rounds: a busy machine makes single ones slow */
    (void)state;
    make(&k);
    for (int round = 0; round < 400; round++)
        for (int kind = 0; kind < 2; kind++) {
            double t0 = wick_time_ms();
            for (int i = 0; i < 20; i++) assert_null(wick_keys_find(&k.keys, kind ? "secret-x" : "xecret-a", 8));
            const double took = wick_time_ms() - t0;
            if (took < t[kind]) t[kind] = took;
        }
    assert_true(t[0] < t[1] * 1.5 + 0.01 && t[1] < t[0] * 1.5 + 0.01);
    drop(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_right_key_is_found),
                                       cmocka_unit_test(buckets_empty_and_fill),
                                       cmocka_unit_test(looking_up_takes_the_same_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
