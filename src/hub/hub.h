/* hub/hub.h - downloads from a hub that speaks Hugging Face's API, into the Hugging Face cache (hub/cache.h).
 *
 * Invariants: a file has its final name only when its size and its SHA-256 (or git's SHA-1, for small files) are those
 * that the hub named; what is downloaded in part survives kill -9 and is gone on with; the token goes to the endpoint's
 * own host and to no other; nothing that the hub says can make a path outside the repository's folder. One thread; the
 * caller's.
 */
#pragma once
#include "hub/discover.h"
#include "hub/ref.h"

typedef struct wick_hub_progress {
    const char *file;     /* what is being worked on; NULL at the end */
    uint64_t done, total; /* bytes of all files, those that were there before included */
    uint64_t had;         /* of `done`, what was there at the start */
    uint32_t n_done, n_files;
    bool waiting; /* for another process that downloads the same file */
} wick_hub_progress;

/* How to reach the hub. Everything is borrowed, and read by the caller (the environment, token files). */
typedef struct wick_hub {
    const char *endpoint;     /* NULL: https://huggingface.co */
    const char *token;        /* NULL: none */
    const char *token_source; /* where it came from, for messages: "HF_TOKEN", "~/.cache/huggingface/token" */
    const char *http_proxy, *https_proxy, *no_proxy, *ca_file;
    bool offline;                                         /* HF_HUB_OFFLINE: no request at all */
    bool modelscope;                                      /* the endpoint speaks ModelScope's API */
    uint32_t n_connections, n_retries, stall_s, retry_ms; /* 0: 8, 5, 30 s, 500 ms (doubled each time) */
    uint64_t segment_bytes;                               /* of ranges; 0: 32 MiB */
    void (*progress)(void *ctx, const wick_hub_progress *p);
    bool (*cancelled)(void *ctx);
    void *ctx;
} wick_hub;

typedef struct wick_pulled {
    char *path; /* of the snapshot's folder, or of the GGUF file in it */
    char commit[80];
    char why[200];               /* as in wick_resolved */
    uint64_t n_bytes, n_fetched; /* of all files; of those that came over the network now */
    uint32_t n_files;
    char renamed[200]; /* what the repository is called now, if the hub says another name; else "" */
} wick_pulled;

/* Brings a model into the cache: the files that a backend needs, or one GGUF (ref->pick, or the default of hub/pick.h).
 * What is there already is not asked for again. Each failure is one line with what to do: WICK_E_MODEL_NOT_FOUND (no
 * such repository, revision or file; private; gated; offline), WICK_E_LIMIT (rate limit), WICK_E_IO (network, disk),
 * WICK_E_BAD_FILE (what came is not what was promised), WICK_E_CANCELLED. */
wick_status wick_hub_pull(wick_pulled *out, const wick_discover_opts *where, const wick_hub *hub,
                          const wick_model_ref *ref, wick_err *err) WICK_MUST_CHECK;
void wick_pulled_release(wick_pulled *p);

/* Who a token belongs to. Caller frees *name. */
wick_status wick_hub_whoami(char **name, const wick_hub *hub, wick_err *err) WICK_MUST_CHECK;
/* Removes a repository from the cache: blobs, snapshots, refs and locks. *n_bytes: what the disk got back. */
wick_status wick_hub_remove(uint64_t *n_bytes, const wick_discover_opts *where, const char *repo,
                            wick_err *err) WICK_MUST_CHECK;
