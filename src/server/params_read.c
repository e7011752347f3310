/* server/params_read.c - reading the parameters that are more than a number: each checks type, range and size. */
#include <math.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/str.h"
#include "chat/message.h"
#include "server/params.h"

#define BAD WICK_PARAM_BAD

wick_status wick_param_expected(wick_param_reading *r, const char *name, const char *what, const json_t *v)
{
    return BAD(r, name, "%s: must be %s, not %s", name, what, wick_json_type_name(v));
}

/* A string without NUL bytes: it goes to functions that take C strings. */
wick_status wick_param_text(wick_param_reading *r, const char *name, const json_t *v, const char **out)
{
    if (!json_is_string(v)) return wick_param_expected(r, name, "a string", v);
    if (strlen(json_string_value(v)) != json_string_length(v)) return BAD(r, name, "%s: holds a NUL character", name);
    *out = json_string_value(v);
    return WICK_OK;
}

wick_status wick_read_stop(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    wick_free(r->p->stop);
    r->p->stop = NULL;
    r->p->n_stop = 0;
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n > r->limits->stops)
        return BAD(r, q->name, "stop: %zu strings, at most %llu", n, (unsigned long long)r->limits->stops);
    r->p->stop = wick_alloc_zero(n ? n : 1, sizeof *r->p->stop);
    if (!r->p->stop) return wick_err_oom(r->err, "stop", 0, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_is_array(v) ? json_array_get(v, i) : v;
        WICK_TRY(wick_param_text(r, "stop", s, &r->p->stop[i]));
        if (json_string_length(s) == 0) return BAD(r, q->name, "stop: an empty string would stop at once");
        if (json_string_length(s) > r->limits->stop_bytes)
            return BAD(r, q->name, "stop: a string of %zu bytes, at most %llu", json_string_length(s),
                       (unsigned long long)r->limits->stop_bytes);
    }
    r->p->n_stop = (uint32_t)n;
    return WICK_OK;
}

wick_status wick_read_seed(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_integer(v)) return wick_param_expected(r, q->name, "an integer", v);
    /* llama.cpp and Ollama: another one each time. */
    if (r->route & (WICK_P_LLAMA | WICK_P_OLLAMA_OPTIONS) && json_integer_value(v) == -1) return WICK_OK;
    r->p->sampling.seed = (uint64_t)json_integer_value(v);
    r->p->sampling.has_seed = true;
    return WICK_OK;
}

wick_status wick_read_sampler_order(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *name = "";
    WICK_TRY(wick_param_text(r, q->name, v, &name));
    return wick_sampler_order_parse(name, &r->p->sampling.order, r->err);
}

wick_status wick_read_breakers(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const size_t n = json_array_size(v);
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array", v);
    if (n > r->limits->stops)
        return BAD(r, q->name, "%s: %zu strings, at most %llu", q->name, n, (unsigned long long)r->limits->stops);
    r->p->breakers = wick_alloc_zero(n + 1, sizeof *r->p->breakers);
    if (!r->p->breakers) return wick_err_oom(r->err, q->name, 0, 0);
    for (size_t i = 0; i < n; i++) {
        WICK_TRY(wick_param_text(r, q->name, json_array_get(v, i), &r->p->breakers[i]));
        if (!*r->p->breakers[i]) return BAD(r, q->name, "%s: an empty string is no breaker", q->name);
        if (json_string_length(json_array_get(v, i)) > r->limits->stop_bytes)
            return BAD(r, q->name, "%s: a string of more than %llu bytes", q->name,
                       (unsigned long long)r->limits->stop_bytes);
    }
    r->p->sampling.dry_breakers = r->p->breakers;
    r->p->sampling.n_dry_breakers = (uint32_t)n;
    return WICK_OK;
}

wick_status wick_read_choices(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_integer(v)) return wick_param_expected(r, q->name, "an integer", v);
    json_int_t n = json_integer_value(v);
    if (n < 1 || (uint64_t)n > r->limits->choices)
        return BAD(r, q->name, "%s: must be from 1 to %llu", q->name, (unsigned long long)r->limits->choices);
    if (strcmp(q->name, "best_of") != 0) {
        r->p->n = (uint32_t)n;
    } else {
        r->p->best_of = (uint32_t)n;
        r->p->seen_best_of = true;
    }
    return WICK_OK;
}

wick_status wick_read_logprobs(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (r->route & (WICK_P_CHAT | WICK_P_OLLAMA)) {
        if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
        r->p->logprobs = json_is_true(v);
        return WICK_OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 20)
        return BAD(r, q->name, "logprobs: must be an integer from 0 to 20");
    r->p->logprobs = true;
    r->p->top_logprobs = (uint32_t)json_integer_value(v);
    return WICK_OK;
}

wick_status wick_read_stream_options(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *key;
    json_t *x;
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        if (json_is_null(x)) continue;
        if (strcmp(key, "include_usage") == 0 && json_is_boolean(x))
            r->p->include_usage = json_is_true(x);
        else if (strcmp(key, "include_obfuscation") == 0 && json_is_boolean(x))
            continue; /* padding against those who watch the wire: there is none */
        else
            return BAD(r, q->name, "stream_options.%.40s: only include_usage (true or false) can be set", key);
    }
    return WICK_OK;
}

wick_status wick_read_user(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_string(v)) return wick_param_expected(r, q->name, "a string", v);
    /* Of several that are given, each counts: the digest goes on from the one before. */
    struct sha256_ctx c;
    sha256_init(&c);
    sha256_update(&c, sizeof r->p->user, r->p->user);
    sha256_update(&c, json_string_length(v), (const uint8_t *)json_string_value(v));
    sha256_digest(&c, sizeof r->p->user, r->p->user);
    r->p->has_user = true;
    return WICK_OK;
}

wick_status wick_read_modalities(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const json_t *m = json_array_get(v, 0);
    if (json_array_size(v) == 1 && json_is_string(m) && strcmp(json_string_value(m), "text") == 0) return WICK_OK;
    return BAD(r, q->name, "modalities: only [\"text\"] is supported");
}

wick_status wick_read_encoding(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    r->p->base64 = strcmp(s, "base64") == 0;
    if (r->p->base64 || strcmp(s, "float") == 0) return WICK_OK;
    return BAD(r, q->name, "encoding_format: must be \"float\" or \"base64\"");
}

wick_status wick_read_pooling(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_string(v) && wick_pooling_find(json_string_value(v), &r->p->pooling)) return WICK_OK;
    return BAD(r, q->name, "pooling: must be mean, last, first (or cls), max, mean_sqrt_len, weightedmean or default");
}

wick_status wick_read_skip_special(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
    r->p->show_special = json_is_false(v);
    return WICK_OK;
}

/* One entry of logit_bias. false bans, as llama.cpp's clients write it. */
static wick_status bias_value(wick_param_reading *r, const wick_param *q, const char *key, const json_t *x, float *out)
{
    const double d = json_is_false(x) ? -100 : json_number_value(x);
    if ((!json_is_number(x) && !json_is_false(x)) || !(d >= -100 && d <= 100))
        return BAD(r, q->name, "logit_bias: the bias of token %.40s must be a number from -100 to 100", key);
    *out = (float)d;
    return WICK_OK;
}

/* A text as a key, which llama.cpp's clients may write: one more pair for wick_params_sampling. */
static wick_status text_key(wick_param_reading *r, const wick_param *q, const char *key, json_t *x, json_t *pairs)
{
    float bias;
    WICK_TRY(bias_value(r, q, key, x, &bias));
    if (json_array_append_new(pairs, json_pack("[s, O]", key, x)) != 0) return wick_err_oom(r->err, q->name, 0, 0);
    r->p->bias_text = pairs;
    return WICK_OK;
}

static wick_status bias_object(wick_param_reading *r, const wick_param *q, const json_t *v, wick_logit_bias *b,
                               uint32_t *n)
{
    const char *key;
    json_t *x, *pairs = NULL;
    if (r->route & WICK_P_LLAMA) {
        pairs = json_array();
        WICK_TRY(wick_params_keep(r->p, pairs, r->err));
    }
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        int64_t id;
        if (pairs && *key && !wick_parse_i64(key, &id)) {
            WICK_TRY(text_key(r, q, key, x, pairs));
            continue;
        }
        if (!wick_parse_i64(key, &id) || id < 0 || id > INT32_MAX)
            return BAD(r, q->name, "logit_bias: \"%.40s\" is no token id", key);
        b[*n].id = (int32_t)id;
        WICK_TRY(bias_value(r, q, key, x, &b[*n].bias));
        ++*n;
    }
    return WICK_OK;
}

/* [[id, bias], ["text", bias], ...] */
static wick_status bias_pairs(wick_param_reading *r, const wick_param *q, const json_t *v, wick_logit_bias *b,
                              uint32_t *n)
{
    bool any_text = false;
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *pair = json_array_get(v, i), *id = json_array_get(pair, 0);
        char key[32];
        float bias = 0;
        snprintf(key, sizeof key, "[%zu]", i);
        if (json_array_size(pair) != 2)
            return BAD(r, q->name, "logit_bias[%zu]: must be a pair of a token id or a text, and a bias", i);
        WICK_TRY(bias_value(r, q, key, json_array_get(pair, 1), &bias));
        if (json_is_string(id)) {
            any_text = true;
            continue;
        }
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > INT32_MAX)
            return BAD(r, q->name, "logit_bias[%zu]: must begin with a token id or a text", i);
        b[*n].id = (int32_t)json_integer_value(id);
        b[(*n)++].bias = bias;
    }
    if (any_text) r->p->bias_text = v;
    return WICK_OK;
}

wick_status wick_read_bias(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const size_t size = json_is_array(v) ? json_array_size(v) : json_object_size(v);
    uint32_t n = 0;
    if (!json_is_object(v) && !json_is_array(v))
        return wick_param_expected(r, q->name, "an object or an array of pairs", v);
    if (size > r->limits->logit_bias)
        return BAD(r, q->name, "logit_bias: %zu entries, at most %llu", size,
                   (unsigned long long)r->limits->logit_bias);
    wick_logit_bias *b = wick_alloc_zero(size + 1, sizeof *b);
    if (!b) return wick_err_oom(r->err, "logit_bias", 0, 0);
    wick_free(r->p->bias);
    r->p->bias = b;
    WICK_TRY(json_is_array(v) ? bias_pairs(r, q, v, b, &n) : bias_object(r, q, v, b, &n));
    r->p->sampling.bias = b;
    r->p->sampling.n_bias = n;
    return WICK_OK;
}

/* -1 (and -2, as llama.cpp and Ollama have it) is no bound. */
wick_status wick_read_max_tokens(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const bool zero = r->route & (WICK_P_TEXT | WICK_P_LLAMA | WICK_P_OLLAMA_OPTIONS);
    if (!json_is_integer(v)) return wick_param_expected(r, q->name, "an integer", v);
    json_int_t n = json_integer_value(v);
    const bool unbounded = n == -1 || (n == -2 && r->route & (WICK_P_LLAMA | WICK_P_OLLAMA_OPTIONS));
    if (!unbounded && (n < (zero ? 0 : 1) || n > INT32_MAX))
        return BAD(r, q->name, "%s: must be from %d to 2147483647, or -1 for no bound", q->name, zero ? 0 : 1);
    if (unbounded) n = 0;
    if (r->p->seen_max_tokens && (r->p->max_tokens != (uint32_t)n || r->p->unbounded != unbounded))
        return BAD(r, q->name, "%s and another name of it are both given, and differ", q->name);
    r->p->max_tokens = (uint32_t)n;
    r->p->unbounded = unbounded;
    r->p->seen_max_tokens = true;
    return WICK_OK;
}

/* What the messages hold is checked where the prompt is made of them (chat/message.h). */
wick_status wick_read_messages(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array", v);
    if (json_array_size(v) > r->limits->messages)
        return BAD(r, q->name, "messages: %zu of them, at most %llu", json_array_size(v),
                   (unsigned long long)r->limits->messages);
    r->p->messages = v;
    return WICK_OK;
}

wick_status wick_read_own_tools(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v) && !json_is_array(v))
        return wick_param_expected(r, q->name, "true, false or a list of names", v);
    r->p->own_tools = v;
    return WICK_OK;
}

wick_status wick_read_tier(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const char *const tiers[] = {"auto", "default", "flex", "scale", "priority", "standard_only"};
    for (size_t i = 0; json_is_string(v) && i < sizeof tiers / sizeof *tiers; i++)
        if (strcmp(json_string_value(v), tiers[i]) == 0) return WICK_OK;
    return BAD(r, q->name, "service_tier: must be \"auto\", \"default\", \"flex\", \"scale\" or \"priority\"");
}

wick_status wick_read_stop_ids(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_array(v)) return wick_param_expected(r, q->name, "an array of token ids", v);
    const size_t n = json_array_size(v);
    if (n > r->limits->stops)
        return BAD(r, q->name, "%s: %zu ids, at most %llu", q->name, n, (unsigned long long)r->limits->stops);
    wick_free(r->p->stop_ids);
    r->p->stop_ids = wick_alloc_zero(n + 1, sizeof *r->p->stop_ids);
    if (!r->p->stop_ids) return wick_err_oom(r->err, q->name, 0, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *x = json_array_get(v, i);
        if (!json_is_integer(x) || json_integer_value(x) < 0 || json_integer_value(x) > INT32_MAX)
            return BAD(r, q->name, "%s[%zu]: must be a token id", q->name, i);
        r->p->stop_ids[i] = (int32_t)json_integer_value(x);
    }
    r->p->n_stop_ids = (uint32_t)n;
    return WICK_OK;
}

wick_status wick_read_thinking(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
    r->p->thinking = json_is_true(v) ? 1 : -1;
    return WICK_OK;
}

wick_status wick_read_effort(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    static const char *const efforts[] = {"none", "minimal", "low", "medium", "high", "xhigh", "max"};
    for (size_t i = 0; json_is_string(v) && i < sizeof efforts / sizeof *efforts; i++) {
        if (strcmp(json_string_value(v), efforts[i]) != 0) continue;
        r->p->reasoning_effort = efforts[i];
        return WICK_OK;
    }
    return BAD(r, q->name, "%s: must be none, minimal, low, medium, high, xhigh or max", q->name);
}

/* {"effort": ..., "summary": ...}: of the Responses API, and of routers in front of chat. */
wick_status wick_read_reasoning(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    const char *key;
    json_t *x;
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        if (json_is_null(x)) continue;
        if (strcmp(key, "effort") == 0)
            WICK_TRY(wick_read_effort(r, q, x));
        else if (strcmp(key, "enabled") == 0)
            WICK_TRY(wick_read_thinking(r, q, x));
        else if (strcmp(key, "summary") != 0 && strcmp(key, "generate_summary") != 0 && strcmp(key, "exclude") != 0 &&
                 strcmp(key, "max_tokens") != 0)
            return BAD(r, q->name, "%s.%.40s: is not known; effort and summary are", q->name, key);
    }
    return WICK_OK;
}

wick_status wick_read_cache_prompt(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
    r->p->no_cache = json_is_false(v);
    return WICK_OK;
}
