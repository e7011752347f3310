/* template/jinja_impl.h - what the files of the Jinja engine share: values, the syntax tree, the state of a render.
 *
 * Pipeline: jinja_lex (text -> tokens) -> jinja_parse, jinja_expr (tokens -> tree) -> jinja_exec (statements),
 * jinja_eval (expressions), over jinja_value, jinja_repr, jinja_filter*, jinja_method*, jinja_call.
 *
 * Invariants
 * 1. Values are immutable once made, but for namespaces, cyclers, joiners, iterators and loops. The sandbox allows no
 *    list or dict to change, so slices, strings and lists may share storage, and no cycle can be built except through
 *    a namespace (printing has a depth limit for that).
 * 2. All memory of a render is in jrt.arena and counted in jrt.heap; nothing is freed before the end.
 * 3. Errors are sticky: wick_jv_raise keeps the first one, every function then returns quickly with a harmless value,
 *    and the render fails at its end. So callers check `failed` only in loops.
 * 4. The tree is read-only after compilation; strings in it are complete (length in code points included), so
 *    threads share it without locks.
 */
#pragma once
#include <jansson.h>
#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/status.h"
#include "base/str.h"
#include "template/jinja.h"

enum {
    JV_NEST_MAX = 200,     /* nesting of values when they are read, printed, compared */
    JV_PARSE_MAX = 200,    /* nesting of expressions and of blocks in the source */
    JV_CHAIN_MAX = 500,    /* operators, calls and filters in a row; CPython's compiler stops at 200 */
    JV_EVAL_MAX = 3000,    /* nested evaluations on the C stack, all macros together */
    JV_RANGE_MAX = 100000, /* as jinja2's sandbox */
    JV_PARAM_MAX = 6       /* parameters of a built-in */
};

typedef struct jrt jrt;
typedef struct jnode jnode;

/* A growing tail that one string (or list) at a time may append to in place: only the value that ends exactly at
 * `used` may, so all others keep their contents. Makes x = x + y in a loop linear. */
typedef struct jv_sbuf {
    char *data;
    size_t used, cap;
} jv_sbuf;

typedef struct jv_str {
    const char *p; /* valid UTF-8, not NUL-terminated */
    size_t n;      /* bytes */
    size_t n_cp;   /* code points; n_cp == n means ASCII */
    jv_sbuf *buf;  /* NULL: borrowed or not growable */
} jv_str;

typedef enum jv_type {
    JV_UNDEF,
    JV_NONE,
    JV_BOOL,
    JV_INT,
    JV_FLOAT,
    JV_STR,
    JV_LIST,
    JV_TUPLE,
    JV_DICT,
    JV_VIEW, /* dict.keys(), .values(), .items() */
    JV_RANGE,
    JV_ITER, /* what Python would make a generator or an iterator: one pass only, no length */
    JV_NS,
    JV_MACRO,
    JV_FUNC,   /* a global function */
    JV_METHOD, /* a method with its object */
    JV_LOOP,
    JV_CYCLER,
    JV_JOINER,
    JV_MISSING /* never a value of a template: an argument that was not given, a name without a value */
} jv_type;

typedef struct jv {
    uint8_t t;      /* jv_type */
    uint8_t markup; /* JV_STR: the result of |safe or |e, which + escapes against */
    union {
        bool b;
        int64_t i;
        double f;
        const jv_str *s;
        struct jv_list *l; /* JV_LIST, JV_TUPLE */
        struct jv_dict *d; /* JV_DICT, JV_NS */
        struct jv_view *w;
        struct jv_range *r;
        struct jv_iter *it;
        struct jv_macro *m;
        const struct jv_def *fn;
        struct jv_bound *bm;
        struct jv_loop *lp;
        struct jv_cycler *cy;
        const struct jv_undef *u; /* may be NULL */
    } u;
} jv;

typedef struct jv_undef {
    const char *what; /* the name or attribute, "" if unknown */
    const char *of;   /* the type it was asked of, NULL for a variable */
    bool unsafe;      /* the attribute exists, the sandbox hides it */
} jv_undef;

typedef struct jv_vbuf {
    jv *data;
    size_t used, cap;
} jv_vbuf;

typedef struct jv_list {
    jv *v;
    size_t n;
    jv_vbuf *buf;
    bool is_group; /* a tuple of groupby: has .grouper and .list */
} jv_list;

typedef struct jv_entry {
    jv k, v;
    uint64_t hash; /* only where there is an index */
} jv_entry;

typedef struct jv_dict {
    jv_entry *e; /* in order of insertion */
    uint32_t n, cap;
    uint32_t *index; /* open addressing, entry + 1; NULL up to 8 entries */
    uint32_t index_cap;
} jv_dict;

typedef struct jv_view {
    jv_dict *d;
    enum { JV_KEYS, JV_VALUES, JV_ITEMS } kind;
} jv_view;

typedef struct jv_range {
    int64_t start, stop, step;
    int64_t n;
} jv_range;

typedef struct jargs {
    const jv *pos;
    uint32_t n;
    const jv_str *const *kw_name;
    const jv *kw;
    uint32_t n_kw;
} jargs;

typedef struct jv_iter {
    const char *name;                         /* for printing */
    bool (*force)(jrt *rt, struct jv_iter *); /* fills v and n; NULL once done */
    jv src;
    jargs args;
    const struct jv_def *def;
    jv *v;
    size_t n, pos;
} jv_iter;

typedef struct jframe {
    struct jframe *parent; /* NULL: the top level, whose variables are jrt.top */
    struct jvar {
        uint32_t id;
        jv v;
    } * var;
    uint32_t n, cap;
    bool captured; /* a macro refers to it: a loop must not reuse it */
} jframe;

typedef struct jv_macro {
    const jnode *node; /* N_MACRO, N_CALL_BLOCK */
    jframe *frame;     /* where it was defined */
} jv_macro;

typedef struct jv_cycler {
    jv *v; /* JV_JOINER: v[0] is the separator */
    size_t n, pos;
} jv_cycler;

/* An iteration in progress. */
typedef struct jv_it {
    jv src;
    size_t i, byte;
} jv_it;

typedef struct jv_loop {
    jv_it it;
    const jnode *node;
    jframe *outer;
    int64_t index0, length; /* length -1: not known yet */
    uint32_t depth0;
    jv cur, prev, after; /* after: JV_MISSING when nothing was read ahead */
    jv changed;          /* a tuple, or JV_MISSING */
    jv *rest;            /* what `length` had to read ahead */
    size_t n_rest, rest_pos;
} jv_loop;

/* A built-in: filter, test, function or method. `fn` gets its parameters bound (JV_MISSING where not given),
 * `raw` the arguments as they came. A parameter named "" can be given by position only. */
typedef struct jv_def {
    const char *name;
    jv (*fn)(jrt *rt, jv self, const jv *a);
    uint8_t n_required;
    const char *params[JV_PARAM_MAX];
    jv (*raw)(jrt *rt, jv self, const jargs *a);
} jv_def;

typedef struct jv_bound {
    jv self;
    const jv_def *def;
} jv_bound;

/* --- syntax tree ----------------------------------------------------------------------------------------------- */
typedef enum jkind {
    /* statements */
    N_DATA,         /* str */
    N_PRINT,        /* a */
    N_IF,           /* a test, body, alt */
    N_FOR,          /* a target, b iterable, c filter or NULL, body, alt (else); flag: recursive */
    N_SET,          /* a target, b value */
    N_SET_BLOCK,    /* a target, b filter or NULL, body */
    N_MACRO,        /* id, args (names in item), defaults, body */
    N_CALL_BLOCK,   /* b the call, args as a macro's, body */
    N_FILTER_BLOCK, /* b filter, body */
    N_WITH,         /* item: targets, item2: values, body */
    N_SCOPE,        /* body in an inner scope (generation) */
    N_BLOCK,        /* body; flag: scoped */
    N_BREAK,
    N_CONTINUE,
    N_FAIL, /* str: raised when executed (include and its kin) */
    /* expressions */
    N_CONST, /* val */
    N_NAME,  /* id */
    N_NSREF, /* id, str: a target ns.attr */
    N_TUPLE, /* item */
    N_LIST,
    N_DICT, /* item keys, item2 values */
    N_COND, /* a test, b then, c else or NULL */
    N_OR,
    N_AND,
    N_NOT,
    N_COMPARE, /* a, item operands, op[] in ops */
    N_CONCAT,  /* item */
    N_BINARY,  /* op, a, b */
    N_NEG,
    N_POS,
    N_ATTR,   /* a, str, methods resolved */
    N_ITEM,   /* a, b */
    N_SLICE,  /* a, item[3] with NULLs */
    N_FILTER, /* a (NULL: the captured text), def, call */
    N_TEST,   /* a, def, call */
    N_CALL    /* a, call */
} jkind;

typedef enum jop {
    OP_ADD,
    OP_SUB,
    OP_MUL,
    OP_DIV,
    OP_FLOORDIV,
    OP_MOD,
    OP_POW,
    OP_EQ,
    OP_NE,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_IN,
    OP_NOT_IN
} jop;

typedef struct jcall {
    jnode **arg;
    uint32_t n_arg;
    const jv_str **kw_name;
    jnode **kw;
    uint32_t n_kw;
    jnode *dyn_args, *dyn_kwargs;
} jcall;

typedef struct jmethods { /* the methods of that name on the built-in types, NULL where there is none */
    const jv_def *str, *list, *tuple, *dict;
} jmethods;

struct jnode {
    uint8_t kind, op;
    bool flag, uses_caller, uses_kwargs, uses_varargs;
    uint32_t line, id, n, n2;
    uint32_t height; /* of the left spine a, b: bounds recursion over chains that the parser reads in a loop */
    jnode *a, *b, *c;
    jnode **item, **item2;
    jnode *body, *alt, *next; /* statements are chained by next */
    const jv_str *str;
    jv val;
    uint8_t *ops;
    const jv_def *def;
    const jmethods *methods;
    jcall *call;
};

struct wick_jinja {
    wick_arena arena;
    char *where;
    jnode *body;
    wick_map names; /* keys in the arena */
    const jv_str **name;
    uint32_t n_name, cap_name;
    uint32_t id_loop, id_caller, id_kwargs, id_varargs;
};

struct jrt {
    const wick_jinja *tpl;
    wick_arena arena;
    uint64_t heap, max_heap, steps;
    uint32_t depth, calls, max_calls;
    wick_buf w; /* output; captures and scratch text are its tail, above a mark */
    jframe top_frame, *frame;
    jv *top;     /* [n_name]: the top level's variables, JV_MISSING where there is none */
    jv captured; /* the text a filter block applies to */
    int64_t now_unix_s;
    uint32_t line;
    bool failed;
    wick_status status;
    wick_err *err;
};

/* --- tokens ---------------------------------------------------------------------------------------------------- */
typedef enum jtok_kind {
    T_EOF,
    T_DATA,
    T_BLOCK_BEGIN,
    T_BLOCK_END,
    T_VAR_BEGIN,
    T_VAR_END,
    T_NAME,
    T_STRING,
    T_INT,
    T_FLOAT,
    T_OP
} jtok_kind;

typedef struct jtok {
    uint8_t kind;
    char op[3]; /* T_OP, NUL-terminated */
    uint32_t line;
    wick_str text; /* T_DATA, T_NAME, T_STRING (unescaped) */
    int64_t i;
    double f;
} jtok;

typedef struct jlex {
    wick_arena *arena;
    const char *where;
    jtok *tok;
    size_t n, cap;
} jlex;
/* Tokens end with T_EOF. They point into arena memory. l->tok is freed by the caller with wick_free. */
wick_status wick_jinja_lex(jlex *l, const char *src, size_t n, wick_err *err) WICK_MUST_CHECK;
wick_status wick_jinja_parse(wick_jinja *t, const jlex *l, wick_err *err) WICK_MUST_CHECK;

typedef struct jparser {
    wick_jinja *t;
    const jtok *tok; /* the current one */
    wick_err *err;
    wick_status st;
    uint32_t depth, loops;     /* loops: break and continue are allowed */
    uint32_t soft;             /* inside an if: unknown filters fail only when they run */
    uint32_t unknown_line[64]; /* unknown filters and tests that must fail at compile time */
    wick_str unknown[64];
    uint32_t n_unknown;
    wick_str *block;
    uint32_t n_block, cap_block;
} jparser;
jnode *wick_jinja_node(jparser *p, jkind kind, uint32_t line);
jnode *wick_jinja_fail(jparser *p, uint32_t line, const char *fmt, ...) WICK_PRINTF(3, 4);
bool wick_jinja_enter(jparser *p);
/* n with n->a and n->b set: NULL when the chain they form is too long. */
jnode *wick_jinja_chain(jparser *p, jnode *n);
bool wick_jinja_is_op(const jparser *p, const char *op);
bool wick_jinja_is_name(const jparser *p, const char *name);
bool wick_jinja_skip_op(jparser *p, const char *op);
bool wick_jinja_skip_name(jparser *p, const char *name);
bool wick_jinja_expect_op(jparser *p, const char *op);
const char *wick_jinja_describe(const jtok *t, char *dst, size_t cap);
uint32_t wick_jinja_intern(jparser *p, wick_str name);
const jv_str *wick_jinja_string(jparser *p, const char *s, size_t n);
jnode *wick_jinja_expr(jparser *p, bool with_cond);
typedef enum jtuple_end { TUPLE_NORMAL, TUPLE_UNTIL_IN, TUPLE_UNTIL_RECURSIVE } jtuple_end;
/* simplified: names and literals only (targets), and ns.attr where with_ns */
jnode *wick_jinja_tuple(jparser *p, bool simplified, bool with_cond, jtuple_end end, bool parens, bool with_ns);
jnode *wick_jinja_filters(jparser *p, jnode *node, bool start_inline);
/* A list that grows in the arena. */
bool wick_jinja_push(jparser *p, jnode ***item, uint32_t *n, uint32_t *cap, jnode *x);

/* --- values ---------------------------------------------------------------------------------------------------- */
static inline jv jv_make(jv_type t)
{
    jv v = {0};
    v.t = (uint8_t)t;
    return v;
}
static inline jv jv_none(void)
{
    return jv_make(JV_NONE);
}
static inline jv jv_bool(bool b)
{
    jv v = jv_make(JV_BOOL);
    v.u.b = b;
    return v;
}
static inline jv jv_int(int64_t i)
{
    jv v = jv_make(JV_INT);
    v.u.i = i;
    return v;
}
static inline jv jv_float(double f)
{
    jv v = jv_make(JV_FLOAT);
    v.u.f = f;
    return v;
}
static inline jv jv_of_str(const jv_str *s)
{
    jv v = jv_make(JV_STR);
    v.u.s = s;
    return v;
}
static inline bool jv_given(jv v)
{
    return v.t != JV_MISSING;
}
static inline bool jv_is_str(jv v)
{
    return v.t == JV_STR;
}
static inline bool jv_is_seq(jv v)
{
    return v.t == JV_LIST || v.t == JV_TUPLE;
}

jv wick_jv_raise(jrt *rt, const char *fmt, ...) WICK_PRINTF(2, 3); /* returns undefined */
bool wick_jv_step(jrt *rt, uint64_t n);                            /* false: failed (now or before) */
void *wick_jv_alloc(jrt *rt, size_t n);                            /* zeroed; NULL: failed */
void *wick_jv_array(jrt *rt, size_t count, size_t size);
bool wick_jv_enter(jrt *rt); /* one level deeper on the C stack; on true, leave with rt->depth-- */

size_t wick_jv_count_cp(const char *p, size_t n);
jv wick_jv_str(jrt *rt, const char *p, size_t n); /* copies */
jv wick_jv_str_borrow(jrt *rt, const char *p, size_t n);
jv wick_jv_cstr(jrt *rt, const char *s);
jv wick_jv_substr(jrt *rt, const jv_str *s, size_t byte, size_t n);
jv wick_jv_concat(jrt *rt, const jv_str *a, const jv_str *b);
jv wick_jv_take(jrt *rt, size_t mark); /* the text above mark, as a string; the buffer goes back to mark */
jv wick_jv_undef(jrt *rt, const char *what, const char *of, bool unsafe);
jv wick_jv_undef_error(jrt *rt, jv v);
jv wick_jv_list(jrt *rt, jv_type t, size_t n);             /* n undefined items, to be filled at once */
jv wick_jv_list_from(jrt *rt, jv_type t, jv *v, size_t n); /* shares v */
jv wick_jv_pair(jrt *rt, jv a, jv b);
jv wick_jv_dict(jrt *rt, size_t cap);
bool wick_jv_dict_put(jrt *rt, jv_dict *d, jv k, jv v);
const jv *wick_jv_dict_get(jrt *rt, const jv_dict *d, jv k);
const jv *wick_jv_dict_get_str(const jv_dict *d, const char *p, size_t n);
jv wick_jv_from_json(jrt *rt, const json_t *j, unsigned depth);
jv wick_jv_range(jrt *rt, int64_t start, int64_t stop, int64_t step);
const char *wick_jv_type_name(jv v);
bool wick_jv_truth(jv v);
bool wick_jv_hashable(jv v);
uint64_t wick_jv_hash(jv v);
bool wick_jv_equal(jrt *rt, jv a, jv b);
int wick_jv_compare(jrt *rt, jv a, jv b, const char *op); /* -1, 0, 1; 2: unordered (NaN) or failed */
bool wick_jv_contains(jrt *rt, jv seq, jv x);
int64_t wick_jv_len(jv v);                         /* -1: has none */
bool wick_jv_as_int(jv v, int64_t *out);           /* bool and int */
bool wick_jv_as_double(jv v, double *out);         /* bool, int and float */
bool wick_jv_iter_start(jrt *rt, jv v, jv_it *it); /* raises for what cannot be iterated */
bool wick_jv_iter_next(jrt *rt, jv_it *it, jv *out);
jv wick_jv_to_list(jrt *rt, jv v);
size_t wick_jv_byte_at(const jv_str *s, size_t cp); /* offset of the cp-th code point (n for n_cp) */

/* --- text of values (jinja_repr.c, jinja_tojson.c, jinja_format.c) ------------------------------------------------ */
void wick_jv_write(jrt *rt, jv v); /* str(v) to rt->w */
void wick_jv_write_repr(jrt *rt, jv v);
const jv_str *wick_jv_tostr(jrt *rt, jv v);
char *wick_jv_float_repr(double f, char dst[40]);
jv wick_jv_tojson(jrt *rt, jv v, const jv *opt /* ensure_ascii, indent, separators, sort_keys */);
jv wick_jv_percent(jrt *rt, const jv_str *fmt, jv args);
jv wick_jv_str_format(jrt *rt, const jv_str *fmt, const jargs *a);
jv wick_jv_escape(jrt *rt, jv v); /* HTML, gives markup */
jv wick_jv_strftime(jrt *rt, const jv_str *fmt);

/* --- operations ------------------------------------------------------------------------------------------------- */
jv wick_jinja_eval(jrt *rt, const jnode *n);
jv wick_jv_binary(jrt *rt, jop op, jv a, jv b);
jv wick_jv_attr(jrt *rt, jv obj, const jv_str *name, const jmethods *m);
jv wick_jv_item(jrt *rt, jv obj, jv key);
jv wick_jv_slice(jrt *rt, jv obj, jv start, jv stop, jv step);
const jv_def *wick_jv_method(jv obj, const jmethods *m);
bool wick_jv_find_methods(const char *p, size_t n, jmethods *out);
jv wick_jv_call(jrt *rt, jv fn, const jargs *a);
jv wick_jv_call_def(jrt *rt, const jv_def *d, jv self, const jargs *a, const char *what);
const jv_def *wick_jinja_find_filter(const char *p, size_t n);
const jv_def *wick_jinja_find_test(const char *p, size_t n);
jv wick_jinja_global(const char *p, size_t n); /* JV_MISSING if there is none */

/* More filters and methods, kept in their own files by subject. */
extern const jv_def wick_jinja_filters_seq[], wick_jinja_filters_text[];
extern const jv_def wick_jinja_str_methods[], wick_jinja_str_tests[];

/* --- statements ------------------------------------------------------------------------------------------------- */
typedef enum jflow { FLOW_NEXT, FLOW_BREAK, FLOW_CONTINUE } jflow;
jflow wick_jinja_exec(jrt *rt, const jnode *n);
jv wick_jinja_call_macro(jrt *rt, jv_macro *m, const jargs *a);
jv wick_jinja_loop_again(jrt *rt, jv_loop *lp, jv iterable);
jv wick_jinja_loop_attr(jrt *rt, jv_loop *lp, const jv_str *name);
void wick_jinja_assign(jrt *rt, const jnode *target, jv v);
jframe *wick_jinja_push_frame(jrt *rt, jframe *parent);
void wick_jinja_put(jrt *rt, uint32_t id, jv v);

/* --- Unicode (jinja_text.c), Python's rules ---------------------------------------------------------------------- */
bool wick_text_is_space(uint32_t cp);
bool wick_text_is_line_end(uint32_t cp);
bool wick_text_is_printable(uint32_t cp);
bool wick_text_is_word(uint32_t cp); /* \w */
bool wick_text_is_alpha(uint32_t cp);
bool wick_text_is_digit(uint32_t cp);
bool wick_text_is_upper(uint32_t cp);
bool wick_text_is_lower(uint32_t cp);
/* First x in p, NULL if there is none: linear whatever both hold. */
const char *wick_text_find(const char *p, size_t n, const char *x, size_t m);
uint32_t wick_text_prev(const char *p, size_t n, size_t *len); /* last code point of p[0..n) */
typedef enum jcase { CASE_UPPER, CASE_LOWER, CASE_FOLD, CASE_SWAP, CASE_TITLE, CASE_CAPITALIZE } jcase;
jv wick_text_case(jrt *rt, const jv_str *s, jcase how);

/* A list that grows in the arena of a render: old arrays stay behind until its end. */
typedef struct jv_growing {
    jv *v;
    size_t n, cap;
} jv_growing;
bool wick_jv_push(jrt *rt, jv_growing *g, jv x); /* false once the render has failed */
