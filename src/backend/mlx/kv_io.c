/* backend/mlx/kv_io.c - positions of a sequence to bytes and back, for the same model and the same type of KV:
 * [cache][k then v], of each [kv_head][position][dim] as float16 where activations are, else float32; of quantized KV
 * the codes, the scales and the biases, so that nothing is rounded twice. States follow as float32. */
#include <inttypes.h>
#include <string.h>

#include "backend/mlx/kv.h"

static bool halves(const wick_backend_model *m)
{
    return m->act == MLX_FLOAT16;
}

/* What a slot's values are in the export. bfloat16 is written as float32. */
static mlx_dtype out_type(const wick_backend_model *m, const wick_kv_slot *s)
{
    return s->type == MLX_UINT32 || s->state ? s->type : halves(m) ? MLX_FLOAT16 : MLX_FLOAT32;
}

static uint64_t slot_bytes(const wick_backend_model *m, const wick_kv_slot *s, uint32_t n)
{
    return ((uint64_t)s->heads * (uint64_t)s->width * n + (uint64_t)s->state) * (out_type(m, s) == MLX_FLOAT16 ? 2 : 4);
}

static uint64_t range_bytes(const wick_backend_model *m, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++) {
        wick_kv_slot s = wick_mlx_kv_slot(m, i);
        sum += slot_bytes(m, &s, to - from);
    }
    return sum;
}

/* Slots in the order of an export: K and V of the caches, then the states. */
static bool exports(const wick_backend_model *m, uint32_t k, uint32_t *i, wick_kv_slot *s)
{
    uint32_t n = wick_mlx_kv_slots(m);
    *i = k % n;
    *s = wick_mlx_kv_slot(m, *i);
    return k < n ? s->width != 0 : s->state != 0;
}

/* Positions [from, to) of one slot (or its state) as the exported type, [head][to - from][width], evaluated. */
static mlx_array exported(wick_backend_model *m, const wick_seq *s, uint32_t i, const wick_kv_slot *at, uint32_t from,
                          uint32_t to)
{
    wick_graph *g = &m->g;
    int row = (int)s->row, start[4] = {row, 0, (int)from, 0}, stop[4] = {row + 1, at->heads, (int)to, at->width};
    if (at->state) stop[1] = at->state;
    mlx_array a = wick_mx_slice(g, s->bundle->kv[i], start, stop, at->state ? 2 : 4);
    if (out_type(m, at) != at->type) a = wick_mx_astype(g, a, out_type(m, at));
    a = wick_mx_contiguous(g, a);
    if (!g->failed && wick_mlx.array_eval(a)) g->failed = true;
    return a;
}

static const void *bytes_of(mlx_dtype t, mlx_array a)
{
    return t == MLX_FLOAT16  ? (const void *)wick_mlx.array_data_uint16(a)
           : t == MLX_UINT32 ? (const void *)wick_mlx.array_data_uint32(a)
                             : wick_mlx.array_data_float32(a);
}

wick_status wick_mlx_seq_export(wick_backend_model *m, const wick_seq *s, uint32_t from, uint32_t to, void *buf,
                                uint64_t *n_bytes, wick_err *err)
{
    WICK_TRY(wick_mlx_seq_check(s, err));
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
    for (uint32_t k = 0, i; k < 2 * wick_mlx_kv_slots(m) && !m->g.failed; k++) {
        wick_kv_slot at;
        if (!exports(m, k, &i, &at) || (at.width && from == to)) continue;
        mlx_array a = exported(m, s, i, &at, from, to);
        const void *p = m->g.failed ? NULL : bytes_of(out_type(m, &at), a);
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
    WICK_TRY(wick_mlx_seq_check(s, err));
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
    for (uint32_t k = 0, i; k < 2 * wick_mlx_kv_slots(m); k++) {
        wick_kv_slot at;
        if (!exports(m, k, &i, &at)) continue;
        int dims[4] = {1, at.state ? at.state : at.heads, (int)(to - from), at.width};
        mlx_array a = wick_mx_data(&m->g, src, dims, at.state ? 2 : 4, out_type(m, &at));
        if (at.state)
            wick_mlx_state_write(m, &gr, i / WICK_KV_SLOTS, a);
        else
            wick_mlx_kv_put(m, &gr, i, out_type(m, &at) == at.type ? a : wick_mx_astype(&m->g, a, at.type));
        src += slot_bytes(m, &at, to - from);
    }
    bool failed = m->g.failed;
    if (failed)
        wick_mlx_bundle_cancel(m, b);
    else
        wick_mlx_bundle_commit(m, b);
    wick_graph_reset(&m->g);
    if (failed) return wick_mlx_fail(err, "copying KV in");
    for (uint32_t i = 0; i < wick_mlx_kv_slots(m); i++)
        if (b->kv[i].ctx && wick_mlx.array_eval(b->kv[i])) {
            wick_mlx.synchronize(m->ctx->stream);
            s->lost = true;
            return wick_mlx_fail(err, "copying KV in");
        }
    s->len = to;
    return WICK_OK;
}
