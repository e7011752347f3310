/* hub/discover.h - models that are on this disk already.
 *
 * Looked through: the Hugging Face cache, ./models, ~/models, LM Studio's and Ollama's folders, folders named
 * mlx-community, the models that were installed with Wick, paths given. Never follows links out of a folder twice,
 * depth at most 6, entries at most 100,000. */
#pragma once
#include "base/status.h"

typedef struct wick_found {
    char *path;         /* what `wick run` takes */
    char *name;         /* "org/name", "qwen2.5:0.5b", or the folder's name */
    char *source;       /* "huggingface", "lmstudio", "ollama", "models", "installed", "path" */
    char *format;       /* "safetensors", "npz", "gguf" */
    char *model_type;   /* config.json's or general.architecture; NULL if unknown */
    char *quantization; /* "4-bit", "Q4_K_M", NULL */
    char *manifest;     /* Ollama's, which holds settings of the tag (hub/ollama.h); NULL for others */
    bool mlx; /* an MLX layout: mlx-community, or safetensors metadata format=mlx, or a "quantization" entry */
    uint64_t n_bytes;
    int64_t used; /* seconds since 1970 when it was read last, as the file system knows it; 0: unknown */
} wick_found;

typedef struct wick_found_list {
    wick_found *item;
    uint32_t n;
} wick_found_list;

/* Where to look. All strings are borrowed; those from the environment are read by the caller; NULL: unset. */
typedef struct wick_discover_opts {
    const char *const *extra; /* more folders */
    uint32_t n_extra;
    const char *const *installed; /* folders of models that came with Wick */
    uint32_t n_installed;
    const char *format; /* NULL: all */
    const char *home, *hf_home, *hf_hub_cache, *hub_cache_old /* HUGGINGFACE_HUB_CACHE */, *xdg_cache, *ollama_models;
    uint64_t memory_bytes;      /* for picking a quantization; 0: what the machine has free */
    const struct wick_hub *hub; /* hub/hub.h: downloads what is not there; NULL: never */
} wick_discover_opts;

wick_status wick_discover(wick_found_list *out, const wick_discover_opts *o, wick_err *err) WICK_MUST_CHECK;
void wick_found_list_free(wick_found_list *l);
/* Does this file or folder lie in one of the places that are looked through (links resolved)? */
bool wick_discover_covers(const wick_discover_opts *o, const char *path);

typedef struct wick_resolved {
    char *path;     /* what wick_model_open takes */
    char *manifest; /* of an Ollama tag: its settings; NULL for others */
    char why[200];  /* one sentence where a choice was made ("Q4_K_M (4.1 GiB) of 9 quantizations: ..."), else "" */
} wick_resolved;

/* A name to a path. Tried in this order: a path that exists (a folder of GGUF files, or PATH:PICK, is picked from);
 * ORG/NAME[@REVISION][:PICK] in the Hugging Face cache; what wick_discover finds, by its whole name, by its name
 * without regard to case, by its last part, `name` for `name:latest`; the hub, if o->hub is set. WICK_E_MODEL_NOT_FOUND
 * names the nearest names found, or why the hub did not give it. */
wick_status wick_resolve(wick_resolved *out, const char *name, const wick_discover_opts *o,
                         wick_err *err) WICK_MUST_CHECK;
void wick_resolved_release(wick_resolved *r);
/* The same, the path only; a choice that was made is logged. Caller wick_free()s *path. */
wick_status wick_resolve_model(char **path, const char *name, const wick_discover_opts *o,
                               wick_err *err) WICK_MUST_CHECK;
