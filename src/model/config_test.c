#include "model/test_model.h"
#include <math.h>
#include "base/json.h"
#include "model/arch.h"

#define BASE \
    "\"hidden_size\":64,\"num_hidden_layers\":4,\"num_attention_heads\":4,\"intermediate_size\":128,\"vocab_size\":32"

static wick_status parse(wick_config *c, const char *text, wick_err *err)
{
    json_t *j = NULL;
    assert_int_equal(wick_json_parse(text, strlen(text), "config.json", &j, NULL), WICK_OK);
    return wick_config_from_value(c, j, "config.json", false, err);
}

static void reads_llama(void **state)
{
    (void)state;
    wick_config c;
    assert_int_equal(parse(&c,
                           "{\"model_type\":\"llama\"," BASE
                           ",\"num_key_value_heads\":2,\"rms_norm_eps\":1e-6,\"rope_theta\":500000,\"max_position_"
                           "embeddings\":2048,\"tie_word_embeddings\":true}",
                           NULL),
                     WICK_OK);
    assert_string_equal(c.arch->name, "llama");
    assert_int_equal(c.n_kv_head, 2);
    assert_int_equal(c.head_dim, 16);
    assert_int_equal(c.v_head_dim, 16);
    assert_int_equal(c.n_ctx, 2048);
    assert_int_equal(c.tie, 1);
    assert_true(c.rope_theta == 500000.0f && c.norm_eps == 1e-6f);
    assert_null(c.layer_window);
    wick_config_release(&c);
}

static void reads_rope_generations(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "{\"model_type\":\"qwen3\"," BASE ",\"rope_theta\":5000,\"rope_scaling\":{\"type\":\"yarn\",\"factor\":4,"
        "\"original_max_position_embeddings\":1024}}",
        "{\"model_type\":\"qwen3\"," BASE ",\"rope_theta\":5000,\"rope_scaling\":{\"rope_type\":\"yarn\",\"factor\":4,"
        "\"original_max_position_embeddings\":1024}}",
        "{\"model_type\":\"qwen3\"," BASE ",\"rope_parameters\":{\"rope_theta\":5000,\"rope_type\":\"yarn\",\"factor\":"
        "4,\"original_max_position_embeddings\":1024}}",
        "{\"model_type\":\"qwen3\"," BASE
        ",\"rope_scaling\":null,\"rope_parameters\":{\"full_attention\":{\"rope_theta\":5000,\"rope_type\":\"yarn\","
        "\"factor\":4,\"original_max_position_embeddings\":1024}}}"};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        wick_config c;
        assert_int_equal(parse(&c, forms[i], NULL), WICK_OK);
        assert_int_equal(c.rope.kind, WICK_ROPE_YARN);
        assert_true(c.rope_theta == 5000.0f && c.rope.factor == 4 && c.rope.original_ctx == 1024);
        wick_config_release(&c);
    }
}

static void reads_windows(void **state)
{
    (void)state;
    static const struct {
        const char *json, *want; /* want: S and F per layer, NULL: none */
    } t[] = {
        {"{\"model_type\":\"llama\"," BASE ",\"sliding_window\":8}", NULL},
        {"{\"model_type\":\"llama\"," BASE ",\"sliding_window\":8,\"layer_types\":[\"sliding_attention\",\"full_"
         "attention\",\"sliding_attention\",\"full_attention\"]}",
         "SFSF"},
        {"{\"model_type\":\"gemma3_text\"," BASE ",\"sliding_window_pattern\":2}", "SFSF"},
        {"{\"model_type\":\"gemma3_text\"," BASE ",\"_sliding_window_pattern\":3}", "SSFS"},
        {"{\"model_type\":\"olmo3\"," BASE ",\"sliding_window\":8}", "SSSF"},
        {"{\"model_type\":\"exaone4\"," BASE ",\"sliding_window\":8,\"sliding_window_pattern\":\"LLG\"}", "SSFS"},
        {"{\"model_type\":\"exaone4\"," BASE ",\"sliding_window\":null,\"sliding_window_pattern\":null}", NULL},
        {"{\"model_type\":\"gpt_oss\"," BASE ",\"sliding_window\":8,\"num_local_experts\":4,\"num_experts_per_tok\":2}",
         "SFSF"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        wick_config c;
        assert_int_equal(parse(&c, t[i].json, NULL), WICK_OK);
        assert_int_equal(c.layer_window != NULL, t[i].want != NULL);
        for (uint32_t l = 0; t[i].want && l < c.n_layer; l++) assert_int_equal(c.layer_window[l], t[i].want[l] == 'S');
        wick_config_release(&c);
    }
}

static void reads_a_wrapper(void **state)
{
    (void)state;
    wick_config c;
    assert_int_equal(parse(&c,
                           "{\"model_type\":\"gemma3\",\"vocab_size\":77,\"text_config\":{\"model_type\":\"gemma3_"
                           "text\",\"hidden_size\":64,\"num_hidden_layers\":2}}",
                           NULL),
                     WICK_OK);
    assert_string_equal(c.arch->name, "gemma3");
    assert_int_equal(c.n_vocab, 77);
    assert_int_equal(c.n_head, 8);
    assert_int_equal(c.n_kv_head, 4);
    assert_int_equal(c.head_dim, 256);
    assert_true(c.rope_local_theta == 10000.0f && c.rope_theta == 1000000.0f);
    wick_config_release(&c);
}

static void names_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *json, *want;
        wick_status kind;
    } t[] = {
        {"[]", "an object", WICK_E_UNSUPPORTED_FORMAT},
        {"{}", "model_type", WICK_E_BAD_FILE},
        {"{\"model_type\":7}", "model_type", WICK_E_BAD_FILE},
        {"{\"model_type\":\"lama\"," BASE "}", "nearest known: llama", WICK_E_UNSUPPORTED_FORMAT},
        {"{\"model_type\":\"llama\"}", "hidden_size", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\",\"hidden_size\":64}", "num_hidden_layers", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\",\"hidden_size\":-1}", "hidden_size", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\",\"hidden_size\":1048577}", "hidden_size", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\",\"hidden_size\":\"64\"}", "hidden_size", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\",\"hidden_size\":64,\"num_hidden_layers\":1025}", "num_hidden_layers",
         WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"num_key_value_heads\":3}", "key-value heads", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"rms_norm_eps\":2}", "rms_norm_eps", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"rope_theta\":0}", "rope_theta", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"rope_scaling\":{\"type\":\"magic\"}}", "magic",
         WICK_E_UNSUPPORTED_FORMAT},
        {"{\"model_type\":\"llama\"," BASE ",\"rope_scaling\":[]}", "rope_scaling", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"rope_scaling\":{\"type\":\"linear\",\"factor\":0}}", "factor",
         WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"rope_scaling\":{\"type\":\"longrope\",\"long_factor\":[1,-1]}}",
         "long_factor[1]", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"layer_types\":[\"full_attention\"]}", "layer_types", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"layer_types\":[\"a\",\"b\",\"c\",\"d\"]}", "unknown kind \"a\"",
         WICK_E_UNSUPPORTED_FORMAT},
        {"{\"model_type\":\"llama\"," BASE
         ",\"layer_types\":[\"sliding_attention\",\"full_attention\",\"full_attention\",\"full_attention\"]}",
         "sliding_window", WICK_E_BAD_FILE},
        {"{\"model_type\":\"llama\"," BASE ",\"tie_word_embeddings\":\"yes\"}", "tie_word_embeddings", WICK_E_BAD_FILE},
        {"{\"model_type\":\"mixtral\"," BASE ",\"num_local_experts\":4,\"num_experts_per_tok\":5}",
         "5 experts per token of 4", WICK_E_BAD_FILE},
        {"{\"model_type\":\"gemma3\",\"text_config\":[]}", "text_config", WICK_E_BAD_FILE},
        {"{\"model_type\":\"smollm3\"," BASE ",\"no_rope_layers\":[1,0]}", "no_rope_layers", WICK_E_BAD_FILE},
        {"{\"model_type\":\"exaone4\"," BASE ",\"sliding_window\":8,\"sliding_window_pattern\":\"LX\"}",
         "sliding_window_pattern", WICK_E_BAD_FILE},
        {"{\"model_type\":\"deepseek_v3\"," BASE ",\"v_head_dim\":null}", "latent attention", WICK_E_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        wick_config c;
        wick_err err = {0};
        wick_status st = parse(&c, t[i].json, &err);
        if (st != t[i].kind || !strstr(err.message, t[i].want))
            fail_msg("%s: got %d \"%s\", expected %d with \"%s\"", t[i].json, (int)st, err.message, (int)t[i].kind,
                     t[i].want);
        assert_null(strchr(err.message, '\n'));
        assert_null(c.json); /* released */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(reads_llama), cmocka_unit_test(reads_rope_generations),
                                       cmocka_unit_test(reads_windows), cmocka_unit_test(reads_a_wrapper),
                                       cmocka_unit_test(names_what_is_wrong)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
