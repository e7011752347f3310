/* format/test_files.h - for the unit tests of format/: files from bytes, and opening under failing allocations. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "format/tensor_dir.h"

/* Little-endian bytes of a file under construction. */
typedef struct bytes {
    uint8_t data[8192];
    size_t n;
} bytes;

static inline void put(bytes *b, const void *p, size_t n)
{
    assert_true(b->n + n <= sizeof b->data);
    if (n) memcpy(b->data + b->n, p, n);
    b->n += n;
}
static inline void put_n(bytes *b, uint64_t v, unsigned n_bytes)
{
    for (unsigned i = 0; i < n_bytes; i++) put(b, &(uint8_t){(uint8_t)(i < 8 ? v >> (8 * i) : 0)}, 1);
}
static inline void put_s(bytes *b, const char *s)
{
    put(b, s, strlen(s));
}

static char test_folder[64];

static inline int make_folder(void **state)
{
    (void)state;
    strcpy(test_folder, "/tmp/wick-format-XXXXXX");
    return mkdtemp(test_folder) ? 0 : -1;
}
static inline int remove_folder(void **state)
{
    (void)state;
    wick_dir_list l = {0};
    wick_err err;
    if (wick_dir_list_read(&l, test_folder, &err) != WICK_OK) return -1;
    for (size_t i = 0; i < l.n; i++) {
        char *p = wick_path_join(test_folder, l.name[i]);
        if (p) unlink(p);
        wick_free(p);
    }
    wick_dir_list_free(&l);
    return rmdir(test_folder);
}

/* Writes the bytes as test_folder/name; the path stays valid until the next call but seven. */
static inline const char *file_of(const char *name, const void *data, size_t n)
{
    static char path[8][160];
    static unsigned k;
    char *p = path[k++ % 8];
    snprintf(p, sizeof path[0], "%s/%s", test_folder, name);
    FILE *f = fopen(p, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return p;
}

/* Opening fails with this status and a message that holds `text` and the file's name. */
static inline void assert_refused(const char *path, wick_status status, const char *text)
{
    wick_tensor_dir d;
    wick_err err = {0};
    wick_status st = wick_tensor_dir_open(&d, path, &err);
    if (st != status || !strstr(err.message, text) || !strstr(err.message, wick_path_base(path)))
        fail_msg("%s: status %d, message: %s; expected status %d and \"%s\"", path, (int)st, err.message, (int)status,
                 text);
    assert_null(d.tensor);
    assert_null(d.file);
    assert_null(d.gguf);
}

/* The n-th allocation fails, for every n, once or for good: a clean out-of-memory error and nothing left behind. */
static inline void assert_survives_failing_allocations(const char *path)
{
    for (int forever = 0; forever < 2; forever++) {
        wick_status st = WICK_E_OUT_OF_MEMORY;
        uint64_t n = 1;
        for (; st != WICK_OK && n < 10000; n++) {
            wick_tensor_dir d;
            wick_err err = {0};
            wick_alloc_fail_at(n, forever);
            st = wick_tensor_dir_open(&d, path, &err);
            wick_alloc_fail_at(0, false);
            if (st != WICK_OK && st != WICK_E_OUT_OF_MEMORY) fail_msg("allocation %d: %s", (int)n, err.message);
            if (st == WICK_OK) assert_true(d.n_tensors > 0);
            wick_tensor_dir_close(&d);
        }
        assert_true(n > 4 && n < 10000);
    }
}
