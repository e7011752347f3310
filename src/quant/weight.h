/* quant/weight.h - a matrix as a file holds it, in whatever encoding, and its meaning in float32.
 *
 * A wick_weight is a borrowed view: [n_out][n_in], output rows first. Groups and blocks run along n_in only. The
 * functions here are the definition of each encoding; backends repack from the same bytes and are tested against
 * wick_weight_row.
 *
 * Encodings:
 *   PLAIN   data: dtype F32, F16, BF16 (row-major)
 *   BLOCK   data: a GGUF block type (dtype)
 *   AFFINE  data: u32 stream of `bits`-wide codes, each row one little-endian bit stream; w = scale * q + bias per
 *           `group` inputs; scales and biases of type `dtype` (F32, F16, BF16), [n_out][n_in/group]. Scales may be
 *           negative.
 *   MXFP4   group 32, codes E2M1, scales U8 E8M0       NVFP4   group 16, E2M1, scales FP8 E4M3 (x global_scale)
 *   MXFP8   group 32, codes FP8 E4M3, scales E8M0
 */
#pragma once
#include "base/dtype.h"
#include "base/status.h"

typedef enum wick_encoding {
    WICK_ENC_PLAIN,
    WICK_ENC_BLOCK,
    WICK_ENC_AFFINE,
    WICK_ENC_MXFP4,
    WICK_ENC_NVFP4,
    WICK_ENC_MXFP8
} wick_encoding;

struct wick_quant;

typedef struct wick_weight {
    const char *name; /* for messages; borrowed */
    wick_encoding enc;
    wick_dtype dtype;     /* PLAIN, BLOCK: of data; AFFINE: of scales and biases */
    uint32_t bits, group; /* AFFINE and the fp modes */
    uint32_t n_out, n_in;
    const uint8_t *data;   /* row r at data + (r * row_step) * row_bytes */
    const uint8_t *scales; /* row r at scales + (r * row_step) * scale_row_bytes */
    const uint8_t *biases; /* AFFINE: same stride as scales */
    uint64_t row_bytes, scale_row_bytes;
    uint32_t row_step;  /* 1, or 2 where two matrices are interleaved by rows */
    float global_scale; /* NVFP4 with a global scale: w is multiplied by it; otherwise 1 */
    /* The form in which a backend is to store it (quant/forms.h), which fits; NULL: its own. wick_weight_row and all
     * else here speak of the file's form. */
    const struct wick_quant *recode;
    bool mapped; /* data lies in a read-only mapping of a file: its pages may be dropped after repacking */
} wick_weight;

/* Fills the strides (row_bytes, scale_row_bytes, row_step = 1, global_scale = 1) from enc, dtype, bits, group, n_in and
 * checks that n_in divides. WICK_E_UNSUPPORTED_FORMAT names what does not fit. */
wick_status wick_weight_finish(wick_weight *w, wick_err *err) WICK_MUST_CHECK;
/* Bytes that the view covers: data, scales and biases. */
uint64_t wick_weight_bytes(const wick_weight *w);
/* Bits per weight, scales included. */
double wick_weight_bpw(const wick_weight *w);
/* out[n_in] = row r in float32. Exact to float32 rounding of the encoding's formula. */
void wick_weight_row(const wick_weight *w, uint32_t r, float *out);
/* Columns [from, from + n) as a view of their own; false where their codes do not begin and end at whole groups and
 * bytes. */
bool wick_weight_columns(const wick_weight *w, uint32_t from, uint32_t n, wick_weight *out);
/* Decodes n elements (a multiple of the block) of one GGUF block type to float32. False for a type without a
 * decoder. */
bool wick_block_decode(wick_dtype t, const void *src, float *dst, uint64_t n);
bool wick_block_has_decoder(wick_dtype t);
/* Single values of the scale and code types: E8M0 (a power of two; 255 is NaN) and E4M3 without infinities. */
float wick_e8m0_to_f32(uint8_t e);
float wick_e4m3_to_f32(uint8_t u);
/* "affine 4-bit g64", "Q4_K", "BF16": into dst, which is returned */
char *wick_weight_label(const wick_weight *w, char *dst, uint32_t cap);
/* Encoders, for the tests, for tools and for quantizing at load. Affine as MLX does it (mlx.core.quantize). */
void wick_affine_encode_row(const float *x, uint32_t n_in, uint32_t bits, uint32_t group, uint32_t *codes,
                            float *scales, float *biases);
bool wick_block_encode(wick_dtype t, const float *src, void *dst, uint64_t n); /* Q4_0 to Q8_0, Q2_K to Q6_K */
