/* backend/cpu/kernels/lin_i8mm.c - 128-bit kernels on usdot and usmmla (ARMv8.6 and up, Apple M2), which take unsigned
 * codes as they are. */
#define LIN_RUN 8
#include "backend/cpu/kernels/lin_common.h"
#include <arm_neon.h>
#define LIN_SIGNED 0
#define LIN_MMLA
#define LIN_GEMV_MR 2
#define LIN_MR_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6)
enum { LIN_MR = 6 };

LIN_INLINE void lin_pair(int32x4_t a[2], uint8x16x2_t c, int8x16_t x, const uint32_t high, const bool split)
{
    a[0] = high ? vusdotq_laneq_s32(a[0], c.val[0], x, 2) : vusdotq_laneq_s32(a[0], c.val[0], x, 0);
    a[split] = high ? vusdotq_laneq_s32(a[split], c.val[1], x, 3) : vusdotq_laneq_s32(a[split], c.val[1], x, 1);
}

LIN_INLINE int32x4_t lin_four(const int32x4_t a[2], const bool split)
{
    return split ? vaddq_s32(a[0], a[1]) : a[0];
}
#include "backend/cpu/kernels/lin_neon.h"

const wick_lin_kernels wick_lin_kernels_i8mm = LIN_KERNELS;
