/* convert/convert.h - a model written to disk in another container, another precision or both.
 *
 * The weights go row by row from the mapped source to their places in the output: floats of one row per thread are all
 * that is ever held. The output appears under its name when it is complete and on disk (base/staging.h).
 */
#pragma once
#include "model/recipe.h"
#include "format/tensor_dir.h"

typedef enum wick_convert_target {
    WICK_TO_MLX, /* safetensors, config.json with MLX's quantization */
    WICK_TO_HF,  /* safetensors, floats only */
    WICK_TO_NPZ, /* weights.npz; otherwise as MLX */
    WICK_TO_GGUF
} wick_convert_target;

typedef struct wick_convert_opts {
    wick_convert_target to;
    const wick_recipe *recipe; /* NULL: matrices keep their form where the target has it, else they become floats */
    wick_dtype dtype;          /* of floats, if has_dtype: values are rounded to it before they are quantized */
    bool has_dtype;
    bool replace;        /* an output file that is there already may go */
    uint32_t n_threads;  /* 0: the machine's */
    uint64_t part_bytes; /* of a shard; 0: 5 GB */
    /* Called now and then from one thread; false: stop, which gives WICK_E_CANCELLED. May be NULL. */
    bool (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
    void *ctx;
} wick_convert_opts;

typedef struct wick_convert_report {
    uint64_t n_in_bytes, n_out_bytes; /* of tensors */
    uint32_t n_tensors, n_quantized;  /* matrices that were encoded */
    uint32_t n_kept;                  /* matrices that no form fits: they stay floats */
    uint32_t n_narrow;                /* matrices in a form with blocks of 32 in place of 256 */
    char kept[256], narrow[256];      /* the first of their names */
    double bits_per_weight;           /* of the matrices */
} wick_convert_report;

/* in: a model's path. out: the folder or (GGUF) the file to be made. */
wick_status wick_convert(const char *in, const char *out, const wick_convert_opts *o, wick_convert_report *report,
                         wick_err *err) WICK_MUST_CHECK;
