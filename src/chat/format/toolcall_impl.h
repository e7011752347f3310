/* chat/format/toolcall_impl.h - shared by toolcall*.c: the description of a syntax, the cursor over held text, and the
 * pieces that the call parsers are made of.
 *
 * A call is parsed from its start each time it may have become complete. The one long piece it waits for (a bracketed
 * value, text up to a marker) is remembered in a wick_tc_scan and resumed, so that waiting costs no more than the bytes
 * that arrive. */
#pragma once
#include <string.h>
#include "base/str.h"
#include "chat/format/toolcall.h"

enum { WICK_TC_NAME_MAX = 256, WICK_TC_BAD_MAX = 16, WICK_TC_HEADER_MAX = 512 };

typedef enum wick_tc_step {
    WICK_TC_OK,
    WICK_TC_MORE,  /* undecided without more text */
    WICK_TC_BAD,   /* no call */
    WICK_TC_PLAIN, /* what was parsed says that content follows */
    WICK_TC_NOMEM
} wick_tc_step;
#define WICK_TC_TRY(call)                          \
    do {                                           \
        wick_tc_step tc_try_ = (call);             \
        if (tc_try_ != WICK_TC_OK) return tc_try_; \
    } while (0)

typedef enum wick_tc_body {
    WICK_TC_JSON,        /* {"name", "arguments" | "parameters", "id"?}, or an array of them */
    WICK_TC_JSON_KEYS,   /* {"name": {arguments}} */
    WICK_TC_XML,         /* <function=f><parameter=k>v</parameter></function> and its relatives */
    WICK_TC_GLM,         /* f, then <arg_key>k</arg_key><arg_value>v</arg_value> */
    WICK_TC_PYTHON,      /* f(a=1, b="x") */
    WICK_TC_GEMMA,       /* call:f{k:v} */
    WICK_TC_ARGS,        /* f[CALL_ID]id[ARGS]{...}; or as JSON */
    WICK_TC_DEEPSEEK,    /* [function<sep>]f<sep or newline and fence>{...} */
    WICK_TC_KIMI,        /* functions.f:0<begin>{...} */
    WICK_TC_HARMONY,     /* header with to=functions.f, <|message|>, text */
    WICK_TC_FUNCTIONARY, /* f, newline, {...}; "all" is content */
    WICK_TC_BARE         /* JSON with a known first key, f(...), or after its marker code */
} wick_tc_body;

typedef struct wick_tc_xml {
    const char *open, *name_end, *close, *param_open, *param_name_end;
    const char *param_close[2]; /* NULL-terminated */
    bool typed;                 /* string="true|false" says what a value is */
} wick_tc_xml;

typedef struct wick_tc_open {
    const char *mark;
    bool keep;  /* belongs to the call itself */
    bool start; /* only at the start of the text */
} wick_tc_open;

struct wick_toolcall_format {
    const char *name;
    const char *needles[2], *or_needle; /* the template's source has all of needles, or the other */
    wick_tc_open open[4];
    const char *close[3]; /* after the calls */
    const char *skip[4];  /* between calls, or after one; no text */
    wick_tc_body body;
    const wick_tc_xml *xml;
    const char *quote;  /* GEMMA: around strings */
    bool also_json;     /* {...} and [...] in place of the body */
    bool implied_start; /* the prompt ends with the opening marker */
};

typedef struct wick_tc_scan {
    enum { WICK_TC_IDLE, WICK_TC_UNTIL, WICK_TC_SPAN } kind;
    bool done, bad, in_string;
    size_t at, pos; /* where it began, where it goes on; done: the end */
    const char *const *stops;
    size_t which;
    const char *quotes; /* SPAN: characters that delimit strings */
    const char *delim;  /* SPAN: or this */
    char quote;
    unsigned depth;
} wick_tc_scan;

typedef struct wick_tc_cur {
    const char *s;
    size_t n, i;
    bool end; /* no more text comes */
    bool marked, in_array;
    const wick_toolcall_format *f;
    const wick_toolcall_limits *lim;
    const json_t *tools;
    wick_tc_scan *scan;
    wick_buf *name, *id, *args; /* the call */
} wick_tc_cur;

/* --- toolcall_scan.c --- */
bool wick_tc_is_space(char c);
void wick_tc_space(wick_tc_cur *c);
wick_tc_step wick_tc_lit(wick_tc_cur *c, const char *lit);
/* Like lit, without moving; MORE while lit may still come. */
wick_tc_step wick_tc_peek(const wick_tc_cur *c, const char *lit);
/* A name of 1 to WICK_TC_NAME_MAX bytes, ended by another character. */
wick_tc_step wick_tc_ident(wick_tc_cur *c, wick_str *out);
/* Text up to the first of stops (NULL-terminated, static), which is passed. to_end: the end of all text is a stop too. */
wick_tc_step wick_tc_until(wick_tc_cur *c, const char *const *stops, bool to_end, wick_str *out);
/* A bracketed value with its brackets. */
wick_tc_step wick_tc_span(wick_tc_cur *c, const char *quotes, const char *delim, wick_str *out);
/* Goes on with the remembered piece. False: it is still not complete. */
bool wick_tc_scan_resume(wick_tc_scan *scan, const char *s, size_t n, bool end, unsigned max_depth);

/* --- toolcall_value.c --- */
/* Strict JSON, no key twice. OK: *out (may be NULL) is the caller's. */
wick_tc_step wick_tc_json(const char *s, size_t n, json_t **out);
/* The next member of valid object text; *i is 0 at first. False: none. Key and value as written. */
bool wick_tc_member(wick_str object, size_t *i, wick_str *key, wick_str *value);
wick_tc_step wick_tc_put_string(wick_buf *b, const char *s, size_t n);
/* Python or Gemma literals as JSON: text is the whole value. delim NULL: Python. */
wick_tc_step wick_tc_put_literal(wick_buf *b, wick_str text, const char *delim, unsigned max_depth);
/* Members between brackets, "k=v, ..." or "k:v, ...", as an object. */
wick_tc_step wick_tc_put_members(wick_buf *b, wick_str span, const char *delim, unsigned max_depth);
/* A value written as raw text, by the type that schema (may be NULL) gives it. */
wick_tc_step wick_tc_put_typed(wick_buf *b, const json_t *schema, wick_str raw, unsigned max_depth);

/* --- toolcall_body.c --- */
wick_tc_step wick_tc_call(wick_tc_cur *c);
