/* hub/part.h - private to hub: a blob that is not whole yet.
 *
 * <blob>.wick-part has the blob's length from the start; <blob>.wick-map says how far each segment of it is. The map is
 * written after the data, so a process that is killed loses at most what was under way; a machine that loses power may
 * lose more, which the hash finds. Both names differ from huggingface_hub's <etag>.incomplete, which is a prefix and
 * would be read wrongly. The caller holds the blob's lock. */
#pragma once
#include "base/status.h"

typedef struct wick_part {
    char *blob, *data_path, *map_path; /* owned */
    int fd, map_fd;
    uint64_t n_bytes, segment_bytes;
    uint32_t n_segments;
    uint64_t *done; /* [n_segments] bytes from the start of each */
} wick_part;

/* Opens what is there, or begins; segment_bytes of an earlier process wins. */
wick_status wick_part_open(wick_part *p, const char *blob, uint64_t n_bytes, uint64_t segment_bytes,
                           wick_err *err) WICK_MUST_CHECK;
void wick_part_close(wick_part *p); /* what is there stays */
/* n bytes at `pos`; they follow what is there of their segment. */
wick_status wick_part_write(wick_part *p, uint64_t pos, const void *data, uint64_t n, wick_err *err) WICK_MUST_CHECK;
uint64_t wick_part_have(const wick_part *p);
uint64_t wick_part_segment_len(const wick_part *p, uint32_t i);
/* hash: 64 hexadecimal digits are SHA-256, 40 git's SHA-1 of a blob; another one is not compared. */
wick_status wick_part_check(const wick_part *p, const char *hash, bool *same, wick_err *err) WICK_MUST_CHECK;
wick_status wick_part_reset(wick_part *p, wick_err *err) WICK_MUST_CHECK; /* nothing is there any more */
/* Flushes and renames to the blob's own name. */
wick_status wick_part_publish(wick_part *p, wick_err *err) WICK_MUST_CHECK;
/* Bytes that an earlier process left of a blob; opens nothing for writing. */
uint64_t wick_part_left(const char *blob, uint64_t n_bytes);
