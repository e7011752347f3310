/* fuzz/fuzz_messages.c - messages, tools and template variables of a request through a chat template. The first byte
 * picks a template, each in the style of a family; the rest is the body of /apply-template. */
#include <string.h>
#include "base/json.h"
#include "fuzz.h"
#include "chat/prompt.h"
#include "server/params.h"

static const char *const sources[] = {
    "{{ bos_token }}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}",
    "{% if messages[0].role == 'system' %}{% set system = messages[0].content | trim %}{% set messages = messages[1:] "
    "%}"
    "{% else %}{% set system = '' %}{% endif %}{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == "
    "0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}[{{ m.role }}] {{ system ~ m.content }}{% endfor %}",
    "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{% for m in messages %}{% if m.content is string %}{{ "
    "m.content }}"
    "{% else %}{% for part in m.content %}{{ part.text }}{% endfor %}{% endif %}{% for c in m.tool_calls or [] %}"
    "<tool_call>{{ c.function.name }}{% for k, v in c.function.arguments | items %}<{{ k }}>{{ v }}{% endfor %}{% "
    "endfor %}"
    "{% endfor %}{% if enable_thinking %}<think>{% endif %}",
    "{% for m in messages %}{{ m['role'] | upper }}: {{ (m['content'] or '').split('</think>')[-1].lstrip('\\n') }}"
    "{% if m.tool_calls is defined %}{{ m.tool_calls | map(attribute='function') | list | tojson }}{% endif %}"
    "{% endfor %}{{ documents | length if documents else 0 }}{{ strftime_now('%d %b %Y') }}",
};
enum { N_SOURCES = sizeof sources / sizeof *sources };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static wick_chat *made[N_SOURCES];
    json_t *body = NULL;
    wick_params p;
    wick_server_limits l;
    wick_err err = {0};
    if (n < 1) return 0;
    const size_t which = data[0] % N_SOURCES;
    if (!made[which]) {
        wick_chat_template *t;
        const char *src = sources[which];
        if (wick_chat_template_new(&t, src, strlen(src), "<s>", "</s>", "fuzz", &err) != WICK_OK ||
            wick_chat_of_template(&made[which], t, NULL, &err) != WICK_OK)
            abort();
    }
    wick_server_limits_init(&l);
    if (wick_json_parse_strict((const char *)data + 1, n - 1, "body", &body, NULL) != WICK_OK) return 0;
    if (json_is_object(body)) {
        wick_status st = wick_params_parse(&p, body, WICK_P_TEMPLATE, &l, NULL);
        if (st == WICK_OK && json_array_size(p.messages) > 0) {
            const wick_chat_request in = {.messages = p.messages,
                                          .tools = p.tools,
                                          .documents = p.documents,
                                          .vars = p.template_vars,
                                          .reasoning_effort = p.reasoning_effort,
                                          .thinking = p.thinking,
                                          .ending = p.continue_final_message ? WICK_CHAT_CONTINUE : WICK_CHAT_PREFILL,
                                          .no_ids = true};
            wick_chat_prompt prompt;
            st = wick_chat_prompt_build(made[which], &in, &prompt, &err);
            if (st != WICK_OK && (!err.message[0] || strchr(err.message, '\n'))) abort();
            if (st == WICK_OK && prompt.n_prefill > prompt.text.n) abort();
            wick_chat_prompt_release(&prompt);
        }
        wick_params_release(&p);
    }
    json_decref(body);
    return 0;
}
