/* server/oai_chat.c - /v1/chat/completions: messages in, chat.completion or chat.completion.chunk out. */
#include <string.h>
#include "base/sys.h"
#include "server/gen.h"
#include "server/prompt.h"

/* {"token": ..., "logprob": ..., "bytes": [...] */
static void write_logprob(const wick_gen *g, int32_t id, double logprob, wick_buf *b)
{
    wick_buf text = WICK_BUF_INIT;
    wick_gen_token_text(g, id, &text);
    wick_buf_puts(b, "{\"token\":");
    wick_json_write_str(b, text.data ? text.data : "", text.n);
    wick_buf_puts(b, ",\"logprob\":");
    wick_json_write_float(b, logprob < -9999 ? -9999 : logprob);
    wick_buf_puts(b, ",\"bytes\":[");
    for (size_t i = 0; i < text.n; i++) wick_buf_printf(b, "%s%u", i ? "," : "", (unsigned char)text.data[i]);
    wick_buf_puts(b, "]");
    if (text.failed) b->failed = true;
    wick_buf_release(&text);
}

static void write_token(const wick_gen *g, const wick_event *ev, wick_buf *b)
{
    write_logprob(g, ev->token, (double)ev->logprob, b);
    wick_buf_puts(b, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < ev->n_top; i++) {
        if (i) wick_buf_putc(b, ',');
        write_logprob(g, ev->top[i].id, (double)ev->top[i].logprob, b);
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, "]}");
}

static void make_head(wick_gen *g, wick_buf *b)
{
    wick_sse_begin(b);
    wick_buf_printf(b, "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion.chunk\",\"created\":%lld,\"model\":",
                    g->x->id, (long long)g->created);
    wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
    wick_buf_printf(b, ",\"service_tier\":\"default\",\"system_fingerprint\":\"%s\",\"choices\":[", g->fingerprint);
}

static void chunk_head(wick_gen *g, wick_buf *b)
{
    if (g->head.n == 0) make_head(g, &g->head);
    wick_buf_add(b, g->head.data, g->head.n);
    if (g->head.failed) b->failed = true;
}

static void chunk_tail(const wick_gen *g, const char *finish, wick_buf *b)
{
    wick_buf_puts(b, ",\"finish_reason\":");
    if (finish)
        wick_buf_printf(b, "\"%s\"}]", finish);
    else
        wick_buf_puts(b, "null}]");
    wick_buf_puts(b, g->p.include_usage ? ",\"usage\":null}" : "}");
    wick_sse_end(b);
}

static void chat_begin(wick_choice *c)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    wick_err err = {0};
    if (g->tool_format) {
        c->calls = json_array();
        wick_status st = c->calls ? WICK_OK : wick_err_oom(&err, "tool calls", 0, 0);
        if (st == WICK_OK)
            st = wick_toolcall_parser_new(&c->tools, g->tool_format, (json_t *)(uintptr_t)g->p.tools, NULL, &err);
        if (st != WICK_OK) wick_gen_fail(g, &err);
    }
    if (!g->p.stream) return;
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null", c->index);
    chunk_tail(c->g, NULL, b);
}

static void write_delta(wick_choice *c, const char *name, const wick_buf *text, const wick_event *ev)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"%s\":", c->index, name);
    wick_json_write_str(b, text->data ? text->data : "", text->n);
    wick_buf_puts(b, "},\"logprobs\":");
    if (ev && g->p.logprobs) {
        wick_buf_puts(b, "{\"content\":[");
        write_token(g, ev, b);
        wick_buf_puts(b, "],\"refusal\":null}");
    } else {
        wick_buf_puts(b, "null");
    }
    chunk_tail(g, NULL, b);
}

/* {"id", "type", "function"} of one call, without the closing brace. The id has nine letters and digits: some templates
 * take no other when the call comes back. */
static void write_call(const json_t *call, wick_buf *b)
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    const json_t *id = json_object_get(call, "id"), *name = json_object_get(call, "name");
    const json_t *arguments = json_object_get(call, "arguments");
    uint8_t random[9];
    char made[10] = "";
    wick_random_bytes(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) made[i] = digits[random[i] % 36];
    wick_buf_puts(b, "\"id\":");
    if (json_is_string(id) && json_string_length(id) > 0)
        wick_json_write_str(b, json_string_value(id), json_string_length(id));
    else
        wick_json_write_str(b, made, 9);
    wick_buf_puts(b, ",\"type\":\"function\",\"function\":{\"name\":");
    wick_json_write_str(b, json_string_value(name), json_string_length(name));
    wick_buf_puts(b, ",\"arguments\":");
    wick_json_write_str(b, json_string_value(arguments), json_string_length(arguments));
    wick_buf_putc(b, '}');
}

/* Each call is one chunk. */
static void send_calls(wick_choice *c)
{
    wick_buf *b = &c->g->x->out;
    for (size_t i = 0; i < json_array_size(c->calls); i++) {
        chunk_head(c->g, b);
        wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"tool_calls\":[{\"index\":%u,", c->index, c->n_calls++);
        write_call(json_array_get(c->calls, i), b);
        wick_buf_puts(b, "}]},\"logprobs\":null");
        chunk_tail(c->g, NULL, b);
    }
    json_array_clear(c->calls);
}

/* New text through the splitter of reasoning and the parser of tool calls, to c->reasoning, c->text and c->calls. */
static void split_text(wick_choice *c, const char *text, size_t n, bool end)
{
    wick_buf *answer = c->tools ? &c->raw : &c->text;
    wick_err err = {0};
    wick_reasoning_feed(&c->split, text, n, &c->reasoning, answer);
    if (end) wick_reasoning_end(&c->split, &c->reasoning, answer);
    if (!c->tools) return;
    wick_status st = c->raw.failed ? wick_err_oom(&err, "tool calls", 0, 0) : WICK_OK;
    if (st == WICK_OK && c->raw.n > 0)
        st = wick_toolcall_feed(c->tools, c->raw.data, c->raw.n, &c->text, c->calls, &err);
    if (st == WICK_OK && end) st = wick_toolcall_end(c->tools, &c->text, c->calls, &err);
    c->raw.n = 0;
    if (st != WICK_OK) wick_gen_fail(c->g, &err);
}

/* ev: the token that the text came with, or NULL at the end. */
static void add_text(wick_choice *c, const char *text, size_t n, bool end, const wick_event *ev)
{
    wick_gen *g = c->g;
    split_text(c, text, n, end);
    if (!g->p.stream) return;
    const bool logprobs = ev && g->p.logprobs, answer = c->text.n > 0, thought = c->reasoning.n > 0;
    if (thought) write_delta(c, "reasoning_content", &c->reasoning, answer ? NULL : ev);
    if (answer || (logprobs && !thought)) write_delta(c, "content", &c->text, ev);
    if (c->text.failed || c->reasoning.failed) g->x->out.failed = true;
    c->text.n = c->reasoning.n = 0;
    if (c->tools) send_calls(c);
}

static const char *finish_name(const wick_choice *c)
{
    const bool calls = c->n_calls > 0 || json_array_size(c->calls) > 0;
    return calls && c->finish != WICK_FINISH_LENGTH ? "tool_calls" : wick_gen_finish_name(c->finish);
}

static void chat_token(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    if (g->p.logprobs && !g->p.stream) {
        if (c->lp_tokens.n) wick_buf_putc(&c->lp_tokens, ',');
        write_token(g, ev, &c->lp_tokens);
    }
    if (ev->n_text > 0 || g->p.logprobs) add_text(c, ev->text, ev->n_text, false, ev);
}

static void chat_end(wick_choice *c, const wick_event *ev)
{
    wick_buf *b = &c->g->x->out;
    add_text(c, ev->text, ev->n_text, true, NULL);
    if (!c->g->p.stream) return;
    chunk_head(c->g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{},\"logprobs\":null", c->index);
    chunk_tail(c->g, finish_name(c), b);
}

static void chat_usage(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    if (!g->p.include_usage) return;
    chunk_head(g, b);
    wick_buf_puts(b, "],\"usage\":");
    wick_gen_usage_json(g, b);
    wick_buf_puts(b, "}");
    wick_sse_end(b);
}

static void write_choice(const wick_gen *g, const wick_choice *c, wick_buf *b)
{
    wick_buf_printf(b, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", c->index);
    if (c->text.n == 0 && json_array_size(c->calls) > 0)
        wick_buf_puts(b, "null");
    else
        wick_json_write_str(b, c->text.data ? c->text.data : "", c->text.n);
    for (size_t i = 0; i < json_array_size(c->calls); i++) {
        wick_buf_puts(b, i ? "},{" : ",\"tool_calls\":[{");
        write_call(json_array_get(c->calls, i), b);
    }
    if (json_array_size(c->calls) > 0) wick_buf_puts(b, "}]");
    if (c->reasoning.n > 0) {
        wick_buf_puts(b, ",\"reasoning_content\":");
        wick_json_write_str(b, c->reasoning.data, c->reasoning.n);
    }
    wick_buf_puts(b, ",\"refusal\":null},\"logprobs\":");
    if (g->p.logprobs) {
        wick_buf_puts(b, "{\"content\":[");
        wick_buf_add(b, c->lp_tokens.data ? c->lp_tokens.data : "", c->lp_tokens.n);
        wick_buf_puts(b, "],\"refusal\":null}");
    } else {
        wick_buf_puts(b, "null");
    }
    wick_buf_printf(b, ",\"finish_reason\":\"%s\"}", finish_name(c));
}

static void chat_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    wick_buf_printf(b, "{\"id\":\"chatcmpl-%s\",\"object\":\"chat.completion\",\"created\":%lld,\"model\":", g->x->id,
                    (long long)g->created);
    wick_json_write_str(b, g->model->c.id, strlen(g->model->c.id));
    wick_buf_printf(b, ",\"service_tier\":\"default\",\"system_fingerprint\":\"%s\",\"choices\":[", g->fingerprint);
    for (uint32_t i = 0; i < g->n; i++) {
        if (i) wick_buf_putc(b, ',');
        write_choice(g, &g->choice[i], b);
    }
    wick_buf_puts(b, "],\"usage\":");
    wick_gen_usage_json(g, b);
    wick_buf_puts(b, "}\n");
}

/* Does the tag begin with a control token? Then the text must show those, or the tag would never be seen. */
static bool is_control(const wick_tokenizer *t, const char *tag)
{
    if (!tag || !t) return false;
    for (size_t n = strlen(tag); n > 0; n--) {
        int32_t id = wick_tokenizer_find(t, tag, n);
        if (id >= 0) return wick_tokenizer_type(t, id) == WICK_TOKEN_CONTROL;
    }
    return false;
}

static wick_status chat_count(const wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    return p->messages ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: is missing");
}

static wick_status chat_prepare(wick_gen *g, wick_err *err)
{
    const wick_engine *e = g->model->engine;
    const wick_chat_template *t = wick_chat_get_template(g->model->chat);
    wick_params *p = &g->p;
    wick_chat_prompt prompt;
    WICK_TRY(wick_prompt_build(g->model->chat, p, false, &prompt, err));
    wick_reasoning_init(&g->split, wick_think_syntax_by_open(wick_chat_template_traits(t)->think_open),
                        prompt.text.data, prompt.text.n);
    g->prompt[0].ids = prompt.ids;
    g->prompt[0].n = prompt.n_ids;
    prompt.ids = NULL;
    wick_chat_prompt_release(&prompt);
    if (g->prompt[0].n == 0) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: the prompt is empty");
    WICK_TRY(wick_params_sampling(p, e, &g->base.sampling, err));
    g->base.max_tokens = p->max_tokens;
    g->base.min_tokens = p->min_tokens;
    g->base.stop = p->stop;
    g->base.n_stop = p->n_stop;
    g->base.ignore_eos = p->ignore_eos;
    if (p->tools && !p->tool_choice_none)
        g->tool_format = wick_toolcall_detect(wick_chat_template_source(t), wick_chat_template_traits(t)->takes_tools);
    g->base.show_special = p->show_special ||
                           is_control(wick_engine_tokenizer(e), wick_chat_template_traits(t)->think_open) ||
                           (g->tool_format && is_control(wick_engine_tokenizer(e), wick_toolcall_open(g->tool_format)));
    g->base.n_top_logprobs = p->logprobs ? p->top_logprobs : 0;
    return WICK_OK;
}

static const wick_gen_format chat_format = {.params = WICK_P_CHAT,
                                            .count = chat_count,
                                            .prepare = chat_prepare,
                                            .begin = chat_begin,
                                            .token = chat_token,
                                            .end = chat_end,
                                            .usage = chat_usage,
                                            .answer = chat_answer};

bool wick_route_chat(wick_exchange *x)
{
    return wick_gen_route(x, &chat_format);
}
