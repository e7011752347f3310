/* model/checkpoint.h - from roles to weights: finds the tensors, reads their encoding, checks every shape.
 *
 * Matrices come out as wick_weight views over the mapped files; vectors as float32 in the plan's arena. Two layouts
 * cannot be views and are copied to the arena: transposed matrices (gpt2 of HF) and q, k, v interleaved by head
 * (gpt_neox). A message names the tensor, what was expected and what is there. */
#pragma once
#include "format/tensor_dir.h"
#include "model/arch.h"

#define WICK_PATH_MAX 256 /* of a module path in a checkpoint */

/* Who packed the matrices. OTHER: by the type of each tensor. */
typedef enum wick_packing_method {
    WICK_PACKING_MLX,
    WICK_PACKING_AWQ,
    WICK_PACKING_GPTQ,
    WICK_PACKING_OTHER
} wick_packing_method;

typedef struct wick_packing {
    wick_packing_method method;
    const char *suffix;              /* what a packed matrix has in place of ".weight", or NULL */
    uint32_t bits;                   /* awq, gptq */
    bool zeros_less_one;             /* gptq's first format stores zero - 1 */
    uint32_t block_rows, block_cols; /* of fp8's scales */
} wick_packing;

typedef struct wick_checkpoint {
    const wick_tensor_dir *dir;
    const wick_config *cfg;
    wick_arena *arena;
    const char *root;    /* what `@` stands for in this file */
    const char *where;   /* the model's path, for messages */
    const json_t *quant; /* config.json's quantization map, or NULL */
    wick_packing pack;
    bool transposed; /* matrices are [in][out] */
    bool plus_one;   /* norms store w of (1 + w) */
    bool raw;        /* the configuration's raw_ multipliers are not in the weights yet */
    uint8_t *seen;   /* [n_tensors] of dir: 1 where some role has it; NULL: not noted */
    uint64_t n_params, n_bytes;
} wick_checkpoint;

wick_status wick_checkpoint_init(wick_checkpoint *k, const wick_tensor_dir *dir, const wick_config *cfg,
                                 wick_arena *arena, const char *where, wick_err *err) WICK_MUST_CHECK;

/* The tensor PATH<suffix> of a role, or NULL; `path` (WICK_PATH_MAX bytes, may be NULL) gets its module path. */
const wick_tensor *wick_ck_find(const wick_checkpoint *k, wick_role role, uint32_t layer, const char *suffix,
                                char *path);
/* The first layer's convolution is [channels][1][kernel], as PyTorch keeps it, and not [channels][kernel][1]. */
bool wick_ck_torch_conv(const wick_checkpoint *k);
bool wick_ck_has(const wick_checkpoint *k, wick_role role, uint32_t layer);

/* A matrix [n_out][n_in]. Required; the _opt form gives NULL where the file has none. */
wick_status wick_ck_matrix(wick_checkpoint *k, wick_role role, uint32_t layer, uint64_t n_out, uint64_t n_in,
                           const wick_weight **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_ck_matrix_opt(wick_checkpoint *k, wick_role role, uint32_t layer, uint64_t n_out, uint64_t n_in,
                               const wick_weight **out, wick_err *err) WICK_MUST_CHECK;
/* n matrices [n_out][n_in] of one stacked tensor, or of a tensor per expert. */
wick_status wick_ck_experts(wick_checkpoint *k, wick_role role, uint32_t layer, uint32_t n, uint64_t n_out,
                            uint64_t n_in, const wick_weight **out, wick_err *err) WICK_MUST_CHECK;

enum { WICK_CK_OPTIONAL = 1, WICK_CK_PLUS_ONE = 2 };
/* n floats of PATH<suffix>, any shape with n elements; NULL where optional and absent. */
wick_status wick_ck_vector(wick_checkpoint *k, wick_role role, uint32_t layer, const char *suffix, uint64_t n,
                           unsigned flags, const float **out, wick_err *err) WICK_MUST_CHECK;
/* The same for PATH<suffix> of every expert, as [n_expert][n], from one tensor or from one each. */
wick_status wick_ck_expert_vectors(wick_checkpoint *k, wick_role role, uint32_t layer, uint32_t n_expert, uint64_t n,
                                   const char *suffix, const float **out, wick_err *err) WICK_MUST_CHECK;

/* Rows [from, from + n) of w, every `step`-th one, as a new view in the arena; NULL when out of memory. */
const wick_weight *wick_ck_rows(wick_checkpoint *k, const wick_weight *w, uint64_t from, uint64_t n, uint32_t step);
/* A copy of rows [from, from + rows) of each of n blocks of `all` rows. */
wick_status wick_ck_gather_rows(wick_checkpoint *k, const wick_weight *w, uint32_t n, uint32_t all, uint32_t from,
                                uint32_t rows, const wick_weight **out, wick_err *err) WICK_MUST_CHECK;
/* A copy of plain w, each column divided by its length. */
wick_status wick_ck_unit_columns(wick_checkpoint *k, const wick_weight *w, const wick_weight **out,
                                 wick_err *err) WICK_MUST_CHECK;
