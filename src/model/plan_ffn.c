/* model/plan_ffn.c - feed-forward ops: a plain MLP, or experts where the layer has a router. */
#include <math.h>
#include <stdio.h>
#include "format/gguf.h"
#include "model/build.h"

typedef struct mlp_roles {
    wick_role gate, up, down, gate_up;
} mlp_roles;

static const mlp_roles plain = {WICK_ROLE_GATE, WICK_ROLE_UP, WICK_ROLE_DOWN, WICK_ROLE_GATE_UP};
static const mlp_roles shared = {WICK_ROLE_SHARED_GATE, WICK_ROLE_SHARED_UP, WICK_ROLE_SHARED_DOWN,
                                 WICK_ROLE_SHARED_GATE_UP};

/* gate and up as the two halves of one matrix. */
static wick_status read_gate_up(wick_plan_builder *b, wick_op_mlp *m, wick_role role, uint32_t layer, wick_err *err)
{
    const wick_weight *w;
    const float *bias;
    uint64_t n = m->n_ff;
    WICK_TRY(wick_ck_matrix(&b->ck, role, layer, 2 * n, b->cfg->n_embd, &w, err));
    WICK_TRY(wick_ck_vector(&b->ck, role, layer, ".bias", 2 * n, WICK_CK_OPTIONAL, &bias, err));
    uint64_t gate = b->cfg->arch->up_first ? n : 0, up = n - gate;
    m->gate = wick_ck_rows(&b->ck, w, gate, n, 1);
    m->up = wick_ck_rows(&b->ck, w, up, n, 1);
    if (!m->gate || !m->up) return wick_err_oom(err, "the plan", 0, 0);
    m->b_gate = bias ? bias + gate : NULL;
    m->b_up = bias ? bias + up : NULL;
    return WICK_OK;
}

/* One number of xIELU: a tensor of a single value; GGUF has one per layer under a key of its own. */
static wick_status xielu_number(wick_plan_builder *b, const char *name, uint32_t layer, float *out, wick_err *err)
{
    char text[32];
    const float *v = NULL;
    if (b->cfg->from_gguf) {
        snprintf(text, sizeof text, "xielu.%s", name);
        const wick_gguf_value *list = wick_gguf_get(b->cfg->gguf, text);
        bool usable = list && list->type == WICK_GGUF_ARRAY && list->elem != WICK_GGUF_STRING &&
                      list->elem != WICK_GGUF_ARRAY && layer < list->n;
        if (!usable)
            return WICK_FAIL(err, WICK_E_BAD_FILE, b->cfg->where, "%s: key %s: expected a number per layer",
                             b->cfg->where, text);
        *out = (float)wick_gguf_elem_f64(list, layer);
        return WICK_OK;
    }
    snprintf(text, sizeof text, ".%s", name);
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_MLP_ACT, layer, text, 1, 0, &v, err));
    *out = *v;
    return WICK_OK;
}

static float softplus(float x)
{
    return (x > 0 ? x : 0) + log1pf(expf(-fabsf(x)));
}

static wick_status read_xielu(wick_plan_builder *b, wick_op_mlp *m, uint32_t layer, wick_err *err)
{
    float p = 0, n = 0;
    WICK_TRY(xielu_number(b, "alpha_p", layer, &p, err));
    WICK_TRY(xielu_number(b, "alpha_n", layer, &n, err));
    m->act_alpha = softplus(p);
    m->act_limit = 0.5f + softplus(n); /* beta, which no model has changed */
    return WICK_OK;
}

static wick_status read_mlp(wick_plan_builder *b, wick_op_mlp *m, const mlp_roles *r, uint32_t layer, uint32_t n_ff,
                            wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_checkpoint *k = &b->ck;
    const wick_tensor *up = c->arch->ff_by_weights ? wick_ck_find(k, r->up, layer, ".weight", NULL) : NULL;
    if (up && up->n_dim == 2 && up->shape[0] >= 1 && up->shape[0] <= WICK_MAX_DIM) n_ff = (uint32_t)up->shape[0];
    m->n_ff = n_ff;
    m->act = c->act;
    m->act_alpha = c->act_alpha;
    m->act_limit = c->act_limit;
    if (c->act == WICK_ACT_XIELU) WICK_TRY(read_xielu(b, m, layer, err));
    if (!n_ff)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: the width of the feed-forward layers is missing",
                         c->where);
    bool fused = !c->arch->plain_mlp && !wick_ck_has(k, r->gate, layer) && wick_ck_has(k, r->gate_up, layer);
    if (fused) {
        WICK_TRY(read_gate_up(b, m, r->gate_up, layer, err));
    } else {
        if (!c->arch->plain_mlp) {
            WICK_TRY(wick_ck_matrix(k, r->gate, layer, n_ff, c->n_embd, &m->gate, err));
            WICK_TRY(wick_ck_vector(k, r->gate, layer, ".bias", n_ff, WICK_CK_OPTIONAL, &m->b_gate, err));
        }
        WICK_TRY(wick_ck_matrix(k, r->up, layer, n_ff, c->n_embd, &m->up, err));
        WICK_TRY(wick_ck_vector(k, r->up, layer, ".bias", n_ff, WICK_CK_OPTIONAL, &m->b_up, err));
    }
    WICK_TRY(wick_ck_matrix(k, r->down, layer, c->n_embd, n_ff, &m->down, err));
    return wick_ck_vector(k, r->down, layer, ".bias", c->n_embd, WICK_CK_OPTIONAL, &m->b_down, err);
}

/* Every second row of each expert's fused matrix, or its two halves, as gate and up. */
static wick_status split_experts(wick_plan_builder *b, wick_op_moe *m, const wick_weight *fused, const float *bias,
                                 wick_err *err)
{
    uint32_t n = m->n_expert, ff = m->n_ff;
    bool inter = b->cfg->arch->gate_up_interleaved;
    wick_weight *gate = wick_arena_array(&b->plan->arena, n, sizeof *gate),
                *up = wick_arena_array(&b->plan->arena, n, sizeof *up);
    if (!gate || !up) return wick_err_oom(err, "the plan", 0, 0);
    for (uint32_t e = 0; e < n; e++) {
        const wick_weight *g = wick_ck_rows(&b->ck, &fused[e], 0, ff, inter ? 2 : 1);
        const wick_weight *u = wick_ck_rows(&b->ck, &fused[e], inter ? 1 : ff, ff, inter ? 2 : 1);
        if (!g || !u) return wick_err_oom(err, "the plan", 0, 0);
        gate[e] = *g;
        up[e] = *u;
    }
    m->gate = gate;
    m->up = up;
    if (!bias) return WICK_OK;
    float *bg = wick_arena_array(&b->plan->arena, (uint64_t)n * ff, sizeof *bg),
          *bu = wick_arena_array(&b->plan->arena, (uint64_t)n * ff, sizeof *bu);
    if (!bg || !bu) return wick_err_oom(err, "the plan", 0, 0);
    for (uint64_t e = 0; e < n; e++) {
        for (uint64_t i = 0; i < ff; i++) {
            bg[e * ff + i] = bias[e * 2 * ff + (inter ? 2 * i : i)];
            bu[e * ff + i] = bias[e * 2 * ff + (inter ? 2 * i + 1 : ff + i)];
        }
    }
    m->b_gate = bg;
    m->b_up = bu;
    return WICK_OK;
}

/* A fused gate_up: PATH.weight, a bare PATH, or gpt-oss's PATH_blocks. */
static bool has_fused_experts(const wick_checkpoint *k, uint32_t layer)
{
    return wick_ck_find(k, WICK_ROLE_EXP_GATE_UP, layer, ".weight", NULL) ||
           wick_ck_find(k, WICK_ROLE_EXP_GATE_UP, layer, "_blocks", NULL) ||
           wick_ck_find(k, WICK_ROLE_EXP_GATE_UP, layer, "", NULL);
}

static wick_status expert_bias(wick_plan_builder *b, wick_role role, uint32_t layer, uint64_t n, const float **out,
                               wick_err *err)
{
    WICK_TRY(wick_ck_expert_vectors(&b->ck, role, layer, b->cfg->n_expert, n, ".bias", out, err));
    return *out ? WICK_OK : wick_ck_expert_vectors(&b->ck, role, layer, b->cfg->n_expert, n, "_bias", out, err);
}

static wick_status read_experts(wick_plan_builder *b, wick_op_moe *m, uint32_t layer, wick_err *err)
{
    wick_checkpoint *k = &b->ck;
    uint64_t ff = m->n_ff, d = b->cfg->n_embd;
    if (has_fused_experts(k, layer)) {
        const wick_weight *fused;
        const float *bias;
        WICK_TRY(wick_ck_experts(k, WICK_ROLE_EXP_GATE_UP, layer, m->n_expert, 2 * ff, d, &fused, err));
        WICK_TRY(expert_bias(b, WICK_ROLE_EXP_GATE_UP, layer, 2 * ff, &bias, err));
        WICK_TRY(split_experts(b, m, fused, bias, err));
    } else {
        if (!b->cfg->arch->plain_mlp)
            WICK_TRY(wick_ck_experts(k, WICK_ROLE_EXP_GATE, layer, m->n_expert, ff, d, &m->gate, err));
        WICK_TRY(wick_ck_experts(k, WICK_ROLE_EXP_UP, layer, m->n_expert, ff, d, &m->up, err));
        WICK_TRY(expert_bias(b, WICK_ROLE_EXP_GATE, layer, ff, &m->b_gate, err));
        WICK_TRY(expert_bias(b, WICK_ROLE_EXP_UP, layer, ff, &m->b_up, err));
    }
    WICK_TRY(wick_ck_experts(k, WICK_ROLE_EXP_DOWN, layer, m->n_expert, d, ff, &m->down, err));
    return expert_bias(b, WICK_ROLE_EXP_DOWN, layer, d, &m->b_down, err);
}

static wick_status read_shared(wick_plan_builder *b, wick_op_moe *m, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    if (!wick_ck_has(&b->ck, shared.up, layer) && !wick_ck_has(&b->ck, shared.gate_up, layer)) return WICK_OK;
    uint64_t n = c->n_ff_shared ? c->n_ff_shared : (uint64_t)m->n_ff * (c->n_expert_shared ? c->n_expert_shared : 1);
    if (n > UINT32_MAX) n = 0;
    wick_op_mlp *mlp = wick_arena_alloc(&b->plan->arena, sizeof *mlp);
    if (!mlp) return wick_err_oom(err, "the plan", sizeof *mlp, 0);
    WICK_TRY(read_mlp(b, mlp, &shared, layer, (uint32_t)n, err));
    m->shared = mlp;
    return wick_ck_matrix_opt(&b->ck, WICK_ROLE_SHARED_ROUTER, layer, 1, c->n_embd, &m->shared_gate, err);
}

static wick_status read_moe(wick_plan_builder *b, wick_op_moe *m, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    m->n_expert = c->n_expert;
    m->top_k = c->n_expert_used;
    m->n_ff = c->n_ff_expert ? c->n_ff_expert : c->n_ff;
    m->routing = c->softmax_scores ? WICK_ROUTE_SOFTMAX_TOPK : c->arch->routing;
    /* Sigmoid scores of a single expert are not divided by themselves, but by those who add a floor. */
    bool sigmoid = c->arch->routing == WICK_ROUTE_SIGMOID_TOPK;
    m->norm_floor = c->arch->norm_floor != 0 ? c->arch->norm_floor : sigmoid ? 1e-20f : 0;
    m->normalize = c->norm_topk && (!sigmoid || m->top_k > 1 || c->arch->norm_floor != 0);
    m->n_group = c->n_group;
    m->topk_group = c->topk_group;
    m->group_by_top2 = c->group_by_top2;
    m->router_apart = c->router_apart;
    m->scale_input = c->arch->scale_input;
    m->jitter = c->route_jitter;
    m->router_src = WICK_R_A;
    m->scale = c->expert_scale != 0 ? c->expert_scale : 1;
    m->act = c->act;
    m->act_alpha = c->act_alpha;
    m->act_limit = c->act_limit;
    if (!m->n_ff) return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: the width of the experts is missing", c->where);
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_ROUTER, layer, m->n_expert, c->n_embd, &m->router, err));
    WICK_TRY(
        wick_ck_vector(&b->ck, WICK_ROLE_ROUTER, layer, ".bias", m->n_expert, WICK_CK_OPTIONAL, &m->router_bias, err));
    WICK_TRY(
        wick_ck_vector(&b->ck, WICK_ROLE_CORRECTION, layer, "", m->n_expert, WICK_CK_OPTIONAL, &m->correction, err));
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_EXP_SCALE, layer, "", m->n_expert, WICK_CK_OPTIONAL, &m->out_scale, err));
    WICK_TRY(read_experts(b, m, layer, err));
    return read_shared(b, m, layer, err);
}

wick_status wick_build_ffn(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_err *err)
{
    bool moe = b->cfg->n_expert > 0 && s->kind != WICK_STEP_MLP && wick_ck_has(&b->ck, WICK_ROLE_ROUTER, layer);
    wick_op *op = wick_build_op(b, moe ? WICK_OP_MOE : WICK_OP_MLP, s->dst, s->src, (int32_t)layer);
    if (!op) return wick_err_oom(err, "the plan", 0, 0);
    if (moe) return read_moe(b, &op->u.moe, layer, err);
    const wick_config *c = b->cfg;
    uint32_t times = c->shared_wide && layer + c->n_kv_shared >= c->n_layer ? 2 : 1;
    return read_mlp(b, &op->u.mlp, &plain, layer, c->n_ff * times, err);
}
