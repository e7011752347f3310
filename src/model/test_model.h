/* model/test_model.h - for this folder's unit tests: writes tiny models into a temporary folder. */
#pragma once
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"

typedef struct test_tensor {
    const char *name, *dtype; /* "F32", "U32", ... */
    uint32_t rows, cols;      /* rows 0: a vector of cols */
} test_tensor;

static inline uint32_t test_size(const char *dtype)
{
    return strcmp(dtype, "U8") == 0 ? 1 : strcmp(dtype, "F16") == 0 || strcmp(dtype, "BF16") == 0 ? 2 : 4;
}

static inline void test_write(const char *dir, const char *name, const void *data, size_t n)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* model.safetensors with byte pattern i * 7 (small float32 values where dtype is F32). */
static inline void test_write_tensors(const char *dir, const test_tensor *t, size_t n)
{
    char *head = calloc(1, 1 << 16);
    size_t len = 0, off = 0;
    len += (size_t)sprintf(head + len, "{");
    for (size_t i = 0; i < n; i++) {
        size_t bytes = (size_t)(t[i].rows ? t[i].rows : 1) * t[i].cols * test_size(t[i].dtype);
        len +=
            (size_t)sprintf(head + len, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[", i ? "," : "", t[i].name, t[i].dtype);
        if (t[i].rows) len += (size_t)sprintf(head + len, "%u,", t[i].rows);
        len += (size_t)sprintf(head + len, "%u],\"data_offsets\":[%zu,%zu]}", t[i].cols, off, off + bytes);
        off += bytes;
    }
    len += (size_t)sprintf(head + len, "}");
    while (len % 8) head[len++] = ' ';
    uint8_t *file = calloc(1, 8 + len + off);
    uint64_t n64 = len;
    memcpy(file, &n64, 8);
    memcpy(file + 8, head, len);
    for (size_t i = 0; i + 4 <= off; i += 4) {
        float v = (float)(i % 97) / 97.0f - 0.5f;
        memcpy(file + 8 + len + i, &v, 4);
    }
    test_write(dir, "model.safetensors", file, 8 + len + off);
    free(file);
    free(head);
}

static inline void test_write_text(const char *dir, const char *name, const char *text)
{
    test_write(dir, name, text, strlen(text));
}

static inline void test_write_config(const char *dir, const char *text)
{
    test_write_text(dir, "config.json", text);
}

static inline void test_dir(char dir[64])
{
    strcpy(dir, "/tmp/wick-model-XXXXXX");
    assert_non_null(mkdtemp(dir));
}

static inline void test_dir_remove(const char *dir)
{
    wick_dir_list l = {0};
    char path[512];
    if (wick_dir_list_read(&l, dir, NULL) == WICK_OK) {
        for (size_t i = 0; i < l.n; i++) {
            snprintf(path, sizeof path, "%s/%s", dir, l.name[i]);
            unlink(path);
        }
        wick_dir_list_free(&l);
    }
    rmdir(dir);
}
