/* hub/cache.h - the layout of the Hugging Face cache, which huggingface_hub, transformers, mlx-lm and llama.cpp share:
 *
 *   <cache>/models--ORG--NAME/blobs/<etag>               contents, named by SHA-256 (large files) or git's SHA-1
 *                             snapshots/<commit>/<path>  links to blobs
 *                             refs/<revision>            the commit that a branch or tag was when it was last asked
 *                             .no_exist/<commit>/<path>  asked for and not in the repository
 *   <cache>/.locks/models--ORG--NAME/<etag>.lock         flock()ed while a blob is downloaded
 */
#pragma once
#include "hub/discover.h"

/* The cache's folder; NULL if no variable and no home says where, or when out of memory. Caller frees. */
char *wick_hub_cache_folder(const wick_discover_opts *o);
/* "org/name" -> "models--org--name" */
void wick_hub_repo_folder(const char *repo, char *dst, size_t cap);
/* "models--org--name" -> "org/name"; false for other folders */
bool wick_hub_repo_name(const char *folder, char *dst, size_t cap);
/* The snapshot of a revision (branch, tag, whole commit or its first 7 digits and more) below `repo_folder`. For "":
 * the one that refs/main names, else the last by name. NULL if it is not there. Caller frees. */
char *wick_hub_snapshot(const char *repo_folder, const char *revision);

typedef enum wick_model_folder_kind {
    WICK_FOLDER_NO_MODEL,
    WICK_FOLDER_COMPLETE,
    WICK_FOLDER_PARTIAL /* the index of its weights names files that are not there, or a link leads nowhere */
} wick_model_folder_kind;
/* What a folder is that should hold config.json and weights in safetensors or NPZ. */
wick_model_folder_kind wick_model_folder_look(const char *dir);
/* Whether a config.json has the quantization that was asked for: "4bit" and "8bit" by its bits, "mxfp4" by its mode,
 * "bf16" where there is none. WICK_E_MODEL_NOT_FOUND says what it has; `place` is what the message calls it. */
wick_status wick_config_has_pick(const char *config_path, const char *pick, const char *place,
                                 wick_err *err) WICK_MUST_CHECK;
