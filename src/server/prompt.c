/* server/prompt.c - see prompt.h. */
#include "server/prompt.h"
#include <string.h>
#include "base/json.h"
#include "base/str.h"

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

/* A variable that the template never names would be ignored: say so instead. */
static wick_status check_vars(const char *source, const wick_params *p, wick_err *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)p->template_vars, key, v)
    {
        if (!strstr(source, key) && strcmp(key, "now") != 0)
            return BAD("chat_template_kwargs", "chat_template_kwargs: this model's template has no variable \"%.60s\"",
                       key);
    }
    if (p->documents && !strstr(source, "documents"))
        return BAD("documents", "documents: this model's template takes none");
    return WICK_OK;
}

static wick_status make_vars(const char *source, const wick_params *p, json_t **out, wick_err *err)
{
    json_t *vars = p->template_vars ? json_copy((json_t *)(uintptr_t)p->template_vars) : json_object();
    *out = vars;
    if (!vars) return wick_err_oom(err, "variables of the template", 0, 0);
    const char *effort = p->reasoning_effort;
    if (!effort) return WICK_OK;
    if (strstr(source, "reasoning_effort"))
        json_object_set_new(vars, "reasoning_effort", json_string(effort));
    else if (strcmp(effort, "none") == 0 && strstr(source, "enable_thinking"))
        json_object_set_new(vars, "enable_thinking", json_false());
    else
        return BAD("reasoning_effort", "reasoning_effort: this model's template does not take it");
    return WICK_OK;
}

wick_status wick_prompt_render(const wick_engine *e, const wick_params *p, wick_buf *out, wick_err *err)
{
    const wick_chat_template *t = wick_engine_template(e);
    const wick_err *broken = wick_engine_template_error(e);
    json_t *vars = NULL;
    if (!p->messages) return BAD("messages", "messages: is missing");
    if (json_array_size(p->messages) == 0) return BAD("messages", "messages: is empty");
    if (!t)
        return BAD("messages",
                   "this model has no chat template that works%s%.200s; use /v1/completions, or start the server with "
                   "--chat-template",
                   broken ? ": " : "", broken ? broken->message : "");
    const wick_chat_traits *traits = wick_chat_template_traits(t);
    const char *source = wick_chat_template_source(t);
    WICK_TRY(check_vars(source, p, err));
    if (p->tools && !traits->takes_tools) return BAD("tools", "tools: this model's template takes none");
    wick_status st = make_vars(source, p, &vars, err);
    const wick_chat_input in = {.messages = p->messages,
                                .tools = p->tool_choice_none ? NULL : p->tools,
                                .documents = p->documents,
                                .vars = vars,
                                .add_generation_prompt = p->add_generation_prompt,
                                .continue_final_message = p->continue_final_message};
    if (st == WICK_OK) {
        st = wick_chat_render(t, &in, NULL, out, err);
        if ((st == WICK_E_BAD_PARAMETER || st == WICK_E_TEMPLATE) && err)
            memcpy(err->subject, "messages", sizeof "messages");
    }
    json_decref(vars);
    WICK_TRY(st);
    return out->failed ? wick_err_oom(err, "the prompt", 0, 0) : WICK_OK;
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
