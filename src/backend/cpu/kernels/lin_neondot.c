/* backend/cpu/kernels/lin_neondot.c - 128-bit kernels on sdot (ARMv8.2 and up, Apple M1). */
#define LIN_RUN 8
#include "backend/cpu/kernels/lin_common.h"
#include <arm_neon.h>
#define LIN_SIGNED 1
#define LIN_GEMV_MR 2
#define LIN_MR_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6)
enum { LIN_MR = 6 };

LIN_INLINE void lin_pair(int32x4_t a[2], uint8x16x2_t c, int8x16_t x, const uint32_t high, const bool split)
{
    int8x16_t v0 = vreinterpretq_s8_u8(c.val[0]), v1 = vreinterpretq_s8_u8(c.val[1]);
    a[0] = high ? vdotq_laneq_s32(a[0], v0, x, 2) : vdotq_laneq_s32(a[0], v0, x, 0);
    a[split] = high ? vdotq_laneq_s32(a[split], v1, x, 3) : vdotq_laneq_s32(a[split], v1, x, 1);
}

LIN_INLINE int32x4_t lin_four(const int32x4_t a[2], const bool split)
{
    return split ? vaddq_s32(a[0], a[1]) : a[0];
}
#include "backend/cpu/kernels/lin_neon.h"

const wick_lin_kernels wick_lin_kernels_neondot = LIN_KERNELS;
