/* server/params.c - see params.h. */
#include "server/params.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/map.h"
#include "base/str.h"

typedef struct param param;
typedef struct reading {
    wick_params *p;
    const wick_server_limits *limits;
    const json_t *body;
    unsigned route;
    wick_err *err;
} reading;

typedef enum param_kind {
    K_BOOL,
    K_U32,
    K_F32,
    K_STR,    /* borrowed */
    K_ARRAY,  /* borrowed */
    K_OBJECT, /* borrowed */
    K_ANY,    /* borrowed; the route reads it */
    K_FN,

    K_REFUSED /* about: why */
} param_kind;

struct param {
    const char *name;
    unsigned routes;
    param_kind kind;
    size_t at, seen; /* seen 0: no flag */
    double lo, hi;
    wick_status (*fn)(reading *r, const param *q, const json_t *v);
    const char *about;
};

#define BAD(r, name, ...) WICK_FAIL((r)->err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

static wick_status expected(reading *r, const char *name, const char *what, const json_t *v)
{
    return BAD(r, name, "%s: must be %s, not %s", name, what, wick_json_type_name(v));
}

/* A string without NUL bytes: it goes to functions that take C strings. */
static wick_status text_of(reading *r, const char *name, const json_t *v, const char **out)
{
    if (!json_is_string(v)) return expected(r, name, "a string", v);
    if (strlen(json_string_value(v)) != json_string_length(v)) return BAD(r, name, "%s: holds a NUL character", name);
    *out = json_string_value(v);
    return WICK_OK;
}

static wick_status read_stop(reading *r, const param *q, const json_t *v)
{
    const size_t n = json_is_array(v) ? json_array_size(v) : 1;
    if (n > r->limits->stops)
        return BAD(r, q->name, "stop: %zu strings, at most %llu", n, (unsigned long long)r->limits->stops);
    r->p->stop = wick_alloc_zero(n ? n : 1, sizeof *r->p->stop);
    if (!r->p->stop) return wick_err_oom(r->err, "stop", 0, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *s = json_is_array(v) ? json_array_get(v, i) : v;
        WICK_TRY(text_of(r, "stop", s, &r->p->stop[i]));
        if (json_string_length(s) == 0) return BAD(r, q->name, "stop: an empty string would stop at once");
        if (json_string_length(s) > r->limits->stop_bytes)
            return BAD(r, q->name, "stop: a string of %zu bytes, at most %llu", json_string_length(s),
                       (unsigned long long)r->limits->stop_bytes);
    }
    r->p->n_stop = (uint32_t)n;
    return WICK_OK;
}

static wick_status read_bias(reading *r, const param *q, const json_t *v)
{
    const char *key;
    json_t *x;
    uint32_t n = 0;
    if (!json_is_object(v)) return expected(r, q->name, "an object", v);
    if (json_object_size(v) > r->limits->logit_bias)
        return BAD(r, q->name, "logit_bias: %zu entries, at most %llu", json_object_size(v),
                   (unsigned long long)r->limits->logit_bias);
    wick_logit_bias *b = wick_alloc_zero(json_object_size(v) + 1, sizeof *b);
    if (!b) return wick_err_oom(r->err, "logit_bias", 0, 0);
    r->p->bias = b;
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        int64_t id;
        double d = json_number_value(x);
        if (!wick_parse_i64(key, &id) || id < 0 || id > INT32_MAX)
            return BAD(r, q->name, "logit_bias: \"%.40s\" is no token id", key);
        if (!json_is_number(x) || !(d >= -100 && d <= 100))
            return BAD(r, q->name, "logit_bias: the bias of token %s must be a number from -100 to 100", key);
        b[n++] = (wick_logit_bias){(int32_t)id, (float)d};
    }
    r->p->sampling.bias = b;
    r->p->sampling.n_bias = n;
    return WICK_OK;
}

static wick_status read_seed(reading *r, const param *q, const json_t *v)
{
    if (!json_is_integer(v)) return expected(r, q->name, "an integer", v);
    r->p->sampling.seed = (uint64_t)json_integer_value(v);
    r->p->sampling.has_seed = true;
    return WICK_OK;
}

static wick_status read_choices(reading *r, const param *q, const json_t *v)
{
    if (!json_is_integer(v)) return expected(r, q->name, "an integer", v);
    json_int_t n = json_integer_value(v);
    if (n < 1 || (uint64_t)n > r->limits->choices)
        return BAD(r, q->name, "%s: must be from 1 to %llu", q->name, (unsigned long long)r->limits->choices);
    if (strcmp(q->name, "n") == 0) {
        r->p->n = (uint32_t)n;
    } else {
        r->p->best_of = (uint32_t)n;
        r->p->seen_best_of = true;
    }
    return WICK_OK;
}

static wick_status read_max_tokens(reading *r, const param *q, const json_t *v)
{
    const bool text = r->route == WICK_P_TEXT;
    if (!json_is_integer(v)) return expected(r, q->name, "an integer", v);
    json_int_t n = json_integer_value(v);
    if (n < (text ? 0 : 1) || n > INT32_MAX)
        return BAD(r, q->name, "%s: must be from %d to 2147483647", q->name, text ? 0 : 1);
    if (r->p->seen_max_tokens && r->p->max_tokens != (uint32_t)n)
        return BAD(r, q->name, "max_tokens and max_completion_tokens are both given, and differ");
    r->p->max_tokens = (uint32_t)n;
    r->p->seen_max_tokens = true;
    return WICK_OK;
}

static wick_status read_logprobs(reading *r, const param *q, const json_t *v)
{
    if (r->route == WICK_P_CHAT) {
        if (!json_is_boolean(v)) return expected(r, q->name, "true or false", v);
        r->p->logprobs = json_is_true(v);
        return WICK_OK;
    }
    if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > 20)
        return BAD(r, q->name, "logprobs: must be an integer from 0 to 20");
    r->p->logprobs = true;
    r->p->top_logprobs = (uint32_t)json_integer_value(v);
    return WICK_OK;
}

static wick_status read_stream_options(reading *r, const param *q, const json_t *v)
{
    const char *key;
    json_t *x;
    if (!json_is_object(v)) return expected(r, q->name, "an object", v);
    json_object_foreach((json_t *)(uintptr_t)v, key, x)
    {
        if (json_is_null(x)) continue;
        if (strcmp(key, "include_usage") == 0 && json_is_boolean(x))
            r->p->include_usage = json_is_true(x);
        else if (strcmp(key, "include_obfuscation") == 0 && json_is_false(x))
            continue;
        else
            return BAD(r, q->name, "stream_options.%.40s: only include_usage (true or false) can be set", key);
    }
    return WICK_OK;
}

static wick_status read_response_format(reading *r, const param *q, const json_t *v)
{
    const json_t *type = json_object_get(v, "type");
    if (!json_is_object(v)) return expected(r, q->name, "an object", v);
    if (json_is_string(type) && strcmp(json_string_value(type), "text") == 0 && json_object_size(v) == 1)
        return WICK_OK;
    return BAD(r, q->name, "response_format: type \"%.40s\" is not supported, only \"text\"",
               json_is_string(type) ? json_string_value(type) : "?");
}

static wick_status read_messages(reading *r, const param *q, const json_t *v)
{
    if (!json_is_array(v)) return expected(r, q->name, "an array", v);
    if (json_array_size(v) > r->limits->messages)
        return BAD(r, q->name, "messages: %zu of them, at most %llu", json_array_size(v),
                   (unsigned long long)r->limits->messages);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *m = json_array_get(v, i), *content = json_object_get(m, "content");
        if (!json_is_object(m))
            return BAD(r, q->name, "messages[%zu]: must be an object, not %s", i, wick_json_type_name(m));
        if (!json_is_string(json_object_get(m, "role")))
            return BAD(r, q->name, "messages[%zu].role: must be a string", i);
        if (content && !json_is_null(content) && !json_is_string(content) && !json_is_array(content))
            return BAD(r, q->name, "messages[%zu].content: must be a string or an array of parts, not %s", i,
                       wick_json_type_name(content));
        if (!content && !json_object_get(m, "tool_calls"))
            return BAD(r, q->name, "messages[%zu].content: is missing", i);
        for (size_t j = 0; json_is_array(content) && j < json_array_size(content); j++) {
            const json_t *part = json_array_get(content, j), *type = json_object_get(part, "type");
            if (!json_is_string(type))
                return BAD(r, q->name, "messages[%zu].content[%zu].type: must be a string", i, j);
            if (strcmp(json_string_value(type), "text") != 0)
                return BAD(r, q->name,
                           "messages[%zu].content[%zu]: parts of type \"%.40s\" are not supported, only text", i, j,
                           json_string_value(type));
            if (!json_is_string(json_object_get(part, "text")))
                return BAD(r, q->name, "messages[%zu].content[%zu].text: must be a string", i, j);
        }
    }
    r->p->messages = v;
    return WICK_OK;
}

static wick_status read_tools(reading *r, const param *q, const json_t *v)
{
    if (!json_is_array(v)) return expected(r, q->name, "an array", v);
    if (json_array_size(v) > r->limits->tools)
        return BAD(r, q->name, "tools: %zu of them, at most %llu", json_array_size(v),
                   (unsigned long long)r->limits->tools);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *t = json_array_get(v, i), *type = json_object_get(t, "type"), *f = json_object_get(t, "function");
        if (!json_is_string(type) || strcmp(json_string_value(type), "function") != 0)
            return BAD(r, q->name, "tools[%zu].type: must be \"function\"", i);
        if (!json_is_string(json_object_get(f, "name")))
            return BAD(r, q->name, "tools[%zu].function.name: must be a string", i);
        if (json_is_true(json_object_get(f, "strict")))
            return BAD(r, q->name, "tools[%zu].function.strict: is not supported", i);
    }
    if (json_array_size(v) > 0) r->p->tools = v;
    return WICK_OK;
}

static wick_status read_tool_choice(reading *r, const param *q, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    r->p->tool_choice_none = strcmp(s, "none") == 0;
    if (r->p->tool_choice_none || strcmp(s, "auto") == 0) return WICK_OK;
    return BAD(r, q->name, "tool_choice: only \"auto\" and \"none\" are supported");
}

static wick_status read_user(reading *r, const param *q, const json_t *v)
{
    if (!json_is_string(v)) return expected(r, q->name, "a string", v);
    r->p->user = wick_hash_bytes(json_string_value(v), json_string_length(v), r->p->user + 1) | 1;
    return WICK_OK;
}

static wick_status read_false(reading *r, const param *q, const json_t *v)
{
    if (json_is_false(v)) return WICK_OK;
    return BAD(r, q->name, "%s: %s", q->name, q->about);
}

static wick_status read_true(reading *r, const param *q, const json_t *v)
{
    if (json_is_true(v)) return WICK_OK;
    return BAD(r, q->name, "%s: %s", q->name, q->about);
}

static wick_status read_tier(reading *r, const param *q, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    if (strcmp(s, "auto") == 0 || strcmp(s, "default") == 0) return WICK_OK;
    return BAD(r, q->name, "service_tier: there is only \"default\" (or \"auto\")");
}

static wick_status read_modalities(reading *r, const param *q, const json_t *v)
{
    const json_t *m = json_array_get(v, 0);
    if (json_array_size(v) == 1 && json_is_string(m) && strcmp(json_string_value(m), "text") == 0) return WICK_OK;
    return BAD(r, q->name, "modalities: only [\"text\"] is supported");
}

static wick_status read_metadata(reading *r, const param *q, const json_t *v)
{
    return json_is_object(v) ? WICK_OK : expected(r, q->name, "an object", v);
}

static wick_status read_encoding(reading *r, const param *q, const json_t *v)
{
    const char *s = json_is_string(v) ? json_string_value(v) : "";
    r->p->base64 = strcmp(s, "base64") == 0;
    if (r->p->base64 || strcmp(s, "float") == 0) return WICK_OK;
    return BAD(r, q->name, "encoding_format: must be \"float\" or \"base64\"");
}

static wick_status read_pooling(reading *r, const param *q, const json_t *v)
{
    static const char *const names[] = {"last", "mean", "first"};
    for (int i = 0; json_is_string(v) && i < 3; i++) {
        if (strcmp(json_string_value(v), names[i]) != 0) continue;
        r->p->pooling = (wick_pooling)i;
        return WICK_OK;
    }
    return BAD(r, q->name, "pooling: must be \"mean\", \"last\" or \"first\"");
}

static wick_status read_skip_special(reading *r, const param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return expected(r, q->name, "true or false", v);
    r->p->show_special = json_is_false(v);
    return WICK_OK;
}

#define AT(f) offsetof(wick_params, f)
#define S(f) offsetof(wick_params, sampling.f)
#define ALL (WICK_P_GEN | WICK_P_EMBED | WICK_P_TOKENIZE | WICK_P_DETOKENIZE | WICK_P_TEMPLATE)
#define MAX32 4294967295.0

static const param params[] = {
    {"model", ALL, K_STR, AT(model), 0, 0, 0, NULL, "a served model; absent: the default one"},
    {"messages", WICK_P_MESSAGES, K_FN, 0, 0, 0, 0, read_messages, "the conversation; content is text"},
    {"prompt", WICK_P_TEXT | WICK_P_TOKENIZE, K_ANY, AT(prompt), 0, 0, 0, NULL,
     "a string, an array of strings, token ids, or arrays of token ids"},
    {"content", WICK_P_TOKENIZE, K_ANY, AT(prompt), 0, 0, 0, NULL, "the same as prompt"},
    {"input", WICK_P_EMBED, K_ANY, AT(input), 0, 0, 0, NULL, "as prompt"},
    {"tokens", WICK_P_DETOKENIZE, K_ARRAY, AT(tokens), 0, 0, 0, NULL, "token ids"},
    {"temperature", WICK_P_GEN, K_F32, S(temperature), AT(seen_temperature), 0, 100, NULL,
     "0: always the likeliest token; default: the model's, else 0.8"},
    {"top_p", WICK_P_GEN, K_F32, S(top_p), AT(seen_top_p), 0, 1, NULL, "default: the model's, else 0.95"},
    {"top_k", WICK_P_GEN, K_U32, S(top_k), AT(seen_top_k), 0, INT32_MAX, NULL, "0: off; default: the model's, else 40"},
    {"min_p", WICK_P_GEN, K_F32, S(min_p), AT(seen_min_p), 0, 1, NULL, "default: the model's, else 0.05"},
    {"typical_p", WICK_P_GEN, K_F32, S(typical_p), 0, 0, 1, NULL, "1: off"},
    {"xtc_probability", WICK_P_GEN, K_F32, S(xtc_probability), 0, 0, 1, NULL, "0: off"},
    {"xtc_threshold", WICK_P_GEN, K_F32, S(xtc_threshold), 0, 0, 1, NULL, ""},
    {"dry_multiplier", WICK_P_GEN, K_F32, S(dry_multiplier), 0, 0, 1000, NULL, "0: off"},
    {"dry_base", WICK_P_GEN, K_F32, S(dry_base), 0, 0, 100, NULL, ""},
    {"dry_allowed_length", WICK_P_GEN, K_U32, S(dry_allowed_length), 0, 0, MAX32, NULL, ""},
    {"dry_range", WICK_P_GEN, K_U32, S(dry_range), 0, 0, MAX32, NULL, "0: the whole context"},
    {"mirostat_tau", WICK_P_GEN, K_F32, S(mirostat_tau), 0, 0, 100, NULL, "0: off"},
    {"mirostat_eta", WICK_P_GEN, K_F32, S(mirostat_eta), 0, 0, 10, NULL, ""},
    {"repetition_penalty", WICK_P_GEN, K_F32, S(repetition_penalty), AT(seen_repetition_penalty), 0.01, 100, NULL,
     "1: off; default: the model's"},
    {"presence_penalty", WICK_P_GEN, K_F32, S(presence_penalty), 0, -2, 2, NULL, ""},
    {"frequency_penalty", WICK_P_GEN, K_F32, S(frequency_penalty), 0, -2, 2, NULL, ""},
    {"penalty_range", WICK_P_GEN, K_U32, S(penalty_range), 0, 0, MAX32, NULL, "recent tokens the penalties look at"},
    {"logit_bias", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_bias, "token id to -100..100; -100 bans it"},
    {"seed", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_seed, "choice i uses seed + i"},
    {"n", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_choices, "answers"},
    {"best_of", WICK_P_TEXT, K_FN, 0, 0, 0, 0, read_choices,
     "make so many, give the n of the highest mean log probability; not with stream"},
    {"stop", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_stop, "a string or an array of strings; never part of the answer"},
    {"max_tokens", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_max_tokens,
     "an upper bound; the context's end is another. Default: none in chat, 16 in completions"},
    {"max_completion_tokens", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_max_tokens, "the same"},
    {"min_tokens", WICK_P_GEN, K_U32, AT(min_tokens), 0, 0, INT32_MAX, NULL, "no end and no stop before"},
    {"ignore_eos", WICK_P_GEN, K_BOOL, AT(ignore_eos), 0, 0, 0, NULL, "go on after the end token"},
    {"skip_special_tokens", WICK_P_GEN | WICK_P_DETOKENIZE, K_FN, 0, 0, 0, 0, read_skip_special,
     "false: control tokens are in the text"},
    {"stream", WICK_P_GEN, K_BOOL, AT(stream), 0, 0, 0, NULL, "server-sent events"},
    {"stream_options", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_stream_options, "include_usage"},
    {"logprobs", WICK_P_GEN, K_FN, 0, 0, 0, 0, read_logprobs, "chat: true or false; completions: 0 to 20"},
    {"top_logprobs", WICK_P_CHAT, K_U32, AT(top_logprobs), AT(seen_top_logprobs), 0, 20, NULL, "with logprobs: true"},
    {"echo", WICK_P_TEXT, K_BOOL, AT(echo), 0, 0, 0, NULL, "the prompt too; with logprobs: its log probabilities"},
    {"user", WICK_P_GEN | WICK_P_EMBED, K_FN, 0, 0, 0, 0, read_user,
     "users of a key are served in turn, and share no cached prompts"},
    {"safety_identifier", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_user, "as user"},
    {"prompt_cache_key", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_user, "as user"},
    {"response_format", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_response_format, "{\"type\": \"text\"} only"},
    {"tools", WICK_P_MESSAGES, K_FN, 0, 0, 0, 0, read_tools,
     "functions the model may call; refused where its template takes none"},
    {"tool_choice", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_tool_choice, "\"auto\" or \"none\""},
    {"parallel_tool_calls", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_true, "only true is supported"},
    {"chat_template_kwargs", WICK_P_MESSAGES, K_OBJECT, AT(template_vars), 0, 0, 0, NULL, "variables of the template"},
    {"documents", WICK_P_MESSAGES, K_ARRAY, AT(documents), 0, 0, 0, NULL, "for templates that take them"},
    {"add_generation_prompt", WICK_P_MESSAGES, K_BOOL, AT(add_generation_prompt), 0, 0, 0, NULL, "default true"},
    {"continue_final_message", WICK_P_MESSAGES, K_BOOL, AT(continue_final_message), 0, 0, 0, NULL, ""},
    {"reasoning_effort", WICK_P_CHAT, K_STR, AT(reasoning_effort), 0, 0, 0, NULL,
     "for templates that take it, or \"none\" for those with enable_thinking"},
    {"add_special", WICK_P_TOKENIZE, K_BOOL, AT(add_special), 0, 0, 0, NULL,
     "begin and end tokens; default true for text"},
    {"add_special_tokens", WICK_P_TOKENIZE, K_BOOL, AT(add_special), 0, 0, 0, NULL, "the same"},
    {"parse_special", WICK_P_TOKENIZE, K_BOOL, AT(parse_special), 0, 0, 0, NULL,
     "false: the names of control tokens are plain text"},
    {"with_pieces", WICK_P_TOKENIZE, K_BOOL, AT(with_pieces), 0, 0, 0, NULL, "the text of each token too"},
    {"encoding_format", WICK_P_EMBED, K_FN, 0, 0, 0, 0, read_encoding,
     "\"float\" or \"base64\" (little-endian float32)"},
    {"pooling", WICK_P_EMBED, K_FN, 0, 0, 0, 0, read_pooling, "\"mean\" (default), \"last\", \"first\""},
    {"normalize", WICK_P_EMBED, K_BOOL, AT(normalize), 0, 0, 0, NULL, "default true: length 1"},
    {"metadata", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_metadata,
     "accepted, an object: it belongs to stored answers, and none is stored"},
    {"store", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_false, "nothing is stored here: only false"},
    {"service_tier", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_tier, "\"auto\" or \"default\""},
    {"modalities", WICK_P_CHAT, K_FN, 0, 0, 0, 0, read_modalities, "[\"text\"]"},
    {"dimensions", WICK_P_EMBED, K_REFUSED, 0, 0, 0, 0, NULL, "vectors have the model's width"},
    {"suffix", WICK_P_TEXT, K_REFUSED, 0, 0, 0, 0, NULL, "text cannot be inserted before a suffix"},
    {"functions", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "use tools"},
    {"function_call", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "use tool_choice"},
    {"audio", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "only text is generated"},
    {"prediction", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "predicted outputs are not supported"},
    {"verbosity", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "ask for it in the messages"},
    {"web_search_options", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "there is no web search"},
    {"moderation", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "there is no moderation"},
    {"prompt_cache_retention", WICK_P_CHAT, K_REFUSED, 0, 0, 0, 0, NULL, "the cache keeps what memory allows"},
};
enum { N_PARAMS = sizeof params / sizeof *params };

static wick_status read_u32(reading *r, const param *q, const json_t *v, uint32_t *out)
{
    if (!json_is_integer(v)) return expected(r, q->name, "an integer", v);
    const double d = (double)json_integer_value(v);
    if (!(d >= q->lo && d <= q->hi)) return BAD(r, q->name, "%s: must be from %.0f to %.0f", q->name, q->lo, q->hi);
    *out = (uint32_t)json_integer_value(v);
    return WICK_OK;
}

static wick_status read_one(reading *r, const param *q, const json_t *v)
{
    void *at = (char *)r->p + q->at;
    double d;
    switch (q->kind) {
    case K_BOOL:
        if (!json_is_boolean(v)) return expected(r, q->name, "true or false", v);
        *(bool *)at = json_is_true(v);
        break;
    case K_U32: WICK_TRY(read_u32(r, q, v, at)); break;
    case K_F32:
        if (!json_is_number(v)) return expected(r, q->name, "a number", v);
        d = json_number_value(v);
        if (!(d >= q->lo && d <= q->hi)) return BAD(r, q->name, "%s: must be from %g to %g", q->name, q->lo, q->hi);
        *(float *)at = (float)d;
        break;
    case K_STR: WICK_TRY(text_of(r, q->name, v, at)); break;
    case K_ARRAY:
        if (!json_is_array(v)) return expected(r, q->name, "an array", v);
        *(const json_t **)at = v;
        break;
    case K_OBJECT:
        if (!json_is_object(v)) return expected(r, q->name, "an object", v);
        *(const json_t **)at = v;
        break;
    case K_ANY: *(const json_t **)at = v; break;
    case K_FN: WICK_TRY(q->fn(r, q, v)); break;
    case K_REFUSED: return BAD(r, q->name, "%s: is not supported: %s", q->name, q->about);
    }
    if (q->seen) *(bool *)((char *)r->p + q->seen) = true;
    return WICK_OK;
}

static wick_status check_together(reading *r)
{
    wick_params *p = r->p;
    if (!p->stream && json_object_get(r->body, "stream_options") &&
        !json_is_null(json_object_get(r->body, "stream_options")))
        return BAD(r, "stream_options", "stream_options: only with stream: true");
    if (r->route == WICK_P_CHAT && p->seen_top_logprobs && p->top_logprobs > 0 && !p->logprobs)
        return BAD(r, "top_logprobs", "top_logprobs: only with logprobs: true");
    if (p->seen_best_of && p->best_of < p->n) return BAD(r, "best_of", "best_of: must not be less than n");
    if (p->seen_best_of && p->best_of > p->n && p->stream) return BAD(r, "best_of", "best_of: not with stream: true");
    if (p->seen_best_of && p->best_of > p->n && p->echo) return BAD(r, "best_of", "best_of: not with echo: true");
    if (r->route == WICK_P_TEXT && p->max_tokens == 0 && !p->echo)
        return BAD(r, "max_tokens", "max_tokens: 0 gives nothing without echo: true");
    if (p->add_generation_prompt && p->continue_final_message)
        return BAD(r, "continue_final_message", "continue_final_message: not together with add_generation_prompt");
    return WICK_OK;
}

wick_status wick_params_parse(wick_params *p, const json_t *body, unsigned route, const wick_server_limits *l,
                              wick_err *err)
{
    reading r = {p, l, body, route, err};
    const char *key;
    json_t *v;
    memset(p, 0, sizeof *p);
    wick_sampling_defaults(&p->sampling);
    p->n = p->best_of = 1;
    p->max_tokens = route == WICK_P_TEXT ? 16 : 0;
    p->add_special = route != WICK_P_TOKENIZE || !json_object_get(body, "messages");
    p->parse_special = p->normalize = true;
    p->pooling = WICK_POOL_MEAN;
    json_object_foreach((json_t *)(uintptr_t)body, key, v)
    {
        const param *q = NULL;
        for (size_t i = 0; i < N_PARAMS && !q; i++)
            if (params[i].routes & route && strcmp(params[i].name, key) == 0) q = &params[i];
        if (!q) return BAD(&r, key, "unknown parameter \"%.80s\"; docs/API.md lists what is known here", key);
        if (json_is_null(v)) continue;
        WICK_TRY(read_one(&r, q, v));
    }
    const json_t *gen = json_object_get(body, "add_generation_prompt");
    if (!gen || json_is_null(gen)) p->add_generation_prompt = !p->continue_final_message;
    return check_together(&r);
}

void wick_params_release(wick_params *p)
{
    wick_free(p->bias);
    wick_free(p->stop);
    p->bias = NULL;
    p->stop = NULL;
}

wick_status wick_params_sampling(wick_params *p, const wick_engine *e, wick_sampling *out, wick_err *err)
{
    wick_sampling model;
    wick_sampling_from_model(&model, e);
    *out = p->sampling;
    if (!p->seen_temperature) out->temperature = model.temperature;
    if (!p->seen_top_p) out->top_p = model.top_p;
    if (!p->seen_top_k) out->top_k = model.top_k;
    if (!p->seen_min_p) out->min_p = model.min_p;
    if (!p->seen_repetition_penalty) out->repetition_penalty = model.repetition_penalty;
    return wick_sampling_check(out, wick_engine_model(e)->plan.n_vocab, err);
}

void wick_server_describe_parameters(wick_buf *out)
{
    static const struct {
        unsigned route;
        const char *name;
    } routes[] = {
        {WICK_P_CHAT, "chat"},         {WICK_P_TEXT, "completions"},      {WICK_P_EMBED, "embeddings"},
        {WICK_P_TOKENIZE, "tokenize"}, {WICK_P_DETOKENIZE, "detokenize"}, {WICK_P_TEMPLATE, "apply-template"}};
    wick_buf_puts(out, "| Parameter | Routes | Meaning |\n|---|---|---|\n");
    for (size_t i = 0; i < N_PARAMS; i++) {
        wick_buf_printf(out, "| `%s` |", params[i].name);
        const char *sep = " ";
        for (size_t j = 0; j < sizeof routes / sizeof *routes; j++) {
            if (!(params[i].routes & routes[j].route)) continue;
            wick_buf_printf(out, "%s%s", sep, routes[j].name);
            sep = ", ";
        }
        wick_buf_printf(out, " | %s%s |\n", params[i].kind == K_REFUSED ? "refused: " : "", params[i].about);
    }
}
