/* format/safetensors_test.c - the rules of the header, folders and shards, failing allocations. */
#include "format/test_files.h"

static const char *st_file(const char *name, const char *header, size_t n_data)
{
    bytes b = {0};
    put_n(&b, strlen(header), 8);
    put_s(&b, header);
    for (size_t i = 0; i < n_data; i++) put_n(&b, i, 1);
    return file_of(name, b.data, b.n);
}

#define ENTRY "{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]}"

static void good(void **state)
{
    (void)state;
    const char *path = st_file("model.safetensors", "{\"__metadata__\":{\"format\":\"mlx\"}, \"a\\u00e9\\n\":null}", 0);
    assert_refused(path, WICK_E_BAD_FILE, "an object expected");
    path = st_file("model.safetensors",
                   "{\"__metadata__\":null,\"b\":{\"data_offsets\":[16,18],\"x\":[{\"y\":-1.5e+3},true,null],\"shape\":"
                   "[],\"dtype\":\"BF16\"} ,"
                   "\"a\\u00e9\":" ENTRY "}   ",
                   18);
    const char *paths[] = {path, test_folder};
    for (int i = 0; i < 2; i++) {
        wick_tensor_dir d;
        wick_err err;
        assert_int_equal(wick_tensor_dir_open(&d, paths[i], &err), WICK_OK);
        assert_int_equal(d.format, WICK_SAFETENSORS);
        assert_int_equal(d.n_tensors, 2);
        const wick_tensor *t = wick_tensor_find(&d, "a\xc3\xa9");
        assert_non_null(t);
        assert_int_equal(t->n_dim, 2);
        assert_int_equal(wick_tensor_count(t), 4);
        assert_int_equal(t->n_bytes, 16);
        assert_int_equal(((const uint8_t *)t->data)[5], 5);
        t = wick_tensor_find(&d, "b");
        assert_int_equal(wick_tensor_count(t), 1);
        assert_int_equal(((const uint8_t *)t->data)[1], 17);
        assert_null(wick_tensor_find(&d, "c"));
        wick_tensor_dir_close(&d);
    }
    assert_survives_failing_allocations(path);
    assert_survives_failing_allocations(test_folder);
}

static void bad(void **state)
{
    (void)state;
    static const struct {
        const char *header, *text;
        size_t n_data;
        wick_status status;
    } rows[] = {
        {"{\"a\":" ENTRY ",\"a\":" ENTRY "}", "twice", 16, WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[4194305,4194305,211106198978564],\"data_offsets\":[0,16]}}",
         "do not fit", 16, WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[0,9223372036854775808,2],\"data_offsets\":[0,0]}}", "do not fit", 0,
         WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[16,0]}}", "do not fit", 16, WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2,2],\"data_offsets\":[0,16]},\"b\":{\"dtype\":\"U8\",\"shape\":[8],"
         "\"data_offsets\":[8,16]}}",
         "overlap", 16, WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[4,8]}}", "belong to no tensor", 8, WICK_E_BAD_FILE},
        {"{\"a\":" ENTRY "}", "belong to no tensor", 17, WICK_E_BAD_FILE},
        {"{\"a\":" ENTRY "}", "truncated", 15, WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"Q4_0\",\"shape\":[32],\"data_offsets\":[0,18]}}", "Q4_0", 18, WICK_E_UNSUPPORTED_FORMAT},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", "byte 37: a non-negative integer", 8,
         WICK_E_BAD_FILE},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", "more than 6", 4,
         WICK_E_BAD_FILE},
        {"{\"a\\u0000b\":" ENTRY "}", "control characters", 16, WICK_E_BAD_FILE},
        {"{\"\\ud800\":" ENTRY "}", "bad escape", 16, WICK_E_BAD_FILE},
        {"{\"a\":" ENTRY "} x", "after the end", 16, WICK_E_BAD_FILE},
        {"{\"a\":" ENTRY "", "'}' expected", 16, WICK_E_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_refused(st_file("x.safetensors", rows[i].header, rows[i].n_data), rows[i].status, rows[i].text);
    assert_refused(file_of("y.safetensors", "abc", 3), WICK_E_BAD_FILE, "too short");
    assert_refused(file_of("y.safetensors", "\377\377\377\377\377\377\377\377{}", 10), WICK_E_BAD_FILE,
                   "more than the limit");
    assert_refused(file_of("y.safetensors", "\3\0\0\0\0\0\0\0 {}", 11), WICK_E_BAD_FILE, "does not start with '{'");
}

static void deep_nesting(void **state)
{
    (void)state;
    char header[4000] = "{\"a\":{\"x\":";
    size_t n = strlen(header);
    memset(header + n, '[', 3000);
    assert_refused(st_file("x.safetensors", header, 0), WICK_E_BAD_FILE, "nested too deep");
}

static void shards(void **state)
{
    (void)state;
    st_file("model-00001-of-00002.safetensors", "{\"a\":" ENTRY "}", 16);
    st_file("model-00002-of-00002.safetensors", "{\"b\":" ENTRY "}", 16);
    wick_tensor_dir d;
    wick_err err;
    static const struct {
        const char *index, *text; /* text NULL: opens */
    } rows[] = {
        {"{\"weight_map\":{\"a\":\"model-00001-of-00002.safetensors\",\"b\":\"model-00002-of-00002.safetensors\"}}",
         NULL},
        {"{\"weight_map\":{\"a\":\"model-00002-of-00002.safetensors\"}}", "is not in"},
        {"{\"weight_map\":{\"a\":\"model-00003-of-00002.safetensors\"}}", "missing"},
        {"{\"weight_map\":{\"a\":\"../x.safetensors\"}}", "names no .safetensors file"},
        {"{\"weight_map\":{\"a\":7}}", "names no .safetensors file"},
        {"{}", "weight_map"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        file_of("model.safetensors.index.json", rows[i].index, strlen(rows[i].index));
        if (!rows[i].text) {
            assert_int_equal(wick_tensor_dir_open(&d, test_folder, &err), WICK_OK);
            assert_int_equal(d.n_files, 2);
            assert_int_equal(wick_tensor_find(&d, "b")->file, 1);
            wick_tensor_dir_close(&d);
            assert_survives_failing_allocations(test_folder);
            continue;
        }
        assert_int_equal(wick_tensor_dir_open(&d, test_folder, &err), WICK_E_BAD_FILE);
        assert_non_null(strstr(err.message, rows[i].text));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(good, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(bad, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(deep_nesting, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(shards, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
