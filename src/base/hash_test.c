/* The bulk hash against published values, and that every byte counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"

static void known_values(void **state)
{
    (void)state;
    assert_true(wick_hash_data("", 0, 0) == 0xEF46DB3751D8E999u);
    assert_true(wick_hash_data("a", 1, 0) == 0xD24EC4F1A98C6E5Bu);
    assert_true(wick_hash_data("abc", 3, 0) == 0x44BC2CF5AD770999u);
    unsigned char x[200];
    for (size_t i = 0; i < sizeof x; i++) x[i] = (unsigned char)(i * 37 + 11);
    assert_true(wick_hash_data(x, 200, 5) == 0x5874C4BD47C03454u);
    assert_true(wick_hash_data(x, 47, 0) == 0x16FDD9CA22942DDAu);
}

static void every_byte_counts(void **state)
{
    unsigned char x[200];
    (void)state;
    for (size_t i = 0; i < sizeof x; i++) x[i] = (unsigned char)(i * 37 + 11);
    for (size_t n = 1; n <= sizeof x; n++) {
        uint64_t h = wick_hash_data(x, n, 5);
        assert_true(h != wick_hash_data(x, n, 6));
        assert_true(h != wick_hash_data(x, n - 1, 5));
        for (size_t i = 0; i < n; i++) {
            x[i] ^= 1;
            assert_true(h != wick_hash_data(x, n, 5));
            x[i] ^= 1;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(known_values), cmocka_unit_test(every_byte_counts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
