/* chat/source.h - where the chat template of a model comes from.
 *
 * Sources, first found: an override (a text or a file), chat_template.jinja, chat_template.json, tokenizer_config.json
 * ("chat_template": a string, or a list of {name, template} of which "tool_use" is taken where there are tools), GGUF's
 * tokenizer.chat_template. Messages of WICK_E_TEMPLATE name no path, so a server may show them. */
#pragma once
#include "chat/template.h"
#include "model/model.h"
#include "text/tokenizer.h"

/* `override`: NULL, a template text, or the path of a file with one. *out = NULL and WICK_OK where there is no
 * template. `t` gives bos and eos; may be NULL. */
wick_status wick_chat_template_open_model(const wick_model *m, const wick_tokenizer *t, const char *override,
                                          wick_chat_template **out, wick_err *err) WICK_MUST_CHECK;
/* From a model folder; *out = NULL and WICK_OK where the folder has none. */
wick_status wick_chat_template_open_dir(wick_chat_template **out, const char *dir, wick_err *err) WICK_MUST_CHECK;
/* The same from bytes: tokenizer_config.json (special tokens, "chat_template") and special_tokens_map.json as parsed
 * objects, either may be NULL; src overrides the template where it is not NULL. *out = NULL and WICK_OK without one. */
wick_status wick_chat_template_from_config(wick_chat_template **out, const json_t *config, const json_t *special,
                                           const char *src, size_t n, const char *where, wick_err *err) WICK_MUST_CHECK;
