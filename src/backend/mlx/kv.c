/* backend/mlx/kv.c - sequences and the bundles that hold their K and V; see mlx.h.
 *
 * A bundle is made, grown and taken apart by building new arrays from slices of the old ones: nothing is copied before
 * the graph is evaluated, and nothing at all where MLX finds that it holds the only reference.
 */
#include <inttypes.h>
#include <string.h>

#include "backend/mlx/kv.h"
#include "base/sys.h"

static uint64_t bundle_bytes(const wick_backend_model *m, uint32_t n_rows, uint32_t capacity)
{
    return n_rows * (capacity * m->bytes_per_token + m->state_bytes);
}

static void bundle_free(wick_backend_model *m, wick_bundle *b)
{
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
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
    if (b) b->kv = wick_alloc_zero(2 * (size_t)wick_mlx_kv_slots(m) + 1, sizeof *b->kv);
    if (!b || !b->kv) {
        wick_free(b);
        return wick_err_oom(err, "a KV bundle", wick_mlx_kv_slots(m) * sizeof *b->kv, 0);
    }
    b->next = b->kv + wick_mlx_kv_slots(m);
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

static uint64_t room(const wick_backend_model *m)
{
    return m->room_bytes ? m->room_bytes : wick_memory_available_bytes();
}

static wick_status check_memory(wick_backend_model *m, uint64_t more, wick_err *err)
{
    uint64_t limit = m->kv_limit_bytes;
    if (limit && m->kv_bytes + more > limit) return wick_err_oom(err, "KV cache", m->kv_bytes + more, limit);
    if (m->ctx->gpu) return WICK_OK;
    uint64_t have = room(m);
    return have && more > have ? wick_err_oom(err, "KV cache", more, have) : WICK_OK;
}

wick_status wick_mlx_check_scores(const wick_backend_model *m, wick_err *err)
{
    enum { WORTH_A_LOOK = 1 << 20 }; /* the system is asked for more than this only */
    const wick_mlx_step *s = &m->step;
    uint64_t pairs = 0;
    if (m->ctx->gpu) return WICK_OK;
    for (uint32_t i = 0; i < s->n_groups; i++) {
        const wick_group *gr = &s->group[i];
        pairs += (uint64_t)gr->n_tokens * (gr->len + (gr->n_seqs > 1 ? 1 : gr->n_tokens));
    }
    uint64_t need = 2 * pairs * m->most_heads * sizeof(float); /* scores, and their softmax */
    if (need < WORTH_A_LOOK) return WICK_OK;
    uint64_t have = room(m);
    return have && need > have ? wick_err_oom(err, "attention", need, have) : WICK_OK;
}

/* a [rows][head][from][width] as [rows][head][to][width], by zeros behind. */
static mlx_array widen(wick_backend_model *m, uint32_t i, mlx_array a, uint32_t rows, uint32_t from, uint32_t to)
{
    wick_graph *g = &m->g;
    wick_kv_slot s = wick_mlx_kv_slot(m, i);
    if (from == to) return a;
    mlx_array both[2] = {a, wick_mx_zeros(g, MX_DIMS((int)rows, s.heads, (int)(to - from), s.width), s.type)};
    return from ? wick_mx_concat(g, both, 2, 2) : both[1];
}

/* The array of slot i for these sequences, one row each, `capacity` long. */
static mlx_array gather_rows(wick_backend_model *m, uint32_t i, wick_seq *const *seq, uint32_t n, uint32_t capacity,
                             mlx_array *part)
{
    wick_graph *g = &m->g;
    wick_kv_slot s = wick_mlx_kv_slot(m, i);
    for (uint32_t k = 0; k < n; k++) {
        wick_bundle *b = seq[k]->bundle;
        uint32_t have = b ? b->capacity : 0;
        mlx_array row = {0};
        if (have) {
            int start[4] = {(int)seq[k]->row, 0, 0, 0};
            int stop[4] = {(int)seq[k]->row + 1, s.heads, (int)(have < capacity ? have : capacity), s.width};
            bool whole = b->n_rows == 1 && have <= capacity;
            row = whole ? b->kv[i] : wick_mx_slice(g, b->kv[i], start, stop, 4);
            b->own = false;
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
    int width = wick_mlx_kv_slot(m, i).state;
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
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
        wick_kv_slot s = wick_mlx_kv_slot(m, i);
        if (s.width) b->kv[i] = wick_array_hold(gather_rows(m, i, seq, n, capacity, part));
        if (s.state) b->kv[i] = wick_array_hold(gather_states(m, i, seq, n, part));
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
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
        if (!wick_mlx_kv_slot(m, i).width) continue;
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
    bool all = true;
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
        if (!b->next[i].ctx) {
            all = all && wick_mlx_kv_slot(m, i).width == 0;
            continue;
        }
        wick_array_drop(&b->kv[i]);
        b->kv[i] = b->next[i];
        b->next[i] = (mlx_array){0};
    }
    if (all) b->own = true;
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
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) wick_array_drop(&b->next[i]);
    b->next_capacity = 0;
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

wick_status wick_mlx_seq_check(const wick_seq *s, wick_err *err)
{
    return s->lost ? WICK_FAIL(err, WICK_E_INTERNAL, NULL, "the sequence was lost in a step that failed") : WICK_OK;
}

wick_status wick_mlx_seq_fork(wick_backend_model *m, const wick_seq *s, uint32_t n, wick_seq **out, wick_err *err)
{
    wick_seq *f = NULL, *from;
    wick_bundle *b = NULL;
    WICK_TRY(wick_mlx_seq_check(s, err));
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
