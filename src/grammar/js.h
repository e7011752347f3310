/* grammar/js.h - the automaton that reads one JSON value and knows, byte by byte, whether it can still fulfil its
 * schema.
 *
 * JSON is read deterministically: a state says where in the text we are (mode), inside of which object or array
 * (frame), and which automaton state a string or number is in (lex). A frame keeps what the rest of its object or array
 * must fulfil, as a formula that is rewritten after each property or item; equal frames have equal numbers, so states
 * repeat and masks can be cached by state. Where an assertion's truth matters without being required (anyOf, not, if),
 * its value is watched along and reported when the value ends. So the language accepted is exactly the schema's,
 * whatever the schema combines.
 *
 * Not thread-safe: frames are made while reading. The texts of keys, and of items that must be unique, are looked at
 * where they stand; `text` is therefore passed to a step, with the state's marks as offsets into it.
 */
#pragma once
#include "base/buf.h"
#include "grammar/formula.h"

typedef enum wick_js_mode {
    JS_VALUE,  /* before a value; lex: its spec */
    JS_STRING, /* inside a string value; lex: automaton, aux: spec */
    JS_NUMBER,
    JS_WORD,     /* inside true, false, null; lex: which one and how far */
    JS_OBJECT,   /* after { */
    JS_NEXT_KEY, /* after a comma of an object */
    JS_KEY,      /* inside a key; lex: automaton */
    JS_COLON,    /* after a key; lex: spec of the value */
    JS_ARRAY,    /* after [; lex: spec of the first item or UINT32_MAX where none may come */
    JS_AFTER,    /* after a value inside a frame */
    JS_END       /* after the whole */
} wick_js_mode;

typedef struct wick_js {
    uint32_t frame, lex, aux;
    uint32_t esc;  /* inside an escape: its phase, and the digits so far */
    uint32_t mark; /* where the key or the item began; not part of what the state may do next */
    uint16_t ws;   /* white space since the last token */
    uint8_t mode;
} wick_js;

typedef struct wick_js_frame {
    uint32_t parent, spec; /* the frame around it, and the spec of the value that it is */
    wick_f need;
    uint32_t outs;  /* watched formulas: a list */
    uint32_t seen;  /* keys, or items where they must differ: a list */
    uint32_t start; /* offset of its text + 1 where that is needed, else 0 */
    bool array, textual /* what may come depends on more of the text than the state says */;
    bool simple;       /* need is a conjunction in which keys do not disturb each other */
    uint8_t may_close; /* 0 unknown, 1 no, 2 yes */
    uint32_t n_seen;
    uint32_t before; /* the frame that it was before its last property, 0: none */
    bool has_keys;   /* key_re is made */
    wick_re key_re;  /* objects: keys that may come */
} wick_js_frame;

typedef struct wick_js_spec { /* what a value must fulfil, and what else is watched */
    wick_f need;
    uint32_t outs;
    uint32_t key;    /* property: the key's string; JS_ITEM, JS_TOP */
    uint32_t unique; /* items seen: a list; UINT32_MAX: they may be equal */
    bool must_differ;
    uint32_t start[2]; /* automaton of strings, of numbers; UINT32_MAX: not asked yet */
} wick_js_spec;

typedef struct wick_js_cons {
    uint32_t head, next;
} wick_js_cons;

typedef struct wick_js_options {
    uint16_t max_ws;   /* white space characters between two tokens; UINT16_MAX: any number */
    bool schema_order; /* declared properties come in the order in which they are declared */
} wick_js_options;

typedef struct wick_js_pool {
    wick_f_pool *f;
    wick_js_options opt;
    wick_js_frame *frame;
    uint32_t n_frames, cap_frames;
    wick_js_spec *spec;
    uint32_t n_specs, cap_specs;
    wick_js_cons *cons; /* lists; 0 is the empty one */
    uint32_t n_cons, cap_cons;
    uint32_t *order; /* by string: place in the schema, for schema_order; UINT32_MAX: none */
    uint32_t n_order, cap_order, n_placed;
    wick_f_table table;
    wick_buf scratch;
} wick_js_pool;

wick_status wick_js_pool_init(wick_js_pool *p, wick_f_pool *f, const wick_js_options *o, wick_err *err) WICK_MUST_CHECK;
void wick_js_pool_release(wick_js_pool *p);

/* The state before a value that fulfils f. False: no value does, or the pool failed. */
bool wick_js_start(wick_js_pool *p, wick_f f, wick_js *out);
/* One byte more: text[at], which is `byte`, after text[0..at); marks are offsets into it. False: it may not come (or
 * the pool failed). */
bool wick_js_step(wick_js_pool *p, const wick_js *s, uint8_t byte, const char *text, uint32_t at, wick_js *out);
/* The value may be over here: after its last token, or inside a number at the top. */
bool wick_js_may_end(wick_js_pool *p, const wick_js *s);
/* Whether equal states (marks aside) may be treated alike. */
bool wick_js_repeats(const wick_js_pool *p, const wick_js *s);

/* ---- inside: solve.c, frame.c ---- */
#define JS_ITEM UINT32_MAX
#define JS_TOP (UINT32_MAX - 1)
#define JS_NO_KEY (UINT32_MAX - 2)
enum { JS_MAX_PATTERNS = 4, JS_MAX_OUTS = 64, JS_MAX_UNLIKE = 256 };

/* A property or item about to come: its key, or the patterns that a key yet unknown matches. */
typedef struct wick_js_at {
    wick_f_pool *p;
    uint32_t key;           /* JS_ITEM: an item; JS_NO_KEY: some key of no name known */
    const wick_re *pattern; /* JS_NO_KEY: [n_patterns], matched by bit */
    uint32_t n_patterns, matched;
    const wick_f *outs; /* rewriting: truth of these, all else that matters is true */
    uint32_t n_outs;
    const bool *truth;
    bool repeated; /* rewriting: the item is equal to one before */
} wick_js_at;

wick_f wick_js_viable(const wick_js_at *at, wick_f f);  /* what the value must fulfil so that f may still become true */
wick_f wick_js_rewrite(const wick_js_at *at, wick_f f); /* f after the value */
bool wick_js_closes(const wick_f_pool *p, wick_f f);    /* f holds if nothing more comes */
bool wick_js_sat(wick_f_pool *p, wick_f f);             /* some value fulfils f; true where that is not known */
bool wick_js_sat_frame(wick_f_pool *p, wick_f f, bool array); /* f, restricted: some rest does */
wick_f wick_js_prune(wick_f_pool *p, wick_f f, bool array); /* without alternatives that nothing can fulfil any more */
void wick_js_relevant(const wick_js_at *at, wick_f f, wick_f *v, uint32_t *n,
                      uint32_t max); /* watched by f at this place */

/* Whether a value that fulfils v fulfils f: 1 yes, 0 no, -1 not said. */
int wick_js_implied(const wick_f_pool *p, wick_f v, wick_f f);
uint32_t wick_js_open(wick_js_pool *p, uint32_t parent, uint32_t spec, bool array, uint32_t start); /* 0: cannot */
uint32_t wick_js_key_spec(wick_js_pool *p, uint32_t frame, uint32_t key); /* UINT32_MAX: the key may not come */
uint32_t wick_js_item_spec(wick_js_pool *p, uint32_t frame);              /* UINT32_MAX: no item may come */
uint32_t wick_js_top_spec(wick_js_pool *p, wick_f f);
/* The frame after a value of the spec; item: its interned text where the spec says unique. 0: it may not be this
 * value. */
uint32_t wick_js_advance(wick_js_pool *p, uint32_t frame, uint32_t spec, const bool *truth, uint32_t item);
bool wick_js_frame_closes(wick_js_pool *p, uint32_t frame);
uint32_t wick_js_key_start(wick_js_pool *p, uint32_t frame);             /* automaton of the keys that may come */
uint32_t wick_js_cons_of(wick_js_pool *p, uint32_t head, uint32_t next); /* interned */
uint32_t wick_js_list(const wick_js_pool *p, uint32_t list, uint32_t *v,
                      uint32_t max); /* its first max items; how many */
bool wick_js_list_has(const wick_js_pool *p, uint32_t list, uint32_t item);
uint32_t wick_js_item_text(wick_js_pool *p, const char *s, size_t n); /* interned canonical form; UINT32_MAX: failed */
bool wick_js_decode(wick_buf *out, const char *s, size_t n); /* a JSON string without its quotes, known to be valid */
