/* base/dtype.c - the type table and half-precision conversion. */
#include "base/dtype.h"
#include <stddef.h>

static const struct {
    const char *name;
    uint32_t elems, bytes;
    int gguf;
} types[WICK_DTYPE_COUNT] = {
#define X(name, text, elems, bytes, gguf) {text, elems, bytes, gguf},
    WICK_DTYPES(X)
#undef X
};

const char *wick_dtype_name(wick_dtype t)
{
    return (unsigned)t < WICK_DTYPE_COUNT ? types[t].name : "?";
}

uint32_t wick_dtype_block_elems(wick_dtype t)
{
    return types[t].elems;
}

uint32_t wick_dtype_block_bytes(wick_dtype t)
{
    return types[t].bytes;
}

bool wick_dtype_from_name(const char *name, wick_dtype *out)
{
    for (int t = 0; t < WICK_DTYPE_COUNT; t++) {
        if (strcmp(types[t].name, name) == 0) {
            *out = (wick_dtype)t;
            return true;
        }
    }
    return false;
}

bool wick_dtype_from_gguf(uint32_t ggml_type, wick_dtype *out)
{
    for (int t = 0; t < WICK_DTYPE_COUNT; t++) {
        if (types[t].gguf >= 0 && (uint32_t)types[t].gguf == ggml_type) {
            *out = (wick_dtype)t;
            return true;
        }
    }
    return false;
}

bool wick_dtype_bytes(wick_dtype t, uint64_t n_elems, uint64_t *bytes)
{
    if (n_elems % types[t].elems) return false;
    return !__builtin_mul_overflow(n_elems / types[t].elems, (uint64_t)types[t].bytes, bytes);
}

uint16_t wick_f32_to_bf16(float f)
{
    uint32_t u = wick_f32_to_bits(f);
    if ((u & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(u >> 16 | 0x40);
    return (uint16_t)((u + 0x7FFF + (u >> 16 & 1)) >> 16);
}

float wick_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exp = h >> 10 & 31, mant = h & 0x3FF;
    if (exp == 31) return wick_f32_from_bits(sign | 0x7F800000 | mant << 13);
    if (exp) return wick_f32_from_bits(sign | (exp + 112) << 23 | mant << 13);
    float v = (float)mant * 0x1p-24f; /* subnormal: exact in float32 */
    return sign ? -v : v;
}

uint16_t wick_f32_to_f16(float f)
{
    uint32_t u = wick_f32_to_bits(f);
    uint16_t sign = (uint16_t)(u >> 16 & 0x8000);
    uint32_t a = u & 0x7FFFFFFF;
    if (a > 0x7F800000) return sign | 0x7E00;
    if (a >= 0x477FF000) return sign | 0x7C00; /* 65520 and up round to infinity */
    if (a >= 0x38800000) {                     /* normal: 2^-14 and up */
        a += 0xFFF + (a >> 13 & 1);
        return sign | (uint16_t)((a - 0x38000000) >> 13);
    }
    /* Subnormal: adding 0.5 puts the half's last bit at the float's last bit, and the sum rounds to even. */
    float r = wick_f32_from_bits(a) + 0.5f;
    return sign | (uint16_t)(wick_f32_to_bits(r) - 0x3F000000);
}

void wick_to_f32(wick_dtype t, const void *src, float *dst, uint64_t n)
{
    const unsigned char *p = src;
    uint16_t h;
    switch (t) {
    case WICK_DTYPE_F32: memcpy(dst, src, n * 4); break;
    case WICK_DTYPE_F16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, 2);
            dst[i] = wick_f16_to_f32(h);
        }
        break;
    case WICK_DTYPE_BF16:
        for (uint64_t i = 0; i < n; i++) {
            memcpy(&h, p + 2 * i, 2);
            dst[i] = wick_bf16_to_f32(h);
        }
        break;
    default: memset(dst, 0, n * 4); break;
    }
}
