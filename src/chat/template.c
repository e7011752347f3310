/* chat/template.c - see template.h. */
#include "chat/template.h"
#include <string.h>
#include "base/alloc.h"

struct wick_chat_template {
    wick_jinja *plain, *tool_use; /* tool_use may be NULL */
    char *source;
    json_t *special; /* bos_token and so on */
};

wick_status wick_chat_template_compile(wick_chat_template **out, const char *src, size_t n, const char *tool_src,
                                       json_t *special, const char *where, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_chat_template *t = wick_alloc_zero(1, sizeof(*t));
    if (!t) {
        json_decref(special);
        return wick_err_oom(err, "chat template", sizeof(*t), 0);
    }
    t->special = special;
    t->source = wick_strndup(src, n);
    if (!special || !t->source) {
        st = wick_err_oom(err, "chat template", n, 0);
        goto done;
    }
    WICK_TRY_GOTO(wick_jinja_compile(&t->plain, src, n, where, err));
    if (tool_src) WICK_TRY_GOTO(wick_jinja_compile(&t->tool_use, tool_src, strlen(tool_src), where, err));
done:
    if (st == WICK_OK)
        *out = t;
    else
        wick_chat_template_free(t);
    return st;
}

wick_status wick_chat_template_new(wick_chat_template **out, const char *src, size_t n, const char *bos,
                                   const char *eos, const char *where, wick_err *err)
{
    json_t *special = json_object();
    if (bos && special) (void)json_object_set_new(special, "bos_token", json_string(bos));
    if (eos && special) (void)json_object_set_new(special, "eos_token", json_string(eos));
    return wick_chat_template_compile(out, src, n, NULL, special, where, err);
}

void wick_chat_template_free(wick_chat_template *t)
{
    if (!t) return;
    wick_jinja_free(t->plain);
    wick_jinja_free(t->tool_use);
    wick_free(t->source);
    json_decref(t->special);
    wick_free(t);
}

const char *wick_chat_template_source(const wick_chat_template *t)
{
    return t->source;
}

wick_status wick_chat_template_render(const wick_chat_template *t, const json_t *vars, const wick_jinja_limits *limits,
                                      wick_buf *out, wick_err *err)
{
    const bool tools = json_array_size(json_object_get(vars, "tools")) > 0;
    json_t *all = json_copy(t->special);
    wick_status st = all && json_object_update(all, (json_t *)(uintptr_t)vars) == 0
                         ? WICK_OK
                         : wick_err_oom(err, "template variables", 0, 0);
    if (st == WICK_OK) st = wick_jinja_render(tools && t->tool_use ? t->tool_use : t->plain, all, limits, out, err);
    json_decref(all);
    if (st == WICK_OK && out->failed) st = wick_err_oom(err, "prompt", out->n, out->max_bytes);
    return st;
}
