/* format/zip.h - private to format/: the members of a ZIP archive, read from its central directory.
 *
 * Only what NPZ files use: members stored or deflated, one disk, zip64. What the central directory, the local
 * headers and the zip64 records say of a member must agree, and members may not share bytes (so that a small
 * archive cannot unpack one block many times).
 */
#pragma once
#include "base/file.h"
#include "base/str.h"

enum { WICK_ZIP_STORED = 0, WICK_ZIP_DEFLATED = 8 };

typedef struct wick_zip_member {
    wick_str name;     /* borrows from the mapping; safe as a relative file name */
    uint64_t n_packed; /* bytes in the file, at data_at */
    uint64_t n_bytes;  /* bytes unpacked; at most 1032 times n_packed, which is as far as deflate goes */
    uint64_t header_at, data_at;
    uint32_t crc;
    uint16_t method;
} wick_zip_member;

/* The members in the order of the central directory; wick_free(*out). */
wick_status wick_zip_list(const wick_file *f, wick_zip_member **out, uint32_t *n, wick_err *err) WICK_MUST_CHECK;

/* Reads a member from its start, in pieces. Stored members are read in the same way. */
typedef struct wick_zip_stream {
    const wick_zip_member *member;
    const uint8_t *src;
    uint64_t n_out; /* bytes given so far */
    uint32_t crc;   /* of those bytes */
    bool no_memory; /* inflate could not allocate */
    void *z;        /* private: inflate state */
} wick_zip_stream;
wick_status wick_zip_start(wick_zip_stream *s, const wick_file *f, const wick_zip_member *m,
                           wick_err *err) WICK_MUST_CHECK;
/* Exactly n bytes, or an error. */
wick_status wick_zip_read(wick_zip_stream *s, const wick_file *f, void *dst, uint64_t n, wick_err *err) WICK_MUST_CHECK;
/* After the last byte: true if nothing follows and the checksum is right. */
bool wick_zip_finish(wick_zip_stream *s);
void wick_zip_stop(wick_zip_stream *s); /* fine on a zeroed struct */
