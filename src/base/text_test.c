/* Error lines, strings, numbers, UTF-8. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"

static void test_error_is_one_printable_line(void **state)
{
    (void)state;
    wick_err e;
    wick_status st = WICK_FAIL(&e, WICK_E_BAD_FILE, "a\nb", "bad\n\x1b[31m \xff name %s", "x");
    assert_int_equal(st, WICK_E_BAD_FILE);
    assert_string_equal(e.message, "bad\\x0a\\x1b[31m \\xff name x");
    assert_string_equal(e.subject, "a\\x0ab");
    wick_err_prefix(&e, "%s", "file");
    assert_string_equal(e.message, "file: bad\\x0a\\x1b[31m \\xff name x");
    char big[2000];
    memset(big, 'y', sizeof big);
    big[sizeof big - 1] = '\0';
    WICK_FAIL(&e, WICK_E_BAD_FILE, big, "%s", big);
    assert_true(strlen(e.message) < sizeof e.message);
    WICK_FAIL(&e, WICK_E_BAD_FILE, e.subject, "subject may be the struct's own");
    assert_int_equal(e.subject[0], 'y');
    assert_int_equal(wick_err_oom(NULL, "x", 1, 2), WICK_E_OUT_OF_MEMORY);
}

static void test_bidi_is_escaped(void **state)
{
    (void)state;
    char out[64];
    wick_escape_line(out, sizeof out, "a\u202Eb\u00e9", strlen("a\u202Eb\u00e9"));
    assert_string_equal(out, "a\\xe2\\x80\\xaeb\u00e9");
}

static void test_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *s;
        unsigned len;
        uint32_t cp;
    } cases[] = {
        {"A", 1, 'A'},
        {"\xc3\xa9", 2, 0xE9},
        {"\xe2\x82\xac", 3, 0x20AC},
        {"\xf0\x9f\x98\x80", 4, 0x1F600},
        {"\xc0\x80", 1, 0xFFFFFFFF},
        {"\xed\xa0\x80", 1, 0xFFFFFFFF},
        {"\xf4\x90\x80\x80", 1, 0xFFFFFFFF},
        {"\x80", 1, 0xFFFFFFFF},
        {"\xe2\x82", 1, 0xFFFFFFFF},
        {"\xe0\x80\x80", 1, 0xFFFFFFFF},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t cp;
        assert_int_equal(wick_utf8_next(cases[i].s, strlen(cases[i].s), &cp), cases[i].len);
        assert_int_equal(cp, cases[i].cp);
    }
    for (uint32_t cp = 0; cp < 0x110000; cp++) {
        char c[4];
        uint32_t back;
        unsigned n = wick_utf8_encode(cp, c);
        if (cp >= 0xD800 && cp < 0xE000) {
            assert_int_equal(n, 0);
            continue;
        }
        assert_int_equal(wick_utf8_next(c, n, &back), n);
        assert_int_equal(back, cp);
        for (unsigned k = 1; k < n; k++) assert_int_equal(wick_utf8_complete(c, k), 0);
    }
    assert_int_equal(wick_utf8_complete("ab\xf0\x9f", 4), 2);
    assert_int_equal(wick_utf8_complete("ab\xff", 3), 3);
    assert_int_equal(wick_utf8_complete("ab\xe0\x80", 4), 4);
    assert_false(wick_utf8_valid("a\xff", 2));
}

static void test_numbers(void **state)
{
    (void)state;
    uint64_t u;
    int64_t i;
    double d;
    assert_true(wick_parse_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_false(wick_parse_u64("18446744073709551616", &u));
    assert_false(wick_parse_u64("", &u) || wick_parse_u64("-1", &u) || wick_parse_u64("1 ", &u));
    assert_true(wick_parse_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_false(wick_parse_i64("9223372036854775808", &i));
    assert_true(wick_parse_f64("1e-3", &d) && d == 1e-3);
    assert_false(wick_parse_f64("nan", &d) || wick_parse_f64("inf", &d) || wick_parse_f64("0x1", &d) ||
                 wick_parse_f64("1e999", &d));
    assert_true(wick_parse_bytes("8G", &u) && u == 8ull << 30);
    assert_true(wick_parse_bytes("512MiB", &u) && u == 512ull << 20);
    assert_false(wick_parse_bytes("99999999999G", &u) || wick_parse_bytes("8X", &u));
    char s[32];
    assert_string_equal(wick_format_bytes(s, sizeof s, 1536), "1.5 KiB");
    assert_string_equal(wick_format_bytes(s, sizeof s, 12), "12 B");
    assert_int_equal(wick_edit_distance("llama", "lama"), 1);
    assert_int_equal(wick_edit_distance("", "abc"), 3);
}

static void test_buf(void **state)
{
    (void)state;
    wick_buf b;
    wick_buf_init(&b, 10);
    assert_string_equal(wick_buf_str(&b), "");
    wick_buf_puts(&b, "12345");
    wick_buf_printf(&b, "%d", 67890);
    assert_false(b.failed);
    assert_string_equal(wick_buf_str(&b), "1234567890");
    wick_buf_putc(&b, 'x');
    assert_true(b.failed);
    size_t n = 0;
    assert_null(wick_buf_take(&b, &n));
    wick_buf_init(&b, 0);
    char *p = wick_buf_take(&b, &n);
    assert_non_null(p);
    assert_int_equal(n, 0);
    assert_string_equal(p, "");
    wick_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_is_one_printable_line),
        cmocka_unit_test(test_bidi_is_escaped),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_buf),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
