/* backend/mlx/gguf_affine.c - GGUF blocks as MLX's affine encoding, groups of 32, where that is exact:
 *   Q4_0 Q4_1 Q5_0 Q5_1 Q8_0  with float16 or float32 scales
 *   Q4_K Q5_K                 with float32 scales (a product of half precision and 6 bits)
 */
#include <string.h>

#include "backend/mlx/load.h"

static const uint8_t *row_at(const wick_weight *w, const uint8_t *base, uint64_t row_bytes, uint32_t r)
{
    return base + (uint64_t)r * w->row_step * row_bytes;
}

/* 32 weights of a GGUF block as w = scale * code + bias. */
typedef struct group32 {
    float scale, bias;
    uint8_t code[32];
} group32;

static float half_at(const uint8_t *p)
{
    return wick_f16_to_f32((uint16_t)(p[0] | p[1] << 8));
}

static void nibbles(const uint8_t *q, uint32_t fifth, group32 *g)
{
    for (unsigned j = 0; j < 16; j++) {
        g->code[j] = (uint8_t)((q[j] & 15) | (fifth >> j & 1) << 4);
        g->code[j + 16] = (uint8_t)(q[j] >> 4 | (fifth >> (j + 16) & 1) << 4);
    }
}

static uint32_t word_at(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Q4_K, Q5_K: 8 groups a block; 6-bit scales and minima in 12 bytes, of groups 4 to 7 the upper bits come last. */
static void k_group(const uint8_t *x, unsigned i, bool five, group32 *g)
{
    const uint8_t *s = x + 4, *high = x + 16, *q = x + (five ? 48 : 16) + i / 2 * 32;
    unsigned sc = i < 4 ? s[i] & 63U : (s[i + 4] & 15U) | (unsigned)(s[i - 4] >> 6) << 4;
    unsigned mn = i < 4 ? s[i + 4] & 63U : (unsigned)(s[i + 4] >> 4) | (unsigned)(s[i] >> 6) << 4;
    g->scale = half_at(x) * (float)sc;
    g->bias = -(half_at(x + 2) * (float)mn);
    for (unsigned j = 0; j < 32; j++)
        g->code[j] = (uint8_t)((q[j] >> (i % 2 * 4) & 15) | (five ? (high[j] >> i & 1) << 4 : 0));
}

/* Group i of a row of blocks. */
static void read_group(wick_dtype t, const uint8_t *row, uint32_t i, group32 *g)
{
    const uint8_t *x = row + (uint64_t)i * wick_dtype_block_bytes(t);
    switch (t) {
    case WICK_DTYPE_Q4_0:
    case WICK_DTYPE_Q5_0:
        g->scale = half_at(x);
        g->bias = g->scale * (t == WICK_DTYPE_Q4_0 ? -8.0F : -16.0F);
        nibbles(x + (t == WICK_DTYPE_Q4_0 ? 2 : 6), t == WICK_DTYPE_Q4_0 ? 0 : word_at(x + 2), g);
        return;
    case WICK_DTYPE_Q4_1:
    case WICK_DTYPE_Q5_1:
        g->scale = half_at(x);
        g->bias = half_at(x + 2);
        nibbles(x + (t == WICK_DTYPE_Q4_1 ? 4 : 8), t == WICK_DTYPE_Q4_1 ? 0 : word_at(x + 4), g);
        return;
    case WICK_DTYPE_Q8_0:
        g->scale = half_at(x);
        g->bias = g->scale * -128.0F;
        for (unsigned j = 0; j < 32; j++) g->code[j] = (uint8_t)(x[2 + j] ^ 0x80);
        return;
    default: k_group(row + (uint64_t)(i / 8) * wick_dtype_block_bytes(t), i % 8, t == WICK_DTYPE_Q5_K, g);
    }
}

/* Bits of the affine codes that hold a block type exactly with scales of type t; 0: none do. */
int wick_mlx_exact_bits(wick_dtype block, mlx_dtype t)
{
    switch (block) {
    case WICK_DTYPE_Q4_0:
    case WICK_DTYPE_Q4_1: return t == MLX_BFLOAT16 ? 0 : 4;
    case WICK_DTYPE_Q5_0:
    case WICK_DTYPE_Q5_1: return t == MLX_BFLOAT16 ? 0 : 5;
    case WICK_DTYPE_Q8_0: return t == MLX_BFLOAT16 ? 0 : 8;
    case WICK_DTYPE_Q4_K: return t == MLX_FLOAT32 ? 4 : 0;
    case WICK_DTYPE_Q5_K: return t == MLX_FLOAT32 ? 5 : 0;
    default: return 0;
    }
}

static void repack_row(wick_dtype block, const uint8_t *src, uint32_t n_groups, int bits, mlx_dtype t, uint8_t *codes,
                       uint8_t *scales, uint8_t *biases)
{
    for (uint32_t i = 0; i < n_groups; i++) {
        group32 g;
        uint32_t acc = 0;
        int have = 0;
        read_group(block, src, i, &g);
        wick_mlx_put_float(t, g.scale, scales, i);
        wick_mlx_put_float(t, g.bias, biases, i);
        for (unsigned j = 0; j < 32; j++) {
            acc |= (uint32_t)g.code[j] << have;
            for (have += bits; have >= 8; have -= 8, acc >>= 8) *codes++ = (uint8_t)acc;
        }
    }
}

bool wick_mlx_repack(wick_mlx_lin *l, const wick_weight *w, int bits, mlx_dtype t)
{
    uint32_t n_groups = l->n_in / 32;
    uint64_t rows = (uint64_t)l->n_mat * l->n_out, code_row = (uint64_t)n_groups * 4 * (uint32_t)bits;
    uint64_t scale_row = n_groups * wick_mlx_dtype_bytes(t);
    uint8_t *codes = wick_alloc_aligned(64, rows * code_row), *scales = wick_alloc_aligned(64, rows * scale_row);
    uint8_t *biases = wick_alloc_aligned(64, rows * scale_row);
    if (!codes || !scales || !biases) {
        wick_free(codes);
        wick_free(scales);
        wick_free(biases);
        return false;
    }
    for (uint32_t e = 0; e < l->n_mat; e++) {
        for (uint32_t r = 0; r < l->n_out; r++) {
            uint64_t at = (uint64_t)e * l->n_out + r;
            repack_row(w->dtype, row_at(&w[e], w[e].data, w->row_bytes, r), n_groups, bits, t, codes + at * code_row,
                       scales + at * scale_row, biases + at * scale_row);
        }
    }
    l->quantized = true;
    l->mode = "affine";
    l->group = 32;
    l->bits = bits;
    l->w = wick_mlx_shaped(l, codes, codes, (uint32_t)(code_row / 4), MLX_UINT32);
    l->scales = wick_mlx_shaped(l, scales, scales, n_groups, t);
    l->biases = wick_mlx_shaped(l, biases, biases, n_groups, t);
    return l->w.ctx && l->scales.ctx && l->biases.ctx;
}
