/* chat/options.c - see options.h. */
#include "chat/options.h"
#include <math.h>
#include <string.h>

#define AT(f) offsetof(wick_sampling, f)
#define GIVEN(f) offsetof(wick_sampling_given, f)

const wick_sampling_option wick_sampling_options[] = {
#define ROW(kind, model, f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    {#f, kind, model, AT(f), GIVEN(f), preset, lo, hi, cli, llamacpp, ollama, anthropic, help},
#define WICK_SAMPLING_F32(...) ROW(WICK_SAMPLING_IS_F32, false, __VA_ARGS__)
#define WICK_SAMPLING_U32(...) ROW(WICK_SAMPLING_IS_U32, false, __VA_ARGS__)
#define WICK_SAMPLING_MODEL_F32(...) ROW(WICK_SAMPLING_IS_F32, true, __VA_ARGS__)
#define WICK_SAMPLING_MODEL_U32(...) ROW(WICK_SAMPLING_IS_U32, true, __VA_ARGS__)
#define WICK_SAMPLING_SPECIAL(f, name, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    {name, WICK_SAMPLING_IS_SPECIAL, false, AT(f), GIVEN(f), 0, 0, 0, cli, llamacpp, ollama, anthropic, help},
#include "chat/sampling.def"
#undef ROW
};
const uint32_t wick_sampling_n_options = sizeof wick_sampling_options / sizeof *wick_sampling_options;

const wick_sampling_option *wick_sampling_option_find(const char *name)
{
    for (uint32_t i = 0; i < wick_sampling_n_options; i++)
        if (strcmp(wick_sampling_options[i].name, name) == 0) return &wick_sampling_options[i];
    return NULL;
}

double wick_sampling_value(const wick_sampling *s, const wick_sampling_option *o)
{
    const char *p = (const char *)s + o->at;
    float f;
    uint32_t u;
    if (o->kind == WICK_SAMPLING_IS_F32) return (double)*(const float *)memcpy(&f, p, sizeof f);
    return *(const uint32_t *)memcpy(&u, p, sizeof u);
}

static void put(wick_sampling *s, const wick_sampling_option *o, double value)
{
    char *p = (char *)s + o->at;
    float f = (float)value;
    uint32_t u = (uint32_t)value;
    if (o->kind == WICK_SAMPLING_IS_F32)
        memcpy(p, &f, sizeof f);
    else
        memcpy(p, &u, sizeof u);
}

/* Is the value in the row's range? Both ends belong to it, as the float that they become. */
static bool in_range(const wick_sampling_option *o, double x)
{
    if (o->kind == WICK_SAMPLING_IS_U32) return x >= o->lo && x <= o->hi && x == floor(x);
    return x >= (double)(float)o->lo && x <= (double)(float)o->hi;
}

static wick_status out_of_range(const wick_sampling_option *o, double x, wick_err *err)
{
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "%s: must be %sfrom %.10g to %.10g, got %.9g", o->name,
                     o->kind == WICK_SAMPLING_IS_U32 ? "a whole number " : "", o->lo, o->hi, x);
}

void wick_sampling_defaults(wick_sampling *s)
{
    wick_sampling_init(s);
    for (uint32_t i = 0; i < wick_sampling_n_options; i++)
        if (wick_sampling_options[i].kind != WICK_SAMPLING_IS_SPECIAL)
            put(s, &wick_sampling_options[i], wick_sampling_options[i].preset);
}

/* What generation_config.json says in the row's name goes to *x; false: nothing, or nothing usable. */
static bool model_says(const wick_engine *e, const wick_sampling_option *o, double *x)
{
    const wick_model *m = e ? wick_engine_model(e) : NULL;
    const json_t *v = m && o->from_model ? json_object_get(m->generation, o->name) : NULL;
    if (!json_is_number(v) || !in_range(o, json_number_value(v))) return false;
    *x = json_number_value(v);
    return true;
}

static bool model_is_greedy(const wick_engine *e)
{
    const wick_model *m = e ? wick_engine_model(e) : NULL;
    return m && json_is_false(json_object_get(m->generation, "do_sample"));
}

bool wick_sampling_is_given(const wick_sampling_given *g, const wick_sampling_option *o)
{
    bool b;
    return *(const bool *)memcpy(&b, (const char *)g + o->given_at, sizeof b);
}

static void take_model(wick_sampling *s, const wick_sampling_given *given, const wick_engine *e)
{
    double x;
    for (uint32_t i = 0; i < wick_sampling_n_options; i++) {
        const wick_sampling_option *o = &wick_sampling_options[i];
        if (!wick_sampling_is_given(given, o) && model_says(e, o, &x)) put(s, o, x);
    }
    if (!given->temperature && model_is_greedy(e)) s->temperature = 0;
}

void wick_sampling_from_model(wick_sampling *s, const wick_engine *e)
{
    const wick_sampling_given none = {0};
    wick_sampling_defaults(s);
    take_model(s, &none, e);
}

wick_status wick_sampling_set(wick_sampling *s, wick_sampling_given *given, const wick_sampling_option *o, double value,
                              wick_err *err)
{
    bool yes = true;
    if (o->kind == WICK_SAMPLING_IS_SPECIAL)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, o->name, "%s: is not a number", o->name);
    if (!in_range(o, value)) return out_of_range(o, value, err);
    put(s, o, value);
    memcpy((char *)given + o->given_at, &yes, sizeof yes);
    return WICK_OK;
}

wick_status wick_sampling_resolve(wick_sampling *s, const wick_sampling_given *given, const wick_engine *e,
                                  wick_err *err)
{
    take_model(s, given, e);
    for (uint32_t i = 0; i < wick_sampling_n_options; i++) {
        const wick_sampling_option *o = &wick_sampling_options[i];
        if (o->kind == WICK_SAMPLING_IS_SPECIAL) continue;
        if (!in_range(o, wick_sampling_value(s, o))) return out_of_range(o, wick_sampling_value(s, o), err);
    }
    if (s->dry_multiplier > 0 && s->dry_base < 1)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dry_base",
                         "dry_base: must be at least 1 with dry_multiplier, got %g", (double)s->dry_base);
    return wick_sampling_check(s, e ? wick_engine_model(e)->plan.n_vocab : UINT32_MAX, err);
}

wick_status wick_sampler_order_parse(const char *name, wick_sampler_order *out, wick_err *err)
{
    static const char *const known[] = {"default", "mlx", "llama"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, known[i]) != 0) continue;
        *out = (wick_sampler_order)i;
        return WICK_OK;
    }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sampler_order",
                     "sampler_order: \"%.40s\" is none of default, mlx, llama", name);
}
