/* hub/repo.h - private to hub: what a repository holds at a revision, as the hub lists it, and which of its files a
 * model needs. */
#pragma once
#include "hub/hub.h"

typedef struct wick_repo_file {
    char *path;       /* checked: wick_hub_path_ok */
    uint64_t n_bytes; /* UINT64_MAX: not known */
    char hash
        /* SHA-256 (64 digits) or git's SHA-1 (40 digits) in lower case, or another etag; "" not known. Safe as a file's
         * name */
        [80];
    bool wanted;
} wick_repo_file;

typedef struct wick_repo {
    char id[200];     /* as asked */
    char called[200]; /* as the hub calls it */
    char commit[80];  /* safe as a file's name */
    wick_repo_file *file;
    uint32_t n;
} wick_repo;

wick_status wick_repo_read(wick_repo *r, const wick_hub *hub, const wick_model_ref *ref, wick_err *err) WICK_MUST_CHECK;
void wick_repo_release(wick_repo *r);
/* The address of a file's contents. Caller frees. */
char *wick_repo_file_url(const wick_repo *r, const wick_hub *hub, const char *path);
/* Asks for the size and hash of a file where the list did not say them. */
wick_status wick_repo_file_look(const wick_repo *r, wick_repo_file *f, const wick_hub *hub,
                                wick_err *err) WICK_MUST_CHECK;

/* Marks what is wanted: one GGUF model where there are no other weights or `pick` names one; else configuration,
 * tokenizer, templates and safetensors (or NPZ) in the root. *gguf: the first file of the GGUF model, or NULL. */
wick_status wick_repo_choose(wick_repo *r, const char *pick, uint64_t memory_bytes, const wick_repo_file **gguf,
                             char *why, size_t why_cap, wick_err *err) WICK_MUST_CHECK;
