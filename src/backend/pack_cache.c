/* backend/pack_cache.c - finds, checks and maps a pack file. Apart from the writer because everything here meets bytes
 * that may be anything; the conditions are those at the top of pack_cache.h, in that order. */
#include "backend/pack_cache.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "backend/pack_format.h"
#include "base/hash.h"
#include "base/log.h"

/* Only what nobody else can write to: its content becomes the model. */
static const char *ownership_fault(const struct stat *sb)
{
    if (!S_ISREG(sb->st_mode)) return "not a regular file";
    if (sb->st_uid != geteuid() && sb->st_uid != 0) return "of another user";
    return sb->st_mode & 022 ? "others may write to it" : NULL;
}

/* Opened for writing too where that is allowed, for the stamps. */
static int open_file(const char *path)
{
    const int flags = O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;
    int fd = open(path, O_RDWR | flags);
    return fd < 0 && errno != ENOENT ? open(path, O_RDONLY | flags) : fd;
}

typedef struct reader {
    int fd;
    wick_pack_head head;
    wick_pack_layout layout;
    wick_pack pack; /* the whole file */
    const uint8_t *map;
} reader;

static const char *read_head(reader *r)
{
    struct stat sb;
    if (fstat(r->fd, &sb) != 0 || sb.st_size < 0) return strerror(errno);
    const char *why = ownership_fault(&sb);
    if (why) return why;
    if (!wick_pack_read_at(r->fd, &r->head, sizeof r->head, 0)) return "damaged: too short";
    return wick_pack_head_fault(&r->head, (uint64_t)sb.st_size, &r->layout);
}

static const char *map_file(reader *r)
{
    void *p = mmap(NULL, (size_t)r->layout.file_bytes, PROT_READ, MAP_SHARED, r->fd, 0);
    if (p == MAP_FAILED) return "it cannot be mapped";
    r->map = p;
    r->pack = (wick_pack){
        .data = r->map + r->layout.data_at, .n_bytes = r->head.n_bytes, .map = p, .map_bytes = r->layout.file_bytes};
    uint64_t tables = wick_hash_data(r->map + WICK_PACK_TABLES_AT, (size_t)r->layout.tables_bytes, 0);
    return tables == r->head.tables ? NULL : "damaged: the tables";
}

/* --- the source --- */
static bool has_stamp(const reader *r, uint64_t stamp, wick_pack_stamps *out)
{
    memcpy(out, r->map + WICK_PACK_STAMPS_AT, sizeof *out);
    if (out->self != wick_pack_stamps_hash(out, &r->head)) memset(out, 0, sizeof *out);
    for (uint32_t i = 0; i < WICK_PACK_N_STAMPS; i++)
        if (out->stamp[i] == stamp) return true;
    return false;
}

/* The next start need not hash the content again. Failing is harmless, and so is a torn write: it has a hash. */
static void add_stamp(reader *r, wick_pack_stamps *t, uint64_t stamp)
{
    memmove(t->stamp + 1, t->stamp, (WICK_PACK_N_STAMPS - 1) * sizeof t->stamp[0]);
    t->stamp[0] = stamp;
    t->self = wick_pack_stamps_hash(t, &r->head);
    (void)wick_pack_write_at(r->fd, "", t, sizeof *t, WICK_PACK_STAMPS_AT, NULL);
}

static const char *check_source(reader *r, const wick_pack_spec *s, wick_each each)
{
    wick_pack_stamps stamps;
    uint64_t content, stamp;
    bool settled;
    if (has_stamp(r, s->stamp, &stamps)) return NULL;
    if (!wick_origin_content(&s->origin, each, &content)) return "the model cannot be read";
    if (content != r->head.content) return "the model has changed";
    if (wick_origin_stamp(&s->origin, &stamp, &settled) && stamp == s->stamp && settled) add_stamp(r, &stamps, stamp);
    return NULL;
}

/* --- the data --- */
typedef struct check_job {
    const reader *r;
    atomic_bool failed;
} check_job;

static void check_piece(void *arg, uint32_t i)
{
    check_job *j = arg;
    uint64_t want;
    if (atomic_load_explicit(&j->failed, memory_order_relaxed)) return;
    memcpy(&want, j->r->map + j->r->layout.pieces_at + (uint64_t)i * sizeof want, sizeof want);
    if (wick_pack_piece_hash(j->r->pack.data, j->r->pack.n_bytes, i) != want) atomic_store(&j->failed, true);
}

static const char *check_data(const reader *r, wick_each each)
{
    check_job j = {.r = r};
    uint32_t n = (uint32_t)r->layout.n_pieces;
    if (each.fn)
        each.fn(each.ctx, n, check_piece, &j);
    else
        for (uint32_t i = 0; i < n; i++) check_piece(&j, i);
    return atomic_load(&j.failed) ? "damaged: the weights" : NULL;
}

static const char *check_all(reader *r, const wick_pack_spec *s, wick_each each)
{
    const char *why = read_head(r);
    if (why) return why;
    if (r->head.n_items != s->n_items || r->head.n_bytes != s->n_bytes ||
        memcmp(r->head.key, s->key, sizeof s->key) != 0)
        return "made for another model";
    why = map_file(r);
    if (why) return why;
    if (memcmp(r->map + WICK_PACK_TABLES_AT, s->item, s->n_items * sizeof *s->item) != 0)
        return "made for another model";
    why = check_source(r, s, each);
    if (why) return why;
    if (s->n_bytes <= WICK_PACK_CHECK_BYTES) return check_data(r, each);
    (void)madvise((void *)(uintptr_t)r->map, (size_t)r->layout.file_bytes, MADV_WILLNEED);
    return NULL;
}

bool wick_pack_open(wick_pack *p, const wick_pack_spec *s, wick_each each)
{
    char name[WICK_PACK_NAME + 1];
    reader r = {.fd = -1};
    memset(p, 0, sizeof *p);
    wick_pack_name(s, name);
    char *path = wick_path_join(s->folder, name);
    if (!path) return false;
    r.fd = open_file(path);
    const char *why = r.fd >= 0 ? check_all(&r, s, each) : errno == ENOENT ? "not there yet" : strerror(errno);
    if (why) {
        wick_log(WICK_LOG_INFO, "packed weights %s: %s", path, why);
        wick_pack_close(&r.pack);
    } else {
        (void)futimens(r.fd, NULL); /* used now; who may not write may not say so */
        wick_log(WICK_LOG_INFO, "packed weights %s: %" PRIu64 " bytes mapped", path, s->n_bytes);
        *p = r.pack;
    }
    if (r.fd >= 0) close(r.fd);
    wick_free(path);
    return !why;
}

void wick_pack_close(wick_pack *p)
{
    if (p->map) munmap(p->map, (size_t)p->map_bytes);
    memset(p, 0, sizeof *p);
}

wick_status wick_pack_verify(const char *folder, const char *name, wick_err *err)
{
    reader r = {.fd = -1};
    char *path = wick_path_join(folder, name);
    if (!path) return wick_err_oom(err, "a path", 0, 0);
    wick_status st = WICK_OK;
    r.fd = open_file(path);
    if (r.fd < 0) {
        st = wick_err_io(err, path, "open", errno);
    } else {
        const char *why = read_head(&r);
        if (!why) why = map_file(&r);
        if (!why) why = check_data(&r, (wick_each){0});
        if (why)
            st = WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: %s (it will be packed anew when its model is next loaded)",
                           path, why);
    }
    wick_pack_close(&r.pack);
    if (r.fd >= 0) close(r.fd);
    wick_free(path);
    return st;
}
