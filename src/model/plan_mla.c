/* model/plan_mla.c - DeepSeek's latent attention. Three forms of the per-head matrices come in: MLX's embed_q and
 * unembed_out, GGUF's attn_k_b and attn_v_b (the same, stacked by head), and HF's kv_b_proj, whose key half is
 * transposed here (to float32 where it is quantized). */
#include <math.h>
#include <string.h>
#include "model/build.h"

#define INNER_NORM_EPS 1e-6f /* of the low-rank norms; not rms_norm_eps, in the reference of most neither */

static wick_status no_memory(wick_err *err)
{
    return wick_err_oom(err, "the plan", 0, 0);
}

static const wick_weight *const *pointers(wick_plan_builder *b, const wick_weight *w, uint32_t n)
{
    const wick_weight **p = wick_arena_array(&b->plan->arena, n, sizeof *p);
    for (uint32_t i = 0; p && i < n; i++) p[i] = &w[i];
    return p;
}

/* Rows [from, from + nope) of kv_b, transposed to [kv_rank][nope]: bytes moved where plain, decoded otherwise. */
static wick_status transpose_keys(wick_plan_builder *b, const wick_weight *kv_b, uint64_t from, wick_op_mla *m,
                                  wick_weight *out, wick_err *err)
{
    bool plain = kv_b->enc == WICK_ENC_PLAIN;
    uint32_t size = plain ? wick_dtype_block_bytes(kv_b->dtype) : sizeof(float);
    uint64_t n = m->nope_dim;
    uint8_t *dst = wick_arena_alloc(&b->plan->arena, n * m->kv_rank * size);
    float *row = wick_alloc_zero(m->kv_rank, sizeof *row);
    if (!dst || !row) {
        wick_free(row);
        return no_memory(err);
    }
    for (uint64_t r = 0; r < n; r++) {
        const uint8_t *src = kv_b->data + (from + r) * kv_b->row_bytes;
        if (!plain) {
            wick_weight_row(kv_b, (uint32_t)(from + r), row);
            src = (const uint8_t *)row;
        }
        for (uint64_t i = 0; i < m->kv_rank; i++) memcpy(dst + (i * n + r) * size, src + i * size, size);
    }
    wick_free(row);
    *out = (wick_weight){.name = kv_b->name,
                         .enc = WICK_ENC_PLAIN,
                         .dtype = plain ? kv_b->dtype : WICK_DTYPE_F32,
                         .n_out = m->kv_rank,
                         .n_in = m->nope_dim,
                         .data = dst};
    return wick_weight_finish(out, err);
}

static wick_status split_kv_b(wick_plan_builder *b, wick_op_mla *m, uint32_t layer, wick_err *err)
{
    const wick_weight *kv_b;
    uint64_t per_head = (uint64_t)m->nope_dim + m->v_dim;
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_KV_B, layer, per_head * m->n_head, m->kv_rank, &kv_b, err));
    wick_weight *k = wick_arena_array(&b->plan->arena, m->n_head, sizeof *k);
    const wick_weight **v = wick_arena_array(&b->plan->arena, m->n_head, sizeof *v);
    if (!k || !v) return no_memory(err);
    for (uint32_t h = 0; h < m->n_head; h++) {
        WICK_TRY(transpose_keys(b, kv_b, h * per_head, m, &k[h], err));
        v[h] = wick_ck_rows(&b->ck, kv_b, h * per_head + m->nope_dim, m->v_dim, 1);
        if (!v[h]) return no_memory(err);
    }
    m->k_b = pointers(b, k, m->n_head);
    m->v_b = v;
    return m->k_b ? WICK_OK : no_memory(err);
}

static wick_status read_heads(wick_plan_builder *b, wick_op_mla *m, uint32_t layer, wick_err *err)
{
    if (!wick_ck_has(&b->ck, WICK_ROLE_K_B, layer)) return split_kv_b(b, m, layer, err);
    const wick_weight *k, *v;
    WICK_TRY(wick_ck_experts(&b->ck, WICK_ROLE_K_B, layer, m->n_head, m->kv_rank, m->nope_dim, &k, err));
    WICK_TRY(wick_ck_experts(&b->ck, WICK_ROLE_V_B, layer, m->n_head, m->v_dim, m->kv_rank, &v, err));
    m->k_b = pointers(b, k, m->n_head);
    m->v_b = pointers(b, v, m->n_head);
    return m->k_b && m->v_b ? WICK_OK : no_memory(err);
}

static wick_status read_query(wick_plan_builder *b, wick_op_mla *m, uint32_t layer, wick_err *err)
{
    wick_checkpoint *k = &b->ck;
    uint64_t n_embd = b->cfg->n_embd, nq = (uint64_t)m->n_head * (m->nope_dim + m->rope_dim);
    if (!m->q_rank) return wick_ck_matrix(k, WICK_ROLE_Q, layer, nq, n_embd, &m->q_b, err);
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_Q_A, layer, m->q_rank, n_embd, &m->q_a, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_Q_A, layer, ".bias", m->q_rank, WICK_CK_OPTIONAL, &m->q_a_bias, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_Q_A_NORM, layer, ".weight", m->q_rank, 0, &m->q_a_norm, err));
    return wick_ck_matrix(k, WICK_ROLE_Q_B, layer, nq, m->q_rank, &m->q_b, err);
}

wick_status wick_build_mla(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_checkpoint *k = &b->ck;
    wick_op *op = wick_build_op(b, WICK_OP_MLA, s->dst, s->src, (int32_t)layer);
    if (!op) return no_memory(err);
    wick_op_mla *m = &op->u.mla;
    *m = (wick_op_mla){.n_head = c->n_head,
                       .nope_dim = c->nope_dim,
                       .rope_dim = c->mla_rope_dim,
                       .v_dim = c->v_head_dim,
                       .q_rank = c->q_rank,
                       .kv_rank = c->kv_rank,
                       .rope = b->rope,
                       .norm_eps = c->arch->mla_file_eps ? c->norm_eps : INNER_NORM_EPS};
    double scale = 1 / sqrt((double)m->nope_dim + m->rope_dim);
    m->scale = (float)(scale * wick_rope_yarn_attn_scale(&c->rope));
    wick_cache_spec spec = {.kind = WICK_CACHE_KV, .n_kv_head = 1, .k_dim = m->kv_rank + m->rope_dim};
    m->cache = wick_build_cache(b, &spec);
    if (m->cache == UINT32_MAX) return no_memory(err);
    uint64_t n_kv = (uint64_t)m->kv_rank + m->rope_dim;
    WICK_TRY(read_query(b, m, layer, err));
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_KV_A, layer, n_kv, c->n_embd, &m->kv_a, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_KV_A, layer, ".bias", n_kv, WICK_CK_OPTIONAL, &m->kv_a_bias, err));
    WICK_TRY(wick_ck_vector(k, WICK_ROLE_KV_A_NORM, layer, ".weight", m->kv_rank, 0, &m->kv_a_norm, err));
    WICK_TRY(read_heads(b, m, layer, err));
    WICK_TRY(wick_ck_matrix(k, WICK_ROLE_O, layer, c->n_embd, (uint64_t)m->n_head * m->v_dim, &m->wo, err));
    return wick_ck_vector(k, WICK_ROLE_O, layer, ".bias", c->n_embd, WICK_CK_OPTIONAL, &m->bo, err);
}
