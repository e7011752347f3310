/* Tool calls in every syntax: whole, byte by byte and cut at every position; what is no call; limits; no memory. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "chat/format/format.h"
#include "chat/format/toolcall.h"

#define BAR "\xef\xbd\x9c"
#define GAP "\xe2\x96\x81"
#define CALLS "<" BAR "tool" GAP "calls" GAP "begin" BAR ">"
#define CALLS_END "<" BAR "tool" GAP "calls" GAP "end" BAR ">"
#define CALL "<" BAR "tool" GAP "call" GAP "begin" BAR ">"
#define CALL_END "<" BAR "tool" GAP "call" GAP "end" BAR ">"
#define SEP "<" BAR "tool" GAP "sep" BAR ">"
#define DSML BAR "DSML" BAR

static const char tools_text[] =
    "[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"s\":{\"type\":\"string\"},\"n\":{\"type\":\"integer\"},\"x\":{\"type\":[\"number\",\"null\"]},"
    "\"b\":{\"type\":\"boolean\"},\"o\":{\"type\":\"object\"},\"l\":{\"type\":\"array\"},"
    "\"u\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]},\"e\":{\"enum\":[\"1\",\"2\"]},\"any\":{}}}}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"g\"}},{\"type\":\"function\",\"function\":{\"name\":\"python\"}}]";

/* calls: each "name(id)arguments", a newline after each. */
static const struct {
    const char *format, *text, *content, *calls;
} cases[] = {
    {"hermes", "Just text.\n\n< <tool", "Just text.\n\n< <tool", ""},
    {"hermes", "", "", ""},
    {"hermes", " \n", " \n", ""},
    {"hermes", "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"a\"}}\n</tool_call>", "",
     "f(){\"s\": \"a\"}\n"},
    {"hermes",
     "Let me see.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"s\": \"</tool_call> } \\\" {\"}}\n</tool_call>\n"
     "<tool_call>{\"arguments\":{},\"name\":\"g\"}</tool_call>\n",
     "Let me see.", "f(){\"s\": \"</tool_call> } \\\" {\"}\ng(){}\n"},
    {"hermes", "\n<tool_call>{\"name\":\"f\"}</tool_call>\nafter", "after", "f(){}\n"},
    {"hermes", "a <tool_call>{\"name\":\"f\"}</tool_call>\nafter ", "a\nafter ", "f(){}\n"},
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"n\\\": 1}\"}</tool_call>", "", "f(){\"n\": 1}\n"},
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":null}", "", "f(){}\n"},
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{\"n\":12345678901234567890123}}</tool_call>", "",
     "f(){\"n\":12345678901234567890123}\n"},
    {"hermes", "<tool_call>[{\"name\":\"f\"},{\"name\":\"g\"}]</tool_call>", "", "f(){}\ng(){}\n"},
    /* not calls */
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":[1]}</tool_call>",
     "<tool_call>{\"name\":\"f\",\"arguments\":[1]}</tool_call>", ""},
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{bad}}</tool_call>!",
     "<tool_call>{\"name\":\"f\",\"arguments\":{bad}}</tool_call>!", ""},
    {"hermes", "x <tool_call>{\"name\":\"f\",\"argum", "x <tool_call>{\"name\":\"f\",\"argum", ""},
    {"hermes", "<tool_call></tool_call> y", "<tool_call></tool_call> y", ""},
    {"hermes", "the <tool_call> tag", "the <tool_call> tag", ""},
    {"hermes", "<tool_call>{\"name\":\"\"}</tool_call>", "<tool_call>{\"name\":\"\"}</tool_call>", ""},
    {"hermes", "<tool_call>{oops <tool_call>{\"name\":\"f\"}</tool_call>", "<tool_call>{oops", "f(){}\n"},
    {"hermes", "<tool_call>oops</tool_call><tool_call>{\"name\":\"f\"}</tool_call>", "<tool_call>oops</tool_call>",
     "f(){}\n"},
    {"qwen3-coder",
     "Ok.\n<tool_call>\n<function=f>\n<parameter=s>\n 12 "
     "</tool_call>\nx\n</parameter>\n<parameter=n>\n12\n</parameter>\n"
     "<parameter=o>\n{\"k\": [1.10]}\n</parameter>\n<parameter=b>True</parameter>\n</function>\n</tool_call>",
     "Ok.", "f(){\"s\":\" 12 </tool_call>\\nx\",\"n\":12,\"o\":{\"k\": [1.10]},\"b\":true}\n"},
    {"qwen3-coder",
     "<function=f><parameter=e>1</parameter><parameter=u>7</parameter><parameter=x>None</parameter>"
     "<parameter=l>['a', 1]</parameter><parameter=n>abc</parameter><parameter=new>7</parameter></function>",
     "", "f(){\"e\":\"1\",\"u\":7,\"x\":null,\"l\":[\"a\",1],\"n\":\"abc\",\"new\":7}\n"},
    {"qwen3-coder", "<tool_call><function=g></function></tool_call><tool_call>\n{\"name\":\"f\"}\n</tool_call>", "",
     "g(){}\nf(){}\n"},
    {"qwen3-coder", "<tool_call><function=f><parameter=s>no tag", "", "f(){\"s\":\"no tag\"}\n"},
    {"qwen3-coder", "<function=f><parameter=n>1</parameter><parameter=n>2</parameter></function>", "",
     "f(){\"n\":1}\n"},
    {"seed-oss", "<seed:tool_call>\n<function=f>\n<parameter=s>v</parameter>\n</function>\n</seed:tool_call>", "",
     "f(){\"s\":\"v\"}\n"},
    {"glm4",
     "<tool_call>f\n<arg_key>s</arg_key>\n<arg_value>a\nb</arg_value>\n<arg_key>n</arg_key>\n<arg_value>3</arg_value>\n"
     "</tool_call>\n<tool_call>g</tool_call>",
     "", "f(){\"s\":\"a\\nb\",\"n\":3}\ng(){}\n"},
    {"glm4", "<tool_call>f<arg_key>any</arg_key><arg_value>[1, 2]</arg_value></tool_call>", "",
     "f(){\"any\":[1, 2]}\n"},
    {"glm4", "<tool_call>f", "<tool_call>f", ""},
    {"llama", "{\"name\": \"f\", \"parameters\": {\"s\": \"x\"}}", "", "f(){\"s\": \"x\"}\n"},
    {"llama",
     "\n{\"type\": \"function\", \"name\": \"f\", \"parameters\": {}}; {\"name\": \"g\", \"parameters\": {}}<|eom_id|>",
     "", "f(){}\ng(){}\n"},
    {"llama", "<|python_tag|>{\"name\": \"f\", \"parameters\": {}}<|eom_id|>", "", "f(){}\n"},
    {"llama", "<|python_tag|>f.call(s=\"x\")<|eom_id|>", "", "f(){\"s\":\"x\"}\n"},
    {"llama", "<|python_tag|>print(1)\nx = {", "", "python(){\"code\":\"print(1)\\nx = {\"}\n"},
    {"llama", "{\"answer\": 42}", "{\"answer\": 42}", ""},
    {"llama", "{\"name\": \"Bob\", \"parameters\": {}}", "{\"name\": \"Bob\", \"parameters\": {}}", ""},
    {"llama", "{\"name\": \"f\"}", "{\"name\": \"f\"}", ""},
    {"llama", "See {\"name\": \"f\", \"parameters\": {}}", "See {\"name\": \"f\", \"parameters\": {}}", ""},
    {"llama", "[f(n=1, s=\"x\", o={'k': [True, None, -1.5]}), g()]", "",
     "f(){\"n\":1,\"s\":\"x\",\"o\":{\"k\":[true,null,-1.5]}}\ng(){}\n"},
    {"llama", "[1] f(x=1)", "[1] f(x=1)", ""},
    {"llama", "[f(1)]", "[f(1)]", ""},
    {"lfm2", "Sure<|tool_call_start|>[f(s='it\\'s \\u00e9', l=[1, 2,]), g()]<|tool_call_end|>", "Sure",
     "f(){\"s\":\"it's \xc3\xa9\",\"l\":[1,2]}\ng(){}\n"},
    {"lfm2", "<|tool_call_start|>[{\"name\": \"f\", \"arguments\": {}}]<|tool_call_end|>", "", "f(){}\n"},
    {"olmo3", "<function_calls>\nf(s=\")\")\ng()\n</function_calls>", "", "f(){\"s\":\")\"}\ng(){}\n"},
    {"mistral", "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {\"n\": 1}, \"id\": \"abcdefghi\"}, {\"name\": \"g\"}]",
     "", "f(abcdefghi){\"n\": 1}\ng(){}\n"},
    {"mistral", "Ok[TOOL_CALLS]f[ARGS]{\"s\": \"[TOOL_CALLS]\"}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}", "Ok",
     "f(){\"s\": \"[TOOL_CALLS]\"}\ng(123456789){}\n"},
    {"mistral", "[1, 2] [TOOL_CALLS]f[ARGS]text", "[1, 2] [TOOL_CALLS]f[ARGS]text", ""},
    {"mistral", "[TOOL_CALLS]f{\"n\":1} and text", "and text", "f(){\"n\":1}\n"},
    {"functiongemma",
     "<start_function_call>call:f{s:<escape>a, {b}<escape>,n:1}<end_function_call><start_function_call>call:g{}"
     "<end_function_call>",
     "", "f(){\"s\":\"a, {b}\",\"n\":1}\ng(){}\n"},
    {"gemma4", "Hm <|tool_call>call:f{s:<|\"|>say \"}\"<|\"|>,n:1,o:{a:true,l:[1,<|\"|>x<|\"|>]}}<tool_call|>", "Hm",
     "f(){\"s\":\"say \\\"}\\\"\",\"n\":1,\"o\":{\"a\":true,\"l\":[1,\"x\"]}}\n"},
    {"gemma4", "<|tool_call>call:f{s:bare}<tool_call|>", "<|tool_call>call:f{s:bare}<tool_call|>", ""},
    {"deepseek",
     "Ok" CALLS CALL "function" SEP "f\n```json\n{\"s\": \"```\"}\n```" CALL_END "\n" CALL "function" SEP
     "g\n```json\n{}\n```" CALL_END CALLS_END,
     "Ok", "f(){\"s\": \"```\"}\ng(){}\n"},
    {"deepseek", CALLS CALL "f" SEP "{\"n\":1}" CALL_END CALL "g" SEP "{}" CALL_END CALLS_END, "",
     "f(){\"n\":1}\ng(){}\n"},
    {"deepseek", CALLS CALL "f" SEP "no" CALL_END CALLS_END, CALLS CALL "f" SEP "no" CALL_END CALLS_END, ""},
    {"deepseek-dsml",
     "Hi\n\n<" DSML "function_calls>\n<" DSML "invoke name=\"f\">\n<" DSML
     "parameter name=\"s\" string=\"true\">12</" DSML "parameter>\n<" DSML
     "parameter name=\"n\" string=\"false\">12</" DSML "parameter>\n</" DSML "invoke>\n<" DSML
     "invoke name=\"g\">\n</" DSML "invoke>\n</" DSML "function_calls>",
     "Hi", "f(){\"s\":\"12\",\"n\":12}\ng(){}\n"},
    {"deepseek-dsml", "<" DSML "tool_calls><" DSML "invoke name=\"g\"></" DSML "invoke></" DSML "tool_calls>", "",
     "g(){}\n"},
    {"minimax-m2",
     "<minimax:tool_call>\n<invoke name=\"f\">\n<parameter name=\"s\">v <b></parameter>\n<parameter name=\"l\">[1]"
     "</parameter>\n</invoke>\n<invoke name=\"g\">\n</invoke>\n</minimax:tool_call>",
     "", "f(){\"s\":\"v <b>\",\"l\":[1]}\ng(){}\n"},
    {"harmony",
     "First.<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"n\": 1}<|call|>",
     "First.", "f(){\"n\": 1}\n"},
    {"harmony", "<|channel|>commentary to=functions.f<|message|>{\"n\": 1}", "", "f(){\"n\": 1}\n"},
    {"harmony", "<|start|>assistant to=functions.g<|channel|>commentary json<|message|>{}<|call|>", "", "g(){}\n"},
    {"harmony", "to=functions.g<|channel|>commentary json<|message|>{}<|call|>", "", "g(){}\n"},
    {"harmony", "<|channel|>commentary to=python<|message|>print(1)\n<|call|>", "", "python()print(1)\n"},
    {"harmony", "<|channel|>commentary to=functions.f <|constrain|>json<|message|>oops<|call|>",
     "<|channel|>commentary to=functions.f <|constrain|>json<|message|>oops<|call|>", ""},
    {"functools", "functools[{\"name\": \"f\", \"arguments\": {}}, {\"name\": \"g\", \"arguments\": {\"a\": 1}}]", "",
     "f(){}\ng(){\"a\": 1}\n"},
    {"functools", "use functools.partial or functools {}", "use functools.partial or functools {}", ""},
    {"granite3", "<|tool_call|>[{\"name\": \"f\", \"arguments\": {}}]", "", "f(){}\n"},
    {"granite3", "<tool_call>[{\"name\": \"f\", \"arguments\": {}}]</tool_call>", "", "f(){}\n"},
    {"kimi-k2",
     "So<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{\"n\":1}<|tool_call_"
     "end|>"
     "<|tool_call_begin|>functions.a.b:1<|tool_call_argument_begin|>{}<|tool_call_end|><|tool_calls_section_end|>",
     "So", "f(functions.f:0){\"n\":1}\na.b(functions.a.b:1){}\n"},
    {"command-r7b",
     "<|START_ACTION|>[\n {\"tool_call_id\": \"0\", \"tool_name\": \"f\", \"parameters\": {\"s\": "
     "\"x\"}}\n]<|END_ACTION|>",
     "", "f(0){\"s\": \"x\"}\n"},
    {"nemotron", "<TOOLCALL>[{\"name\": \"f\", \"arguments\": {}}]</TOOLCALL>", "", "f(){}\n"},
    {"apertus", "<|tools_prefix|>[{\"f\": {\"n\": 1}}, {\"g\": {}}]<|tools_suffix|>", "", "f(){\"n\": 1}\ng(){}\n"},
    {"hunyuan", "<tool_calls>[{\"name\": \"f\", \"arguments\": {}}]</tool_calls>", "", "f(){}\n"},
    {"functionary", "f\n{\"n\": 1}>>>g\n{}", "", "f(){\"n\": 1}\ng(){}\n"},
    {"functionary", "all\nHello >> you>>>f\n{}", "Hello >> you", "f(){}\n"},
    {"functionary", ">>>python\nprint(1)\n>>>all\nDone", "Done", "python()print(1)\n"},
    {"functionary", "Hello\nworld", "Hello\nworld", ""},
};

typedef struct run {
    wick_toolcall_parser *p;
    wick_buf content, arguments; /* arguments: of the call that is read */
    json_t *calls;
} run;

static json_t *tools;

static int load_tools(void **state)
{
    (void)state;
    tools = json_loads(tools_text, 0, NULL);
    return tools ? 0 : -1;
}

static int drop_tools(void **state)
{
    (void)state;
    json_decref(tools);
    return 0;
}

/* The sink: text to content, each call to an object of the list. */
static wick_toolcall_place place(void *user)
{
    const run *x = user;
    size_t k = 0;
    while (k < x->content.n && strchr(" \t\r\n", x->content.data[k])) k++;
    return k == x->content.n && json_array_size(x->calls) == 0 ? WICK_PLACE_START : WICK_PLACE_TEXT;
}

static void text(void *user, const char *s, size_t n)
{
    wick_buf_add(&((run *)user)->content, s, n);
}

static wick_status call_begins(void *user, const char *id, const char *name, wick_err *err)
{
    run *x = user;
    json_t *c = json_pack("{s:s?, s:s}", "id", id, "name", name);
    if (!c || json_array_append_new(x->calls, c) != 0) return wick_err_oom(err, "test", 0, 0);
    wick_buf_reset(&x->arguments);
    return WICK_OK;
}

static void call_arguments(void *user, const char *s, size_t n)
{
    wick_buf_add(&((run *)user)->arguments, s, n);
}

static void call_ends(void *user)
{
    run *x = user;
    json_t *c = json_array_get(x->calls, json_array_size(x->calls) - 1);
    (void)json_object_set_new(c, "arguments", json_stringn(wick_buf_str(&x->arguments), x->arguments.n));
}

static wick_status start(run *x, const char *format, json_t *with_tools, const wick_toolcall_limits *limits)
{
    const wick_toolcall_sink sink = {x, place, text, call_begins, call_arguments, call_ends};
    memset(x, 0, sizeof *x);
    const wick_toolcall_format *f = wick_call_syntax_by_name(format);
    assert_non_null(f);
    x->calls = json_array();
    return wick_toolcall_parser_new(&x->p, f, with_tools, limits, &sink, NULL);
}

static void open_run(run *x, const char *format, const wick_toolcall_limits *limits)
{
    assert_int_equal(start(x, format, tools, limits), WICK_OK);
    assert_non_null(x->calls);
}

static void feed(run *x, const char *s, size_t n)
{
    assert_int_equal(wick_toolcall_feed(x->p, s, n, NULL), WICK_OK);
}

static void end(run *x)
{
    assert_int_equal(wick_toolcall_end(x->p, false, NULL), WICK_OK);
}

static void drop(run *x)
{
    wick_toolcall_parser_free(x->p);
    wick_buf_release(&x->content);
    wick_buf_release(&x->arguments);
    json_decref(x->calls);
}

static void print_calls(const json_t *calls, wick_buf *b)
{
    size_t i;
    const json_t *v;
    json_array_foreach(calls, i, v)
    {
        const char *id = json_string_value(json_object_get(v, "id"));
        wick_buf_printf(b, "%s(%s)%s\n", json_string_value(json_object_get(v, "name")), id ? id : "",
                        json_string_value(json_object_get(v, "arguments")));
    }
}

static void close_run(run *x, const char *content, const char *calls)
{
    wick_buf b = WICK_BUF_INIT;
    end(x);
    print_calls(x->calls, &b);
    assert_string_equal(wick_buf_str(&x->content), content);
    assert_string_equal(wick_buf_str(&b), calls);
    wick_buf_release(&b);
    drop(x);
}

static void test_whole_and_cut(void **state)
{
    (void)state;
    run x;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *t = cases[i].text;
        const size_t n = strlen(t);
        for (size_t k = 0; k <= n; k++) {
            open_run(&x, cases[i].format, NULL);
            feed(&x, t, k);
            feed(&x, t + k, n - k);
            close_run(&x, cases[i].content, cases[i].calls);
        }
        for (size_t step = 1; step < 8; step++) {
            open_run(&x, cases[i].format, NULL);
            for (size_t k = 0; k < n; k += step) feed(&x, t + k, n - k < step ? n - k : step);
            close_run(&x, cases[i].content, cases[i].calls);
        }
    }
}

/* Content that is out stays right, and nothing that may be a call is out before it is decided. */
static void test_prefixes(void **state)
{
    (void)state;
    run x;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        open_run(&x, cases[i].format, NULL);
        for (const char *s = cases[i].text; *s; s++) {
            feed(&x, s, 1);
            assert_true(x.content.n <= strlen(cases[i].content));
            assert_memory_equal(wick_buf_str(&x.content), cases[i].content, x.content.n);
        }
        drop(&x);
    }
}

static void test_at_once(void **state)
{
    (void)state;
    static const struct {
        const char *format, *text;
        size_t content, calls;
    } at[] = {
        {"hermes", "Hello <", 5, 0},
        {"hermes", "Hello you", 9, 0},
        {"hermes", "<tool_call>{\"name\":\"f\"", 0, 0},
        {"hermes", "<tool_call>{\"name\":\"f\"}", 0, 1},
        {"mistral", "[TOOL_CALLS][{\"name\":\"f\"}", 0, 1},
        {"mistral", "[TOOL_CALLS]f[ARGS]{}[TOOL_CALLS]g[ARGS]{", 0, 1},
        {"kimi-k2", "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{}", 0, 1},
        {"llama", "{\"answer\"", 9, 0},
        {"llama", "[1]", 3, 0},
        {"qwen3-coder", "<tool_call><function=g></function>", 0, 1},
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        run x;
        open_run(&x, at[i].format, NULL);
        feed(&x, at[i].text, strlen(at[i].text));
        assert_int_equal(x.content.n, at[i].content);
        assert_int_equal(json_array_size(x.calls), at[i].calls);
        drop(&x);
    }
}

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; wick_call_syntax_at(i); i++) {
        const wick_call_syntax *f = wick_call_syntax_at(i);
        assert_ptr_equal(wick_call_syntax_by_name(wick_call_syntax_name(f)), f);
        assert_true(wick_call_syntax_shape(f)->style != WICK_STYLE_PARAMS || wick_call_syntax_shape(f)->param_close);
    }
    assert_null(wick_call_syntax_by_name("?"));
    assert_string_equal(wick_call_syntax_open(wick_call_syntax_by_name("hermes")), "<tool_call>");
    assert_null(wick_call_syntax_open(wick_call_syntax_by_name("llama")));
}

static void many(wick_buf *b, const char *s, size_t times)
{
    for (size_t i = 0; i < times; i++) wick_buf_puts(b, s);
}

static void test_limits(void **state)
{
    (void)state;
    static const char call[] = "<tool_call>{\"name\":\"f\"}</tool_call>";
    const wick_toolcall_limits three = {.max_calls = 3}, small = {.max_call_bytes = 20};
    run x;
    wick_buf t = WICK_BUF_INIT;
    open_run(&x, "hermes", &three);
    for (int i = 0; i < 5; i++) feed(&x, call, sizeof call - 1);
    end(&x);
    assert_int_equal(json_array_size(x.calls), 3);
    assert_int_equal(x.content.n, 2 * (sizeof call - 1));
    drop(&x);
    for (size_t step = 1; step < 200; step += 50) {
        static const char long_call[] =
            "<tool_call>{\"name\":\"f\",\"arguments\":{\"s\":\"0123456789\"}}</tool_call> z";
        open_run(&x, "hermes", &small);
        for (size_t i = 0; i < sizeof long_call - 1; i += step)
            feed(&x, long_call + i, sizeof long_call - 1 - i < step ? sizeof long_call - 1 - i : step);
        close_run(&x, long_call, "");
        /* Arguments that pass the limit end there; the rest is text. */
        static const char head[] = "<tool_call>f<arg_key>s</arg_key><arg_value>";
        static char value[91], kept[80], rest[40];
        const wick_toolcall_limits some = {.max_call_bytes = 60};
        memset(value, 'x', 90);
        snprintf(kept, sizeof kept, "f(){\"s\":\"%.55s\n", value);
        snprintf(rest, sizeof rest, "%s", value + 55);
        open_run(&x, "glm4", &some);
        feed(&x, head, sizeof head - 1);
        for (size_t i = 0; i < 90; i += step) feed(&x, value + i, 90 - i < step ? 90 - i : step);
        close_run(&x, rest, kept);
    }
    /* Nesting: past the limit arguments are passed on as they are. */
    for (int depth = 62; depth < 66; depth++) {
        wick_buf_reset(&t);
        many(&t, "<tool_call>{\"name\":\"f\",\"arguments\":{\"l\":", 1);
        many(&t, "[", (size_t)depth);
        many(&t, "]", (size_t)depth);
        many(&t, "}}</tool_call>", 1);
        open_run(&x, "hermes", NULL);
        feed(&x, t.data, t.n);
        end(&x);
        assert_int_equal(json_array_size(x.calls), 1);
        const json_t *args = json_object_get(json_array_get(x.calls, 0), "arguments");
        json_t *v = json_loads(json_string_value(args), 0, NULL);
        assert_int_equal(v != NULL, depth <= 63);
        json_decref(v);
        drop(&x);
    }
    wick_buf_release(&t);
}

/* Long repetitions of everything that opens something: nothing is lost, and it ends. */
static void test_hostile(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<tool_call>",
                                         "<tool_call>{\"",
                                         "{",
                                         "[",
                                         "<function=f><parameter=a>",
                                         "[TOOL_CALLS]",
                                         "[TOOL_CALLS]f[ARGS]{\"",
                                         "functools[",
                                         ">>>f\n{",
                                         "\n",
                                         CALLS CALL,
                                         "<|tool_call>call:f{a:<|\"|>",
                                         "to=",
                                         "\xff\0x",
                                         "<tool_call>f<arg_key>a</arg_key>",
                                         "<|channel|>"};
    for (size_t f = 0; wick_call_syntax_at(f); f++)
        for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
            wick_buf t = WICK_BUF_INIT;
            run x;
            many(&t, pieces[i], 3000);
            open_run(&x, wick_call_syntax_name(wick_call_syntax_at(f)), NULL);
            for (size_t k = 0; k < t.n; k += 997) feed(&x, t.data + k, t.n - k < 997 ? t.n - k : 997);
            end(&x);
            if (json_array_size(x.calls) == 0) {
                assert_int_equal(x.content.n, t.n);
                assert_memory_equal(x.content.data, t.data, t.n);
            }
            drop(&x);
            wick_buf_release(&t);
        }
}

/* Endless white space and endless values cost what arrives, not what is held; white space comes out all but the end. */
static void test_long(void **state)
{
    (void)state;
    static const struct {
        const char *format, *head, *rest;
        size_t calls;
    } at[] = {
        {"hermes", "a", " \n", 0},
        {"hermes", "<tool_call>", " \n", 0},
        {"hermes", "<tool_call>{\"name\":\"", "}]\\\"", 0},
        {"qwen3-coder", "<tool_call><function=f><parameter=s>v</parameter>", " \n", 1},
        {"qwen3-coder", "<tool_call><function=f><parameter=s>", "</paramete", 1},
        {"mistral", "[TOOL_CALLS]f", " \n", 0},
        {"gemma4", "<|tool_call>call:f{s:<|\"|>", "<|\"|", 1},
    };
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        run x;
        wick_buf t = WICK_BUF_INIT;
        open_run(&x, at[i].format, NULL);
        many(&t, at[i].head, 1);
        many(&t, at[i].rest, 50000);
        for (size_t k = 0; k < t.n; k += 2) feed(&x, t.data + k, t.n - k < 2 ? t.n - k : 2);
        if (i == 0) assert_true(x.content.n > t.n - 2000);
        end(&x);
        assert_int_equal(json_array_size(x.calls), at[i].calls);
        if (at[i].calls == 0) {
            assert_int_equal(x.content.n, t.n);
            assert_memory_equal(x.content.data, t.data, t.n);
        }
        drop(&x);
        wick_buf_release(&t);
    }
}

static void test_no_tools(void **state)
{
    (void)state;
    run x;
    static const char call[] = "{\"name\": \"anything\", \"parameters\": {}}";
    assert_int_equal(start(&x, "llama", NULL, NULL), WICK_OK);
    feed(&x, call, sizeof call - 1);
    close_run(&x, "", "anything(){}\n");
}

/* Every allocation fails once, jansson's too: an error, no leak, no wrong success. */
static void test_no_memory(void **state)
{
    (void)state;
    json_set_alloc_funcs(wick_alloc, wick_free);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint64_t k = 1;; k++) {
            run x;
            wick_alloc_fail_at(k, k % 2);
            wick_status st = start(&x, cases[i].format, NULL, NULL);
            if (st == WICK_OK && !x.calls) st = WICK_E_OUT_OF_MEMORY;
            if (st == WICK_OK) st = wick_toolcall_feed(x.p, cases[i].text, strlen(cases[i].text), NULL);
            if (st == WICK_OK) st = wick_toolcall_end(x.p, false, NULL);
            wick_alloc_fail_at(0, false);
            drop(&x);
            if (st == WICK_OK) break;
            assert_int_equal(st, WICK_E_OUT_OF_MEMORY);
            assert_true(k < 10000);
        }
    json_set_alloc_funcs(malloc, free);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_cut), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_rows),          cmocka_unit_test(test_limits),   cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_long),          cmocka_unit_test(test_no_tools), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, load_tools, drop_tools);
}
