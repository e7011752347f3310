/* format/gguf_test.c - key-values, typed getters, tensor infos, split files, failing allocations. */
#include "format/gguf.h"
#include "format/test_files.h"

static void put_str(bytes *b, const char *s)
{
    put_n(b, strlen(s), 8);
    put_s(b, s);
}

static void put_key(bytes *b, const char *key, wick_gguf_type type)
{
    put_str(b, key);
    put_n(b, type, 4);
}

static void put_head(bytes *b, uint64_t n_tensors, uint64_t n_keys)
{
    put_s(b, "GGUF");
    put_n(b, 3, 4);
    put_n(b, n_tensors, 8);
    put_n(b, n_keys, 8);
}

static void put_info(bytes *b, const char *name, uint64_t d0, uint64_t d1, uint32_t type, uint64_t offset)
{
    put_str(b, name);
    put_n(b, d1 ? 2 : 1, 4);
    put_n(b, d0, 8);
    if (d1) put_n(b, d1, 8);
    put_n(b, type, 4);
    put_n(b, offset, 8);
}

static void put_data(bytes *b, size_t n)
{
    while (b->n % 32) put_n(b, 0, 1);
    for (size_t i = 0; i < n; i++) put_n(b, i, 1);
}

static void put_keys(bytes *b)
{
    put_key(b, "u8", WICK_GGUF_U8), put_n(b, 200, 1);
    put_key(b, "i8", WICK_GGUF_I8), put_n(b, 200, 1);
    put_key(b, "i16", WICK_GGUF_I16), put_n(b, 0xFFFE, 2);
    put_key(b, "u32", WICK_GGUF_U32), put_n(b, 0xFFFFFFFF, 4);
    put_key(b, "i32", WICK_GGUF_I32), put_n(b, 0xFFFFFFFF, 4);
    put_key(b, "u64", WICK_GGUF_U64), put_n(b, 1ull << 40, 8);
    put_key(b, "i64", WICK_GGUF_I64), put_n(b, UINT64_MAX, 8);
    put_key(b, "f32", WICK_GGUF_F32), put_n(b, 0x3FC00000, 4);
    put_key(b, "f64", WICK_GGUF_F64), put_n(b, 0x3FF8000000000000, 8);
    put_key(b, "bool", WICK_GGUF_BOOL), put_n(b, 1, 1);
    put_key(b, "s", WICK_GGUF_STRING), put_str(b, "text");
    put_key(b, "strings", WICK_GGUF_ARRAY), put_n(b, WICK_GGUF_STRING, 4), put_n(b, 2, 8), put_str(b, ""),
        put_str(b, "ab");
    put_key(b, "i16s", WICK_GGUF_ARRAY), put_n(b, WICK_GGUF_I16, 4), put_n(b, 2, 8), put_n(b, 0xFFFF, 2),
        put_n(b, 7, 2);
    put_key(b, "nested", WICK_GGUF_ARRAY), put_n(b, WICK_GGUF_ARRAY, 4), put_n(b, 1, 8), put_n(b, WICK_GGUF_U8, 4),
        put_n(b, 1, 8), put_n(b, 9, 1);
}
enum { N_KEYS = 14 };

static void keys(void **state)
{
    (void)state;
    bytes b = {0};
    put_head(&b, 2, N_KEYS);
    put_keys(&b);
    put_info(&b, "q", 32, 2, 2, 0);
    put_info(&b, "f", 4, 0, 0, 64);
    put_data(&b, 80);
    const char *path = file_of("x.gguf", b.data, b.n);
    wick_tensor_dir d;
    wick_err err = {0};
    if (wick_tensor_dir_open(&d, path, &err) != WICK_OK) fail_msg("%s", err.message);
    const wick_tensor *q = wick_tensor_find(&d, "q"), *f = wick_tensor_find(&d, "f");
    assert_int_equal(q->shape[0], 2);
    assert_int_equal(q->shape[1], 32);
    assert_int_equal(q->n_bytes, 36);
    assert_int_equal(f->n_dim, 1);
    assert_int_equal(((const uint8_t *)f->data)[0], 64);

    static const struct {
        const char *key;
        int64_t i;
    } ints[] = {{"u8", 200},        {"i8", -56}, {"i16", -2}, {"u32", 0xFFFFFFFF}, {"i32", -1},
                {"u64", 1ll << 40}, {"i64", -1}, {"bool", 1}, {"absent", 42}};
    for (size_t k = 0; k < sizeof ints / sizeof *ints; k++) {
        int64_t i = 0;
        assert_int_equal(wick_gguf_i64(d.gguf, ints[k].key, INT64_MIN, INT64_MAX, 42, &i, &err), WICK_OK);
        assert_int_equal(i, ints[k].i);
    }
    int64_t i;
    double x;
    wick_str s;
    assert_int_equal(wick_gguf_i64(d.gguf, "u8", 0, 199, 0, &i, &err), WICK_E_BAD_FILE);
    assert_non_null(strstr(err.message, "\"u8\""));
    assert_int_equal(wick_gguf_i64(d.gguf, "f32", 0, 9, 0, &i, &err), WICK_E_BAD_FILE);
    assert_int_equal(wick_gguf_f64(d.gguf, "s", 0, 9, 0, &x, &err), WICK_E_BAD_FILE);
    assert_int_equal(wick_gguf_str(d.gguf, "u8", &s, &err), WICK_E_BAD_FILE);
    const char *reals[] = {"f32", "f64"};
    for (int k = 0; k < 2; k++) {
        assert_int_equal(wick_gguf_f64(d.gguf, reals[k], 0, 9, 0, &x, &err), WICK_OK);
        assert_true(x == 1.5);
    }
    assert_int_equal(wick_gguf_str(d.gguf, "s", &s, &err), WICK_OK);
    assert_memory_equal(s.p, "text", 4);
    assert_int_equal(wick_gguf_str(d.gguf, "absent", &s, &err), WICK_OK);
    assert_null(s.p);
    const wick_gguf_value *v = wick_gguf_get(d.gguf, "strings");
    assert_int_equal(v->n, 2);
    assert_memory_equal(v->strings[1].p, "ab", 2);
    v = wick_gguf_get(d.gguf, "i16s");
    assert_int_equal(wick_gguf_elem_i64(v, 0), -1);
    assert_true(wick_gguf_elem_f64(v, 1) == 7);
    assert_int_equal(wick_gguf_elem_i64(v, 2), 0); /* past the end */
    assert_int_equal(wick_gguf_get(d.gguf, "nested")->n, 0);
    wick_tensor_dir_close(&d);
    assert_survives_failing_allocations(path);
    for (size_t cut = 4; cut < b.n - 1; cut++) {
        const char *y = file_of("y.gguf", b.data, cut);
        assert_int_not_equal(wick_tensor_dir_open(&d, y, &err), WICK_OK);
        assert_non_null(strstr(err.message, "y.gguf"));
    }
}

static void bad_infos(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t d0, d1, offset;
        uint32_t type;
        const char *text;
        wick_status status;
    } rows[] = {
        {"a", 4, 0, 32, 0, "expected", WICK_E_BAD_FILE},
        {"a", 4, 0, 1, 0, "multiple of the alignment", WICK_E_BAD_FILE},
        {"a", 33, 0, 0, 2, "does not hold", WICK_E_BAD_FILE},
        {"a", 0, 0, 0, 0, "dimension of 0", WICK_E_BAD_FILE},
        {"", 4, 0, 0, 0, "its name", WICK_E_BAD_FILE},
        {"a", 1ull << 32, 1ull << 32, 0, 0, "does not hold", WICK_E_BAD_FILE},
        {"a", 400, 0, 0, 0, "truncated", WICK_E_BAD_FILE},
        {"a", 4, 0, UINT64_MAX - 31, 0, "truncated", WICK_E_BAD_FILE},
        {"a", 32, 0, 0, 4, "type 4", WICK_E_UNSUPPORTED_FORMAT},
        {"\x1b[2J", 4, 0, 0, 0, "control", WICK_E_BAD_FILE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bytes b = {0};
        put_head(&b, 1, 0);
        put_info(&b, rows[i].name, rows[i].d0, rows[i].d1, rows[i].type, rows[i].offset);
        put_data(&b, 256);
        assert_refused(file_of("x.gguf", b.data, b.n), rows[i].status, rows[i].text);
    }
    bytes b = {0};
    put_head(&b, 2, 0);
    put_info(&b, "a", 16, 0, 0, 0);
    put_info(&b, "b", 16, 0, 0, 32);
    put_data(&b, 256);
    assert_refused(file_of("x.gguf", b.data, b.n), WICK_E_BAD_FILE, "overlap");
}

static void alignment(void **state)
{
    (void)state;
    static const uint64_t refused[] = {0, 1, 4, 24, 31, 1u << 21, 0xFFFFFFFF};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        bytes b = {0};
        put_head(&b, 0, 1);
        put_key(&b, "general.alignment", WICK_GGUF_U32), put_n(&b, refused[i], 4);
        assert_refused(file_of("x.gguf", b.data, b.n), WICK_E_BAD_FILE, "general.alignment");
    }
    bytes b = {0};
    put_head(&b, 0, 1);
    put_key(&b, "general.alignment", WICK_GGUF_U64), put_n(&b, 32, 8);
    assert_refused(file_of("x.gguf", b.data, b.n), WICK_E_BAD_FILE, "expected type u32");
}

static void part_of(const char *name, const char *tensor, unsigned no, unsigned count, unsigned total)
{
    bytes b = {0};
    put_head(&b, 1, 3);
    put_key(&b, "split.no", WICK_GGUF_U16), put_n(&b, no, 2);
    put_key(&b, "split.count", WICK_GGUF_U16), put_n(&b, count, 2);
    put_key(&b, "split.tensors.count", WICK_GGUF_I32), put_n(&b, total, 4);
    put_info(&b, tensor, 4, 0, 0, 0);
    put_data(&b, 16);
    file_of(name, b.data, b.n);
}

static void split(void **state)
{
    (void)state;
    part_of("m-00001-of-00002.gguf", "a", 0, 2, 2);
    part_of("m-00002-of-00002.gguf", "b", 1, 2, 2);
    wick_tensor_dir d;
    wick_err err = {0};
    if (wick_tensor_dir_open(&d, test_folder, &err) != WICK_OK) fail_msg("%s", err.message);
    assert_int_equal(d.n_files, 2);
    assert_int_equal(wick_tensor_find(&d, "b")->file, 1);
    wick_tensor_dir_close(&d);
    assert_survives_failing_allocations(test_folder);
    char path[160];
    snprintf(path, sizeof path, "%s/m-00001-of-00002.gguf", test_folder);
    part_of("m-00002-of-00002.gguf", "a", 1, 2, 2);
    assert_refused(path, WICK_E_BAD_FILE, "twice");
    part_of("m-00002-of-00002.gguf", "b", 1, 2, 3);
    part_of("m-00001-of-00002.gguf", "a", 0, 2, 3);
    assert_refused(path, WICK_E_BAD_FILE, "split.tensors.count");
    part_of("m-00002-of-00002.gguf", "b", 0, 2, 3);
    assert_int_equal(wick_tensor_dir_open(&d, path, &err), WICK_E_BAD_FILE);
    part_of("m-00001-of-00002.gguf", "a", 1, 2, 2);
    assert_refused(path, WICK_E_UNSUPPORTED_FORMAT, "first part");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(bad_infos, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(alignment, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(split, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
