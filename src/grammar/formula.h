/* grammar/formula.h - JSON Schema as formulas: what must hold of one value, in Boolean algebra over small assertions.
 *
 * A schema is compiled to a formula once; while a value is read the formula is rewritten by what has been seen (a
 * required key that came is true from then on, a minimum is one less), so that at each moment it says what the rest
 * must fulfil. Equal formulas have equal numbers. Assertions hold for values of other types, as in JSON Schema: a
 * length says nothing of a number.
 *
 * Everything lives in one pool beside the expressions, and shares their sticky failure and limits (grammar/re.h).
 */
#pragma once
#include "base/map.h"
#include "grammar/re.h"

typedef uint32_t wick_f;
enum { WICK_F_FALSE = 0, WICK_F_TRUE = 1 };

enum { /* types of values, as bits */
       WICK_T_NULL = 1,
       WICK_T_FALSE = 2,
       WICK_T_TRUE = 4,
       WICK_T_NUMBER = 8,
       WICK_T_STRING = 16,
       WICK_T_ARRAY = 32,
       WICK_T_OBJECT = 64,
       WICK_T_ALL = 127
};

typedef enum wick_f_kind {
    F_FALSE,
    F_TRUE,
    F_NOT, /* a */
    F_AND, /* lists[a .. a + b) */
    F_OR,
    F_ONE,   /* exactly one of the list */
    F_TYPE,  /* the value's type is in mask a */
    F_STR,   /* the decoded text is in expression a */
    F_NUM,   /* the number's text is in expression a */
    F_REF,   /* schema a holds */
    F_EACH,  /* every property whose key is in key set a has a value that fulfils b */
    F_REQ,   /* there is a property with key (string) a */
    F_MINP,  /* a more properties at least */
    F_ITEMS, /* items lo to hi - 1 fulfil b; hi UINT32_MAX: to the end */
    F_MINI,  /* a more items at least */
    F_HAS,   /* a more items at least fulfil b */
    F_UNIQUE
} wick_f_kind;

typedef struct wick_f_node {
    uint8_t kind;
    uint8_t sat[2]; /* caches of solve.c: 0 unknown */
    uint32_t a, b, lo, hi;
} wick_f_node;

typedef enum wick_keys_kind { KEYS_ONE, KEYS_RE, KEYS_OTHERS } wick_keys_kind;
typedef struct wick_formula_keys { /* a set of keys */
    wick_keys_kind kind;
    uint32_t a;          /* ONE: a string; RE: an expression; OTHERS: strings lists[a .. a + n), sorted, */
    uint32_t n, b, n_re; /* and expressions lists[b .. b + n_re): the keys that are in none of them */
} wick_formula_keys;

typedef struct wick_f_slot {
    uint32_t key[4], value;
    bool used;
} wick_f_slot;

typedef struct wick_f_table { /* (k0, k1, k2, k3) -> value */
    wick_f_slot *slot;
    uint32_t n, mask;
} wick_f_table;

typedef struct wick_f_pool {
    wick_re_pool *re;
    wick_f_node *node;
    uint32_t n_nodes, cap_nodes;
    uint32_t *lists;
    uint32_t n_lists, cap_lists;
    wick_formula_keys *keys;
    uint32_t n_keys, cap_keys;
    wick_str *str; /* texts of keys, decoded; in the arena */
    uint32_t n_str, cap_str;
    wick_f *schema; /* formula of each schema */
    uint32_t n_schemas, cap_schemas;
    wick_re_hash hash;
    wick_map str_map;
    wick_f_table memo; /* of restriction, normal form, solving, keys */
    wick_arena arena;
    wick_re any_text, any_number;
    uint32_t depth, budget; /* of recursion; of looking ahead (js_solve.c) */
} wick_f_pool;

wick_status wick_f_pool_init(wick_f_pool *p, wick_re_pool *re, wick_err *err) WICK_MUST_CHECK;
void wick_f_pool_release(wick_f_pool *p);
static inline bool wick_f_ok(const wick_f_pool *p)
{
    return wick_re_ok(p->re);
}

/* ---- tables ---- */
/* The value of the key, or NULL. */
const uint32_t *wick_f_table_get(const wick_f_table *t, uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3);
void wick_f_table_put(wick_re_pool *re, wick_f_table *t, uint32_t k0, uint32_t k1, uint32_t k2, uint32_t k3,
                      uint32_t value);
void wick_f_table_release(wick_f_table *t);

/* ---- constructors; all simplify ---- */
wick_f wick_f_make(wick_f_pool *p, wick_f_kind kind, uint32_t a, uint32_t b, uint32_t lo, uint32_t hi);
wick_f wick_f_not(wick_f_pool *p, wick_f a);
wick_f wick_f_list(wick_f_pool *p, wick_f_kind kind, const wick_f *v, uint32_t n); /* AND, OR, ONE */
wick_f wick_f_and2(wick_f_pool *p, wick_f a, wick_f b);
wick_f wick_f_or2(wick_f_pool *p, wick_f a, wick_f b);
wick_f wick_f_type(wick_f_pool *p, uint32_t mask);
wick_f wick_f_each(wick_f_pool *p, uint32_t keys, wick_f s);
wick_f wick_f_items(wick_f_pool *p, uint32_t lo, uint32_t hi, wick_f s);
wick_f wick_f_count(wick_f_pool *p, wick_f_kind kind, uint32_t n, wick_f s); /* MINP, MINI, HAS: true for n = 0 */

/* At most n of them; values of other types fulfil it. */
wick_f wick_f_at_most(wick_f_pool *p, wick_f_kind kind, uint32_t n, wick_f s);

uint32_t wick_f_string(wick_f_pool *p, const char *s, size_t n); /* the text's number */
uint32_t wick_f_keys_one(wick_f_pool *p, uint32_t string);
uint32_t wick_f_keys_re(wick_f_pool *p, wick_re r);
uint32_t wick_f_keys_others(wick_f_pool *p, uint32_t *strings, uint32_t n, const wick_re *re,
                            uint32_t n_re); /* sorts */
bool wick_f_keys_have(wick_f_pool *p, uint32_t keys, uint32_t string);

/* ---- views ---- */
/* The formula for values of one type: no other type's assertions are left, nor references. */
wick_f wick_f_restrict(wick_f_pool *p, wick_f f, uint32_t type);
wick_f wick_f_nnf(wick_f_pool *p, wick_f f); /* of a restricted formula: NOT only before assertions and ONE */
/* The texts of strings (WICK_T_STRING) or numbers that fulfil f. */
wick_re wick_f_language(wick_f_pool *p, wick_f f, uint32_t type);
