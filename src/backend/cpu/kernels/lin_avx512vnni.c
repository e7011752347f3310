/* backend/cpu/kernels/lin_avx512vnni.c - 512-bit kernels on vpdpbusd. */
#include <immintrin.h>
#include "backend/cpu/kernels/lin_common.h"
#define LIN_DOT(acc, codes, x, wide)                                     \
    do {                                                                 \
        (void)(wide);                                                    \
        __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(x)); \
    } while (0)
#if LIN_FEW
#define LIN_MR_LIST(X) X(1) X(2) X(3)
enum { LIN_MR = 3 };
#else
#define LIN_MR_LIST(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12)
enum { LIN_MR = 12 };
#endif
#define LIN_FIX(acc, sum, wide) (acc)
#include "backend/cpu/kernels/lin_avx512.h"

const wick_lin_kernels wick_lin_kernels_vnni = LIN_KERNELS;
