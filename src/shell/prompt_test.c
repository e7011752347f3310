/* shell/prompt_test.c - what models answer, read as a command; explanations; running out of memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "shell/explain.h"
#include "shell/prompt.h"

static void test_answers(void **state)
{
    static const struct {
        const char *text, *cmd;
        bool refused;
    } cases[] = {
        {"{\"cmd\": \"ls -a\"}", "ls -a", false},
        {"Sure! Here it is:\n{\"cmd\": \"wc -l 'a b'\"}\nHope it helps {x}", "wc -l 'a b'", false},
        {"{not json} {\"command\": \"pwd\"}", "pwd", false},
        {"{\"cmd\": \"\", \"refused\": \"it would destroy the system\"}", "", true},
        {"{\"cmd\": \"\"}", "", true},
        {"```sh\ndf -h\n```\n", "df -h", false},
        {"Use this:\n$ du -sh .\nIt sums.", "du -sh .", false},
        {"ls | wc -l\n", "ls | wc -l", false},
        {"I cannot do (that", "", true},
        {"", "", true},
        {"{\"cmd\": 5}", "", true},
    };
    (void)state;
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        wick_arena a;
        wick_sh_answer r;
        wick_arena_init(&a, 0);
        assert_int_equal(wick_sh_answer_read(&a, cases[k].text, strlen(cases[k].text), &r, NULL), WICK_OK);
        if (cases[k].refused) {
            assert_non_null(r.refused);
        } else {
            assert_null(r.refused);
            assert_string_equal(r.cmd, cases[k].cmd);
        }
        wick_arena_release(&a);
    }
}

static void test_messages(void **state)
{
    (void)state;
    json_t *own = wick_sh_messages("x", NULL, true), *other = wick_sh_messages("x", NULL, false);
    assert_int_equal(json_array_size(own), 1);
    assert_true(json_array_size(other) > 5);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(other, json_array_size(other) - 1), "content")), "x");
    json_decref(own);
    json_decref(other);
}

static void test_explain(void **state)
{
    wick_arena a;
    (void)state;
    wick_arena_init(&a, 0);
    const char *s = wick_sh_explain(&a, "grep -rn x . | sort -u", 22);
    assert_non_null(strstr(s, "grep: prints lines that match; -r: in all files below; -n: with line numbers\nsort: "
                              "sorts lines; -u: each once"));
    assert_non_null(strstr(wick_sh_explain(&a, "find . -type f", 14), "-type: of this type"));
    assert_string_equal(wick_sh_explain(&a, "if", 2), "");
    wick_arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_answers), cmocka_unit_test(test_messages),
                                       cmocka_unit_test(test_explain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
