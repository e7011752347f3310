/* backend/cpu/weights.c - packs all matrices of a plan, in parallel, into one piece of memory. Apart because load is the only
 * time when weights are written; afterwards everything here is read-only and shared by all threads.
 *
 * Memory: what is packed is dropped from the mapping at once (its pages stay in the page cache, but no longer count as
 * ours), so the peak is the packed bytes and not twice that.
 */
#include "backend/cpu/weights.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/sys.h"

enum {
    CHUNK_TILES = 32,
    HUGE_BYTES = 2 << 20 /* of a transparent huge page */
};

static wick_status visit_mlp(const wick_op_mlp *o, wick_mat_fn fn, void *ctx, wick_err *err)
{
    if (!o) return WICK_OK;
    WICK_TRY(fn(ctx, o->gate, err));
    WICK_TRY(fn(ctx, o->up, err));
    return fn(ctx, o->down, err);
}

static wick_status visit_list(const wick_weight *const *w, uint32_t n, wick_mat_fn fn, void *ctx, wick_err *err)
{
    for (uint32_t i = 0; i < n; i++) WICK_TRY(fn(ctx, w[i], err));
    return WICK_OK;
}

static wick_status visit_moe(const wick_op_moe *o, wick_mat_fn fn, void *ctx, wick_err *err)
{
    WICK_TRY(fn(ctx, o->router, err));
    for (uint32_t e = 0; e < o->n_expert; e++) {
        WICK_TRY(fn(ctx, o->gate ? &o->gate[e] : NULL, err));
        WICK_TRY(fn(ctx, &o->up[e], err));
        WICK_TRY(fn(ctx, &o->down[e], err));
    }
    WICK_TRY(fn(ctx, o->shared_gate, err));
    return visit_mlp(o->shared, fn, ctx, err);
}

wick_status wick_op_matrices(const wick_op *op, wick_mat_fn fn, void *ctx, wick_err *err)
{
#define LIST(...)                                         \
    visit_list((const wick_weight *const[]){__VA_ARGS__}, \
               sizeof((const wick_weight *const[]){__VA_ARGS__}) / sizeof(wick_weight *), fn, ctx, err)
    switch (op->kind) {
    case WICK_OP_ATTN: return LIST(op->u.attn.wq, op->u.attn.wk, op->u.attn.wv, op->u.attn.wo);
    case WICK_OP_MLA:
        WICK_TRY(LIST(op->u.mla.q_a, op->u.mla.q_b, op->u.mla.kv_a, op->u.mla.wo));
        WICK_TRY(visit_list(op->u.mla.k_b, op->u.mla.n_head, fn, ctx, err));
        return visit_list(op->u.mla.v_b, op->u.mla.n_head, fn, ctx, err);
    case WICK_OP_MLP: return visit_mlp(&op->u.mlp, fn, ctx, err);
    case WICK_OP_MOE: return visit_moe(&op->u.moe, fn, ctx, err);
    case WICK_OP_CONV: return LIST(op->u.conv.in, op->u.conv.out);
    case WICK_OP_MAMBA1:
    case WICK_OP_MAMBA2: return LIST(op->u.mamba.in, op->u.mamba.x, op->u.mamba.dt, op->u.mamba.out);
    case WICK_OP_DELTA: return LIST(op->u.delta.in_qkvz, op->u.delta.in_ba, op->u.delta.out);
    case WICK_OP_HEAD: return fn(ctx, op->u.head.w, err);
    case WICK_OP_EMBED:
    case WICK_OP_NORM:
    case WICK_OP_PLE: return LIST(op->u.ple.proj, op->u.ple.gate, op->u.ple.out);
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_N_OPS: break;
    }
#undef LIST
    return WICK_OK;
}

static wick_status count_one(void *ctx, const wick_weight *w, wick_err *err)
{
    uint64_t *n = ctx;
    (void)err;
    *n += w != NULL;
    return WICK_OK;
}

static void make_key(wick_mat *m, const wick_weight *w)
{
    memset(&m->key, 0, sizeof m->key);
    m->key.data = w->data;
    m->key.scales = w->scales;
    m->key.n_out = w->n_out;
    m->key.n_in = w->n_in;
}

static wick_str key_of(const wick_mat *m)
{
    return (wick_str){(const char *)&m->key, sizeof m->key};
}

static wick_status add_one(void *ctx, const wick_weight *w, wick_err *err)
{
    wick_mats *m = ctx;
    if (!w) return WICK_OK;
    wick_mat *mat = &m->mat[m->n];
    make_key(mat, w);
    mat->w = w;
    uint32_t at = wick_map_add(&m->map, key_of(mat), m->n);
    if (at == WICK_MAP_NONE) return wick_err_oom(err, "the table of matrices", 0, 0);
    if (at == m->n) m->n++;
    return WICK_OK;
}

const wick_lin *wick_mats_find(const wick_mats *m, const wick_weight *w)
{
    if (!w) return NULL;
    wick_mat probe;
    make_key(&probe, w);
    uint32_t i = wick_map_get(&m->map, key_of(&probe));
    return i == WICK_MAP_NONE ? NULL : m->mat[i].lin;
}

static uint32_t n_chunks_of(const wick_mat *m)
{
    return m->bytes ? (wick_lin_n_tiles(m->lin) + CHUNK_TILES - 1) / CHUNK_TILES : 0;
}

typedef struct pack_job {
    wick_mats *m;
    wick_pool *pool;
    wick_progress progress;
    atomic_uint done;
} pack_job;

static uint32_t mat_of_chunk(const wick_mats *m, uint32_t chunk)
{
    uint32_t lo = 0, hi = m->n;
    while (hi - lo > 1) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (m->mat[mid].first_chunk <= chunk)
            lo = mid;
        else
            hi = mid;
    }
    return lo;
}

/* Lets the whole pages of rows [r0, r1) go from the mapping. */
static void drop_pages(const wick_weight *w, uint32_t r0, uint32_t r1)
{
#if defined(__linux__)
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t a = (uintptr_t)w->data + (uintptr_t)r0 * w->row_step * w->row_bytes;
    uintptr_t b = (uintptr_t)w->data + (uintptr_t)r1 * w->row_step * w->row_bytes;
    a = (a + page - 1) / page * page;
    b = b / page * page;
    if (w->mapped && w->row_step == 1 && a < b) (void)madvise((void *)a, b - a, MADV_DONTNEED);
#else
    (void)w, (void)r0, (void)r1;
#endif
}

static void pack_chunks(void *ctx, uint32_t thread, uint32_t n_threads)
{
    pack_job *j = ctx;
    uint32_t from, to;
    (void)n_threads;
    while (wick_pool_next(j->pool, thread, 0, j->m->n_chunks, 1, &from, &to)) {
        const wick_mat *mat = &j->m->mat[mat_of_chunk(j->m, from)];
        uint32_t t0 = (from - mat->first_chunk) * CHUNK_TILES, n = wick_lin_n_tiles(mat->lin);
        uint32_t t1 = t0 + CHUNK_TILES < n ? t0 + CHUNK_TILES : n;
        wick_lin_pack_tiles(mat->lin, t0, t1);
        uint32_t r1 = t1 * WICK_LIN_TILE < mat->w->n_out ? t1 * WICK_LIN_TILE : mat->w->n_out;
        drop_pages(mat->w, t0 * WICK_LIN_TILE, r1);
        uint32_t done = atomic_fetch_add(&j->done, 1) + 1;
        if (thread == 0 && j->progress.fn)
            j->progress.fn(j->progress.ctx, "packing weights",
                           (uint64_t)(j->m->packed_bytes * (double)done / j->m->n_chunks), j->m->packed_bytes);
    }
}

/* Sizes, addresses and the memory itself; refuses before allocating what the machine does not have. */
static wick_status place(wick_mats *m, const wick_lin_isa *isa, wick_precision precision, uint64_t limit_bytes,
                         wick_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        m->mat[i].bytes = wick_lin_packed_bytes(isa, m->mat[i].w, precision);
        m->mat[i].at = total;
        if (m->mat[i].bytes > UINT64_MAX / 2 - total - 64)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, m->mat[i].w->name, "weights are too large");
        total += (m->mat[i].bytes + 63) & ~(uint64_t)63;
    }
    uint64_t have = wick_memory_available_bytes();
    if (limit_bytes && (have == 0 || limit_bytes < have)) have = limit_bytes;
    if (have && total > have) return wick_err_oom(err, "packed weights", total, have);
    m->packed_bytes = total;
    if (total == 0) return WICK_OK;
    m->packed = wick_alloc_aligned(total >= HUGE_BYTES ? HUGE_BYTES : 64, total);
    if (!m->packed) return wick_err_oom(err, "packed weights", total, have);
#if defined(__linux__)
    if (total >= HUGE_BYTES) (void)madvise(m->packed, total, MADV_HUGEPAGE);
#endif
    return WICK_OK;
}

wick_status wick_mats_load(wick_mats *m, const wick_plan *plan, const wick_lin_isa *isa, wick_precision precision,
                           wick_pool *pool, uint64_t limit_bytes, wick_progress progress, wick_err *err)
{
    uint64_t n = 0;
    memset(m, 0, sizeof *m);
    wick_map_init(&m->map);
    for (uint32_t i = 0; i < plan->n_ops; i++) WICK_TRY(wick_op_matrices(&plan->op[i], count_one, &n, err));
    if (n >= UINT32_MAX) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "plan", "%" PRIu64 " matrices are too many", n);
    m->mat = wick_alloc_zero(n + 1, sizeof *m->mat);
    if (!m->mat) return wick_err_oom(err, "the table of matrices", n * sizeof *m->mat, 0);
    for (uint32_t i = 0; i < plan->n_ops; i++) WICK_TRY(wick_op_matrices(&plan->op[i], add_one, m, err));
    WICK_TRY(place(m, isa, precision, limit_bytes, err));
    for (uint32_t i = 0; i < m->n; i++) {
        wick_mat *mat = &m->mat[i];
        WICK_TRY(wick_lin_new(&mat->lin, isa, mat->w, precision, mat->bytes ? m->packed + mat->at : NULL, err));
        mat->first_chunk = m->n_chunks;
        m->n_chunks += n_chunks_of(mat);
    }
    pack_job job = {.m = m, .pool = pool, .progress = progress};
    if (m->n_chunks) wick_pool_run(pool, pack_chunks, &job);
    if (progress.fn && m->n_chunks) progress.fn(progress.ctx, "packing weights", m->packed_bytes, m->packed_bytes);
    return WICK_OK;
}

void wick_mats_release(wick_mats *m)
{
    for (uint32_t i = 0; m->mat && i < m->n; i++) wick_lin_free(m->mat[i].lin);
    wick_free(m->mat);
    wick_free(m->packed);
    wick_map_release(&m->map);
    memset(m, 0, sizeof *m);
}
