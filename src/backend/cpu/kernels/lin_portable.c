/* backend/cpu/kernels/lin_portable.c - the kernels in plain C: the definition that the others are tested against, and
 * what runs where nothing else does. The integer kernels give the same bits as every other instruction set; the
 * float kernels multiply and add separately (a fused multiply-add without hardware is a library call per weight). */
#include "backend/cpu/kernels/lin_common.h"
#include <math.h>

/* a[16] += the codes of n vectors times one row's activations, 4 inputs a vector */
static void dot(const uint8_t *codes, uint32_t nt, const int8_t *q, uint32_t mr, uint32_t n, int32_t a[16])
{
    for (uint32_t j = 0; j < n; j++, codes += nt * 64, q += mr * 4)
        for (uint32_t r = 0; r < 16; r++)
            a[r] += codes[r * 4] * q[0] + codes[r * 4 + 1] * q[1] + codes[r * 4 + 2] * q[2] + codes[r * 4 + 3] * q[3];
}

static void mul_int(const wick_lin_args *a)
{
    uint32_t planes = a->fine ? 2 : 1, n = a->block / 4, per_chunk = 64 / a->block, n_blocks = a->n_chunks * per_chunk;
    float part[16] = {0}; /* of a chunk */
    for (uint32_t m = 0; m < a->mr; m++)
        for (uint32_t t = 0; t < a->nt; t++) {
            float *y = a->y + (m * a->nt + t) * 16;
            for (uint32_t k = 0; k < n_blocks; k++) {
                uint32_t j = k % per_chunk * n;
                const int8_t *q = a->q + ((k / per_chunk * planes * 16 + j) * a->mr + m) * 4;
                const uint8_t *codes = a->codes + ((k / per_chunk * 16 + j) * a->nt + t) * 64;
                const float *d = a->d + (k * a->nt + t) * 16, *b = a->b + (k * a->nt + t) * 16;
                float sx = a->sx[k / per_chunk * a->mr + m], s = a->s[k * a->mr + m];
                int32_t acc[16] = {0}, start = a->start[k * a->mr + m];
                dot(codes, a->nt, q, a->mr, n, acc);
                if (a->fine) {
                    for (uint32_t r = 0; r < 16; r++) acc[r] *= 128;
                    dot(codes, a->nt, q + 16 * a->mr * 4, a->mr, n, acc);
                }
                for (uint32_t r = 0; r < 16; r++) part[r] = fmaf((float)(acc[r] + start), d[r], part[r]);
                for (uint32_t r = 0; r < 16 && a->has_bias; r++) part[r] = fmaf(b[r], s, part[r]);
                for (uint32_t r = 0; r < 16 && (k + 1) % per_chunk == 0; r++) {
                    y[r] = fmaf(part[r], sx, y[r]);
                    part[r] = 0.0f;
                }
            }
        }
}

static void mul_float(const wick_lin_args *a)
{
    uint32_t n_blocks = a->n_chunks * 64 / a->block;
    for (uint32_t m = 0; m < a->mr; m++)
        for (uint32_t t = 0; t < a->nt; t++) {
            float *y = a->y + (m * a->nt + t) * 16;
            for (uint32_t k = 0; k < n_blocks; k++) {
                const float *x = a->x + (uint64_t)k * a->block * a->mr + m;
                const float *c = a->c + ((uint64_t)k * a->block * a->nt + t) * 16;
                const float *d = a->d + (k * a->nt + t) * 16, *b = a->b + (k * a->nt + t) * 16;
                float s = a->s[k * a->mr + m], acc[16] = {0};
                for (uint32_t i = 0; i < a->block; i++)
                    for (uint32_t r = 0; r < 16; r++)
                        acc[r] += c[(uint64_t)i * a->nt * 16 + r] * x[(uint64_t)i * a->mr];
                for (uint32_t r = 0; r < 16; r++) y[r] = (y[r] + d[r] * acc[r]) + b[r] * s;
            }
        }
}

static void unpack_int(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                       float *d, float *b)
{
    lin_unpack_int(f, src, n_super, nt, codes, d, b);
}

static void unpack_float(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c, float *d,
                         float *b)
{
    lin_unpack_float(f, src, n_super, nt, c, d, b);
}

const wick_lin_kernels wick_lin_kernels_portable = {.mr_int = 8,
                                                    .mr_float = 8,
                                                    .nt = 1,
                                                    .prep_int = prep_int,
                                                    .prep_float = prep_float,
                                                    .unpack_int = unpack_int,
                                                    .unpack_float = unpack_float,
                                                    .mul_int = mul_int,
                                                    .mul_float = mul_float};
