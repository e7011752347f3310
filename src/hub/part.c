/* hub/part.c - see part.h. Map: "WICKPART", then in little endian the length, the length of a segment, and for each
 * segment its bytes. */
#include "hub/part.h"
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/reader.h"

static const char magic[8] = {'W', 'I', 'C', 'K', 'P', 'A', 'R', 'T'};
enum { HEAD_BYTES = 24, MAX_SEGMENTS = 1 << 20, READ_BYTES = 1 << 20 };

static char *with_suffix(const char *blob, const char *suffix)
{
    wick_buf b = WICK_BUF_INIT;
    wick_buf_puts(&b, blob);
    wick_buf_puts(&b, suffix);
    return wick_buf_take(&b, NULL);
}

static void put_u64(unsigned char *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++) p[i] = (unsigned char)(v >> 8 * i);
}

static uint32_t segments_of(uint64_t n_bytes, uint64_t segment_bytes)
{
    return (uint32_t)((n_bytes + segment_bytes - 1) / segment_bytes);
}

uint64_t wick_part_segment_len(const wick_part *p, uint32_t i)
{
    const uint64_t from = i * p->segment_bytes, left = p->n_bytes - from;
    return left < p->segment_bytes ? left : p->segment_bytes;
}

/* The map of an earlier process; false if it is none of these contents. done is allocated when true. */
static bool read_map(wick_part *p)
{
    char *text = NULL;
    size_t n = 0;
    wick_reader r;
    struct stat sb;
    if (wick_file_read(p->map_path, HEAD_BYTES + 8ull * MAX_SEGMENTS, &text, &n, NULL) != WICK_OK) return false;
    bool ok = stat(p->data_path, &sb) == 0 && S_ISREG(sb.st_mode) && (uint64_t)sb.st_size == p->n_bytes;
    wick_reader_init(&r, text, n);
    const uint8_t *head = wick_read_bytes(&r, sizeof magic);
    ok = ok && head && memcmp(head, magic, sizeof magic) == 0 && wick_read_u64(&r) == p->n_bytes;
    const uint64_t segment = ok ? wick_read_u64(&r) : 0;
    ok = ok && segment > 0 && (p->n_bytes + segment - 1) / segment <= MAX_SEGMENTS;
    if (ok) {
        p->segment_bytes = segment;
        p->n_segments = segments_of(p->n_bytes, segment);
        p->done = wick_alloc_zero(p->n_segments + 1, sizeof *p->done);
        ok = p->done != NULL;
    }
    for (uint32_t i = 0; ok && i < p->n_segments; i++) {
        p->done[i] = wick_read_u64(&r);
        if (p->done[i] > wick_part_segment_len(p, i)) ok = false;
    }
    if (r.failed) ok = false;
    if (!ok) {
        wick_free(p->done);
        p->done = NULL;
    }
    wick_free(text);
    return ok;
}

static wick_status write_all(int fd, const char *path, const void *data, uint64_t n, uint64_t pos, wick_err *err)
{
    const char *from = data;
    while (n > 0) {
        const ssize_t w = pwrite(fd, from, (size_t)n, (off_t)pos);
        if (w < 0 && errno == EINTR) continue;
        if (w <= 0) {
            const int e = w < 0 ? errno : ENOSPC;
            if (e == ENOSPC || e == EDQUOT)
                return WICK_FAIL(err, WICK_E_IO, path,
                                 "%s: the disk is full: make room and run it again, what came is kept", path);
            return wick_err_io(err, path, "write", e);
        }
        from += w;
        n -= (uint64_t)w;
        pos += (uint64_t)w;
    }
    return WICK_OK;
}

/* A new map, with nothing done. */
static wick_status write_map(wick_part *p, wick_err *err)
{
    const size_t n = HEAD_BYTES + 8 * (size_t)p->n_segments;
    unsigned char *text = wick_alloc_zero(n, 1);
    if (!text) return wick_err_oom(err, "a download", n, 0);
    memcpy(text, magic, sizeof magic);
    put_u64(text + 8, p->n_bytes);
    put_u64(text + 16, p->segment_bytes);
    wick_status st = ftruncate(p->map_fd, 0) == 0 ? write_all(p->map_fd, p->map_path, text, n, 0, err)
                                                  : wick_err_io(err, p->map_path, "write", errno);
    wick_free(text);
    return st;
}

wick_status wick_part_open(wick_part *p, const char *blob, uint64_t n_bytes, uint64_t segment_bytes, wick_err *err)
{
    wick_status st = WICK_OK;
    memset(p, 0, sizeof *p);
    p->fd = p->map_fd = -1;
    p->n_bytes = n_bytes;
    p->segment_bytes = segment_bytes;
    p->blob = wick_strdup(blob);
    p->data_path = with_suffix(blob, ".wick-part");
    p->map_path = with_suffix(blob, ".wick-map");
    if (!p->blob || !p->data_path || !p->map_path) {
        st = wick_err_oom(err, "a download", 0, 0);
        goto done;
    }
    if (n_bytes > INT64_MAX || (n_bytes + segment_bytes - 1) / segment_bytes > MAX_SEGMENTS) {
        st = WICK_FAIL(err, WICK_E_LIMIT, blob, "%s: a file of %llu bytes is too large", blob,
                       (unsigned long long)n_bytes);
        goto done;
    }
    const bool there = read_map(p);
    p->fd = open(p->data_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    p->map_fd = open(p->map_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (p->fd < 0 || p->map_fd < 0) {
        st = wick_err_io(err, p->data_path, "open", errno);
        goto done;
    }
    if (there) goto done;
    p->n_segments = segments_of(n_bytes, segment_bytes);
    p->done = wick_alloc_zero(p->n_segments + 1, sizeof *p->done);
    st = p->done ? wick_part_reset(p, err) : wick_err_oom(err, "a download", 0, 0);
done:
    if (st != WICK_OK) wick_part_close(p);
    return st;
}

void wick_part_close(wick_part *p)
{
    if (p->blob && p->fd >= 0) close(p->fd);
    if (p->blob && p->map_fd >= 0) close(p->map_fd);
    wick_free(p->blob);
    wick_free(p->data_path);
    wick_free(p->map_path);
    wick_free(p->done);
    memset(p, 0, sizeof *p);
}

wick_status wick_part_reset(wick_part *p, wick_err *err)
{
    WICK_TRY(write_map(p, err)); /* first, so that no map speaks of data that is gone */
    memset(p->done, 0, p->n_segments * sizeof *p->done);
    if (ftruncate(p->fd, 0) != 0 || ftruncate(p->fd, (off_t)p->n_bytes) != 0)
        return wick_err_io(err, p->data_path, "write", errno);
    return WICK_OK;
}

wick_status wick_part_write(wick_part *p, uint64_t pos, const void *data, uint64_t n, wick_err *err)
{
    const char *from = data;
    if (pos > p->n_bytes || n > p->n_bytes - pos)
        return WICK_FAIL(err, WICK_E_BAD_FILE, p->blob, "%s: more came than its length of %llu bytes", p->blob,
                         (unsigned long long)p->n_bytes);
    WICK_TRY(write_all(p->fd, p->data_path, from, n, pos, err));
    while (n > 0) {
        const uint32_t i = (uint32_t)(pos / p->segment_bytes);
        const uint64_t at = pos - i * p->segment_bytes, room = p->segment_bytes - at, k = n < room ? n : room;
        if (at == p->done[i] || (at < p->done[i] && at + k > p->done[i])) {
            unsigned char word[8];
            p->done[i] = at + k;
            put_u64(word, p->done[i]);
            WICK_TRY(write_all(p->map_fd, p->map_path, word, sizeof word, HEAD_BYTES + 8ull * i, err));
        }
        pos += k;
        n -= k;
    }
    return WICK_OK;
}

uint64_t wick_part_have(const wick_part *p)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->n_segments; i++) sum += p->done[i];
    return sum;
}

static void hex(char *dst, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) snprintf(dst + 2 * i, 3, "%02x", p[i]);
}

wick_status wick_part_check(const wick_part *p, const char *hash, bool *same, wick_err *err)
{
    const size_t digits = strlen(hash) == strspn(hash, "0123456789abcdef") ? strlen(hash) : 0;
    struct sha256_ctx s2;
    struct sha1_ctx s1;
    uint8_t digest[SHA256_DIGEST_SIZE];
    char got[80], head[48];
    *same = true;
    if (digits != 64 && digits != 40) return WICK_OK;
    uint8_t *block = wick_alloc(READ_BYTES);
    if (!block) return wick_err_oom(err, "a download", READ_BYTES, 0);
    sha256_init(&s2);
    sha1_init(&s1);
    const int n_head = snprintf(head, sizeof head, "blob %llu", (unsigned long long)p->n_bytes);
    sha1_update(&s1, (size_t)n_head + 1, (const uint8_t *)head);
    wick_status st = WICK_OK;
    for (uint64_t pos = 0; pos < p->n_bytes;) {
        const ssize_t r = pread(p->fd, block, READ_BYTES, (off_t)pos);
        if (r < 0 && errno == EINTR) continue;
        if (r <= 0) {
            st = wick_err_io(err, p->data_path, "read", r < 0 ? errno : EIO);
            break;
        }
        if (digits == 64)
            sha256_update(&s2, (size_t)r, block);
        else
            sha1_update(&s1, (size_t)r, block);
        pos += (uint64_t)r;
    }
    wick_free(block);
    if (st != WICK_OK) return st;
    if (digits == 64)
        sha256_digest(&s2, SHA256_DIGEST_SIZE, digest);
    else
        sha1_digest(&s1, SHA1_DIGEST_SIZE, digest);
    hex(got, digest, digits / 2);
    *same = strcmp(got, hash) == 0;
    return WICK_OK;
}

wick_status wick_part_publish(wick_part *p, wick_err *err)
{
    if (fsync(p->fd) != 0) return wick_err_io(err, p->data_path, "flush", errno);
    if (rename(p->data_path, p->blob) != 0) return wick_err_io(err, p->blob, "rename", errno);
    unlink(p->map_path);
    return WICK_OK;
}

uint64_t wick_part_left(const char *blob, uint64_t n_bytes)
{
    wick_part p = {.n_bytes = n_bytes};
    uint64_t have = 0;
    p.data_path = with_suffix(blob, ".wick-part");
    p.map_path = with_suffix(blob, ".wick-map");
    if (p.data_path && p.map_path && read_map(&p)) have = wick_part_have(&p);
    wick_free(p.data_path);
    wick_free(p.map_path);
    wick_free(p.done);
    return have;
}
