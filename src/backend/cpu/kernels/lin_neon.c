/* backend/cpu/kernels/lin_neon.c - 128-bit kernels for every 64-bit ARM: products of bytes in 16 bits, two added there
 * (at most 2 * 128 * 127, which fits), neighbours added to 32 bits. */
#define LIN_RUN 8
#include "backend/cpu/kernels/lin_common.h"
#include <arm_neon.h>
#define LIN_SIGNED 1
#define LIN_GEMV_MR 1
#define LIN_MR_LIST(X) X(1) X(2)
enum { LIN_MR = 2 };

/* Outputs 0, 1 in a[0], 2, 3 in a[1], each in two parts */
LIN_INLINE void lin_pair(int32x4_t a[2], uint8x16x2_t c, int8x16_t x, const uint32_t high, const bool split)
{
    (void)split;
    int32x4_t words = vreinterpretq_s32_s8(x);
    int8x16_t v0 = vreinterpretq_s8_u8(c.val[0]), v1 = vreinterpretq_s8_u8(c.val[1]);
    int8x16_t x0 = vreinterpretq_s8_s32(high ? vdupq_laneq_s32(words, 2) : vdupq_laneq_s32(words, 0));
    int8x16_t x1 = vreinterpretq_s8_s32(high ? vdupq_laneq_s32(words, 3) : vdupq_laneq_s32(words, 1));
    int16x8_t low = vmlal_s8(vmull_s8(vget_low_s8(v0), vget_low_s8(x0)), vget_low_s8(v1), vget_low_s8(x1));
    a[0] = vpadalq_s16(a[0], low);
    a[1] = vpadalq_s16(a[1], vmlal_high_s8(vmull_high_s8(v0, x0), v1, x1));
}

LIN_INLINE int32x4_t lin_four(const int32x4_t a[2], const bool split)
{
    (void)split;
    return vpaddq_s32(a[0], a[1]);
}
#include "backend/cpu/kernels/lin_neon.h"

const wick_lin_kernels wick_lin_kernels_neon = LIN_KERNELS;
