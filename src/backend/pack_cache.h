/* backend/pack_cache.h - packed weights in files, so that the next start maps them instead of packing again.
 *
 * FOLDER/<32 hex digits>.pack, for one model in one packed form:
 *   0      head: what it is, two counts, hashes of the source, of the tables and of itself
 *   4096   stamps of sources that were found to have this content; rewritten in place, with a hash of their own
 *   8192   items (where each matrix lies), then a hash of each piece of the data
 *   data   from a multiple of 2 MiB on
 * Everything lies where the counts say, so a file holds no offset that could be wrong by itself.
 *
 * When a file is used:
 *   1. Its name is a hash of Wick's version, the packed form, config.json, every matrix and where it lies in the
 *      source, and samples of the source.
 *   2. The source is what it was made from. That is known at once where device, inode, size, mtime and ctime of all its
 *      files are those of a stamp: no program can set a ctime, so a file replaced or overwritten is seen even with size
 *      and mtime restored. Otherwise (a copy, a touched or replaced file) the whole content is hashed and compared.
 *   3. Head, stamps and tables have their hashes, and so has the data up to WICK_PACK_CHECK_BYTES; what is larger is
 *      checked by `wick cache verify`.
 *   4. It belongs to this user or to root, and nobody else may write to it.
 * Otherwise the model is packed, and the file written anew: by a thread of its own, to a locked temporary file that is
 * renamed when it is on disk. A full disk or a folder that cannot be written costs a warning and nothing else.
 */
#pragma once
#include "model/plan.h"

enum { WICK_PACK_CHECK_BYTES = 1 << 30 };

/* Calls work(arg, i) for i < n, perhaps on several threads at once; fn NULL: one after the other. */
typedef struct wick_each {
    void (*fn)(void *ctx, uint32_t n, void (*work)(void *arg, uint32_t i), void *arg);
    void *ctx;
} wick_each;

/* One matrix: its place in the data, and a hash of all that its bytes follow from, but for the source's content. */
typedef struct wick_pack_item {
    uint64_t at, n_bytes, what;
} wick_pack_item;

typedef struct wick_pack_spec {
    const char *folder;
    wick_origin origin;
    const wick_pack_item *item;
    uint32_t n_items;
    uint64_t n_bytes;       /* of the data */
    uint64_t limit_bytes;   /* of the folder; 0: none */
    uint64_t key[2], stamp; /* made by wick_pack_spec_finish */
} wick_pack_spec;

/* Fills key and stamp. False: the source cannot be read, nothing is to be cached. */
bool wick_pack_spec_finish(wick_pack_spec *s);

/* A mapped file. */
typedef struct wick_pack {
    const uint8_t *data; /* aligned to a page */
    uint64_t n_bytes;
    void *map; /* private */
    uint64_t map_bytes;
} wick_pack;

/* True: mapped, checked, marked as used now. False: there is none that can be used (the log says why, at INFO). */
bool wick_pack_open(wick_pack *p, const wick_pack_spec *s, wick_each each);
void wick_pack_close(wick_pack *p); /* fine on a zeroed struct */

/* Writes the data to the folder, in the background; the items, the origin and the data are borrowed until finish has
 * returned. NULL: it could not be started (logged). */
typedef struct wick_pack_writer wick_pack_writer;
wick_pack_writer *wick_pack_write(const wick_pack_spec *s, const uint8_t *data);
void wick_pack_write_finish(wick_pack_writer *w); /* waits until it is on disk, or has failed; NULL is fine */

/* --- the folder, for `wick cache` --- */
typedef struct wick_pack_info {
    char *name;     /* in the folder */
    char *model;    /* path of the source's first file when it was written; "" if unknown */
    char state[64]; /* "ok"; else why it will not be used */
    uint64_t n_bytes;
    int64_t used; /* seconds since 1970 */
} wick_pack_info;

typedef struct wick_pack_list {
    wick_pack_info *item; /* last used first */
    uint32_t n;
    uint64_t n_bytes;
} wick_pack_list;

/* Heads only are read. A folder that does not exist is empty. */
wick_status wick_pack_list_read(wick_pack_list *l, const char *folder, wick_err *err) WICK_MUST_CHECK;
void wick_pack_list_free(wick_pack_list *l);
/* Everything in it has the hash that it should have; WICK_E_BAD_FILE says what has not. */
wick_status wick_pack_verify(const char *folder, const char *name, wick_err *err) WICK_MUST_CHECK;
wick_status wick_pack_remove(const char *folder, const char *name, wick_err *err) WICK_MUST_CHECK;
void wick_pack_sweep(const char *folder); /* removes temporary files whose writer has died */
