/* chat/format/toolcall.h - finds the tool calls in a model's text while it streams, in one given syntax.
 *
 * The text before a call comes out at once; from what may open a call on, text is held until it is certain that it is
 * one; from then on the arguments stream. How the text was cut into deltas never changes what comes out: it is read
 * byte by byte. What looks like a call and is none comes out as text, byte for byte; so does everything after a limit
 * is passed. White space beside calls is dropped.
 *
 * Arguments are a JSON object, as the model wrote it (slips mended, literal.h) or made from the syntax with the tool's
 * schema for types. They are something else in three cases: harmony without <|constrain|>json and functionary's python
 * take plain text; a call that was cut by a limit stays cut; what goes wrong after the call was reported is passed on
 * as the model wrote it, up to the marker that ends the call.
 *
 * Syntaxes without a marker (JSON as the whole message, pythonic lists) report only tools of the request, where given;
 * so does every syntax inside of reasoning, and for JSON that stands alone where a call could be. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "chat/format/format.h"

typedef struct wick_toolcall_format wick_toolcall_format;
typedef struct wick_toolcall_parser wick_toolcall_parser;

/* 0: the default */
typedef struct wick_toolcall_limits {
    size_t max_call_bytes; /* 1 MiB; of one call's text, and of its arguments */
    unsigned max_calls;    /* 128; later ones are text */
    unsigned max_depth;    /* 64, at most 200; brackets in arguments */
    unsigned max_params;   /* 128; of calls written parameter by parameter */
    bool marked_only;      /* JSON without the syntax's marker is no call */
} wick_toolcall_limits;

/* Where the text that comes next stands. */
typedef enum wick_toolcall_place {
    WICK_PLACE_START, /* nothing but white space and reasoning came before it */
    WICK_PLACE_TEXT,
    WICK_PLACE_REASONING
} wick_toolcall_place;

/* Where the pieces go. begin: id is NULL where the model wrote none. */
typedef struct wick_toolcall_sink {
    void *user;
    wick_toolcall_place (*place)(void *user);
    void (*text)(void *user, const char *s, size_t n);
    wick_status (*begin)(void *user, const char *id, const char *name, wick_err *err);
    void (*arguments)(void *user, const char *s, size_t n);
    void (*end)(void *user);
} wick_toolcall_sink;

/* tools: the request's OpenAI tools (kept by reference) or NULL. limits may be NULL. The sink's strings are copied. */
wick_status wick_toolcall_parser_new(wick_toolcall_parser **out, const wick_toolcall_format *f, json_t *tools,
                                     const wick_toolcall_limits *limits, const wick_toolcall_sink *sink,
                                     wick_err *err) WICK_MUST_CHECK;
void wick_toolcall_parser_free(wick_toolcall_parser *p);
/* WICK_E_OUT_OF_MEMORY, and what the sink's begin gives, end the parser's use. */
wick_status wick_toolcall_feed(wick_toolcall_parser *p, const char *text, size_t n, wick_err *err) WICK_MUST_CHECK;
/* Nothing follows. cut: a limit ended the text, so what is missing stays missing. */
wick_status wick_toolcall_end(wick_toolcall_parser *p, bool cut, wick_err *err) WICK_MUST_CHECK;
/* What is held and not yet out; *n bytes, valid until the next call. */
const char *wick_toolcall_held(const wick_toolcall_parser *p, size_t *n);
