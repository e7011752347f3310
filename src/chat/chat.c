/* chat/chat.c - see chat.h. */
#include "chat/chat.h"
#include "base/alloc.h"

struct wick_chat {
    const wick_engine *engine;
    wick_chat_caps caps;
};

wick_status wick_chat_open(wick_chat **out, const wick_engine *e, wick_err *err)
{
    wick_chat *c = wick_alloc_zero(1, sizeof *c);
    if (!c) return wick_err_oom(err, "the chat", sizeof *c, 0);
    const wick_chat_template *t = wick_engine_template(e);
    c->engine = e;
    if (t) {
        const wick_chat_traits *traits = wick_chat_template_traits(t);
        c->caps = (wick_chat_caps){.system = traits->takes_system,
                                   .tools = traits->takes_tools,
                                   .opens_think = traits->generation_prompt_opens_think,
                                   .think_open = traits->think_open,
                                   .think_close = traits->think_close};
    }
    *out = c;
    return WICK_OK;
}

void wick_chat_close(wick_chat *c)
{
    wick_free(c);
}

bool wick_chat_usable(const wick_chat *c)
{
    return wick_engine_template(c->engine) != NULL;
}

const wick_err *wick_chat_why(const wick_chat *c)
{
    return wick_engine_template_error(c->engine);
}

const wick_chat_caps *wick_chat_get_caps(const wick_chat *c)
{
    return &c->caps;
}

const wick_tokenizer *wick_chat_tokenizer(const wick_chat *c)
{
    return wick_engine_tokenizer(c->engine);
}

const wick_chat_template *wick_chat_get_template(const wick_chat *c)
{
    return wick_engine_template(c->engine);
}
