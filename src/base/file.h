/* base/file.h - files: mapped for reading, written under a temporary name and renamed.
 *
 * Only regular files are mapped (a FIFO or a device is refused), with O_CLOEXEC, and the size is the one fstat
 * gave at open. A file that shrinks while it is mapped raises SIGBUS.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/buf.h"
#include "base/status.h"

typedef struct wick_file {
    const uint8_t *data; /* NULL for an empty file */
    uint64_t n_bytes;
    char *path; /* owned */
    int fd;
} wick_file;

wick_status wick_file_open(wick_file *f, const char *path, wick_err *err) WICK_MUST_CHECK;
void wick_file_close(wick_file *f);

bool wick_path_exists(const char *path);
bool wick_path_is_dir(const char *path);
bool wick_path_is_file(const char *path);
/* "dir/name"; caller wick_free()s; NULL when out of memory */
char *wick_path_join(const char *dir, const char *name);
const char *wick_path_base(const char *path); /* the part after the last '/' */

/* Whole file to memory (NUL-terminated, the NUL not counted; n may be NULL); larger than max_bytes is WICK_E_LIMIT. */
wick_status wick_file_read(const char *path, size_t max_bytes, char **data, size_t *n, wick_err *err) WICK_MUST_CHECK;
/* Writes path.tmp-XXXX, fsync, rename over path, fsync of the folder; on failure the temporary file is gone. */
wick_status wick_file_write(const char *path, const void *data, size_t n, wick_err *err) WICK_MUST_CHECK;
/* Is this file, which holds a secret, for its owner alone? Others may have no rights at all, nor may its group, unless
 * an access control list gives them to this process's user only (as systemd does for credentials). A file that is not
 * there is private. WICK_E_BAD_PARAMETER says what to do. */
wick_status wick_file_check_private(const char *path, wick_err *err) WICK_MUST_CHECK;
wick_status wick_dir_make(const char *path, wick_err *err) WICK_MUST_CHECK; /* mkdir -p, mode 0700 */

/* Names in a folder, sorted, without . and ..; caller frees with wick_dir_list_free. */
typedef struct wick_dir_list {
    char **name;
    size_t n;
} wick_dir_list;
wick_status wick_dir_list_read(wick_dir_list *l, const char *path, wick_err *err) WICK_MUST_CHECK;
void wick_dir_list_free(wick_dir_list *l);
