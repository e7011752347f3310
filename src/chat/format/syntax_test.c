/* Every syntax of calls x ten scenarios, through the answer object: the text is written from the row's shape (what a
 * constraint would write), and read back whole, in bytes, and cut at every place. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/str.h"
#include "chat/answer.h"

static json_t *tools;

static int load_tools(void **state)
{
    (void)state;
    tools = json_loads(
        "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{"
        "\"s\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},\"o\":{\"type\":\"object\"},"
        "\"l\":{\"type\":\"array\"},\"b\":{\"type\":\"boolean\"}}}}},"
        "{\"type\":\"function\",\"function\":{\"name\":\"g_2\"}}]",
        0, NULL);
    return tools ? 0 : -1;
}

static int drop_tools(void **state)
{
    (void)state;
    json_decref(tools);
    return 0;
}

/* --- writing by the shape ----------------------------------------------------------------------------------------- */

/* calls: [[name, arguments], ...] */
static void put_calls(wick_buf *b, const wick_call_syntax *f, const json_t *calls)
{
    size_t i;
    const json_t *c;
    json_t *list = json_array();
    json_array_foreach(calls, i, c)
    {
        json_t *call = json_pack("{s:s, s:{s:O, s:O}}", "id", "abcdefghi", "function", "name", json_array_get(c, 0),
                                 "arguments", json_array_get(c, 1));
        assert_int_equal(json_array_append_new(list, call), 0);
    }
    assert_int_equal(wick_call_write(f, list, b, NULL), WICK_OK);
    json_decref(list);
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* What came out, in order: text as T(...), reasoning as R(...), calls as NAME{arguments}; adjacent texts put
 * together. */
typedef struct reader {
    wick_answer *a;
    wick_buf out;
    int last;
} reader;

static void take(reader *r)
{
    const wick_delta *d;
    while ((d = wick_answer_next(r->a)) != NULL) {
        const bool text = d->kind == WICK_DELTA_TEXT || d->kind == WICK_DELTA_REASONING;
        if ((int)d->kind != r->last && (r->last == WICK_DELTA_TEXT || r->last == WICK_DELTA_REASONING))
            wick_buf_puts(&r->out, ")");
        if (text && (int)d->kind != r->last) wick_buf_puts(&r->out, d->kind == WICK_DELTA_TEXT ? "T(" : "R(");
        if (d->kind == WICK_DELTA_CALL) wick_buf_puts(&r->out, d->name);
        if (text || d->kind == WICK_DELTA_ARGUMENTS) wick_buf_add(&r->out, d->text, d->n);
        if (d->kind == WICK_DELTA_CALL_END) wick_buf_puts(&r->out, "; ");
        r->last = (int)d->kind;
    }
}

static void open_reader(reader *r, const wick_call_syntax *f, const char *think)
{
    const wick_answer_opts o = {
        .format = {.calls = f, .think = think ? wick_think_syntax_by_name(think) : NULL}, .tools = tools, .keep = true};
    memset(r, 0, sizeof *r);
    r->last = -1;
    assert_int_equal(wick_answer_new(&r->a, &o, NULL), WICK_OK);
}

static void feed(reader *r, const char *s, size_t n)
{
    assert_int_equal(wick_answer_feed(r->a, s, n, NULL), WICK_OK);
    take(r);
}

static void finish(reader *r, wick_finish how)
{
    assert_int_equal(wick_answer_finish(r->a, how, NULL), WICK_OK);
    take(r);
}

static void drop(reader *r)
{
    wick_answer_free(r->a);
    wick_buf_release(&r->out);
}

static void check_calls(const reader *r, const wick_call_syntax *f, const char *text, const json_t *calls)
{
    size_t i;
    const json_t *c;
    if (wick_answer_n_calls(r->a) != json_array_size(calls)) print_error("%s: %s\n", wick_call_syntax_name(f), text);
    assert_int_equal(wick_answer_n_calls(r->a), json_array_size(calls));
    json_array_foreach(calls, i, c)
    {
        const wick_call got = wick_answer_call(r->a, (uint32_t)i);
        json_t *args = json_loadb(got.arguments, got.n_arguments, JSON_REJECT_DUPLICATES, NULL);
        assert_string_equal(got.name, json_string_value(json_array_get(c, 0)));
        assert_true(strlen(got.id) > 0);
        if (!json_equal(args, json_array_get(c, 1)))
            print_error("%s: %s\n%s\n", wick_call_syntax_name(f), text, got.arguments);
        assert_true(json_equal(args, json_array_get(c, 1)));
        json_decref(args);
    }
}

/* The text in one piece, in bytes, and cut at every place: the same each time. */
static void expect(const wick_call_syntax *f, const char *think, const char *text, const json_t *calls,
                   const char *answer, const char *reasoning)
{
    const size_t n = strlen(text);
    reader whole, r;
    open_reader(&whole, f, think);
    feed(&whole, text, n);
    finish(&whole, WICK_FINISH_EOS);
    check_calls(&whole, f, text, calls);
    if (strcmp(wick_answer_text(whole.a, NULL), answer) != 0) print_error("%s: %s\n", wick_call_syntax_name(f), text);
    assert_string_equal(wick_answer_text(whole.a, NULL), answer);
    assert_string_equal(wick_answer_reasoning(whole.a, NULL), reasoning);
    assert_int_equal(wick_answer_how(whole.a), json_array_size(calls) ? WICK_END_CALLS : WICK_END_TURN);
    for (size_t k = 0; k <= n; k++) {
        open_reader(&r, f, think);
        for (size_t i = 0; k == n && i < n; i++) feed(&r, text + i, 1);
        if (k < n) {
            feed(&r, text, k);
            feed(&r, text + k, n - k);
        }
        finish(&r, WICK_FINISH_EOS);
        assert_string_equal(wick_buf_str(&r.out), wick_buf_str(&whole.out));
        drop(&r);
    }
    drop(&whole);
}

static json_t *calls_of(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    assert_non_null(v);
    return v;
}

static void written(const wick_call_syntax *f, wick_buf *b, const json_t *calls)
{
    wick_buf_reset(b);
    put_calls(b, f, calls);
    wick_buf_str(b);
    assert_false(b->failed);
}

static bool parallel(const wick_call_syntax *f)
{
    return !wick_call_syntax_shape(f)->single;
}

static void test_scenarios(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "[[\"f\", {\"s\": \"x\", \"n\": 3}]]",                                                           /* one call */
        "[[\"f\", {\"s\": \"x\"}], [\"g_2\", {}], [\"f\", {\"n\": -1}]]",                                /* parallel */
        "[[\"f\", {\"o\": {\"a\": {\"b\": [1, {\"c\": null}]}, \"t\": true}, \"l\": [[], {}, \"z\"]}]]", /* nested */
        "[[\"f\", {\"s\": \"K\\u00f6ln \\u2014 \\ud83d\\ude00 \\u4f60\", \"n\": 7}]]",                   /* unicode */
        "[[\"g_2\", {}]]",                                                 /* empty arguments */
        "[[\"f\", {\"s\": \"a, b) ] } = :\", \"b\": false, \"n\": 1e3}]]", /* what brackets others */
    };
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++)
        for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
            const wick_call_syntax *f = wick_call_syntax_at(i);
            json_t *calls = calls_of(cases[k]);
            if (parallel(f) || json_array_size(calls) == 1) {
                written(f, &b, calls);
                expect(f, NULL, b.data, calls, "", "");
            }
            json_decref(calls);
        }
    wick_buf_release(&b);
}

/* Text before the call and, where calls have an end, after it; reasoning before it; and a call inside of reasoning. */
static void test_around(void **state)
{
    (void)state;
    json_t *calls = calls_of("[[\"f\", {\"s\": \"x\", \"n\": 3}]]");
    wick_buf b = WICK_BUF_INIT, t = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        const char *name = wick_call_syntax_name(f), *open = wick_call_syntax_open(f);
        const wick_call_shape *s = wick_call_syntax_shape(f);
        written(f, &b, calls);
        wick_buf_reset(&t);
        if (strcmp(name, "functionary") == 0)
            wick_buf_printf(&t, "all\nLet me see.\n>>>%s", b.data);
        else
            wick_buf_printf(&t, "Let me see.\n\n%s", b.data);
        expect(f, "think", wick_buf_str(&t), calls, "Let me see.", "");
        if (s->end || s->close) {
            wick_buf_printf(&t, "\nDone");
            if (strcmp(name, "functionary") != 0) expect(f, "think", wick_buf_str(&t), calls, "Let me see.\nDone", "");
        }
        wick_buf_reset(&t);
        wick_buf_printf(&t, "<think>\nwhy\n</think>\n\n%s", b.data);
        if (!strstr(name, "functionary")) expect(f, "think", wick_buf_str(&t), calls, "", "why");
        if (!open || strcmp(name, "functionary") == 0 || strcmp(name, "harmony") == 0) continue;
        wick_buf_reset(&t);
        wick_buf_printf(&t, "<think>\nwhy\n%s\n</think>\n\nDone", b.data);
        expect(f, "think", wick_buf_str(&t), calls, "Done", "why");
        wick_buf_reset(&t);
        wick_buf_printf(&t, "<think>\nwhy\n%s", b.data);
        expect(f, "think", wick_buf_str(&t), calls, "", "why");
    }
    wick_buf_release(&b);
    wick_buf_release(&t);
    json_decref(calls);
}

/* Cut by length at every byte: what came out is the beginning of what the whole gives, and the end says length. */
static void test_truncated(void **state)
{
    (void)state;
    json_t *calls = calls_of("[[\"f\", {\"s\": \"some text here\", \"o\": {\"a\": [1, 2]}}]]");
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        reader whole, r;
        written(f, &b, calls);
        open_reader(&whole, f, NULL);
        feed(&whole, b.data, b.n);
        finish(&whole, WICK_FINISH_EOS);
        for (size_t k = 0; k < b.n; k++) {
            open_reader(&r, f, NULL);
            feed(&r, b.data, k);
            assert_memory_equal(wick_buf_str(&whole.out), wick_buf_str(&r.out), r.out.n);
            finish(&r, WICK_FINISH_LENGTH);
            assert_int_equal(wick_answer_how(r.a), WICK_END_LENGTH);
            if (wick_answer_n_calls(r.a) == 0) {
                /* not yet known as a call: the text is not lost */
                assert_int_equal(strlen(wick_answer_text(r.a, NULL)), k);
            } else {
                const wick_call c = wick_answer_call(r.a, 0), all = wick_answer_call(whole.a, 0);
                assert_string_equal(c.name, "f");
                assert_true(c.n_arguments <= all.n_arguments);
                assert_memory_equal(c.arguments, all.arguments, c.n_arguments);
            }
            drop(&r);
        }
        drop(&whole);
    }
    wick_buf_release(&b);
    json_decref(calls);
}

/* Arguments come while they are written: half of a long string is out when half of it was read. */
static void test_streams(void **state)
{
    (void)state;
    static const char *const at_once[] = {"mistral", "minicpm5"}; /* the id comes last; markup must be whole */
    json_t *calls = calls_of("[[\"f\", {\"s\": \"0123456789012345678901234567890123456789\"}]]");
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        bool skip = false;
        reader r;
        for (size_t k = 0; k < 2; k++) skip = skip || strcmp(wick_call_syntax_name(f), at_once[k]) == 0;
        if (skip) continue;
        written(f, &b, calls);
        open_reader(&r, f, NULL);
        feed(&r, b.data, (size_t)(strstr(b.data, "90123456789") - b.data) + 5);
        if (!strstr(wick_buf_str(&r.out), "f{\"s\"")) print_error("%s\n", wick_call_syntax_name(f));
        assert_non_null(strstr(wick_buf_str(&r.out), "f{\"s\""));
        assert_non_null(strstr(wick_buf_str(&r.out), "90123"));
        drop(&r);
    }
    wick_buf_release(&b);
    json_decref(calls);
}

/* What closes calls is left out at the end: still the call. */
static void test_unclosed(void **state)
{
    (void)state;
    json_t *calls = calls_of("[[\"f\", {\"n\": 3, \"o\": {\"a\": 1}}]]");
    wick_buf b = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        const wick_call_shape *s = wick_call_syntax_shape(f);
        if (strcmp(wick_call_syntax_name(f), "glm4") == 0) continue; /* "<tool_call>f" may be text */
        written(f, &b, calls);
        b.n -= s->end ? strlen(s->end) : 0;
        b.n -= s->close && !strchr(s->close, '%') ? strlen(s->close) : 0;
        wick_buf_putc(&b, 0);
        expect(f, NULL, b.data, calls, "", "");
    }
    wick_buf_release(&b);
    json_decref(calls);
}

/* Nothing of a malformed call is lost: it is text, or it is in the arguments of a call. */
static void test_malformed(void **state)
{
    (void)state;
    json_t *calls = calls_of("[[\"f\", {\"s\": \"some text\", \"n\": 12, \"l\": [1, 2]}]]");
    static const char *const junk[] = {"{{", "]]", "\"", "<", ":", "<tool_call>", "\\"};
    wick_buf b = WICK_BUF_INIT, t = WICK_BUF_INIT;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        written(f, &b, calls);
        for (size_t k = 0; k <= b.n; k += 1 + (b.n > 150))
            for (size_t j = 0; j < sizeof junk / sizeof *junk; j++) {
                reader r, cut;
                wick_buf_reset(&t);
                wick_buf_add(&t, b.data, k);
                wick_buf_puts(&t, junk[j]);
                wick_buf_puts(&t, b.data + k);
                open_reader(&r, f, "think");
                feed(&r, t.data, t.n);
                finish(&r, WICK_FINISH_EOS);
                if (wick_answer_n_calls(r.a) == 0 && !strstr(wick_call_syntax_name(f), "functionary"))
                    assert_string_equal(wick_answer_text(r.a, NULL), t.data);
                open_reader(&cut, f, "think");
                for (size_t m = 0; m < t.n; m++) feed(&cut, t.data + m, 1);
                finish(&cut, WICK_FINISH_EOS);
                assert_string_equal(wick_buf_str(&cut.out), wick_buf_str(&r.out));
                drop(&cut);
                drop(&r);
            }
    }
    wick_buf_release(&b);
    wick_buf_release(&t);
    json_decref(calls);
}

/* Slips with one reading. */
static void test_near_misses(void **state)
{
    (void)state;
    static const struct {
        const char *syntax, *text, *answer, *calls;
    } at[] = {
        {"hermes", "{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}}", "", "[[\"f\", {\"s\": \"x\"}]]"},
        {"hermes", "```json\n{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}}\n```", "", "[[\"f\", {\"s\": \"x\"}]]"},
        {"hermes", "<tool_call>\n```json\n{\"name\": \"f\", \"arguments\": {\"s\": \"x\"}}\n```\n</tool_call>", "",
         "[[\"f\", {\"s\": \"x\"}]]"},
        {"hermes", "[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g_2\", \"arguments\": {}}]", "",
         "[[\"f\", {}], [\"g_2\", {}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"a\nb\tc\"}}</tool_call>", "",
         "[[\"f\", {\"s\": \"a\\nb\\tc\"}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 1, \"l\": [1, 2, ], },}</tool_call>", "",
         "[[\"f\", {\"n\": 1, \"l\": [1, 2]}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 1}</tool_call>", "", "[[\"f\", {\"n\": 1}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"l\": [1, 2</tool_call>", "",
         "[[\"f\", {\"l\": [1, 2]}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"n\": 1}}}\n</tool_call>", "",
         "[[\"f\", {\"n\": 1}]]"},
        {"hermes", "<tool_call>{'name': 'f', 'arguments': {'s': 'it\\'s', 'b': True, 'o': {'a': None}}}</tool_call>",
         "", "[[\"f\", {\"s\": \"it's\", \"b\": true, \"o\": {\"a\": null}}]]"},
        {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"s\": \"\\d+ \\u12\"}}</tool_call>", "",
         "[[\"f\", {\"s\": \"\\\\d+ \\\\u12\"}]]"},
        {"hermes", "Sure.\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}", "Sure.",
         "[[\"f\", {\"n\": 1}]]"},
        {"llama", "Sure:\n{\"name\": \"f\", \"parameters\": {\"n\": 1}}", "Sure:", "[[\"f\", {\"n\": 1}]]"},
        {"llama", "```json\n{\"name\": \"f\", \"parameters\": {\"n\": 1}}\n```", "", "[[\"f\", {\"n\": 1}]]"},
        {"qwen3-coder", "<tool_call>\n<function=f>\n<parameter=s>\na\nb\n</function>\n</tool_call>", "",
         "[[\"f\", {\"s\": \"a\\nb\"}]]"},
        {"qwen3-coder", "<function=f>\n<parameter=n>\n3\n</parameter>\n", "", "[[\"f\", {\"n\": 3}]]"},
        {"glm4", "<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>v</tool_call>", "", "[[\"f\", {\"s\": \"v\"}]]"},
        {"deepseek", "{\"name\": \"f\", \"arguments\": {\"n\": 1}}", "", "[[\"f\", {\"n\": 1}]]"},
        {"mistral", "[TOOL_CALLS]f{\"n\": 1}", "", "[[\"f\", {\"n\": 1}]]"},
        {"gemma4", "<|tool_call>call:f{s:\"x\",n:1}<tool_call|>", "", "[[\"f\", {\"s\": \"x\", \"n\": 1}]]"},
        {"minicpm5", "<function name=\"f\"><param name=\"s\"><![CDATA[a < b && \"c\" </param>]]></param></function>",
         "", "[[\"f\", {\"s\": \"a < b && \\\"c\\\" </param>\"}]]"},
        {"minicpm5",
         "<function name=\"f\"><param name=\"s\">a &lt; b &amp;&amp; c</param><param name=\"n\">1</param></function>",
         "", "[[\"f\", {\"s\": \"a < b && c\", \"n\": 1}]]"},
        {"kimi-k2", "<|tool_call_begin|>f<|tool_call_argument_begin|>{\"n\": 1}<|tool_call_end|>", "",
         "[[\"f\", {\"n\": 1}]]"},
        {"gigachat3", "Hi<|message_sep|>\n\nfunction call<|role_sep|>\n{\"name\": \"f\", \"arguments\": {\"n\": 1}}",
         "Hi", "[[\"f\", {\"n\": 1}]]"},
        /* no calls */
        {"hermes", "{\"name\": \"Bob\", \"arguments\": {}}", "{\"name\": \"Bob\", \"arguments\": {}}", "[]"},
        {"hermes", "An example:\n{\"name\": \"f\", \"arguments\": {}}",
         "An example:\n{\"name\": \"f\", \"arguments\": {}}", "[]"},
        {"hermes", "```python\nf(1)\n```", "```python\nf(1)\n```", "[]"},
        {"hermes", "{\"a\": 1}", "{\"a\": 1}", "[]"},
        {"functools", "Literal <|start|> and <|channel|> stay.", "Literal <|start|> and <|channel|> stay.", "[]"},
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        json_t *calls = calls_of(at[i].calls);
        expect(wick_call_syntax_by_name(at[i].syntax), "think", at[i].text, calls, at[i].answer, "");
        json_decref(calls);
    }
}

/* docs/ANSWERS.md has a line for each. */
static void test_documented(void **state)
{
    (void)state;
    char *text = NULL, line[64];
    size_t n = 0;
    assert_int_equal(wick_file_read(WICK_SOURCE_DIR "/docs/ANSWERS.md", 1 << 20, &text, &n, NULL), WICK_OK);
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        snprintf(line, sizeof line, "\n| %s |", wick_call_syntax_name(wick_call_syntax_at(i)));
        if (!strstr(text, line)) print_error("docs/ANSWERS.md has no %s\n", line + 1);
        assert_non_null(strstr(text, line));
    }
    wick_free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scenarios),   cmocka_unit_test(test_around),     cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_streams),     cmocka_unit_test(test_unclosed),   cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_near_misses), cmocka_unit_test(test_documented),
    };
    return cmocka_run_group_tests(tests, load_tools, drop_tools);
}
