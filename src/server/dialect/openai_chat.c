/* server/dialect/openai_chat.c - /v1/chat/completions: messages in, chat.completion or chat.completion.chunk out.
 *
 * Under its path without /v1 it is llama.cpp's: the same, with what its clients look for besides (timings, a first
 * delta
 * without content, the prompt where it is asked for). */
#include <string.h>
#include "server/dialect/llamacpp.h"
#include "server/rounds.h"
#include "server/turn.h"

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

static bool is_llama(const wick_gen *g)
{
    return g->x->dialect == &wick_dialect_llamacpp;
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

/* `timings` of c are added where it is not NULL. */
static void chunk_tail(const wick_gen *g, const wick_choice *c, const char *finish, wick_buf *b)
{
    wick_buf_puts(b, ",\"finish_reason\":");
    if (finish)
        wick_buf_printf(b, "\"%s\"}]", finish);
    else
        wick_buf_puts(b, "null}]");
    if (finish && wick_rounds_limited(g)) wick_buf_puts(b, ",\"wick_tool_limit\":true");
    if (g->p.include_usage) wick_buf_puts(b, ",\"usage\":null");
    if (c) wick_llama_timings(c, b);
    wick_buf_putc(b, '}');
    wick_sse_end(b);
}

static const wick_choice *timed(const wick_choice *c)
{
    return c->g->p.timings_per_token ? c : NULL;
}

/* OpenAI's first delta has an empty text, or null before calls; which of them comes is not known yet where there are
 * tools. */
static void chat_open(wick_choice *c)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    if (!g->p.stream) return;
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"role\":\"assistant\",\"content\":%s},\"logprobs\":null", c->index,
                    is_llama(g) || g->p.tools ? "null" : "\"\"");
    chunk_tail(g, NULL, NULL, b);
}

static void write_delta(wick_choice *c, const char *name, const char *text, size_t n, const wick_event *ev)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"%s\":", c->index, name);
    wick_json_write_str(b, text, n);
    wick_buf_puts(b, "},\"logprobs\":");
    if (ev) {
        wick_buf_puts(b, "{\"content\":[");
        write_token(g, ev, b);
        wick_buf_puts(b, "],\"refusal\":null}");
    } else {
        wick_buf_puts(b, "null");
    }
    chunk_tail(g, timed(c), NULL, b);
}

/* The first chunk of a call names it, the others bring its arguments. */
static void write_call_delta(wick_choice *c, const wick_delta *d)
{
    wick_buf *b = &c->g->x->out;
    chunk_head(c->g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{\"tool_calls\":[{\"index\":%u,", c->index, d->call);
    if (d->kind == WICK_DELTA_CALL) {
        wick_buf_puts(b, "\"id\":");
        wick_json_write_str(b, d->id, strlen(d->id));
        wick_buf_puts(b, ",\"type\":\"function\",\"function\":{\"name\":");
        wick_json_write_str(b, d->name, strlen(d->name));
        wick_buf_puts(b, ",\"arguments\":\"\"");
    } else {
        wick_buf_puts(b, "\"function\":{\"arguments\":");
        wick_json_write_str(b, d->text, d->n);
    }
    wick_buf_puts(b, "}}]},\"logprobs\":null");
    chunk_tail(c->g, timed(c), NULL, b);
}

static void flush_reasoning(wick_choice *c, const wick_event *ev)
{
    if (c->held) write_delta(c, "reasoning_content", c->held, c->n_held, ev);
    c->held = NULL;
}

/* A token's log probabilities go with its last text: its answer, where it ends the reasoning. */
static void chat_delta(wick_choice *c, const wick_delta *d)
{
    const wick_gen *g = c->g;
    if (!g->p.stream) return;
    switch (d->kind) {
    case WICK_DELTA_REASONING:
        c->held = d->text; /* until the end of the token is seen */
        c->n_held = d->n;
        break;
    case WICK_DELTA_TEXT:
        flush_reasoning(c, NULL);
        write_delta(c, "content", d->text, d->n, g->p.logprobs ? c->event : NULL);
        c->event = NULL;
        break;
    case WICK_DELTA_CALL:
    case WICK_DELTA_ARGUMENTS:
        flush_reasoning(c, NULL);
        write_call_delta(c, d);
        break;
    case WICK_DELTA_CALL_END:
    case WICK_DELTA_END: break;
    }
}

static const char *finish_name(const wick_choice *c)
{
    const char *name = wick_answer_end_name(wick_turn_how(c));
    return name ? name : "stop";
}

static void chat_token(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    if (g->p.logprobs && !g->p.stream) {
        if (c->lp_tokens.n) wick_buf_putc(&c->lp_tokens, ',');
        write_token(g, ev, &c->lp_tokens);
    }
    wick_turn_token(c, ev);
    if (!g->p.stream || g->failed) return;
    if (c->held)
        flush_reasoning(c, g->p.logprobs ? c->event : NULL);
    else if (g->p.logprobs && c->event)
        write_delta(c, "content", "", 0, ev);
    c->event = NULL;
}

static void chat_end(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    wick_turn_end(c, ev);
    if (!g->p.stream || g->failed) return;
    flush_reasoning(c, NULL);
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{},\"logprobs\":null", c->index);
    chunk_tail(g, is_llama(g) ? c : timed(c), finish_name(c), b);
}

/* The calls that the server has run, in a chunk of their own. */
static void chat_tools(wick_choice *c, const json_t *calls)
{
    wick_buf *b = &c->g->x->out;
    flush_reasoning(c, NULL);
    chunk_head(c->g, b);
    wick_buf_printf(
        b, "{\"index\":%u,\"delta\":{},\"logprobs\":null,\"finish_reason\":null}],\"wick_tool_calls\":", c->index);
    if (!wick_json_write(b, calls)) b->failed = true;
    wick_buf_putc(b, '}');
    wick_sse_end(b);
}

static void chat_usage(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    if (!g->p.include_usage) return;
    chunk_head(g, b);
    wick_buf_puts(b, "],\"usage\":");
    wick_gen_usage_json(g, b);
    if (is_llama(g) || g->p.timings_per_token) wick_llama_timings(&g->choice[0], b);
    wick_buf_puts(b, "}");
    wick_sse_end(b);
}

static void chat_progress(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    if (!g->p.return_progress) return;
    chunk_head(g, b);
    wick_buf_printf(b, "{\"index\":%u,\"delta\":{},\"logprobs\":null,\"finish_reason\":null}]", c->index);
    wick_llama_progress(c, ev, b);
    wick_buf_puts(b, "}");
    wick_sse_end(b);
}

static void write_calls(const wick_choice *c, wick_buf *b)
{
    for (uint32_t i = 0; i < wick_answer_n_calls(c->answer); i++) {
        const wick_call call = wick_answer_call(c->answer, i);
        wick_buf_puts(b, i ? "},{\"id\":" : ",\"tool_calls\":[{\"id\":");
        wick_json_write_str(b, call.id, strlen(call.id));
        wick_buf_puts(b, ",\"type\":\"function\",\"function\":{\"name\":");
        wick_json_write_str(b, call.name, strlen(call.name));
        wick_buf_puts(b, ",\"arguments\":");
        wick_json_write_str(b, call.arguments, call.n_arguments);
        wick_buf_putc(b, '}');
    }
    if (wick_answer_n_calls(c->answer) > 0) wick_buf_puts(b, "}]");
}

static void write_choice(const wick_gen *g, const wick_choice *c, wick_buf *b)
{
    size_t n, n_thought;
    const char *text = wick_answer_text(c->answer, &n), *thought = wick_answer_reasoning(c->answer, &n_thought);
    wick_buf_printf(b, "{\"index\":%u,\"message\":{\"role\":\"assistant\",\"content\":", c->index);
    if (n == 0 && wick_answer_n_calls(c->answer) > 0)
        wick_buf_puts(b, "null");
    else
        wick_json_write_str(b, text, n);
    write_calls(c, b);
    if (n_thought > 0) {
        wick_buf_puts(b, ",\"reasoning_content\":");
        wick_json_write_str(b, thought, n_thought);
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
    if (is_llama(g) || g->p.timings_per_token) wick_llama_timings(&g->choice[0], b);
    wick_rounds_write(g, b);
    if (g->p.verbose) {
        wick_buf_puts(b, ",\"__verbose\":{\"prompt\":");
        wick_json_write_str(b, wick_buf_str(&g->prompt_text), g->prompt_text.n);
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, "}\n");
}

static wick_status chat_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    return p->messages ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "messages", "messages: is missing");
}

static const wick_gen_format chat_format = {.params = WICK_P_CHAT,
                                            .count = chat_count,
                                            .prepare = wick_turn_prepare,
                                            .progress = chat_progress,
                                            .begin = wick_turn_begin,
                                            .token = chat_token,
                                            .end = chat_end,
                                            .open = chat_open,
                                            .delta = chat_delta,
                                            .tools = chat_tools,
                                            .usage = chat_usage,
                                            .answer = chat_answer};

static wick_status llama_chat_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    WICK_TRY(wick_llama_messages(p, err));
    return chat_count(p, l, n, err);
}

bool wick_route_llama_chat(wick_exchange *x)
{
    static const wick_gen_format format = {.params = WICK_P_CHAT,
                                           .count = llama_chat_count,
                                           .prepare = wick_turn_prepare,
                                           .progress = chat_progress,
                                           .begin = wick_turn_begin,
                                           .token = chat_token,
                                           .end = chat_end,
                                           .open = chat_open,
                                           .delta = chat_delta,
                                           .tools = chat_tools,
                                           .usage = chat_usage,
                                           .answer = chat_answer};
    return wick_gen_route(x, &format);
}

bool wick_route_chat(wick_exchange *x)
{
    return wick_gen_route(x, &chat_format);
}
