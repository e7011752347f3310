/* chat/format/literal.h - a literal (JSON, Python, Gemma) to JSON text, byte by byte, as it comes.
 *
 * JSON comes out as the model wrote it, white space included; the others without white space. Slips with one reading
 * are mended: control characters in strings, a comma before a closing bracket, single quotes, True, False and None,
 * escapes that JSON doesn't know, half surrogates. What comes out is always the beginning of valid JSON. */
#pragma once
#include "base/buf.h"

typedef enum wick_tc_step {
    WICK_TC_OK,
    WICK_TC_MORE,  /* undecided without more text */
    WICK_TC_BAD,   /* no call */
    WICK_TC_PLAIN, /* what was read says that content follows */
    WICK_TC_NOMEM
} wick_tc_step;
#define WICK_TC_TRY(call)                          \
    do {                                           \
        wick_tc_step tc_try_ = (call);             \
        if (tc_try_ != WICK_TC_OK) return tc_try_; \
    } while (0)

typedef enum wick_lit_style {
    WICK_LIT_JSON,
    WICK_LIT_PYTHON,
    WICK_LIT_MEMBERS, /* Python's k=v, ... after the opening bracket of a call, up to its closing one; an object */
    WICK_LIT_GEMMA    /* {k:v}: keys are bare, strings stand between `delim` */
} wick_lit_style;

enum { WICK_LIT_DEPTH_MAX = 200, WICK_LIT_WORD_MAX = 4096 };

typedef struct wick_lit {
    wick_lit_style style;
    const char *delim;
    wick_buf *out; /* NULL: only passed over */
    unsigned max_depth, depth;
    uint8_t state;
    bool is_key;  /* the string that is read is a key */
    bool started; /* a first value began, or the literal ended without any */
    bool done;
    char quote, letter; /* of the string; of the escape */
    uint32_t high;      /* a high surrogate that waits for its low one */
    wick_buf held;      /* a comma and white space, a word, digits, or the beginning of a delimiter */
    char frame[WICK_LIT_DEPTH_MAX + 1];
} wick_lit;

/* Begins anew; keeps the memory of `held`. */
void wick_lit_init(wick_lit *l, wick_lit_style style, const char *delim, unsigned max_depth, wick_buf *out);
void wick_lit_release(wick_lit *l);
/* OK: c was taken (then look at `done`); PLAIN: the literal ended before c; BAD: c cannot be. */
wick_tc_step wick_lit_byte(wick_lit *l, char c);
/* Nothing follows: closes what is open, unless it is in the middle of a value. False: it cannot. */
bool wick_lit_close(wick_lit *l);
