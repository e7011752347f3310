/* backend/mlx/kv.c - sequences and the bundles that hold their K and V; see mlx.h.
 *
 * A bundle is made, grown and taken apart by building new arrays from slices of the old ones: nothing is copied before
 * the graph is evaluated, and nothing at all where MLX finds that it holds the only reference.
 */
#include <inttypes.h>
#include <string.h>

#include "backend/mlx/mlx.h"
#include "base/sys.h"

static mlx_array *slot(wick_bundle *b, uint32_t i)
{
    return b->next[i].ctx ? &b->next[i] : &b->kv[i];
}

static uint32_t n_slots(const wick_backend_model *m)
{
    return 2 * m->plan->n_caches;
}

/* 0: the slot holds no K or V */
static int dim_of(const wick_backend_model *m, uint32_t i)
{
    const wick_cache_spec *c = &m->plan->cache[i / 2];
    if (c->kind == WICK_CACHE_STATE) return 0;
    return (int)(i % 2 ? c->v_dim : c->k_dim);
}

/* Floats of the state in the slot; 0: it holds none */
static int state_of(const wick_backend_model *m, uint32_t i)
{
    const wick_cache_spec *c = &m->plan->cache[i / 2];
    return c->kind == WICK_CACHE_STATE && i % 2 == 0 ? (int)c->n_state : 0;
}

static uint64_t bundle_bytes(const wick_backend_model *m, uint32_t n_rows, uint32_t capacity)
{
    return n_rows * (capacity * m->bytes_per_token + m->state_bytes);
}

static void bundle_free(wick_backend_model *m, wick_bundle *b)
{
    for (uint32_t i = 0; i < n_slots(m); i++) {
        wick_array_drop(&b->kv[i]);
        wick_array_drop(&b->next[i]);
    }
    m->kv_bytes -= b->bytes;
    wick_free(b->kv);
    wick_free(b);
}

static wick_status bundle_new(wick_backend_model *m, uint32_t n_rows, wick_bundle **out, wick_err *err)
{
    wick_bundle *b = wick_alloc_zero(1, sizeof *b);
    if (b) b->kv = wick_alloc_zero(2 * (size_t)n_slots(m) + 1, sizeof *b->kv);
    if (!b || !b->kv) {
        wick_free(b);
        return wick_err_oom(err, "a KV bundle", n_slots(m) * sizeof *b->kv, 0);
    }
    b->next = b->kv + n_slots(m);
    b->n_rows = n_rows;
    *out = b;
    return WICK_OK;
}

static void leave(wick_seq *s)
{
    wick_bundle *b = s->bundle;
    s->bundle = NULL;
    if (b && --b->n_live == 0) bundle_free(s->m, b);
}

static void join(wick_seq *s, wick_bundle *b, uint32_t row)
{
    leave(s);
    s->bundle = b;
    s->row = row;
    b->n_live++;
}

static wick_status check_memory(wick_backend_model *m, uint64_t more, wick_err *err)
{
    uint64_t limit = m->kv_limit_bytes;
    if (limit && m->kv_bytes + more > limit) return wick_err_oom(err, "KV cache", m->kv_bytes + more, limit);
    if (m->ctx->gpu) return WICK_OK;
    uint64_t have = wick_memory_available_bytes();
    return have && more > have ? wick_err_oom(err, "KV cache", more, have) : WICK_OK;
}

/* a [rows][head][from][dim] as [rows][head][to][dim], by zeros behind. */
static mlx_array widen(wick_backend_model *m, uint32_t i, mlx_array a, uint32_t rows, uint32_t from, uint32_t to)
{
    wick_graph *g = &m->g;
    int heads = (int)m->plan->cache[i / 2].n_kv_head;
    if (from == to) return a;
    mlx_array both[2] = {a, wick_mx_zeros(g, MX_DIMS((int)rows, heads, (int)(to - from), dim_of(m, i)), m->act)};
    return from ? wick_mx_concat(g, both, 2, 2) : both[1];
}

/* The array of slot i for these sequences, one row each, `capacity` long. */
static mlx_array gather_rows(wick_backend_model *m, uint32_t i, wick_seq *const *seq, uint32_t n, uint32_t capacity,
                             mlx_array *part)
{
    wick_graph *g = &m->g;
    int heads = (int)m->plan->cache[i / 2].n_kv_head;
    for (uint32_t k = 0; k < n; k++) {
        wick_bundle *b = seq[k]->bundle;
        uint32_t have = b ? b->capacity : 0;
        mlx_array row = {0};
        if (have) {
            int start[4] = {(int)seq[k]->row, 0, 0, 0};
            int stop[4] = {(int)seq[k]->row + 1, heads, (int)(have < capacity ? have : capacity), dim_of(m, i)};
            bool whole = b->n_rows == 1 && have <= capacity;
            row = whole ? b->kv[i] : wick_mx_slice(g, b->kv[i], start, stop, 4);
            if (have > capacity) have = capacity;
        }
        part[k] = widen(m, i, row, 1, have, capacity);
    }
    return n == 1 ? part[0] : wick_mx_concat(g, part, n, 0);
}

/* The same for a slot with a state: [n][floats], zeros at the start. */
static mlx_array gather_states(wick_backend_model *m, uint32_t i, wick_seq *const *seq, uint32_t n, mlx_array *part)
{
    wick_graph *g = &m->g;
    int width = state_of(m, i);
    for (uint32_t k = 0; k < n; k++) {
        wick_bundle *b = seq[k]->bundle;
        if (b && seq[k]->len)
            part[k] =
                wick_mx_cut(g, b->kv[i], MX_DIMS((int)b->n_rows, width), 0, (int)seq[k]->row, (int)seq[k]->row + 1);
        else
            part[k] = wick_mx_zeros(g, MX_DIMS(1, width), MLX_FLOAT32);
    }
    return n == 1 ? part[0] : wick_mx_concat(g, part, n, 0);
}

/* A new bundle with copies of the sequences' rows. The sequences move into it. */
static wick_status rebundle(wick_backend_model *m, wick_seq *const *seq, uint32_t n, uint32_t capacity,
                            wick_bundle **out, wick_err *err)
{
    wick_bundle *b = NULL;
    WICK_TRY(check_memory(m, bundle_bytes(m, n, capacity), err));
    WICK_TRY(bundle_new(m, n, &b, err));
    mlx_array *part = wick_alloc((size_t)n * sizeof *part);
    if (!part) {
        bundle_free(m, b);
        return wick_err_oom(err, "a KV bundle", n * sizeof *part, 0);
    }
    for (uint32_t i = 0; i < n_slots(m); i++) {
        if (dim_of(m, i)) b->kv[i] = wick_array_hold(gather_rows(m, i, seq, n, capacity, part));
        if (state_of(m, i)) b->kv[i] = wick_array_hold(gather_states(m, i, seq, n, part));
    }
    wick_free(part);
    if (m->g.failed) {
        bundle_free(m, b);
        return wick_mlx_fail(err, "KV cache");
    }
    b->capacity = capacity;
    b->bytes = bundle_bytes(m, n, capacity);
    m->kv_bytes += b->bytes;
    for (uint32_t k = 0; k < n; k++) join(seq[k], b, k);
    *out = b;
    return WICK_OK;
}

static uint32_t round_up(uint64_t n)
{
    return (uint32_t)((n + WICK_KV_STEP - 1) / WICK_KV_STEP * WICK_KV_STEP);
}

/* Grows a bundle in place. */
static wick_status grow(wick_backend_model *m, wick_bundle *b, uint32_t capacity, wick_err *err)
{
    uint64_t more = bundle_bytes(m, b->n_rows, capacity) - b->bytes;
    WICK_TRY(check_memory(m, more, err));
    for (uint32_t i = 0; i < n_slots(m); i++) {
        if (!dim_of(m, i)) continue;
        mlx_array a = wick_array_hold(widen(m, i, b->kv[i], b->n_rows, b->capacity, capacity));
        if (!a.ctx) return wick_mlx_fail(err, "KV cache");
        wick_array_drop(&b->next[i]);
        b->next[i] = a;
    }
    b->next_capacity = capacity;
    return WICK_OK;
}

wick_status wick_mlx_bundle_for(wick_backend_model *m, wick_seq *const *seq, uint32_t n_seqs, uint32_t n_more,
                                wick_bundle **out, wick_err *err)
{
    uint64_t longest = 0;
    wick_bundle *b = seq[0]->bundle;
    bool same = b && b->n_rows == n_seqs;
    for (uint32_t i = 0; i < n_seqs; i++) {
        longest = seq[i]->len > longest ? seq[i]->len : longest;
        same = same && seq[i]->bundle == b && seq[i]->row == i;
    }
    if (longest + n_more > INT32_MAX / 2)
        return WICK_FAIL(err, WICK_E_LIMIT, "tokens", "%" PRIu64 " positions are too many", longest + n_more);
    uint32_t capacity = round_up(longest + n_more);
    if (!same) return rebundle(m, seq, n_seqs, capacity, out, err);
    *out = b;
    return capacity > b->capacity ? grow(m, b, capacity, err) : WICK_OK;
}

void wick_mlx_bundle_commit(wick_backend_model *m, wick_bundle *b)
{
    for (uint32_t i = 0; i < n_slots(m); i++) {
        if (!b->next[i].ctx) continue;
        wick_array_drop(&b->kv[i]);
        b->kv[i] = b->next[i];
        b->next[i] = (mlx_array){0};
    }
    if (b->next_capacity > b->capacity) {
        m->kv_bytes -= b->bytes;
        b->capacity = b->next_capacity;
        b->bytes = bundle_bytes(m, b->n_rows, b->capacity);
        m->kv_bytes += b->bytes;
    }
    b->next_capacity = 0;
}

void wick_mlx_bundle_cancel(wick_backend_model *m, wick_bundle *b)
{
    for (uint32_t i = 0; i < n_slots(m); i++) wick_array_drop(&b->next[i]);
    b->next_capacity = 0;
}

/* The positions of a group's rows, one token each, as an index into K or V. */
static mlx_array spot_of(wick_backend_model *m, const wick_group *gr, int heads, int dim)
{
    wick_graph *g = &m->g;
    wick_spot *at = &m->step.spot;
    int rows = (int)gr->n_seqs;
    if (at->gr == gr && at->heads == heads && at->dim == dim) return at->at;
    mlx_array idx =
        wick_mx_cut(g, m->step.positions, MX_DIMS((int)m->step.n), 0, (int)gr->first, (int)gr->first + rows);
    idx = wick_mx_broadcast(g, wick_mx_reshape(g, idx, MX_DIMS(rows, 1, 1, 1)), MX_DIMS(rows, heads, 1, dim));
    *at = (wick_spot){gr, heads, dim, idx};
    return idx;
}

static void write_part(wick_backend_model *m, const wick_group *gr, uint32_t i, mlx_array x)
{
    wick_graph *g = &m->g;
    wick_bundle *b = gr->bundle;
    int heads = (int)m->plan->cache[i / 2].n_kv_head, d = dim_of(m, i), rows = (int)gr->n_seqs;
    int n = rows > 1 ? 1 : (int)gr->n_tokens, at = (int)gr->len;
    mlx_array old = *slot(b, i), now;
    if (gr->even) {
        int start[4] = {0, 0, at, 0}, stop[4] = {rows, heads, at + n, d};
        now = wick_mx_slice_update(g, old, x, start, stop, 4);
    } else {
        now = wick_mx_put_along(g, old, spot_of(m, gr, heads, d), x, 2);
    }
    now = wick_array_hold(now);
    wick_array_drop(&b->next[i]);
    b->next[i] = now;
}

void wick_mlx_kv_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array k, mlx_array v)
{
    write_part(m, gr, 2 * cache, k);
    if (dim_of(m, 2 * cache + 1)) write_part(m, gr, 2 * cache + 1, v);
}

uint32_t wick_mlx_kv_capacity(const wick_bundle *b)
{
    return b->next_capacity > b->capacity ? b->next_capacity : b->capacity;
}

mlx_array wick_mlx_kv_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t part, uint32_t from,
                           uint32_t to)
{
    wick_bundle *b = gr->bundle;
    uint32_t i = 2 * cache + part, capacity = wick_mlx_kv_capacity(b);
    int dims[4] = {(int)b->n_rows, (int)m->plan->cache[cache].n_kv_head, (int)capacity, dim_of(m, i)};
    return wick_mx_cut(&m->g, *slot(b, i), dims, 4, 2, (int)from, (int)to);
}

mlx_array wick_mlx_state_read(wick_backend_model *m, const wick_group *gr, uint32_t cache, uint32_t from, uint32_t to)
{
    int n = (int)gr->n_seqs, width = state_of(m, 2 * cache);
    return wick_mx_cut(&m->g, *slot(gr->bundle, 2 * cache), MX_DIMS(n, width), 1, (int)from, (int)to);
}

void wick_mlx_state_write(wick_backend_model *m, const wick_group *gr, uint32_t cache, mlx_array state)
{
    mlx_array now = wick_array_hold(m->g.failed ? (mlx_array){0} : state);
    wick_array_drop(&gr->bundle->next[2 * cache]);
    gr->bundle->next[2 * cache] = now;
}

wick_status wick_mlx_seq_new(wick_backend_model *m, wick_seq **out, wick_err *err)
{
    wick_seq *s = wick_alloc_zero(1, sizeof *s);
    if (!s) return wick_err_oom(err, "a sequence", sizeof *s, 0);
    s->m = m;
    *out = s;
    return WICK_OK;
}

void wick_mlx_seq_free(wick_seq *s)
{
    if (!s) return;
    for (uint32_t k = 0; k < s->m->n_flights; k++) {
        wick_mlx_flight *f = &s->m->flight[k];
        for (uint32_t i = 0; i < f->n_rows; i++)
            if (f->seq[i] == s) f->seq[i] = NULL;
    }
    leave(s);
    wick_free(s);
}

static wick_status check_alive(const wick_seq *s, wick_err *err)
{
    return s->lost ? WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the sequence was lost in a step that failed") : WICK_OK;
}

wick_status wick_mlx_seq_fork(wick_backend_model *m, const wick_seq *s, uint32_t n, wick_seq **out, wick_err *err)
{
    wick_seq *f = NULL, *from;
    wick_bundle *b = NULL;
    WICK_TRY(check_alive(s, err));
    if (n > s->len) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens", "%u tokens of a sequence of %u", n, s->len);
    WICK_TRY(wick_mlx_seq_new(m, &f, err));
    if (n == 0 || !s->bundle) {
        *out = f;
        return WICK_OK;
    }
    f->bundle = s->bundle; /* as if it lived in the same row, for as long as it takes to move out */
    f->row = s->row;
    f->bundle->n_live++;
    f->len = n;
    from = f;
    wick_status st = rebundle(m, &from, 1, round_up(n), &b, err);
    wick_graph_reset(&m->g);
    if (st != WICK_OK) {
        wick_mlx_seq_free(f);
        return st;
    }
    *out = f;
    return WICK_OK;
}

/* Positions beyond the length are never read, so nothing has to be forgotten but a state. */
wick_status wick_mlx_seq_truncate(wick_backend_model *m, wick_seq *s, uint32_t n, wick_err *err)
{
    if (n > s->len) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_tokens", "%u tokens of a sequence of %u", n, s->len);
    if (m->state_bytes && n != s->len && n != 0)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "n_tokens",
                         "a recurrent state cannot go back from %u to %u tokens", s->len, n);
    if (m->state_bytes && n == 0) leave(s);
    s->len = n;
    return WICK_OK;
}

static bool export_half(const wick_backend_model *m)
{
    return m->act == MLX_FLOAT16;
}

static uint64_t elem_bytes(const wick_backend_model *m)
{
    return export_half(m) ? 2 : 4;
}

static uint64_t range_bytes(const wick_backend_model *m, uint32_t from, uint32_t to)
{
    return (to - from) * (m->bytes_per_token / (m->act == MLX_FLOAT32 ? 4 : 2)) * elem_bytes(m) + m->state_bytes;
}

/* Slots in the order of an export: K and V of the caches, then the states. */
static bool exports(const wick_backend_model *m, uint32_t k, uint32_t *slot_at)
{
    *slot_at = k % n_slots(m);
    return k < n_slots(m) ? dim_of(m, *slot_at) != 0 : state_of(m, *slot_at) != 0;
}

/* Positions [from, to) of one slot (or its state) as the exported type, [head][to - from][dim], evaluated. */
static mlx_array exported(wick_backend_model *m, const wick_seq *s, uint32_t i, uint32_t from, uint32_t to)
{
    wick_graph *g = &m->g;
    int heads = (int)m->plan->cache[i / 2].n_kv_head;
    int start[4] = {(int)s->row, 0, (int)from, 0}, stop[4] = {(int)s->row + 1, heads, (int)to, dim_of(m, i)};
    int row[2] = {(int)s->row, 0}, row_end[2] = {(int)s->row + 1, state_of(m, i)};
    mlx_array a = state_of(m, i) ? wick_mx_slice(g, s->bundle->kv[i], row, row_end, 2)
                                 : wick_mx_slice(g, s->bundle->kv[i], start, stop, 4);
    if (dim_of(m, i) && !export_half(m)) a = wick_mx_astype(g, a, MLX_FLOAT32);
    a = wick_mx_contiguous(g, a);
    if (!g->failed && wick_mlx.array_eval(a)) g->failed = true;
    return a;
}

wick_status wick_mlx_seq_export(wick_backend_model *m, const wick_seq *s, uint32_t from, uint32_t to, void *buf,
                                uint64_t *n_bytes, wick_err *err)
{
    WICK_TRY(check_alive(s, err));
    if (from > to || to > s->len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "to", "positions %u to %u of a sequence of %u", from, to, s->len);
    if (m->state_bytes && to != s->len)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "to",
                         "a recurrent state can be exported at its end (%u) only, not at %u", s->len, to);
    uint64_t need = range_bytes(m, from, to);
    if (buf && *n_bytes < need)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_bytes", "%" PRIu64 " bytes are too few, %" PRIu64 " are needed",
                         *n_bytes, need);
    *n_bytes = need;
    if (!buf) return WICK_OK;
    if (!s->bundle) { /* nothing was written yet */
        memset(buf, 0, need);
        return WICK_OK;
    }
    uint8_t *dst = buf;
    for (uint32_t k = 0, i; k < 2 * n_slots(m) && !m->g.failed; k++) {
        if (!exports(m, k, &i) || (dim_of(m, i) && from == to)) continue;
        mlx_array a = exported(m, s, i, from, to);
        const void *p = NULL;
        if (!m->g.failed)
            p = dim_of(m, i) && export_half(m) ? (const void *)wick_mlx.array_data_uint16(a)
                                               : wick_mlx.array_data_float32(a);
        if (!p) break;
        memcpy(dst, p, wick_mlx.array_nbytes(a));
        dst += wick_mlx.array_nbytes(a);
    }
    wick_graph_reset(&m->g);
    return dst == (uint8_t *)buf + need ? WICK_OK : wick_mlx_fail(err, "copying KV out");
}

wick_status wick_mlx_seq_import(wick_backend_model *m, wick_seq *s, uint32_t from, uint32_t to, const void *buf,
                                uint64_t n_bytes, wick_err *err)
{
    WICK_TRY(check_alive(s, err));
    if (from != s->len || from > to)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "from", "position %u: the sequence holds %u tokens", from, s->len);
    uint64_t need = range_bytes(m, from, to);
    if (n_bytes != need)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_bytes", "%" PRIu64 " bytes, expected %" PRIu64, n_bytes, need);
    if (from == to) return WICK_OK;
    wick_bundle *b = NULL;
    WICK_TRY(wick_mlx_bundle_for(m, &s, 1, to - from, &b, err));
    wick_group gr = {.bundle = b, .n_tokens = to - from, .n_seqs = 1, .len = from, .even = true};
    const uint8_t *src = buf;
    for (uint32_t k = 0, i; k < 2 * n_slots(m); k++) {
        if (!exports(m, k, &i)) continue;
        int heads = (int)m->plan->cache[i / 2].n_kv_head, d = dim_of(m, i);
        if (!d) {
            wick_mlx_state_write(m, &gr, i / 2, wick_mx_data(&m->g, src, MX_DIMS(1, state_of(m, i)), MLX_FLOAT32));
            src += (uint64_t)state_of(m, i) * sizeof(float);
            continue;
        }
        mlx_array a = wick_mx_data(&m->g, src, MX_DIMS(1, heads, (int)(to - from), d),
                                   export_half(m) ? MLX_FLOAT16 : MLX_FLOAT32);
        write_part(m, &gr, i, wick_mx_astype(&m->g, a, m->act));
        src += (uint64_t)heads * (to - from) * (uint64_t)d * elem_bytes(m);
    }
    bool failed = m->g.failed;
    if (failed)
        wick_mlx_bundle_cancel(m, b);
    else
        wick_mlx_bundle_commit(m, b);
    wick_graph_reset(&m->g);
    if (failed) return wick_mlx_fail(err, "copying KV in");
    for (uint32_t i = 0; i < n_slots(m); i++)
        if (b->kv[i].ctx && wick_mlx.array_eval(b->kv[i])) {
            s->lost = true;
            return wick_mlx_fail(err, "copying KV in");
        }
    s->len = to;
    return WICK_OK;
}
