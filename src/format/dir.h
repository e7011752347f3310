/* format/dir.h - private to format/: filling a tensor directory under its invariants, and what the readers share.
 *
 * Every tensor of every container passes wick_dir_add, so that names, shapes, sizes and file ranges are checked in
 * one place. A directory whose filling failed is released by wick_tensor_dir_close like any other.
 */
#pragma once
#include "format/tensor_dir.h"

#define WICK_MAX_TENSORS 1000000u
#define WICK_MAX_TENSOR_NAME 512u
#define WICK_MAX_TENSOR_FILES 1000u /* the largest model on the hub has a few hundred shards */

/* What a file is, by its first bytes; `name` reads after "got": "a Git LFS pointer, not the file itself". */
typedef enum wick_content {
    WICK_CONTENT_UNKNOWN,
    WICK_CONTENT_SAFETENSORS,
    WICK_CONTENT_ZIP,
    WICK_CONTENT_GGUF,
    WICK_CONTENT_FOREIGN /* known, and not a container that Wick reads */
} wick_content;
wick_content wick_content_sniff(const wick_file *f, const char **name, const char **remedy);
/* The error for a file that is FOREIGN or UNKNOWN. */
wick_status wick_content_refuse(const wick_file *f, wick_err *err);

/* Maps `path` as d->file[d->n_files++]. */
wick_status wick_dir_add_file(wick_tensor_dir *d, const char *path, wick_err *err) WICK_MUST_CHECK;
/* Room for n tensors in all. */
wick_status wick_dir_reserve(wick_tensor_dir *d, uint64_t n, wick_err *err) WICK_MUST_CHECK;
/* n_bytes of dtype and shape. False when a product wraps (zeros do not hide it) or a block type's row is no whole
 * number of blocks. */
bool wick_tensor_size(const wick_tensor *t, uint64_t *n_bytes);
/* "[2, 3]" into dst, for messages */
const char *wick_shape_text(const wick_tensor *t, char *dst, size_t cap);
/* Adds a copy of *t called `name` and fills its name, n_bytes and, unless t->copied, data. */
wick_status wick_dir_add(wick_tensor_dir *d, wick_str name, const wick_tensor *t, wick_err *err) WICK_MUST_CHECK;
/* `p` (from wick_alloc) is freed with the directory; on failure it is freed at once. */
wick_status wick_dir_own(wick_tensor_dir *d, void *p, wick_err *err) WICK_MUST_CHECK;

/* A range of bytes of one file and the index of what lies there. */
typedef struct wick_extent {
    uint64_t begin, end;
    uint32_t index;
} wick_extent;
/* Sorts by begin, then end. Returns the position of the first span that begins before the previous one ends, or n. */
uint32_t wick_extents_overlap(wick_extent *s, uint32_t n);
/* Spans of the tensors [first, d->n_tensors); wick_free() it. NULL when out of memory. */
wick_extent *wick_dir_extents(const wick_tensor_dir *d, uint32_t first);
