/* chat/format/toolcall.h - tool calls in a model's text: which syntax its template teaches, and parsing it as it streams.
 *
 * Input is the text after reasoning was taken out (chat/format/reasoning.h). Content before a call comes out at once; from
 * what may open a call on, text is held; each call is reported when its last byte is there. How the text was cut into
 * deltas never changes the result. What looks like a call and is none comes out as content, byte for byte; so does
 * everything after a limit is passed. White space beside calls is dropped.
 *
 * Arguments are JSON text, an object, as the model wrote it or built from the syntax (with the tool's schema for types).
 * Two syntaxes allow other text: harmony without <|constrain|>json and functionary's python; it is passed as it is.
 * A bare syntax (no marker: JSON as the whole message, pythonic lists) reports only tools of the request, where given. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "chat/format/format.h"

typedef struct wick_toolcall_format wick_toolcall_format; /* static: never freed */
typedef struct wick_toolcall_parser wick_toolcall_parser;

/* 0: the default */
typedef struct wick_toolcall_limits {
    size_t max_call_bytes; /* 1 MiB; of one call's text */
    unsigned max_calls;    /* 128; later ones are content */
    unsigned max_depth;    /* 64, at most 200; brackets in arguments */
    unsigned max_params;   /* 128; of calls written parameter by parameter */
} wick_toolcall_limits;

/* The syntax that a template's source teaches. A template that takes tools and names no known marker gets "hermes".
 * NULL: no tool calls. */
const wick_toolcall_format *wick_toolcall_detect(const char *source, bool takes_tools);
const wick_toolcall_format *wick_toolcall_by_name(const char *name); /* NULL: unknown */
const wick_toolcall_format *wick_toolcall_at(size_t i);              /* all of them in turn; NULL past the last */
const char *wick_toolcall_name(const wick_toolcall_format *f);
/* The marker before calls, NULL where the syntax is bare. */
const char *wick_toolcall_open(const wick_toolcall_format *f);

/* tools: the request's OpenAI tools (kept by reference) or NULL. limits may be NULL. */
wick_status wick_toolcall_parser_new(wick_toolcall_parser **out, const wick_toolcall_format *f, json_t *tools,
                                     const wick_toolcall_limits *limits, wick_err *err) WICK_MUST_CHECK;
void wick_toolcall_parser_free(wick_toolcall_parser *p);
/* Appends to content what is certain, and to the array calls each call that became complete:
 * {"id"? , "name", "arguments"}, all strings; "id" only where the model wrote one. WICK_E_OUT_OF_MEMORY ends the parser's use. */
wick_status wick_toolcall_feed(wick_toolcall_parser *p, const char *text, size_t n, wick_buf *content, json_t *calls,
                               wick_err *err) WICK_MUST_CHECK;
/* Nothing follows. */
wick_status wick_toolcall_end(wick_toolcall_parser *p, wick_buf *content, json_t *calls, wick_err *err) WICK_MUST_CHECK;
/* All at once; calls is an array. */
wick_status wick_toolcall_parse(const wick_toolcall_format *f, json_t *tools, const char *text, size_t n,
                                wick_buf *content, json_t *calls, wick_err *err) WICK_MUST_CHECK;
