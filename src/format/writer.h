/* format/writer.h - containers written: the counterpart of tensor_dir.h.
 *
 * What a file will hold is known before its data: names, types and shapes give every offset, so the parts of all
 * tensors may be put in any order and by several threads at once. A file is complete when wick_tensor_writer_finish has
 * returned; the caller writes to a folder that is renamed afterwards (base/staging.h).
 */
#pragma once
#include "base/buf.h"
#include "format/gguf.h"
#include "format/tensor_dir.h"

/* Key-values of a GGUF file under construction. */
typedef struct wick_gguf_keys {
    wick_buf buf;
    uint64_t n;
} wick_gguf_keys;
void wick_gguf_keys_release(wick_gguf_keys *k);
void wick_gguf_put_str(wick_gguf_keys *k, const char *key, wick_str value);
void wick_gguf_put_u32(wick_gguf_keys *k, const char *key, uint32_t value);
void wick_gguf_put_f32(wick_gguf_keys *k, const char *key, float value);
void wick_gguf_put_bool(wick_gguf_keys *k, const char *key, bool value);
void wick_gguf_put_strings(wick_gguf_keys *k, const char *key, const wick_str *value, uint64_t n);
/* An array of I32, U32 or F32: n elements of 4 bytes. */
void wick_gguf_put_words(wick_gguf_keys *k, const char *key, wick_gguf_type elem, const void *value, uint64_t n);
/* A value of another file as it is. False: an array of arrays, which is not kept. */
bool wick_gguf_put_value(wick_gguf_keys *k, wick_str key, const wick_gguf_value *v);

typedef struct wick_write_opts {
    wick_container format;
    const char *folder;  /* exists */
    const char *file;    /* GGUF, NPZ: the name in that folder; safetensors: NULL, model.safetensors or its shards */
    uint64_t part_bytes; /* safetensors: a new shard begins before this is passed; 0: 5 GB */
    const char *origin;  /* safetensors: "format" of the metadata, "mlx" or "pt" */
    const wick_gguf_keys *keys; /* GGUF */
} wick_write_opts;

typedef struct wick_tensor_writer wick_tensor_writer;
/* Creates the files and writes what stands before the data. The n descriptions (name, dtype, n_dim, shape; n_bytes is
 * filled in) are borrowed until the writer is freed. WICK_E_UNSUPPORTED_FORMAT: a type that the container does not
 * have. */
wick_status wick_tensor_writer_open(wick_tensor_writer **out, const wick_write_opts *o, wick_tensor *tensor, uint32_t n,
                                    wick_err *err) WICK_MUST_CHECK;
/* Bytes [at, at + n) of tensor i; any thread. */
wick_status wick_tensor_writer_put(wick_tensor_writer *w, uint32_t i, uint64_t at, const void *data, uint64_t n,
                                   wick_err *err) WICK_MUST_CHECK;
/* All is put: indexes and checksums. */
wick_status wick_tensor_writer_finish(wick_tensor_writer *w, wick_err *err) WICK_MUST_CHECK;
void wick_tensor_writer_free(wick_tensor_writer *w); /* NULL is fine */
