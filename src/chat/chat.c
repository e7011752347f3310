/* chat/chat.c - see chat.h. */
#include "chat/chat.h"
#include "base/alloc.h"
#include "base/log.h"
#include "chat/adapt.h"
#include "chat/message.h"
#include "chat/source.h"

struct wick_chat {
    wick_chat_template *template;
    const wick_tokenizer *tokenizer;
    wick_chat_caps caps;
    wick_chat_format format;
    wick_err why;
    bool broken;
};

/* For wick_chat_format_choose: a render as a prompt would be, but that tools are described to no template. */
static bool render_probe(void *ctx, const json_t *messages, const json_t *tools, const json_t *vars,
                         bool generation_prompt, wick_buf *out)
{
    static const wick_jinja_limits limits = {
        .max_steps = 500 * 1000, .max_heap_bytes = 4 << 20, .max_out_bytes = 1 << 20, .now_unix_s = 1};
    const wick_chat *c = ctx;
    wick_chat_caps caps = c->caps;
    caps.tool_calls = true; /* what is looked for must come from the template, not from us */
    json_t *mine = NULL, *list = NULL, *all = vars ? json_copy((json_t *)(uintptr_t)vars) : json_object();
    bool ok =
        all && wick_messages_normalise(messages, &mine, NULL) == WICK_OK &&
        (c->caps.tools || c->caps.tools_in_system ? wick_tools_normalise(tools, &list, NULL) : WICK_OK) == WICK_OK &&
        wick_chat_adapt(&caps, mine, &list, NULL) == WICK_OK && json_object_set(all, "messages", mine) == 0 &&
        wick_chat_set_tools(&c->caps, all, list, limits.now_unix_s) &&
        json_object_set_new(all, "documents", json_null()) == 0 &&
        json_object_set_new(all, "add_generation_prompt", json_boolean(generation_prompt)) == 0;
    ok = ok && wick_chat_template_render(c->template, all, &limits, out, NULL) == WICK_OK;
    json_decref(mine);
    json_decref(list);
    json_decref(all);
    return ok;
}

wick_status wick_chat_of_template(wick_chat **out, wick_chat_template *t, const wick_tokenizer *tok, wick_err *err)
{
    wick_status st = WICK_OK;
    wick_chat *c = wick_alloc_zero(1, sizeof *c);
    if (!c) {
        wick_chat_template_free(t);
        return wick_err_oom(err, "the chat", sizeof *c, 0);
    }
    c->template = t;
    c->tokenizer = tok;
    if (t) {
        wick_chat_caps_learn(&c->caps, t);
        st = wick_chat_format_choose(&c->format, render_probe, c, err);
        if (st == WICK_OK) wick_chat_format_complete(&c->format, tok);
        c->caps.calls_as = c->format.calls;
    }
    if (st == WICK_OK)
        *out = c;
    else
        wick_chat_close(c);
    return st;
}

wick_status wick_chat_open(wick_chat **out, const wick_engine *e, const char *override, wick_err *err)
{
    const wick_model *m = wick_engine_model(e);
    const wick_tokenizer *tok = wick_engine_tokenizer(e);
    wick_chat_template *t = NULL;
    wick_err why = {0};
    wick_status st = m ? wick_chat_template_open_model(m, tok, override, &t, &why) : WICK_OK;
    if (st != WICK_OK && (st != WICK_E_TEMPLATE || (override && *override))) {
        if (err) *err = why;
        return st;
    }
    if (st != WICK_OK) wick_log(WICK_LOG_WARN, "%s: the chat template cannot be used: %s", m->path, why.message);
    const bool broken = st != WICK_OK;
    WICK_TRY(wick_chat_of_template(out, t, tok, err));
    (*out)->broken = broken;
    (*out)->why = why;
    const char *note;
    for (unsigned i = 0; t && (note = wick_chat_caps_note(&(*out)->caps, i)); i++)
        wick_log(WICK_LOG_INFO, "the chat template: %s", note);
    return WICK_OK;
}

void wick_chat_close(wick_chat *c)
{
    if (!c) return;
    wick_chat_template_free(c->template);
    wick_free(c);
}

bool wick_chat_usable(const wick_chat *c)
{
    return c->template != NULL;
}

const wick_err *wick_chat_why(const wick_chat *c)
{
    return c->broken ? &c->why : NULL;
}

bool wick_chat_takes_tools(const wick_chat *c)
{
    return c->template && !c->caps.last_only;
}

const wick_chat_caps *wick_chat_get_caps(const wick_chat *c)
{
    return &c->caps;
}

const wick_chat_format *wick_chat_get_format(const wick_chat *c)
{
    return &c->format;
}

const wick_tokenizer *wick_chat_tokenizer(const wick_chat *c)
{
    return c->tokenizer;
}

const wick_chat_template *wick_chat_get_template(const wick_chat *c)
{
    return c->template;
}
