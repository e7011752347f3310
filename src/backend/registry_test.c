#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "backend/backend.h"

static const wick_backend one = {.name = "one"}, two = {.name = "two"};
const wick_backend *const wick_backends[] = {&one, &two, NULL};

static void finds_by_name(void **state)
{
    (void)state;
    assert_ptr_equal(wick_backend_find("one"), &one);
    assert_ptr_equal(wick_backend_find("two"), &two);
    assert_null(wick_backend_find("three"));
    assert_null(wick_backend_find(""));
    assert_null(wick_backend_find(NULL));
}

/* Names are known whether they are in this build or not; choices are what options offer. */
static void knows_names(void **state)
{
    (void)state;
    assert_true(wick_backend_known("cpu") && wick_backend_known("mlx"));
    assert_false(wick_backend_known("auto") || wick_backend_known("one") || wick_backend_known(""));
    size_t n = strlen("auto");
    assert_memory_equal(wick_backend_choices, "auto", n);
    for (size_t i = 0; wick_backend_names[i]; i++) {
        assert_int_equal(wick_backend_choices[n], '|');
        assert_memory_equal(wick_backend_choices + n + 1, wick_backend_names[i], strlen(wick_backend_names[i]));
        n += 1 + strlen(wick_backend_names[i]);
    }
    assert_int_equal(wick_backend_choices[n], 0);
}

static void settings_of_one_key(void **state)
{
    (void)state;
    static const char *const keys[] = {"a.1", "a.2", "a.3", "a.4", "a.5", "a.6", "a.7", "a.8", "a.9"};
    wick_backend_opts o = {0};
    assert_true(wick_backend_set(&o, "a.1", "on"));
    assert_true(wick_backend_set(&o, "a.1", "off")); /* the last one counts */
    assert_int_equal(o.n_settings, 1);
    assert_string_equal(o.setting[0].value, "off");
    for (int i = 0; i < 9; i++) assert_int_equal(wick_backend_set(&o, keys[i], "x"), i < WICK_MAX_SETTINGS);
    assert_int_equal(o.n_settings, WICK_MAX_SETTINGS);
    assert_true(wick_backend_set(&o, "a.8", "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_by_name), cmocka_unit_test(knows_names),
                                       cmocka_unit_test(settings_of_one_key)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
