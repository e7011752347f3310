/* model/plan_state.c - mixers that keep a state instead of keys and values. */
#include "model/build.h"

wick_status wick_build_state_mixer(wick_builder *b, const wick_step *s, uint32_t layer, wick_mixer kind, wick_err *err)
{
    (void)s;
    return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, b->ck.where, "%s: layer %u: mixer %d cannot run", b->ck.where,
                     layer, (int)kind);
}
