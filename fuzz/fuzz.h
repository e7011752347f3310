/* fuzz/fuzz.h - what the fuzz targets share. A target must be silent, leak nothing and depend on its input alone. */
#pragma once
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
