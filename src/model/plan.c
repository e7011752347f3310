/* model/plan.c - arch table + configuration + tensors to the flat list of ops. The mixers and feed-forward parts are
 * in plan_attn.c, plan_ffn.c and plan_state.c; here is the order of things and what stands outside the blocks.
 *
 * Invariants: every weight of an op has the shape that the op's numbers say; op and cache arrays have room for every
 * step of every layer before the first is built; on failure nothing is left allocated. */
#include "model/plan.h"
#include <math.h>
#include <string.h>
#include "base/str.h"
#include "model/build.h"
#include "model/pooler.h"

const char *wick_op_name(wick_op_kind k)
{
    static const char *const name[] = {
#define OP(op, member, meaning) #op,
#include "model/ops.def"
#undef OP
    };
    return k < WICK_N_OPS ? name[k] : "?";
}

void wick_plan_release(wick_plan *p)
{
    if (p->pooler) wick_pooler_release(p->pooler);
    wick_arena_release(&p->arena);
    memset(p, 0, sizeof *p);
}

wick_op *wick_build_op(wick_plan_builder *b, wick_op_kind kind, wick_reg dst, wick_reg src, int32_t layer)
{
    if (b->plan->n_ops == b->op_cap) return NULL;
    wick_op *op = &b->plan->op[b->plan->n_ops++];
    op->kind = kind;
    op->dst = dst;
    op->src = src;
    op->layer = layer;
    return op;
}

uint32_t wick_build_cache(wick_plan_builder *b, const wick_cache_spec *spec)
{
    if (b->plan->n_caches == b->cache_cap) return UINT32_MAX;
    b->plan->cache[b->plan->n_caches] = *spec;
    return b->plan->n_caches++;
}

static wick_status no_memory(wick_err *err)
{
    return wick_err_oom(err, "the plan", 0, 0);
}

/* The router's scale is a bare vector, to be divided by the root of the width. */
static wick_status router_norm(wick_plan_builder *b, wick_op_norm *n, uint32_t layer, wick_err *err)
{
    const float *scale;
    uint32_t width = b->cfg->n_embd;
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_ROUTER_NORM, layer, "", width, 0, &scale, err));
    float *w = wick_arena_array(&b->plan->arena, width, sizeof *w);
    if (!w) return no_memory(err);
    for (uint32_t i = 0; i < width; i++) w[i] = scale[i] / sqrtf((float)width);
    n->w = w;
    return WICK_OK;
}

static wick_status build_norm(wick_plan_builder *b, wick_role role, wick_reg dst, wick_reg src, uint32_t layer,
                              int32_t op_layer, wick_err *err)
{
    const wick_arch *a = b->cfg->arch;
    wick_op *op = wick_build_op(b, WICK_OP_NORM, dst, src, op_layer);
    if (!op) return no_memory(err);
    wick_op_norm *n = &op->u.norm;
    unsigned plus = b->ck.plus_one ? WICK_CK_PLUS_ONE : 0;
    if (a->encoder && !wick_ck_has(&b->ck, role, layer)) { /* modernbert's first layer has none */
        op->kind = WICK_OP_COPY;
        op->u.add = (wick_op_add){.dst_scale = 1, .src_scale = 1};
        return WICK_OK;
    }
    n->kind = a->norm;
    n->eps = op_layer >= 0 && b->cfg->block_norm_eps != 0 ? b->cfg->block_norm_eps : b->cfg->norm_eps;
    if (a->bare_norm) return WICK_OK;
    if (role == WICK_ROLE_ROUTER_NORM) return router_norm(b, n, layer, err);
    /* falcon-h1's converter leaves the suffix out once */
    bool bare = b->cfg->from_gguf && !wick_ck_has(&b->ck, role, layer) && wick_ck_find(&b->ck, role, layer, "", NULL);
    WICK_TRY(wick_ck_vector(&b->ck, role, layer, bare ? "" : ".weight", b->cfg->n_embd, plus, &n->w, err));
    if (a->norm == WICK_NORM_RMS) return WICK_OK;
    return wick_ck_vector(&b->ck, role, layer, ".bias", b->cfg->n_embd, WICK_CK_OPTIONAL, &n->b, err);
}

static float or_one(float x)
{
    return x != 0 ? x : 1;
}

static wick_status build_step(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_op *op;
    switch (s->kind) {
    case WICK_STEP_NORM: return build_norm(b, s->role, s->dst, s->src, layer, (int32_t)layer, err);
    case WICK_STEP_MIX: {
        wick_mixer m = c->layer_mixer ? (wick_mixer)c->layer_mixer[layer] : WICK_MIX_ATTN;
        if (m == WICK_MIX_ATTN) return wick_build_attn(b, s, layer, err);
        if (m == WICK_MIX_MLA) return wick_build_mla(b, s, layer, err);
        if (m == WICK_MIX_FFN) return wick_build_ffn(b, s, layer, err);
        return wick_build_state_mixer(b, s, layer, m, err);
    }
    case WICK_STEP_ATTN: return wick_build_attn(b, s, layer, err);
    case WICK_STEP_MAMBA2: return wick_build_state_mixer(b, s, layer, WICK_MIX_MAMBA2, err);
    case WICK_STEP_FFN:
    case WICK_STEP_MLP: return wick_build_ffn(b, s, layer, err);
    case WICK_STEP_PLE: return wick_build_ple(b, s, layer, err);
    case WICK_STEP_ADD:
    case WICK_STEP_COPY:
        op = wick_build_op(b, s->kind == WICK_STEP_ADD ? WICK_OP_ADD : WICK_OP_COPY, s->dst, s->src, (int32_t)layer);
        if (!op) return no_memory(err);
        op->u.add =
            (wick_op_add){.dst_scale = 1, .src_scale = s->kind == WICK_STEP_ADD ? or_one(c->residual_scale) : 1};
        return WICK_OK;
    case WICK_STEP_END: break;
    }
    return WICK_OK;
}

/* A factor of the whole residual stream after a layer goes into the layer's last addition. */
static wick_status scale_layer(wick_plan_builder *b, uint32_t layer, wick_err *err)
{
    const float *s;
    const char *suffix = b->cfg->from_gguf ? ".weight" : "";
    WICK_TRY(wick_ck_vector(&b->ck, WICK_ROLE_LAYER_SCALE, layer, suffix, 1, WICK_CK_OPTIONAL, &s, err));
    wick_op *op = &b->plan->op[b->plan->n_ops - 1];
    if (!s || op->kind != WICK_OP_ADD) return WICK_OK;
    op->u.add.dst_scale *= *s;
    op->u.add.src_scale *= *s;
    return WICK_OK;
}

/* One row, or one for each text of a pair; some files have more, which nobody uses. */
static wick_status type_table(wick_plan_builder *b, const wick_weight **out, wick_err *err)
{
    const wick_tensor *t = wick_ck_find(&b->ck, WICK_ROLE_TYPE_EMBED, 0, ".weight", NULL);
    uint64_t n = t && t->n_dim == 2 ? t->shape[0] : 1;
    if (n < 1 || n > 1024) n = 1;
    return wick_ck_matrix_opt(&b->ck, WICK_ROLE_TYPE_EMBED, 0, n, b->cfg->n_embd, out, err);
}

static wick_status build_embed(wick_plan_builder *b, uint32_t n_vocab, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_op *op = wick_build_op(b, WICK_OP_EMBED, WICK_R_X, WICK_R_X, -1);
    if (!op) return no_memory(err);
    op->u.embed.scale = or_one(b->ck.raw ? c->raw_embed_scale : c->embed_scale);
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_EMBED, 0, n_vocab, c->n_embd, &op->u.embed.w, err));
    if (c->arch->encoder) WICK_TRY(type_table(b, &op->u.embed.w_type, err));
    if (!c->arch->no_rope || !wick_ck_has(&b->ck, WICK_ROLE_POS_EMBED, 0)) return WICK_OK;
    op->u.embed.pos_offset = c->pos_offset;
    return wick_ck_matrix(&b->ck, WICK_ROLE_POS_EMBED, 0, (uint64_t)c->n_ctx + c->pos_offset, c->n_embd,
                          &op->u.embed.w_pos, err);
}

static wick_status build_head(wick_plan_builder *b, const wick_weight *embed, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_head_rule rule = c->arch->head;
    if (c->both) wick_ck_has(&b->ck, WICK_ROLE_HEAD, 0); /* one that was left in the file is no mistake */
    if (c->both) return wick_build_op(b, WICK_OP_HEAD, WICK_R_X, WICK_R_X, -1) ? WICK_OK : no_memory(err);
    bool has = wick_ck_has(&b->ck, WICK_ROLE_HEAD, 0);
    bool own = rule == WICK_HEAD_OWN || (rule != WICK_HEAD_TIED && has);
    if (rule == WICK_HEAD_AUTO && c->tie >= 0) own = !c->tie;
    if (c->from_gguf) own = has;
    wick_op *op = wick_build_op(b, WICK_OP_HEAD, WICK_R_X, WICK_R_X, -1);
    if (!op) return no_memory(err);
    wick_op_head *h = &op->u.head;
    h->scale = or_one(b->ck.raw ? c->raw_logit_scale : c->logit_scale);
    h->softcap = c->final_softcap;
    h->w = embed;
    if (!own) return WICK_OK;
    WICK_TRY(wick_ck_matrix(&b->ck, WICK_ROLE_HEAD, 0, embed->n_out, c->n_embd, &h->w, err));
    if (c->norm_head && h->w->enc == WICK_ENC_PLAIN) WICK_TRY(wick_ck_unit_columns(&b->ck, h->w, &h->w, err));
    return wick_ck_vector(&b->ck, WICK_ROLE_HEAD, 0, ".bias", embed->n_out, WICK_CK_OPTIONAL, &h->b, err);
}

/* llama.cpp keeps llama3's and longrope's factors as tensors. */
static wick_status factors_of(wick_plan_builder *b, const wick_tensor *t, const float **factors, uint32_t *n_factors,
                              wick_err *err)
{
    uint64_t n = wick_tensor_count(t);
    if (!wick_dtype_is_float(t->dtype) || n < 1 || n > 1 << 13)
        return WICK_FAIL(err, WICK_E_BAD_FILE, b->ck.where, "%s: tensor %s: expected a vector of floats", b->ck.where,
                         t->name);
    float *f = wick_arena_array(&b->plan->arena, n, sizeof *f);
    if (!f) return no_memory(err);
    wick_to_f32(t->dtype, t->data, f, n);
    for (uint64_t i = 0; i < n; i++) {
        if (!(f[i] > 0) || f[i] > 1e30f)
            return WICK_FAIL(err, WICK_E_BAD_FILE, b->ck.where, "%s: tensor %s: expected positive numbers", b->ck.where,
                             t->name);
    }
    *factors = f;
    *n_factors = (uint32_t)n;
    return WICK_OK;
}

static wick_status gguf_rope_factors(wick_plan_builder *b, wick_rope_params *p, wick_err *err)
{
    const wick_tensor *t = wick_tensor_find(b->ck.dir, "rope_freqs.weight"),
                      *s = wick_tensor_find(b->ck.dir, "rope_factors_short.weight");
    if (!t) t = wick_tensor_find(b->ck.dir, "rope_factors_long.weight");
    if (!t) t = wick_tensor_find(b->ck.dir, "blk.0.rope_freqs.weight");
    if (!t) return WICK_OK;
    WICK_TRY(factors_of(b, t, &p->factors, &p->n_factors, err));
    if (!wick_starts_with(t->name, "rope_factors")) return WICK_OK;
    p->kind = WICK_ROPE_LONGROPE; /* the key is not always there */
    return s ? factors_of(b, s, &p->short_factors, &p->n_short, err) : WICK_OK;
}

/* The short factors' frequencies beside the long ones'. */
static wick_status short_rope(wick_plan_builder *b, const wick_rope_params *p, uint32_t n_dims, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_rope_params s = *p;
    const wick_rope *r;
    s.factors = p->short_factors;
    s.n_factors = p->n_short;
    if (p->short_attn_factor > 0) s.attn_factor = p->short_attn_factor;
    WICK_TRY(wick_rope_build(&b->plan->arena, &s, n_dims, c->rope_theta, c->rope_interleaved, &r, err));
    wick_rope *own = wick_arena_alloc(&b->plan->arena, sizeof *own);
    if (!own) return no_memory(err);
    *own = *b->rope;
    b->plan->rope_short =
        (wick_rope_short){.rope = own, .of = {*b->rope, *r}, .original_ctx = (uint32_t)p->original_ctx};
    b->rope = own;
    return WICK_OK;
}

void wick_plan_set_context(wick_plan *p, uint32_t n_ctx)
{
    if (p->rope_short.rope) *p->rope_short.rope = p->rope_short.of[n_ctx <= p->rope_short.original_ctx];
}

static wick_status build_ropes(wick_plan_builder *b, wick_err *err)
{
    const wick_config *c = b->cfg;
    if (c->arch->no_rope) return WICK_OK;
    wick_rope_params p = c->rope;
    uint32_t dims = c->kv_rank ? c->mla_rope_dim : c->head_dim;
    if (dims == 0) return WICK_OK; /* no attention in this model */
    /* Shares like 0.7 are not exact: a hair more before the truncation that the reference does in double. */
    uint32_t n_dims = c->rope_dims && !c->kv_rank ? c->rope_dims : (uint32_t)(dims * (double)c->rope_partial + 1e-4);
    if (c->from_gguf) WICK_TRY(gguf_rope_factors(b, &p, err));
    uint32_t n_global = c->global_head_dim ? c->global_head_dim : n_dims;
    wick_status st = wick_rope_build(&b->plan->arena, &p, n_global, c->rope_theta, c->rope_interleaved, &b->rope, err);
    if (st == WICK_OK && p.kind == WICK_ROPE_LONGROPE && p.short_factors && p.original_ctx > 0)
        st = short_rope(b, &p, n_global, err);
    b->rope_local = b->rope;
    if (st == WICK_OK && c->arch->plain_local_rope) {
        wick_rope_params plain = {.kind = WICK_ROPE_DEFAULT, .factor = 1};
        double theta = c->rope_local_theta > 0 ? c->rope_local_theta : c->rope_theta;
        st = wick_rope_build(&b->plan->arena, &plain, n_dims, theta, c->rope_interleaved, &b->rope_local, err);
    }
    if (st != WICK_OK) wick_err_prefix(err, "%s", c->where);
    return st;
}

/* What MLX would compute in: the embedding's float type, or that of its scales. */
static wick_dtype act_dtype(const wick_weight *embed)
{
    if (embed->enc == WICK_ENC_PLAIN || embed->enc == WICK_ENC_AFFINE) return embed->dtype;
    return embed->enc == WICK_ENC_BLOCK ? WICK_DTYPE_F16 : WICK_DTYPE_BF16;
}

/* vocab_size, or the rows of the embedding where the file does not say. */
static wick_status vocab_size(wick_plan_builder *b, uint32_t *out, wick_err *err)
{
    *out = b->cfg->n_vocab;
    if (*out) return WICK_OK;
    const wick_tensor *t = wick_ck_find(&b->ck, WICK_ROLE_EMBED, 0, ".weight", NULL);
    if (t && t->n_dim == 2 && t->shape[0] >= 1 && t->shape[0] <= WICK_MAX_VOCAB) {
        *out = (uint32_t)t->shape[0];
        return WICK_OK;
    }
    return WICK_FAIL(err, WICK_E_BAD_FILE, b->cfg->where, "%s: the size of the vocabulary is missing", b->cfg->where);
}

static wick_status build_all(wick_plan_builder *b, wick_err *err)
{
    const wick_config *c = b->cfg;
    wick_plan *p = b->plan;
    const wick_block_step *block = c->block ? c->block : c->arch->block;
    uint32_t n_steps = 0, n_vocab = 0;
    while (block[n_steps].kind != WICK_STEP_END) n_steps++;
    b->op_cap = c->n_layer * n_steps + 5;
    b->cache_cap = c->n_layer * 2; /* falcon_h1 has two mixers in a layer */
    p->op = wick_arena_array(&p->arena, b->op_cap, sizeof *p->op);
    p->cache = wick_arena_array(&p->arena, b->cache_cap, sizeof *p->cache);
    if (!p->op || !p->cache) return no_memory(err);
    WICK_TRY(vocab_size(b, &n_vocab, err));
    WICK_TRY(build_ropes(b, err));
    WICK_TRY(build_embed(b, n_vocab, err));
    if (c->ple_dim && !wick_build_op(b, WICK_OP_COPY, WICK_R_S, WICK_R_X, -1)) return no_memory(err);
    if (c->ple_dim) p->op[1].u.add = (wick_op_add){.dst_scale = 1, .src_scale = 1};
    const wick_weight *embed = p->op[0].u.embed.w;
    if (wick_ck_has(&b->ck, WICK_ROLE_EMBED_NORM, 0))
        WICK_TRY(build_norm(b, WICK_ROLE_EMBED_NORM, WICK_R_X, WICK_R_X, 0, -1, err));
    for (uint32_t layer = 0; layer < c->n_layer; layer++) {
        for (uint32_t i = 0; i < n_steps; i++) WICK_TRY(build_step(b, &block[i], layer, err));
        WICK_TRY(scale_layer(b, layer, err));
    }
    if (!c->arch->encoder || wick_ck_has(&b->ck, WICK_ROLE_OUT_NORM, 0))
        WICK_TRY(build_norm(b, WICK_ROLE_OUT_NORM, WICK_R_X, WICK_R_X, 0, -1, err));
    WICK_TRY(build_head(b, embed, err));
    p->arch = c->arch->name;
    p->whole = c->both;
    p->n_embd = c->n_embd;
    p->n_vocab = n_vocab;
    p->n_layer = c->n_layer;
    p->n_ctx_train = c->n_ctx;
    p->act_dtype = act_dtype(embed);
    p->n_params = b->ck.n_params;
    p->weight_bytes = b->ck.n_bytes;
    return WICK_OK;
}

static wick_status build_pooler(wick_plan_builder *b, wick_err *err)
{
    wick_pooler *p = wick_arena_alloc(&b->plan->arena, sizeof *p);
    if (!p) return no_memory(err);
    b->plan->pooler = p;
    WICK_TRY(wick_pooler_heads(p, &b->ck, err));
    wick_pooler_measure(p, b->plan->n_embd);
    return WICK_OK;
}

wick_status wick_plan_build(wick_plan *plan, const wick_config *cfg, const wick_tensor_dir *dir, const char *where,
                            wick_err *err)
{
    memset(plan, 0, sizeof *plan);
    wick_arena_init(&plan->arena, 0);
    wick_plan_builder b = {.plan = plan, .cfg = cfg};
    wick_status st = wick_checkpoint_init(&b.ck, dir, cfg, &plan->arena, where, err);
    if (st == WICK_OK) st = build_all(&b, err);
    if (st == WICK_OK) st = build_pooler(&b, err);
    if (st == WICK_OK) st = wick_known_check(&b.ck, err);
    if (st != WICK_OK) wick_plan_release(plan);
    return st;
}

bool wick_op_cache(const wick_op *o, uint32_t *cache)
{
    switch (o->kind) {
    case WICK_OP_ATTN: *cache = o->u.attn.cache; return true;
    case WICK_OP_MLA: *cache = o->u.mla.cache; return true;
    case WICK_OP_CONV: *cache = o->u.conv.cache; return true;
    case WICK_OP_MAMBA1:
    case WICK_OP_MAMBA2: *cache = o->u.mamba.cache; return true;
    case WICK_OP_DELTA: *cache = o->u.delta.cache; return true;
    case WICK_OP_EMBED:
    case WICK_OP_NORM:
    case WICK_OP_MLP:
    case WICK_OP_MOE:
    case WICK_OP_PLE:
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_OP_HEAD:
    case WICK_N_OPS: break;
    }
    return false;
}
