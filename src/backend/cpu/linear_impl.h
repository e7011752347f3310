/* backend/cpu/linear_impl.h - inside the linear layer: packed formats, the kernel table, the arguments of a kernel.
 *
 * Packed form of a matrix: tiles of 16 output rows; a tile is a run of superblocks (64, 128 or 256 inputs):
 *
 *   superblock = [scales of its groups, padded to 64 bytes][chunk 0][chunk 1]...        chunk = 64 inputs
 *   chunk      = bit planes of 16 code vectors; code vector j = 64 bytes: [row 0..15][input 4j..4j+3]
 *   plane of 4 bits: byte vector p holds code vectors 2p (low nibble), 2p+1; of 2 bits: 4p..4p+3; of 1 bit: 8p..8p+7
 *   5 bits = 4 + 1, 6 bits = 4 + 2, 3 bits = 2 + 1: the wider plane first
 *   float formats have no codes: [input 0..63][row 0..15] elements
 *
 * One form serves every kernel and every instruction set. Inputs are padded to a multiple of 64 with zero scales.
 *
 * Arithmetic, the same for every kernel, so that a row's result never depends on how the work was cut. For one output:
 *   integer: activations have one scale sx for a chunk of 64 inputs. t = 0; for each block of the chunk (16, 32 or 64
 *            inputs, never across a group) a = sum of (code - zero) * xq, exact, and t = fma(float(a), d, t); where a
 *            bias is stored, zero is 0 and t = fma(b, float(sum(xq)), t). Then y = fma(t, sx, y).
 *   float:   for each block a = fma chain of (code - centre) * x; y = fma(d, a, y); y = fma(b + centre * d, sum(x), y)
 * with w = d * code + b, or d * (code - zero) where no bias is stored. Blocks in the order of the inputs, y from 0.
 * The accumulators of a start at `start` = -zero * sum(xq), which costs the kernels nothing.
 */
#pragma once
#include "backend/cpu/linear.h"

enum {
    WICK_LIN_CHUNK = 64,
    WICK_LIN_SUPER_MAX = 256,
    WICK_LIN_GROUPS_MAX = 16,
    WICK_LIN_NT_MAX = 2,
    WICK_LIN_MR_MAX = 14
};
/* Inputs unpacked at once: 16 and 32 KiB for two tiles; inputs read in place: the same 16 KiB. */
enum { WICK_LIN_KC_INT = 512, WICK_LIN_KC_FLOAT = 256, WICK_LIN_KC_IN_PLACE = 1024 };

/* Raise it with every change of the packed form: what the cache holds of older ones is then not used any more. */
enum { WICK_LIN_LAYOUT = 1 };

typedef enum wick_lin_code {
    WICK_LIN_CODE_2,
    WICK_LIN_CODE_3,
    WICK_LIN_CODE_4,
    WICK_LIN_CODE_5,
    WICK_LIN_CODE_6,
    WICK_LIN_CODE_8,
    WICK_LIN_CODE_F8, /* E4M3: float kernels only */
    WICK_LIN_CODE_F32,
    WICK_LIN_CODE_F16,
    WICK_LIN_CODE_BF16,
    WICK_LIN_CODE_FILE /* not packed: rows are decoded from the file block by block; float kernels only */
} wick_lin_code;

typedef enum wick_lin_scale {
    WICK_LIN_SCALE_NONE, /* 1 */
    WICK_LIN_SCALE_F32,
    WICK_LIN_SCALE_F16,
    WICK_LIN_SCALE_BF16, /* [group][16], then the biases likewise */
    /* f16 d[16], f16 dmin[16], then s8 scale[group][16], then s8 min[group][16]: w = d*sc*q - dmin*m */
    WICK_LIN_SCALE_SUB
} wick_lin_scale;

typedef enum wick_lin_lut { WICK_LIN_LUT_NONE, WICK_LIN_LUT_E2M1, WICK_LIN_LUT_IQ4NL } wick_lin_lut;

typedef struct wick_lin_fmt {
    wick_lin_code code;
    wick_lin_scale scale;
    wick_lin_lut lut; /* of 4-bit codes: the u8 value is lut[code] */
    bool has_bias;    /* biases or mins are stored */
    bool wide;        /* u8 values above 127 occur (matters where the product saturates) */
    uint8_t top;      /* the largest code value, after the lookup table */
    uint16_t group, block, super;
    uint16_t zero;   /* value of the weight 0 where no bias is stored */
    uint16_t centre; /* taken off the value by the float kernels, so that sums do not cancel */
    float mul;       /* on every scale (NVFP4's global scale) */
    uint32_t scale_bytes, chunk_bytes, super_bytes;
} wick_lin_fmt;

/* A block of one panel (up to mr rows of activations) times one unpacked block of nt tiles. The order inside `q` and
 * `codes` is a table's own affair: its prep_int, unpack_int, mul_int and gemv_int agree on it (lin_neon.h has
 * another). */
typedef struct wick_lin_args {
    const int8_t *q;      /* integer: [chunk][hi, lo if fine][16][mr][4] */
    const float *x;       /* float: [k][mr] */
    const float *sx;      /* [chunk][mr]: scale (integer only) */
    const float *s;       /* [block][mr]: sum of the activations, or of their integers */
    const int32_t *start; /* [block][mr]: where the accumulators begin (integer only) */
    const uint8_t *codes; /* integer: [chunk][16][nt][64] */
    const float *c;       /* float: [k][nt][16] */
    const float *d, *b;   /* [block][nt][16]; integer: b is read where has_bias */
    float *y;             /* [mr][nt][16], accumulated */
    uint32_t mr, nt, n_chunks, block;
    bool fine, wide, has_bias;
    uint8_t top; /* no code is above */
    /* 4-bit codes where they lie in each tile, instead of `codes`, for a table with `in_place`: chunks of 512 bytes,
     * `skip` bytes of scales before the first of every `run` chunks; the first scales are behind us. */
    const uint8_t *packed[WICK_LIN_NT_MAX];
    uint32_t skip, run;
    /* Packed bytes that will be unpacked next, to be fetched meanwhile: so many of each tile for each chunk; 0: none.
     * They may lie past the end of the matrix. */
    const uint8_t *ahead[WICK_LIN_NT_MAX];
    uint32_t ahead_bytes;
} wick_lin_args;

/* A whole packed tile times a panel of few rows, unpacking in registers; the same arithmetic. */
typedef struct wick_lin_gemv_args {
    const wick_lin_fmt *f;
    const uint8_t *tile;
    const int8_t *q;
    const float *x, *sx, *s;
    const int32_t *start;
    float *y; /* [mr][16], written */
    uint32_t mr, n_super;
    bool fine;
} wick_lin_gemv_args;

/* One row's activations into its place in a panel. */
typedef struct wick_lin_prep_args {
    const float *src; /* n_in */
    uint32_t n_in, n_chunks, block, mr, slot;
    int8_t *q; /* panel's start, as in wick_lin_args */
    float *x, *sx, *s;
    int32_t *start;
    int32_t start_mul; /* start = start_mul * sum of the integers */
    bool fine;
} wick_lin_prep_args;

typedef struct wick_lin_kernels {
    uint32_t mr_int, mr_float; /* rows in a panel, at most */
    uint32_t nt;               /* tiles in one unpacked block: 1 or 2 */
    bool is_signed;            /* codes are multiplied as code - 128; `start` adds 128 * sum(xq) back */
    bool in_place;             /* mul_int reads 4-bit codes without a table where they are packed */
    void (*prep_int)(const wick_lin_prep_args *a);
    void (*prep_float)(const wick_lin_prep_args *a);
    /* n_super superblocks of one tile to its lane of the block (codes or c, d, b as in wick_lin_args); codes NULL:
     * scales only. */
    void (*unpack_int)(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, uint8_t *codes,
                       float *d, float *b);
    void (*unpack_float)(const wick_lin_fmt *f, const uint8_t *src, uint32_t n_super, uint32_t nt, float *c, float *d,
                         float *b);
    void (*mul_int)(const wick_lin_args *a);
    void (*mul_float)(const wick_lin_args *a);
    /* False: no such kernel for this format and number of rows; then the general way is taken. May be NULL. */
    bool (*gemv_int)(const wick_lin_gemv_args *a);
    bool (*gemv_float)(const wick_lin_gemv_args *a);
} wick_lin_kernels;

extern const wick_lin_kernels wick_lin_kernels_portable;
#if defined(__x86_64__)
extern const wick_lin_kernels wick_lin_kernels_avx2, wick_lin_kernels_avxvnni, wick_lin_kernels_avx512,
    wick_lin_kernels_vnni;
bool wick_lin_gemv_float_avx512(const wick_lin_gemv_args *a); /* of the two 512-bit tables */
#elif defined(__aarch64__)
extern const wick_lin_kernels wick_lin_kernels_neon, wick_lin_kernels_neondot, wick_lin_kernels_i8mm;
#endif

struct wick_lin {
    const wick_lin_isa *isa;
    wick_weight w;
    wick_lin_fmt f;
    wick_precision precision;
    bool is_int; /* integer kernels; otherwise float */
    uint8_t *packed;
    uint32_t n_tiles, n_chunks, n_super;
};

/* The packed format of a weight in a precision. */
void wick_lin_format(const wick_weight *w, wick_lin_fmt *out);
static inline bool wick_lin_format_is_int(const wick_lin_fmt *f, wick_precision p)
{
    return p != WICK_PRECISION_EXACT && f->code < WICK_LIN_CODE_F8;
}

/* One superblock of one row, decoded from the file's encoding to the fields of the packed format. */
typedef struct wick_lin_super {
    uint8_t code[WICK_LIN_SUPER_MAX];                               /* codes (before the lut) */
    uint32_t scale[WICK_LIN_GROUPS_MAX], bias[WICK_LIN_GROUPS_MAX]; /* bits, in the stored type */
    uint16_t d, dmin;                                               /* SUB: f16 bits */
    int8_t sc[WICK_LIN_GROUPS_MAX], min[WICK_LIN_GROUPS_MAX];
} wick_lin_super;
void wick_lin_decode_super(const wick_weight *w, const wick_lin_fmt *f, uint32_t row, uint32_t sb, wick_lin_super *out);
