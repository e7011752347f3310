/* chat/format/format.h - what a model's answers are written in: the syntax of its reasoning and that of its tool calls.
 *
 * Each syntax is one row: `calls` in chat/format/calls.c, `think` in chat/format/think.c; what a row can't say as data
 * is a function in a file of its own. The same row gives the parser (chat/answer.h) and the shape that a constraint is
 * made from (wick_call_shape).
 *
 * A syntax is chosen by rendering the model's template with a sentinel call and sentinel reasoning and looking at what
 * came out, never by searching the template's source. All rows are static and never freed; everything here may be used
 * from any thread. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "text/tokenizer.h"

typedef struct wick_toolcall_format wick_call_syntax;
typedef struct wick_think_syntax wick_think_syntax;

/* What one template teaches. Copied freely. */
typedef struct wick_chat_format {
    const wick_call_syntax *calls;  /* NULL: no tool calls */
    const wick_think_syntax *think; /* NULL: no reasoning */
    bool describe;                  /* the template ignores `tools`: wick_call_describe goes into the system message */
    bool guessed; /* the template shows tools, but no call that could be read: `calls` is what it tells of, or hermes */
} wick_chat_format;

/* One render of the template that is asked about. messages, tools and vars are OpenAI's, tools and vars may be NULL.
 * Appends to out; false: the template refused (out is then not looked at). Nothing is normalised on the way but the
 * form of the arguments (object or string), which the renderer knows. */
typedef bool (*wick_format_render)(void *user, const json_t *messages, const json_t *tools, const json_t *vars,
                                   bool generation_prompt, wick_buf *out);

/* What the template teaches, by a few renders. A template that refuses every probe gets {0}. */
wick_status wick_chat_format_choose(wick_chat_format *out, wick_format_render render, void *user,
                                    wick_err *err) WICK_MUST_CHECK;
/* Fills in what no render showed: a marker that is a token of its own in the model's vocabulary tells the syntax (LFM2
 * and its successor call tools with tokens that their templates never write). t may be NULL. */
void wick_chat_format_complete(wick_chat_format *f, const wick_tokenizer *t);

const wick_call_syntax *wick_call_syntax_by_name(const char *name); /* NULL: unknown */
const wick_call_syntax *wick_call_syntax_at(size_t i);              /* in turn; NULL past the last */
const char *wick_call_syntax_name(const wick_call_syntax *f);
/* The marker before calls; NULL where the syntax has none. */
const char *wick_call_syntax_open(const wick_call_syntax *f);
/* All markers that may open calls, in turn, also those that are not needed; NULL past the last. */
const char *wick_call_syntax_mark(const wick_call_syntax *f, size_t i);
const wick_think_syntax *wick_think_syntax_by_name(const char *name);
const wick_think_syntax *wick_think_syntax_at(size_t i);
const char *wick_think_syntax_name(const wick_think_syntax *t);
const char *wick_think_open(const wick_think_syntax *t);  /* "<think>" */
const char *wick_think_close(const wick_think_syntax *t); /* "</think>" */
/* Is the text after this prompt reasoning from its first byte? (The prompt, or its last bytes, ends with the opening
 * tag, blanks aside.) t may be NULL: false. */
bool wick_think_begins_inside(const wick_think_syntax *t, const char *prompt, size_t n);

/* The tools as a text for the system message of a template that ignores `tools`, with an example of a call. Appends. */
wick_status wick_call_describe(const wick_call_syntax *f, const json_t *tools, wick_buf *out,
                               wick_err *err) WICK_MUST_CHECK;

/* --- the shape of calls, for a constraint ------------------------------------------------------------------------- */

/* Text of n calls with arguments that follow the tools' schemas:
 *
 *   begin (call (between call)*) end            call = before NAME after ARGUMENTS close
 *
 * NAME is a tool's name as it stands, or a JSON string where quote_name. ARGUMENTS by `style`. Strings hold the layout
 * that models write; white space at their ends may be left out or doubled by a model. Places that are filled in: %d the
 * number of the call, from 0; %s an id of nine letters and digits; %k the parameter's name; %t the JSON type of its
 * value ("string", "number", "boolean", "null", "object", "array"). NULL is an empty string. */
typedef enum wick_call_style {
    WICK_STYLE_JSON, /* a JSON object; the default */
    /* For each member param_open KEY param_mid VALUE param_close. VALUE is a string as it stands, and JSON for other
     * types (after param_mid_json, where that is there). */
    WICK_STYLE_PARAMS,
    WICK_STYLE_PYTHON, /* key=value, ... with Python literals */
    WICK_STYLE_GEMMA   /* {key:value, ...} with strings between `quote` */
} wick_call_style;

typedef struct wick_call_shape {
    const char *trigger; /* calls, that is `begin` and `before`, begin with this text, and wherever it appears; NULL:
                          * they are the first text of the answer only */
    const char *begin, *before, *after, *close, *between, *end;
    bool quote_name;
    wick_call_style style;
    const char *param_open, *param_mid, *param_mid_json, *param_close; /* PARAMS */
    const char *quote;                                                 /* GEMMA */
    bool single;                                                       /* no more than one call may be written */
} wick_call_shape;
const wick_call_shape *wick_call_syntax_shape(const wick_call_syntax *f);
/* Calls (OpenAI's tool_calls, arguments as objects) as a model of that syntax writes them. Appends. */
wick_status wick_call_write(const wick_call_syntax *f, const json_t *calls, wick_buf *out,
                            wick_err *err) WICK_MUST_CHECK;

/* What a request asks of the calls in an answer. */
typedef struct wick_call_rules {
    const json_t *tools;   /* the request's, in OpenAI's form */
    const json_t *only;    /* names of those that may be called; NULL: all */
    const json_t *strict;  /* an object with the names of those whose schema must be kept or refused; NULL: none */
    bool automatic;        /* the answer may also be text; false: it is calls, after reasoning */
    bool parallel;         /* more than one, where the syntax has that */
    bool inside_reasoning; /* the answer begins inside of reasoning */
} wick_call_rules;
/* Appends the description that WICK_GRAMMAR_CALLS is compiled from. f->calls is there. */
wick_status wick_call_constraint(const wick_chat_format *f, const wick_call_rules *r, wick_buf *out,
                                 wick_err *err) WICK_MUST_CHECK;
