/* grammar/cfg.h - context-free grammars over bytes: rules whose terminals are expressions, read by an Earley automaton.
 *
 * An item is a place in a production, the set in which the production began, and, before a terminal, the state of the
 * terminal's automaton. A set is a sorted list of items under a number; an item that began in its own set says so
 * instead of naming it, so equal situations have equal numbers and steps between them are remembered. Ambiguity and
 * left recursion need no care. A terminal ends wherever it may, not only where it is longest: the language is exactly
 * the grammar's.
 *
 * Grammars are given as trees of expressions (wick_ex); what is regular in them becomes one terminal.
 */
#pragma once
#include "base/buf.h"
#include "grammar/formula.h"

typedef enum wick_ex_kind { EX_RE, EX_RULE, EX_CAT, EX_ALT, EX_REP, EX_LAZY } wick_ex_kind;

typedef struct wick_ex {
    wick_ex_kind kind;
    uint32_t a;            /* RE: expression; RULE: its number; REP: least */
    uint32_t b;            /* REP: most */
    struct wick_ex *child; /* CAT, ALT: first; REP; LAZY: the shortest text only */
    struct wick_ex *next;
} wick_ex;

typedef struct wick_ex_rule {
    const char *name; /* for messages */
    wick_ex *body;    /* NULL: not defined */
    bool visiting, known, regular;
    wick_re re;
    uint32_t symbol; /* + 1 once it has one */
} wick_ex_rule;

typedef struct wick_cfg_item {
    uint32_t at, origin, lex;
} wick_cfg_item;

typedef struct wick_cfg_set {
    uint32_t items, n;
    bool accepts;
} wick_cfg_set;

typedef struct wick_cfg {
    wick_re_pool *re;
    uint32_t *code; /* productions one after the other: symbols, then CFG_END | the symbol that is complete */
    uint32_t n_code, cap_code;
    uint32_t *first; /* by symbol: a list of productions */
    uint32_t n_symbols, cap_symbols;
    uint32_t *prod, *prod_next; /* where a production begins; the symbol's next one + 1 */
    uint32_t n_prods, cap_prods, cap_prod_next;
    bool *nullable;
    uint32_t cap_nullable;
    wick_re *terminal;
    uint32_t n_terminals, cap_terminals;
    uint32_t *start_lex; /* by terminal */
    wick_cfg_set *set;   /* 0: dead */
    uint32_t n_sets, cap_sets;
    wick_cfg_item *item;
    uint32_t n_items, cap_items;
    wick_re_hash hash;
    wick_f_table step;
    wick_cfg_item *work; /* the set being made */
    uint32_t n_work, cap_work;
    wick_re_hash seen;
} wick_cfg;

/* Compiles the rules; `start` is the number of the one that is the text. The trees are read during the call only. */
wick_status wick_cfg_init(wick_cfg *c, wick_re_pool *re, wick_ex_rule *rules, uint32_t n, uint32_t start,
                          const char *what, uint32_t *start_set, wick_err *err) WICK_MUST_CHECK;
void wick_cfg_release(wick_cfg *c);
uint32_t wick_cfg_step(wick_cfg *c, uint32_t set, uint8_t byte); /* 0: may not come, or the pool failed */
static inline bool wick_cfg_accepts(const wick_cfg *c, uint32_t set)
{
    return c->set[set].accepts;
}
uint32_t wick_cfg_free_run(wick_cfg *c, uint32_t set, uint32_t most); /* as wick_dfa_free_run */
bool wick_cfg_loops(wick_cfg *c, uint32_t set);                       /* as wick_dfa_loops */

/* ---- trees, in an arena; NULL in gives NULL out ---- */
wick_ex *wick_ex_new(wick_arena *a, wick_ex_kind kind, uint32_t x, uint32_t y, wick_ex *child);

wick_status wick_gbnf_compile(wick_cfg *c, wick_re_pool *re, const char *s, size_t n, uint32_t *start,
                              wick_err *err) WICK_MUST_CHECK;
wick_status wick_lark_compile(wick_cfg *c, wick_re_pool *re, const char *s, size_t n, wick_buf *warnings,
                              uint32_t *start, wick_err *err) WICK_MUST_CHECK;
