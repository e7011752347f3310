/* backend/cpu/node.c - what planning a node is made of: the memory that it needs, the matrices and ropes that it uses.
 * Apart from compile.c, which calls the planners of all nodes, so that those call downwards only. */
#include "backend/cpu/cpu.h"

void wick_need(uint64_t *have, uint64_t bytes)
{
    if (bytes > *have) *have = bytes;
}

wick_status wick_input_add(wick_input *in, const wick_lin *l, uint32_t *slot, wick_err *err)
{
    for (*slot = 0; *slot < in->n; (*slot)++)
        if (wick_lin_act_key(in->lin[*slot]) == wick_lin_act_key(l)) return WICK_OK;
    if (in->n == WICK_MAX_KEYS)
        return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, NULL, "more than %d encodings read one input", WICK_MAX_KEYS);
    in->lin[in->n++] = l;
    return WICK_OK;
}

wick_status wick_prod_init(wick_prod *p, wick_backend_model *m, wick_input *in, const wick_weight *w, const float *bias,
                           uint32_t at, wick_err *err)
{
    p->lin = wick_mats_find(&m->mats, w);
    p->bias = bias;
    p->at = at;
    if (!p->lin) return WICK_FAIL(err, WICK_E_INTERNAL, NULL, "a matrix of the plan is missing");
    wick_need(&m->lane_lin, wick_lin_scratch_bytes(p->lin, m->max_tokens));
    return wick_input_add(in, p->lin, &p->slot, err);
}

uint32_t wick_rope_index(wick_backend_model *m, const wick_rope *r)
{
    for (uint32_t i = 0; i < m->n_ropes; i++) {
        const wick_rope *o = m->rope[i].rope;
        if (o == r || (o->inv_freq == r->inv_freq && o->n_dims == r->n_dims && o->mscale == r->mscale)) return i;
    }
    m->rope[m->n_ropes].rope = r;
    return m->n_ropes++;
}
