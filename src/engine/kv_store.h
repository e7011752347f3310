/* engine/kv_store.h - positions of sequences in files, so that a conversation outlives the process.
 *
 * FOLDER/<16 hex digits: model>/<40 hex digits: name>.kv, one file for each block of positions:
 *   head (what it is, and a hash of everything behind it), the block's tokens, then what the backend exported.
 * A block's name is a SHA-256 of the name before it and its own tokens; the first one follows from the model, its
 * precision, the type of its KV and the user's domain. So a name says all that its contents depend on, blocks are
 * shared by conversations that begin alike, and one user's are never found by another.
 *
 * A file is written once, by a thread of its own, under a temporary name that is then renamed; it belongs to this user
 * only (mode 0600). It is used only if name, positions, tokens and hash are right; otherwise it is removed. When the
 * folder holds more than its limit, the least recently used files go.
 *
 * Threads: everything but the writer's own is called from the engine's thread, wick_kv_store_clear from any, on a
 * folder.
 */
#pragma once
#include "engine/engine.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

typedef struct wick_kv_store wick_kv_store;

typedef struct wick_kv_name {
    uint8_t b[32];
} wick_kv_name;

/* A block: positions [from, to) with these tokens, behind `parent`. */
typedef struct wick_kv_part {
    wick_kv_name parent, name;
    wick_domain domain;
    uint32_t from, to;
    const int32_t *tokens; /* [to - from] */
} wick_kv_part;

/* model: everything that KV depends on but tokens and user. The folder is made when something is written. */
wick_status wick_kv_store_open(wick_kv_store **out, const char *folder, uint64_t limit_bytes, const void *model,
                               size_t n_model, wick_err *err) WICK_MUST_CHECK;
void wick_kv_store_close(wick_kv_store *s); /* writes what is queued; NULL is fine */

wick_kv_name wick_kv_store_root(const wick_kv_store *s, wick_domain domain);
/* Fills part->name from parent, positions and tokens. */
void wick_kv_store_name(wick_kv_part *part);
bool wick_kv_store_has(const wick_kv_store *s, const wick_kv_name *name);
/* Memory for n bytes of an export; NULL: too much is queued, or there is no memory. */
void *wick_kv_store_begin(wick_kv_store *s, const wick_kv_part *part, uint64_t n);
/* Queues what begin returned, with n_used of its bytes filled, for writing; 0: gives it up. */
void wick_kv_store_end(wick_kv_store *s, const wick_kv_part *part, void *data, uint64_t n_used);
/* Reads a block: calls use(ctx, data, n), and removes a file that is not what it should be. WICK_E_MODEL_NOT_FOUND:
 * there is none. The file counts as used now. */
wick_status wick_kv_store_read(wick_kv_store *s, const wick_kv_part *part,
                               wick_status (*use)(void *ctx, const void *data, uint64_t n, wick_err *err), void *ctx,
                               wick_err *err) WICK_MUST_CHECK;
/* Removes what belongs to one owner, of this model. */
void wick_kv_store_drop(wick_kv_store *s, uint64_t owner);
void wick_kv_store_drop_all(wick_kv_store *s);
uint64_t wick_kv_store_written(const wick_kv_store *s); /* bytes, since it was opened */
uint64_t wick_kv_store_bytes(const wick_kv_store *s);   /* in the folder, as far as is known */

/* Counts, or removes, all files of a folder (`wick cache kv`). A folder that does not exist is empty. */
wick_status wick_kv_folder_each(const char *folder, bool remove, uint64_t *n_files, uint64_t *n_bytes,
                                wick_err *err) WICK_MUST_CHECK;
