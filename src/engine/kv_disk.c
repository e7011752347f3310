/* engine/kv_disk.c - when positions go to disk (kv_store.h), and when they come from there.
 *
 * A request's tokens fall into blocks: of BLOCK_TOKENS each, or from mark to mark (mark.c) where a sequence cannot be
 * cut anywhere, because its state belongs to one position. A block is exported when it is complete, on the engine's
 * thread, which alone may call the backend, and written by the store's. A newcomer reads what is on disk beyond what
 * memory has, a few blocks a turn where others decode, before its first row.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/sys.h"
#include "engine/engine_int.h"
#include "engine/kv_store.h"

#define BLOCK_TOKENS 128 /* what a crash or a restart loses at most, where a sequence can be cut */
#define READ_MS 25.0     /* of a turn in which others decode */

/* Everything that KV depends on but the tokens and the user. No program can set a file's ctime, so a model that was
 * replaced or changed is another one. */
static bool describe(const wick_engine *e, wick_buf *b)
{
    const wick_plan *p = e->parts.plan;
    wick_buf_printf(b, "%s %s %s %d %d %llu", WICK_VERSION, e->parts.backend->name, e->device_label,
                    (int)e->opt.device.precision, (int)e->opt.device.kv_dtype, (unsigned long long)p->origin.settings);
    if (p->rope_short.rope) wick_buf_printf(b, " %u", e->parts.n_ctx); /* the context chooses the rope */
    for (uint32_t i = 0; i < p->origin.n_files; i++) {
        struct stat sb;
        if (fstat(p->origin.file[i].fd, &sb) != 0) return false;
#if defined(__APPLE__)
        struct timespec m = sb.st_mtimespec, c = sb.st_ctimespec;
#else
        struct timespec m = sb.st_mtim, c = sb.st_ctim;
#endif
        wick_buf_printf(b, " %llu:%llu:%llu:%lld.%ld:%lld.%ld", (unsigned long long)sb.st_dev,
                        (unsigned long long)sb.st_ino, (unsigned long long)sb.st_size, (long long)m.tv_sec,
                        (long)m.tv_nsec, (long long)c.tv_sec, (long)c.tv_nsec);
    }
    return p->origin.n_files > 0 && !b->failed;
}

wick_status wick_disk_open(wick_engine *e, wick_err *err)
{
    const wick_backend *b = e->parts.backend;
    wick_buf what = WICK_BUF_INIT;
    wick_status st = WICK_OK;
    if (!e->opt.kv_dir || strcmp(e->opt.kv_dir, "off") == 0 || !e->loop.prefix || !(e->caps & WICK_CAP_KV_SERIALIZE))
        return WICK_OK;
    b->kv_usage(e->loop.loaded, &e->loop.kv);
    if (describe(e, &what))
        st = wick_kv_store_open(&e->loop.store, e->opt.kv_dir, e->opt.kv_disk_bytes, what.data, what.n, err);
    wick_buf_release(&what);
    return st;
}

static bool shares(const wick_engine *e, const wick_request *r)
{
    return e->loop.store && r->opt.kind == WICK_REQ_GENERATE && !r->opt.no_prefix_cache && !r->run.forget;
}

/* The end of the block that begins at `from`. */
static uint32_t block_end(const wick_engine *e, uint32_t from)
{
    if (wick_mark_needed(e)) return wick_mark_next(e, from);
    return from / BLOCK_TOKENS * BLOCK_TOKENS + BLOCK_TOKENS;
}

/* The block of r's tokens behind `c`, or false where it is not within the first n of them. */
static bool next_part(const wick_engine *e, const wick_request *r, const wick_disk_chain *c, uint32_t n,
                      wick_kv_part *p)
{
    uint32_t to = block_end(e, c->to);
    if (to > n) return false;
    *p = (wick_kv_part){
        .parent = c->name, .domain = r->opt.domain, .from = c->to, .to = to, .tokens = r->run.tokens + c->to};
    wick_kv_store_name(p);
    return true;
}

static void step_over(wick_disk_chain *c, const wick_kv_part *p)
{
    c->name = p->name;
    c->to = p->to;
}

static wick_disk_chain chain_start(const wick_engine *e, const wick_request *r)
{
    return (wick_disk_chain){.name = wick_kv_store_root(e->loop.store, r->opt.domain)};
}

/* Exports one block. False: not now. */
static bool save_part(wick_engine *e, const wick_request *r, const wick_kv_part *p)
{
    const wick_backend *b = e->parts.backend;
    uint64_t n = 0;
    if (b->kv_export(e->loop.loaded, r->run.kv, p->from, p->to, NULL, &n, NULL) != WICK_OK) return false;
    void *data = wick_kv_store_begin(e->loop.store, p, n);
    if (!data) return false;
    bool ok = b->kv_export(e->loop.loaded, r->run.kv, p->from, p->to, data, &n, NULL) == WICK_OK;
    wick_kv_store_end(e->loop.store, p, data, ok ? n : 0);
    return ok;
}

void wick_disk_save(wick_engine *e, wick_request *r)
{
    wick_kv_part p;
    wick_disk_chain *c = &r->run.saved;
    if (!shares(e, r) || r->run.load_to || c->broken) return;
    if (block_end(e, c->to) > r->run.n_kv) return; /* most turns */
    if (c->to == 0) *c = chain_start(e, r);
    while (next_part(e, r, c, r->run.n_kv, &p)) {
        if (!wick_kv_store_has(e->loop.store, &p.name) && !save_part(e, r, &p)) {
            c->broken = wick_mark_needed(e); /* its state will not be at this position again */
            return;
        }
        step_over(c, &p);
    }
}

uint32_t wick_disk_find(wick_engine *e, const wick_request *r)
{
    wick_kv_part p;
    if (!shares(e, r)) return 0;
    wick_disk_chain c = chain_start(e, r);
    while (next_part(e, r, &c, r->run.n_total - 1, &p) && wick_kv_store_has(e->loop.store, &p.name)) step_over(&c, &p);
    return c.to;
}

wick_status wick_disk_begin(wick_engine *e, wick_request *r, uint32_t to, wick_err *err)
{
    const wick_backend *b = e->parts.backend;
    wick_kv_part p;
    wick_disk_chain c = chain_start(e, r);
    uint32_t have = r->run.n_kv;
    while (next_part(e, r, &c, have, &p)) step_over(&c, &p); /* to the last border that is not behind what it has */
    if (c.to != have && b->kv_truncate(e->loop.loaded, r->run.kv, c.to, NULL) != WICK_OK) {
        b->kv_free(e->loop.loaded, r->run.kv); /* a state that cannot go back: all of it from disk */
        r->run.kv = NULL;
        r->run.n_kv = 0;
        c = chain_start(e, r);
        WICK_TRY(b->kv_new(e->loop.loaded, r->run.cap_tokens, &r->run.kv, err));
    }
    r->run.n_kv = c.to;
    r->run.saved = c;
    r->run.load_to = to;
    return WICK_OK;
}

typedef struct import_args {
    wick_engine *e;
    wick_request *r;
    const wick_kv_part *part;
} import_args;

static wick_status import_part(void *ctx, const void *data, uint64_t n, wick_err *err)
{
    const import_args *i = ctx;
    return i->e->parts.backend->kv_import(i->e->loop.loaded, i->r->run.kv, i->part->from, i->part->to, data, n, err);
}

/* The next block of r; false: there are no more, or it cannot be read. */
static bool load_part(wick_engine *e, wick_request *r)
{
    wick_kv_part p;
    wick_err err = {0};
    import_args i = {e, r, &p};
    if (!next_part(e, r, &r->run.saved, r->run.load_to, &p)) return false;
    if (wick_kv_store_read(e->loop.store, &p, import_part, &i, &err) != WICK_OK) {
        wick_log(WICK_LOG_INFO, "KV from disk: %s", err.message);
        return false;
    }
    e->loop.stats.n_disk_tokens += p.to - p.from;
    step_over(&r->run.saved, &p);
    r->run.n_kv = p.to;
    if (r->run.n_gen == 0) r->run.n_cached = p.to;
    return true;
}

bool wick_disk_load(wick_engine *e, wick_request *r, bool others_decode)
{
    double until = wick_time_ms() + READ_MS;
    if (r->run.load_to == 0) return false;
    while (load_part(e, r))
        if (others_decode && wick_time_ms() > until) return true;
    uint32_t len = e->parts.backend->kv_len(r->run.kv);
    r->run.load_to = 0;
    /* A block that failed half way through: what it left is dropped, or everything is. */
    if (len != r->run.n_kv && e->parts.backend->kv_truncate(e->loop.loaded, r->run.kv, r->run.n_kv, NULL) != WICK_OK)
        wick_engine_kv_release(e, r);
    e->parts.backend->kv_usage(e->loop.loaded, &e->loop.kv);
    return r->run.kv == NULL;
}

void wick_disk_forget(wick_engine *e, const uint64_t *owner)
{
    if (e->loop.store && owner)
        wick_kv_store_drop(e->loop.store, *owner);
    else if (e->loop.store)
        wick_kv_store_drop_all(e->loop.store);
}
