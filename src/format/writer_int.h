/* format/writer_int.h - private to format/: what the writers of the three containers share. */
#pragma once
#include "format/writer.h"

typedef struct wick_out_file {
    char *path;
    int fd;
    uint32_t first, n; /* tensors [first, first + n) */
    uint64_t n_bytes;  /* of their data and what pads it */
} wick_out_file;

struct wick_tensor_writer {
    wick_write_opts opts;
    wick_tensor *tensor;
    uint32_t n;
    uint64_t *at; /* [n] where the tensor's data begins in its file */
    uint32_t *of; /* [n] its file */
    wick_out_file *file;
    uint32_t n_files;
};

/* Opens file[k].path, and writes n bytes at an offset of file k. */
wick_status wick_out_create(wick_tensor_writer *w, uint32_t k, const char *name, wick_err *err) WICK_MUST_CHECK;
wick_status wick_out_put(const wick_tensor_writer *w, uint32_t k, uint64_t at, const void *data, uint64_t n,
                         wick_err *err) WICK_MUST_CHECK;

/* Each decides w->at, and writes what stands before the data. */
wick_status wick_safetensors_begin(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
wick_status wick_safetensors_end(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
wick_status wick_gguf_begin(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
wick_status wick_npz_begin(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
wick_status wick_npz_end(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
