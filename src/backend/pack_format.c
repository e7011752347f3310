/* backend/pack_format.c - layout, hashes and names of pack files; used by reader, writer and the folder's list. */
#include "backend/pack_format.h"
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"

_Static_assert(sizeof(wick_pack_head) <= WICK_PACK_STAMPS_AT, "the head has a page");
_Static_assert(sizeof(wick_pack_head) == offsetof(wick_pack_head, self) + 8, "the hash is last");
_Static_assert(sizeof(wick_pack_item) == 24, "no padding in the table");

bool wick_pack_layout_of(wick_pack_layout *l, uint64_t n_items, uint64_t n_bytes)
{
    if (n_items == 0 || n_bytes == 0 || n_items > UINT32_MAX || n_bytes > UINT64_MAX / 4) return false;
    l->n_pieces = n_bytes / WICK_PACK_PIECE + (n_bytes % WICK_PACK_PIECE != 0);
    l->pieces_at = WICK_PACK_TABLES_AT + n_items * sizeof(wick_pack_item);
    l->tables_bytes = n_items * sizeof(wick_pack_item) + l->n_pieces * sizeof(uint64_t);
    uint64_t end = WICK_PACK_TABLES_AT + l->tables_bytes;
    l->data_at = (end + WICK_PACK_ALIGN - 1) / WICK_PACK_ALIGN * WICK_PACK_ALIGN;
    l->file_bytes = l->data_at + n_bytes;
    return l->n_pieces <= UINT32_MAX && l->file_bytes <= SIZE_MAX && l->file_bytes <= INT64_MAX;
}

uint64_t wick_pack_head_hash(const wick_pack_head *h)
{
    return wick_hash_data(h, offsetof(wick_pack_head, self), WICK_PACK_VERSION);
}

uint64_t wick_pack_stamps_hash(const wick_pack_stamps *t, const wick_pack_head *h)
{
    return wick_hash_data(t, offsetof(wick_pack_stamps, self), h->self);
}

const char *wick_pack_head_fault(const wick_pack_head *h, uint64_t file_bytes, wick_pack_layout *l)
{
    if (memcmp(h->magic, "WickPack", sizeof h->magic) != 0) return "not a pack file";
    if (h->order != 0x01020304 || h->version != WICK_PACK_VERSION) return "made by another version";
    if (h->self != wick_pack_head_hash(h)) return "damaged: the head";
    if (strncmp(h->maker, WICK_VERSION, sizeof h->maker) != 0) return "made by another version";
    if (!wick_pack_layout_of(l, h->n_items, h->n_bytes) || l->file_bytes != file_bytes)
        return "damaged: the size of the file";
    return NULL;
}

void wick_pack_name(const wick_pack_spec *s, char name[WICK_PACK_NAME + 1])
{
    snprintf(name, WICK_PACK_NAME + 1, "%016llx%016llx" WICK_PACK_SUFFIX, (unsigned long long)s->key[0],
             (unsigned long long)s->key[1]);
}

bool wick_pack_name_ok(const char *name)
{
    return strspn(name, "0123456789abcdef") == 32 && strcmp(name + 32, WICK_PACK_SUFFIX) == 0;
}

uint64_t wick_pack_piece_hash(const uint8_t *data, uint64_t n_bytes, uint64_t i)
{
    uint64_t at = i * WICK_PACK_PIECE, n = n_bytes - at < WICK_PACK_PIECE ? n_bytes - at : WICK_PACK_PIECE;
    return wick_hash_data(data + at, (size_t)n, i);
}

bool wick_pack_read_at(int fd, void *p, size_t n, uint64_t at)
{
    while (n) {
        ssize_t r = pread(fd, p, n, (off_t)at);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return false;
        p = (char *)p + r;
        at += (uint64_t)r;
        n -= (size_t)r;
    }
    return true;
}

wick_status wick_pack_write_at(int fd, const char *path, const void *p, size_t n, uint64_t at, wick_err *err)
{
    while (n) {
        ssize_t r = pwrite(fd, p, n, (off_t)at);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) return wick_err_io(err, path, "write", r < 0 ? errno : ENOSPC);
        p = (const char *)p + r;
        at += (uint64_t)r;
        n -= (size_t)r;
    }
    return WICK_OK;
}
