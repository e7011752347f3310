/* quant/gguf_k_encode.c - the encoder of the k-quants: which instruction set runs. See gguf_k_encode.h. */
#include "quant/gguf_k_encode.h"

#include "base/sys.h"

void wick_block_k_encode(wick_dtype t, const float *x, const float *weight, uint8_t *out)
{
    static const float ones[256] = {
#define ONES16 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1
        ONES16, ONES16, ONES16, ONES16, ONES16, ONES16, ONES16, ONES16,
        ONES16, ONES16, ONES16, ONES16, ONES16, ONES16, ONES16, ONES16,
#undef ONES16
    };
    if (!weight) weight = ones;
#if defined(__x86_64__)
    if (wick_cpu_probe()->avx2_fma_f16c) {
        wick_block_k_encode_avx2(t, x, weight, out);
        return;
    }
#endif
    k_encode(t, x, weight, out);
}
