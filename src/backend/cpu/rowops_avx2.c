/* backend/cpu/rowops_avx2.c - the row kernels for this instruction set; see rowops_body.h. */
#define WICK_VEC_AVX2
#define WICK_ROWOPS wick_rowops_avx2
#define WICK_ROWOPS_NAME "avx2"
#include "backend/cpu/rowops_body.h"
