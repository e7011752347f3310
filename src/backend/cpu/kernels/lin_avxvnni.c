/* backend/cpu/kernels/lin_avxvnni.c - 256-bit kernels on AVX-VNNI's vpdpbusd: processors without AVX-512 that have
 * it. */
#define LIN_VNNI
#include "backend/cpu/kernels/lin_avx2.h"

const wick_lin_kernels wick_lin_kernels_avxvnni = LIN_KERNELS;
