/* backend/pack_format.h - the bytes of a pack file: private to pack_*.c. Numbers are in the order of the machine that
 * wrote them; a file from another kind of machine is not used. */
#pragma once
#include "backend/pack_cache.h"

#define WICK_PACK_SUFFIX ".pack"
enum {
    WICK_PACK_VERSION = 1,
    WICK_PACK_NAME = 32 + 5, /* characters of a name */
    WICK_PACK_STAMPS_AT = 4096,
    WICK_PACK_TABLES_AT = 8192,
    WICK_PACK_ALIGN = 2 << 20,        /* of the data: a huge page */
    WICK_PACK_PIECE = 4 << 20,        /* of data, hashed at once */
    WICK_PACK_SOURCE_PIECE = 1 << 20, /* of a source file, hashed at once */
    WICK_PACK_N_STAMPS = 6
};

typedef struct wick_pack_head {
    char magic[8];
    uint32_t version, order; /* order: 0x01020304 */
    uint64_t n_items, n_bytes, key[2];
    uint64_t content, tables; /* hashes of the source and of items and pieces */
    char maker[32], model[1024];
    uint64_t self; /* hash of all before */
} wick_pack_head;

typedef struct wick_pack_stamps {
    uint64_t stamp[WICK_PACK_N_STAMPS]; /* latest first; 0: none */
    uint64_t self;                      /* hash of all before, seeded with the head's */
} wick_pack_stamps;

/* Where things are. */
typedef struct wick_pack_layout {
    uint64_t n_pieces, pieces_at, tables_bytes, data_at, file_bytes;
} wick_pack_layout;
bool wick_pack_layout_of(wick_pack_layout *l, uint64_t n_items, uint64_t n_bytes); /* false: no such file can exist */

uint64_t wick_pack_head_hash(const wick_pack_head *h);
uint64_t wick_pack_stamps_hash(const wick_pack_stamps *t, const wick_pack_head *h);
/* NULL, or what is wrong with the head by itself and with the file's size. */
const char *wick_pack_head_fault(const wick_pack_head *h, uint64_t file_bytes, wick_pack_layout *l);
void wick_pack_name(const wick_pack_spec *s, char name[WICK_PACK_NAME + 1]);
bool wick_pack_name_ok(const char *name);
uint64_t wick_pack_piece_hash(const uint8_t *data, uint64_t n_bytes, uint64_t i);

/* One hash of device, inode, size, mtime and ctime of all files; false if one cannot be asked. *settled: none of them
 * changed in the last two seconds, so that a later change cannot have the same times. */
bool wick_origin_stamp(const wick_origin *o, uint64_t *stamp, bool *settled);
/* One hash of the whole content; false if it cannot be read. */
bool wick_origin_content(const wick_origin *o, wick_each each, uint64_t *hash);

bool wick_pack_read_at(int fd, void *p, size_t n, uint64_t at); /* all of it */
wick_status wick_pack_write_at(int fd, const char *path, const void *p, size_t n, uint64_t at, wick_err *err);
