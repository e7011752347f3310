/* fuzz/fuzz_safetensors.c - the header scanner and the checks of safetensors files. */
#include "fuzz_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_open(data, n, wick_safetensors_open, NULL);
}
