/* backend/cpu/kernels/lin_avx512vnni.c - 512-bit kernels on vpdpbusd. */
#include <immintrin.h>
#define LIN_DOT(acc, codes, x, wide)                                     \
    do {                                                                 \
        (void)(wide);                                                    \
        __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(x)); \
    } while (0)
#define LIN_FIX(acc, sum, wide) (acc)
#include "backend/cpu/kernels/lin_avx512.h"

const wick_lin_kernels wick_lin_kernels_vnni = LIN_KERNELS;
