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
        {WICK_P_CHAT, "{\"response_format\": {\"type\": \"json_objects\"}}", "response_format"},
        {WICK_P_CHAT, "{\"response_format\": {\"type\": \"json_schema\"}}", "response_format"},
        {WICK_P_CHAT, "{\"guided_regex\": \"a\", \"guided_choice\": [\"a\"]}", "guided_choice"},
        {WICK_P_CHAT, "{\"tool_choice\": \"must\"}", "tool_choice"},
        {WICK_P_CHAT, "{\"tool_choice\": {\"type\": \"function\"}}", "tool_choice"},
        {WICK_P_CHAT, "{\"tool_choice\": {\"type\": \"allowed_tools\"}}", "tool_choice"},
        {WICK_P_CHAT, "{\"parallel_tool_calls\": 1}", "parallel_tool_calls"},
        {WICK_P_CHAT, "{\"store\": 1}", "store"},
        {WICK_P_CHAT, "{\"id_slot\": \"x\"}", "id_slot"},
        {WICK_P_CHAT, "{\"keep_alive\": true}", "keep_alive"},
        {WICK_P_CHAT, "{\"max_tokens\": -2}", "max_tokens"},
        {WICK_P_CHAT, "{\"max_tokens\": -1, \"n_predict\": 4}", "n_predict"},
        {WICK_P_CHAT, "{\"stop_token_ids\": [-1]}", "stop_token_ids"},
        {WICK_P_CHAT, "{\"stop_token_ids\": 7}", "stop_token_ids"},
        {WICK_P_CHAT, "{\"logit_bias\": [[1]]}", "logit_bias"},
        {WICK_P_CHAT, "{\"logit_bias\": [[1, true]]}", "logit_bias"},
        {WICK_P_CHAT, "{\"reasoning_effort\": \"very\"}", "reasoning_effort"},
        {WICK_P_CHAT, "{\"reasoning\": {\"depth\": 1}}", "reasoning"},
        {WICK_P_CHAT, "{\"service_tier\": \"gold\"}", "service_tier"},
        {WICK_P_CHAT, "{\"samplers\": [\"top_p\", \"top_k\"]}", "samplers"},
        {WICK_P_CHAT, "{\"samplers\": [\"best\"]}", "samplers"},
        {WICK_P_CHAT, "{\"mirostat\": 1}", "mirostat"},
        {WICK_P_CHAT, "{\"dynatemp_range\": 0.5}", "dynatemp_range"},
        {WICK_P_CHAT, "{\"top_n_sigma\": 1}", "top_n_sigma"},
        {WICK_P_CHAT, "{\"repeat_last_n\": -2}", "repeat_last_n"},
        {WICK_P_CHAT, "{\"n_predict\": 1.5}", "n_predict"},
        {WICK_P_LLAMA_TEXT, "{\"n_probs\": 21}", "n_probs"},
        {WICK_P_LLAMA_TEXT, "{\"response_fields\": 1}", "response_fields"},
        {WICK_P_LLAMA_TEXT, "{\"post_sampling_probs\": true}", "post_sampling_probs"},
        {WICK_P_CHAT, "{\"something\": null}", "something"},
        {WICK_P_EMBED, "{\"dimensions\": 0}", "dimensions"},
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
    assert_true(p.given.temperature && p.sampling.temperature == 0 && p.sampling.top_p == 0.5f && !p.given.top_k);
    assert_true(p.sampling.has_seed && p.sampling.seed == (uint64_t)-3);
    assert_int_equal(p.n_stop, 2);
    assert_string_equal(p.stop[1], "bc");
    assert_int_equal(p.n, 3);
    assert_int_equal(p.max_tokens, 9);
    assert_int_equal(p.sampling.n_bias, 2);
    assert_true(p.sampling.bias[0].id == 5 && p.sampling.bias[0].bias == -100);
    assert_true(p.has_user && p.stream && p.include_usage && p.logprobs && p.top_logprobs == 4);
    assert_true(p.add_generation_prompt);
    wick_params_release(&p);
    json_decref(body);
}

static void what_clients_send(void **state)
{
    static const char *const taken[] = {
        "{\"max_tokens\": -1}",
        "{\"n_predict\": -1, \"max_tokens\": -1}",
        "{\"repeat_penalty\": 1.1, \"repetition_penalty\": 1.1, \"typical_p\": 1, \"min_p\": 0.1, \"top_k\": 3}",
        "{\"cache_prompt\": true, \"keep_alive\": \"5m\", \"id_slot\": -1, \"enable_thinking\": false}",
        "{\"stop_token_ids\": [1, 2], \"store\": true, \"metadata\": {}, \"prediction\": {}, \"service_tier\": "
        "\"flex\"}",
        "{\"verbosity\": \"low\", \"safety_identifier\": \"a\", \"prompt_cache_key\": \"b\", \"parallel_tool_calls\": "
        "false}",
        "{\"samplers\": [\"penalties\", \"dry\", \"top_n_sigma\", \"top_k\", \"typ_p\", \"top_p\", \"min_p\", \"xtc\", "
        "\"temperature\"], \"mirostat\": 0, \"dynatemp_range\": 0, \"lora\": [], \"timings_per_token\": true}",
        "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"f\", \"strict\": true}}]}",
        "{\"messages\": [{\"role\": \"assistant\", \"content\": null, \"tool_calls\": []}, {\"role\": \"assistant\"}]}",
        "{\"logit_bias\": [[5, 1.5], [\"x\", false]], \"reasoning\": {\"effort\": \"low\"}, \"reasoning_format\": "
        "\"none\"}"};
    (void)state;
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        wick_params p;
        wick_err err = {0};
        json_t *body;
        if (parse(taken[i], WICK_P_CHAT, &p, &body, &err) != WICK_OK) fail_msg("%s: %s", taken[i], err.message);
        wick_params_release(&p);
        json_decref(body);
    }
}

static void unknown_names_get_the_nearest(void **state)
{
    wick_params p;
    wick_err err = {0};
    json_t *body;
    (void)state;
    assert_int_equal(parse("{\"temprature\": 1}", WICK_P_CHAT, &p, &body, &err), WICK_E_BAD_PARAMETER);
    assert_non_null(strstr(err.message, "did you mean \"temperature\"?"));
    wick_params_release(&p);
    json_decref(body);
    assert_int_equal(parse("{\"colour_of_the_sky\": 1}", WICK_P_CHAT, &p, &body, &err), WICK_E_BAD_PARAMETER);
    assert_null(strstr(err.message, "did you mean"));
    wick_params_release(&p);
    json_decref(body);
}

static void users_differ(void **state)
{
    uint8_t user[2][32];
    (void)state;
    for (int i = 0; i < 2; i++) {
        wick_params p;
        wick_err err = {0};
        json_t *body;
        assert_int_equal(parse(i ? "{\"user\": \"b\"}" : "{\"user\": \"a\"}", WICK_P_CHAT, &p, &body, &err), WICK_OK);
        assert_true(p.has_user);
        memcpy(user[i], p.user, sizeof user[i]);
        wick_params_release(&p);
        json_decref(body);
    }
    assert_memory_not_equal(user[0], user[1], 32);
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(refusals_name_the_parameter),
                                       cmocka_unit_test(values_arrive),
                                       cmocka_unit_test(users_differ),
                                       cmocka_unit_test(what_clients_send),
                                       cmocka_unit_test(unknown_names_get_the_nearest),
                                       cmocka_unit_test(every_allocation_may_fail)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
