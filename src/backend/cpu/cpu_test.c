/* Whole plans on the CPU backend: against double precision, and bit for bit against themselves cut differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "backend/cpu/testing.h"

#define OK(call)                                                    \
    do {                                                            \
        wick_status ok_ = (call);                                   \
        if (ok_ != WICK_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

static const char *const all_isas[] = {NULL, "portable", "avx2", "avx512"};

static void random_tokens(int32_t *t, uint32_t n, uint32_t vocab)
{
    for (uint32_t i = 0; i < n; i++) t[i] = (int32_t)(rng() % vocab);
}

/* All logits of a plan in one step, against the reference. Returns the relative difference. */
static double run_against_ref(const wick_plan *p, uint32_t n, wick_precision prec, wick_dtype kv, uint32_t threads,
                              const char *isa)
{
    wick_err err;
    rig r;
    wick_seq *s = NULL;
    int32_t *tok = calloc(n, sizeof *tok);
    float *out = calloc((size_t)n * p->n_vocab, sizeof *out);
    random_tokens(tok, n, p->n_vocab);
    OK(rig_open(&r, p, prec, kv, threads, isa, n, &err));
    OK(wick_backend_cpu.kv_new(r.m, 0, &s, &err));
    OK(rig_step(&r, s, tok, n, WICK_OUT_ALL, out, &err));
    assert_int_equal(wick_backend_cpu.kv_len(s), n);
    double *want = ref_run(p, tok, n, NULL), d = ref_diff(want, out, (size_t)n * p->n_vocab);
    wick_backend_cpu.kv_free(r.m, s);
    rig_close(&r);
    free(want);
    free(out);
    free(tok);
    return d;
}

static bool isa_exists(const char *isa)
{
    const wick_lin_isa *i;
    return wick_lin_isa_pick(&i, isa, NULL) == WICK_OK;
}

static void llama_matches_double(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof all_isas / sizeof *all_isas; i++) {
        if (!isa_exists(all_isas[i])) continue;
        for (uint32_t bits = 0; bits <= 8; bits += 4) {
            maker k;
            make_llama(&k, 2, 64, 4, 2, 32, 96, 67, bits, 7 + bits);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, all_isas[i]) < 2e-5);
            assert_true(run_against_ref(&k.p, 1, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 1, all_isas[i]) < 2e-5);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_EXACT, WICK_DTYPE_F16, 2, all_isas[i]) < 5e-3);
            assert_true(run_against_ref(&k.p, 33, WICK_PRECISION_FAST, WICK_DTYPE_F16, 2, all_isas[i]) < 1e-1);
            wick_plan_release(&k.p);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(llama_matches_double)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
