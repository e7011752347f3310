/* server/params_test.c - the table of parameters: what is honoured, refused, and how refusals are named. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "server/params.h"

static wick_status parse(const char *text, unsigned route, wick_params *p, json_t **body, wick_err *err)
{
    wick_server_limits l;
    wick_server_limits_init(&l);
    *body = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(*body);
    return wick_params_parse(p, *body, route, &l, err);
}

static void refusals_name_the_parameter(void **state)
{
    static const struct {
        unsigned route;
        const char *text, *subject;
    } cases[] = {
        {WICK_P_CHAT, "{\"temperature\": \"hot\"}", "temperature"},
        {WICK_P_CHAT, "{\"temperature\": 101}", "temperature"},
        {WICK_P_CHAT, "{\"top_k\": 1.5}", "top_k"},
        {WICK_P_CHAT, "{\"top_k\": 99999999999}", "top_k"},
        {WICK_P_CHAT, "{\"n\": 17}", "n"},
        {WICK_P_CHAT, "{\"n\": 0}", "n"},
        {WICK_P_CHAT, "{\"best_of\": 2}", "best_of"}, /* not of this route */
        {WICK_P_CHAT, "{\"max_tokens\": 0}", "max_tokens"},
        {WICK_P_CHAT, "{\"max_tokens\": 3, \"max_completion_tokens\": 4}", "max_completion_tokens"},
        {WICK_P_TEXT, "{\"max_tokens\": 0}", "max_tokens"},
        {WICK_P_TEXT, "{\"n\": 2, \"best_of\": 1}", "best_of"},
        {WICK_P_TEXT, "{\"best_of\": 2, \"stream\": true}", "best_of"},
        {WICK_P_TEXT, "{\"suffix\": \"x\"}", "suffix"},
        {WICK_P_CHAT, "{\"stop\": [\"a\", 1]}", "stop"},
        {WICK_P_CHAT, "{\"stop\": \"\"}", "stop"},
        {WICK_P_CHAT, "{\"stop\": \"a\\u0000b\"}", "stop"},
        {WICK_P_CHAT, "{\"logit_bias\": {\"x\": 1}}", "logit_bias"},
        {WICK_P_CHAT, "{\"logit_bias\": {\"1\": 101}}", "logit_bias"},
        {WICK_P_CHAT, "{\"top_logprobs\": 2}", "top_logprobs"},
        {WICK_P_CHAT, "{\"stream_options\": {}}", "stream_options"},
        {WICK_P_CHAT, "{\"stream\": true, \"stream_options\": {\"x\": 1}}", "stream_options"},
        {WICK_P_CHAT, "{\"response_format\": {\"type\": \"json_object\"}}", "response_format"},
        {WICK_P_CHAT, "{\"tool_choice\": \"required\"}", "tool_choice"},
        {WICK_P_CHAT, "{\"parallel_tool_calls\": false}", "parallel_tool_calls"},
        {WICK_P_CHAT, "{\"store\": true}", "store"},
        {WICK_P_CHAT, "{\"messages\": [{\"role\": \"user\", \"content\": [{\"type\": \"image_url\"}]}]}", "messages"},
        {WICK_P_CHAT, "{\"something\": null}", "something"},
        {WICK_P_EMBED, "{\"dimensions\": 8}", "dimensions"},
        {WICK_P_EMBED, "{\"encoding_format\": \"hex\"}", "encoding_format"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wick_params p;
        wick_err err = {0};
        json_t *body;
        assert_int_equal(parse(cases[i].text, cases[i].route, &p, &body, &err), WICK_E_BAD_PARAMETER);
        if (strcmp(err.subject, cases[i].subject) != 0) fail_msg("%s: named %s", cases[i].text, err.subject);
        assert_non_null(strstr(err.message, cases[i].subject));
        wick_params_release(&p);
        json_decref(body);
    }
}

static void values_arrive(void **state)
{
    wick_params p;
    wick_err err = {0};
    json_t *body;
    (void)state;
    assert_int_equal(
        parse(
            "{\"temperature\": 0, \"top_p\": 0.5, \"seed\": -3, \"stop\": [\"a\", \"bc\"], \"n\": 3, \"max_tokens\": 9,"
            "\"logit_bias\": {\"5\": -100, \"6\": 1.5}, \"user\": \"u\", \"stream\": true, \"logprobs\": true,"
            "\"stream_options\": {\"include_usage\": true}, \"top_logprobs\": 4, \"presence_penalty\": null}",
            WICK_P_CHAT, &p, &body, &err),
        WICK_OK);
    assert_true(p.seen_temperature && p.sampling.temperature == 0 && p.sampling.top_p == 0.5f && !p.seen_top_k);
    assert_true(p.sampling.has_seed && p.sampling.seed == (uint64_t)-3);
    assert_int_equal(p.n_stop, 2);
    assert_string_equal(p.stop[1], "bc");
    assert_int_equal(p.n, 3);
    assert_int_equal(p.max_tokens, 9);
    assert_int_equal(p.sampling.n_bias, 2);
    assert_true(p.sampling.bias[0].id == 5 && p.sampling.bias[0].bias == -100);
    assert_true(p.user != 0 && p.stream && p.include_usage && p.logprobs && p.top_logprobs == 4);
    assert_true(p.add_generation_prompt);
    wick_params_release(&p);
    json_decref(body);
}

static void users_differ(void **state)
{
    uint64_t user[2];
    (void)state;
    for (int i = 0; i < 2; i++) {
        wick_params p;
        wick_err err = {0};
        json_t *body;
        assert_int_equal(parse(i ? "{\"user\": \"b\"}" : "{\"user\": \"a\"}", WICK_P_CHAT, &p, &body, &err), WICK_OK);
        user[i] = p.user;
        wick_params_release(&p);
        json_decref(body);
    }
    assert_true(user[0] != user[1]);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t k = 1; k < 6; k++) {
        wick_params p;
        wick_err err = {0};
        json_t *body;
        wick_alloc_fail_at(k, false);
        wick_status st = parse("{\"stop\": [\"a\"], \"logit_bias\": {\"1\": 2}}", WICK_P_CHAT, &p, &body, &err);
        wick_alloc_fail_at(0, false);
        assert_true(st == WICK_OK || st == WICK_E_OUT_OF_MEMORY);
        wick_params_release(&p);
        json_decref(body);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_name_the_parameter), cmocka_unit_test(values_arrive),
                                       cmocka_unit_test(users_differ), cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
