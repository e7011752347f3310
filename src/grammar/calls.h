/* grammar/calls.h - tool calls as a model's own syntax writes them: text around JSON, or around another notation of it.
 *
 * The JSON automaton (js.h) decides what arguments may be, whatever their notation: what a syntax writes in its own way
 * is translated to JSON byte by byte before the automaton sees it. The text around the arguments, reasoning and free
 * text included, is one expression in which every way to go on is a part of its own (the tool whose arguments begin,
 * the end, a parameter), so that the automaton of expressions (re.h) says which way was taken. Everything is
 * deterministic: where a text may go on or be over, it goes on if it can.
 *
 * It is compiled from a description, a JSON object; chat/format/call_rules.c writes it:
 *
 *   {"tools": [{"name", "schema", "strict", "types": {KEY: ["string", ...]}}],
 *    "begin", "before", "after", "close", "between", "end",   as wick_call_shape (chat/format/format.h) has them
 *    "quote_name", "style": "json" | "params" | "python" | "gemma",
 *    "param_open", "param_mid", "param_mid_json", "param_close", "quote", "avoid": [texts that may not be in a value],
 *    "trigger", "auto", "parallel", "think": {"open", "close", "then", "inside"}}
 *
 * With "auto" the answer is free text until the trigger (without one: unless it begins as a call does); otherwise
 * it is calls. `types` are what the reader of calls takes a parameter's raw text for.
 */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "grammar/js.h"

typedef enum wick_calls_style { CALLS_JSON, CALLS_PARAMS, CALLS_PYTHON, CALLS_GEMMA } wick_calls_style;

typedef enum wick_calls_phase {
    CALLS_AROUND, /* outside of arguments; lex: parts as `node` says */
    CALLS_KEY,    /* PARAMS: the name of a parameter */
    CALLS_VALUE,  /* PARAMS: before a value of one of `forms` */
    CALLS_RAW,    /* a string as it stands, up to what closes it; lex: parts: the string, what is watched, words */
    CALLS_INSIDE, /* arguments, or a value: the JSON automaton has the byte, or its translation */
    CALLS_QUOTE,  /* GEMMA: inside the mark before a string */
    CALLS_OVER
} wick_calls_phase;

/* What the parts of `lex` are. MAIN: one for each tool, then the end, then a parameter. MID: one for each form. */
typedef enum wick_calls_node { CALLS_MAIN, CALLS_MID, CALLS_CLOSE } wick_calls_node;

/* Forms of a value; the types by which a reader takes raw text for something else than a string. */
enum {
    FORM_STRING = 1,
    FORM_NUMBER = 2,
    FORM_BOOL = 4,
    FORM_NULL = 8,
    FORM_OBJECT = 16,
    FORM_ARRAY = 32,
    FORM_ALL = 63,
    N_FORMS = 6
};

typedef struct wick_calls_at {
    uint32_t lex;
    uint32_t clean; /* PARAMS, inside a value: automaton of texts that do not hold what closes it */
    uint32_t shut;  /* PARAMS: automaton of what closes the value */
    uint32_t n_js;  /* bytes of JSON so far, of this call */
    uint16_t tool;
    uint8_t phase, node, depth;
    uint8_t forms; /* that the value may have */
    uint8_t taken; /* PARAMS: that its reader looks for */
    uint8_t sub;   /* QUOTE: bytes of the mark; PYTHON: CALLS_SINGLE, CALLS_BACKSLASH */
} wick_calls_at;
enum { CALLS_SINGLE = 1, CALLS_BACKSLASH = 2 };

typedef struct wick_calls_tool {
    const char *name;
    wick_js start;
    const json_t *types;
} wick_calls_tool;

typedef struct wick_calls {
    wick_js_pool *js;
    json_t *spec; /* owned; the texts below are its */
    wick_calls_style style;
    wick_str param_open, param_mid, param_mid_json, param_close, quote;
    bool typed;    /* PARAMS: param_mid says the type */
    wick_re avoid; /* texts that may not be in a value */
    bool no_first_newline, no_last_newline;
    wick_calls_tool *tool;
    uint32_t n_tools;
    uint32_t start;
    uint32_t next[3]; /* after arguments: calls and the end; PARAMS: a parameter; all of them */
    wick_f_table raw;
} wick_calls;

wick_status wick_calls_init(wick_calls *c, wick_js_pool *js, const char *text, size_t n, wick_buf *warnings,
                            wick_err *err) WICK_MUST_CHECK;
void wick_calls_release(wick_calls *c);

typedef struct wick_calls_state {
    wick_js js;
    wick_calls_at at;
} wick_calls_state;

wick_calls_state wick_calls_start(const wick_calls *c);
/* text has the JSON of the call so far, and room for CALLS_MOST bytes for each byte of the answer. False: the byte may
 * not come, or the pool failed. */
enum { CALLS_MOST = 4 };
bool wick_calls_step(wick_calls *c, const wick_calls_state *s, uint8_t byte, char *text, wick_calls_state *out);
/* The same for a control token's text, which stands for itself: nowhere inside of arguments. */
bool wick_calls_step_control(wick_calls *c, const wick_calls_state *s, wick_str token, char *text,
                             wick_calls_state *out);
bool wick_calls_may_end(const wick_calls *c, const wick_calls_state *s);
bool wick_calls_repeats(const wick_calls *c, const wick_calls_state *s);
bool wick_calls_is_bare(wick_str name); /* a parameter's name that needs no quotes */
/* A literal of the description; %d and %s as wick_call_shape says. loose: white space beside JSON's own characters may
 * be more or less. */
wick_re wick_calls_literal(wick_re_pool *p, wick_str s, bool loose);
