/* quant/gguf_iq_grid.h - private to quant/: the codebooks of GGUF's IQ types. */
#pragma once
#include <stdint.h>

extern const uint16_t wick_grid_iq2xxs[256]; /* IQ2_XXS: 8 elements of 2 bits */
extern const uint16_t wick_grid_iq2xs[512];  /* IQ2_XS: 8 elements of 2 bits */
extern const uint16_t wick_grid_iq2s[1024];  /* IQ2_S: 8 elements of 2 bits */
extern const uint16_t wick_grid_iq3xxs[256]; /* IQ3_XXS: 4 elements of 3 bits */
extern const uint16_t wick_grid_iq3s[512];   /* IQ3_S: 4 elements of 3 bits */
extern const uint16_t wick_grid_iq1[2048];   /* IQ1_S, IQ1_M: 8 elements of 2 bits */
