/* grammar/grammar.h - constraints on generated text: compiled once, matched token by token.
 *
 *   wick_grammar_compile(&g, WICK_GRAMMAR_JSON_SCHEMA, text, n, NULL, &err);
 *   wick_gvocab_new(&v, tokenizer, ends, n_ends, &err);
 *   wick_gmatcher_new(&m, g, v, &err);
 *   wick_gmatcher_mask(m, bits, &err);  wick_gmatcher_accept(m, token, &err);  ...
 *
 * A grammar and a vocabulary are shared by any number of matchers on any threads: a grammar takes its own lock, because
 * its states are made when they are first reached. A matcher belongs to one request. Both are kept alive by their
 * matchers. Nothing fails open: where a limit is reached, the call is an error and no mask is given.
 */
#pragma once
#include "base/buf.h"
#include "base/status.h"
#include "text/tokenizer.h"

typedef enum wick_grammar_kind {
    WICK_GRAMMAR_JSON_SCHEMA,
    WICK_GRAMMAR_JSON_OBJECT, /* any JSON object; the text is not looked at */
    WICK_GRAMMAR_REGEX,       /* the whole answer matches */
    WICK_GRAMMAR_GBNF,
    WICK_GRAMMAR_LARK,
    WICK_GRAMMAR_CHOICES, /* a JSON list of strings, one of which is the answer */
    WICK_GRAMMAR_CALLS    /* calls of tools; the text is a description, see grammar/calls.h */
} wick_grammar_kind;

/* "json_schema", "json_object", "regex", "gbnf", "lark", "choice", "calls"; false: another word. */
bool wick_grammar_kind_of(const char *name, wick_grammar_kind *out);

typedef struct wick_grammar_options {
    bool lenient;        /* keywords that cannot be enforced are left out and said in the warnings */
    bool schema_order;   /* declared properties come in the order of the schema */
    uint32_t max_ws;     /* white space characters in a row between two tokens of JSON; UINT32_MAX: any number */
    uint32_t compile_ms; /* 0: 2,000 */
    uint32_t mask_ms;    /* for one mask; 0: 1,000 */
    uint64_t max_bytes;  /* of memory; 0: 192 MiB */
} wick_grammar_options;
#define WICK_GRAMMAR_OPTIONS_INIT \
    {                             \
        .max_ws = UINT32_MAX      \
    }

typedef struct wick_grammar wick_grammar;
/* WICK_E_BAD_PARAMETER: wrong or not supported, with the place; WICK_E_LIMIT: too large, with the limit. o may be
 * NULL. */
wick_status wick_grammar_compile(wick_grammar **out, wick_grammar_kind kind, const char *text, size_t n,
                                 const wick_grammar_options *o, wick_err *err) WICK_MUST_CHECK;
wick_grammar *wick_grammar_ref(wick_grammar *g);
void wick_grammar_unref(wick_grammar *g);                 /* lets one reference go; NULL is fine */
const char *wick_grammar_warnings(const wick_grammar *g); /* lines; "" where there are none */
/* What it was compiled from; the text is valid as long as g. */
wick_grammar_kind wick_grammar_source(const wick_grammar *g, const char **text, size_t *n);
bool wick_grammar_is(const wick_grammar *g, wick_grammar_kind kind, const char *text, size_t n);
/* More than half of its memory is used: a cache should compile the text again for the next request. */
bool wick_grammar_worn(wick_grammar *g);

typedef struct wick_gvocab wick_gvocab;
/* Control tokens match only as the marks around calls; `ends` are the ids that end an answer. The tokenizer is read
 * during the call only. */
wick_status wick_gvocab_new(wick_gvocab **out, const wick_tokenizer *t, const int32_t *ends, size_t n_ends,
                            wick_err *err) WICK_MUST_CHECK;
wick_gvocab *wick_gvocab_ref(wick_gvocab *v);
void wick_gvocab_free(wick_gvocab *v);
uint32_t wick_gvocab_size(const wick_gvocab *v); /* bits of a mask */

typedef struct wick_gmatcher wick_gmatcher;
/* v may be NULL for a matcher of bytes only. */
wick_status wick_gmatcher_new(wick_gmatcher **out, wick_grammar *g, wick_gvocab *v, wick_err *err) WICK_MUST_CHECK;
void wick_gmatcher_free(wick_gmatcher *m);
/* One bit for each token that may come next, [(size + 63) / 64] words; end tokens where the text may end, and only
 * there. */
wick_status wick_gmatcher_mask(wick_gmatcher *m, uint64_t *bits, wick_err *err) WICK_MUST_CHECK;
/* *ok false: the token may not come, and nothing changed. */
wick_status wick_gmatcher_accept(wick_gmatcher *m, int32_t token, bool *ok, wick_err *err) WICK_MUST_CHECK;
wick_status wick_gmatcher_accept_bytes(wick_gmatcher *m, const char *s, size_t n, size_t *n_ok,
                                       wick_err *err) WICK_MUST_CHECK;
void wick_gmatcher_rollback(wick_gmatcher *m, size_t n_tokens); /* the last n accepted; more: all */
bool wick_gmatcher_may_end(wick_gmatcher *m);
bool wick_gmatcher_ended(const wick_gmatcher *m); /* an end token was accepted */
/* Appends the bytes that must come next, as far as they are certain. */
wick_status wick_gmatcher_forced(wick_gmatcher *m, wick_buf *out, wick_err *err) WICK_MUST_CHECK;
