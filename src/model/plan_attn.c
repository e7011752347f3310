/* model/plan_attn.c - attention ops: separate or fused projections, q/k norms, rope, window, cache. */
#include <math.h>
#include <string.h>
#include "model/build.h"

/* q, k, v as row ranges of one fused matrix, and of its bias. */
static wick_status split_fused(wick_plan_builder *b, wick_op_attn *a, const wick_weight *w, const float *bias,
                               uint64_t nq, uint64_t nk, uint64_t nv, wick_err *err)
{
    a->wq = wick_ck_rows(&b->ck, w, 0, nq, 1);
    a->wk = wick_ck_rows(&b->ck, w, nq, nk, 1);
    a->wv = wick_ck_rows(&b->ck, w, nq + nk, nv, 1);
    if (!a->wq || !a->wk || !a->wv) return wick_err_oom(err, "the plan", 0, 0);
    if (bias) {
        a->bq = bias;
        a->bk = bias + nq;
        a->bv = bias + nq + nk;
    }
    return WICK_OK;
}

/* Rows are [kv head][its queries, k, v][head_dim], in gpt_neox with a query each; gathered to three matrices. */
static wick_status split_per_group(wick_plan_builder *b, wick_op_attn *a, const wick_weight *w, const float *bias,
                                   wick_err *err)
{
    const wick_weight **dst[3] = {&a->wq, &a->wk, &a->wv};
    const float **vec[3] = {&a->bq, &a->bk, &a->bv};
    uint32_t n_q = a->n_head / a->n_kv_head, dim = a->head_dim, all = (n_q + 2) * dim;
    const uint32_t from[3] = {0, n_q * dim, (n_q + 1) * dim}, rows[3] = {n_q * dim, dim, dim};
    for (uint32_t part = 0; part < 3; part++) {
        WICK_TRY(wick_ck_gather_rows(&b->ck, w, a->n_kv_head, all, from[part], rows[part], dst[part], err));
        if (!bias) continue;
        float *v = wick_arena_array(&b->plan->arena, (uint64_t)a->n_kv_head * rows[part], sizeof *v);
        if (!v) return wick_err_oom(err, "the plan", 0, 0);
        for (uint32_t h = 0; h < a->n_kv_head; h++)
            memcpy(v + (uint64_t)h * rows[part], bias + (uint64_t)h * all + from[part], rows[part] * sizeof *v);
        *vec[part] = v;
    }
    return WICK_OK;
}

/* Biases of q, k and v: GGUF files of fine-tunes without them go by the names of families that have them. */
static unsigned bias_flags(const wick_plan_builder *b)
{
    return b->cfg->arch->qkv_bias && !b->cfg->from_gguf ? 0 : WICK_CK_OPTIONAL;
}

static wick_status read_fused(wick_plan_builder *b, wick_op_attn *a, uint32_t layer, uint64_t nq, uint64_t nk,
                              uint64_t nv, wick_err *err)
{
    const wick_weight *w;
    const float *bias;
    uint64_t n = nq + nk + nv;
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_QKV, layer, n, b->cfg->n_embd, &w, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_QKV, layer, ".bias", n, bias_flags(b), &bias, err));
    const wick_arch *arch = b->cfg->arch;
    bool grouped = arch->qkv_per_group || (arch->qkv_per_head && nk == nq);
    if (grouped && !b->cfg->from_gguf && nk == nv) return split_per_group(b, a, w, bias, err);
    return split_fused(b, a, w, bias, nq, nk, nv, err);
}

static wick_status read_qkv(wick_plan_builder *b, wick_op_attn *a, uint32_t layer, wick_err *err)
{
    wick_checkpoint *k = &b->ck;
    uint64_t n_embd = b->cfg->n_embd;
    uint64_t nq = (uint64_t)a->n_head * a->head_dim * (a->out_gate ? 2 : 1);
    uint64_t nk = (uint64_t)a->n_kv_head * a->head_dim, nv = (uint64_t)a->n_kv_head * a->v_head_dim;
    if (!wick_ck_has(k, WICK_ROLE_Q, layer) && wick_ck_has(k, WICK_ROLE_QKV, layer))
        return read_fused(b, a, layer, nq, nk, nv, err);
    unsigned opt = bias_flags(b);
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_Q, layer, nq, n_embd, &a->wq, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_Q, layer, ".bias", nq, opt, &a->bq, err));
    if (a->kv_shared) return WICK_OK;
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_K, layer, nk, n_embd, &a->wk, err));
    a->wv = a->wk;
    bool gguf_has_v = b->cfg->from_gguf && wick_ck_has(k, WICK_ROLE_V, layer);
    if (b->cfg->global_k_is_v && !a->window && !gguf_has_v) return WICK_OK;
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_V, layer, nv, n_embd, &a->wv, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_K, layer, ".bias", nk, opt, &a->bk, err));
    return wick_ck_vector(k, WICK_ROLE_V, layer, ".bias", nv, opt, &a->bv, err);
}

/* stablelm keeps one vector per head (PATH.norms.H.weight); others one [n_head][head_dim] tensor. */
static wick_status per_head_norm(wick_plan_builder *b, wick_role role, uint32_t layer, uint32_t n_head, uint32_t dim,
                                 const float **out, wick_err *err)
{
    if (wick_ck_has(&b->ck, role, layer))
        return wick_ck_expert_vectors(&b->ck, role, layer, n_head, dim, ".weight", out, err);
    return wick_ck_vector(&b->ck, role, layer, ".weight", (uint64_t)n_head * dim, 0, out, err);
}

static wick_status read_qk_norm(wick_plan_builder *b, wick_op_attn *a, uint32_t layer, wick_err *err)
{
    const wick_arch *arch = b->cfg->arch;
    unsigned plus = b->ck.plus_one ? WICK_CK_PLUS_ONE : 0;
    uint64_t nq = a->head_dim, nk = a->head_dim;
    a->qk_norm_eps = b->cfg->norm_eps;
    a->qk_norm_kind = WICK_NORM_RMS;
    a->qk_norm_after_rope = arch->qk_after_rope;
    switch (arch->qk) {
    case WICK_QK_NONE: return WICK_OK;
    case WICK_QK_HEAD: break;
    case WICK_QK_HEAD_IF:
        if (!(b->cfg->from_gguf ? wick_ck_has(&b->ck, WICK_ROLE_Q_NORM, layer) : b->cfg->qk_norm)) return WICK_OK;
        break;
    case WICK_QK_UNIT_IF:
        if (!b->cfg->qk_norm || !a->rope) return WICK_OK;
        a->qk_norm_eps = 1e-6f;
        a->q_norm = a->k_norm = wick_build_ones(b, a->head_dim);
        return a->q_norm ? WICK_OK : wick_err_oom(err, "the plan", 0, 0);
    case WICK_QK_ROW_IF:
        if (!(b->cfg->from_gguf ? wick_ck_has(&b->ck, WICK_ROLE_Q_NORM, layer) : b->cfg->qk_norm)) return WICK_OK;
        /* fall through */
    case WICK_QK_ROW:
        a->qk_norm_whole_row = true;
        nq *= a->n_head;
        nk *= a->n_kv_head;
        break;
    case WICK_QK_LAYER_PER_HEAD_IF:
        if (!(b->cfg->from_gguf ? wick_ck_has(&b->ck, WICK_ROLE_Q_NORM, layer) : b->cfg->qk_norm)) return WICK_OK;
        a->qk_norm_per_head_w = true;
        a->qk_norm_kind = WICK_NORM_LAYER;
        WICK_TRY(per_head_norm(b, WICK_ROLE_Q_NORM, layer, a->n_head, a->head_dim, &a->q_norm, err));
        return per_head_norm(b, WICK_ROLE_K_NORM, layer, a->n_kv_head, a->head_dim, &a->k_norm, err);
    }
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_Q_NORM, layer, ".weight", nq, plus, &a->q_norm, err));
    if (a->kv_shared) return WICK_OK;
    return wick_ck_vector(&b->ck, WICK_ROLE_K_NORM, layer, ".weight", nk, plus, &a->k_norm, err);
}

/* A cache of its own, or for the last layers of some models that of the last layer before of the same kind. */
static wick_status choose_cache(wick_plan_builder *b, wick_op_attn *a, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    uint32_t first = c->n_layer - c->n_kv_shared;
    if (layer >= first) {
        for (uint32_t i = b->plan->n_ops; i-- > 0;) {
            const wick_op *op = &b->plan->op[i];
            if (op->kind != WICK_OP_ATTN || op->layer < 0 || (uint32_t)op->layer >= first) continue;
            if ((op->u.attn.window > 0) != (a->window > 0)) continue;
            a->cache = op->u.attn.cache;
            a->kv_shared = true;
            return WICK_OK;
        }
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where,
                         "%s: layer %u shares keys with an earlier one that is not there", c->where, layer);
    }
    wick_cache_spec spec = {.kind = WICK_CACHE_KV,
                            .n_kv_head = a->n_kv_head,
                            .k_dim = a->head_dim,
                            .v_dim = a->v_head_dim,
                            .window = a->both ? 0 : a->window}; /* nothing is dropped while it may be seen */
    a->cache = wick_build_cache(b, &spec);
    return a->cache == UINT32_MAX ? wick_err_oom(err, "the plan", 0, 0) : WICK_OK;
}

/* 2^(-8 i / n) for i = 1..n, n the power of two at or below the number of heads; the heads beyond get every second
 * slope of twice as many. */
static wick_status alibi_slopes(wick_plan_builder *b, wick_op_attn *a, wick_err *err)
{
    float *slope = wick_arena_array(&b->plan->arena, a->n_head, sizeof *slope);
    if (!slope) return wick_err_oom(err, "the plan", 0, 0);
    uint32_t n = 1;
    while (n * 2 <= a->n_head) n *= 2;
    for (uint32_t h = 0; h < a->n_head; h++)
        slope[h] = (float)(h < n ? exp2(-8.0 * (h + 1) / n) : exp2(-4.0 * (2 * (h - n) + 1) / n));
    a->alibi = slope;
    return WICK_OK;
}

wick_status wick_build_attn(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    bool sliding = c->layer_window && c->layer_window[layer];
    wick_op *op = wick_build_op(b, WICK_OP_ATTN, s->dst, s->src, (int32_t)layer);
    if (!op) return wick_err_oom(err, "the plan", 0, 0);
    wick_op_attn *a = &op->u.attn;
    a->n_head = c->n_head;
    a->n_kv_head = c->n_kv_head;
    a->head_dim = c->head_dim;
    a->v_head_dim = c->v_head_dim;
    if (!sliding && c->global_head_dim) a->head_dim = a->v_head_dim = c->global_head_dim;
    if (!sliding && c->global_kv_head) a->n_kv_head = c->global_kv_head;
    a->v_norm = c->arch->v_norm;
    a->scale = c->attn_scale != 0 ? c->attn_scale : (float)(1 / sqrt(c->head_dim));
    a->softcap = c->attn_softcap;
    a->clip_qkv = c->clip_qkv;
    a->window = sliding ? c->window : 0;
    a->both = c->both;
    if (c->arch->alibi) WICK_TRY(alibi_slopes(b, a, err));
    a->chunked = sliding && c->chunked;
    a->out_gate = c->arch->attn_out_gate;
    a->temp_beta = c->temp_global && sliding ? 0 : c->temp_beta;
    a->temp_len = c->temp_len;
    a->temp_add = c->temp_add;
    bool no_rope = c->layer_no_rope && c->layer_no_rope[layer];
    if (c->arch->rope_local_only && !sliding && (c->layer_window || !(c->no_windows || c->from_gguf))) no_rope = true;
    a->rope = no_rope ? NULL : sliding ? b->rope_local : b->rope;
    WICK_TRY(choose_cache(b, a, layer, err));
    WICK_TRY(read_qkv(b, a, layer, err));
    WICK_TRY(read_qk_norm(b, a, layer, err));
    uint64_t n_o = (uint64_t)a->n_head * a->v_head_dim;
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_O, layer, c->n_embd, n_o, &a->wo, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_O, layer, ".bias", c->n_embd, WICK_CK_OPTIONAL, &a->bo, err));
    /* Sinks are a bare tensor in MLX and HF, PATH.weight in GGUF. */
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_SINKS, layer, c->from_gguf ? ".weight" : "", a->n_head, WICK_CK_OPTIONAL,
                            &a->sinks, err));
    return WICK_OK;
}
