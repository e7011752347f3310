/* server/problem.c - errors become answers: which status, and the text, in the form of the exchange's dialect. */
#include <stdio.h>
#include <string.h>
#include "base/str.h"
#include "server/dialect/dialect.h"
#include "server/server_int.h"

void wick_problem(wick_exchange *x, unsigned status, const char *param, const char *code, const char *fmt, ...)
{
    char raw[640], line[800];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    wick_escape_line(line, sizeof line, raw, strlen(raw));
    wick_buf_reset(&x->out);
    const wick_problem_text text = {status, param, code, line, x->n_prompt_tokens, x->n_ctx};
    x->dialect->problem(&x->out, &text);
    wick_buf_putc(&x->out, '\n');
    x->status = status;
    x->content_type = "application/json";
    x->stream = false;
}

unsigned wick_problem_status(const wick_err *err, const char **code)
{
    *code = NULL;
    switch (err->kind) {
    case WICK_E_REFUSED:
        if (strcmp(err->subject, "scope") == 0) {
            *code = "scope";
            return 403;
        }
        return 400;
    case WICK_E_BAD_PARAMETER:
    case WICK_E_TEMPLATE: return 400;
    case WICK_E_MODEL_NOT_FOUND: *code = "model_not_found"; return 404;
    case WICK_E_LIMIT:
        if (strcmp(err->subject, "queue") == 0) {
            *code = "queue_full";
            return 429;
        }
        if (strcmp(err->subject, "rate") == 0) {
            *code = "rate_limit_exceeded";
            return 429;
        }
        if (strcmp(err->subject, "prompt") == 0) {
            *code = "context_length_exceeded";
            return 400;
        }
        if (strcmp(err->subject, "deadline") == 0) return 504;
        return 500;
    case WICK_E_OUT_OF_MEMORY: *code = "out_of_memory"; return 503;
    case WICK_E_CANCELLED: *code = "cancelled"; return 503;
    case WICK_E_DEVICE_NOT_AVAILABLE: *code = "device_not_available"; return 503;
    default: return 500;
    }
}

void wick_problem_err(wick_exchange *x, const wick_err *err)
{
    const char *code;
    unsigned status = wick_problem_status(err, &code);
    const bool named = status == 400 && err->subject[0];
    wick_problem(x, status, named ? err->subject : NULL, code, "%s",
                 err->message[0] ? err->message : wick_status_name(err->kind));
    if (status == 429 && !x->retry_after_s) x->retry_after_s = 1;
}
