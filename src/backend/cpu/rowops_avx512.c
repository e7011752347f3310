/* backend/cpu/rowops_avx512.c - the row kernels for this instruction set; see rowops_body.h. */
#define WICK_VEC_AVX512
#define WICK_ROWOPS wick_rowops_avx512
#define WICK_ROWOPS_NAME "avx512"
#include "backend/cpu/rowops_body.h"
