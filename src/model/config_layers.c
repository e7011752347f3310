/* model/config_layers.c - what differs from layer to layer: which slide over a window, which mix tokens in what way;
 * and the time steps of state spaces. */
#include <string.h>
#include "base/json.h"
#include "format/gguf.h"
#include "model/arch.h"

/* layer_types to 1 = sliding. Other kinds than the two of attention are left to the arch's own hook. */
static wick_status from_types(wick_config *c, const json_t *types, uint8_t *slide, wick_err *err)
{
    if (!json_is_array(types))
        return wick_err_format(err, c->where, "layer_types: an array", wick_json_type_name(types), NULL);
    if (json_array_size(types) != c->n_layer)
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: layer_types has %zu entries for %u layers", c->where,
                         json_array_size(types), c->n_layer);
    for (uint32_t i = 0; i < c->n_layer; i++) {
        const char *t = json_string_value(json_array_get(types, i));
        if (t && strcmp(t, "sliding_attention") == 0) {
            slide[i] = 1;
        } else if (!t || strcmp(t, "full_attention") != 0) {
            if (t && c->layer_mixer) continue;
            return WICK_FAIL(err, WICK_E_UNSUPPORTED_FORMAT, c->where, "%s: layer_types[%u]: unknown kind \"%.40s\"",
                             c->where, i, t ? t : "(no string)");
        }
    }
    return WICK_OK;
}

/* GGUF: attention.sliding_window_pattern as an array, 1 = sliding. False where it has none. */
static bool from_gguf_array(const wick_config *c, uint8_t *slide)
{
    char key[160];
    const wick_gguf_value *v =
        wick_gguf_get(c->gguf, wick_config_gguf_key(c, "attention.sliding_window_pattern", key, sizeof key));
    if (!v || v->type != WICK_GGUF_ARRAY || v->elem == WICK_GGUF_STRING || v->n < c->n_layer) return false;
    for (uint32_t i = 0; i < c->n_layer; i++) slide[i] = wick_gguf_elem_i64(v, i) != 0;
    return true;
}

static wick_status from_pattern(wick_config *c, uint8_t *slide, wick_err *err)
{
    uint32_t every = c->arch->window_pattern;
    WICK_TRY(wick_config_u32(c, "sliding_window_pattern|_sliding_window_pattern", "attention.sliding_window_pattern", 1,
                             WICK_MAX_LAYERS, &every, err));
    for (uint32_t i = 0; i < c->n_layer; i++) slide[i] = (i + 1) % every != 0;
    return WICK_OK;
}

wick_status wick_config_layers(wick_config *c, wick_err *err)
{
    if (c->arch->windows == WICK_WINDOW_NONE || c->no_windows || c->layer_window) return WICK_OK;
    uint8_t *slide = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!slide) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    const json_t *types = wick_config_get(c, "layer_types");
    if (types) {
        WICK_TRY(from_types(c, types, slide, err));
    } else if (c->arch->windows == WICK_WINDOW_PATTERN) {
        if (!c->from_gguf || !from_gguf_array(c, slide)) WICK_TRY(from_pattern(c, slide, err));
    }
    if (!memchr(slide, 1, c->n_layer)) return WICK_OK;
    if (!c->window) {
        if (c->from_gguf) return WICK_OK;
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key \"sliding_window\" is missing", c->where);
    }
    c->layer_window = slide;
    return WICK_OK;
}

wick_status wick_config_mixers(wick_config *c, wick_mixer kind, uint8_t **out, wick_err *err)
{
    uint8_t *mix = wick_arena_array(&c->arena, c->n_layer, 1);
    if (!mix) return wick_err_oom(err, "the configuration", c->n_layer, 0);
    memset(mix, (int)kind, c->n_layer);
    c->layer_mixer = mix;
    if (out) *out = mix;
    return WICK_OK;
}

wick_status wick_config_step_limit(wick_config *c, wick_err *err)
{
    const json_t *v = wick_config_get(c, "time_step_limit");
    if (!v) return WICK_OK;
    const json_t *lo = json_array_get(v, 0), *hi = json_array_get(v, 1);
    double a = json_number_value(lo), b = json_number_value(hi);
    if (json_array_size(v) != 2 || !json_is_number(lo) || !(a >= 0) || a > 1e6 || (json_is_number(hi) && !(b >= a)))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: time_step_limit: expected two numbers in order",
                         c->where);
    c->ssm_dt_min = (float)a;
    c->ssm_dt_max = json_is_number(hi) && b < 1e30 ? (float)b : 0;
    return WICK_OK;
}

const wick_gguf_value *wick_config_gguf_list(const wick_config *c, const char *key)
{
    char name[160];
    const wick_gguf_value *v =
        c->from_gguf ? wick_gguf_get(c->gguf, wick_config_gguf_key(c, key, name, sizeof name)) : NULL;
    bool list = v && v->type == WICK_GGUF_ARRAY && v->elem != WICK_GGUF_STRING && v->elem != WICK_GGUF_ARRAY;
    return list && v->n >= c->n_layer ? v : NULL;
}
