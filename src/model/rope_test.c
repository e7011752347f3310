#include "model/test_model.h"
#include <math.h>
#include "model/rope.h"

static const wick_rope *make(wick_arena *a, const wick_rope_params *p, uint32_t n, double theta)
{
    const wick_rope *r = NULL;
    assert_int_equal(wick_rope_build(a, p, n, theta, true, &r, NULL), WICK_OK);
    assert_int_equal(r->n_dims, n);
    assert_true(r->interleaved);
    return r;
}

static void close_to(float got, double want)
{
    if (fabs(got - want) > 1e-6 * fabs(want)) fail_msg("got %.9g, expected %.9g", (double)got, want);
}

static void default_and_linear(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 0);
    wick_rope_params p = {.factor = 1};
    const wick_rope *r = make(&a, &p, 8, 10000);
    const double want[] = {1, 0.1, 0.01, 0.001};
    for (int i = 0; i < 4; i++) close_to(r->inv_freq[i], want[i]);
    close_to(r->mscale, 1);
    p = (wick_rope_params){.kind = WICK_ROPE_LINEAR, .factor = 4};
    r = make(&a, &p, 8, 10000);
    for (int i = 0; i < 4; i++) close_to(r->inv_freq[i], want[i] / 4);
    wick_arena_release(&a);
}

/* Llama 3.1's numbers: waves below 2048 positions are kept, above 8192 slowed by 8, between them blended. */
static void llama3_bands(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 0);
    wick_rope_params p = {
        .kind = WICK_ROPE_LLAMA3, .factor = 8, .low_freq_factor = 1, .high_freq_factor = 4, .original_ctx = 8192};
    const wick_rope *r = make(&a, &p, 128, 500000);
    unsigned kept = 0, slowed = 0, blended = 0;
    for (int i = 0; i < 64; i++) {
        double f = pow(500000, -2.0 * i / 128), wave = 2 * acos(-1.0) / f, got = r->inv_freq[i];
        if (wave < 2048) {
            close_to(r->inv_freq[i], f);
            kept++;
        } else if (wave > 8192) {
            close_to(r->inv_freq[i], f / 8);
            slowed++;
        } else {
            assert_true(got < f && got > f / 8);
            blended++;
        }
    }
    assert_int_equal(kept + slowed + blended, 64);
    assert_true(kept > 20 && slowed > 20 && blended > 3);
    wick_arena_release(&a);
}

static void yarn_ends_and_scale(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 0);
    wick_rope_params p = {
        .kind = WICK_ROPE_YARN, .factor = 4, .beta_fast = 32, .beta_slow = 1, .mscale = 1, .original_ctx = 4096};
    const wick_rope *r = make(&a, &p, 64, 10000);
    close_to(r->inv_freq[0], 1);
    close_to(r->inv_freq[31], pow(10000, -62.0 / 64) / 4);
    close_to(r->mscale, 0.1 * log(4) + 1);
    p.mscale_all_dim = 1;
    r = make(&a, &p, 64, 10000);
    close_to(r->mscale, 1);
    close_to((float)wick_rope_yarn_attn_scale(&p), pow(0.1 * log(4) + 1, 2));
    wick_arena_release(&a);
}

static void longrope_and_proportional(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 0);
    static const float factors[] = {1, 2, 4, 8};
    wick_rope_params p = {.kind = WICK_ROPE_LONGROPE,
                          .factor = 1,
                          .original_ctx = 4096,
                          .max_ctx = 131072,
                          .factors = factors,
                          .n_factors = 4};
    const wick_rope *r = make(&a, &p, 8, 10000);
    for (int i = 0; i < 4; i++) close_to(r->inv_freq[i], pow(10, -i) / factors[i]);
    close_to(r->mscale, sqrt(1 + log(32) / log(4096)));
    p = (wick_rope_params){.kind = WICK_ROPE_PROPORTIONAL, .factor = 1, .partial = 0.5};
    r = make(&a, &p, 8, 10000);
    close_to(r->inv_freq[1], 0.1);
    assert_true(r->inv_freq[2] == 0 && r->inv_freq[3] == 0);
    wick_arena_release(&a);
}

static void refuses(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 0);
    const wick_rope *r;
    wick_err err;
    static const float factors[] = {1, 2, 4};
    wick_rope_params p = {.factor = 1};
    assert_int_equal(wick_rope_build(&a, &p, 7, 10000, false, &r, &err), WICK_E_BAD_FILE);
    assert_int_equal(wick_rope_build(&a, &p, 0, 10000, false, &r, &err), WICK_E_BAD_FILE);
    p.factors = factors;
    p.n_factors = 3;
    assert_int_equal(wick_rope_build(&a, &p, 8, 10000, false, &r, &err), WICK_E_BAD_FILE);
    wick_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(default_and_linear), cmocka_unit_test(llama3_bands),
                                       cmocka_unit_test(yarn_ends_and_scale),
                                       cmocka_unit_test(longrope_and_proportional), cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
