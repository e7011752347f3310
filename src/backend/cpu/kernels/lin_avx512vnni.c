/* backend/cpu/kernels/lin_avx512vnni.c - 512-bit kernels on vpdpbusd. */
#include <immintrin.h>
#include "backend/cpu/kernels/lin_common.h"
#define LIN_DOT(acc, codes, x, wide)                                     \
    do {                                                                 \
        (void)(wide);                                                    \
        __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(codes), "v"(x)); \
    } while (0)
#if LIN_FEW
#define LIN_HALF_LIST(X, ...) X(1, __VA_ARGS__) X(2, __VA_ARGS__)
#define LIN_MR_LIST(X, ...) LIN_HALF_LIST(X, __VA_ARGS__) X(3, __VA_ARGS__)
enum { LIN_MR = 3, LIN_HALF = 2 };
#else
/* clang-format off */
#define LIN_HALF_LIST(X, ...) \
    X(1, __VA_ARGS__) X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__) X(5, __VA_ARGS__) X(6, __VA_ARGS__)
#define LIN_MR_LIST(X, ...)       \
    LIN_HALF_LIST(X, __VA_ARGS__) \
    X(7, __VA_ARGS__) X(8, __VA_ARGS__) X(9, __VA_ARGS__) X(10, __VA_ARGS__) X(11, __VA_ARGS__) X(12, __VA_ARGS__)
/* clang-format on */
enum { LIN_MR = 12, LIN_HALF = 6 };
#endif
#define LIN_IS_SIGNED 0
#define LIN_IN_PLACE 1
#include "backend/cpu/kernels/lin_avx512.h"

const wick_lin_kernels wick_lin_kernels_vnni = LIN_KERNELS;
