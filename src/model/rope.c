/* model/rope.c - rope scaling kinds to inverse frequencies, in double, rounded once.
 *
 * The formulas are those of the papers as mlx-lm evaluates them: llama3's three bands, YaRN (arXiv 2309.00071) with
 * its ramp over dimensions, LongRoPE with either list of factors. Dynamic NTK changes nothing up to the
 * trained length, so it is the default kind here. */
#include "model/rope.h"
#include <math.h>

static double pi(void)
{
    return acos(-1.0);
}

static double yarn_mscale(double factor, double m)
{
    return factor <= 1 ? 1 : 0.1 * m * log(factor) + 1;
}

double wick_rope_yarn_attn_scale(const wick_rope_params *p)
{
    if (p->kind == WICK_ROPE_DEFAULT || p->mscale_all_dim == 0) return 1;
    double s = yarn_mscale(p->factor, p->mscale_all_dim);
    return s * s;
}

/* Long waves are slowed by `factor`, short ones kept, those between blended. */
static double llama3_freq(const wick_rope_params *p, double inv)
{
    double old_ctx = p->original_ctx > 0 ? p->original_ctx : 8192;
    double wave = 2 * pi() / inv;
    if (wave > old_ctx / p->low_freq_factor) return inv / p->factor;
    if (wave <= old_ctx / p->high_freq_factor) return inv;
    double smooth = (old_ctx / wave - p->low_freq_factor) / (p->high_freq_factor - p->low_freq_factor);
    return inv * ((1 - smooth) / p->factor + smooth);
}

/* The dimension whose wave turns `rotations` times over the trained context. */
static double yarn_dim(double rotations, double ctx, double n_dims, double theta)
{
    return n_dims * log(ctx / (rotations * 2 * pi())) / (2 * log(theta));
}

static void yarn_freqs(const wick_rope_params *p, uint32_t n_dims, double theta, float *inv)
{
    double ctx = p->original_ctx > 0 ? p->original_ctx : p->max_ctx > 0 ? p->max_ctx : 4096;
    double low = fmax(floor(yarn_dim(p->beta_fast, ctx, n_dims, theta)), 0);
    double high = fmin(ceil(yarn_dim(p->beta_slow, ctx, n_dims, theta)), n_dims - 1);
    if (low == high) high += 0.001; /* as the reference avoids 0/0 */
    for (uint32_t i = 0; i < n_dims / 2; i++) {
        double base = pow(theta, -2.0 * i / n_dims);
        double ramp = fmin(fmax((i - low) / (high - low), 0), 1);
        inv[i] = (float)(base / p->factor * ramp + base * (1 - ramp));
    }
}

static void proportional_freqs(const wick_rope_params *p, uint32_t n_dims, double theta, float *inv)
{
    uint32_t turned = (uint32_t)(n_dims * p->partial) / 2;
    for (uint32_t i = 0; i < n_dims / 2; i++)
        inv[i] = i < turned ? (float)(pow(theta, -2.0 * i / n_dims) / p->factor) : 0;
}

static double longrope_scale(const wick_rope_params *p)
{
    if (p->attn_factor > 0) return p->attn_factor;
    double old_ctx = p->original_ctx > 0 ? p->original_ctx : 4096;
    double factor = p->max_ctx > 0 ? p->max_ctx / old_ctx : 1;
    return factor <= 1 || old_ctx <= 1 ? 1 : sqrt(1 + log(factor) / log(old_ctx));
}

wick_status wick_rope_build(wick_arena *arena, const wick_rope_params *p, uint32_t n_dims, double theta,
                            bool interleaved, const wick_rope **out, wick_err *err)
{
    if (n_dims < 2 || n_dims % 2)
        return WICK_FAIL(err, WICK_E_BAD_FILE, NULL,
                         "rotary embedding over %u dimensions: expected an even number, 2 at least", n_dims);
    uint32_t half = n_dims / 2;
    if (p->n_factors > 1 && p->n_factors != half)
        return WICK_FAIL(err, WICK_E_BAD_FILE, NULL, "rope factors: expected %u, got %u", half, p->n_factors);
    wick_rope *r = wick_arena_alloc(arena, sizeof *r);
    float *inv = wick_arena_array(arena, half, sizeof *inv);
    if (!r || !inv) return wick_err_oom(err, "rope frequencies", half * sizeof *inv, 0);
    *r = (wick_rope){.n_dims = n_dims, .interleaved = interleaved, .inv_freq = inv, .mscale = 1};
    if (p->kind == WICK_ROPE_YARN) {
        yarn_freqs(p, n_dims, theta, inv);
        double own = yarn_mscale(p->factor, p->mscale) / yarn_mscale(p->factor, p->mscale_all_dim);
        r->mscale = (float)(p->attn_factor > 0 ? own * p->attn_factor : own);
    } else if (p->kind == WICK_ROPE_PROPORTIONAL) {
        proportional_freqs(p, n_dims, theta, inv);
    } else {
        for (uint32_t i = 0; i < half; i++) {
            double f = pow(theta, -2.0 * i / n_dims);
            if (p->kind == WICK_ROPE_LINEAR) f /= p->factor;
            if (p->kind == WICK_ROPE_LLAMA3) f = llama3_freq(p, f);
            inv[i] = (float)f;
        }
        if (p->kind == WICK_ROPE_LONGROPE) r->mscale = (float)longrope_scale(p);
    }
    for (uint32_t i = 0; i < half && p->n_factors; i++) inv[i] /= p->factors[p->n_factors > 1 ? i : 0];
    *out = r;
    return WICK_OK;
}
