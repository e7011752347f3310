/* model/recipe.h - which matrix of a model is stored in which form: one form for all, or by part and layer.
 *
 * A recipe goes by the names of tensors, of either family, so that it means the same for a conversion and for
 * quantizing at load:
 *   a form of quant/forms.h     that form for everything
 *   mixed_2_6 3_4 3_6 4_6        as mlx-lm: the higher bits for the output matrix, and for v and down projections in
 *                                the first and last eighth of the layers and every third one between
 *   Q4_K_M Q5_K_M Q4_K_S Q5_K_S  as llama.cpp: the output matrix in Q6_K (also where the embedding is the output); with
 *                                M v and down projections of those same layers in Q6_K
 */
#pragma once
#include "model/plan.h"
#include "quant/forms.h"

typedef struct wick_recipe {
    wick_quant base, high;      /* high: of the parts that are worth more bits */
    bool high_head, high_parts; /* the output matrix; v and down projections of the chosen layers */
    bool tied_is_head;          /* an embedding that is the output matrix too counts as one */
} wick_recipe;

extern const char wick_recipe_names[]; /* of the recipes that are no single forms, for messages and help */
/* "AFQ4", "Q4_K_M", "mixed_3_6", each with ":GROUP" where it is affine. WICK_E_BAD_PARAMETER lists what there is;
 * `what` names the option in the message. */
wick_status wick_recipe_parse(wick_recipe *r, const char *name, const char *what, wick_err *err) WICK_MUST_CHECK;
/* The form of the matrix `name` with rows of n_in. A GGUF form that wants rows of 256 and does not get them becomes the
 * nearest one of 32. False: none fits, the matrix stays as it is. */
bool wick_recipe_pick(const wick_recipe *r, const char *name, uint32_t n_layer, uint32_t n_in, bool tied,
                      wick_quant *out);
typedef struct wick_recode_report {
    uint32_t n_recoded, n_kept; /* kept: no form fits their rows */
    uint32_t n_quantized_before;
    char kept[128]; /* the first of them */
} wick_recode_report;
/* Marks every float matrix that the plan's ops multiply by with the form that a backend is to store it in. */
wick_status wick_plan_recode(wick_plan *p, const wick_recipe *r, wick_recode_report *report,
                             wick_err *err) WICK_MUST_CHECK;
/* A matrix that chooses experts, whose errors are large and which is small: it stays as it is. */
bool wick_recipe_is_router(const char *name);
