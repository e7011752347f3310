/* What include/wick/wick.h promises, sentence by sentence, on a real, tiny model on the CPU backend. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include "capi/tiny_model_test.h"
#include "wick/wick.h"

static char dir[64];
static wick_llm *llm;

static wick_llm *open_dir(void)
{
    wick_llm *x = NULL;
    wick_error err = {0};
    wick_model_builder *b = wick_model_builder_new(dir);
    wick_model_builder_set_threads(b, 1);
    wick_model_builder_set_precision(b, "exact");
    if (wick_model_builder_build(b, &x, &err) != WICK_OK) fail_msg("%s", err.message);
    wick_model_builder_free(b);
    return x;
}

static int make_model(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/wick-contract-%ld", (long)getpid());
    if (!tiny_model(dir)) return 1;
    llm = open_dir();
    return 0;
}

static int drop_model(void **state)
{
    (void)state;
    wick_llm_close(llm);
    tiny_remove(dir);
    return 0;
}

static wick_generate_options options(uint32_t max_tokens)
{
    wick_generate_options o;
    wick_generate_options_init(&o);
    o.max_tokens = max_tokens;
    o.ignore_eos = true;
    return o;
}

static wick_result generate(wick_llm *x, const wick_generate_options *o)
{
    wick_result r;
    wick_error err = {0};
    if (wick_llm_generate(x, "Once upon", SIZE_MAX, o, NULL, NULL, &r, &err) != WICK_OK) fail_msg("%s", err.message);
    return r;
}

static bool same(const wick_result *a, const wick_result *b)
{
    return a->n_ids == b->n_ids && memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) == 0;
}

/* The five fields that generation_config.json may set, and the bits that keep a value that equals the default. */
static void test_model_defaults(void **state)
{
    (void)state;
    wick_generate_options o = options(30);
    o.has_seed = true, o.seed = 5;
    o.temperature = 0;
    wick_result greedy = generate(llm, &o), r;
    o.temperature = 0.8f; /* the library's default: unsaid, so the model's "do_sample": false holds */
    r = generate(llm, &o);
    assert_true(same(&greedy, &r));
    wick_result_release(&r);
    o.set |= WICK_SET_TEMPERATURE; /* said */
    r = generate(llm, &o);
    assert_false(same(&greedy, &r));
    o.set = 0, o.use_model_defaults = false;
    wick_result library = generate(llm, &o);
    assert_true(same(&library, &r));
    wick_result_release(&library);
    wick_result_release(&r);
    o.use_model_defaults = true, o.temperature = 0.81f; /* another value is said without a bit */
    r = generate(llm, &o);
    assert_false(same(&greedy, &r));
    wick_result_release(&r);
    wick_result_release(&greedy);

    /* Each of the five, against a model that names another value: the bit decides. */
    static const char config[] = "{\"temperature\":2.5,\"top_k\":1,\"top_p\":0.01,\"min_p\":0.9,"
                                 "\"repetition_penalty\":5.0,\"eos_token_id\":[2,5]}";
    static const uint64_t all =
        WICK_SET_TEMPERATURE | WICK_SET_TOP_K | WICK_SET_TOP_P | WICK_SET_MIN_P | WICK_SET_REPETITION_PENALTY;
    static const uint64_t bit[] = {WICK_SET_TOP_K, WICK_SET_TOP_P, WICK_SET_MIN_P, WICK_SET_REPETITION_PENALTY};
    assert_true(tiny_write(dir, "generation_config.json", config, sizeof config - 1));
    wick_llm *x = open_dir();
    o = options(60);
    o.has_seed = true, o.seed = 5;
    o.set = all;
    wick_result said = generate(x, &o);
    o.set = 0, o.use_model_defaults = false;
    r = generate(x, &o);
    assert_true(same(&said, &r));
    wick_result_release(&r);
    for (int i = 0; i < 4; i++) { /* without this bit the model's value comes in */
        o = options(60);
        o.has_seed = true, o.seed = 5;
        o.set = all & ~bit[i];
        r = generate(x, &o);
        assert_false(same(&said, &r));
        wick_result_release(&r);
    }
    wick_result_release(&said);
    wick_llm_close(x);
    static const char back[] = "{\"do_sample\":false,\"eos_token_id\":[2,5]}";
    assert_true(tiny_write(dir, "generation_config.json", back, sizeof back - 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model_defaults),
    };
    return cmocka_run_group_tests(tests, make_model, drop_model);
}
