/* server/params.h - the parameters of all routes, as tables: each is honoured, a no-op, or refused by name.
 *
 * The shared table (params_table.c) has OpenAI's names and sampling; a dialect that calls things otherwise has its
 * own in its
 * file. null is the same as absent. A name that no table has for a route is refused too, with the nearest one that
 * there is.
 */
#pragma once
#include "grammar/grammar.h"
#include "server/server_int.h"

enum wick_param_routes {
    WICK_P_CHAT = 1,
    WICK_P_TEXT = 2,
    WICK_P_EMBED = 4,
    WICK_P_TOKENIZE = 8,
    WICK_P_DETOKENIZE = 16,
    WICK_P_TEMPLATE = 32,
    WICK_P_RESPONSES = 64,
    WICK_P_ANTHROPIC = 128,
    WICK_P_ANTHROPIC_COUNT = 256,
    WICK_P_OLLAMA_CHAT = 512,
    WICK_P_OLLAMA_TEXT = 1024,
    WICK_P_OLLAMA_OPTIONS = 2048, /* the object "options" of the two above */
    WICK_P_OLLAMA_EMBED = 4096,
    WICK_P_LLAMA_TEXT = 8192,
    WICK_P_LLAMA_INFILL = 16384,
    WICK_P_RERANK = 32768,
    WICK_P_OLLAMA = WICK_P_OLLAMA_CHAT | WICK_P_OLLAMA_TEXT,
    WICK_P_LLAMA = WICK_P_LLAMA_TEXT | WICK_P_LLAMA_INFILL,
    WICK_P_GEN = WICK_P_CHAT | WICK_P_TEXT | WICK_P_LLAMA, /* OpenAI's names with the usual extensions */
    WICK_P_ANY_GEN = WICK_P_GEN | WICK_P_RESPONSES | WICK_P_ANTHROPIC,
    WICK_P_SAMPLING = WICK_P_ANY_GEN | WICK_P_OLLAMA_OPTIONS,
    WICK_P_MESSAGES = WICK_P_CHAT | WICK_P_TOKENIZE | WICK_P_TEMPLATE
};

typedef struct wick_params {
    unsigned route;
    const char *model; /* NULL: the default */
    wick_sampling sampling;
    wick_sampling_given given; /* of the numbers: which the request had */
    const char **breakers;     /* owned; texts borrowed from the body */
    wick_logit_bias *bias;     /* owned; also sampling.bias */
    const json_t *bias_text;   /* entries of logit_bias that are texts: an array of [text, bias], or NULL */
    const char **stop;         /* owned; texts borrowed from the body */
    uint32_t n_stop;
    int32_t *stop_ids; /* owned */
    uint32_t n_stop_ids;
    uint32_t max_tokens, min_tokens, n, best_of;
    bool seen_max_tokens, seen_best_of, unbounded;
    bool stream, include_usage;
    bool logprobs;
    uint32_t top_logprobs;
    bool seen_top_logprobs;
    bool echo, ignore_eos, show_special, no_cache;
    uint8_t user[32]; /* SHA-256 of user, safety_identifier, prompt_cache_key, one after the other */
    bool has_user;
    /* messages */
    const json_t *messages, *tools, *documents, *template_vars;
    const json_t *own_tools; /* of the server: true, false, a list of names, or NULL */
    uint32_t max_tool_calls; /* that the server runs; 0: no limit */
    bool has_grammar;        /* the answer's form: its text is owned, its name that of the parameter */
    wick_grammar_kind grammar_kind;
    char *grammar_text;
    size_t n_grammar;
    const char *grammar_name;
    json_t *made; /* owned: an array that keeps what a dialect translated */
    bool add_generation_prompt, continue_final_message, one_call;
    bool tool_choice_none, tool_choice_required, one_named;
    const json_t *tools_allowed; /* names of the tools that may be called; NULL: all */
    const json_t *tools_strict;  /* names of those with strict: an object; NULL: none */
    bool llama_defaults;         /* of template variables, as llama.cpp sets them */
    bool prefill;                /* a last message of the assistant is continued */
    int thinking;                /* 1: asked for, -1: not wanted, 0: not said */
    const char *reasoning_effort;
    /* text, tokens */
    const json_t *prompt, *input, *tokens;
    bool add_special, parse_special, with_pieces;
    bool base64, normalize, raw_embedding, truncate, refuse_long, raw_scores;
    wick_pooling pooling;
    uint32_t dimensions;
    const char *prompt_name, *instruction;
    /* of one dialect only */
    bool raw_reasoning, timings_per_token, return_progress, verbose, return_tokens, post_sampling_probs;
    const json_t *response_fields, *input_prefix, *input_suffix, *input_extra;
    const char *system, *suffix, *query;
    const json_t *texts;
    bool raw, store, background;
    const json_t *metadata, *instructions, *previous, *tools_given, *text_format, *tool_choice;
    int mirostat; /* 1: version 2 is asked for, -1: off whatever tau says, 0: tau decides */
    const json_t *samplers;
    uint32_t top_n;
    bool seen_top_n;
} wick_params;

typedef struct wick_param wick_param;
typedef struct wick_param_reading {
    wick_params *p;
    const wick_server_limits *limits;
    const json_t *body;
    unsigned route;
    wick_err *err;
} wick_param_reading;
typedef wick_status (*wick_param_fn)(wick_param_reading *r, const wick_param *q, const json_t *v);

typedef enum wick_param_kind {
    WICK_PK_BOOL,
    WICK_PK_U32,
    WICK_PK_F32,
    WICK_PK_STR,    /* borrowed */
    WICK_PK_ARRAY,  /* borrowed */
    WICK_PK_OBJECT, /* borrowed */
    WICK_PK_ANY,    /* borrowed; the route reads it */
    WICK_PK_FN,
    WICK_PK_NOOP,    /* its type is checked (`at` holds the WICK_PT_ bits), nothing else: it cannot change the answer */
    WICK_PK_NEUTRAL, /* a number from lo to hi is "off" and a no-op, any other is refused */
    WICK_PK_REFUSED  /* about: why */
} wick_param_kind;

enum wick_param_types {
    WICK_PT_BOOL = 1,
    WICK_PT_INT = 2,
    WICK_PT_NUM = 4 | WICK_PT_INT,
    WICK_PT_STR = 8,
    WICK_PT_ARRAY = 16,
    WICK_PT_OBJECT = 32
};

struct wick_param {
    const char *name;
    unsigned routes;
    wick_param_kind kind;
    size_t at, seen; /* seen 0: no flag */
    double lo, hi;
    wick_param_fn fn;
    const char *about;
};
typedef struct wick_param_table {
    const wick_param *row;
    size_t n;
} wick_param_table;
extern const wick_param_table wick_params_openai, wick_params_llamacpp, wick_params_anthropic, wick_params_ollama,
    wick_params_responses;

/* `body` stays borrowed. Errors: WICK_E_BAD_PARAMETER with the parameter as subject. */
wick_status wick_params_parse(wick_params *p, const json_t *body, unsigned route, const wick_server_limits *l,
                              wick_err *err) WICK_MUST_CHECK;
/* More parameters over what p has: an object within the body, whose names are those of `route`. */
wick_status wick_params_merge(wick_param_reading *r, const json_t *o, unsigned route) WICK_MUST_CHECK;
/* The same; what `defaults` says (an object, or NULL) holds where the body does not say it. Names that this route
 * does not
 * have are left out. */
wick_status wick_params_parse_with(wick_params *p, const json_t *defaults, const json_t *body, unsigned route,
                                   const wick_server_limits *l, wick_err *err) WICK_MUST_CHECK;
void wick_params_release(wick_params *p);
/* Sampling as the model's own defaults and the request say. bias is borrowed from p. */
wick_status wick_params_sampling(wick_params *p, const wick_engine *e, wick_sampling *out,
                                 wick_err *err) WICK_MUST_CHECK;
/* Of `tools` as the client sent them: p notes which of them are strict. */
wick_status wick_params_note_strict(wick_params *p, const json_t *tools, wick_err *err) WICK_MUST_CHECK;
/* Only these tools may be called; p keeps the list, which it takes. */
wick_status wick_params_allow_tools(wick_params *p, json_t *names, wick_err *err) WICK_MUST_CHECK;
/* p keeps v, which it takes, until it is released. NULL v, or memory is short: WICK_E_OUT_OF_MEMORY. */
wick_status wick_params_keep(wick_params *p, json_t *v, wick_err *err) WICK_MUST_CHECK;

/* --- what the tables' functions share (params_read.c) ------------------------------------------------------------- */
#define WICK_PARAM_BAD(r, name, ...) WICK_FAIL((r)->err, WICK_E_BAD_PARAMETER, name, __VA_ARGS__)
wick_status wick_param_expected(wick_param_reading *r, const char *name, const char *what, const json_t *v);
/* A string without NUL bytes: it goes to functions that take C strings. */
wick_status wick_param_text(wick_param_reading *r, const char *name, const json_t *v, const char **out) WICK_MUST_CHECK;
wick_status wick_read_stop(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_stop_ids(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_bias(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_seed(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_sampler_order(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_breakers(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_choices(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_max_tokens(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_logprobs(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_stream_options(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_response_format(wick_param_reading *r, const wick_param *q,
                                      const json_t *v);                    /* params_grammar.c */
wick_status wick_read_text_format(wick_param_reading *r, const json_t *v); /* Responses' text.format */
wick_status wick_read_schema(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_regex(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_choice(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_grammar(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_structured(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_format(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_messages(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_tools(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_tool_choice(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_own_tools(wick_param_reading *r, const wick_param *q, const json_t *v);
/* "auto", "none", "required"; one function; allowed_tools. Members may stand in an object named as the type, or not. */
wick_status wick_read_parallel(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_user(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_tier(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_modalities(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_encoding(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_pooling(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_skip_special(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_thinking(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_effort(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_reasoning(wick_param_reading *r, const wick_param *q, const json_t *v);
wick_status wick_read_cache_prompt(wick_param_reading *r, const wick_param *q, const json_t *v);
