/* model/foreign.h - matrices that other tools quantized, as weights that the backends know: private to model/. */
#pragma once
#include "model/encoding.h"

/* What config.json's quantization_config says. WICK_E_UNSUPPORTED_FORMAT, with what can be read, for other methods. */
wick_status wick_foreign_packing(const wick_config *c, wick_packing *out, wick_err *err) WICK_MUST_CHECK;
/* This tensor holds a matrix in one of these forms (and not in MLX's). */
bool wick_foreign_wants(const wick_checkpoint *k, const wick_matrix_ref *m);
/* The whole weight, strides included. */
wick_status wick_foreign_read(const wick_checkpoint *k, const wick_matrix_ref *m, wick_weight *w,
                              wick_err *err) WICK_MUST_CHECK;
