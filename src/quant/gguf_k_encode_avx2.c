/* quant/gguf_k_encode_avx2.c - see gguf_k_encode.h. */
#include "quant/gguf_k_encode.h"

void wick_block_k_encode_avx2(wick_dtype t, const float *x, const float *w, uint8_t *out)
{
    k_encode(t, x, w, out);
}
