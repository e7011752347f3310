/* template/chat.h - messages and tools to a prompt, with a model's own template.
 *
 * Sources, first found: an override (literal or file), chat_template.jinja, chat_template.json, tokenizer_config.json
 * ("chat_template": a string, or a list of {name, template}), GGUF (tokenizer.chat_template). Immutable after opening. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "template/jinja.h"

typedef struct wick_chat_template wick_chat_template;

/* `named` of tokenizer_config are kept: with tools, "tool_use" is taken where it exists. bos/eos may be NULL. */
wick_status wick_chat_template_new(wick_chat_template **out, const char *src, size_t n, const char *bos,
                                   const char *eos, const char *where, wick_err *err) WICK_MUST_CHECK;
/* From a model folder; *out = NULL and WICK_OK where the folder has none. */
wick_status wick_chat_template_open_dir(wick_chat_template **out, const char *dir, wick_err *err) WICK_MUST_CHECK;
/* The same from bytes: tokenizer_config.json (special tokens, "chat_template") and special_tokens_map.json as parsed
 * objects, either may be NULL; src overrides the template where it is not NULL. *out = NULL and WICK_OK without one. */
wick_status wick_chat_template_from_config(wick_chat_template **out, const json_t *config, const json_t *special,
                                           const char *src, size_t n, const char *where, wick_err *err) WICK_MUST_CHECK;
void wick_chat_template_free(wick_chat_template *t);

typedef struct wick_chat_input {
    const json_t *messages;  /* OpenAI messages: an array */
    const json_t *tools;     /* OpenAI tools, or NULL */
    const json_t *documents; /* or NULL */
    const json_t *vars;      /* chat_template_kwargs and overrides of any variable (bos_token, ...), or NULL; an integer
                              * "now" is the time that strftime_now sees */
    bool add_generation_prompt, continue_final_message;
} wick_chat_input;

/* Appends the prompt. Adjusts messages only where a template cannot take them as they are: tool-call arguments as an
 * object or as a string, content parts joined to a string. Errors: WICK_E_TEMPLATE (the template raised, or is
 * broken), WICK_E_BAD_PARAMETER (messages that are no messages). */
wick_status wick_chat_render(const wick_chat_template *t, const wick_chat_input *in, const wick_jinja_limits *limits,
                             wick_buf *out, wick_err *err) WICK_MUST_CHECK;
const char *wick_chat_template_source(const wick_chat_template *t);
/* What the rendered probe showed: does the template use tools, a system role, reasoning tags ("<think>" or NULL)? */
typedef struct wick_chat_traits {
    bool takes_tools, takes_system, generation_prompt_opens_think;
    const char *think_open, *think_close; /* NULL where it has none */
} wick_chat_traits;
const wick_chat_traits *wick_chat_template_traits(const wick_chat_template *t);
