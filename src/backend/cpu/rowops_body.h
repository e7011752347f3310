/* backend/cpu/rowops_body.h - the row kernels, written once over vec.h. Included by one file per instruction set, which
 * defines WICK_ROWOPS as the name of the table.
 *
 * Sums run in four interleaved vectors, then across lanes, always in the same order. Tails are done lane by lane in a
 * padded vector, so that an element's value does not depend on where in the row it lies.
 */
#include <math.h>

#include "backend/cpu/rowops.h"
#include "backend/cpu/vec.h"

#define FORCE_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

/* dst[i] = expression of x = src[i], over vectors and the tail */
#define FOR_EACH_VEC(n, i, w) for (uint32_t i = 0, w; i < (n) && (w = (n)-i < VW ? (n)-i : VW); i += VW)

FORCE_INLINE vf load_w(const float *p, uint32_t w)
{
    return w == VW ? vf_load(p) : vf_load_part(p, w, 0.0F);
}

FORCE_INLINE void store_w(float *p, uint32_t w, vf a)
{
    if (w == VW)
        vf_store(p, a);
    else
        vf_store_part(p, w, a);
}

/* sum (a - shift) * (b - shift) */
FORCE_INLINE float sum_products(const float *a, const float *b, uint32_t n, float shift)
{
    vf s0 = vf_set1(0), s1 = s0, s2 = s0, s3 = s0, sh = vf_set1(shift);
    uint32_t i = 0;
    for (; i + 4 * VW <= n; i += 4 * VW) {
        s0 = vf_fma(vf_sub(vf_load(a + i), sh), vf_sub(vf_load(b + i), sh), s0);
        s1 = vf_fma(vf_sub(vf_load(a + i + VW), sh), vf_sub(vf_load(b + i + VW), sh), s1);
        s2 = vf_fma(vf_sub(vf_load(a + i + 2 * VW), sh), vf_sub(vf_load(b + i + 2 * VW), sh), s2);
        s3 = vf_fma(vf_sub(vf_load(a + i + 3 * VW), sh), vf_sub(vf_load(b + i + 3 * VW), sh), s3);
    }
    for (; i + VW <= n; i += VW) s0 = vf_fma(vf_sub(vf_load(a + i), sh), vf_sub(vf_load(b + i), sh), s0);
    if (i < n)
        s1 = vf_fma(vf_sub(vf_load_part(a + i, n - i, shift), sh), vf_sub(vf_load_part(b + i, n - i, shift), sh), s1);
    return vf_sum(vf_add(vf_add(s0, s1), vf_add(s2, s3)));
}

static float op_dot(const float *a, const float *b, uint32_t n)
{
    return sum_products(a, b, n, 0.0F);
}

static float row_mean(const float *x, uint32_t n)
{
    vf s0 = vf_set1(0), s1 = s0;
    uint32_t i = 0;
    for (; i + 2 * VW <= n; i += 2 * VW) {
        s0 = vf_add(s0, vf_load(x + i));
        s1 = vf_add(s1, vf_load(x + i + VW));
    }
    for (; i + VW <= n; i += VW) s0 = vf_add(s0, vf_load(x + i));
    if (i < n) s1 = vf_add(s1, vf_load_part(x + i, n - i, 0.0F));
    return vf_sum(vf_add(s0, s1)) / (float)n;
}

static void op_norm(float *dst, const float *src, const float *w, const float *b, uint32_t n, float eps,
                    wick_norm_kind kind)
{
    float mean = kind == WICK_NORM_LAYER ? row_mean(src, n) : 0.0F;
    float var = sum_products(src, src, n, mean) / (float)n;
    vf r = vf_set1(1.0F / sqrtf(var + eps)), mu = vf_set1(mean);
    FOR_EACH_VEC(n, i, k)
    {
        vf x = vf_mul(vf_sub(load_w(src + i, k), mu), r);
        if (w) x = vf_mul(x, load_w(w + i, k));
        if (b) x = vf_add(x, load_w(b + i, k));
        store_w(dst + i, k, x);
    }
}

static void op_add(float *dst, const float *src, float dst_scale, float src_scale, uint32_t n)
{
    vf a = vf_set1(dst_scale), b = vf_set1(src_scale);
    bool plain = dst_scale == 1.0F && src_scale == 1.0F;
    FOR_EACH_VEC(n, i, k)
    {
        vf x = load_w(dst + i, k), y = load_w(src + i, k);
        store_w(dst + i, k, plain ? vf_add(x, y) : vf_add(vf_mul(x, a), vf_mul(y, b)));
    }
}

static void op_scale(float *dst, const float *src, float s, uint32_t n)
{
    FOR_EACH_VEC(n, i, k) store_w(dst + i, k, vf_mul(load_w(src + i, k), vf_set1(s)));
}

static void op_bias(float *x, const float *b, uint32_t n)
{
    FOR_EACH_VEC(n, i, k) store_w(x + i, k, vf_add(load_w(x + i, k), load_w(b + i, k)));
}

static void op_mul(float *x, const float *b, uint32_t n)
{
    FOR_EACH_VEC(n, i, k) store_w(x + i, k, vf_mul(load_w(x + i, k), load_w(b + i, k)));
}

static void op_fma(float *y, const float *a, const float *b, uint32_t n)
{
    FOR_EACH_VEC(n, i, k) store_w(y + i, k, vf_fma(load_w(a + i, k), load_w(b + i, k), load_w(y + i, k)));
}

static float op_ssm(float *h, const float *a, float dt_or_decay, float dtx, const float *b, const float *c, uint32_t n)
{
    vf sum = vf_set1(0.0F), f = vf_set1(dt_or_decay), x = vf_set1(dtx);
    FOR_EACH_VEC(n, i, k)
    {
        vf decay = a ? vf_exp(vf_mul(f, load_w(a + i, k))) : f;
        vf v = vf_fma(load_w(h + i, k), decay, vf_mul(x, load_w(b + i, k)));
        store_w(h + i, k, v);
        sum = vf_fma(v, load_w(c + i, k), sum);
    }
    return vf_sum(sum);
}

static float op_delta(float *s, const float *k, const float *q, float g, float v, float beta, uint32_t n)
{
    vf mem = vf_set1(0.0F), sum = mem, f = vf_set1(g);
    FOR_EACH_VEC(n, i, w)
    {
        vf x = vf_mul(load_w(s + i, w), f);
        store_w(s + i, w, x);
        mem = vf_fma(x, load_w(k + i, w), mem);
    }
    vf e = vf_set1((v - vf_sum(mem)) * beta);
    FOR_EACH_VEC(n, i, w)
    {
        vf x = vf_fma(e, load_w(k + i, w), load_w(s + i, w));
        store_w(s + i, w, x);
        sum = vf_fma(x, load_w(q + i, w), sum);
    }
    return vf_sum(sum);
}

static void op_clamp(float *x, float limit, uint32_t n)
{
    vf hi = vf_set1(limit), lo = vf_set1(-limit);
    FOR_EACH_VEC(n, i, k) store_w(x + i, k, vf_max(lo, vf_min(hi, load_w(x + i, k))));
}

FORCE_INLINE vf act_one(vf g, wick_act kind)
{
    vf zero = vf_set1(0.0F);
    switch (kind) {
    case WICK_ACT_SILU: return vf_div(g, vf_add(vf_set1(1.0F), vf_exp(vf_sub(zero, g))));
    case WICK_ACT_GELU: {
        float f[VW];
        vf_store(f, g);
        for (int i = 0; i < VW; i++) f[i] = 0.5F * f[i] * (1.0F + erff(f[i] * 0.70710678F));
        return vf_load(f);
    }
    case WICK_ACT_GELU_TANH: { /* x (1 + tanh u) / 2 = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3) */
        vf u2 = vf_mul(vf_mul(g, vf_set1(2.0F * 0.79788456F)), vf_fma(vf_mul(g, g), vf_set1(0.044715F), vf_set1(1.0F)));
        return vf_mul(g, vf_sigmoid(u2));
    }
    case WICK_ACT_RELU: return vf_max(zero, g);
    case WICK_ACT_RELU2: {
        vf r = vf_max(zero, g);
        return vf_mul(r, r);
    }
    case WICK_ACT_SWIGLU_OAI:
    case WICK_ACT_XIELU:
    case WICK_ACT_IDENTITY: break;
    }
    return g;
}

FORCE_INLINE void act_all(float *g, const float *u, uint32_t n, wick_act kind)
{
    FOR_EACH_VEC(n, i, k)
    {
        vf x = act_one(load_w(g + i, k), kind);
        store_w(g + i, k, u ? vf_mul(x, load_w(u + i, k)) : x);
    }
}

static void act_swiglu_oai(float *g, const float *u, uint32_t n, float alpha, float limit)
{
    float top = limit != 0.0F ? limit : INFINITY;
    FOR_EACH_VEC(n, i, k)
    {
        vf x = vf_min(vf_set1(top), load_w(g + i, k));
        vf y = u ? load_w(u + i, k) : vf_set1(0.0F);
        y = vf_add(vf_max(vf_set1(-top), vf_min(vf_set1(top), y)), vf_set1(1.0F));
        store_w(g + i, k, vf_mul(vf_mul(x, vf_sigmoid(vf_mul(x, vf_set1(alpha)))), y));
    }
}

static void act_xielu(float *x, uint32_t n, float pos, float neg)
{
    vf zero = vf_set1(0.0F), one = vf_set1(1.0F);
    FOR_EACH_VEC(n, i, k)
    {
        vf v = load_w(x + i, k), p = vf_max(zero, v), m = vf_min(zero, v);
        vf y = vf_mul(vf_sub(vf_sub(vf_exp(m), one), m), vf_set1(neg));
        y = vf_fma(vf_mul(p, p), vf_set1(pos), y);
        store_w(x + i, k, vf_fma(v, vf_set1(0.5F), y));
    }
}

static void op_act(float *g, const float *u, uint32_t n, wick_act kind, float alpha, float limit)
{
    switch (kind) {
    case WICK_ACT_SILU: act_all(g, u, n, WICK_ACT_SILU); return;
    case WICK_ACT_GELU: act_all(g, u, n, WICK_ACT_GELU); return;
    case WICK_ACT_GELU_TANH: act_all(g, u, n, WICK_ACT_GELU_TANH); return;
    case WICK_ACT_RELU: act_all(g, u, n, WICK_ACT_RELU); return;
    case WICK_ACT_RELU2: act_all(g, u, n, WICK_ACT_RELU2); return;
    case WICK_ACT_SWIGLU_OAI: act_swiglu_oai(g, u, n, alpha, limit); return;
    case WICK_ACT_XIELU: act_xielu(g, n, alpha, limit); return;
    case WICK_ACT_IDENTITY: act_all(g, u, n, WICK_ACT_IDENTITY); return;
    }
}

static void op_sigmoid_mul(float *x, const float *gate, uint32_t n)
{
    FOR_EACH_VEC(n, i, k) store_w(x + i, k, vf_mul(load_w(x + i, k), vf_sigmoid(load_w(gate + i, k))));
}

static void op_softcap(float *x, uint32_t n, float scale, float cap)
{
    vf s = vf_set1(scale), c = vf_set1(cap), r = vf_set1(cap != 0.0F ? 1.0F / cap : 0.0F);
    FOR_EACH_VEC(n, i, k)
    {
        vf v = vf_mul(load_w(x + i, k), s);
        store_w(x + i, k, cap != 0.0F ? vf_mul(vf_tanh(vf_mul(v, r)), c) : v);
    }
}

static void op_rope(float *x, const float *cos_sin, uint32_t n_dims, bool interleaved)
{
    uint32_t h = n_dims / 2;
    const float *c = cos_sin, *s = cos_sin + h;
    if (interleaved) {
        for (uint32_t i = 0; i < h; i++) {
            float a = x[2 * i], b = x[2 * i + 1];
            x[2 * i] = a * c[i] - b * s[i];
            x[2 * i + 1] = a * s[i] + b * c[i];
        }
        return;
    }
    FOR_EACH_VEC(h, i, k)
    {
        vf a = load_w(x + i, k), b = load_w(x + h + i, k), co = load_w(c + i, k), si = load_w(s + i, k);
        store_w(x + i, k, vf_sub(vf_mul(a, co), vf_mul(b, si)));
        store_w(x + h + i, k, vf_add(vf_mul(a, si), vf_mul(b, co)));
    }
}

#include "backend/cpu/rowops_kv.h"

#include "backend/cpu/rowops_attn.h"

const wick_rowops WICK_ROWOPS = {
    .name = WICK_ROWOPS_NAME,
    .norm = op_norm,
    .add = op_add,
    .scale = op_scale,
    .bias = op_bias,
    .clamp = op_clamp,
    .act = op_act,
    .sigmoid_mul = op_sigmoid_mul,
    .softcap = op_softcap,
    .dot = op_dot,
    .mul = op_mul,
    .fma = op_fma,
    .ssm = op_ssm,
    .delta = op_delta,
    .rope = op_rope,
    .kv_put = op_kv_put,
    .kv_get = op_kv_get,
    .kv_unpack = op_kv_unpack,
    .attn = op_attn,
    .attn_merge = op_attn_merge,
    .attn_finish = op_attn_finish,
};
