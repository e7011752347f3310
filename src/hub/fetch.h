/* hub/fetch.h - private to hub: blobs over the network, several files and ranges at once. */
#pragma once
#include "hub/repo.h"

typedef struct wick_fetch {
    const wick_hub *hub;
    const wick_repo *repo;
    const char *blobs_dir, *locks_dir;
    wick_hub_progress *progress; /* done, n_done and file are kept up to date */
    uint64_t n_fetched;          /* out */
} wick_fetch;

/* Until each wanted file of the repository is a blob in blobs_dir, named by its hash. What an earlier process left is
 * gone on with; what another process is downloading is waited for. */
wick_status wick_fetch_all(wick_fetch *f, wick_err *err) WICK_MUST_CHECK;
