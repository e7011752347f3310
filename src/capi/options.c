/* capi/options.c - option structs across versions: the caller's may be shorter (older header) or longer than ours. */
#include <string.h>
#include "base/alloc.h"
#include "capi/capi_int.h"

/* The numbers of chat/sampling.def, between the caller's struct and the sampler's. */
static void copy_numbers_out(wick_generate_options *o, const wick_sampling *s)
{
#define COPY(f) o->f = s->f;
#define WICK_SAMPLING_F32(f, ...) COPY(f)
#define WICK_SAMPLING_U32(f, ...) COPY(f)
#define WICK_SAMPLING_MODEL_F32(f, ...) COPY(f)
#define WICK_SAMPLING_MODEL_U32(f, ...) COPY(f)
#include "chat/sampling.def"
#undef COPY
}

static void copy_numbers_in(wick_sampling *s, const wick_generate_options *o)
{
#define COPY(f) s->f = o->f;
#define WICK_SAMPLING_F32(f, ...) COPY(f)
#define WICK_SAMPLING_U32(f, ...) COPY(f)
#define WICK_SAMPLING_MODEL_F32(f, ...) COPY(f)
#define WICK_SAMPLING_MODEL_U32(f, ...) COPY(f)
#include "chat/sampling.def"
#undef COPY
}

static void defaults(wick_generate_options *o)
{
    wick_sampling s;
    wick_sampling_defaults(&s);
    *o = (wick_generate_options){.size = sizeof *o, .use_model_defaults = true, .sampler_order = "default"};
    copy_numbers_out(o, &s);
}

/* Which numbers the model's generation_config.json must leave alone: those that the caller named in `set`, and those
 * that differ from the library's default (programs that know no `set`). */
static void explicit_ones(const wick_generate_options *f, const wick_sampling *s, wick_sampling_given *given)
{
    wick_sampling ours;
    wick_sampling_defaults(&ours);
    const bool all = !f->use_model_defaults;
    given->temperature = all || f->set & WICK_SET_TEMPERATURE || s->temperature != ours.temperature;
    given->top_k = all || f->set & WICK_SET_TOP_K || s->top_k != ours.top_k;
    given->top_p = all || f->set & WICK_SET_TOP_P || s->top_p != ours.top_p;
    given->min_p = all || f->set & WICK_SET_MIN_P || s->min_p != ours.min_p;
    given->repetition_penalty =
        all || f->set & WICK_SET_REPETITION_PENALTY || s->repetition_penalty != ours.repetition_penalty;
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

wick_status wick_capi_options(const wick_llm *llm, const wick_generate_options *options, wick_generate_options *f,
                              wick_request_opts *o, wick_logit_bias **bias, wick_err *err)
{
    wick_sampling_given given = {0};
    defaults(f);
    *bias = NULL;
    if (options) {
        if (options->size < offsetof(wick_generate_options, use_model_defaults) || options->size > 65536)
            return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "options", "options: size %zu; use wick_generate_options_init",
                             options->size);
        memcpy(f, options, options->size < sizeof *f ? options->size : sizeof *f);
    }
    wick_request_opts_init(o);
    wick_sampling *s = &o->sampling;
    copy_numbers_in(s, f);
    s->seed = f->seed;
    s->has_seed = f->has_seed;
    s->dry_breakers = f->dry_breakers;
    if (f->n_dry_breakers > UINT32_MAX)
        return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "dry_breakers", "dry_breakers: too many strings");
    s->n_dry_breakers = (uint32_t)f->n_dry_breakers;
    if (f->sampler_order) WICK_TRY(wick_sampler_order_parse(f->sampler_order, &s->order, err));
    if (f->n_stop > UINT32_MAX) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "stop", "stop: too many strings");
    o->max_tokens = f->max_tokens;
    o->min_tokens = f->min_tokens;
    o->stop = f->stop;
    o->n_stop = (uint32_t)f->n_stop;
    o->ignore_eos = f->ignore_eos;
    o->show_special = f->show_special;
    o->n_top_logprobs = f->n_top_logprobs;
    o->priority = f->priority;
    o->domain.owner = f->user_key;
    o->deadline_ms = f->deadline_ms;
    WICK_TRY(copy_bias(f, s, bias, err));
    explicit_ones(f, s, &given);
    return wick_sampling_resolve(s, &given, llm->engine, err);
}
