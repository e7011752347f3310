/* base/dtype.h - element types of tensors, plain and block-quantized, and half-precision conversion. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* X(name, text, elements per block, bytes per block, GGUF type number or -1) */
#define WICK_DTYPES(X)                 \
    X(F32, "F32", 1, 4, 0)             \
    X(F16, "F16", 1, 2, 1)             \
    X(BF16, "BF16", 1, 2, 30)          \
    X(F64, "F64", 1, 8, 28)            \
    X(I8, "I8", 1, 1, 24)              \
    X(I16, "I16", 1, 2, 25)            \
    X(I32, "I32", 1, 4, 26)            \
    X(I64, "I64", 1, 8, 27)            \
    X(U8, "U8", 1, 1, -1)              \
    X(U16, "U16", 1, 2, -1)            \
    X(U32, "U32", 1, 4, -1)            \
    X(U64, "U64", 1, 8, -1)            \
    X(BOOL, "BOOL", 1, 1, -1)          \
    X(F8_E4M3, "F8_E4M3", 1, 1, -1)    \
    X(F8_E5M2, "F8_E5M2", 1, 1, -1)    \
    X(F8_E8M0, "F8_E8M0", 1, 1, -1)    \
    X(Q4_0, "Q4_0", 32, 18, 2)         \
    X(Q4_1, "Q4_1", 32, 20, 3)         \
    X(Q5_0, "Q5_0", 32, 22, 6)         \
    X(Q5_1, "Q5_1", 32, 24, 7)         \
    X(Q8_0, "Q8_0", 32, 34, 8)         \
    X(Q8_1, "Q8_1", 32, 36, 9)         \
    X(Q2_K, "Q2_K", 256, 84, 10)       \
    X(Q3_K, "Q3_K", 256, 110, 11)      \
    X(Q4_K, "Q4_K", 256, 144, 12)      \
    X(Q5_K, "Q5_K", 256, 176, 13)      \
    X(Q6_K, "Q6_K", 256, 210, 14)      \
    X(Q8_K, "Q8_K", 256, 292, 15)      \
    X(IQ2_XXS, "IQ2_XXS", 256, 66, 16) \
    X(IQ2_XS, "IQ2_XS", 256, 74, 17)   \
    X(IQ3_XXS, "IQ3_XXS", 256, 98, 18) \
    X(IQ1_S, "IQ1_S", 256, 50, 19)     \
    X(IQ4_NL, "IQ4_NL", 32, 18, 20)    \
    X(IQ3_S, "IQ3_S", 256, 110, 21)    \
    X(IQ2_S, "IQ2_S", 256, 82, 22)     \
    X(IQ4_XS, "IQ4_XS", 256, 136, 23)  \
    X(IQ1_M, "IQ1_M", 256, 56, 29)     \
    X(TQ1_0, "TQ1_0", 256, 54, 34)     \
    X(TQ2_0, "TQ2_0", 256, 66, 35)     \
    X(MXFP4, "MXFP4", 32, 17, 39)      \
    X(NVFP4, "NVFP4", 64, 36, 40)

typedef enum wick_dtype {
#define X(name, text, elems, bytes, gguf) WICK_DTYPE_##name,
    WICK_DTYPES(X)
#undef X
        WICK_DTYPE_COUNT
} wick_dtype;

const char *wick_dtype_name(wick_dtype t);
uint32_t wick_dtype_block_elems(wick_dtype t);
uint32_t wick_dtype_block_bytes(wick_dtype t);
bool wick_dtype_from_name(const char *name, wick_dtype *out);
bool wick_dtype_from_gguf(uint32_t ggml_type, wick_dtype *out);
/* Bytes of n elements; false if n is no multiple of the block or it overflows. */
bool wick_dtype_bytes(wick_dtype t, uint64_t n_elems, uint64_t *bytes);
static inline bool wick_dtype_is_float(wick_dtype t)
{
    return t == WICK_DTYPE_F32 || t == WICK_DTYPE_F16 || t == WICK_DTYPE_BF16;
}

static inline float wick_f32_from_bits(uint32_t u)
{
    float f;
    memcpy(&f, &u, 4);
    return f;
}
static inline uint32_t wick_f32_to_bits(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    return u;
}
static inline float wick_bf16_to_f32(uint16_t h)
{
    return wick_f32_from_bits((uint32_t)h << 16);
}
uint16_t wick_f32_to_bf16(float f); /* round to nearest even; NaN stays NaN */
float wick_f16_to_f32(uint16_t h);
uint16_t wick_f32_to_f16(float f); /* round to nearest even; overflow to inf */
/* n elements of a plain float type (F32, F16, BF16) to float32 */
void wick_to_f32(wick_dtype t, const void *src, float *dst, uint64_t n);
