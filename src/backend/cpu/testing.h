/* backend/cpu/testing.h - for the tests of this folder: random plans, and what they mean in double precision.
 *
 * ref_run() walks a plan op by op over one whole sequence, without caches, as plan.h words it. Included by tests
 * only. */
#pragma once
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/cpu/cpu.h"

static uint64_t rng_state = 1;

static inline uint32_t rng(void)
{
    rng_state = rng_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(rng_state >> 33);
}
static inline float rnd(float scale) /* about normal */
{
    float s = 0;
    for (int i = 0; i < 4; i++) s += (float)(rng() % 20001) / 10000.0F - 1.0F;
    return s * 0.866F * scale;
}

static inline void *zeros(wick_arena *a, size_t n, size_t size)
{
    void *p = wick_arena_array(a, n, size);
    if (!p) abort();
    return p;
}
static inline float *rnd_vec(wick_arena *a, uint32_t n, float mean, float scale)
{
    float *v = zeros(a, n, sizeof *v);
    for (uint32_t i = 0; i < n; i++) v[i] = mean + rnd(scale);
    return v;
}

/* bits 0: float32; 4 or 8: affine with groups of 32 */
static inline void fill_weight(wick_arena *a, wick_weight *w, uint32_t n_out, uint32_t n_in, uint32_t bits)
{
    float scale = 1.0F / sqrtf((float)n_in);
    memset(w, 0, sizeof *w);
    w->name = "random";
    w->n_out = n_out;
    w->n_in = n_in;
    w->dtype = WICK_DTYPE_F32;
    if (bits == 0 || n_in % 32) {
        w->enc = WICK_ENC_PLAIN;
        w->data = (const uint8_t *)rnd_vec(a, n_out * n_in, 0, scale);
    } else {
        uint32_t g = n_in / 32, words = n_in * bits / 32;
        uint32_t *codes = zeros(a, (size_t)n_out * words, 4);
        for (size_t i = 0; i < (size_t)n_out * words; i++) codes[i] = rng() ^ rng() << 16;
        float step = scale * (bits == 4 ? 0.3F : 0.02F), mid = bits == 4 ? 7.5F : 127.5F;
        float *s = rnd_vec(a, n_out * g, step, step * 0.2F), *b = zeros(a, (size_t)n_out * g, 4);
        for (uint32_t i = 0; i < n_out * g; i++) b[i] = -mid * s[i];
        w->enc = WICK_ENC_AFFINE;
        w->bits = bits;
        w->group = 32;
        w->data = (const uint8_t *)codes;
        w->scales = (const uint8_t *)s;
        w->biases = (const uint8_t *)b;
    }
    wick_err err;
    if (wick_weight_finish(w, &err) != WICK_OK) abort();
}
static inline wick_weight *rnd_weight(wick_arena *a, uint32_t n_out, uint32_t n_in, uint32_t bits)
{
    wick_weight *w = zeros(a, 1, sizeof *w);
    fill_weight(a, w, n_out, n_in, bits);
    return w;
}

static inline wick_rope *make_rope(wick_arena *a, uint32_t n_dims, float base)
{
    wick_rope *r = zeros(a, 1, sizeof *r);
    float *f = zeros(a, n_dims / 2, sizeof *f);
    for (uint32_t i = 0; i < n_dims / 2; i++) f[i] = powf(base, -2.0F * (float)i / (float)n_dims);
    r->n_dims = n_dims;
    r->inv_freq = f;
    r->mscale = 1.0F;
    return r;
}

/* A plan to which ops are added one by one. */
typedef struct maker {
    wick_plan p;
    uint32_t bits;
} maker;

static inline void maker_init(maker *k, uint32_t n_embd, uint32_t n_vocab, uint32_t bits, uint64_t seed)
{
    memset(k, 0, sizeof *k);
    rng_state = seed;
    k->bits = bits;
    k->p.arch = "test";
    k->p.n_embd = n_embd;
    k->p.n_vocab = n_vocab;
    wick_arena_init(&k->p.arena, 0);
    k->p.op = zeros(&k->p.arena, 256, sizeof *k->p.op);
    k->p.cache = zeros(&k->p.arena, 64, sizeof *k->p.cache);
}
static inline wick_op *add_op(maker *k, wick_op_kind kind, wick_reg dst, wick_reg src)
{
    wick_op *o = &k->p.op[k->p.n_ops++];
    o->kind = kind;
    o->dst = dst;
    o->src = src;
    return o;
}
static inline void add_embed(maker *k)
{
    wick_op *o = add_op(k, WICK_OP_EMBED, WICK_R_X, WICK_R_X);
    o->u.embed.w = rnd_weight(&k->p.arena, k->p.n_vocab, k->p.n_embd, k->bits);
    o->u.embed.scale = sqrtf((float)k->p.n_embd);
}
static inline void add_norm(maker *k, wick_reg dst, wick_reg src)
{
    wick_op *o = add_op(k, WICK_OP_NORM, dst, src);
    o->u.norm.w = rnd_vec(&k->p.arena, k->p.n_embd, 1.0F, 0.2F);
    o->u.norm.eps = 1e-5F;
}
static inline void add_add(maker *k, wick_reg dst, wick_reg src, float ds, float ss)
{
    wick_op *o = add_op(k, WICK_OP_ADD, dst, src);
    o->u.add.dst_scale = ds;
    o->u.add.src_scale = ss;
}
static inline uint32_t add_kv_cache(maker *k, uint32_t heads, uint32_t kd, uint32_t vd, uint32_t window)
{
    k->p.cache[k->p.n_caches] = (wick_cache_spec){WICK_CACHE_KV, heads, kd, vd, window, 0};
    return k->p.n_caches++;
}
static inline wick_op_attn *add_attn(maker *k, uint32_t heads, uint32_t kv_heads, uint32_t hd, uint32_t window)
{
    wick_op *o = add_op(k, WICK_OP_ATTN, WICK_R_H, WICK_R_H);
    wick_op_attn *t = &o->u.attn;
    wick_arena *a = &k->p.arena;
    t->cache = add_kv_cache(k, kv_heads, hd, hd, window);
    t->n_head = heads;
    t->n_kv_head = kv_heads;
    t->head_dim = t->v_head_dim = hd;
    t->wq = rnd_weight(a, heads * hd, k->p.n_embd, k->bits);
    t->wk = rnd_weight(a, kv_heads * hd, k->p.n_embd, k->bits);
    t->wv = rnd_weight(a, kv_heads * hd, k->p.n_embd, k->bits);
    t->wo = rnd_weight(a, k->p.n_embd, heads * hd, k->bits);
    t->rope = make_rope(a, hd, 10000.0F);
    t->scale = 1.0F / sqrtf((float)hd);
    t->qk_norm_eps = 1e-6F;
    t->window = window;
    return t;
}
static inline wick_op_mlp *add_mlp(maker *k, uint32_t n_ff)
{
    wick_op *o = add_op(k, WICK_OP_MLP, WICK_R_H, WICK_R_H);
    o->u.mlp.gate = rnd_weight(&k->p.arena, n_ff, k->p.n_embd, k->bits);
    o->u.mlp.up = rnd_weight(&k->p.arena, n_ff, k->p.n_embd, k->bits);
    o->u.mlp.down = rnd_weight(&k->p.arena, k->p.n_embd, n_ff, k->bits);
    o->u.mlp.n_ff = n_ff;
    return &o->u.mlp;
}
static inline void add_head(maker *k, bool tied)
{
    add_norm(k, WICK_R_X, WICK_R_X);
    wick_op *o = add_op(k, WICK_OP_HEAD, WICK_R_X, WICK_R_X);
    o->u.head.w = tied ? k->p.op[0].u.embed.w : rnd_weight(&k->p.arena, k->p.n_vocab, k->p.n_embd, k->bits);
    o->u.head.scale = 1.0F;
}
/* `layers` plain llama blocks */
static inline void make_llama(maker *k, uint32_t layers, uint32_t n_embd, uint32_t heads, uint32_t kv_heads,
                              uint32_t hd, uint32_t n_ff, uint32_t n_vocab, uint32_t bits, uint64_t seed)
{
    maker_init(k, n_embd, n_vocab, bits, seed);
    add_embed(k);
    for (uint32_t l = 0; l < layers; l++) {
        add_norm(k, WICK_R_H, WICK_R_X);
        add_attn(k, heads, kv_heads, hd, 0);
        add_add(k, WICK_R_X, WICK_R_H, 1, 1);
        add_norm(k, WICK_R_H, WICK_R_X);
        add_mlp(k, n_ff);
        add_add(k, WICK_R_X, WICK_R_H, 1, 1);
    }
    add_head(k, true);
}

/* ---- the reference ---- */

typedef struct ref {
    const wick_plan *p;
    const int32_t *tok;
    uint32_t n;
    double *reg[WICK_N_REGS], *logits; /* [n][n_embd], [n][n_vocab] */
    double **kv_k, **kv_v;             /* by cache: what shared caches read */
} ref;

static inline double *ref_new(size_t n)
{
    double *p = calloc(n ? n : 1, sizeof *p);
    if (!p) abort();
    return p;
}

/* y[n][n_out] = x[n][n_in] W^T + b; returns a new array */
static inline double *ref_linear(const wick_weight *w, const float *b, const double *x, uint32_t n, uint64_t stride)
{
    double *y = ref_new((size_t)n * w->n_out);
    float *row = calloc(w->n_in, sizeof *row);
    for (uint32_t o = 0; o < w->n_out; o++) {
        wick_weight_row(w, o, row);
        for (uint32_t m = 0; m < n; m++) {
            double s = b ? b[o] : 0;
            for (uint32_t i = 0; i < w->n_in; i++) s += (double)row[i] * x[m * stride + i];
            y[(size_t)m * w->n_out + o] = s;
        }
    }
    free(row);
    return y;
}
static inline void ref_norm(double *x, const float *w, const float *b, uint32_t n, double eps, wick_norm_kind kind)
{
    double mean = 0, var = 0;
    for (uint32_t i = 0; i < n; i++) mean += x[i] / n;
    if (kind == WICK_NORM_RMS) mean = 0;
    for (uint32_t i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / n;
    for (uint32_t i = 0; i < n; i++) x[i] = (x[i] - mean) / sqrt(var + eps) * (w ? w[i] : 1) + (b ? b[i] : 0);
}
static inline double ref_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}
static inline double ref_act(double g, double u, wick_act k, double alpha, double limit)
{
    switch (k) {
    case WICK_ACT_SILU: return g * ref_sigmoid(g) * u;
    case WICK_ACT_GELU: return 0.5 * g * (1 + erf(g / sqrt(2))) * u;
    case WICK_ACT_GELU_TANH:
        return 0.5 * g * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (g + 0.044715 * g * g * g))) * u;
    case WICK_ACT_RELU: return (g > 0 ? g : 0) * u;
    case WICK_ACT_RELU2: return (g > 0 ? g * g : 0) * u;
    case WICK_ACT_SWIGLU_OAI:
        if (limit == 0) limit = INFINITY;
        return fmin(g, limit) * ref_sigmoid(alpha * fmin(g, limit)) * (fmax(fmin(u, limit), -limit) + 1);
    case WICK_ACT_XIELU: return g > 0 ? alpha * g * g + g / 2 : (expm1(g) - g) * limit + g / 2;
    case WICK_ACT_IDENTITY: break;
    }
    return g * u;
}
static inline void ref_rope(double *x, const wick_rope *r, uint32_t pos)
{
    uint32_t h = r->n_dims / 2;
    x += r->first_dim;
    for (uint32_t i = 0; i < h; i++) {
        double c = cos((double)pos * r->inv_freq[i]) * r->mscale, s = sin((double)pos * r->inv_freq[i]) * r->mscale;
        uint32_t ia = r->interleaved ? 2 * i : i, ib = r->interleaved ? 2 * i + 1 : i + h;
        double a = x[ia], b = x[ib];
        x[ia] = a * c - b * s;
        x[ib] = a * s + b * c;
    }
}

static inline void ref_heads(double *x, uint64_t stride, uint32_t n, uint32_t heads, uint32_t hd, uint32_t step,
                             const float *w, const wick_op_attn *o)
{
    for (uint32_t m = 0; m < n; m++) {
        double *r = x + m * stride;
        if (o->clip_qkv != 0)
            for (uint32_t i = 0; i < heads * step; i++) r[i] = fmax(-o->clip_qkv, fmin(o->clip_qkv, r[i]));
        if (w && o->qk_norm_whole_row) ref_norm(r, w, NULL, heads * hd, o->qk_norm_eps, o->qk_norm_kind);
        for (uint32_t h = 0; h < heads; h++) {
            const float *wh = !w || o->qk_norm_whole_row ? NULL : o->qk_norm_per_head_w ? w + h * hd : w;
            if (wh && !o->qk_norm_after_rope) ref_norm(r + h * step, wh, NULL, hd, o->qk_norm_eps, o->qk_norm_kind);
            if (o->rope) ref_rope(r + h * step, o->rope, m);
            if (wh && o->qk_norm_after_rope) ref_norm(r + h * step, wh, NULL, hd, o->qk_norm_eps, o->qk_norm_kind);
        }
    }
}

static inline double *ref_attn(ref *f, const wick_op_attn *o, const double *x)
{
    uint32_t n = f->n, hd = o->head_dim, vd = o->v_head_dim, g = o->n_head / o->n_kv_head,
             step = o->out_gate ? 2 * hd : hd;
    double *q = ref_linear(o->wq, o->bq, x, n, f->p->n_embd);
    ref_heads(q, (uint64_t)o->n_head * step, n, o->n_head, hd, step, o->q_norm, o);
    if (!o->kv_shared) {
        double *k = ref_linear(o->wk, o->bk, x, n, f->p->n_embd), *v = ref_linear(o->wv, o->bv, x, n, f->p->n_embd);
        ref_heads(k, (uint64_t)o->n_kv_head * hd, n, o->n_kv_head, hd, hd, o->k_norm, o);
        for (size_t i = 0; o->clip_qkv != 0 && i < (size_t)n * o->n_kv_head * vd; i++)
            v[i] = fmax(-o->clip_qkv, fmin(o->clip_qkv, v[i]));
        for (uint32_t i = 0; o->v_norm && i < n * o->n_kv_head; i++)
            ref_norm(v + (size_t)i * vd, NULL, NULL, vd, o->qk_norm_eps, WICK_NORM_RMS);
        free(f->kv_k[o->cache]);
        free(f->kv_v[o->cache]);
        f->kv_k[o->cache] = k;
        f->kv_v[o->cache] = v;
    }
    double *out = ref_new((size_t)n * o->n_head * vd), *s = ref_new(n);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t h = 0; h < o->n_head; h++) {
            const double *qh = q + ((size_t)m * o->n_head + h) * step;
            double *y = out + ((size_t)m * o->n_head + h) * vd, top = o->sinks ? o->sinks[h] : -INFINITY, sum = 0;
            double scale = o->scale;
            uint32_t lo = o->window && m + 1 > o->window ? m + 1 - o->window : 0;
            if (o->chunked) lo = m / o->window * o->window;
            if (o->temp_beta != 0) scale *= 1 + o->temp_beta * log(1 + floor((double)(m + o->temp_add) / o->temp_len));
            for (uint32_t j = lo; j <= m; j++) {
                const double *kh = f->kv_k[o->cache] + ((size_t)j * o->n_kv_head + h / g) * hd;
                s[j] = 0;
                for (uint32_t d = 0; d < hd; d++) s[j] += qh[d] * kh[d] * scale;
                if (o->softcap != 0) s[j] = o->softcap * tanh(s[j] / o->softcap);
                top = fmax(top, s[j]);
            }
            if (o->sinks) sum = exp(o->sinks[h] - top);
            for (uint32_t j = lo; j <= m; j++) sum += exp(s[j] - top);
            for (uint32_t j = lo; j <= m; j++)
                for (uint32_t d = 0; d < vd; d++)
                    y[d] += exp(s[j] - top) / sum * f->kv_v[o->cache][((size_t)j * o->n_kv_head + h / g) * vd + d];
            for (uint32_t d = 0; o->out_gate && d < vd; d++) y[d] *= ref_sigmoid(qh[hd + d]);
        }
    double *r = ref_linear(o->wo, o->bo, out, n, (uint64_t)o->n_head * vd);
    free(q);
    free(out);
    free(s);
    return r;
}

static inline double *ref_mlp(const wick_op_mlp *o, const double *x, uint32_t n, uint64_t stride)
{
    double *u = ref_linear(o->up, o->b_up, x, n, stride);
    double *g = o->gate ? ref_linear(o->gate, o->b_gate, x, n, stride) : NULL;
    for (size_t i = 0; i < (size_t)n * o->n_ff; i++)
        u[i] = ref_act(g ? g[i] : u[i], g ? u[i] : 1, o->act, o->act_alpha, o->act_limit);
    double *y = ref_linear(o->down, o->b_down, u, n, o->n_ff);
    free(u);
    free(g);
    return y;
}

typedef double *(*ref_other)(ref *f, const wick_op *o, const double *x);

static inline double *ref_op(ref *f, const wick_op *o, ref_other other)
{
    uint32_t n = f->n, w = f->p->n_embd;
    const double *x = f->reg[o->src];
    double *y = NULL;
    switch ((int)o->kind) {
    case WICK_OP_EMBED: {
        float *row = calloc(w, sizeof *row);
        y = ref_new((size_t)n * w);
        for (uint32_t m = 0; m < n; m++) {
            wick_weight_row(o->u.embed.w, (uint32_t)f->tok[m], row);
            for (uint32_t i = 0; i < w; i++) y[(size_t)m * w + i] = (double)row[i] * o->u.embed.scale;
            if (o->u.embed.w_pos) wick_weight_row(o->u.embed.w_pos, m + o->u.embed.pos_offset, row);
            for (uint32_t i = 0; o->u.embed.w_pos && i < w; i++) y[(size_t)m * w + i] += row[i];
        }
        free(row);
        return y;
    }
    case WICK_OP_NORM:
        y = ref_new((size_t)n * w);
        memcpy(y, x, (size_t)n * w * sizeof *y);
        for (uint32_t m = 0; m < n; m++)
            ref_norm(y + (size_t)m * w, o->u.norm.w, o->u.norm.b, w, o->u.norm.eps, o->u.norm.kind);
        return y;
    case WICK_OP_ADD:
    case WICK_OP_COPY:
        y = ref_new((size_t)n * w);
        for (size_t i = 0; i < (size_t)n * w; i++)
            y[i] = x[i] * o->u.add.src_scale + (o->kind == WICK_OP_ADD ? f->reg[o->dst][i] * o->u.add.dst_scale : 0);
        return y;
    case WICK_OP_ATTN: return ref_attn(f, &o->u.attn, x);
    case WICK_OP_MLP: return ref_mlp(&o->u.mlp, x, n, w);
    case WICK_OP_HEAD:
        y = ref_linear(o->u.head.w, o->u.head.b, x, n, w);
        for (size_t i = 0; i < (size_t)n * f->p->n_vocab; i++) {
            y[i] *= o->u.head.scale;
            if (o->u.head.softcap != 0) y[i] = o->u.head.softcap * tanh(y[i] / o->u.head.softcap);
        }
        return y;
    default: return other(f, o, x);
    }
}

/* Logits of every position: [n][n_vocab], to be freed. */
static inline double *ref_run(const wick_plan *p, const int32_t *tok, uint32_t n, ref_other other)
{
    ref f = {.p = p, .tok = tok, .n = n};
    f.kv_k = calloc(p->n_caches + 1, sizeof *f.kv_k);
    f.kv_v = calloc(p->n_caches + 1, sizeof *f.kv_v);
    for (int r = 0; r < WICK_N_REGS; r++) f.reg[r] = ref_new((size_t)n * p->n_embd);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        double *y = ref_op(&f, &p->op[i], other);
        double **dst = p->op[i].kind == WICK_OP_HEAD ? &f.logits : &f.reg[p->op[i].dst];
        free(*dst);
        *dst = y;
    }
    for (int r = 0; r < WICK_N_REGS; r++) free(f.reg[r]);
    for (uint32_t c = 0; c < p->n_caches; c++) free(f.kv_k[c]), free(f.kv_v[c]);
    free(f.kv_k);
    free(f.kv_v);
    return f.logits;
}

/* Largest difference, relative to the size of the logits. */
static inline double ref_diff(const double *want, const float *got, size_t n)
{
    double diff = 0, size = 1e-9;
    for (size_t i = 0; i < n; i++) {
        double d = fabs(want[i] - got[i]);
        if (!(d <= diff)) diff = d;
        size = fmax(size, fabs(want[i]));
    }
    return diff / size;
}

/* Prints which of these instruction sets (NULL: the best) exist here and are therefore tested. */
static inline void say_isas(const char *const *name, size_t n)
{
    const wick_lin_isa *isa;
    printf("instruction sets:");
    for (size_t i = 0; i < n; i++)
        if (wick_lin_isa_pick(&isa, name[i], NULL) == WICK_OK)
            printf(" %s%s, rows %s;", name[i] ? "" : "best: ", isa->name, wick_rowops_pick(isa)->name);
    printf("\n");
    fflush(stdout);
}

/* A plan loaded on the CPU backend. */
typedef struct rig {
    wick_backend_ctx *c;
    wick_backend_model *m;
} rig;

static inline wick_status rig_open(rig *r, const wick_plan *p, wick_precision prec, wick_dtype kv, uint32_t threads,
                                   const char *isa, uint32_t max_tokens, wick_err *err)
{
    wick_backend_opts o = {.n_threads = threads, .precision = prec, .kv_dtype = kv, .isa = isa};
    memset(r, 0, sizeof *r);
    WICK_TRY(wick_backend_cpu.open(&r->c, &o, err));
    wick_status st = wick_backend_cpu.load(r->c, p, max_tokens, (wick_progress){0}, &r->m, err);
    if (st != WICK_OK) {
        wick_backend_cpu.close(r->c);
        memset(r, 0, sizeof *r);
    }
    return st;
}
static inline void rig_close(rig *r)
{
    if (r->m) wick_backend_cpu.unload(r->m);
    if (r->c) wick_backend_cpu.close(r->c);
}
/* One row; its outputs are copied to `out` if that is not NULL. */
static inline wick_status rig_step(rig *r, wick_seq *s, const int32_t *tok, uint32_t n, uint32_t out_flags, float *out,
                                   wick_err *err)
{
    wick_row row = {s, tok, n, out_flags, 0};
    wick_batch b = {&row, 1};
    wick_step_out o;
    WICK_TRY(wick_backend_cpu.step_submit(r->m, &b, err));
    WICK_TRY(wick_backend_cpu.step_wait(r->m, &o, err));
    if (out) memcpy(out, o.data, (size_t)o.n * o.width * sizeof *out);
    return WICK_OK;
}
