/* model/archs/exaone.c - exaone4: norms after the branches, q and k normed per head; the larger model mixes sliding
 * layers (L) with global ones that know no positions (G). */
#include <string.h>
#include "model/arch.h"

/* sliding_window_pattern "LLLG": repeated over the layers. null: every layer is global and turns. */
static wick_status configure(wick_config *c, wick_err *err)
{
    if (c->from_gguf || !c->n_layer) return WICK_OK;
    const json_t *v = wick_config_get(c, "sliding_window_pattern");
    if (!v) {
        c->no_windows = !wick_config_get(c, "layer_types") || !c->window;
        return WICK_OK;
    }
    const char *p = json_string_value(v);
    size_t n = p ? strlen(p) : 0;
    if (!n || n > WICK_MAX_LAYERS || strspn(p, "LG") != n || !c->window)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where,
                         "%s: sliding_window_pattern: expected L and G, and a sliding_window", c->where);
    uint8_t *slide = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!slide) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    for (uint32_t i = 0; i < c->n_layer; i++) slide[i] = p[i % n] == 'L';
    c->layer_window = slide;
    return WICK_OK;
}

const wick_arch wick_arch_exaone4 = {
    .name = "exaone4",
    .hf = {"exaone4"},
    .gguf = {"exaone4"},
    .block = wick_block_postnorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_PATTERN,
    .window_pattern = 4,
    .rope_local_only = true,
    .rope_theta = 1000000,
    .configure = configure,
};
