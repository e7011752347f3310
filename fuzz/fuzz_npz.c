/* fuzz/fuzz_npz.c - ZIP records, inflate and .npy headers. */
#include "fuzz_dir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    return fuzz_open(data, n, wick_npz_open, NULL);
}
