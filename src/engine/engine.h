/* engine/engine.h - one loaded model and the thread that runs it; many requests at once.
 *
 * The engine thread owns model, KV and backend from load to close. Any other thread may make requests, submit them,
 * read their events and cancel them. A submitted request is read-only but for its atomic cancel flag; its events come
 * in order through its own queue. The struct layouts here are internal; wick/wick.h is the public face.
 */
#pragma once
#include "backend/backend.h"
#include "engine/sample.h"
#include "model/model.h"
#include "model/pooler.h"
#include "text/tokenizer.h"

enum { WICK_DEFAULT_SEQS = 128 };

typedef struct wick_engine wick_engine;
typedef struct wick_request wick_request;

typedef struct wick_engine_opts {
    const char *backend;      /* "auto", "cpu", "mlx" */
    wick_backend_opts device; /* passed on */
    uint32_t n_ctx;           /* tokens a sequence may hold; 0: the model's, capped by memory */
    uint32_t prefill_chunk;   /* 0: what the backend does best with, 512 or more */
    uint32_t max_seqs;        /* sequences that decode together, if memory allows; 0: WICK_DEFAULT_SEQS */
    uint32_t max_queue;       /* 0: 256 */
    uint64_t kv_limit_bytes;  /* 0: what memory allows */
    const char *kv_dir;       /* sequences are also kept in this folder (kv_store.h); NULL or "off": not on disk */
    uint64_t kv_disk_bytes;   /* what the folder may hold, the least recently used goes first; 0: no limit */
    bool no_drafts;           /* no guesses of what follows (draft.h) */
    bool prefix_cache;        /* keep finished sequences for reuse, where the backend has kv_prefix_copy */
    const char *pre;          /* a GGUF pre-tokenizer's name in place of the file's; NULL: the file's */
    const char *isq;        /* a form or recipe of model/recipe.h for float matrices, which are quantized while they are
                               * loaded; NULL: as the file has them */
    const char *prefer;     /* a backend that "auto" tries first; NULL: none */
    bool no_tokenizer;      /* do not even look for one (`wick logits`) */
    wick_progress progress; /* called from the engine's thread while wick_engine_open waits */
} wick_engine_opts;

void wick_engine_opts_init(wick_engine_opts *o);
/* Opens the model, checks that it fits, loads it on the backend, starts the thread. Blocks until ready. */
wick_status wick_engine_open(wick_engine **out, const char *path, const wick_engine_opts *o,
                             wick_err *err) WICK_MUST_CHECK;
void wick_engine_close(wick_engine *e); /* cancels what runs, joins the thread */

const wick_model *wick_engine_model(const wick_engine *e);
const wick_tokenizer *wick_engine_tokenizer(const wick_engine *e); /* NULL: it has none */
const wick_pooler *wick_engine_pooler(const wick_engine *e);       /* NULL: of a plan without one */
bool wick_engine_generates(const wick_engine *e); /* false: an encoder, which cannot go on with texts */
uint32_t wick_engine_ctx(const wick_engine *e);   /* tokens */
uint32_t wick_engine_caps(const wick_engine *e);
bool wick_engine_drafts(const wick_engine *e); /* are guesses of what follows taken along (draft.h)? */
const char *wick_engine_backend_name(const wick_engine *e);
const char *wick_engine_device_label(const wick_engine *e);

typedef struct wick_engine_stats {
    wick_backend_stats backend;
    wick_kv_usage kv;
    uint64_t n_requests, n_prompt_tokens, n_cached_tokens, n_gen_tokens, n_preempted, n_cancelled, n_failed;
    uint32_t n_running, n_waiting; /* decoding or prefilling now; submitted and not in a step now */
    double load_ms;
    uint32_t n_prefixes; /* sequences that the prefix cache holds */
    uint64_t prefix_bytes;
    uint64_t n_drafted, n_accepted;     /* guesses of what follows, and those that were right */
    uint64_t n_disk_tokens;             /* positions that were read from disk */
    uint64_t disk_bytes, written_bytes; /* in kv_dir, and written to it since the model was loaded */
    uint64_t n_prefix_hits;             /* requests that found part of their prompt there */
} wick_engine_stats;
void wick_engine_get_stats(
    wick_engine *e,
    wick_engine_stats *out); /* any thread; ended requests are counted, the rest is at most some 50 ms old */
void wick_engine_clear_prefixes(wick_engine *e); /* forgets what the prefix cache holds, soon; any thread */
void wick_engine_drop_prefixes(wick_engine *e,
                               uint64_t owner); /* the same for all users of an owner (a key was removed) */

/* A matcher follows one answer through a constraint. Every call comes from the engine's thread, never two at once.
 * The engine asks for the mask, tells the token that it chose from it, and so on; a request that loses its KV is
 * computed again from its tokens, which the matcher does not notice. */
typedef struct wick_matcher_ops {
    /* Sets the bits of the tokens that may come next in bits[(n_vocab + 31) / 32], which arrives all zero. *any true:
     * every token may come, and the bits are not looked at. The bits of the tokens that end a text are overwritten
     * by the engine: they may come where may_end says so. A failure ends the request with that error. */
    wick_status (*mask)(void *m, uint32_t *bits, uint32_t n_vocab, bool *any, wick_err *err);
    /* The token that was chosen; never one that ended the text. A failure ends the request with that error: no text
     * is ever delivered that the constraint did not accept. */
    wick_status (*accept)(void *m, int32_t id, wick_err *err);
    /* Takes the last n accepted tokens back. For drafts that turn out wrong; NULL: it cannot, and gets no drafts. */
    void (*rollback)(void *m, uint32_t n);
    /* May the text end here? NULL: anywhere. */
    bool (*may_end)(const void *m);
    /* Writes at most `max` tokens that must come next, in order, and returns how many. For drafts; NULL: none. */
    uint32_t (*forced)(void *m, int32_t *ids, uint32_t max);
    void (*free)(void *m);
} wick_matcher_ops;

typedef struct wick_matcher {
    const wick_matcher_ops *ops; /* NULL: no matcher */
    void *self;
} wick_matcher;

/* A constraint (a compiled grammar) restricts what may come next. It is immutable and makes one matcher for each
 * answer, so any number of requests may be made from one. It is called by wick_request_new on the caller's thread only;
 * what a matcher needs for longer it must hold by itself (a reference to the compiled grammar). */
typedef struct wick_constraint {
    const void *grammar;
    wick_status (*matcher_new)(const void *grammar, wick_matcher *out, wick_err *err);
} wick_constraint;

typedef enum wick_request_kind {
    WICK_REQ_GENERATE,
    /* logits of every prompt token, then max_tokens (0: none) greedy ones: a TOKEN and a LOGITS event each */
    WICK_REQ_LOGITS,
    WICK_REQ_EMBED, /* pooled hidden state, through the model's dense layers where it has such */
    WICK_REQ_RANK   /* the logits of a model with a head for scores (wick_pooler_score makes one of them) */
} wick_request_kind;

/* Whose a request is. Cached prompts are shared where both numbers are equal and nowhere else. Turns go by owner first,
 * then by the users of one owner. An owner other than 0 (nobody in particular) never holds so many places of the queue
 * that none is left for another. */
typedef struct wick_domain {
    uint64_t owner; /* an API key; its cached prompts are forgotten together */
    uint64_t user;  /* one of its users */
} wick_domain;

typedef struct wick_request_opts {
    wick_request_kind kind;
    const int32_t *prompt;   /* copied */
    uint32_t n_prompt;       /* at least 1 */
    uint32_t max_tokens;     /* 0: until the context is full */
    wick_sampling sampling;  /* bias array copied */
    const char *const *stop; /* stop strings, copied; never part of the text delivered */
    uint32_t n_stop;
    bool ignore_eos;
    bool show_special;                 /* control tokens in the text too */
    uint32_t n_top_logprobs;           /* 0..20, for each generated token (logprob of the chosen one is always there) */
    bool prompt_logprobs;              /* echo: log probability (and top) of every prompt token but the first */
    int32_t priority;                  /* higher first */
    wick_domain domain;                /* whose it is: fairness, places in the queue, isolation of cached prompts */
    const wick_constraint *constraint; /* GENERATE; borrowed for the call of wick_request_new; NULL: none */
    wick_pooling pooling;              /* EMBED */
    uint32_t second;                   /* EMBED, RANK: where the second text of a pair begins; 0: there is none */
    uint64_t deadline_ms;              /* 0: none; from submission */
    uint32_t min_tokens;               /* no EOS and no stop string before that many */
    bool prompt_only;                  /* GENERATE: nothing is generated (echo with max_tokens 0) */
    bool no_prefix_cache;              /* neither takes from it nor gives to it */
} wick_request_opts;

void wick_request_opts_init(wick_request_opts *o);

typedef enum wick_finish {
    WICK_FINISH_NONE,
    WICK_FINISH_EOS,
    WICK_FINISH_STOP,
    WICK_FINISH_LENGTH,
    WICK_FINISH_CANCELLED,
    WICK_FINISH_ERROR
} wick_finish;

typedef struct wick_usage {
    uint32_t n_prompt, n_cached, n_gen; /* n_gen counts the EOS too */
    double queue_ms, prefill_ms /* of the tokens not cached */, first_token_ms /* since submission */,
        decode_ms /* after the first token */;
} wick_usage;

typedef enum wick_event_kind {
    WICK_EVENT_PREFILL, /* n_done of n_total prompt tokens are in, n_cached of them were there before */
    WICK_EVENT_TOKEN,   /* one more token; text may be empty while a character or a stop string is undecided */
    WICK_EVENT_LOGITS,  /* data[n][width] */
    /* the last one: finish, stop_string, usage; `error` for WICK_FINISH_ERROR; text = what was held back */
    WICK_EVENT_DONE
} wick_event_kind;

typedef struct wick_event {
    wick_event_kind kind;
    int32_t token;
    const char *text; /* UTF-8, whole characters; n_text bytes. is_prompt: the token's own bytes, whatever they are */
    uint32_t n_text;
    float logprob;
    const wick_logprob *top; /* [n_top] */
    uint32_t n_top;
    uint32_t n_done, n_total, n_cached;
    const float *data; /* [n_data][width] */
    uint32_t n_data, width;
    /* TOKEN events of prompt_logprobs; LOGITS of prompt positions. EMBED, RANK: n_data 1, width of the vector */
    bool is_prompt;
    wick_finish finish;
    const char *stop_string; /* the one that matched, or NULL */
    wick_usage usage;
    wick_err error;
} wick_event;

/* Copies what `o` points to, and makes a matcher of its own from `constraint`. WICK_E_LIMIT if the prompt is longer
 * than the context. */
wick_status wick_request_new(wick_request **out, wick_engine *e, const wick_request_opts *o,
                             wick_err *err) WICK_MUST_CHECK;
/* WICK_E_LIMIT if the queue is full. Once only. */
wick_status wick_request_submit(wick_request *r, wick_err *err) WICK_MUST_CHECK;
/* The next event; NULL on time-out (timeout_ms -1: for ever). It is valid until the next call on r. After DONE: NULL.
 * Events are bounded: a reader who falls WICK_MAX_EVENTS behind pauses its sequence, and nobody else's. */
#define WICK_MAX_EVENTS 128
const wick_event *wick_request_next(wick_request *r, int64_t timeout_ms);
/* Called from the engine thread whenever an event was queued (servers); set before submit. It must not block and must
 * not free r. */
void wick_request_notify(wick_request *r, void (*fn)(void *ctx), void *ctx);
void wick_request_cancel(wick_request *r);
void wick_request_free(
    wick_request *r); /* cancels if it still runs; waits for the engine to let go; before wick_engine_close */
