/* The radix tree against a list of sequences that is searched in full, through thousands of random operations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "engine/fake_backend_test.h"

static uint32_t seed = 4711;
static uint32_t rnd(uint32_t n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static wick_seq *sequence(const int32_t *t, uint32_t n)
{
    wick_seq *s = NULL;
    assert_int_equal(fake_kv_new(&fake_model, 0, &s, NULL), WICK_OK);
    memcpy(s->tokens, t, n * sizeof *t);
    fake_set_len(&fake_model, s, n);
    return s;
}

/* How many of t[0..n) a fork has, 0: there is none. It is checked and freed. */
static const wick_domain nobody;

static uint32_t forked(wick_prefix *p, wick_domain key, const int32_t *t, uint32_t n)
{
    wick_seq *s = NULL;
    uint32_t m = wick_prefix_fork(p, key, t, n, &s);
    if (m == 0) return 0;
    assert_int_equal(s->n, m);
    assert_memory_equal(s->tokens, t, m * sizeof *t);
    fake_kv_free(&fake_model, s);
    return m;
}

static wick_prefix *cache(uint64_t limit)
{
    wick_prefix *p = NULL;
    wick_kv_usage usage = {.bytes_per_token = 1};
    assert_int_equal(wick_prefix_new(&p, &fake_backend, &fake_model, limit, &usage, NULL), WICK_OK);
    return p;
}

static bool same(wick_domain a, wick_domain b)
{
    return a.owner == b.owner && a.user == b.user;
}

typedef struct kept {
    wick_domain key;
    int32_t t[40];
    uint32_t n;
} kept;

static uint32_t shared(const int32_t *a, uint32_t n_a, const int32_t *b, uint32_t n_b)
{
    uint32_t i = 0;
    while (i < n_a && i < n_b && a[i] == b[i]) i++;
    return i;
}

/* No limit is reached, so everything inserted stays findable. Few different tokens: much is shared and split. */
static void test_against_full_search(void **state)
{
    (void)state;
    static kept list[900];
    wick_prefix *p = cache(1u << 30);
    uint32_t n = 0;
    for (int i = 0; i < 6000; i++) {
        kept x = {.key = {.owner = rnd(2), .user = rnd(2)}, .n = 1 + rnd(40)};
        for (uint32_t j = 0; j < x.n; j++) x.t[j] = (int32_t)rnd(j < 12 ? 2 : 5);
        if (n < 900 && rnd(4) == 0) {
            wick_prefix_insert(p, x.key, x.t, x.n, sequence(x.t, x.n));
            list[n++] = x;
        }
        uint32_t best = 0;
        for (uint32_t j = 0; j < n; j++) {
            uint32_t m = same(list[j].key, x.key) ? shared(x.t, x.n, list[j].t, list[j].n) : 0;
            if (m > best) best = m;
        }
        assert_int_equal(wick_prefix_find(p, x.key, x.t, x.n), best);
        assert_int_equal(forked(p, x.key, x.t, x.n), best);
        if (rnd(400) == 0) { /* those of all users of an owner are forgotten */
            uint64_t key = rnd(2);
            wick_prefix_clear(p, &key);
            for (uint32_t j = 0; j < n;) {
                if (list[j].key.owner == key)
                    list[j] = list[--n];
                else
                    j++;
            }
        }
    }
    wick_prefix_free(p);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

static void test_limit_and_order_of_leaving(void **state)
{
    (void)state;
    wick_prefix *p = cache(30);
    int32_t a[10], b[10], c[10], d[10];
    for (int32_t i = 0; i < 10; i++) a[i] = i, b[i] = 100 + i, c[i] = 200 + i, d[i] = 300 + i;
    wick_prefix_insert(p, nobody, a, 10, sequence(a, 10));
    wick_prefix_insert(p, nobody, b, 10, sequence(b, 10));
    wick_prefix_insert(p, nobody, c, 10, sequence(c, 10));
    assert_int_equal(wick_prefix_bytes(p), 30);
    assert_int_equal(forked(p, nobody, a, 5), 5); /* a is the most recent now, b the least */
    wick_prefix_insert(p, nobody, d, 10, sequence(d, 10));
    assert_int_equal(wick_prefix_count(p), 3);
    assert_int_equal(forked(p, nobody, b, 10), 0);
    assert_int_equal(forked(p, nobody, a, 10), 10);
    assert_int_equal(forked(p, (wick_domain){.user = 1}, a, 10), 0);
    int32_t large[31] = {0};
    wick_prefix_insert(p, nobody, large, 31, sequence(large, 31)); /* larger than the whole limit */
    assert_int_equal(wick_prefix_count(p), 3);
    while (wick_prefix_evict(p)) {
    }
    assert_int_equal(wick_prefix_bytes(p), 0);
    wick_prefix_free(p);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* A longer sequence replaces what it begins with; a shorter one is not kept beside it. */
static void test_prefixes_of_each_other(void **state)
{
    (void)state;
    wick_prefix *p = cache(1000);
    int32_t t[20];
    for (int32_t i = 0; i < 20; i++) t[i] = i;
    wick_prefix_insert(p, nobody, t, 5, sequence(t, 5));
    wick_prefix_insert(p, nobody, t, 12, sequence(t, 12));
    assert_int_equal(wick_prefix_count(p), 1);
    wick_prefix_insert(p, nobody, t, 8, sequence(t, 8));
    wick_prefix_insert(p, nobody, t, 12, sequence(t, 12));
    assert_int_equal(wick_prefix_count(p), 1);
    t[7] = 99;
    wick_prefix_insert(p, nobody, t, 20, sequence(t, 20));
    assert_int_equal(wick_prefix_count(p), 2);
    assert_int_equal(wick_prefix_bytes(p), 32);
    wick_prefix_free(p);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* Of a model whose sequences can be cut at their ends only, what counts is the longest kept one that a prompt begins
 * with; prefixes stay, and one is put between others. */
static void test_checkpoints(void **state)
{
    (void)state;
    static kept list[900];
    wick_prefix *p = NULL;
    wick_kv_usage usage = {.bytes_per_token = 1, .checkpoint_tokens = 1, .checkpoint_bytes = 5, .forks_share = true};
    uint32_t n = 0;
    fake_end_only = true;
    assert_int_equal(wick_prefix_new(&p, &fake_backend, &fake_model, 1u << 30, &usage, NULL), WICK_OK);
    for (int i = 0; i < 6000; i++) {
        kept x = {.key = {.user = rnd(2)}, .n = 1 + rnd(40)};
        for (uint32_t j = 0; j < x.n; j++) x.t[j] = (int32_t)rnd(j < 12 ? 2 : 5);
        if (n > 0 && rnd(2) == 0) { /* a part of another, or what goes on behind one */
            const kept *y = &list[rnd(n)];
            x.key = y->key;
            memcpy(x.t, y->t, (x.n < y->n ? x.n : y->n) * sizeof *x.t);
        }
        if (n < 900 && rnd(4) == 0) {
            wick_prefix_insert(p, x.key, x.t, x.n, sequence(x.t, x.n));
            list[n++] = x;
        }
        uint32_t best = 0;
        for (uint32_t j = 0; j < n; j++)
            if (same(list[j].key, x.key) && list[j].n <= x.n && list[j].n > best &&
                memcmp(list[j].t, x.t, list[j].n * sizeof *x.t) == 0)
                best = list[j].n;
        assert_int_equal(wick_prefix_find(p, x.key, x.t, x.n), best);
        assert_int_equal(forked(p, x.key, x.t, x.n), best);
        assert_int_equal(wick_prefix_has(p, x.key, x.t, x.n), best == x.n);
    }
    while (wick_prefix_evict(p)) {
    }
    assert_int_equal(wick_prefix_bytes(p), 0);
    wick_prefix_free(p);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
    fake_end_only = false;
}

/* What leaves first is what is worth least for its bytes. */
static void test_worth(void **state)
{
    (void)state;
    wick_prefix *p = NULL;
    wick_kv_usage usage = {.bytes_per_token = 1, .checkpoint_tokens = 1, .checkpoint_bytes = 50, .forks_share = true};
    int32_t t[100] = {0}, other[5] = {9, 9, 9, 9, 9};
    assert_int_equal(wick_prefix_new(&p, &fake_backend, &fake_model, 300, &usage, NULL), WICK_OK);
    wick_prefix_insert(p, nobody, t, 90, sequence(t, 90));       /* 140 bytes */
    wick_prefix_insert(p, nobody, other, 5, sequence(other, 5)); /* 55 for five tokens */
    wick_prefix_insert(p, nobody, t, 100, sequence(t, 100));     /* 60 for ten more */
    assert_int_equal(wick_prefix_bytes(p), 255);
    assert_true(wick_prefix_evict(p));
    assert_false(wick_prefix_has(p, nobody, other, 5));
    assert_true(wick_prefix_has(p, nobody, t, 100) && wick_prefix_has(p, nobody, t, 90));
    assert_true(wick_prefix_evict(p));
    assert_true(wick_prefix_has(p, nobody, t, 90));
    wick_prefix_free(p);
    assert_int_equal(atomic_load(&fake_live_seqs), 0);
}

/* Out of memory: the sequence is given up, the tree stays right. */
static void test_allocation_failures(void **state)
{
    (void)state;
    int32_t a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {1, 2, 9, 9, 9, 9};
    for (uint64_t i = 1; i < 10; i++) {
        wick_prefix *p = cache(1000);
        wick_seq *x = sequence(a, 6), *y = sequence(b, 6);
        wick_alloc_fail_at(i, false);
        wick_prefix_insert(p, nobody, a, 6, x);
        wick_prefix_insert(p, nobody, b, 6, y);
        wick_alloc_fail_at(0, false);
        uint32_t m = forked(p, nobody, a, 6);
        assert_true(m == 6 || m == 2 || m == 0);
        wick_prefix_insert(p, nobody, b, 6, sequence(b, 6));
        assert_int_equal(forked(p, nobody, b, 6), 6);
        wick_alloc_fail_at(1, true);
        while (wick_prefix_evict(p)) {
        }
        wick_alloc_fail_at(0, false);
        wick_prefix_free(p);
        assert_int_equal(atomic_load(&fake_live_seqs), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_full_search),
        cmocka_unit_test(test_limit_and_order_of_leaving),
        cmocka_unit_test(test_prefixes_of_each_other),
        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_worth),
        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
