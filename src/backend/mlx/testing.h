/* backend/mlx/testing.h - for the tests of this folder: a tiny random model and its definition in double, and steps of
 * it. */
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/mlx/mlx.h"

#ifndef TINY_DIM
#define TINY_DIM 8
#endif
enum {
    EMBD = 32,
    HEADS = 4,
    KV_HEADS = 2,
    DIM = TINY_DIM,
    FF = 64,
    VOCAB = 40,
    LAYERS = 2,
    MAX_TOKENS = 700,
    MAX_LEN = 1400
};

static const wick_backend *const be = &wick_backend_mlx;
static wick_err err;
static uint32_t seed;

#define OK(call)                                                    \
    do {                                                            \
        wick_status ok_ = (call);                                   \
        if (ok_ != WICK_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

static inline float uniform(void)
{
    seed = seed * 1664525U + 1013904223U;
    return (float)(seed >> 8) / (float)(1 << 24) * 2.0F - 1.0F;
}

typedef struct tiny {
    wick_plan p;
    wick_op op[2 + LAYERS * 6 + 1];
    wick_cache_spec cache[LAYERS];
    wick_rope rope;
    float inv_freq[DIM / 2];
    uint32_t bits; /* 0: float32 */
    wick_backend_ctx *c;
    wick_backend_model *m;
} tiny;

static inline const wick_weight *matrix(tiny *t, uint32_t n_out, uint32_t n_in)
{
    enum { GROUP = 32 };
    wick_weight *w = wick_arena_array(&t->p.arena, 1, sizeof *w);
    float *x = wick_arena_array(&t->p.arena, (size_t)n_out * n_in, sizeof *x);
    assert_non_null(w);
    assert_non_null(x);
    for (uint32_t i = 0; i < n_out * n_in; i++) x[i] = uniform() * 1.7F / sqrtf((float)n_in);
    *w = (wick_weight){
        .enc = WICK_ENC_PLAIN, .dtype = WICK_DTYPE_F32, .n_out = n_out, .n_in = n_in, .data = (uint8_t *)x};
    if (t->bits) {
        uint32_t words = n_in * t->bits / 32, groups = n_in / GROUP;
        uint32_t *codes = wick_arena_array(&t->p.arena, (size_t)n_out * words, sizeof *codes);
        float *scales = wick_arena_array(&t->p.arena, (size_t)n_out * groups, sizeof *scales);
        float *biases = wick_arena_array(&t->p.arena, (size_t)n_out * groups, sizeof *biases);
        for (uint32_t r = 0; r < n_out; r++)
            wick_affine_encode_row(x + (size_t)r * n_in, n_in, t->bits, GROUP, codes + (size_t)r * words,
                                   scales + (size_t)r * groups, biases + (size_t)r * groups);
        w->enc = WICK_ENC_AFFINE;
        w->bits = t->bits;
        w->group = GROUP;
        w->data = (uint8_t *)codes;
        w->scales = (uint8_t *)scales;
        w->biases = (uint8_t *)biases;
    }
    OK(wick_weight_finish(w, &err));
    return w;
}

static inline const float *vector(tiny *t, uint32_t n)
{
    float *x = wick_arena_array(&t->p.arena, n, sizeof *x);
    assert_non_null(x);
    for (uint32_t i = 0; i < n; i++) x[i] = 1.0F + 0.2F * uniform();
    return x;
}

static inline wick_op *add_op(tiny *t, wick_op_kind kind, wick_reg dst, wick_reg src)
{
    wick_op *o = &t->op[t->p.n_ops++];
    *o = (wick_op){.kind = kind, .dst = dst, .src = src};
    return o;
}

static inline void add_norm(tiny *t)
{
    wick_op *o = add_op(t, WICK_OP_NORM, WICK_R_H, WICK_R_X);
    o->u.norm = (wick_op_norm){.kind = WICK_NORM_RMS, .w = vector(t, EMBD), .eps = 1e-5F};
}

static inline void add_residual(tiny *t)
{
    add_op(t, WICK_OP_ADD, WICK_R_X, WICK_R_H)->u.add = (wick_op_add){1.0F, 1.0F};
}

static bool with_sinks; /* in the models that are made from now on */

static inline void make_plan(tiny *t, uint32_t window, float softcap, uint32_t bits)
{
    memset(t, 0, sizeof *t);
    t->bits = bits;
    seed = 7;
    wick_arena_init(&t->p.arena, 0);
    t->p.arch = "tiny";
    t->p.n_embd = EMBD;
    t->p.n_vocab = VOCAB;
    t->p.n_layer = t->p.n_caches = LAYERS;
    t->p.op = t->op;
    t->p.cache = t->cache;
    t->p.act_dtype = WICK_DTYPE_F32;
    for (int i = 0; i < DIM / 2; i++) t->inv_freq[i] = powf(10000.0F, -2.0F * (float)i / DIM);
    t->rope = (wick_rope){.n_dims = DIM, .inv_freq = t->inv_freq, .mscale = 1.0F};
    add_op(t, WICK_OP_EMBED, WICK_R_X, WICK_R_X)->u.embed = (wick_op_embed){.w = matrix(t, VOCAB, EMBD), .scale = 2.0F};
    for (uint32_t l = 0; l < LAYERS; l++) {
        t->cache[l] = (wick_cache_spec){
            .kind = WICK_CACHE_KV, .n_kv_head = KV_HEADS, .k_dim = DIM, .v_dim = DIM, .window = l ? window : 0};
        add_norm(t);
        wick_op *o = add_op(t, WICK_OP_ATTN, WICK_R_H, WICK_R_H);
        o->u.attn = (wick_op_attn){.cache = l,
                                   .n_head = HEADS,
                                   .n_kv_head = KV_HEADS,
                                   .head_dim = DIM,
                                   .v_head_dim = DIM,
                                   .wq = matrix(t, HEADS * DIM, EMBD),
                                   .wk = matrix(t, KV_HEADS * DIM, EMBD),
                                   .wv = matrix(t, KV_HEADS * DIM, EMBD),
                                   .wo = matrix(t, EMBD, HEADS * DIM),
                                   .rope = &t->rope,
                                   .scale = 0.35F,
                                   .sinks = with_sinks ? vector(t, HEADS) : NULL,
                                   .softcap = softcap,
                                   .window = l ? window : 0};
        add_residual(t);
        add_norm(t);
        o = add_op(t, WICK_OP_MLP, WICK_R_H, WICK_R_H);
        o->u.mlp = (wick_op_mlp){.gate = matrix(t, FF, EMBD),
                                 .up = matrix(t, FF, EMBD),
                                 .down = matrix(t, EMBD, FF),
                                 .n_ff = FF,
                                 .act = WICK_ACT_SILU};
        add_residual(t);
    }
    add_norm(t);
    add_op(t, WICK_OP_HEAD, WICK_R_H, WICK_R_H)->u.head = (wick_op_head){.w = matrix(t, VOCAB, EMBD), .scale = 1.0F};
}

static wick_dtype kv_type = WICK_DTYPE_F32; /* of what open_tiny opens */

static inline void open_tiny(tiny *t, uint32_t window, float softcap, uint32_t bits)
{
    wick_backend_opts o = {.device = "cpu", .precision = WICK_PRECISION_EXACT, .kv_dtype = kv_type};
    wick_progress none = {0};
    make_plan(t, window, softcap, bits);
    OK(be->open(&t->c, &o, &err));
    OK(be->check(t->c, &t->p, &err));
    OK(be->load(t->c, &t->p, MAX_TOKENS, none, &t->m, &err));
}

static inline void close_tiny(tiny *t)
{
    be->unload(t->m);
    be->close(t->c);
    wick_arena_release(&t->p.arena);
}

static inline void product(const wick_weight *w, const double *x, double *y)
{
    float row[FF + HEADS * DIM];
    for (uint32_t r = 0; r < w->n_out; r++) {
        wick_weight_row(w, r, row);
        y[r] = 0;
        for (uint32_t i = 0; i < w->n_in; i++) y[r] += (double)row[i] * x[i];
    }
}

static inline void ref_norm(const wick_op_norm *o, const double *x, double *y)
{
    double sum = 0;
    for (int i = 0; i < EMBD; i++) sum += x[i] * x[i];
    for (int i = 0; i < EMBD; i++) y[i] = x[i] / sqrt(sum / EMBD + (double)o->eps) * (double)o->w[i];
}

static inline void ref_rope(const tiny *t, double *x, uint32_t n_head, uint32_t pos)
{
    for (uint32_t h = 0; h < n_head; h++, x += DIM) {
        for (int i = 0; i < DIM / 2; i++) {
            double a = pos * (double)t->inv_freq[i], u = x[i], v = x[i + DIM / 2];
            x[i] = u * cos(a) - v * sin(a);
            x[i + DIM / 2] = u * sin(a) + v * cos(a);
        }
    }
}

/* K and V of every position so far, per layer, in double. */
static double ref_k[LAYERS][MAX_LEN][KV_HEADS * DIM], ref_v[LAYERS][MAX_LEN][KV_HEADS * DIM];

/* What the cache makes of a K and V that were just computed; NULL: it keeps them. */
static void (*ref_stored)(uint32_t cache, uint32_t pos);

static inline void ref_attn(const tiny *t, const wick_op_attn *o, const double *x, uint32_t pos, double *y)
{
    double q[HEADS * DIM], z[HEADS * DIM], p[MAX_LEN];
    product(o->wq, x, q);
    product(o->wk, x, ref_k[o->cache][pos]);
    product(o->wv, x, ref_v[o->cache][pos]);
    ref_rope(t, q, HEADS, pos);
    ref_rope(t, ref_k[o->cache][pos], KV_HEADS, pos);
    if (ref_stored) ref_stored(o->cache, pos);
    uint32_t from = o->window && pos + 1 > o->window ? pos + 1 - o->window : 0;
    for (uint32_t h = 0; h < HEADS; h++) {
        uint32_t kv = h / (HEADS / KV_HEADS) * DIM;
        double sum = o->sinks ? exp((double)o->sinks[h]) : 0;
        for (uint32_t k = from; k <= pos; k++) {
            p[k] = 0;
            for (uint32_t i = 0; i < DIM; i++) p[k] += q[h * DIM + i] * ref_k[o->cache][k][kv + i];
            p[k] *= (double)o->scale;
            if (o->softcap != 0.0F) p[k] = (double)o->softcap * tanh(p[k] / (double)o->softcap);
            sum += p[k] = exp(p[k]);
        }
        for (uint32_t i = 0; i < DIM; i++) {
            z[h * DIM + i] = 0;
            for (uint32_t k = from; k <= pos; k++) z[h * DIM + i] += p[k] / sum * ref_v[o->cache][k][kv + i];
        }
    }
    product(o->wo, z, y);
}

static inline void ref_token(const tiny *t, int32_t token, uint32_t pos, float *logits)
{
    double x[EMBD], h[EMBD], g[FF], u[FF], out[VOCAB];
    float row[EMBD];
    wick_weight_row(t->op[0].u.embed.w, (uint32_t)token, row);
    for (int i = 0; i < EMBD; i++) x[i] = 2.0 * (double)row[i];
    for (uint32_t i = 1; i < t->p.n_ops; i++) {
        const wick_op *o = &t->op[i];
        if (o->kind == WICK_OP_NORM) ref_norm(&o->u.norm, x, h);
        if (o->kind == WICK_OP_ATTN) {
            double in[EMBD];
            memcpy(in, h, sizeof in);
            ref_attn(t, &o->u.attn, in, pos, h);
        }
        if (o->kind == WICK_OP_MLP) {
            product(o->u.mlp.gate, h, g);
            product(o->u.mlp.up, h, u);
            for (int k = 0; k < FF; k++) u[k] *= g[k] / (1 + exp(-g[k]));
            product(o->u.mlp.down, u, h);
        }
        for (int k = 0; o->kind == WICK_OP_ADD && k < EMBD; k++) x[k] += h[k];
        if (o->kind == WICK_OP_HEAD) product(o->u.head.w, h, out);
    }
    for (int i = 0; i < VOCAB; i++) logits[i] = (float)out[i];
}

static inline void tokens_of(int32_t *t, uint32_t n, uint32_t which)
{
    seed = 100 + which;
    for (uint32_t i = 0; i < n; i++) t[i] = (int32_t)((uint32_t)((uniform() + 1.0F) * 1e6F) % VOCAB);
}

/* One step; the outputs are copied. */
static uint32_t run(tiny *t, const wick_row *rows, uint32_t n_rows, float *out)
{
    wick_batch b = {rows, n_rows};
    wick_step_out o;
    OK(be->step_submit(t->m, &b, &err));
    OK(be->step_wait(t->m, &o, &err));
    if (o.n) memcpy(out, o.data, (size_t)o.n * o.width * sizeof *out);
    return o.n;
}

static inline void assert_near(const float *got, const float *want, size_t n, double limit, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabs((double)got[i] - (double)want[i]) <= limit))
            fail_msg("%s: value %zu is %g, expected %g", what, i, (double)got[i], (double)want[i]);
}

static inline wick_seq *new_seq(tiny *t)
{
    wick_seq *s = NULL;
    OK(be->kv_new(t->m, 0, &s, &err));
    return s;
}

/* All logits of a prompt, in chunks. */
static inline void prefill(tiny *t, wick_seq *s, const int32_t *tok, uint32_t n, uint32_t chunk, float *out)
{
    for (uint32_t i = 0; i < n; i += chunk) {
        wick_row r = {s, tok + i, n - i < chunk ? n - i : chunk, WICK_OUT_ALL, 0};
        out += (size_t)VOCAB * run(t, &r, 1, out);
    }
}

static float got[MAX_LEN * VOCAB], want[MAX_LEN * VOCAB];

static inline void expect_error(tiny *t, const wick_row *r, uint32_t n, wick_status kind)
{
    wick_batch b = {r, n};
    assert_int_equal(be->step_submit(t->m, &b, &err), kind);
    assert_true(err.message[0] != 0);
}
