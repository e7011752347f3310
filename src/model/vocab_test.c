#include "model/test_model.h"
#include "model/vocab.h"

#define TOKENIZER                                                                                                   \
    "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":%d,\"content\":\"<s>\",\"special\":true,\"single_word\":false," \
    "\"lstrip\":false,"                                                                                             \
    "\"rstrip\":false,\"normalized\":false}],\"normalizer\":null,\"pre_tokenizer\":null,\"post_processor\":null,"   \
    "\"decoder\":null,"                                                                                             \
    "\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}"

typedef struct fixture {
    char dir[64];
} fixture;

static int setup(void **state)
{
    fixture *f = calloc(1, sizeof *f);
    test_dir(f->dir);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    fixture *f = *state;
    test_dir_remove(f->dir);
    free(f);
    return 0;
}

static void write_tokenizer(const char *dir, int added_id)
{
    char text[1024];
    snprintf(text, sizeof text, TOKENIZER, added_id);
    test_write_text(dir, "tokenizer.json", text);
}

static void checks_the_size(void **state)
{
    fixture *f = *state;
    wick_model m = {.path = f->dir, .plan = {.n_vocab = 4}};
    wick_tokenizer *t = NULL;
    wick_err err = {0};
    int32_t *ids = NULL;
    size_t n = 0;
    write_tokenizer(f->dir, 3); /* ids 0..3: fits exactly */
    if (wick_model_tokenizer(&m, &t, &err) != WICK_OK) fail_msg("%s", err.message);
    assert_int_equal(wick_tokenizer_encode(t, "abb", 3, 0, &ids, &n, NULL), WICK_OK);
    assert_int_equal(n, 2);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], 1);
    wick_free(ids);
    wick_tokenizer_free(t);
    m.plan.n_vocab = 64; /* a padded embedding is usual */
    assert_int_equal(wick_model_tokenizer(&m, &t, NULL), WICK_OK);
    wick_tokenizer_free(t);
    m.plan.n_vocab = 3; /* an added token past the rows: marks of images in a text model */
    assert_int_equal(wick_model_tokenizer(&m, &t, NULL), WICK_OK);
    wick_tokenizer_free(t);
    m.plan.n_vocab = 2;
    assert_int_equal(wick_model_tokenizer(&m, &t, &err), WICK_E_TOKENIZER_MISMATCH);
    assert_int_equal(err.need, 2);
    assert_int_equal(err.have, 4);
    assert_non_null(strstr(err.message, "4 ids"));
}

static void opens_by_path(void **state)
{
    fixture *f = *state;
    wick_tokenizer *t = NULL;
    char path[128];
    assert_int_equal(wick_tokenizer_open_path(&t, f->dir, NULL, NULL), WICK_E_MODEL_NOT_FOUND);
    write_tokenizer(f->dir, 3);
    assert_int_equal(wick_tokenizer_open_path(&t, f->dir, NULL, NULL), WICK_OK);
    assert_int_equal(wick_tokenizer_size(t), 4);
    wick_tokenizer_free(t);
    snprintf(path, sizeof path, "%s/tokenizer.json", f->dir);
    assert_int_equal(wick_tokenizer_open_path(&t, path, NULL, NULL), WICK_OK);
    wick_tokenizer_free(t);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(checks_the_size), T(opens_by_path)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
