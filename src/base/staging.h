/* base/staging.h - output that appears whole or not at all.
 *
 * Everything is written to a folder beside the wanted path, OUT.part-XXXXXX, and renamed when it is complete and on
 * disk. The folder is locked while its writer lives; what a writer that died has left is removed by the next one that
 * wants the same OUT. A full disk or a kill -9 therefore never leaves anything under the wanted name.
 */
#pragma once
#include "base/status.h"

typedef struct wick_staging {
    char *out, *folder; /* owned */
    int fd;             /* of the folder, holds the lock */
} wick_staging;

/* Fails where `out` is there already, unless it is an empty folder, or a file that `replace` gives up. */
wick_status wick_staging_begin(wick_staging *s, const char *out, bool replace, wick_err *err) WICK_MUST_CHECK;
/* WICK_E_IO, with both numbers, where the disk has no room for n_bytes. */
wick_status wick_staging_room(const wick_staging *s, uint64_t n_bytes, wick_err *err) WICK_MUST_CHECK;
/* file NULL: the folder becomes `out`. Else that file of it does, and the folder goes. */
wick_status wick_staging_commit(wick_staging *s, const char *file, wick_err *err) WICK_MUST_CHECK;
/* Removes what was not committed, and frees; fine on a zeroed struct. */
void wick_staging_drop(wick_staging *s);
