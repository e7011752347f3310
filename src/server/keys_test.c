/* server/keys_test.c - keys: finding, scopes, buckets. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "base/fault.h"
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
    assert_int_equal(wick_server_config_add_key(&k->c, "a", "secret-a-sixteen", WICK_SCOPE_INFER, &one, NULL), WICK_OK);
    one->requests_per_minute = 60;
    one->tokens_per_minute = 600;
    one->concurrent = 2;
    assert_int_equal(wick_server_config_add_key(&k->c, "b", "secret-b-sixteen", WICK_SCOPE_ALL, NULL, NULL), WICK_OK);
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
    wick_key *a = wick_keys_find(&k.keys, "secret-a-sixteen", 16), *b = wick_keys_find(&k.keys, "secret-b-sixteen", 16);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a->name, "a");
    assert_int_equal(b->c.scopes, WICK_SCOPE_ALL);
    assert_true(a->owner != b->owner && a->owner != 0);
    static const char *const wrong[] = {
        "", "secret-a-sixtee", "secret-a-sixteenn", "secret-a-sixteeN", "Secret-a-sixteen", "a"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_null(wick_keys_find(&k.keys, wrong[i], strlen(wrong[i])));
    wick_key *gone;
    assert_true(wick_keys_remove(&k.keys, "a", &gone));
    assert_ptr_equal(gone, a); /* still held */
    wick_key_unref(&k.keys, gone);
    assert_null(wick_keys_find(&k.keys, "secret-a-sixteen", 16));
    assert_false(wick_keys_remove(&k.keys, "a", &gone));
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
    wick_key *a = wick_keys_find(&k.keys, "secret-a-sixteen", 16);
    double now = a->t_request;
    for (int i = 0; i < 60; i++) {
        assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
        wick_key_end(&k.keys, a, 0, 0, now);
    }
    assert_false(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_int_equal(after, 1);
    assert_string_equal(what, "requests per minute");
    now += 1001;
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    wick_key_end(&k.keys, a, 0, 1200, now); /* twice the budget: the debt is waited for */
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
            for (int i = 0; i < 20; i++)
                assert_null(wick_keys_find(&k.keys, kind ? "secret-a-sixteex" : "xecret-a-sixteen", 16));
            const double took = wick_time_ms() - t0;
            if (took < t[kind]) t[kind] = took;
        }
    assert_true(t[0] < t[1] * 1.5 + 0.01 && t[1] < t[0] * 1.5 + 0.01);
    drop(&k);
}

/* A key is random or is not made. */
static void no_entropy_no_key(void **state)
{
    char one[WICK_SECRET_CHARS + 1] = "", other[WICK_SECRET_CHARS + 1] = "";
    keyring k;
    wick_err err = {0};
    (void)state;
    assert_int_equal(wick_key_make_secret(one, &err), WICK_OK);
    assert_int_equal(wick_key_make_secret(other, &err), WICK_OK);
    assert_int_equal(strlen(one), WICK_SECRET_CHARS);
    assert_string_not_equal(one, other);
    wick_fault_set(WICK_FAULT_ENTROPY, 1, 2);
    assert_int_equal(wick_key_make_secret(other, &err), WICK_E_IO);
    wick_server_config_init(&k.c);
    assert_int_equal(wick_keys_init(&k.keys, &k.c, &err), WICK_E_IO);
    drop(&k);
    wick_server_config_init(&k.c);
    assert_int_equal(wick_keys_init(&k.keys, &k.c, &err), WICK_OK); /* and is made again later */
    drop(&k);
}

/* What a request may take is taken when it begins, so that many at once do not pass the budget together. */
static void tokens_are_reserved(void **state)
{
    keyring k;
    const char *what = "";
    uint32_t after = 0;
    (void)state;
    make(&k);
    wick_key *a = wick_keys_find(&k.keys, "secret-a-sixteen", 16);
    const double now = a->t_request;
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_true(wick_key_begin(&k.keys, a, now, &after, &what));
    assert_true(wick_key_reserve(&k.keys, a, 500, now, &after));
    assert_true(wick_key_reserve(&k.keys, a, 500, now, &after));
    assert_false(wick_key_reserve(&k.keys, a, 500, now, &after));
    assert_true(after >= 40 && after <= 41); /* 401 tokens at 10 a second */
    wick_key_end(&k.keys, a, 500, 10, now);  /* what it did not take comes back */
    assert_true(wick_key_reserve(&k.keys, a, 1, now, &after));
    assert_true(a->token_tokens > 88 && a->token_tokens < 90);
    wick_key_unref(&k.keys, a);
    drop(&k);
}

static void domains(void **state)
{
    keyring k;
    (void)state;
    make(&k);
    const uint8_t u[2][32] = {{1}, {2}};
    wick_key *a = wick_keys_find(&k.keys, "secret-a-sixteen", 16), *b = wick_keys_find(&k.keys, "secret-b-sixteen", 16);
    const wick_domain d[] = {wick_keys_domain(&k.keys, NULL, NULL), wick_keys_domain(&k.keys, NULL, u[0]),
                             wick_keys_domain(&k.keys, a, NULL),    wick_keys_domain(&k.keys, a, u[0]),
                             wick_keys_domain(&k.keys, a, u[1]),    wick_keys_domain(&k.keys, b, u[0])};
    for (size_t i = 0; i < sizeof d / sizeof *d; i++)
        for (size_t j = 0; j < i; j++) assert_false(d[i].owner == d[j].owner && d[i].user == d[j].user);
    assert_true(d[0].owner == 0 && d[0].user == 0 && d[1].owner == 0);
    assert_true(d[2].owner == d[3].owner && d[3].user != d[5].user);
    const wick_domain again = wick_keys_domain(&k.keys, a, u[0]);
    assert_true(again.owner == d[3].owner && again.user == d[3].user);
    wick_key_unref(&k.keys, a);
    wick_key_unref(&k.keys, b);
    drop(&k);
}

/* Wrong keys: some are answered at once, then one a second, then none; other addresses are not touched. */
static void guesses_are_counted_by_address(void **state)
{
    wick_guard g;
    const wick_peer p = {.bytes = {1}}, q = {.bytes = {2}};
    double last = 0;
    (void)state;
    wick_guard_init(&g);
    for (int i = 0; i < 20; i++) assert_true(wick_guard_wrong_key(&g, &p, 1000) == 1000);
    for (int i = 1; i <= 30; i++) assert_true((last = wick_guard_wrong_key(&g, &p, 1000)) == 1000 + i * 1000);
    for (int i = 0; i < 5; i++) assert_true(wick_guard_wrong_key(&g, &p, 1000) == -1);
    assert_true(wick_guard_wrong_key(&g, &q, 1000) == 1000);
    assert_true(wick_guard_wrong_key(&g, &p, last) == last + 1000);
    assert_true(wick_guard_wrong_key(&g, &p, last + 700 * 1000) == last + 700 * 1000); /* forgotten */
    wick_guard_release(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_right_key_is_found),
                                       cmocka_unit_test(buckets_empty_and_fill),
                                       cmocka_unit_test(no_entropy_no_key),
                                       cmocka_unit_test(domains),
                                       cmocka_unit_test(tokens_are_reserved),
                                       cmocka_unit_test(guesses_are_counted_by_address),
                                       cmocka_unit_test(looking_up_takes_the_same_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
