/* model/fit.c - arithmetic on a plan: bytes of weights, caches and states. Sums saturate, so that a hostile
 * configuration cannot wrap round to "fits". */
#include "model/fit.h"

static uint64_t add(uint64_t a, uint64_t b)
{
    uint64_t r;
    return wick_add_ok(a, b, &r) ? r : UINT64_MAX;
}

static uint64_t mul(uint64_t a, uint64_t b)
{
    uint64_t r;
    return wick_mul_ok(a, b, &r) ? r : UINT64_MAX;
}

static uint64_t row_bytes(wick_dtype t, uint64_t n)
{
    uint64_t block = wick_dtype_block_elems(t);
    return mul((n + block - 1) / block, wick_dtype_block_bytes(t));
}

/* K and V of one position in one cache. */
static uint64_t position_bytes(const wick_cache_spec *c, wick_dtype kv)
{
    return mul(add(row_bytes(kv, c->k_dim), c->v_dim ? row_bytes(kv, c->v_dim) : 0), c->n_kv_head);
}

uint64_t wick_fit_sequence_bytes(const wick_plan *p, wick_dtype kv, uint32_t n_ctx)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < p->n_caches; i++) {
        const wick_cache_spec *c = &p->cache[i];
        uint64_t n = c->window && c->window < n_ctx ? c->window : n_ctx;
        sum = add(sum, c->kind == WICK_CACHE_STATE ? mul(c->n_state, sizeof(float)) : mul(position_bytes(c, kv), n));
    }
    return sum;
}

/* Activations of a step of 512 tokens (of a whole text, where attention goes both ways) over a handful of buffers as
 * wide as the widest layer, and one row of logits. */
static uint64_t step_bytes(const wick_plan *p, uint32_t n_ctx)
{
    uint64_t widest = p->n_embd;
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const wick_op *op = &p->op[i];
        uint64_t w = op->kind == WICK_OP_MLP    ? op->u.mlp.n_ff
                     : op->kind == WICK_OP_ATTN ? (uint64_t)op->u.attn.n_head * op->u.attn.head_dim
                                                : 0;
        if (w > widest) widest = w;
    }
    uint64_t n = p->whole && n_ctx > 512 ? n_ctx : 512;
    return add(mul(widest, n * 6 * sizeof(float)), mul(p->n_vocab, sizeof(float)));
}

void wick_fit_check(const wick_plan *p, wick_dtype kv, uint32_t n_ctx, uint64_t have_bytes, wick_fit_verdict *out)
{
    uint64_t fixed = add(p->weight_bytes, step_bytes(p, n_ctx));
    uint64_t need = add(fixed, wick_fit_sequence_bytes(p, kv, n_ctx));
    *out = (wick_fit_verdict){.fits = need <= have_bytes, .need_bytes = need, .have_bytes = have_bytes};
    if (fixed > have_bytes) return;
    uint32_t lo = 0, hi = p->n_ctx_train ? p->n_ctx_train : UINT32_MAX; /* the largest length that fits, by bisection */
    while (lo < hi) {
        uint32_t mid = hi - (hi - lo) / 2;
        if (wick_fit_sequence_bytes(p, kv, mid) <= have_bytes - fixed)
            lo = mid;
        else
            hi = mid - 1;
    }
    out->max_ctx = lo;
}
