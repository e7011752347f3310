/* model/config_rope.c - what files say about rotary embeddings.
 *
 * config.json has three generations of it: rope_theta beside rope_scaling {"type": ...}; rope_scaling
 * {"rope_type": ...}; and since transformers 5 rope_parameters, which holds rope_theta too and may be nested by
 * layer kind ("full_attention", "sliding_attention"). */
#include <string.h>
#include "base/json.h"
#include "format/gguf.h"
#include "model/arch.h"

#define THETA_MAX 1e12
#define FACTOR_MAX 1e9

static const struct {
    const char *name;
    wick_rope_kind kind;
} kinds[] = {
    {"default", WICK_ROPE_DEFAULT},
    {"none", WICK_ROPE_DEFAULT},
    {"mrope", WICK_ROPE_DEFAULT},
    {"dynamic", WICK_ROPE_DEFAULT},
    {"linear", WICK_ROPE_LINEAR},
    {"llama3", WICK_ROPE_LLAMA3},
    {"yarn", WICK_ROPE_YARN},
    {"deepseek_yarn", WICK_ROPE_YARN},
    {"longrope", WICK_ROPE_LONGROPE},
    {"su", WICK_ROPE_LONGROPE},
    {"proportional", WICK_ROPE_PROPORTIONAL},
};

static void set_defaults(wick_rope_params *p)
{
    p->factor = 1;
    p->low_freq_factor = 1;
    p->high_freq_factor = 4;
    p->beta_fast = 32;
    p->beta_slow = 1;
    p->mscale = 1;
    p->partial = 1;
}

static wick_status find_kind(const wick_config *c, const char *name, wick_rope_kind *out, wick_err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i].name, name) == 0) {
            *out = kinds[i].kind;
            return WICK_OK;
        }
    }
    return wick_err_format(err, c->where,
                           "rope scaling default, linear, dynamic, llama3, yarn, longrope or proportional", name, NULL);
}

/* A list of positive numbers, or one number for all, into the arena. */
static wick_status read_factors(wick_config *c, const json_t *v, const float **factors, uint32_t *n_factors,
                                wick_err *err)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n < 1 || n > (1 << 13))
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: long_factor has %zu entries", c->where, n);
    float *f = wick_arena_array(&c->arena, n, sizeof *f);
    if (!f) return wick_err_oom(err, "the configuration", n * sizeof *f, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *e = json_is_array(v) ? json_array_get(v, i) : v;
        double x = json_number_value(e);
        if (!json_is_number(e) || !(x > 1e-9) || !(x < FACTOR_MAX))
            return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: long_factor[%zu]: expected a positive number",
                             c->where, i);
        f[i] = (float)x;
    }
    *factors = f;
    *n_factors = (uint32_t)n;
    return WICK_OK;
}

static wick_status read_scaling(wick_config *c, const json_t *o, wick_err *err)
{
    const char *w = c->where, *type = NULL;
    wick_rope_params *p = &c->rope;
    WICK_TRY(wick_json_str(o, "type", &type, w, err));
    if (!type) WICK_TRY(wick_json_str(o, "rope_type", &type, w, err));
    if (!type) return WICK_OK;
    WICK_TRY(find_kind(c, type, &p->kind, err));
    if (p->kind == WICK_ROPE_DEFAULT) return WICK_OK;
    WICK_TRY(wick_json_f64(o, "factor", 1e-6, FACTOR_MAX, 1, &p->factor, w, err));
    WICK_TRY(wick_json_f64(o, "low_freq_factor", 1e-6, FACTOR_MAX, 1, &p->low_freq_factor, w, err));
    WICK_TRY(wick_json_f64(o, "high_freq_factor", 1e-6, FACTOR_MAX, 4, &p->high_freq_factor, w, err));
    WICK_TRY(wick_json_f64(o, "beta_fast", 1e-6, FACTOR_MAX, 32, &p->beta_fast, w, err));
    WICK_TRY(wick_json_f64(o, "beta_slow", 1e-6, FACTOR_MAX, 1, &p->beta_slow, w, err));
    WICK_TRY(wick_json_f64(o, "mscale", 0, 1e6, 1, &p->mscale, w, err));
    WICK_TRY(wick_json_f64(o, "mscale_all_dim", 0, 1e6, 0, &p->mscale_all_dim, w, err));
    WICK_TRY(wick_json_f64(o, "partial_rotary_factor", 0, 1, 1, &p->partial, w, err));
    WICK_TRY(wick_json_f64(o, "original_max_position_embeddings", 1, 1 << 30, 0, &p->original_ctx, w, err));
    if (p->kind == WICK_ROPE_LLAMA3 && p->high_freq_factor == p->low_freq_factor)
        return WICK_FAIL(err, WICK_E_BAD_FILE, w, "%s: rope scaling: high_freq_factor equals low_freq_factor", w);
    if (p->kind != WICK_ROPE_LONGROPE) return WICK_OK;
    const json_t *lf = json_object_get(o, "long_factor");
    if (!lf) return WICK_FAIL(err, WICK_E_BAD_FILE, w, "%s: rope scaling: key \"long_factor\" is missing", w);
    WICK_TRY(read_factors(c, lf, &p->factors, &p->n_factors, err));
    const json_t *sf = json_object_get(o, "short_factor");
    return sf && !json_is_null(sf) ? read_factors(c, sf, &p->short_factors, &p->n_short, err) : WICK_OK;
}

/* rope_parameters of transformers 5: theta and the rotated share are in it too. */
static wick_status read_parameters(wick_config *c, const json_t *o, wick_err *err)
{
    double theta = c->rope_theta, partial = c->rope_partial, local = c->rope_local_theta;
    const json_t *full = NULL, *slide = NULL;
    WICK_TRY(wick_json_obj(o, "full_attention", &full, c->where, err));
    WICK_TRY(wick_json_obj(o, "sliding_attention", &slide, c->where, err));
    if (slide) WICK_TRY(wick_json_f64(slide, "rope_theta", 1, THETA_MAX, local, &local, c->where, err));
    if (full) o = full;
    WICK_TRY(wick_json_f64(o, "rope_theta", 1, THETA_MAX, theta, &theta, c->where, err));
    WICK_TRY(wick_json_f64(o, "partial_rotary_factor", 0, 1, partial, &partial, c->where, err));
    c->rope_theta = (float)theta;
    c->rope_partial = (float)partial;
    c->rope_local_theta = (float)local;
    return read_scaling(c, o, err);
}

static wick_status object_or_null(const wick_config *c, const char *key, const json_t **out, wick_err *err)
{
    const json_t *v = wick_config_get(c, key);
    *out = NULL;
    if (!v || json_is_false(v)) return WICK_OK;
    if (!json_is_object(v)) {
        return WICK_FAIL(err, WICK_E_BAD_FILE, c->where, "%s: key \"%s\": expected an object, got %s", c->where, key,
                         wick_json_type_name(v));
    }
    *out = v;
    return WICK_OK;
}

wick_status wick_config_rope_json(wick_config *c, wick_err *err)
{
    const json_t *scaling = NULL, *params = NULL;
    set_defaults(&c->rope);
    WICK_TRY(wick_config_f32(c, "rope_local_base_freq", NULL, 1, THETA_MAX, &c->rope_local_theta, err));
    WICK_TRY(object_or_null(c, "rope_parameters", &params, err));
    WICK_TRY(object_or_null(c, "rope_scaling", &scaling, err));
    WICK_TRY(wick_config_f32(c, "rope_theta|rotary_emb_base|rope_base", NULL, 1, THETA_MAX, &c->rope_theta, err));
    if (params) WICK_TRY(read_parameters(c, params, err)); /* the newer form wins */
    if (scaling && !params) {
        c->rope.kind = WICK_ROPE_DEFAULT;
        WICK_TRY(read_scaling(c, scaling, err));
    }
    if (c->rope.original_ctx == 0) {
        uint32_t n = 0;
        WICK_TRY(wick_config_u32(c, "original_max_position_embeddings", NULL, 1, 1 << 30, &n, err));
        c->rope.original_ctx = n;
    }
    c->rope.max_ctx = c->n_ctx;
    return WICK_OK;
}

wick_status wick_config_rope_gguf(wick_config *c, wick_err *err)
{
    char key[160], name[32];
    wick_str s = {0};
    float factor = 1, attn = 0, beta_fast = 32, beta_slow = 1;
    uint32_t original = 0;
    wick_rope_params *p = &c->rope;
    set_defaults(p);
    WICK_TRY(wick_config_gguf_f32(c, "rope.freq_base", 1, THETA_MAX, &c->rope_theta, err));
    WICK_TRY(wick_config_gguf_f32(c, "rope.freq_base_swa", 1, THETA_MAX, &c->rope_local_theta, err));
    WICK_TRY(wick_gguf_str(c->gguf, wick_config_gguf_key(c, "rope.scaling.type", key, sizeof key), &s, err));
    WICK_TRY(wick_config_gguf_f32(c, "rope.scale_linear", 1e-6, FACTOR_MAX, &factor, err));
    WICK_TRY(wick_config_gguf_f32(c, "rope.scaling.factor", 1e-6, FACTOR_MAX, &factor, err));
    if (factor != 1) p->kind = WICK_ROPE_LINEAR; /* unless the kind is said */
    if (s.n) {
        size_t n = s.n < sizeof name ? s.n : sizeof name - 1;
        memcpy(name, s.p, n);
        name[n] = 0;
        WICK_TRY(find_kind(c, name, &p->kind, err));
    }
    WICK_TRY(wick_config_gguf_f32(c, "rope.scaling.attn_factor", 0, 1e6, &attn, err));
    WICK_TRY(wick_config_gguf_f32(c, "rope.scaling.yarn_beta_fast", 1e-6, FACTOR_MAX, &beta_fast, err));
    WICK_TRY(wick_config_gguf_f32(c, "rope.scaling.yarn_beta_slow", 1e-6, FACTOR_MAX, &beta_slow, err));
    WICK_TRY(wick_config_gguf_u32(c, "rope.scaling.original_context_length", 1, 1 << 30, &original, err));
    p->factor = factor;
    p->attn_factor = attn;
    p->beta_fast = beta_fast;
    p->beta_slow = beta_slow;
    p->original_ctx = original;
    p->max_ctx = c->n_ctx;
    return WICK_OK;
}
