/* fuzz/fuzz_dir.h - what the targets of the tensor containers do with a directory that opened. */
#pragma once
#include "format/tensor_dir.h"
#include "fuzz_file.h"

/* Reads the ends of every tensor and finds it by name; a broken invariant aborts. */
static inline void fuzz_walk(const wick_tensor_dir *d)
{
    volatile unsigned sum = 0;
    for (uint32_t i = 0; i < d->n_tensors; i++) {
        const wick_tensor *t = &d->tensor[i];
        const uint8_t *p = t->data;
        uint64_t n_bytes;
        if (t->n_bytes) sum += (unsigned)p[0] + p[t->n_bytes - 1];
        if (wick_tensor_find(d, t->name) != t) abort();
        if (!wick_dtype_bytes(t->dtype, wick_tensor_count(t), &n_bytes) || n_bytes != t->n_bytes) abort();
    }
    (void)sum;
}

static inline int fuzz_open(const uint8_t *data, size_t n,
                            wick_status (*open)(wick_tensor_dir *, const char *, wick_err *),
                            void (*more)(const wick_tensor_dir *))
{
    wick_tensor_dir d = {0};
    wick_err err = {0};
    const char *path = fuzz_input_path(data, n);
    if (!path) return 0;
    wick_status st = open(&d, path, &err);
    if (st == WICK_OK) {
        fuzz_walk(&d);
        if (more) more(&d);
    } else if (err.kind != st || !err.message[0]) {
        abort(); /* every failure says why */
    }
    wick_tensor_dir_close(&d);
    return 0;
}
