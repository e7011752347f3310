/* format/npy.h - private to format/: the header of one .npy array, versions 1 to 3. */
#pragma once
#include "base/str.h"
#include "format/tensor_dir.h"

#define WICK_NPY_PREFIX 12u        /* magic, version and a header length of either width */
#define WICK_NPY_MAX_HEADER 65536u /* numpy writes 64 to 192 bytes */

/* Bytes of the whole header (prefix included) from its first WICK_NPY_PREFIX bytes; 0: no .npy, or a header too
 * long. */
uint64_t wick_npy_header_bytes(const uint8_t prefix[WICK_NPY_PREFIX]);
/* Fills dtype, n_dim and shape of *t from the header's text. *column_major: Fortran order, for a shape where that
 * differs. NULL, or what is wrong; *dtype_unknown is set where it is only that Wick has no such dtype. */
const char *wick_npy_parse(const uint8_t *header, uint64_t n, wick_tensor *t, bool *column_major, bool *dtype_unknown);
