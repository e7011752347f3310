/* capi/options.c - option structs across versions: the caller's may be shorter (older header) or longer than ours. */
#include <string.h>
#include "base/alloc.h"
#include "capi/capi_int.h"

static void defaults(wick_generate_options *o)
{
    wick_sampling s;
    wick_sampling_defaults(&s);
    *o = (wick_generate_options){.size = sizeof *o,
                                 .use_model_defaults = true,
                                 .temperature = s.temperature,
                                 .top_k = s.top_k,
                                 .top_p = s.top_p,
                                 .min_p = s.min_p,
                                 .typical_p = s.typical_p,
                                 .xtc_probability = s.xtc_probability,
                                 .xtc_threshold = s.xtc_threshold,
                                 .dry_multiplier = s.dry_multiplier,
                                 .dry_base = s.dry_base,
                                 .dry_allowed_length = s.dry_allowed_length,
                                 .dry_range = s.dry_range,
                                 .mirostat_tau = s.mirostat_tau,
                                 .mirostat_eta = s.mirostat_eta,
                                 .repetition_penalty = s.repetition_penalty,
                                 .presence_penalty = s.presence_penalty,
                                 .frequency_penalty = s.frequency_penalty,
                                 .penalty_range = s.penalty_range,
                                 .sampler_order = "default"};
}

void wick_generate_options_init_sized(wick_generate_options *o, size_t size)
{
    wick_generate_options full;
    if (!o || size < sizeof full.size) return;
    defaults(&full);
    memset(o, 0, size);
    memcpy(o, &full, size < sizeof full ? size : sizeof full);
    o->size = size;
}

/* Fields that the model's generation_config.json may set, where the caller left our default. */
static void take_model_defaults(const wick_llm *llm, wick_sampling *s)
{
    wick_sampling ours, model;
    wick_sampling_defaults(&ours);
    wick_sampling_from_model(&model, llm->engine);
    if (s->temperature == ours.temperature) s->temperature = model.temperature;
    if (s->top_k == ours.top_k) s->top_k = model.top_k;
    if (s->top_p == ours.top_p) s->top_p = model.top_p;
    if (s->min_p == ours.min_p) s->min_p = model.min_p;
    if (s->repetition_penalty == ours.repetition_penalty) s->repetition_penalty = model.repetition_penalty;
}

static wick_status sampling_order(const char *name, wick_sampler_order *out, wick_err *err)
{
    static const char *const known[] = {"default", "mlx", "llama"};
    for (int i = 0; i < 3; i++) {
        if (!name || strcmp(name, known[i]) == 0) {
            *out = (wick_sampler_order)i;
            return WICK_OK;
        }
    }
    return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "sampler_order", "sampler_order: %s is none of default, mlx, llama",
                     name);
}

static wick_status copy_bias(const wick_generate_options *f, wick_sampling *s, wick_logit_bias **bias, wick_err *err)
{
    *bias = NULL;
    if (f->n_bias == 0) return WICK_OK;
    if (!f->bias || f->n_bias > UINT32_MAX)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "bias", "bias: NULL, or too many");
    wick_logit_bias *p = wick_realloc_array(NULL, f->n_bias, sizeof *p);
    if (!p) return wick_err_oom(err, "biases", f->n_bias * sizeof *p, 0);
    for (size_t i = 0; i < f->n_bias; i++) p[i] = (wick_logit_bias){f->bias[i].id, f->bias[i].bias};
    s->bias = *bias = p;
    s->n_bias = (uint32_t)f->n_bias;
    return WICK_OK;
}

wick_status wick_capi_options(const wick_llm *llm, const wick_generate_options *given, wick_generate_options *f,
                              wick_request_opts *o, wick_logit_bias **bias, wick_err *err)
{
    defaults(f);
    *bias = NULL;
    if (given) {
        if (given->size < offsetof(wick_generate_options, use_model_defaults) || given->size > 65536)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "options", "options: size %zu; use wick_generate_options_init",
                             given->size);
        memcpy(f, given, given->size < sizeof *f ? given->size : sizeof *f);
    }
    wick_request_opts_init(o);
    wick_sampling *s = &o->sampling;
    s->temperature = f->temperature;
    s->top_k = f->top_k;
    s->top_p = f->top_p;
    s->min_p = f->min_p;
    s->typical_p = f->typical_p;
    s->xtc_probability = f->xtc_probability;
    s->xtc_threshold = f->xtc_threshold;
    s->dry_multiplier = f->dry_multiplier;
    s->dry_base = f->dry_base;
    s->dry_allowed_length = f->dry_allowed_length;
    s->dry_range = f->dry_range;
    s->mirostat_tau = f->mirostat_tau;
    s->mirostat_eta = f->mirostat_eta;
    s->repetition_penalty = f->repetition_penalty;
    s->presence_penalty = f->presence_penalty;
    s->frequency_penalty = f->frequency_penalty;
    s->penalty_range = f->penalty_range;
    s->seed = f->seed;
    s->has_seed = f->has_seed;
    if (f->use_model_defaults) take_model_defaults(llm, s);
    WICK_TRY(sampling_order(f->sampler_order, &s->order, err));
    if (f->n_stop > UINT32_MAX) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: too many strings");
    o->max_tokens = f->max_tokens;
    o->min_tokens = f->min_tokens;
    o->stop = f->stop;
    o->n_stop = (uint32_t)f->n_stop;
    o->ignore_eos = f->ignore_eos;
    o->show_special = f->show_special;
    o->n_top_logprobs = f->n_top_logprobs;
    o->priority = f->priority;
    o->user_key = f->user_key;
    o->deadline_ms = f->deadline_ms;
    return copy_bias(f, s, bias, err);
}
