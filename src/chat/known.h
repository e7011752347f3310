/* chat/known.h - chat templates by the name of their family, for --chat-template and for tags of Ollama whose file has
 * none.
 *
 * Own texts, in Jinja, for turns of system, user and assistant; tools need the model's own template. */
#pragma once
#include <stddef.h>

/* The template called `name` ("chatml", "llama3", ...); NULL: none is. Static. */
const char *wick_chat_known_template(const char *name);
/* The name of the family whose control tokens a template in Go's syntax uses; NULL: none that is known. Static. */
const char *wick_chat_known_of_go(const char *go_template);
/* "chatml, llama3, ..." for messages; returns dst. */
char *wick_chat_known_names(char *dst, size_t cap);
