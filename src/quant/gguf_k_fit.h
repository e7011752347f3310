/* quant/gguf_k_fit.h - private to quant/: the search for a group's scale (and minimum) that the encoder of the
 * k-quants makes. Apart because it is compiled once for each instruction set; the same bits in all of them, as every
 * operation is element-wise and every sum has the same eight lanes.
 *
 * What is looked for is the least sum of w * (x - what the codes stand for)^2. A first guess from the group's range,
 * shrunk by several amounts, gives codes; for codes the best scale and minimum follow by least squares; the best guess
 * is then improved by turns (codes from the scale, the scale from the codes).
 */
#pragma once
#include "quant/block.h"

#include <math.h>

#define K_APART __attribute__((noinline)) /* inlined everywhere, these loops are 200 KB of code and no faster */

/* Of one group: n elements x with weights w >= 0, codes 0..top. */
typedef struct k_group {
    const float *x, *w;
    unsigned n; /* 16 or 32 */
    float top;
    float sw, swx, swxx; /* sums of w, w x, w x x */
} k_group;

typedef struct k_fit {
    float scale, low; /* x is about scale * code + low */
    float error;
} k_fit;

/* To the nearest integer, ties to even, for |v| < 2^22: a form that every compiler makes vectors of. */
static inline float k_round(float v)
{
    return (v + 12582912.0f) - 12582912.0f;
}

static inline float k_clamp(float v, float lo, float hi)
{
    v = v > lo ? v : lo; /* NaN becomes lo */
    return v < hi ? v : hi;
}

static inline float k_sum8(const float lane[8])
{
    return ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7]));
}

/* Sums of w q, w q q, w q x for the codes q = clamp(round((x - low) * inverse)). */
static K_APART void k_sums(const k_group *g, float inverse, float low, float from, float to, float out[3])
{
    float a[8] = {0}, b[8] = {0}, c[8] = {0};
    for (unsigned i = 0; i < g->n; i += 8)
        for (unsigned l = 0; l < 8; l++) {
            float q = k_clamp(k_round((g->x[i + l] - low) * inverse), from, to), wq = g->w[i + l] * q;
            a[l] += wq;
            b[l] += wq * q;
            c[l] += wq * g->x[i + l];
        }
    out[0] = k_sum8(a);
    out[1] = k_sum8(b);
    out[2] = k_sum8(c);
}

static inline float k_error(const k_group *g, const float s[3], float scale, float low)
{
    return g->swxx + scale * (scale * s[1] + 2 * (low * s[0] - s[2])) + low * (low * g->sw - 2 * g->swx);
}

/* Best scale and low for the codes of a guess; low is at most 0, as the formats want it. */
static K_APART void k_try(const k_group *g, float inverse, float low, k_fit *best)
{
    float s[3];
    k_sums(g, inverse, low, 0, g->top, s);
    float det = g->sw * s[1] - s[0] * s[0];
    k_fit f = {.scale = 0, .low = 0};
    if (det > 0) {
        f.scale = (g->sw * s[2] - g->swx * s[0]) / det;
        f.low = (s[1] * g->swx - s[0] * s[2]) / det;
    }
    if (!(det > 0) || f.low > 0) {
        f.low = 0;
        f.scale = s[1] > 0 ? s[2] / s[1] : 0;
    }
    f.error = k_error(g, s, f.scale, f.low);
    if (f.scale > 0 && f.error < best->error) *best = f;
}

static K_APART void k_begin(k_group *g)
{
    float a[8] = {0}, b[8] = {0}, c[8] = {0};
    for (unsigned i = 0; i < g->n; i += 8)
        for (unsigned l = 0; l < 8; l++) {
            float wx = g->w[i + l] * g->x[i + l];
            a[l] += g->w[i + l];
            b[l] += wx;
            c[l] += wx * g->x[i + l];
        }
    g->sw = k_sum8(a);
    g->swx = k_sum8(b);
    g->swxx = k_sum8(c);
}

/* The scale and the minimum of one group of a type that stores both. */
static K_APART k_fit k_fit_ranged(k_group *g)
{
    static const float shrink[] = {0, 0.04f, 0.08f, 0.12f, 0.16f, 0.22f};
    float lo = 0, hi = g->x[0];
    for (unsigned i = 0; i < g->n; i++) {
        lo = g->x[i] < lo ? g->x[i] : lo;
        hi = g->x[i] > hi ? g->x[i] : hi;
    }
    if (!(hi > lo)) return (k_fit){.scale = 0, .low = lo};
    k_begin(g);
    k_fit best = {.scale = (hi - lo) / g->top, .low = lo, .error = INFINITY};
    for (unsigned a = 0; a < sizeof shrink / sizeof *shrink; a++)
        for (unsigned b = 0; b < sizeof shrink / sizeof *shrink; b++) {
            if (a > b + 2 || b > a + 2) continue;
            float from = lo * (1 - shrink[a]), to = hi - (hi - lo) * shrink[b] / 2;
            if (to > from) k_try(g, g->top / (to - from), from, &best);
        }
    for (unsigned turn = 0; turn < 2 && best.scale > 0; turn++) k_try(g, 1 / best.scale, best.low, &best);
    return best;
}

/* The scale of one group of a type without minima, whose codes are -half .. half - 1; it may be negative. */
static K_APART float k_fit_signed(k_group *g, float half)
{
    float most = 0, best = 0, gain = 0, s[3];
    for (unsigned i = 0; i < g->n; i++) most = fabsf(g->x[i]) > most ? fabsf(g->x[i]) : most;
    if (!(most > 0)) return 0;
    k_begin(g);
    for (int sign = -1; sign <= 1; sign += 2)
        for (int step = -9; step <= 9; step++) {
            k_sums(g, (float)sign * (half + 0.1f * (float)step) / most, 0, -half, half - 1, s);
            if (s[1] > 0 && s[2] * s[2] > gain * s[1]) {
                gain = s[2] * s[2] / s[1];
                best = s[2] / s[1];
            }
        }
    if (best != 0) {
        k_sums(g, 1 / best, 0, -half, half - 1, s);
        if (s[1] > 0 && s[2] * s[2] > gain * s[1]) best = s[2] / s[1];
    }
    return best;
}

/* The error of a scale and a minimum as they will be stored. */
static K_APART float k_cost(const k_group *g, float scale, float low, float from, float to)
{
    float s[3];
    k_sums(g, scale != 0 ? 1 / scale : 0, low, from, to, s);
    return k_error(g, s, scale, low);
}
