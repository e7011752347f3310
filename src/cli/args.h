/* cli/args.h - every value that an option of any command can set, with its default (wick_args_init). */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include "chat/options.h"

enum { WICK_MAX_OPERANDS = 64, WICK_MAX_IGNORED = 8 };

typedef struct wick_str_list {
    const char **item;
    uint32_t n;
} wick_str_list;

typedef struct wick_args {
    const char *operand[WICK_MAX_OPERANDS];
    uint32_t n_operands;
    const char *model_operand, *prompt_operand; /* given as -m and -p; in `operand` after parsing */
    struct {
        const char *arg, *why;
    } ignored[WICK_MAX_IGNORED]; /* options of other programs that do nothing here */
    uint32_t n_ignored;
    /* common */
    bool json, verbose, quiet, help, trace;
    /* model */
    const char *backend, *device, *precision, *isa, *kv_type, *cache_dir, *chat_template, *pre, *isq;
    uint32_t threads, n_ctx, prefill_chunk, max_seqs;
    uint64_t memory_limit;
    bool no_prefix_cache;
    const char *draft;          /* "auto", "off" */
    const char *prefer_backend; /* that "auto" tries first, or NULL */
    const char *pack_cache;     /* as given; cache_dir follows from it: the folder, or NULL */
    uint64_t pack_cache_limit;
    char *own_cache_dir;
    const char *kv_dir_given, *kv_disk; /* as given; what follows from them: */
    const char *kv_dir;                 /* NULL: KV is not kept on disk */
    uint64_t kv_disk_bytes;
    char *own_kv_dir;
    char *settings_text; /* of the command's file of options: values borrow from it */
    const char *mlx_compile, *mlx_lazy_eval;
    wick_sampling sampling;    /* as given, else the library's defaults; lists and the order are below */
    wick_sampling_given given; /* which were given: the model's own defaults fill the rest */
    const char *sampler_order;
    wick_str_list logit_bias, dry_breakers, stop;
    uint32_t max_tokens;
    int64_t logprobs;
    bool ignore_eos, show_special;
    /* single commands */
    const char *tokens, *file, *system, *template_vars, *template_kwargs, *messages, *tools, *format, *prompt_format;
    uint32_t greedy;
    bool no_special, plain_text, raw, stream_off, no_stream;
    wick_str_list bench_prompt, bench_gen, bench_batch, paths;
    uint32_t repetitions, bench_depth;
    bool csv, quality, tensors, man, no_warmup;
    const char *quality_file;
    const char *schema, *regex, *gbnf, *lark, *text, *tokenizer,
        *choices; /* forms of an answer, and wick grammar; `batch` is above */
    bool schema_order, lenient, cpu_time;
    /* vectors */
    const char *query, *prompt_name, *prompt_text, *pooling;
    uint32_t dimensions;
    bool not_normalized, truncate;
    /* server and its clients */
    const char *host, *config, *model, *api_key_file, *tls_cert, *tls_key, *mlx_device, *url, *out_file, *id, *scopes;
    uint32_t port, max_queue, drain_timeout, rpm, tpm, concurrent;
    uint32_t mcp_port;
    bool mcp, seen_mcp_port, enable_tools, yes;
    const char *tool_file, *mcp_file;
    bool seen_port, seen_max_queue, seen_drain_timeout, no_key_needed, strict_model, force;
    wick_str_list allow_host, cors_origin, model_dir;
    /* wick sh */
    const char *check, *batch, *policy, *shell, *checks;
    bool from_stdin, explain, execute, dry_run, interactive, daemon, no_look, free_form, no_history, no_table;
    uint32_t candidates, alternatives, idle;
    /* chats */
    bool resume, plain;
    const char *term;
    /* the hub */
    const char *revision, *token;
    bool names, write, show_template, show_system, show_parameters, show_license;
    uint32_t connections, stall_timeout, retry_ms;
    uint64_t segment_bytes;
    /* quantize and convert */
    const char *type, *to, *dtype;
    uint64_t shard_size;
    /* environment only */
    const char *home, *hf_home, *hf_hub_cache, *hub_cache_old, *ollama_models, *no_color, *state_home, *cache_home,
        *api_key, *config_home, *runtime_dir, *search_path;
    const char *hf_endpoint, *hf_token, *hf_token_path, *http_proxy, *https_proxy, *no_proxy, *ca_file;
    bool hf_offline, modelscope;
    char *token_file_path,
        *token_read;        /* where wick login keeps the token; what stands there, if HF_TOKEN is not set */
    char *installed_models; /* beside this program: PREFIX/share/wick/models, or NULL */
} wick_args;
