/* engine/kv_store.c - see kv_store.h.
 *
 * The queue is a list under `lock`; the writer takes its first entry, writes it without the lock, and looks after the
 * limit. A block that is queued counts as being there.
 */
#include "engine/kv_store.h"
#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/str.h"
#include "base/thread.h"

enum {
    QUEUE_BYTES = 96 << 20,
    NAME_DIGITS = 40,
    MODEL_DIGITS = 16,
    STALE_S = 3600 /* a temporary file that nobody writes any more */
};

static const char magic[8] = "WICKKV1";

typedef struct head {
    char magic[8];
    wick_kv_name parent, name;
    uint64_t owner; /* hashed: what an owner's files are found by when they are to be removed */
    uint32_t from, to;
    uint64_t n_bytes, hash; /* of the data; of the head with hash 0, the tokens and the data */
} head;

typedef struct job {
    struct job *next;
    wick_kv_name name;
    uint64_t n; /* bytes of the file */
    uint8_t file[];
} job;

struct wick_kv_store {
    char *folder, *own; /* own: this model's */
    wick_kv_name model;
    uint64_t limit_bytes;
    wick_thread thread;
    wick_lock lock;
    wick_cond wake;
    job *first, *last; /* under lock; the first is being written while `busy` */
    uint64_t queued_bytes, bytes, written_bytes;
    bool closing, busy, warned;
};

static wick_kv_name digest(const struct sha256_ctx *started)
{
    struct sha256_ctx c = *started;
    wick_kv_name n;
    sha256_digest(&c, sizeof n.b, n.b);
    return n;
}

static void hex(char *dst, const wick_kv_name *n, uint32_t digits)
{
    for (uint32_t i = 0; i < digits; i++) dst[i] = "0123456789abcdef"[n->b[i / 2] >> (i % 2 ? 0 : 4) & 15];
    dst[digits] = '\0';
}

static char *path_of(const wick_kv_store *s, const wick_kv_name *name)
{
    char file[NAME_DIGITS + 4];
    hex(file, name, NAME_DIGITS);
    memcpy(file + NAME_DIGITS, ".kv", 4);
    return wick_path_join(s->own, file);
}

static uint64_t hashed_owner(uint64_t owner)
{
    return wick_hash_data(&owner, sizeof owner, 0x646f6d61696e);
}

wick_kv_name wick_kv_store_root(const wick_kv_store *s, wick_domain domain)
{
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, sizeof s->model.b, s->model.b);
    const uint64_t both[2] = {domain.owner, domain.user};
    sha256_update(&c, sizeof both, (const uint8_t *)both);
    return digest(&c);
}

void wick_kv_store_name(wick_kv_part *part)
{
    struct sha256_ctx c;
    uint32_t at[2] = {part->from, part->to};
    sha256_init(&c);
    sha256_update(&c, sizeof part->parent.b, part->parent.b);
    sha256_update(&c, sizeof at, (const uint8_t *)at);
    sha256_update(&c, (part->to - part->from) * sizeof *part->tokens, (const uint8_t *)part->tokens);
    part->name = digest(&c);
}

/* ---- the folder ---- */
typedef struct found {
    char *path;
    uint64_t n_bytes;
    int64_t used_s;
    int64_t used_ns;
} found;

typedef struct found_list {
    found *item;
    size_t n, cap;
    uint64_t bytes;
} found_list;

static void found_free(found_list *l)
{
    for (size_t i = 0; i < l->n; i++) wick_free(l->item[i].path);
    wick_free(l->item);
}

/* Takes path. */
static bool found_add(found_list *l, char *path, const struct stat *sb)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 64;
        found *p = wick_realloc_array(l->item, cap, sizeof *p);
        if (!p) return false;
        l->item = p;
        l->cap = cap;
    }
#if defined(__APPLE__)
    struct timespec t = sb->st_mtimespec;
#else
    struct timespec t = sb->st_mtim;
#endif
    l->item[l->n++] = (found){path, (uint64_t)sb->st_size, (int64_t)t.tv_sec, (int64_t)t.tv_nsec};
    l->bytes += (uint64_t)sb->st_size;
    return true;
}

static bool is_temporary(const char *name)
{
    return strstr(name, ".kv.tmp-") != NULL;
}

static bool is_block(const char *name)
{
    return strspn(name, "0123456789abcdef") == NAME_DIGITS && strcmp(name + NAME_DIGITS, ".kv") == 0;
}

/* The files of one model's folder; what a writer that died has left is removed. */
static void scan_model(found_list *l, const char *folder)
{
    wick_dir_list names = {0};
    if (wick_dir_list_read(&names, folder, NULL) != WICK_OK) return;
    for (size_t i = 0; i < names.n; i++) {
        struct stat sb;
        char *path = wick_path_join(folder, names.name[i]);
        bool ours = path && lstat(path, &sb) == 0 && S_ISREG(sb.st_mode);
        if (ours && is_temporary(names.name[i]) && sb.st_mtime + STALE_S < time(NULL)) unlink(path);
        if (!ours || !is_block(names.name[i]) || !found_add(l, path, &sb)) wick_free(path);
    }
    wick_dir_list_free(&names);
}

static void scan(found_list *l, const char *folder)
{
    wick_dir_list names = {0};
    if (!wick_path_is_dir(folder) || wick_dir_list_read(&names, folder, NULL) != WICK_OK) return;
    for (size_t i = 0; i < names.n; i++) {
        if (strspn(names.name[i], "0123456789abcdef") != MODEL_DIGITS || names.name[i][MODEL_DIGITS]) continue;
        char *path = wick_path_join(folder, names.name[i]);
        if (path) scan_model(l, path);
        wick_free(path);
    }
    wick_dir_list_free(&names);
}

static int by_use(const void *pa, const void *pb)
{
    const found *a = pa, *b = pb;
    if (a->used_s != b->used_s) return a->used_s < b->used_s ? -1 : 1;
    return a->used_ns < b->used_ns ? -1 : a->used_ns > b->used_ns;
}

/* Removes the least recently used files until nine tenths of the limit are left. Returns what the rest takes. */
static uint64_t shrink(const wick_kv_store *s)
{
    found_list l = {0};
    scan(&l, s->folder);
    if (l.n > 1) qsort(l.item, l.n, sizeof *l.item, by_use);
    uint64_t left = l.bytes, goal = s->limit_bytes / 10 * 9;
    for (size_t i = 0; i < l.n && left > goal && l.bytes > s->limit_bytes; i++)
        if (unlink(l.item[i].path) == 0) left -= l.item[i].n_bytes;
    found_free(&l);
    return left;
}

wick_status wick_kv_folder_each(const char *folder, bool remove, uint64_t *n_files, uint64_t *n_bytes, wick_err *err)
{
    found_list l = {0};
    wick_status st = WICK_OK;
    scan(&l, folder);
    *n_files = l.n;
    *n_bytes = l.bytes;
    for (size_t i = 0; remove && i < l.n; i++)
        if (unlink(l.item[i].path) != 0 && errno != ENOENT) st = wick_err_io(err, l.item[i].path, "remove", errno);
    found_free(&l);
    return st;
}

/* ---- writing ---- */
static void write_job(wick_kv_store *s, const job *j)
{
    wick_err err = {0};
    char *path = path_of(s, &j->name);
    wick_status st = path ? wick_dir_make(s->own, &err) : WICK_E_OUT_OF_MEMORY;
    if (st == WICK_OK) st = wick_file_write(path, j->file, (size_t)j->n, &err);
    wick_free(path);
    wick_lock_take(&s->lock);
    if (st == WICK_OK) {
        s->bytes += j->n;
        s->written_bytes += j->n;
    }
    bool warn = st != WICK_OK && !s->warned, full = s->limit_bytes && s->bytes > s->limit_bytes;
    s->warned = s->warned || warn;
    wick_lock_drop(&s->lock);
    if (warn) wick_log(WICK_LOG_WARN, "KV is not kept on disk: %s", err.message);
    if (!full) return;
    uint64_t left = shrink(s);
    wick_lock_take(&s->lock);
    s->bytes = left;
    wick_lock_drop(&s->lock);
}

static void *writer_main(void *arg)
{
    wick_kv_store *s = arg;
    uint64_t there = shrink(s);
    wick_lock_take(&s->lock);
    s->bytes += there;
    for (;;) {
        while (!s->first && !s->closing) wick_cond_wait(&s->wake, &s->lock);
        if (!s->first) break;
        job *j = s->first;
        s->busy = true;
        wick_lock_drop(&s->lock);
        write_job(s, j);
        wick_lock_take(&s->lock);
        s->busy = false;
        s->first = j->next;
        if (!s->first) s->last = NULL;
        s->queued_bytes -= j->n;
        wick_cond_broadcast(&s->wake);
        wick_free(j);
    }
    wick_lock_drop(&s->lock);
    return NULL;
}

wick_status wick_kv_store_open(wick_kv_store **out, const char *folder, uint64_t limit_bytes, const void *model,
                               size_t n_model, wick_err *err)
{
    struct sha256_ctx c;
    char digits[MODEL_DIGITS + 1];
    wick_kv_store *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "the KV store", sizeof *s, 0);
    sha256_init(&c);
    sha256_update(&c, n_model, model);
    s->model = digest(&c);
    hex(digits, &s->model, MODEL_DIGITS);
    s->folder = wick_strdup(folder);
    s->own = wick_path_join(folder, digits);
    s->limit_bytes = limit_bytes;
    wick_lock_init(&s->lock);
    wick_cond_init(&s->wake);
    wick_status st = s->folder && s->own ? WICK_OK : wick_err_oom(err, "the KV store", 0, 0);
    if (st == WICK_OK) st = wick_thread_start(&s->thread, "wick-kv", writer_main, s, err);
    if (st != WICK_OK) {
        wick_kv_store_close(s);
        return st;
    }
    *out = s;
    return WICK_OK;
}

void wick_kv_store_close(wick_kv_store *s)
{
    if (!s) return;
    wick_lock_take(&s->lock);
    s->closing = true;
    wick_cond_broadcast(&s->wake);
    wick_lock_drop(&s->lock);
    wick_thread_join(&s->thread);
    wick_cond_release(&s->wake);
    wick_lock_release(&s->lock);
    wick_free(s->folder);
    wick_free(s->own);
    wick_free(s);
}

static bool is_queued(const wick_kv_store *s, const wick_kv_name *name)
{
    for (const job *j = s->first; j; j = j->next)
        if (memcmp(&j->name, name, sizeof *name) == 0) return true;
    return false;
}

bool wick_kv_store_has(const wick_kv_store *s, const wick_kv_name *name)
{
    wick_kv_store *shared = (wick_kv_store *)(uintptr_t)s;
    wick_lock_take(&shared->lock);
    bool there = is_queued(s, name);
    wick_lock_drop(&shared->lock);
    if (there) return true;
    char *path = path_of(s, name);
    there = path && wick_path_is_file(path);
    wick_free(path);
    return there;
}

static size_t tokens_bytes(const wick_kv_part *p)
{
    return (size_t)(p->to - p->from) * sizeof *p->tokens;
}

void *wick_kv_store_begin(wick_kv_store *s, const wick_kv_part *part, uint64_t n)
{
    uint64_t total = sizeof(head) + tokens_bytes(part);
    if (!wick_add_ok(total, n, &total) || total > SIZE_MAX - sizeof(job)) return NULL;
    wick_lock_take(&s->lock);
    bool room = !s->first || s->queued_bytes + total <= QUEUE_BYTES;
    wick_lock_drop(&s->lock);
    job *j = room && (!s->limit_bytes || total <= s->limit_bytes / 2) ? wick_alloc(sizeof *j + (size_t)total) : NULL;
    if (!j) return NULL;
    j->next = NULL;
    j->name = part->name;
    return j->file + sizeof(head) + tokens_bytes(part);
}

void wick_kv_store_end(wick_kv_store *s, const wick_kv_part *part, void *data, uint64_t n_used)
{
    uint8_t *file = (uint8_t *)data - tokens_bytes(part) - sizeof(head);
    job *j = (job *)(void *)(file - offsetof(job, file));
    if (n_used == 0) {
        wick_free(j);
        return;
    }
    head h = {.parent = part->parent,
              .name = part->name,
              .owner = hashed_owner(part->domain.owner),
              .from = part->from,
              .to = part->to,
              .n_bytes = n_used};
    memcpy(h.magic, magic, sizeof magic);
    memcpy(file + sizeof h, part->tokens, tokens_bytes(part));
    h.hash = wick_hash_data(file + sizeof h, tokens_bytes(part) + (size_t)n_used, wick_hash_data(&h, sizeof h, 0));
    memcpy(file, &h, sizeof h);
    j->n = sizeof h + tokens_bytes(part) + n_used;
    wick_lock_take(&s->lock);
    *(s->last ? &s->last->next : &s->first) = j;
    s->last = j;
    s->queued_bytes += j->n;
    wick_cond_broadcast(&s->wake);
    wick_lock_drop(&s->lock);
}

/* ---- reading ---- */
static const char *fault_of(const wick_file *f, const wick_kv_part *part)
{
    head h;
    if (f->n_bytes < sizeof h + tokens_bytes(part)) return "it is too short";
    memcpy(&h, f->data, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0) return "it is no such file";
    if (memcmp(&h.name, &part->name, sizeof h.name) != 0 || memcmp(&h.parent, &part->parent, sizeof h.parent) != 0)
        return "it has another name";
    if (h.from != part->from || h.to != part->to || h.n_bytes != f->n_bytes - sizeof h - tokens_bytes(part))
        return "it has another size";
    if (memcmp(f->data + sizeof h, part->tokens, tokens_bytes(part)) != 0) return "it has other tokens";
    uint64_t hash = h.hash;
    h.hash = 0;
    if (wick_hash_data(f->data + sizeof h, (size_t)f->n_bytes - sizeof h, wick_hash_data(&h, sizeof h, 0)) != hash)
        return "its contents have changed";
    return NULL;
}

/* Waits until a block that is queued has been written. */
static void await(wick_kv_store *s, const wick_kv_name *name)
{
    wick_lock_take(&s->lock);
    while (is_queued(s, name)) wick_cond_wait(&s->wake, &s->lock);
    wick_lock_drop(&s->lock);
}

wick_status wick_kv_store_read(wick_kv_store *s, const wick_kv_part *part,
                               wick_status (*use)(void *ctx, const void *data, uint64_t n, wick_err *err), void *ctx,
                               wick_err *err)
{
    wick_file f = {0};
    await(s, &part->name);
    char *path = path_of(s, &part->name);
    if (!path) return wick_err_oom(err, "the KV store", 0, 0);
    wick_status st = wick_file_open(&f, path, err);
    if (st == WICK_OK) {
        const char *fault = fault_of(&f, part);
        size_t at = sizeof(head) + tokens_bytes(part);
        st = fault ? WICK_FAIL(err, WICK_E_BAD_FILE, path, "%s: %s", path, fault)
                   : use(ctx, f.data + at, f.n_bytes - at, err);
        if (fault) {
            wick_log(WICK_LOG_WARN, "%s: %s; it is removed, and computed again", path, fault);
            unlink(path);
        }
        if (st == WICK_OK) (void)futimens(f.fd, NULL);
        wick_file_close(&f);
    }
    wick_free(path);
    return st;
}

static void drop_if(wick_kv_store *s, bool all, uint64_t owner)
{
    found_list l = {0};
    uint64_t want = hashed_owner(owner);
    wick_lock_take(&s->lock);
    while (s->first) wick_cond_wait(&s->wake, &s->lock);
    wick_lock_drop(&s->lock);
    scan_model(&l, s->own);
    for (size_t i = 0; i < l.n; i++) {
        head h = {0};
        int fd = all ? -1 : open(l.item[i].path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        bool its = all || (fd >= 0 && read(fd, &h, sizeof h) == (ssize_t)sizeof h && h.owner == want);
        if (fd >= 0) close(fd);
        if (its) unlink(l.item[i].path);
    }
    found_free(&l);
}

void wick_kv_store_drop(wick_kv_store *s, uint64_t owner)
{
    drop_if(s, false, owner);
}

void wick_kv_store_drop_all(wick_kv_store *s)
{
    drop_if(s, true, 0);
}

static uint64_t locked(const wick_kv_store *s, const uint64_t *what)
{
    wick_kv_store *shared = (wick_kv_store *)(uintptr_t)s;
    wick_lock_take(&shared->lock);
    uint64_t n = *what;
    wick_lock_drop(&shared->lock);
    return n;
}

uint64_t wick_kv_store_written(const wick_kv_store *s)
{
    return locked(s, &s->written_bytes);
}

uint64_t wick_kv_store_bytes(const wick_kv_store *s)
{
    return locked(s, &s->bytes);
}
