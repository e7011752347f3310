/* backend/pack_source.c - is the source still the same? Its stamp (what the file system says), its content, and the key
 * made of what a packed form depends on. Files are read by their descriptors, not through the mapping, so that a file
 * which is cut meanwhile is an error and no signal, and nothing counts as resident. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "backend/pack_format.h"
#include "base/hash.h"

enum {
    SAMPLES = 32, /* of all files together; at least 2 of each */
    SAMPLE_BYTES = 4096,
    SETTLED_S = 2 /* the coarsest file systems count time in two seconds */
};

#if defined(__APPLE__)
#define MTIME(sb) (sb).st_mtimespec
#define CTIME(sb) (sb).st_ctimespec
#else
#define MTIME(sb) (sb).st_mtim
#define CTIME(sb) (sb).st_ctim
#endif

bool wick_origin_stamp(const wick_origin *o, uint64_t *stamp, bool *settled)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *stamp = o->n_files;
    *settled = true;
    for (uint32_t i = 0; i < o->n_files; i++) {
        struct stat sb;
        if (fstat(o->file[i].fd, &sb) != 0 || (uint64_t)sb.st_size != o->file[i].n_bytes) return false;
        struct timespec m = MTIME(sb), c = CTIME(sb);
        uint64_t v[] = {(uint64_t)sb.st_dev, (uint64_t)sb.st_ino, (uint64_t)sb.st_size, (uint64_t)m.tv_sec,
                        (uint64_t)m.tv_nsec, (uint64_t)c.tv_sec,  (uint64_t)c.tv_nsec};
        *stamp = wick_hash_data(v, sizeof v, *stamp);
        if (c.tv_sec + SETTLED_S >= now.tv_sec) *settled = false;
    }
    if (*stamp == 0) *stamp = 1;
    return o->n_files > 0;
}

/* Every file is cut into pieces; piece i of all. */
typedef struct content_job {
    const wick_origin *o;
    uint64_t *hash; /* of each piece */
    atomic_bool failed;
} content_job;

static uint64_t pieces_of(const wick_file *f)
{
    return f->n_bytes / WICK_PACK_SOURCE_PIECE + (f->n_bytes % WICK_PACK_SOURCE_PIECE != 0);
}

static void hash_piece(void *arg, uint32_t i)
{
    content_job *j = arg;
    uint64_t at = i;
    const wick_file *f = j->o->file;
    for (; at >= pieces_of(f); f++) at -= pieces_of(f);
    at *= WICK_PACK_SOURCE_PIECE;
    size_t n = f->n_bytes - at < WICK_PACK_SOURCE_PIECE ? (size_t)(f->n_bytes - at) : WICK_PACK_SOURCE_PIECE;
    uint8_t *p = wick_alloc(n);
    if (p && wick_pack_read_at(f->fd, p, n, at))
        j->hash[i] = wick_hash_data(p, n, 0);
    else
        atomic_store(&j->failed, true);
    wick_free(p);
}

bool wick_origin_content(const wick_origin *o, wick_each each, uint64_t *hash)
{
    uint64_t n = 0, h = o->n_files;
    for (uint32_t i = 0; i < o->n_files; i++) {
        n += pieces_of(&o->file[i]);
        h = wick_hash_data(&o->file[i].n_bytes, sizeof o->file[i].n_bytes, h);
    }
    if (n == 0 || n > UINT32_MAX) return false;
    content_job j = {.o = o, .hash = wick_alloc_zero(n, sizeof *j.hash)};
    if (!j.hash) return false;
    if (each.fn)
        each.fn(each.ctx, (uint32_t)n, hash_piece, &j);
    else
        for (uint32_t i = 0; i < n && !atomic_load(&j.failed); i++) hash_piece(&j, i);
    *hash = wick_hash_data(j.hash, n * sizeof *j.hash, h);
    wick_free(j.hash);
    return !atomic_load(&j.failed);
}

/* Enough of the content that two models of one shape get two names. */
static bool sample_file(const wick_file *f, uint32_t n_samples, uint64_t h[2])
{
    uint8_t p[SAMPLE_BYTES];
    for (uint32_t i = 0; i < n_samples; i++) {
        uint64_t last = f->n_bytes > sizeof p ? f->n_bytes - sizeof p : 0;
        uint64_t at = (uint64_t)((double)last * i / (n_samples - 1));
        size_t n = f->n_bytes < sizeof p ? (size_t)f->n_bytes : sizeof p;
        if (!wick_pack_read_at(f->fd, p, n, at < last ? at : last)) return false;
        h[0] = wick_hash_data(p, n, h[0]);
        h[1] = wick_hash_data(p, n, h[1]);
    }
    return true;
}

bool wick_pack_spec_finish(wick_pack_spec *s)
{
    bool settled;
    const wick_origin *o = &s->origin;
    if (!wick_origin_stamp(o, &s->stamp, &settled)) return false;
    uint64_t v[] = {WICK_PACK_VERSION, o->settings, o->n_files, s->n_items, s->n_bytes};
    uint32_t n_samples = SAMPLES / o->n_files > 2 ? SAMPLES / o->n_files : 2;
    for (uint64_t k = 0; k < 2; k++) {
        uint64_t h = wick_hash_data(WICK_VERSION, strlen(WICK_VERSION), k);
        h = wick_hash_data(v, sizeof v, h);
        s->key[k] = wick_hash_data(s->item, s->n_items * sizeof *s->item, h);
    }
    for (uint32_t i = 0; i < o->n_files; i++) {
        uint64_t n = o->file[i].n_bytes;
        s->key[0] = wick_hash_data(&n, sizeof n, s->key[0]);
        s->key[1] = wick_hash_data(&n, sizeof n, s->key[1]);
        if (!sample_file(&o->file[i], n_samples, s->key)) return false;
    }
    return true;
}
