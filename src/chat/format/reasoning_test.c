/* The splitter of reasoning and content: every sample whole, byte by byte, and cut at every position and pair. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "chat/format/reasoning.h"

/* Rows by name; NULL: none. */
static const char none[] = "", think[] = "think", seed[] = "seed", mistral[] = "mistral", gemma[] = "gemma4",
                  cohere[] = "cohere", harmony[] = "harmony", granite[] = "granite", apertus[] = "apertus",
                  kimi3[] = "kimi-k3", apriel[] = "apriel", minimax3[] = "minimax-m3";

static const wick_think_syntax *row(const char *name)
{
    const wick_think_syntax *t = *name ? wick_think_syntax_by_name(name) : NULL;
    assert_true(t || !*name);
    return t;
}

static const struct {
    const char *syntax, *prompt, *text, *reasoning, *content;
} cases[] = {
    {none, "", "<think>a</think>b", "", "<think>a</think>b"},
    {none, "<think>", " x\n", "", " x\n"},
    {think, "", "", "", ""},
    {think, "", "plain < text </think> <think>x\n", "", "plain < text </think> <think>x\n"},
    {think, "", "\n\n lead", "", "\n\n lead"},
    {think, "", " \n", "", " \n"},
    {think, "", "<thin", "", "<thin"},
    {think, "", "<thinking>no</thinking>", "", "<thinking>no</thinking>"},
    {think, "", "<think>why</think>Hi", "why", "Hi"},
    {think, "", "\n<think>\nwhy\n  so\n</think>\n\nHi\n", "why\n  so", "Hi\n"},
    {think, "", "<think>\n\n</think>\n\nHi", "", "Hi"},
    {think, "", "<think></think>", "", ""},
    {think, "", "<think>a</think>b<think>c</think>", "a", "b<think>c</think>"},
    {think, "", "<think>a</think>\n<think>b</think>\n\nc", "a\nb", "c"},
    {think, "", "<think>a < b <</think", "a < b <</think", ""},
    {think, "", "<think>cut \n", "cut \n", ""},
    {think, "", "<think>a<think>b</think>c", "a<think>b", "c"},
    {think, "", "<think>a <</think>b", "a <", "b"},
    {think, "<|im_start|>assistant\n<think>\n", "why\n</think>\n\nHi", "why", "Hi"},
    {think, "<think>", "<think>\nwhy</think>Hi", "why", "Hi"},
    {think, "<think>", "why <think> and</think>Hi", "why <think> and", "Hi"},
    {think, "<think>\n", "never closed", "never closed", ""},
    {think, "<think>\n\n</think>\n\n", "Hi", "", "Hi"},
    {think, "what is <think> for?<|im_start|>assistant\n", "A tag", "", "A tag"},
    {think, "think>", "Hi", "", "Hi"},
    {think, "<think>", "d\xc3\xa9j\xc3\xa0 \xe2\x80\x94</think>\xe2\x82\xac", "d\xc3\xa9j\xc3\xa0 \xe2\x80\x94",
     "\xe2\x82\xac"},
    {seed, "", "<seed:think>a</seed:think>\nb", "a", "b"},
    {mistral, "", "[THINK]a[b]\n[/THINK]b [c] [TOOL_CALLS]f", "a[b]", "b [c] [TOOL_CALLS]f"},
    {mistral, "", "hm [THINK]a[/THINK] b[THINK]c[/THINK]d[/THINK]", "a\nc", "hm bd[/THINK]"},
    {gemma, "", "<|channel>thought\nlet me\nsee<channel|>Hi <|tool_call>call:f{}<tool_call|>", "let me\nsee",
     "Hi <|tool_call>call:f{}<tool_call|>"},
    {gemma, "", "<|channel>thought\n<channel|>Hi", "", "Hi"},
    {gemma, "<|channel>thought\n", "x<channel|>y", "x", "y"},
    {gemma, "", "Hi<channel|> there", "", "Hi there"},
    {gemma, "", "<channel|>Hi", "", "Hi"},
    {granite, "", "<think>a</think><response>b</response>", "a", "b"},
    {granite, "", "<response>b</response>", "", "b"},
    {granite, "", "the <response> tag", "", "the <response> tag"},
    {apertus, "", "<|inner_prefix|>a<|inner_suffix|>Hi<|inner_prefix|>b<|inner_suffix|>", "a\nb", "Hi"},
    {kimi3, "<|open|>think<|sep|>",
     "why<|close|>think<|sep|><|open|>response<|sep|>Hi<|close|>response<|sep|><|close|>message<|sep|>", "why", "Hi"},
    {apriel, "Here are my reasoning steps:\n", "why\n[BEGIN FINAL RESPONSE]\nHi[END FINAL RESPONSE]", "why", "Hi"},
    {minimax3, "", "<mm:think>a</mm:think>b", "a", "b"},
    {cohere, "", "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>", "a", "b"},
    {cohere, "", "<|START_THINKING|>a<|END_THINKING|>\n<|START_ACTION|>[]<|END_ACTION|>", "a",
     "<|START_ACTION|>[]<|END_ACTION|>"},
    {harmony, "<|start|>assistant",
     "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>Hi<|return|>", "why", "Hi"},
    {harmony, "<|start|>assistant<|channel|>analysis<|message|>",
     "why<|end|><|start|>assistant<|channel|>final<|message|>Hi", "why", "Hi"},
    {harmony, "", "no tags at all < | >", "", "no tags at all < | >"},
    {harmony, "", "<|channel|>final<|message|>Hi there<|return|>", "", "Hi there"},
    {harmony, "", "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|>",
     "a\nb", ""},
    {harmony, "",
     "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>First.<|end|>"
     "<|start|>assistant<|channel|>final<|message|>Then.",
     "a", "First.\nThen."},
    {harmony, "",
     "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f "
     "<|constrain|>json<|message|>{\"a\": \"<|x\"}<|call|>",
     "a",
     "<|start|>assistant<|channel|>commentary to=functions.f <|constrain|>json<|message|>{\"a\": \"<|x\"}<|call|>"},
    {harmony, "<|start|>assistant", " to=functions.f<|channel|>commentary json<|message|>{}<|call|>", "",
     "<|start|>assistant to=functions.f<|channel|>commentary json<|message|>{}<|call|>"},
    {harmony, "", "to=be or not", "", "to=be or not"},
    {harmony, "", "<|channel|>fin", "", ""},
    {harmony, "", "<|channel|>analysis<|message|>open", "open", ""},
};

typedef struct run {
    wick_reasoning r;
    wick_buf reasoning, content;
} run;

static void keep(void *user, bool reasoning, const char *s, size_t n)
{
    run *x = user;
    wick_buf_add(reasoning ? &x->reasoning : &x->content, s, n);
}

static void begin(run *x, const wick_think_syntax *t, const char *prompt)
{
    memset(x, 0, sizeof *x);
    x->r.out = keep;
    x->r.user = x;
    wick_reasoning_begin(&x->r, t, wick_think_begins_inside(t, prompt, strlen(prompt)));
}

static void begin_tags(run *x, const char *open, const char *close, bool inside)
{
    memset(x, 0, sizeof *x);
    x->r.out = keep;
    x->r.user = x;
    assert_int_equal(wick_reasoning_init_tags(&x->r, open, close, inside, NULL), WICK_OK);
}

static void open_run(run *x, size_t i)
{
    begin(x, row(cases[i].syntax), cases[i].prompt);
}

static void feed(run *x, const char *s, size_t n)
{
    wick_reasoning_feed(&x->r, s, n);
}

static void close_run(run *x, const char *reasoning, const char *content)
{
    wick_reasoning_end(&x->r);
    assert_string_equal(wick_buf_str(&x->reasoning), reasoning);
    assert_string_equal(wick_buf_str(&x->content), content);
    wick_buf_release(&x->reasoning);
    wick_buf_release(&x->content);
}

static void test_whole_and_cut(void **state)
{
    (void)state;
    run x;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *t = cases[i].text;
        const size_t n = strlen(t);
        open_run(&x, i);
        for (size_t k = 0; k < n; k++) feed(&x, t + k, 1);
        close_run(&x, cases[i].reasoning, cases[i].content);
        for (size_t a = 0; a <= n; a++)
            for (size_t b = a; b <= n; b++) {
                open_run(&x, i);
                feed(&x, t, a);
                feed(&x, t + a, b - a);
                feed(&x, t + b, n - b);
                close_run(&x, cases[i].reasoning, cases[i].content);
            }
    }
}

/* What came out before the end is a beginning of what comes out in total: no part of a tag. */
static void test_prefixes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t k = 0; k <= strlen(cases[i].text); k++) {
            run x;
            open_run(&x, i);
            feed(&x, cases[i].text, k);
            assert_memory_equal(wick_buf_str(&x.reasoning), cases[i].reasoning, x.reasoning.n);
            assert_memory_equal(wick_buf_str(&x.content), cases[i].content, x.content.n);
            wick_buf_release(&x.reasoning);
            wick_buf_release(&x.content);
        }
}

static void test_no_delay(void **state)
{
    (void)state;
    static const char text[] = "A line.\n\n  another ";
    const char *const all[] = {none, think, mistral, gemma, cohere, harmony};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        run x = {0};
        begin(&x, row(all[i]), "");
        feed(&x, "A", 1);
        for (size_t k = 1; k < sizeof text; k++) {
            assert_int_equal(x.content.n, k);
            feed(&x, text + k, 1);
        }
        wick_buf_release(&x.content);
    }
}

/* What passes the bounds of what is held is text, however it is cut. */
static void test_bounds(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 7, 100, 5000};
    static char text[4000];
    for (int kind = 0; kind < 3; kind++)
        for (size_t s = 0; s < sizeof steps / sizeof *steps; s++) {
            run x = {0};
            memset(text, kind == 2 ? 'x' : ' ', sizeof text);
            if (kind == 2) memcpy(text, "<|channel|>", 11);
            text[sizeof text - 1] = 'z';
            begin(&x, row(kind == 2 ? harmony : think), kind == 1 ? "<think>" : "");
            for (size_t i = 0; i < sizeof text; i += steps[s])
                feed(&x, text + i, sizeof text - i < steps[s] ? sizeof text - i : steps[s]);
            wick_reasoning_end(&x.r);
            if (kind == 1) {
                assert_string_equal(wick_buf_str(&x.reasoning), "z");
            } else {
                assert_int_equal(x.content.n, sizeof text);
                assert_memory_equal(x.content.data, text, sizeof text);
            }
            wick_buf_release(&x.reasoning);
            wick_buf_release(&x.content);
        }
}

static void test_tags(void **state)
{
    (void)state;
    static const char text[] = "\xc2\xabwhy\xc2\xbb Hi";
    char tag[WICK_REASONING_TAG_MAX + 2] = {0};
    run x = {0};
    begin_tags(&x, "\xc2\xab", "\xc2\xbb", false);
    for (size_t i = 0; i + 1 < sizeof text; i++) feed(&x, text + i, 1);
    close_run(&x, "why", "Hi");
    begin_tags(&x, "<t>", NULL, true);
    feed(&x, "<t>x", 4);
    close_run(&x, "", "<t>x");
    /* A call ends reasoning; the tag that closes it may still come, once. */
    begin_tags(&x, "<t>", "</t>", true);
    feed(&x, "why ", 4);
    wick_reasoning_interrupt(&x.r);
    feed(&x, "\n</t>\n\nf</t> x", 14);
    close_run(&x, "why", "f</t> x");
    begin_tags(&x, "<t>", "</t>", true);
    feed(&x, "why </", 6);
    wick_reasoning_interrupt(&x.r);
    feed(&x, "f</t> x", 7);
    close_run(&x, "why </", "f x");
    memset(tag, 'x', WICK_REASONING_TAG_MAX + 1);
    assert_int_equal(wick_reasoning_init_tags(&x.r, tag, "</t>", false, NULL), WICK_E_BAD_PARAMETER);
    assert_int_equal(wick_reasoning_init_tags(&x.r, "<t>", "", false, NULL), WICK_E_BAD_PARAMETER);
}

/* Random mixtures of pieces of tags: any cut gives the same. */
static void test_random(void **state)
{
    (void)state;
    static const char *const pieces[] = {"<think>",
                                         "</think>",
                                         "<|channel|>",
                                         "analysis",
                                         "final",
                                         "<|message|>",
                                         "<|end|>",
                                         "<|start|>",
                                         "assistant",
                                         " to=f ",
                                         "<|call|>",
                                         "\n",
                                         "<",
                                         "[THINK]",
                                         "[/THINK]",
                                         "<|",
                                         "x",
                                         " ",
                                         "<|channel>",
                                         "<channel|>",
                                         "thought",
                                         "[",
                                         "<|channel|>analysis<|message|>"};
    const char *const all[] = {think, mistral, gemma, cohere, harmony};
    uint32_t seed_ = 12345;
    for (int round = 0; round < 3000; round++) {
        wick_buf text = WICK_BUF_INIT;
        run a = {0}, b = {0};
        const wick_think_syntax *t = row(all[round % 5]);
        for (int k = 0; k < 12; k++) {
            seed_ = seed_ * 1664525u + 1013904223u;
            wick_buf_puts(&text, pieces[(seed_ >> 16) % (sizeof pieces / sizeof *pieces)]);
        }
        const char *prompt = round & 1 ? t->open : "";
        begin(&a, t, prompt);
        begin(&b, t, prompt);
        feed(&a, text.data, text.n);
        for (size_t i = 0; i < text.n;) {
            seed_ = seed_ * 1664525u + 1013904223u;
            size_t n = (seed_ >> 20) % 9;
            if (n > text.n - i) n = text.n - i;
            feed(&b, text.data + i, n);
            i += n;
        }
        wick_reasoning_end(&a.r);
        close_run(&b, wick_buf_str(&a.reasoning), wick_buf_str(&a.content));
        wick_buf_release(&a.reasoning);
        wick_buf_release(&a.content);
        wick_buf_release(&text);
    }
}

/* The splitter allocates nothing itself; a failed buffer stays failed and nothing is lost silently. */
static void test_no_memory(void **state)
{
    (void)state;
    static const char text[] = "<think>why</think>Hi";
    for (uint64_t k = 1; k <= 3; k++) {
        run x = {0};
        begin(&x, row(think), "");
        wick_alloc_fail_at(k, true);
        feed(&x, text, sizeof text - 1);
        wick_reasoning_end(&x.r);
        wick_alloc_fail_at(0, false);
        assert_int_equal(x.reasoning.failed, k == 1);
        assert_int_equal(x.content.failed, k <= 2);
        wick_buf_release(&x.reasoning);
        wick_buf_release(&x.content);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_cut), cmocka_unit_test(test_prefixes), cmocka_unit_test(test_no_delay),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_tags),     cmocka_unit_test(test_random),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
