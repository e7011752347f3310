/* chat/template.h - a compiled chat template with the special tokens of its tokenizer, and one rendering of it.
 *
 * Where templates come from is in chat/source.h; what one can do in chat/caps.h. Immutable after opening. */
#pragma once
#include <jansson.h>
#include "base/buf.h"
#include "base/status.h"
#include "template/jinja.h"

typedef struct wick_chat_template wick_chat_template;

/* bos and eos may be NULL. `where` begins the messages of errors. */
wick_status wick_chat_template_new(wick_chat_template **out, const char *src, size_t n, const char *bos,
                                   const char *eos, const char *where, wick_err *err) WICK_MUST_CHECK;
/* tool_src: what is rendered instead where there are tools, or NULL. special: bos_token and so on by name; taken, also
 * where it fails. */
wick_status wick_chat_template_compile(wick_chat_template **out, const char *src, size_t n, const char *tool_src,
                                       json_t *special, const char *where, wick_err *err) WICK_MUST_CHECK;
void wick_chat_template_free(wick_chat_template *t);
const char *wick_chat_template_source(const wick_chat_template *t);
/* Appends the text for `vars`: an object with messages, tools and all others as the template shall see them; special
 * tokens that it does not name are added. limits may be NULL. WICK_E_TEMPLATE: it raised, or is broken. */
wick_status wick_chat_template_render(const wick_chat_template *t, const json_t *vars, const wick_jinja_limits *limits,
                                      wick_buf *out, wick_err *err) WICK_MUST_CHECK;
