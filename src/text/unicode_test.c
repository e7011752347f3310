/* UTF-8 repair, the byte alphabet, tries, and patterns that mean something else to PCRE2. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "text/tok.h"
#include "text/unicode.h"

#define BAD "\xEF\xBF\xBD"

static void repair(void **state)
{
    (void)state;
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"abc", "abc"},        {"\xC3\xA9", "\xC3\xA9"},
        {"\xFF", BAD},         {"a\xC3", "a" BAD},
        {"\xE2\x96", BAD},     {"\xE2\x96z", BAD "z"},
        {"\xF0\x9F\x98", BAD}, {"\xED\xA0\x80", BAD BAD BAD},
        {"\xC0\x80", BAD BAD}, {"\xF4\x90\x80\x80", BAD BAD BAD BAD},
        {"\x80\x80", BAD BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_buf b = WICK_BUF_INIT;
        wick_uni_repair(&b, cases[i].in, strlen(cases[i].in));
        assert_string_equal(wick_buf_str(&b), cases[i].out);
        wick_buf_release(&b);
    }
}

static void byte_alphabet(void **state)
{
    (void)state;
    char all[256];
    for (int i = 0; i < 256; i++) {
        all[i] = (char)i;
        assert_int_equal(wick_char_byte(wick_byte_char((uint8_t)i)), i);
    }
    wick_buf there = WICK_BUF_INIT, back = WICK_BUF_INIT;
    wick_byte_level_encode(&there, all, 256);
    assert_true(wick_utf8_valid(there.data, there.n));
    assert_true(wick_byte_level_decode(&back, there.data, there.n));
    assert_int_equal(back.n, 256);
    assert_memory_equal(back.data, all, 256);
    assert_false(wick_byte_level_decode(&back, "a b", 3));
    wick_buf_release(&there);
    wick_buf_release(&back);
}

static void tries(void **state)
{
    (void)state;
    wick_trie t = {0};
    int32_t v = -1;
    assert_int_equal(wick_trie_longest(&t, "abc", 3, &v), 0);
    assert_true(wick_trie_add(&t, "ab", 2, 1) && wick_trie_add(&t, "abcd", 4, 2) && wick_trie_add(&t, "\xFF", 1, 3));
    assert_int_equal(wick_trie_longest(&t, "abcx", 4, &v), 2);
    assert_int_equal(v, 1);
    assert_int_equal(wick_trie_longest(&t, "abcd", 4, &v), 4);
    assert_int_equal(v, 2);
    assert_int_equal(wick_trie_longest(&t, "\xFFz", 2, &v), 1);
    assert_int_equal(wick_trie_longest(&t, "b", 1, &v), 0);
    wick_trie_release(&t);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        size_t start, end;
    } cases[] = {
        {"\\p{N}{1,3}+", "x12345", 1, 6},
        {"\\h+", "xyz1f", 3, 5},
        {"[a-z&&[^aeiou]]+", "aebcd", 2, 5},
        {"[a[bc]]+", "xcab", 1, 4},
        {"^b", "a\nb", 2, 3},
        {"a$", "a\nb", 0, 1},
        {"(?m:a.b)", "a\nb", 0, 3},
        {"\\u0041", "xA", 1, 2},
        {"x{,2}y", "xxxy", 1, 4},
        {"(?i:'s)", "a'S", 1, 3},
        {"\\s", "\xE1\xA0\x8E ", 3, 4},
        {"[^\\s\\p{L}]+", "ab !?", 3, 5},
        {"\\p{Letter}+", "12ab", 2, 4},
        {"z", "abc", SIZE_MAX, SIZE_MAX},
        {"\\p{Han}+", "\xE3\x80\x81\xE6\x96\x87", 3, 6},
        {"\\P{Latin}", "ab1", 2, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_regex *r = NULL;
        wick_regex_run run = {0};
        wick_err err = {0};
        size_t a, b;
        if (wick_regex_new(&r, wick_str_of(cases[i].pattern), "test", &err) != WICK_OK) fail_msg("%s", err.message);
        assert_int_equal(wick_regex_next(r, &run, cases[i].text, strlen(cases[i].text), 0, &a, &b, &err), WICK_OK);
        if (a != cases[i].start || b != cases[i].end) fail_msg("%s: %zu-%zu", cases[i].pattern, a, b);
        wick_regex_run_release(&run);
        wick_regex_free(r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(repair), cmocka_unit_test(byte_alphabet),
                                       cmocka_unit_test(tries), cmocka_unit_test(patterns)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
