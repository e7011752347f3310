/* engine/embed.h - texts to the tokens of requests for embeddings and scores, as the model's files want them: the
 * prompt that goes before, the pair of a query and a document. One place for server, C API and command line. */
#pragma once
#include "engine/engine.h"

typedef struct wick_embed_how {
    const char *name;   /* of one of the model's prompts ("query", "document"); NULL: its default; "": none */
    const char *prompt; /* a text that goes before, in place of the model's; NULL: none */
    bool truncate;      /* a text that is too long loses its end instead of being refused */
} wick_embed_how;

/* Appends to *ids (wick_realloc'ed). WICK_E_BAD_PARAMETER: the model has no such prompt. */
wick_status wick_embed_encode(const wick_engine *e, wick_str text, const wick_embed_how *how, int32_t **ids,
                              size_t *n_ids, wick_err *err) WICK_MUST_CHECK;
/* The tokens of a pair, and where the second text begins (0: the model makes no difference). A document that is too
 * long loses its end. `instruction`: what a judging chat model is told to look for; NULL: the usual. */
wick_status wick_rank_encode(const wick_engine *e, wick_str query, wick_str document, const char *instruction,
                             int32_t **ids, size_t *n_ids, uint32_t *second, wick_err *err) WICK_MUST_CHECK;
/* The floats of a vector (kind EMBED), or the labels of a score (RANK). */
uint32_t wick_embed_width(const wick_engine *e, wick_request_kind kind);

/* A text or a pair as tokens; ids are the caller's. */
typedef struct wick_embed_item {
    int32_t *ids;
    size_t n_ids;
    uint32_t second;
} wick_embed_item;
/* Runs a request for each of n items, some together, and blocks until all are done: out[n][wick_embed_width]. `o` says
 * what they have in common; the first failure ends it. */
wick_status wick_embed_batch(wick_engine *e, const wick_request_opts *o, const wick_embed_item *item, size_t n,
                             float *out, wick_err *err) WICK_MUST_CHECK;
/* The model scores pairs by a head of its own. */
bool wick_engine_ranks(const wick_engine *e);
/* To length 1, after the first `dims` values only were kept (0: all). Returns how many there are. A vector of nothing
 * but zeros stays. */
uint32_t wick_embed_finish(float *v, uint32_t n, uint32_t dims, bool normalize);
