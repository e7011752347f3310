/* The pool under stress: every chunk is taken exactly once, barriers order what threads write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "backend/cpu/pool.h"
#include "base/alloc.h"

enum { MAX_N = 1000, MAX_T = 9 };

typedef struct job {
    wick_pool *pool;
    uint32_t n, chunk, phases;
    atomic_uint taken[MAX_N];
    uint32_t cell[MAX_T]; /* written by its thread in one phase, read by the others in the next */
    atomic_bool wrong;
} job;

static void count_chunks(void *ctx, uint32_t thread, uint32_t n_threads)
{
    job *j = ctx;
    for (uint32_t ph = 0; ph < j->phases; ph++) {
        uint32_t from, to;
        while (wick_pool_next(j->pool, thread, ph, j->n, j->chunk, &from, &to)) {
            if (to > j->n || to <= from || to - from > j->chunk) atomic_store(&j->wrong, true);
            for (uint32_t i = from; i < to; i++) atomic_fetch_add(&j->taken[i], 1);
        }
        j->cell[thread] = ph + 1;
        wick_pool_barrier(j->pool, thread);
        for (uint32_t t = 0; t < n_threads; t++)
            if (j->cell[t] != ph + 1) atomic_store(&j->wrong, true);
        wick_pool_barrier(j->pool, thread);
    }
}

static void every_chunk_once(void **state)
{
    (void)state;
    static job j;
    const struct {
        uint32_t threads, n, chunk, phases;
    } cases[] = {{1, 10, 3, 2}, {2, 1, 1, 9},    {2, 1000, 7, 20}, {3, 2, 1, 30},
                 {4, 0, 1, 4},  {9, 100, 1, 17}, {2, 5, 100, 3}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        wick_err err;
        wick_pool *p = NULL;
        assert_int_equal(wick_pool_new(&p, cases[c].threads, &err), WICK_OK);
        assert_int_equal(wick_pool_n(p), cases[c].threads);
        for (uint32_t rep = 0; rep < 50; rep++) {
            memset(&j, 0, sizeof j);
            j.pool = p;
            j.n = cases[c].n;
            j.chunk = cases[c].chunk;
            j.phases = cases[c].phases;
            wick_pool_run(p, count_chunks, &j);
            assert_false(atomic_load(&j.wrong));
            for (uint32_t i = 0; i < j.n; i++) assert_int_equal(atomic_load(&j.taken[i]), j.phases);
        }
        wick_pool_free(p);
    }
}

/* Workers that went to sleep between regions, and inside barriers, wake up again. */
static void sleepy(void *ctx, uint32_t thread, uint32_t n_threads)
{
    job *j = ctx;
    (void)n_threads;
    if (thread == 0) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    wick_pool_barrier(j->pool, thread);
    atomic_fetch_add(&j->taken[0], 1);
}

static void sleepers_wake(void **state)
{
    (void)state;
    static job j;
    wick_err err;
    memset(&j, 0, sizeof j);
    assert_int_equal(wick_pool_new(&j.pool, 3, &err), WICK_OK);
    for (int i = 0; i < 20; i++) {
        wick_pool_run(j.pool, sleepy, &j);
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    assert_int_equal(atomic_load(&j.taken[0]), 60);
    wick_pool_free(j.pool);
}

static void bad_counts_and_failed_allocations(void **state)
{
    (void)state;
    wick_err err;
    wick_pool *p = NULL;
    assert_int_equal(wick_pool_new(&p, 100000, &err), WICK_E_BAD_PARAMETER);
    for (uint64_t k = 1;; k++) {
        wick_alloc_fail_at(k, false);
        wick_status st = wick_pool_new(&p, 3, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK) break;
        assert_true(k < 50);
        assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
    }
    wick_pool_free(p);
    wick_pool_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_chunk_once), cmocka_unit_test(sleepers_wake),
                                       cmocka_unit_test(bad_counts_and_failed_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
