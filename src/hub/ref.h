/* hub/ref.h - what a user calls a model: ORG/NAME[@REVISION][:PICK], also as hf.co/..., https://huggingface.co/... and
 * hf:...
 *
 * A parsed reference is safe to build paths and URLs from: letters, digits, '.', '_', '-' only (and '/' inside a
 * revision or a file), no part that is "..", no empty part. */
#pragma once
#include <stdbool.h>
#include <stddef.h>

typedef struct wick_model_ref {
    char repo[200];     /* "org/name" */
    char revision[128]; /* a branch, tag or commit; "" if none was given: main */
    char pick[256];     /* a file or a quantization ("Q4_K_M", "4bit"); "" if none was given */
} wick_model_ref;

/* False for what cannot be a name on the hub; *r is then undefined. */
bool wick_model_ref_parse(wick_model_ref *r, const char *text);
/* A path inside a repository as the hub may name it: relative, no "..", no empty or hidden-by-dots part, no control
 * bytes or backslashes, at most 255 bytes a part. */
bool wick_hub_path_ok(const char *path);
