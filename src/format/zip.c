/* format/zip.c - see zip.h. Layout of the records: APPNOTE.TXT 6.3, sections 4.3.7, 4.3.12, 4.3.14 to 4.3.16. */
#include "format/zip.h"

#include <inttypes.h>
#include <zlib.h>
#include "base/alloc.h"
#include "base/reader.h"
#include "format/dir.h"

#define SIG_LOCAL 0x04034b50u
#define SIG_CENTRAL 0x02014b50u
#define SIG_END 0x06054b50u
#define SIG_END64 0x06064b50u
#define SIG_LOCATOR64 0x07064b50u
#define N_END 22u
#define N_CENTRAL 46u
#define N_LOCATOR64 20u
#define N_END64 56u
#define ENCRYPTED 0x2041u /* flags: encrypted, strongly, with masked headers */
#define MAX_RATIO 1032u   /* of deflate: 258 bytes from 2 bits */

#define BAD(at, ...) bad_at(f, (at), err, __VA_ARGS__)

static wick_status bad_at(const wick_file *f, uint64_t at, wick_err *err, const char *what)
{
    return WICK_FAIL(err, WICK_E_BAD_FILE, f->path, "%s: byte %" PRIu64 ": %s", f->path, at, what);
}

/* Where the central directory is. */
typedef struct zip_end {
    uint64_t n_members, n_bytes, at; /* of the central directory */
    uint64_t end;                    /* where its end record begins */
} zip_end;

/* The end record is the last one whose comment ends with the file. */
static bool find_end(const wick_file *f, uint64_t *at)
{
    for (uint64_t back = N_END; back <= f->n_bytes && back <= N_END + 65535u; back++) {
        const uint8_t *p = f->data + f->n_bytes - back;
        if (p[0] == 'P' && p[1] == 'K' && p[2] == 5 && p[3] == 6 && p[20] + 256u * p[21] == back - N_END) {
            *at = f->n_bytes - back;
            return true;
        }
    }
    return false;
}

/* A saturated field takes the zip64 value; any other must be equal to it. */
static bool merge64(uint64_t *field, uint64_t saturated, uint64_t value)
{
    bool ok = *field == saturated || *field == value;
    *field = value;
    return ok;
}

static wick_status read_end64(const wick_file *f, uint64_t end_at, zip_end *e, wick_err *err)
{
    wick_reader r;
    wick_reader_init(&r, f->data, f->n_bytes);
    wick_reader_skip(&r, end_at - N_LOCATOR64 + 4);
    uint32_t disk = wick_read_u32(&r);
    uint64_t at = wick_read_u64(&r);
    uint32_t n_disks = wick_read_u32(&r);
    if (disk != 0 || n_disks > 1) return BAD(end_at, "the archive is spread over several disks");
    if (at > end_at - N_LOCATOR64 || end_at - N_LOCATOR64 - at < N_END64)
        return BAD(end_at, "the zip64 end record lies outside the file");
    wick_reader_init(&r, f->data, f->n_bytes);
    wick_reader_skip(&r, at);
    bool ok = wick_read_u32(&r) == SIG_END64;
    uint64_t n_record = wick_read_u64(&r);
    wick_reader_skip(&r, 4);
    disk = wick_read_u32(&r);
    uint32_t central_disk = wick_read_u32(&r);
    uint64_t here = wick_read_u64(&r), all = wick_read_u64(&r), n_bytes = wick_read_u64(&r), start = wick_read_u64(&r);
    if (r.failed || !ok || n_record != end_at - N_LOCATOR64 - at - 12) return BAD(at, "a damaged zip64 end record");
    if (disk || central_disk || here != all) return BAD(at, "the archive is spread over several disks");
    ok = merge64(&e->n_members, 0xFFFF, all) && merge64(&e->n_bytes, 0xFFFFFFFF, n_bytes) &&
         merge64(&e->at, 0xFFFFFFFF, start);
    if (!ok) return BAD(at, "the zip64 end record contradicts the end record");
    e->end = at;
    return WICK_OK;
}

static wick_status read_end(const wick_file *f, zip_end *e, wick_err *err)
{
    uint64_t at;
    if (!find_end(f, &at))
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: no ZIP end record in the last bytes of the file (%" PRIu64
                         " bytes): the file is truncated",
                         f->path, f->n_bytes);
    wick_reader r;
    wick_reader_init(&r, f->data, f->n_bytes);
    wick_reader_skip(&r, at + 4);
    uint16_t disk = wick_read_u16(&r), central_disk = wick_read_u16(&r), here = wick_read_u16(&r),
             all = wick_read_u16(&r);
    *e = (zip_end){.n_members = all, .n_bytes = wick_read_u32(&r), .at = wick_read_u32(&r), .end = at};
    if ((disk && disk != 0xFFFF) || (central_disk && central_disk != 0xFFFF) || here != all)
        return BAD(at, "the archive is spread over several disks");
    bool saturated = all == 0xFFFF || e->n_bytes == 0xFFFFFFFF || e->at == 0xFFFFFFFF;
    if (at >= N_LOCATOR64 && memcmp(f->data + at - N_LOCATOR64, "PK\6\7", 4) == 0)
        WICK_TRY(read_end64(f, at, e, err));
    else if (saturated)
        return BAD(at, "the zip64 end record is missing");
    uint64_t stop;
    if (!wick_add_ok(e->at, e->n_bytes, &stop) || stop != e->end)
        return BAD(at, "the central directory is not where the end record says");
    if (e->n_members > e->n_bytes / N_CENTRAL) return BAD(at, "more members than the central directory can hold");
    if (e->n_members > WICK_MAX_TENSORS) return BAD(at, "more members than the limit of 1000000");
    return WICK_OK;
}

/* The zip64 extra field: 8 bytes for each saturated field, in this order. */
static bool read_extra64(const uint8_t *extra, uint64_t n, uint64_t *size, uint64_t *packed, uint64_t *offset)
{
    wick_reader r;
    wick_reader_init(&r, extra, n);
    bool need = *size == 0xFFFFFFFF || *packed == 0xFFFFFFFF || (offset && *offset == 0xFFFFFFFF);
    while (need && wick_reader_left(&r) >= 4) {
        uint16_t id = wick_read_u16(&r), len = wick_read_u16(&r);
        const uint8_t *p = wick_read_bytes(&r, len);
        if (!p) return false;
        if (id != 1) continue;
        wick_reader x;
        wick_reader_init(&x, p, len);
        if (*size == 0xFFFFFFFF) *size = wick_read_u64(&x);
        if (*packed == 0xFFFFFFFF) *packed = wick_read_u64(&x);
        if (offset && *offset == 0xFFFFFFFF) *offset = wick_read_u64(&x);
        return !x.failed;
    }
    return !need;
}

static bool name_is_safe(wick_str s)
{
    if (s.n == 0 || s.p[0] == '/' || !wick_utf8_valid(s.p, s.n)) return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 0x20 || c == 0x7f || c == '\\') return false;
        if (c == ':' && i == 1) return false; /* a drive */
    }
    for (size_t i = 0, start = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != '/') continue;
        if (i - start == 2 && s.p[start] == '.' && s.p[start + 1] == '.') return false;
        start = i + 1;
    }
    return true;
}

static wick_status read_local(const wick_file *f, const zip_end *e, wick_zip_member *m, wick_err *err)
{
    wick_reader r;
    wick_reader_init(&r, f->data, e->at);
    wick_reader_skip(&r, m->header_at);
    uint32_t sig = wick_read_u32(&r);
    wick_reader_skip(&r, 2);
    uint16_t flags = wick_read_u16(&r), method = wick_read_u16(&r);
    wick_reader_skip(&r, 4);
    uint32_t crc = wick_read_u32(&r);
    uint64_t packed = wick_read_u32(&r), size = wick_read_u32(&r);
    uint16_t n_name = wick_read_u16(&r), n_extra = wick_read_u16(&r);
    const char *name = (const char *)wick_read_bytes(&r, n_name);
    const uint8_t *extra = wick_read_bytes(&r, n_extra);
    m->data_at = r.pos;
    wick_reader_skip(&r, m->n_packed);
    if (r.failed || sig != SIG_LOCAL)
        return BAD(m->header_at, "no local header with its data where the central directory says");
    if (flags & ENCRYPTED) return BAD(m->header_at, "the local header contradicts the central directory");
    bool later = (flags & 8) != 0; /* sizes follow the data: zero, or left open, here */
    bool same = method == m->method && wick_str_eq((wick_str){name, n_name}, m->name);
    if (!(later && packed == 0 && size == 0)) {
        same = same && (read_extra64(extra, n_extra, &size, &packed, NULL) || later);
        same = same && (later || (packed == m->n_packed && size == m->n_bytes && crc == m->crc));
    }
    return same ? WICK_OK : BAD(m->header_at, "the local header contradicts the central directory");
}

static wick_status read_central(const wick_file *f, const zip_end *e, wick_reader *r, wick_zip_member *m, wick_err *err)
{
    uint64_t at = r->pos;
    uint32_t sig = wick_read_u32(r);
    wick_reader_skip(r, 4);
    uint16_t flags = wick_read_u16(r);
    m->method = wick_read_u16(r);
    wick_reader_skip(r, 4);
    m->crc = wick_read_u32(r);
    m->n_packed = wick_read_u32(r);
    m->n_bytes = wick_read_u32(r);
    uint16_t n_name = wick_read_u16(r), n_extra = wick_read_u16(r), n_comment = wick_read_u16(r);
    uint16_t disk = wick_read_u16(r);
    wick_reader_skip(r, 6);
    m->header_at = wick_read_u32(r);
    m->name = (wick_str){(const char *)wick_read_bytes(r, n_name), n_name};
    const uint8_t *extra = wick_read_bytes(r, n_extra);
    wick_reader_skip(r, n_comment);
    if (r->failed || sig != SIG_CENTRAL) return BAD(at, "a damaged entry of the central directory");
    if (!read_extra64(extra, n_extra, &m->n_bytes, &m->n_packed, &m->header_at))
        return BAD(at, "the zip64 sizes of a member are missing");
    if (disk != 0 && disk != 0xFFFF) return BAD(at, "the archive is spread over several disks");
    if (!name_is_safe(m->name)) return BAD(at, "a member's name is empty, not UTF-8, or leads out of the archive");
    if (flags & ENCRYPTED) return wick_err_format(err, f->path, "a plain archive", "encrypted members", NULL);
    if (m->method != WICK_ZIP_STORED && m->method != WICK_ZIP_DEFLATED)
        return wick_err_format(err, f->path, "stored or deflated members", "another compression method",
                               "save it with numpy.savez");
    if (m->method == WICK_ZIP_STORED ? m->n_packed != m->n_bytes : m->n_bytes / MAX_RATIO > m->n_packed)
        return BAD(at, "the sizes of a member cannot be true");
    return read_local(f, e, m, err);
}

static wick_status check_apart(const wick_file *f, const wick_zip_member *m, uint32_t n, wick_err *err)
{
    wick_extent *s = wick_alloc_zero((size_t)n + 1, sizeof *s);
    if (!s) return wick_err_oom(err, "checking a ZIP archive", (uint64_t)n * sizeof *s, 0);
    for (uint32_t i = 0; i < n; i++) s[i] = (wick_extent){m[i].header_at, m[i].data_at + m[i].n_packed, i};
    uint32_t bad = wick_extents_overlap(s, n);
    uint64_t at = bad < n ? s[bad].begin : 0;
    wick_free(s);
    return bad < n ? BAD(at, "two members overlap") : WICK_OK;
}

wick_status wick_zip_list(const wick_file *f, wick_zip_member **out, uint32_t *n, wick_err *err)
{
    zip_end e = {0};
    WICK_TRY(read_end(f, &e, err));
    wick_zip_member *m = wick_alloc_zero((size_t)e.n_members + 1, sizeof *m);
    if (!m) return wick_err_oom(err, "the list of ZIP members", e.n_members * sizeof *m, 0);
    wick_status st = WICK_OK;
    wick_reader r;
    wick_reader_init(&r, f->data, e.end);
    wick_reader_skip(&r, e.at);
    for (uint64_t i = 0; i < e.n_members; i++) WICK_TRY_GOTO(read_central(f, &e, &r, &m[i], err));
    if (wick_reader_left(&r) != 0) {
        st = BAD(r.pos, "the central directory is longer than its members");
        goto done;
    }
    WICK_TRY_GOTO(check_apart(f, m, (uint32_t)e.n_members, err));
    *out = m;
    *n = (uint32_t)e.n_members;
    return WICK_OK;
done:
    wick_free(m);
    return st;
}

static void *z_alloc(void *ctx, uInt n, uInt size)
{
    (void)ctx;
    return wick_alloc_zero(n, size);
}

static void z_free(void *ctx, void *p)
{
    (void)ctx;
    wick_free(p);
}

wick_status wick_zip_start(wick_zip_stream *s, const wick_file *f, const wick_zip_member *m, wick_err *err)
{
    *s = (wick_zip_stream){.member = m, .src = f->data + m->data_at};
    if (m->method == WICK_ZIP_STORED) return WICK_OK;
    z_stream *z = wick_alloc_zero(1, sizeof *z);
    if (!z) return wick_err_oom(err, "unpacking a ZIP member", sizeof *z, 0);
    z->zalloc = z_alloc;
    z->zfree = z_free;
    if (inflateInit2(z, -MAX_WBITS) != Z_OK) {
        wick_free(z);
        return wick_err_oom(err, "unpacking a ZIP member", 65536, 0);
    }
    s->z = z;
    return WICK_OK;
}

/* Inflates n bytes to dst; the input may be longer than a uInt, so it is fed in pieces. */
static bool inflate_some(wick_zip_stream *s, uint8_t *dst, uint64_t n)
{
    z_stream *z = s->z;
    const uint64_t piece = 1u << 30;
    while (n > 0) {
        uint64_t used = (uint64_t)z->total_in, left = s->member->n_packed - used;
        z->next_in = (Bytef *)(uintptr_t)(s->src + used);
        z->avail_in = (uInt)(left < piece ? left : piece);
        z->next_out = dst;
        z->avail_out = (uInt)(n < piece ? n : piece);
        uInt room = z->avail_out;
        int rc = inflate(z, Z_NO_FLUSH);
        uint64_t got = room - z->avail_out;
        dst += got;
        n -= got;
        s->no_memory = rc == Z_MEM_ERROR;
        if (rc == Z_STREAM_END) return n == 0;
        if (rc != Z_OK || (got == 0 && (uint64_t)z->total_in == used)) return false;
    }
    return true;
}

wick_status wick_zip_read(wick_zip_stream *s, const wick_file *f, void *dst, uint64_t n, wick_err *err)
{
    const wick_zip_member *m = s->member;
    bool ok = n <= m->n_bytes - s->n_out;
    if (ok && s->z)
        ok = inflate_some(s, dst, n);
    else if (ok && n)
        memcpy(dst, s->src + s->n_out, (size_t)n);
    if (s->no_memory) return wick_err_oom(err, "unpacking a ZIP member", 65536, 0);
    if (!ok)
        return WICK_FAIL(err, WICK_E_BAD_FILE, f->path,
                         "%s: member \"%.*s\" at %" PRIu64 ": damaged or shorter than it says", f->path,
                         m->name.n > 80 ? 80 : (int)m->name.n, m->name.p, m->data_at);
    s->n_out += n;
    s->crc = (uint32_t)crc32_z(s->crc, dst, (z_size_t)n);
    return WICK_OK;
}

bool wick_zip_finish(wick_zip_stream *s)
{
    const wick_zip_member *m = s->member;
    if (s->n_out != m->n_bytes || s->crc != m->crc) return false;
    if (!s->z) return true;
    z_stream *z = s->z;
    uint8_t more;
    z->next_in = (Bytef *)(uintptr_t)(s->src + z->total_in);
    z->avail_in = (uInt)(m->n_packed - z->total_in > 1024 ? 1024 : m->n_packed - z->total_in);
    z->next_out = &more;
    z->avail_out = 1;
    return inflate(z, Z_FINISH) == Z_STREAM_END && z->avail_out == 1 && (uint64_t)z->total_in == m->n_packed;
}

void wick_zip_stop(wick_zip_stream *s)
{
    if (s->z) {
        inflateEnd(s->z);
        wick_free(s->z);
    }
    memset(s, 0, sizeof *s);
}
