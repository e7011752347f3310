/* backend/backend.h - how a plan is run: one const struct of functions per backend, one row in the registry.
 *
 * The engine knows sequences, lengths and budgets; blocks, reference counts and layouts are the backend's own.
 * Threads: everything of one context is called from one thread (the engine's), from open to close; probe may be
 * called from any thread. No function prints, exits or reads the environment (options carry what it said).
 */
#pragma once
#include "base/status.h"
#include "base/thread.h"
#include "model/plan.h"

typedef struct wick_backend_ctx wick_backend_ctx;     /* a device */
typedef struct wick_backend_model wick_backend_model; /* a plan loaded on it */
typedef struct wick_seq wick_seq;                     /* one sequence's KV and states */

typedef enum wick_precision {
    WICK_PRECISION_FAST, /* int8 activations per group */
    WICK_PRECISION_FINE, /* hi + lo int8 activations */
    WICK_PRECISION_EXACT /* float activations */
} wick_precision;

enum wick_caps_flags {
    WICK_CAP_STRUCTURED_OUTPUT = 1 << 0,
    WICK_CAP_SPECULATIVE = 1 << 1,     /* several tokens of a row verified in one step, then kv_truncate */
    WICK_CAP_KV_PREFIX_COPY = 1 << 2,  /* kv_fork works */
    WICK_CAP_EMBEDDINGS = 1 << 3,      /* WICK_OUT_HIDDEN works */
    WICK_CAP_BATCH_INVARIANT = 1 << 4, /* a row's result does not depend on the other rows, nor on chunking */
    WICK_CAP_KV_SERIALIZE = 1 << 6,    /* kv_export and kv_import work */
    WICK_CAP_DEVICE_SAMPLING = 1 << 5  /* WICK_OUT_PICK works, and steps may overlap (step_submit) */
};

typedef struct wick_device_info {
    char name[96]; /* "AMD EPYC (AVX-512 VNNI)", "NVIDIA H200" */
    char kind[8];  /* "cpu", "gpu" */
    uint64_t memory_bytes, memory_free_bytes;
    bool unified_memory;
    bool has_use; /* the allocator counts what this process has of it now, had at most, and keeps for reuse */
    uint64_t active_bytes, peak_bytes, cache_bytes;
    const char *advice; /* what to know before it is used, or NULL; static */
} wick_device_info;

typedef struct wick_backend_info {
    bool available;
    char reason[240]; /* why not, and the remedy; empty if available */
    char version[64];
    wick_device_info device[8];
    uint32_t n_devices;
} wick_backend_info;

/* What one op left in its register, for comparing and tracing (backend/wrap.h). Called on the thread that submitted. */
typedef struct wick_tap {
    uint32_t op_index; /* in the plan */
    const struct wick_op *op;
    const float *data; /* [n_rows][n_embd], float32 copy or view; NULL for HEAD */
    uint32_t n_rows, n_embd;
} wick_tap;
typedef void (*wick_tap_fn)(void *ctx, const wick_tap *tap);

/* An option of one backend: "mlx.compile" = "off". A key begins with the backend's name and a dot. A backend reads its
 * own when it is opened, refuses those of its own that it does not know, and passes over the others'. */
typedef struct wick_backend_setting {
    const char *key, *value; /* borrowed until open has returned */
} wick_backend_setting;

enum { WICK_MAX_SETTINGS = 8 };

typedef struct wick_backend_opts {
    const char *device; /* "auto", "cpu", "gpu" */
    uint32_t n_threads; /* 0: the machine's */
    wick_precision precision;
    const char *isa;             /* cpu: NULL = best; "portable", "avx2", "avx512" (WICK_CPU) */
    wick_dtype kv_dtype;         /* F16 default; F32 with exact; BF16, Q8_0, Q4_0 where the backend can */
    const char *cache_dir;       /* packed weights are kept here (pack_cache.h); NULL: not kept */
    uint64_t memory_limit_bytes; /* 0: the device's */
    wick_backend_setting setting[WICK_MAX_SETTINGS];
    uint32_t n_settings;
    wick_tap_fn tap; /* NULL; else called after every op of every step, and nothing is fused */
    void *tap_ctx;
    uint64_t cache_min_bytes;   /* what packs to less is packed at every start */
    uint64_t cache_limit_bytes; /* of cache_dir: the least recently used go first; 0: no limit */
} wick_backend_opts;

typedef struct wick_progress {
    void (*fn)(void *ctx, const char *what, uint64_t done, uint64_t total); /* may be NULL */
    void *ctx;
    const wick_cancel *cancel; /* true: stop loading, with WICK_E_CANCELLED; may be NULL */
} wick_progress;
static inline bool wick_progress_cancelled(const wick_progress *p)
{
    return p->cancel && atomic_load_explicit(p->cancel, memory_order_relaxed);
}

enum wick_row_output {
    WICK_OUT_NONE = 0,
    WICK_OUT_LAST = 1,   /* logits of the row's last token */
    WICK_OUT_ALL = 2,    /* logits of every token of the row */
    WICK_OUT_HIDDEN = 4, /* the normed hidden state of every token instead of logits (embeddings) */
    WICK_OUT_PICK = 8    /* the token with the highest logit after the row's last one, chosen on the device */
};

/* The tokens of one sequence in this step; they take the positions after those the sequence already holds. */
typedef struct wick_row {
    wick_seq *seq;
    const int32_t *tokens; /* NULL with n_tokens 1: what this sequence picked in the step submitted before this one */
    uint32_t n_tokens;
    uint32_t out;    /* wick_row_output */
    uint32_t second; /* where the second text of a pair begins, for models with token types; 0: there is none */
} wick_row;

typedef struct wick_batch {
    const wick_row *row;
    uint32_t n_rows; /* a sequence is named by one row at most */
} wick_batch;

/* What WICK_OUT_PICK gives: the lowest id of the highest logit and its log probability; id -1: the logits are no
 * numbers. */
typedef struct wick_pick {
    int32_t id;
    float logprob;
} wick_pick;

/* One float32 vector per output asked for, in the order of the batch's rows and tokens, and one pick per row with
 * WICK_OUT_PICK; valid until the next call of step_submit or step_wait. */
typedef struct wick_step_out {
    const float *data;     /* [n][width] */
    uint32_t n, width;     /* width: n_vocab, or n_embd for hidden */
    const wick_pick *pick; /* [n_picks] */
    uint32_t n_picks;
} wick_step_out;

typedef struct wick_backend_stats {
    uint64_t weight_bytes, kv_bytes, scratch_bytes, active_bytes, peak_bytes, cache_bytes;
    uint64_t n_steps, n_tokens;
    double step_ms;
} wick_backend_stats;

typedef struct wick_kv_usage {
    uint64_t bytes, capacity_bytes; /* capacity 0: bounded by memory only */
    uint32_t block_tokens;          /* granularity of growth */
    uint64_t bytes_per_token;       /* of a full-attention sequence */
    /* States, and windows that let go of what lies behind them, keep a sequence from being cut anywhere. A fork at a
     * sequence's end always works, so a fork is a checkpoint. How far back from its end one can be cut (0: every
     * sequence can be cut anywhere; 1: at its end only), and what it holds besides its positions. */
    uint32_t checkpoint_tokens;
    uint64_t checkpoint_bytes;
    bool forks_share; /* a fork's positions take no memory of their own */
} wick_kv_usage;

typedef struct wick_backend {
    const char *name; /* "cpu", "mlx" */
    void (*probe)(wick_backend_info *out);
    wick_status (*open)(wick_backend_ctx **out, const wick_backend_opts *opts, wick_err *err);
    void (*close)(wick_backend_ctx *c);
    uint32_t (*caps)(const wick_backend_model *m); /* of a loaded plan: wick_caps_flags */
    wick_status (*check)(wick_backend_ctx *c, const wick_plan *plan,
                         wick_err *err); /* names missing ops and encodings */
    /* max_tokens: most tokens in one step; the plan is borrowed until unload. */
    wick_status (*load)(wick_backend_ctx *c, const wick_plan *plan, uint32_t max_tokens, wick_progress progress,
                        wick_backend_model **out, wick_err *err);
    void (*unload)(wick_backend_model *m);
    /* Starts a step. With WICK_CAP_DEVICE_SAMPLING one more may be submitted before the last is waited for; step_wait
     * answers in the order of submission, and sequences may be truncated or freed meanwhile. A step that cannot be
     * built leaves everything as it was. */
    wick_status (*step_submit)(wick_backend_model *m, const wick_batch *batch, wick_err *err);
    wick_status (*step_wait)(wick_backend_model *m, wick_step_out *out, wick_err *err);
    wick_status (*kv_new)(wick_backend_model *m, uint32_t n_ctx_hint, wick_seq **out, wick_err *err);
    /* A new sequence with the first n tokens of s; shares or copies. WICK_E_UNSUPPORTED_FORMAT without the
     * capability. */
    wick_status (*kv_fork)(wick_backend_model *m, const wick_seq *s, uint32_t n_tokens, wick_seq **out, wick_err *err);
    wick_status (*kv_truncate)(wick_backend_model *m, wick_seq *s, uint32_t n_tokens, wick_err *err);
    uint32_t (*kv_len)(const wick_seq *s);
    void (*kv_free)(wick_backend_model *m, wick_seq *s);
    /* Positions [from, to) as float16 or float32 [cache][k then v][kv_head][position][dim]; *n_bytes = what it takes
     * (buf NULL: only that). */
    wick_status (*kv_export)(wick_backend_model *m, const wick_seq *s, uint32_t from, uint32_t to, void *buf,
                             uint64_t *n_bytes, wick_err *err);
    wick_status (*kv_import)(wick_backend_model *m, wick_seq *s, uint32_t from, uint32_t to, const void *buf,
                             uint64_t n_bytes, wick_err *err);
    void (*kv_usage)(const wick_backend_model *m, wick_kv_usage *out);
    void (*stats)(const wick_backend_model *m, wick_backend_stats *out);
    const char *(*device_label)(const wick_backend_model *m); /* "cpu: AMD EPYC, 2 threads, avx512-vnni, fast" */
    uint32_t prefill_tokens;                                  /* preferred prompt tokens of a step; 0 means 512 */
} wick_backend;

/* The registry: a NULL-terminated list in order of preference, made by CMake from the folders that were built. */
extern const wick_backend *const wick_backends[];
/* By name; NULL if it is not in this build. "auto" is the engine's business. */
const wick_backend *wick_backend_find(const char *name);
/* Is it the name of a backend that Wick has, though perhaps not in this build? */
bool wick_backend_known(const char *name);
extern const char *const wick_backend_names[];     /* of all that Wick has; NULL behind the last */
const char *wick_backend_remedy(const char *name); /* what to do about a backend that this build lacks */
extern const char wick_backend_choices[];          /* "auto|cpu|mlx" */
/* Sets an option of one backend; the last value of a key counts. False: there are too many. */
bool wick_backend_set(wick_backend_opts *o, const char *key, const char *value);
