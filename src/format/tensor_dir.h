/* format/tensor_dir.h - what every container opens to: a directory of tensors over mapped files.
 *
 * Owns the mappings; `data` pointers live until wick_tensor_dir_close. Shapes are row-major, outermost first
 * (GGUF's reversed order is turned round here). Invariants, checked at open against the file's size:
 *   1. offset_bytes + n_bytes <= size of its file; n_bytes == dtype and shape (no overflow, no negative).
 *   2. names are unique, NUL-free, at most 512 bytes; n_dim <= WICK_MAX_DIMS; at most 1,000,000 tensors.
 *   3. safetensors: tensors do not overlap.
 * Data need not be aligned: read with memcpy or unaligned loads.
 */
#pragma once
#include "base/alloc.h"
#include "base/dtype.h"
#include "base/file.h"
#include "base/map.h"

#define WICK_MAX_DIMS 6

typedef enum wick_container { WICK_SAFETENSORS, WICK_NPZ, WICK_GGUF } wick_container;

typedef struct wick_tensor {
    const char *name;
    wick_dtype dtype;
    uint32_t n_dim;
    uint64_t shape[WICK_MAX_DIMS];
    uint32_t file;         /* index into dir->file */
    uint64_t offset_bytes; /* in that file; for a deflated NPZ member, of its compressed bytes */
    uint64_t n_bytes;      /* of the tensor itself */
    const void *data;
    bool copied; /* true where `data` is not in the mapping (deflated NPZ) */
} wick_tensor;

typedef struct wick_tensor_dir {
    wick_container format;
    wick_tensor *tensor;
    uint32_t n_tensors;
    wick_file *file;
    uint32_t n_files;
    struct wick_gguf *gguf; /* key-values; NULL unless format is WICK_GGUF; owned */
    wick_map by_name;       /* private */
    wick_arena arena;       /* private: names, arrays */
    void **owned;           /* private: inflated members */
    uint32_t n_owned;
    uint32_t cap_tensors; /* private */
} wick_tensor_dir;

/* Opens a container by what it is, not by its name: a .safetensors file, a folder with model.safetensors or
 * model.safetensors.index.json or model*.safetensors, an .npz file or a folder with one (weights.npz, model.npz, else
 * the only .npz), a .gguf file (all parts of a split one, given the first) or a folder with exactly one GGUF model.
 * Errors: model not found, unsupported format (expected, got), bad file, out of memory. */
wick_status wick_tensor_dir_open(wick_tensor_dir *d, const char *path, wick_err *err) WICK_MUST_CHECK;
void wick_tensor_dir_close(wick_tensor_dir *d);                                  /* fine on a zeroed struct */
const wick_tensor *wick_tensor_find(const wick_tensor_dir *d, const char *name); /* NULL if absent */
uint64_t wick_tensor_count(const wick_tensor *t);                                /* elements */
const char *wick_container_name(wick_container c);                               /* "safetensors", "npz", "gguf" */

/* The three readers behind it; each fills a zeroed *d. */
wick_status wick_safetensors_open(wick_tensor_dir *d, const char *path, wick_err *err) WICK_MUST_CHECK;
wick_status wick_npz_open(wick_tensor_dir *d, const char *path, wick_err *err) WICK_MUST_CHECK;
wick_status wick_gguf_open(wick_tensor_dir *d, const char *path, wick_err *err) WICK_MUST_CHECK;
