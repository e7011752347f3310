/* server/dialect/openai.c - what the routes of OpenAI's API have in common: errors, and streams that end with [DONE].
 * */
#include <string.h>
#include "server/dialect/dialect.h"
#include "server/gen.h"

const char *wick_dialect_openai_type(unsigned status)
{
    switch (status) {
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 429: return "rate_limit_error";
    default: return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

static void text_or_null(wick_buf *b, const char *s)
{
    if (s)
        wick_json_write_str(b, s, strlen(s));
    else
        wick_buf_puts(b, "null");
}

void wick_dialect_openai_problem(wick_buf *b, const wick_problem_text *p)
{
    wick_buf_puts(b, "{\"error\":{\"message\":");
    wick_json_write_str(b, p->message, strlen(p->message));
    wick_buf_printf(b, ",\"type\":\"%s\",\"param\":", wick_dialect_openai_type(p->status));
    text_or_null(b, p->param);
    wick_buf_puts(b, ",\"code\":");
    text_or_null(b, p->code);
    wick_buf_puts(b, "}}");
}

void wick_dialect_sse_comment(wick_buf *b, const char *text)
{
    wick_buf_puts(b, ": ");
    wick_buf_puts(b, text);
    wick_buf_puts(b, "\n\n");
}

static void stream_problem(wick_gen *g, const wick_problem_text *p)
{
    wick_buf *b = &g->x->out;
    wick_sse_begin(b);
    wick_dialect_openai_problem(b, p);
    wick_sse_end(b);
}

static void stream_end(wick_gen *g)
{
    wick_buf *b = &g->x->out;
    wick_sse_begin(b);
    wick_buf_puts(b, "[DONE]");
    wick_sse_end(b);
}

const wick_dialect wick_dialect_openai = {.name = "OpenAI",
                                          .stream_type = "text/event-stream; charset=utf-8",
                                          .problem = wick_dialect_openai_problem,
                                          .stream_problem = stream_problem,
                                          .stream_end = stream_end,
                                          .comment = wick_dialect_sse_comment};
