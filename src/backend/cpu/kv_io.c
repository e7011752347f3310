/* backend/cpu/kv_io.c - positions of a sequence to plain arrays and back: [cache][k then v][kv_head][position][dim],
 * float16 where the cache is float16, else float32 (both keep every value of their cache types). STATE caches follow as
 * their float32 values; a state belongs to one length, so they are written only if the range ends at the sequence's
 * end. */
#include <string.h>

#include "backend/cpu/kv.h"

static uint64_t elem_bytes(const wick_kv_cache *c)
{
    return c->layout.dtype == WICK_DTYPE_F16 ? 2 : 4;
}

static bool range_bytes(const wick_kv *kv, uint32_t n, uint64_t *out)
{
    uint64_t sum = kv->n_state * sizeof(float);
    for (uint32_t i = 0; i < kv->n; i++) {
        const wick_kv_cache *c = &kv->cache[i];
        uint64_t row = (uint64_t)(c->layout.k_dim + c->layout.v_dim) * c->n_head * elem_bytes(c), all = 0;
        if (c->kind != WICK_CACHE_KV) continue;
        if (!wick_mul_ok(row, n, &all) || !wick_add_ok(sum, all, &sum)) return false;
    }
    *out = sum;
    return true;
}

static wick_status check_range(const wick_seq *s, uint32_t from, uint32_t to, uint64_t *bytes, wick_err *err)
{
    if (from > to || !range_bytes(s->kv, to - from, bytes))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "to", "positions %u to %u are no range", from, to);
    return WICK_OK;
}

/* First position of a windowed cache that a sequence of length n still has to hold. */
static uint32_t window_start(const wick_kv_cache *c, uint32_t n)
{
    uint64_t keep = (uint64_t)c->window + WICK_KV_SLACK;
    return c->window && n > keep ? (uint32_t)((n - keep) / WICK_KV_BLOCK * WICK_KV_BLOCK) : 0;
}

static void pack_row(const wick_kv_cache *c, const float *x, uint32_t n, uint8_t *dst)
{
    if (elem_bytes(c) == 4) {
        memcpy(dst, x, n * sizeof *x);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint16_t h = wick_f32_to_f16(x[i]);
        memcpy(dst + 2 * (size_t)i, &h, 2);
    }
}

static void unpack_row(const wick_kv_cache *c, const uint8_t *src, uint32_t n, float *x)
{
    if (elem_bytes(c) == 4) {
        memcpy(x, src, n * sizeof *x);
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + 2 * (size_t)i, 2);
        x[i] = wick_f16_to_f32(h);
    }
}

static wick_status row_buffer(const wick_kv *kv, float **out, wick_err *err)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < kv->n; i++) {
        uint32_t n = kv->cache[i].layout.k_dim + kv->cache[i].layout.v_dim;
        most = n > most ? n : most;
    }
    *out = wick_alloc_zero(most, sizeof **out);
    return *out ? WICK_OK : wick_err_oom(err, "KV copy", most * sizeof **out, 0);
}

wick_status wick_seq_export(const wick_seq *s, uint32_t from, uint32_t to, void *buf, uint64_t *n_bytes, wick_err *err)
{
    uint64_t need = 0;
    float *row = NULL;
    WICK_TRY(check_range(s, from, to, &need, err));
    if (to > s->len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "to", "position %u: the sequence holds %u tokens", to, s->len);
    if (s->kv->n_state && to != s->len)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "to",
                         "a recurrent state can be exported at its end (%u) only, not at %u", s->len, to);
    for (uint32_t i = 0; i < s->kv->n; i++) {
        const wick_kv_cache *c = &s->kv->cache[i];
        if (c->kind == WICK_CACHE_KV && (uint64_t)s->first[c->index] * WICK_KV_BLOCK > window_start(c, to))
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "to", "the window before position %u is no longer held",
                             to);
    }
    if (!buf) {
        *n_bytes = need;
        return WICK_OK;
    }
    if (*n_bytes < need)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_bytes", "%llu bytes are too few, %llu are needed",
                         (unsigned long long)*n_bytes, (unsigned long long)need);
    WICK_TRY(row_buffer(s->kv, &row, err));
    uint8_t *dst = buf;
    for (uint32_t i = 0; i < s->kv->n; i++) {
        const wick_kv_cache *c = &s->kv->cache[i];
        if (c->kind != WICK_CACHE_KV) continue;
        for (uint32_t part = 0; part < 2; part++) {
            uint32_t dim = part ? c->layout.v_dim : c->layout.k_dim;
            for (uint32_t h = 0; dim && h < c->n_head; h++) {
                for (uint32_t p = from; p < to; p++, dst += dim * elem_bytes(c)) {
                    if (p / WICK_KV_BLOCK < s->first[c->index]) { /* out of every window for good */
                        memset(dst, 0, dim * elem_bytes(c));
                        continue;
                    }
                    s->kv->row->kv_get(&c->layout, wick_seq_head(s, c, p, h), p % WICK_KV_BLOCK, part ? NULL : row,
                                       part ? row : NULL);
                    pack_row(c, row, dim, dst);
                }
            }
        }
    }
    memcpy(dst, s->state, s->kv->n_state * sizeof *s->state);
    *n_bytes = need;
    wick_free(row);
    return WICK_OK;
}

wick_status wick_seq_import(wick_seq *s, uint32_t from, uint32_t to, const void *buf, uint64_t n_bytes, wick_err *err)
{
    uint64_t need = 0;
    float *row = NULL;
    WICK_TRY(check_range(s, from, to, &need, err));
    if (from != s->len)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "from", "position %u: the sequence holds %u tokens", from, s->len);
    if (n_bytes != need)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_bytes", "%llu bytes, expected %llu", (unsigned long long)n_bytes,
                         (unsigned long long)need);
    WICK_TRY(row_buffer(s->kv, &row, err));
    wick_status st = wick_seq_reserve(s, to - from, err);
    const uint8_t *src = buf;
    for (uint32_t i = 0; st == WICK_OK && i < s->kv->n; i++) {
        const wick_kv_cache *c = &s->kv->cache[i];
        if (c->kind != WICK_CACHE_KV) continue;
        uint64_t k_bytes = c->layout.k_dim * elem_bytes(c), v_bytes = c->layout.v_dim * elem_bytes(c);
        const uint8_t *v_src = src + k_bytes * c->n_head * (to - from);
        for (uint32_t h = 0; h < c->n_head; h++) {
            for (uint32_t p = from; p < to; p++) {
                size_t at = (size_t)h * (to - from) + (p - from);
                float *v = c->layout.v_dim ? row + c->layout.k_dim : NULL;
                unpack_row(c, src + at * k_bytes, c->layout.k_dim, row);
                if (v) unpack_row(c, v_src + at * v_bytes, c->layout.v_dim, v);
                s->kv->row->kv_put(&c->layout, wick_seq_head(s, c, p, h), p % WICK_KV_BLOCK, row, v);
            }
        }
        src = v_src + v_bytes * c->n_head * (to - from);
    }
    if (st == WICK_OK) {
        memcpy(s->state, src, s->kv->n_state * sizeof *s->state);
        wick_seq_advance(s, to - from); /* lets go of what the exporter may have let go of */
    }
    wick_free(row);
    return st;
}
