/* model/build.h - the builder of plans: private to model/. */
#pragma once
#include "model/checkpoint.h"
#include "model/rope.h"

typedef struct wick_plan_builder {
    wick_plan *plan;
    const wick_config *cfg;
    wick_checkpoint ck;
    uint32_t op_cap, cache_cap;
    const wick_rope *rope, *rope_local; /* of global and of sliding layers */
    const wick_op_ple *ple;             /* the first one, whose table the others share, or NULL */
    const wick_weight *ple_proj;        /* of all layers */
} wick_plan_builder;

/* Fills a zeroed plan. On failure the plan is released. */
wick_status wick_plan_build(wick_plan *plan, const wick_config *cfg, const wick_tensor_dir *dir, const char *where,
                            wick_err *err) WICK_MUST_CHECK;
/* known.c: what the file holds and nobody read: an error or a warning. */
wick_status wick_known_check(const wick_checkpoint *k, wick_err *err) WICK_MUST_CHECK;
/* Appends a zeroed op; NULL when out of memory. */
wick_op *wick_build_op(wick_plan_builder *b, wick_op_kind kind, wick_reg dst, wick_reg src, int32_t layer);
/* Appends a cache; its index, or UINT32_MAX when out of memory. */
uint32_t wick_build_cache(wick_plan_builder *b, const wick_cache_spec *spec);
/* n ones; NULL when out of memory. */
const float *wick_build_ones(wick_plan_builder *b, uint32_t n);
wick_status wick_build_attn(wick_plan_builder *b, const wick_block_step *s, uint32_t layer,
                            wick_err *err) WICK_MUST_CHECK;
wick_status wick_build_mla(wick_plan_builder *b, const wick_block_step *s, uint32_t layer,
                           wick_err *err) WICK_MUST_CHECK;
wick_status wick_build_ffn(wick_plan_builder *b, const wick_block_step *s, uint32_t layer,
                           wick_err *err) WICK_MUST_CHECK;
wick_status wick_build_ple(wick_plan_builder *b, const wick_block_step *s, uint32_t layer,
                           wick_err *err) WICK_MUST_CHECK;
/* Convolution, state space and delta-net mixers. */
wick_status wick_build_state_mixer(wick_plan_builder *b, const wick_block_step *s, uint32_t layer, wick_mixer kind,
                                   wick_err *err) WICK_MUST_CHECK;
