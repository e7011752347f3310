/* backend/recode.h - matrices that a backend is to store in another form than the file has (wick_weight.recode): the
 * rows of one, read and encoded. */
#pragma once
#include "quant/forms.h"

/* Rows [from, from + n) of w in form q: data, and scales and biases where the form has them (NULL otherwise). Rows lie
 * one behind the other, as wick_quant_shape says. row: w->n_in floats of the caller. */
void wick_recode_rows(const wick_weight *w, const wick_quant *q, uint32_t from, uint32_t n, uint8_t *data,
                      uint8_t *scales, uint8_t *biases, float *row);
/* All rows of n_mat matrices of one shape, on n_threads threads (0: the machine's). */
wick_status wick_recode_all(const wick_weight *w, uint32_t n_mat, const wick_quant *q, uint32_t n_threads,
                            uint8_t *data, uint8_t *scales, uint8_t *biases, wick_err *err) WICK_MUST_CHECK;
