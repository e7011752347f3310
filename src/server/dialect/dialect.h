/* server/dialect/dialect.h - what one family of clients expects on the wire, besides the answers themselves.
 *
 * A dialect owns its content type, the framing of its streams, its errors and its parameters' names; it is a file of
 * this
 * folder and one wick_dialect. A route names its dialect (server/router.c), and everything else of the server asks the
 * exchange's dialect, so that no other file knows what an error or the end of a stream looks like.
 */
#pragma once
#include "base/buf.h"
#include "server/params.h"

typedef struct wick_gen wick_gen;

/* An error, before it is written down. */
typedef struct wick_problem_text {
    unsigned status;          /* of HTTP */
    const char *param;        /* the parameter at fault, or NULL */
    const char *code;         /* a stable name such as "context_length_exceeded", or NULL */
    const char *message;      /* one line */
    uint32_t n_prompt, n_ctx; /* tokens, of a prompt that is too long; 0: not known */
} wick_problem_text;

struct wick_dialect {
    const char *name;        /* as the documentation says it */
    const char *stream_type; /* content type of a stream */
    /* An error as a whole body, without a newline at its end. */
    void (*problem)(wick_buf *b, const wick_problem_text *p);
    /* An error after the first byte of a stream. */
    void (*stream_problem)(wick_gen *g, const wick_problem_text *p);
    /* What ends a stream, after an error too; NULL: nothing does. */
    void (*stream_end)(wick_gen *g);
    /* A line that keeps a quiet connection alive; NULL: the framing has no such thing. */
    void (*comment)(wick_buf *b, const char *text);
    bool any_type; /* clients send JSON under any Content-Type, or none (web pages are kept out by their Origin) */
};

extern const wick_dialect wick_dialect_openai, wick_dialect_mcp;

/* Shared by the dialects that stream server-sent events. */
void wick_dialect_sse_comment(wick_buf *b, const char *text);
/* OpenAI's form of an error: {"error": {"message", "type", "param", "code"}}. */
void wick_dialect_openai_problem(wick_buf *b, const wick_problem_text *p);
/* "rate_limit_error" and the like. */
const char *wick_dialect_openai_type(unsigned status);
