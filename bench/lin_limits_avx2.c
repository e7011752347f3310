/* bench/lin_limits_avx2.c - limits of the 256-bit units, and the read bandwidth. */
#include "lin_limits.h"
#include <immintrin.h>

float lin_limit_read_avx2(const void *p, size_t n_bytes)
{
    const __m256i *v = p;
    __m256i a = _mm256_setzero_si256(), b = a, c = a, d = a;
    for (size_t i = 0; i < n_bytes / 32; i += 16) {
        for (size_t j = 0; j < 8; j++) _mm_prefetch((const char *)(v + i) + 4096 + j * 64, _MM_HINT_T0);
        for (size_t j = 0; j < 16; j += 4) {
            a = _mm256_or_si256(a, _mm256_load_si256(v + i + j));
            b = _mm256_or_si256(b, _mm256_load_si256(v + i + j + 1));
            c = _mm256_or_si256(c, _mm256_load_si256(v + i + j + 2));
            d = _mm256_or_si256(d, _mm256_load_si256(v + i + j + 3));
        }
    }
    a = _mm256_or_si256(_mm256_or_si256(a, b), _mm256_or_si256(c, d));
    return (float)_mm256_extract_epi32(a, 0);
}

#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)

float lin_limit_fma_avx2(uint64_t n)
{
    __m256 x = _mm256_set1_ps(0.5f);
#define X(i) __m256 a##i = x;
    TWELVE(X)
#undef X
    while (n--) {
#define X(i) __asm__ volatile("vfmadd231ps %1, %1, %0" : "+x"(a##i) : "x"(x));
        TWELVE(X)
#undef X
    }
#define X(i) x = _mm256_add_ps(x, a##i);
    TWELVE(X)
#undef X
    return _mm256_cvtss_f32(x);
}

float lin_limit_int8_avx2(uint64_t n)
{
    __m256i x = _mm256_set1_epi8(1), one = _mm256_set1_epi16(1), t;
#define X(i) __m256i a##i = x;
    TWELVE(X)
#undef X
    while (n--) {
#define X(i)                                                                             \
    __asm__ volatile("vpmaddubsw %2, %2, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0" \
                     : "+x"(a##i), "=&x"(t)                                              \
                     : "x"(x), "x"(one));
        TWELVE(X)
#undef X
    }
#define X(i) x = _mm256_add_epi32(x, a##i);
    TWELVE(X)
#undef X
    return (float)_mm256_extract_epi32(x, 0);
}
