/* server/prompt.c - see prompt.h. */
#include "server/prompt.h"
#include <string.h>
#include <time.h>
#include "base/json.h"
#include "base/str.h"

enum { SHRINKS = 4 /* how much shorter a normalizer makes a text at most, but for runs of blanks */ };

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

/* llama-server gives templates today's date, in the two forms that they ask for. NULL: out of memory. */
static json_t *llama_vars(const wick_params *p)
{
    const time_t now = time(NULL);
    struct tm tm;
    char date[32], datetime[32];
    localtime_r(&now, &tm);
    strftime(date, sizeof date, "%d %b %Y", &tm);
    strftime(datetime, sizeof datetime, "%b %d %Y", &tm);
    json_t *vars = json_pack("{s:s, s:s}", "date_string", date, "datetime", datetime);
    if (vars && p->template_vars && json_object_update(vars, (json_t *)(uintptr_t)p->template_vars) != 0) {
        json_decref(vars);
        return NULL;
    }
    return vars;
}

wick_status wick_prompt_build(const wick_chat *c, const wick_params *p, bool no_ids, wick_chat_prompt *out,
                              wick_err *err)
{
    const wick_err *why = wick_chat_why(c);
    if (!p->messages) return BAD("messages", "messages: is missing");
    if (!wick_chat_usable(c))
        return BAD("messages",
                   "this model has no chat template that works%s%.200s; use /v1/completions, or start the server with "
                   "--chat-template",
                   why ? ": " : "", why ? why->message : "");
    const char *own = wick_chat_get_caps(c)->thinking_switch;
    const bool on = p->llama_defaults && own && strcmp(own, "enable_thinking") == 0;
    json_t *vars = p->llama_defaults ? llama_vars(p) : json_incref((json_t *)(uintptr_t)p->template_vars);
    if (p->llama_defaults && !vars) return wick_err_oom(err, "variables of the template", 0, 0);
    const wick_chat_request in = {.messages = p->messages,
                                  .tools = p->tool_choice_none ? NULL : p->tools,
                                  .documents = p->documents,
                                  .vars = vars,
                                  .reasoning_effort = p->reasoning_effort,
                                  .thinking = p->thinking || !on ? p->thinking : 1,
                                  .ending = p->continue_final_message  ? WICK_CHAT_CONTINUE
                                            : p->prefill               ? WICK_CHAT_PREFILL
                                            : p->add_generation_prompt ? WICK_CHAT_ANSWER
                                                                       : WICK_CHAT_CLOSED,
                                  .no_ids = no_ids};
    const wick_status st = wick_chat_prompt_build(c, &in, out, err);
    json_decref(vars);
    return st;
}

wick_status wick_prompt_may_fit(const wick_engine *e, size_t n, const char *name, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    const uint32_t ctx = wick_engine_ctx(e);
    size_t longest = 1;
    if (!t || n <= ctx) return WICK_OK;
    for (uint32_t id = 0; id < wick_tokenizer_size(t); id++) {
        const size_t k = wick_tokenizer_piece(t, (int32_t)id).n;
        if (k > longest) longest = k;
    }
    if (n / longest / SHRINKS <= ctx) return WICK_OK;
    return WICK_FAIL(err, WICK_E_LIMIT, "prompt", "%s: %zu bytes cannot fit the context of %u tokens", name, n, ctx);
}

size_t wick_prompt_bytes(const json_t *v)
{
    size_t n = json_string_length(v), i;
    const char *key;
    json_t *x;
    json_array_foreach((json_t *)(uintptr_t)v, i, x) n += wick_prompt_bytes(x);
    json_object_foreach((json_t *)(uintptr_t)v, key, x) n += wick_prompt_bytes(x);
    return n;
}

wick_status wick_prompt_encode(const wick_engine *e, const char *text, size_t n, unsigned flags, const char *name,
                               int32_t **ids, size_t *n_ids, wick_err *err)
{
    const wick_tokenizer *t = wick_engine_tokenizer(e);
    if (!t) return BAD(name, "%s: this model has no tokenizer; give token ids", name);
    return wick_tokenizer_encode(t, text, n, flags, ids, n_ids, err);
}

wick_status wick_prompt_ids(const wick_engine *e, const json_t *list, const char *name, int32_t **ids, size_t *n_ids,
                            wick_err *err)
{
    const size_t n = json_array_size(list);
    const uint32_t n_vocab = wick_engine_model(e)->plan.n_vocab;
    int32_t *out = wick_realloc_array(NULL, n ? n : 1, sizeof *out);
    if (!out) return wick_err_oom(err, name, n * sizeof *out, 0);
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(list, i);
        const json_int_t id = json_integer_value(v);
        if (json_is_integer(v) && id >= 0 && id < (json_int_t)n_vocab) {
            out[i] = (int32_t)id;
            continue;
        }
        wick_free(out);
        if (!json_is_integer(v))
            return BAD(name, "%s[%zu]: must be a token id, not %s", name, i, wick_json_type_name(v));
        return BAD(name, "%s[%zu]: %lld is not in the vocabulary of %u", name, i, (long long)id, n_vocab);
    }
    *ids = out;
    *n_ids = n;
    return WICK_OK;
}

wick_status wick_prompt_count(const json_t *v, const char *name, uint64_t limit, uint32_t *n, wick_err *err)
{
    const json_t *first = json_array_get(v, 0);
    if (!v) return BAD(name, "%s: is missing", name);
    if (!json_is_string(v) && !json_is_array(v))
        return BAD(name, "%s: must be a string or an array, not %s", name, wick_json_type_name(v));
    if (json_is_array(v) && !first) return BAD(name, "%s: is empty", name);
    *n = json_is_string(v) || json_is_integer(first) ? 1 : (uint32_t)json_array_size(v);
    if (*n > limit) return BAD(name, "%s: %u of them, at most %llu", name, *n, (unsigned long long)limit);
    return WICK_OK;
}

wick_status wick_prompt_item(const wick_engine *e, const json_t *v, uint32_t i, const char *name, int32_t **ids,
                             size_t *n_ids, const char **text, size_t *n_text, wick_err *err)
{
    const json_t *one = json_is_array(v) && !json_is_integer(json_array_get(v, 0)) ? json_array_get(v, i) : v;
    *text = NULL;
    *n_text = 0;
    if (json_is_string(one)) {
        *text = json_string_value(one);
        *n_text = json_string_length(one);
        WICK_TRY(wick_prompt_may_fit(e, *n_text, name, err));
        WICK_TRY(wick_prompt_encode(e, *text, *n_text, 0, name, ids, n_ids, err));
    } else if (json_is_array(one)) {
        WICK_TRY(wick_prompt_ids(e, one, name, ids, n_ids, err));
    } else {
        return BAD(name, "%s[%u]: must be a string or an array of token ids, not %s", name, i,
                   wick_json_type_name(one));
    }
    if (*n_ids > 0) return WICK_OK;
    wick_free(*ids);
    *ids = NULL;
    return BAD(name, "%s: is empty (no tokens)", name);
}
