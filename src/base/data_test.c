/* Memory, maps, half precision, readers, JSON, files. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/file.h"
#include "base/json.h"
#include "base/map.h"
#include "base/reader.h"
#include "base/sys.h"

static void test_alloc_fails_on_demand(void **state)
{
    (void)state;
    wick_alloc_fail_at(2, false);
    void *a = wick_alloc(1), *b = wick_alloc(1), *c = wick_alloc(1);
    wick_alloc_fail_at(0, false);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    wick_free(a);
    wick_free(c);
    assert_null(wick_realloc_array(NULL, SIZE_MAX / 2, 4));
}

static void test_arena(void **state)
{
    (void)state;
    wick_arena a;
    wick_arena_init(&a, 128);
    for (int i = 0; i < 100; i++) {
        unsigned char *p = wick_arena_alloc(&a, 50);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 16, 0);
        for (int k = 0; k < 50; k++) assert_int_equal(p[k], 0);
        memset(p, 0xFF, 50);
    }
    assert_string_equal(wick_arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    assert_null(wick_arena_array(&a, SIZE_MAX, 16));
    assert_true(a.failed);
    wick_arena_release(&a);
}

static void test_map(void **state)
{
    (void)state;
    enum { N = 20000 };
    static char names[N][12];
    wick_map m;
    wick_map_init(&m);
    assert_int_equal(wick_map_get(&m, wick_str_of("x")), WICK_MAP_NONE);
    for (uint32_t i = 0; i < N; i++) {
        snprintf(names[i], sizeof names[i], "n%u", i);
        assert_int_equal(wick_map_add(&m, wick_str_of(names[i]), i), i);
    }
    for (uint32_t i = 0; i < N; i++) assert_int_equal(wick_map_get(&m, wick_str_of(names[i])), i);
    assert_int_equal(wick_map_add(&m, wick_str_of("n7"), 99), 7);
    assert_int_equal(wick_map_get(&m, wick_str_of("nope")), WICK_MAP_NONE);
    wick_map_release(&m);
}

/* Every half value goes to float and back; every float near a rounding edge goes to the nearest half. */
static void test_half(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        float f = wick_f16_to_f32((uint16_t)h);
        if (isnan(f))
            assert_true((wick_f32_to_f16(f) & 0x7FFF) > 0x7C00);
        else
            assert_int_equal(wick_f32_to_f16(f), h);
        float b = wick_bf16_to_f32((uint16_t)h);
        if (!isnan(b)) assert_int_equal(wick_f32_to_bf16(b), h);
    }
    for (uint32_t h = 0; h < 0x7BFF; h++) {
        float lo = wick_f16_to_f32((uint16_t)h), hi = wick_f16_to_f32((uint16_t)(h + 1)), mid = lo + (hi - lo) / 2;
        assert_int_equal(wick_f32_to_f16(mid), h + (h & 1));
        assert_int_equal(wick_f32_to_f16(nextafterf(mid, 0)), h);
        assert_int_equal(wick_f32_to_f16(nextafterf(mid, 1e9f)), h + 1);
    }
    assert_int_equal(wick_f32_to_f16(65519.9f), 0x7BFF);
    assert_int_equal(wick_f32_to_f16(65520.0f), 0x7C00);
    assert_int_equal(wick_f32_to_f16(1e-10f), 0);
}

static void test_dtype_table(void **state)
{
    (void)state;
    for (int t = 0; t < WICK_DTYPE_COUNT; t++) {
        wick_dtype back;
        assert_true(wick_dtype_from_name(wick_dtype_name((wick_dtype)t), &back));
        assert_int_equal(back, t);
    }
    uint64_t n;
    assert_true(wick_dtype_bytes(WICK_DTYPE_Q4_K, 512, &n) && n == 288);
    assert_false(wick_dtype_bytes(WICK_DTYPE_Q4_K, 100, &n));
    assert_false(wick_dtype_bytes(WICK_DTYPE_F32, UINT64_MAX, &n));
}

static void test_reader(void **state)
{
    (void)state;
    static const uint8_t bytes[] = {1, 2, 0, 3, 0, 0, 0, 9};
    wick_reader r;
    wick_reader_init(&r, bytes, sizeof bytes);
    assert_int_equal(wick_read_u8(&r), 1);
    assert_int_equal(wick_read_u16(&r), 2);
    assert_int_equal(wick_read_u32(&r), 3);
    assert_false(wick_reader_fits(&r, UINT64_MAX, 8));
    assert_true(wick_reader_fits(&r, 1, 1));
    assert_int_equal(wick_read_u32(&r), 0);
    assert_true(r.failed);
    assert_int_equal(r.failed_at, 7);
    assert_int_equal(wick_reader_left(&r), 0);
    assert_null(wick_read_bytes(&r, 0));
}

static void test_json(void **state)
{
    (void)state;
    static const char text[] = "{\"a\": 5, \"f\": 1.5, \"b\": true, \"s\": \"x\", \"n\": null, \"big\": "
                               "1000000000000000019884624838656, \"i\": [NaN, -Infinity]}";
    json_t *v;
    wick_err e;
    int64_t i;
    double d;
    bool b;
    const char *s;
    assert_int_equal(wick_json_parse(text, strlen(text), "t.json", &v, &e), WICK_OK);
    assert_int_equal(wick_json_i64(v, "a", 0, 10, -1, &i, "t", &e), WICK_OK);
    assert_int_equal(i, 5);
    assert_int_equal(wick_json_i64(v, "n", 0, 10, -1, &i, "t", &e), WICK_OK);
    assert_int_equal(i, -1);
    assert_int_equal(wick_json_i64(v, "a", 6, 10, -1, &i, "t", &e), WICK_E_BAD_FILE);
    assert_string_equal(e.message, "t: key \"a\": 5 is outside 6..10");
    assert_int_equal(wick_json_i64(v, "s", 0, 1, 0, &i, "t", &e), WICK_E_BAD_FILE);
    assert_string_equal(e.message, "t: key \"s\": expected an integer, got a string");
    assert_int_equal(wick_json_f64(v, "f", 0, 2, 0, &d, "t", &e), WICK_OK);
    assert_int_equal(wick_json_bool(v, "b", false, &b, "t", &e), WICK_OK);
    assert_int_equal(wick_json_str(v, "s", &s, "t", &e), WICK_OK);
    assert_true(json_is_real(json_object_get(v, "big")));
    assert_true(json_is_null(json_array_get(json_object_get(v, "i"), 0)));
    json_decref(v);
    assert_int_equal(wick_json_parse("{\"a\":", 5, "t.json", &v, &e), WICK_E_BAD_FILE);
    char deep[2000];
    memset(deep, '[', sizeof deep);
    assert_int_equal(wick_json_parse(deep, sizeof deep, "t.json", &v, &e), WICK_E_BAD_FILE);
    assert_int_equal(wick_json_parse("\"\\", 2, "t.json", &v, &e), WICK_E_BAD_FILE);
}

static void test_files(void **state)
{
    (void)state;
    char dir[] = "/tmp/wick-base-XXXXXX", *text;
    wick_err e;
    wick_file f;
    wick_dir_list l;
    size_t n;
    assert_non_null(mkdtemp(dir));
    char *sub = wick_path_join(dir, "a/b"), *path = wick_path_join(dir, "a/b/file");
    assert_int_equal(wick_dir_make(sub, &e), WICK_OK);
    assert_int_equal(wick_file_write(path, "hello", 5, &e), WICK_OK);
    assert_int_equal(wick_file_write(path, "hi", 2, &e), WICK_OK);
    assert_int_equal(wick_dir_list_read(&l, sub, &e), WICK_OK);
    assert_int_equal(l.n, 1); /* no temporary file is left */
    wick_dir_list_free(&l);
    assert_int_equal(wick_file_read(path, 10, &text, &n, &e), WICK_OK);
    assert_string_equal(text, "hi");
    wick_free(text);
    assert_int_equal(wick_file_read(path, 1, &text, &n, &e), WICK_E_LIMIT);
    assert_int_equal(wick_file_open(&f, path, &e), WICK_OK);
    wick_file_close(&f);
    assert_int_equal(wick_file_open(&f, dir, &e), WICK_E_UNSUPPORTED_FORMAT);
    char *fifo = wick_path_join(dir, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_int_equal(wick_file_open(&f, fifo, &e), WICK_E_UNSUPPORTED_FORMAT);
    assert_int_equal(wick_file_open(&f, "/nonexistent/x", &e), WICK_E_MODEL_NOT_FOUND);
    assert_int_equal(wick_file_write("/nonexistent/x", "a", 1, &e), WICK_E_IO);
    unlink(fifo);
    unlink(path);
    rmdir(sub);
    char *a = wick_path_join(dir, "a");
    rmdir(a);
    rmdir(dir);
    wick_free(a);
    wick_free(fifo);
    wick_free(sub);
    wick_free(path);
}

static void test_machine(void **state)
{
    (void)state;
    assert_true(wick_cpu_count() >= 1);
    assert_true(wick_memory_total_bytes() > 0);
    assert_true(wick_memory_available_bytes() <= wick_memory_total_bytes());
    assert_true(wick_memory_peak_bytes() > 0);
    assert_true(strlen(wick_cpu_name()) > 0);
    uint64_t t = wick_time_ns();
    assert_true(wick_time_ns() >= t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alloc_fails_on_demand),
        cmocka_unit_test(test_arena),
        cmocka_unit_test(test_map),
        cmocka_unit_test(test_half),
        cmocka_unit_test(test_dtype_table),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
