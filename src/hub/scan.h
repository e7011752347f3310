/* hub/scan.h - private to hub: looking at one file or folder and adding what it is to the list. */
#pragma once
#include <sys/types.h>
#include "base/alloc.h"
#include "hub/discover.h"

enum { WICK_MODEL_SCAN_MAX_ENTRIES = 100000, WICK_MODEL_SCAN_MAX_DEPTH = 6 };

typedef struct wick_model_scan {
    wick_found_list *out;
    uint32_t cap, n_entries;
    const char *format; /* only this one, or NULL */
    struct {
        dev_t dev;
        ino_t ino;
    } * seen; /* folders already looked into: links make circles */
    uint32_t n_seen, seen_cap;
    wick_err *err;
} wick_model_scan;

/* Everything below `dir`: model folders and GGUF files. `name`: what a model in `dir` itself is called, NULL for its
 * path below the root. Folders that cannot be read are passed over; only running out of memory is an error. */
wick_status wick_scan_tree(wick_model_scan *s, const char *dir, const char *source, const char *name,
                           unsigned depth) WICK_MUST_CHECK;
/* manifest: of Ollama, or NULL */
wick_status wick_scan_gguf(wick_model_scan *s, const char *path, const char *source, const char *name,
                           const char *manifest) WICK_MUST_CHECK;
