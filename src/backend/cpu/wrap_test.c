/* backend/wrap over this backend: the trace shows every op, two instruction sets agree op by op, and a difference is
 * found where it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/cpu/testing.h"
#include "backend/wrap.h"

static void count_op(void *ctx, const wick_op_stats *s)
{
    uint32_t *n = ctx;
    assert_int_equal(s->op_index, *n); /* HEAD is the last op of the plan, and comes last */
    assert_true(s->n > 0 && s->n_not_finite == 0 && s->min <= s->max && s->rms > 0);
    (*n)++;
}

static void trace_shows_every_op(void **state)
{
    (void)state;
    maker k;
    wick_err err;
    uint32_t n = 0;
    const int32_t tok[5] = {1, 2, 3, 4, 5};
    wick_backend_opts o = {.n_threads = 2, .precision = WICK_PRECISION_EXACT};
    make_llama(&k, 2, 32, 2, 1, 16, 48, 20, 0, 1);
    assert_int_equal(wick_wrap_trace(&wick_backend_cpu, &o, &k.p, tok, 5, count_op, &n, &err), WICK_OK);
    assert_int_equal(n, k.p.n_ops);
    wick_plan_release(&k.p);
}

/* A backend that is wrong from the second ATTN on: it loads a plan with another weight. */
static const wick_plan *other_plan;

static wick_status load_other(wick_backend_ctx *c, const wick_plan *plan, uint32_t max_tokens, wick_progress progress,
                              wick_backend_model **out, wick_err *err)
{
    (void)plan;
    return wick_backend_cpu.load(c, other_plan, max_tokens, progress, out, err);
}

static void compare_finds_the_op(void **state)
{
    (void)state;
    maker k, l;
    wick_err err;
    wick_op_diff diff[64];
    const int32_t tok[7] = {1, 2, 3, 4, 5, 6, 7};
    wick_backend_opts a = {.n_threads = 1, .precision = WICK_PRECISION_EXACT, .isa = "portable"};
    wick_backend_opts b = {.n_threads = 2, .precision = WICK_PRECISION_EXACT};
    make_llama(&k, 3, 64, 2, 1, 16, 48, 20, 4, 2);
    assert_int_equal(wick_wrap_compare(&wick_backend_cpu, &a, &wick_backend_cpu, &b, &k.p, tok, 7, diff, &err),
                     WICK_OK);
    for (uint32_t i = 0; i < k.p.n_ops; i++) assert_true(diff[i].seen);
    assert_int_equal(wick_wrap_first_bad(diff, k.p.n_ops, 1e-4), k.p.n_ops);
    make_llama(&l, 3, 64, 2, 1, 16, 48, 20, 4, 2);
    l.p.op[8].u.attn.scale *= 1.5F; /* EMBED, six ops of block 0, NORM, ATTN */
    other_plan = &l.p;
    wick_backend wrong = wick_backend_cpu;
    wrong.load = load_other;
    assert_int_equal(wick_wrap_compare(&wick_backend_cpu, &b, &wrong, &b, &k.p, tok, 7, diff, &err), WICK_OK);
    assert_int_equal(wick_wrap_first_bad(diff, k.p.n_ops, 1e-4), 8);
    for (uint64_t i = 1; i < 400; i++) {
        wick_alloc_fail_at(i, false);
        wick_status st = wick_wrap_compare(&wick_backend_cpu, &b, &wick_backend_cpu, &b, &k.p, tok, 7, diff, &err);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK) break;
        assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
    }
    wick_plan_release(&k.p);
    wick_plan_release(&l.p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(trace_shows_every_op), cmocka_unit_test(compare_finds_the_op)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
