/* Whatever a grammar of calls lets through is calls that the syntax's reader takes, with arguments that their schema
 * takes: random texts of it, for every syntax. */
#include "chat/format/format.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/alloc.h"
#include "chat/answer.h"
#include "grammar/grammar.h"

static const char tools_text[] =
    "[{'type':'function','function':{'name':'get_weather','parameters':{'type':'object','properties':{"
    "'city':{'type':'string','maxLength':12},'days':{'type':'integer','minimum':1,'maximum':14},"
    "'unit':{'enum':['celsius','fahrenheit']},'exact':{'type':'boolean'}},'required':['city','unit'],"
    "'additionalProperties':false}}},"
    "{'type':'function','function':{'name':'get','parameters':{'type':'object','properties':{"
    "'note':{'type':['string','null'],'maxLength':8},'where':{'type':'object','properties':{'x':{'type':'number',"
    "'minimum':-9,'maximum':9,'multipleOf':0.5},'tag':{'type':'string','maxLength':6}},'required':['x'],"
    "'additionalProperties':false},'list':{'type':'array','items':{'type':'string','maxLength':5},'maxItems':3},"
    "'any':{'enum':['1',1,'true',true,null,'word',[1]]},'code':{'$ref':'#/$defs/code'}},'required':['where'],"
    "'additionalProperties':false,'$defs':{'code':{'type':'string','pattern':'^[0-9a-f]{2,4}$'}}}}},"
    "{'type':'function','function':{'name':'stop','parameters':{'type':'object','properties':{},"
    "'additionalProperties':false}}},"
    "{'type':'function','function':{'name':'free','parameters':{'type':'object','maxProperties':2,"
    "'additionalProperties':{'type':['string','integer'],'maxLength':4,'maximum':99,'minimum':0}}}}]";

static json_t *read_json(const char *text)
{
    char *copy = strdup(text);
    for (char *p = copy; *p; p++)
        if (*p == '\'') *p = '"';
    json_t *v = json_loads(copy, 0, NULL);
    assert_non_null(v);
    free(copy);
    return v;
}

static uint64_t seed;
static uint32_t pick(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % n;
}

/* A byte that may come, white space and letters less often than there are; -1: none. */
static int next_byte(wick_gmatcher *m)
{
    unsigned char may[256];
    size_t n = 0, k;
    wick_err err = {0};
    for (int b = 1; b < 256; b++) {
        const char c = (char)b;
        if (wick_gmatcher_accept_bytes(m, &c, 1, &k, &err) != WICK_OK) fail_msg("%s", err.message);
        wick_gmatcher_rollback(m, 1);
        if (k && (b > ' ' || pick(8) == 0)) may[n++] = (unsigned char)b;
        if (k && n == 0) may[0] = (unsigned char)b;
    }
    if (n == 0) {
        const char blank[] = " \n\t\r";
        for (int i = 0; i < 4; i++) {
            if (wick_gmatcher_accept_bytes(m, blank + i, 1, &k, &err) != WICK_OK) fail_msg("%s", err.message);
            wick_gmatcher_rollback(m, 1);
            if (k) return blank[i];
        }
        return -1;
    }
    return may[pick((uint32_t)n)];
}

/* A random text of the grammar that begins with `first`; false: none came to an end. */
static bool write_text(wick_grammar *g, const char *first, wick_buf *out)
{
    wick_gmatcher *m = NULL;
    wick_err err = {0};
    size_t k;
    bool ended = false;
    assert_int_equal(wick_gmatcher_new(&m, g, NULL, &err), WICK_OK);
    wick_buf_reset(out);
    wick_buf_puts(out, first);
    assert_int_equal(wick_gmatcher_accept_bytes(m, first, strlen(first), &k, &err), WICK_OK);
    if (k != strlen(first)) fail_msg("%s: may not begin a text (at %zu)", first, k);
    for (int i = 0; i < 6000 && !ended; i++) {
        const int b = next_byte(m);
        ended = wick_gmatcher_may_end(m) && (b < 0 || pick(3) == 0);
        if (ended) break;
        if (b < 0) fail_msg("nothing may come, and nothing may end: %.*s", (int)out->n, wick_buf_str(out));
        const char c = (char)b;
        assert_int_equal(wick_gmatcher_accept_bytes(m, &c, 1, &k, &err), WICK_OK);
        wick_buf_putc(out, c);
    }
    wick_gmatcher_free(m);
    return ended;
}

static bool fulfils(const json_t *schema, const char *text, size_t n)
{
    wick_grammar *g = NULL;
    wick_gmatcher *m = NULL;
    wick_err err = {0};
    size_t k = 0;
    char *s = json_dumps(schema, 0);
    assert_int_equal(wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, s, strlen(s), NULL, &err), WICK_OK);
    assert_int_equal(wick_gmatcher_new(&m, g, NULL, &err), WICK_OK);
    assert_int_equal(wick_gmatcher_accept_bytes(m, text, n, &k, &err), WICK_OK);
    const bool yes = k == n && wick_gmatcher_may_end(m);
    wick_gmatcher_free(m);
    wick_grammar_unref(g);
    free(s);
    return yes;
}

static const json_t *schema_of(const json_t *tools, const char *name)
{
    size_t i;
    const json_t *t;
    json_array_foreach(tools, i, t)
    {
        const json_t *fn = json_object_get(t, "function");
        if (strcmp(json_string_value(json_object_get(fn, "name")), name) == 0) return json_object_get(fn, "parameters");
    }
    fail_msg("no tool is called %s", name);
    return NULL;
}

/* Reads the text back; returns how many calls were in it. */
static uint32_t check(const wick_chat_format *f, json_t *tools, wick_buf *text, bool inside, bool must)
{
    wick_answer *a = NULL;
    wick_err err = {0};
    size_t n_text = 0;
    const wick_answer_opts o = {.format = *f, .tools = tools, .keep = true, .inside_reasoning = inside};
    assert_int_equal(wick_answer_new(&a, &o, &err), WICK_OK);
    assert_int_equal(wick_answer_feed(a, wick_buf_str(text), text->n, &err), WICK_OK);
    assert_int_equal(wick_answer_finish(a, WICK_FINISH_STOP, &err), WICK_OK);
    const uint32_t n = wick_answer_n_calls(a);
    const char *name = wick_call_syntax_name(f->calls), *rest = wick_answer_text(a, &n_text);
    for (uint32_t i = 0; i < n; i++) {
        const wick_call c = wick_answer_call(a, i);
        if (!fulfils(schema_of(tools, c.name), c.arguments, c.n_arguments))
            fail_msg("%s: %s(%s) from: %s", name, c.name, c.arguments, wick_buf_str(text));
    }
    if (must && (n == 0 || n_text))
        fail_msg("%s: %u calls and the text \"%s\" from: %s", name, n, rest, wick_buf_str(text));
    wick_answer_free(a);
    return n;
}

static wick_grammar *compile(const wick_chat_format *f, const wick_call_rules *r)
{
    wick_buf b = WICK_BUF_INIT;
    wick_grammar *g = NULL;
    wick_err err = {0};
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    o.max_ws = 2;
    o.schema_order = true;
    if (wick_call_constraint(f, r, &b, &err) != WICK_OK ||
        wick_grammar_compile(&g, WICK_GRAMMAR_CALLS, wick_buf_str(&b), b.n, &o, &err) != WICK_OK)
        fail_msg("%s: %s", wick_call_syntax_name(f->calls), err.message);
    wick_buf_release(&b);
    return g;
}

/* Texts for each syntax and way; WICK_ROUNDS makes more. An instrumented build takes seconds for one. */
static int rounds(void)
{
    const char *s = getenv("WICK_ROUNDS");
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return s ? atoi(s) : 1;
#else
    return s ? atoi(s) : 2;
#endif
}

static void forced_calls_are_calls(void **state)
{
    (void)state;
    json_t *tools = read_json(tools_text);
    wick_buf text = WICK_BUF_INIT;
    const wick_call_syntax *s;
    for (size_t k = 0; (s = wick_call_syntax_at(k)) != NULL; k++) {
        const wick_chat_format f = {.calls = s};
        for (int parallel = 0; parallel < 2; parallel++) {
            const wick_call_rules r = {.tools = tools, .parallel = parallel};
            wick_grammar *g = compile(&f, &r);
            int n_texts = 0;
            for (int i = 0; i < 3 * rounds() && n_texts < rounds(); i++) { /* some texts never end */
                seed = k * 1000 + (size_t)i * 7 + (size_t)parallel;
                if (!write_text(g, "", &text)) continue;
                n_texts++;
                const uint32_t n = check(&f, tools, &text, false, true);
                if (!parallel) assert_int_equal(n, 1);
            }
            if (!n_texts) fail_msg("%s: no text came to an end", wick_call_syntax_name(s));
            wick_grammar_unref(g);
        }
    }
    wick_buf_release(&text);
    json_decref(tools);
}

/* Free text may end anywhere; from a call's beginning on it is a call. */
static void free_text_is_free_until_a_call(void **state)
{
    (void)state;
    json_t *tools = read_json(tools_text);
    wick_buf text = WICK_BUF_INIT;
    const wick_call_syntax *s;
    for (size_t k = 0; (s = wick_call_syntax_at(k)) != NULL; k++) {
        const wick_chat_format f = {.calls = s};
        const wick_call_rules r = {.tools = tools, .automatic = true};
        const wick_call_shape *shape = wick_call_syntax_shape(s);
        wick_grammar *g = compile(&f, &r);
        wick_gmatcher *m = NULL;
        wick_err err = {0};
        size_t n;
        assert_int_equal(wick_gmatcher_new(&m, g, NULL, &err), WICK_OK);
        static const char words[] = "It is <b>warm</b> & {\"sunny\"} [today]: f(x) = <tool>, \xc3\xa9.\n";
        for (size_t i = 0; i < strlen(words); i++) {
            assert_int_equal(wick_gmatcher_accept_bytes(m, words + i, 1, &n, &err), WICK_OK);
            if (n != 1 || !wick_gmatcher_may_end(m)) fail_msg("%s: text at %zu", wick_call_syntax_name(s), i);
        }
        wick_gmatcher_free(m);
        seed = k;
        wick_buf_reset(&text);
        wick_buf_printf(&text, "%s%s", shape->trigger && k % 2 ? "Wait. " : "", shape->trigger ? shape->trigger : "");
        char *first = strdup(wick_buf_str(&text));
        if (shape->trigger && write_text(g, first, &text)) assert_int_equal(check(&f, tools, &text, false, false), 1);
        free(first);
        wick_grammar_unref(g);
    }
    wick_buf_release(&text);
    json_decref(tools);
}

static void reasoning_is_free(void **state)
{
    (void)state;
    json_t *tools = read_json(tools_text);
    wick_buf text = WICK_BUF_INIT;
    static const struct {
        const char *calls, *think, *first;
        bool inside, automatic;
    } cases[] = {{"hermes", "think", "<think>\nA <tool_call> or {\"name\": 1}?\n</think>\n\n", false, false},
                 {"hermes", "think", "A <tool_call> it is.</think>\n", true, false},
                 {"hermes", "think", "A <tool_call> it is.</think>\n<tool_call>", true, true},
                 {"qwen3-coder", "think", "<think>x</think><tool_call>\n<function=stop>", false, true},
                 {"harmony", "harmony", "<|channel|>analysis<|message|>Hm.<|end|><|start|>assistant", false, false},
                 {"gemma4", "gemma4", "<|channel>thought\nHm.<channel|><|tool_call>", false, false},
                 {"mistral", "mistral", "[THINK]Hm.[/THINK][TOOL_CALLS]", false, false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const wick_chat_format f = {.calls = wick_call_syntax_by_name(cases[i].calls),
                                    .think = wick_think_syntax_by_name(cases[i].think)};
        const wick_call_rules r = {
            .tools = tools, .automatic = cases[i].automatic, .inside_reasoning = cases[i].inside};
        wick_grammar *g = compile(&f, &r);
        seed = i;
        if (write_text(g, cases[i].first, &text))
            assert_int_equal(check(&f, tools, &text, cases[i].inside, !cases[i].automatic), 1);
        wick_grammar_unref(g);
    }
    wick_buf_release(&text);
    json_decref(tools);
}

static void what_cannot_be_kept_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *calls, *tools, *part;
        bool strict;
    } cases[] = {{"hermes",
                  "[{'type':'function','function':{'name':'f','parameters':{'type':'object','$ref':'x.json'}}}]",
                  "x.json", true},
                 {"qwen3-coder",
                  "[{'type':'function','function':{'name':'f','parameters':{'type':'object','required':['a b']}}}]",
                  "\"a b\"", false},
                 {"lfm2", "[{'type':'function','function':{'name':'a b'}}]", "\"a b\"", false},
                 {"hermes", "[{'type':'function','function':{'name':'f','parameters':{'type':'array'}}}]",
                  "no arguments", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        json_t *tools = read_json(cases[i].tools), *names = json_pack("{s:b}", "f", 1);
        const wick_chat_format f = {.calls = wick_call_syntax_by_name(cases[i].calls)};
        const wick_call_rules r = {.tools = tools, .strict = cases[i].strict ? names : NULL};
        wick_buf b = WICK_BUF_INIT;
        wick_grammar *g = NULL;
        wick_err err = {0};
        wick_status st = wick_call_constraint(&f, &r, &b, &err);
        if (st == WICK_OK) st = wick_grammar_compile(&g, WICK_GRAMMAR_CALLS, wick_buf_str(&b), b.n, NULL, &err);
        assert_int_equal(st, WICK_E_BAD_PARAMETER);
        if (!strstr(err.message, cases[i].part)) fail_msg("expected %s in: %s", cases[i].part, err.message);
        wick_buf_release(&b);
        json_decref(tools);
        json_decref(names);
    }
}

/* Every allocation fails once: an error each time, and nothing is left behind. */
static void memory_may_run_out(void **state)
{
    (void)state;
    static const char *const names[] = {"hermes", "qwen3-coder"};
    for (size_t k = 0; k < 2; k++) {
        json_t *tools = read_json("[{'type':'function','function':{'name':'f','parameters':{'type':'object',"
                                  "'properties':{'a':{'type':'string'}},'required':['a']}}}]");
        const wick_chat_format f = {.calls = wick_call_syntax_by_name(names[k])};
        const wick_call_rules r = {.tools = tools};
        wick_buf b = WICK_BUF_INIT;
        assert_int_equal(wick_call_constraint(&f, &r, &b, NULL), WICK_OK);
        for (uint64_t n = 1;; n++) {
            wick_grammar *g = NULL;
            wick_err err = {0};
            wick_gmatcher *m = NULL;
            const char *text =
                k ? "<tool_call>\n<function=f>\n<parameter=a>\nx\n</parameter>\n</function>\n</tool_call>"
                  : "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"x\"}}\n</tool_call>";
            size_t ok = 0;
            wick_alloc_fail_at(n, false);
            wick_status st = wick_grammar_compile(&g, WICK_GRAMMAR_CALLS, wick_buf_str(&b), b.n, NULL, &err);
            if (st == WICK_OK) st = wick_gmatcher_new(&m, g, NULL, &err);
            if (st == WICK_OK) st = wick_gmatcher_accept_bytes(m, text, strlen(text), &ok, &err);
            wick_alloc_fail_at(0, false);
            if (st == WICK_OK) assert_int_equal(ok, strlen(text));
            wick_gmatcher_free(m);
            wick_grammar_unref(g);
            if (st == WICK_OK && n > 100) break;
            assert_true(n < 5000);
        }
        wick_buf_release(&b);
        json_decref(tools);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forced_calls_are_calls), cmocka_unit_test(free_text_is_free_until_a_call),
        cmocka_unit_test(reasoning_is_free),      cmocka_unit_test(what_cannot_be_kept_is_said),
        cmocka_unit_test(memory_may_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
