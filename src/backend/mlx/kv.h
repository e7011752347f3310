/* backend/mlx/kv.h - the arrays of a bundle: which there are, and what a value in them is.
 *
 * A cache of the plan has WICK_KV_SLOTS arrays, of which those it does not need stay empty: K or its codes, the scales
 * and biases of K, the same of V. Each is [rows][kv_head][capacity][width]. A recurrent state lies in the first,
 * [rows][floats].
 *
 * With quantized KV (m->kv_bits 8 or 4) every position of a head is packed by itself as MLX packs weights: codes of
 * groups of 64 values, 32 where the head is no multiple of 64, x = scale * code + bias. Heads that are no multiple of
 * 32 are filled up with zeros. Positions stay independent: nothing is packed again when a sequence grows, forks or goes
 * back.
 */
#pragma once
#include "backend/mlx/mlx.h"

enum { WICK_KV_PIECES = 3, WICK_KV_SLOTS = 2 * WICK_KV_PIECES };

typedef struct wick_kv_slot {
    int heads, width; /* width 0: nothing by position */
    int state;        /* floats of a recurrent state; 0: none */
    mlx_dtype type;
} wick_kv_slot;

uint32_t wick_mlx_kv_slots(const wick_backend_model *m);
wick_kv_slot wick_mlx_kv_slot(const wick_backend_model *m, uint32_t i);
/* Writes x [rows][kv_head][n][width] to slot i, at the positions of the group's tokens. */
void wick_mlx_kv_put(wick_backend_model *m, const wick_group *gr, uint32_t i, mlx_array x);
/* A sequence that was lost in a step cannot be used. */
wick_status wick_mlx_seq_check(const wick_seq *s, wick_err *err) WICK_MUST_CHECK;
