/* The pull scanner: what it hands out, and what it refuses, also at the very end of a text. */
#include "base/json_scan.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>

static wick_json_scan at(const char *text, wick_arena *a)
{
    wick_json_scan s;
    wick_json_scan_init(&s, text, strlen(text), a);
    return s;
}

static void test_strings(void **state)
{
    (void)state;
    static const struct {
        const char *json, *text; /* NULL: refused */
    } row[] = {
        {"\"\"", ""},
        {" \t\r\n\"a b\"", "a b"},
        {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t"},
        {"\"x\\u00e9y\\uD83D\\uDE00z\"", "x\xc3\xa9y\xf0\x9f\x98\x80z"},
        {"\"\xc3\xa9\"", "\xc3\xa9"},
        {"\"\\uD83D\"", NULL},
        {"\"\\uD83Dx\"", NULL},
        {"\"\\uDE00\"", NULL},
        {"\"\\uD83D\\u0041\"", NULL},
        {"\"\\u12\"", NULL},
        {"\"\\x41\"", NULL},
        {"\"a", NULL},
        {"\"a\\\"", NULL},
        {"\"a\\", NULL},
        {"\"a\nb\"", NULL},
        {"\"\xc3\"", NULL},
        {"\"\xff\"", NULL},
        {"1", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        wick_arena arena;
        char dst[64];
        wick_str v = {NULL, 0};
        wick_arena_init(&arena, 0);
        wick_json_scan s = at(row[i].json, &arena), t = s, u = s;
        const bool ok = wick_json_scan_string(&s, &v);
        const wick_str w = wick_json_scan_text(&t, dst);
        assert_int_equal(ok, row[i].text != NULL);
        assert_int_equal(t.what == NULL, ok);
        if (row[i].json[0] != '1') assert_int_equal(wick_json_scan_skip(&u), ok);
        if (ok) {
            assert_int_equal(v.n, strlen(row[i].text));
            assert_memory_equal(v.p, row[i].text, v.n);
            assert_int_equal(w.n, v.n);
            assert_memory_equal(w.p, v.p, v.n);
            assert_true(wick_json_scan_end(&s) && wick_json_scan_end(&t) && wick_json_scan_end(&u));
        } else {
            assert_non_null(s.what);
            assert_false(wick_json_scan_try(&s, '"')); /* sticky */
        }
        wick_arena_release(&arena);
    }
}

static void test_numbers(void **state)
{
    (void)state;
    static const char *const good[] = {
        "0", "-0", "7", "-12.5", "1e3", "1E-2", "0.1", "123456789012345678901234567890", "-2.5e+4"};
    static const char *const bad[] = {"", "-", ".5", "1.", "1e", "1e+", "x", "1e999"};
    uint64_t n;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        wick_json_scan s = at(good[i], NULL);
        const double want = strtod(good[i], NULL), got = wick_json_scan_number(&s);
        assert_null(s.what);
        assert_true(got == want || (got - want) / want < 1e-15);
        assert_true(wick_json_scan_end(&s));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wick_json_scan s = at(bad[i], NULL);
        wick_json_scan_number(&s);
        assert_non_null(s.what);
    }
    wick_json_scan s = at("18446744073709551615", NULL);
    assert_true(wick_json_scan_u64(&s, &n));
    assert_true(n == UINT64_MAX);
    static const char *const no_u64[] = {"18446744073709551616", "-1", "1.0", "1e2", "01", ""};
    for (size_t i = 0; i < sizeof no_u64 / sizeof *no_u64; i++) {
        s = at(no_u64[i], NULL);
        assert_false(wick_json_scan_u64(&s, &n));
    }
}

static void test_skip(void **state)
{
    (void)state;
    char deep[200];
    static const char *const good[] = {"null", "true", " false ", "{}", "[]", "{\"a\":[1,{\"b\":\"\\u0041\"},-2.5e1]}"};
    static const char *const bad[] = {"nul", "{", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "01", "[1 2]", "}", "[1}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        wick_json_scan s = at(good[i], NULL);
        assert_true(wick_json_scan_skip(&s) && wick_json_scan_end(&s));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        wick_json_scan s = at(bad[i], NULL);
        assert_false(wick_json_scan_skip(&s));
    }
    for (int extra = 0; extra < 2; extra++) {
        const int n = WICK_JSON_SCAN_MAX_DEPTH + 1 + extra; /* the outermost is at depth 0 */
        memset(deep, '[', (size_t)n);
        memset(deep + n, ']', (size_t)n);
        deep[2 * n] = '\0';
        wick_json_scan s = at(deep, NULL);
        assert_int_equal(wick_json_scan_skip(&s), extra == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_strings), cmocka_unit_test(test_numbers),
                                       cmocka_unit_test(test_skip)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
