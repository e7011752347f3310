/* quant/affine.c - MLX's affine encoding: w = scale * q + bias for each group of inputs.
 *
 * A row of codes is one little-endian bit stream: code k lies in bits [k * bits, (k + 1) * bits), so codes of 3, 5 and
 * 6 bits straddle words. The encoder anchors the edge of the group with the larger magnitude, which makes the
 * scale negative for about half of all groups.
 */
#include "quant/block.h"

#include <math.h>

#define MIN_SCALE 1e-7f /* as MLX: keeps constant groups away from a division by zero */

static float element(wick_dtype t, const uint8_t *p, uint64_t i)
{
    if (t == WICK_DTYPE_F32) return wick_f32_from_bits(wick_block_u32(p + 4 * i));
    uint16_t u = wick_block_u16(p + 2 * i);
    return t == WICK_DTYPE_BF16 ? wick_bf16_to_f32(u) : wick_f16_to_f32(u);
}

void wick_affine_decode(const wick_weight *w, const uint8_t *data, const uint8_t *scales, const uint8_t *biases,
                        float *out)
{
    uint64_t window = 0; /* the next bits of the stream, lowest first */
    uint32_t have = 0, mask = (1u << w->bits) - 1;
    for (uint32_t g = 0, k = 0; g < w->n_in / w->group; g++) {
        float scale = element(w->dtype, scales, g), bias = element(w->dtype, biases, g);
        for (uint32_t end = k + w->group; k < end; k++) {
            if (have < w->bits) {
                window |= (uint64_t)wick_block_u32(data) << have;
                data += 4;
                have += 32;
            }
            out[k] = scale * (float)((uint32_t)window & mask) + bias;
            window >>= w->bits;
            have -= w->bits;
        }
    }
}

void wick_affine_encode_row(const float *x, uint32_t n_in, uint32_t bits, uint32_t group, uint32_t *codes,
                            float *scales, float *biases)
{
    const float top = (float)((1u << bits) - 1);
    uint64_t window = 0;
    uint32_t have = 0;
    for (uint32_t g = 0; g < n_in / group; g++, x += group) {
        float lo = INFINITY, hi = -INFINITY;
        for (uint32_t k = 0; k < group; k++) {
            lo = x[k] < lo ? x[k] : lo;
            hi = x[k] > hi ? x[k] : hi;
        }
        bool anchor_lo = fabsf(lo) > fabsf(hi);
        float scale = fmaxf((hi - lo) / top, MIN_SCALE), edge = anchor_lo ? lo : hi, bias = 0;
        scale = anchor_lo ? scale : -scale;
        float q0 = rintf(edge / scale);
        if (q0 != 0) {
            scale = edge / q0;
            bias = edge;
        }
        for (uint32_t k = 0; k < group; k++) {
            float q = rintf((x[k] - bias) / scale);
            q = q > 0 ? q : 0; /* NaN too */
            window |= (uint64_t)(uint32_t)(q < top ? q : top) << have;
            have += bits;
            if (have >= 32) {
                *codes++ = (uint32_t)window;
                window >>= 32;
                have -= 32;
            }
        }
        scales[g] = scale;
        biases[g] = bias;
    }
}
