/* chat/options.h - the options of sampling as server, C API and CLI share them: defaults, ranges, names.
 *
 * All of it comes from chat/sampling.def. Whoever reads options from somewhere writes a wick_sampling and says in a
 * wick_sampling_given which members it wrote; wick_sampling_resolve fills the rest and checks the whole. The sampler
 * itself (engine/sample.h) knows neither names nor defaults.
 */
#pragma once
#include "engine/engine.h"

/* Which members of a wick_sampling somebody set. */
typedef struct wick_sampling_given {
#define WICK_SAMPLING_F32(field, ...) bool field;
#define WICK_SAMPLING_U32(field, ...) bool field;
#define WICK_SAMPLING_MODEL_F32(field, ...) bool field;
#define WICK_SAMPLING_MODEL_U32(field, ...) bool field;
#define WICK_SAMPLING_SPECIAL(field, ...) bool field;
#include "chat/sampling.def"
} wick_sampling_given;

typedef enum wick_sampling_kind {
    WICK_SAMPLING_IS_F32,
    WICK_SAMPLING_IS_U32,
    WICK_SAMPLING_IS_SPECIAL
} wick_sampling_kind;

/* One row of the table. */
typedef struct wick_sampling_option {
    const char *name; /* OpenAI's dialect, server.yaml; but for SPECIAL ones also the member of the C API */
    wick_sampling_kind kind;
    bool from_model; /* generation_config.json may set it */
    size_t at;       /* of the member in wick_sampling; float or uint32_t, but for SPECIAL ones */
    size_t given_at; /* in wick_sampling_given */
    double preset, lo, hi;
    const char *cli, *llamacpp, *ollama, *anthropic; /* names there, or NULL */
    const char *help;
} wick_sampling_option;

extern const wick_sampling_option wick_sampling_options[];
extern const uint32_t wick_sampling_n_options;
const wick_sampling_option *wick_sampling_option_find(const char *name); /* by its `name`; NULL: there is none */

double wick_sampling_value(const wick_sampling *s, const wick_sampling_option *o); /* of a row that is not SPECIAL */
bool wick_sampling_is_given(const wick_sampling_given *g, const wick_sampling_option *o);

void wick_sampling_defaults(wick_sampling *s); /* the table's */
/* The defaults, with what the model's generation_config.json names; do_sample false: greedy. Values out of range are
 * left out. The only reader of that file's sampling. */
void wick_sampling_from_model(wick_sampling *s, const wick_engine *e);
/* Gives s the value for the option that has this name (server.yaml, text of a number). WICK_E_BAD_PARAMETER: out of
 * range, or not for SPECIAL rows. */
wick_status wick_sampling_set(wick_sampling *s, wick_sampling_given *given, const wick_sampling_option *o, double value,
                              wick_err *err) WICK_MUST_CHECK;
/* Members that nobody gave get the model's values; an explicit one is kept, also where it equals the default. Then
 * everything is checked: WICK_E_BAD_PARAMETER names the option. e NULL: the library's defaults, and ids unchecked. */
wick_status wick_sampling_resolve(wick_sampling *s, const wick_sampling_given *given, const wick_engine *e,
                                  wick_err *err) WICK_MUST_CHECK;
/* "default", "mlx", "llama". */
wick_status wick_sampler_order_parse(const char *name, wick_sampler_order *out, wick_err *err) WICK_MUST_CHECK;
