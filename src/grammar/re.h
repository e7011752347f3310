/* grammar/re.h - regular expressions over bytes as values: interned nodes, their derivatives, and the automaton of
 * them.
 *
 * A node is an id; equal expressions have equal ids (lists are sorted, neutral parts vanish), so the derivatives of an
 * expression are finitely many and an automaton state is simply a node. Union, intersection and complement are all
 * there, which is what makes JSON Schema's allOf, not and "any other key" exact. States are made when they are first
 * reached.
 *
 * One pool serves one compiled grammar. It is not thread-safe: who shares it holds the grammar's lock. Failure is
 * sticky: after a limit (`why` says which) or out of memory every constructor returns WICK_RE_NONE and nothing that
 * came out of the pool since may be believed; callers ask wick_re_ok before they use a result.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/alloc.h"
#include "base/status.h"
#include "base/str.h"

typedef uint32_t wick_re;

enum { WICK_RE_NONE = 0, WICK_RE_EPS = 1, WICK_RE_ALL = 2 }; /* the empty language, the empty string, all strings */
#define WICK_RE_INF UINT32_MAX

typedef enum wick_re_kind {
    RE_NONE,
    RE_EPS,
    RE_SET, /* one byte of sets[a] */
    RE_CAT, /* a, then b; a is no RE_CAT */
    RE_REP, /* a, lo to hi times */
    RE_OR,  /* lists[a .. a + b) */
    RE_AND,
    RE_NOT, /* of a, among all byte strings */
    RE_NUM  /* an automaton over the text of a decimal number, see num.h: a its definition; b, lo, hi its state */
} wick_re_kind;

typedef struct wick_re_node {
    uint8_t kind;
    bool nullable, plain /* not empty unless it is RE_NONE */, known_full, known_empty;
    uint32_t a, b, lo, hi;
} wick_re_node;

typedef struct wick_re_set {
    uint64_t w[4];
} wick_re_set;

/* A state of an automaton: the first part says what may still come, the others are watched along. */
typedef struct wick_dfa_state {
    uint32_t parts, n_parts; /* in dfa_parts */
    uint32_t classes;        /* index of the byte classes, UINT32_MAX: the row is not made yet */
    uint32_t row;            /* in dfa_rows, by class */
    uint32_t n_free;         /* cache of wick_dfa_free_run + 1, 0: unknown */
    uint32_t next_char;      /* the one state that every free character leads to; 0: unknown; or WICK_DFA_ below */
    bool accept;             /* of the first part */
} wick_dfa_state;

enum { WICK_DFA_DEAD = 0 };
#define WICK_DFA_SEVERAL UINT32_MAX
#define WICK_DFA_NOWHERE (UINT32_MAX - 1)

typedef struct wick_re_limits {
    uint32_t max_nodes;   /* expressions; 0: the default */
    uint32_t max_states;  /* automaton states; 0: the default */
    uint32_t max_search;  /* states looked at to learn whether one expression is empty; 0: the default */
    uint64_t max_bytes;   /* memory of the pool; 0: the default */
    uint64_t deadline_ns; /* of the thread's computing time, see wick_re_allow; 0: none */
} wick_re_limits;

typedef struct wick_re_hash { /* open addressing over ids + 1 */
    uint32_t *slot;
    uint32_t n, mask;
} wick_re_hash;

typedef struct wick_re_memo {
    uint64_t key;
    uint32_t value;
} wick_re_memo;

typedef struct wick_re_pool {
    wick_re_limits limit;
    const char *why; /* NULL: all is well */
    uint64_t bytes;
    wick_re_node *node;
    uint32_t n_nodes, cap_nodes;
    uint32_t *lists;
    uint32_t n_lists, cap_lists;
    wick_re_set *sets;
    uint32_t n_sets, cap_sets;
    struct wick_num_def *nums;
    uint32_t n_nums, cap_nums;
    wick_re_hash node_hash, set_hash, state_hash, class_hash;
    wick_re_memo *memo; /* (node, byte) -> derivative */
    uint32_t n_memo, memo_mask;
    /* automaton */
    wick_dfa_state *state;
    uint32_t n_states, cap_states;
    uint32_t *dfa_parts;
    uint32_t n_dfa_parts, cap_dfa_parts;
    uint32_t *dfa_rows;
    uint32_t n_dfa_rows, cap_dfa_rows;
    uint8_t *classes; /* [n_classes][256] */
    uint32_t n_classes, cap_classes;
    uint32_t depth;
    uint32_t ticks;
} wick_re_pool;

wick_status wick_re_pool_init(wick_re_pool *p, const wick_re_limits *limit, wick_err *err) WICK_MUST_CHECK;
void wick_re_pool_release(wick_re_pool *p);
static inline bool wick_re_ok(const wick_re_pool *p)
{
    return p->why == NULL;
}
/* WICK_E_LIMIT or WICK_E_OUT_OF_MEMORY with the pool's reason. */
wick_status wick_re_failed(const wick_re_pool *p, wick_err *err);
void wick_re_fail(wick_re_pool *p, const char *why);
/* *v has room for `want` items of `size` bytes afterwards; counts into the pool's memory. False: failed. */
bool wick_re_room(wick_re_pool *p, void **v, uint32_t *cap, uint64_t want, size_t size);
/* What this thread does from now on may take so long: time that it computes, so that a busy machine fails nothing.
 * Whoever takes the pool's lock says it anew, since the clock is the thread's own. */
void wick_re_allow(wick_re_pool *p, uint32_t ms);
bool wick_re_late(wick_re_pool *p); /* past the deadline: fails the pool; cheap enough for inner loops */

/* ---- constructors ---- */
wick_re wick_re_set_of(wick_re_pool *p, const wick_re_set *s);
wick_re wick_re_byte(wick_re_pool *p, uint8_t b);
wick_re wick_re_bytes(wick_re_pool *p, uint8_t lo, uint8_t hi);
wick_re wick_re_lit(wick_re_pool *p, const char *s, size_t n);
wick_re wick_re_cat(wick_re_pool *p, wick_re a, wick_re b);
wick_re wick_re_rep(wick_re_pool *p, wick_re a, uint32_t lo, uint32_t hi);
wick_re wick_re_or(wick_re_pool *p, const wick_re *v, uint32_t n);
wick_re wick_re_and(wick_re_pool *p, const wick_re *v, uint32_t n);
wick_re wick_re_or2(wick_re_pool *p, wick_re a, wick_re b);
wick_re wick_re_and2(wick_re_pool *p, wick_re a, wick_re b);
wick_re wick_re_not(wick_re_pool *p, wick_re a);
wick_re wick_re_num(wick_re_pool *p, uint32_t def, uint32_t state, uint64_t rest, bool nullable, bool plain);
/* Any of the strings; v is sorted in place, duplicates are allowed. */
wick_re wick_re_words(wick_re_pool *p, wick_str *v, uint32_t n);
/* One character of the sorted, disjoint ranges, as UTF-8 (surrogates are left out). */
typedef struct wick_cp_range {
    uint32_t lo, hi;
} wick_cp_range;
wick_re wick_re_chars(wick_re_pool *p, const wick_cp_range *r, uint32_t n);
wick_re wick_re_any_char(wick_re_pool *p); /* any scalar value as UTF-8 */
wick_re wick_re_any_text(wick_re_pool *p); /* any number of them */

/* ---- questions ---- */
static inline bool wick_re_nullable(const wick_re_pool *p, wick_re r)
{
    return p->node[r].nullable;
}
wick_re wick_re_derive(wick_re_pool *p, wick_re r, uint8_t byte);
/* Bytes with equal numbers have equal derivatives of every r[i]; returns how many numbers there are (at most 256). */
uint32_t wick_re_classes(wick_re_pool *p, const wick_re *r, uint32_t n, uint8_t out[256]);
bool wick_re_is_empty(wick_re_pool *p, wick_re r); /* no string at all; fails the pool where that takes too long */
bool wick_re_match(wick_re_pool *p, wick_re r, const char *s, size_t n);

/* ---- the automaton ---- */
uint32_t wick_dfa_start(wick_re_pool *p, const wick_re *parts, uint32_t n); /* DEAD where parts[0] is empty */
bool wick_dfa_fill(wick_re_pool *p, uint32_t state);                        /* makes the row; false: failed */
static inline uint32_t wick_dfa_step(wick_re_pool *p, uint32_t s, uint8_t byte)
{
    const wick_dfa_state *q = &p->state[s];
    if (q->classes == UINT32_MAX) {
        if (!wick_dfa_fill(p, s)) return WICK_DFA_DEAD;
        q = &p->state[s];
    }
    return p->dfa_rows[q->row + p->classes[(size_t)q->classes * 256 + byte]];
}
static inline bool wick_dfa_accepts(const wick_re_pool *p, uint32_t s)
{
    return p->state[s].accept;
}
static inline wick_re wick_dfa_part(const wick_re_pool *p, uint32_t s, uint32_t i)
{
    return p->dfa_parts[p->state[s].parts + i];
}
/* How many characters may follow whatever they are, as long as each is one that a JSON string holds unescaped: `most`
 * at most. */
uint32_t wick_dfa_free_run(wick_re_pool *p, uint32_t s, uint32_t most);
/* The state that every such character leads to, DEAD where none may come; UINT32_MAX: several. */
uint32_t wick_dfa_next_char(wick_re_pool *p, uint32_t s);
/* Every such character leads back to this state. */
bool wick_dfa_loops(wick_re_pool *p, uint32_t s);
