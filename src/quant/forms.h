/* quant/forms.h - storing a matrix in another encoding: the names of the forms, where they fit, and one row of floats
 * in one of them. The counterpart of weight.h.
 *
 * What comes out is the same on every machine and whatever threads share the rows: affine and the float modes are what
 * mlx.core.quantize makes of the same float32 values, Q4_0 to Q8_0 what the `gguf` package makes.
 */
#pragma once
#include "quant/weight.h"

#define WICK_QUANT_VERSION 1 /* goes up when an encoder gives other bytes: what was kept of the old ones is not used */

/* A form in which a matrix can be stored. */
typedef struct wick_quant {
    wick_encoding enc;
    wick_dtype dtype;     /* PLAIN, BLOCK: of the data; AFFINE: of scales and biases */
    uint32_t bits, group; /* AFFINE and the float modes; else 0 */
} wick_quant;

/* A form by its name, in any case, with or without '_' and '-':
 *   F32 F16 BF16   Q4_0 Q4_1 Q5_0 Q5_1 Q8_0   Q2K Q3K Q4K Q5K Q6K   MXFP4 NVFP4 MXFP8
 *   AFQ2 AFQ3 AFQ4 AFQ5 AFQ6 AFQ8 (affine; "4bit" and "affine4" are the same), with a group of 64 or "AFQ4:32"
 * Scales of AFFINE become BF16, which the caller may change. False: there is no such form. */
bool wick_quant_parse(const char *name, wick_quant *out);
extern const char wick_quant_names[]; /* all of them, for messages and help */
/* "Q4_K", "AFQ4:64": what wick_quant_parse reads; into dst, which is returned. */
char *wick_quant_name(const wick_quant *q, char *dst, uint32_t cap);
/* Rows of n_in values divide into its groups or blocks (and the codes of a row into whole 32-bit words). */
bool wick_quant_fits(const wick_quant *q, uint32_t n_in);
/* The weight that a matrix of this shape becomes, strides filled in, without data. WICK_E_UNSUPPORTED_FORMAT where it
 * does not fit. */
wick_status wick_quant_shape(const wick_quant *q, uint32_t n_out, uint32_t n_in, wick_weight *out,
                             wick_err *err) WICK_MUST_CHECK;
/* One row: x[n_in] to data (row_bytes of wick_quant_shape) and, for AFFINE and the float modes, scales and biases
 * (scale_row_bytes each; biases for AFFINE only). importance[n_in]: how much an error of each input counts, for Q2K to
 * Q6K; NULL: all the same. The three may be unaligned. */
void wick_quant_row(const wick_quant *q, const float *x, const float *importance, uint32_t n_in, uint8_t *data,
                    uint8_t *scales, uint8_t *biases);
/* n values as F32, F16 or BF16, rounded to the nearest. */
void wick_from_f32(wick_dtype t, const float *src, void *dst, uint64_t n);
