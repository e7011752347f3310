/* server/dialect/openai_responses.c - OpenAI's Responses: an answer as items, a stream as numbered events, and what
 * is kept.
 *
 * Items are made from the deltas in their order: reasoning, message, function_call. c->ids is the array of those that
 * have
 * ended, c->text the text of the open one, c->block_kind its kind. The same items are the stream's, the answer's and
 * the
 * store's. A response that runs is in the server's list, so that another connection can cancel it. */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "base/sys.h"
#include "server/dialect/llamacpp.h"
#include "server/dialect/responses.h"
#include "server/response_store.h"
#include "server/rounds.h"
#include "server/turn.h"

enum { NOTHING_OPEN, REASONING, MESSAGE, CALL };

const char *wick_responses_owner(const wick_exchange *x)
{
    return x->key ? x->key->owner_text : "";
}

/* --- errors and framing ------------------------------------------------------------------------------------------- */
static void event(wick_gen *g, const char *type)
{
    wick_buf_printf(&g->x->out, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%llu", type, type,
                    (unsigned long long)g->sequence++);
}

static void end_event(wick_gen *g)
{
    wick_buf_puts(&g->x->out, "}\n\n");
}

static void write_text(wick_buf *b, const char *s)
{
    wick_json_write_str(b, s, strlen(s));
}

static void stream_problem(wick_gen *g, const wick_problem_text *p)
{
    wick_buf *b = &g->x->out;
    event(g, "error");
    wick_buf_puts(b, ",\"code\":");
    write_text(b, p->code ? p->code : wick_dialect_openai_type(p->status));
    wick_buf_puts(b, ",\"message\":");
    write_text(b, p->message);
    wick_buf_puts(b, ",\"param\":null");
    end_event(g);
}

const wick_dialect wick_dialect_responses = {.name = "OpenAI Responses",
                                             .stream_type = "text/event-stream; charset=utf-8",
                                             .problem = wick_dialect_openai_problem,
                                             .stream_problem = stream_problem,
                                             .comment = wick_dialect_sse_comment};

/* --- the response object ------------------------------------------------------------------------------------------ */
static void write_json(wick_buf *b, const json_t *v)
{
    if (!v)
        wick_buf_puts(b, "null");
    else if (!wick_json_write(b, v))
        b->failed = true;
}

static void write_usage(const wick_gen *g, wick_buf *b)
{
    const wick_turn_usage u = wick_turn_count(g);
    wick_buf_printf(b,
                    "{\"input_tokens\":%llu,\"input_tokens_details\":{\"cached_tokens\":%llu},\"output_tokens\":%llu,"
                    "\"output_tokens_details\":{\"reasoning_tokens\":%llu},\"total_tokens\":%llu}",
                    u.prompt, u.cached, u.generated, u.reasoning, u.prompt + u.generated);
}

/* status NULL: in progress. */
static void write_response(wick_gen *g, const char *status, wick_buf *b)
{
    const wick_params *p = &g->p;
    const wick_sampling *s = &g->base.sampling;
    const bool cut = status && strcmp(status, "incomplete") == 0;
    wick_buf_printf(
        b,
        "{\"id\":\"resp_%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\",\"background\":false,"
        "\"error\":null,\"incomplete_details\":%s,\"instructions\":",
        g->x->id, (long long)g->created, status ? status : "in_progress",
        cut ? "{\"reason\":\"max_output_tokens\"}" : "null");
    write_json(b, p->instructions);
    wick_buf_puts(b, ",\"max_output_tokens\":");
    if (p->unbounded)
        wick_buf_puts(b, "null");
    else
        wick_buf_printf(b, "%u", p->max_tokens);
    wick_buf_puts(b, ",\"max_tool_calls\":");
    if (p->max_tool_calls > 0)
        wick_buf_printf(b, "%u", p->max_tool_calls);
    else
        wick_buf_puts(b, "null");
    wick_buf_puts(b, ",\"model\":");
    write_text(b, g->model->c.id);
    wick_buf_puts(b, ",\"output\":");
    write_json(b, status && g->choice ? g->choice[0].ids : NULL);
    if (!status || !g->choice || !g->choice[0].ids) b->n -= 4, wick_buf_puts(b, "[]");
    wick_buf_printf(b, ",\"parallel_tool_calls\":%s,\"previous_response_id\":", p->one_call ? "false" : "true");
    write_json(b, p->previous);
    wick_buf_puts(b, ",\"reasoning\":{\"effort\":");
    if (p->reasoning_effort)
        write_text(b, p->reasoning_effort);
    else
        wick_buf_puts(b, "null");
    wick_buf_printf(
        b, ",\"summary\":null},\"service_tier\":\"default\",\"store\":%s,\"temperature\":%g,\"text\":{\"format\":",
        p->store ? "true" : "false", (double)s->temperature);
    if (p->text_format)
        write_json(b, p->text_format);
    else
        wick_buf_puts(b, "{\"type\":\"text\"}");
    wick_buf_puts(b, ",\"verbosity\":\"medium\"},\"tool_choice\":");
    if (p->tool_choice)
        write_json(b, p->tool_choice);
    else
        wick_buf_puts(b, "\"auto\"");
    wick_buf_puts(b, ",\"tools\":");
    if (p->tools_given)
        write_json(b, p->tools_given);
    else
        wick_buf_puts(b, "[]");
    wick_buf_printf(b, ",\"top_logprobs\":0,\"top_p\":%g,\"truncation\":\"disabled\",\"usage\":", (double)s->top_p);
    if (status)
        write_usage(g, b);
    else
        wick_buf_puts(b, "null");
    wick_buf_puts(b, ",\"user\":null,\"metadata\":");
    if (p->metadata)
        write_json(b, p->metadata);
    else
        wick_buf_puts(b, "{}");
    if (status) wick_rounds_write(g, b);
    wick_buf_putc(b, '}');
}

static const char *status_of(const wick_choice *c)
{
    if (c->response_cancelled) return "cancelled";
    return wick_turn_how(c) == WICK_END_LENGTH ? "incomplete" : "completed";
}

/* --- items -------------------------------------------------------------------------------------------------------- */
static const char *prefix_of(int kind)
{
    return kind == REASONING ? "rs" : kind == MESSAGE ? "msg" : "fc";
}

/* The id of the open item, or of the next one. */
static void item_id(const wick_choice *c, char id[80])
{
    snprintf(id, 80, "%s_%s%zu", prefix_of(c->block_kind), c->g->x->id, json_array_size(c->ids));
}

static json_t *text_value(const wick_choice *c)
{
    return json_stringn(c->text.data ? c->text.data : "", c->text.n);
}

/* The open item, as it is now (done: ended). A new reference; NULL: out of memory. */
static json_t *item_json(const wick_choice *c, bool done)
{
    char id[80];
    item_id(c, id);
    const char *status = done ? "completed" : "in_progress";
    if (c->block_kind == REASONING)
        return done ? json_pack("{s:s, s:s, s:[], s:[{s:s, s:o}], s:s}", "id", id, "type", "reasoning", "summary",
                                "content", "type", "reasoning_text", "text", text_value(c), "status", status)
                    : json_pack("{s:s, s:s, s:[], s:[], s:s}", "id", id, "type", "reasoning", "summary", "content",
                                "status", status);
    if (c->block_kind == MESSAGE)
        return done ? json_pack("{s:s, s:s, s:s, s:s, s:[{s:s, s:[], s:[], s:o}]}", "id", id, "type", "message",
                                "status", status, "role", "assistant", "content", "type", "output_text", "annotations",
                                "logprobs", "text", text_value(c))
                    : json_pack("{s:s, s:s, s:s, s:s, s:[]}", "id", id, "type", "message", "status", status, "role",
                                "assistant", "content");
    const wick_call call = wick_answer_call(c->answer, c->call);
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s}", "id", id, "type", "function_call", "status", status, "arguments",
                     done ? json_stringn(call.arguments, call.n_arguments) : json_string(""), "call_id", call.id,
                     "name", call.name);
}

/* An event about the open item. */
static void item_event(wick_choice *c, const char *type, bool part)
{
    char id[80];
    item_id(c, id);
    event(c->g, type);
    wick_buf_printf(&c->g->x->out, ",\"item_id\":\"%s\",\"output_index\":%zu", id, json_array_size(c->ids));
    if (part) wick_buf_puts(&c->g->x->out, ",\"content_index\":0");
}

static void write_part(wick_choice *c, bool done)
{
    wick_buf *b = &c->g->x->out;
    wick_buf_puts(b, c->block_kind == REASONING
                         ? ",\"part\":{\"type\":\"reasoning_text\",\"text\":"
                         : ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":");
    wick_json_write_str(b, done && c->text.data ? c->text.data : "", done ? c->text.n : 0);
    wick_buf_putc(b, '}');
}

static void write_item_event(wick_choice *c, const char *type, json_t *item)
{
    event(c->g, type);
    wick_buf_printf(&c->g->x->out, ",\"output_index\":%zu,\"item\":", json_array_size(c->ids));
    write_json(&c->g->x->out, item);
    end_event(c->g);
}

static void close_item(wick_choice *c)
{
    wick_gen *g = c->g;
    const bool text = c->block_kind != CALL;
    if (c->block_kind == NOTHING_OPEN) return;
    json_t *item = item_json(c, true);
    if (g->p.stream && text) {
        item_event(c, c->block_kind == REASONING ? "response.reasoning_text.done" : "response.output_text.done", true);
        wick_buf_puts(&g->x->out, c->block_kind == MESSAGE ? ",\"logprobs\":[],\"text\":" : ",\"text\":");
        wick_json_write_str(&g->x->out, c->text.data ? c->text.data : "", c->text.n);
        end_event(g);
        item_event(c, "response.content_part.done", true);
        write_part(c, true);
        end_event(g);
    } else if (g->p.stream) {
        const wick_call call = wick_answer_call(c->answer, c->call);
        item_event(c, "response.function_call_arguments.done", false);
        wick_buf_puts(&g->x->out, ",\"name\":");
        write_text(&g->x->out, call.name);
        wick_buf_puts(&g->x->out, ",\"arguments\":");
        wick_json_write_str(&g->x->out, call.arguments, call.n_arguments);
        end_event(g);
    }
    if (g->p.stream) write_item_event(c, "response.output_item.done", item);
    if (c->text.failed || !item || json_array_append_new(c->ids, item) != 0) g->x->out.failed = true;
    c->text.n = 0;
    c->block_kind = NOTHING_OPEN;
}

static void open_item(wick_choice *c, int kind, uint32_t call)
{
    if (kind == c->block_kind && kind != CALL) return;
    close_item(c);
    c->block_kind = kind;
    c->call = call;
    if (!c->g->p.stream) return;
    json_t *item = item_json(c, false);
    write_item_event(c, "response.output_item.added", item);
    json_decref(item);
    if (kind == CALL) return;
    item_event(c, "response.content_part.added", true);
    write_part(c, false);
    end_event(c->g);
}

static void add_delta(wick_choice *c, const char *type, const wick_delta *d, bool part)
{
    wick_gen *g = c->g;
    if (part) wick_buf_add(&c->text, d->text, d->n);
    if (!g->p.stream) return;
    item_event(c, type, part);
    wick_buf_puts(&g->x->out, c->block_kind == MESSAGE ? ",\"logprobs\":[],\"delta\":" : ",\"delta\":");
    wick_json_write_str(&g->x->out, d->text, d->n);
    if (g->p.timings_per_token) wick_llama_timings(c, &g->x->out);
    end_event(g);
}

static void on_delta(wick_choice *c, const wick_delta *d)
{
    switch (d->kind) {
    case WICK_DELTA_REASONING:
        open_item(c, REASONING, 0);
        add_delta(c, "response.reasoning_text.delta", d, true);
        break;
    case WICK_DELTA_TEXT:
        open_item(c, MESSAGE, 0);
        add_delta(c, "response.output_text.delta", d, true);
        break;
    case WICK_DELTA_CALL: open_item(c, CALL, d->call); break;
    case WICK_DELTA_ARGUMENTS: add_delta(c, "response.function_call_arguments.delta", d, false); break;
    case WICK_DELTA_CALL_END:
    case WICK_DELTA_END: close_item(c); break;
    }
}

/* --- running responses: cancel comes from other connections ------------------------------------------------------- */
static void enlist(wick_gen *g)
{
    wick_server *s = g->x->s;
    wick_lock_take(&s->running_lock);
    g->next_running = s->running;
    s->running = g;
    wick_lock_drop(&s->running_lock);
}

static void forget(wick_gen *g)
{
    wick_server *s = g->x->s;
    wick_lock_take(&s->running_lock);
    for (wick_gen **at = &s->running; *at; at = &(*at)->next_running) {
        if (*at != g) continue;
        *at = g->next_running;
        break;
    }
    wick_lock_drop(&s->running_lock);
    if (g->p.store) wick_response_store_flush(s->responses);
}

/* True: it ran, belongs to x's owner and ends now. */
static bool cancel_running(wick_exchange *x, const char *id)
{
    wick_server *s = x->s;
    bool found = false;
    wick_lock_take(&s->running_lock);
    for (wick_gen *g = s->running; g && !found; g = g->next_running) {
        found = strncmp(id, "resp_", 5) == 0 && strcmp(id + 5, g->x->id) == 0 &&
                strcmp(wick_responses_owner(g->x), wick_responses_owner(x)) == 0;
        if (found) atomic_store(&g->stop_asked, true);
        if (found) atomic_store(&g->want_comment, true);
        if (found) wick_x_wake(g->x);
    }
    wick_lock_drop(&s->running_lock);
    return found;
}

/* --- the format --------------------------------------------------------------------------------------------------- */
static wick_status count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)l;
    (void)n;
    return p->input ? WICK_OK : WICK_FAIL(err, WICK_E_BAD_PARAMETER, "input", "input: is missing");
}

static wick_status prepare(wick_gen *g, wick_err *err)
{
    WICK_TRY(wick_responses_messages(g->x, &g->p, &g->state, err));
    WICK_TRY(wick_turn_prepare(g, err));
    enlist(g);
    return WICK_OK;
}

static void on_open(wick_choice *c)
{
    wick_gen *g = c->g;
    c->ids = json_array();
    if (!c->ids) g->x->out.failed = true;
    if (!g->p.stream) return;
    event(g, "response.created");
    wick_buf_puts(&g->x->out, ",\"response\":");
    write_response(g, NULL, &g->x->out);
    end_event(g);
    event(g, "response.in_progress");
    wick_buf_puts(&g->x->out, ",\"response\":");
    write_response(g, NULL, &g->x->out);
    end_event(g);
}

static void on_progress(wick_choice *c, const wick_event *ev)
{
    wick_gen *g = c->g;
    if (!g->p.return_progress) return;
    event(g, "response.in_progress");
    wick_llama_progress(c, ev, &g->x->out);
    end_event(g);
}

static void on_token(wick_choice *c, const wick_event *ev)
{
    wick_turn_token(c, ev);
    if (atomic_load(&c->g->stop_asked)) {
        c->response_cancelled = true;
        wick_choice_stop(c);
    }
}

/* The whole object, to b and, where it is to be kept, to the store. */
static void finish(wick_gen *g, wick_buf *b)
{
    const size_t at = b->n;
    write_response(g, status_of(&g->choice[0]), b);
    if (!g->p.store || b->failed) return;
    wick_response_store_put(g->x->s->responses, wick_responses_owner(g->x), json_incref(g->state),
                            json_loadb(b->data + at, b->n - at, JSON_ALLOW_NUL, NULL));
}

static void on_end(wick_choice *c, const wick_event *ev)
{
    wick_turn_end(c, ev);
    close_item(c);
}

static void on_usage(wick_gen *g)
{
    const wick_choice *c = &g->choice[0];
    const char *status = status_of(c);
    char type[40];
    snprintf(type, sizeof type, "response.%s", strcmp(status, "cancelled") == 0 ? "incomplete" : status);
    event(g, type);
    wick_buf_puts(&g->x->out, ",\"response\":");
    finish(g, &g->x->out);
    if (g->p.timings_per_token) wick_llama_timings(c, &g->x->out);
    end_event(g);
}

static void on_answer(wick_gen *g)
{
    finish(g, &g->x->out);
    wick_buf_putc(&g->x->out, '\n');
}

static const wick_gen_format format = {.params = WICK_P_RESPONSES,
                                       .count = count,
                                       .prepare = prepare,
                                       .progress = on_progress,
                                       .begin = wick_turn_begin,
                                       .token = on_token,
                                       .end = on_end,
                                       .open = on_open,
                                       .delta = on_delta,
                                       .usage = on_usage,
                                       .answer = on_answer,
                                       .release = forget};

bool wick_route_responses(wick_exchange *x)
{
    return wick_gen_route(x, &format);
}

/* --- what is kept ------------------------------------------------------------------------------------------------- */
static bool not_there(wick_exchange *x, const wick_err *err)
{
    if (err->kind == WICK_E_MODEL_NOT_FOUND)
        wick_problem(x, 404, NULL, "not_found", "%s", err->message);
    else
        wick_problem_err(x, err);
    return true;
}

bool wick_route_response_get(wick_exchange *x)
{
    json_t *response = NULL;
    wick_err err = {0};
    if (wick_response_store_get(x->s->responses, wick_responses_owner(x), x->path_arg, NULL, &response, &err) !=
        WICK_OK)
        return not_there(x, &err);
    wick_x_json(x, 200, response);
    return true;
}

bool wick_route_response_delete(wick_exchange *x)
{
    wick_err err = {0};
    if (wick_response_store_delete(x->s->responses, wick_responses_owner(x), x->path_arg, &err) != WICK_OK)
        return not_there(x, &err);
    wick_x_json(x, 200, json_pack("{s:s, s:s, s:b}", "id", x->path_arg, "object", "response", "deleted", 1));
    return true;
}

bool wick_route_response_cancel(wick_exchange *x)
{
    json_t *response = NULL;
    wick_err err = {0};
    if (cancel_running(x, x->path_arg)) {
        wick_x_json(x, 200,
                    json_pack("{s:s, s:s, s:s}", "id", x->path_arg, "object", "response", "status", "cancelled"));
        return true;
    }
    if (wick_response_store_get(x->s->responses, wick_responses_owner(x), x->path_arg, NULL, &response, &err) !=
        WICK_OK)
        return not_there(x, &err);
    json_decref(response);
    wick_problem(x, 400, NULL, "not_running", "response \"%.100s\" has ended already", x->path_arg);
    return true;
}

/* A value of the query; NULL: not given. */
static const char *query(const wick_exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->mhd, MHD_GET_ARGUMENT_KIND, name);
}

bool wick_route_response_items(wick_exchange *x)
{
    json_t *input = NULL;
    wick_err err = {0};
    const char *limit = query(x, "limit"), *order = query(x, "order"), *after = query(x, "after");
    uint64_t n = 20;
    if ((limit && (!wick_parse_u64(limit, &n) || n < 1 || n > 100)) ||
        (order && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0)) {
        wick_problem(x, 400, limit && (n < 1 || n > 100) ? "limit" : "order", NULL,
                     "limit: 1 to 100; order: asc or desc");
        return true;
    }
    if (wick_response_store_get(x->s->responses, wick_responses_owner(x), x->path_arg, &input, NULL, &err) != WICK_OK)
        return not_there(x, &err);
    const bool asc = order && strcmp(order, "asc") == 0;
    const size_t size = json_array_size(input);
    json_t *data = json_array();
    bool past = after == NULL, more = false;
    for (size_t k = 0; k < size && data; k++) {
        const size_t i = asc ? k : size - 1 - k;
        char id[80];
        json_t *item = json_copy(json_array_get(input, i));
        snprintf(id, sizeof id, "item_%.48s_%zu", x->path_arg, i);
        if (!json_object_get(item, "id")) json_object_set_new(item, "id", json_string(id));
        if (!json_object_get(item, "type")) json_object_set_new(item, "type", json_string("message"));
        const char *name = json_string_value(json_object_get(item, "id"));
        const bool is_after = after && name && strcmp(name, after) == 0;
        if (past && json_array_size(data) < n)
            json_array_append(data, item);
        else if (past)
            more = true;
        past |= is_after;
        json_decref(item);
    }
    json_decref(input);
    const size_t got = json_array_size(data);
    json_t *first = json_object_get(json_array_get(data, 0), "id"),
           *last = json_object_get(json_array_get(data, got - 1), "id");
    wick_x_json(x, 200,
                json_pack("{s:s, s:O, s:O?, s:O?, s:b}", "object", "list", "data", data, "first_id", first, "last_id",
                          last, "has_more", more));
    json_decref(data);
    return true;
}
