/* hub/discover.h - models that are on this disk already.
 *
 * Looked through: the Hugging Face cache, ./models, ~/models, LM Studio's and Ollama's folders, folders named mlx-community, paths
 * given. Never follows links out of a folder twice, depth at most 6, entries at most 100,000. */
#pragma once
#include "base/status.h"

typedef struct wick_found {
    char *path;         /* what `wick run` takes */
    char *name;         /* "org/name", "qwen2.5:0.5b", or the folder's name */
    char *source;       /* "huggingface", "lmstudio", "ollama", "models", "path" */
    char *format;       /* "safetensors", "npz", "gguf" */
    char *model_type;   /* config.json's or general.architecture; NULL if unknown */
    char *quantization; /* "4-bit", "Q4_K_M", NULL */
    bool mlx; /* an MLX layout: mlx-community, or safetensors metadata format=mlx, or a "quantization" entry */
    uint64_t n_bytes;
} wick_found;

typedef struct wick_found_list {
    wick_found *item;
    uint32_t n;
} wick_found_list;

typedef struct wick_discover_opts {
    const char *const *extra; /* more folders */
    uint32_t n_extra;
    const char *format; /* NULL: all */
    const char *home, *hf_home, *hf_hub_cache,
        *ollama_models; /* from the environment, given by the caller; NULL: unset */
} wick_discover_opts;

wick_status wick_discover(wick_found_list *out, const wick_discover_opts *o, wick_err *err) WICK_MUST_CHECK;
void wick_found_list_free(wick_found_list *l);
/* "org/name" (with a snapshot in the cache), a discovered name, or a path -> a path that wick_model_open takes.
 * WICK_E_MODEL_NOT_FOUND names the nearest names found. Caller wick_free()s *path. */
wick_status wick_resolve_model(char **path, const char *path_or_id, const wick_discover_opts *o,
                               wick_err *err) WICK_MUST_CHECK;
