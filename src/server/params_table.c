/* server/params_table.c - OpenAI's parameters, with the extensions that local servers have in common; and sampling. */
#include "server/params.h"

#define AT(f) offsetof(wick_params, f)
#define S(f) offsetof(wick_params, sampling.f)
#define ALL                                                                                                           \
    (WICK_P_ANY_GEN | WICK_P_EMBED | WICK_P_TOKENIZE | WICK_P_DETOKENIZE | WICK_P_TEMPLATE | WICK_P_ANTHROPIC_COUNT | \
     WICK_P_OLLAMA | WICK_P_OLLAMA_EMBED | WICK_P_RERANK)
#define MAX32 4294967295.0
#define FN(f) WICK_PK_FN, 0, 0, 0, 0, wick_read_##f
#define NOOP(types) WICK_PK_NOOP, types, 0, 0, 0, NULL
#define REFUSED WICK_PK_REFUSED, 0, 0, 0, 0, NULL
#define CHAT_R (WICK_P_CHAT | WICK_P_RESPONSES)

/* The numbers of chat/sampling.def. */
#define NUMBER(kind, f, lo, hi, help) {#f, WICK_P_SAMPLING, kind, S(f), AT(given.f), lo, hi, NULL, help},
#define WICK_SAMPLING_F32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_PK_F32, f, lo, hi, help " (default " #preset ")")
#define WICK_SAMPLING_U32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_PK_U32, f, lo, hi, help " (default " #preset ")")
#define WICK_SAMPLING_MODEL_F32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_PK_F32, f, lo, hi, help " (default: the model's, else " #preset ")")
#define WICK_SAMPLING_MODEL_U32(f, preset, lo, hi, cli, letter, arg, llamacpp, ollama, anthropic, help) \
    NUMBER(WICK_PK_U32, f, lo, hi, help " (default: the model's, else " #preset ")")

static const wick_param rows[] = {
    {"model", ALL, WICK_PK_STR, AT(model), 0, 0, 0, NULL, "a served model; absent: the default one"},
    {"messages", WICK_P_MESSAGES, FN(messages), "the conversation; docs/CONVERSATIONS.md says what it may hold"},
    {"prompt", WICK_P_TEXT | WICK_P_TOKENIZE, WICK_PK_ANY, AT(prompt), 0, 0, 0, NULL,
     "a string, an array of strings, token ids, or arrays of token ids"},
    {"content", WICK_P_TOKENIZE, WICK_PK_ANY, AT(prompt), 0, 0, 0, NULL, "the same as prompt"},
    {"input", WICK_P_EMBED, WICK_PK_ANY, AT(input), 0, 0, 0, NULL, "as prompt"},
    {"tokens", WICK_P_DETOKENIZE, WICK_PK_ARRAY, AT(tokens), 0, 0, 0, NULL, "token ids"},
#include "chat/sampling.def"
    {"sampler_order", WICK_P_GEN, FN(sampler_order),
     "order of the filters: default, mlx or llama; see docs/SAMPLING.md"},
    {"dry_sequence_breakers", WICK_P_GEN, FN(breakers), "texts that a repeat never crosses; [] for none"},
    {"logit_bias", WICK_P_GEN | WICK_P_RESPONSES, FN(bias),
     "token id to -100..100; -100 bans it. Also pairs: [[id or text, bias], ...]"},
    {"seed", WICK_P_SAMPLING, FN(seed), "choice i uses seed + i"},
    {"n", WICK_P_CHAT | WICK_P_TEXT, FN(choices), "answers"},
    {"best_of", WICK_P_TEXT, FN(choices),
     "make so many, give the n of the highest mean log probability; not with stream"},
    {"stop", WICK_P_SAMPLING, FN(stop), "a string or an array of strings; never part of the answer"},
    {"max_tokens", WICK_P_GEN | WICK_P_ANTHROPIC, FN(max_tokens),
     "an upper bound; the context's end is another. -1: none. Default: none in chat, 16 in completions"},
    {"max_completion_tokens", WICK_P_CHAT, FN(max_tokens), "the same"},
    {"min_tokens", WICK_P_ANY_GEN, WICK_PK_U32, AT(min_tokens), 0, 0, INT32_MAX, NULL, "no end and no stop before"},
    {"ignore_eos", WICK_P_ANY_GEN, WICK_PK_BOOL, AT(ignore_eos), 0, 0, 0, NULL, "go on after the end token"},
    {"skip_special_tokens", WICK_P_GEN | WICK_P_DETOKENIZE, FN(skip_special), "false: control tokens are in the text"},
    {"stream", WICK_P_ANY_GEN | WICK_P_OLLAMA, WICK_PK_BOOL, AT(stream), 0, 0, 0, NULL,
     "the answer in pieces, as it is made"},
    {"stream_options", WICK_P_GEN | WICK_P_RESPONSES, FN(stream_options), "include_usage"},
    {"logprobs", WICK_P_CHAT | WICK_P_TEXT | WICK_P_OLLAMA, FN(logprobs), "chat: true or false; completions: 0 to 20"},
    {"top_logprobs", WICK_P_CHAT | WICK_P_RESPONSES | WICK_P_OLLAMA, WICK_PK_U32, AT(top_logprobs),
     AT(seen_top_logprobs), 0, 20, NULL, "with logprobs: true"},
    {"echo", WICK_P_TEXT, WICK_PK_BOOL, AT(echo), 0, 0, 0, NULL,
     "the prompt too; with logprobs: its log probabilities"},
    {"user", WICK_P_GEN | WICK_P_RESPONSES | WICK_P_EMBED, FN(user),
     "users of a key are served in turn, and share no cached prompts"},
    {"safety_identifier", CHAT_R, FN(user), "as user"},
    {"prompt_cache_key", CHAT_R, FN(user), "as user"},
    {"response_format", WICK_P_CHAT | WICK_P_TEXT, FN(response_format),
     "type text, json_object, or json_schema with {\"schema\"}: the answer fulfils it"},
    {"guided_json", WICK_P_CHAT | WICK_P_TEXT, FN(schema), "a JSON Schema that the answer fulfils"},
    {"guided_regex", WICK_P_CHAT | WICK_P_TEXT, FN(regex), "a regular expression that the whole answer matches"},
    {"guided_choice", WICK_P_CHAT | WICK_P_TEXT, FN(choice), "a list of texts, one of which is the answer"},
    {"guided_grammar", WICK_P_CHAT | WICK_P_TEXT, FN(grammar), "a grammar, GBNF or Lark"},
    {"structured_outputs", WICK_P_CHAT | WICK_P_TEXT, FN(structured), "an object with json, regex, choice or grammar"},
    {"grammar", WICK_P_GEN, FN(grammar), "a grammar, GBNF or Lark"},
    {"json_schema", WICK_P_GEN, FN(schema), "a JSON Schema that the answer fulfils"},
    {"tools", WICK_P_MESSAGES, FN(tools), "functions the model may call; `strict` is accepted"},
    {"tool_choice", WICK_P_CHAT, FN(tool_choice), "\"auto\", \"none\", \"required\", a function, or allowed_tools"},
    {"parallel_tool_calls", CHAT_R, FN(parallel), "false: one call a turn"},
    {"wick_tools", CHAT_R | WICK_P_ANTHROPIC | WICK_P_OLLAMA_CHAT, FN(own_tools),
     "tools that the server runs itself: true, false, or a list of their names; docs/SERVER.md"},
    {"chat_template_kwargs", WICK_P_MESSAGES, WICK_PK_OBJECT, AT(template_vars), 0, 0, 0, NULL,
     "variables of the template; what it does not use is ignored"},
    {"documents", WICK_P_MESSAGES, WICK_PK_ARRAY, AT(documents), 0, 0, 0, NULL, "for templates that use them"},
    {"add_generation_prompt", WICK_P_MESSAGES, WICK_PK_BOOL, AT(add_generation_prompt), 0, 0, 0, NULL, "default true"},
    {"continue_final_message", WICK_P_MESSAGES, WICK_PK_BOOL, AT(continue_final_message), 0, 0, 0, NULL, ""},
    {"reasoning_effort", WICK_P_MESSAGES | WICK_P_ANTHROPIC, FN(effort),
     "for templates that take it; \"none\" switches thinking off where there is a switch"},
    {"reasoning", WICK_P_CHAT, FN(reasoning),
     "{\"effort\"}: the same as reasoning_effort; {\"enabled\"}: as enable_thinking"},
    {"enable_thinking", WICK_P_MESSAGES | WICK_P_ANTHROPIC | WICK_P_RESPONSES, FN(thinking),
     "thinking on or off, where the template has a switch"},
    {"stop_token_ids", WICK_P_ANY_GEN, FN(stop_ids), "tokens that end the answer; they are no part of it"},
    {"repeat_penalty", WICK_P_SAMPLING, WICK_PK_F32, S(repetition_penalty), AT(given.repetition_penalty), 0, 100, NULL,
     "the same as repetition_penalty"},
    {"n_predict", WICK_P_GEN, FN(max_tokens), "the same as max_tokens"},
    {"cache_prompt", WICK_P_ANY_GEN, FN(cache_prompt), "false: cached prompts are neither used nor made"},
    {"add_special", WICK_P_TOKENIZE, WICK_PK_BOOL, AT(add_special), 0, 0, 0, NULL,
     "begin and end tokens; default true for text"},
    {"add_special_tokens", WICK_P_TOKENIZE, WICK_PK_BOOL, AT(add_special), 0, 0, 0, NULL, "the same"},
    {"parse_special", WICK_P_TOKENIZE, WICK_PK_BOOL, AT(parse_special), 0, 0, 0, NULL,
     "false: the names of control tokens are plain text"},
    {"with_pieces", WICK_P_TOKENIZE, WICK_PK_BOOL, AT(with_pieces), 0, 0, 0, NULL,
     "each token as {\"id\", \"piece\"}; a piece that is no whole character is a list of bytes"},
    {"encoding_format", WICK_P_EMBED, FN(encoding), "\"float\" or \"base64\" (little-endian float32)"},
    {"pooling", WICK_P_EMBED, FN(pooling),
     "\"default\": as the model's files say, else \"mean\"; \"last\", \"first\", \"max\", ..."},
    {"dimensions", WICK_P_EMBED, WICK_PK_U32, AT(dimensions), 0, 1, 1 << 20, NULL,
     "so many values at the front of a vector, brought to length 1 again"},
    {"prompt_name", WICK_P_EMBED, WICK_PK_STR, AT(prompt_name), 0, 0, 0, NULL,
     "the model's text that goes before: query, document, ...; \"\": none"},
    {"input_type", WICK_P_EMBED, WICK_PK_STR, AT(prompt_name), 0, 0, 0, NULL, "the same"},
    {"truncate", WICK_P_EMBED, WICK_PK_BOOL, AT(truncate), 0, 0, 0, NULL,
     "texts that are too long lose their end instead of being refused"},
    {"normalize", WICK_P_EMBED, WICK_PK_BOOL, AT(normalize), 0, 0, 0, NULL, "default true: length 1"},
    {"id_slot", WICK_P_ANY_GEN, NOOP(WICK_PT_INT), "requests have no slots here"},
    {"keep_alive", WICK_P_CHAT | WICK_P_TEXT | WICK_P_EMBED, NOOP(WICK_PT_NUM | WICK_PT_STR),
     "models stay loaded as the server's settings say"},
    {"metadata", WICK_P_CHAT | WICK_P_TEXT, NOOP(WICK_PT_OBJECT), "chat answers are not stored"},
    {"store", WICK_P_CHAT, NOOP(WICK_PT_BOOL), "chat answers are not stored"},
    {"service_tier", CHAT_R, FN(tier), "there is one tier"},
    {"prediction", WICK_P_CHAT, NOOP(WICK_PT_OBJECT), "it could only make the same answer faster"},
    {"verbosity", WICK_P_CHAT, NOOP(WICK_PT_STR), "a wish that no model here knows"},
    {"prompt_cache_retention", CHAT_R, NOOP(WICK_PT_STR), "the cache keeps what memory allows"},
    {"modalities", WICK_P_CHAT, FN(modalities), "[\"text\"]"},
    {"suffix", WICK_P_TEXT, REFUSED, "text cannot be inserted before a suffix; /infill can where the model knows how"},
    {"functions", WICK_P_CHAT, REFUSED, "use tools"},
    {"function_call", WICK_P_CHAT, REFUSED, "use tool_choice"},
    {"audio", WICK_P_CHAT, REFUSED, "only text is generated"},
    {"web_search_options", WICK_P_CHAT, REFUSED, "there is no web search"},
    {"moderation", WICK_P_CHAT, REFUSED, "there is no moderation"},
};
const wick_param_table wick_params_openai = {rows, sizeof rows / sizeof *rows};
