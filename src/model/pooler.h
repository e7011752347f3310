/* model/pooler.h - from the hidden states of a text to its one vector, or to the score of a pair of texts.
 *
 * What a file says about it: sentence-transformers' files beside the weights (modules.json and what it names), GGUF's
 * keys, a classifier's tensors. The plan ends with hidden states; whoever runs it pools them and then runs the layers
 * here, which are small, in float32 with double sums. Immutable once the model is open. */
#pragma once
#include <jansson.h>
#include "base/alloc.h"
#include "base/status.h"
#include "quant/weight.h"

struct wick_checkpoint;
struct wick_model;

typedef enum wick_pooling {
    WICK_POOL_DEFAULT, /* what the model's files say; mean where they say nothing */
    WICK_POOL_LAST,
    WICK_POOL_MEAN,
    WICK_POOL_FIRST,
    WICK_POOL_MAX,
    WICK_POOL_SQRT_LEN, /* the sum by the root of the number of tokens */
    WICK_POOL_WEIGHTED, /* mean with weights 1, 2, 3, ... */
    WICK_N_POOLINGS
} wick_pooling;

typedef enum wick_pool_act {
    WICK_POOL_ACT_NONE,
    WICK_POOL_ACT_TANH,
    WICK_POOL_ACT_GELU,
    WICK_POOL_ACT_RELU,
    WICK_POOL_ACT_SILU
} wick_pool_act;

/* y = norm(act(w x + b)); without a norm where norm is NULL. */
typedef struct wick_pool_layer {
    const wick_weight *w;
    const float *b, *norm, *norm_bias;
    wick_pool_act act;
    float eps;
} wick_pool_layer;

enum { WICK_POOL_LAYERS = 4 };

typedef struct wick_pooler {
    wick_pooling pooling; /* DEFAULT: the files do not say */
    wick_pool_layer embed[WICK_POOL_LAYERS], rank[WICK_POOL_LAYERS];
    uint32_t n_embed, n_rank; /* n_rank 0: the model gives no scores */
    wick_pooling rank_pooling;
    uint32_t best;                  /* of several labels, the one whose probability is the score */
    bool judge;                     /* a chat model that says yes or no: pairs go into its prompt */
    uint32_t max_tokens;            /* texts are cut to so many; 0: to the context */
    json_t *prompts;                /* an object of texts that go before, by name; NULL: none; owned */
    const char *prompt;             /* the name of the one that is used where none is asked for, or NULL */
    const char *pair;               /* GGUF's template of a pair, with {query} and {document}, or NULL */
    uint32_t n_dims, n_max, n_work; /* floats of the vector, of the widest layer, of wick_pooler_run's `work` */
} wick_pooler;

const char *wick_pooling_name(wick_pooling p);
/* Of "mean", "last", "first" (or "cls"), "max", ...: false if there is no such one. */
bool wick_pooling_find(const char *name, wick_pooling *out);

/* The layers of a classifier, from the checkpoint; arena: the plan's. */
wick_status wick_pooler_heads(wick_pooler *p, struct wick_checkpoint *k, wick_err *err) WICK_MUST_CHECK;
/* What GGUF's keys, or sentence-transformers' files in the model's folder, say; after the plan was built. */
wick_status wick_pooler_files(struct wick_model *m, const char *folder, wick_err *err) WICK_MUST_CHECK;
/* A chat model whose answer "yes" or "no" is the score (Qwen3-Reranker): a layer for the difference of the two logits.
 * `head`: the plan's output matrix. Leaves p as it is where it has scores already, or where the model's name does not
 * call it a reranker (unless `sure`). */
wick_status wick_pooler_judge(wick_pooler *p, struct wick_model *m, int32_t yes, int32_t no, bool sure,
                              wick_err *err) WICK_MUST_CHECK;
void wick_pooler_release(wick_pooler *p);

/* Sets n_dims, n_max and n_work; n_embd: width of the hidden states. */
void wick_pooler_measure(wick_pooler *p, uint32_t n_embd);
/* Runs n layers over x[n_in], in place; room for n_max floats in x, n_work in `work`. Returns the result's width. */
uint32_t wick_pooler_run(const wick_pool_layer *layer, uint32_t n, float *x, uint32_t n_in, float *work);
/* A pair's score between 0 and 1 from its n logits. */
double wick_pooler_score(const wick_pooler *p, const float *logit, uint32_t n);
