/* backend/cpu/linear_format.c - which packed format an encoding gets. One table per family; see linear_impl.h for the
 * layout. Formats without an integer form (floats, FP8, codebooks) run on the float kernels in every precision. */
#include "backend/cpu/linear_impl.h"

typedef struct block_row {
    wick_dtype dtype;
    wick_lin_code code;
    wick_lin_scale scale;
    wick_lin_lut lut;
    bool has_bias;
    uint16_t group, super, zero;
} block_row;

/* zero: the code that stands for the weight 0 in the formats without a stored minimum. */
static const block_row block_rows[] = {
    {WICK_DTYPE_Q4_0, WICK_LIN_CODE_4, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, false, 32, 64, 8},
    {WICK_DTYPE_Q4_1, WICK_LIN_CODE_4, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, true, 32, 64, 0},
    {WICK_DTYPE_Q5_0, WICK_LIN_CODE_5, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, false, 32, 64, 16},
    {WICK_DTYPE_Q5_1, WICK_LIN_CODE_5, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, true, 32, 64, 0},
    {WICK_DTYPE_Q8_0, WICK_LIN_CODE_8, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, false, 32, 64, 128},
    {WICK_DTYPE_Q2_K, WICK_LIN_CODE_2, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_NONE, true, 16, 256, 0},
    {WICK_DTYPE_Q3_K, WICK_LIN_CODE_3, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_NONE, false, 16, 256, 4},
    {WICK_DTYPE_Q4_K, WICK_LIN_CODE_4, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_NONE, true, 32, 256, 0},
    {WICK_DTYPE_Q5_K, WICK_LIN_CODE_5, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_NONE, true, 32, 256, 0},
    {WICK_DTYPE_Q6_K, WICK_LIN_CODE_6, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_NONE, false, 16, 256, 32},
    {WICK_DTYPE_IQ4_NL, WICK_LIN_CODE_4, WICK_LIN_SCALE_F16, WICK_LIN_LUT_IQ4NL, false, 32, 64, 128},
    {WICK_DTYPE_IQ4_XS, WICK_LIN_CODE_4, WICK_LIN_SCALE_SUB, WICK_LIN_LUT_IQ4NL, false, 32, 256, 128},
    {WICK_DTYPE_TQ2_0, WICK_LIN_CODE_2, WICK_LIN_SCALE_F16, WICK_LIN_LUT_NONE, false, 256, 256, 1},
    {WICK_DTYPE_MXFP4, WICK_LIN_CODE_4, WICK_LIN_SCALE_BF16, WICK_LIN_LUT_E2M1, false, 32, 64, 12},
};

static void set_block(const wick_weight *w, wick_lin_fmt *f)
{
    f->code = WICK_LIN_CODE_FILE;
    f->group = f->block = 64;
    f->super = 256;
    for (size_t i = 0; i < sizeof block_rows / sizeof block_rows[0]; i++) {
        const block_row *b = &block_rows[i];
        if (b->dtype != w->dtype) continue;
        f->code = b->code;
        f->scale = b->scale;
        f->lut = b->lut;
        f->has_bias = b->has_bias;
        f->group = b->group;
        f->super = b->super;
        f->zero = b->zero;
    }
}

static wick_lin_code affine_code(uint32_t bits)
{
    switch (bits) {
    case 2: return WICK_LIN_CODE_2;
    case 3: return WICK_LIN_CODE_3;
    case 4: return WICK_LIN_CODE_4;
    case 5: return WICK_LIN_CODE_5;
    case 6: return WICK_LIN_CODE_6;
    default: return WICK_LIN_CODE_8;
    }
}

static wick_lin_scale affine_scale(wick_dtype t)
{
    return t == WICK_DTYPE_F32 ? WICK_LIN_SCALE_F32 : t == WICK_DTYPE_F16 ? WICK_LIN_SCALE_F16 : WICK_LIN_SCALE_BF16;
}

static void set_fp(wick_lin_fmt *f, wick_lin_code code, uint16_t group)
{
    f->code = code;
    f->scale = WICK_LIN_SCALE_BF16;
    f->group = group;
    f->super = 64;
    if (code == WICK_LIN_CODE_4) {
        f->lut = WICK_LIN_LUT_E2M1;
        f->zero = 12;
    }
}

static uint32_t chunk_bytes(wick_lin_code code)
{
    switch (code) {
    case WICK_LIN_CODE_2: return 256;
    case WICK_LIN_CODE_3: return 384;
    case WICK_LIN_CODE_4: return 512;
    case WICK_LIN_CODE_5: return 640;
    case WICK_LIN_CODE_6: return 768;
    case WICK_LIN_CODE_8:
    case WICK_LIN_CODE_F8: return 1024;
    case WICK_LIN_CODE_F16:
    case WICK_LIN_CODE_BF16: return 2048;
    case WICK_LIN_CODE_F32: return 4096;
    case WICK_LIN_CODE_FILE: return 0;
    }
    return 0;
}

static uint16_t centre_of(const wick_lin_fmt *f)
{
    if (!f->has_bias) return f->zero;
    switch (f->code) {
    case WICK_LIN_CODE_2: return 2;
    case WICK_LIN_CODE_3: return 4;
    case WICK_LIN_CODE_4: return 8;
    case WICK_LIN_CODE_5: return 16;
    case WICK_LIN_CODE_6: return 32;
    default: return 128;
    }
}

static uint32_t scale_bytes(const wick_lin_fmt *f)
{
    uint32_t n_groups = f->super / f->group, n = 0;
    switch (f->scale) {
    case WICK_LIN_SCALE_NONE: return 0;
    case WICK_LIN_SCALE_F32: n = n_groups * 64; break;
    case WICK_LIN_SCALE_F16:
    case WICK_LIN_SCALE_BF16: n = n_groups * 32; break;
    case WICK_LIN_SCALE_SUB: n = n_groups * 16; break;
    }
    if (f->has_bias) n *= 2;
    if (f->scale == WICK_LIN_SCALE_SUB) n += 64;
    return (n + 63) / 64 * 64;
}

static uint8_t top_of(const wick_lin_fmt *f)
{
    if (f->lut != WICK_LIN_LUT_NONE) return f->lut == WICK_LIN_LUT_E2M1 ? 24 : 241;
    switch (f->code) {
    case WICK_LIN_CODE_2: return 3;
    case WICK_LIN_CODE_3: return 7;
    case WICK_LIN_CODE_4: return 15;
    case WICK_LIN_CODE_5: return 31;
    case WICK_LIN_CODE_6: return 63;
    default: return 255;
    }
}

void wick_lin_format(const wick_weight *w, wick_lin_fmt *out)
{
    wick_lin_fmt *f = out;
    *f = (wick_lin_fmt){.group = 64, .super = 64, .mul = 1.0f};
    switch (w->enc) {
    case WICK_ENC_PLAIN:
        f->code = w->dtype == WICK_DTYPE_F32   ? WICK_LIN_CODE_F32
                  : w->dtype == WICK_DTYPE_F16 ? WICK_LIN_CODE_F16
                                               : WICK_LIN_CODE_BF16;
        break;
    case WICK_ENC_BLOCK: set_block(w, f); break;
    case WICK_ENC_AFFINE:
        f->code = affine_code(w->bits);
        f->scale = affine_scale(w->dtype);
        f->has_bias = true;
        f->group = (uint16_t)w->group;
        f->super = f->group > 64 ? f->group : 64;
        break;
    case WICK_ENC_MXFP4: set_fp(f, WICK_LIN_CODE_4, 32); break;
    case WICK_ENC_NVFP4:
        set_fp(f, WICK_LIN_CODE_4, 16);
        f->mul = w->global_scale;
        break;
    case WICK_ENC_MXFP8: set_fp(f, WICK_LIN_CODE_F8, 32); break;
    }
    f->block = f->group < 64 ? f->group : 64;
    f->top = top_of(f);
    f->wide = f->top > 127;
    if (f->code < WICK_LIN_CODE_F8) f->centre = centre_of(f);
    f->scale_bytes = scale_bytes(f);
    f->chunk_bytes = chunk_bytes(f->code);
    f->super_bytes = f->scale_bytes + f->chunk_bytes * (f->super / 64u);
}
