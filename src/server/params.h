/* server/params.h - the parameters of the OpenAI routes, as one table: each is honoured, or refused by name.
 *
 * null is the same as absent. A name that the table does not have is refused too.
 */
#pragma once
#include "server/server_int.h"

enum wick_param_routes {
    WICK_P_CHAT = 1,
    WICK_P_TEXT = 2,
    WICK_P_EMBED = 4,
    WICK_P_TOKENIZE = 8,
    WICK_P_DETOKENIZE = 16,
    WICK_P_TEMPLATE = 32,
    WICK_P_GEN = WICK_P_CHAT | WICK_P_TEXT,
    WICK_P_MESSAGES = WICK_P_CHAT | WICK_P_TOKENIZE | WICK_P_TEMPLATE
};

typedef struct wick_params {
    const char *model; /* NULL: the default */
    wick_sampling sampling;
    bool seen_temperature, seen_top_p, seen_top_k, seen_min_p, seen_repetition_penalty;
    wick_logit_bias *bias; /* owned; also sampling.bias */
    const char **stop;     /* owned; texts borrowed from the body */
    uint32_t n_stop;
    uint32_t max_tokens, min_tokens, n, best_of;
    bool seen_max_tokens, seen_best_of;
    bool stream, include_usage;
    bool logprobs;
    uint32_t top_logprobs;
    bool seen_top_logprobs;
    bool echo, ignore_eos, show_special;
    uint64_t user; /* hash of user, safety_identifier, prompt_cache_key; 0: none */
    /* messages */
    const json_t *messages, *tools, *documents, *template_vars;
    bool add_generation_prompt, continue_final_message, tool_choice_none;
    const char *reasoning_effort;
    /* text, tokens */
    const json_t *prompt, *input, *tokens;
    bool add_special, parse_special, with_pieces;
    bool base64, normalize;
    wick_pooling pooling;
} wick_params;

/* `body` stays borrowed. Errors: WICK_E_BAD_PARAMETER with the parameter as subject. */
wick_status wick_params_parse(wick_params *p, const json_t *body, unsigned route, const wick_server_limits *l,
                              wick_err *err) WICK_MUST_CHECK;
void wick_params_release(wick_params *p);
/* Sampling as the model's own defaults and the request say. bias is borrowed from p. */
wick_status wick_params_sampling(wick_params *p, const wick_engine *e, wick_sampling *out,
                                 wick_err *err) WICK_MUST_CHECK;
