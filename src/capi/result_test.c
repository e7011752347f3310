/* What the C API gives of answers to conversations. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "capi/capi_int.h"

/* Reasoning and calls of an answer, as a result carries them. */
static void test_result_calls(void **state)
{
    (void)state;
    static const char text[] =
        "<think>why</think>Hi <tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}</tool_call>"
        "<tool_call>{\"name\": \"g\"}</tool_call>";
    json_t *tools = json_pack("[{s:{s:s}}, {s:{s:s}}]", "function", "name", "f", "function", "name", "g");
    const wick_answer_opts o = {
        .format = {wick_call_syntax_by_name("hermes"), wick_think_syntax_by_name("think"), false},
        .tools = tools,
        .keep = true};
    wick_answer *a;
    wick_result r = {0};
    assert_int_equal(wick_answer_new(&a, &o, NULL), WICK_OK);
    assert_int_equal(wick_answer_feed(a, text, sizeof text - 1, NULL), WICK_OK);
    assert_int_equal(wick_answer_finish(a, WICK_FINISH_EOS, NULL), WICK_OK);
    assert_int_equal(wick_capi_fill_answer(&r, a, NULL), WICK_OK);
    wick_answer_free(a);
    json_decref(tools);
    assert_string_equal(r.reasoning, "why");
    assert_int_equal(r.n_reasoning, 3);
    assert_int_equal(r.n_tool_calls, 2);
    assert_string_equal(r.tool_calls[0].name, "f");
    assert_string_equal(r.tool_calls[0].arguments, "{\"a\": 1}");
    assert_string_equal(r.tool_calls[1].arguments, "{}");
    assert_int_equal(strlen(r.tool_calls[1].id), 9);
    assert_string_not_equal(r.tool_calls[0].id, r.tool_calls[1].id);
    wick_result_release(&r);
    assert_int_equal(wick_capi_fill_answer(&r, NULL, NULL), WICK_OK);
    assert_string_equal(r.reasoning, "");
    assert_null(r.tool_calls);
    wick_result_release(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_result_calls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
