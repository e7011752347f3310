/* backend/cpu/moe_route.h - which experts a token goes to, and with what weights. */
#pragma once
#include "model/plan.h"

/* score: the router's logits of one token [n_expert], overwritten; scratch: n_expert floats. Fills expert and weight
 * [top_k], best first; of equals, the lower number. NaN gives some choice, and NaN weights. */
void wick_moe_route(const wick_op_moe *o, float *score, float *scratch, uint32_t *expert, float *weight);
