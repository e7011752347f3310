/* model/encoding.h - how one matrix of a checkpoint is encoded: private to model/. */
#pragma once
#include "model/checkpoint.h"

/* A matrix to read: tensor `t` at module path `path`, expected as [n_out][n_in], n of them stacked (0: one, not
 * stacked). */
typedef struct wick_matrix_ref {
    const wick_tensor *t;
    const char *path;
    uint32_t n;
    uint64_t n_out, n_in;
} wick_matrix_ref;

/* The tensor PATH<suffix>, or NULL. */
const wick_tensor *wick_ck_beside(const wick_checkpoint *k, const char *path, const char *suffix);
/* "2, 3" into buf. */
void wick_ck_shape_text(const wick_tensor *t, char *buf, size_t cap);
/* The quantization map of config.json: "quantization", else an MLX "quantization_config"; NULL if it has none,
 * or one of another tool (foreign.h). */
wick_status wick_quant_map(const wick_config *c, const json_t **out, wick_err *err) WICK_MUST_CHECK;
wick_status wick_encoding_read(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *out,
                               wick_err *err) WICK_MUST_CHECK;
/* m->n weights into out[]. */
wick_status wick_encoding_read_stack(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *out,
                                     wick_err *err) WICK_MUST_CHECK;
