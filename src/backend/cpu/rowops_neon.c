/* backend/cpu/rowops_neon.c - the row kernels for this instruction set; see rowops_body.h. */
#define WICK_VEC_NEON
#define WICK_ROWOPS wick_rowops_neon
#define WICK_ROWOPS_NAME "neon"
#include "backend/cpu/rowops_body.h"
