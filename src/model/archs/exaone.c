/* model/archs/exaone.c - exaone4: norms after the branches, q and k normed per head; the larger model mixes sliding
 * layers (L) with global ones that know no positions (G); exaone_moe: norms before the branches, and experts. */
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

static wick_status configure_moe(wick_config *c, wick_err *err)
{
    (void)err;
    c->group_by_top2 = true;
    const json_t *types = wick_config_get(c, "layer_types");
    bool slides = false;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *t = json_string_value(json_array_get(types, i));
        slides = slides || (t && strcmp(t, "sliding_attention") == 0);
    }
    if (!c->from_gguf) c->no_windows = !slides; /* then every layer turns */
    wick_config_get(c, "is_moe_layer");         /* the tensors show it */
    return WICK_OK;
}

static const wick_role_name moe_names[] = {
    {WICK_ROLE_CORRECTION, "@layers.%.mlp.gate.e_score_correction_bias|@layers.%.mlp.e_score_correction_bias", NULL},
    {0}};

static const wick_default moe_defaults[] = {
    {offsetof(wick_config, expert_scale), 2.5}, {offsetof(wick_config, norm_topk), 1}, {0, 0}};

const wick_arch wick_arch_exaone_moe = {
    .name = "exaone_moe",
    .hf = {"exaone_moe"},
    .block = wick_block_prenorm,
    .norm = WICK_NORM_RMS,
    .act = WICK_ACT_SILU,
    .qk = WICK_QK_HEAD,
    .windows = WICK_WINDOW_LAYER_TYPES,
    .rope_local_only = true,
    .routing = WICK_ROUTE_SIGMOID_TOPK,
    .rope_theta = 1000000,
    .defaults = moe_defaults,
    .names = moe_names,
    .configure = configure_moe,
};
