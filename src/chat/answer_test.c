/* The answer object: deltas in order, ids, what is dropped, what is counted, and what the prompt already holds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "chat/answer.h"

static json_t *tools;

static int load_tools(void **state)
{
    (void)state;
    tools = json_pack("[{s:s, s:{s:s, s:{s:s}}}, {s:s, s:{s:s}}]", "type", "function", "function", "name", "f",
                      "parameters", "type", "object", "type", "function", "function", "name", "g");
    return tools ? 0 : -1;
}

static int drop_tools(void **state)
{
    (void)state;
    json_decref(tools);
    return 0;
}

/* Deltas as text: R(...) T(...) C0:name A(...) E0 .how; adjacent texts of a kind are put together. */
static void collect(wick_answer *a, wick_buf *out, int *last)
{
    const wick_delta *d;
    while ((d = wick_answer_next(a))) {
        const bool text =
            d->kind == WICK_DELTA_TEXT || d->kind == WICK_DELTA_REASONING || d->kind == WICK_DELTA_ARGUMENTS;
        if (*last >= 0 && (int)d->kind != *last) wick_buf_putc(out, ')');
        if (text && (int)d->kind != *last)
            wick_buf_puts(out, d->kind == WICK_DELTA_TEXT ? "T(" : d->kind == WICK_DELTA_REASONING ? "R(" : "A(");
        if (text) {
            assert_true(d->n > 0);
            assert_int_equal(d->text[d->n], 0);
            wick_buf_add(out, d->text, d->n);
        }
        *last = text ? (int)d->kind : -1;
        if (d->kind == WICK_DELTA_CALL) {
            assert_true(strlen(d->id) > 0);
            wick_buf_printf(out, "C%u:%s ", d->call, d->name);
        }
        if (d->kind == WICK_DELTA_CALL_END) wick_buf_printf(out, "E%u ", d->call);
        if (d->kind == WICK_DELTA_END) wick_buf_printf(out, ".%s", wick_answer_end_name(d->end));
    }
}

static wick_answer_opts options(const char *calls, const char *think)
{
    return (wick_answer_opts){.format = {.calls = calls ? wick_call_syntax_by_name(calls) : NULL,
                                         .think = think ? wick_think_syntax_by_name(think) : NULL},
                              .tools = tools,
                              .keep = true};
}

static void expect(const wick_answer_opts *o, const char *text, wick_finish how, const char *want)
{
    const size_t n = strlen(text);
    for (size_t step = 1; step <= n + 1; step = step < 8 ? step + 1 : step + n) {
        wick_answer *a;
        wick_buf out = WICK_BUF_INIT;
        int last = -1;
        assert_int_equal(wick_answer_new(&a, o, NULL), WICK_OK);
        collect(a, &out, &last);
        for (size_t i = 0; i < n; i += step) {
            assert_int_equal(wick_answer_feed(a, text + i, n - i < step ? n - i : step, NULL), WICK_OK);
            collect(a, &out, &last);
        }
        assert_int_equal(wick_answer_finish(a, how, NULL), WICK_OK);
        collect(a, &out, &last);
        assert_string_equal(wick_buf_str(&out), want);
        wick_buf_release(&out);
        wick_answer_free(a);
    }
}

static void test_deltas(void **state)
{
    (void)state;
    wick_answer_opts o = options("hermes", "think");
    expect(&o, "<think>\nwhy\n</think>\n\nHi", WICK_FINISH_EOS, "R(why)T(Hi).stop");
    expect(&o, "Hi", WICK_FINISH_LENGTH, "T(Hi).length");
    expect(&o, "Hi", WICK_FINISH_STOP, "T(Hi).stop");
    expect(&o, "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}</tool_call>", WICK_FINISH_EOS,
           "C0:f A({\"a\":1})E0 .tool_calls");
    expect(&o, "See\n<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>", WICK_FINISH_EOS,
           "T(See)C0:f A({})E0 C1:g A({})E1 .tool_calls");
    o.one_call = true;
    expect(&o, "<tool_call>{\"name\":\"f\"}</tool_call><tool_call>{\"name\":\"g\"}</tool_call>", WICK_FINISH_EOS,
           "C0:f A({})E0 .tool_calls");
    o.ignore_calls = true;
    expect(&o, "<tool_call>{\"name\":\"f\"}</tool_call>", WICK_FINISH_EOS,
           "T(<tool_call>{\"name\":\"f\"}</tool_call>).stop");
    o.raw_reasoning = true;
    expect(&o, "<think>a</think>b", WICK_FINISH_EOS, "T(<think>a</think>b).stop");
}

static void test_begins_inside(void **state)
{
    (void)state;
    wick_answer_opts o = options("hermes", "think");
    o.inside_reasoning = true;
    expect(&o, "why</think>Hi", WICK_FINISH_EOS, "R(why)T(Hi).stop");
    o.prefill = "so far";
    o.n_prefill = 6;
    expect(&o, " why</think>Hi", WICK_FINISH_EOS, "R( why)T(Hi).stop");
    o.inside_reasoning = false;
    o.prefill = "<tool_call>\n{\"name\": \"f\", ";
    o.n_prefill = strlen(o.prefill);
    expect(&o, "\"arguments\": {\"a\": 1}}\n</tool_call>", WICK_FINISH_EOS, "C0:f A({\"a\": 1})E0 .tool_calls");
}

static void test_whole(void **state)
{
    (void)state;
    static const char text[] = "<think>why</think>Hi<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
    wick_answer *a;
    const wick_answer_opts o = options("hermes", "think");
    size_t n;
    assert_int_equal(wick_answer_new(&a, &o, NULL), WICK_OK);
    assert_int_equal(wick_answer_how(a), WICK_END_NONE);
    for (size_t i = 0; text[i]; i++) {
        const wick_event ev = {.kind = WICK_EVENT_TOKEN, .text = text + i, .n_text = 1};
        assert_int_equal(wick_answer_event(a, &ev, NULL), WICK_OK);
    }
    const wick_event done = {.kind = WICK_EVENT_DONE, .finish = WICK_FINISH_EOS, .text = ""};
    assert_int_equal(wick_answer_event(a, &done, NULL), WICK_OK);
    assert_int_equal(wick_answer_how(a), WICK_END_CALLS);
    assert_string_equal(wick_answer_text(a, &n), "Hi");
    assert_int_equal(n, 2);
    assert_string_equal(wick_answer_reasoning(a, NULL), "why");
    assert_int_equal(wick_answer_n_calls(a), 1);
    const wick_call c = wick_answer_call(a, 0);
    assert_string_equal(c.name, "f");
    assert_string_equal(c.arguments, "{}");
    assert_int_equal(strlen(c.id), 9);
    assert_int_equal(wick_answer_reasoning_tokens(a), 3 + 8 + 1);
    json_t *calls = wick_answer_calls_json(a);
    assert_string_equal(json_string_value(json_object_get(json_array_get(calls, 0), "id")), c.id);
    json_decref(calls);
    wick_answer_free(a);
}

static bool is_g(void *ctx, const char *name)
{
    (void)ctx;
    return strcmp(name, "g") == 0;
}

/* Calls that the caller runs itself do not come out; the answer goes on after them. */
static void test_own_calls(void **state)
{
    (void)state;
    static const char first[] = "One.<tool_call>{\"name\":\"g\",\"arguments\":{\"x\":1}}</tool_call>"
                                "<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
                      second[] = "<think>so</think>Two.";
    wick_answer *a;
    wick_answer_opts o = options("hermes", "think");
    o.is_own = is_g;
    assert_int_equal(wick_answer_new(&a, &o, NULL), WICK_OK);
    assert_int_equal(wick_answer_feed(a, first, sizeof first - 1, NULL), WICK_OK);
    assert_int_equal(wick_answer_finish(a, WICK_FINISH_EOS, NULL), WICK_OK);
    for (const wick_delta *d; (d = wick_answer_next(a));) {
        if (d->kind == WICK_DELTA_CALL) assert_string_equal(d->name, "f");
        if (d->kind == WICK_DELTA_CALL) assert_int_equal(d->call, 0);
    }
    assert_int_equal(wick_answer_n_calls(a), 1);
    assert_int_equal(wick_answer_n_own(a), 1);
    json_t *own = wick_answer_own_json(a);
    const json_t *f = json_object_get(json_array_get(own, 0), "function");
    assert_string_equal(json_string_value(json_object_get(f, "name")), "g");
    assert_string_equal(json_string_value(json_object_get(f, "arguments")), "{\"x\":1}");
    json_decref(own);
    wick_answer_cut_own(a);
    assert_int_equal(wick_answer_how(a), WICK_END_CALLS); /* there is one of the client's */
    assert_int_equal(wick_answer_go_on(a, &o, NULL), WICK_OK);
    assert_int_equal(wick_answer_how(a), WICK_END_NONE);
    assert_int_equal(wick_answer_n_own(a), 0);
    assert_int_equal(wick_answer_feed(a, second, sizeof second - 1, NULL), WICK_OK);
    assert_int_equal(wick_answer_finish(a, WICK_FINISH_EOS, NULL), WICK_OK);
    assert_string_equal(wick_answer_text(a, NULL), "One.\n\nTwo.");
    assert_string_equal(wick_answer_reasoning(a, NULL), "so");
    wick_answer_free(a);
}

static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "<think>why</think>Hi<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>";
    const wick_answer_opts o = options("hermes", "think");
    wick_status st = WICK_E_OUT_OF_MEMORY;
    for (uint64_t k = 1; st == WICK_E_OUT_OF_MEMORY; k++) {
        wick_answer *a = NULL;
        assert_true(k < 200);
        wick_alloc_fail_at(k, true);
        st = wick_answer_new(&a, &o, NULL);
        if (st == WICK_OK) st = wick_answer_feed(a, text, sizeof text - 1, NULL);
        if (st == WICK_OK) st = wick_answer_finish(a, WICK_FINISH_EOS, NULL);
        wick_alloc_fail_at(0, false);
        wick_answer_free(a);
    }
    assert_int_equal(st, WICK_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deltas),    cmocka_unit_test(test_begins_inside), cmocka_unit_test(test_whole),
        cmocka_unit_test(test_own_calls), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, load_tools, drop_tools);
}
