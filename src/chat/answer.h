/* chat/answer.h - an answer: the engine's text and end in, typed pieces out. Server, C API and CLI read answers with
 * it.
 *
 *   wick_answer_new(&a, &opts, err);
 *   for each event of the request: wick_answer_event(a, ev, err); while ((d = wick_answer_next(a))) ... use d ...
 *   wick_answer_free(a);
 *
 * How the text was cut never changes what comes out in total: the texts of each kind put together, the calls and their
 * order, and the place of a call among the texts are the same. No part of a tag comes out. Invariants:
 *
 *   1. CALL, ARGUMENTS*, CALL_END belong together and are not interrupted by another call or by text.
 *   2. Calls are numbered from 0 in the order of their CALL.
 *   3. END is the last delta, comes once, and only from wick_answer_finish or an event that is DONE.
 *   4. Arguments put together are a JSON object, unless the model wrote none: cut by length, or malformed beyond
 *      repair; or a syntax allows plain text (harmony without <|constrain|>json, functionary's python).
 *   5. Texts are UTF-8 where the engine's are.
 *
 * One answer belongs to one thread at a time. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "chat/format/format.h"
#include "engine/engine.h"

typedef struct wick_answer wick_answer;

typedef enum wick_delta_kind {
    WICK_DELTA_REASONING, /* text */
    WICK_DELTA_TEXT,      /* text */
    WICK_DELTA_CALL,      /* a call begins: call, id, name */
    WICK_DELTA_ARGUMENTS, /* call, text: more of its arguments, as JSON text */
    WICK_DELTA_CALL_END,  /* call */
    WICK_DELTA_END        /* end */
} wick_delta_kind;

typedef enum wick_answer_end {
    WICK_END_NONE,        /* it goes on */
    WICK_END_TURN,        /* the model ended its turn */
    WICK_END_STOP_STRING, /* a stop string of the request */
    WICK_END_LENGTH,
    WICK_END_CALLS, /* ended by itself, with at least one call, own ones included */
    WICK_END_CANCELLED,
    WICK_END_ERROR
} wick_answer_end;

typedef struct wick_delta {
    wick_delta_kind kind;
    wick_answer_end end;
    uint32_t call;         /* its index */
    const char *text;      /* REASONING, TEXT, ARGUMENTS: n bytes, at least one, and a NUL */
    const char *id, *name; /* CALL: NUL-terminated */
    size_t n;
} wick_delta;

typedef struct wick_answer_opts {
    wick_chat_format format; /* what the template teaches, from chat/caps; {0}: all is text */
    json_t *tools;           /* the request's OpenAI tools, kept by reference; NULL: calls are text */
    bool ignore_calls;       /* tool_choice "none": calls are text */
    bool one_call;           /* parallel_tool_calls false: calls after the first are dropped */
    bool raw_reasoning;      /* reasoning is not split off: it is text, with its tags */
    bool keep;               /* the whole answer is kept, for wick_answer_text and the like */
    /* Calls of tools that the caller runs itself (tools.h): they do not come out, and are kept apart for
     * wick_answer_own_json. NULL: there are none. */
    bool (*is_own)(void *ctx, const char *name);
    void *own_ctx;
    /* From chat/prompt: what the answer starts inside of. */
    bool inside_reasoning;
    /* Text of this very answer that the prompt ends with (a continued message). It is read as if the model had written
     * it, but is not part of what comes out; a call that it begins is. */
    const char *prefill;
    size_t n_prefill;
} wick_answer_opts;

/* prefill is read here and need not live on. Errors: WICK_E_OUT_OF_MEMORY. */
wick_status wick_answer_new(wick_answer **out, const wick_answer_opts *o, wick_err *err) WICK_MUST_CHECK;
void wick_answer_free(wick_answer *a); /* NULL is fine */

/* After the end: the answer goes on with another request, whose prompt has the results of the calls. What came so far
 * is kept, but own calls are forgotten; a blank line comes between the texts. format, tools, is_own and
 * inside_reasoning of `o` count. */
wick_status wick_answer_go_on(wick_answer *a, const wick_answer_opts *o, wick_err *err) WICK_MUST_CHECK;

/* A TOKEN or DONE event of the request, with its text; counts tokens; others are ignored. After an error (out of
 * memory) the answer may only be freed. */
wick_status wick_answer_event(wick_answer *a, const wick_event *ev, wick_err *err) WICK_MUST_CHECK;
/* The same in two parts, for text that comes from elsewhere. */
wick_status wick_answer_feed(wick_answer *a, const char *text, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_answer_finish(wick_answer *a, wick_finish how, wick_err *err) WICK_MUST_CHECK;

/* The next piece that is certain by now, or NULL. Its strings are valid until the next event, feed or finish. */
const wick_delta *wick_answer_next(wick_answer *a);

/* --- what came so far --------------------------------------------------------------------------------------------- */

wick_answer_end wick_answer_how(const wick_answer *a); /* WICK_END_NONE before the end */
/* "stop", "length", "tool_calls", "cancelled", "error"; NULL for WICK_END_NONE. */
const char *wick_answer_end_name(wick_answer_end end);
uint32_t wick_answer_n_calls(const wick_answer *a);
/* Tokens whose text (or part of it) was reasoning or its tags. Only wick_answer_event counts them. */
uint32_t wick_answer_reasoning_tokens(const wick_answer *a);

/* With opts.keep; borrowed, never NULL, NUL-terminated, valid until the next event, feed or finish. n may be NULL. */
const char *wick_answer_text(const wick_answer *a, size_t *n);
const char *wick_answer_reasoning(const wick_answer *a, size_t *n);
typedef struct wick_call {
    const char *id, *name, *arguments;
    size_t n_arguments;
} wick_call;
wick_call wick_answer_call(const wick_answer *a, uint32_t i); /* i < wick_answer_n_calls */
/* The own calls since the last wick_answer_go_on, in the same form: a new array, empty without any. NULL: out of
 * memory. */
json_t *wick_answer_own_json(const wick_answer *a);
uint32_t wick_answer_n_own(const wick_answer *a);
/* After the end: own calls will not be run, so the answer is one that was cut (WICK_END_LENGTH), unless it has others
 * too. */
void wick_answer_cut_own(wick_answer *a);
/* OpenAI's `tool_calls`: [{"id", "type": "function", "function": {"name", "arguments"}}]. NULL: out of memory. */
json_t *wick_answer_calls_json(const wick_answer *a);

/* Must the engine show control tokens (wick_request_opts.show_special) for the tags to be seen? With calls or reasoning
 * with a tag that begins with a control token of this tokenizer. with_calls: calls are looked for. */
bool wick_chat_format_needs_special(const wick_chat_format *f, const wick_tokenizer *t, bool with_calls);
