/* server/dialect/ollama.c - Ollama: chat, generate and embed. Its lists of models are in ollama_info.c.
 *
 * Streams are the default and are JSON, one object a line; the last one has done: true and the times in nanoseconds.
 * Arguments of calls are objects, so a call goes out when it is whole. Sampling stands in the object "options". */
#include "server/dialect/ollama.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "base/json.h"
#include "engine/embed.h"
#include "server/dialect/llamacpp.h"
#include "server/prompt.h"
#include "server/rounds.h"
#include "server/turn.h"

#define BAD(name, ...) WICK_FAIL(err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)

/* --- errors and framing ------------------------------------------------------------------------------------------- */
static void problem(wick_buf *b, const wick_problem_text *p)
{
    wick_buf_puts(b, "{\"error\":");
    wick_json_write_str(b, p->message, strlen(p->message));
    wick_buf_putc(b, '}');
}

static void stream_problem(wick_gen *g, const wick_problem_text *p)
{
    problem(&g->x->out, p);
    wick_buf_putc(&g->x->out, '\n');
}

const wick_dialect wick_dialect_ollama = {.name = "Ollama",
                                          .any_type = true,
                                          .stream_type = "application/x-ndjson",
                                          .problem = problem,
                                          .stream_problem = stream_problem};

/* --- what answers have in common ---------------------------------------------------------------------------------- */
static void write_head(const wick_gen *g, wick_buf *b)
{
    struct timespec now;
    struct tm tm;
    char text[40];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    wick_buf_puts(b, "{\"model\":");
    const char *name = g->p.model ? g->p.model : g->model->c.id;
    wick_json_write_str(b, name, strlen(name));
    wick_buf_printf(b, ",\"created_at\":\"%s.%06ldZ\"", text, now.tv_nsec / 1000);
}

static void write_end(const wick_choice *c, wick_buf *b)
{
    const wick_usage *u = &c->usage;
    const double total = u->queue_ms + u->prefill_ms + u->decode_ms;
    wick_buf_printf(
        b,
        ",\"done\":true,\"done_reason\":\"%s\",\"total_duration\":%.0f,\"load_duration\":0,"
        "\"prompt_eval_count\":%u,\"prompt_eval_duration\":%.0f,\"eval_count\":%u,\"eval_duration\":%.0f}\n",
        c->finish == WICK_FINISH_LENGTH ? "length" : "stop", total * 1e6, u->n_prompt, u->prefill_ms * 1e6, u->n_gen,
        u->decode_ms * 1e6);
}

static void write_logprobs(wick_choice *c, wick_buf *b)
{
    if (!c->g->p.logprobs) return;
    wick_buf_puts(b, ",\"logprobs\":[");
    wick_buf_add(b, c->lp_tokens.data ? c->lp_tokens.data : "", c->lp_tokens.n);
    wick_buf_putc(b, ']');
    if (c->lp_tokens.failed) b->failed = true;
    c->lp_tokens.n = 0;
}

static void one_logprob(const wick_gen *g, int32_t id, double logprob, wick_buf *b)
{
    wick_buf text = WICK_BUF_INIT;
    wick_gen_token_text(g, id, &text);
    wick_buf_puts(b, "{\"token\":");
    wick_json_write_str(b, wick_buf_str(&text), text.n);
    wick_buf_puts(b, ",\"logprob\":");
    wick_json_write_float(b, logprob < -9999 ? -9999 : logprob);
    if (text.failed) b->failed = true;
    wick_buf_release(&text);
}

static void note_logprob(wick_choice *c, const wick_event *ev)
{
    wick_buf *b = &c->lp_tokens;
    if (!c->g->p.logprobs) return;
    if (b->n) wick_buf_putc(b, ',');
    one_logprob(c->g, ev->token, (double)ev->logprob, b);
    wick_buf_puts(b, ",\"top_logprobs\":[");
    for (uint32_t i = 0; i < ev->n_top; i++) {
        if (i) wick_buf_putc(b, ',');
        one_logprob(c->g, ev->top[i].id, (double)ev->top[i].logprob, b);
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, "]}");
}

/* --- chat --------------------------------------------------------------------------------------------------------- */
static void write_call(const wick_call *call, uint32_t i, wick_buf *b)
{
    json_t *args = json_loadb(call->arguments, call->n_arguments, JSON_ALLOW_NUL, NULL);
    wick_buf_puts(b, "{\"id\":");
    wick_json_write_str(b, call->id, strlen(call->id));
    wick_buf_printf(b, ",\"function\":{\"index\":%u,\"name\":", i);
    wick_json_write_str(b, call->name, strlen(call->name));
    wick_buf_puts(b, ",\"arguments\":");
    if (json_is_object(args)) {
        wick_buf_add(b, call->arguments, call->n_arguments);
    } else {
        wick_buf_puts(b, "{\"raw\":");
        wick_json_write_str(b, call->arguments, call->n_arguments);
        wick_buf_putc(b, '}');
    }
    wick_buf_puts(b, "}}");
    json_decref(args);
}

/* One line of a stream: a piece of the text or of the thoughts, or the calls from `from` to `to`. */
static void chat_line(wick_choice *c, const char *text, size_t n, const char *thought, size_t n_thought, uint32_t from,
                      uint32_t to)
{
    wick_buf *b = &c->g->x->out;
    write_head(c->g, b);
    wick_buf_puts(b, ",\"message\":{\"role\":\"assistant\",\"content\":");
    wick_json_write_str(b, text, n);
    if (n_thought > 0) {
        wick_buf_puts(b, ",\"thinking\":");
        wick_json_write_str(b, thought, n_thought);
    }
    for (uint32_t i = from; i < to; i++) {
        const wick_call call = wick_answer_call(c->answer, i);
        wick_buf_puts(b, i == from ? ",\"tool_calls\":[" : ",");
        write_call(&call, i, b);
    }
    wick_buf_puts(b, to > from ? "]}" : "}");
    write_logprobs(c, b);
}

static void chat_delta(wick_choice *c, const wick_delta *d)
{
    wick_buf *b = &c->g->x->out;
    if (!c->g->p.stream) return;
    switch (d->kind) {
    case WICK_DELTA_REASONING: chat_line(c, "", 0, d->text, d->n, 0, 0); break;
    case WICK_DELTA_TEXT: chat_line(c, d->text, d->n, "", 0, 0, 0); break;
    case WICK_DELTA_CALL_END: chat_line(c, "", 0, "", 0, d->call, d->call + 1); break;
    case WICK_DELTA_CALL:
    case WICK_DELTA_ARGUMENTS:
    case WICK_DELTA_END: return;
    }
    wick_buf_puts(b, ",\"done\":false}\n");
}

static void chat_tools(wick_choice *c, const json_t *calls)
{
    wick_buf *b = &c->g->x->out;
    chat_line(c, "", 0, "", 0, 0, 0);
    wick_buf_puts(b, ",\"wick_tool_calls\":");
    if (!wick_json_write(b, calls)) b->failed = true;
    wick_buf_puts(b, ",\"done\":false}\n");
}

static void chat_token(wick_choice *c, const wick_event *ev)
{
    note_logprob(c, ev);
    wick_turn_token(c, ev);
}

static void chat_end(wick_choice *c, const wick_event *ev)
{
    wick_turn_end(c, ev);
    if (!c->g->p.stream || c->g->failed) return;
    chat_line(c, "", 0, "", 0, 0, 0);
    wick_rounds_write(c->g, &c->g->x->out);
    write_end(c, &c->g->x->out);
}

static void chat_answer(wick_gen *g)
{
    wick_choice *c = &g->choice[0];
    size_t n, n_thought;
    const char *text = wick_answer_text(c->answer, &n), *thought = wick_answer_reasoning(c->answer, &n_thought);
    chat_line(c, text, n, thought, n_thought, 0, wick_answer_n_calls(c->answer));
    wick_rounds_write(g, &g->x->out);
    write_end(c, &g->x->out);
}

/* Ollama's messages have arguments as objects, `thinking`, and results of tools that name the tool, not the call. */
static wick_status chat_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    const json_t *in = p->messages;
    (void)n;
    if (!in) return BAD("messages", "messages: is missing");
    if (json_array_size(in) > l->messages)
        return BAD("messages", "messages: %zu of them, at most %llu", json_array_size(in),
                   (unsigned long long)l->messages);
    json_t *out = json_array();
    WICK_TRY(wick_params_keep(p, out, err));
    for (size_t i = 0; i < json_array_size(in); i++) {
        const json_t *m = json_array_get(in, i), *images = json_object_get(m, "images");
        if (!json_is_object(m))
            return BAD("messages", "messages[%zu]: must be an object, not %s", i, wick_json_type_name(m));
        if (json_array_size(images) > 0)
            return BAD("messages", "messages[%zu].images: image input is not supported by this model", i);
        json_t *copy = json_copy((json_t *)(uintptr_t)m), *calls = json_object_get(m, "tool_calls");
        json_object_del(copy, "images");
        if (json_is_array(calls)) { /* without a type and often without an id there */
            json_t *list = json_array();
            for (size_t k = 0; k < json_array_size(calls); k++) {
                char id[32];
                json_t *call = json_copy(json_array_get(calls, k));
                snprintf(id, sizeof id, "call%05zu", (i * 32 + k) % 100000);
                if (!json_is_object(call))
                    return BAD("messages", "messages[%zu].tool_calls[%zu]: must be an object", i, k);
                json_object_set_new(call, "type", json_string("function"));
                if (!json_object_get(call, "id")) json_object_set_new(call, "id", json_string(id));
                json_array_append_new(list, call);
            }
            json_object_set_new(copy, "tool_calls", list);
        }
        json_array_append_new(out, copy);
    }
    p->messages = out;
    return WICK_OK;
}

static const wick_gen_format chat_format = {.params = WICK_P_OLLAMA_CHAT,
                                            .count = chat_count,
                                            .prepare = wick_turn_prepare,
                                            .begin = wick_turn_begin,
                                            .token = chat_token,
                                            .end = chat_end,
                                            .delta = chat_delta,
                                            .tools = chat_tools,
                                            .answer = chat_answer};

/* No messages, or no prompt: a client loads a model that way, or unloads it. */
static void loaded_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    write_head(g, b);
    wick_buf_puts(b, g->p.route == WICK_P_OLLAMA_CHAT ? ",\"message\":{\"role\":\"assistant\",\"content\":\"\"}"
                                                      : ",\"response\":\"\"");
    wick_buf_puts(b, ",\"done\":true,\"done_reason\":\"load\"}\n");
}

static bool is_empty(const json_t *body, const char *key)
{
    const json_t *v = json_object_get(body, key);
    return !v || json_is_null(v) || (json_is_array(v) && json_array_size(v) == 0) ||
           (json_is_string(v) && json_string_length(v) == 0);
}

/* --- generate ----------------------------------------------------------------------------------------------------- */
/* Through the template unless raw: the prompt is the user's message, `system` the system's. */
static wick_status text_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    if (!json_is_string(p->prompt)) return BAD("prompt", "prompt: must be a string");
    if (p->suffix && *p->suffix) return BAD("suffix", "suffix: use /infill, where the model knows how to fill a gap");
    if (p->raw) return WICK_OK;
    json_t *m = json_array();
    WICK_TRY(wick_params_keep(p, m, err));
    if (p->system && *p->system)
        json_array_append_new(m, json_pack("{s:s, s:s}", "role", "system", "content", p->system));
    json_array_append_new(m, json_pack("{s:s, s:O}", "role", "user", "content", p->prompt));
    p->messages = m;
    return WICK_OK;
}

static wick_status text_prepare(wick_gen *g, wick_err *err)
{
    wick_gen_prompt *q = &g->prompt[0];
    if (!g->p.raw && wick_chat_usable(g->model->chat)) return wick_turn_prepare(g, err);
    WICK_TRY(wick_prompt_item(g->model->engine, g->p.prompt, 0, "prompt", &q->ids, &q->n, &q->text, &q->n_text, err));
    g->answer.keep = true; /* all is text */
    return wick_gen_base(g, err);
}

static void text_line(wick_choice *c, const char *text, size_t n, const char *thought, size_t n_thought)
{
    wick_buf *b = &c->g->x->out;
    write_head(c->g, b);
    wick_buf_puts(b, ",\"response\":");
    wick_json_write_str(b, text, n);
    if (n_thought > 0) {
        wick_buf_puts(b, ",\"thinking\":");
        wick_json_write_str(b, thought, n_thought);
    }
    write_logprobs(c, b);
}

static void text_delta(wick_choice *c, const wick_delta *d)
{
    const bool thought = d->kind == WICK_DELTA_REASONING;
    if (!c->g->p.stream || (!thought && d->kind != WICK_DELTA_TEXT)) return;
    text_line(c, thought ? "" : d->text, thought ? 0 : d->n, thought ? d->text : "", thought ? d->n : 0);
    wick_buf_puts(&c->g->x->out, ",\"done\":false}\n");
}

static void text_end(wick_choice *c, const wick_event *ev)
{
    wick_turn_end(c, ev);
    if (!c->g->p.stream || c->g->failed) return;
    text_line(c, "", 0, "", 0);
    write_end(c, &c->g->x->out);
}

static void text_answer(wick_gen *g)
{
    wick_choice *c = &g->choice[0];
    size_t n, n_thought;
    const char *text = wick_answer_text(c->answer, &n), *thought = wick_answer_reasoning(c->answer, &n_thought);
    text_line(c, text, n, thought, n_thought);
    write_end(c, &g->x->out);
}

static const wick_gen_format text_format = {.params = WICK_P_OLLAMA_TEXT,
                                            .count = text_count,
                                            .prepare = text_prepare,
                                            .begin = wick_turn_begin,
                                            .token = chat_token,
                                            .end = text_end,
                                            .delta = text_delta,
                                            .answer = text_answer};

/* --- load --------------------------------------------------------------------------------------------------------- */
static wick_status load_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    (void)err;
    p->stream = false;
    return WICK_OK;
}

/* Nothing is generated; the model is there when this is called. One token of any kind makes a prompt. */
static wick_status load_prepare(wick_gen *g, wick_err *err)
{
    g->prompt[0].ids = wick_alloc_zero(1, sizeof *g->prompt[0].ids);
    g->prompt[0].n = 1;
    g->base.prompt_only = true;
    g->base.no_prefix_cache = true;
    return g->prompt[0].ids ? WICK_OK : wick_err_oom(err, "the prompt", 0, 0);
}

static const wick_gen_format load_chat_format = {
    .params = WICK_P_OLLAMA_CHAT, .count = load_count, .prepare = load_prepare, .answer = loaded_answer};
static const wick_gen_format load_text_format = {
    .params = WICK_P_OLLAMA_TEXT, .count = load_count, .prepare = load_prepare, .answer = loaded_answer};

bool wick_route_ollama_chat(wick_exchange *x)
{
    return wick_gen_route(x, is_empty(x->json, "messages") ? &load_chat_format : &chat_format);
}

bool wick_route_ollama_generate(wick_exchange *x)
{
    return wick_gen_route(x, is_empty(x->json, "prompt") ? &load_text_format : &text_format);
}

/* --- embed -------------------------------------------------------------------------------------------------------- */
static void embed_token(wick_choice *c, const wick_event *ev)
{
    if (ev->kind != WICK_EVENT_LOGITS) return;
    float *v = wick_alloc(ev->width * sizeof *v);
    if (!v) {
        c->text.failed = true;
        return;
    }
    memcpy(v, ev->data, ev->width * sizeof *v);
    const uint32_t n = wick_embed_finish(v, ev->width, c->g->p.dimensions, true);
    for (uint32_t i = 0; i < n; i++) {
        wick_buf_putc(&c->text, i ? ',' : '[');
        wick_json_write_float(&c->text, (double)v[i]);
    }
    wick_buf_putc(&c->text, ']');
    wick_free(v);
}

static void embed_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    unsigned long long n = 0;
    const char *name = g->p.model ? g->p.model : g->model->c.id;
    const bool old = g->p.echo; /* /api/embeddings: one vector */
    wick_buf_puts(b, "{\"model\":");
    wick_json_write_str(b, name, strlen(name));
    wick_buf_puts(b, old ? ",\"embedding\":" : ",\"embeddings\":[");
    for (uint32_t i = 0; i < g->n; i++) {
        if (i) wick_buf_putc(b, ',');
        wick_buf_add(b, g->choice[i].text.data ? g->choice[i].text.data : "null",
                     g->choice[i].text.data ? g->choice[i].text.n : 4);
        n += g->choice[i].usage.n_prompt;
    }
    wick_buf_printf(b, "%s,\"total_duration\":0,\"load_duration\":0,\"prompt_eval_count\":%llu}\n", old ? "" : "]", n);
}

static wick_status embed_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    p->echo = !p->input && p->prompt;
    if (!p->input) p->input = p->prompt;
    if (!json_is_string(p->input) && !json_is_array(p->input))
        return BAD("input", "input: must be a string or an array of strings");
    for (size_t i = 0; i < json_array_size(p->input); i++)
        if (!json_is_string(json_array_get(p->input, i))) return BAD("input", "input[%zu]: must be a string", i);
    return wick_prompt_count(p->input, "input", l->prompts, n, err);
}

static wick_status embed_prepare(wick_gen *g, wick_err *err)
{
    const wick_embed_how how = {.truncate = !g->p.refuse_long};
    for (uint32_t i = 0; i < g->n_prompt; i++) {
        wick_gen_prompt *q = &g->prompt[i];
        const json_t *v = json_is_array(g->p.input) ? json_array_get(g->p.input, i) : g->p.input;
        const wick_str text = {json_string_value(v), json_string_length(v)};
        if (text.n == 0) return BAD("input", "input: an empty string has no embedding");
        WICK_TRY(wick_embed_encode(g->model->engine, text, &how, &q->ids, &q->n, err));
    }
    g->base.kind = WICK_REQ_EMBED;
    return WICK_OK;
}

static const wick_gen_format embed_format = {.params = WICK_P_OLLAMA_EMBED,
                                             .count = embed_count,
                                             .prepare = embed_prepare,
                                             .token = embed_token,
                                             .answer = embed_answer};

bool wick_route_ollama_embed(wick_exchange *x)
{
    return wick_gen_route(x, &embed_format);
}

static wick_status read_truncate(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_boolean(v)) return wick_param_expected(r, q->name, "true or false", v);
    r->p->refuse_long = json_is_false(v);
    return WICK_OK;
}

/* --- parameters --------------------------------------------------------------------------------------------------- */
static wick_status read_options(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (!json_is_object(v)) return wick_param_expected(r, q->name, "an object", v);
    return wick_params_merge(r, v, WICK_P_OLLAMA_OPTIONS);
}

/* true, false, or how much. */
static wick_status read_think(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_boolean(v)) return wick_read_thinking(r, q, v);
    r->p->thinking = 1;
    return wick_read_effort(r, q, v);
}

static wick_status read_images(wick_param_reading *r, const wick_param *q, const json_t *v)
{
    if (json_is_array(v) && json_array_size(v) == 0) return WICK_OK;
    return WICK_PARAM_BAD(r, q->name, "images: image input is not supported by this model");
}

#define AT(f) offsetof(wick_params, f)
#define FN(f) WICK_PK_FN, 0, 0, 0, 0, read_##f
#define SHARED(f) WICK_PK_FN, 0, 0, 0, 0, wick_read_##f
#define NOOP(types) WICK_PK_NOOP, types, 0, 0, 0, NULL
#define REFUSED WICK_PK_REFUSED, 0, 0, 0, 0, NULL
#define CHAT WICK_P_OLLAMA_CHAT
#define TEXT WICK_P_OLLAMA_TEXT
#define EMBED WICK_P_OLLAMA_EMBED
#define OPTION WICK_P_OLLAMA_OPTIONS

/* clang-format off */
static const wick_param rows[] = {
    {"messages", CHAT, WICK_PK_ARRAY, AT(messages), 0, 0, 0, NULL, "the conversation; none: the model is loaded"},
    {"tools", CHAT, SHARED(tools), "functions the model may call"},
    {"prompt", TEXT | EMBED, WICK_PK_ANY, AT(prompt), 0, 0, 0, NULL, "the user's text; none: the model is loaded"},
    {"input", EMBED, WICK_PK_ANY, AT(input), 0, 0, 0, NULL, "a string or an array of strings"},
    {"system", TEXT, WICK_PK_STR, AT(system), 0, 0, 0, NULL, "the system's message"},
    {"suffix", TEXT, WICK_PK_STR, AT(suffix), 0, 0, 0, NULL, "only an empty one"},
    {"raw", TEXT, WICK_PK_BOOL, AT(raw), 0, 0, 0, NULL, "true: without the model's template"},
    {"options", CHAT | TEXT | EMBED, FN(options), "sampling and bounds, see `options` below"},
    {"think", CHAT | TEXT, FN(think), "true, false, or low, medium, high"},
    {"format", CHAT | TEXT, SHARED(format), "\"json\", or a JSON Schema that the answer fulfils"},
    {"images", TEXT, FN(images), "only an empty list"},
    {"keep_alive", CHAT | TEXT | EMBED, NOOP(WICK_PT_NUM | WICK_PT_STR), "models stay as the server's settings say"},
    {"truncate", CHAT | TEXT, NOOP(WICK_PT_BOOL), "what does not fit is refused"},
    {"truncate", EMBED, WICK_PK_FN, 0, 0, 0, 0, read_truncate, "false: a text that is too long is refused, not cut"},
    {"shift", CHAT | TEXT, NOOP(WICK_PT_BOOL), "a full context ends the answer"},
    {"context", TEXT, REFUSED, "use /api/chat for conversations"},
    {"template", TEXT, REFUSED, "the model's own template is used"},
    {"dimensions", EMBED, WICK_PK_U32, AT(dimensions), 0, 1, 1 << 20, NULL, "so many values at the front"},
    {"num_predict", OPTION, SHARED(max_tokens), "an upper bound; -1: none"},
    {"num_ctx", OPTION, NOOP(WICK_PT_INT), "the context is the server's"},
    {"num_batch", OPTION, NOOP(WICK_PT_INT), "set at the start of the server"},
    {"num_gpu", OPTION, NOOP(WICK_PT_INT), "set at the start of the server"},
    {"main_gpu", OPTION, NOOP(WICK_PT_INT), "set at the start of the server"},
    {"num_thread", OPTION, NOOP(WICK_PT_INT), "set at the start of the server"},
    {"num_keep", OPTION, NOOP(WICK_PT_INT), "a full context ends the answer"},
    {"numa", OPTION, NOOP(WICK_PT_BOOL), "set at the start of the server"},
    {"use_mmap", OPTION, NOOP(WICK_PT_BOOL), "set at the start of the server"},
    {"use_mlock", OPTION, NOOP(WICK_PT_BOOL), "set at the start of the server"},
    {"low_vram", OPTION, NOOP(WICK_PT_BOOL), "an old name that changes nothing"},
    {"f16_kv", OPTION, NOOP(WICK_PT_BOOL), "an old name that changes nothing"},
    {"vocab_only", OPTION, NOOP(WICK_PT_BOOL), "an old name that changes nothing"},
    {"penalize_newline", OPTION, NOOP(WICK_PT_BOOL), "an old name that changes nothing"},
    {"draft_num_predict", OPTION, NOOP(WICK_PT_INT), "drafts do not change answers"},
    {"tfs_z", OPTION, WICK_PK_NEUTRAL, 0, 0, 1, 1, NULL, "1: off"},
};
/* clang-format on */
const wick_param_table wick_params_ollama = {rows, sizeof rows / sizeof *rows};
