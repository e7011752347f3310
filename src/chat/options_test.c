/* The table of sampling options: ranges at their exact ends, defaults, the model's values, what was meant. */
#include "chat/options.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_names(void **state)
{
    (void)state;
    assert_int_equal(wick_sampling_n_options, sizeof(wick_sampling_given));
    for (uint32_t i = 0; i < wick_sampling_n_options; i++) {
        const wick_sampling_option *o = &wick_sampling_options[i];
        assert_ptr_equal(wick_sampling_option_find(o->name), o);
        for (uint32_t j = 0; j < i; j++) assert_string_not_equal(o->cli, wick_sampling_options[j].cli);
        assert_true(o->given_at == i);
    }
    assert_null(wick_sampling_option_find("temp"));
    assert_null(wick_sampling_option_find(""));
}

/* Each end of each range is allowed, the next float or whole number beyond it is not, nor is anything that is no
 * number. */
static void test_ranges(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < wick_sampling_n_options; i++) {
        const wick_sampling_option *o = &wick_sampling_options[i];
        const bool whole = o->kind == WICK_SAMPLING_IS_U32;
        wick_sampling s;
        wick_sampling_given g = {0};
        wick_err err = {0};
        wick_sampling_defaults(&s);
        if (o->kind == WICK_SAMPLING_IS_SPECIAL) {
            assert_int_equal(wick_sampling_set(&s, &g, o, 1, &err), WICK_E_BAD_PARAMETER);
            continue;
        }
        assert_true(fabs(wick_sampling_value(&s, o) - o->preset) < 1e-6);
        assert_true(o->preset >= o->lo && o->preset <= o->hi);
        const double ends[] = {o->lo, o->hi};
        for (int k = 0; k < 2; k++) {
            assert_int_equal(wick_sampling_set(&s, &g, o, ends[k], &err), WICK_OK);
            assert_true(wick_sampling_value(&s, o) == (whole ? ends[k] : (double)(float)ends[k]));
            assert_true(wick_sampling_is_given(&g, o));
        }
        const double before = wick_sampling_value(&s, o);
        const double bad[] = {whole ? o->lo - 1 : (double)nextafterf((float)o->lo, -INFINITY),
                              whole ? o->hi + 1 : (double)nextafterf((float)o->hi, INFINITY), NAN, INFINITY,
                              whole ? o->lo + 0.5 : -INFINITY};
        for (int k = 0; k < 5; k++) {
            assert_int_equal(wick_sampling_set(&s, &g, o, bad[k], &err), WICK_E_BAD_PARAMETER);
            assert_string_equal(err.subject, o->name);
            assert_true(wick_sampling_value(&s, o) == before);
        }
    }
}

static void test_resolve_checks(void **state)
{
    (void)state;
    wick_sampling s;
    wick_sampling_given g = {0};
    wick_err err = {0};
    wick_sampling_defaults(&s);
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_OK);
    s.top_p = 1.5f;
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "top_p");
    wick_sampling_defaults(&s);
    s.dry_base = 0.5f;
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_OK); /* DRY is off */
    s.dry_multiplier = 1;
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "dry_base");
    s.dry_base = 1;
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_OK);
    s.presence_penalty = NAN;
    assert_int_equal(wick_sampling_resolve(&s, &g, NULL, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "presence_penalty");
}

static void test_order(void **state)
{
    (void)state;
    wick_sampler_order o = WICK_ORDER_DEFAULT;
    wick_err err = {0};
    assert_int_equal(wick_sampler_order_parse("llama", &o, &err), WICK_OK);
    assert_int_equal(o, WICK_ORDER_LLAMA);
    assert_int_equal(wick_sampler_order_parse("mlx", &o, &err), WICK_OK);
    assert_int_equal(o, WICK_ORDER_MLX);
    assert_int_equal(wick_sampler_order_parse("MLX", &o, &err), WICK_E_BAD_PARAMETER);
    assert_string_equal(err.subject, "sampler_order");
    assert_int_equal(o, WICK_ORDER_MLX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names), cmocka_unit_test(test_ranges),
                                       cmocka_unit_test(test_resolve_checks), cmocka_unit_test(test_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
