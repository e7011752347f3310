/* chat/format/call.h - inside of chat/format: the row of a call syntax, the cursor over held text, and the pieces that
 * the syntaxes' files are made of.
 *
 * A syntax is a function that reads one call, wick_tc_<syntax>. It is called again after every byte that comes, with
 * the same cursor: `phase` and the cursor's other fields are its memory, and `i` moves past what it is done with. So
 * what it finds can't depend on how the text was cut. From the moment it sets `sure`, the call is reported and
 * arguments stream as they are appended to `args`; before that it can still say BAD, and the text stays text. */
#pragma once
#include <string.h>
#include "base/str.h"
#include "chat/format/literal.h"
#include "chat/format/toolcall.h"

enum { WICK_TC_NAME_MAX = 256, WICK_TC_BAD_MAX = 16, WICK_TC_HEADER_MAX = 512, WICK_TC_SPACE_MAX = 64 };

typedef struct wick_tc_cur wick_tc_cur;
typedef wick_tc_step wick_tc_syntax(wick_tc_cur *c);

/* Calls written parameter by parameter:
 * open NAME name_end [attributes head_end] (param_open KEY key_end [attributes attr_end] [value_open] VALUE
 * param_close)* close */
typedef struct wick_tc_params {
    const char *open, *name_end, *head_end,
        *close; /* open "": the name stands alone; close NULL: the row's closing marker */
    const char *param_open, *key_end, *attr_end, *value_open;
    const char *param_close; /* NULL: an XML end tag named like the parameter, after `space` */
    const char *space;       /* counts as white space between tags */
    bool markup;             /* values may be CDATA sections and hold XML entities */
} wick_tc_params;

typedef struct wick_tc_open {
    const char *mark;
    bool keep;  /* belongs to the call itself */
    bool start; /* only as the first text of the answer */
} wick_tc_open;

struct wick_toolcall_format {
    const char *name;
    wick_tc_syntax *read;
    wick_tc_open open[4];
    const char *close[3]; /* after the calls */
    const char *skip[4];  /* between calls, or after one; no text */
    const wick_tc_params *params;
    const char *quote;  /* GEMMA: around strings */
    bool json;          /* calls are JSON objects; they may stand in an array */
    bool also_json;     /* {...} in place of the syntax */
    bool array;         /* calls may stand in [ ], divided by commas */
    bool needs_array;   /* without the brackets it is no call */
    bool keyed;         /* JSON: {"name": {arguments}} */
    bool late_id;       /* JSON: the id follows the arguments, so that a call is known at its end only */
    bool bare;          /* calls also begin without a marker, at the start of a line */
    bool implied_start; /* the prompt ends with the opening marker */
    wick_call_shape shape;
};

struct wick_tc_cur {
    /* The text: the call begins at or before i. */
    const char *s;
    size_t n, i;
    bool end; /* no more text comes */
    /* What is around it. */
    bool marked, in_array; /* marked: a marker told that a call comes, so any name is believed */
    const wick_toolcall_format *f;
    const wick_toolcall_limits *lim;
    const json_t *tools;
    /* The syntax's memory. */
    unsigned phase, kind, n_params;
    bool nested, has_name, has_args;
    bool sure;     /* the call is reported */
    bool harmless; /* BAD, but nothing was wrong with the text */
    size_t scan;   /* from i on, what was looked at already */
    wick_lit lit;
    wick_buf key, keys, value; /* the parameter that is read; the names of those before it, each with a NUL */
    /* The call. */
    wick_buf name, id, args;
};

/* --- cursor.c --- */
bool wick_tc_is_space(char c);
void wick_tc_space(wick_tc_cur *c);
wick_tc_step wick_tc_lit(wick_tc_cur *c, const char *lit);
/* Like lit, without moving; MORE while lit may still come. */
wick_tc_step wick_tc_peek(const wick_tc_cur *c, const char *lit);
wick_tc_step wick_tc_peek_at(const wick_tc_cur *c, size_t at, const char *lit);
/* Any of marks (NULL-terminated, or n of them) at `at`; *len: its length. */
wick_tc_step wick_tc_any(const wick_tc_cur *c, size_t at, const char *const *marks, size_t n, size_t *len);
/* A name of 1 to WICK_TC_NAME_MAX bytes, ended by another character. */
wick_tc_step wick_tc_ident(wick_tc_cur *c, wick_str *out);
/* Text before `stop`, blanks aside, which is passed; at most WICK_TC_NAME_MAX bytes. */
wick_tc_step wick_tc_name_up_to(wick_tc_cur *c, const char *stop, wick_str *out);
/* Is there an end of the text at `at`, and of what length? MORE: undecided. */
typedef wick_tc_step wick_tc_stop(const wick_tc_cur *c, size_t at, size_t *len);
typedef enum wick_tc_trim { WICK_TC_KEEP, WICK_TC_NEWLINE, WICK_TC_BLANKS } wick_tc_trim; /* at the end of the text */
/* Moves the text before the end that `stop` finds to `to`, as it comes; escape: as the inside of a JSON string. OK: the
 * end came and was passed. */
wick_tc_step wick_tc_flow(wick_tc_cur *c, wick_tc_stop *stop, wick_tc_trim trim, wick_buf *to, bool escape);
bool wick_tc_valid(const char *s, size_t n); /* UTF-8 without a NUL */

/* --- value.c --- */
/* Strict JSON. OK: *out (may be NULL) is the caller's. */
wick_tc_step wick_tc_json(const char *s, size_t n, json_t **out);
wick_tc_step wick_tc_put_string(wick_buf *b, const char *s, size_t n);
void wick_tc_put_escaped(wick_buf *b, const char *s, size_t n); /* the same without quotes, for any bytes */
/* A value written as raw text, by the type that schema (may be NULL) gives it. */
wick_tc_step wick_tc_put_typed(wick_buf *b, const json_t *schema, wick_str raw, unsigned max_depth);
bool wick_tc_is_string(const json_t *schema); /* nothing but a string fits it */
/* The types that wick_tc_put_typed goes by, as JSON Schema names them; an empty list: all. NULL: out of memory. */
json_t *wick_tc_type_names(const json_t *schema);

/* --- call_common.c: what syntaxes share --- */
wick_tc_step wick_tc_set_name(wick_tc_cur *c, const char *s, size_t n);
wick_tc_step wick_tc_set_id(wick_tc_cur *c, const char *s, size_t n);
const json_t *wick_tc_tool(const json_t *tools, const char *name, size_t n); /* its "function", or NULL */
/* Past white space, of which no more than WICK_TC_SPACE_MAX bytes are passed: it is looked at again after each byte. */
size_t wick_tc_past_space(const wick_tc_cur *c, size_t at);
/* The rest of a literal that was begun with wick_lit_init: OK when it is whole. A marker that ends the call closes what
 * is open. Sets `sure` once the literal has really begun, if may_be_sure. */
wick_tc_step wick_tc_literal(wick_tc_cur *c, bool may_be_sure);
/* {...} after a name, perhaps in a fence. First call with phase as *begin*, later with what it leaves. */
wick_tc_step wick_tc_args(wick_tc_cur *c);

/* --- the syntaxes --- */
wick_tc_syntax wick_tc_json_call, wick_tc_params_call, wick_tc_python_call, wick_tc_gemma_call, wick_tc_mistral_call,
    wick_tc_deepseek_call, wick_tc_kimi_call, wick_tc_solar_call, wick_tc_tag_call, wick_tc_harmony_call,
    wick_tc_functionary_call, wick_tc_llama_call;
/* Bare JSON is held only while it begins as a call does. */
wick_tc_step wick_tc_begins_as_call(const wick_tc_cur *c);
