/* backend/cpu/kernels/lin_avx2.c - 256-bit kernels on vpmaddubsw. */
#include "backend/cpu/kernels/lin_avx2.h"

const wick_lin_kernels wick_lin_kernels_avx2 = LIN_KERNELS;
