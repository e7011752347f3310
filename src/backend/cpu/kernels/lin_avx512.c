/* backend/cpu/kernels/lin_avx512.c - 512-bit kernels without VNNI: vpmaddubsw adds pairs in 16 bits with saturation, so
 * codes above 127 are taken as signed, c = code - 128, the product as |c| times the activation with c's sign (at most
 * 2 * 128 * 127, which fits), and the accumulators start at 128 * sum(x) more: integers throughout, the same value. */
#include <immintrin.h>
#include "backend/cpu/kernels/lin_common.h"
#define LIN_WIDE
#if LIN_FEW
#define LIN_HALF_LIST(X, ...) X(1, __VA_ARGS__) X(2, __VA_ARGS__)
#define LIN_MR_LIST(X, ...) LIN_HALF_LIST(X, __VA_ARGS__) X(3, __VA_ARGS__)
enum { LIN_MR = 3, LIN_HALF = 2 };
#else
/* clang-format off */
#define LIN_HALF_LIST(X, ...) X(1, __VA_ARGS__) X(2, __VA_ARGS__) X(3, __VA_ARGS__) X(4, __VA_ARGS__)
#define LIN_MR_LIST(X, ...)       \
    LIN_HALF_LIST(X, __VA_ARGS__) \
    X(5, __VA_ARGS__) X(6, __VA_ARGS__) X(7, __VA_ARGS__) X(8, __VA_ARGS__)
/* clang-format on */
enum { LIN_MR = 8, LIN_HALF = 4 };
#endif
#define LIN_IS_SIGNED 1
#define LIN_IN_PLACE 0
#define LIN_DOT(acc, codes, x, wide) (acc) = lin_dot16((acc), (codes), (x), (wide))

static inline __attribute__((always_inline)) __m512i lin_dot16(__m512i acc, __m512i codes, __m512i x, const _Bool wide)
{
    const __m512i ones = _mm512_set1_epi16(1);
    if (wide) {
        const __m512i top = _mm512_set1_epi8(-128);
        __m512i c = _mm512_xor_si512(codes, top); /* code - 128 */
        __m512i xs = _mm512_mask_sub_epi8(x, _mm512_movepi8_mask(c), _mm512_setzero_si512(), x);
        return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(_mm512_abs_epi8(c), xs), ones));
    }
    return _mm512_add_epi32(acc, _mm512_madd_epi16(_mm512_maddubs_epi16(codes, x), ones));
}
#include "backend/cpu/kernels/lin_avx512.h"

const wick_lin_kernels wick_lin_kernels_avx512 = LIN_KERNELS;
