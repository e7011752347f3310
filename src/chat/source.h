/* chat/source.h - where the chat template of a model comes from: an override, the model's folder, or its GGUF file. */
#pragma once
#include "model/model.h"
#include "template/chat.h"
#include "text/tokenizer.h"

/* `override`: NULL, a template text, or the path of a file with one. Without: the folder's, or GGUF's
 * tokenizer.chat_template. *out = NULL and WICK_OK where there is none. `t` gives bos and eos; may be NULL. Messages of
 * WICK_E_TEMPLATE name no path, so a server may show them. */
wick_status wick_chat_template_open_model(const wick_model *m, const wick_tokenizer *t, const char *override,
                                          wick_chat_template **out, wick_err *err) WICK_MUST_CHECK;
