/* model/rope.h - every rope scaling kind resolved to inverse frequencies and one scale. */
#pragma once
#include "base/alloc.h"
#include "base/status.h"
#include "model/config.h"

/* Frequencies for n_dims rotated dimensions at base `theta`, into the arena. n_dims must be even and at least 2. */
wick_status wick_rope_build(wick_arena *arena, const wick_rope_params *p, uint32_t n_dims, double theta,
                            bool interleaved, const wick_rope **out, wick_err *err) WICK_MUST_CHECK;
/* What yarn's mscale_all_dim adds to the attention scale of the families that use it (deepseek): s * s. */
double wick_rope_yarn_attn_scale(const wick_rope_params *p);
