/* MOE, MLA, CONV, MAMBA1, MAMBA2, DELTA: against double precision as plan.h words them, and bit for bit however the
 * prompt is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "backend/cpu/moe_route.h"
#include "backend/cpu/testing.h"

#define OK(call)                                                    \
    do {                                                            \
        wick_status ok_ = (call);                                   \
        if (ok_ != WICK_OK) fail_msg("%s: %s", #call, err.message); \
    } while (0)

/* ---- references ---- */

static double ref_silu(double x)
{
    return x * ref_sigmoid(x);
}

static double *ref_moe(ref *f, const wick_op_moe *o, const double *x)
{
    uint32_t n = f->n, w = f->p->n_embd, e = o->n_expert;
    double *logit = ref_linear(o->router, o->router_bias, x, n, w), *out = ref_new((size_t)n * w);
    double *sh = o->shared ? ref_mlp(o->shared, x, n, w) : NULL;
    double *sg = o->shared_gate ? ref_linear(o->shared_gate, NULL, x, n, w) : NULL;
    for (uint32_t m = 0; m < n; m++) {
        float s[64], scratch[64], weight[64];
        uint32_t id[64];
        for (uint32_t i = 0; i < e; i++) s[i] = (float)logit[(size_t)m * e + i];
        wick_moe_route(o, s, scratch, id, weight);
        for (uint32_t k = 0; k < o->top_k; k++) {
            double *in = ref_new(w);
            for (uint32_t i = 0; i < w; i++) in[i] = x[(size_t)m * w + i] * (o->scale_input ? weight[k] : 1);
            wick_op_mlp mlp = {.gate = o->gate ? &o->gate[id[k]] : NULL,
                               .up = &o->up[id[k]],
                               .down = &o->down[id[k]],
                               .n_ff = o->n_ff,
                               .act = o->act,
                               .act_alpha = o->act_alpha,
                               .act_limit = o->act_limit};
            if (o->b_gate) mlp.b_gate = o->b_gate + (size_t)id[k] * o->n_ff;
            if (o->b_up) mlp.b_up = o->b_up + (size_t)id[k] * o->n_ff;
            if (o->b_down) mlp.b_down = o->b_down + (size_t)id[k] * w;
            double *y = ref_mlp(&mlp, in, 1, w);
            for (uint32_t i = 0; i < w; i++) out[(size_t)m * w + i] += y[i] * (o->scale_input ? 1 : weight[k]);
            free(y);
            free(in);
        }
        for (uint32_t i = 0; sh && i < w; i++)
            out[(size_t)m * w + i] += sh[(size_t)m * w + i] * (sg ? ref_sigmoid(sg[m]) : 1);
    }
    free(logit);
    free(sh);
    free(sg);
    return out;
}

static double *ref_mla(ref *f, const wick_op_mla *o, const double *x)
{
    uint32_t n = f->n, qh = o->nope_dim + o->rope_dim, lat = o->kv_rank + o->rope_dim;
    double *qa = o->q_rank ? ref_linear(o->q_a, o->q_a_bias, x, n, f->p->n_embd) : NULL;
    for (uint32_t m = 0; qa && m < n; m++)
        ref_norm(qa + (size_t)m * o->q_rank, o->q_a_norm, NULL, o->q_rank, o->norm_eps, WICK_NORM_RMS);
    double *q = ref_linear(o->q_b, NULL, qa ? qa : x, n, qa ? o->q_rank : f->p->n_embd);
    double *kv = ref_linear(o->kv_a, o->kv_a_bias, x, n, f->p->n_embd),
           *out = ref_new((size_t)n * o->n_head * o->v_dim), *s = ref_new(n);
    for (uint32_t m = 0; m < n; m++) {
        ref_norm(kv + (size_t)m * lat, o->kv_a_norm, NULL, o->kv_rank, o->norm_eps, WICK_NORM_RMS);
        ref_rope(kv + (size_t)m * lat + o->kv_rank, o->rope, m);
    }
    for (uint32_t h = 0; h < o->n_head; h++) {
        /* the other form: keys and values are made from the latent rows */
        float *row = calloc(o->nope_dim > o->kv_rank ? o->nope_dim : o->kv_rank, sizeof *row);
        double *k = ref_new((size_t)n * o->nope_dim);
        for (uint32_t r = 0; r < o->kv_rank; r++) {
            wick_weight_row(o->k_b[h], r, row);
            for (uint32_t j = 0; j < n; j++)
                for (uint32_t d = 0; d < o->nope_dim; d++)
                    k[(size_t)j * o->nope_dim + d] += row[d] * kv[(size_t)j * lat + r];
        }
        double *v = ref_linear(o->v_b[h], NULL, kv, n, lat);
        for (uint32_t m = 0; m < n; m++) {
            double *qm = q + ((size_t)m * o->n_head + h) * qh, sum = 0;
            ref_rope(qm + o->nope_dim, o->rope, m);
            for (uint32_t j = 0; j <= m; j++) {
                s[j] = 0;
                for (uint32_t d = 0; d < o->nope_dim; d++) s[j] += qm[d] * k[(size_t)j * o->nope_dim + d];
                for (uint32_t d = 0; d < o->rope_dim; d++)
                    s[j] += qm[o->nope_dim + d] * kv[(size_t)j * lat + o->kv_rank + d];
                s[j] = exp(s[j] * o->scale);
                sum += s[j];
            }
            for (uint32_t j = 0; j <= m; j++)
                for (uint32_t d = 0; d < o->v_dim; d++)
                    out[((size_t)m * o->n_head + h) * o->v_dim + d] += s[j] / sum * v[(size_t)j * o->v_dim + d];
        }
        free(row);
        free(k);
        free(v);
    }
    double *y = ref_linear(o->wo, o->bo, out, n, (uint64_t)o->n_head * o->v_dim);
    free(qa);
    free(q);
    free(kv);
    free(out);
    free(s);
    return y;
}

/* Causal depthwise convolution of columns [0, c) of x; returns a new array [n][c]. */
static double *ref_conv(const double *x, uint64_t stride, uint32_t n, uint32_t c, uint32_t kernel, const float *w,
                        const float *b)
{
    double *y = ref_new((size_t)n * c);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t i = 0; i < c; i++) {
            y[(size_t)m * c + i] = b ? b[i] : 0;
            for (uint32_t k = 0; k < kernel; k++)
                if (m + k + 1 >= kernel)
                    y[(size_t)m * c + i] += w[(size_t)i * kernel + k] * x[(m + k + 1 - kernel) * stride + i];
        }
    return y;
}

static double *ref_shortconv(ref *f, const wick_op_conv *o, const double *x)
{
    uint32_t n = f->n, c = o->n_channels;
    double *in = ref_linear(o->in, o->b_in, x, n, f->p->n_embd);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t i = 0; i < c; i++) in[(size_t)m * 3 * c + i] *= in[(size_t)m * 3 * c + 2 * c + i];
    double *y = ref_conv(in, 3 * c, n, c, o->kernel, o->conv_w, o->conv_b);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t i = 0; i < c; i++) y[(size_t)m * c + i] *= in[(size_t)m * 3 * c + c + i];
    double *out = ref_linear(o->out, o->b_out, y, n, c);
    free(in);
    free(y);
    return out;
}

static double ref_softplus(double x)
{
    return log1p(exp(x));
}

static double *ref_mamba1(ref *f, const wick_op_mamba *o, const double *src)
{
    uint32_t n = f->n, c = o->d_inner, ds = o->d_state, xw = o->dt_rank + 2 * ds;
    double *in = ref_linear(o->in, o->b_in, src, n, f->p->n_embd),
           *x = ref_conv(in, 2 * c, n, c, o->kernel, o->conv_w, o->conv_b);
    for (size_t i = 0; i < (size_t)n * c; i++) x[i] = ref_silu(x[i]);
    double *p = ref_linear(o->x, NULL, x, n, c);
    for (uint32_t m = 0; m < n; m++) {
        double *r = p + (size_t)m * xw;
        if (o->dt_norm) ref_norm(r, o->dt_norm, NULL, o->dt_rank, o->norm_eps, WICK_NORM_RMS);
        if (o->b_norm) ref_norm(r + o->dt_rank, o->b_norm, NULL, ds, o->norm_eps, WICK_NORM_RMS);
        if (o->c_norm) ref_norm(r + o->dt_rank + ds, o->c_norm, NULL, ds, o->norm_eps, WICK_NORM_RMS);
    }
    double *dt = ref_linear(o->dt, o->b_dt, p, n, xw), *h = ref_new((size_t)c * ds), *y = ref_new((size_t)n * c);
    for (uint32_t m = 0; m < n; m++)
        for (uint32_t i = 0; i < c; i++) {
            double t = ref_softplus(dt[(size_t)m * c + i]), xi = x[(size_t)m * c + i], sum = o->d[i] * xi;
            for (uint32_t k = 0; k < ds; k++) {
                double *hk = &h[(size_t)i * ds + k];
                *hk = exp(t * o->a[(size_t)i * ds + k]) * *hk + t * xi * p[(size_t)m * xw + o->dt_rank + k];
                sum += *hk * p[(size_t)m * xw + o->dt_rank + ds + k];
            }
            y[(size_t)m * c + i] = sum * ref_silu(in[(size_t)m * 2 * c + c + i]);
        }
    double *out = ref_linear(o->out, o->b_out, y, n, c);
    free(in);
    free(x);
    free(p);
    free(dt);
    free(h);
    free(y);
    return out;
}

static double *ref_mamba2(ref *f, const wick_op_mamba *o, const double *src)
{
    uint32_t n = f->n, c = o->d_inner, ds = o->d_state, bc = o->n_group * ds, cw = c + 2 * bc, w = c + cw + o->n_head;
    double *in = ref_linear(o->in, NULL, src, n, f->p->n_embd), *h = ref_new((size_t)c * ds),
           *y = ref_new((size_t)n * c);
    for (size_t i = 0; i < (size_t)n * w; i++)
        in[i] = in[i] * (o->in_mul ? o->in_mul[i % w] : 1) + (o->b_in ? o->b_in[i % w] : 0);
    double *x = ref_conv(in + c, w, n, cw, o->kernel, o->conv_w, o->conv_b);
    for (size_t i = 0; i < (size_t)n * cw; i++) x[i] = ref_silu(x[i]);
    for (uint32_t m = 0; m < n; m++) {
        double *ym = y + (size_t)m * c, *xm = x + (size_t)m * cw, *z = in + (size_t)m * w;
        for (uint32_t i = 0; i < c; i++) {
            uint32_t hd = i / o->head_dim, g = hd / (o->n_head / o->n_group);
            double t = fmax(ref_softplus(in[(size_t)m * w + c + cw + hd] + o->b_dt[hd]), o->dt_min);
            if (o->dt_max > 0) t = fmin(t, o->dt_max);
            ym[i] = o->d[hd] * xm[i];
            for (uint32_t k = 0; k < ds; k++) {
                double *hk = &h[(size_t)i * ds + k];
                *hk = exp(t * o->a[hd]) * *hk + t * xm[i] * xm[c + g * ds + k];
                ym[i] += *hk * xm[c + bc + g * ds + k];
            }
        }
        for (uint32_t i = 0; i < c; i += o->norm ? o->norm_group : c) {
            uint32_t g = o->norm ? o->norm_group : c;
            if (o->norm && o->norm_before_gate) ref_norm(ym + i, o->norm + i, NULL, g, o->norm_eps, WICK_NORM_RMS);
            for (uint32_t k = i; k < i + g; k++) ym[k] *= ref_silu(z[k]);
            if (o->norm && !o->norm_before_gate) ref_norm(ym + i, o->norm + i, NULL, g, o->norm_eps, WICK_NORM_RMS);
        }
    }
    double *out = ref_linear(o->out, o->b_out, y, n, c);
    free(in);
    free(x);
    free(h);
    free(y);
    return out;
}

static void ref_unit(double *x, uint32_t n)
{
    double s = 1e-6;
    for (uint32_t i = 0; i < n; i++) s += x[i] * x[i];
    for (uint32_t i = 0; i < n; i++) x[i] /= sqrt(s);
}

static double *ref_delta(ref *f, const wick_op_delta *o, const double *src)
{
    uint32_t n = f->n, r = o->n_v_head / o->n_k_head, kd = o->k_dim, vd = o->v_dim, key = o->n_k_head * kd,
             val = o->n_v_head * vd;
    uint32_t gw = 2 * kd + 2 * r * vd, cw = 2 * key + val, w = o->in_z ? cw : o->n_k_head * gw;
    double *in = ref_linear(o->in_qkv, NULL, src, n, f->p->n_embd),
           *zs = o->in_z ? ref_linear(o->in_z, NULL, src, n, f->p->n_embd) : NULL,
           *bs = ref_linear(o->in_b, NULL, src, n, f->p->n_embd),
           *as = o->in_a ? ref_linear(o->in_a, NULL, src, n, f->p->n_embd) : NULL;
    double *flat = ref_new((size_t)n * cw), *st = ref_new((size_t)val * kd), *y = ref_new((size_t)n * val);
    if (zs) memcpy(flat, in, (size_t)n * cw * sizeof *flat);
    for (uint32_t m = 0; m < n && !zs; m++)
        for (uint32_t h = 0; h < o->n_k_head; h++) {
            const double *g = in + (size_t)m * w + (size_t)h * gw;
            memcpy(flat + (size_t)m * cw + h * kd, g, kd * sizeof *g);
            memcpy(flat + (size_t)m * cw + key + h * kd, g + kd, kd * sizeof *g);
            memcpy(flat + (size_t)m * cw + 2 * key + h * r * vd, g + 2 * kd, r * vd * sizeof *g);
        }
    double *x = ref_conv(flat, cw, n, cw, o->kernel, o->conv_w, NULL);
    for (size_t i = 0; i < (size_t)n * cw; i++) x[i] = ref_silu(x[i]);
    for (uint32_t m = 0; m < n; m++) {
        double *xm = x + (size_t)m * cw;
        for (uint32_t h = 0; h < 2 * o->n_k_head; h++) ref_unit(xm + h * kd, kd);
        for (uint32_t i = 0; i < o->n_v_head; i++) {
            uint32_t h = i / r, j = i % r, kh = o->tiled ? i % o->n_k_head : h;
            const double *q = xm + kh * kd, *k = xm + key + kh * kd,
                         *z = zs ? zs + (size_t)m * val + i * vd : in + (size_t)m * w + h * gw + 2 * kd + (r + j) * vd;
            double b = as ? bs[m * o->n_v_head + i] : bs[(size_t)m * 2 * o->n_v_head + h * 2 * r + j],
                   a = as ? as[m * o->n_v_head + i] : bs[(size_t)m * 2 * o->n_v_head + h * 2 * r + r + j],
                   g = exp(o->decay[i] * ref_softplus(a + o->dt_bias[i])), *ym = y + (size_t)m * val + i * vd;
            for (uint32_t e = 0; e < vd; e++) {
                double *s = st + ((size_t)i * vd + e) * kd, mem = 0;
                for (uint32_t d = 0; d < kd; d++) mem += (s[d] *= g) * k[d];
                mem = (xm[2 * key + i * vd + e] - mem) * ref_sigmoid(b);
                for (uint32_t d = 0; d < kd; d++) ym[e] += (s[d] += mem * k[d]) * q[d] / sqrt(kd);
            }
            ref_norm(ym, o->norm, NULL, vd, o->norm_eps, WICK_NORM_RMS);
            for (uint32_t e = 0; e < vd; e++) ym[e] *= ref_silu(z[e]);
        }
    }
    double *out = ref_linear(o->out, NULL, y, n, val);
    free(in);
    free(zs);
    free(bs);
    free(as);
    free(flat);
    free(st);
    free(x);
    free(y);
    return out;
}

static double *ref_mixer(ref *f, const wick_op *o, const double *x)
{
    switch ((int)o->kind) {
    case WICK_OP_MOE: return ref_moe(f, &o->u.moe, x);
    case WICK_OP_MLA: return ref_mla(f, &o->u.mla, x);
    case WICK_OP_CONV: return ref_shortconv(f, &o->u.conv, x);
    case WICK_OP_MAMBA1: return ref_mamba1(f, &o->u.mamba, x);
    case WICK_OP_MAMBA2: return ref_mamba2(f, &o->u.mamba, x);
    case WICK_OP_DELTA: return ref_delta(f, &o->u.delta, x);
    default: abort();
    }
}

/* ---- plans with one such op between attention layers ---- */

enum { EMBD = 64, VOCAB = 40, N_PLANS = 12 };

static void make_moe(maker *k, wick_op_moe *o, uint32_t which)
{
    wick_arena *a = &k->p.arena;
    o->n_expert = 8;
    o->top_k = which == 2 ? 1 : 3;
    o->n_ff = 32;
    o->routing = (wick_routing)(which % 3);
    o->normalize = which != 2;
    o->scale = which == 0 ? 1.0F : 1.5F;
    o->router = rnd_weight(a, 8, EMBD, 0);
    wick_weight *w[3];
    for (int i = 0; i < 3; i++) {
        w[i] = zeros(a, 8, sizeof *w[i]);
        for (int e = 0; e < 8; e++) fill_weight(a, &w[i][e], i == 2 ? EMBD : 32, i == 2 ? 32 : EMBD, k->bits);
    }
    o->gate = which == 3 ? NULL : w[0];
    o->up = w[1];
    o->down = w[2];
    if (which == 1) { /* gpt-oss */
        o->router_bias = rnd_vec(a, 8, 0, 0.5F);
        o->b_gate = rnd_vec(a, 8 * 32, 0, 0.5F);
        o->b_up = rnd_vec(a, 8 * 32, 0, 0.5F);
        o->b_down = rnd_vec(a, 8 * EMBD, 0, 0.5F);
        o->act = WICK_ACT_SWIGLU_OAI;
        o->act_alpha = 1.702F;
        o->act_limit = 1.0F;
    }
    if (which == 2) o->scale_input = true;
    if (which == 2 || which == 3) {
        wick_op_mlp *sh = zeros(a, 1, sizeof *sh);
        sh->n_ff = 64;
        sh->gate = which == 3 ? NULL : rnd_weight(a, 64, EMBD, k->bits);
        sh->up = rnd_weight(a, 64, EMBD, k->bits);
        sh->down = rnd_weight(a, EMBD, 64, k->bits);
        o->shared = sh;
        if (which == 3) o->shared_gate = rnd_weight(a, 1, EMBD, 0);
    }
    if (which == 5) { /* deepseek_v3 */
        o->correction = rnd_vec(a, 8, 0.5F, 0.3F);
        o->n_group = 4;
        o->topk_group = 2;
        o->group_by_top2 = true;
    }
}

static uint32_t add_state(maker *k, uint64_t n)
{
    k->p.cache[k->p.n_caches] = (wick_cache_spec){.kind = WICK_CACHE_STATE, .n_state = n};
    return k->p.n_caches++;
}

static void make_mla(maker *k, wick_op_mla *o, bool direct)
{
    wick_arena *a = &k->p.arena;
    *o = (wick_op_mla){.n_head = 4,
                       .nope_dim = 24,
                       .rope_dim = 8,
                       .v_dim = 20,
                       .q_rank = direct ? 0 : 48,
                       .kv_rank = 32,
                       .norm_eps = 1e-6F,
                       .scale = 0.2F};
    o->cache = add_kv_cache(k, 1, 40, 0, 0);
    if (!direct) {
        o->q_a = rnd_weight(a, 48, EMBD, k->bits);
        o->q_a_norm = rnd_vec(a, 48, 1, 0.2F);
        o->q_a_bias = rnd_vec(a, 48, 0, 0.2F);
    }
    o->q_b = rnd_weight(a, 4 * 32, direct ? EMBD : 48, k->bits);
    o->kv_a = rnd_weight(a, 40, EMBD, k->bits);
    o->kv_a_norm = rnd_vec(a, 32, 1, 0.2F);
    const wick_weight **kb = zeros(a, 4, sizeof *kb), **vb = zeros(a, 4, sizeof *vb);
    for (int h = 0; h < 4; h++) {
        kb[h] = rnd_weight(a, 32, 24, k->bits);
        vb[h] = rnd_weight(a, 20, 32, k->bits);
    }
    o->k_b = kb;
    o->v_b = vb;
    o->wo = rnd_weight(a, EMBD, 80, k->bits);
    wick_rope *r = make_rope(a, 8, 10000.0F);
    r->interleaved = true;
    o->rope = r;
}

static void make_mamba1(maker *k, wick_op_mamba *o)
{
    wick_arena *a = &k->p.arena;
    *o = (wick_op_mamba){.kernel = 4, .d_inner = 96, .d_state = 16, .dt_rank = 8, .norm_eps = 1e-6F};
    o->cache = add_state(k, 3 * 96 + 96 * 16);
    o->in = rnd_weight(a, 192, EMBD, k->bits);
    o->x = rnd_weight(a, 40, 96, k->bits);
    o->dt = rnd_weight(a, 96, 8, k->bits);
    o->out = rnd_weight(a, EMBD, 96, k->bits);
    o->b_in = rnd_vec(a, 192, 0, 0.1F);
    o->b_dt = rnd_vec(a, 96, 0, 0.5F);
    o->conv_w = rnd_vec(a, 96 * 4, 0, 0.5F);
    o->conv_b = rnd_vec(a, 96, 0, 0.2F);
    float *neg = rnd_vec(a, 96 * 16, -1.0F, 0.2F);
    o->a = neg;
    o->d = rnd_vec(a, 96, 1, 0.2F);
    o->b_norm = rnd_vec(a, 16, 1, 0.1F);
    o->dt_norm = rnd_vec(a, 8, 1, 0.1F);
}

static void make_mamba2(maker *k, wick_op_mamba *o, bool falcon)
{
    wick_arena *a = &k->p.arena;
    *o = (wick_op_mamba){.kernel = 3,
                         .d_inner = 64,
                         .d_state = 16,
                         .n_head = 8,
                         .head_dim = 8,
                         .n_group = 2,
                         .norm_eps = 1e-5F,
                         .norm_before_gate = falcon,
                         .norm_group = falcon ? 32 : 64,
                         .dt_min = 0.01F,
                         .dt_max = falcon ? 0 : 0.7F};
    uint32_t conv = 64 + 64;
    o->cache = add_state(k, 2 * conv + 64 * 16);
    o->in = rnd_weight(a, 64 + conv + 8, EMBD, k->bits);
    o->out = rnd_weight(a, EMBD, 64, k->bits);
    o->b_in = rnd_vec(a, 64 + conv + 8, 0, 0.1F);
    o->b_dt = rnd_vec(a, 8, 0, 0.5F);
    o->conv_w = rnd_vec(a, conv * 3, 0, 0.5F);
    o->a = rnd_vec(a, 8, -1.0F, 0.3F);
    o->d = rnd_vec(a, 8, 1, 0.2F);
    o->norm = rnd_vec(a, 64, 1, 0.2F);
    if (falcon) o->in_mul = rnd_vec(a, 64 + conv + 8, 1, 0.3F);
}

static void make_delta(maker *k, wick_op_delta *o, bool apart)
{
    wick_arena *a = &k->p.arena;
    *o = (wick_op_delta){.kernel = 4, .n_k_head = 2, .n_v_head = 6, .k_dim = 24, .v_dim = 16, .norm_eps = 1e-6F};
    uint32_t key = 48, val = 96;
    o->cache = add_state(k, 3 * (2 * key + val) + val * 24);
    o->tiled = apart;
    o->in_qkv = rnd_weight(a, 2 * key + (apart ? 1 : 2) * val, EMBD, k->bits);
    if (apart) o->in_z = rnd_weight(a, val, EMBD, k->bits);
    o->in_b = rnd_weight(a, apart ? 6 : 12, EMBD, 0);
    if (apart) o->in_a = rnd_weight(a, 6, EMBD, 0);
    o->out = rnd_weight(a, EMBD, val, k->bits);
    o->conv_w = rnd_vec(a, (2 * key + val) * 4, 0, 0.5F);
    o->decay = rnd_vec(a, 6, -1.0F, 0.2F);
    o->dt_bias = rnd_vec(a, 6, 0, 0.5F);
    o->norm = rnd_vec(a, 16, 1, 0.2F);
}

static void make_plan(maker *k, uint32_t which)
{
    maker_init(k, EMBD, VOCAB, which % 2 ? 4 : 0, 50 + which);
    add_embed(k);
    for (uint32_t l = 0; l < 2; l++) {
        const wick_op_kind kinds[N_PLANS] = {WICK_OP_MOE,  WICK_OP_MOE,    WICK_OP_MOE,    WICK_OP_MOE,
                                             WICK_OP_MOE,  WICK_OP_MOE,    WICK_OP_MLA,    WICK_OP_MLA,
                                             WICK_OP_CONV, WICK_OP_MAMBA1, WICK_OP_MAMBA2, WICK_OP_DELTA};
        add_norm(k, WICK_R_H, WICK_R_X);
        if (kinds[which] == WICK_OP_MOE) { /* a cache is needed somewhere */
            add_attn(k, 2, 1, 16, 0);
            add_add(k, WICK_R_X, WICK_R_H, 1, 1);
            add_norm(k, WICK_R_H, WICK_R_X);
        }
        wick_op *o = add_op(k, l == 1 && which == 10 ? WICK_OP_MAMBA2 : kinds[which], WICK_R_H, WICK_R_H);
        switch ((int)o->kind) {
        case WICK_OP_MOE: make_moe(k, &o->u.moe, which); break;
        case WICK_OP_MLA: make_mla(k, &o->u.mla, which == 7); break;
        case WICK_OP_CONV:
            o->u.conv = (wick_op_conv){.kernel = 3, .n_channels = 72};
            o->u.conv.cache = add_state(k, 2 * 72);
            o->u.conv.in = rnd_weight(&k->p.arena, 216, EMBD, k->bits);
            o->u.conv.out = rnd_weight(&k->p.arena, EMBD, 72, k->bits);
            o->u.conv.conv_w = rnd_vec(&k->p.arena, 216, 0, 0.5F);
            o->u.conv.conv_b = rnd_vec(&k->p.arena, 72, 0, 0.5F);
            break;
        case WICK_OP_MAMBA1: make_mamba1(k, &o->u.mamba); break;
        case WICK_OP_MAMBA2: make_mamba2(k, &o->u.mamba, l == 1); break;
        default: make_delta(k, &o->u.delta, l == 1); break;
        }
        if (which == 4) add_norm(k, WICK_R_H, WICK_R_H); /* no residual in the tiles */
        add_add(k, WICK_R_X, WICK_R_H, 1, 1);
    }
    add_head(k, true);
}

static void run_cut(rig *r, const int32_t *tok, uint32_t n, uint32_t cut, float *out)
{
    wick_err err;
    wick_seq *s = NULL;
    OK(wick_backend_cpu.kv_new(r->m, 0, &s, &err));
    for (uint32_t i = 0; i < n; i += cut)
        OK(rig_step(r, s, tok + i, n - i < cut ? n - i : cut, WICK_OUT_ALL, out + (size_t)i * VOCAB, &err));
    wick_backend_cpu.kv_free(r->m, s);
}

static const char *const isas[] = {NULL, "portable"}; /* NULL: the best */

static void matches_double(void **state)
{
    (void)state;
    enum { N = 90 };
    for (uint32_t which = 0; which < N_PLANS; which++)
        for (int i = 0; i < 2; i++) {
            maker k;
            rig r;
            wick_err err;
            int32_t tok[N];
            static float out[N * VOCAB];
            make_plan(&k, which);
            for (int t = 0; t < N; t++) tok[t] = (int32_t)(rng() % VOCAB);
            OK(rig_open(&r, &k.p, WICK_PRECISION_EXACT, WICK_DTYPE_F32, 2, isas[i], N, &err));
            run_cut(&r, tok, N, N, out);
            double *want = ref_run(&k.p, tok, N, ref_mixer), d = ref_diff(want, out, (size_t)N * VOCAB);
            if (!(d < 5e-5)) fail_msg("plan %u, %s: difference %g", which, isas[i] ? isas[i] : "best", d);
            free(want);
            rig_close(&r);
            wick_plan_release(&k.p);
        }
}

static void same_bits_however_cut(void **state)
{
    (void)state;
    enum { N = 90 };
    const wick_precision precs[] = {WICK_PRECISION_FAST, WICK_PRECISION_EXACT};
    for (uint32_t which = 0; which < N_PLANS; which++)
        for (int p = 0; p < 2; p++) {
            maker k;
            rig a, b;
            wick_err err;
            int32_t tok[N];
            static float want[N * VOCAB], got[N * VOCAB];
            make_plan(&k, which);
            for (int t = 0; t < N; t++) tok[t] = (int32_t)(rng() % VOCAB);
            OK(rig_open(&a, &k.p, precs[p], WICK_DTYPE_F16, 1, NULL, N, &err));
            OK(rig_open(&b, &k.p, precs[p], WICK_DTYPE_F16, 3, NULL, N, &err));
            run_cut(&a, tok, N, N, want);
            const uint32_t cuts[] = {N, 1, 2, 13};
            for (int c = 0; c < 4; c++) {
                run_cut(&b, tok, N, cuts[c], got);
                if (memcmp(want, got, sizeof got) != 0) fail_msg("plan %u precision %d cut %u", which, p, cuts[c]);
            }
            /* two sequences in one step, and a fork at the end of one */
            wick_seq *s = NULL, *u = NULL, *f = NULL;
            OK(wick_backend_cpu.kv_new(b.m, 0, &s, &err));
            OK(wick_backend_cpu.kv_new(b.m, 0, &u, &err));
            wick_row row[2] = {{u, tok + 20, 30, WICK_OUT_NONE, 0}, {s, tok, 60, WICK_OUT_LAST, 0}};
            wick_batch batch = {row, 2};
            wick_step_out o;
            OK(wick_backend_cpu.step_submit(b.m, &batch, &err));
            OK(wick_backend_cpu.step_wait(b.m, &o, &err));
            assert_memory_equal(o.data, want + 59 * VOCAB, VOCAB * sizeof(float));
            OK(wick_backend_cpu.kv_fork(b.m, s, 60, &f, &err));
            OK(rig_step(&b, s, tok, 20, WICK_OUT_NONE, NULL, &err));
            OK(rig_step(&b, f, tok + 60, 30, WICK_OUT_ALL, got, &err));
            assert_memory_equal(got, want + 60 * VOCAB, 30 * VOCAB * sizeof(float));
            uint64_t bytes = 0;
            OK(wick_backend_cpu.kv_export(b.m, u, 0, 30, NULL, &bytes, &err));
            if (b.m->kv.n_state) {
                assert_int_equal(wick_backend_cpu.kv_truncate(b.m, s, 10, &err), WICK_E_UNSUPPORTED_FORMAT);
                assert_int_equal(wick_backend_cpu.kv_fork(b.m, s, 10, &f, &err), WICK_E_UNSUPPORTED_FORMAT);
                assert_false(wick_backend_cpu.caps(b.m) & WICK_CAP_SPECULATIVE);
                void *buf = malloc(bytes);
                OK(wick_backend_cpu.kv_export(b.m, u, 0, 30, buf, &bytes, &err));
                OK(wick_backend_cpu.kv_truncate(b.m, s, 0, &err));
                OK(wick_backend_cpu.kv_import(b.m, s, 0, 30, buf, bytes, &err));
                float x[VOCAB], y[VOCAB];
                OK(rig_step(&b, s, tok, 1, WICK_OUT_LAST, x, &err));
                OK(rig_step(&b, u, tok, 1, WICK_OUT_LAST, y, &err));
                assert_memory_equal(x, y, sizeof x);
                free(buf);
            }
            wick_backend_cpu.kv_free(b.m, s);
            wick_backend_cpu.kv_free(b.m, u);
            wick_backend_cpu.kv_free(b.m, f);
            rig_close(&a);
            rig_close(&b);
            wick_plan_release(&k.p);
        }
}

static void routing_rules(void **state)
{
    (void)state;
    const float logits[6] = {0.0F, 2.0F, -1.0F, 1.0F, 2.0F, NAN};
    float s[6], scratch[6], w[6];
    uint32_t id[6];
    wick_op_moe o = {.n_expert = 5, .top_k = 2, .routing = WICK_ROUTE_TOPK_SOFTMAX, .scale = 3.0F};
    memcpy(s, logits, sizeof s);
    wick_moe_route(&o, s, scratch, id, w);
    assert_int_equal(id[0], 1); /* the lower number of equals */
    assert_int_equal(id[1], 4);
    assert_true(w[0] == 1.5F && w[1] == 1.5F);
    o.routing = WICK_ROUTE_SIGMOID_TOPK;
    const float corr[5] = {5, 0, 0, 0, 0};
    o.correction = corr;
    o.scale = 1.0F;
    memcpy(s, logits, sizeof s);
    wick_moe_route(&o, s, scratch, id, w);
    assert_int_equal(id[0], 0); /* chosen with the correction, weighed without */
    assert_true(fabsf(w[0] - 0.5F) < 1e-6F);
    o = (wick_op_moe){.n_expert = 6, .top_k = 6, .routing = WICK_ROUTE_SOFTMAX_TOPK, .scale = 1.0F, .normalize = true};
    memcpy(s, logits, sizeof s);
    wick_moe_route(&o, s, scratch, id, w);
    uint32_t seen = 0;
    for (int i = 0; i < 6; i++) seen |= 1U << id[i];
    assert_int_equal(seen, 63); /* NaN: still every expert once */
    o = (wick_op_moe){.n_expert = 4, .top_k = 2, .routing = WICK_ROUTE_SPARSEMIXER, .scale = 1.0F, .jitter = 0.3F};
    const float near[4] = {1.0F, 2.0F, 0.5F, -3.0F}; /* near: 1 to 2, 0.5 to 1 */
    memcpy(s, near, sizeof near);
    wick_moe_route(&o, s, scratch, id, w);
    assert_int_equal(id[0], 1);
    assert_int_equal(id[1], 0);
    assert_true(fabsf(w[0] - 1.0F / (1.0F + expf(-1.0F))) < 1e-6F);
    assert_true(fabsf(w[1] - 1.0F / (1.0F + expf(-0.5F))) < 1e-6F);
}

int main(void)
{
    say_isas(isas, sizeof isas / sizeof *isas);
    const struct CMUnitTest tests[] = {cmocka_unit_test(routing_rules), cmocka_unit_test(matches_double),
                                       cmocka_unit_test(same_bits_however_cut)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
