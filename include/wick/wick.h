/* wick/wick.h - run language models inside a program: open, generate, chat, embed.
 *
 *   wick_error err;
 *   wick_model_builder *b = wick_model_builder_new("models/wick-shell");
 *   wick_model_builder_set_context(b, 4096);
 *   wick_llm *llm = NULL;
 *   if (wick_model_builder_build(b, &llm, &err) != WICK_OK) puts(err.message);
 *   wick_model_builder_free(b);
 *   wick_result r;
 *   if (wick_llm_chat_text(llm, "list all files", NULL, NULL, NULL, &r, &err) == WICK_OK) puts(r.text);
 *   wick_result_release(&r);
 *   wick_llm_close(llm);
 *
 * Ownership: what a function returns through a char ** or an array pointer is the caller's, to be given to
 * wick_buffer_free; a const pointer is borrowed, for as long as its comment says; arguments are borrowed during the
 * call. Text is UTF-8. Lengths are bytes, or tokens where the name says so. SIZE_MAX as the length of a text means that
 * it ends with a NUL.
 *
 * Errors: every call that can fail returns a wick_status and takes a wick_error * last, which may be NULL (see
 * wick/error.h). The last failure of the calling thread is also kept for wick_last_error. Results are written on
 * success only, except where a comment says otherwise.
 *
 * Threads: a wick_llm may be used by any number of threads at once; their requests run together in one batch. A builder
 * belongs to one thread at a time. Callbacks run on the thread that made the call, but for log and progress.
 *
 * Structs that begin with `size` are to be filled by their _init macro first. Fields may be added at their ends; a
 * program compiled with an older header goes on working.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "wick/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library: "0.1.0". Static. */
WICK_API const char *wick_version(void);
/* The last failure on the calling thread; kind WICK_OK where nothing has failed yet. Valid until the thread's next
 * call. */
WICK_API const wick_error *wick_last_error(void);
/* Frees what the library returned as the caller's. NULL is fine. */
WICK_API void wick_buffer_free(void *p);

/* ---- opening a model ---- */

typedef struct wick_model_builder wick_model_builder; /* what to open and how */
typedef struct wick_llm wick_llm;                     /* a loaded model, ready for requests */

/* A model folder (safetensors, NPZ), a .gguf or .npz file, or an id "org/name" whose files are on this disk. NULL when
 * out of memory. The setters copy their arguments. They return what is wrong with the value at once; a failure is kept
 * and returned by build again, so that their results need not be looked at. */
WICK_API wick_model_builder *wick_model_builder_new(const char *path_or_id);
WICK_API void wick_model_builder_free(wick_model_builder *b);

/* "auto" (default), "cpu", "mlx". */
WICK_API wick_status wick_model_builder_set_backend(wick_model_builder *b, const char *name);
/* "auto" (default), "cpu", "gpu". */
WICK_API wick_status wick_model_builder_set_device(wick_model_builder *b, const char *name);
/* Threads that compute; 0 (default): one per core that is free to use. */
WICK_API wick_status wick_model_builder_set_threads(wick_model_builder *b, uint32_t n);
/* Of activations on the CPU: "fast" (default), "fine", "exact" (float32, the reference). */
WICK_API wick_status wick_model_builder_set_precision(wick_model_builder *b, const char *name);
/* Quantizes a float model while it is loaded: "Q4K", "Q8_0", "AFQ4", "MXFP4", "Q4_K_M", ... (docs/QUANTIZE.md); NULL
 * (default): weights are used as the file has them. Progress comes by set_progress; with a cache folder the result is
 * kept there. */
WICK_API wick_status wick_model_builder_set_isq(wick_model_builder *b, const char *type);
/* Tokens that one request may hold, prompt and answer; 0 (default): the model's, at most 8192 and what memory
 * allows. */
WICK_API wick_status wick_model_builder_set_context(wick_model_builder *b, uint32_t n_tokens);
/* Requests that are computed together (default 128, if memory allows) and that may wait beside them (default 256); 0
 * keeps the default. */
WICK_API wick_status wick_model_builder_set_concurrency(wick_model_builder *b, uint32_t n_together, uint32_t n_waiting);
/* Most memory in bytes for weights and context; 0 (default): what is free. */
WICK_API wick_status wick_model_builder_set_memory_limit(wick_model_builder *b, uint64_t n_bytes);
/* Whether finished requests are kept for those that begin with the same text (default true). */
WICK_API wick_status wick_model_builder_set_prefix_cache(wick_model_builder *b, bool on);
/* A folder where what was computed of conversations is kept on disk, so that the next process does not compute it
 * again, and the most that it may hold, the least recently used goes first (0: no limit); NULL (default): nowhere. Its
 * files are readable for this user only, and say what the conversations were about. */
WICK_API wick_status wick_model_builder_set_kv_dir(wick_model_builder *b, const char *dir, uint64_t limit_bytes);
/* Whether tokens that the text suggests are computed along with the next one where that is faster (default true).
 * Answers are the same either way. */
WICK_API wick_status wick_model_builder_set_drafts(wick_model_builder *b, bool on);
/* A folder where weights packed for this processor are kept between runs; NULL (default): nowhere. */
WICK_API wick_status wick_model_builder_set_cache_dir(wick_model_builder *b, const char *dir);
/* A Jinja template, or the path of a file with one, instead of the model's own; NULL (default): the model's. */
WICK_API wick_status wick_model_builder_set_chat_template(wick_model_builder *b, const char *text_or_path);
/* The home folder in whose caches (Hugging Face, LM Studio, Ollama, ~/models) an id is looked for; NULL (default): only
 * ./models is looked through. The library does not read the environment. */
WICK_API wick_status wick_model_builder_set_home(wick_model_builder *b, const char *dir);

/* Levels: 0 errors, 1 warnings, 2 information, 3 debugging (each token's way, with times). One line without its end.
 * Process-wide, called from any thread, also after the builder is gone; set from the moment of build. */
typedef void (*wick_log_callback)(void *user, int level, const char *line);
WICK_API wick_status wick_model_builder_set_log(wick_model_builder *b, wick_log_callback fn, void *user, int max_level);
/* While build runs, from another thread: what is being done, how much of how much (total 0: unknown). */
typedef void (*wick_progress_callback)(void *user, const char *what, uint64_t done, uint64_t total);
WICK_API wick_status wick_model_builder_set_progress(wick_model_builder *b, wick_progress_callback fn, void *user);
/* From any thread, also from the callback: a build that is loading weights ends with WICK_E_CANCELLED, as do later ones
 * of this builder. */
WICK_API void wick_model_builder_cancel(wick_model_builder *b);

/* ---- tools that run ---- */

typedef struct wick_tool_run wick_tool_run; /* one call of a model, while its function runs */
/* Answers one call with wick_tool_run_return. A failure status becomes "error: <message>" for the model to read. Runs
 * on a thread of its own, several at once where a request says so. */
typedef wick_status (*wick_tool_function)(void *user, wick_tool_run *run, wick_error *err);
WICK_API const char *wick_tool_run_name(const wick_tool_run *run);
/* A JSON object that fits the tool's schema, as text; valid until the function returns. */
WICK_API const char *wick_tool_run_arguments(const wick_tool_run *run);
/* The time of the call is over, or the caller gave up: the function should return soon. */
WICK_API bool wick_tool_run_cancelled(const wick_tool_run *run);
/* More of the result, text or JSON; n SIZE_MAX: up to the NUL. */
WICK_API wick_status wick_tool_run_return(wick_tool_run *run, const char *text, size_t n, wick_error *err);

/* A function that the model of this builder may call in every conversation: wick_llm_chat runs it and lets the model go
 * on until it answers in words. schema_json: a JSON schema of the arguments, NULL: any object. fn and user must live as
 * long as the models that are built. WICK_E_BAD_PARAMETER: the name is taken or has other characters than letters,
 * digits, _ - . */
WICK_API wick_status wick_model_builder_add_tool(wick_model_builder *b, const char *name, const char *description,
                                                 const char *schema_json, wick_tool_function fn, void *user);
/* The tools of MCP servers and others that a file names (docs/MCP.md), or its text; connected by build. Programs that
 * it starts get PATH from the text's "env" only: the library does not read the environment. NULL: none. */
WICK_API wick_status wick_model_builder_set_mcp(wick_model_builder *b, const char *json_or_path);

/* One tool of a single request (wick_generate_options.own_tools). */
typedef struct wick_own_tool {
    const char *name, *description;
    const char *schema_json; /* NULL: any object */
    wick_tool_function fn;
    void *user;
} wick_own_tool;

/* Opens the model and blocks until it is ready. The builder stays the caller's, and may build again.
 * Errors: WICK_E_MODEL_NOT_FOUND, WICK_E_UNSUPPORTED_FORMAT, WICK_E_BAD_FILE, WICK_E_DEVICE_NOT_AVAILABLE,
 * WICK_E_TOKENIZER_MISMATCH, WICK_E_OUT_OF_MEMORY (checked before anything large is allocated), and what a setter
 * said. */
WICK_API wick_status wick_model_builder_build(wick_model_builder *b, wick_llm **out, wick_error *err);
/* Ends running requests, then frees all. No other thread may be inside a call on it. NULL is fine. */
WICK_API void wick_llm_close(wick_llm *llm);

typedef struct wick_llm_info {
    size_t size;
    const char *path, *name, *architecture; /* strings: borrowed from the llm */
    const char *backend, *device;           /* "cpu", "cpu: AMD EPYC, 2 threads, ..." */
    uint32_t n_vocab, n_context, n_embd, n_layers;
    uint64_t n_params, weight_bytes;
    double load_ms;
    bool has_tokenizer, has_chat_template, has_embeddings;
    uint64_t kv_bytes; /* context memory in use now */
    uint32_t n_running, n_waiting;
    /* MLX: what its allocator has given out now and at most, and keeps for reuse; 0 on the CPU backend */
    uint64_t memory_active_bytes, memory_peak_bytes, memory_cache_bytes;
} wick_llm_info;
#define wick_llm_info_init(i) ((i)->size = sizeof *(i))
WICK_API wick_status wick_llm_get_info(wick_llm *llm, wick_llm_info *info, wick_error *err);

/* ---- tokens ---- */

/* *ids: the caller's, *n_ids of them. add_special: also what the model puts around a text (usually a begin token). */
WICK_API wick_status wick_llm_tokenize(wick_llm *llm, const char *text, size_t n, bool add_special, int32_t **ids,
                                       size_t *n_ids, wick_error *err);
/* *text: the caller's, with a NUL after its *n bytes (n may be NULL). Control tokens are left out if skip_special. */
WICK_API wick_status wick_llm_detokenize(wick_llm *llm, const int32_t *ids, size_t n_ids, bool skip_special,
                                         char **text, size_t *n, wick_error *err);

/* ---- forms that answers are held to ---- */

typedef struct wick_grammar wick_grammar;
/* kind: "json_schema", "json_object" (any object; text NULL), "regex", "gbnf", "lark", "choice" (a JSON array of
 * strings). n SIZE_MAX: up to the NUL. The text is compiled here, once; one grammar serves any number of requests, on
 * any threads, of any models. WICK_E_BAD_PARAMETER: wrong, or what cannot be enforced exactly, with its place;
 * WICK_E_LIMIT: too large. */
WICK_API wick_status wick_grammar_new(const char *kind, const char *text, size_t n, wick_grammar **out,
                                      wick_error *err);
WICK_API void wick_grammar_free(wick_grammar *g); /* not while a call is given it; NULL is fine */

/* ---- generating ---- */

typedef struct wick_token_bias {
    int32_t id;
    float bias; /* added to the logit; -100 and below bans the token */
} wick_token_bias;

typedef struct wick_generate_options {
    size_t size;
    uint32_t max_tokens, min_tokens; /* max 0: until the context is full */
    /* Sampling; ranges and order: docs/SAMPLING.md. The _init macro sets the library's defaults; with
     * `use_model_defaults` (true after it) temperature, top_k, top_p, min_p and repetition_penalty come from the
     * model's generation_config.json where it names them and the caller changed neither the field nor its bit in
     * `set`. */
    bool use_model_defaults;
    bool has_seed; /* false: another answer each time */
    uint64_t seed;
    float temperature; /* 0: greedy */
    uint32_t top_k;    /* 0: off */
    float top_p, min_p, typical_p;
    float xtc_probability, xtc_threshold;
    float dry_multiplier, dry_base;
    uint32_t dry_allowed_length, dry_range;
    float mirostat_tau, mirostat_eta;
    float repetition_penalty, presence_penalty, frequency_penalty;
    uint32_t penalty_range;
    const char *sampler_order; /* "default", "mlx", "llama" */
    const wick_token_bias *bias;
    size_t n_bias;
    const char *const *stop; /* strings that end the answer and are not part of it */
    size_t n_stop;
    bool ignore_eos, show_special;
    uint32_t n_top_logprobs; /* 0 to 20: alternatives reported with each token */
    int32_t priority;        /* higher first */
    uint64_t user_key;       /* requests of one key share cached prompts, of different ones never */
    uint64_t deadline_ms;    /* 0: none */
    /* Chat only. JSON texts; NULL: none. */
    const char *tools_json;     /* OpenAI tools: an array */
    const char *variables_json; /* an object: variables for the template, such as enable_thinking */
    bool continue_last;         /* the last message is the beginning of the answer */
    /* Sampling again (added later). */
    uint32_t min_keep;               /* filters keep at least so many tokens */
    const char *const *dry_breakers; /* texts that a repeat never crosses; NULL: the usual ones */
    size_t n_dry_breakers;           /* 0 with dry_breakers not NULL: none */
    uint64_t set; /* WICK_SET_ bits: these fields are meant even where they equal the library's defaults */
    /* Tools of the builder (added later). They run unless tools_json gives tools of the caller's own, whose calls are
     * returned. */
    uint32_t tool_rounds;     /* answers whose calls are run; 0: 8 */
    uint32_t tool_timeout_ms; /* of one call; 0: 60 s */
    bool tools_side_by_side;  /* the calls of one answer run at once */
    bool tools_off;           /* the model is not told of them */
    /* May this call run? 0: no, the model is told so. NULL: all may. On the thread that made the request. */
    int (*tool_approve)(void *user, const char *name, const char *arguments);
    /* Told of each call (result NULL) and each result. failed: it is an error. On the thread that made the request. */
    void (*tool_report)(void *user, const char *id, const char *name, const char *arguments, const char *result,
                        bool failed);
    void *tool_user;
    /* Tools of this request alone (added later): they run as the builder's do, and hide those of the same name. With
     * tools_off they are the only ones. */
    const wick_own_tool *own_tools;
    size_t n_own_tools;
    /* The form of the answer (added later); in a chat it begins after reasoning. Not together with tools. */
    wick_grammar *grammar;
} wick_generate_options;
/* With `use_model_defaults`, a field that still has the library's default is taken to be unset and gets the model's
 * value. The bits say that it is meant: o.temperature = 0.8f; o.set |= WICK_SET_TEMPERATURE; */
#define WICK_SET_TEMPERATURE ((uint64_t)1 << 0)
#define WICK_SET_TOP_K ((uint64_t)1 << 1)
#define WICK_SET_TOP_P ((uint64_t)1 << 2)
#define WICK_SET_MIN_P ((uint64_t)1 << 3)
#define WICK_SET_REPETITION_PENALTY ((uint64_t)1 << 4)
WICK_API void wick_generate_options_init_sized(wick_generate_options *o, size_t size);
#define wick_generate_options_init(o) wick_generate_options_init_sized((o), sizeof *(o))

typedef struct wick_token_logprob {
    int32_t id;
    float logprob; /* natural logarithm, of the distribution before temperature and filters */
} wick_token_logprob;

/* One more token. Everything is valid during the callback only. */
typedef struct wick_token {
    size_t size;
    int32_t id;       /* -1: no token, only the rest of the text */
    const char *text; /* what can be shown now: whole characters, perhaps nothing; not NUL-terminated */
    size_t n_text;
    float logprob;
    const wick_token_logprob *top; /* [n_top] */
    size_t n_top;
    const char
        *reasoning; /* chat: what the model thinks before it answers, in the same way; it is not part of the text */
    size_t n_reasoning;
} wick_token;
/* Not 0: stop here. The call then returns WICK_OK with WICK_STOPPED_BY_CALLER. */
typedef int (*wick_token_callback)(void *user, const wick_token *token);

typedef enum wick_stop_reason {
    WICK_STOPPED_AT_END = 1,    /* the model ended its answer */
    WICK_STOPPED_BY_STRING,     /* one of the stop strings */
    WICK_STOPPED_BY_LENGTH,     /* max_tokens, or the context is full */
    WICK_STOPPED_BY_CALLER,     /* the callback said so */
    WICK_STOPPED_BY_TOOL_ROUNDS /* tool_rounds answers called tools, and the model wants more: its calls are in the
                                   result, and were not run */
} wick_stop_reason;

/* A call of one of the tools that tools_json named. NUL-terminated. */
typedef struct wick_tool_call {
    const char *id, *name;
    const char *arguments; /* a JSON object, as text; what the model wrote where it made none (cut by max_tokens) */
} wick_tool_call;

/* Filled by a call that returned WICK_OK, zeroed by one that failed: release is right in both cases. */
typedef struct wick_result {
    char *text; /* the whole answer, NUL-terminated */
    size_t n_text;
    int32_t *ids; /* the tokens of it (without the end token) */
    size_t n_ids;
    wick_stop_reason reason;
    uint32_t n_prompt, n_cached; /* tokens; n_cached of the prompt's came from the prefix cache */
    double first_token_ms, prompt_ms, decode_ms;
    /* Chat: text is the answer alone, without reasoning and calls. To go on after calls, repeat the conversation with a
     * message {"role":"assistant","tool_calls":[...]} and one {"role":"tool","tool_call_id":ID,"content":RESULT} for
     * each. */
    char *reasoning; /* "" where there is none */
    size_t n_reasoning;
    wick_tool_call *tool_calls; /* [n_tool_calls], or NULL */
    size_t n_tool_calls;
    uint32_t n_reasoning_tokens;
} wick_result;
WICK_API void wick_result_release(wick_result *r);

/* Goes on with a raw text. options, callback and out may be NULL. Blocks until the end.
 * Errors: WICK_E_BAD_PARAMETER (which), WICK_E_LIMIT (longer than the context, queue full, deadline), WICK_E_NUMERIC,
 * WICK_E_OUT_OF_MEMORY, WICK_E_CANCELLED (closed meanwhile). */
WICK_API wick_status wick_llm_generate(wick_llm *llm, const char *prompt, size_t n,
                                       const wick_generate_options *options, wick_token_callback callback, void *user,
                                       wick_result *out, wick_error *err);
/* The same for a prompt in tokens; a model without a tokenizer can do that too (the text is then empty). */
WICK_API wick_status wick_llm_generate_tokens(wick_llm *llm, const int32_t *ids, size_t n_ids,
                                              const wick_generate_options *options, wick_token_callback callback,
                                              void *user, wick_result *out, wick_error *err);

typedef struct wick_message {
    const char *role;    /* "system", "user", "assistant", "tool" */
    const char *content; /* NUL-terminated */
} wick_message;

/* The answer to a conversation, through the model's chat template. WICK_E_TEMPLATE: it is broken, or raised;
 * WICK_E_UNSUPPORTED_FORMAT: the model has none; WICK_E_BAD_PARAMETER: the messages are no conversation. */
WICK_API wick_status wick_llm_chat(wick_llm *llm, const wick_message *messages, size_t n_messages,
                                   const wick_generate_options *options, wick_token_callback callback, void *user,
                                   wick_result *out, wick_error *err);
/* The same for messages as an OpenAI JSON array, with whatever they hold (tool calls, parts). */
WICK_API wick_status wick_llm_chat_json(wick_llm *llm, const char *messages_json, const wick_generate_options *options,
                                        wick_token_callback callback, void *user, wick_result *out, wick_error *err);
/* The same for one message of the user. */
WICK_API wick_status wick_llm_chat_text(wick_llm *llm, const char *text, const wick_generate_options *options,
                                        wick_token_callback callback, void *user, wick_result *out, wick_error *err);
/* The prompt that wick_llm_chat_json would use. *text: the caller's. */
WICK_API wick_status wick_llm_apply_template(wick_llm *llm, const char *messages_json,
                                             const wick_generate_options *options, char **text, wick_error *err);

/* ---- numbers ---- */

/* One vector for a text. pooling: "mean", "last", "first", "max"; NULL: as the model's files say, else "mean".
 * normalize: to length 1. *vector: the caller's, *n_dims floats. */
WICK_API wick_status wick_llm_embed(wick_llm *llm, const char *text, size_t n, const char *pooling, bool normalize,
                                    float **vector, size_t *n_dims, wick_error *err);
typedef struct wick_embed_options {
    size_t size;
    const char *pooling;     /* as above; NULL: the model's */
    const char *prompt_name; /* of one of the model's prompts ("query", "document"); NULL: its default; "": none */
    const char *prompt;      /* a text that goes before each text, in place of the model's; NULL: none */
    uint32_t dimensions;     /* so many values at the front of a vector; 0: all */
    bool raw;                /* not brought to length 1 */
    bool truncate;           /* a text that is too long loses its end instead of being refused */
} wick_embed_options;
#define wick_embed_options_init(o) (*(o) = (wick_embed_options){sizeof *(o), NULL, NULL, NULL, 0, false, false})
/* A vector for each of n texts (each ends with a NUL), computed together. options may be NULL. *vectors is
 * [n][*n_dims], the caller's. */
WICK_API wick_status wick_llm_embed_texts(wick_llm *llm, const char *const *texts, size_t n,
                                          const wick_embed_options *options, float **vectors, size_t *n_dims,
                                          wick_error *err);
/* How well each of n documents answers the query, by a model with a head for scores (a reranker): *scores is [n], 0 to
 * 1, the caller's. WICK_E_BAD_PARAMETER: the model has none. */
WICK_API wick_status wick_llm_rerank(wick_llm *llm, const char *query, const char *const *documents, size_t n,
                                     double **scores, wick_error *err);
/* The logits of each position: *logits is [n_ids][*n_vocab], the caller's. */
WICK_API wick_status wick_llm_logits(wick_llm *llm, const int32_t *ids, size_t n_ids, float **logits, size_t *n_vocab,
                                     wick_error *err);

/* ---- the model as an MCP server (docs/MCP.md) ---- */

typedef struct wick_mcp_serve_options {
    size_t size;
    int fd_in, fd_out; /* one message a line; -1 (the _init macro): standard input and output */
    const char *host;  /* with `http`: an address to bind; NULL: 127.0.0.1 */
    const char *token; /* with `http`: a bearer token that requests must carry, or NULL */
    bool http;         /* Streamable HTTP at /mcp instead */
    uint16_t port;     /* with `http`; 0: a free one */
    /* With `http`: told of the port once it is open, and then asked some five times a second whether to go on; not 0
     * ends the server. Must be set. */
    int (*poll)(void *user, uint16_t port);
    void *user;
} wick_mcp_serve_options;
WICK_API void wick_mcp_serve_options_init_sized(wick_mcp_serve_options *o, size_t size);
#define wick_mcp_serve_options_init(o) wick_mcp_serve_options_init_sized((o), sizeof *(o))
/* Offers the model: tools chat, complete, embed, tokenize, with progress and cancellation; the model as a resource.
 * Blocks until fd_in ends, or poll says so. options NULL: standard input and output. */
WICK_API wick_status wick_mcp_serve(wick_llm *llm, const wick_mcp_serve_options *options, wick_error *err);

#ifdef __cplusplus
}
#endif
