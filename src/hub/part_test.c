/* hub/part_test.c - blobs in parts: what is there after a stop, damaged maps, hashes, lengths. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/alloc.h"
#include "base/file.h"
#include "hub/part.h"

static char root[64], blob[96];

static int setup(void **state)
{
    (void)state;
    snprintf(root, sizeof root, "/tmp/wick-part-XXXXXX");
    if (!mkdtemp(root)) return -1;
    snprintf(blob, sizeof blob, "%s/blob", root);
    return 0;
}

static int teardown(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    return system(command) != 0;
}

static void test_goes_on(void **state)
{
    wick_part p;
    (void)state;
    assert_int_equal(wick_part_open(&p, blob, 10, 4, NULL), WICK_OK); /* segments of 4, 4, 2 */
    assert_int_equal(p.n_segments, 3);
    assert_int_equal(wick_part_segment_len(&p, 2), 2);
    assert_int_equal(wick_part_write(&p, 0, "abc", 3, NULL), WICK_OK);
    assert_int_equal(wick_part_write(&p, 8, "i", 1, NULL), WICK_OK);
    wick_part_close(&p);
    assert_int_equal(wick_part_left(blob, 10), 4);
    assert_int_equal(wick_part_left(blob, 11), 0);                       /* another length: other contents */
    assert_int_equal(wick_part_open(&p, blob, 10, 1000, NULL), WICK_OK); /* the segments of the first process stay */
    assert_true(p.n_segments == 3 && p.done[0] == 3 && p.done[1] == 0 && p.done[2] == 1);
    assert_int_equal(wick_part_write(&p, 3, "defgh", 5, NULL), WICK_OK); /* over a border */
    assert_true(p.done[0] == 4 && p.done[1] == 4);
    assert_int_equal(wick_part_write(&p, 9, "jk", 2, NULL), WICK_E_BAD_FILE); /* more than there is */
    assert_int_equal(wick_part_write(&p, 11, "", 0, NULL), WICK_E_BAD_FILE);
    assert_int_equal(wick_part_write(&p, 9, "j", 1, NULL), WICK_OK);
    assert_int_equal(wick_part_have(&p), 10);
    assert_int_equal(wick_part_publish(&p, NULL), WICK_OK);
    wick_part_close(&p);
    char *text;
    assert_int_equal(wick_file_read(blob, 100, &text, NULL, NULL), WICK_OK);
    assert_string_equal(text, "abcdefghij");
    wick_free(text);
    assert_int_equal(remove(blob), 0);
}

/* A map that is cut, or speaks of more than there is, or a data file of another length: it begins anew. */
static void test_damaged_maps(void **state)
{
    static const struct {
        const char *suffix;
        size_t at;
        const char *bytes; /* NULL: the file is cut at `at` */
    } rows[] = {{".wick-map", 20, NULL},  {".wick-map", 0, "X"},   {".wick-map", 24, "\x05"}, {".wick-map", 16, "\0"},
                {".wick-map", 8, "\x0b"}, {".wick-part", 3, NULL}, {".wick-map", 31, "\xff"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        wick_part p;
        char path[128];
        assert_int_equal(wick_part_open(&p, blob, 10, 4, NULL), WICK_OK);
        assert_int_equal(wick_part_reset(&p, NULL), WICK_OK);
        assert_int_equal(wick_part_write(&p, 0, "abcd", 4, NULL), WICK_OK);
        wick_part_close(&p);
        snprintf(path, sizeof path, "%s%s", blob, rows[i].suffix);
        if (!rows[i].bytes) {
            assert_int_equal(truncate(path, (off_t)rows[i].at), 0);
        } else {
            FILE *f = fopen(path, "r+b");
            assert_true(f && fseek(f, (long)rows[i].at, SEEK_SET) == 0 && fwrite(rows[i].bytes, 1, 1, f) == 1);
            assert_int_equal(fclose(f), 0);
        }
        assert_int_equal(wick_part_left(blob, 10), 0);
        assert_int_equal(wick_part_open(&p, blob, 10, 4, NULL), WICK_OK);
        assert_int_equal(wick_part_have(&p), 0);
        wick_part_close(&p);
    }
}

static void test_hashes(void **state)
{
    static const struct {
        const char *hash;
        bool same;
    } rows[] = {{"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03", true}, /* sha256sum */
                {"ce013625030ba8dba906f756967f9e9ca394464a", true},                         /* git hash-object */
                {"5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be04", false},
                {"ce013625030ba8dba906f756967f9e9ca394464b", false},
                {"an-etag-of-another-kind", true}};
    wick_part p;
    bool same;
    (void)state;
    assert_int_equal(wick_part_open(&p, blob, 6, 4, NULL), WICK_OK);
    assert_int_equal(wick_part_write(&p, 0, "hello\n", 6, NULL), WICK_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(wick_part_check(&p, rows[i].hash, &same, NULL), WICK_OK);
        if (same != rows[i].same) fail_msg("%s", rows[i].hash);
    }
    wick_part_close(&p);
    assert_int_equal(wick_part_open(&p, blob, (uint64_t)1 << 60, 1, NULL), WICK_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_goes_on),
        cmocka_unit_test(test_damaged_maps),
        cmocka_unit_test(test_hashes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
