/* backend/cpu/weights.c - packs all matrices of a plan, in parallel, into one piece of memory, or maps what an earlier
 * start packed. Apart because load is the only time when weights are written; afterwards everything here is read-only
 * and shared by all threads.
 *
 * Memory: a weight is not held twice. What is packed is dropped at once: pages of a mapped file (they stay in the page
 * cache, but no longer count as ours) and, where the plan is loaded once, what the checkpoint's reader made in the
 * plan's arena (AWQ, GPTQ, fp8, turned matrices). Only the tables whose rows the EMBED and PLE ops read are left alone.
 */
#include "backend/cpu/weights.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "backend/cpu/linear_impl.h"
#include "backend/recode.h"
#include "base/hash.h"
#include "base/sys.h"

enum {
    CHUNK_TILES = 32,
    HUGE_BYTES = 2 << 20 /* of a transparent huge page */
};

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
    atomic_bool no_memory;
} pack_job;

/* What will be packed: the matrix itself, or the form that it is to get, which has no data until a chunk is made. */
static wick_weight stored_form(const wick_weight *w)
{
    wick_weight to;
    if (!w->recode || wick_quant_shape(w->recode, w->n_out, w->n_in, &to, NULL) != WICK_OK) return *w;
    to.name = w->name;
    return to;
}

/* Tiles [t0, t1) of a matrix in another form than the file's: its rows encoded, then packed as if a file had them. */
static bool pack_recoded(const wick_mat *mat, uint32_t t0, uint32_t t1)
{
    wick_lin part = *mat->lin;
    uint32_t r0 = t0 * WICK_LIN_TILE,
             n = t1 * WICK_LIN_TILE < mat->w->n_out ? (t1 - t0) * WICK_LIN_TILE : mat->w->n_out - r0;
    uint64_t data = n * part.w.row_bytes, side = n * part.w.scale_row_bytes;
    uint8_t *buf = wick_alloc_aligned(64, data + 2 * side + 64);
    float *row = wick_alloc((size_t)mat->w->n_in * sizeof *row);
    bool ok = buf && row;
    if (ok) {
        wick_recode_rows(mat->w, mat->w->recode, r0, n, buf, buf + data, buf + data + side, row);
        part.packed += (uint64_t)t0 * part.n_super * part.f.super_bytes;
        part.w.n_out = n;
        part.w.data = buf;
        part.w.scales = buf + data;
        part.w.biases = buf + data + side;
        wick_lin_pack_tiles(&part, 0, t1 - t0);
    }
    wick_free(buf);
    wick_free(row);
    return ok;
}

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

static bool in_file(const wick_origin *o, const uint8_t *p)
{
    for (uint32_t i = 0; i < o->n_files; i++)
        if ((uintptr_t)p - (uintptr_t)o->file[i].data < o->file[i].n_bytes) return true;
    return false;
}

static bool is_table(const wick_plan *p, const wick_weight *w)
{
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const wick_op *o = &p->op[i];
        const wick_weight *t = o->kind == WICK_OP_EMBED ? o->u.embed.w : o->kind == WICK_OP_PLE ? o->u.ple.embed : NULL;
        if (t && t->data == w->data) return true;
    }
    return false;
}

static void decide_drops(wick_mats *m, const wick_plan *p)
{
    for (uint32_t i = 0; i < m->n; i++) {
        wick_mat *mat = &m->mat[i];
        const wick_weight *w = mat->w;
        bool made = p->load_once && !is_table(p, w);
        mat->drop_data = mat->bytes && (made || in_file(&p->origin, w->data));
        mat->drop_scales = mat->bytes && w->scales &&
                           (made || (in_file(&p->origin, w->scales) && (!w->biases || in_file(&p->origin, w->biases))));
    }
}

static void drop_rows(const wick_mat *mat, uint64_t r0, uint64_t r1)
{
    const wick_weight *w = mat->w;
    if (mat->drop_data) wick_memory_drop(w->data + r0 * w->row_bytes, (r1 - r0) * w->row_bytes);
    if (!mat->drop_scales) return;
    wick_memory_drop(w->scales + r0 * w->scale_row_bytes, (r1 - r0) * w->scale_row_bytes);
    if (w->biases) wick_memory_drop(w->biases + r0 * w->scale_row_bytes, (r1 - r0) * w->scale_row_bytes);
}

/* Between the rows of one matrix may lie those of another, so this comes when all are packed; so do the pages that two
 * chunks share. */
static void drop_all(const wick_mats *m)
{
    for (uint32_t i = 0; i < m->n; i++)
        drop_rows(&m->mat[i], 0, (uint64_t)(m->mat[i].w->n_out - 1) * m->mat[i].w->row_step + 1);
}

static void pack_chunks(void *ctx, uint32_t thread, uint32_t n_threads)
{
    pack_job *j = ctx;
    uint32_t from, to;
    (void)n_threads;
    while (wick_pool_next(j->pool, thread, 0, j->m->n_chunks, 1, &from, &to)) {
        if (wick_progress_cancelled(&j->progress)) continue;
        const wick_mat *mat = &j->m->mat[mat_of_chunk(j->m, from)];
        uint32_t t0 = (from - mat->first_chunk) * CHUNK_TILES, n = wick_lin_n_tiles(mat->lin);
        uint32_t t1 = t0 + CHUNK_TILES < n ? t0 + CHUNK_TILES : n;
        if (!mat->w->recode)
            wick_lin_pack_tiles(mat->lin, t0, t1);
        else if (!pack_recoded(mat, t0, t1))
            atomic_store(&j->no_memory, true);
        uint32_t r1 = t1 * WICK_LIN_TILE < mat->w->n_out ? t1 * WICK_LIN_TILE : mat->w->n_out;
        if (mat->w->row_step == 1) drop_rows(mat, t0 * WICK_LIN_TILE, r1);
        uint32_t done = atomic_fetch_add(&j->done, 1) + 1;
        if (thread == 0 && j->progress.fn)
            j->progress.fn(j->progress.ctx, "packing weights",
                           (uint64_t)(j->m->packed_bytes * (double)done / j->m->n_chunks), j->m->packed_bytes);
    }
}

/* Sizes and addresses; refuses what the machine has no memory for. */
static wick_status place(wick_mats *m, const wick_lin_isa *isa, const wick_backend_opts *o, wick_err *err)
{
    uint64_t total = 0;
    for (uint32_t i = 0; i < m->n; i++) {
        wick_weight form = stored_form(m->mat[i].w);
        m->mat[i].bytes = wick_lin_packed_bytes(isa, &form, o->precision);
        m->mat[i].at = total;
        if (m->mat[i].bytes > UINT64_MAX / 2 - total - 64)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, m->mat[i].w->name, "weights are too large");
        total += (m->mat[i].bytes + 63) & ~(uint64_t)63;
    }
    uint64_t have = wick_memory_available_bytes(), limit = o->memory_limit_bytes;
    if (limit && (have == 0 || limit < have)) have = limit;
    if (have && total > have) return wick_err_oom(err, "packed weights", total, have);
    m->packed_bytes = total;
    return WICK_OK;
}

static wick_status reserve(wick_mats *m, wick_err *err)
{
    uint64_t total = m->packed_bytes;
    m->own = wick_alloc_aligned(total >= HUGE_BYTES ? HUGE_BYTES : 64, total);
    if (!m->own) return wick_err_oom(err, "packed weights", total, wick_memory_available_bytes());
#if defined(__linux__)
    if (total >= HUGE_BYTES) (void)madvise(m->own, total, MADV_HUGEPAGE);
#endif
    m->packed = m->own;
    return WICK_OK;
}

/* --- the cache of packed weights --- */
typedef struct each_job {
    wick_pool *pool;
    uint32_t n;
    void (*work)(void *arg, uint32_t i);
    void *arg;
} each_job;

static void each_thread(void *ctx, uint32_t thread, uint32_t n_threads)
{
    each_job *j = ctx;
    uint32_t from, to;
    (void)n_threads;
    while (wick_pool_next(j->pool, thread, 0, j->n, 1, &from, &to)) j->work(j->arg, from);
}

static void each_on_pool(void *ctx, uint32_t n, void (*work)(void *arg, uint32_t i), void *arg)
{
    each_job j = {.pool = ctx, .n = n, .work = work, .arg = arg};
    if (n) wick_pool_run(j.pool, each_thread, &j);
}

/* Which file a pointer of a weight points into, and where; what was made at load counts by its description only. */
static uint64_t where_in(const wick_origin *o, const uint8_t *p, uint64_t h)
{
    uint64_t at[2] = {UINT64_MAX, p != NULL};
    for (uint32_t i = 0; p && i < o->n_files; i++) {
        uintptr_t from = (uintptr_t)o->file[i].data, to = from + o->file[i].n_bytes;
        if ((uintptr_t)p < from || (uintptr_t)p >= to) continue;
        at[0] = i;
        at[1] = (uintptr_t)p - from;
    }
    return wick_hash_data(at, sizeof at, h);
}

static uint64_t describe(const wick_origin *o, const wick_weight *w)
{
    wick_lin_fmt f;
    wick_weight form = stored_form(w);
    wick_lin_format(&form, &f);
    uint64_t v[] = {
        WICK_LIN_LAYOUT, w->enc,        w->dtype,      w->bits, w->group,   w->n_out,     w->n_in,
        w->row_step,     f.code,        f.scale,       f.lut,   f.has_bias, f.group,      f.super,
        f.scale_bytes,   f.chunk_bytes, f.super_bytes, f.zero,  f.centre,   w->row_bytes, w->scale_row_bytes};
    uint64_t h = wick_hash_data(v, sizeof v, 0);
    if (w->recode) { /* and how it was encoded, by the name of the encoders' version */
        uint64_t q[] = {WICK_QUANT_VERSION, form.enc, form.dtype, form.bits, form.group};
        h = wick_hash_data(q, sizeof q, h);
    }
    h = wick_hash_data(w->name ? w->name : "", w->name ? strlen(w->name) : 0, h);
    return where_in(o, w->biases, where_in(o, w->scales, where_in(o, w->data, h)));
}

/* False: there is nothing to cache, or not enough to be worth it. */
static bool cache_spec(wick_mats *m, const wick_plan *plan, const wick_backend_opts *o, wick_pack_spec *s)
{
    if (!o->cache_dir || !*o->cache_dir || m->packed_bytes == 0 || m->packed_bytes < o->cache_min_bytes) return false;
    m->item = wick_alloc_zero(m->n, sizeof *m->item);
    if (!m->item) return false;
    *s = (wick_pack_spec){.folder = o->cache_dir,
                          .origin = plan->origin,
                          .item = m->item,
                          .n_bytes = m->packed_bytes,
                          .limit_bytes = o->cache_limit_bytes};
    for (uint32_t i = 0; i < m->n; i++) {
        const wick_mat *mat = &m->mat[i];
        if (mat->bytes) m->item[s->n_items++] = (wick_pack_item){mat->at, mat->bytes, describe(&plan->origin, mat->w)};
    }
    return wick_pack_spec_finish(s);
}

static wick_status pack_all(wick_mats *m, wick_pool *pool, wick_progress progress, wick_err *err)
{
    pack_job job = {.m = m, .pool = pool, .progress = progress};
    if (m->n_chunks == 0) return WICK_OK;
    wick_pool_run(pool, pack_chunks, &job);
    if (wick_progress_cancelled(&progress)) return WICK_FAIL(err, WICK_E_CANCELLED, NULL, "loading was cancelled");
    if (atomic_load(&job.no_memory)) return wick_err_oom(err, "quantizing the weights", 0, 0);
    if (progress.fn) progress.fn(progress.ctx, "packing weights", m->packed_bytes, m->packed_bytes);
    return WICK_OK;
}

static wick_status find_matrices(wick_mats *m, const wick_plan *plan, wick_err *err)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < plan->n_ops; i++) WICK_TRY(wick_op_matrices(&plan->op[i], count_one, &n, err));
    if (n >= UINT32_MAX) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "plan", "%" PRIu64 " matrices are too many", n);
    m->mat = wick_alloc_zero(n + 1, sizeof *m->mat);
    if (!m->mat) return wick_err_oom(err, "the table of matrices", n * sizeof *m->mat, 0);
    for (uint32_t i = 0; i < plan->n_ops; i++) WICK_TRY(wick_op_matrices(&plan->op[i], add_one, m, err));
    return WICK_OK;
}

wick_status wick_mats_load(wick_mats *m, const wick_plan *plan, const wick_lin_isa *isa, wick_pool *pool,
                           const wick_backend_opts *o, wick_progress progress, wick_err *err)
{
    wick_pack_spec spec;
    memset(m, 0, sizeof *m);
    wick_map_init(&m->map);
    WICK_TRY(find_matrices(m, plan, err));
    WICK_TRY(place(m, isa, o, err));
    decide_drops(m, plan);
    bool cached = cache_spec(m, plan, o, &spec);
    if (cached && wick_pack_open(&m->pack, &spec, (wick_each){each_on_pool, pool}))
        m->packed = m->pack.data;
    else if (m->packed_bytes)
        WICK_TRY(reserve(m, err));
    for (uint32_t i = 0; i < m->n; i++) {
        wick_mat *mat = &m->mat[i];
        void *packed = mat->bytes ? (void *)(uintptr_t)(m->packed + mat->at) : NULL; /* written by pack_all only */
        wick_weight form = stored_form(mat->w);
        WICK_TRY(wick_lin_new(&mat->lin, isa, &form, o->precision, packed, err));
        mat->first_chunk = m->n_chunks;
        m->n_chunks += n_chunks_of(mat);
    }
    if (!m->pack.data) WICK_TRY(pack_all(m, pool, progress, err));
    drop_all(m);
    if (cached && !m->pack.data) m->writer = wick_pack_write(&spec, m->packed);
    return WICK_OK;
}

void wick_mats_release(wick_mats *m)
{
    wick_pack_write_finish(m->writer);
    for (uint32_t i = 0; m->mat && i < m->n; i++) wick_lin_free(m->mat[i].lin);
    wick_free(m->mat);
    wick_free(m->item);
    wick_free(m->own);
    wick_pack_close(&m->pack);
    wick_map_release(&m->map);
    memset(m, 0, sizeof *m);
}
