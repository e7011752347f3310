/* backend/mlx/check.c - whether a plan can run here: ops, shapes and encodings, each refusal with its name. */
#include "backend/mlx/mlx.h"

typedef struct want {
    const wick_weight *w;
    uint64_t n_out, n_in; /* 0: any */
    const char *role;
    bool optional;
} want;

typedef struct check {
    const wick_plan *p;
    wick_err *err;
    bool only_blocks, has_blocks; /* looks for block types instead of checking */
} check;

static wick_status one(check *c, const want *s)
{
    if (!s->w) {
        if (s->optional || c->only_blocks) return WICK_OK;
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, s->role, "matrix %s is missing", s->role);
    }
    if (s->w->enc == WICK_ENC_BLOCK) c->has_blocks = true;
    if (c->only_blocks) return WICK_OK;
    const char *name = s->w->name ? s->w->name : s->role;
    if ((s->n_out && s->w->n_out != s->n_out) || (s->n_in && s->w->n_in != s->n_in) || !s->w->n_out || !s->w->n_in ||
        s->w->n_out > INT32_MAX || s->w->n_in > INT32_MAX)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, name, "%s (%s): expected [%llu][%llu], got [%u][%u]", name,
                         s->role, (unsigned long long)s->n_out, (unsigned long long)s->n_in, s->w->n_out, s->w->n_in);
    if (s->w->enc == WICK_ENC_BLOCK && !wick_block_has_decoder(s->w->dtype))
        return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, name,
                         "%s: encoding %s is not supported: expected floats, MLX's affine, mxfp4, nvfp4 or mxfp8, or a "
                         "GGUF block type",
                         name, wick_dtype_name(s->w->dtype));
    return WICK_OK;
}

static wick_status all(check *c, const want *s, size_t n)
{
    for (size_t i = 0; i < n; i++) WICK_TRY(one(c, &s[i]));
    return WICK_OK;
}
#define CHECK(...) WICK_TRY(all(c, (const want[]){__VA_ARGS__}, sizeof((const want[]){__VA_ARGS__}) / sizeof(want)))

static wick_status check_attn(check *c, const wick_op_attn *a)
{
    uint64_t embd = c->p->n_embd, q = (uint64_t)a->n_head * a->head_dim, o = (uint64_t)a->n_head * a->v_head_dim;
    if (a->n_head == 0 || a->n_kv_head == 0 || a->n_head % a->n_kv_head || a->head_dim == 0 || a->v_head_dim == 0 ||
        q > INT32_MAX / 4 || o > INT32_MAX / 4)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "n_head",
                         "attention of %u heads, %u KV heads, dimension %u, %u: not possible", a->n_head, a->n_kv_head,
                         a->head_dim, a->v_head_dim);
    if (a->out_gate && a->v_head_dim != a->head_dim)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "v_head_dim", "a gated output needs v_head_dim = head_dim");
    if (a->rope && ((uint64_t)a->rope->first_dim + a->rope->n_dims > a->head_dim || a->rope->n_dims % 2))
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "rope", "rope of dimensions %u to %u in a head of %u",
                         a->rope->first_dim, a->rope->first_dim + a->rope->n_dims, a->head_dim);
    if (a->both != c->p->whole || (a->both && a->chunked))
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "attention",
                         "attention in both directions and in one, in one plan");
    if (a->alibi && (!a->both || a->window || a->softcap != 0.0F || a->sinks))
        return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, "alibi",
                         "ALiBi is supported by MLX in encoders without windows only; --backend cpu has it");
    if (a->softcap != 0.0F && a->sinks)
        return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, "softcap",
                         "capped scores with sinks are not supported by MLX");
    if (a->qk_norm_whole_row && (a->qk_norm_after_rope || a->out_gate))
        return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, "qk_norm",
                         "a norm over all heads after rope, or with gates, is not supported");
    CHECK({a->wq, q * (a->out_gate ? 2 : 1), embd, "wq", false},
          {a->wk, (uint64_t)a->n_kv_head * a->head_dim, embd, "wk", a->kv_shared},
          {a->wv, (uint64_t)a->n_kv_head * a->v_head_dim, embd, "wv", a->kv_shared}, {a->wo, embd, o, "wo", false});
    const wick_cache_spec *s = a->cache < c->p->n_caches ? &c->p->cache[a->cache] : NULL;
    if (!s || s->kind != WICK_CACHE_KV || s->n_kv_head != a->n_kv_head || s->k_dim != a->head_dim ||
        s->v_dim != a->v_head_dim)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "cache", "cache %u does not fit the attention that uses it",
                         a->cache);
    return WICK_OK;
}

static wick_status check_mla(check *c, const wick_op_mla *o)
{
    uint64_t q_in = o->q_rank ? o->q_rank : c->p->n_embd, width = (uint64_t)o->kv_rank + o->rope_dim;
    if (o->n_head == 0 || !o->k_b || !o->v_b)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "n_head", "latent attention without heads");
    CHECK({o->q_a, o->q_rank, c->p->n_embd, "q_a", o->q_rank == 0},
          {o->q_b, (uint64_t)o->n_head * (o->nope_dim + o->rope_dim), q_in, "q_b", false},
          {o->kv_a, width, c->p->n_embd, "kv_a", false},
          {o->wo, c->p->n_embd, (uint64_t)o->n_head * o->v_dim, "wo", false});
    for (uint32_t h = 0; h < o->n_head; h++)
        CHECK({o->k_b[h], o->kv_rank, o->nope_dim, "k_b", false}, {o->v_b[h], o->v_dim, o->kv_rank, "v_b", false});
    const wick_cache_spec *s = o->cache < c->p->n_caches ? &c->p->cache[o->cache] : NULL;
    if (!s || s->kind != WICK_CACHE_KV || s->n_kv_head != 1 || s->k_dim != width || s->v_dim != 0)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "cache", "cache %u does not fit the attention that uses it",
                         o->cache);
    return WICK_OK;
}

static wick_status check_mlp(check *c, const wick_op_mlp *o)
{
    CHECK({o->gate, o->n_ff, c->p->n_embd, "gate", true}, {o->up, o->n_ff, c->p->n_embd, "up", false},
          {o->down, c->p->n_embd, o->n_ff, "down", false});
    return WICK_OK;
}

static wick_status check_moe(check *c, const wick_op_moe *o)
{
    uint32_t groups = o->n_group > 1 ? o->n_group : 1;
    if (o->n_expert == 0 || o->top_k == 0 || o->top_k > o->n_expert || o->n_expert > 65536 || o->n_expert % groups ||
        (groups > 1 &&
         (o->topk_group == 0 || o->topk_group > groups || (uint64_t)o->topk_group * (o->n_expert / groups) < o->top_k)))
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "n_expert", "%u of %u experts in %u of %u groups: not possible",
                         o->top_k, o->n_expert, o->topk_group, groups);
    if (o->routing == WICK_ROUTE_SPARSEMIXER && o->top_k > 64)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "top_k", "%u experts chosen one after another", o->top_k);
    CHECK({o->router, o->n_expert, c->p->n_embd, "router", false},
          {o->shared_gate, 1, c->p->n_embd, "shared gate", true});
    if (!o->up || !o->down || (o->router_apart && (unsigned)o->router_src >= WICK_N_REGS))
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "experts", "experts are missing");
    for (uint32_t e = 0; e < o->n_expert; e++) {
        CHECK({o->gate ? &o->gate[e] : NULL, o->n_ff, c->p->n_embd, "expert gate", true},
              {&o->up[e], o->n_ff, c->p->n_embd, "expert up", false},
              {&o->down[e], c->p->n_embd, o->n_ff, "expert down", false});
        if (o->up[e].enc != o->up[0].enc || o->down[e].enc != o->down[0].enc || o->up[e].bits != o->up[0].bits ||
            o->up[e].dtype != o->up[0].dtype || o->down[e].dtype != o->down[0].dtype ||
            o->down[e].bits != o->down[0].bits)
            return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, "experts", "the experts of a layer differ in encoding");
    }
    return o->shared ? check_mlp(c, o->shared) : WICK_OK;
}

static wick_status check_state(check *c, uint32_t cache, uint64_t n_floats, uint32_t kernel)
{
    const wick_cache_spec *s = cache < c->p->n_caches ? &c->p->cache[cache] : NULL;
    if (!s || s->kind != WICK_CACHE_STATE || s->n_state != n_floats || n_floats > INT32_MAX / 4 || kernel == 0)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "cache", "state %u does not fit the layer that uses it", cache);
    return WICK_OK;
}

static wick_status check_mamba(check *c, const wick_op_mamba *o, bool first)
{
    uint64_t d = o->d_inner, s = o->d_state, bc = 2 * (uint64_t)o->n_group * s, embd = c->p->n_embd;
    uint64_t conv = first ? d : d + bc;
    if (!first && (o->n_group == 0 || o->n_head % o->n_group || (uint64_t)o->n_head * o->head_dim != d))
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "n_head", "%u heads of %u in %u groups: not possible", o->n_head,
                         o->head_dim, o->n_group);
    CHECK({o->in, first ? 2 * d : d + conv + o->n_head, embd, "in", false}, {o->out, embd, d, "out", false});
    if (first) CHECK({o->x, o->dt_rank + 2 * s, d, "x", false}, {o->dt, d, o->dt_rank, "dt", false});
    return check_state(c, o->cache, (o->kernel - 1) * conv + d * s, o->kernel);
}

static wick_status check_delta(check *c, const wick_op_delta *o)
{
    uint64_t key = (uint64_t)o->n_k_head * o->k_dim, value = (uint64_t)o->n_v_head * o->v_dim, embd = c->p->n_embd;
    if (o->n_k_head == 0 || o->n_v_head % o->n_k_head)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "n_v_head", "%u value heads for %u key heads: not possible",
                         o->n_v_head, o->n_k_head);
    CHECK({o->in_qkv, 2 * key + (o->in_z ? 1 : 2) * value, embd, "in_qkv", false}, {o->in_z, value, embd, "in_z", true},
          {o->in_b, (o->in_a ? 1 : 2) * (uint64_t)o->n_v_head, embd, "in_b", false},
          {o->in_a, o->n_v_head, embd, "in_a", true}, {o->out, embd, value, "out", false});
    return check_state(c, o->cache, (o->kernel - 1) * (2 * key + value) + value * o->k_dim, o->kernel);
}

static wick_status check_conv(check *c, const wick_op_conv *o)
{
    CHECK({o->in, 3 * (uint64_t)o->n_channels, c->p->n_embd, "in", false},
          {o->out, c->p->n_embd, o->n_channels, "out", false});
    return check_state(c, o->cache, (uint64_t)(o->kernel - 1) * o->n_channels, o->kernel);
}

static wick_status check_ple(check *c, const wick_op_ple *o)
{
    uint32_t embd = c->p->n_embd;
    if (o->dim == 0 || (unsigned)o->base >= WICK_N_REGS || !o->norm || !o->embed || o->column > o->embed->n_in ||
        o->dim > o->embed->n_in - o->column)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "dim", "the inputs of the layers do not fit");
    CHECK({o->embed, 0, 0, "inputs of the layers", false}, {o->proj, o->dim, embd, "projection", false},
          {o->gate, o->dim, embd, "gate", false}, {o->out, embd, o->dim, "out", false});
    return WICK_OK;
}

static wick_status check_op(check *c, const wick_op *o)
{
    if ((unsigned)o->src >= WICK_N_REGS || (unsigned)o->dst >= WICK_N_REGS)
        return WICK_FAIL(c->err, WICK_E_BAD_PARAMETER, "register", "registers %d, %d do not exist", (int)o->dst,
                         (int)o->src);
    switch (o->kind) {
    case WICK_OP_EMBED:
        CHECK({o->u.embed.w, c->p->n_vocab, c->p->n_embd, "embedding", false},
              {o->u.embed.w_pos, 0, c->p->n_embd, "positions", true},
              {o->u.embed.w_type, 0, c->p->n_embd, "token types", true});
        return WICK_OK;
    case WICK_OP_ATTN: return check_attn(c, &o->u.attn);
    case WICK_OP_MLA: return check_mla(c, &o->u.mla);
    case WICK_OP_MLP: return check_mlp(c, &o->u.mlp);
    case WICK_OP_MOE: return check_moe(c, &o->u.moe);
    case WICK_OP_PLE: return check_ple(c, &o->u.ple);
    case WICK_OP_HEAD: CHECK({o->u.head.w, c->p->n_vocab, c->p->n_embd, "head", c->p->whole}); return WICK_OK;
    case WICK_OP_NORM:
    case WICK_OP_ADD:
    case WICK_OP_COPY: return WICK_OK;
    case WICK_OP_CONV: return check_conv(c, &o->u.conv);
    case WICK_OP_MAMBA1: return check_mamba(c, &o->u.mamba, true);
    case WICK_OP_MAMBA2: return check_mamba(c, &o->u.mamba, false);
    case WICK_OP_DELTA: return check_delta(c, &o->u.delta);
    case WICK_N_OPS: break;
    }
    return WICK_FAIL(c->err, WICK_E_UNSUPPORTED_FORMAT, "op", "the MLX backend has no op %s; --backend cpu has it",
                     (unsigned)o->kind < WICK_N_OPS ? wick_op_name(o->kind) : "of this number");
}

bool wick_mlx_has_blocks(const wick_plan *p)
{
    check c = {.p = p, .only_blocks = true};
    for (uint32_t i = 0; i < p->n_ops && !c.has_blocks; i++)
        if (check_op(&c, &p->op[i]) != WICK_OK) break;
    return c.has_blocks;
}

wick_status wick_mlx_check(const wick_plan *p, wick_err *err)
{
    check c = {.p = p, .err = err};
    if (p->n_embd == 0 || p->n_vocab == 0 || p->n_ops == 0 || p->op[0].kind != WICK_OP_EMBED)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "plan",
                         "a plan begins with EMBED and has a width and a vocabulary");
    for (uint32_t i = 0; i < p->n_ops; i++) {
        wick_status st = check_op(&c, &p->op[i]);
        if (st != WICK_OK) {
            wick_err_prefix(err, "op %u (layer %d)", i, p->op[i].layer);
            return st;
        }
    }
    return WICK_OK;
}
