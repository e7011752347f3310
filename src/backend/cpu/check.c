/* backend/cpu/check.c - what a plan must be before it may be loaded: ops that exist, shapes that fit together, sizes
 * that no multiplication here overflows. Plans are made from files, so everything that the nodes rely on is said
 * here. */
#include "backend/cpu/cpu.h"

typedef struct shape {
    const wick_weight *w;
    uint32_t n_out, n_in; /* 0: any */
    const char *role;
    bool optional;
} shape;

static wick_status check_weight(const shape *s, wick_err *err)
{
    if (!s->w)
        return s->optional ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, s->role, "matrix %s is missing", s->role);
    const char *name = s->w->name ? s->w->name : s->role;
    if ((s->n_out && s->w->n_out != s->n_out) || (s->n_in && s->w->n_in != s->n_in) || !s->w->n_out || !s->w->n_in)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, "%s (%s): expected [%u][%u], got [%u][%u]", name, s->role,
                         s->n_out, s->n_in, s->w->n_out, s->w->n_in);
    if (s->w->enc == WICK_ENC_BLOCK && !wick_block_has_decoder(s->w->dtype))
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, name, "%s: encoding %s is not supported on the CPU", name,
                         wick_dtype_name(s->w->dtype));
    return WICK_OK;
}

static wick_status check_all(const shape *s, uint32_t n, wick_err *err)
{
    for (uint32_t i = 0; i < n; i++) WICK_TRY(check_weight(&s[i], err));
    return WICK_OK;
}
#define CHECK(...) \
    WICK_TRY(check_all((const shape[]){__VA_ARGS__}, sizeof((const shape[]){__VA_ARGS__}) / sizeof(shape), err))

static wick_status check_attn(const wick_plan *p, const wick_op_attn *a, wick_err *err)
{
    uint64_t q = (uint64_t)a->n_head * a->head_dim * (a->out_gate ? 2 : 1), o = (uint64_t)a->n_head * a->v_head_dim;
    if (a->n_head == 0 || a->n_kv_head == 0 || a->n_head % a->n_kv_head || a->head_dim == 0 || a->v_head_dim == 0 ||
        q > INT32_MAX || o > INT32_MAX || a->head_dim > 4096 || a->v_head_dim > 4096)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_head",
                         "attention of %u heads, %u KV heads, dimension %u, %u: not possible", a->n_head, a->n_kv_head,
                         a->head_dim, a->v_head_dim);
    if (a->out_gate && a->v_head_dim != a->head_dim)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "v_head_dim",
                         "a gated attention output needs v_head_dim = head_dim");
    if (a->rope && ((uint64_t)a->rope->first_dim + a->rope->n_dims > a->head_dim || a->rope->n_dims % 2))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "rope", "rope of dimensions %u to %u in a head of %u",
                         a->rope->first_dim, a->rope->first_dim + a->rope->n_dims, a->head_dim);
    if (a->both != p->whole || (a->both && a->chunked))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "attention",
                         "attention in both directions and in one, in one plan");
    CHECK({a->wq, (uint32_t)q, p->n_embd, "wq", false},
          {a->wk, a->n_kv_head * a->head_dim, p->n_embd, "wk", a->kv_shared},
          {a->wv, a->n_kv_head * a->v_head_dim, p->n_embd, "wv", a->kv_shared},
          {a->wo, p->n_embd, (uint32_t)o, "wo", false});
    if (a->cache >= p->n_caches || p->cache[a->cache].kind != WICK_CACHE_KV ||
        p->cache[a->cache].n_kv_head != a->n_kv_head || p->cache[a->cache].k_dim != a->head_dim ||
        p->cache[a->cache].v_dim != a->v_head_dim)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "cache %u does not fit the attention that uses it",
                         a->cache);
    return WICK_OK;
}

static wick_status check_mlp(const wick_plan *p, const wick_op_mlp *o, wick_err *err)
{
    CHECK({o->gate, o->n_ff, p->n_embd, "gate", true}, {o->up, o->n_ff, p->n_embd, "up", false},
          {o->down, p->n_embd, o->n_ff, "down", false});
    return WICK_OK;
}

static wick_status check_moe(const wick_plan *p, const wick_op_moe *o, wick_err *err)
{
    uint32_t groups = o->n_group > 1 ? o->n_group : 1;
    if (o->n_expert == 0 || o->top_k == 0 || o->top_k > o->n_expert || o->n_expert > 65536 || o->n_expert % groups ||
        (groups > 1 && (o->topk_group == 0 || o->topk_group > groups)) ||
        (groups > 1 && o->topk_group * (o->n_expert / groups) < o->top_k))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "n_expert", "%u of %u experts in %u of %u groups: not possible",
                         o->top_k, o->n_expert, o->topk_group, groups);
    CHECK({o->router, o->n_expert, p->n_embd, "router", false}, {o->shared_gate, 1, p->n_embd, "shared gate", true});
    if (!o->up || !o->down) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "experts", "experts are missing");
    if (o->router_apart && (o->shared || (unsigned)o->router_src >= WICK_N_REGS))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "router",
                         "a router with an input of its own and a shared expert: not possible");
    for (uint32_t e = 0; e < o->n_expert; e++)
        CHECK({o->gate ? &o->gate[e] : NULL, o->n_ff, p->n_embd, "expert gate", true},
              {&o->up[e], o->n_ff, p->n_embd, "expert up", false},
              {&o->down[e], p->n_embd, o->n_ff, "expert down", false});
    return o->shared ? check_mlp(p, o->shared, err) : WICK_OK;
}

static wick_status check_state(const wick_plan *p, uint32_t cache, uint64_t n_state, wick_err *err)
{
    if (p->cache[cache].kind != WICK_CACHE_STATE || p->cache[cache].n_state != n_state)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "cache %u: expected a state of %llu values", cache,
                         (unsigned long long)n_state);
    return WICK_OK;
}

/* Sizes that a file gave: kept small enough that no product of two of them overflows. */
static bool sane(const uint32_t *v, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        if (v[i] == 0 || v[i] > 1 << 20) return false;
    return true;
}
#define SANE(...) sane((const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t))

static wick_status bad_sizes(wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "plan", "sizes of the mixer are not possible");
}

static wick_status check_mla(const wick_plan *p, const wick_op_mla *o, wick_err *err)
{
    if (!SANE(o->n_head, o->nope_dim, o->rope_dim, o->v_dim, o->kv_rank) ||
        (uint64_t)o->n_head * (o->nope_dim + o->rope_dim) > INT32_MAX || o->kv_rank + o->rope_dim > 4096 ||
        o->q_rank > 1 << 20 || (o->rope && (o->rope->n_dims != o->rope_dim || o->rope->first_dim)))
        return bad_sizes(err);
    uint32_t q = o->n_head * (o->nope_dim + o->rope_dim);
    CHECK({o->q_a, o->q_rank, p->n_embd, "q_a", o->q_rank == 0},
          {o->q_b, q, o->q_rank ? o->q_rank : p->n_embd, "q_b", false},
          {o->kv_a, o->kv_rank + o->rope_dim, p->n_embd, "kv_a", false},
          {o->wo, p->n_embd, o->n_head * o->v_dim, "wo", false});
    if (!o->k_b || !o->v_b || !o->kv_a_norm || (o->q_rank && !o->q_a_norm))
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "weights", "weights of latent attention are missing");
    for (uint32_t h = 0; h < o->n_head; h++)
        CHECK({o->k_b[h], o->kv_rank, o->nope_dim, "k_b", false}, {o->v_b[h], o->v_dim, o->kv_rank, "v_b", false});
    const wick_cache_spec *c = &p->cache[o->cache];
    if (c->kind != WICK_CACHE_KV || c->n_kv_head != 1 || c->k_dim != o->kv_rank + o->rope_dim || c->v_dim != 0)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "cache %u does not fit the latent attention that uses it",
                         o->cache);
    return WICK_OK;
}

static wick_status check_mamba(const wick_plan *p, const wick_op_mamba *o, bool first, wick_err *err)
{
    uint64_t tail = o->kernel - 1;
    if (!SANE(o->kernel, o->d_inner, o->d_state) || o->kernel > 64 || !o->conv_w || !o->a || !o->d || !o->b_dt)
        return bad_sizes(err);
    if (first) {
        if (!SANE(o->dt_rank)) return bad_sizes(err);
        CHECK({o->in, 2 * o->d_inner, p->n_embd, "in", false},
              {o->x, o->dt_rank + 2 * o->d_state, o->d_inner, "x", false}, {o->dt, o->d_inner, o->dt_rank, "dt", false},
              {o->out, p->n_embd, o->d_inner, "out", false});
        return check_state(p, o->cache, tail * o->d_inner + (uint64_t)o->d_inner * o->d_state, err);
    }
    if (!SANE(o->n_head, o->head_dim, o->n_group) || o->n_head % o->n_group ||
        (uint64_t)o->n_head * o->head_dim != o->d_inner || (uint64_t)o->n_group * o->d_state > 1 << 24 ||
        (o->norm && (o->norm_group == 0 || o->d_inner % o->norm_group)))
        return bad_sizes(err);
    uint32_t conv = o->d_inner + 2 * o->n_group * o->d_state;
    CHECK({o->in, o->d_inner + conv + o->n_head, p->n_embd, "in", false},
          {o->out, p->n_embd, o->d_inner, "out", false});
    return check_state(p, o->cache, tail * conv + (uint64_t)o->d_inner * o->d_state, err);
}

static wick_status check_delta(const wick_plan *p, const wick_op_delta *o, wick_err *err)
{
    if (!SANE(o->kernel, o->n_k_head, o->n_v_head, o->k_dim, o->v_dim) || o->kernel > 64 || o->n_v_head % o->n_k_head ||
        (uint64_t)o->n_k_head * o->k_dim > 1 << 24 || (uint64_t)o->n_v_head * o->v_dim > 1 << 24 || !o->conv_w ||
        !o->decay || !o->dt_bias || !o->norm)
        return bad_sizes(err);
    uint32_t key = o->n_k_head * o->k_dim, value = o->n_v_head * o->v_dim;
    if (o->tiled && (!o->in_z || !o->in_a) && o->n_k_head > 1) return bad_sizes(err);
    CHECK({o->in_qkv, 2 * key + (o->in_z ? 1 : 2) * value, p->n_embd, "in_qkv", false},
          {o->in_z, value, p->n_embd, "in_z", true},
          {o->in_b, (o->in_a ? 1 : 2) * o->n_v_head, p->n_embd, "in_b", false},
          {o->in_a, o->n_v_head, p->n_embd, "in_a", true}, {o->out, p->n_embd, value, "out", false});
    return check_state(p, o->cache, (uint64_t)(o->kernel - 1) * (2 * key + value) + (uint64_t)value * o->k_dim, err);
}

static wick_status check_mixer(const wick_plan *p, const wick_op *o, wick_err *err)
{
    if (o->kind == WICK_OP_MLA) return check_mla(p, &o->u.mla, err);
    if (o->kind == WICK_OP_DELTA) return check_delta(p, &o->u.delta, err);
    if (o->kind != WICK_OP_CONV) return check_mamba(p, &o->u.mamba, o->kind == WICK_OP_MAMBA1, err);
    const wick_op_conv *c = &o->u.conv;
    if (!SANE(c->kernel, c->n_channels) || c->kernel > 64 || !c->conv_w) return bad_sizes(err);
    CHECK({c->in, 3 * c->n_channels, p->n_embd, "in", false}, {c->out, p->n_embd, c->n_channels, "out", false});
    return check_state(p, c->cache, (uint64_t)(c->kernel - 1) * c->n_channels, err);
}

static bool reg_exists(wick_reg r)
{
    return (unsigned)r < WICK_N_REGS;
}

static wick_status check_ple(const wick_plan *p, const wick_op_ple *o, wick_err *err)
{
    if (!SANE(o->dim) || !reg_exists(o->base) || !o->norm || !o->embed || o->column > o->embed->n_in ||
        o->dim > o->embed->n_in - o->column)
        return bad_sizes(err);
    CHECK({o->embed, 0, 0, "inputs of the layers", false}, {o->proj, o->dim, p->n_embd, "projection", false},
          {o->gate, o->dim, p->n_embd, "gate", false}, {o->out, p->n_embd, o->dim, "out", false});
    return WICK_OK;
}

static wick_status check_op(const wick_plan *p, const wick_op *o, wick_err *err)
{
    uint32_t cache;
    if ((unsigned)o->kind >= WICK_N_OPS)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, "op", "the CPU backend has no op %s", wick_op_name(o->kind));
    if ((unsigned)o->src >= WICK_N_REGS || (unsigned)o->dst >= WICK_N_REGS)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "register", "registers %d, %d do not exist", (int)o->dst,
                         (int)o->src);
    if (wick_op_cache(o, &cache) && cache >= p->n_caches)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "cache", "cache %u of %u", cache, p->n_caches);
    switch (o->kind) {
    case WICK_OP_EMBED:
        CHECK({o->u.embed.w, p->n_vocab, p->n_embd, "embedding", false},
              {o->u.embed.w_pos, 0, p->n_embd, "positions", true},
              {o->u.embed.w_type, 0, p->n_embd, "token types", true});
        return WICK_OK;
    case WICK_OP_ATTN: return check_attn(p, &o->u.attn, err);
    case WICK_OP_MLP: return check_mlp(p, &o->u.mlp, err);
    case WICK_OP_PLE: return check_ple(p, &o->u.ple, err);
    case WICK_OP_MOE: return check_moe(p, &o->u.moe, err);
    case WICK_OP_HEAD: CHECK({o->u.head.w, p->n_vocab, p->n_embd, "head", p->whole}); return WICK_OK;
    case WICK_OP_MLA:
    case WICK_OP_CONV:
    case WICK_OP_MAMBA1:
    case WICK_OP_MAMBA2:
    case WICK_OP_DELTA: return check_mixer(p, o, err);
    case WICK_OP_NORM:
    case WICK_OP_ADD:
    case WICK_OP_COPY:
    case WICK_N_OPS: break;
    }
    return WICK_OK;
}

wick_status wick_cpu_check(const wick_plan *p, wick_err *err)
{
    if (p->n_embd == 0 || p->n_vocab == 0 || p->n_ops == 0 || p->op[0].kind != WICK_OP_EMBED)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "plan",
                         "a plan begins with EMBED and has a width and a vocabulary");
    for (uint32_t i = 0; i < p->n_ops; i++) {
        wick_status st = check_op(p, &p->op[i], err);
        if (st != WICK_OK) {
            wick_err_prefix(err, "op %u (%s, layer %d)", i, wick_op_name(p->op[i].kind), p->op[i].layer);
            return st;
        }
    }
    return WICK_OK;
}
