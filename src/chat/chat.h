/* chat/chat.h - a model's side of a conversation: its chat template, what that can do, and its tokenizer.
 *
 * A chat is opened once for an opened engine and lives beside it: the registry of the server, the handle of the C API
 * and the session of the CLI each hold both, and close the chat first. It is immutable, so any number of threads may
 * build prompts with it. */
#pragma once
#include "chat/caps.h"
#include "chat/format/format.h"
#include "chat/template.h"
#include "engine/engine.h"

typedef struct wick_chat wick_chat;

/* For the model of `e`, which must outlive the chat. `override`: a template text or the path of a file with one,
 * instead of the model's own; NULL: none. A model without a template, or whose own template is broken, still gives a
 * chat: prompts then fail with wick_chat_why. An override that cannot be used is WICK_E_TEMPLATE. */
wick_status wick_chat_open(wick_chat **out, const wick_engine *e, const char *override, wick_err *err) WICK_MUST_CHECK;
/* For a template alone. Takes t, also where it fails. tok is borrowed and may be NULL: then prompts are texts only
 * (no_ids). */
wick_status wick_chat_of_template(wick_chat **out, wick_chat_template *t, const wick_tokenizer *tok,
                                  wick_err *err) WICK_MUST_CHECK;
void wick_chat_close(wick_chat *c); /* NULL is fine */

/* Can it build prompts of messages? False without a template, or with a broken one. */
bool wick_chat_usable(const wick_chat *c);
/* Why it cannot, or NULL where the model simply has no template. */
const wick_err *wick_chat_why(const wick_chat *c);
/* Do tools of a request reach the prompt? Where the template takes none they are described in the system message. */
bool wick_chat_takes_tools(const wick_chat *c);
/* Neither is ever NULL; without a template the caps are all false and the format is {0}: all is text. */
const wick_chat_caps *wick_chat_get_caps(const wick_chat *c);
const wick_chat_format *wick_chat_get_format(const wick_chat *c);
const wick_tokenizer *wick_chat_tokenizer(const wick_chat *c);        /* NULL: it has none */
const wick_chat_template *wick_chat_get_template(const wick_chat *c); /* NULL: it has none */
