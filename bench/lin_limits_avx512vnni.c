/* bench/lin_limits_avx512vnni.c - limits of the 512-bit units. */
#include "lin_limits.h"
#include <immintrin.h>

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

float lin_limit_fma_avx512(uint64_t n)
{
    __m512 x = _mm512_set1_ps(0.5f);
#define X(i) __m512 a##i = x;
    TWELVE(X)
#undef X
    while (n--) {
#define X(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+v"(a##i) : "v"(x));
        TWELVE(X)
#undef X
    }
#define X(i) x = _mm512_add_ps(x, a##i);
    TWELVE(X)
#undef X
    return _mm512_cvtss_f32(x);
}

float lin_limit_int8_vnni(uint64_t n)
{
    __m512i x = _mm512_set1_epi8(1);
#define X(i) __m512i a##i = x;
    TWELVE(X)
#undef X
    while (n--) {
#define X(i) __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(a##i) : "v"(x));
        TWELVE(X)
#undef X
    }
#define X(i) x = _mm512_add_epi32(x, a##i);
    TWELVE(X)
#undef X
    return (float)_mm_cvtsi128_si32(_mm512_castsi512_si128(x));
}
