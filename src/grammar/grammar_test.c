/* Expressions, numbers, formulas and masks at their edges; whole schemas are compared with other validators in
 * tests/grammar. */
#include "grammar/grammar.h"
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "base/alloc.h"
#include "grammar/num.h"
#include "grammar/pattern.h"

static bool accepts(wick_grammar_kind kind, const char *grammar, const char *text)
{
    wick_grammar *g = NULL;
    wick_gmatcher *m = NULL;
    wick_err err = {0};
    size_t n = 0;
    if (wick_grammar_compile(&g, kind, grammar, strlen(grammar), NULL, &err) != WICK_OK) fail_msg("%s", err.message);
    assert_int_equal(wick_gmatcher_new(&m, g, NULL, &err), WICK_OK);
    assert_int_equal(wick_gmatcher_accept_bytes(m, text, strlen(text), &n, &err), WICK_OK);
    bool yes = n == strlen(text) && wick_gmatcher_may_end(m);
    wick_gmatcher_free(m);
    wick_grammar_unref(g);
    return yes;
}

static bool schema(const char *s, const char *text)
{
    return accepts(WICK_GRAMMAR_JSON_SCHEMA, s, text);
}

static void refused(wick_grammar_kind kind, const char *grammar, const char *part)
{
    wick_grammar *g = NULL;
    wick_err err = {0};
    assert_int_not_equal(wick_grammar_compile(&g, kind, grammar, strlen(grammar), NULL, &err), WICK_OK);
    if (!strstr(err.message, part)) fail_msg("expected \"%s\" in \"%s\"", part, err.message);
}

static void numbers_are_compared_exactly(void **state)
{
    (void)state;
    static const char *const numbers[] = {"0",     "-0",    "1",      "-1",   "0.5",   "2",     "2.0",     "2.05",
                                          "19",    "20",    "20.001", "100",  "1e2",   "1E+2",  "1.5e-05", "9.9e9",
                                          "-3e-4", "-20.5", "123",    "1e16", "0.001", "-0.001"};
    static const char *const bounds[] = {"0", "1", "2", "2.05", "20", "-20.5", "0.001", "100", "-1", "1.5e-5", "1e16"};
    static const wick_num_op ops[] = {NUM_LT, NUM_LE, NUM_GE, NUM_GT};
    wick_re_pool p;
    assert_int_equal(wick_re_pool_init(&p, NULL, NULL), WICK_OK);
    for (size_t b = 0; b < sizeof bounds / sizeof *bounds; b++) {
        for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
            wick_decimal x, y;
            assert_true(wick_decimal_parse(&x, numbers[i], strlen(numbers[i])));
            assert_true(wick_decimal_parse(&y, bounds[b], strlen(bounds[b])));
            int c = wick_decimal_cmp(&x, &y);
            const bool want[] = {c<0, c <= 0, c >= 0, c> 0};
            for (int o = 0; o < 4; o++) {
                bool got = wick_re_match(&p, wick_num_bound(&p, ops[o], &y), numbers[i], strlen(numbers[i]));
                if (got != want[o]) fail_msg("%s op %d %s: %d", numbers[i], o, bounds[b], got);
            }
            if (c == 0) assert_true(wick_re_match(&p, wick_num_equal(&p, &y), numbers[i], strlen(numbers[i])));
        }
    }
    assert_true(wick_re_ok(&p));
    wick_re_pool_release(&p);
}

static void multiples_are_exact(void **state)
{
    (void)state;
    char text[32], s[64];
    for (int m = 1; m < 60; m += 7)
        for (int x = -200; x <= 200; x += 3) {
            snprintf(s, sizeof s, "{\"type\":\"integer\",\"multipleOf\":%d}", m);
            snprintf(text, sizeof text, "%d", x);
            assert_int_equal(schema(s, text), x % m == 0);
        }
    assert_true(schema("{\"multipleOf\":0.01}", "19.99"));
    assert_false(schema("{\"multipleOf\":0.01}", "19.995"));
    assert_true(schema("{\"multipleOf\":0.5}", "1e20"));
}

static void patterns_know_their_edges(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool yes;
    } cases[] = {{"a|bc", "bc", true},
                 {"a|bc", "abc", false},
                 {"(a|b)*c{2,3}", "abbacc", true},
                 {"^a$", "a", true},
                 {"x(?!y)[a-z]", "xz", true},
                 {"x(?!y)[a-z]", "xy", false},
                 {"(?i)stra", "StRA", true},
                 {"[^a-c]+", "d\xc3\xa9", true},
                 {".", "\n", false},
                 {"(?s).", "\n", true},
                 {"\\d{3}", "12", false},
                 {"(?=.*z)[a-z]{3}", "azb", true},
                 {"(?=.*z)[a-z]{3}", "abc", false},
                 {"(^a|b)c", "ac", true},
                 {"a?^b", "b", true},
                 {"a?^b", "ab", false}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (accepts(WICK_GRAMMAR_REGEX, cases[i].pattern, cases[i].text) != cases[i].yes)
            fail_msg("%s on %s", cases[i].pattern, cases[i].text);
    refused(WICK_GRAMMAR_REGEX, "(a)\\1", "backreferences");
    refused(WICK_GRAMMAR_REGEX, "(?<=a)b", "lookbehind");
    refused(WICK_GRAMMAR_REGEX, "a)", "without its (");
    refused(WICK_GRAMMAR_REGEX, "*a", "nothing to repeat");
    refused(WICK_GRAMMAR_REGEX, "a&&(b", "expected )");
}

static void keys_come_in_any_order_and_once(void **state)
{
    (void)state;
    const char *s = "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{}},\"required\":[\"b\"],\"type\":\"object\"}";
    assert_true(schema(s, "{\"b\":1,\"a\":2}"));
    assert_true(schema(s, "{\"zz\" : [ ] , \"b\":{}}"));
    assert_false(schema(s, "{\"a\":2}"));
    assert_false(schema(s, "{\"b\":1,\"b\":2}"));
    assert_false(schema(s, "{\"b\":1,\"z\":1,\"\\u007a\":2}"));
    wick_grammar_options o = WICK_GRAMMAR_OPTIONS_INIT;
    wick_grammar *g = NULL;
    wick_gmatcher *m = NULL;
    size_t n = 0;
    o.schema_order = true;
    assert_int_equal(wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, s, strlen(s), &o, NULL), WICK_OK);
    assert_int_equal(wick_gmatcher_new(&m, g, NULL, NULL), WICK_OK);
    assert_int_equal(wick_gmatcher_accept_bytes(m, "{\"b\":1,\"a\":2}", 13, &n, NULL), WICK_OK);
    assert_int_equal(n, 9); /* "a is still possible as the beginning of a new key, its end is not */
    wick_gmatcher_rollback(m, 1);
    assert_int_equal(wick_gmatcher_accept_bytes(m, "{\"a\":2,\"b\":1}", 13, &n, NULL), WICK_OK);
    assert_int_equal(n, 13);
    wick_gmatcher_free(m);
    wick_grammar_unref(g);
}

static void alternatives_are_followed_exactly(void **state)
{
    (void)state;
    const char *s = "{\"oneOf\":[{\"required\":[\"a\"]},{\"required\":[\"b\"]}],\"type\":\"object\"}";
    assert_true(schema(s, "{\"a\":1}"));
    assert_false(schema(s, "{\"a\":1,\"b\":1}"));
    assert_false(schema(s, "{}"));
    assert_true(schema("{\"contains\":{\"type\":\"string\"},\"maxContains\":1}", "[1,\"a\",2]"));
    assert_false(schema("{\"contains\":{\"type\":\"string\"},\"maxContains\":1}", "[\"b\",\"a\",2]"));
    assert_true(schema("{\"not\":{\"pattern\":\"^x\"},\"type\":\"string\"}", "\"yx\""));
    assert_false(schema("{\"not\":{\"pattern\":\"^x\"},\"type\":\"string\"}", "\"\\u0078y\""));
    assert_false(schema("{\"uniqueItems\":true}", "[{\"a\":1,\"b\":2},{\"b\":2.0,\"a\":1}]"));
    assert_true(schema("{\"uniqueItems\":true}", "[1,true,\"1\",[1]]"));
    s = "{\"if\":{\"properties\":{\"k\":{\"const\":1}},\"required\":[\"k\"]},\"then\":{\"required\":[\"x\"]}}";
    assert_false(schema(s, "{\"k\":1}"));
    assert_true(schema(s, "{\"k\":1,\"x\":0}"));
    assert_true(schema(s, "{\"k\":2}"));
    refused(WICK_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"#\"}", "without end");
    refused(WICK_GRAMMAR_JSON_SCHEMA, "{\"$ref\":\"other.json\"}", "not in this document");
    refused(WICK_GRAMMAR_JSON_SCHEMA, "{\"type\":\"string\",\"enum\":[1]}", "no value fulfils it");
    refused(WICK_GRAMMAR_JSON_SCHEMA, "{\"properties\":{\"a\":{\"pattern\":\"(a)\\\\1\"}}}", "at /properties/a");
}

static void rules_are_read(void **state)
{
    (void)state;
    const char *g = "# sums\nroot ::= root \"+\" term | term\nterm ::= [0-9]{1,3} | \"(\" root \")\"\n";
    assert_true(accepts(WICK_GRAMMAR_GBNF, g, "1+(22+3)+((4))"));
    assert_false(accepts(WICK_GRAMMAR_GBNF, g, "1+(22+3"));
    assert_false(accepts(WICK_GRAMMAR_GBNF, g, "1234"));
    assert_true(accepts(WICK_GRAMMAR_GBNF, "root ::= (\"a\" | root root)*", "aaaa"));
    assert_true(accepts(WICK_GRAMMAR_GBNF, "root ::= x{2,3}\nx ::= \"(\" x* \")\"", "()(())()"));
    assert_false(accepts(WICK_GRAMMAR_GBNF, "root ::= x{2,3}\nx ::= \"(\" x* \")\"", "()()()()"));
    assert_true(accepts(WICK_GRAMMAR_GBNF, "root ::= [^a-c\\x00]+ \"\\u00e9\"", "xy\xc3\xa9"));
    refused(WICK_GRAMMAR_GBNF, "root ::= x", "\"x\" is not defined");
    refused(WICK_GRAMMAR_GBNF, "root ::= root \"a\"", "no text fulfils it");
    refused(WICK_GRAMMAR_GBNF, "root ::= <[10]>", "tokens are not supported");
    refused(WICK_GRAMMAR_GBNF, "a ::= \"a\"", "no rule \"root\"");
    g = "start: sum\n?sum: sum \"+\" item -> add\n  | item // one\nitem: NUMBER | \"(\" sum \")\" | NAME "
        "[\"!\"]\nNAME: LETTER "
        "(LETTER|DIGIT)~0..2\n%import common.NUMBER\n%import common (LETTER, DIGIT)\n%ignore \" \"\n";
    assert_true(accepts(WICK_GRAMMAR_LARK, g, " 1.5e3 + ( a1 ! )+2"));
    assert_false(accepts(WICK_GRAMMAR_LARK, g, "1 + + 2"));
    assert_false(accepts(WICK_GRAMMAR_LARK, g, "abcd"));
    assert_true(accepts(WICK_GRAMMAR_LARK, "start: t \"x\"\nt[lazy]: /.*?end/", "a endx"));
    assert_false(accepts(WICK_GRAMMAR_LARK, "start: t \"x\"\nt[lazy]: /.*?end/", "a end endx"));
    refused(WICK_GRAMMAR_LARK, "start: %json {}", "%json is not supported");
    refused(WICK_GRAMMAR_LARK, "start: t{\"a\"}", "line 1");
    refused(WICK_GRAMMAR_LARK, "start: a", "\"a\" is not defined");
}

static void limits_hold(void **state)
{
    (void)state;
    assert_true(accepts(WICK_GRAMMAR_REGEX, "a{1000000000}|b", "b"));
    assert_false(schema("{\"minLength\":1000000000,\"type\":\"string\"}", "\"a\""));
    refused(WICK_GRAMMAR_JSON_SCHEMA, "{\"type\":\"integer\",\"multipleOf\":1000003,\"minimum\":1,\"maximum\":999999}",
            "limit of");
    char deep[4000];
    memset(deep, '(', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    refused(WICK_GRAMMAR_REGEX, deep, "nested too deeply");
}

static void values_without_end_are_refused(void **state)
{
    (void)state;
    static const char *const endless[] = {
        "{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}",
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":1}",
        "{\"$defs\":{\"x\":{\"type\":\"object\",\"properties\":{\"y\":{\"$ref\":\"#/$defs/y\"}},\"required\":[\"y\"]},"
        "\"y\":{\"type\":\"array\",\"prefixItems\":[{\"$ref\":\"#/$defs/x\"}],\"minItems\":1}},\"$ref\":\"#/$defs/x\"}",
        "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]},"
        "{\"type\":\"array\",\"items\":{\"$ref\":\"#\"},\"minItems\":2}]}"};
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++)
        refused(WICK_GRAMMAR_JSON_SCHEMA, endless[i], "without end");
    assert_true(schema("{\"type\":\"object\",\"properties\":{\"a\":{\"$ref\":\"#\"}}}", "{\"a\":{}}"));
    assert_true(schema("{\"type\":\"array\",\"items\":{\"$ref\":\"#\"}}", "[[],[]]"));
    assert_true(schema("{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", "{\"a\":1}"));
    assert_true(schema("{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"$ref\":\"#\"},{\"type\":\"null\"}]}},"
                       "\"required\":[\"a\"]}",
                       "{\"a\":{\"a\":null}}"));
}

/* Every allocation failing in turn: an error or the whole result, and nothing leaked (under the sanitizers). */
static void memory_may_run_out(void **state)
{
    (void)state;
    const char *s =
        "{\"anyOf\":[{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"format\":\"date\"},\"b\":{"
        "\"$ref\":\"#\"}}},{\"type\":\"array\",\"items\":{\"minimum\":3},\"uniqueItems\":true}]}";
    const char *text = "{\"b\":[3,4.5],\"a\":\"2024-02-29\"}";
    for (uint64_t n = 1;; n++) {
        wick_grammar *g = NULL;
        wick_gmatcher *m = NULL;
        size_t ok = 0;
        wick_alloc_fail_at(n, false);
        wick_status st = wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, s, strlen(s), NULL, NULL);
        if (st == WICK_OK) st = wick_gmatcher_new(&m, g, NULL, NULL);
        if (st == WICK_OK) st = wick_gmatcher_accept_bytes(m, text, strlen(text), &ok, NULL);
        wick_alloc_fail_at(0, false);
        if (st == WICK_OK) assert_int_equal(ok, strlen(text));
        wick_gmatcher_free(m);
        wick_grammar_unref(g);
        if (st == WICK_OK && n > 400) break;
        assert_true(n < 5000);
    }
}

/* ---- masks ---- */
static wick_tokenizer *tokenizer_of(const char *const *tokens, uint32_t n)
{
    static wick_str list[64];
    static int32_t types[64];
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    for (uint32_t i = 0; i < n; i++) {
        list[i] = wick_str_of(tokens[i]);
        types[i] = i == 0 ? 3 : 1;
    }
    wick_vocab_source v = {.model = "llama",
                           .tokens = list,
                           .types = types,
                           .n = n,
                           .bos = -1,
                           .eos = 0,
                           .unk = -1,
                           .pad = -1,
                           .add_bos = 0,
                           .add_eos = 0,
                           .add_space_prefix = 0};
    static float scores[64];
    v.scores = scores;
    if (wick_tokenizer_from_vocab(&t, &v, "test", &err) != WICK_OK) fail_msg("%s", err.message);
    return t;
}

static void masks_say_what_bytes_say(void **state)
{
    (void)state;
    static const char *const tokens[] = {"</s>", "{",       "}",  "\"",  "a",    "\":", "1",  "12",
                                         "},",   "{\"a\":", "1}", "\"}", ":",    "b\"", "ab", ",",
                                         "[",    "]",       "-",  "\\",  "true", "t",   "rue"};
    enum { N = sizeof tokens / sizeof *tokens };
    const char *s =
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":[\"integer\",\"boolean\"]}},\"required\":[\"a\"],"
        "\"additionalProperties\":false}";
    wick_tokenizer *t = tokenizer_of(tokens, N);
    wick_gvocab *v = NULL;
    wick_grammar *g = NULL;
    wick_gmatcher *m = NULL;
    const int32_t end = 0;
    assert_int_equal(wick_gvocab_new(&v, t, &end, 1, NULL), WICK_OK);
    assert_int_equal(wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, s, strlen(s), NULL, NULL), WICK_OK);
    static const char *const texts[] = {"",        "{",        "{\"",      "{\"a",        "{\"a\"",
                                        "{\"a\":", "{\"a\":1", "{\"a\":t", "{\"a\":true", "{\"a\":12}"};
    for (size_t k = 0; k < sizeof texts / sizeof *texts * 2; k++) { /* twice: made, then remembered */
        const char *text = texts[k / 2];
        uint64_t bits[1];
        size_t n;
        assert_int_equal(wick_gmatcher_new(&m, g, v, NULL), WICK_OK);
        assert_int_equal(wick_gmatcher_accept_bytes(m, text, strlen(text), &n, NULL), WICK_OK);
        assert_int_equal(n, strlen(text));
        assert_int_equal(wick_gmatcher_mask(m, bits, NULL), WICK_OK);
        for (int32_t i = 1; i < N; i++) {
            bool ok;
            assert_int_equal(wick_gmatcher_accept_bytes(m, tokens[i], strlen(tokens[i]), &n, NULL), WICK_OK);
            wick_gmatcher_rollback(m, 1);
            assert_int_equal(bits[0] >> i & 1, n == strlen(tokens[i]));
            assert_int_equal(wick_gmatcher_accept(m, i, &ok, NULL), WICK_OK);
            assert_int_equal(ok, n == strlen(tokens[i]));
            if (ok) wick_gmatcher_rollback(m, 1);
        }
        assert_int_equal(bits[0] & 1, wick_gmatcher_may_end(m));
        wick_gmatcher_free(m);
    }
    wick_buf forced = WICK_BUF_INIT;
    assert_int_equal(wick_gmatcher_new(&m, g, v, NULL), WICK_OK);
    bool ok;
    assert_int_equal(wick_gmatcher_accept(m, 9, &ok, NULL), WICK_OK);
    assert_true(ok);
    assert_int_equal(wick_gmatcher_accept(m, 21, &ok, NULL), WICK_OK);
    assert_int_equal(wick_gmatcher_forced(m, &forced, NULL), WICK_OK);
    assert_string_equal(wick_buf_str(&forced), "rue");
    assert_int_equal(wick_gmatcher_accept(m, 0, &ok, NULL), WICK_OK);
    assert_false(ok);
    wick_buf_release(&forced);
    wick_gmatcher_free(m);
    wick_grammar_unref(g);
    wick_gvocab_free(v);
    wick_tokenizer_free(t);
}

/* Strings whose characters are only counted, or looked at: each mask against the bytes, after each beginning. */
static void masks_of_counted_strings(void **state)
{
    (void)state;
    static const char *const tokens[] = {"</s>", "\"",  "a",     "ab",  "abc",     "a\"",   "ab\"", "abc\"",
                                         "\",",  "\\",  "\\n",   "a\\", "ab\\n",   "\xc3",  "\xa9", "é",
                                         "éa",   "é\"", "a\xc3", "1",   "a\",\"b", "\"]",   "[",    "]",
                                         ",",    "\n",  " ",     "  ",  "aé\"",    "日本\""};
    enum { N = sizeof tokens / sizeof *tokens };
    static const char *const schemas[] = {
        "{\"type\":\"string\",\"maxLength\":3}",
        "{\"type\":\"string\",\"minLength\":2,\"maxLength\":2}",
        "{\"type\":\"string\",\"minLength\":2}",
        "{\"type\":\"string\",\"pattern\":\"^a*$\"}",
        "{\"anyOf\":[{\"type\":\"string\",\"maxLength\":1},{\"type\":\"string\",\"minLength\":3}]}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":2},\"uniqueItems\":true}",
        "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":4},\"contains\":{\"maxLength\":1}}"};
    static const char *const texts[] = {"",           "\"",          "\"a",          "\"ab",   "\"abc",   "\"é",
                                        "\"\\",       "[\"",         "[\"a",         "[\"ab",  "[\"a\",", "[\"a\",\"",
                                        "[\"a\",\"a", "[\"ab\",\"a", "[\"abc\",\"a", "\"\xc3", "[\"abcd", "[\"abc\"",
                                        "\"ab\"",     "\"abcab",     "[\"é"};
    wick_tokenizer *t = tokenizer_of(tokens, N);
    wick_gvocab *v = NULL;
    const int32_t end = 0;
    assert_int_equal(wick_gvocab_new(&v, t, &end, 1, NULL), WICK_OK);
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        wick_grammar *g = NULL;
        assert_int_equal(wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, schemas[i], strlen(schemas[i]), NULL, NULL),
                         WICK_OK);
        for (size_t k = 0; k < sizeof texts / sizeof *texts * 2; k++) { /* twice: made, then remembered */
            wick_gmatcher *m = NULL;
            uint64_t bits[1];
            size_t n;
            assert_int_equal(wick_gmatcher_new(&m, g, v, NULL), WICK_OK);
            assert_int_equal(wick_gmatcher_accept_bytes(m, texts[k / 2], strlen(texts[k / 2]), &n, NULL), WICK_OK);
            assert_int_equal(wick_gmatcher_mask(m, bits, NULL), WICK_OK);
            for (int32_t id = 1; id < N && n == strlen(texts[k / 2]); id++) {
                size_t went;
                assert_int_equal(wick_gmatcher_accept_bytes(m, tokens[id], strlen(tokens[id]), &went, NULL), WICK_OK);
                wick_gmatcher_rollback(m, 1);
                if ((bits[0] >> id & 1) != (went == strlen(tokens[id])))
                    fail_msg("%s after %s: the mask says %d of %s", schemas[i], texts[k / 2], (int)(bits[0] >> id & 1),
                             tokens[id]);
            }
            wick_gmatcher_free(m);
        }
        wick_grammar_unref(g);
    }
    wick_gvocab_free(v);
    wick_tokenizer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_compared_exactly),
        cmocka_unit_test(multiples_are_exact),
        cmocka_unit_test(patterns_know_their_edges),
        cmocka_unit_test(keys_come_in_any_order_and_once),
        cmocka_unit_test(alternatives_are_followed_exactly),
        cmocka_unit_test(limits_hold),
        cmocka_unit_test(values_without_end_are_refused),
        cmocka_unit_test(rules_are_read),
        cmocka_unit_test(memory_may_run_out),
        cmocka_unit_test(masks_say_what_bytes_say),
        cmocka_unit_test(masks_of_counted_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
