#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(finds_by_name)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
