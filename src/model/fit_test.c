#include "model/test_model.h"
#include "model/fit.h"

static void sums_and_bounds(void **state)
{
    (void)state;
    wick_cache_spec caches[] = {{.kind = WICK_CACHE_KV, .n_kv_head = 2, .k_dim = 64, .v_dim = 64},
                                {.kind = WICK_CACHE_KV, .n_kv_head = 2, .k_dim = 64, .v_dim = 64, .window = 100},
                                {.kind = WICK_CACHE_KV, .n_kv_head = 1, .k_dim = 576},
                                {.kind = WICK_CACHE_STATE, .n_state = 1000}};
    wick_plan p = {
        .cache = caches, .n_caches = 4, .weight_bytes = 1 << 20, .n_embd = 64, .n_vocab = 100, .n_ctx_train = 4096};
    assert_int_equal(wick_fit_sequence_bytes(&p, WICK_DTYPE_Q8_0, 10), 10 * (2 * 2 * 2 * 2 * 34 + 18 * 34) + 4000);
    assert_int_equal(wick_fit_sequence_bytes(&p, WICK_DTYPE_F16, 10), 10 * (2 * 512 + 1152) + 4000);
    assert_int_equal(wick_fit_sequence_bytes(&p, WICK_DTYPE_F16, 1000), 1000 * (512 + 1152) + 100 * 512 + 4000);
    wick_fit_verdict v;
    wick_fit_check(&p, WICK_DTYPE_F16, 4096, UINT64_MAX, &v);
    assert_true(v.fits && v.max_ctx == 4096);
    wick_fit_check(&p, WICK_DTYPE_F16, 4096, v.need_bytes, &v);
    assert_true(v.fits && v.max_ctx == 4096);
    wick_fit_check(&p, WICK_DTYPE_F16, 4096, v.need_bytes - 1, &v);
    assert_true(!v.fits && v.max_ctx == 4095);
    wick_fit_check(&p, WICK_DTYPE_F16, 1, 1000, &v);
    assert_true(!v.fits && v.max_ctx == 0);
    p.n_ctx_train = 0; /* the file does not say how long it was trained */
    wick_fit_check(&p, WICK_DTYPE_F16, 4096, UINT64_MAX, &v);
    assert_true(v.fits && v.max_ctx == UINT32_MAX);
    caches[3].n_state = UINT64_MAX;
    assert_true(wick_fit_sequence_bytes(&p, WICK_DTYPE_F16, UINT32_MAX) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sums_and_bounds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
