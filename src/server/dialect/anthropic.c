/* server/dialect/anthropic.c - Anthropic's Messages: requests to OpenAI's shape (anthropic_in.c), answers as blocks.
 *
 * An answer is a list of blocks: thinking, text, tool_use. A stream names its events and numbers the blocks; one
 * block is
 * open at a time. c->block is the number of the open block (or of the next one), c->block_kind what is open. */
#include "server/dialect/anthropic.h"
#include <string.h>
#include "server/rounds.h"
#include "server/turn.h"

enum { NOTHING_OPEN, THINKING, TEXT, TOOL };

/* --- errors and framing ------------------------------------------------------------------------------------------- */
static const char *type_of(unsigned status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    case 504: return "timeout_error";
    default: return status >= 500 ? "api_error" : "invalid_request_error";
    }
}

static void problem(wick_buf *b, const wick_problem_text *p)
{
    wick_buf_printf(b, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type_of(p->status));
    wick_json_write_str(b, p->message, strlen(p->message));
    wick_buf_puts(b, "}}");
}

static void event(wick_buf *b, const char *name)
{
    wick_buf_printf(b, "event: %s\ndata: {\"type\":\"%s\"", name, name);
}

static void end_event(wick_buf *b)
{
    wick_buf_puts(b, "}\n\n");
}

static void stream_problem(wick_gen *g, const wick_problem_text *p)
{
    wick_buf *b = &g->x->out;
    wick_buf_puts(b, "event: error\ndata: ");
    problem(b, p);
    wick_buf_puts(b, "\n\n");
}

static void ping(wick_buf *b, const char *text)
{
    (void)text;
    wick_buf_puts(b, "event: ping\ndata: {\"type\":\"ping\"}\n\n");
}

const wick_dialect wick_dialect_anthropic = {.name = "Anthropic",
                                             .stream_type = "text/event-stream; charset=utf-8",
                                             .problem = problem,
                                             .stream_problem = stream_problem,
                                             .comment = ping};

/* --- answers ------------------------------------------------------------------------------------------------------ */
static void write_text(wick_buf *b, const char *s)
{
    wick_json_write_str(b, s, strlen(s));
}

/* What was read from the cache is not part of input_tokens. */
static void write_usage(const wick_gen *g, bool output, wick_buf *b)
{
    const wick_turn_usage u = wick_turn_count(g);
    wick_buf_printf(b,
                    "{\"input_tokens\":%llu,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%llu,"
                    "\"output_tokens\":%llu}",
                    u.prompt - u.cached, u.cached, output ? u.generated : 0ull);
}

static void write_stop(const wick_choice *c, wick_buf *b)
{
    const char *why = "end_turn";
    switch (wick_turn_how(c)) {
    case WICK_END_CALLS: why = "tool_use"; break;
    case WICK_END_LENGTH: why = "max_tokens"; break;
    case WICK_END_STOP_STRING: why = c->stop_string ? "stop_sequence" : "end_turn"; break;
    default: break;
    }
    wick_buf_printf(b, "\"stop_reason\":\"%s\",\"stop_sequence\":", why);
    if (c->stop_string && wick_turn_how(c) == WICK_END_STOP_STRING)
        write_text(b, c->stop_string);
    else
        wick_buf_puts(b, "null");
}

/* What begins a message, up to its content. */
static void write_head(const wick_gen *g, wick_buf *b)
{
    wick_buf_printf(b, "{\"id\":\"msg_%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", g->x->id);
    write_text(b, g->model->c.id);
    wick_buf_puts(b, ",\"content\":[");
}

static void close_block(wick_choice *c)
{
    wick_buf *b = &c->g->x->out;
    if (c->block_kind == NOTHING_OPEN) return;
    if (c->block_kind == THINKING) {
        event(b, "content_block_delta");
        wick_buf_printf(b, ",\"index\":%d,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"wick\"}", c->block);
        end_event(b);
    }
    event(b, "content_block_stop");
    wick_buf_printf(b, ",\"index\":%d", c->block);
    end_event(b);
    c->block++;
    c->block_kind = NOTHING_OPEN;
}

static void open_block(wick_choice *c, int kind, const wick_delta *d)
{
    wick_buf *b = &c->g->x->out;
    if (kind == c->block_kind && kind != TOOL) return;
    close_block(c);
    event(b, "content_block_start");
    wick_buf_printf(b, ",\"index\":%d,\"content_block\":", c->block);
    if (kind == THINKING) wick_buf_puts(b, "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}");
    if (kind == TEXT) wick_buf_puts(b, "{\"type\":\"text\",\"text\":\"\"}");
    if (kind == TOOL) {
        wick_buf_puts(b, "{\"type\":\"tool_use\",\"id\":");
        write_text(b, d->id);
        wick_buf_puts(b, ",\"name\":");
        write_text(b, d->name);
        wick_buf_puts(b, ",\"input\":{}}");
    }
    end_event(b);
    c->block_kind = kind;
}

static void write_piece(wick_choice *c, const char *type, const char *member, const char *text, size_t n)
{
    wick_buf *b = &c->g->x->out;
    event(b, "content_block_delta");
    wick_buf_printf(b, ",\"index\":%d,\"delta\":{\"type\":\"%s\",\"%s\":", c->block, type, member);
    wick_json_write_str(b, text, n);
    wick_buf_putc(b, '}');
    end_event(b);
}

static void start_message(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    wick_buf_puts(b, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    write_head(g, b);
    wick_buf_printf(b,
                    "],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":%zu,"
                    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}",
                    g->prompt[0].n);
    end_event(b);
    ping(b, NULL);
}

static void message_open(wick_choice *c)
{
    if (c->g->p.stream) start_message(c->g);
}

static void message_delta(wick_choice *c, const wick_delta *d)
{
    if (!c->g->p.stream) return;
    switch (d->kind) {
    case WICK_DELTA_REASONING:
        open_block(c, THINKING, d);
        write_piece(c, "thinking_delta", "thinking", d->text, d->n);
        break;
    case WICK_DELTA_TEXT:
        open_block(c, TEXT, d);
        write_piece(c, "text_delta", "text", d->text, d->n);
        break;
    case WICK_DELTA_CALL: open_block(c, TOOL, d); break;
    case WICK_DELTA_ARGUMENTS: write_piece(c, "input_json_delta", "partial_json", d->text, d->n); break;
    case WICK_DELTA_CALL_END: close_block(c); break;
    case WICK_DELTA_END: break;
    }
}

/* An event that Anthropic's clients pass over. */
static void message_tools(wick_choice *c, const json_t *calls)
{
    wick_buf *b = &c->g->x->out;
    event(b, "wick_tool_calls");
    wick_buf_puts(b, ",\"wick_tool_calls\":");
    if (!wick_json_write(b, calls)) b->failed = true;
    end_event(b);
}

static void message_end(wick_choice *c, const wick_event *ev)
{
    const wick_gen *g = c->g;
    wick_buf *b = &g->x->out;
    wick_turn_end(c, ev);
    if (!g->p.stream || g->failed) return;
    if (c->block == 0 && c->block_kind == NOTHING_OPEN) open_block(c, TEXT, NULL); /* clients want one block at least */
    close_block(c);
    event(b, "message_delta");
    wick_buf_puts(b, ",\"delta\":{");
    write_stop(c, b);
    wick_buf_puts(b, "},\"usage\":");
    write_usage(g, true, b);
    wick_rounds_write(g, b);
    end_event(b);
    event(b, "message_stop");
    end_event(b);
}

static void write_blocks(const wick_choice *c, wick_buf *b)
{
    size_t n, n_thought;
    const char *text = wick_answer_text(c->answer, &n), *thought = wick_answer_reasoning(c->answer, &n_thought);
    const uint32_t n_calls = wick_answer_n_calls(c->answer);
    const char *sep = "";
    if (n_thought > 0) {
        wick_buf_puts(b, "{\"type\":\"thinking\",\"thinking\":");
        wick_json_write_str(b, thought, n_thought);
        wick_buf_puts(b, ",\"signature\":\"wick\"}");
        sep = ",";
    }
    if (n > 0 || n_calls == 0) {
        wick_buf_printf(b, "%s{\"type\":\"text\",\"text\":", sep);
        wick_json_write_str(b, text, n);
        wick_buf_putc(b, '}');
        sep = ",";
    }
    for (uint32_t i = 0; i < n_calls; i++, sep = ",") {
        const wick_call call = wick_answer_call(c->answer, i);
        json_t *input = json_loadb(call.arguments, call.n_arguments, JSON_ALLOW_NUL, NULL);
        wick_buf_printf(b, "%s{\"type\":\"tool_use\",\"id\":", sep);
        write_text(b, call.id);
        wick_buf_puts(b, ",\"name\":");
        write_text(b, call.name);
        wick_buf_puts(b, ",\"input\":");
        if (json_is_object(input)) {
            wick_buf_add(b, call.arguments, call.n_arguments);
        } else { /* cut by length, or no JSON: the client sees what there was */
            wick_buf_puts(b, "{\"raw\":");
            wick_json_write_str(b, call.arguments, call.n_arguments);
            wick_buf_putc(b, '}');
        }
        wick_buf_putc(b, '}');
        json_decref(input);
    }
}

static void message_answer(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    write_head(g, b);
    write_blocks(&g->choice[0], b);
    wick_buf_puts(b, "],");
    write_stop(&g->choice[0], b);
    wick_buf_puts(b, ",\"usage\":");
    write_usage(g, true, b);
    wick_rounds_write(g, b);
    wick_buf_puts(b, "}\n");
}

static wick_status message_count(wick_params *p, const wick_server_limits *l, uint32_t *n, wick_err *err)
{
    (void)n;
    if (!p->seen_max_tokens) return WICK_FAIL(err, WICK_E_BAD_PARAMETER, "max_tokens", "max_tokens: is missing");
    return wick_anthropic_messages(p, l, err);
}

static const wick_gen_format message_format = {.params = WICK_P_ANTHROPIC,
                                               .count = message_count,
                                               .prepare = wick_turn_prepare,
                                               .begin = wick_turn_begin,
                                               .token = wick_turn_token,
                                               .end = message_end,
                                               .open = message_open,
                                               .delta = message_delta,
                                               .tools = message_tools,
                                               .answer = message_answer};

bool wick_route_anthropic(wick_exchange *x)
{
    return wick_gen_route(x, &message_format);
}
