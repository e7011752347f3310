/* quant/gguf_iq.c - the codebook types of GGUF. IQ4: one element a code, from a list of 16 levels. IQ1, IQ2, IQ3: a
 * code stands for 8 or 4 elements (gguf_iq_grid.c), with signs beside it.
 *
 * A block starts with its half-precision scale d, unless said otherwise; 256 elements are 8 groups of 32.
 *   IQ2_XXS  per group: 4 codes of 8 bits, then a u32: 4 x 7 bits of signs, 4 bits of scale
 *   IQ2_XS   32 x u16: 9 bits code, 7 bits signs; 16 scales of 4 bits
 *   IQ2_S    32 bytes of codes, 32 of signs, 8 with the codes' bits 8-9, 16 scales of 4 bits
 *   IQ3_XXS  64 codes of 8 bits; per group a u32 as in IQ2_XXS
 *   IQ3_S    64 bytes of codes, 8 with the codes' bit 8, 32 of signs, 8 scales of 4 bits
 *   IQ1_S    32 bytes of codes; per group a u16: 4 x 3 high bits of codes, 3 bits of scale, sign of the shift
 *   IQ1_M    32 bytes of codes; 16 bytes of nibbles: 3 high bits of a code, sign of the shift; 4 x u16: 4 x 3 bits of
 *            scale and, in the top nibbles, the block's d
 */
#include "quant/block.h"
#include "quant/gguf_iq_grid.h"

static const int8_t levels4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const float levels2[4] = {8, 25, 43, 0};
static const float levels3[8] = {4, 12, 20, 28, 36, 44, 52, 62};

/* Seven signs are stored; the eighth makes the number of minus signs even. */
static unsigned even_signs(unsigned seven)
{
    unsigned p = seven ^ seven >> 4;
    p ^= p >> 2;
    p ^= p >> 1;
    return seven | (p & 1) << 7;
}

static void put2(unsigned entry, unsigned signs, float scale, float *y)
{
    for (unsigned j = 0; j < 8; j++) {
        float v = scale * levels2[entry >> (2 * j) & 3];
        y[j] = signs >> j & 1 ? -v : v;
    }
}

static void put3(unsigned entry, unsigned signs, float scale, bool odd_levels, float *y)
{
    for (unsigned j = 0; j < 4; j++) {
        unsigned level = entry >> (3 * j) & 7;
        float v = scale * (odd_levels ? (float)(2 * level + 1) : levels3[level]);
        y[j] = signs >> j & 1 ? -v : v;
    }
}

static void put1(unsigned entry, float shift, float scale, float *y)
{
    for (unsigned j = 0; j < 8; j++) y[j] = scale * ((float)(int)(entry >> (2 * j) & 3) - 1 + shift);
}

void wick_block_iq4_nl(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned j = 0; j < 16; j++) {
        y[j] = d * levels4[x[2 + j] & 15];
        y[j + 16] = d * levels4[x[2 + j] >> 4];
    }
}

void wick_block_iq4_xs(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    unsigned high = wick_block_u16(x + 2);
    for (unsigned g = 0; g < 8; g++) {
        unsigned scale = (x[4 + g / 2] >> (g % 2 * 4) & 15u) | (high >> (2 * g) & 3) << 4;
        float dl = d * (float)((int)scale - 32);
        for (unsigned j = 0; j < 16; j++) {
            uint8_t q = x[8 + g * 16 + j];
            y[g * 32 + j] = dl * levels4[q & 15];
            y[g * 32 + j + 16] = dl * levels4[q >> 4];
        }
    }
}

void wick_block_iq2_xxs(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned g = 0; g < 8; g++) {
        const uint8_t *codes = x + 2 + 8 * g;
        uint32_t side = wick_block_u32(codes + 4);
        float scale = d * (0.5f + (float)(side >> 28)) * 0.25f;
        for (unsigned k = 0; k < 4; k++)
            put2(wick_grid_iq2xxs[codes[k]], even_signs(side >> (7 * k) & 127), scale, y + g * 32 + k * 8);
    }
}

void wick_block_iq2_xs(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned k = 0; k < 32; k++) {
        unsigned code = wick_block_u16(x + 2 + 2 * k), nibble = x[66 + k / 4] >> (k / 2 % 2 * 4) & 15;
        put2(wick_grid_iq2xs[code & 511], even_signs(code >> 9), d * (0.5f + (float)nibble) * 0.25f, y + 8 * k);
    }
}

void wick_block_iq2_s(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned k = 0; k < 32; k++) {
        unsigned code = x[2 + k] | (x[66 + k / 4] >> (k % 4 * 2) & 3u) << 8,
                 nibble = x[74 + k / 4] >> (k / 2 % 2 * 4) & 15;
        put2(wick_grid_iq2s[code], x[34 + k], d * (0.5f + (float)nibble) * 0.25f, y + 8 * k);
    }
}

void wick_block_iq3_xxs(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned g = 0; g < 8; g++) {
        uint32_t side = wick_block_u32(x + 66 + 4 * g);
        float scale = d * (0.5f + (float)(side >> 28)) * 0.5f;
        for (unsigned k = 0; k < 8; k++) {
            unsigned signs = even_signs(side >> (7 * (k / 2)) & 127) >> (k % 2 * 4);
            put3(wick_grid_iq3xxs[x[2 + g * 8 + k]], signs, scale, false, y + g * 32 + k * 4);
        }
    }
}

void wick_block_iq3_s(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned k = 0; k < 64; k++) {
        unsigned code = x[2 + k] | (x[66 + k / 8] >> (k % 8) & 1u) << 8, signs = x[74 + k / 2] >> (k % 2 * 4);
        unsigned nibble = x[106 + k / 16] >> (k / 8 % 2 * 4) & 15;
        put3(wick_grid_iq3s[code], signs, d * (float)(1 + 2 * nibble), true, y + 4 * k);
    }
}

void wick_block_iq1_s(const uint8_t *x, float *y)
{
    float d = wick_block_f16(x);
    for (unsigned k = 0; k < 32; k++) {
        unsigned side = wick_block_u16(x + 34 + k / 4 * 2), code = x[2 + k] | (side >> (k % 4 * 3) & 7) << 8;
        put1(wick_grid_iq1[code], side & 0x8000 ? -0.125f : 0.125f, d * (float)(2 * (side >> 12 & 7) + 1), y + 8 * k);
    }
}

void wick_block_iq1_m(const uint8_t *x, float *y)
{
    const uint8_t *scales = x + 48;
    unsigned bits = 0;
    for (unsigned i = 0; i < 4; i++) bits |= (unsigned)(scales[2 * i + 1] >> 4) << (4 * i);
    float d = wick_f16_to_f32((uint16_t)bits);
    for (unsigned k = 0; k < 32; k++) {
        unsigned side = x[32 + k / 2] >> (k % 2 * 4) & 15, code = x[k] | (side & 7) << 8;
        unsigned scale = (unsigned)wick_block_u16(scales + k / 8 * 2) >> (k % 8 / 2 * 3) & 7;
        put1(wick_grid_iq1[code], side & 8 ? -0.125f : 0.125f, d * (float)(2 * scale + 1), y + 8 * k);
    }
}
